"""The law of a user's weights before any of their choices, given draws of the population.

    component t with probability share_t,   w_i = mean_ti + factor_t z,   z ~ Normal(0, I_r)

One component where users are Gaussian; r below the number of features where they differ along fewer
directions, and 0 where they do not differ at all. Integrating over z instead of w keeps such laws,
and populations whose spread is all but zero, as regular as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """Laws of all users' weights, one for each draw.

    Attributes
    ----------
    log_share
        (sample, user, component): log probabilities of the components, which sum to one.
    mean
        (sample, user, component, feature), log-odds per raw unit.
    factor
        (sample, component, feature, r): a root of the covariance of each component, log-odds per raw unit.

    An axis `user` or, of `factor`, `component` of length 1 says that it is the same for all.
    """

    log_share: Array
    mean: Array
    factor: Array

    @classmethod
    def gaussian(cls, mean: Array, factor: Array) -> Population:
        """Users of a single component: `mean` (sample, user, feature), `factor` (sample, feature, r)."""
        return cls(np.zeros((len(mean), 1, 1)), mean[:, :, None], factor[:, None])

    @property
    def components(self) -> int:
        """Number of components of users."""
        return int(self.log_share.shape[2])

    def of_user(self, user: int) -> tuple[Array, Array]:
        """Log shares (sample, component) and means (sample, component, feature) of one user."""
        pick = [min(user, values.shape[1] - 1) for values in (self.log_share, self.mean)]
        return self.log_share[:, pick[0]], self.mean[:, pick[1]]

    def of_component(self, component: int) -> Array:
        """Factor (sample, feature, r) of one component."""
        return self.factor[:, min(component, self.factor.shape[1] - 1)]

    def draw(self, users: int, rng: np.random.Generator) -> Array:
        """Draw weights of as many new users, (sample, user, feature), in place of the old ones.

        Examples
        --------
        >>> law = Population.gaussian(np.zeros((5, 1, 2)), np.zeros((5, 2, 0)))
        >>> law.draw(3, np.random.default_rng(0)).shape
        (5, 3, 2)
        """
        samples, _, components, features = self.mean.shape
        shares = np.broadcast_to(np.exp(self.log_share), (samples, users, components))
        below = shares.cumsum(axis=2) < rng.random((samples, users, 1))
        component = below.sum(axis=2).clip(max=components - 1)
        means = np.broadcast_to(self.mean, (samples, users, components, features))
        weights = np.take_along_axis(means, component[:, :, None, None], axis=2)[:, :, 0]
        z = rng.standard_normal((samples, users, self.factor.shape[3]))
        # A loop over components, of which there are few: a factor for every user would fill the memory.
        for t in range(components):
            own = z @ self.of_component(t).swapaxes(1, 2)
            weights = weights + np.where((component == t)[:, :, None], own, 0.0)
        return weights
