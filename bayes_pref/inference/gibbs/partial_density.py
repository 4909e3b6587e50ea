"""The posterior density of the population in the partially non-centred parametrisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.kernels.centred_batches import BATCH
from bayes_pref.inference.gibbs.kernels.choice_likelihood import ChoiceRows
from bayes_pref.inference.gibbs.kernels.heeding import (
    deviations_from_zeta,
    user_log_likelihoods,
)
from bayes_pref.inference.gibbs.kernels.likelihood_expansion import expand_likelihoods
from bayes_pref.inference.gibbs.kernels.partial_centring import (
    SlopeSums,
    population_log_density,
    zeta_from_deviations,
)
from bayes_pref.inference.gibbs.kernels.user_moves import move_users
from bayes_pref.inference.gibbs.population_coordinates import (
    STEP,
    PopulationCoordinates,
    PopulationPoint,
    UserSums,
    curvature_from,
    stepped,
)
from bayes_pref.types import FloatArray

# Choices, values of the choice model, signs, L and whether it is full, H, h, means and design.
_State: TypeAlias = tuple[
    ChoiceRows,
    FloatArray,
    FloatArray,
    FloatArray,
    bool,
    FloatArray,
    FloatArray,
    FloatArray,
    FloatArray,
]


@dataclass(frozen=True)
class MeanExpansion:
    """Means of users' slopes and curvatures over states of a chain, and of their weights.

    The Gaussian closest to a skewed likelihood has its mean curvature, not that at one point
    (Opper & Archambeau 2009, Neural Comput. 21).

    Attributes
    ----------
    information, slope, weights
        As `PartialDensity.information` and `linear`.
    count
        (1,) number of states.
    """

    information: FloatArray
    slope: FloatArray
    weights: FloatArray
    count: FloatArray

    @classmethod
    def like(cls, density: PartialDensity) -> MeanExpansion:
        """Return one without states."""
        linear = density.linear
        return cls(
            np.zeros_like(density.information),
            np.zeros_like(linear),
            np.zeros_like(linear),
            np.zeros(1),
        )

    def add(self, information: FloatArray, slope: FloatArray, weights: FloatArray) -> None:
        """Take a state into the means."""
        self.count[0] += 1
        new = ((self.information, information), (self.slope, slope), (self.weights, weights))
        for mean, value in new:
            mean += (value - mean) / self.count[0]

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays by name, which can be written into."""
        return {f"mean_{name}": value for name, value in vars(self).items()}


class PartialDensity(PopulationCoordinates):
    """Log density of theta and zeta, with the expansion of users' likelihoods as it is now.

    Parameters
    ----------
    problem
        Data and priors.
    small
        Whether the expansion has half of the usual precision, in half of the memory: any expansion
        will do.

    Attributes
    ----------
    information, linear
        (n_batches, d (d + 1) / 2, batch) and (n_batches, d, batch): the lower triangles of H by
        rows, and h of the expansion.
    expansion
        The same, without the choices that `leave_out` has left out.
    """

    def __init__(self, problem: ChoiceProblem, *, small: bool = False) -> None:
        super().__init__(problem)
        population = problem.population
        self.n_users = len(population.design)
        self.n_batches = -(-self.n_users // BATCH)
        self.design = np.zeros((self.n_batches * BATCH, self.n_regressors))
        self.design[: self.n_users] = population.design
        self.n_values = problem.form.values(np.zeros(problem.form.size)).size
        number = np.float32 if small else np.float64
        size = self._size_of_information()
        self.information: FloatArray = np.zeros((self.n_batches, size, BATCH), number)
        self.linear: FloatArray = np.zeros((self.n_batches, self.d, BATCH), number)
        self._kept: tuple[FloatArray, FloatArray] | None = None

    def _size_of_information(self) -> int:
        return int(self.d * (self.d + 1) // 2)

    @property
    def expansion(self) -> tuple[FloatArray, FloatArray]:
        """H and h of the choices that are not left out."""
        return (self.information, self.linear) if self._kept is None else self._kept

    def leave_out(self, left_out: FloatArray) -> None:
        """Leave users' choices out of the expansion as it is now: those whose (n_users,) is 1."""
        kept = 1.0 - self.by_batch(left_out)[:, None]
        self._kept = (self.information * kept, self.linear * kept)

    def by_batch(self, values: FloatArray) -> FloatArray:
        """(n_batches, batch) of (n_users,), filled up with zeros."""
        filled = np.zeros(self.n_batches * BATCH)
        filled[: self.n_users] = values
        return filled.reshape(self.n_batches, BATCH)

    def weights(self, theta: FloatArray, v: FloatArray) -> FloatArray:
        """(n_users, d) weights at deviations v (n_batches, d, batch)."""
        here = self.at(theta)
        return self._by_user(here.mean + np.einsum("jk,bkw->bjw", here.lower, v))

    def expand(self, theta: FloatArray, weights: FloatArray) -> None:
        """Expand users' likelihoods at theta and weights (n_users, d)."""
        self._expand_into(self.information, self.linear, theta, weights)

    def add_expansion(self, mean: MeanExpansion, theta: FloatArray, v: FloatArray) -> None:
        """Take the expansion at theta and the deviations v into a mean of them."""
        weights = self.weights(theta, v)
        information, linear = np.zeros_like(self.information), np.zeros_like(self.linear)
        self._expand_into(information, linear, theta, weights)
        padded = np.zeros((len(self.design), self.d))
        padded[: self.n_users] = weights
        at = self._batched(padded)
        mean.add(information, linear - self._times(information, at), at)

    def expand_by(self, mean: MeanExpansion) -> None:
        """Use mean slopes and mean curvatures, around mean weights, as the expansion."""
        self.information[...] = mean.information
        self.linear[...] = mean.slope + self._times(mean.information, mean.weights)

    def _expand_into(
        self, information: FloatArray, linear: FloatArray, theta: FloatArray, weights: FloatArray
    ) -> None:
        data = self._data(self.at(theta).values)
        expand_likelihoods(*data, weights, information, linear)

    def _data(self, values: FloatArray) -> tuple[ChoiceRows, FloatArray, FloatArray]:
        """Return what kernels read first: choices, values of the choice model, signs of weights."""
        return self.problem.rows, values, self.problem.signed

    def _times(self, information: FloatArray, weights: FloatArray) -> FloatArray:
        """(n_batches, d, batch) H w."""
        return np.asarray(np.einsum("bjkw,bkw->bjw", self._matrices(information), weights))

    def _matrices(self, information: FloatArray) -> FloatArray:
        """(n_batches, d, d, batch) of lower triangles by rows."""
        row, column = np.indices((self.d, self.d))
        row, column = np.maximum(row, column), np.minimum(row, column)
        return information[:, row * (row + 1) // 2 + column]

    def standardised(self, theta: FloatArray, v: FloatArray) -> FloatArray:
        """(n_batches, d, batch) zeta of the deviations v, in the expansion as it is."""
        here, zeta = self.at(theta), np.empty_like(v)
        full = self.problem.population.full
        zeta_from_deviations(here.lower, full, *self.expansion, here.mean, v, zeta)
        return zeta

    def deviations(self, theta: FloatArray, zeta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n_batches, d, batch) v at zeta, and log |dv / dzeta|, (n_batches, batch).

        In the expansion of all choices, also of those that are left out.
        """
        here, v, log_volume = self.at(theta), np.empty_like(zeta), np.empty((len(zeta), BATCH))
        full, expansion = self.problem.population.full, (self.information, self.linear)
        deviations_from_zeta(here.lower, full, *expansion, here.mean, zeta, v, log_volume)
        return v, log_volume

    def user_log_likelihoods(self, theta: FloatArray, v: FloatArray) -> FloatArray:
        """(n_users,) log likelihood of each user's choices at deviations v, none left out."""
        found = np.empty(self.n_users)
        user_log_likelihoods(*self._data(self.at(theta).values), self.weights(theta, v), found)
        return found

    def log_density(
        self, theta: FloatArray, zeta: FloatArray, v: FloatArray
    ) -> tuple[float, FloatArray]:
        """Log density given zeta, up to a constant, and its gradient (m,); fills v."""
        here = self.at(theta)
        return self.with_prior(here, self.sums(here, zeta, v))

    def sums(self, here: PopulationPoint, zeta: FloatArray, v: FloatArray) -> UserSums:
        """Sums over users of the log density without the prior of theta; fills v."""
        sums = self._no_slopes()
        total = population_log_density(*self._state(here), zeta, v, sums)
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
        move = (zeta, v, angle, leaps, rng, None, None)
        return move_users(*self._state(self.at(theta)), *move)[0]

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
        before, after = self._no_slopes(), self._no_slopes()
        move = (zeta, v, angle, leaps, rng, before, after)
        accepted, start, end = move_users(*self._state(self.at(theta)), *move)
        return UserSums(start, *before), accepted, UserSums(end, *after)

    def _state(self, here: PopulationPoint) -> _State:
        """Return what kernels read before zeta."""
        full = self.problem.population.full
        data = self._data(here.values)
        return *data, here.lower, full, *self.expansion, here.mean, self.design

    def _no_slopes(self) -> SlopeSums:
        d = self.d
        return SlopeSums(
            np.zeros((self.n_regressors, d)), np.zeros((d, d)), np.zeros(self.n_values)
        )

    def fisher(self, theta: FloatArray) -> FloatArray:
        """(m, m) Fisher information of the expansion, weights integrated out, and prior precision.

        Of users whose likelihood is Gaussian, with information H and any location. The choice
        model's parameters have the precision of their prior alone.
        """
        return np.diag(self.prior_precision()) + self.information_of_users(theta)

    def information_of_users(self, theta: FloatArray) -> FloatArray:
        """(m, m) Fisher information of the expansion alone; see `fisher`."""
        matrices = self._matrices(self.expansion[0]).transpose(0, 3, 1, 2)
        information = matrices.reshape(-1, self.d, self.d)[: self.n_users]
        return fisher_information(self, theta, information, self.design[: self.n_users])

    def curvature(self, theta: FloatArray, zeta: FloatArray) -> FloatArray:
        """(m, m) minus the Hessian in theta of the log density given zeta."""
        v = np.empty_like(zeta)
        return curvature_from([self.log_density(each, zeta, v)[1] for each in stepped(theta)])

    def _means(self, gamma: FloatArray) -> FloatArray:
        """(n_batches, d, batch): gamma' f_i."""
        return self._batched(self.design @ gamma)

    def _batched(self, values: FloatArray) -> FloatArray:
        """(n_batches, d, batch) of (n_batches * batch, d)."""
        return np.ascontiguousarray(values.reshape(self.n_batches, BATCH, -1).swapaxes(1, 2))

    def _by_user(self, values: FloatArray) -> FloatArray:
        """(n_users, d) of (n_batches, d, batch)."""
        return np.ascontiguousarray(values.swapaxes(1, 2).reshape(-1, self.d)[: self.n_users])


def fisher_information(
    coordinates: PopulationCoordinates,
    theta: FloatArray,
    information: FloatArray,
    design: FloatArray,
) -> FloatArray:
    """(m, m) Fisher information of users whose likelihoods are Gaussian, weights integrated out.

    Parameters
    ----------
    coordinates
        Of theta (m,).
    information
        (n_users, d, d) H of users' expansions.
    design
        (n_users, p + 1).
    """
    here, d, users = coordinates.at(theta), coordinates.d, len(information)
    total = np.zeros((coordinates.size, coordinates.size))
    scaled = here.lower.T @ information
    within = np.linalg.solve(np.eye(d) + scaled @ here.lower, scaled)
    inverse = information - scaled.swapaxes(1, 2) @ within  # (Sigma + H^-1)^-1
    means, scales, correlations, _ = coordinates.places
    of_means = np.einsum("na,nb,njk->ajbk", design, design, inverse, optimize=True)
    total[means, means] += of_means.reshape(means.stop, means.stop)
    if scales.stop == scales.start:
        return total
    # Of L_jk and L_lm: sum over users of K_jl (L' K L)_km + (K L)_jm (K L)_lk, K the inverse.
    full = coordinates.problem.population.full
    j, k = np.tril_indices(d) if full else np.diag_indices(d)
    half = inverse @ here.lower
    flat = (part.reshape(users, -1) for part in (inverse, here.lower.T @ half, half))
    outer, inner, mixed = flat
    first = (outer.T @ inner).reshape(d, d, d, d)
    second = (mixed.T @ mixed).reshape(d, d, d, d)
    of_lower = first[j[:, None], j, k[:, None], k] + second[j[:, None], k, j, k[:, None]]
    both = slice(scales.start, correlations.stop)

    def lower_at(step: FloatArray) -> FloatArray:
        return coordinates.at(theta + step).lower

    steps = STEP * np.eye(coordinates.size)[both]
    slopes = [(lower_at(step) - lower_at(-step))[j, k] / (2 * STEP) for step in steps]
    jacobian = np.stack(slopes)
    total[both, both] += jacobian @ of_lower @ jacobian.T
    return total
