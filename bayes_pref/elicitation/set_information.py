"""What the answer to "which of these k" is expected to tell, weights being Gaussian.

With p_y(w) the probability that alternative y of features x_y is chosen, P_y its mean over
w ~ Normal(m, V) and

    h_y = E[grad p_y] = E[p_y (x_y - sum_j p_j x_j)],

Stein's identity gives E[w | y] - m = V h_y / P_y. The answer is therefore expected to remove

    sum_y (c' h_y)^2 / P_y

of the variance of any quantity that is jointly Gaussian with w, where c is its covariance with w.
For two alternatives this is what `answer_information` has. What is left to compute are expectations
over w, by quasi-random points that are the same for all sets and users. Errors are 1 to 2 % (rms)
up to standard deviations of rewards of 2, 3 to 4 % up to 3, and 8 % up to 9.

With H of columns h_y / sqrt(P_y), an observation of H'w of precision (I - H'VH)^-1 removes as much,
so that a belief can be updated by k - 1 answers of rank one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import entr, ndtri
from scipy.stats import qmc

from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, Mask

POINTS = 128  # a power of two; half of them are the others' mirror images
_LEAST = 1e-10


@dataclass(frozen=True, eq=False)
class SetAnswers:
    """Expectations over users' weights, of c sets for u users.

    Attributes
    ----------
    chance
        (u, c, k) P_y.
    slope
        (u, c, k, d) h_y.
    mutual
        (u, c) mutual information of the answer and the weights, nats; None: it was not asked for.
    """

    chance: FloatArray
    slope: FloatArray
    mutual: FloatArray | None

    def removed(self, form: FloatArray) -> FloatArray:
        """(u, c) sum over answers of h_y' F h_y / P_y, for forms (u, d, d)."""
        along = (self.slope @ form[:, None]) * self.slope
        return np.asarray((along.sum(axis=3) / self.chance).sum(axis=2))


@dataclass(frozen=True, eq=False)
class SetInformation:
    """How choices from several depend on weights.

    Attributes
    ----------
    lapse
        Probability that an answer is random.
    """

    lapse: float = 0.0

    @classmethod
    def of(cls, posterior: Posterior) -> Self:
        """Read it from a posterior's choice model, at the mean of its parameters."""
        found = posterior.draws.get("lapse")
        return cls(0.0 if found is None else float(found.mean()))

    def answers(
        self,
        alternatives: FloatArray,
        there: Mask,
        mean: FloatArray,
        covariance: FloatArray,
        *,
        mutual: bool = True,
    ) -> SetAnswers:
        """Return expectations over weights Normal(mean, covariance).

        Parameters
        ----------
        alternatives, there
            (c, k, d) features, up to what a set has in common; and (c, k) which there are.
        mean, covariance
            (u, d) and (u, d, d).
        mutual
            Whether mutual information is needed, which takes most of the time.

        Examples
        --------
        >>> import numpy as np
        >>> sets, there = np.array([[[0.5], [-0.5]]]), np.ones((1, 2), dtype=bool)
        >>> found = SetInformation().answers(sets, there, np.zeros((1, 1)), np.ones((1, 1, 1)))
        >>> found.removed(np.ones((1, 1, 1))).round(2), found.mutual.round(2)
        (array([[0.17]]), array([[0.09]]))
        """
        count, k, d = alternatives.shape
        values, vectors = np.linalg.eigh(covariance)
        root = vectors * np.sqrt(values.clip(0.0))[:, None, :]
        weights = mean[:, :, None] + root @ _points(d).T  # (user, feature, point)
        # In single precision, whose errors are far below those of so few points.
        rows = alternatives.reshape(-1, d).astype(np.float32)
        eta = (rows @ weights.astype(np.float32)).reshape(-1, count, k, POINTS)
        eta[:, ~there] = -np.inf
        eta -= eta.max(axis=2, keepdims=True)
        chosen = np.exp(eta)
        chosen /= chosen.sum(axis=2, keepdims=True)
        size = there.sum(axis=1, keepdims=True)
        kept = 1.0 - self.lapse
        mean_chosen = chosen.mean(axis=3, dtype=np.float64)
        together = (chosen @ chosen.swapaxes(2, 3)).astype(np.float64) / POINTS
        slope = kept * (mean_chosen[..., None] * alternatives - together @ alternatives)
        chance = kept * mean_chosen + self.lapse * there / size
        told = None
        if mutual:
            known = kept * chosen + (self.lapse * there / size)[..., None]
            told = entr(chance).sum(axis=2) - entr(known).sum(axis=2).mean(axis=2)
            told = told.clip(0.0)
        return SetAnswers(np.maximum(chance, 1e-300), slope, told)


def as_observations(
    chance: FloatArray, slope: FloatArray, covariance: FloatArray
) -> list[tuple[FloatArray, float]]:
    """Directions (d,) and precisions of observations of w that remove what an answer does.

    Parameters
    ----------
    chance, slope
        (k,) and (k, d) of one set and user.
    covariance
        (d, d) of that user's weights.

    Examples
    --------
    >>> import numpy as np
    >>> [(direction, precision)] = as_observations(
    ...     np.full(2, 0.5), np.array([[0.2], [-0.2]]), np.ones((1, 1))
    ... )
    >>> left = 1 / (1 + precision * direction[0] ** 2)
    >>> round(float(1 - left), 3)  # of the variance: 2 * 0.2^2 / 0.5
    0.16
    """
    columns = (slope / np.sqrt(chance)[:, None]).T
    shares, turn = np.linalg.eigh(columns.T @ covariance @ columns)
    directions = (columns @ turn).T
    some = shares > _LEAST
    precision = 1.0 / (1.0 - shares[some].clip(max=1.0 - 1e-9))
    return list(zip(directions[some], precision.tolist(), strict=True))


def _points(d: int) -> FloatArray:
    """(point, d) standard normal points whose mean is 0."""
    even = qmc.Sobol(d, scramble=True, rng=0).random(POINTS // 2)
    half = ndtri(even.clip(1e-12, 1.0 - 1e-12))
    points = np.concatenate([half, -half])
    return np.asarray(points / points.std(axis=0))
