"""Sites of the population that several Pyro models share."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pyro
import pyro.distributions as dist
import torch

from bayes_pref.models.design import Batch
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray

Tensor: TypeAlias = torch.Tensor


def normal_site(name: str, sd: FloatArray, centre: FloatArray | None = None) -> Tensor:
    """Sample a site of independent normals with these sds, centred at zero by default."""
    scale = torch.as_tensor(sd)
    location = torch.zeros_like(scale) if centre is None else torch.as_tensor(centre)
    value: Tensor = pyro.sample(name, dist.Normal(location, scale).to_event(scale.dim()))
    return value


def half_normal_site(name: str, scale: FloatArray) -> Tensor:
    """Sample a site of independent half-normals (k,) with these scales."""
    value: Tensor = pyro.sample(name, dist.HalfNormal(torch.as_tensor(scale)).to_event(1))
    return value


def mean_site(spec: PopulationSpec) -> Tensor:
    """Sample mu (n_features,); where weights have a sign, v's location, and record mu."""
    if spec.signs is None:
        return normal_site("mu", spec.mean_sd)
    noise = normal_site("mean_noise", np.ones_like(spec.mean_sd))
    location = torch.as_tensor(spec.signs.centre) + torch.as_tensor(spec.mean_sd) * noise
    pyro.deterministic("mu", spec.signs.weights_of(location), event_dim=1)
    return location


def spread_site(spec: PopulationSpec, mean: Tensor) -> Tensor:
    """Sample tau (n_features,); where weights have a sign, the sds of v, and record tau.

    The latter are sampled as the size of a normal. A sampler that starts at random then starts
    within the prior, and not where weights are exp(10) apart, from where it does not return.

    Parameters
    ----------
    spec, mean
        The population, and what `mean_site` returned.
    """
    if spec.signs is None:
        return half_normal_site("tau", spec.spread_sd)
    noise = normal_site("spread_noise", np.ones_like(spec.spread_sd))
    spread = torch.as_tensor(spec.spread_sd) * noise.abs()
    mu = spec.signs.weights_of(mean)
    pyro.deterministic("tau", spec.signs.spread_of(mu, spread), event_dim=1)
    return spread


def weights_site(spec: PopulationSpec, gaussian: dist.Distribution) -> Tensor:
    """Sample users' weights (user, n_features), within the plate of users.

    Parameters
    ----------
    spec
        The population; where weights have a sign, v is sampled, and the weights are recorded.
    gaussian
        Distribution of the weights, or of v.
    """
    if spec.signs is None:
        weights: Tensor = pyro.sample("weights", gaussian)
        return weights
    made = spec.signs.weights_of(pyro.sample("v", gaussian))
    pyro.deterministic("weights", made, event_dim=1)
    return made


def standard_normal(size: int) -> dist.Distribution:
    """Independent standard normals (size,), as one event."""
    zeros = torch.zeros(size, dtype=torch.float64)
    return dist.Normal(zeros, torch.ones_like(zeros)).to_event(1)


def correlation_site(name: str, size: int, concentration: float) -> Tensor:
    """Sample the Cholesky factor of correlations with an LKJ prior; records the correlations."""
    shape = torch.tensor(concentration, dtype=torch.float64)
    factor: Tensor = pyro.sample(f"{name}_factor", dist.LKJCholesky(size, shape))
    pyro.deterministic(name, factor @ factor.mT)
    return factor


def add_known_terms(centre: Tensor, spec: PopulationSpec, batch: Batch) -> Tensor:
    """Sample the coefficients of known regressors, and add what these contribute to the mean.

    Parameters
    ----------
    centre
        (n_features,): mu.
    spec, batch
        The model's terms, and the users to return the means of.

    Returns
    -------
    (..., user, feature), or `centre` without known regressors
    """
    for term, values in spec.known:
        slope = normal_site(term.name, term.prior_sd)
        centre = centre + (slope * batch.of_users(values)[:, None, :]).sum(-1)
    return centre
