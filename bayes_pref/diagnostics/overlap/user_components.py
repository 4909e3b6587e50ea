"""Who is like whom: what users are shown, and components of users by choices and exposure together.

Contexts are described along axes in which they are uncorrelated, with variance 1, of which a share
lambda lies between users and 1 - lambda within (a one-way analysis of variance). A user's place s
on an axis is Normal(0, lambda), each context they are shown Normal(s, 1 - lambda); given the mean
of n of them, s is Normal(r mean, lambda (1 - r)) with r = lambda / (lambda + (1 - lambda) / n).

Mixture are components of a normal mixture over users, described by their weights and their exposure.
Both are posterior means, so users of whom little is known stand near the middle, between components;
and only directions in which users were told apart (reliability above 0.3) enter. Mixture differ in
their means and share one covariance: a population that varies continuously, with weights and
exposure correlated, is one component however unequal the users' numbers of comparisons. Schwarz's
criterion (BIC) chooses how many: one more where the evidence for it is very strong, since a normal
sample alone passes for two components now and then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.data.table import FloatArray
from bayes_pref.models.regressors import mean_contexts
from bayes_pref.posterior import Posterior

_AXES = 8  # axes of context: more would be fitted to noise at a few hundred users
_RELIABLE = 0.3  # share of the variance of what is known of users that is not uncertainty
_DESCRIBED_BY = 4  # at most so many directions of weights, and of exposure
_DRAWS = 400  # draws for the users' covariances, which need no more
_EACH = 10  # users a component, at least
_MOST = 4  # components
_STRONG = 10.0  # fall of the criterion that is very strong evidence (Kass & Raftery 1995)
_FITTED_TO = 5000  # users: a mixture of a few components is known well enough from these


@dataclass(frozen=True, eq=False)
class Exposure:
    """What users are shown, along axes in which contexts are uncorrelated with variance 1.

    Attributes
    ----------
    centre
        (q,) of the contexts, raw units.
    axes
        (q, r) from centred contexts to coordinates; r = 0 where no context varies.
    between
        (r,) lambda, share of each axis' variance that lies between users, falling.
    mean
        (u, r) mean coordinates of what each user was shown.
    counts
        (u,) how many contexts that is.
    """

    centre: FloatArray
    axes: FloatArray
    between: FloatArray
    mean: FloatArray
    counts: FloatArray

    @classmethod
    def of(cls, comparisons: Comparisons) -> Exposure:
        """Describe the contexts of comparisons."""
        context, means = comparisons.context, mean_contexts(comparisons)
        counts = comparisons.counts.astype(np.float64)
        n, u = len(comparisons), comparisons.n_users
        centre = context.mean(axis=0)
        spread = context.std(axis=0)
        # Means of equal numbers differ by rounding.
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
        between, turned = _relative(outside, inside + outside)
        axes = leading @ turned
        return cls(centre, axes, between.clip(0.0, 1.0), (means - centre) @ axes, counts)

    def coordinates(self, context: FloatArray) -> FloatArray:
        """(n, r) contexts (n, q) along the axes."""
        return np.asarray((context - self.centre) @ self.axes)

    def place(self, mean: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Posterior mean and variance (k, r) of users' places, from means of so many contexts."""
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


def user_components(
    posterior: Posterior, exposure: Exposure, components: int | None, seed: int
) -> FloatArray:
    """Find components of users.

    Parameters
    ----------
    posterior
        Of the users' weights.
    exposure
        What the users were shown.
    components
        How many; None: as many as the criterion finds, at most one for each 10 users.
    seed
        Of the starts of the mixture.

    Returns
    -------
    probabilities: (u, k) that each user is of each component, components by falling share
    """
    described = np.hstack([_weights(posterior), _shown(exposure)])
    described = described[:, described.std(axis=0) > 0]
    u = len(described)
    most = min(_MOST, u // _EACH)
    if not described.shape[1] or components == 1 or (components is None and most < 2):
        return np.ones((u, 1))
    from sklearn.mixture import GaussianMixture  # takes a second to import; only this needs it

    described = described / described.std(axis=0)
    rng = np.random.default_rng(seed)
    fitted = rng.permutation(u)[:_FITTED_TO]
    candidates = [components] if components else range(1, most + 1)
    # One covariance for all components; a thousandth of the variance keeps it regular where users of a
    # component are all alike.
    mixtures = [
        GaussianMixture(
            k, covariance_type="tied", n_init=3, max_iter=1000, reg_covar=1e-3, random_state=seed
        ).fit(described[fitted])
        for k in candidates
    ]
    best, least = mixtures[0], mixtures[0].bic(described[fitted])
    for mixture in mixtures[1:]:
        criterion = mixture.bic(described[fitted])
        if criterion < least - _STRONG:
            best, least = mixture, criterion
    probabilities = best.predict_proba(described)
    order = np.argsort(-probabilities.sum(axis=0), kind="stable")
    return np.asarray(probabilities[:, order])


def _weights(posterior: Posterior) -> FloatArray:
    """(u, k) users' posterior mean weights in the directions in which they were told apart."""
    weights = posterior.model.user_weights(posterior.draws)
    step = -(-weights.sizes["chain"] * weights.sizes["draw"] // _DRAWS)
    weights = weights.isel(draw=slice(None, None, step))
    draws = weights.transpose("chain", "draw", "user", "feature").to_numpy()
    draws = draws.reshape(-1, *draws.shape[2:]) * posterior.comparisons.feature_scale
    mean = draws.mean(axis=0)
    centred = mean - mean.mean(axis=0)
    if np.abs(centred).max() <= 1e-9 * np.abs(draws).max():  # a pooled model, up to rounding
        return np.empty((len(mean), 0))
    told = centred.T @ centred / len(mean)
    # What users have in common is not a difference between them: deviations from each draw's mean.
    spread = draws - mean
    spread = spread - spread.mean(axis=1, keepdims=True)
    unsure = np.einsum("suf,sug->fg", spread, spread, optimize=True) / spread[:, :, 0].size
    reliability, directions = _relative(told, told + unsure)
    kept = np.flatnonzero(reliability > _RELIABLE)[:_DESCRIBED_BY]
    described: FloatArray = centred @ directions[:, kept]
    return described


def _shown(exposure: Exposure) -> FloatArray:
    """(u, k) users' places on the axes along which they were told apart."""
    place, _ = exposure.place(exposure.mean, exposure.counts)
    kept = np.flatnonzero(exposure.reliability > _RELIABLE)[:_DESCRIBED_BY]
    return np.asarray(place[:, kept])


def _leading(scaled: FloatArray, varies: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> FloatArray:
    """(q, r) leading principal directions of the contexts that vary; 0 for those that do not."""
    if not scaled.shape[1]:
        return np.zeros((len(varies), 0))
    values, vectors = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    kept = np.flatnonzero(values > 1e-9 * values[-1])[::-1][:_AXES]
    leading = np.zeros((len(varies), kept.size))
    leading[varies] = vectors[:, kept]
    return leading


def _relative(part: FloatArray, whole: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shares of `part` in `whole`, falling, and the directions in which `whole` is 1."""
    values, vectors = np.linalg.eigh(whole)
    kept = values > 1e-12 * max(values[-1], 1e-300)
    white = vectors[:, kept] / np.sqrt(values[kept])
    shares, turned = np.linalg.eigh(white.T @ part @ white)
    return shares[::-1], (white @ turned)[:, ::-1]
