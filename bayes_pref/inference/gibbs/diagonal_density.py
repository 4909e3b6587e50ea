"""The density of `partial_density` where features are many and a priori independent."""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.centred_batches import BATCH
from bayes_pref.inference.gibbs.kernels.diagonal_centring import (
    diagonal_log_density,
    expand_diagonal,
    move_users_diagonal,
)
from bayes_pref.inference.gibbs.partial_density import PartialDensity
from bayes_pref.inference.gibbs.population_coordinates import PopulationPoint
from bayes_pref.types import FloatArray


class DiagonalDensity(PartialDensity):
    """Log density of theta and zeta, with expansions that take feature by feature.

    `information` is (n_batches, d, batch), the diagonals of H.
    """

    def _shape_of_information(self) -> tuple[int, ...]:
        return (self.n_batches, self.d, BATCH)

    def _expand_into(
        self, information: FloatArray, linear: FloatArray, theta: FloatArray, weights: FloatArray
    ) -> None:
        data = self._data(self.at(theta).values)
        expand_diagonal(*data, weights, information, linear)

    def _times(self, information: FloatArray, weights: FloatArray) -> FloatArray:
        """(n_batches, d, batch) H w."""
        return information * weights

    def standardised(self, theta: FloatArray, v: FloatArray) -> FloatArray:
        """(n_batches, d, batch) zeta of the deviations v, in the expansion as it is."""
        here = self.at(theta)
        scale = here.lower.diagonal()[:, None]
        information, linear = self.expansion
        root = np.sqrt(1.0 + scale**2 * information)
        score = linear - information * here.mean
        return np.asarray(root * v - scale * score / root)

    def deviations(self, theta: FloatArray, zeta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n_batches, d, batch) v at zeta, and log |dv / dzeta|, (n_batches, batch).

        In the expansion of all choices, also of those that are left out.
        """
        here = self.at(theta)
        scale = here.lower.diagonal()[:, None]
        root = np.sqrt(1.0 + scale**2 * self.information)
        score = self.linear - self.information * here.mean
        return (scale * score / root + zeta) / root, -np.log(root).sum(axis=1)

    def without_prior(self, here: PopulationPoint, zeta: FloatArray, v: FloatArray) -> float:
        """Log density without the prior of theta; fills v and each user's slopes."""
        scale = np.ascontiguousarray(here.lower.diagonal())
        state = (*self._data(here.values), scale, *self.expansion, here.mean, zeta, v)
        return diagonal_log_density(*state, *self.slopes)

    def lower_slope(self) -> FloatArray:
        """(d, d) slope in L, of all users."""
        return np.diag(self.slopes[1].sum(axis=(0, 2)))

    def move_users(
        self,
        theta: FloatArray,
        zeta: FloatArray,
        v: FloatArray,
        angle: float,
        leaps: int,
        rng: np.random.Generator,
    ) -> float:
        """Move all zeta and v, in place, by `leaps` turns of `angle`; returns mean acceptance."""
        here = self.at(theta)
        scale = np.ascontiguousarray(here.lower.diagonal())
        state = (*self._data(here.values), scale, *self.expansion, here.mean, zeta, v)
        return move_users_diagonal(*state, angle, leaps, rng)

    def fisher(self, theta: FloatArray) -> FloatArray:
        """(m, m) Fisher information of the expansion, weights integrated out, and prior precision.

        Feature by feature; see `PartialDensity.fisher`.
        """
        here = self.at(theta)
        total = np.diag(self.prior_precision())
        information = self._by_user(self.expansion[0])
        scale = here.lower.diagonal()
        inverse = information / (1.0 + information * scale**2)  # (tau^2 + 1 / H)^-1
        means, scales, _, _ = self.places
        design = self.design[: self.n_users]
        features = np.arange(self.d)
        of_means = np.einsum("na,nb,nk->abk", design, design, inverse)
        for a in range(self.n_regressors):
            for b in range(self.n_regressors):
                places = means.start + a * self.d + features, means.start + b * self.d + features
                total[places] += of_means[a, b]
        if scales.stop > scales.start:
            places = scales.start + features, scales.start + features
            total[places] += 2.0 * (inverse**2).sum(axis=0) * scale**2
        return total
