"""What follows from a `PopulationSpec` and draws of its sites: new users, and the population."""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.special import logsumexp

from bayes_pref.data import Comparisons
from bayes_pref.draws import stacked
from bayes_pref.models.context_scores import (
    CategoricalContextScores,
    ContextScores,
    NumericContextScores,
)
from bayes_pref.models.population import Population
from bayes_pref.models.regressors import has_reference_category, mean_contexts
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray


def covariance_factor(draws: xr.Dataset, sd: str, correlation: str, dim: str) -> FloatArray:
    """Cholesky factors (chain, draw, k, k) of covariances, from sds and correlations.

    Parameters
    ----------
    draws
        With the sds (chain, draw, k) and, unless all correlations are 0, the correlations.
    sd, correlation
        Names of both.
    dim
        Dimension of the sds.
    """
    sds = draws[sd].transpose("chain", "draw", dim).to_numpy()
    if correlation not in draws:
        return np.asarray(sds[..., None] * np.eye(sds.shape[-1]))
    matrix = draws[correlation].transpose("chain", "draw", dim, f"{dim}_bis").to_numpy()
    return np.asarray(sds[..., None] * np.linalg.cholesky(matrix))


def draw_new_user(
    spec: PopulationSpec, draws: xr.Dataset, rng: np.random.Generator
) -> xr.DataArray:
    """Draw weights of a user from the population, one for each draw: (chain, draw, feature).

    Known regressors are those of one of the users of the data, drawn at random; latent ones are
    drawn from their distribution.
    """
    draws = _of_gaussian(spec, draws)
    weights = _mean_of_component(spec, draws, rng)
    if spec.factors is not None:
        z = rng.standard_normal((*weights.shape[:2], spec.factors.size, 1))
        weights = weights + (_coefficients(draws, spec.factors.name, "factor") @ z)[..., 0]
    if spec.covariance != "none":
        noise = rng.standard_normal(weights.shape)
        if spec.covariance == "full":
            correlation = draws["correlation"].transpose("chain", "draw", "feature", "feature_bis")
            noise = _times(np.linalg.cholesky(correlation.to_numpy()), noise)
        weights = weights + draws[spec.spread].transpose("chain", "draw", "feature") * noise
    if spec.cause is not None:
        root = covariance_factor(draws, "between", "between_correlation", "context")
        s = _times(root, rng.standard_normal(root.shape[:-1]))
        weights = weights + _times(_coefficients(draws, spec.cause.name, "context"), s)
    if spec.known:
        pick = rng.integers(len(spec.known[0][1]), size=weights.shape[:2])
        for term, values in spec.known:
            slope = _coefficients(draws, term.name, term.dim)
            weights = weights + _times(slope, values[pick])
    if spec.signs is not None:
        weights = weights.copy(data=spec.signs.weights(weights.to_numpy()))
    return weights.rename("weights")


def _of_gaussian(spec: PopulationSpec, draws: xr.Dataset) -> xr.Dataset:
    """Draws with the mean and sds of the Gaussian v as mu and tau, where weights have a sign."""
    if spec.signs is None:
        return draws
    dims = ("chain", "draw", "feature")
    mu = draws["mu"].transpose(*dims).to_numpy()
    changed = {"mu": (dims, spec.signs.location(mu))}
    if spec.covariance != "none":
        tau = draws["tau"].transpose(*dims).to_numpy()
        changed["tau"] = (dims, spec.signs.log_spread(mu, tau))
    return draws.assign(changed)


def _mean_of_component(
    spec: PopulationSpec, draws: xr.Dataset, rng: np.random.Generator
) -> xr.DataArray:
    """Draws of mu, (chain, draw, feature); in a mixture, of a component drawn by the shares."""
    mu = draws["mu"]
    if spec.components is not None:
        share = draws["share"].transpose("chain", "draw", "component").to_numpy()
        component = (share.cumsum(axis=2) < rng.random((*share.shape[:2], 1))).sum(axis=2)
        place = xr.DataArray(component.clip(max=spec.components - 1), dims=("chain", "draw"))
        mu = mu.drop_vars("component").isel(component=place)
    return mu.transpose("chain", "draw", "feature")


def _coefficients(draws: xr.Dataset, name: str, dim: str) -> FloatArray:
    return np.asarray(draws[name].transpose("chain", "draw", "feature", dim).to_numpy())


def _times(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Matrices (chain, draw, f, p) times vectors (chain, draw, p)."""
    return np.asarray(np.einsum("cdfp,cdp->cdf", matrix, vector))


def population_of(spec: PopulationSpec, draws: xr.Dataset, comparisons: Comparisons) -> Population:
    """Return the distribution of users' weights before their choices, given their contexts.

    Parameters
    ----------
    spec
        Of the model, for these comparisons.
    draws
        Of the population's sites.
    comparisons
        The data.
    """
    draws = _of_gaussian(spec, draws)
    dims = ("feature",) if spec.components is None else ("component", "feature")
    mu = stacked(draws, "mu", *dims)
    mean = mu[:, None, None] if spec.components is None else mu[:, None]
    for term, values in spec.known:
        slope = stacked(draws, term.name, "feature", term.dim)
        mean = mean + (values @ slope.swapaxes(1, 2))[:, :, None]
    factor = population_root(spec, draws)[:, None]
    log_share = np.zeros((len(mean), 1, 1))
    if spec.components is not None:
        log_share = _log_shares(spec, draws, comparisons)
    if spec.cause is None:
        return Population(log_share, mean, factor, signs=spec.signs)
    loadings = stacked(draws, spec.cause.name, "feature", "context")
    return Population(log_share, mean, factor, loadings, context_scores(spec, draws, comparisons))


def population_root(spec: PopulationSpec, draws: xr.Dataset) -> FloatArray:
    """Root (sample, feature, r) of the covariance of users around the known terms' means.

    Parameters
    ----------
    spec, draws
        As for `population_of`.
    """
    size = draws.sizes["feature"]
    parts = [np.empty((draws.sizes["chain"] * draws.sizes["draw"], size, 0))]
    if spec.factors is not None:
        parts.append(stacked(draws, spec.factors.name, "feature", "factor"))
    if spec.covariance != "none":
        lower = covariance_factor(draws, spec.spread, "correlation", "feature")
        parts.append(lower.reshape(-1, size, size))
    return np.concatenate(parts, axis=2)


def _log_shares(spec: PopulationSpec, draws: xr.Dataset, comparisons: Comparisons) -> FloatArray:
    """Log probabilities (sample, user or 1, component) of components, given users' contexts."""
    with np.errstate(divide="ignore"):  # a share of exactly zero
        log_share = np.log(stacked(draws, "share", "component"))[:, None]
    if spec.contexts is None:
        return np.asarray(log_share)
    between, within = (stacked(draws, name, "context")[:, None] for name in ("between", "within"))
    variance = between**2 + within**2 / comparisons.counts[:, None]
    a = stacked(draws, "a", "component", "context")[:, None]
    distance = (mean_contexts(comparisons)[:, None] - a) ** 2 / variance[:, :, None]
    log_share = log_share - 0.5 * distance.sum(axis=3)
    return np.asarray(log_share - logsumexp(log_share, axis=2, keepdims=True))


def context_scores(
    spec: PopulationSpec, draws: xr.Dataset, comparisons: Comparisons
) -> ContextScores:
    """Return the distribution of the scores of a shared cause given each user's contexts."""

    def root(name: str) -> FloatArray:
        found = covariance_factor(draws, name, f"{name}_correlation", "context")
        return found.reshape(-1, *found.shape[2:])

    a, between = stacked(draws, "a", "context"), root("between")
    if spec.contexts is not None and spec.contexts.categories:
        total = mean_contexts(comparisons) * comparisons.counts[:, None]
        reference = has_reference_category(comparisons)
        return CategoricalContextScores(a, between, total, comparisons.counts, reference)
    within = root("within")
    return NumericContextScores(
        a,
        between @ between.swapaxes(1, 2),
        within @ within.swapaxes(1, 2),
        mean_contexts(comparisons),
        comparisons.counts,
    )
