"""The density of `partial_density` where features are many and a priori independent."""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.kernels.choice_likelihood import ChoiceRows
from bayes_pref.inference.gibbs.kernels.diagonal_centring import (
    diagonal_log_density,
    expand_diagonal,
    move_users_diagonal,
)
from bayes_pref.inference.gibbs.partial_density import PartialDensity
from bayes_pref.inference.gibbs.population_coordinates import (
    PopulationCoordinates,
    PopulationPoint,
    UserSums,
)
from bayes_pref.types import FloatArray

_MANY_FEATURES = 24


class DiagonalDensity(PartialDensity):
    """Log density of theta and zeta, with expansions that take feature by feature.

    `information` is (n_batches, d, batch), the diagonals of H.
    """

    def _size_of_information(self) -> int:
        return int(self.d)

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

    def sums(self, here: PopulationPoint, zeta: FloatArray, v: FloatArray) -> UserSums:
        """Sums over users of the log density without the prior of theta; fills v."""
        sums = self._no_slopes()
        state = (*self._feature_by_feature(here), self.design)
        total = diagonal_log_density(*state, zeta, v, sums)
        return UserSums(total, *sums)

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
        state = self._feature_by_feature(self.at(theta))
        return move_users_diagonal(*state, zeta, v, angle, leaps, rng)

    def move_and_sum(
        self,
        theta: FloatArray,
        zeta: FloatArray,
        v: FloatArray,
        angle: float,
        leaps: int,
        rng: np.random.Generator,
    ) -> tuple[UserSums, float, UserSums]:
        """Move as `move_users` does; returns the sums before and after, too."""
        here = self.at(theta)
        before = self.sums(here, zeta, v)
        accepted = self.move_users(theta, zeta, v, angle, leaps, rng)
        return before, accepted, self.sums(here, zeta, v)

    def _feature_by_feature(
        self, here: PopulationPoint
    ) -> tuple[ChoiceRows, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]:
        scale = np.ascontiguousarray(here.lower.diagonal())
        return *self._data(here.values), scale, *self.expansion, here.mean

    def information_of_users(self, theta: FloatArray) -> FloatArray:
        """(m, m) Fisher information of the expansion alone, feature by feature; see `fisher`."""
        information = self._by_user(self.expansion[0])
        return diagonal_information(self, theta, information, self.design[: self.n_users])


def diagonal_information(
    coordinates: PopulationCoordinates,
    theta: FloatArray,
    information: FloatArray,
    design: FloatArray,
) -> FloatArray:
    """(m, m) as `fisher_information`, of H that are diagonal, (n_users, d)."""
    total = np.zeros((coordinates.size, coordinates.size))
    scale = coordinates.at(theta).lower.diagonal()
    inverse = information / (1.0 + information * scale**2)  # (tau^2 + 1 / H)^-1
    means, scales, _, _ = coordinates.places
    features = np.arange(coordinates.d)
    of_means = np.einsum("na,nb,nk->abk", design, design, inverse)
    for a in range(coordinates.n_regressors):
        for b in range(coordinates.n_regressors):
            rows, columns = (means.start + each * coordinates.d + features for each in (a, b))
            total[rows, columns] += of_means[a, b]
    if scales.stop > scales.start:
        places = scales.start + features
        total[places, places] += 2.0 * (inverse**2).sum(axis=0) * scale**2
    return total


def density_of(problem: ChoiceProblem, *, small: bool = False) -> PartialDensity:
    """Density of theta and zeta: feature by feature where features are many and independent."""
    population = problem.population
    many = population.precision.shape[1] > _MANY_FEATURES and not population.full
    return (DiagonalDensity if many else PartialDensity)(problem, small=small)
