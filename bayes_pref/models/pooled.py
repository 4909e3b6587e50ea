"""One reward for everyone: the naive model, kept as the baseline that fails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import torch
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.draws import stacked
from bayes_pref.models.base import GaussianUsers, RewardModel, feature_units
from bayes_pref.models.population import Population


@dataclass(frozen=True, kw_only=True)
class PooledReward(RewardModel):
    """Everyone has the same weights: w_i = mu, mu ~ Normal(0, mean_sd^2).

    The model behind most reward models fitted to pooled votes (Bradley & Terry 1952). It ignores
    users and covariates; use it to see what that costs.

    Parameters
    ----------
    mean_sd
        Prior sd of `mu`, log-odds per scaled unit of a feature; 2 leaves odds of 7 to 1 for a
        typical difference in one feature within one prior sd.
    scale
        "rms": priors are on features divided by the root mean square of their differences;
        "raw": on features as given.
    choice, link, lapse, position, ties
        How rewards become choices, as in `RewardModel`.

    Raises
    ------
    ModelError
        If a setting is out of range, or the data are of a kind that the settings exclude.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> bp.PooledReward().variables(world.comparisons)
    {'mu': ('feature',)}
    """

    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: sites mu (n_features,) and the observed choices."""
        self.check(comparisons)
        sd = torch.as_tensor(self.mean_sd / feature_units(self, comparisons))
        mu = pyro.sample("mu", dist.Normal(torch.zeros_like(sd), sd).to_event(1))
        likelihood = self.choice_likelihood(comparisons)
        eta = (torch.tensor(comparisons.difference) * mu).sum(-1)
        with pyro.plate("comparison", len(comparisons), dim=-1):
            pyro.sample(
                "choice",
                likelihood(eta),
                obs=torch.tensor(comparisons.choice),
            )

    def variables(self, comparisons: Comparisons) -> dict[str, tuple[str, ...]]:
        """Return the model's sites and the named dimensions of each."""
        return {"mu": ("feature",), **self.choice_variables(comparisons)}

    def gaussian_users(self, comparisons: Comparisons) -> GaussianUsers:
        """Return the model as exact samplers read it."""
        units = feature_units(self, comparisons)
        return GaussianUsers(
            covariance="none",
            mean_sd=self.mean_sd / units,
            effect_sd=np.empty((units.size, 0)),
            coupling_sd=np.empty((units.size, 0)),
            spread_sd=np.empty(0),
            concentration=1.0,
            covariates=np.empty((comparisons.n_users, 0)),
            exposure=np.empty((comparisons.n_users, 0)),
        )

    def user_weights(self, draws: xr.Dataset, users: pd.Index | None = None) -> xr.DataArray:
        """Return mu for every user: (chain, draw, user, feature), log-odds per raw unit."""
        labels = (draws["user"].to_index() if users is None else users).rename("user")
        return draws["mu"].expand_dims(user=labels).transpose("chain", "draw", "user", "feature")

    def new_user_weights(
        self, draws: xr.Dataset, comparisons: Comparisons, rng: np.random.Generator
    ) -> xr.DataArray:
        """Return mu: a new user is like everyone. (chain, draw, feature)."""
        return draws["mu"]

    def population(self, draws: xr.Dataset, comparisons: Comparisons) -> Population:
        """Return the law of users' weights before their choices: all of it at mu."""
        mu = stacked(draws, "mu", "feature")
        return Population.gaussian(mu[:, None], np.empty((*mu.shape, 0)))
