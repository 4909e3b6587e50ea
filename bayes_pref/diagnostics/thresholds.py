"""Thresholds of the verdicts: every number from which one of them holds, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from bayes_pref import settings


@dataclass(frozen=True, kw_only=True)
class Thresholds:
    """Numbers from which a verdict, or a remark beside it, holds.

    Parameters
    ----------
    shift
        Confounding shift that matters, ``|p_obs - p_do|``: a difference of probabilities.
    certainty
        Posterior probability of such a shift, above which a comparison is confounded.
    permutation_level
        Level of the permutation test, which has to reject before any comparison is confounded.
    resolved
        Difference of probabilities to within which the corrected `p_do` of a comparison has to be
        known, with probability `certainty`, for randomised comparisons to clear it.
    prior_share
        Share of the remaining variance due to the prior, above which a comparison is
        unidentifiable.
    reference_sd
        Standard deviation of the reward difference under the reference prior, log-odds. Up to this
        value a comparison is identified, whatever the share of the prior.
    sign
        Probability of the sign of a reward difference, above which a user prefers one side.
    small_difference
        Absolute reward difference that is too small to matter, log-odds.
    small_certainty
        Probability of a small difference, above which a user is indifferent.
    borrowed
        Share of a pair outside the span of the user's own comparisons, above which a sentence says
        so.
    overlap
        Overlap below which a sentence says that such users hardly ever see such contexts.

    Raises
    ------
    ModelError
        If a value is out of range.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> bp.Thresholds(shift=0.05).shift
    0.05
    >>> bp.Thresholds(sign=95)
    Traceback (most recent call last):
    bayes_pref.errors.ModelError: Thresholds(sign=95): expected a number between 0 and 1
    """

    shift: float = 0.03
    certainty: float = 0.95
    permutation_level: float = 0.01
    resolved: float = 0.05
    prior_share: float = 0.5
    reference_sd: float = 0.25
    sign: float = 0.95
    small_difference: float = 0.2
    small_certainty: float = 0.9
    borrowed: float = 0.1
    overlap: float = 0.2

    def __post_init__(self) -> None:
        """Validate the thresholds."""
        probabilities = ("shift", "certainty", "permutation_level", "prior_share", "sign")
        shares = ("resolved", "small_certainty", "borrowed", "overlap")
        settings.check(self, **dict.fromkeys([*probabilities, *shares], settings.fraction))
        settings.check(self, reference_sd=settings.positive, small_difference=settings.positive)


DEFAULT_THRESHOLDS = Thresholds()
