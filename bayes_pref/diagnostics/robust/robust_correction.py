"""What residuals say of shares that a model gets wrong: a doubly robust correction, user by user.

With p = p_do of the model and F the `residual_directions` at a row, the corrected share is
    p(beta) = expit(logit p + F beta)   (of a set: p exp(F beta), normalised),
and beta solves the equations, summed over answers n,
    U(beta) = sum_n F_n [ y_n - m_n - (p_n(beta) - p_n) ] = 0,                                 (1)
where m_n is what the model, fitted to the answers of all other users, expects of this user
(`expected_answers`). To first order a coefficient is a weighted sum of residuals,
    beta_k = sum_n a_k(n) (y_n - m_n),   a = H^-1 F,   H = sum_n F_n dp_n / dbeta.
a_k is the representer of minimum norm, among functions spanned by F, of the functional that takes a
function f(d, x, h) of the span to its k-th coefficient. Columns in d and x times h have mean 0 over
users, so that what is left without them is the average over *all* users at (d, x), whoever is shown
such pairs. With m(d, x, h) the model's, and m0 the true expectation of an answer,
    E sum_n a(n) (y_n - m_n) - (what is asked for of m0 - m) = <a - a0, m0 - m>,
which is zero if m = m0, whatever a; and whatever m, if a0 is in the span, as where what is shown
does not depend on h, or if m0 - m is: right if either is right (Chernozhukov, Newey & Singh 2022,
Econometrica 90). Users are independent:
    V = U/(U-1) sum_i (b_i - bbar)(b_i - bbar)',   b_i = H^-1 U_i,
whatever the dependence among the answers of one. Coefficients are shrunk in blocks
(`shrunk_blocks`): without evidence against the model, its interval becomes little longer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit
from scipy.stats import f as f_distribution

from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.robust.shrunk_blocks import Shrunk, shrunk
from bayes_pref.types import FloatArray, IntArray

# Scale of the prior of how far log-odds are off, per sd of a direction.
SCALE = 0.02
_STEPS = 6  # of Newton's method
_RIDGE = 1e-9  # relative


@dataclass(frozen=True, eq=False)
class Correction:
    """Coefficients of the directions, as estimated and shrunk.

    Attributes
    ----------
    estimate, variance
        (c,) solution of the equations, and its covariance (c, c), clustered by user.
    shrunk
        Posterior of the coefficients given both.
    p_values
        (blocks,) of tests of the blocks; nan for those without a column.
    largest
        (blocks,) the column of each that contradicts the model most; -1 without any.
    """

    estimate: FloatArray
    variance: FloatArray
    shrunk: Shrunk
    p_values: FloatArray
    largest: IntArray


def correct(
    columns: FloatArray,
    block: IntArray,
    residual: FloatArray,
    share: FloatArray,
    user: IntArray,
    query: Query,
    blocks: int,
    scale: float = SCALE,
) -> Correction:
    """Solve the equations.

    Parameters
    ----------
    columns, block
        (n, c) directions at the answers, and (c,) their blocks.
    residual
        (n,) answers minus what the model expects of them.
    share
        (n,) p_do of the model.
    user
        (n,) nondecreasing codes of the users.
    query
        The answers' rows.
    blocks
        Number of blocks.
    scale
        Scale of the prior of the coefficients.
    """
    first = np.flatnonzero(np.diff(user, prepend=-1))
    count = columns.shape[1]
    beta = np.zeros(count)
    for _ in range(_STEPS):
        moved = corrected(share, columns @ beta, query)
        score = np.add.reduceat(columns * (residual - moved + share)[:, None], first)
        slope = columns.T @ jacobian(moved, columns, query)
        slope += _RIDGE * np.trace(slope) / count * np.eye(count)
        own = np.linalg.solve(slope, score.T).T
        estimate = beta + own.sum(axis=0)
        own -= own.mean(axis=0)
        variance = own.T @ own * (len(own) / (len(own) - 1.0))
        found = shrunk(estimate, variance, block, scale)
        done = np.abs(found.mean - beta).max(initial=0.0) < 1e-6
        beta = found.mean
        if done:
            break
    slopes = jacobian(share, columns, query)
    p_values, largest = _tests(columns, block, residual, slopes, first, blocks)
    return Correction(estimate, variance, found, p_values, largest)


def corrected(share: FloatArray, moved: FloatArray, query: Query) -> FloatArray:
    """Shares (n,) whose log-odds are moved (n,).

    Examples
    --------
    >>> from bayes_pref.diagnostics.query import Query
    >>> import pandas as pd
    >>> one = pd.Index([0])
    >>> pair = Query(np.ones((1, 1)), np.zeros((1, 0)), np.array([0]), one, one)
    >>> corrected(np.array([0.5]), np.array([1.0]), pair).round(3)
    array([0.731])
    """
    if query.task is None:
        return np.asarray(expit(logit(share.clip(1e-9, 1 - 1e-9)) + moved))
    first = np.flatnonzero(np.diff(query.task, prepend=-1))
    raised = share * np.exp(moved - np.maximum.reduceat(moved, first)[query.task])
    return np.asarray(raised / np.add.reduceat(raised, first)[query.task])


def jacobian(share: FloatArray, columns: FloatArray, query: Query) -> FloatArray:
    """Derivatives (n, c) of the shares with respect to the coefficients."""
    if query.task is None:
        return np.asarray((share * (1.0 - share))[:, None] * columns)
    first = np.flatnonzero(np.diff(query.task, prepend=-1))
    mean = np.add.reduceat(share[:, None] * columns, first)
    return np.asarray(share[:, None] * (columns - mean[query.task]))


def _tests(
    columns: FloatArray,
    block: IntArray,
    residual: FloatArray,
    slope: FloatArray,
    first: IntArray,
    blocks: int,
) -> tuple[FloatArray, IntArray]:
    """P-values of the blocks, and the column (blocks,) of each that stands out, -1 without any.

    Of each block by itself, so that those that are nearly collinear do not hide each other, beside
    the first, the weights that the model has estimated: a step of Newton's method for both, with
    the variance over users of what is left then, and Hotelling's T^2.

    Parameters
    ----------
    slope
        (n, c) derivatives of the shares.
    first
        (u,) where the rows of the users begin.
    """
    users, p_values = len(first), np.full(blocks, np.nan)
    largest = np.full(blocks, -1, dtype=np.int64)
    for code in np.unique(block):  # a loop over blocks
        both = np.flatnonzero((block == 0) | (block == code))
        own, part = block[both] == code, columns[:, both]
        inverse = np.linalg.pinv(part.T @ slope[:, both], rcond=_RIDGE)
        step = inverse @ (part.T @ residual)
        left = residual - slope[:, both] @ step
        each = (np.add.reduceat(part * left[:, None], first) @ inverse.T)[:, own]
        variance = users * np.cov(each.T).reshape(own.sum(), own.sum())
        found, size = step[own], int(own.sum())
        alone = found**2 / np.maximum(np.diag(variance), 1e-300)
        largest[code] = both[own][np.argmax(alone)]
        freedom = users - size
        if freedom > 0:
            square = found @ np.linalg.pinv(variance, rcond=_RIDGE, hermitian=True) @ found
            p_values[code] = f_distribution.sf(
                square * freedom / (size * (users - 1)), size, freedom
            )
    return p_values, largest
