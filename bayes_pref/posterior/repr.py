"""Short descriptions of a posterior: data, model, engine, convergence, population weights."""

from __future__ import annotations

import html

import pandas as pd

from bayes_pref.messages import listed, printable
from bayes_pref.posterior.estimates import COLUMNS, describe_parameters
from bayes_pref.posterior.posterior_draws import PosteriorDraws
from bayes_pref.posterior.run import Run

_SHOWN = 20
_CONTEXTS = 3


def population_table(posterior: PosteriorDraws) -> pd.DataFrame:
    """Return the mean weights `mu` by feature, with intervals, and the mean spread `tau`."""
    # The weights of each component of a mixture are in the summary.
    if "mu" not in posterior.draws or "component" in posterior.draws["mu"].dims:
        return pd.DataFrame(columns=list(COLUMNS))
    mu = posterior.draws["mu"].transpose("chain", "draw", "feature").to_numpy()
    features = pd.Index(posterior.comparisons.feature_names)
    table = pd.DataFrame(describe_parameters(mu, 0.9), index=features)
    if "tau" in posterior.draws:
        table["spread"] = posterior.draws["tau"].mean(("chain", "draw")).to_numpy()
    return table


def headlines(posterior: PosteriorDraws) -> list[tuple[str, str]]:
    """Return titles and sentences, in reading order."""
    comparisons, sizes = posterior.comparisons, posterior.draws.sizes
    settings = posterior.model.settings()
    chosen = ", ".join(f"{key}={value!r}" for key, value in settings.items() if key != "model")
    stopped = "" if posterior.run.complete else "; interrupted, so fewer draws than asked for"
    data = (
        f"{len(comparisons):,} comparisons by {comparisons.n_users:,} users, "
        f"{comparisons.n_features:,} features"
    )
    lines = [
        ("data", data),
        ("model", f"{settings['model']}({chosen})"),
        ("engine", f"{described(posterior.run, sizes['chain'])}, seed {posterior.seed}{stopped}"),
        ("convergence", verdict(posterior)),
    ]
    contexts = comparisons.features.contexts
    if contexts:
        names = listed(contexts, limit=_CONTEXTS)
        asked = f"bp.diagnose(posterior) says which comparisons {names} may confound"
        lines.append(("next", asked))
    return lines


def described(run: Run, chains: int) -> str:
    """Describe the engine, the number of draws and the running time, in one line."""
    settings = run.settings
    if "guide" in settings:
        text = f"{run.engine}, {run.draws:,} independent draws from guide {settings['guide']}"
    else:
        many = "1 chain" if chains == 1 else f"{chains} chains"
        text = f"{run.engine}, {many} of {run.draws:,} draws"
    if "warmup" in settings:
        text += f" after {settings['warmup']:,}"
    if settings.get("thin", 1) > 1:
        text += f", thinning interval {settings['thin']}"
    if settings.get("until"):
        text += f", until={settings['until']!r}"
    return f"{text}, {run.seconds:.1f} s"


def verdict(posterior: PosteriorDraws) -> str:
    """Summarise the convergence checks in one line."""
    count = len(posterior.findings)
    if not count:
        return "all checks passed"
    return f"{count} {'check' if count == 1 else 'checks'} failed"


def as_text(posterior: PosteriorDraws) -> str:
    """Plain text for a terminal."""
    lines = ["Posterior"]
    lines += [f"  {title + ':':<13}{printable(text)}" for title, text in headlines(posterior)]
    lines += [f"    {printable(finding.message)}" for finding in posterior.findings]
    table = population_table(posterior)
    if len(table):
        lines += ["  population weights (log-odds per unit):"]
        shown = table.head(_SHOWN).rename(index=printable).to_string(float_format="{:.3g}".format)
        lines += [f"    {line}" for line in shown.splitlines()]
        if len(table) > _SHOWN:
            lines += [f"    and {len(table) - _SHOWN:,} more features"]
    return printable("\n".join(lines), lines=True)


def as_html(posterior: PosteriorDraws) -> str:
    """HTML for a notebook."""
    left = "style='text-align: left'"
    rows = "".join(
        f"<tr><th {left}>{_escaped(title)}</th><td {left}>{_escaped(text)}</td></tr>"
        for title, text in headlines(posterior)
    )
    failed = "".join(f"<li>{_escaped(finding.message)}</li>" for finding in posterior.findings)
    table = population_table(posterior)
    weights = ""
    if len(table):
        shown = (
            table.head(_SHOWN)
            .rename(index=printable)
            .to_html(float_format="{:.3g}".format, border=0)
        )
        more = len(table) - _SHOWN
        weights = f"<p>Population weights (log-odds per unit)</p>{shown}"
        weights += f"<p>and {more:,} more features</p>" if more > 0 else ""
    problems = f"<ul>{failed}</ul>" if failed else ""
    return f"<div><strong>Posterior</strong><table>{rows}</table>{problems}{weights}</div>"


def _escaped(text: str) -> str:
    return html.escape(printable(text))
