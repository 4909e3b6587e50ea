"""Separation: weights that agree with every choice, so that the data do not bound their size.

With signed rows s_n = (2 choice_n - 1) d_n, the likelihood never decreases along the vectors of the
cone {b : s_n . b >= 0 for all n, d_n . b = 0 at ties}. If s_n . b > 0 for some b in it and some n,
the data are separated (Albert & Anderson 1984, Biometrika 71): along b the sign of d . w is
identified, and its magnitude is set by the prior. Such a b is the solution of a linear program
(Konis 2007, Oxford D.Phil. thesis).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import linprog

from bayes_pref.errors import ModelError
from bayes_pref.types import FloatArray, Mask

# Share of the largest eigenvalue of the rows' cross-products, below which a direction is outside
# their span: differences of 3e-6 of the typical size, above rounding and below any data.
_RANK = 1e-11
# Ten times the tolerance of HiGHS, for rows of unit length.
_POSITIVE = 1e-6
_AT_ONCE = 2000  # rows of a linear program; enough to show that most data are not separated


def row_space(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Find the span of some rows.

    Parameters
    ----------
    rows
        (n, d) rows; n may be 0.

    Returns
    -------
    basis: (d, r) orthonormal columns
    energy: (r,) sum over rows of the squared coordinate along each

    Examples
    --------
    >>> basis, energy = row_space(np.array([[1.0, 1.0, 0.0], [2.0, 2.0, 0.0]]))
    >>> basis.shape, energy.round(6).tolist()
    ((3, 1), [10.0])
    """
    energy, basis = np.linalg.eigh(rows.T @ rows)
    kept = energy > _RANK * max(energy[-1], 0.0)
    return basis[:, kept], energy[kept]


@dataclass(frozen=True, eq=False)
class Separation:
    """Directions in which the choices do not bound the size of the weights.

    Attributes
    ----------
    directions
        (d, m) orthonormal basis of these directions; m = 0 where there are none.
    vector
        (d,) weights that agree with every choice, strictly wherever any such weights do; 0 where
        there are none.
    """

    directions: FloatArray
    vector: FloatArray

    def affects(self, differences: FloatArray) -> Mask:
        """Return (k,) whether the log-odds of these pairs (k, d) are unbounded."""
        part = np.linalg.norm(differences @ self.directions, axis=1)
        # The row space is known to sqrt(_RANK); a part below thirty times that is rounding.
        return np.asarray(part > 1e-4 * np.linalg.norm(differences, axis=1))


def separate(rows: FloatArray, choice: FloatArray, guess: FloatArray | None = None) -> Separation:
    """Find the directions in which the choices do not bound the size of the weights.

    Parameters
    ----------
    rows
        (n, d) differences, left minus right, in units that give all features a similar size.
    choice
        (n,) 1 for left, 0 for right, 0.5 for a tie.
    guess
        (d,) weights that may agree with every choice, such as a posterior mean. They only save
        time: the result is the same without.

    Returns
    -------
    Separation

    Examples
    --------
    >>> rows = np.array([[1.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    >>> separate(rows, np.array([1.0, 0.0, 1.0, 0.0])).directions.shape  # the first feature decides
    (2, 1)
    >>> separate(rows, np.array([1.0, 1.0, 1.0, 0.0])).directions.shape
    (2, 0)
    """
    tied = choice == 0.5
    ties, _ = row_space(rows[tied])
    signed = (2.0 * choice[~tied] - 1.0)[:, None] * rows[~tied]
    length = np.linalg.norm(signed, axis=1)
    # Parallel rows bound the same weights; rounded, so that equal rows stay equal.
    signed = np.unique((signed[length > 0] / length[length > 0, None]).round(12), axis=0)
    vector = np.zeros(rows.shape[1])
    bound = np.ones(len(signed), dtype=bool)
    if guess is not None and guess.any() and not ties.size and (signed @ guess >= 0).all():
        vector += guess / np.abs(guess).max()
        bound &= signed @ vector <= _POSITIVE
    # Each pass finds a vector independent of the earlier ones that agrees strictly with further
    # rows: there are at most d passes, and one where the data are not separated.
    while bound.any():
        found = _agreeing(signed, signed[bound].sum(axis=0), ties)
        free = bound & (signed @ found > _POSITIVE)
        if not free.any():
            break
        vector += found
        bound &= ~free
    whole, _ = row_space(rows)
    # The vectors orthogonal to all rows still bound are the span of all agreeing vectors: a small
    # step from `vector` along one of them, either way, disagrees with no row.
    core, _ = row_space(np.vstack([signed[bound], ties.T]))
    outside = whole - core @ (core.T @ whole)
    left, size, _ = np.linalg.svd(outside, full_matrices=False)
    return Separation(left[:, size > 0.5], vector)


def _agreeing(signed: FloatArray, goal: FloatArray, ties: FloatArray) -> FloatArray:
    """Vector in the unit box that agrees with all signed rows and is largest along `goal`."""
    # A part of the rows already shows that most data are not separated. Rows are added while the
    # solution of the smaller program disagrees with some of them.
    order = np.argsort(-np.abs(signed @ goal), kind="stable")
    used = np.zeros(len(signed), dtype=bool)
    used[order[:: max(1, len(order) // _AT_ONCE)]] = True
    while True:
        solved = linprog(
            -goal / max(np.abs(goal).max(), 1e-300),
            A_ub=-signed[used],
            b_ub=np.zeros(used.sum()),
            A_eq=ties.T if ties.size else None,
            b_eq=np.zeros(ties.shape[1]) if ties.size else None,
            bounds=(-1.0, 1.0),
            method="highs",
        )
        if solved.status != 0:
            raise ModelError(
                f"the linear program that tests for separation failed: {solved.message}"
            )
        vector = np.asarray(solved.x)
        violated = ~used & (signed @ vector < -1e-7)
        if not violated.any():
            return vector
        worst = np.flatnonzero(violated)
        worst = worst[np.argsort(signed[worst] @ vector, kind="stable")][:_AT_ONCE]
        used[worst] = True
