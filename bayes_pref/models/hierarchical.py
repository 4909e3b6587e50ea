"""Every user has their own weights, drawn from a population: the model to start from.

    mu_k ~ Normal(0, (mean_sd / s_k)^2)
    tau_k ~ HalfNormal(spread_sd / s_k)
    B_kj ~ Normal(0, (effect_sd / (s_k r_j))^2)             with covariates
    G_kq ~ Normal(0, (effect_sd / s_k)^2)                   exposure=True
    R ~ LKJ(concentration)                                  covariance="full"
    w_i ~ Normal(mu + B (c_i - mean c) + G z_i, Sigma),  Sigma = diag(tau) R diag(tau)
    choice_n ~ the choice model at d_n . w_i(n), by default Bernoulli(sigmoid(d_n . w_i(n)))

s_k is the root mean square of feature k's differences and r_j the sd of covariate j over users
(both 1 with scale="raw"). z_i are the means of the contexts of user i's comparisons, standardised
over users: the correlated random effects of Mundlak (1978, Econometrica 46), which tell what goes
along with the contexts that somebody is shown from what those contexts do. R is the identity with
covariance="diagonal". A hierarchical Bayes logit (Allenby & Rossi 1998) with the LKJ prior of
Lewandowski, Kurowicka & Joe (2009).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import torch
import xarray as xr

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.table import shown
from bayes_pref.draws import stacked
from bayes_pref.errors import ModelError
from bayes_pref.models.base import (
    GaussianUsers,
    RewardModel,
    centred_covariates,
    covariate_units,
    exposures,
    feature_units,
)
from bayes_pref.models.design import Batch
from bayes_pref.models.population import Population


@dataclass(frozen=True, kw_only=True)
class HierarchicalReward(RewardModel):
    """Each user's weights vary around the population's: w_i ~ Normal(mu + B c_i, Sigma).

    Covariates that the comparisons carry enter through B, which has the same units as the weights
    per raw unit of the covariate; they are centred, so that `mu` is the mean over these users. With
    `exposure`, so do the contexts that a user is shown on average, through G.

    Parameters
    ----------
    covariance
        "diagonal": deviations in different features are independent; "full": they correlate.
    mean_sd
        Prior sd of `mu`, log-odds per scaled unit of a feature. The default, 2, leaves odds of 7
        to 1 for a typical difference in one feature within one prior sd.
    spread_sd
        Scale of the half-normal prior of `tau`, the sd of users around the mean, log-odds per
        scaled unit of a feature. The default, 1, expects users to differ by less than an odds
        ratio of 7 in one feature, and lets the data say that they do not differ at all.
    effect_sd
        Prior sd of `B`, log-odds per scaled unit of a feature and sd of a covariate; and of `G`.
    exposure
        Whether weights may go along with the contexts that a user is shown: w_i ~ Normal(mu +
        B c_i + G z_i, Sigma). `G` is in log-odds per raw unit of a feature and sd over users of
        their mean context.
    concentration
        Of the LKJ prior of the correlations; the default, 2, mildly favours small ones.
    scale
        "rms": priors are on features divided by the root mean square of their differences (and
        covariates divided by their sd); "raw": on both as given.
    choice, link, lapse, position, ties
        How rewards become choices, as in `RewardModel`.

    Raises
    ------
    ModelError
        If a setting is out of range, the data are of a kind that the settings exclude or of only
        one user, or `exposure` is asked of data without contexts.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> bp.HierarchicalReward().variables(world.comparisons)
    {'mu': ('feature',), 'tau': ('feature',), 'weights': ('user', 'feature')}
    """

    covariance: Literal["diagonal", "full"] = "diagonal"
    spread_sd: float = 1.0
    effect_sd: float = 1.0
    concentration: float = 2.0
    exposure: bool = False

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(
            self, covariance=settings.one_of("diagonal", "full"), exposure=settings.boolean
        )

    def check(self, comparisons: Comparisons) -> None:
        """Refuse comparisons that the model cannot describe.

        Raises
        ------
        ModelError
            If the choice model cannot describe the outcome, there is a single user, or with
            `exposure` there are no contexts.
        """
        super().check(comparisons)
        if comparisons.n_users < 2:
            raise ModelError(
                "HierarchicalReward needs at least two users to learn how users differ, and these "
                f"{len(comparisons):,} comparisons are all of {shown(comparisons.users[0])}; "
                "use PooledReward for one user, or check the user column"
            )
        if self.exposure and not comparisons.features.contexts:
            raise ModelError(
                "HierarchicalReward(exposure=True) needs the contexts in which users were asked, "
                "and these comparisons have none; pass their columns as context=[...] when reading "
                "the data, or leave exposure out"
            )

    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: the sites of `variables` and the observed choices."""
        self.check(comparisons)
        prior = self.gaussian_users(comparisons)
        mean_sd = torch.as_tensor(prior.mean_sd)
        size = mean_sd.shape[0]
        everyone = pyro.plate("user", comparisons.n_users, dim=-1)
        batch = Batch.of(comparisons, everyone.indices)
        mu = pyro.sample("mu", dist.Normal(torch.zeros_like(mean_sd), mean_sd).to_event(1))
        tau = pyro.sample("tau", dist.HalfNormal(torch.as_tensor(prior.spread_sd)).to_event(1))
        centre = mu
        for name, sd, regressors in (
            ("B", prior.effect_sd, prior.covariates),
            ("G", prior.coupling_sd, prior.exposure),
        ):
            if regressors.shape[1]:
                scale = torch.as_tensor(sd)
                slope = pyro.sample(name, dist.Normal(torch.zeros_like(scale), scale).to_event(2))
                centre = centre + (slope * batch.of_users(regressors)[:, None, :]).sum(-1)
        factor = None
        if self.covariance == "full":
            concentration = torch.tensor(self.concentration, dtype=torch.float64)
            factor = pyro.sample("correlation_factor", dist.LKJCholesky(size, concentration))
            pyro.deterministic("correlation", factor @ factor.mT)
        likelihood = self.choice_likelihood(comparisons)
        with everyone:
            weights = pyro.sample(
                "weights",
                dist.Normal(centre, tau).to_event(1)
                if factor is None
                else dist.MultivariateNormal(centre, scale_tril=tau[..., None] * factor),
            )
        eta = batch.log_odds(weights)
        with batch.plate():
            pyro.sample("choice", likelihood(eta), obs=batch.choice)

    def variables(self, comparisons: Comparisons) -> dict[str, tuple[str, ...]]:
        """Return the model's sites and the named dimensions of each."""
        names: dict[str, tuple[str, ...]] = {"mu": ("feature",), "tau": ("feature",)}
        if comparisons.covariate_names:
            names["B"] = ("feature", "covariate")
        if self.exposure:
            names["G"] = ("feature", "context")
        if self.covariance == "full":
            names["correlation"] = ("feature", "feature_bis")
        names["weights"] = ("user", "feature")
        return names | self.choice_variables(comparisons)

    def gaussian_users(self, comparisons: Comparisons) -> GaussianUsers:
        """Return the model as exact samplers read it."""
        units = feature_units(self, comparisons)
        exposure = exposures(comparisons) if self.exposure else np.empty((comparisons.n_users, 0))
        return GaussianUsers(
            covariance=self.covariance,
            mean_sd=self.mean_sd / units,
            effect_sd=self.effect_sd / np.outer(units, covariate_units(self, comparisons)),
            coupling_sd=np.tile(self.effect_sd / units[:, None], exposure.shape[1]),
            spread_sd=self.spread_sd / units,
            concentration=self.concentration,
            covariates=centred_covariates(comparisons),
            exposure=exposure,
        )

    def user_weights(self, draws: xr.Dataset, users: pd.Index | None = None) -> xr.DataArray:
        """Return users' weights: (chain, draw, user, feature), log-odds per raw unit."""
        weights = draws["weights"]
        return weights if users is None else weights.sel(user=users)

    def new_user_weights(
        self, draws: xr.Dataset, comparisons: Comparisons, rng: np.random.Generator
    ) -> xr.DataArray:
        """Return weights of a user drawn from the population: (chain, draw, feature).

        Their covariates and exposure are those of one of these users, drawn at random.
        """
        mu = draws["mu"].transpose("chain", "draw", "feature")
        noise = rng.standard_normal(mu.shape)
        if self.covariance == "full":
            correlation = draws["correlation"].transpose("chain", "draw", "feature", "feature_bis")
            noise = np.einsum("cdfg,cdg->cdf", np.linalg.cholesky(correlation.to_numpy()), noise)
        weights = mu + draws["tau"].transpose("chain", "draw", "feature") * noise
        regressors = {"B": ("covariate", centred_covariates), "G": ("context", exposures)}
        if any(name in draws for name in regressors):
            pick = rng.integers(comparisons.n_users, size=mu.shape[:2])
        for name, (dim, values) in regressors.items():
            if name in draws:
                slope = draws[name].transpose("chain", "draw", "feature", dim).to_numpy()
                weights = weights + np.einsum("cdfp,cdp->cdf", slope, values(comparisons)[pick])
        return weights.rename("weights")

    def population(self, draws: xr.Dataset, comparisons: Comparisons) -> Population:
        """Return the law of users' weights before their choices: Normal(mu + B c + G z, Sigma)."""
        mean = stacked(draws, "mu", "feature")[:, None]
        for name, dim, values in (
            ("B", "covariate", centred_covariates),
            ("G", "context", exposures),
        ):
            if name in draws:
                slope = stacked(draws, name, "feature", dim)
                mean = mean + values(comparisons) @ slope.swapaxes(1, 2)
        tau = stacked(draws, "tau", "feature")
        if self.covariance == "full":
            correlation = stacked(draws, "correlation", "feature", "feature_bis")
            return Population.gaussian(mean, tau[:, :, None] * np.linalg.cholesky(correlation))
        return Population.gaussian(mean, tau[:, :, None] * np.eye(tau.shape[1]))
