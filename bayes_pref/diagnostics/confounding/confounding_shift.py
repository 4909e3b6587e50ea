"""Confounding: whether the users who see a pair differ in their preferences from all users.

For a pair with differences d, shown in context x,
    p_do  = E sigmoid(d . w) over all users,
    p_obs = E sigmoid(d . w) over the users who see x,      delta = p_obs - p_do.
In the exposure model of `exposure_posterior`, with a = (B, G)' d, d . w is Normal over all users
with mean d . mu + a . hbar and variance v0 = a' V a + d' Sigma d, where hbar and V are the mean and
variance of h = (c, z) over users. Over the users who see x, h has the mean and variance of
`exposure_distribution`. Without covariates, with R = Cov_n(z, x_n) Var_n(x)^-1 and J = G R, that is
    shift in log-odds = d' G [zbar_n - zbar_u + R (x - xbar_n)],   v1 = v0 - d' J Var_n(x) J' d.
Each posterior draw is paired with a draw of that distribution.

**With covariates** delta is the shift after adjusting for them: users who see x are compared with
all users of the same covariates, and the differences are averaged over all users.
`shift_unadjusted` is the shift before adjusting, from the same fit: users who see x differ in their
covariates, too, so that E(h | x) - hbar has a part for c as well as one for z. Both together times
(B, G) is the regression of the weights on x.

A comparison is confounded when P(|delta| > shift | data) exceeds the certainty and the permutation
test of `permutation` rejects. The deltas of all rows share G; without the test, one unlucky G would
flag many of them.

Preferences may depend on exposure in another way than along a line. Where the second statistic of
the permutation test says so, h has the squares and products of exposures, too, and d . w is no
longer normal: see `curved_spread`.

With position bias, d . w and both probabilities are those of a pair whose sides do not matter. With
other choice models sigmoid is replaced by the probability that left is chosen, lapses included;
with ties, that it is preferred, and of graded answers that they find it better. Among several, it
is the probability that the alternative is chosen from its set; what users were shown counts by
task.

Preferences that oscillate with exposure cannot be seen, nor confounders that leave no trace in
contexts or covariates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.diagnostics.confounding.confounding_limits import notes_on_contexts, unsupported
from bayes_pref.diagnostics.confounding.exposure_distribution import draw_exposure
from bayes_pref.diagnostics.confounding.exposure_posterior import (
    NullFit,
    describe_exposure_effects,
    fit_without_exposure,
)
from bayes_pref.diagnostics.confounding.permutation import (
    PermutationTest,
    permutation_test,
)
from bayes_pref.diagnostics.confounding.randomised_share import (
    RandomisedShare,
    assess_share,
    log_p_value,
)
from bayes_pref.diagnostics.confounding.shared_shift import joint_shifts
from bayes_pref.diagnostics.confounding.shifts import (
    PopulationDraws,
    adjusted_share,
    describe_shifts,
    most_draws,
)
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.task_sets import one_row_a_task
from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS, Thresholds
from bayes_pref.draws import curved_names
from bayes_pref.errors import DataError, ModelError
from bayes_pref.models.regressors import LEFT_OUT
from bayes_pref.posterior import Posterior
from bayes_pref.types import Mask

# P-value up to which the model has a square or product of exposures. Their effects are shrunk by as
# much as the data suggest, so that they cost little where there is nothing to find.
CURVED_LEVEL = 0.05


def chosen_curves(test: PermutationTest, contexts: Sequence[str]) -> dict[str, float]:
    """Prior sds of the effects of those squares and products of exposures that seem to matter."""
    rows = zip(curved_names(contexts), test.curves, test.curve_sd, strict=False)
    return {name: float(sd) for name, p, sd in rows if p <= CURVED_LEVEL and sd > LEFT_OUT}


@dataclass(frozen=True, eq=False)
class Confounding:
    """Which comparisons are confounded, and how preferences depend on exposure.

    Attributes
    ----------
    comparisons
        One row a comparison, in the order of the query: `p_do` and `p_obs` (posterior means),
        `shift` (posterior mean of p_obs - p_do) with `shift_lower` and `shift_upper`, and
        `p_confounded`, the probability that |p_obs - p_do| exceeds the threshold. With covariates
        p_obs is adjusted for them, and `shift_unadjusted` is the shift before; NaN without.
    confounded
        (n,) whether a comparison is confounded.
    share
        What the randomised comparisons say; None without any.
    permutation_p
        P-value of the permutation test that preferences do not depend on exposure.
    coupling
        How weights depend on exposures: `feature`, `context`, `mean`, `sd`, `lower`, `upper`,
        log-odds per raw unit of the feature and standard deviation of the exposure over users.
    randomised_p
        P-value of the test that the log is answered as what was assigned at random is.
    carried
        Share of the shifts that adjusting for covariates removes; None without covariates.
    notes
        Sentences on limits.
    """

    comparisons: pd.DataFrame
    confounded: Mask
    permutation_p: float
    coupling: pd.DataFrame
    carried: float | None
    notes: tuple[str, ...]
    share: RandomisedShare | None = None
    randomised_p: float | None = None


def exposure_test(
    posterior: Posterior,
    *,
    permutations: int = 1999,
    seed: int = 0,
    null: NullFit | None = None,
) -> PermutationTest:
    """Test whether preferences depend on exposure, and whether in another way than linearly.

    Parameters
    ----------
    posterior
        Posterior of any model, to comparisons with contexts.
    permutations
        Number of permutations of the test.
    seed
        Random seed of the permutations and of the fit without exposure.
    null
        That fit, as `null_of` makes it; None: it is made here.
    """
    comparisons = posterior.comparisons
    null = null or null_of(posterior, seed=seed)
    rng = _streams(seed)[1]
    return permutation_test(comparisons, null, permutations=permutations, rng=rng)


def null_of(posterior: Posterior, *, seed: int) -> NullFit:
    """Fit the model of a posterior without exposure."""
    comparisons = posterior.comparisons
    return fit_without_exposure(
        posterior.model.with_exposure(comparisons),
        comparisons,
        seed=seed,
        cores=posterior.run.settings.get("cores"),
    )


def _streams(seed: int) -> list[np.random.Generator]:
    """Return the generators of the bootstrap and of the permutations."""
    return [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2)]


def assess(
    posterior: Posterior,
    query: Query,
    *,
    test: PermutationTest | None = None,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    permutations: int = 1999,
    interval: float = 0.9,
    seed: int = 0,
) -> Confounding:
    """Assess which comparisons are confounded.

    Parameters
    ----------
    posterior
        Posterior of a model with exposure, as `refit_with_exposure` returns it.
    query
        n comparisons.
    test
        What `exposure_test` returned; None: the test is made here.
    thresholds
        Its `shift`, `certainty` and `permutation_level` are used.
    permutations
        Number of permutations of the test.
    interval
        Probability inside the central credible intervals.
    seed
        Random seed of the bootstrap, the permutations and the fit without exposure.

    Returns
    -------
    Confounding

    Raises
    ------
    DataError
        If confounding cannot be assessed, as `unsupported` says, or a setting is out of range.
    ModelError
        If the posterior's model has no exposure.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_query
    >>> world = bp.simulate(confounding=0.7, seed=0)
    >>> model = bp.HierarchicalReward(exposure=True)
    >>> posterior = bp.fit(model, world.comparisons, bp.Gibbs(progress=False))
    >>> found = assess(posterior, read_query(posterior))
    >>> found.permutation_p, bool(found.confounded.any())
    (0.001, True)
    """
    comparisons, model, level = posterior.comparisons, posterior.model, thresholds.permutation_level
    settings.interval(interval)
    _check(permutations, level)
    spec = model.spec(comparisons)
    joint = spec is not None and spec.cause is not None
    if not joint and "G" not in posterior.draws:
        raise ModelError(
            f"{type(model).__name__} has no exposure term: fit "
            "bp.HierarchicalReward(exposure=True), or let refit_with_exposure(posterior) do it"
        )
    reason = unsupported(comparisons)
    if reason is not None:
        raise DataError(reason)
    carried, share, randomised_p = None, None, None
    if joint:
        frame = joint_shifts(posterior, query, smallest=thresholds.shift, interval=interval)
    else:
        curved = "H" in posterior.draws
        population = PopulationDraws.read(posterior, most_draws(posterior, query, curved=curved))
        exposure = draw_exposure(
            one_row_a_task(comparisons), len(population.mu), _streams(seed)[0], curved=curved
        )
        frame = describe_shifts(
            population, exposure, query, smallest=thresholds.shift, interval=interval
        )
        if "observational_bias" in posterior.draws:
            share = assess_share(
                posterior, query, population, exposure, thresholds=thresholds, interval=interval
            )
            frame = frame.assign(**share.shifts)
        if comparisons.covariate_names:
            carried = adjusted_share(population, exposure, comparisons)
    test = test or exposure_test(posterior, permutations=permutations, seed=seed)
    p = test.p_value
    differs = p <= level
    if share is not None:
        randomised_p = log_p_value(comparisons, null_of(posterior, seed=seed))
        differs |= randomised_p <= level
    certain = frame["p_confounded"].to_numpy() > thresholds.certainty
    coupling = describe_exposure_effects(posterior, interval)
    notes = notes_on_contexts(comparisons)
    return Confounding(frame, certain & differs, p, coupling, carried, notes, share, randomised_p)


def _check(permutations: int, level: float) -> None:
    settings.argument("permutations", permutations, settings.whole(1))
    if 1 / (permutations + 1) > level:
        raise DataError(
            f"{permutations} permutations can never reject at level {level:g}; "
            f"take at least {int(np.ceil(1 / level)) - 1}"
        )
