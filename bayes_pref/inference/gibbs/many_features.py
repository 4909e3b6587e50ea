"""Log density of one vector of thousands of weights, and the coordinates in which it is round.

Weights are scaled by the diagonal of the curvature. In these coordinates the posterior of many
items that were each compared with many others is close to a standard normal, but for directions
that few comparisons inform: groups of items that were seldom compared with others. The smallest
eigenvalue of the curvature, by Lanczos iterations on differences of gradients, says how long a
trajectory has to be to cross these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigvalsh_tridiagonal

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.kernels.pooled_likelihood import (
    pooled_curvature,
    pooled_log_likelihood,
)
from bayes_pref.models.choice.kernel_form import KernelForm
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray

_STEP = 1e-4  # of differences of gradients, where parameters have size one
_ITERATIONS = 30
_LEAST = 0.25  # curvature of a parameter of the choice model, whose prior has a sd near one


@dataclass(frozen=True)
class ManyFeaturesProblem(ChoiceProblem):
    """`ChoiceProblem` of one vector of weights.

    Attributes
    ----------
    levels
        (b, d) directions on scaled features along which the likelihood is constant: the same for
        the rewards of all items, or for their products with one context.
    """

    levels: FloatArray = None  # type: ignore[assignment]

    @classmethod
    def read(
        cls, spec: PopulationSpec, comparisons: Comparisons, form: KernelForm
    ) -> ManyFeaturesProblem:
        """Scale the data, and the priors with them."""
        made = ChoiceProblem.read(spec, comparisons, form)
        blocks = comparisons.features.level_blocks
        levels = np.zeros((len(blocks), comparisons.n_features))
        for level, (_, every) in zip(levels, blocks, strict=True):
            level[every] = made.feature_scale[every]
        return cls(**vars(made), levels=levels)


class ManyFeaturesDensity:
    """Log density of theta: the weights on scaled features, then the choice model's parameters.

    Parameters
    ----------
    problem
        Data and priors.
    """

    def __init__(self, problem: ManyFeaturesProblem) -> None:
        self.problem = problem
        self.precision = problem.population.precision[0]
        self.d = self.precision.size
        self.size = self.d + problem.form.size
        n_values = problem.form.values(np.zeros(problem.form.size)).size
        self._eta = np.empty(problem.rows.starts.size - 1)
        self._slope = np.empty(n_values)

    def start(self, rng: np.random.Generator) -> FloatArray:
        """(size,) overdispersed first values."""
        return np.concatenate([0.5 * rng.standard_normal(self.d), self.problem.form.start(rng)])

    def log_density(self, theta: FloatArray) -> tuple[float, FloatArray]:
        """Log density up to a constant, and its gradient (size,)."""
        form, weights, phi = self.problem.form, theta[: self.d], theta[self.d :]
        gradient = np.empty(self.size)
        values = form.values(phi)
        total = pooled_log_likelihood(
            self.problem.rows, values, weights, self._eta, gradient[: self.d], self._slope
        )
        pull = self.precision * weights
        gradient[: self.d] -= pull
        prior, slope = form.log_prior(phi)
        gradient[self.d :] = form.pulled_back(phi, self._slope) + slope
        return total + prior - 0.5 * float(pull @ weights), gradient

    def curvature(self, theta: FloatArray) -> FloatArray:
        """(size,) diagonal of minus the Hessian, positive."""
        found = np.empty(self.size)
        values = self.problem.form.values(theta[self.d :])
        pooled_curvature(self.problem.rows, values, theta[: self.d], self._eta, found[: self.d])
        found[: self.d] += self.precision
        for k in range(self.d, self.size):  # a loop over the few parameters of the choice model
            step = np.zeros(self.size)
            step[k] = 10 * _STEP
            slopes = [self.log_density(theta + sign * step)[1][k] for sign in (1.0, -1.0)]
            found[k] = max((slopes[1] - slopes[0]) / (20 * _STEP), _LEAST)
        return found

    def shift_levels(self, theta: FloatArray, rng: np.random.Generator) -> None:
        """Draw how far theta is along each of the `levels`, given all else, in place."""
        weights = theta[: self.d]
        for level in self.problem.levels:
            pull = self.precision * level
            size = float(pull @ level)
            mean = -float(pull @ weights) / size
            weights += (mean + rng.standard_normal() / np.sqrt(size)) * level

    def least_curvature(
        self, theta: FloatArray, scale: FloatArray, rng: np.random.Generator
    ) -> float:
        """Smallest eigenvalue of the curvature of theta / scale, apart from the `levels`."""
        free = np.zeros((len(self.problem.levels), self.size))
        free[:, : self.d] = self.problem.levels
        free /= scale
        free /= np.linalg.norm(free, axis=1, keepdims=True)

        def times(v: FloatArray) -> FloatArray:
            step = _STEP * scale * v * np.sqrt(self.size)
            up, down = (self.log_density(theta + sign * step)[1] for sign in (1.0, -1.0))
            return np.asarray(scale * (down - up) / (2.0 * _STEP * np.sqrt(self.size)))

        v = rng.standard_normal(self.size)
        v -= free.T @ (free @ v)
        basis = [v / np.linalg.norm(v)]
        diagonal: list[float] = []
        beside: list[float] = []
        while True:
            v = times(basis[-1])
            diagonal.append(float(v @ basis[-1]))
            for _ in range(2):  # orthogonal also after rounding
                v -= free.T @ (free @ v)
                v -= np.stack(basis).T @ (np.stack(basis) @ v)
            size = float(np.linalg.norm(v))
            if len(diagonal) == min(_ITERATIONS, self.size - len(free)) or size < 1e-3:
                break
            beside.append(size)
            basis.append(v / size)
        return float(eigvalsh_tridiagonal(np.array(diagonal), np.array(beside))[0])
