"""The distribution of users' weights before any of their choices, given draws of the population.

    component t with probability share_t,   w_i = mean_ti + factor_ti z,   z ~ Normal(0, I_r)

There is one component where users are Gaussian. The rank r is below the number of features where
users differ along fewer directions, and 0 where they do not differ. Integrals are over z instead of
w, so that singular covariances need no special case.

Where weights and contexts have a cause s_i in common, it is s_i given the user's contexts that
enters: mean and factor then differ by user, and with categorical contexts z is not Gaussian (see
`context_scores`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np

from bayes_pref.models.context_scores import ContextScores
from bayes_pref.models.signs import Signs
from bayes_pref.types import FloatArray, Samples

# z (sample, point, r) and which samples these are -> (sample, point)
LogRatio: TypeAlias = Callable[[FloatArray, Samples], FloatArray]


class UserDistribution(NamedTuple):
    """The distribution of one user's weights before their choices, for each draw.

    Attributes
    ----------
    log_share
        (sample, component): log probabilities of the components.
    mean
        (sample, component, feature): log-odds per raw unit.
    factor
        (sample, component, feature, r): a root of the covariance of each component. The axis
        `component` has length 1 where all have the same.
    log_ratio
        Log density of z relative to Normal(0, I), normalised; None where z is Normal(0, I).
    signs
        Which weights have a sign: mean and factor are then those of v, as in `Signs`.
    """

    log_share: FloatArray
    mean: FloatArray
    factor: FloatArray
    log_ratio: LogRatio | None = None
    signs: Signs | None = None

    def of_component(self, component: int) -> FloatArray:
        """Factor (sample, feature, r) of one component."""
        return self.factor[:, min(component, self.factor.shape[1] - 1)]


@dataclass(frozen=True, eq=False)
class Population:
    """Distributions of all users' weights, one for each draw.

    Attributes
    ----------
    log_share
        (sample, user, component): log probabilities of the components, which sum to one.
    mean
        (sample, user, component, feature), log-odds per raw unit.
    factor
        (sample, component, feature, r): a root of the covariance of each component, log-odds per
        raw unit.
    loadings, scores
        (sample, feature, context) and the distribution of each user's scores given their contexts,
        where loadings @ scores is added to the weights; or None.
    signs
        Which weights have a sign: mean and factor are then those of v, as in `Signs`.

    The axis `user`, and of `factor` the axis `component`, has length 1 where all have the same.
    """

    log_share: FloatArray
    mean: FloatArray
    factor: FloatArray
    loadings: FloatArray | None = None
    scores: ContextScores | None = None
    signs: Signs | None = None

    @classmethod
    def gaussian(cls, mean: FloatArray, factor: FloatArray) -> Population:
        """Single component: `mean` (sample, user, feature), `factor` (sample, feature, r)."""
        return cls(np.zeros((len(mean), 1, 1)), mean[:, :, None], factor[:, None])

    @property
    def components(self) -> int:
        """Number of components."""
        return int(self.log_share.shape[2])

    def of_user(self, user: int) -> UserDistribution:
        """Return the distribution of one user's weights.

        Examples
        --------
        >>> population = Population.gaussian(np.zeros((5, 1, 2)), np.ones((5, 2, 1)))
        >>> population.of_user(3).factor.shape
        (5, 1, 2, 1)
        """
        log_share, mean = (
            values[:, min(user, values.shape[1] - 1)] for values in (self.log_share, self.mean)
        )
        if self.scores is None or self.loadings is None:
            return UserDistribution(log_share, mean, self.factor, signs=self.signs)
        scores = self.scores.of_user(user)
        shift = (self.loadings @ scores.mean[:, :, None])[:, None, :, 0]
        along = np.repeat((self.loadings @ scores.root)[:, None], self.factor.shape[1], axis=1)
        factor = np.concatenate([along, self.factor], axis=3)
        return UserDistribution(log_share, mean + shift, factor, scores.log_ratio)

    def draw(self, users: int, rng: np.random.Generator) -> FloatArray:
        """Draw weights of new users in place of the known ones, (sample, user, feature).

        Parameters
        ----------
        users
            Number of users, which is that of the data where the population differs by user.
        rng
            Source of random numbers.

        Examples
        --------
        >>> population = Population.gaussian(np.zeros((5, 1, 2)), np.zeros((5, 2, 0)))
        >>> population.draw(3, np.random.default_rng(0)).shape
        (5, 3, 2)
        """
        samples, _, components, features = self.mean.shape
        shares = np.broadcast_to(np.exp(self.log_share), (samples, users, components))
        below = shares.cumsum(axis=2) < rng.random((samples, users, 1))
        component = below.sum(axis=2).clip(max=components - 1)
        means = np.broadcast_to(self.mean, (samples, users, components, features))
        weights = np.take_along_axis(means, component[:, :, None, None], axis=2)[:, :, 0]
        z = rng.standard_normal((samples, users, self.factor.shape[3]))
        # A loop over the few components: a factor for every user would fill the memory.
        for t in range(components):
            own = z @ self.factor[:, min(t, self.factor.shape[1] - 1)].swapaxes(1, 2)
            weights = weights + np.where((component == t)[:, :, None], own, 0.0)
        if self.scores is not None and self.loadings is not None:
            scores = np.stack([self.scores.draw(user, rng) for user in range(users)], axis=1)
            weights = weights + scores @ self.loadings.swapaxes(1, 2)
        return weights if self.signs is None else self.signs.weights(weights)
