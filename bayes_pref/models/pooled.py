"""One weight vector for all users: the baseline that ignores differences between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyro

from bayes_pref.data import Comparisons
from bayes_pref.models.careless import observe_choices
from bayes_pref.models.design import Batch
from bayes_pref.models.population_sites import mean_site
from bayes_pref.models.regressors import feature_units, warn_of_unused_covariates
from bayes_pref.models.signed_reward import SignedReward
from bayes_pref.models.spec import PopulationSpec


@dataclass(frozen=True, kw_only=True)
class PooledReward(SignedReward):
    """All users have the same weights: w_i = mu, mu ~ Normal(0, mean_sd^2).

    This is the model of most reward models that are fitted to pooled votes (Bradley & Terry 1952).
    It ignores users and covariates, and serves as a baseline.

    Parameters
    ----------
    mean_sd
        Prior sd of `mu`, log-odds per scaled unit of a feature; 2 leaves odds of 7 to 1 for a
        typical difference in one feature within one prior sd.
    scale
        "rms": priors are on features divided by the root mean square of their differences;
        "raw": on features as given.
    constraints
        Signs of weights, and order of levels, as in `HierarchicalReward`. The size of such a weight
        has a log-normal prior with the root mean square `mean_sd`.
    choice, link, lapse, position, ties, reliability
        How rewards become choices, as in `RewardModel`.

    Raises
    ------
    ModelError
        If a setting is out of range, or the choice model cannot describe the data.

    Warns
    -----
    DataWarning
        If the data have covariates, which the model does not use.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> bp.PooledReward().variables(world.comparisons)
    {'mu': ('feature',)}
    """

    def check(self, comparisons: Comparisons) -> None:
        """Refuse comparisons that the model cannot describe, and warn of unused covariates."""
        super().check(comparisons)
        warn_of_unused_covariates("PooledReward", comparisons)

    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: sites mu (n_features,) and the observed choices."""
        super().check(comparisons)  # `check` would warn at every evaluation
        spec = self.spec(comparisons)
        mean = mean_site(spec)
        mu = mean if spec.signs is None else spec.signs.weights_of(mean)
        likelihood = self.choice_likelihood(comparisons)
        batch = Batch.everyone(comparisons)
        eta = (batch.difference * mu).sum(-1)
        everyone = pyro.plate("user", comparisons.n_users, dim=-1)
        observe_choices(spec, everyone, batch, likelihood, eta)

    def spec(self, comparisons: Comparisons) -> PopulationSpec:
        """Return how users differ: not at all."""
        mean_sd = self.mean_sd / feature_units(self.scale, comparisons)
        plain = PopulationSpec(mean_sd, np.empty(0), "none", careless=self.careless_shape)
        return self.constrained(plain, comparisons)
