"""Factor model: users' weights differ along k directions.

    mu_f ~ Normal(0, (mean_sd / s_f)^2)
    V_fr ~ Normal(0, (spread_sd / s_f)^2 / k)               r = 1 ... k, the factors
    noise_f ~ HalfNormal(noise_sd / s_f)                    diagonal=True
    B_fj ~ Normal(0, (effect_sd / (s_f r_j))^2)             with covariates
    z_i ~ Normal(0, I_k),  u_i ~ Normal(0, I)
    w_i = mu + B (c_i - mean c) + V z_i + noise * u_i
    choice_n ~ Bernoulli(sigmoid(d_n . w_i(n)))

s_f and r_j as in `hierarchical`. Given covariates, w_i has the covariance V V' + diag(noise^2) of
factor analysis (Bartholomew, Knott & Moustaki 2011, "Latent variable models and factor analysis"),
whose diagonal is `tau`^2: the sd of users, as in the other models.

V and z_i are not identified: V R and R' z_i have the same posterior density for any rotation or
reflection R. After sampling, whatever the engine, draws are aligned by orthogonal Procrustes
rotation to their common mean (Assmann, Boysen-Hogrebe & Pape 2016, Journal of Econometrics 192;
also Papastamoulis & Ntzoufras 2022, Statistics and Computing 32):

1. The first reference is the root of rank k of the best approximation to the mean of V V', with
   features scaled by s_f. It is invariant to R, and does not favour any chain.
2. Each draw of V, scaled, is rotated so that its squared distance to the reference is smallest. The
   reference becomes the mean of the rotated draws. This is repeated until it converges.
3. All draws are rotated by the same R so that the reference has orthogonal columns, the longest
   first and the largest entry of each positive. z_i is rotated with V.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyro
import xarray as xr

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.messages import shown
from bayes_pref.models.base import RewardModel
from bayes_pref.models.careless import observe_choices
from bayes_pref.models.design import Batch
from bayes_pref.models.population_sites import (
    add_known_terms,
    half_normal_site,
    normal_site,
    standard_normal,
)
from bayes_pref.models.regressors import covariate_terms, feature_units
from bayes_pref.models.spec import PopulationSpec, Term
from bayes_pref.types import FloatArray

_ROUNDS = 100  # most iterations of the alignment; about five are usual
_STILL = 1e-8  # relative change of the reference at which it stops


@dataclass(frozen=True, kw_only=True)
class LowRankReward(RewardModel):
    """Users differ along a few shared directions: w_i = mu + B c_i + V z_i + noise * u_i.

    Each column of V is a factor: the change of weights per sd of users' scores on it. Each user has
    the scores z_i, which `bp.plots.factors` draws. Where users differ along few directions, fewer
    comparisons per user are needed than in `HierarchicalReward`. Draws of V and z are rotated to a
    common orientation, so that a factor means the same in every draw and chain.

    Parameters
    ----------
    rank
        k, the number of factors; at most the number of features.
    diagonal
        Whether users also differ in each feature independently, with sds `noise`; otherwise only
        by factors and covariates.
    mean_sd
        Prior sd of `mu`, log-odds per scaled unit of a feature.
    spread_sd
        Root mean square of users' sds through all factors together under the prior, whatever the
        rank: log-odds per scaled unit of a feature.
    noise_sd
        Scale of the half-normal prior of `noise`, log-odds per scaled unit of a feature.
    effect_sd
        Prior sd of `B`, log-odds per scaled unit of a feature and sd of a covariate.
    scale
        "rms": priors are on features divided by the root mean square of their differences (and
        covariates divided by their sd); "raw": on both as given.

    Raises
    ------
    ModelError
        If a setting is out of range, the choice model cannot describe the data, or there are only
        one user or fewer features than factors.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, features=6, factors=2, heterogeneity=0.2, seed=0)
    >>> bp.LowRankReward(rank=2).variables(world.comparisons)["V"]
    ('feature', 'factor')
    """

    rank: int = 2
    diagonal: bool = True
    spread_sd: float = 1.0
    noise_sd: float = 0.5
    effect_sd: float = 1.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(self, rank=settings.whole(1), diagonal=settings.boolean)

    def check(self, comparisons: Comparisons) -> None:
        """Refuse comparisons that the model cannot describe.

        Raises
        ------
        ModelError
            If there are ties, a single user, or fewer features than factors.
        """
        super().check(comparisons)
        if comparisons.n_users < 2:
            raise ModelError(
                "LowRankReward needs at least two users to learn how users differ, and these "
                f"{len(comparisons):,} comparisons are all of {shown(comparisons.users[0])}; "
                "use PooledReward for one user, or check the user column"
            )
        if self.rank > comparisons.n_features:
            raise ModelError(
                f"LowRankReward(rank={self.rank}): these comparisons have {comparisons.n_features} "
                f"features, and users cannot differ in more ways; use a rank of at most "
                f"{comparisons.n_features}"
            )

    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: the sites of `variables` and the observed choices."""
        self.check(comparisons)
        spec = self.spec(comparisons)
        everyone = pyro.plate("user", comparisons.n_users, dim=-1)
        batch = Batch.of(comparisons, everyone.indices)
        mu = normal_site("mu", spec.mean_sd)
        loadings = normal_site("V", spec.terms[-1].prior_sd)
        square = (loadings**2).sum(-1)
        centre = add_known_terms(mu, spec, batch)
        noise = None
        if self.diagonal:
            noise = half_normal_site("noise", spec.spread_sd)
            square = square + noise**2
        pyro.deterministic("tau", square.sqrt(), event_dim=1)
        likelihood = self.choice_likelihood(comparisons)
        with everyone:
            # Standard noise of its own, not Normal(centre + V z, noise): there is no funnel, and
            # whatever reads users one by one finds them independent given the population.
            scores = pyro.sample("z", standard_normal(self.rank))
            weights = centre + (loadings * scores[..., None, :]).sum(-1)
            if noise is not None:
                weights = weights + noise * pyro.sample("u", standard_normal(len(spec.mean_sd)))
            pyro.deterministic("weights", weights, event_dim=1)
        eta = (batch.difference * weights[..., batch.user, :]).sum(-1)
        observe_choices(spec, everyone, batch, likelihood, eta)

    def spec(self, comparisons: Comparisons) -> PopulationSpec:
        """Return how users differ: along the factors, and by independent noise."""
        units = feature_units(self.scale, comparisons)
        loading_sd = self.spread_sd / np.sqrt(self.rank) / units
        factors = Term("V", "factor", np.tile(loading_sd[:, None], self.rank), scores="z")
        return PopulationSpec(
            mean_sd=self.mean_sd / units,
            spread_sd=self.noise_sd / units if self.diagonal else np.empty(0),
            covariance="diagonal" if self.diagonal else "none",
            terms=(*covariate_terms(self.effect_sd, self.scale, comparisons), factors),
            careless=self.careless_shape,
        )

    def align(
        self, values: dict[str, FloatArray], comparisons: Comparisons
    ) -> dict[str, FloatArray]:
        """Return draws by site with V and z of each draw rotated to a common orientation."""
        rotation = _rotations(values["V"] * comparisons.feature_scale[:, None])
        return values | {"V": values["V"] @ rotation, "z": values["z"] @ rotation}

    def identified(self, draws: xr.Dataset) -> xr.Dataset:
        """Return the draws with V V' and V z_i, which are identified, in place of V and z.

        Without noise V z_i is left out: it is the weights less their mean.
        """
        loadings = draws["V"]
        kept = draws.drop_vars(["V", "z", "factor"], errors="ignore").assign(
            shared_covariance=xr.dot(
                loadings, loadings.rename(feature="feature_bis"), dim="factor"
            ).transpose("chain", "draw", "feature", "feature_bis")
        )
        if not self.diagonal:
            return kept
        shared = xr.dot(draws["z"], loadings, dim="factor")
        return kept.assign(shared=shared.transpose("chain", "draw", "user", "feature"))


def _rotations(loadings: FloatArray) -> FloatArray:
    """Rotations (chain, draw, k, k) that align draws (chain, draw, feature, k), as above."""
    rank = loadings.shape[-1]
    flat = loadings.reshape(-1, *loadings.shape[-2:])
    values, vectors = np.linalg.eigh(np.einsum("nfr,ngr->fg", flat, flat) / len(flat))
    reference = vectors[:, -rank:] * np.sqrt(values[-rank:].clip(0.0))
    for _ in range(_ROUNDS):
        left, _, right = np.linalg.svd(np.swapaxes(flat, 1, 2) @ reference)
        rotation = left @ right
        before, reference = reference, (flat @ rotation).mean(axis=0)
        if np.linalg.norm(reference - before) <= _STILL * np.linalg.norm(reference):
            break
    axes, _, turn = np.linalg.svd(reference, full_matrices=False)
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(rank)]
    turn = turn.T * np.where(largest < 0.0, -1.0, 1.0)
    return np.asarray((rotation @ turn).reshape(*loadings.shape[:2], rank, rank))
