"""How much the data say of how far users differ: tau against its prior.

Single answers between two do not identify how preferences are distributed, and rankings of three
do (Chidambaram, Seetharaman & Syrgkanis 2024, arXiv 2405.15065): a second answer of the same person
shows whether people agree with themselves more than with one another. Where users are taken to be
normal, what a single answer tells of it is in the shape of the link. Where people answered once or
twice, the posterior of tau is therefore wide, and close to its half-normal prior.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.messages import listed
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray

MOSTLY_PRIOR = 0.8  # of the prior's sd
_HALF_NORMAL = np.sqrt(1.0 - 2.0 / np.pi)  # sd of a half-normal of scale 1


def spread_ratio(posterior: Posterior) -> FloatArray:
    """(d,) posterior sd of users' spread over its prior sd; empty where a model has no such spread.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> ratio = spread_ratio(posterior)  # 15 answers of each of 20 users
    >>> ratio.shape, bool((ratio < MOSTLY_PRIOR).all())
    ((4,), True)
    """
    spec = posterior.model.spec(posterior.comparisons)
    if spec is None or not spec.gaussian or spec.covariance == "none":
        return np.empty(0)
    if spec.signs is not None:  # the prior of tau is not a half-normal
        return np.empty(0)
    drawn = posterior.draws[spec.spread].std(("chain", "draw"))
    return np.asarray(drawn.to_numpy() / (_HALF_NORMAL * spec.spread_sd))


def spread_note(posterior: Posterior) -> str:
    """Say of which features the users' spread rests on the prior; empty if of none."""
    ratio = spread_ratio(posterior)
    of_the_prior = np.flatnonzero(ratio > MOSTLY_PRIOR)
    if not of_the_prior.size:
        return ""
    names = listed([posterior.comparisons.feature_names[k] for k in of_the_prior])
    low, high = ratio[of_the_prior].min(), ratio[of_the_prior].max()
    size = f"{low:.2f}" if f"{low:.2f}" == f"{high:.2f}" else f"{low:.2f} to {high:.2f}"
    return (
        f"How far users differ in {names} rests mostly on the prior: the posterior sd of tau is "
        f"{size} times that under the prior. Shares of people, and the uncertainty about users "
        "with few answers, rest on it too; more answers of each person, or rankings of three, "
        "would tell."
    )
