"""Log likelihood of one user's choices, its gradient and its curvature, for every family.

Rows are raw: eta_n = a_n . w_i with a_n left minus right (of a stage, chosen minus other). See
`models.choice.kernel_form` for the families and the order of `values`.
"""

from __future__ import annotations

from math import erfc
from typing import Any, NamedTuple

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import (
    compiled_reordering_inline,
    compiled_reordering_part,
)
from bayes_pref.inference.gibbs.kernels.moderate_rows import (
    exponentials,
    logistic_cells,
    probit_pairs,
    tied_rows,
)
from bayes_pref.models.choice.kernel_form import CELLS, CUTS, LAPSE, POSITION, STAGES, TIE
from bayes_pref.types import FloatArray, IntArray

_LOG_ROOT = 0.9189385332046727  # log sqrt(2 pi)
_HALF_ROOT = 0.7071067811865476


class ChoiceRows(NamedTuple):
    """Rows in compressed sparse form, grouped by user, and what was chosen.

    Attributes
    ----------
    offsets
        (n_users + 1,): rows of user i are ``offsets[i]:offsets[i + 1]``.
    starts, columns, values
        Entries of row n are ``starts[n]:starts[n + 1]``, of features scaled to size one.
    dense
        (d, n): the same rows as columns, for vector instructions; (0, 0) where most are zero.
    outcome
        (n,) place of the outcome, 0 to K - 1; of a row of a stage 1, and 0 where the other
        alternative was chosen.
    stages
        (n_stages + 1,): rows of stage s are ``stages[s]:stages[s + 1]``; one for each row where
        rows are choices of their own.
    stage_offsets
        (n_users + 1,): stages of user i.
    careless
        (n_users,): 1 where a user's answers are taken to be random, so that their likelihood does
        not depend on anything; 0 of all others.
    family, n_outcomes, probit
        Of the `KernelForm`.
    """

    offsets: IntArray
    starts: IntArray
    columns: IntArray
    values: FloatArray
    dense: FloatArray
    outcome: IntArray
    stages: IntArray
    stage_offsets: IntArray
    careless: FloatArray
    family: int
    n_outcomes: int
    probit: bool


@compiled_reordering_part
def _log_cdf(x: float, probit: bool) -> float:
    """Log F(x), exact in both tails."""
    if not probit:
        return float(min(x, 0.0) - np.log1p(np.exp(-abs(x))))
    if x > -20.0:
        return float(np.log(0.5 * erfc(-x * _HALF_ROOT)))
    inverse = 1.0 / (x * x)
    series = 1.0 - inverse * (1.0 - 3.0 * inverse * (1.0 - 5.0 * inverse))
    return float(-0.5 * x * x - np.log(-x) - _LOG_ROOT + np.log(series))


@compiled_reordering_part
def _log_pdf(x: float, probit: bool) -> float:
    """Log of the density f(x)."""
    if probit:
        return -0.5 * x * x - _LOG_ROOT
    return float(-abs(x) - 2.0 * np.log1p(np.exp(-abs(x))))


@compiled_reordering_part
def _cell(low: float, high: float, probit: bool, found: FloatArray) -> None:
    """Fill `found` for the cell from low to high, either of them infinite at the ends.

    Log probability P, f(low) / P, f(high) / P, and minus the second derivative of log P in a shift
    of both ends.
    """
    a, b = low, high
    if a > 0.0:  # in the lower tail, where differences of small numbers are exact
        a, b = -high, -low
    top = 0.0 if np.isinf(b) else _log_cdf(b, probit)
    log_p = top
    if not np.isinf(a):
        log_p += np.log(-np.expm1(_log_cdf(a, probit) - top))
    at_low = 0.0 if np.isinf(low) else np.exp(_log_pdf(low, probit) - log_p)
    at_high = 0.0 if np.isinf(high) else np.exp(_log_pdf(high, probit) - log_p)
    found[0], found[1], found[2] = log_p, at_low, at_high
    slope = at_high - at_low
    if probit:
        curvature = slope * slope
        curvature += 0.0 if np.isinf(high) else high * at_high
        curvature -= 0.0 if np.isinf(low) else low * at_low
    else:
        curvature = 0.0 if np.isinf(high) else np.exp(_log_pdf(high, False))
        curvature += 0.0 if np.isinf(low) else np.exp(_log_pdf(low, False))
    found[3] = curvature


@compiled_reordering_part
def fill_row(
    eta: float, outcome: int, rows: Any, values: FloatArray, found: FloatArray, cell: FloatArray
) -> None:
    """Fill `found` for a row that is a choice of its own.

    Log probability, derivatives in eta, lapse, tie and position, minus the second derivative in
    eta; then derivatives in the cutpoints.
    """
    for k in range(found.size):
        found[k] = 0.0
    if rows.family == CELLS:
        last = rows.n_outcomes - 1
        low = -np.inf if outcome == 0 else values[CUTS + outcome - 1] - eta
        high = np.inf if outcome == last else values[CUTS + outcome] - eta
        _cell(low, high, rows.probit, cell)
        found[0], found[5] = cell[0], cell[3]
        found[1] = cell[1] - cell[2]
        if outcome > 0:
            found[6 + outcome - 1] = -cell[1]
        if outcome < last:
            found[6 + outcome] = cell[2]
    else:
        shifted = eta + values[POSITION]
        left, tie, right = 0.5 * shifted, values[TIE], -0.5 * shifted
        top = max(abs(left), tie)
        p_left, p_tie, p_right = np.exp(left - top), np.exp(tie - top), np.exp(right - top)
        total = p_left + p_tie + p_right
        p_left, p_tie, p_right = p_left / total, p_tie / total, p_right / total
        chosen = right if outcome == 0 else (tie if outcome == 1 else left)
        found[0] = chosen - top - np.log(total)
        found[1] = 0.5 * (outcome - 1.0) - 0.5 * (p_left - p_right)
        found[3] = (1.0 if outcome == 1 else 0.0) - p_tie
        found[4] = found[1]
        found[5] = 0.25 * (p_left + p_right - (p_left - p_right) ** 2)
    lapse = values[LAPSE]
    if lapse > 0.0:
        meant = np.exp(found[0])
        even = 1.0 / rows.n_outcomes
        mixed = (1.0 - lapse) * meant + lapse * even
        share = (1.0 - lapse) * meant / mixed
        for k in range(1, found.size):
            found[k] *= share
        found[0] = np.log(mixed)
        found[2] = (even - meant) / mixed


@compiled_reordering_part
def lapsed_stages(rows: Any, lapse: float, user: int, eta: FloatArray, slope: FloatArray) -> float:
    """Log probability of one user's stages with lapses; eta becomes the derivatives in eta."""
    total = 0.0
    for s in range(rows.stage_offsets[user], rows.stage_offsets[user + 1]):
        at, stop = rows.stages[s], rows.stages[s + 1]
        top, instead = 0.0, 0.0
        for n in range(at, stop):
            top = max(top, -eta[n])
            instead += (1 - rows.outcome[n]) * eta[n]
        left = np.exp(-top)
        for n in range(at, stop):
            eta[n] = np.exp(-eta[n] - top)
            left += eta[n]
        meant = np.exp(-top - instead) / left
        even = 1.0 / (stop - at + 1.0)
        mixed = (1.0 - lapse) * meant + lapse * even
        share = (1.0 - lapse) * meant / mixed
        total += np.log(mixed)
        slope[LAPSE] += (even - meant) / mixed
        for n in range(at, stop):
            eta[n] = share * (eta[n] / left - (1.0 - rows.outcome[n]))
    return total


@compiled_reordering_inline
def user_log_likelihood(
    rows: Any,
    values: FloatArray,
    user: int,
    weights: FloatArray,
    eta: FloatArray,
    gradient: FloatArray,
    slope: FloatArray,
    found: FloatArray,
    cell: FloatArray,
) -> float:
    """Log likelihood of one user; fills eta (n,), the gradients in weights (d,) and values.

    `eta` is overwritten with the derivatives in eta. `slope` has the length of `values`; `found`
    (3 + the number of values) and `cell` (4,) are working memory.
    """
    d = weights.size
    for k in range(d):
        gradient[k] = 0.0
    for k in range(slope.size):
        slope[k] = 0.0
    total = 0.0
    first, end = rows.offsets[user], rows.offsets[user + 1]
    fill_log_odds(rows, first, end, weights, eta)
    if rows.family == STAGES and values[LAPSE] > 0.0:
        total = lapsed_stages(rows, values[LAPSE], user, eta, slope)
    elif rows.family == STAGES:
        product = 1.0  # of the sums: one logarithm serves many stages
        own = eta[first:end]
        chosen = rows.outcome[first:end]
        for n in range(own.size):
            total -= (1 - chosen[n]) * own[n]
        moderate = exponentials(own)
        for s in range(rows.stage_offsets[user], rows.stage_offsets[user + 1]):
            at, stop = rows.stages[s], rows.stages[s + 1]
            left = 1.0
            if moderate:
                for n in range(at, stop):
                    left += eta[n]
            else:
                top = 0.0
                for n in range(at, stop):
                    top = max(top, -eta[n])
                left = np.exp(-top)
                for n in range(at, stop):
                    eta[n] = np.exp(-eta[n] - top)
                    left += eta[n]
                total -= top
            product *= left
            if product > 1e200:
                total -= np.log(product)
                product = 1.0
            left = 1.0 / left
            for n in range(at, stop):
                eta[n] = eta[n] * left - (1.0 - rows.outcome[n])
        total -= np.log(product)
    else:
        done = False
        if values[LAPSE] == 0.0 and (not rows.probit or rows.n_outcomes == 2):
            own, chosen = eta[first:end], rows.outcome[first:end]
            if rows.probit:
                total, done = probit_pairs(own, chosen, values, slope)
            elif rows.family == CELLS:
                total, done = logistic_cells(own, chosen, values, slope, found)
            else:
                total, done = tied_rows(own, chosen, values, slope)
        for n in range(end if done else first, end):
            fill_row(eta[n], rows.outcome[n], rows, values, found, cell)
            total += found[0]
            eta[n] = found[1]
            for k in range(3):
                slope[k] += found[2 + k]
            for k in range(CUTS, slope.size):
                slope[k] += found[3 + k]
    if rows.dense.size:
        slopes = eta[first:end]
        for k in range(d):
            column = rows.dense[k][first:end]
            value = 0.0
            for n in range(slopes.size):
                value += column[n] * slopes[n]
            gradient[k] = value
    else:
        for n in range(first, end):
            for e in range(rows.starts[n], rows.starts[n + 1]):
                gradient[rows.columns[e]] += rows.values[e] * eta[n]
    return total


@compiled_reordering_inline
def fill_log_odds(rows: Any, first: int, end: int, weights: FloatArray, eta: FloatArray) -> None:
    """Fill eta of rows `first` to `end`."""
    # Loops that begin at zero, over slices, become vector instructions: an index that might be
    # negative counts from the end.
    own = eta[first:end]
    for n in range(own.size):
        own[n] = 0.0
    if rows.dense.size:
        for k in range(weights.size):
            column = rows.dense[k][first:end]
            for n in range(own.size):
                own[n] += column[n] * weights[k]
    else:
        for n in range(first, end):
            for e in range(rows.starts[n], rows.starts[n + 1]):
                eta[n] += rows.values[e] * weights[rows.columns[e]]


@compiled_reordering_part
def add_user_information(
    rows: Any,
    values: FloatArray,
    user: int,
    weights: FloatArray,
    eta: FloatArray,
    information: FloatArray,
    found: FloatArray,
    cell: FloatArray,
) -> None:
    """Add minus the Hessian of one user's log likelihood in the weights to `information` (d, d).

    The curvature is that without lapses, times the probability that the answer was no lapse: it is
    then positive.
    """
    d = weights.size
    mean = np.empty(d)
    fill_log_odds(rows, rows.offsets[user], rows.offsets[user + 1], weights, eta)
    for s in range(rows.stage_offsets[user], rows.stage_offsets[user + 1]):
        first, end = rows.stages[s], rows.stages[s + 1]
        share = 1.0
        if rows.family == STAGES:
            top = 0.0
            for n in range(first, end):
                top = max(top, -eta[n])
            total = np.exp(-top)
            for n in range(first, end):
                eta[n] = np.exp(-eta[n] - top)
                total += eta[n]
            meant = np.exp(-top) / total
            for n in range(first, end):
                eta[n] /= total
                if rows.outcome[n] == 0:
                    meant = eta[n]
            meant *= 1.0 - values[LAPSE]
            if values[LAPSE] > 0.0:
                share = meant / (meant + values[LAPSE] / (end - first + 1.0))
        else:
            fill_row(eta[first], rows.outcome[first], rows, values, found, cell)
            eta[first] = max(found[5], 0.0)
        for k in range(d):
            mean[k] = 0.0
        for n in range(first, end):
            for e in range(rows.starts[n], rows.starts[n + 1]):
                a = eta[n] * rows.values[e]
                k = rows.columns[e]
                mean[k] += a
                for f in range(rows.starts[n], rows.starts[n + 1]):
                    information[k, rows.columns[f]] += share * a * rows.values[f]
        if rows.family == STAGES:
            for k in range(d):
                if mean[k] != 0.0:
                    for m in range(d):
                        information[k, m] -= share * mean[k] * mean[m]
