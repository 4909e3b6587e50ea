"""A check: one question that an audit puts to the data, with its answer."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

PASSES = "tested here and passes"
FAILS = "tested and fails"
DECLARED = "holds by design (declared)"
UNTESTED = "cannot be tested with what was recorded"
STATUSES = (PASSES, FAILS, DECLARED, UNTESTED)

CONSISTENCY = "consistency"
UNCONFOUNDEDNESS = "unconfoundedness"
POSITIVITY = "positivity (overlap)"
SUFFICIENCY = "latent sufficiency"
SUPPORT = "latent positivity"

# What each assumption of Kobalczyk & van der Schaar (2025) says.
ASSUMPTIONS = {
    CONSISTENCY: "an answer is about the pair shown, and not about sides, order or chance",
    UNCONFOUNDEDNESS: "who is shown a pair is unrelated to what they would answer",
    POSITIVITY: "every user can be shown every kind of pair",
    SUFFICIENCY: "the features carry all that matters to the reward",
    SUPPORT: "every combination of features can occur",
}


@dataclass(frozen=True, eq=False, kw_only=True)
class Check:
    """One question put to the data.

    Attributes
    ----------
    name
        What is looked at, such as "shown by covariates".
    assumption
        The assumption that it is about.
    null
        What holds if nothing is wrong, in words.
    statistic, value
        What was computed, in words, and its value.
    p
        P-value; NaN if it is no test of that kind.
    probability
        Posterior probability that the assumption fails; NaN if it is no such check.
    found, clear, sentence
        Sentences for where it fails, for where it does not, and, set by the audit, the one that is
        true.
    remedy
        What to record or do where it fails, or where it cannot be made.
    alarms
        Whether a small p-value means that the assumption fails; else it only describes the data.
    status
        One of `STATUSES`, set by the audit.
    adjusted
        The p-value adjusted for the number of tests, set by the audit.
    detail
        What was looked at one by one, the most conspicuous first.
    """

    name: str
    assumption: str
    null: str = ""
    statistic: str = ""
    value: float = np.nan
    p: float = np.nan
    probability: float = np.nan
    found: str = ""
    clear: str = ""
    sentence: str = ""
    remedy: str = ""
    alarms: bool = True
    status: str = ""
    adjusted: float = np.nan
    detail: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def made(self) -> bool:
        """Whether the data allow it."""
        return bool(np.isfinite(self.p) or np.isfinite(self.probability))


def unmade(name: str, assumption: str, reason: str, remedy: str) -> Check:
    """Return a check that these data do not allow, with the reason and what to record."""
    return Check(name=name, assumption=assumption, clear=reason, remedy=remedy, status=UNTESTED)


def named(words: list[str], most: int = 3) -> str:
    """List columns in a sentence.

    Examples
    --------
    >>> named(["'age'", "'time'"]), named(list("abcde"))
    ("'age' and 'time'", 'a, b, c and 2 more')
    """
    if len(words) > most:
        return f"{', '.join(words[:most])} and {len(words) - most} more"
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def p_words(p: float) -> str:
    """Write a p-value.

    Examples
    --------
    >>> p_words(0.001), p_words(0.25)
    ('p = 0.001', 'p = 0.25')
    """
    return f"p = {p:.3f}" if p < 0.095 else f"p = {p:.2f}"
