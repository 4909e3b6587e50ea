"""The fits that confounding is assessed with: with exposure in the weights, and without.

In the exposure model (correlated random effects; Mundlak 1978, Econometrica 46)
    w_i = mu + B c_i + G z_i + u_i,   u_i ~ Normal(0, Sigma),
with c_i the covariates of user i, and z_i the user's mean context, standardised over users. In the
flexible one there is H h_i as well, with h_i the squares and products of z_i.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.inference.engine import Engine, first_prepared
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.inference.nuts.nuts import NUTS
from bayes_pref.models.base import RewardModel
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.models.observational_bias import has_log
from bayes_pref.models.regressors import LEFT_OUT, centred_covariates
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describe_parameters
from bayes_pref.seeding import standard_numpy
from bayes_pref.types import FloatArray


def refit_with_exposure(
    posterior: Posterior,
    *,
    seed: int = 0,
    progress: bool = True,
    engine: Engine | None = None,
    curve_sd: Mapping[str, float] | None = None,
    comparisons: Comparisons | None = None,
) -> Posterior:
    """Return a posterior in which weights depend on exposure: this one, or a new fit.

    Parameters
    ----------
    posterior
        Posterior of any model.
    seed
        Random seed of the new fit.
    progress
        Whether to show its progress.
    engine
        How to draw from it; None: `Gibbs`, with as many draws as shifts need, or `NUTS` where the
        choice model has no Gibbs sampler.
    curve_sd
        Prior sds of the effects of squares and products of exposures, by name; without any, weights
        depend on exposures along lines, unless the posterior's model says otherwise.
    comparisons
        The same comparisons with more features; None: those of the posterior.

    Returns
    -------
    Posterior of a model with exposure, fitted to the same comparisons

    Raises
    ------
    ModelError
        If the comparisons have no contexts.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> refit_with_exposure(posterior, progress=False).draws["G"].sizes["context"]
    1
    """
    known = comparisons is None
    comparisons = posterior.comparisons if comparisons is None else comparisons
    with_exposure = posterior.model.with_exposure(comparisons, curve_sd=curve_sd)
    # Without the correlation of G and mu, the intervals of shifts are too narrow.
    joint = "G" not in posterior.draws or posterior.run.joint
    if known and with_exposure is posterior.model and joint:
        return posterior
    return _fitted(with_exposure, comparisons, seed=seed, progress=progress, engine=engine)


def refit_with_bias(
    posterior: Posterior, *, seed: int = 0, progress: bool = True, engine: Engine | None = None
) -> Posterior | None:
    """Return a posterior in which the log may be biased, without exposure: this one, or a new fit.

    None without several users, and comparisons that were assigned at random beside others.

    Parameters
    ----------
    posterior, seed, progress, engine
        As for `refit_with_exposure`.
    """
    comparisons = posterior.comparisons
    if not has_log(comparisons) or comparisons.n_users < 2:
        return None
    if "observational_bias" in posterior.draws and posterior.run.joint:
        return posterior
    biased = posterior.model.with_log_bias(comparisons)
    return _fitted(biased, comparisons, seed=seed, progress=progress, engine=engine)


_MOST_MINUTES = 3.0  # of a fit that a diagnosis makes


def _fitted(
    model: RewardModel,
    comparisons: Comparisons,
    *,
    seed: int,
    progress: bool,
    engine: Engine | None,
) -> Posterior:
    # Enough draws for the population, which is all that shifts depend on.
    if engine is None:
        spec = model.spec(comparisons)
        slow = spec is not None and spec.observational_bias is not None
        engines = (
            Gibbs(
                draws=600,
                warmup=400,
                thin=3 if slow else 1,  # along what a log leaves open chains move slowly
                until="converged",
                max_minutes=_MOST_MINUTES,
                progress=progress,
            ),
            NUTS(draws=400, warmup=300, progress=progress),
        )
        engine, _ = first_prepared(engines, model, comparisons)
    return fit(model, comparisons, engine, seed=seed)


@dataclass(frozen=True, eq=False)
class NullFit:
    """Posterior means of the model in which weights do not depend on exposure.

    Attributes
    ----------
    centre, covariance
        (u, d) mu + B c_i and (d, d) Sigma, in units of eta per raw unit.
    choices
        Distribution of choices at the choice model's parameters (one sample), without position.
    position
        Position bias; 0 without.
    """

    centre: FloatArray
    covariance: FloatArray
    choices: ChoiceDistribution
    position: float


def fit_without_exposure(
    model: RewardModel, comparisons: Comparisons, *, seed: int, cores: int | None
) -> NullFit:
    """Fit the null model of the permutation test, in which weights do not depend on exposure.

    Parameters
    ----------
    model
        Model with exposure.
    comparisons
        The fitted comparisons.
    seed
        Random seed of the fit.
    cores
        Processors to use; None: all.

    Returns
    -------
    NullFit
    """
    # Few draws: the level of the test does not depend on their number, and posterior means are
    # accurate long before intervals are.
    null = model.without_exposure()
    engines = (
        Gibbs(draws=200, warmup=200, chains=2, cores=cores, progress=False),
        NUTS(draws=200, warmup=200, chains=2, cores=cores, progress=False),
    )
    with standard_numpy():
        drawn = first_prepared(engines, null, comparisons)[1].run(seed).sites
    mu, tau = drawn["mu"].mean(axis=(0, 1)), drawn["tau"]
    correlation = drawn.get("correlation", np.eye(len(mu)))
    centre = np.tile(mu, (comparisons.n_users, 1))
    if "B" in drawn:
        centre += centred_covariates(comparisons) @ drawn["B"].mean(axis=(0, 1)).T
    covariance = (tau[..., :, None] * tau[..., None, :] * correlation).mean(axis=(0, 1))
    choice_model = null.choice_model(comparisons)
    names = choice_model.variables(comparisons.outcome)
    means = {name: drawn[name].mean(axis=(0, 1))[..., None] for name in names}
    position = float(means.pop("position", np.zeros(1))[0])
    return NullFit(centre, covariance, choice_model.at(**means), position)


def describe_exposure_effects(posterior: Posterior, interval: float) -> pd.DataFrame:
    """Describe how weights depend on exposures: one row for each feature and exposure.

    Parameters
    ----------
    posterior
        Posterior of a model with exposure.
    interval
        Probability inside the central credible interval.

    Returns
    -------
    frame: `feature`, `context`, `mean`, `sd`, `lower`, `upper`; log-odds per raw unit of the
        feature and standard deviation over users of the exposure. In the flexible model, squares
        and products of exposures follow, such as ``age^2`` and ``age x length``, without what is
        linear in the exposures.
    """
    draws = posterior.draws
    # Of a shared cause, per standard deviation over users.
    parts = [draws["G"] if "G" in draws else draws["Gamma"] * draws["between"]]
    if "H" in draws:
        spec = posterior.model.spec(posterior.comparisons)
        assert spec is not None  # or there would be no term H
        sd = next(term.prior_sd for term in spec.terms if term.name == "H")
        kept = (sd * posterior.comparisons.feature_scale[:, None] > 2 * LEFT_OUT).any(axis=0)
        parts.append(draws["H"].isel(exposure=np.flatnonzero(kept)).rename(exposure="context"))
    effects = xr.concat(parts, "context").transpose("chain", "draw", "feature", "context")
    values = effects.to_numpy()
    unit = posterior.model.choice_model(posterior.comparisons).log_odds_per_unit
    keys = pd.MultiIndex.from_product(
        [posterior.comparisons.feature_names, effects["context"].to_numpy()],
        names=["feature", "context"],
    ).to_frame(index=False)
    described = describe_parameters(unit * values.reshape(*values.shape[:2], -1), interval)
    return keys.assign(**described)
