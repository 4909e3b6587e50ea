"""Confounding shifts under the joint model of contexts and preferences.

In `SharedCauseReward`, s_i ~ Normal(0, V), w_i = mu + B c_i + Gamma s_i + u_i, so that over users
    p_do = E sigmoid(d . w),   d . w ~ Normal(d' mu, d' (B V_c B' + Gamma V Gamma' + Sigma) d),
and among the users who see x, the cause s has its distribution given x. Where x is a number,
x ~ Normal(a + s, W), that distribution is Normal(K (x - a), V - K V) with K = V (V + W)^-1. Where x
is an indicator of a category, it has no closed form: p_do and p_obs are means over the same draws
of s, weighted by P(x | s) for p_obs, so that most of their Monte Carlo error is common. V_c is the
variance of the covariates over users, which the model takes to be independent of s. Sigmoid stands
for the choice model's probability; for sets of several, `choice_shares` says how it is found.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import logsumexp, softmax

from bayes_pref.diagnostics.confounding.choice_shares import (
    ChoiceShares,
    choices_of_pairs,
    expected_preferred,
    lapsed_sets,
    root,
    softmax_of_sets,
)
from bayes_pref.diagnostics.query import Query
from bayes_pref.draws import stacked
from bayes_pref.errors import ModelError
from bayes_pref.models.population_from_spec import covariance_factor
from bayes_pref.models.regressors import centred_covariates
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray as Array

_MOST_DRAWS = {False: 1000, True: 200}  # of the posterior; fewer where users are simulated
_CAUSES = 200  # draws of s, and as many antithetic ones
_BLOCK = 2**21  # values held at once


def joint_shifts(
    posterior: Posterior, query: Query, *, smallest: float = 0.03, interval: float = 0.9
) -> pd.DataFrame:
    """Describe p_do, p_obs and their difference for every comparison.

    Parameters
    ----------
    posterior
        Posterior of a model whose weights share a cause with the contexts.
    query
        n comparisons.
    smallest
        Smallest difference of probabilities that matters.
    interval
        Probability inside the central credible intervals.

    Returns
    -------
    frame: n rows; `p_do`, `p_obs`, `shift`, `shift_lower`, `shift_upper`, `p_confounded`

    Raises
    ------
    ModelError
        If the model is another.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_query
    >>> world = bp.simulate(users=30, confounding=0.6, seed=0)
    >>> engine = bp.Gibbs(draws=500, progress=False)
    >>> posterior = bp.fit(bp.SharedCauseReward(), world.comparisons, engine)
    >>> joint_shifts(posterior, read_query(posterior)).shape
    (450, 6)
    """
    spec = posterior.model.spec(posterior.comparisons)
    if spec is None or spec.cause is None or spec.contexts is None:
        raise ModelError(
            f"{type(posterior.model).__name__} is no joint model of contexts and preferences: fit "
            "bp.SharedCauseReward()"
        )
    categories = spec.contexts.categories
    simulated = categories or bool((query.sizes > 2).any())
    draws = _SharedCauseDraws(posterior, query, _MOST_DRAWS[simulated])
    d, q = draws.coupling.shape[1:]
    each = len(draws.mu) * (2 * _CAUSES if categories else max(q, d))
    tail = (1 - interval) / 2
    parts = []
    for part in draws.shares.blocks(_BLOCK // each):
        choices = draws.given_categories if categories else draws.given_numbers
        p_do, p_obs = choices(part)
        delta = p_obs - p_do
        lower, upper = np.quantile(delta, [tail, 1 - tail], axis=0)
        sure = (np.abs(delta) > smallest).mean(axis=0)
        means = (p_do.mean(axis=0), p_obs.mean(axis=0), delta.mean(axis=0))
        parts.append(np.column_stack([*means, lower, upper, sure]))
    names = ["p_do", "p_obs", "shift", "shift_lower", "shift_upper", "p_confounded"]
    return pd.DataFrame(np.concatenate(parts), columns=names)


class _SharedCauseDraws:
    """Evenly spaced draws of the population and of the distribution of its contexts."""

    def __init__(self, posterior: Posterior, query: Query, most: int) -> None:
        draws, comparisons = posterior.draws, posterior.comparisons
        chains, length = draws.sizes["chain"], draws.sizes["draw"]
        draws = draws.drop_vars(["weights", "s"]).isel(
            draw=np.unique(np.linspace(0, length - 1, max(1, most // chains)).astype(int))
        )

        def read(name: str, *dims: str) -> Array:
            return stacked(draws, name, *dims)

        def factor(sd: str, correlation: str, dim: str) -> Array:
            found = covariance_factor(draws, sd, correlation, dim)
            return found.reshape(-1, *found.shape[2:])

        self.query = query
        self.mu = read("mu", "feature")
        self.shares = ChoiceShares.of(choices_of_pairs(posterior, draws), query, len(self.mu))
        self.coupling = read("Gamma", "feature", "context")
        self.a = read("a", "context")
        lower = factor("tau", "correlation", "feature")
        self.own = lower @ lower.swapaxes(1, 2)  # of the weights, given s
        if "B" in draws:
            effect = read("B", "feature", "covariate")
            variance = np.atleast_2d(np.cov(centred_covariates(comparisons).T, ddof=0))
            self.own = self.own + effect @ variance @ effect.swapaxes(1, 2)
        self.between = factor("between", "between_correlation", "context")
        if "within" in draws:
            self.within = factor("within", "within_correlation", "context")
        self.rest = bool((comparisons.context.sum(axis=1) == 0).any())

    def spread(self, variance: Array) -> Array:
        """Return the covariance of the weights, (draw, d, d), given that of the cause."""
        return np.asarray(self.own + self.coupling @ variance @ self.coupling.swapaxes(1, 2))

    def given_numbers(self, part: slice) -> tuple[Array, Array]:
        """Return p_do and p_obs, (draw, row) each."""
        difference, context = self.query.difference[part], self.query.context[part]
        own = _quadratic(difference, self.own)
        loadings = np.einsum("rd,sdq->srq", difference, self.coupling)
        variance = self.between @ self.between.swapaxes(1, 2)
        shown = variance + self.within @ self.within.swapaxes(1, 2)
        share = np.linalg.solve(shown, variance).swapaxes(1, 2)  # K
        away = (context - self.a[:, None]) @ share.swapaxes(1, 2)
        left = variance - share @ variance
        centre = self.mu @ difference.T
        over_all = ((loadings @ variance) * loadings).sum(axis=2)
        among = ((loadings @ left) * loadings).sum(axis=2).clip(0.0)
        moved = (loadings * away).sum(axis=2)
        factors = (self.shares.factor(self, each) for each in (variance, left))
        return (
            self.shares.chosen(part, centre, own + over_all, next(factors)),
            self.shares.chosen(part, centre + moved, own + among, next(factors)),
        )

    def given_categories(self, part: slice) -> tuple[Array, Array]:
        """Return p_do and p_obs, (draw, row) each."""
        difference, context = self.query.difference[part], self.query.context[part]
        own = _quadratic(difference, self.own)
        noise = np.random.default_rng(0).standard_normal((_CAUSES, self.a.shape[1]))
        noise = np.concatenate([noise, -noise])
        causes = noise @ self.between.swapaxes(1, 2)  # (draw, cause, context)
        logits = self.a[:, None] + causes
        total = logsumexp(logits, axis=2)
        if self.rest:
            total = np.logaddexp(total, 0.0)
        weight = softmax(
            np.einsum("smq,rq->srm", logits, context) - total[:, None], axis=2
        )  # P(x | s) as shares over causes
        along = np.einsum("rd,sdq,smq->srm", difference, self.coupling, causes, optimize=True)
        centre = (self.mu @ difference.T)[:, :, None] + along
        chance = self._chosen(part, centre, own[:, :, None])
        return chance.mean(axis=2), (weight * chance).sum(axis=2)

    def _chosen(self, part: slice, centre: Array, variance: Array) -> Array:
        """(draw, row, cause) probability of being chosen by users with that cause."""
        choices = self.shares.choices
        if self.shares.points is not None:  # one user a cause
            noise = np.random.default_rng(1).standard_normal((self.mu.shape[1], _CAUSES))
            users = np.hstack([noise, -noise])
            assert self.query.task is not None  # or no set had several
            eta = centre + self.query.difference[part] @ root(self.own) @ users
            chance = softmax_of_sets(eta, self.query.task[part])
            return lapsed_sets(chance, self.query.sizes[part], choices)
        return expected_preferred(choices, centre, np.broadcast_to(variance, centre.shape))


def _quadratic(difference: Array, matrix: Array) -> Array:
    """D' M d for matrices (draw, d, d) and differences (row, d): (draw, row)."""
    return np.asarray(((difference @ matrix) * difference).sum(axis=2))
