"""Gaussian values v of which some are logarithms of weights, for likelihoods of the weights.

`signed` is (2, d): signs and centres. Of a feature with a sign, w_k = sign_k exp(centre_k + v_k);
without, where it is 0, w_k = v_k. By the chain rule the gradient in v is that in w times D = dw/dv;
the curvature H becomes D H D, plus that of the exponential where it is positive. Where no weight
has a sign, `signed` is (2, 0), and nothing is done.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering_part
from bayes_pref.types import FloatArray


@compiled_reordering_part
def to_weights(signed: FloatArray, values: FloatArray) -> None:
    """Replace values v (d, m), of m users, by weights."""
    for k in range(signed.shape[1]):
        if signed[0, k] != 0.0:
            for w in range(values.shape[1]):
                values[k, w] = signed[0, k] * np.exp(signed[1, k] + values[k, w])


@compiled_reordering_part
def to_slopes(signed: FloatArray, weights: FloatArray, slope: FloatArray) -> None:
    """Replace slopes in weights, each (d, m), by those in v."""
    for k in range(signed.shape[1]):
        if signed[0, k] != 0.0:
            for w in range(slope.shape[1]):
                # Places of no user have the slope zero, and may have an infinite weight.
                if slope[k, w] != 0.0:
                    slope[k, w] *= weights[k, w]


@compiled_reordering_part
def to_information(
    signed: FloatArray, weights: FloatArray, slope: FloatArray, information: FloatArray
) -> None:
    """Replace a user's curvature (d, d) in weights (d, 1) by that in v, of slopes `slope`."""
    d = signed.shape[1]
    for k in range(d):
        if signed[0, k] != 0.0:
            for m in range(d):
                information[k, m] *= weights[k, 0]
                information[m, k] *= weights[k, 0]
            information[k, k] += max(-slope[k, 0], 0.0)
