"""Mode and curvature of the integrand over a user's weights: Gaussian prior times choices.

With eta = b + A z and z ~ Normal(0, I), the log density of z given the choices has the gradient A'
u - z and minus its second derivatives are I + A' W A, where u and W are those of the log likelihood
with respect to eta: for choices between two W = diag(p (1 - p)), for stages diag(g) - g g' within
each stage (`stage_choices`). W is never formed. Of other choice models W is what it is, but where a
lapse rate bends the log likelihood upwards it counts as 0. Where weights have a sign, eta is no
linear function of z (`SignedEta`), and its own curvature is added where it is positive.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
from scipy.special import expit

from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.models.choice.stage_choices import (
    log_stages,
    others,
    stage_information,
    stage_starts,
)
from bayes_pref.models.signs import Signs
from bayes_pref.types import FloatArray, IntArray, Samples

_STEPS = 60  # most Newton steps; about six are usual
_DECREMENT = 1e-3  # expected gain of a step, in log density, at which Newton's method stops
_FAR = 1e100  # largest size of a weight


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

    def take(self, part: Samples) -> LogisticChoices:
        """Return those of some samples, which have no parameters."""
        return self

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


class RowwiseChoices(NamedTuple):
    """Choices of one user, each row by itself, of a choice model with parameters.

    Attributes
    ----------
    distribution
        Of the choice model, at the samples.
    choice
        (row,) as `Comparisons.choice` has them.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> ties = RowwiseChoices(bp.Logit(ties=True).at(tie=np.zeros(1)), np.array([0.5]))
    >>> [each.item() for each in ties.slopes(np.zeros((1, 1)))]  # flat at equals, and concave
    [0.0, 0.16666666666666666]
    """

    distribution: ChoiceDistribution
    choice: FloatArray

    def take(self, part: Samples) -> RowwiseChoices:
        """Return those of some samples."""
        return self._replace(distribution=self.distribution.take(part))

    def log_likelihood(self, eta: FloatArray) -> FloatArray:
        """Log probability of all choices, (sample,)."""
        return np.asarray(self.distribution.log_likelihood(eta.T, self.choice).sum(axis=0))

    def slopes(self, eta: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient u and curvature W, (sample, row), of one eta (1, row) or of each sample's."""
        # A choice model without parameters, such as the probit, is the same at all samples.
        samples = max(self.distribution.n_samples, len(eta))
        wide = np.broadcast_to(eta.T, (len(self.choice), samples)).copy()
        _, gradient, curvature = self.distribution.derivatives(wide, self.choice)
        return gradient.T, (-curvature.T).clip(0.0)

    def information(self, curvature: FloatArray, design: FloatArray) -> FloatArray:
        """A' W A, (sample, r, r), of designs A (sample, row, r)."""
        return np.asarray(design.swapaxes(1, 2) @ (design * curvature[:, :, None]))

    def curved(self, curvature: FloatArray, shift: FloatArray) -> FloatArray:
        """W v, (sample, row), of shifts v of eta (sample, row)."""
        return curvature * shift


Choices: TypeAlias = LogisticChoices | RowwiseChoices


class LinearEta(NamedTuple):
    """Log-odds eta = b + A z of one user's rows.

    Attributes
    ----------
    centre, design
        b (sample, row) and A (sample, row, r).
    """

    centre: FloatArray
    design: FloatArray

    @property
    def size(self) -> int:
        """Number r of directions along which eta varies."""
        return self.design.shape[2] if self.design.any() else 0

    def take(self, part: Samples) -> LinearEta:
        """Return those of some samples."""
        return LinearEta(self.centre[part], self.design[part])

    def at(self, z: FloatArray) -> FloatArray:
        """Eta (sample, point, row) at z (sample, point, r)."""
        return (self.centre[:, :, None] + self.design @ z.swapaxes(1, 2)).swapaxes(1, 2)

    def slopes(self, z: FloatArray, pull: FloatArray) -> tuple[FloatArray, FloatArray | float]:
        """Derivatives of eta (sample, row, r) at z (sample, r), and curvature that they add.

        Parameters
        ----------
        pull
            (sample, row): gradient of the log likelihood with respect to eta.
        """
        return self.design, 0.0


class SignedEta(NamedTuple):
    """Log-odds of one user's rows, of whose weights some have a sign: X w(m + F z).

    Attributes
    ----------
    rows
        X (row, feature).
    mean, factor
        m (sample, feature) and F (sample, feature, r), of v in `Signs`.
    signs
        Which weights have a sign.
    """

    rows: FloatArray
    mean: FloatArray
    factor: FloatArray
    signs: Signs

    @property
    def size(self) -> int:
        """Number r of directions along which eta varies."""
        return int(self.factor.shape[2])

    @property
    def centre(self) -> FloatArray:
        """Eta (sample, row) at z = 0."""
        return np.asarray(self.signs.weights(self.mean) @ self.rows.T)

    def take(self, part: Samples) -> SignedEta:
        """Return those of some samples."""
        return self._replace(mean=self.mean[part], factor=self.factor[part])

    def at(self, z: FloatArray) -> FloatArray:
        """Eta (sample, point, row) at z (sample, point, r)."""
        v = self.mean[:, None] + z @ self.factor.swapaxes(1, 2)
        with np.errstate(over="ignore"):  # far out, where the prior is nothing
            return np.asarray(self.signs.weights(v).clip(-_FAR, _FAR) @ self.rows.T)

    def slopes(self, z: FloatArray, pull: FloatArray) -> tuple[FloatArray, FloatArray | float]:
        """Derivatives of eta (sample, row, r) at z (sample, r), and curvature that they add."""
        v = self.mean + (self.factor @ z[:, :, None])[:, :, 0]
        with np.errstate(over="ignore"):
            slope = np.where(self.signs.on, self.signs.weights(v), 1.0).clip(-_FAR, _FAR)
        bent = np.where(self.signs.on, -slope * (pull @ self.rows), 0.0).clip(0.0, _FAR)
        along = slope[:, :, None] * self.factor
        return self.rows @ along, self.factor.swapaxes(1, 2) @ (bent[:, :, None] * self.factor)


def expanded_mode(
    choices: Choices, linear: LinearEta, eta: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mode (sample, r) of z and precision there, of the likelihood expanded at one eta (row,).

    Parameters
    ----------
    choices
        The user's choices.
    linear
        Eta as a function of z.
    eta
        Where the log likelihood is expanded to second order.
    """
    centre, design = linear
    gradient, chance = choices.slopes(eta[None])
    pull = gradient - choices.curved(chance, centre - eta)
    precision = choices.information(chance, design) + np.eye(design.shape[2])
    towards = (pull[:, None] @ design)[:, 0]
    return np.asarray(np.linalg.solve(precision, towards[:, :, None])[:, :, 0]), precision


def newton_mode(
    choices: Choices, eta: LinearEta | SignedEta, z: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Mode (sample, r) of z, and the precision (sample, r, r) there, by Newton's method from z.

    Parameters
    ----------
    choices, eta
        The user's choices, and eta as a function of z.
    z
        (sample, r) where the search begins.

    Examples
    --------
    >>> one, line = LogisticChoices(np.ones(1)), LinearEta(np.zeros((1, 1)), np.ones((1, 1, 1)))
    >>> mode, _ = newton_mode(one, line, np.zeros((1, 1)))
    >>> bool(abs(mode[0, 0] - 1.0 / (1.0 + np.exp(mode[0, 0]))) < 0.01)  # slope and prior balance
    True
    """

    def loss(z: FloatArray) -> FloatArray:
        found = 0.5 * (z**2).sum(axis=1) - choices.log_likelihood(eta.at(z[:, None])[:, 0])
        return np.asarray(found)

    def slopes(z: FloatArray) -> tuple[FloatArray, FloatArray]:
        gradient, chance = choices.slopes(eta.at(z[:, None])[:, 0])
        design, bent = eta.slopes(z, gradient)
        precision = choices.information(chance, design) + np.eye(z.shape[1]) + bent
        return z - (gradient[:, None] @ design)[:, 0], precision

    current = loss(z)
    gradient, precision = slopes(z)
    for _ in range(_STEPS):
        step = -np.linalg.solve(precision, gradient[:, :, None])[:, :, 0]
        if (-step * gradient).sum(axis=1).max() < _DECREMENT:
            break
        length = np.ones(len(z))
        # The step is one of descent: a short enough one reduces the loss.
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
