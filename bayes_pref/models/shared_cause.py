"""A joint model of contexts and preferences, which have a latent cause s_i in common.

    s_i ~ Normal(0, Sigma_between)                           the cause, of user i
    x_n given i ~ Normal(a + s_i, Sigma_within)              contexts that are numbers
    x_n given i ~ Categories(softmax(a + s_i))               contexts that are 0/1 indicators
    w_i ~ Normal(mu + B c_i + Gamma s_i, Sigma)
    choice_n ~ Bernoulli(sigmoid(d_n . w_i(n)))

with the priors of `hierarchical` for mu, B, tau and the correlations of Sigma, and

    Gamma_kq ~ Normal(0, (effect_sd / (s_k c_q))^2)
    a_q ~ Normal(m_q, (context_sd c_q)^2)
    sds of Sigma_between and Sigma_within ~ HalfNormal(context_sd c_q), correlations ~ LKJ

s_k is the root mean square of feature k's differences, m_q and c_q the mean and the sd of context q
(1, 0 and 1 with scale="raw", and 0 and 1 for indicators, whose a and s are log-odds). This is case
C -> X and C -> R of Kobalczyk & van der Schaar (2025, arXiv 2506.05967) as a generative model: a
factor model of assignment and outcome (Heckman 1979, Econometrica 47; Wang & Blei 2019, J. Am.
Stat. Assoc. 114). `HierarchicalReward(exposure=True)` takes a user's mean context as given; here
its error as a measure of s_i is part of the model.

Indicators are those of one category: at most one of them is 1 in a row. Rows of zeros are the
reference category, with log-odds 0. Without such rows the level of the log-odds is identified by
their priors alone.

The distribution of a user's weights before their choices is that given their contexts: s_i given
the contexts is Gaussian in closed form where these are numbers, and evaluated by importance
sampling where they are categories (`context_scores`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyro
import pyro.distributions as dist
import torch

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.messages import shown
from bayes_pref.models.base import RewardModel
from bayes_pref.models.careless import observe_choices
from bayes_pref.models.design import Batch
from bayes_pref.models.hierarchical import HierarchicalReward
from bayes_pref.models.population_sites import (
    add_known_terms,
    correlation_site,
    half_normal_site,
    normal_site,
)
from bayes_pref.models.regressors import (
    constant_contexts,
    covariate_terms,
    feature_units,
    has_reference_category,
)
from bayes_pref.models.spec import ContextModel, PopulationSpec, Term
from bayes_pref.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class SharedCauseReward(RewardModel):
    """Contexts and preferences of a user have a latent cause in common, s_i.

    Parameters
    ----------
    covariance
        Covariance of users' weights around mu + B c_i + Gamma s_i: "diagonal" or "full".
    contexts
        "numbers": Gaussian around a + s_i; "categories": 0/1 indicators of one category; "auto":
        categories where all contexts are 0 or 1 and at most one in a row is 1.
    mean_sd
        Prior sd of `mu`, log-odds per scaled unit of a feature.
    spread_sd
        Scale of the half-normal prior of `tau`, the sd of users given their cause and covariates,
        log-odds per scaled unit of a feature.
    effect_sd
        Prior sd of `B`, log-odds per scaled unit of a feature and sd of a covariate; and of
        `Gamma`, log-odds per scaled unit of a feature and of s.
    context_sd
        Prior sd of `a` and scale of the half-normal priors of `between` and `within`, the sds of
        contexts between users and within a user: in sds of a context, or log-odds.
    concentration
        Of the LKJ priors of all correlations.
    scale
        "rms": priors are on features divided by the root mean square of their differences, and on
        standardised contexts and covariates; "raw": on all as given.

    Raises
    ------
    ModelError
        If a setting is out of range, the choice model cannot describe the data, there are no
        contexts or only one user, or a numeric context never varies within a user.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, confounding=0.5, seed=0)
    >>> bp.SharedCauseReward().variables(world.comparisons)["Gamma"]
    ('feature', 'context')
    """

    covariance: Literal["diagonal", "full"] = "diagonal"
    contexts: Literal["auto", "numbers", "categories"] = "auto"
    spread_sd: float = 1.0
    effect_sd: float = 1.0
    context_sd: float = 1.0
    concentration: float = 2.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(
            self,
            covariance=settings.one_of("diagonal", "full"),
            contexts=settings.one_of("auto", "numbers", "categories"),
        )

    def check(self, comparisons: Comparisons) -> None:
        """Refuse comparisons that the model cannot describe."""
        super().check(comparisons)
        names = comparisons.features.contexts
        if not names:
            raise ModelError(
                "SharedCauseReward needs the contexts in which users were asked, and these "
                "comparisons have none; pass their columns as context=[...] when reading the data"
            )
        if comparisons.n_users < 2:
            raise ModelError(
                f"SharedCauseReward is about differences between users, and these comparisons are "
                f"all of {shown(comparisons.users[0])}; use PooledReward for one user"
            )
        if self.categories(comparisons):
            if not _indicators(comparisons.context):
                raise ModelError(
                    "SharedCauseReward(contexts='categories') needs contexts that are 0 or 1, at "
                    "most one of them 1 in a row; use contexts='numbers' for others"
                )
            return
        constant = constant_contexts(comparisons)
        if constant:
            raise ModelError(
                f"SharedCauseReward: context {constant[0]!r} never varies within a user, so its "
                "variance there cannot be learned; leave that context out"
            )

    def categories(self, comparisons: Comparisons) -> bool:
        """Whether the model takes the contexts for indicators of a category."""
        if self.contexts == "auto":
            return _indicators(comparisons.context)
        return self.contexts == "categories"

    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: the sites of `variables`, observed contexts and choices."""
        self.check(comparisons)
        spec = self.spec(comparisons)
        cause_term, contexts = spec.cause, spec.contexts
        assert cause_term is not None  # as `spec` has it
        assert contexts is not None
        everyone = pyro.plate("user", comparisons.n_users, dim=-1)
        batch = Batch.of(comparisons, everyone.indices)
        mu = normal_site("mu", spec.mean_sd)
        tau = half_normal_site("tau", spec.spread_sd)
        centre = add_known_terms(mu, spec, batch)
        coupling = normal_site("Gamma", cause_term.prior_sd)
        lower = tau.diag_embed()
        if self.covariance == "full":
            size = len(spec.mean_sd)
            lower = tau[:, None] * correlation_site("correlation", size, self.concentration)
        a = normal_site("a", contexts.sd, contexts.centre)
        between = self._scale("between", contexts.sd)
        within = None if contexts.categories else self._scale("within", contexts.sd)
        centred = torch.zeros(len(contexts.sd), dtype=torch.float64)
        likelihood = self.choice_likelihood(comparisons)
        with everyone:
            cause = pyro.sample("s", dist.MultivariateNormal(centred, scale_tril=between))
            mean = centre + cause @ coupling.mT
            weights = pyro.sample(
                "weights",
                dist.Normal(mean, tau).to_event(1)
                if self.covariance == "diagonal"
                else dist.MultivariateNormal(mean, scale_tril=lower),
            )
        place = (a + cause)[..., batch.user, :]
        eta = batch.log_odds(weights)
        with batch.plate():
            pyro.sample(
                "context",
                Indicators(place, rest=has_reference_category(comparisons))
                if within is None
                else dist.MultivariateNormal(place, scale_tril=within),
                obs=batch.context,
            )
            if spec.careless is None:
                pyro.sample("choice", likelihood(eta), obs=batch.choice)
        if spec.careless is not None:
            observe_choices(spec, everyone, batch, likelihood, eta)

    def _scale(self, name: str, sd: FloatArray) -> torch.Tensor:
        """Sample sds, and correlations if there is more than one; the covariance's factor."""
        scale = half_normal_site(name, sd)
        if len(sd) == 1:
            return scale[:, None]
        return scale[:, None] * correlation_site(f"{name}_correlation", len(sd), self.concentration)

    def spec(self, comparisons: Comparisons) -> PopulationSpec:
        """Return how users differ, and how that goes along with their contexts."""
        units = feature_units(self.scale, comparisons)
        categories = self.categories(comparisons)
        raw = self.scale == "raw" or categories
        q = len(comparisons.features.contexts)
        size = np.ones(q) if raw else comparisons.context.std(axis=0)
        cause = Term("Gamma", "context", self.effect_sd / np.outer(units, size), scores="s")
        return PopulationSpec(
            mean_sd=self.mean_sd / units,
            spread_sd=self.spread_sd / units,
            covariance=self.covariance,
            concentration=self.concentration,
            terms=(*covariate_terms(self.effect_sd, self.scale, comparisons), cause),
            contexts=ContextModel(
                centre=np.zeros(q) if raw else comparisons.context.mean(axis=0),
                sd=self.context_sd * size,
                categories=categories,
            ),
            careless=self.careless_shape,
        )

    def without_exposure(self) -> HierarchicalReward:
        """Return the model of preferences alone that has the same priors."""
        return HierarchicalReward(
            covariance=self.covariance,
            mean_sd=self.mean_sd,
            spread_sd=self.spread_sd,
            effect_sd=self.effect_sd,
            concentration=self.concentration,
            scale=self.scale,
            **self.choice_keywords(),
        )


class Indicators(dist.TorchDistribution):  # type: ignore[misc]
    """One choice among categories as 0/1 indicators, event (q,).

    Parameters
    ----------
    logits
        (..., q): log-odds of the categories that have an indicator.
    rest
        Whether there is a category without an indicator, with log-odds 0.
    """

    has_rsample = False
    arg_constraints: dict[str, Any] = {}  # noqa: RUF012 (torch's own interface)

    def __init__(self, logits: torch.Tensor, *, rest: bool) -> None:
        self.logits = logits
        self.rest = rest
        super().__init__(logits.shape[:-1], logits.shape[-1:], validate_args=False)

    def _all(self) -> torch.Tensor:
        if not self.rest:
            return self.logits
        return torch.cat([self.logits, torch.zeros_like(self.logits[..., :1])], dim=-1)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Log probability of indicators (..., q)."""
        return (value * self.logits).sum(-1) - torch.logsumexp(self._all(), dim=-1)

    def sample(self, sample_shape: Any = ()) -> torch.Tensor:
        """Draw indicators."""
        drawn: torch.Tensor = dist.OneHotCategorical(logits=self._all()).sample(
            torch.Size(sample_shape)
        )
        return drawn[..., : self.logits.shape[-1]]


def _indicators(context: FloatArray) -> bool:
    """Whether contexts are 0/1 indicators, at most one of them 1 in a row."""
    return bool(np.isin(context, (0.0, 1.0)).all() and (context.sum(axis=1) <= 1).all())
