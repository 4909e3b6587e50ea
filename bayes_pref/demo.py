"""The demonstration: an assistant's answers judged by those who asked, beside the truth.

Every number is measured in the run that prints it, and a sentence that judges one depends on it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref import plots
from bayes_pref.data import Comparisons
from bayes_pref.errors import ConvergenceWarning
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs import Gibbs
from bayes_pref.models import HierarchicalReward, PooledReward
from bayes_pref.models.likelihood import log_likelihood, probability
from bayes_pref.output_folder import OutputFolder
from bayes_pref.posterior import Posterior
from bayes_pref.predictions import log_odds
from bayes_pref.screen import convergence, grid, in_options, paragraph
from bayes_pref.simulate import assistant_world
from bayes_pref.world import Truth

Floats = NDArray[np.float64]

_HELD_OUT = 0.2
_INTERVAL = 0.9


@dataclass(frozen=True)
class Fits:
    """Two fits to the same comparisons, and what they are measured against.

    Parameters
    ----------
    pooled, hierarchical
        The fits.
    held_out
        Comparisons of the same users that neither fit has seen.
    truth
        Of the world that the comparisons come from.
    """

    pooled: Posterior
    hierarchical: Posterior
    held_out: Comparisons
    truth: Truth

    @property
    def both(self) -> dict[str, Posterior]:
        """The fits by name, the naive one first."""
        return {"pooled": self.pooled, "hierarchical": self.hierarchical}

    @property
    def facts(self) -> pd.DataFrame:
        """True probabilities of the held-out comparisons, in their order."""
        return self.truth.comparisons.loc[self.held_out.rows]

    @property
    def true_weights(self) -> pd.DataFrame:
        """True weights of the users that were fitted, in their order."""
        return self.truth.weights.loc[self.hierarchical.comparisons.users]


def run_demo(
    folder: OutputFolder, *, seed: int, progress: bool, say: Callable[[str], None]
) -> None:
    """Simulate, fit, set the estimates beside the truth, and draw.

    Parameters
    ----------
    folder
        Where the pictures go.
    seed
        Of the world, of the split and of the fits.
    progress
        Whether to show progress bars.
    say
        Takes each part of the text as soon as it is known.
    """
    world = assistant_world(seed=seed)
    train, held_out = world.comparisons.split(by="comparison", test=_HELD_OUT, seed=seed)
    say(_introduction(world.truth, train, held_out))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, beside the numbers
        pooled, hierarchical = (
            fit(model, train, Gibbs(progress=progress), seed=seed)
            for model in (PooledReward(), HierarchicalReward())
        )
    fits = Fits(pooled, hierarchical, held_out, world.truth)
    people = opposite_people(fits.true_weights[list(train.features.attributes)])
    say(_sampling(fits))
    say(_population(fits))
    say(_people(fits, people))
    say(_coverage(fits))
    say(_predictions(fits))
    say(_people_in_general(fits))
    _draw(folder, fits, people[0])


def opposite_people(weights: pd.DataFrame) -> list[str]:
    """Three people: the two whose tastes are most opposed, and the one most unlike both.

    Parameters
    ----------
    weights
        (users, features), log-odds per unit.

    Returns
    -------
    users: labels, the pair with the most negative product of weights first

    Examples
    --------
    >>> weights = pd.DataFrame({"length": [2.0, -1.0, 0.1], "tone": [0.5, -1.0, 2.0]}, list("abc"))
    >>> opposite_people(weights)
    ['a', 'b', 'c']
    """
    values = weights.to_numpy()
    product = values @ values.T
    first, second = np.unravel_index(int(product.argmin()), product.shape)
    # Far from both, or the third would be a copy of one of them.
    unlike = np.maximum(product[first], product[second])
    unlike[[first, second]] = np.inf
    return list(weights.index[[first, second, int(unlike.argmin())]])


def choice_probabilities(posterior: Posterior, comparisons: Comparisons) -> Floats:
    """(n,) probability that each user prefers left in each of their comparisons."""
    weights = posterior.weights_draws(list(comparisons.users))
    parts = log_odds(weights, comparisons, comparisons.difference)
    return np.concatenate([probability(eta).mean(axis=1) for _, eta in parts])


def _introduction(truth: Truth, train: Comparisons, held_out: Comparisons) -> str:
    attributes = ", ".join(train.features.attributes)
    [context] = train.features.contexts
    correlation = float((truth.coupling[context] / truth.tau).abs().mean())
    return "\n\n".join(
        [
            "AN ASSISTANT'S ANSWERS, JUDGED BY THE PEOPLE WHO ASKED",
            paragraph(
                f"{train.n_users} people write prompts to an assistant and say which of two answers "
                f"they prefer. Answers differ in {attributes}; what each is worth differs from "
                f"person to person, and with how {context} the prompt is ({train.feature_names[-1]} "
                "and so on). Everyone writes their own prompts: people who write more "
                f"{context} ones also have other tastes (correlation {correlation:.1f} with each "
                "weight). The world is simulated, so we know what is true."
            ),
            paragraph(
                f"Two models learn from {len(train):,} comparisons; {len(held_out):,} others by the "
                "same people are held out. The pooled model gives everyone the same weights. The "
                "hierarchical model gives everyone their own, drawn from a population."
            ),
        ]
    )


def _sampling(fits: Fits) -> str:
    lines = []
    for name, posterior in fits.both.items():
        seconds = posterior.engine["seconds"]
        found = convergence(posterior, posterior.summary())
        lines.append(paragraph(f"{name}: {seconds:.1f} s; convergence {found}", "  ", "    "))
        lines += [
            paragraph(f"- {in_options(finding.message)}", "    ", "      ")
            for finding in posterior.findings
        ]
    return "\n".join(lines)


def _population(fits: Fits) -> str:
    true = fits.truth.mu
    cells: dict[str, list[str]] = {"feature": list(true.index), "true": _decimals(true)}
    held = {}
    for name, posterior in fits.both.items():
        found = posterior.summary(interval=_INTERVAL)
        found = found.loc[[f"mu[{feature}]" for feature in true.index]].set_axis(true.index)
        inside = found["lower"].le(true) & true.le(found["upper"])
        cells |= {name: _decimals(found["mean"]), f"{name} interval": _intervals(found, inside)}
        held[name] = int(inside.sum())
    counts = " and ".join(f"those of the {name} fit {held[name]}" for name in held)
    return _section(
        "What people want on average (mean weights, log-odds per unit)",
        grid(["feature", "true", *_estimate_titles(fits.both)], zip(*cells.values(), strict=True)),
        f"Of {len(true)} true means, {_percent(_INTERVAL)} intervals hold: {counts} "
        "(* misses the truth).",
    )


def _people(fits: Fits, people: list[str]) -> str:
    attributes = list(fits.held_out.features.attributes)
    true = fits.true_weights.loc[people, attributes].stack()
    found = fits.hierarchical.weights(people, interval=_INTERVAL).set_index(["user", "feature"])
    found = found.loc[true.index]
    pooled = fits.pooled.weights(people).set_index(["user", "feature"])["mean"].loc[true.index]
    inside = found["lower"].le(true) & true.le(found["upper"])
    counts = pd.Series(
        fits.hierarchical.comparisons.counts, fits.hierarchical.comparisons.users
    ).loc[people]
    users = [user if feature == attributes[0] else "" for user, feature in true.index]
    cells = [
        users,
        [feature for _, feature in true.index],
        _decimals(true),
        _decimals(pooled),
        _decimals(found["mean"]),
        _intervals(found, inside),
    ]
    titles = ["person", "feature", "true", *_estimate_titles(["hierarchical"])]
    titles.insert(3, "pooled")
    wrong = {
        "pooled": int((np.sign(pooled) != np.sign(true)).sum()),
        "hierarchical": int((np.sign(found["mean"]) != np.sign(true)).sum()),
    }
    return _section(
        "Three people with opposite tastes",
        grid(titles, zip(*cells, strict=True), left=(0, 1)),
        f"Learned from {', '.join(str(count) for count in counts[:-1])} and {counts.iloc[-1]} "
        f"comparisons of theirs. Of these {len(true)} weights, the pooled fit has the sign of "
        f"{wrong['pooled']} wrong and the hierarchical fit that of {wrong['hierarchical']}.",
    )


def _coverage(fits: Fits) -> str:
    true = fits.true_weights.to_numpy().ravel()
    rows = []
    share = {}
    for name, posterior in fits.both.items():
        found = posterior.weights(interval=_INTERVAL)
        share[name] = float((found["lower"].le(true) & found["upper"].ge(true)).mean())
        error = float(np.sqrt(np.mean((found["mean"] - true) ** 2)))
        width = float((found["upper"] - found["lower"]).mean())
        rows.append([name, _percent(share[name]), f"{width:.2f}", f"{error:.2f}"])
    people, features = fits.true_weights.shape
    return _section(
        f"All {people} x {features} weights of all people",
        grid(
            ["", f"truth inside {_percent(_INTERVAL)} interval", "mean width", "error (rms)"], rows
        ),
    )


def _predictions(fits: Fits) -> str:
    choice = fits.held_out.choice
    chances = {
        name: choice_probabilities(posterior, fits.held_out)
        for name, posterior in fits.both.items()
    }
    chances["the truth itself"] = fits.facts["probability"].to_numpy()
    rows, scores = [], {}
    for name, chance in chances.items():
        scores[name] = log_likelihood(np.log(chance) - np.log1p(-chance), choice)
        right = float(np.mean((chance > 0.5) == (choice == 1.0)))
        rows.append([name, _percent(right), f"{scores[name].mean():.3f}"])
    gain = scores["hierarchical"] - scores["pooled"]
    error = gain.std(ddof=1) / np.sqrt(len(gain))
    return _section(
        f"The {len(choice):,} held-out choices",
        grid(["", "predicted right", "log score per choice"], rows),
        f"Log score of the hierarchical over the pooled fit: {gain.mean():+.3f} per choice "
        f"(standard error {error:.3f}).",
    )


def _people_in_general(fits: Fits) -> str:
    facts = fits.facts
    shift = facts["shift"].to_numpy()
    items = fits.held_out.to_frame()
    rows, taken = [], {}
    for name, posterior in fits.both.items():
        chance = posterior.preference(items, users="population")["mean"].to_numpy()
        error = chance - facts["p_do"].to_numpy()
        # How far the prediction moves when those who are shown such a pair move: least squares.
        taken[name] = float(error @ shift / (shift @ shift))
        rows.append([name, f"{np.sqrt(np.mean(error**2)):.3f}", f"{taken[name]:.2f}"])
    rows.append(["those who are shown it", f"{np.sqrt(np.mean(shift**2)):.3f}", "1.00"])
    [context] = fits.held_out.features.contexts
    rest = taken["hierarchical"]
    verdict = (
        "Neither model knows who writes which prompts, and the hierarchical one still takes "
        f"{_percent(rest)} of that difference for the taste of people in general: a population "
        "number from such data is not yet an answer about people in general."
        if rest > 0.1
        else "The hierarchical fit carries hardly any of that difference over in this world."
    )
    return _section(
        "Where this is still wrong: what would people in general choose?",
        paragraph(
            "The share of all people, not only of those who write such prompts, who prefer the left "
            "answer of each held-out pair. Those who are shown a pair are another "
            f"selection of people: they write prompts just as {context}.",
            "  ",
        ),
        grid(["", "error (rms)", "error per unit of their difference"], rows),
        verdict,
    )


def _draw(folder: OutputFolder, fits: Fits, person: str) -> None:
    posterior, truth = fits.hierarchical, fits.truth
    folder.picture("population.png", lambda: plots.population(posterior, truth=truth.mu))
    folder.picture("users.png", lambda: plots.users(posterior, person, truth=fits.true_weights))
    folder.picture("heterogeneity.png", lambda: plots.heterogeneity(posterior, truth=truth.tau))
    folder.picture("trace.png", lambda: plots.trace(posterior))


def _section(title: str, *parts: str) -> str:
    """Put a title over parts that are grids already or sentences still."""
    texts = [part if part.startswith("  ") else paragraph(part, "  ") for part in parts]
    return "\n\n".join([f"{title}\n{'-' * len(title)}", *texts])


def _estimate_titles(names: object) -> list[str]:
    return [title for name in names for title in (str(name), f"{_percent(_INTERVAL)} interval")]


def _decimals(values: pd.Series[float]) -> list[str]:
    return [f"{value:.2f}" for value in values]


def _intervals(found: pd.DataFrame, inside: pd.Series[bool]) -> list[str]:
    bounds = zip(found["lower"], found["upper"], inside, strict=True)
    return [f"{low:.2f} to {high:.2f}{' ' if holds else '*'}" for low, high, holds in bounds]


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f} %"
