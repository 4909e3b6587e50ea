"""Mode and curvature of the integrand over a user's weights: Gaussian prior times logistic choices.

With eta = b + A z and z ~ Normal(0, I), the log density of z given the choices has the gradient
A' u - z and minus its second derivatives are I + A' W A, where u and W are those of the log
likelihood with respect to eta: for choices between two W = diag(p (1 - p)), for stages
diag(g) - g g' within each stage (`stage_choices`). W is never formed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import expit

from bayes_pref.models.choice.stage_choices import (
    log_stages,
    others,
    stage_information,
    stage_starts,
)
from bayes_pref.types import FloatArray, IntArray

_STEPS = 60  # most Newton steps; about six are usual
_DECREMENT = 1e-3  # expected gain of a step, in log density, at which Newton's method stops


class LogisticChoices(NamedTuple):
    """Choices of one user, and how their log probability changes with eta (sample, row).

    Attributes
    ----------
    choice
        (row,) 1 left, 0 right, or between; of a stage 0 in the row of what is chosen instead.
    stage
        (row,) nondecreasing codes of the rows' stages; None: choices between two.

    Examples
    --------
    >>> pair = LogisticChoices(np.ones(1)).slopes(np.zeros((1, 1)))[0]
    >>> stage = LogisticChoices(np.ones(1), np.zeros(1, dtype=int)).slopes(np.zeros((1, 1)))[0]
    >>> pair.item(), stage.item()
    (0.5, 0.5)
    """

    choice: FloatArray
    stage: IntArray | None = None

    def log_likelihood(self, eta: FloatArray) -> FloatArray:
        """Log probability of all choices, (sample,)."""
        if self.stage is None:
            return np.asarray((self.choice * eta - np.logaddexp(0.0, eta)).sum(axis=1))
        return np.asarray(log_stages(eta.T, self.stage, self.choice).sum(axis=0))

    def slopes(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient u (sample, row), and probabilities (sample, row) that W is made of."""
        if self.stage is None:
            left = expit(eta)
            return self.choice - left, left
        other = others(eta.T, self.stage).T
        return other + self.choice - 1.0, other

    def information(self, chance: FloatArray, design: FloatArray) -> FloatArray:
        """A' W A, (sample, r, r), of designs A (sample, row, r)."""
        if self.stage is None:
            weighted = design * (chance * (1.0 - chance))[:, :, None]
            return np.asarray(design.swapaxes(1, 2) @ weighted)
        return stage_information(chance.T, design.swapaxes(0, 1), self.stage)

    def curved(self, chance: FloatArray, shift: FloatArray) -> FloatArray:
        """W v, (sample, row), of shifts v of eta (sample, row)."""
        if self.stage is None:
            return chance * (1.0 - chance) * shift
        pulled = np.add.reduceat(chance * shift, stage_starts(self.stage), axis=1)
        return np.asarray(chance * (shift - pulled[:, self.stage]))


def expanded_mode(
    choices: LogisticChoices, centre: FloatArray, design: FloatArray, eta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mode (sample, r) of z and precision there, of the likelihood expanded at one eta (row,).

    Parameters
    ----------
    choices
        The user's choices.
    centre, design
        b (sample, row) and A (sample, row, r).
    eta
        Where the log likelihood is expanded to second order.
    """
    gradient, chance = choices.slopes(eta[None])
    pull = gradient - choices.curved(chance, centre - eta)
    precision = choices.information(chance, design) + np.eye(design.shape[2])
    towards = (pull[:, None] @ design)[:, 0]
    return np.asarray(np.linalg.solve(precision, towards[:, :, None])[:, :, 0]), precision


def newton_mode(
    choices: LogisticChoices, centre: FloatArray, design: FloatArray, z: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mode (sample, r) of z, and the precision (sample, r, r) there, by Newton's method from z.

    Parameters
    ----------
    choices, centre, design
        As for `expanded_mode`.
    z
        (sample, r) where the search begins.

    Examples
    --------
    >>> one = LogisticChoices(np.ones(1))
    >>> mode, _ = newton_mode(one, np.zeros((1, 1)), np.ones((1, 1, 1)), np.zeros((1, 1)))
    >>> bool(abs(mode[0, 0] - 1.0 / (1.0 + np.exp(mode[0, 0]))) < 0.01)  # slope and prior balance
    True
    """

    def at(z: FloatArray) -> FloatArray:
        return np.asarray(centre + (design @ z[:, :, None])[:, :, 0])

    def loss(z: FloatArray) -> FloatArray:
        return np.asarray(0.5 * (z**2).sum(axis=1) - choices.log_likelihood(at(z)))

    def slopes(z: FloatArray) -> tuple[FloatArray, FloatArray]:
        gradient, chance = choices.slopes(at(z))
        precision = choices.information(chance, design) + np.eye(z.shape[1])
        return z - (gradient[:, None] @ design)[:, 0], precision

    current = loss(z)
    gradient, precision = slopes(z)
    for _ in range(_STEPS):
        step = -np.linalg.solve(precision, gradient[:, :, None])[:, :, 0]
        if (-step * gradient).sum(axis=1).max() < _DECREMENT:
            break
        length = np.ones(len(z))
        # The loss is convex: a short enough step reduces it.
        for _ in range(_STEPS):
            ahead = loss(z + length[:, None] * step)
            worse = ahead > current + 1e-9
            if not worse.any():
                break
            length[worse] /= 2.0
        z = z + length[:, None] * step
        current = ahead
        gradient, precision = slopes(z)
    return z, precision
