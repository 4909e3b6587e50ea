"""Scores s_i of a cause that contexts share with weights, given the contexts a user was shown.

    s_i ~ Normal(0, Sigma_between)
    x_n given i ~ Normal(a + s_i, Sigma_within)              numeric contexts
    x_n given i ~ Categories(softmax(a + s_i))               0/1 indicators of a category

Scores are s = mean + root z. With numeric contexts z is Normal(0, I), and depends on the user's
number of comparisons n through

    K = Sigma_between (Sigma_between + Sigma_within / n)^-1
    mean = K (xbar_i - a),   root root' = Sigma_between - K Sigma_between.

With categories, mean is the mode of the density of s given the contexts, root that of its curvature
there (Laplace's approximation), and z has the density ratio r(z) relative to Normal(0, I), r(z)
proportional to p(contexts | s) p(s) / Normal(z; 0, I). Its normalising constant is an importance
sampling estimate over the points of `importance_points`, so that probabilities are exact in the
limit of many points; draws are made from the same points by sampling importance resampling (Rubin
1988).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import logsumexp

from bayes_pref.models.importance_points import importance_points
from bayes_pref.types import FloatArray, IntArray, Samples

_POINTS = 1024  # for the normalising constants of categories and for draws
_STEPS = 60  # of Newton's method, at most; half a dozen is the rule
_DECREMENT = 1e-8  # expected gain of a step, in log density, that ends them


class Scores(NamedTuple):
    """One user's scores mean + root z.

    Attributes
    ----------
    mean, root
        (sample, context) and (sample, context, context), in units of the contexts.
    log_ratio
        Log density of z, whose first coordinates are these, relative to Normal(0, I): from
        (sample, point, r) and the samples meant to (sample, point). None where z is Normal(0, I).
    """

    mean: FloatArray
    root: FloatArray
    log_ratio: Callable[[FloatArray, Samples], FloatArray] | None = None


class ContextScores(ABC):
    """The distribution of every user's scores given their contexts, for each draw."""

    @abstractmethod
    def of_user(self, user: int) -> Scores:
        """Return the distribution of one user's scores."""

    @abstractmethod
    def draw(self, user: int, rng: np.random.Generator) -> FloatArray:
        """Draw scores of one user, (sample, context)."""


@dataclass(frozen=True, eq=False)
class NumericContextScores(ContextScores):
    """Scores given contexts that are numbers: Gaussian, in closed form.

    Attributes
    ----------
    a
        (sample, context)
    between, within
        (sample, context, context): covariances.
    mean
        (user, context): users' mean contexts.
    count
        (user,): their numbers of comparisons.
    """

    a: FloatArray
    between: FloatArray
    within: FloatArray
    mean: FloatArray
    count: IntArray

    def of_user(self, user: int) -> Scores:
        """Return the distribution of one user's scores."""
        noise = self.within / self.count[user]
        share = np.linalg.solve(self.between + noise, self.between).swapaxes(1, 2)
        mean = (share @ (self.mean[user] - self.a)[:, :, None])[:, :, 0]
        # (I - K) Sigma_between = K Sigma_within / n, which does not cancel.
        left = share @ noise
        return Scores(mean, np.linalg.cholesky((left + left.swapaxes(1, 2)) / 2))

    def draw(self, user: int, rng: np.random.Generator) -> FloatArray:
        """Draw scores of one user, (sample, context)."""
        scores = self.of_user(user)
        z = rng.standard_normal(scores.mean.shape)
        return np.asarray(scores.mean + (scores.root @ z[:, :, None])[:, :, 0])


@dataclass(frozen=True, eq=False)
class CategoricalContextScores(ContextScores):
    """Scores given contexts that are indicators of a category: not Gaussian.

    Attributes
    ----------
    a
        (sample, context): log-odds.
    between
        (sample, context, context): root of Sigma_between.
    total
        (user, context): how often each user was shown each category.
    count
        (user,): their numbers of comparisons.
    reference
        Whether there is a category without an indicator, with log-odds 0.
    """

    a: FloatArray
    between: FloatArray
    total: FloatArray
    count: IntArray
    reference: bool

    def of_user(self, user: int) -> Scores:
        """Return the distribution of one user's scores."""
        mode, lower = self._mode(user)
        # s = between v, v = mode + lower'^-1 z, where lower lower' is the curvature in v.
        inverse = np.linalg.inv(lower).swapaxes(1, 2)

        def unnormalised(z: FloatArray, part: Samples) -> FloatArray:
            own = z[..., : mode.shape[1]]
            v = mode[part, None] + own @ inverse[part].swapaxes(1, 2)
            found = self._log_joint(user, v, part) + 0.5 * (own**2).sum(axis=2)
            return np.asarray(found - self._log_joint(user, mode[part, None], part))

        points, log_density = importance_points(mode.shape[1], _POINTS, user)
        at = np.broadcast_to(points, (len(mode), *points.shape))
        weights = unnormalised(at, slice(None)) + _log_normal(points) - log_density
        constant = logsumexp(weights, axis=1, keepdims=True) - np.log(len(points))

        def log_ratio(z: FloatArray, part: Samples) -> FloatArray:
            return np.asarray(unnormalised(z, part) - constant[part])

        mean = (self.between @ mode[:, :, None])[:, :, 0]
        return Scores(mean, self.between @ inverse, log_ratio)

    def draw(self, user: int, rng: np.random.Generator) -> FloatArray:
        """Draw scores of one user, (sample, context)."""
        mean, root, log_ratio = self.of_user(user)
        points, log_density = importance_points(mean.shape[1], _POINTS, int(rng.integers(2**31)))
        at = np.broadcast_to(points, (len(mean), *points.shape))
        log_weight = _log_normal(points) - log_density
        if log_ratio is not None:
            log_weight = log_weight + log_ratio(at, slice(None))
        share = np.exp(log_weight - logsumexp(log_weight, axis=1, keepdims=True))
        below = share.cumsum(axis=1) < rng.random((len(mean), 1))
        z = points[below.sum(axis=1).clip(max=len(points) - 1)]
        return np.asarray(mean + (root @ z[:, :, None])[:, :, 0])

    def _log_joint(self, user: int, v: FloatArray, part: Samples) -> FloatArray:
        """Log density of v (sample, point, context) and the user's contexts, but for a constant."""
        eta = self.a[part, None] + v @ self.between[part].swapaxes(1, 2)
        total = logsumexp(eta, axis=2)
        if self.reference:
            total = np.logaddexp(total, 0.0)
        found = eta @ self.total[user] - self.count[user] * total - 0.5 * (v**2).sum(axis=2)
        return np.asarray(found)

    def _slopes(self, user: int, v: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Gradient (sample, context) and negative curvature of the log density of v."""
        eta = self.a + (self.between @ v[:, :, None])[:, :, 0]
        total = logsumexp(eta, axis=1, keepdims=True)
        p = np.exp(eta - (np.logaddexp(total, 0.0) if self.reference else total))
        pull = (self.total[user] - self.count[user] * p)[:, None] @ self.between
        spread = p[:, :, None] * np.eye(p.shape[1]) - p[:, :, None] * p[:, None]
        curvature = self.between.swapaxes(1, 2) @ spread @ self.between
        return pull[:, 0] - v, np.eye(p.shape[1]) + self.count[user] * curvature

    def _mode(self, user: int) -> tuple[FloatArray, FloatArray]:
        """Mode (sample, context) of v, and the Cholesky factor of the negative curvature there."""
        v = np.zeros_like(self.a)
        current = self._log_joint(user, v[:, None], slice(None))[:, 0]
        gradient, precision = self._slopes(user, v)
        for _ in range(_STEPS):
            step = np.linalg.solve(precision, gradient[:, :, None])[:, :, 0]
            if (step * gradient).sum(axis=1).max() < _DECREMENT:
                break
            length = np.ones(len(v))
            # The density is log-concave, so that a step short enough raises it.
            for _ in range(_STEPS):
                ahead = self._log_joint(user, (v + length[:, None] * step)[:, None], slice(None))
                worse = ahead[:, 0] < current - 1e-9
                if not worse.any():
                    break
                length[worse] /= 2.0
            v, current = v + length[:, None] * step, ahead[:, 0]
            gradient, precision = self._slopes(user, v)
        return v, np.asarray(np.linalg.cholesky(precision))


def _log_normal(z: FloatArray) -> FloatArray:
    """Log density of Normal(0, I) at points (..., r)."""
    return np.asarray(-0.5 * (z**2).sum(axis=-1) - 0.5 * z.shape[-1] * np.log(2 * np.pi))
