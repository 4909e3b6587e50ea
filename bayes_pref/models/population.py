"""The law of a user's weights before any of their choices, given draws of the population.

    kind t with probability share_t,   w_i = mean_ti + factor_t z,   z ~ Normal(0, I_r)

One kind where users are Gaussian; r below the number of features where they differ along fewer
directions, and 0 where they do not differ at all. Integrating over z instead of w keeps such laws,
and populations whose spread is all but zero, as regular as any other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Population:
    """Laws of all users' weights, one for each draw.

    Attributes
    ----------
    log_share
        (sample, user, kind): log probabilities of the kinds, which sum to one.
    mean
        (sample, user, kind, feature), log-odds per raw unit.
    factor
        (sample, kind, feature, r): a root of the covariance of each kind, log-odds per raw unit.

    An axis `user` or, of `factor`, `kind` of length 1 says that it is the same for all.
    """

    log_share: Array
    mean: Array
    factor: Array

    @classmethod
    def gaussian(cls, mean: Array, factor: Array) -> Population:
        """Users of a single kind: `mean` (sample, user, feature), `factor` (sample, feature, r)."""
        return cls(np.zeros((len(mean), 1, 1)), mean[:, :, None], factor[:, None])

    @property
    def kinds(self) -> int:
        """Number of kinds of users."""
        return int(self.log_share.shape[2])

    def of_user(self, user: int) -> tuple[Array, Array]:
        """Log shares (sample, kind) and means (sample, kind, feature) of one user."""
        pick = [min(user, values.shape[1] - 1) for values in (self.log_share, self.mean)]
        return self.log_share[:, pick[0]], self.mean[:, pick[1]]

    def of_kind(self, kind: int) -> Array:
        """Factor (sample, feature, r) of one kind."""
        return self.factor[:, min(kind, self.factor.shape[1] - 1)]

    def draw(self, users: int, rng: np.random.Generator) -> Array:
        """Draw weights of as many new users, (sample, user, feature), in place of the old ones.

        Examples
        --------
        >>> law = Population.gaussian(np.zeros((5, 1, 2)), np.zeros((5, 2, 0)))
        >>> law.draw(3, np.random.default_rng(0)).shape
        (5, 3, 2)
        """
        samples, _, kinds, features = self.mean.shape
        shares = np.broadcast_to(np.exp(self.log_share), (samples, users, kinds))
        below = shares.cumsum(axis=2) < rng.random((samples, users, 1))
        kind = below.sum(axis=2).clip(max=kinds - 1)
        means = np.broadcast_to(self.mean, (samples, users, kinds, features))
        weights = np.take_along_axis(means, kind[:, :, None, None], axis=2)[:, :, 0]
        z = rng.standard_normal((samples, users, self.factor.shape[3]))
        # A loop over kinds, of which there are few: a factor for every user would fill the memory.
        for t in range(kinds):
            own = z @ self.of_kind(t).swapaxes(1, 2)
            weights = weights + np.where((kind == t)[:, :, None], own, 0.0)
        return weights


def stacked(draws: xr.Dataset, name: str, *dims: str) -> Array:
    """Draws of a variable with these dimensions, (sample, ...), chains one after the other."""
    values = draws[name].transpose("chain", "draw", *dims).to_numpy()
    return np.asarray(values.reshape(-1, *values.shape[2:]), dtype=np.float64)
