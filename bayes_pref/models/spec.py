"""What an engine needs to know of how a model's users differ: its population, as data.

    w_i = mu_t(i) + sum over terms of coefficients @ values_i + u_i,   u_i ~ Normal(0, Sigma)

Sigma is absent, diagonal or full; t(i) is the user's component in a mixture. A term's values are
known (covariates, exposures) or latent (factor scores, a cause shared with the contexts). Where
weights have a sign (`signs`), that is how their logarithms are distributed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from bayes_pref.models.observational_bias import ObservationalBias
from bayes_pref.models.signs import Signs
from bayes_pref.types import FloatArray

LOG_SD = 1.0  # prior sd of the logarithm of the median user's weight, where it has a sign

Sites: TypeAlias = dict[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Term:
    """A block of regressors of users' weights: w_i += coefficients @ values_i.

    Attributes
    ----------
    name
        Site of the coefficients (n_features, k): "B", "G", "H", "V" or "Gamma" in the models here.
    dim
        Dimension of the regressors: "covariate", "context", "exposure" (its squares and products)
        or "factor".
    prior_sd
        (n_features, k): prior sd of the coefficients, which are centred at zero; log-odds per raw
        unit of the feature and of the regressor.
    values
        (n_users, k): known regressors. None: they are latent.
    scores
        Site (n_users, k) of latent regressors.

    Examples
    --------
    >>> Term("V", "factor", np.ones((3, 2)), scores="z").size
    2
    """

    name: str
    dim: str
    prior_sd: FloatArray
    values: FloatArray | None = None
    scores: str | None = None

    @property
    def size(self) -> int:
        """Number of regressors, k."""
        return int(self.prior_sd.shape[1])


@dataclass(frozen=True, eq=False)
class ContextModel:
    """How the contexts of a user's comparisons are distributed around the user's place.

    Contexts of user i are Normal(a + s_i, within^2), or the categories of a choice with log-odds
    a + s_i. Priors: a ~ Normal(centre, sd^2); `between`, the sd of s_i, and `within` are
    half-normal with scale `sd`. In a mixture a differs by component and contexts are independent;
    otherwise they are correlated, with LKJ priors.

    Attributes
    ----------
    centre, sd
        (n_contexts,), raw units; log-odds for categories.
    categories
        Whether contexts are 0/1 indicators of one choice among categories.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> comparisons = bp.simulate(users=20, contexts=2, seed=0).comparisons
    >>> bp.SharedCauseReward().spec(comparisons).contexts.sd.shape
    (2,)
    """

    centre: FloatArray
    sd: FloatArray
    categories: bool = False


@dataclass(frozen=True, eq=False)
class PopulationSpec:
    """How users' weights are distributed, and the priors of that distribution.

    Attributes
    ----------
    mean_sd
        (n_features,): prior sd of mu, which is centred at zero; log-odds per raw unit.
    spread_sd
        (n_features,): scale of the half-normal prior of the sds of Sigma, log-odds per raw unit;
        empty without Sigma.
    covariance
        Sigma: "none", "diagonal" or "full".
    concentration
        Of the LKJ prior of correlations; in a mixture, of the Dirichlet prior of the shares.
    terms
        Regressors of the weights, at most one of them latent. A latent term with contexts has the
        scores s_i of `ContextModel`; without, Normal(0, I) scores, the factors.
    components
        Number of components of a mixture, each with its own mu; None: no mixture.
    contexts
        How contexts are distributed; None: the model takes them as given.
    signs
        Which weights have a sign; None: none has. Of those, `mean_sd`, `spread_sd` and the terms
        are about the logarithm of the weight; see `with_signs`.
    observational_bias
        How answers to what was not assigned at random are biased; None: they are not.
    careless
        Shape of the Beta prior of the share of users who answer everything at random; None: nobody
        does. Their weights are distributed as those of others, and do not show.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, features=3, seed=0)
    >>> spec = bp.LowRankReward(rank=2).spec(world.comparisons)
    >>> spec.covariance, [term.name for term in spec.terms]
    ('diagonal', ['V'])
    """

    mean_sd: FloatArray
    spread_sd: FloatArray
    covariance: Literal["none", "diagonal", "full"]
    concentration: float = 1.0
    terms: tuple[Term, ...] = ()
    components: int | None = None
    contexts: ContextModel | None = None
    signs: Signs | None = None
    observational_bias: ObservationalBias | None = None
    careless: tuple[float, float] | None = None

    def with_signs(self, sign: FloatArray) -> PopulationSpec:
        """Return the population whose weights have these signs, (n_features,) of -1, 1, and 0.

        The size of the median user's weight is log-normal, with the root mean square that the prior
        of mu had, and a sd of 1 on the scale of logarithms: from 0.07 to 1.9 times `mean_sd`, nine
        times in ten. Users differ from it, and terms move it, by the same share as before: by a
        factor of exp(spread_sd / mean_sd) instead of by `spread_sd`.

        Examples
        --------
        >>> import numpy as np
        >>> plain = PopulationSpec(np.array([2.0]), np.array([1.0]), "diagonal")
        >>> plain.with_signs(np.array([-1.0])).spread_sd
        array([0.5])
        """
        on = sign != 0.0
        share = np.where(on, 1.0 / self.mean_sd, 1.0)
        return replace(
            self,
            mean_sd=np.where(on, LOG_SD, self.mean_sd),
            spread_sd=self.spread_sd * share if self.spread_sd.size else self.spread_sd,
            terms=tuple(replace(t, prior_sd=t.prior_sd * share[:, None]) for t in self.terms),
            signs=Signs(sign, np.where(on, np.log(self.mean_sd) - LOG_SD**2, 0.0)),
        )

    @property
    def mu_sd(self) -> FloatArray:
        """Prior sd (n_features,) of mu, log-odds per raw unit, also where weights have a sign."""
        return self.mean_sd if self.signs is None else self.signs.prior_sd(self.mean_sd)

    @property
    def known(self) -> tuple[tuple[Term, FloatArray], ...]:
        """The terms whose regressors are known, each with these."""
        return tuple((term, term.values) for term in self.terms if term.values is not None)

    @property
    def factors(self) -> Term | None:
        """The term of latent factors with Normal(0, I) scores."""
        return self._latent if self.contexts is None else None

    @property
    def cause(self) -> Term | None:
        """The term of a latent cause that users' weights share with their contexts."""
        return None if self.contexts is None else self._latent

    @property
    def _latent(self) -> Term | None:
        return next((term for term in self.terms if term.values is None), None)

    @property
    def depends_on_exposure(self) -> bool:
        """Whether users' weights may depend on the contexts they are shown."""
        return any(term.dim == "context" for term in self.terms)

    @property
    def pooled(self) -> bool:
        """Whether all users have the same weights."""
        return self.covariance == "none" and not self.terms and self.components is None

    @property
    def gaussian(self) -> bool:
        """Whether users are Gaussian around a mean that known regressors give, and the log honest.

        Where weights have a sign, their logarithms are.
        """
        return self.observational_bias is None and self.gaussian_weights

    @property
    def gaussian_weights(self) -> bool:
        """Whether users are Gaussian around a mean that known regressors give, whatever the log."""
        latent = any(term.values is None for term in self.terms)
        return not latent and self.components is None and self.contexts is None

    @property
    def spread(self) -> str:
        """Site of the sds of Sigma: `tau`, but `noise` where factors add to users' sds `tau`."""
        return "tau" if self.factors is None else "noise"

    @property
    def population_sites(self) -> Sites:
        """Sites of the population, and the named dimensions of each."""
        component = () if self.components is None else ("component",)
        sites: Sites = {} if self.components is None else {"share": component}
        sites["mu"] = (*component, "feature")
        if self.covariance != "none" or self.factors is not None:
            sites["tau"] = ("feature",)
        sites |= {term.name: ("feature", term.dim) for term in self.terms}
        if self.covariance != "none":
            sites[self.spread] = ("feature",)
        if self.covariance == "full":
            sites["correlation"] = ("feature", "feature_bis")
        if self.observational_bias is not None:
            sites |= dict.fromkeys(
                ("bias_scale", "observational_bias", "bias_spread"), ("feature",)
            )
        if self.contexts is not None:
            sites["a"] = (*component, "context")
            for part in ("between",) if self.contexts.categories else ("between", "within"):
                sites[part] = ("context",)
                if self.components is None and self.contexts.sd.size > 1:
                    sites[f"{part}_correlation"] = ("context", "context_bis")
        return sites if self.careless is None else sites | {"careless_share": ()}

    @property
    def user_sites(self) -> Sites:
        """Sites that each user has, and the named dimensions of each."""
        sites: Sites = {} if self.careless is None else {"careless": ("user",)}
        if self.pooled:
            return sites
        sites |= {t.scores: ("user", t.dim) for t in self.terms if t.scores is not None}
        sites["weights"] = ("user", "feature")
        if self.observational_bias is not None:
            sites["user_observational_bias"] = ("user", "feature")
        return sites
