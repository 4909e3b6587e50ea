"""Exposure axes: coordinates of contexts in which users are told apart by what they see.

Contexts are described along axes in which they are uncorrelated, with variance 1, of which a share
lambda lies between users and 1 - lambda within users (a one-way analysis of variance). A user's
exposure s on an axis is Normal(0, lambda), each of their contexts Normal(s, 1 - lambda). Given the
mean of n contexts, s is Normal(r mean, lambda (1 - r)) with
r = lambda / (lambda + (1 - lambda) / n).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.models.regressors import mean_contexts
from bayes_pref.types import FloatArray, Mask

_AXES = 8  # most axes: with a few hundred users, more would fit noise


@dataclass(frozen=True, eq=False)
class ExposureAxes:
    """What users see, along axes in which contexts are uncorrelated with variance 1.

    Attributes
    ----------
    centre
        (q,) of the contexts, raw units.
    axes
        (q, r) from centred contexts to coordinates; r = 0 where no context varies.
    between
        (r,) lambda, share of each axis' variance that lies between users, in descending order.
    mean
        (u, r) mean coordinates of each user's contexts.
    counts
        (u,) number of these contexts.
    """

    centre: FloatArray
    axes: FloatArray
    between: FloatArray
    mean: FloatArray
    counts: FloatArray

    @classmethod
    def of(cls, comparisons: Comparisons) -> ExposureAxes:
        """Describe the contexts of comparisons."""
        context, means = comparisons.context, mean_contexts(comparisons)
        counts = comparisons.counts.astype(np.float64)
        n, u = len(comparisons), comparisons.n_users
        centre = context.mean(axis=0)
        spread = context.std(axis=0)
        # The mean of equal numbers can differ from them by rounding.
        varies = spread > 1e-9 * np.abs(context).max(axis=0, initial=0.0)
        leading = np.where(varies, 1.0 / np.where(varies, spread, 1.0), 0.0)[:, None] * _leading(
            (context - centre)[:, varies] / spread[varies], varies
        )
        within = (context - means[comparisons.user]) @ leading
        apart = (means - centre) @ leading
        if u < 2 or n == u or not leading.size:
            nothing = leading[:, :0]
            return cls(centre, nothing, np.empty(0), means @ nothing, counts)
        inside = within.T @ within / (n - u)
        typical = (n - (counts**2).sum() / n) / (u - 1)
        outside = ((apart * counts[:, None]).T @ apart / (u - 1) - inside) / typical
        values, vectors = np.linalg.eigh(outside)
        outside = (vectors * values.clip(0.0)) @ vectors.T
        between, turned = relative_shares(outside, inside + outside)
        axes = leading @ turned
        return cls(centre, axes, between.clip(0.0, 1.0), (means - centre) @ axes, counts)

    def coordinates(self, context: FloatArray) -> FloatArray:
        """Return the coordinates (n, r) of contexts (n, q)."""
        return np.asarray((context - self.centre) @ self.axes)

    def posterior(self, mean: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the posterior mean and variance (k, r) of exposures.

        Parameters
        ----------
        mean
            (k, r) mean coordinates of the contexts of k users.
        counts
            (k,) number of these contexts.
        """
        noise = (1.0 - self.between) / np.maximum(counts, 1.0)[:, None]
        total = self.between + noise
        share = np.where(total > 0, self.between / np.where(total > 0, total, 1.0), 0.0)
        share = np.where(counts[:, None] > 0, share, 0.0)
        return share * mean, self.between * (1.0 - share)

    @property
    def reliability(self) -> FloatArray:
        """(r,) share of the variance of users' mean contexts that lies between users."""
        noise = (1.0 - self.between) / np.median(self.counts)
        return np.asarray(self.between / np.maximum(self.between + noise, 1e-300))


def _leading(scaled: FloatArray, varies: Mask) -> FloatArray:
    """(q, r) leading principal directions of the contexts that vary; 0 for those that do not."""
    if not scaled.shape[1]:
        return np.zeros((len(varies), 0))
    values, vectors = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    kept = np.flatnonzero(values > 1e-9 * values[-1])[::-1][:_AXES]
    leading = np.zeros((len(varies), kept.size))
    leading[varies] = vectors[:, kept]
    return leading


def relative_shares(part: FloatArray, whole: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shares of a variance in another, in descending order, and their directions.

    Along each direction `whole` is 1 and `part` is the share.
    """
    values, vectors = np.linalg.eigh(whole)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    white = vectors[:, kept] / np.sqrt(values[kept])
    shares, turned = np.linalg.eigh(white.T @ part @ white)
    return shares[::-1], (white @ turned)[:, ::-1]
