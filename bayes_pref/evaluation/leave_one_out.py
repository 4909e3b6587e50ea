"""Leave-one-out cross-validation by Pareto-smoothed importance sampling (PSIS-LOO).

By comparison, which of choices among several is a whole task, all stages together: the posterior
without comparison n is the full posterior with weights
1 / p(y_n | w_i). This is the conditional LOO of Vehtari, Gelman & Gabry (2017, Statistics and
Computing 27), with weights smoothed as in Vehtari et al. (2024, J. Mach. Learn. Res. 25). It
estimates how well the next choice of a *known* user is predicted.

By user: all comparisons of user i are left out together, and the user is predicted from the
population,

    elpd_i = log p(y_i | y_-i) = -log E[1 / p(y_i | theta)],   theta ~ p(theta | y)
    p(y_i | theta) = integral of prod_n p(y_in | w) p(w | theta) dw

where theta are the population's parameters. The user's own weights are integrated out at each draw
by `integrated_likelihood`. Importance weights of draws of w_i would have no usable variance,
because w_i is learned mostly from y_i. This is the marginal LOO of Merkle, Furr & Rabe-Hesketh
(2019, Psychometrika 84), and estimates how well *new* users are predicted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayes_pref import settings
from bayes_pref.convergence.checks import PARETO_K
from bayes_pref.convergence.statistics import effective_sample_size
from bayes_pref.data import Comparisons
from bayes_pref.draws import parameters, thin
from bayes_pref.errors import ConvergenceWarning
from bayes_pref.evaluation.choices import expect_population, expect_posterior
from bayes_pref.evaluation.integrated_likelihood import user_log_likelihood
from bayes_pref.evaluation.scores import clustered_error
from bayes_pref.messages import shown
from bayes_pref.models.choice.task_choices import log_tasks
from bayes_pref.models.observational_bias import rows_with_bias
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.types import FloatArray

By: TypeAlias = Literal["comparison", "task", "user"]

_MOST_DRAWS = 1000  # of the population, when users are left out


@dataclass(frozen=True, eq=False, repr=False)
class LeaveOneOut:
    """What `loo` found.

    Attributes
    ----------
    by
        What was left out, one at a time: "comparison", which of choices among several is a task, or
        "user".
    pointwise
        One row for each unit left out: `user`; `comparison`, the label of the row or of the task,
        or the number of the user's comparisons or tasks where users are left out; `elpd`, the log
        probability of the unit given the rest; `p_loo`, its log probability given all data less
        `elpd`; `pareto_k`, above 0.7 where the estimate is unreliable.
    comparisons
        The data.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> found = bp.loo(posterior, by="user")
    >>> len(found.pointwise), found.bad
    (20, 0)
    """

    by: By
    pointwise: pd.DataFrame
    comparisons: Comparisons

    @property
    def elpd(self) -> float:
        """Expected log predictive density: the sum over all units, in nats."""
        return float(self.pointwise["elpd"].sum())

    @property
    def se(self) -> float:
        """Standard error of `elpd`, clustered by user."""
        return self.error(self.pointwise["elpd"].to_numpy())

    @property
    def p_loo(self) -> float:
        """Effective number of parameters: log probability given all data, less `elpd`."""
        return float(self.pointwise["p_loo"].sum())

    @property
    def bad(self) -> int:
        """Number of units whose Pareto k is above 0.7."""
        return int((self.pointwise["pareto_k"] > PARETO_K).sum())

    @property
    def worst_k(self) -> float:
        """The largest Pareto k."""
        return float(self.pointwise["pareto_k"].max())

    def error(self, values: FloatArray) -> float:
        """Standard error of the sum of values (unit,), clustered by user."""
        user = pd.factorize(self.pointwise["user"])[0]
        return len(values) * clustered_error(values, user)

    def __repr__(self) -> str:
        """Describe the sum, its standard error and the Pareto k."""
        return (
            f"LeaveOneOut: {len(self.pointwise):,} {_unit(self)}s, one at a time\n"
            f"  elpd:     {self.elpd:.1f} (standard error {self.se:.1f}, clustered by user)\n"
            f"  p_loo:    {self.p_loo:.1f}\n"
            f"  Pareto k: largest {self.worst_k:.2f}, {self.bad:,} above {PARETO_K:g}"
        )


def loo(posterior: Posterior, by: By = "comparison") -> LeaveOneOut:
    """Estimate how well unseen comparisons, or unseen users, are predicted, without refitting.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    by
        "comparison": one comparison at a time, predicted from the rest, the user's own included;
        of choices among several one task, for which "task" is another name. "user": all comparisons
        of a user at a time, predicted for a new user with the same covariates and contexts. For
        "user", at most 1,000 draws are used.

    Raises
    ------
    ModelError
        If that is no posterior, or its model has no distribution of users' weights.
    DataError
        If `by` is neither.

    Warns
    -----
    ConvergenceWarning
        If a Pareto k is above 0.7: the posterior without that unit differs too much.

    Notes
    -----
    Draws of an approximation such as `SVI` are treated as draws of the posterior.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> bp.loo(posterior).pointwise.columns.tolist()
    ['user', 'comparison', 'elpd', 'p_loo', 'pareto_k']
    """
    posterior = expect_posterior(posterior)
    by = one_unit(by)
    found = _comparisons(posterior) if by == "comparison" else _users(posterior)
    result = LeaveOneOut(by, found, posterior.comparisons)
    _warn(result)
    return result


def one_unit(by: By) -> By:
    """Validate what is left out; a task is called a comparison."""
    by = settings.argument("by", by, settings.one_of("comparison", "task", "user"))
    return "comparison" if by == "task" else by


def _comparisons(posterior: Posterior) -> pd.DataFrame:
    """Leave out one comparison or task at a time, given the weights of its user."""
    comparisons, choices = posterior.comparisons, posterior.choice_distribution
    task = comparisons.outcome.tasks(len(comparisons))
    weights, difference = rows_with_bias(posterior.weights_draws(), posterior.draws, comparisons)
    efficiency = _relative_efficiency(posterior)
    parts = []
    # A loop over blocks of rows: the log likelihood of all would be as large as the posterior.
    for part, eta in log_odds(weights, comparisons.user, difference, task):
        own = comparisons.outcome.take(np.arange(part.start, part.stop))
        of_rows = choices.of_users(comparisons.user[part])
        parts.append(_left_out(log_tasks(of_rows, eta, comparisons.choice[part], own), efficiency))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    first = np.flatnonzero(np.diff(task, prepend=-1))
    keys = {"user": comparisons.users[comparisons.user[first]], "comparison": comparisons.tasks}
    return pd.DataFrame(keys | dict(zip(("elpd", "p_loo", "pareto_k"), columns, strict=True)))


def _users(posterior: Posterior) -> pd.DataFrame:
    """Leave out one user at a time, given the population."""
    model, comparisons = posterior.model, posterior.comparisons
    draws = thin(posterior.draws, _MOST_DRAWS)
    population = expect_population(model, draws, comparisons, "use by='comparison'")
    log_likelihood = user_log_likelihood(model, population, draws, comparisons)
    columns = _left_out(log_likelihood, _relative_efficiency(posterior))
    task = comparisons.outcome.tasks(len(comparisons))
    counts = np.bincount(comparisons.user[np.flatnonzero(np.diff(task, prepend=-1))])
    keys = {"user": comparisons.users, "comparison": counts}
    return pd.DataFrame(keys | dict(zip(("elpd", "p_loo", "pareto_k"), columns, strict=True)))


def _left_out(
    log_likelihood: FloatArray, efficiency: float
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Elpd, p_loo and Pareto k of each unit, from log likelihoods (unit, sample)."""
    from bayes_pref.posterior import arviz_bridge  # ArviZ takes a second to import

    if not np.ptp(log_likelihood):
        same = log_likelihood[:, 0]
        return same, np.zeros_like(same), np.full_like(same, -np.inf)
    weights, k = arviz_bridge.smoothed(-log_likelihood, efficiency)
    elpd = logsumexp(weights + log_likelihood, axis=1)
    known = logsumexp(log_likelihood, axis=1) - np.log(log_likelihood.shape[1])
    return elpd, known - elpd, k


def _relative_efficiency(posterior: Posterior) -> float:
    """Mean effective sample size of all parameters over the number of draws, as in ArviZ."""
    sizes = posterior.draws.sizes
    if sizes["chain"] == 1:
        return 1.0
    found = []
    for variable in posterior.draws.data_vars.values():
        values = parameters(variable)[1]
        varies = np.ptp(values, axis=(0, 1)) > 0
        found.append(effective_sample_size(values[:, :, varies]))
    return float(np.concatenate(found).mean()) / (sizes["chain"] * sizes["draw"])


def _warn(result: LeaveOneOut) -> None:
    """Warn where Pareto k is too large, with the worst and what to do."""
    if not result.bad:
        return
    worst = int(result.pointwise["pareto_k"].to_numpy().argmax())
    one, unit = result.by == "comparison", _unit(result)
    # Of the column, not of the row, in which a whole number becomes a float.
    label = result.pointwise["comparison" if one else "user"].iloc[worst]
    what = f"{'row' if unit == 'comparison' else unit} {shown(label)}"
    remedy = (
        "leave out users instead (by='user'), which integrates users' weights out"
        if one
        else "take more draws"
    )
    warnings.warn(
        f"Pareto k is above {PARETO_K:g} for {result.bad:,} of {len(result.pointwise):,} "
        f"{unit}s (the largest is {result.worst_k:.2f}, {what}): the posterior without them "
        f"differs too much for a reliable elpd; {remedy}, or hold data out with "
        f"comparisons.split(by={unit!r}), fit and bp.evaluate",
        ConvergenceWarning,
        stacklevel=3,
    )


def _unit(result: LeaveOneOut) -> str:
    """What was left out: a comparison, a task of several alternatives, or a user."""
    rowwise = result.comparisons.outcome.rowwise
    return result.by if rowwise or result.by == "user" else "task"
