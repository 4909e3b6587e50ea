"""Exact draws from the Polya-Gamma distribution PG(1, psi).

If omega ~ PG(1, psi), the logistic likelihood sigmoid(psi) becomes, given omega, Gaussian in psi
(Polson, Scott & Windle 2013). The sampler is Devroye's (2009) for the tilted Jacobi J*(1, z),
z = |psi| / 2: propose from an exponential to the right of `CUT` or from a truncated inverse
Gaussian to its left, then accept by the alternating series, written as ratios to its first term so
that most draws are accepted without evaluating any of it.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
from scipy.special import log_ndtr

from bayes_pref.inference.gibbs.kernels.jit import compiled, compiled_part
from bayes_pref.types import FloatArray

CUT = 0.64
STEP = 0.005
LARGEST = 39.9  # beyond this |psi| the right piece has probability below 1e-50
# The second term of the series is at most 3 exp(-pi^2 CUT) (right) or 3 exp(-4 / CUT) (left)
# times the first: below one minus that, a uniform number accepts whatever the series adds.
SURE_RIGHT = 1.0 - 3.0 * math.exp(-(math.pi**2) * CUT) - 1e-12
SURE_LEFT = 1.0 - 3.0 * math.exp(-4.0 / CUT) - 1e-12


@cache
def right_table() -> FloatArray:
    """Probability that a proposal lies right of `CUT`, tabulated over |psi|.

    Returns
    -------
    (8002,) array: entry j belongs to |psi| = (j - 1) * STEP, so that cubic interpolation at any
    |psi| in [0, `LARGEST`) finds its four neighbours.
    """
    z = np.abs(np.arange(-1, 8001) * STEP) / 2
    rate = np.pi**2 / 8 + z**2 / 2
    log_right = np.log(np.pi / (2 * rate)) - rate * CUT
    root = math.sqrt(CUT)
    log_left = np.log(2) + np.logaddexp(
        -z + log_ndtr((CUT * z - 1) / root), z + log_ndtr(-(CUT * z + 1) / root)
    )
    return np.asarray(1 / (1 + np.exp(log_left - log_right)))


@compiled_part
def _truncated_inverse_gaussian(z: float, rng: np.random.Generator) -> float:
    """Draw from the inverse Gaussian with mean 1/z and shape 1, given that it is below CUT."""
    if z < 1.0 / CUT:
        while True:
            first = rng.standard_exponential()
            second = rng.standard_exponential()
            if first * first > 2.0 * second / CUT:
                continue
            x = CUT / (1.0 + CUT * first) ** 2
            if z == 0.0 or rng.random() < math.exp(-0.5 * z * z * x):
                return x
    mean = 1.0 / z
    while True:
        y = rng.standard_normal() ** 2
        x = mean + 0.5 * mean * mean * y - 0.5 * mean * math.sqrt(4.0 * mean * y + (mean * y) ** 2)
        if rng.random() > mean / (mean + x):
            x = mean * mean / x
        if x < CUT:
            return x


@compiled_part
def polya_gamma(psi: float, table: FloatArray, rng: np.random.Generator) -> float:
    """Draw one omega ~ PG(1, psi).

    Parameters
    ----------
    psi
        Tilting, in log-odds; only its absolute value matters.
    table
        The array made by `right_table`.
    rng
        Source of randomness; its state advances.

    Returns
    -------
    omega; nan where psi is not a finite number
    """
    tilt = abs(psi)
    if not tilt < math.inf:
        return math.nan  # no proposal would ever be accepted; the chain says what to do
    z = 0.5 * tilt
    if tilt < LARGEST:
        place = tilt / STEP
        j = int(place)
        u = place - j
        a, b, c, d = table[j], table[j + 1], table[j + 2], table[j + 3]
        right = (
            -u * (u - 1.0) * (u - 2.0) / 6.0 * a
            + (u + 1.0) * (u - 1.0) * (u - 2.0) / 2.0 * b
            - (u + 1.0) * u * (u - 2.0) / 2.0 * c
            + (u + 1.0) * u * (u - 1.0) / 6.0 * d
        )
    else:
        right = 0.0
    rate = math.pi * math.pi / 8.0 + 0.5 * z * z
    while True:
        if rng.random() < right:
            x = CUT + rng.standard_exponential() / rate
            uniform = rng.random()
            if uniform < SURE_RIGHT:
                return 0.25 * x
            decay = -0.5 * math.pi * math.pi * x
        else:
            x = _truncated_inverse_gaussian(z, rng)
            uniform = rng.random()
            if uniform < SURE_LEFT:
                return 0.25 * x
            decay = -2.0 / x
        total = 1.0
        n = 0
        while True:
            n += 1
            term = (2.0 * n + 1.0) * math.exp(n * (n + 1.0) * decay)
            if n % 2 == 1:
                total -= term
                if uniform <= total:
                    return 0.25 * x
            else:
                total += term
                if uniform > total:
                    break


@compiled
def draw_polya_gamma(psi: FloatArray, omega: FloatArray, table: FloatArray, rng: Any) -> None:
    """Fill `omega` (n,) with independent draws of PG(1, psi), psi (n,) in log-odds."""
    for n in range(psi.size):
        omega[n] = polya_gamma(psi[n], table, rng)


def mean_polya_gamma(psi: FloatArray) -> FloatArray:
    """Mean of PG(1, psi): tanh(psi / 2) / (2 psi)."""
    size = np.maximum(np.abs(psi), 1e-8)
    return np.asarray(np.tanh(size / 2) / (2 * size))
