"""The text of the demonstration: estimates beside the truth.

Every number comes from the run that prints it. A sentence that judges a number is printed only
where the number supports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_pref.cli.screen import grid, paragraph, section
from bayes_pref.cli.summary_text import convergence, in_options
from bayes_pref.data import Comparisons
from bayes_pref.models.choice.choice_distribution import log_likelihood
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.simulation.world import Truth
from bayes_pref.types import FloatArray, Mask

INTERVAL = 0.9


@dataclass(frozen=True, eq=False)
class Fits:
    """Two fits to the same comparisons, held-out comparisons and the truth.

    Parameters
    ----------
    pooled, hierarchical
        The fits.
    held_out
        Comparisons of the same users that neither fit has used.
    truth
        Truth of the world that the comparisons come from.
    """

    pooled: Posterior
    hierarchical: Posterior
    held_out: Comparisons
    truth: Truth

    @property
    def both(self) -> dict[str, Posterior]:
        """The fits by name, the pooled one first."""
        return {"pooled": self.pooled, "hierarchical": self.hierarchical}

    @property
    def facts(self) -> pd.DataFrame:
        """True probabilities of the held-out comparisons, in their order."""
        return self.truth.comparisons.loc[self.held_out.rows]

    @property
    def true_weights(self) -> pd.DataFrame:
        """True weights (users, features), with users and features in the order of the fits."""
        fitted = self.hierarchical.comparisons
        return self.truth.weights.loc[fitted.users, list(fitted.feature_names)]


def report(fits: Fits, users: Sequence[str]) -> Iterator[str]:
    """Yield the sections of the text.

    Parameters
    ----------
    fits
        The fits to describe.
    users
        Three users whose weights are listed, as `opposite_users` selects them.

    Yields
    ------
    section
        Plain text.
    """
    yield _sampling(fits)
    yield _population_mean(fits)
    yield _three_users(fits, users)
    yield _coverage(fits)
    yield _predictions(fits)
    yield _population_predictions(fits)


def opposite_users(weights: pd.DataFrame) -> list[str]:
    """Select the two users with the most opposed weights, and the user least like either.

    Parameters
    ----------
    weights
        (users, features), log-odds per unit.

    Returns
    -------
    users: labels

    Examples
    --------
    >>> weights = pd.DataFrame({"length": [2.0, -1.0, 0.1], "tone": [0.5, -1.0, 2.0]}, list("abc"))
    >>> opposite_users(weights)
    ['a', 'b', 'c']
    """
    product = weights.to_numpy() @ weights.to_numpy().T
    first, second = np.unravel_index(int(product.argmin()), product.shape)
    unlike = np.maximum(product[first], product[second])
    unlike[[first, second]] = np.inf
    return list(weights.index[[int(first), int(second), int(unlike.argmin())]])


def choice_probabilities(posterior: Posterior, comparisons: Comparisons) -> FloatArray:
    """(n,) posterior mean of the probability that the user of a comparison prefers left."""
    weights = posterior.weights_draws(list(comparisons.users))
    parts = log_odds(weights, comparisons.user, comparisons.difference)
    choices = posterior.choices_of(list(comparisons.users))
    own = ((choices.of_users(comparisons.user[part]), eta) for part, eta in parts)
    return np.concatenate([of_rows.preferred(eta).mean(axis=1) for of_rows, eta in own])


def _sampling(fits: Fits) -> str:
    lines = []
    for name, posterior in fits.both.items():
        found = convergence(posterior, posterior.summary())
        seconds = posterior.run.seconds
        lines.append(paragraph(f"{name}: {seconds:.1f} s; convergence {found}", "  ", "    "))
        lines += [
            paragraph(f"- {in_options(finding, posterior.run.engine)}", "    ", "      ")
            for finding in posterior.findings
        ]
    return "\n".join(lines)


def _population_mean(fits: Fits) -> str:
    true = fits.truth.mu
    cells = {"feature": list(true.index), "true": _numbers(true)}
    hits = {}
    for name, posterior in fits.both.items():
        found = posterior.summary(interval=INTERVAL)
        found = found.loc[[f"mu[{feature}]" for feature in true.index]]
        inside = _inside(found, np.asarray(true, dtype=np.float64))
        cells |= {name: _numbers(found["mean"]), f"{name} interval": _intervals(found, inside)}
        hits[name] = int(inside.sum())
    return section(
        "Population mean of the weights (log-odds per unit)",
        grid(
            ["feature", "true", *_titles(*fits.both)],
            zip(*cells.values(), strict=True),
        ),
        f"Intervals that contain the truth: pooled {hits['pooled']} of {len(true)}, hierarchical "
        f"{hits['hierarchical']} of {len(true)} (* does not).",
    )


def _three_users(fits: Fits, users: Sequence[str]) -> str:
    attributes = list(fits.held_out.features.attributes)
    true = fits.true_weights.loc[list(users), attributes].to_numpy().ravel()
    found, pooled = (
        posterior.weights(list(users), interval=INTERVAL).loc[
            lambda rows: rows["feature"].isin(attributes)
        ]
        for posterior in (fits.hierarchical, fits.pooled)
    )
    trained = fits.hierarchical.comparisons
    counts = [len(trained[user]) for user in users]
    wrong = [int((np.sign(fit["mean"]) != np.sign(true)).sum()) for fit in (pooled, found)]
    cells = [
        found["user"].where(found["feature"] == attributes[0], ""),
        found["feature"],
        _numbers(true),
        _numbers(pooled["mean"]),
        _numbers(found["mean"]),
        _intervals(found, _inside(found, true)),
    ]
    return section(
        "Three users with opposite weights",
        grid(
            ["user", "feature", "true", "pooled", *_titles("hierarchical")],
            zip(*cells, strict=True),
            left=(0, 1),
        ),
        f"The first two are the most opposed of the {trained.n_users} users. They made "
        f"{counts[0]}, {counts[1]} and {counts[2]} of the comparisons that were fitted. Wrong "
        f"signs: pooled {wrong[0]} of {len(true)}, hierarchical {wrong[1]} of {len(true)}.",
    )


def _coverage(fits: Fits) -> str:
    users, features = fits.true_weights.shape
    true = fits.true_weights.to_numpy().ravel()
    rows, share = [], 0.0
    for name, posterior in fits.both.items():
        found = posterior.weights(interval=INTERVAL)
        share = float(_inside(found, true).mean())
        width = float((found["upper"] - found["lower"]).mean())
        rows.append([name, _percent(share), f"{width:.2f}", f"{_rms(found['mean'] - true):.2f}"])
    # More than chance explains, even if the weights of a user were fully dependent.
    short = INTERVAL - share > 2.0 * np.sqrt(INTERVAL * (1.0 - INTERVAL) / users)
    return section(
        f"Weights of all users ({users} x {features})",
        grid(
            ["", f"truth in the {_percent(INTERVAL)} interval", "mean width", "error (rms)"], rows
        ),
        *(
            [
                "The hierarchical intervals contain the truth less often than "
                f"{_percent(INTERVAL)}: the model assumes that weights are independent of what "
                "users ask, and here they are not."
            ]
            if short
            else []
        ),
    )


def _predictions(fits: Fits) -> str:
    choice = fits.held_out.choice
    chances = {name: choice_probabilities(fit, fits.held_out) for name, fit in fits.both.items()}
    chances["the truth itself"] = fits.facts["probability"].to_numpy()
    rows, scores = [], {}
    for name, chance in chances.items():
        scores[name] = log_likelihood(np.log(chance) - np.log1p(-chance), choice)
        right = float(np.mean((chance > 0.5) == (choice == 1.0)))
        rows.append([name, _percent(right), f"{scores[name].mean():.3f}"])
    gain = scores["hierarchical"] - scores["pooled"]
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    return section(
        f"The {len(choice):,} held-out choices",
        grid(["", "correct", "log score per choice"], rows),
        f"Hierarchical over pooled: {gain.mean():+.3f} per choice (standard error {error:.3f}).",
    )


def _population_predictions(fits: Fits) -> str:
    facts, items = fits.facts, fits.held_out.to_frame()
    shift, p_do = facts["shift"].to_numpy(), facts["p_do"].to_numpy()
    [context] = fits.held_out.features.contexts
    rows, slope = [], 0.0
    for name, posterior in fits.both.items():
        chance = posterior.preference(items, users="population")["mean"].to_numpy()
        slope = float((chance - p_do) @ shift / (shift @ shift))  # least squares
        rows.append([name, f"{_rms(chance - p_do):.3f}", _percent(slope)])
    return section(
        "Predictions for all users",
        f"The users who see a pair are those who write prompts that are just as {context}. The "
        "share of them who prefer the left answer differs from the share of all users by "
        f"{_rms(shift):.3f} (rms over the held-out pairs). Predicted shares of all users, against "
        "the true shares:",
        grid(["", "error (rms)", "share of that difference in the prediction"], rows),
        *(
            [
                f"The prediction of the hierarchical fit, too, contains {_percent(slope)} of that "
                "difference: the model ignores which users see which pairs."
            ]
            if slope > 0.0
            else []
        ),
    )


def _titles(*fits: str) -> list[str]:
    return [title for name in fits for title in (name, f"{_percent(INTERVAL)} interval ")]


def _inside(found: pd.DataFrame, true: FloatArray) -> Mask:
    lower, upper = found["lower"].to_numpy(), found["upper"].to_numpy()
    return np.asarray((lower <= true) & (true <= upper))


def _numbers(values: Iterable[float]) -> list[str]:
    return [f"{value:.2f}" for value in values]


def _intervals(found: pd.DataFrame, inside: Mask) -> list[str]:
    bounds = zip(found["lower"], found["upper"], inside, strict=True)
    return [f"{low:.2f} to {high:.2f}{' ' if holds else '*'}" for low, high, holds in bounds]


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"


def _rms(values: FloatArray | pd.Series[float]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))
