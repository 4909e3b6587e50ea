"""A posterior updated by more answers of its users: by weights where these hold, else by a run.

Each draw is weighted by the likelihood of the new answers (importance sampling); the weights are
smoothed, and trusted up to a Pareto k of 0.7 and as long as enough draws have any (Vehtari et al.
2024). Where they are not, chains run anew, from the last draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from bayes_pref.convergence.checks import PARETO_K
from bayes_pref.data import Comparisons, Ranking
from bayes_pref.data.more_answers import MoreAnswers
from bayes_pref.models.choice.task_choices import log_tasks
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.arviz_bridge import smoothed
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.types import FloatArray, IntArray

_LEAST = 400.0  # effective draws, as convergence checks ask for
_SHARE = 0.25  # of the draws, where there are few


def log_likelihood(posterior: Posterior, more: MoreAnswers) -> FloatArray:
    """Log probability of more answers at every draw, (sample,).

    Parameters
    ----------
    posterior
        Of these users.
    more
        Rows of users in nondecreasing order.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> data = world.comparisons
    >>> one = MoreAnswers(np.zeros(1, int), data.difference[:1], data.context[:1], np.ones(1), None)
    >>> log_likelihood(posterior, one).shape
    (4000,)
    """
    outcome = posterior.comparisons.outcome
    if isinstance(outcome, Ranking):
        assert more.stage is not None  # as choices among several have
        outcome = Ranking(more.stage)
    weights, choices = posterior.weights_draws(), posterior.choices_of()
    task = outcome.tasks(len(more))
    total: FloatArray = np.zeros(weights.sizes["chain"] * weights.sizes["draw"])
    for part, eta in log_odds(weights, more.user, more.difference, task):
        own = outcome.take(np.arange(part.start, part.stop))
        of_rows = choices.of_users(more.user[part])
        total += log_tasks(of_rows, eta, more.choice[part], own).sum(axis=0)
    return total


@dataclass(frozen=True, eq=False)
class Weighed:
    """Draws with importance weights.

    Attributes
    ----------
    log_weights
        (sample,) smoothed, whose exponentials sum to 1.
    pareto_k
        Of the weights.
    effective
        Number of draws of equal weight that say as much.
    """

    log_weights: FloatArray
    pareto_k: float
    effective: float

    @classmethod
    def of(cls, log_weights: FloatArray) -> Weighed:
        """Smooth weights (sample,).

        Examples
        --------
        >>> even = Weighed.of(np.zeros(100))
        >>> even.trusted, round(even.effective)
        (True, 100)
        """
        count = len(log_weights)
        if np.ptp(log_weights) < 1e-9:
            return cls(np.full(count, -np.log(count)), 0.0, float(count))
        found, k = smoothed(log_weights[None])
        return cls(found[0], float(k[0]), float(1.0 / np.exp(2.0 * found[0]).sum()))

    @property
    def trusted(self) -> bool:
        """Whether averages with these weights hold."""
        count = len(self.log_weights)
        enough = self.effective >= min(_LEAST, _SHARE * count)
        return bool(enough and self.pareto_k <= min(PARETO_K, 1.0 - 1.0 / np.log10(count)))

    def resampled(self, posterior: Posterior, comparisons: Comparisons, seed: int) -> Posterior:
        """Return a posterior of draws of equal weight, of which some occur several times.

        Parameters
        ----------
        posterior
            Whose draws have these weights.
        comparisons
            The data, new answers included.
        seed
            Random seed; decides which draws are taken.
        """
        count = len(self.log_weights)
        steps = (np.arange(count) + np.random.default_rng(seed).random()) / count
        chosen = np.searchsorted(np.exp(self.log_weights).cumsum(), steps).clip(max=count - 1)
        run = replace(
            posterior.run, pareto_k=self.pareto_k, pareto_k_of="the answers since the last run"
        )
        return replace(
            posterior,
            comparisons=comparisons,
            draws=_taken(posterior.draws, chosen),
            sample_stats=_taken(posterior.sample_stats, chosen),
            run=run,
        )


def _taken(draws: xr.Dataset, chosen: IntArray) -> xr.Dataset:
    """Draws at some positions among all chains one after the other, as many as there were."""

    def taken(values: xr.DataArray) -> xr.DataArray:
        if "draw" not in values.dims:
            return values
        values = values.transpose("chain", "draw", ...)
        found = values.to_numpy()
        return values.copy(data=found.reshape(-1, *found.shape[2:])[chosen].reshape(found.shape))

    return draws.map(taken)
