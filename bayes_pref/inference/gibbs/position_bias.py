"""Position bias in a Gibbs chain: one coefficient that all rows share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.types import FloatArray


class PositionBias:
    """The position bias of a chain, whose sweeps see it as a shift of the rows' log-odds.

    Given Polya-Gamma variables, drawn anew, and all other parameters it is Gaussian.

    Parameters
    ----------
    problem
        Of the chain; `self.problem` is the same with rows of this chain's own.
    prior_sd
        Prior sd, log-odds.
    """

    def __init__(self, problem: Problem, prior_sd: float, rng: np.random.Generator) -> None:
        self.precision = 1 / prior_sd**2
        self.value = 0.5 * rng.standard_normal(1)
        # A copy: chains run side by side, each with a shift of its own.
        shift = problem.rows.shift + problem.rows.signs * self.value
        self.rows = problem.rows._replace(shift=shift)
        self.problem = replace(problem, rows=self.rows)
        self.omega = np.empty_like(self.rows.shift)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next move depends on."""
        return {"position": self.value, "shift": self.rows.shift}

    def move(self, psi: FloatArray, rng: np.random.Generator) -> None:
        """Draw the position bias given all else; `psi` (n,) and the rows' shift follow."""
        rows, omega = self.rows, self.omega
        draw_polya_gamma(psi, omega, right_table(), rng)
        before = rows.signs * self.value
        psi -= before
        score = rows.signs @ (0.5 - omega * psi)
        precision = omega.sum() + self.precision  # signs are 1 or -1
        self.value[0] = score / precision + rng.standard_normal() / np.sqrt(precision)
        own = rows.signs * self.value
        psi += own
        rows.shift[...] += own - before

    def keep(self, store: Store, draw: int) -> None:
        """Write the draw to the store, and add the log prior to the log density there."""
        store.theta[draw, -1] = self.value[0]
        store.stats[draw, 1] -= 0.5 * self.precision * self.value[0] ** 2
