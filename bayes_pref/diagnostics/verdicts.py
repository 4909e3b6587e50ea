"""One verdict a comparison, and the sentence that gives its reasons in numbers.

The first that holds, in this order: unidentifiable (the data never separate what differs here),
confounded (those who are shown such pairs prefer otherwise than people in general), separated
(the direction is known, its size is the prior's), prefers, indifferent, undecided (measured, and
more answers would tell). Beside the verdict may stand that the value is borrowed from other users,
or that people like this user are not shown such contexts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref.data.table import FloatArray

Texts = NDArray[np.str_]
Mask = NDArray[np.bool_]

CERTAIN_SIGN = 0.95  # P(sign) from which a user is said to prefer one side
SMALL_DIFFERENCE = 0.2  # log-odds: odds of 1.2 to 1, too little to matter
CERTAIN_SMALL = 0.9  # P(|difference| is small) from which a user is said to be indifferent
BORROWED = 0.1  # share of a pair that a user's own comparisons say nothing of
NO_OVERLAP = 0.2  # overlap below which people like a user are not shown such contexts

MEANINGS: dict[str, str] = {
    "unidentifiable": "the data never separate what differs in this pair, so the answer is the "
    "prior's; ask a comparison in which the features named differ one at a time",
    "confounded": "those who are shown such pairs prefer otherwise than people in general; show "
    "the pair to people drawn at random before using its answer for everyone",
    "separated": "all answers so far point one way: the direction is known, but its size is the "
    "prior's; ask pairs that are harder to tell apart",
    "prefers": "the sign of this user's reward difference is known",
    "indifferent": "to this user both sides are worth the same",
    "undecided": "what differs here was measured, but not well enough yet; more answers will tell",
    "not assessed": "the posterior cannot support a verdict of its own here; the notes say why",
}

VERDICTS: tuple[str, ...] = tuple(MEANINGS)


@dataclass(frozen=True, eq=False)
class Grounds:
    """What verdicts and sentences stand on, one entry a comparison.

    Attributes
    ----------
    numbers
        The columns of `Report.comparisons` but verdict and sentence, and `p_left` (probability
        that the reward difference is positive) and `p_small` (that it is small).
    unidentifiable, confounded, separated
        (n,) whether each was found.
    unlearned
        (n,) what the data never separate, as a sentence without its full stop.
    agreed
        The features along which all choices agree, as a list in words.
    personal
        Whether the posterior knows users apart: without, nobody prefers anything.
    new
        (n,) whether the user was never asked anything.
    """

    numbers: pd.DataFrame
    unidentifiable: Mask
    confounded: Mask
    separated: Mask
    unlearned: NDArray[np.object_]
    agreed: str
    personal: bool
    new: Mask


def decide(grounds: Grounds) -> Texts:
    """Return the verdict on each comparison: the first that holds, (n,)."""
    numbers = grounds.numbers
    left = numbers["p_left"].to_numpy()
    sign = np.maximum(left, 1.0 - left)
    small = numbers["p_small"].to_numpy()
    none = np.full(len(numbers), not grounds.personal)
    return np.select(
        [
            grounds.unidentifiable,
            grounds.confounded,
            grounds.separated,
            none,
            sign > CERTAIN_SIGN,
            small > CERTAIN_SMALL,
        ],
        ["unidentifiable", "confounded", "separated", "not assessed", "prefers", "indifferent"],
        "undecided",
    )


def sentences(grounds: Grounds, verdict: Texts, interval: float) -> Texts:
    """Say why, in one sentence a comparison, (n,); two where something stands beside it."""
    rows, words = (
        grounds.numbers.assign(unlearned=grounds.unlearned),
        f"{100 * interval:g} % interval",
    )
    writers: dict[str, Callable[[pd.DataFrame], NDArray[np.object_]]] = {
        "unidentifiable": _unidentifiable,
        "confounded": partial(_confounded, interval=words),
        "separated": partial(_separated, agreed=grounds.agreed, interval=words),
        "prefers": partial(_prefers, interval=words),
        "indifferent": _indifferent,
        "undecided": partial(_undecided, interval=words),
        "not assessed": _not_assessed,
    }
    said = np.full(len(rows), "", dtype=object)
    for name, write in writers.items():
        of = np.flatnonzero(verdict == name)
        if of.size:
            said[of] = write(rows.iloc[of])
    beside = _borrowed(rows, grounds.new) + _no_overlap(rows)
    return np.asarray(said + beside, dtype=object)


def _unidentifiable(rows: pd.DataFrame) -> NDArray[np.object_]:
    share = percent(rows["prior_share"].to_numpy())
    return joined(
        rows["unlearned"].to_numpy(), ": ", share, " of the uncertainty here is the prior's."
    )


def _confounded(rows: pd.DataFrame, interval: str) -> NDArray[np.object_]:
    return joined(
        "People shown pairs like this differ from people in general: they would choose left ",
        percent(rows["p_obs"].to_numpy()),
        " of the time, people in general ",
        percent(rows["p_do"].to_numpy()),
        " (shift ",
        *_estimate(rows, "shift", "shift_lower", "shift_upper", interval),
        ").",
    )


def _separated(rows: pd.DataFrame, agreed: str, interval: str) -> NDArray[np.object_]:
    return joined(
        f"Every answer agrees with one way to weigh {agreed}: which side is known, but not by "
        "how much, for the size (",
        *_estimate(rows, "mean", "lower", "upper", interval),
        " log-odds for left) is set by the prior.",
    )


def _prefers(rows: pd.DataFrame, interval: str) -> NDArray[np.object_]:
    left = rows["p_left"].to_numpy()
    return joined(
        "This user prefers ",
        np.where(left > 0.5, "left", "right"),
        " (probability ",
        percent(np.maximum(left, 1.0 - left)),
        "): ",
        *_estimate(rows, "mean", "lower", "upper", interval),
        " log-odds for left.",
    )


def _indifferent(rows: pd.DataFrame) -> NDArray[np.object_]:
    return joined(
        "Both sides are worth the same to this user: the difference is within ",
        f"{SMALL_DIFFERENCE:g} log-odds with probability ",
        percent(rows["p_small"].to_numpy()),
        ".",
    )


def _undecided(rows: pd.DataFrame, interval: str) -> NDArray[np.object_]:
    return joined(
        "Measured, but not yet decided: ",
        *_estimate(rows, "mean", "lower", "upper", interval),
        " log-odds for left; more answers will tell.",
    )


def _not_assessed(rows: pd.DataFrame) -> NDArray[np.object_]:
    text = "The model gives everyone the same weights, so it cannot say what this user prefers."
    return np.full(len(rows), text, dtype=object)


def _borrowed(numbers: pd.DataFrame, new: Mask) -> NDArray[np.object_]:
    share = numbers["borrowed"].to_numpy()
    text = joined(
        " This user's own comparisons say nothing of ",
        percent(share),
        " of what differs here: that much is borrowed from other users.",
    )
    unknown = " This user was never asked: all that is said here is borrowed from other users."
    return np.where(new, unknown, np.where(share > BORROWED, text, ""))


def _no_overlap(numbers: pd.DataFrame) -> NDArray[np.object_]:
    overlap = numbers["overlap"].to_numpy()
    text = joined(
        " People like this user are hardly ever shown such contexts (overlap ",
        decimals(overlap),
        ").",
    )
    return np.where(overlap < NO_OVERLAP, text, "")


def _estimate(
    rows: pd.DataFrame, mean: str, lower: str, upper: str, interval: str
) -> tuple[Texts | str, ...]:
    middle, low, high = (decimals(rows[name].to_numpy()) for name in (mean, lower, upper))
    return middle, f", {interval} ", low, " to ", high


def percent(share: FloatArray) -> Texts:
    """Write shares in percent, (n,); what is not all is never written as all.

    Examples
    --------
    >>> percent(np.array([0.123, 0.999])).tolist()
    ['12 %', 'over 99 %']
    """
    whole = np.rint(100.0 * np.nan_to_num(share))
    text = np.char.mod("%.0f %%", whole)
    text = np.where((share > 0.995) & (share < 1.0), "over 99 %", text)
    return np.asarray(np.where((share < 0.005) & (share > 0.0), "under 1 %", text))


def decimals(values: FloatArray) -> Texts:
    """Write numbers with two decimals, (n,)."""
    # Adding zero turns -0.0 into 0.0.
    return np.asarray(np.char.mod("%.2f", np.round(np.nan_to_num(values), 2) + 0.0))


def joined(*parts: Texts | NDArray[np.object_] | str) -> NDArray[np.object_]:
    """Join texts, elementwise; at least one part has the full shape."""
    total: NDArray[np.object_] = np.asarray("", dtype=object)
    for part in parts:
        total = total + np.asarray(part, dtype=object)
    return total
