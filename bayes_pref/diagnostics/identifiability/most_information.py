"""The most information about the mean weights that answers can carry, whatever they are.

A row with differences d and answer y has the curvature -d^2/d eta^2 log P(y | eta) d d', at most c
of the choice model: 1/4 for logistic choices and for Davidson's ties, 1/2 for graded answers with
the logistic link (1/4 at the ends of the scale), 1 for the probit, 0.39 per squared log-odds.
For a stage among k alternatives with features x_j it is the covariance of x under their
probabilities. Along any direction a variance is at most a quarter of the squared range, and the
squared range at most twice the sum of squares about the mean, so that
sum_j (x_j - mean) (x_j - mean)' / 2 bounds it; for k = 2 that is d d' / 4.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.data import Ranking
from bayes_pref.diagnostics.identifiability.non_identified import compared
from bayes_pref.models.choice import ChoiceModel
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray

_LOGISTIC, _STAGE = 0.25, 0.5
_ETA = np.linspace(-12.0, 12.0, 481)[:, None]  # beyond, answers are certain or curvature is flat


def most_information(posterior: Posterior, units: FloatArray) -> FloatArray:
    """Return rows E with E'E the most information, per squared log-odds on scaled features.

    Parameters
    ----------
    posterior
        Its parameters of the choice model are used, at their means.
    units
        (d,) units of the scaled features.

    Returns
    -------
    rows: (m, d)

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> units = world.comparisons.feature_scale
    >>> rows = most_information(posterior, units)
    >>> bool(np.allclose(rows, world.comparisons.difference / units / 2))
    True
    """
    comparisons = posterior.comparisons
    choice_model = posterior.model.choice_model(comparisons)
    most = _STAGE if isinstance(comparisons.outcome, Ranking) else _LOGISTIC
    if comparisons.outcome.rowwise and not choice_model.is_logistic:
        most = _steepest(posterior, choice_model) / choice_model.log_odds_per_unit**2
    return np.asarray(compared(comparisons) / units * np.sqrt(most))


def _steepest(posterior: Posterior, choice_model: ChoiceModel) -> float:
    """Largest -d^2/d eta^2 log P over outcomes and eta, at the mean of the parameters."""
    found = choice_model.distribution(
        posterior.draws.mean(("chain", "draw"), keepdims=True), posterior.comparisons.outcome
    )
    outcomes = np.arange(found.n_outcomes) / (found.n_outcomes - 1)
    each = [found.derivatives(_ETA, np.full(len(_ETA), choice))[2] for choice in outcomes]
    return float(max(-curvature.min() for curvature in each))
