"""The summary of a posterior that the command prints."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.cli.screen import grid, paragraph, rounded
from bayes_pref.convergence.finding import Finding
from bayes_pref.messages import printable
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.repr import headlines
from bayes_pref.types import FloatArray

_MOST_ROWS = 25
_MOST_EFFECTS = 5


def summary_text(posterior: Posterior, interval: float) -> str:
    """Describe a posterior: the fit, its convergence and the population's weights.

    Parameters
    ----------
    posterior
        A posterior that was fitted or loaded.
    interval
        Probability inside the credible intervals.

    Returns
    -------
    text: several lines
    """
    summary = posterior.summary(interval=interval)
    known = [(title, text) for title, text in headlines(posterior) if title != "convergence"]
    known.append(("convergence", convergence(posterior, summary)))
    lines = [paragraph(text, f"{title:<13}", " " * 13) for title, text in known]
    lines += [
        paragraph(f"- {in_options(finding, posterior.run.engine)}", " " * 13, " " * 15)
        for finding in posterior.findings
    ]
    lines += ["", *population_lines(posterior, summary, interval)]
    return "\n".join([*lines, *effect_lines(posterior, summary, interval)])


def summary_values(posterior: Posterior, interval: float) -> dict[str, Any]:
    """Return what `summary_text` tells, for programs: weights in log-odds per unit of a feature."""
    comparisons = posterior.comparisons
    return {
        "model": type(posterior.model).__name__,
        "engine": posterior.run.engine,
        "comparisons": len(comparisons),
        "users": comparisons.n_users,
        "features": comparisons.feature_names,
        "converged": not posterior.findings,
        "findings": [in_options(each, posterior.run.engine) for each in posterior.findings],
        "interval": interval,
        "unit": "log-odds per unit of a feature",
        "population": posterior.summary(interval=interval).reset_index(),
    }


def convergence(posterior: Posterior, summary: pd.DataFrame) -> str:
    """Say whether all checks passed, and give the worst statistics of the population."""
    count, drawn = len(summary), posterior.draws
    users = drawn["weights"].sizes if "weights" in drawn else {"user": 0, "feature": 0}
    total = count + users["user"] * users["feature"]
    few = float(summary[["ess_bulk", "ess_tail"]].to_numpy().min())
    rhat = float(summary["rhat"].max())
    checks = len(posterior.findings)
    verdict = f"{checks} {'check' if checks == 1 else 'checks'} failed" if checks else "passed"
    words = f"all {count:,} parameters" if total == count else f"{count:,} population parameters"
    verdict += "" if total == count else f" (over all {total:,} parameters)"
    if np.isnan(rhat) or np.isnan(few):  # draws without chains, or that are too few
        return verdict
    return (
        f"{verdict}; {words}: R-hat at most {rhat:.3f}, effective sample size at least {int(few):,}"
    )


def in_options(finding: Finding, engine: str) -> str:
    """Return the message of a finding, with the engine that it advises as options of the command.

    Parameters
    ----------
    finding
        A finding on a posterior.
    engine
        Name of the engine that made the posterior.

    Examples
    --------
    >>> message = "tau: R-hat 1.2; draw longer chains, for example Gibbs(draws=2000, thin=4)"
    >>> in_options(Finding("rhat", "tau", 1.2, 1.01, 1, message), "Gibbs")
    'tau: R-hat 1.2; draw longer chains, for example --draws 2000 --thin 4'
    >>> message = "not converged; take more, for example SVI(steps=400)"
    >>> in_options(Finding("elbo", "", 0.1, 0.01, 1, message), "SVI")
    'not converged; take more, for example --steps 400'
    """
    call = rf"\b{re.escape(engine)}\((\w+=[^,()]+(?:, \w+=[^,()]+)*)\)"

    def options(found: re.Match[str]) -> str:
        words = [part.split("=") for part in found[1].split(", ")]
        return " ".join(
            f"--{name.replace('_', '-')} {value.strip(chr(39))}" for name, value in words
        )

    return re.sub(call, options, finding.message)


def population_lines(posterior: Posterior, summary: pd.DataFrame, interval: float) -> list[str]:
    """Tabulate the population's weights, the largest contribution to the log-odds first.

    Of a mixture, those of each component.
    """
    drawn, count = posterior.draws, posterior.comparisons.n_features
    mu = _of(summary, "mu")
    spread = _of(summary, "tau")["mean"].to_numpy() if "tau" in drawn else None
    lines = [
        "Population weights, in log-odds per unit of a feature; the largest contributions first"
    ]
    if "component" not in drawn["mu"].dims:
        shares = None if "weights" not in drawn else _shares_for(posterior)
        return [*lines, "", *_weight_lines(posterior, mu, spread, shares, interval)]
    sizes = drawn["share"].mean(("chain", "draw")).to_numpy()
    for k, (name, size) in enumerate(zip(drawn.indexes["component"], sizes, strict=True)):
        own = mu.iloc[k * count : (k + 1) * count]
        lines += ["", f"  {name}, {100 * size:.0f} % of users:", ""]
        lines += _weight_lines(posterior, own, spread, None, interval)
    return lines


def _of(summary: pd.DataFrame, variable: str) -> pd.DataFrame:
    """Rows of a summary on one variable, by place: two labels may look alike as text."""
    return summary[summary.index.str.startswith(f"{variable}[")]


def _weight_lines(
    posterior: Posterior,
    mu: pd.DataFrame,
    spread: FloatArray | None,
    shares: FloatArray | None,
    interval: float,
) -> list[str]:
    """A table of weights (feature,), with the sd of users where there is one."""
    names = posterior.comparisons.feature_names
    sds = np.zeros(len(names)) if spread is None else spread
    typical = np.hypot(mu["mean"].to_numpy(), sds) * posterior.comparisons.feature_scale
    rows = []
    for k in np.argsort(-typical, kind="stable")[:_MOST_ROWS]:
        found = mu.iloc[k]
        mean, lower, upper, sd = rounded(
            [*found[["mean", "lower", "upper"]], float(sds[k])], found["sd"]
        )
        words = _in_words(found["lower"], found["upper"], None if shares is None else shares[k])
        between = [] if spread is None else [sd]
        rows.append([printable(names[k]), mean, f"{lower} to {upper}", *between, words])
    header = ["feature", "mean", f"{100 * interval:g} % interval"]
    header += ["in words"] if spread is None else ["users' sd", "in words"]
    lines = [grid(header, rows, left=(0, len(header) - 1))]
    if len(names) > _MOST_ROWS:
        lines.append(f"  and {len(names) - _MOST_ROWS:,} more")
    return lines


def effect_lines(posterior: Posterior, summary: pd.DataFrame, interval: float) -> list[str]:
    """Tabulate the clearest effects of covariates, or return no lines where there are none."""
    if "B" not in posterior.draws:
        return []
    effects = summary[summary.index.str.startswith("B[")]
    found = effects[(effects["lower"] > 0) | (effects["upper"] < 0)]
    strength = (found["mean"] / found["sd"]).abs().sort_values(ascending=False, kind="stable")
    chance = (1.0 - interval) * len(effects)
    words = (
        f"Covariates: {len(found):,} of {len(effects):,} effects have a {100 * interval:g} % "
        f"interval that excludes 0 (about {chance:.0f} expected by chance)"
    )
    rows = []
    for name in strength.index[:_MOST_EFFECTS]:
        row = found.loc[name]
        mean, lower, upper = rounded(row[["mean", "lower", "upper"]], row["sd"])
        label = printable(name.removeprefix("B[").removesuffix("]"))
        rows.append([label, mean, f"{lower} to {upper}"])
    lines = ["", paragraph(words + ("; the clearest:" if rows else ""))]
    header = ["feature, covariate", "per unit of both", f"{100 * interval:g} % interval"]
    return [*lines, "", grid(header, rows)] if rows else lines


def _shares_for(posterior: Posterior) -> FloatArray:
    """(d,) posterior mean of the share of users whose weight is positive."""
    weights = posterior.draws["weights"].transpose("chain", "draw", "user", "feature").to_numpy()
    return np.asarray((weights > 0.0).mean(axis=(0, 1, 2)))


def _in_words(lower: float, upper: float, share: float | None) -> str:
    """Give the sign of the population's weight, and the share of users with that sign."""
    prefix, way = "unclear: " if lower <= 0.0 <= upper else "", "less" if upper < 0.0 else "more"
    if share is None:
        return "unclear" if prefix else f"{way} is better"
    those = 1.0 - share if way == "less" else share
    # Shares come from draws, so 100 % would claim too much.
    count = "over 99" if those > 0.99 else f"{100 * those:.0f}"
    return f"{prefix}{way} is better for {count} % of users"
