"""Components of users, found from their weights and their exposure together.

Users are described by posterior means of both, so that users of whom little is known lie near the
middle, between components. Only directions in which users were told apart (reliability above 0.3)
enter. The components of the normal mixture differ in their means and share one covariance: a
population that varies continuously, with weights and exposure correlated, is one component however
unequal the users' numbers of comparisons. The Bayesian information criterion (BIC) chooses their
number. A further component needs very strong evidence, since a normal sample alone sometimes looks
like two.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.diagnostics.overlap.exposure_axes import ExposureAxes, relative_shares
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray

_RELIABLE = 0.3  # least share of the variance of users' posterior means beside uncertainty
_DESCRIBED_BY = 4  # most directions of weights, and of exposure
_DRAWS = 400  # draws for the users' covariances
_EACH = 10  # fewest users a component
_MOST = 4  # most components
_STRONG = 10.0  # decrease of BIC that is very strong evidence (Kass & Raftery 1995)
_FITTED_TO = 5000  # users that suffice to fit a mixture of a few components


def user_components(
    posterior: Posterior, exposure: ExposureAxes, components: int | None, seed: int
) -> FloatArray:
    """Find components of users.

    Parameters
    ----------
    posterior
        Posterior of the users' weights.
    exposure
        The users' exposure.
    components
        Number of components; None: chosen by BIC, at most one for each 10 users.
    seed
        Random seed of the initial values of the mixture.

    Returns
    -------
    membership: (u, k) probabilities of each user's component; the largest component comes first
    """
    described = np.hstack([_weights(posterior), _shown(exposure)])
    described = described[:, described.std(axis=0) > 0]
    u = len(described)
    most = min(_MOST, u // _EACH)
    if not described.shape[1] or components == 1 or (components is None and most < 2):
        return np.ones((u, 1))
    from sklearn.mixture import GaussianMixture  # takes a second to import

    described = described / described.std(axis=0)
    rng = np.random.default_rng(seed)
    fitted = rng.permutation(u)[:_FITTED_TO]
    candidates = [components] if components else range(1, most + 1)
    # A thousandth of the variance is added to the common covariance: it stays regular where all
    # users of a component are alike.
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
    # Uncertainty about the mean of all users tells no user apart: deviations from each draw's mean.
    spread = draws - mean
    spread = spread - spread.mean(axis=1, keepdims=True)
    unsure = np.einsum("suf,sug->fg", spread, spread, optimize=True) / spread[:, :, 0].size
    reliability, directions = relative_shares(told, told + unsure)
    kept = np.flatnonzero(reliability > _RELIABLE)[:_DESCRIBED_BY]
    described: FloatArray = centred @ directions[:, kept]
    return described


def _shown(exposure: ExposureAxes) -> FloatArray:
    """(u, k) posterior mean exposures on the axes along which users were told apart."""
    place, _ = exposure.posterior(exposure.mean, exposure.counts)
    kept = np.flatnonzero(exposure.reliability > _RELIABLE)[:_DESCRIBED_BY]
    return np.asarray(place[:, kept])
