"""Scores of answers under one reward for all: the residual of each answer times what was compared.

Under the null that a column z does not matter, sum z (y - p) d has mean zero, with d the difference
and p the probability under the pooled choice model. Answers to a choice among several have the
scores of Plackett and Luce's model; graded answers count as shares.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.types import FloatArray, IntArray

_STEPS = 25  # of Newton's method, which needs a handful
_RIDGE = 1e-3  # per observation, so that separated answers have an end


@dataclass(frozen=True, eq=False)
class PooledFit:
    """A pooled choice model at its maximum.

    Attributes
    ----------
    coefficients
        (r,) log-odds per unit of each regressor.
    residual
        (n,) y - p of every row, whose sum with regressors is the score.
    other
        (n,) probability that the other alternative is chosen.
    information
        (r, r) of the coefficients.
    stage
        (n,) codes of the choices.
    """

    coefficients: FloatArray
    residual: FloatArray
    other: FloatArray
    information: FloatArray
    stage: IntArray

    @classmethod
    def of(cls, design: FloatArray, choice: FloatArray, stage: IntArray) -> PooledFit:
        """Fit coefficients of a design (n, r) to choices (n,).

        Examples
        --------
        >>> made = np.array([[1.0], [1.0], [1.0], [1.0]])
        >>> found = PooledFit.of(made, np.array([1.0, 1.0, 1.0, 0.0]), np.arange(4))
        >>> found.coefficients
        array([1.10])
        """
        starts = np.flatnonzero(np.diff(stage, prepend=-1))
        ridge = _RIDGE * len(starts) * np.eye(design.shape[1])
        at = np.zeros(design.shape[1])
        value = _objective(design, choice, stage, starts, at, ridge)
        for _ in range(_STEPS):
            other = _others(design @ at, stage, starts)
            residual = choice - 1.0 + other
            curved = _information(design, other, starts)
            step = np.linalg.solve(curved + ridge, design.T @ residual - ridge @ at)
            size = 1.0
            while size > 1e-4:  # the objective is concave: halving finds an ascent
                trial = _objective(design, choice, stage, starts, at + size * step, ridge)
                if trial >= value:
                    break
                size *= 0.5
            at, gain, value = at + size * step, trial - value, max(trial, value)
            if gain < 1e-8 * max(abs(value), 1.0):
                break
        other = _others(design @ at, stage, starts)
        curved = _information(design, other, starts) + 1e-9 * np.eye(len(at))
        return cls(at, choice - 1.0 + other, other, curved, stage)

    def scores(self, columns: FloatArray, group: IntArray, count: int) -> FloatArray:
        """(count, m) sums of residual times columns (n, m), over the rows of each group."""
        made = columns * self.residual[:, None]
        found = np.zeros((count, columns.shape[1]))
        starts = np.flatnonzero(np.diff(group, prepend=-1))
        found[group[starts]] = np.add.reduceat(made, starts, axis=0)
        return found

    def cross_information(self, columns: FloatArray, design: FloatArray) -> FloatArray:
        """(m, r) information between columns (n, m) and the design (n, r)."""
        starts = np.flatnonzero(np.diff(self.stage, prepend=-1))
        weighted = columns * self.other[:, None]
        first = np.add.reduceat(weighted, starts, axis=0)
        second = np.add.reduceat(design * self.other[:, None], starts, axis=0)
        return np.asarray(weighted.T @ design - first.T @ second)

    def efficient(
        self, columns: FloatArray, design: FloatArray, group: IntArray, count: int
    ) -> FloatArray:
        """(count, m) scores of columns less what the fitted coefficients account for."""
        taken = np.linalg.solve(self.information, self.cross_information(columns, design).T)
        own = self.scores(columns, group, count)
        return np.asarray(own - self.scores(design, group, count) @ taken)


def _others(eta: FloatArray, stage: IntArray, starts: IntArray) -> FloatArray:
    """(n,) probability that the other alternative of each row is chosen."""
    top = np.maximum(np.maximum.reduceat(-eta, starts), 0.0)
    weight = np.exp(-eta - top[stage])
    return np.asarray(weight / (np.add.reduceat(weight, starts) + np.exp(-top))[stage])


def _objective(
    design: FloatArray,
    choice: FloatArray,
    stage: IntArray,
    starts: IntArray,
    at: FloatArray,
    ridge: FloatArray,
) -> float:
    eta = design @ at
    top = np.maximum(np.maximum.reduceat(-eta, starts), 0.0)
    total = np.add.reduceat(np.exp(-eta - top[stage]), starts) + np.exp(-top)
    fit = -(top + np.log(total)).sum() - ((1.0 - choice) * eta).sum()
    return float(fit - 0.5 * at @ ridge @ at)


def _information(design: FloatArray, other: FloatArray, starts: IntArray) -> FloatArray:
    weighted = design * other[:, None]
    sums = np.add.reduceat(weighted, starts, axis=0)
    return np.asarray(weighted.T @ design - sums.T @ sums)
