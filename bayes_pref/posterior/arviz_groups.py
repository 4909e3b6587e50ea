"""A posterior as the groups of ArviZ's schema, so that ArviZ's functions work on it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import xarray as xr

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.posterior.posterior_draws import PosteriorDraws
from bayes_pref.posterior.predictions import plain_labels, predict
from bayes_pref.posterior.prior_density import population_log_prior

_REPLICATION = 2  # the stream of random numbers of replicated choices


@dataclass(frozen=True, eq=False, repr=False)
class ArvizGroups(PosteriorDraws):
    """Base of `Posterior`: itself for ArviZ."""

    @cached_property
    def idata(self) -> Any:
        """The posterior for ArviZ: an InferenceData (ArviZ 0.23) or a DataTree (1.x).

        Groups `posterior`, `sample_stats`, and for every row of the comparisons `choice` in
        `log_likelihood`, `posterior_predictive` and `observed_data`. The last three are computed
        when first asked for, and take 9 bytes a row and draw. Of choices among several,
        `log_likelihood` has one entry a task, as the rows of a task have no likelihood of their
        own, and a replication is 0 in the row of an alternative that is chosen instead.

        `constant_data` has what was shown: `difference` and `contexts`, and `user_index`, the place
        of each row's user in the dimension ``user``; and `covariates` of users. `log_prior` has the
        prior density of `mu`, `tau` and the coefficients of covariates and exposures, where users
        are normal. Draws of the prior itself are in `to_idata`.
        """
        return self.to_idata()

    def to_idata(self, *, prior: int = 0) -> Any:
        """Return the posterior for ArviZ as `idata` does, with draws of the prior.

        Parameters
        ----------
        prior
            Number of draws of the prior: the groups `prior`, of the model's variables, and
            `prior_predictive`, of `choice` and the `probability` of left. 0: neither.

        Returns
        -------
        idata: an InferenceData (ArviZ 0.23) or a DataTree (1.x)

        Raises
        ------
        DataError
            If `prior` is no whole number, or negative.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> idata = posterior.to_idata(prior=50)
        >>> idata["prior"]["mu"].shape, sorted(idata["prior_predictive"].data_vars)
        ((1, 50, 4), ['choice', 'probability'])
        """
        from bayes_pref.posterior import arviz_bridge  # ArviZ takes a second to import

        count = settings.argument("prior", prior, settings.whole(0))
        groups = {"posterior": self.draws, "sample_stats": self.sample_stats}
        if self.users is not None:  # of users there are no draws
            return arviz_bridge.to_idata(groups)
        weights, rng = self._weights(None)[0], self._generator(_REPLICATION)
        groups |= predict(weights, self.draws, self.choice_distribution, self.comparisons, rng)
        density = population_log_prior(self.model, self.comparisons, self.draws)
        if density is not None:
            groups["log_prior"] = density
        groups["constant_data"] = _constant_data(self.comparisons)
        if count:
            drawn = self.model.prior_predictive(self.comparisons, draws=count, seed=self.seed)
            drawn = drawn.assign_coords(comparison=plain_labels(self.comparisons.rows))
            named = {name: list(drawn.data_vars) for name in ("prior", "prior_predictive")}
            variables = self.model.variables(self.comparisons)
            named["prior"] = [name for name in drawn.data_vars if name in variables]
            named["prior_predictive"] = [n for n in drawn.data_vars if n not in variables]
            groups |= {name: drawn[names] for name, names in named.items()}
        return arviz_bridge.to_idata(groups)


def _constant_data(comparisons: Comparisons) -> xr.Dataset:
    """What was shown, to whom."""
    features = comparisons.features
    shown: dict[str, Any] = {
        "difference": (("comparison", "feature"), np.asarray(comparisons.difference)),
        "user_index": (("comparison",), comparisons.user),
    }
    labels: dict[str, Any] = {
        "comparison": plain_labels(comparisons.rows),
        "feature": list(comparisons.feature_names),
    }
    if features.contexts:
        shown["contexts"] = (("comparison", "context"), comparisons.context)
        labels["context"] = list(features.contexts)
    if comparisons.covariate_names:
        shown["covariates"] = (("user", "covariate"), comparisons.covariates)
        labels |= {"covariate": list(comparisons.covariate_names), "user": comparisons.users}
    return xr.Dataset(shown, labels)
