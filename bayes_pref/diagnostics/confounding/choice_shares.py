"""Shares of a population that choose: E P(choice | w) over weights w that are Gaussian.

Between two, P depends on d . w alone, and the expectation is an integral over one normal variable.
From a set of k alternatives it is an integral over k - 1, for which users are simulated:
quasi-random points, the same for all sets and for p_do and p_obs, and shifted at random from draw
to draw, so that errors cancel in the shift and average out over draws. With x_a - mean of the
others in the rows, P(a) = softmax over the set of (k - 1) / k d . w.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import xarray as xr
from scipy.special import ndtri
from scipy.stats import qmc

from bayes_pref.diagnostics.query import Query
from bayes_pref.draws import evenly_spaced
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray

_USERS = 64  # simulated in each draw
_BLOCK = 2**22  # values of simulated users held at once
# Two values of mean 0 and third cumulant 1: their variance, the rarer one's probability, and both.
_SKEWED = 0.3125
_RARE = 0.5 - 0.5 / np.sqrt(1 + 4 * _SKEWED**3)
_FAR, _NEAR = (np.sqrt(_SKEWED * odds) for odds in ((1 - _RARE) / _RARE, _RARE / (1 - _RARE)))
_MOST_SKEWED = 0.9  # of the variance


class _Spread(Protocol):
    def spread(self, variance: FloatArray) -> FloatArray:
        """(draw, d, d) covariance of the weights where regressors have this variance."""


def choices_of_pairs(
    posterior: Posterior, draws: xr.Dataset, kept: IntArray | None = None
) -> ChoiceDistribution:
    """Return the distribution of choices at some of the draws, without position bias."""
    choice_model = posterior.model.choice_model(posterior.comparisons)
    found = choice_model.distribution(draws, posterior.comparisons.outcome).parameters
    if kept is None:
        kept = evenly_spaced(draws.sizes["chain"] * draws.sizes["draw"], 2**31)
    return choice_model.at(**{k: v[..., kept] for k, v in found.items() if k != "position"})


def expected_preferred(
    choices: ChoiceDistribution, mean: FloatArray, variance: FloatArray
) -> FloatArray:
    """Return E P(left preferred) over Gaussian eta whose first axis is the draw."""
    found = choices.expected_preferred(np.moveaxis(mean, 0, -1), np.moveaxis(variance, 0, -1))
    return np.moveaxis(found, -1, 0)


def quasi_random_users(users: int, d: int, draws: int) -> FloatArray:
    """Standard normal points, (draw, d, user): a Sobol sequence, shifted in every draw anew.

    The number of users is a power of two.

    Examples
    --------
    >>> points = quasi_random_users(64, 2, 10)
    >>> points.shape, bool(abs(points.mean()) < 0.05), bool(abs(points.std() - 1) < 0.05)
    ((10, 2, 64), True, True)
    """
    even = qmc.Sobol(d, scramble=False).random(users).T
    shift = np.random.default_rng(0).random((draws, d, 1))
    inside = (even + shift) % 1.0
    return np.asarray(ndtri(inside.clip(1e-12, 1.0 - 1e-12)))


def softmax_of_sets(eta: FloatArray, code: IntArray) -> FloatArray:
    """Probabilities of the alternatives of sets.

    Parameters
    ----------
    eta
        (draw, row, user) rewards minus the mean of those of the others of the set.
    code
        (row,) nondecreasing codes of the sets.
    """
    first = np.flatnonzero(np.diff(code, prepend=code[:1] - 1))
    size = np.diff(np.append(first, len(code)))
    place = np.repeat(np.arange(len(first)), size)
    scaled = eta * ((size - 1.0) / size)[place, None].astype(eta.dtype)
    scaled -= np.maximum.reduceat(scaled, first, axis=1)[:, place]
    np.exp(scaled, out=scaled)
    scaled /= np.add.reduceat(scaled, first, axis=1)[:, place]
    return scaled


@dataclass(frozen=True, eq=False)
class ChoiceShares:
    """Probabilities that the rows of a query are chosen, by draw.

    Attributes
    ----------
    choices
        Distribution of choices between two at the draws.
    query
        The rows.
    points
        (draw, d, user) simulated users; None where no set has more than two alternatives.
    others
        (draw, m, user) more standard normals of the same users, for what is not Gaussian.
    """

    choices: ChoiceDistribution
    query: Query
    points: np.ndarray[Any, np.dtype[np.float32]] | None
    others: FloatArray | None = None

    @classmethod
    def of(
        cls, choices: ChoiceDistribution, query: Query, draws: int, others: int = 0
    ) -> ChoiceShares:
        """Simulate users for as many draws, where the query needs them."""
        if not (query.sizes > 2).any():
            return cls(choices, query, None)
        d = query.difference.shape[1]
        points = quasi_random_users(_USERS, d + others, draws)
        more = points[:, d:] if others else None
        return cls(choices, query, points[:, :d].astype(np.float32), more)

    def factor(self, population: _Spread, variance: FloatArray) -> FloatArray | None:
        """Return a square root (draw, d, d) of the weights' covariance, if users are simulated."""
        return None if self.points is None else root(population.spread(variance))

    def blocks(self, rows: int) -> Iterator[slice]:
        """Yield slices of about so many rows, of whole sets."""
        task, n = self.query.task, len(self.query)
        if self.points is not None:
            draws, d, users = self.points.shape
            rows = min(rows, _BLOCK // (draws * max(users, d)))
        start = 0
        while start < n:
            stop = min(start + max(1, rows), n)
            if task is not None:
                stop = int(np.searchsorted(task, task[stop - 1], side="right"))
            yield slice(start, stop)
            start = stop

    def chosen(
        self,
        part: slice,
        centre: FloatArray,
        variance: FloatArray,
        factor: FloatArray | None,
        third: FloatArray | None = None,
        away: FloatArray | None = None,
    ) -> FloatArray:
        """Probability that each row is chosen, (draw, row).

        Parameters
        ----------
        part
            The rows: whole sets.
        centre, variance
            (draw, row) mean and variance of d . w.
        factor
            As `factor` returns it.
        third
            (draw, row) third cumulant of d . w; None: it is Gaussian.
        away
            (draw, row, user): what else is added to the rewards of the simulated users.
        """
        if factor is None or self.points is None:
            return self._of_two(centre, variance, third)
        several = np.flatnonzero(self.query.sizes[part] > 2)
        out = np.empty_like(centre)
        two = np.setdiff1d(np.arange(centre.shape[1]), several)
        bent = None if third is None else third[:, two]
        out[:, two] = self._of_two(centre[:, two], variance[:, two], bent)
        if several.size:
            assert self.query.task is not None  # or no set had several
            own = (self.query.difference[part][several] @ factor).astype(np.float32)
            eta = own @ self.points
            if away is not None:
                eta += away[:, several].astype(np.float32)
            eta += centre[:, several, None].astype(np.float32)
            chance = softmax_of_sets(eta, self.query.task[part][several])
            mean = chance.mean(axis=2, dtype=np.float64)
            out[:, several] = lapsed_sets(mean, self.query.sizes[part][several], self.choices)
        return out

    def _of_two(
        self, centre: FloatArray, variance: FloatArray, third: FloatArray | None
    ) -> FloatArray:
        """Probability of the first of two, from the cumulants of d . w.

        With a third cumulant d . w is taken for a Gaussian plus one of two values, which have that
        cumulant; their variance is such that the fourth is right, too, where the skewness is that
        of a squared Gaussian.
        """
        if third is not None:
            size = np.cbrt(third)
            most = np.sqrt(_MOST_SKEWED * variance / _SKEWED)
            size = np.clip(size, -most, most)
            rest = variance - _SKEWED * size**2
            near = self._of_two(centre - _NEAR * size, rest, None)
            far = self._of_two(centre + _FAR * size, rest, None)
            return np.asarray((1 - _RARE) * near + _RARE * far)
        return expected_preferred(self.choices, centre, variance)


def lapsed_sets(chance: FloatArray, sizes: IntArray, choices: ChoiceDistribution) -> FloatArray:
    """Mix probabilities (draw, row, ...) of alternatives of sets of `sizes` (row,) with lapses."""
    lapse = choices.parameters.get("lapse")
    if lapse is None:
        return chance
    gaps = [1] * (chance.ndim - 2)
    lapse, even = lapse.reshape(-1, 1, *gaps), (1.0 / sizes).reshape(-1, *gaps)
    return np.asarray((1.0 - lapse) * chance + lapse * even)


def root(covariance: FloatArray) -> FloatArray:
    """Square roots F with F F' the covariance (..., d, d), which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(values.clip(0.0))[..., None, :])
