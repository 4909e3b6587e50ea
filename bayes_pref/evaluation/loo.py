"""How well a posterior predicts what it has not seen, without refitting: PSIS-LOO.

By comparison, the posterior without comparison n is the posterior with it, reweighted by
1 / p(y_n | w_i): the conditional LOO of Vehtari, Gelman & Gabry (2017, Statistics and Computing
27), with weights smoothed as in Vehtari et al. (2024, J. Mach. Learn. Res. 25). It answers how well
the next choice of a *known* user is predicted.

By user, all comparisons of user i are left out together, and what is left of them is the
population:

    elpd_i = log p(y_i | y_-i) = -log E[1 / p(y_i | theta)],   theta ~ p(theta | y)
    p(y_i | theta) = integral of prod_n p(y_in | w) p(w | theta) dw

where theta are the population's parameters. User i's own weights are integrated out for each draw
(see `integrate`). Reweighting draws of w_i themselves fails, since w_i is known from y_i above all:
hardly a draw would be one that the population could have made. This is the marginal LOO of Merkle,
Furr & Rabe-Hesketh (2019, Psychometrika 84), and answers how well *new* users are predicted.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayes_pref import settings
from bayes_pref.convergence.checks import PARETO_K
from bayes_pref.convergence.statistics import effective_sample_size
from bayes_pref.data import Comparisons, Outcome
from bayes_pref.data.table import shown
from bayes_pref.draws import parameters
from bayes_pref.errors import ConvergenceWarning, ModelError
from bayes_pref.evaluation.choices import expect_posterior, refuse_rankings, some
from bayes_pref.evaluation.integrate import log_marginal
from bayes_pref.evaluation.scores import clustered_error
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.predictions import log_odds

Array = NDArray[np.float64]
By: TypeAlias = Literal["comparison", "user"]

_MOST_DRAWS = 1000  # of the population, over which users are integrated out


@dataclass(frozen=True, eq=False, repr=False)
class LeaveOneOut:
    """What `loo` found.

    Attributes
    ----------
    by
        What was left out, one at a time: "comparison" or "user".
    pointwise
        One row each: `user`, `comparison` (the row's label; or how many the user has, where users
        are left out), `elpd`, the log probability of what was left out, `p_loo`, by how much that
        is less than with it, and `pareto_k`, above 0.7 where the number is not to be trusted.
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
        """Expected log predictive density: the sum over all that were left out, in nats."""
        return float(self.pointwise["elpd"].sum())

    @property
    def se(self) -> float:
        """Standard error of `elpd`, clustered by user."""
        return self.error(self.pointwise["elpd"].to_numpy())

    @property
    def p_loo(self) -> float:
        """Effective number of parameters: how much the data are predicted better than unseen."""
        return float(self.pointwise["p_loo"].sum())

    @property
    def bad(self) -> int:
        """How many Pareto k are above 0.7."""
        return int((self.pointwise["pareto_k"] > PARETO_K).sum())

    @property
    def worst_k(self) -> float:
        """The largest Pareto k."""
        return float(self.pointwise["pareto_k"].max())

    def error(self, values: Array) -> float:
        """Standard error of the sum of values, one for each row of `pointwise`."""
        user = np.arange(len(values)) if self.by == "user" else self.comparisons.user
        return len(values) * clustered_error(values, user)

    def __repr__(self) -> str:
        """The sum with its error, and whether to trust it."""
        what = "comparisons" if self.by == "comparison" else "users"
        return (
            f"LeaveOneOut: {len(self.pointwise):,} {what}, one at a time\n"
            f"  elpd:     {self.elpd:.1f} (standard error {self.se:.1f}, clustered by user)\n"
            f"  p_loo:    {self.p_loo:.1f}\n"
            f"  Pareto k: largest {self.worst_k:.2f}, {self.bad:,} above {PARETO_K:g}"
        )


def loo(posterior: Posterior, by: By = "comparison") -> LeaveOneOut:
    """Estimate how well unseen comparisons, or unseen users, are predicted; nothing is refitted.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    by
        "comparison": each left out, its user known by the others; "user": all comparisons of each
        user left out together, so that they are predicted as a new user with their covariates and
        exposure. For "user", at most 1,000 draws of the population are used.

    Raises
    ------
    ModelError
        If that is no posterior, or its model has no population to integrate over.
    DataError
        If `by` is neither.

    Warns
    -----
    ConvergenceWarning
        If Pareto k is above 0.7 somewhere: there, what was left out had too much influence.

    Notes
    -----
    Draws of `SVI` are taken for draws of the posterior, as everywhere.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> bp.loo(posterior).pointwise.columns.tolist()
    ['user', 'comparison', 'elpd', 'p_loo', 'pareto_k']
    """
    posterior = expect_posterior(posterior)
    by = settings.argument("by", by, settings.one_of("comparison", "user"))
    if by == "comparison":
        refuse_rankings(posterior.comparisons, "leaving out comparisons", "use by='user'")
    found = _comparisons(posterior) if by == "comparison" else _users(posterior)
    result = LeaveOneOut(by, found, posterior.comparisons)
    _warn(result)
    return result


def _comparisons(posterior: Posterior) -> pd.DataFrame:
    """Leave out one row at a time, given the weights of its user."""
    comparisons, choices = posterior.comparisons, posterior.choice_distribution
    weights = posterior.weights_draws()
    efficiency = _relative_efficiency(posterior)
    parts = []
    # A loop over blocks of rows: their log likelihood would be as large as the posterior.
    for part, eta in log_odds(weights, comparisons.user, comparisons.difference):
        parts.append(_left_out(choices.log_likelihood(eta, comparisons.choice[part]), efficiency))
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    keys = {"user": comparisons.users[comparisons.user], "comparison": comparisons.rows}
    return pd.DataFrame(keys | dict(zip(("elpd", "p_loo", "pareto_k"), columns, strict=True)))


def _users(posterior: Posterior) -> pd.DataFrame:
    """Leave out one user at a time, given the population."""
    comparisons = posterior.comparisons
    log_likelihood = user_log_likelihood(posterior, _MOST_DRAWS)
    columns = _left_out(log_likelihood, _relative_efficiency(posterior))
    keys = {"user": comparisons.users, "comparison": comparisons.counts}
    return pd.DataFrame(keys | dict(zip(("elpd", "p_loo", "pareto_k"), columns, strict=True)))


def user_log_likelihood(posterior: Posterior, most: int) -> Array:
    """Log probability of all choices of each user given the population, (user, sample).

    Parameters
    ----------
    posterior
        Of a model with a `population`.
    most
        Draws to take, at most.
    """
    comparisons, draws = posterior.comparisons, some(posterior.draws, most)
    population = posterior.model.population(draws, comparisons)
    if population is None:
        raise ModelError(
            f"{type(posterior.model).__name__} has no population of users to integrate over, "
            "which leaving users out needs; use by='comparison', or hold users out: "
            "comparisons.split(by='user')"
        )
    choice_model = posterior.model.choice_model(comparisons)
    choices = choice_model.distribution(draws, comparisons.outcome)
    out = np.empty((comparisons.n_users, len(population.factor)))
    # A loop over users: each one's comparisons are few, and all draws are integrated at once.
    for user in range(comparisons.n_users):
        rows = slice(comparisons.offsets[user], comparisons.offsets[user + 1])
        difference, choice = comparisons.difference[rows], comparisons.choice[rows]
        outcome = comparisons.outcome.take(np.arange(rows.start, rows.stop))
        prior = population.of_user(user)

        def of_rows(
            eta: Array, part: slice, choice: Array = choice, outcome: Outcome = outcome
        ) -> Array:
            return choice_model.joint_log_likelihood(choices.take(part), eta, choice, outcome)

        components = [
            prior.log_share[:, component]
            + log_marginal(
                prior.mean[:, component] @ difference.T,
                difference @ prior.of_component(component),
                choice,
                of_rows,
                log_ratio=prior.log_ratio,
                seed=user,
            )
            for component in range(population.components)
        ]
        out[user] = logsumexp(components, axis=0)
    return out


def _left_out(log_likelihood: Array, efficiency: float) -> tuple[Array, Array, Array]:
    """Elpd, p_loo and Pareto k of each row of log likelihoods (row, sample)."""
    from bayes_pref.posterior import arviz_bridge  # ArviZ takes a second to import

    if not np.ptp(log_likelihood):
        same = log_likelihood[:, 0]
        return same, np.zeros_like(same), np.full_like(same, -np.inf)
    weights, k = arviz_bridge.smoothed(-log_likelihood, efficiency)
    elpd = logsumexp(weights + log_likelihood, axis=1)
    known = logsumexp(log_likelihood, axis=1) - np.log(log_likelihood.shape[1])
    return elpd, known - elpd, k


def _relative_efficiency(posterior: Posterior) -> float:
    """Mean effective sample size of all parameters over the number of draws, as ArviZ has it."""
    sizes = posterior.draws.sizes
    if sizes["chain"] == 1:
        return 1.0
    found = []
    for name, variable in posterior.draws.data_vars.items():
        values = parameters(variable.rename(name))[1]
        varies = np.ptp(values, axis=(0, 1)) > 0
        found.append(effective_sample_size(values[:, :, varies]))
    return float(np.concatenate(found).mean()) / (sizes["chain"] * sizes["draw"])


def _warn(result: LeaveOneOut) -> None:
    if not result.bad:
        return
    worst = result.pointwise.iloc[int(result.pointwise["pareto_k"].to_numpy().argmax())]
    one = result.by == "comparison"
    what = f"row {shown(worst['comparison'])}" if one else f"user {shown(worst['user'])}"
    remedy = (
        "leave out users instead (by='user'), which needs no draws of a user's own weights"
        if one
        else "take more draws"
    )
    warnings.warn(
        f"Pareto k is above {PARETO_K:g} for {result.bad:,} of {len(result.pointwise):,} "
        f"{result.by}s (the largest is {result.worst_k:.2f}, {what}): without them the posterior "
        f"is another, and their elpd is not to be trusted; {remedy}, or hold data out with "
        f"comparisons.split(by={result.by!r}), fit and bp.evaluate",
        ConvergenceWarning,
        stacklevel=3,
    )
