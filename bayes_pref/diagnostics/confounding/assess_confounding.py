"""Which comparisons are confounded: those whose askers differ from people in general.

For a pair with differences d shown in context x,
    p_do  = E sigmoid(d . w) over all users,
    p_obs = E sigmoid(d . w) over the users who are shown x,      delta = p_obs - p_do.
In the coupled model (correlated random effects; Mundlak 1978, Econometrica 46)
    w_i = mu + B c_i + G z_i + u_i,  u_i ~ Normal(0, Sigma),
with z_i the user's mean context and a = (B, G)' d, d . w is Normal over all users with mean
d . mu + a . hbar and variance v0 = a' V a + d' Sigma d, where hbar and V are the mean and variance
of h = (c, z) over users; and over those who are shown x with mean and variance of h as
`exposure_law` has them. Without covariates that is, with R = Cov_n(z, x_n) Var_n(x)^-1, J = G R,
    shift in log-odds = d' G [zbar_n - zbar_u + R (x - xbar_n)],   v1 = v0 - d' J Var_n(x) J' d.
Each draw of the posterior is paired with a draw of that law.

**With covariates** delta is what is left after adjusting for them: users who are shown x are
compared with users in general who have the same covariates, and these are averaged over all
users. Before adjusting, users who are shown x differ in their covariates, too:
`shift_unadjusted`, from the same fit, since E(h | x) - hbar has a part for c as well as one for z,
and both together times (B, G) is the regression of the weights on x. With before_n and after_n the
posterior means of the two shifts of fitted comparison n in log-odds, covariates carry
    1 - sum_n before_n after_n / sum_n before_n^2
of the coupling: all of it is 1, none is 0, and below 0 they hide some.

A comparison is flagged when P(|delta| > threshold | data) > certainty and the permutation test of
`permutation` rejects: delta of all rows share G, so that without the test a single unlucky G would
flag many of them.

With a left-hand effect, d . w and both probabilities are those of a pair whose sides do not matter.
Choices that are not logistic in the weights (ties, lapses, the probit link, levels) are not
assessed.

What this cannot see: preferences that go along with the square of exposure, and confounders that
leave no trace in contexts or covariates.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.table import listed
from bayes_pref.diagnostics.confounding.exposure_distribution import (
    collinear,
    draw_exposure,
    varying,
)
from bayes_pref.diagnostics.confounding.permutation import permutation_test
from bayes_pref.diagnostics.confounding.shared_shift import joint_shifts, without_cause
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws, carried, describe_shifts
from bayes_pref.diagnostics.query import Pairs
from bayes_pref.errors import DataError, ModelError
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.models.base import RewardModel, centred_covariates, exposures
from bayes_pref.models.hierarchical import HierarchicalReward
from bayes_pref.models.shared_cause import SharedCauseReward
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describe_parameters

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Confounding:
    """Which comparisons are confounded, and how preferences go along with what users are shown.

    Attributes
    ----------
    comparisons
        A row for each pair, in their order: `p_do` and `p_obs` (posterior means), `shift` (the
        posterior mean of p_obs - p_do) with `shift_lower` and `shift_upper`, and `p_confounded`,
        the probability that |p_obs - p_do| is beyond the threshold. With covariates p_obs is
        adjusted for them, and `shift_unadjusted` is the shift before; nan without covariates.
    flagged
        (n,) whether a pair is confounded: sure enough, and the gate rejects.
    permutation_p
        P-value of the permutation test that preferences have nothing to do with exposure.
    coupling
        `feature`, `context`, and `mean`, `sd`, `lower`, `upper` of G: log-odds per raw unit of the
        feature and sd over users of their mean context.
    carried
        Share of the coupling that covariates carry; None without covariates.
    notes
        Sentences on what limits the answer.
    threshold, certainty, level, permutations, interval, seed
        The settings.
    """

    comparisons: pd.DataFrame
    flagged: NDArray[np.bool_]
    permutation_p: float
    coupling: pd.DataFrame
    carried: float | None
    notes: tuple[str, ...]
    threshold: float
    certainty: float
    level: float
    permutations: int
    interval: float
    seed: int


def refit_with_exposure(posterior: Posterior, *, seed: int = 0, progress: bool = True) -> Posterior:
    """Return a posterior of the coupled model: this one, or an exact fit to the same comparisons.

    Parameters
    ----------
    posterior
        Of any model.
    seed
        Of the fit, if there is one.
    progress
        Whether to show it.

    Returns
    -------
    Posterior of a model with the exposure term

    Raises
    ------
    ModelError
        If the comparisons have no contexts, or choices are not logistic, as with ties.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.confounding.assess_confounding import couple
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> refit_with_exposure(posterior, progress=False).draws["G"].sizes["context"]
    1
    """
    model = posterior.model
    if isinstance(model, SharedCauseReward):
        return posterior
    if isinstance(model, HierarchicalReward):
        # A mean-field guide makes the intervals of shifts too narrow: it holds G and mu apart.
        if model.exposure and posterior.run.joint:
            return posterior
        exposure_posterior = replace(model, exposure=True)
    else:
        exposure_posterior = HierarchicalReward(
            exposure=True, mean_sd=model.mean_sd, scale=model.scale, **model.choice_keywords()
        )
    # Enough for the population, which is all that `assess` reads; users' own weights need more.
    engine = Gibbs(draws=600, warmup=400, progress=progress)
    return fit(exposure_posterior, posterior.comparisons, engine, seed=seed)


def unsupported(comparisons: Comparisons, model: RewardModel | None = None) -> str | None:
    """Say why confounding cannot be assessed with these comparisons, or None if it can.

    Parameters
    ----------
    comparisons
        The data.
    model
        Whose choice model is looked at, too.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.confounding.assess_confounding import unassessable
    >>> unassessable(bp.simulate(users=20, contexts=0, seed=0).comparisons)[:42]
    'confounding cannot be assessed: no context'
    >>> unassessable(bp.simulate(users=20, seed=0).comparisons) is None
    True
    """
    start, names = "confounding cannot be assessed: ", comparisons.features.contexts
    beyond = None if model is None else model.choice_model(comparisons).beyond_logistic
    if beyond is not None:
        return (
            f"{start}its test and its probabilities are those of logistic choices, and here is "
            f"{beyond}; to assess it, fit a model without, to choices without ties"
        )
    if not names:
        return (
            f"{start}no context was recorded; record with every comparison what it was about "
            "(the topic or difficulty of its prompt: whatever decides who is shown what) as a "
            "column of numbers, and pass its name as context=[...]"
        )
    if comparisons.n_users == 1:
        return f"{start}all comparisons are of one user, and it is users who differ; ask more users"
    if not varying(comparisons.context).any():
        return (
            f"{start}{_contexts(names)} the same in every comparison; record what differs "
            "between comparisons, and pass its column as context=[...]"
        )
    if not exposures(comparisons).any():
        return (
            f"{start}{_contexts(names)} on average the same for every user, so that nothing "
            "tells users apart by what they are shown; if others were not assigned by design, "
            "pass their columns as context=[...], too"
        )
    least = len(names) + len(comparisons.covariate_names) + 3
    if comparisons.n_users < least:
        return (
            f"{start}{comparisons.n_users} users are too few to see how preferences go along "
            f"with {listed(names)}; at least {least} are needed, and 50 to see much"
        )
    return None


def assess(
    exposure_posterior: Posterior,
    pairs: Pairs,
    *,
    threshold: float = 0.03,
    certainty: float = 0.95,
    level: float = 0.01,
    permutations: int = 1999,
    interval: float = 0.9,
    seed: int = 0,
) -> Confounding:
    """Assess which pairs are confounded.

    Parameters
    ----------
    exposure_posterior
        Posterior of a model with the exposure term, as `refit_with_exposure` returns.
    pairs
        What to assess.
    threshold
        Difference of p_obs and p_do that matters, 0 to 1.
    certainty
        Probability that it is exceeded, from which on a pair is flagged.
    level
        Of the permutation test that has to reject before any pair is flagged.
    permutations
        Of that test.
    interval
        Probability inside the central credible intervals.
    seed
        Of the bootstrap, the permutations and the fit without coupling.

    Returns
    -------
    Confounding

    Raises
    ------
    DataError
        If confounding cannot be assessed, as `unsupported` says, or a setting is out of range.
    ModelError
        If the posterior's model has no exposure term.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.confounding.assess_confounding import assess
    >>> from bayes_pref.diagnostics.query import read_pairs
    >>> world = bp.simulate(confounding=0.7, seed=0)
    >>> model = bp.HierarchicalReward(exposure=True)
    >>> posterior = bp.fit(model, world.comparisons, bp.Gibbs(progress=False))
    >>> found = assess(posterior, read_pairs(posterior))
    >>> found.permutation_p, bool(found.flagged.any())
    (0.0005, True)
    """
    comparisons, model = exposure_posterior.comparisons, exposure_posterior.model
    _check(threshold, certainty, level, permutations)
    interval = settings.interval(interval)
    joint = isinstance(model, SharedCauseReward)
    if not joint and "G" not in exposure_posterior.draws:
        raise ModelError(
            f"{type(model).__name__} has no exposure term: fit "
            "bp.HierarchicalReward(exposure=True), or let refit_with_exposure(posterior) do it"
        )
    reason = unsupported(comparisons, model)
    if reason is not None:
        raise DataError(reason)
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2)]
    share = None
    if joint:
        frame = joint_shifts(exposure_posterior, pairs, threshold=threshold, interval=interval)
    else:
        population = PopulationDraws.read(exposure_posterior)
        exposure = draw_exposure(comparisons, len(population.mu), streams[0])
        frame = describe_shifts(population, exposure, pairs, threshold, interval)
        if comparisons.covariate_names:
            share = carried(population, exposure, comparisons)
    p = permutation_test(
        comparisons,
        *_without_coupling(model, comparisons, seed, exposure_posterior.run.settings.get("cores")),
        permutations=permutations,
        rng=streams[1],
    )
    sure = frame["p_confounded"].to_numpy() > certainty
    return Confounding(
        frame,
        sure & (p <= level),
        p,
        _coupling(exposure_posterior, interval),
        share,
        _notes(comparisons),
        threshold,
        certainty,
        level,
        permutations,
        interval,
        seed,
    )


def _without_coupling(
    model: RewardModel, comparisons: Comparisons, seed: int, cores: int | None
) -> tuple[Array, Array, float]:
    """Users' mean weights (u, d), their covariance (d, d) and the left-hand effect.

    Fitted without exposures.
    """
    if isinstance(model, SharedCauseReward):
        model = without_cause(model)
    assert isinstance(model, HierarchicalReward)
    # Few draws: the test's level does not depend on how well this is known, and posterior means
    # are known well enough long before intervals are.
    engine = Gibbs(draws=200, warmup=200, chains=2, cores=cores, progress=False)
    values = engine.prepare(replace(model, exposure=False), comparisons).run(seed).sites
    mu, tau = values["mu"].mean(axis=(0, 1)), values["tau"]
    square = tau[..., :, None] * tau[..., None, :]
    alike = values.get("correlation", np.eye(len(mu)))
    centre = np.tile(mu, (comparisons.n_users, 1))
    if "B" in values:
        centre += centred_covariates(comparisons) @ values["B"].mean(axis=(0, 1)).T
    position = float(values["position"].mean()) if "position" in values else 0.0
    return centre, (square * alike).mean(axis=(0, 1)), position


def _coupling(posterior: Posterior, interval: float) -> pd.DataFrame:
    """Describe G, feature by feature and context by context."""
    name = "G" if "G" in posterior.draws else "Gamma"
    draws = posterior.draws[name].transpose("chain", "draw", "feature", "context")
    if name == "Gamma":  # in sds of the cause, as G is in sds of exposure
        draws = draws * posterior.draws["between"]
    keys = pd.MultiIndex.from_product(
        [posterior.comparisons.feature_names, posterior.comparisons.features.contexts],
        names=["feature", "context"],
    ).to_frame(index=False)
    values = draws.to_numpy().reshape(*draws.shape[:2], -1)
    return keys.assign(**describe_parameters(values, interval))


def _notes(comparisons: Comparisons) -> tuple[str, ...]:
    """Sentences on contexts that cannot be used, or not be told apart."""
    names, notes = comparisons.features.contexts, []
    spread, shown = varying(comparisons.context), np.ptp(exposures(comparisons), axis=0) > 0
    same = [name for name, sd in zip(names, spread, strict=True) if sd == 0]
    if same:
        notes.append(f"{_contexts(same)} the same in every comparison and tell nothing.")
    alike = [n for n, sd, z in zip(names, spread, shown, strict=True) if sd > 0 and not z]
    if alike:
        notes.append(
            f"{_contexts(alike)} on average the same for every user: whether preferences go "
            "along with being shown more of it cannot be seen."
        )
    if collinear(comparisons.context):
        notes.append(
            "Some contexts are combinations of others, so that their couplings cannot be told "
            "apart; shifts are those of all contexts together, and hold for pairs in which they "
            "are combined as in the data."
        )
    return tuple(notes)


def _contexts(names: tuple[str, ...] | list[str]) -> str:
    return f"context {listed(names)} is" if len(names) == 1 else f"contexts {listed(names)} are"


def _check(threshold: float, certainty: float, level: float, permutations: int) -> None:
    shares = {"threshold": threshold, "certainty": certainty, "level": level}
    for name, value in shares.items():
        settings.argument(name, value, settings.fraction)
    settings.argument("permutations", permutations, settings.whole(1))
    if 1 / (permutations + 1) > level:
        raise DataError(
            f"{permutations} permutations can never reject at level {level:g}; "
            f"take at least {int(np.ceil(1 / level)) - 1}"
        )
