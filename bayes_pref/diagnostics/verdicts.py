"""One verdict on each comparison: the first in the registry that holds, with a sentence of why.

A verdict is one entry of the registry: when it holds, what it means, and the sentence that states
its numbers. The order of the registry is the order of precedence; the last entry always holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_pref.diagnostics.evidence import Evidence, Texts, joined, of_draws, percent
from bayes_pref.errors import ModelError
from bayes_pref.types import Mask


@dataclass(frozen=True, eq=False, kw_only=True)
class Verdict:
    """A verdict: its name, when it holds, and what is said of it.

    Parameters
    ----------
    name
        What stands in the column `verdict`.
    meaning
        What it means and what to do, without a full stop.
    holds
        Returns, for evidence about n comparisons, (n,) whether the verdict holds.
    sentence
        Returns, for evidence about the comparisons with this verdict, (n,) one sentence on each.
    needs
        Columns of the evidence that `holds` reads. Where an assessment did not provide one of
        them, the verdict holds for no comparison.
    problem
        Whether it calls for action: the summary and the page then show examples.
    severity
        Returns, for rows of `Report.comparisons`, (n,) numbers; examples are those with the
        largest. None: the first rows.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> extrapolated = bp.Verdict(
    ...     name="extrapolated",
    ...     meaning="users like this one hardly ever see such contexts",
    ...     needs=("overlap",),
    ...     holds=lambda evidence: evidence["overlap"] < evidence.thresholds.overlap,
    ...     sentence=lambda evidence: np.full(len(evidence), "Such users hardly see such pairs."),
    ... )
    >>> extrapolated.name
    'extrapolated'
    """

    name: str
    meaning: str
    holds: Callable[[Evidence], Mask]
    sentence: Callable[[Evidence], Texts]
    needs: tuple[str, ...] = ()
    problem: bool = False
    severity: Callable[[pd.DataFrame], pd.Series[float]] | None = None

    def applies(self, evidence: Evidence) -> Mask:
        """Return (n,) whether the verdict holds; False where what it needs was not assessed."""
        if not all(column in evidence for column in self.needs):
            return np.zeros(len(evidence), dtype=bool)
        return np.asarray(self.holds(evidence), dtype=bool)


def decide(evidence: Evidence, verdicts: Sequence[Verdict]) -> Texts:
    """Return the verdict on each comparison, (n,): the first that holds.

    Raises
    ------
    ModelError
        If none holds for some comparison.
    """
    holding = np.stack([verdict.applies(evidence) for verdict in verdicts])
    without = np.flatnonzero(~holding.any(axis=0))
    if without.size:
        raise ModelError(
            f"verdicts: none holds for {without.size:,} of {len(evidence):,} comparisons; end with "
            f"one that always holds, such as {VERDICTS[-1]!r}"
        )
    names = np.array([verdict.name for verdict in verdicts], dtype=object)
    return np.asarray(names[holding.argmax(axis=0)], dtype=object)


def explain(evidence: Evidence, verdict: Texts, verdicts: Sequence[Verdict]) -> Texts:
    """Return one sentence on each comparison, (n,), that states the numbers of its verdict."""
    said = np.full(len(evidence), "", dtype=object)
    for each in verdicts:
        rows = np.flatnonzero(verdict == each.name)
        if rows.size:
            said[rows] = each.sentence(evidence.take(rows))
    return said


# A column of the evidence where exposure is unknown: p_obs is of all users, by the log.
_BY_LOG = "by_log"


def _unidentifiable(evidence: Evidence) -> Texts:
    share = percent(evidence["prior_share"])
    return joined(
        evidence["non_identified"], ": the prior accounts for ", share, " of the uncertainty."
    )


def _confounded(evidence: Evidence) -> Texts:
    words = evidence.wording
    start, then = f"Users who see {words.shown} like this", "all users, "
    if _BY_LOG in evidence:
        start, then = "By the log users", "by randomised comparisons, "
    return joined(
        f"{start} would {words.choose} ",
        percent(evidence["p_obs"]),
        f" of the time; {then}",
        percent(evidence["p_do"]),
        " (shift ",
        evidence.estimate("shift", "shift_lower", "shift_upper"),
        ").",
        _more_needed(evidence),
    )


def _cleared(evidence: Evidence) -> Texts:
    words = evidence.wording
    who = f"of those who see {words.shown} like this in it"
    return joined(
        "The log alone would be confounded (",
        percent(evidence["p_obs"]),
        f" {'of all users by it' if _BY_LOG in evidence else who} would {words.choose}), but ",
        np.char.mod("%d", evidence["randomised_count"]).astype(object),
        " randomised comparisons resolve it: of all users ",
        percent(evidence["p_do"]),
        f" would ({100 * evidence.interval:g} % interval ",
        percent(evidence["p_do_lower"]),
        " to ",
        percent(evidence["p_do_upper"]),
        ").",
    )


def _more_needed(evidence: Evidence) -> Texts | str:
    """Say how many randomised comparisons would resolve p_do, where there are some."""
    if "randomised_needed" not in evidence:
        return ""
    needed = evidence["randomised_needed"]
    some = np.isfinite(needed) & (needed > 0)
    said = joined(
        " About ",
        np.char.mod("%d", np.where(some, needed, 0.0)).astype(object),
        " more randomised comparisons would resolve the latter to within "
        f"{evidence.thresholds.resolved:g}.",
    )
    return np.where(some, said, "").astype(object)


def _separated(evidence: Evidence) -> Texts:
    return joined(
        "The sign is identified but the magnitude is not (complete separation along ",
        evidence["separated_by"],
        "): its size, ",
        evidence.estimate("mean", "lower", "upper"),
        f" log-odds for {evidence.wording.this}, is set by the prior.",
    )


def _prefers(evidence: Evidence) -> Texts:
    left, words = evidence["p_left"], evidence.wording
    return joined(
        "This user prefers ",
        np.where(left > 0.5, words.this, words.others),
        " (probability ",
        of_draws(np.maximum(left, 1.0 - left)),
        "): ",
        evidence.estimate("mean", "lower", "upper"),
        f" log-odds for {words.this}.",
    )


def _indifferent(evidence: Evidence) -> Texts:
    return joined(
        "This user is indifferent: the difference is within ",
        f"{evidence.thresholds.small_difference:g} log-odds with probability ",
        of_draws(evidence["p_small"]),
        ".",
    )


def _undecided(evidence: Evidence) -> Texts:
    return joined(
        "The sign is not known yet: ",
        evidence.estimate("mean", "lower", "upper"),
        f" log-odds for {evidence.wording.this}; more answers will tell.",
    )


def _not_assessed(evidence: Evidence) -> Texts:
    text = "The model gives all users the same weights, so this user's preference is unknown."
    return np.full(len(evidence), text, dtype=object)


def _known_sign(evidence: Evidence) -> Mask:
    left = evidence["p_left"]
    return np.asarray(np.maximum(left, 1.0 - left) > evidence.thresholds.sign)


def _always(evidence: Evidence) -> Mask:
    return np.ones(len(evidence), dtype=bool)


def _size(rows: pd.DataFrame) -> pd.Series[float]:
    return rows["mean"].abs()


REGISTRY: tuple[Verdict, ...] = (
    Verdict(
        name="unidentifiable",
        meaning="the data never separate what differs here, so the prior decides; ask what "
        "differs in one of the features named at a time",
        needs=("unidentifiable",),
        holds=lambda evidence: evidence["unidentifiable"],
        sentence=_unidentifiable,
        problem=True,
        severity=lambda rows: rows["prior_share"] * rows["reference_sd"],
    ),
    Verdict(
        name="confounded",
        meaning="users who see such comparisons differ in their preferences from all users; use "
        "p_do instead of observed shares, and show them to users drawn at random",
        needs=("confounded",),
        holds=lambda evidence: evidence["confounded"],
        sentence=_confounded,
        problem=True,
        severity=lambda rows: rows["shift"].abs(),
    ),
    Verdict(
        name="cleared",
        meaning="the log alone would be confounded, but randomised comparisons resolve what all "
        "users would choose; use p_do",
        needs=("cleared",),
        holds=lambda evidence: evidence["cleared"],
        sentence=_cleared,
        severity=lambda rows: rows["shift"].abs(),
    ),
    Verdict(
        name="separated",
        meaning="some weights agree with every answer: the sign is identified but the magnitude "
        "is not, its size is set by the prior; ask what is harder to tell apart",
        needs=("separated",),
        holds=lambda evidence: evidence["separated"],
        sentence=_separated,
        problem=True,
        severity=_size,
    ),
    Verdict(
        name="prefers",
        meaning="the sign of this user's reward difference is known",
        needs=("p_left",),
        holds=_known_sign,
        sentence=_prefers,
        severity=_size,
    ),
    Verdict(
        name="indifferent",
        meaning="what is compared is worth the same to this user",
        needs=("p_small",),
        holds=lambda evidence: evidence["p_small"] > evidence.thresholds.small_certainty,
        sentence=_indifferent,
        severity=_size,
    ),
    Verdict(
        name="undecided",
        meaning="measured, but not precisely enough yet; more answers will tell",
        needs=("p_left",),
        holds=_always,
        sentence=_undecided,
        severity=_size,
    ),
    Verdict(
        name="not assessed",
        meaning="the posterior has no weights of single users; the notes say more",
        holds=_always,
        sentence=_not_assessed,
    ),
)

VERDICTS: tuple[str, ...] = tuple(verdict.name for verdict in REGISTRY)
