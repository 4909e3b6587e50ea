"""Log likelihood of everybody's choices at one vector of weights, for every family.

Its gradient, and the diagonal of its curvature: with thousands of features no matrix of theirs is
ever made.

Some lines stand in `choice_likelihood`, too. At every call that passes `rows`, inlined or not,
numba counts references to its arrays: shared, these lines made users' expansions 60 % slower.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.choice_likelihood import (
    fill_log_odds,
    fill_row,
    lapsed_stages,
)
from bayes_pref.inference.gibbs.kernels.jit import (
    compiled_reordering,
    compiled_reordering_inline,
)
from bayes_pref.inference.gibbs.kernels.moderate_rows import (
    logistic_cells,
    probit_pairs,
    tied_rows,
)
from bayes_pref.models.choice.kernel_form import CELLS, CUTS, LAPSE, STAGES
from bayes_pref.types import FloatArray

_TOGETHER = 64  # stages, or rows that are choices of their own


@compiled_reordering
def pooled_log_likelihood(
    rows: Any,
    values: FloatArray,
    weights: FloatArray,
    eta: FloatArray,
    gradient: FloatArray,
    slope: FloatArray,
) -> float:
    """Log likelihood of all rows; fills the gradients in the weights (d,) and in the values.

    `eta` (n,) is working memory, and becomes the derivatives in eta.
    """
    found, cell = np.empty(3 + values.size), np.empty(4)
    for k in range(weights.size):
        gradient[k] = 0.0
    for k in range(slope.size):
        slope[k] = 0.0
    fill_log_odds(rows, 0, eta.size, weights, eta)
    total, s = 0.0, 0
    if rows.family == STAGES and values[LAPSE] > 0.0:
        total = lapsed_stages(rows, values[LAPSE], 0, eta, slope)
        s = rows.stages.size - 1
    while s < rows.stages.size - 1:  # a few rows at a time, whose log-odds are mostly moderate
        first = rows.stages[s]
        stop = min(s + _TOGETHER, rows.stages.size - 1)
        end = rows.stages[stop]
        own, chosen = eta[first:end], rows.outcome[first:end]
        if rows.family == STAGES:
            total += _stages(rows, s, stop, eta)
        else:
            part, done = 0.0, False
            if values[LAPSE] == 0.0 and (not rows.probit or rows.n_outcomes == 2):
                if rows.probit:
                    part, done = probit_pairs(own, chosen, values, slope)
                elif rows.family == CELLS:
                    part, done = logistic_cells(own, chosen, values, slope, found)
                else:
                    part, done = tied_rows(own, chosen, values, slope)
            if done:
                total += part
            else:
                total += _single(rows, first, end, values, eta, slope, found, cell)
        s = stop
    for n in range(eta.size):
        for e in range(rows.starts[n], rows.starts[n + 1]):
            gradient[rows.columns[e]] += rows.values[e] * eta[n]
    return total


@compiled_reordering_inline
def _single(
    rows: Any,
    first: int,
    end: int,
    values: FloatArray,
    eta: FloatArray,
    slope: FloatArray,
    found: FloatArray,
    cell: FloatArray,
) -> float:
    """Log likelihood of rows, one by one; eta becomes the derivatives in eta."""
    total = 0.0
    for n in range(first, end):
        fill_row(eta[n], rows.outcome[n], rows, values, found, cell)
        total += found[0]
        eta[n] = found[1]
        for k in range(3):
            slope[k] += found[2 + k]
        for k in range(CUTS, slope.size):
            slope[k] += found[3 + k]
    return total


@compiled_reordering_inline
def _stages(rows: Any, start: int, stop: int, eta: FloatArray) -> float:
    """Log likelihood of stages; eta becomes the derivatives in eta."""
    total = 0.0
    for s in range(start, stop):
        first, end = rows.stages[s], rows.stages[s + 1]
        top = 0.0
        for n in range(first, end):
            top = max(top, -eta[n])
            total -= (1 - rows.outcome[n]) * eta[n]
        left = np.exp(-top)
        for n in range(first, end):
            eta[n] = np.exp(-eta[n] - top)
            left += eta[n]
        total -= top + np.log(left)
        for n in range(first, end):
            eta[n] = eta[n] / left - (1.0 - rows.outcome[n])
    return total


@compiled_reordering
def pooled_curvature(
    rows: Any, values: FloatArray, weights: FloatArray, eta: FloatArray, diagonal: FloatArray
) -> None:
    """Fill `diagonal` (d,) with that of minus the Hessian of the log likelihood in the weights.

    The curvature is that without lapses, times the probability that the answer was no lapse: it is
    then positive.
    """
    found, cell = np.empty(3 + values.size), np.empty(4)
    mean = np.zeros(diagonal.size)
    for k in range(diagonal.size):
        diagonal[k] = 0.0
    fill_log_odds(rows, 0, eta.size, weights, eta)
    for s in range(rows.stages.size - 1):
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
        for n in range(first, end):
            for e in range(rows.starts[n], rows.starts[n + 1]):
                k = rows.columns[e]
                a = share * eta[n] * rows.values[e]
                diagonal[k] += a * rows.values[e]
                if rows.family == STAGES:
                    mean[k] += eta[n] * rows.values[e]
        if rows.family == STAGES:
            for n in range(first, end):
                for e in range(rows.starts[n], rows.starts[n + 1]):
                    k = rows.columns[e]
                    diagonal[k] -= share * mean[k] * mean[k]
                    mean[k] = 0.0
