"""Rows whose log-odds are moderate, by vector instructions: one exponential a row, few logarithms.

Loops begin at zero, over slices: an index that might be negative would count from the end, and the
loop would not become vector instructions.
"""

from __future__ import annotations

from math import erfc

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering_inline
from bayes_pref.models.choice.kernel_form import CUTS, POSITION, TIE
from bayes_pref.types import FloatArray, IntArray

_SQUARES = 10_000.0  # sum of squares below which log-odds are moderate: no product overflows
_LARGE, _SMALL = 1e150, 1e-150
_HALF_ROOT, _NORMAL = 0.7071067811865476, 0.3989422804014327  # 1 / sqrt 2, 1 / sqrt(2 pi)
_FAR = 20.0  # sds, to where erfc is exact


@compiled_reordering_inline
def exponentials(eta: FloatArray) -> bool:
    """Replace eta by exp(-eta) where all are moderate, and return whether they are.

    exp(x) = exp(x / 1024)^1024 by a series and ten squarings: vector instructions, with a relative
    error below 1e-12.
    """
    size = 0.0
    for n in range(eta.size):
        size += eta[n] * eta[n]
    if not size < _SQUARES:  # or not a number
        return False
    for n in range(eta.size):
        x = eta[n] * (-1.0 / 1024.0)
        power = 1.0 + x * (1.0 / 11.0)
        power = 1.0 + power * x * (1.0 / 10.0)
        power = 1.0 + power * x * (1.0 / 9.0)
        power = 1.0 + power * x * (1.0 / 8.0)
        power = 1.0 + power * x * (1.0 / 7.0)
        power = 1.0 + power * x * (1.0 / 6.0)
        power = 1.0 + power * x * (1.0 / 5.0)
        power = 1.0 + power * x * (1.0 / 4.0)
        power = 1.0 + power * x * (1.0 / 3.0)
        power = 1.0 + power * x * (1.0 / 2.0)
        power = 1.0 + power * x
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        power *= power
        eta[n] = power
    return True


@compiled_reordering_inline
def tied_rows(
    eta: FloatArray, outcome: IntArray, values: FloatArray, slope: FloatArray
) -> tuple[float, bool]:
    """Log likelihood of rows with ties, and whether log-odds are moderate: else nothing is done.

    `eta` is overwritten with the derivatives in eta; those in the values are added to `slope`.
    """
    half, position = 0.0, 0.5 * values[POSITION]
    for n in range(eta.size):
        half += (outcome[n] - 1) * (0.5 * eta[n] + position)
        eta[n] = 0.5 * eta[n] + position
    if not abs(values[TIE]) < 100.0 or not exponentials(eta):
        for n in range(eta.size):
            eta[n] = 2.0 * (eta[n] - position)
        return 0.0, False
    tie, product, total, of_tie, of_position = np.exp(values[TIE]), 1.0, half, 0.0, 0.0
    for n in range(eta.size):
        right = eta[n]
        left = 1.0 / right
        share = 1.0 / (left + tie + right)
        eta[n] = 0.5 * ((outcome[n] - 1) - (left - right) * share)
        of_position += eta[n]
        of_tie -= tie * share
        if outcome[n] == 1:
            of_tie += 1.0
            total += values[TIE]
        product *= share
        if product < _SMALL:
            total += np.log(product)
            product = 1.0
    slope[TIE] += of_tie
    slope[POSITION] += of_position
    return total + np.log(product), True


@compiled_reordering_inline
def logistic_cells(
    eta: FloatArray, outcome: IntArray, values: FloatArray, slope: FloatArray, odds: FloatArray
) -> tuple[float, bool]:
    """Log likelihood of graded rows with the logistic F, as `tied_rows`.

    With e = exp(-eta) and q_k = exp(-c_k), P(k) = (q_(k-1) - q_k) e / ((e + q_(k-1)) (e + q_k)).
    `odds` is working memory for the q.
    """
    last = values.size - CUTS
    for k in range(last):
        if not abs(values[CUTS + k]) < 100.0:
            return 0.0, False
        odds[k] = np.exp(-values[CUTS + k])
    total = 0.0
    for n in range(eta.size):
        total -= eta[n] if outcome[n] < last else 0.0
    if not exponentials(eta):
        return 0.0, False
    product = 1.0
    for n in range(eta.size):
        k, e, slope_here = outcome[n], eta[n], 0.0
        factor = 1.0
        if k < last:
            above = odds[k] / (e + odds[k])
            factor /= e + odds[k]
            slope_here -= above
            slope[CUTS + k] += above
        if k > 0:
            below = odds[k - 1] / (e + odds[k - 1])
            width = odds[k - 1] - (odds[k] if k < last else 0.0)
            factor *= width / (e + odds[k - 1])
            slope_here += 1.0 - below
            slope[CUTS + k - 1] += below - odds[k - 1] / width
            if k < last:
                slope[CUTS + k] += odds[k] / width
        eta[n] = slope_here
        product *= factor
        if product < _SMALL or product > _LARGE:
            total += np.log(product)
            product = 1.0
    return total + np.log(product), True


@compiled_reordering_inline
def probit_pairs(
    eta: FloatArray, outcome: IntArray, values: FloatArray, slope: FloatArray
) -> tuple[float, bool]:
    """Log likelihood of choices between two with the normal F, as `tied_rows`."""
    cut = values[CUTS]
    largest = 0.0
    for n in range(eta.size):
        largest = max(largest, abs(eta[n]))
    if not largest + abs(cut) < _FAR:
        return 0.0, False
    total, product, of_cut = 0.0, 1.0, 0.0
    for n in range(eta.size):
        sign = 2.0 * outcome[n] - 1.0
        x = sign * (eta[n] - cut)
        chance = 0.5 * erfc(-x * _HALF_ROOT)
        eta[n] = sign * _NORMAL * np.exp(-0.5 * x * x) / chance
        of_cut -= eta[n]
        product *= chance
        if product < _SMALL:
            total += np.log(product)
            product = 1.0
    slope[CUTS] += of_cut
    return total + np.log(product), True
