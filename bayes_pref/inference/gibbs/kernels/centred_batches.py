"""Linear algebra of `partial_centring` for a SIMD batch of users, the last axis of each array."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering_part
from bayes_pref.types import FloatArray

BATCH = 8
SHORT = 0.25  # share of users' moves that are short, and their length beside the others


class Factors(NamedTuple):
    """What does not depend on zeta, for a batch.

    Attributes
    ----------
    curvature
        (d, d, batch): H.
    scaled
        (d, d, batch): L' H.
    score
        (d, batch): h - H m.
    root
        (d, d, batch): C, its diagonal inverted.
    centre
        (d, batch): u.
    """

    curvature: FloatArray
    scaled: FloatArray
    score: FloatArray
    root: FloatArray
    centre: FloatArray


@compiled_reordering_part
def room_for_factors(d: int) -> Factors:
    """Make room for a batch with d features."""
    return Factors(
        np.empty((d, d, BATCH)),
        np.empty((d, d, BATCH)),
        np.empty((d, BATCH)),
        np.empty((d, d, BATCH)),
        np.empty((d, BATCH)),
    )


@compiled_reordering_part
def factor_batch(
    lower: FloatArray,
    full: bool,
    information: FloatArray,
    linear: FloatArray,
    mean: FloatArray,
    factors: Factors,
) -> None:
    """Fill the factors of a batch, of H as its lower triangle by rows, (d (d + 1) / 2, batch)."""
    d, batch = mean.shape
    curvature, scaled, score = factors.curvature, factors.scaled, factors.score
    root, centre = factors.root, factors.centre
    for k in range(d):
        for j in range(k + 1):
            entry = k * (k + 1) // 2 + j
            for w in range(batch):
                curvature[k, j, w] = information[entry, w]
            for w in range(batch):
                curvature[j, k, w] = information[entry, w]
    for k in range(d):
        for w in range(batch):
            score[k, w] = linear[k, w]
        for j in range(d):
            for w in range(batch):
                score[k, w] -= curvature[k, j, w] * mean[j, w]
    for m in range(d):
        for k in range(d):
            if full:
                for w in range(batch):
                    scaled[m, k, w] = 0.0
                for j in range(m, d):
                    a = lower[j, m]
                    for w in range(batch):
                        scaled[m, k, w] += a * curvature[j, k, w]
            else:
                a = lower[m, m]
                for w in range(batch):
                    scaled[m, k, w] = a * curvature[m, k, w]
        for k in range(m + 1):
            one = 1.0 if k == m else 0.0
            for w in range(batch):
                root[m, k, w] = one
            for j in range(k, d if full else k + 1):
                a = lower[j, k]
                for w in range(batch):
                    root[m, k, w] += scaled[m, j, w] * a
        for w in range(batch):
            centre[m, w] = 0.0
        for j in range(m, d if full else m + 1):
            a = lower[j, m]
            for w in range(batch):
                centre[m, w] += a * score[j, w]
    for j in range(d):
        for k in range(j):
            for w in range(batch):
                root[j, j, w] -= root[j, k, w] * root[j, k, w]
        for w in range(batch):
            root[j, j, w] = 1.0 / np.sqrt(root[j, j, w])
        for i in range(j + 1, d):
            for k in range(j):
                for w in range(batch):
                    root[i, j, w] -= root[i, k, w] * root[j, k, w]
            for w in range(batch):
                root[i, j, w] *= root[j, j, w]
    solve_lower_batch(root, centre)


@compiled_reordering_part
def solve_lower_batch(root: FloatArray, vector: FloatArray) -> None:
    """Replace the vectors (d, batch) by C^-1 vector."""
    d, batch = vector.shape
    for i in range(d):
        for k in range(i):
            for w in range(batch):
                vector[i, w] -= root[i, k, w] * vector[k, w]
        for w in range(batch):
            vector[i, w] *= root[i, i, w]


@compiled_reordering_part
def solve_upper_batch(root: FloatArray, vector: FloatArray) -> None:
    """Replace the vectors (d, batch) by C'^-1 vector."""
    d, batch = vector.shape
    for i in range(d - 1, -1, -1):
        for k in range(i + 1, d):
            for w in range(batch):
                vector[i, w] -= root[k, i, w] * vector[k, w]
        for w in range(batch):
            vector[i, w] *= root[i, i, w]


@compiled_reordering_part
def weights_of_batch(
    lower: FloatArray,
    full: bool,
    mean: FloatArray,
    root: FloatArray,
    centre: FloatArray,
    zeta: FloatArray,
    v: FloatArray,
    weights: FloatArray,
) -> None:
    """Fill v = C'^-1 (u + zeta) and the weights m + L v, each (d, batch)."""
    d, batch = mean.shape
    for k in range(d):
        for w in range(batch):
            v[k, w] = centre[k, w] + zeta[k, w]
    solve_upper_batch(root, v)
    for k in range(d):
        for w in range(batch):
            weights[k, w] = mean[k, w]
        for m in range(0 if full else k, k + 1):
            a = lower[k, m]
            for w in range(batch):
                weights[k, w] += a * v[m, w]


@compiled_reordering_part
def zeta_slope(
    lower: FloatArray, full: bool, root: FloatArray, v: FloatArray, slope: FloatArray, q: FloatArray
) -> None:
    """Fill q = C^-1 (L' slope - v), the gradient of log likelihood - |v|^2 / 2 in zeta."""
    d, batch = v.shape
    for m in range(d):
        for w in range(batch):
            q[m, w] = -v[m, w]
        for j in range(m, d if full else m + 1):
            a = lower[j, m]
            for w in range(batch):
                q[m, w] += a * slope[j, w]
    solve_lower_batch(root, q)
