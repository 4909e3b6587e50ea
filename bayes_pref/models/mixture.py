"""Users' weights come from a finite mixture of normal distributions with a common spread.

    share ~ Dirichlet(concentration, ..., concentration)
    mu_tk ~ Normal(0, (mean_sd / s_k)^2)                     for each component t
    tau_k ~ HalfNormal(spread_sd / s_k)
    t(i) ~ share                                             the component, marginalised out
    w_i = mu_t(i) + tau u_i,  u_i ~ Normal(0, I)
    choice_n ~ Bernoulli(sigmoid(d_n . w_i(n)))

and with exposure=True the contexts that a user is shown depend on their component, too:

    x_n given i ~ Normal(a_t(i) + s_i, within^2),  s_i ~ Normal(0, between^2),    each context apart
    a_tq ~ Normal(m_q, (context_sd c_q)^2),  between_q, within_q ~ HalfNormal(context_sd c_q)

s_k is the root mean square of feature k's differences, m_q and c_q the mean and the sd of context q
(1, 0 and 1 with scale="raw"). s_i is marginalised out: of n contexts, only their mean is
informative about the component, x_i ~ Normal(a_t, between^2 + within^2 / n), so that many prompts
of one user do not count as independent evidence. This is a hierarchical Bayes logit whose
population is a mixture of normals (Allenby, Arora & Ginter 1998, J. Marketing Res. 35; Rossi,
Allenby & McCulloch 2005).

The component is marginalised out given u_i, log p(i) = logsumexp_t [log share_t + sum_n log
p(choice_n | mu_t + tau u_i)], so that engines that need gradients see no discrete site. The site
`weights` needs a component nevertheless. It is drawn from the components' probabilities given u_i
and the choices, by inverting their distribution function at Phi(`pick`), where `pick` is a standard
normal site on which nothing else depends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pyro
import pyro.distributions as dist
import torch
import xarray as xr
from scipy.special import logsumexp

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.draws import label
from bayes_pref.errors import ModelError
from bayes_pref.models.base import RewardModel
from bayes_pref.models.design import Batch
from bayes_pref.models.population_sites import half_normal_site, normal_site, standard_normal
from bayes_pref.models.regressors import (
    constant_contexts,
    feature_units,
    mean_contexts,
    warn_of_unused_covariates,
)
from bayes_pref.models.relabelling import ComponentMixture, add_by_user, permuted, relabelled
from bayes_pref.models.spec import ContextModel, PopulationSpec
from bayes_pref.types import FloatArray

_BLOCK = 2**23  # weights looked at together
_LOG_2PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, kw_only=True)
class MixtureReward(RewardModel):
    """Each user belongs to one of a few components: w_i ~ Normal(mu_t(i), tau^2), t(i) unknown.

    Covariates are not used. `posterior.membership()` gives the probability that each user belongs
    to each component.

    **Labels.** The likelihood does not depend on the order of the components. After sampling, the
    components of each draw are permuted so that all draws classify the users alike (Stephens 2000),
    and numbered by decreasing posterior share. Where two components have the same weights, or one
    has almost no users, labels are not identified: draws and chains then disagree about them, which
    a `ConvergenceWarning` reports through R-hat. It does so, too, where chains have converged to
    different mixtures: use fewer components, more comparisons a user, or longer chains.

    Parameters
    ----------
    components
        Number of components, at most as many as there are users.
    exposure
        Whether the contexts that a user is shown are informative about their component, too.
    mean_sd
        Prior sd of each component's weights `mu`, log-odds per scaled unit of a feature.
    spread_sd
        Scale of the half-normal prior of `tau`, the sd of users around their component's mean, in
        log-odds per scaled unit of a feature. Small: components describe what users share.
    concentration
        Concentration of the Dirichlet prior of the components' `share`; 1: uniform. Smaller values
        allow empty components, larger ones favour equal shares.
    context_sd
        Prior sd of `a`, what a component is shown on average, around the mean over comparisons, and
        scale of the half-normal priors of `between` and `within`, in sds of a context.
    scale
        "rms": priors are on features divided by the root mean square of their differences, and
        contexts standardised; "raw": on both as given.

    Raises
    ------
    ModelError
        If a setting is out of range, there are more components than users, choices are among more
        than two, reliability=True, or exposure=True and a context is missing or constant for users.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=40, seed=0)
    >>> model = bp.MixtureReward(components=2)
    >>> model.variables(world.comparisons)["mu"]
    ('component', 'feature')
    """

    renamed_keywords: ClassVar[Mapping[str, str]] = {"types": "components="}

    components: int
    exposure: bool = False
    spread_sd: float = 0.5
    concentration: float = 1.0
    context_sd: float = 1.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(self, components=settings.whole(1), exposure=settings.boolean)

    def check(self, comparisons: Comparisons) -> None:
        """Refuse comparisons that the model cannot describe, and warn of unused covariates."""
        self._refuse(comparisons)
        warn_of_unused_covariates("MixtureReward", comparisons)

    def _refuse(self, comparisons: Comparisons) -> None:
        """Refuse data and settings that the model has no likelihood or no information for."""
        super().check(comparisons)
        if self.reliability:
            raise ModelError(
                "MixtureReward(reliability=True): a component whose weights are near zero has the "
                "users who answer at random already; leave reliability out, or use "
                "HierarchicalReward"
            )
        if not comparisons.outcome.rowwise:
            raise ModelError(
                "MixtureReward cannot describe choices among several, or rankings: its likelihood "
                "is a sum over rows; use HierarchicalReward"
            )
        if self.components > comparisons.n_users:
            raise ModelError(
                f"MixtureReward(components={self.components}) needs at least as many users as "
                f"components, and these comparisons have {comparisons.n_users:,}; take fewer "
                "components"
            )
        if not self.exposure:
            return
        names = comparisons.features.contexts
        if not names:
            raise ModelError(
                "MixtureReward(exposure=True) needs the contexts in which users were asked, and "
                "these comparisons have none; pass their columns as context=[...] when reading the "
                "data, or leave exposure out"
            )
        constant = constant_contexts(comparisons)
        if constant and len(comparisons) > comparisons.n_users:
            raise ModelError(
                f"MixtureReward(exposure=True): context {constant[0]!r} never varies within a "
                "user, so its variance there cannot be learned; leave that context out"
            )

    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: the sites of `variables` and what is observed of each user."""
        self._refuse(comparisons)  # `check` would warn at every evaluation
        spec = self.spec(comparisons)
        everyone = pyro.plate("user", comparisons.n_users, dim=-1)
        batch = Batch.of(comparisons, everyone.indices)
        users = len(everyone.indices)
        equal = torch.full((self.components,), self.concentration, dtype=torch.float64)
        if self.components > 1:
            share = pyro.sample("share", dist.Dirichlet(equal))
        else:
            share = pyro.deterministic("share", torch.ones_like(equal))
        log_component = share.log().expand(users, -1)
        mu = normal_site("mu", np.tile(spec.mean_sd, (self.components, 1)))
        tau = half_normal_site("tau", spec.spread_sd)
        if spec.contexts is not None:
            log_component = self._shown(spec.contexts, everyone, batch, log_component)
        likelihood = self.choice_likelihood(comparisons)
        with everyone:
            own = tau * pyro.sample("deviation", standard_normal(len(spec.spread_sd)))
            pick = pyro.sample("pick", dist.Normal(torch.zeros(users, dtype=torch.float64), 1.0))
            eta = batch.difference @ mu.mT + (batch.difference * own[batch.user]).sum(-1)[:, None]
            mixture = ComponentMixture(
                log_component,
                lambda choice: add_by_user(
                    likelihood(eta).log_prob(choice[:, None]), batch.user, len(log_component)
                ),
                lambda component: likelihood(
                    eta.gather(1, component[batch.user][:, None])[:, 0]
                ).sample(),
            )
            choice = pyro.sample("choice", mixture, obs=batch.choice)
            component = _picked(mixture.joint(choice).softmax(-1), torch.special.ndtr(pick))
            pyro.deterministic("weights", mu[component] + own, event_dim=1)

    def _shown(
        self,
        contexts: ContextModel,
        everyone: pyro.plate,
        batch: Batch,
        log_component: torch.Tensor,
    ) -> torch.Tensor:
        """Observe the contexts; log P(component | contexts), (users, components)."""
        many = (self.components, 1)
        a = normal_site("a", np.tile(contexts.sd, many), np.tile(contexts.centre, many))
        between = half_normal_site("between", contexts.sd)
        within = half_normal_site("within", contexts.sd)
        count = add_by_user(torch.ones_like(batch.choice), batch.user, len(log_component))[:, None]
        deviation = (between**2 + within**2 / count).sqrt()  # of a user's mean around a

        def by_component(context: torch.Tensor) -> torch.Tensor:
            mean = add_by_user(context, batch.user, len(log_component)) / count
            square = add_by_user((context - mean[batch.user]) ** 2, batch.user, len(log_component))
            # Of a user's contexts, the mean tells of the component; the rest is noise around it.
            rest = -(count - 1) * (within.log() + _LOG_2PI / 2) - square / (2 * within**2)
            means = dist.Normal(a, deviation[:, None]).log_prob(mean[:, None]).sum(-1)
            found: torch.Tensor = means + (rest - count.log() / 2).sum(-1, keepdim=True)
            return found

        def draw(component: torch.Tensor) -> torch.Tensor:
            user = torch.normal(a[component], between.expand(len(component), -1))
            return torch.normal(user[batch.user], within.expand(len(batch.user), -1))

        with everyone:
            mixture = ComponentMixture(log_component, by_component, draw)
            context = pyro.sample("context", mixture, obs=batch.context)
        return mixture.joint(context).log_softmax(-1)

    def spec(self, comparisons: Comparisons) -> PopulationSpec:
        """Return how users differ: by component, and around its mean weights."""
        units = feature_units(self.scale, comparisons)
        contexts = None
        if self.exposure:
            q = len(comparisons.features.contexts)
            raw = self.scale == "raw"
            contexts = ContextModel(
                centre=np.zeros(q) if raw else comparisons.context.mean(axis=0),
                sd=self.context_sd * (np.ones(q) if raw else comparisons.context.std(axis=0)),
            )
        return PopulationSpec(
            mean_sd=self.mean_sd / units,
            spread_sd=self.spread_sd / units,
            covariance="diagonal",
            concentration=self.concentration,
            components=self.components,
            contexts=contexts,
        )

    def component_probabilities(self, draws: xr.Dataset, comparisons: Comparisons) -> FloatArray:
        """Probability of each user's component given the weights and the population of each draw.

        Returns
        -------
        (draw, user, component), the chains' draws one after another
        """
        order = ("chain", "draw", "user", "component", "context", "feature")
        part = {
            name: draws[name].transpose(*order, missing_dims="ignore").to_numpy()
            for name in self.variables(comparisons)
        }
        part = {name: each.reshape(-1, *each.shape[2:]) for name, each in part.items()}
        with np.errstate(divide="ignore"):  # a share of exactly zero
            log_share = np.log(part["share"])
        mean, count = (
            (mean_contexts(comparisons), comparisons.counts[:, None]) if self.exposure else (0, 0)
        )
        size, users, _ = part["weights"].shape
        found = np.empty((size, users, self.components))
        step = max(1, _BLOCK // part["weights"][0].size)
        # A loop over blocks of draws: deviations from every component are as large as the weights.
        for start in range(0, size, step):
            some = slice(start, start + step)
            tau = part["tau"][some, None]
            for t in range(self.components):
                z = (part["weights"][some] - part["mu"][some, None, t]) / tau
                found[some, :, t] = log_share[some, None, t] - 0.5 * (z**2).sum(axis=2)
                if self.exposure:
                    variance = part["between"][some, None] ** 2
                    variance = variance + part["within"][some, None] ** 2 / count
                    distance = (mean - part["a"][some, None, t]) ** 2 / variance
                    found[some, :, t] -= 0.5 * distance.sum(axis=2)
        found -= logsumexp(found, axis=2, keepdims=True)
        return np.asarray(np.exp(found, out=found))

    def align(
        self, values: dict[str, FloatArray], comparisons: Comparisons
    ) -> dict[str, FloatArray]:
        """Permute the components of each draw so that all draws classify the users alike."""
        draws = label(values, self.variables(comparisons), comparisons)
        draws = relabelled(draws, lambda some: self.component_probabilities(some, comparisons))
        return {str(name): each.to_numpy() for name, each in draws.data_vars.items()}

    def identified(self, draws: xr.Dataset) -> xr.Dataset:
        """Order the components of each draw by their weight of the first feature, falling."""
        first = draws["mu"].transpose("chain", "draw", "component", "feature").to_numpy()[..., 0]
        return permuted(draws, np.argsort(-first, axis=2))


def _picked(probability: torch.Tensor, uniform: torch.Tensor) -> torch.Tensor:
    """Categories (users,) at uniform quantiles (users,) of probabilities (users, components)."""
    ends = probability.cumsum(-1)[..., :-1]
    return (ends < uniform[..., None]).sum(-1)
