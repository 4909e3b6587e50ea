"""Every user has their own weights, drawn from a population: the model to start from.

    mu_k ~ Normal(0, (mean_sd / s_k)^2)
    tau_k ~ HalfNormal(spread_sd / s_k)
    B_kj ~ Normal(0, (effect_sd / (s_k r_j))^2)             with covariates
    G_kq ~ Normal(0, (effect_sd / s_k)^2)                   exposure=True or "flexible"
    H_kj ~ Normal(0, (curve_sd / s_k)^2)                    exposure="flexible"
    R ~ LKJ(concentration)                                  covariance="full"
    b_i ~ the bias of `observational_bias`, if any, in rows that were not assigned at random
    w_i ~ Normal(mu + B (c_i - mean c) + G z_i + H h_i, Sigma),  Sigma = diag(tau) R diag(tau)
    choice_n ~ the choice model at d_n . w_i(n), by default Bernoulli(sigmoid(d_n . w_i(n)))

s_k is the root mean square of feature k's differences and r_j the sd of covariate j over users
(both 1 with scale="raw"). z_i are the means of the contexts of user i's comparisons, standardised
over users: the correlated random effects of Mundlak (1978, Econometrica 46), which separate
differences between the users who are shown a context from effects of that context. Where users have
made unequal numbers of comparisons, z_i is what these means say of their exposure (`exposure_of` in
`bayes_pref.models.regressors`). h_i are the squares and products of z_i, less their linear parts
and standardised over users. R is the identity with covariance="diagonal". Where `constraints` give
a weight a sign, all this holds for the logarithm of its size, as in `PopulationSpec.with_signs`.
This is a hierarchical Bayes logit (Allenby & Rossi 1998) with the LKJ prior of Lewandowski,
Kurowicka & Joe (2009).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pyro
import pyro.distributions as dist

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.messages import shown
from bayes_pref.models.careless import observe_choices
from bayes_pref.models.design import Batch
from bayes_pref.models.observational_bias import USERS, ObservationalBias, bias_sites, has_log
from bayes_pref.models.population_sites import (
    add_known_terms,
    correlation_site,
    mean_site,
    spread_site,
    weights_site,
)
from bayes_pref.models.regressors import (
    covariate_terms,
    curve_terms,
    exposure_term,
    feature_units,
)
from bayes_pref.models.signed_reward import SignedReward
from bayes_pref.models.spec import PopulationSpec

_CURVE_SD = 0.3


@dataclass(frozen=True, kw_only=True)
class HierarchicalReward(SignedReward):
    """Each user's weights vary around the population's: w_i ~ Normal(mu + B c_i, Sigma).

    The weights are regressed on the covariates of the comparisons, with coefficients B in log-odds
    per raw unit of feature and covariate. Covariates are centred, so that `mu` is the mean over
    these users. With exposure=True the weights are also regressed on each user's mean contexts,
    with coefficients G.

    Parameters
    ----------
    covariance
        "diagonal": deviations in different features are independent; "full": they correlate.
    mean_sd
        Prior sd of `mu`, log-odds per scaled unit of a feature. The default, 2, leaves odds of 7
        to 1 for a typical difference in one feature within one prior sd.
    spread_sd
        Scale of the half-normal prior of `tau`, the sd of users around the mean, log-odds per
        scaled unit of a feature. Under the default, 1, users differ by odds ratios below 7 in one
        feature, and may not differ at all.
    effect_sd
        Prior sd of `B`, log-odds per scaled unit of a feature and sd of a covariate; and of `G`.
    exposure
        Whether weights may depend on the contexts that a user is shown: w_i ~ Normal(mu + B c_i +
        G z_i, Sigma). `G` is in log-odds per raw unit of a feature and sd over users of their mean
        context. "flexible": on the squares and products of these, too, with coefficients `H`.
    curve_sd
        With exposure="flexible", the prior sd of `H`, log-odds per scaled unit of a feature and sd
        over users of a square or product; or those of some by name, such as ``{"age^2": 0.2, "age x
        length": 0.1}``, which leaves out the others. `bayes_pref.diagnose` takes what the data
        suggest. None: 0.3.
    concentration
        Of the LKJ prior of the correlations; the default, 2, mildly favours small ones.
    observational_bias
        Whether answers to pairs that were not assigned at random (see `randomised` of
        `Comparisons.from_frame`) may be biased, in every feature by its own amount: their log-odds
        are d . (w_i + b_i). The randomised pairs decide how far: where the log agrees with them it
        counts in full, and where it does not, they alone tell the weights. Sites:
        `observational_bias`, the mean of b_i; `bias_spread`, its sd over users; `bias_scale`, the
        size learned of the mean; `user_observational_bias`.
    bias_sd
        Scale of the half-Cauchy prior of `bias_scale`, log-odds per scaled unit of a feature; its
        tails allow any bias.
    scale
        "rms": priors are on features divided by the root mean square of their differences (and
        covariates divided by their sd); "raw": on both as given.
    constraints
        Signs of weights, and order of levels, the same for every user, new ones included:
        "negative" or "positive" by name of an attribute (of levels, all of its features) or of one
        feature such as ``brand[B]``; "increasing" or "decreasing" by name of an attribute that was
        read with ``coding="steps"``. Such a weight is log-normal over users, for reasons that
        `bayes_pref.models.signed_reward` gives. `mu` is then the weight of the median user (among
        those at the mean of covariates and exposures), whose prior has the root mean square
        `mean_sd`; `tau` is still the sd of users' weights, whose prior is a half-normal of scale
        spread_sd / mean_sd on that of their logarithms; `B`, `G` and correlations are about the
        logarithm of the weight's size. An attribute that interacts with contexts has the sign where
        these are 0. `Gibbs` and `NUTS` sample it exactly, and `SVI` approximates it.
    choice, link, lapse, position, ties, reliability
        How rewards become choices, as in `RewardModel`.

    Raises
    ------
    ModelError
        If a setting is out of range, the choice model cannot describe the data, there is only one
        user, exposure=True and the data have no contexts, or observational_bias=True and
        not some pairs were assigned at random.

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
    exposure: bool | Literal["flexible"] = False
    # Not part of the hash: a dict has none.
    curve_sd: float | Mapping[str, float] | None = field(default=None, hash=False)
    observational_bias: bool = False
    bias_sd: float = 0.25

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(
            self,
            covariance=settings.one_of("diagonal", "full"),
            exposure=_exposure,
            curve_sd=settings.optional(_curve_sd),
            observational_bias=settings.boolean,
        )
        if self.observational_bias and self.constraints:
            raise ModelError(
                "HierarchicalReward(observational_bias=True) is for weights of either sign; leave "
                "constraints or observational_bias out"
            )

    def settings(self) -> dict[str, Any]:
        """Return name and settings, ready for JSON, without what does not matter here."""
        found = super().settings()
        if not self.observational_bias:
            del found["observational_bias"], found["bias_sd"]
        curve_sd = found.pop("curve_sd")
        if isinstance(curve_sd, Mapping):
            curve_sd = dict(curve_sd)
        return found if curve_sd is None else found | {"curve_sd": curve_sd}

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
                f"HierarchicalReward(exposure={self.exposure!r}) needs the contexts in which users "
                "were asked, and these comparisons have none; pass their columns as context=[...] "
                "when reading the data, or leave exposure out"
            )
        if self.observational_bias:
            self._observational_bias(comparisons)

    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: the sites of `variables` and the observed choices."""
        self.check(comparisons)
        spec = self.spec(comparisons)
        everyone = pyro.plate("user", comparisons.n_users, dim=-1)
        batch = Batch.of(comparisons, everyone.indices)
        mean = mean_site(spec)
        spread = spread_site(spec, mean)
        centre = add_known_terms(mean, spec, batch)
        factor = None
        if self.covariance == "full":
            factor = correlation_site("correlation", len(spec.mean_sd), self.concentration)
        likelihood = self.choice_likelihood(comparisons)
        biases = None if spec.observational_bias is None else bias_sites(spec.observational_bias)
        with everyone:
            weights = weights_site(
                spec,
                dist.Normal(centre, spread).to_event(1)
                if factor is None
                else dist.MultivariateNormal(centre, scale_tril=spread[..., None] * factor),
            )
            bias = None if biases is None else pyro.sample(USERS, biases)
        eta = batch.log_odds(weights)
        if bias is not None:
            eta = eta + batch.logged * batch.log_odds(bias)
        observe_choices(spec, everyone, batch, likelihood, eta)

    def spec(self, comparisons: Comparisons) -> PopulationSpec:
        """Return how users differ: Gaussian around the mean that the known terms give."""
        units = feature_units(self.scale, comparisons)
        terms = covariate_terms(self.effect_sd, self.scale, comparisons)
        if self.exposure:
            terms += (exposure_term(self.effect_sd, self.scale, comparisons),)
        if self.exposure == "flexible":
            curve_sd = _CURVE_SD if self.curve_sd is None else self.curve_sd
            terms += curve_terms(curve_sd, self.scale, comparisons)
        plain = PopulationSpec(
            mean_sd=self.mean_sd / units,
            spread_sd=self.spread_sd / units,
            covariance=self.covariance,
            concentration=self.concentration,
            terms=terms,
            observational_bias=self._observational_bias(comparisons)
            if self.observational_bias
            else None,
            careless=self.careless_shape,
        )
        return self.constrained(plain, comparisons)

    def _observational_bias(self, comparisons: Comparisons) -> ObservationalBias:
        units = feature_units(self.scale, comparisons)
        return ObservationalBias.read(comparisons, self.bias_sd / units, self.spread_sd / 2 / units)

    def with_exposure(
        self, comparisons: Comparisons, *, curve_sd: Mapping[str, float] | None = None
    ) -> HierarchicalReward:
        """Return the model with exposure, and without constraints.

        Shifts of the mean of weights are linear in the regressors, which those of constrained ones
        are not. Where some pairs were assigned at random, the log may be biased.
        """
        changes: dict[str, Any] = {"exposure": self.exposure or True, "constraints": None}
        changes["observational_bias"] = self.observational_bias or has_log(comparisons)
        if curve_sd and self.exposure != "flexible":
            changes |= {"exposure": "flexible", "curve_sd": curve_sd}
        found = replace(self, **changes)
        return self if found == self else found

    def with_log_bias(self, comparisons: Comparisons) -> HierarchicalReward:
        """Return the model without exposure and constraints, in which the log may be biased."""
        return replace(self, exposure=False, constraints=None, observational_bias=True)

    def without_exposure(self) -> HierarchicalReward:
        """Return the model with exposure=False, in which the log is answered as the rest is."""
        found = replace(self, exposure=False) if self.exposure else self
        return replace(found, observational_bias=False) if found.observational_bias else found


def _exposure(value: object) -> Any:
    """True, False or "flexible"."""
    if isinstance(value, str):
        return settings.one_of("flexible", other="True or False")(value)
    return settings.boolean(value)


def _curve_sd(value: object) -> Any:
    """A positive number, or one by name."""
    if isinstance(value, Mapping):
        return {str(name): settings.positive(sd) for name, sd in value.items()}
    return settings.positive(value)
