"""Simulation-based calibration: whether an engine draws from the posterior that a model implies.

Parameters come from the model's prior and choices from the parameters; the model is then fitted to
those choices. If engine and model agree, the rank of each true value among the posterior's draws
is uniform (Talts, Betancourt, Simpson, Vehtari & Gelman 2018, arXiv 1804.06788). Ranks of
parameters alone cannot tell a posterior from a prior that ignores the data, so the log likelihood
of all choices, which depends on both, is ranked too (Modrak et al. 2023, Bayesian Analysis).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.draws import label, parameters
from bayes_pref.errors import ConvergenceWarning, ModelError
from bayes_pref.evaluation.uniformity import (
    cumulative_counts,
    simultaneous_band,
    uniformity_p_values,
)
from bayes_pref.inference.engine import Engine, first_prepared
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.inference.nuts.nuts import NUTS
from bayes_pref.models.base import RewardModel
from bayes_pref.posterior.predictions import predict

Floats = NDArray[np.float64]

LIKELIHOOD = "log_likelihood"
RANKED = 99  # draws of each posterior that a true value is ranked among, if there are as many
CORRELATED = 0.3  # autocorrelation of those draws above which ranks gather at both ends by it

# No longer than ranks need.
_SHORT_GIBBS = Gibbs(draws=50, warmup=300, thin=10, chains=2)
_SHORT_NUTS = NUTS(draws=500, warmup=400, chains=2)


@dataclass(frozen=True, eq=False, repr=False)
class SBC:
    """Ranks of true values among draws from their posteriors.

    Attributes
    ----------
    ranks
        One row a replication, one column a quantity: from 0 to `largest`.
    largest
        Number of draws that each true value was ranked among.
    autocorrelation
        Of those draws, neighbour to neighbour, by quantity: near 0 if they are independent, as
        uniform ranks need.
    model, engine
        Their settings.
    seed, seconds
        That the replications follow from, and what they took.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=8, comparisons=5, features=1, contexts=0, seed=0)
    >>> found = bp.sbc(bp.PooledReward(), world.comparisons, replications=20, progress=False)
    >>> found
    <SBC of PooledReward by Gibbs: 2 quantities, 20 replications; ranks look uniform>
    >>> list(found.summary())
    ['mean', 'inside_50', 'inside_90', 'autocorrelation', 'p_value']
    """

    ranks: pd.DataFrame
    largest: int
    autocorrelation: pd.Series[float]
    model: dict[str, Any]
    engine: dict[str, Any]
    seed: int
    seconds: float

    def summary(self) -> pd.DataFrame:
        """Describe each quantity's ranks.

        Returns
        -------
        frame, one row a quantity: `mean` of the ranks as a share (0.5 if there is no bias; more:
        estimates are too low), shares `inside_50` and `inside_90` of true values inside the central
        intervals (too few: posteriors are too narrow), `autocorrelation`, and the `p_value` of
        uniform ranks.
        """
        # A rank stands for the middle of its share of (0, 1).
        share = (self.ranks + 0.5) / (self.largest + 1)
        return pd.DataFrame(
            {
                "mean": share.mean(),
                "inside_50": ((share - 0.5).abs() < 0.25).mean(),
                "inside_90": ((share - 0.5).abs() < 0.45).mean(),
                "autocorrelation": self.autocorrelation,
                "p_value": uniformity_p_values(self.ranks.to_numpy(), self.largest),
            }
        )

    def passed(self, level: float = 0.01) -> bool:
        """Whether no quantity's ranks depart from uniform.

        Parameters
        ----------
        level
            Probability that a calibrated engine fails, over all quantities (Bonferroni).
        """
        return bool(self.summary()["p_value"].min() * self.ranks.shape[1] > level)

    def difference(self) -> pd.DataFrame:
        """Share of ranks at most k less the share expected, k = 0 ... largest - 1, by quantity."""
        counts = cumulative_counts(self.ranks.to_numpy(), self.largest)
        expected = (np.arange(self.largest) + 1) / (self.largest + 1)
        return pd.DataFrame(
            (counts / len(self.ranks) - expected).T,
            index=pd.Index(expected, name="expected"),
            columns=self.ranks.columns,
        )

    def band(self, probability: float = 0.95) -> pd.DataFrame:
        """Bounds that all of `difference` stays within, with this probability, if calibrated.

        Returns
        -------
        frame indexed like `difference`: `lower`, `upper`; simultaneous over ranks and quantities
        """
        each = 1 - (1 - probability) / self.ranks.shape[1]
        low, high = simultaneous_band(len(self.ranks), self.largest, each)
        expected = (np.arange(self.largest) + 1) / (self.largest + 1)
        return pd.DataFrame(
            {
                "lower": low / len(self.ranks) - expected,
                "upper": high / len(self.ranks) - expected,
            },
            index=pd.Index(expected, name="expected"),
        )

    def __repr__(self) -> str:
        count, columns = self.ranks.shape
        verdict = "look" if self.passed() else "do not look"
        return (
            f"<SBC of {self.model['model']} by {self.engine['name']}: "
            f"{columns} quantities, {count} replications; ranks {verdict} uniform>"
        )


def sbc(
    model: RewardModel,
    comparisons: Comparisons,
    engine: Engine | None = None,
    *,
    replications: int = 200,
    users: Sequence[Any] | None = None,
    seed: int = 0,
    progress: bool = True,
) -> SBC:
    """Check by simulation that an engine draws from a model's posterior.

    Choices are simulated from the model's prior, for the users and pairs of `comparisons`, and
    fitted, again and again. Use it on a model or an engine of your own, and before trusting either
    on a design that is unusual. It says nothing about whether the model is right for your data.

    Parameters
    ----------
    model
        What to simulate from and to fit.
    comparisons
        The design: who is shown what. The choices are not used. Some dozen rows are enough, and
        the time grows with them.
    engine
        To be checked. None: short chains of what `fit` would choose. Up to 99 of the draws of each
        fit are used, evenly spaced; they should be nearly independent.
    replications
        Number of simulated data sets; 200 tell posterior sds that are a fifth too small.
    users
        Labels of the users whose weights are ranked; None: the first.
    seed
        Makes the result reproducible.
    progress
        Whether to show a progress bar.

    Returns
    -------
    SBC

    Raises
    ------
    ModelError
        If the engine cannot run the model.

    Warns
    -----
    ConvergenceWarning
        If the draws are so correlated that ranks would not be uniform even if all is well.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=8, comparisons=5, features=1, contexts=0, seed=0)
    >>> found = bp.sbc(bp.PooledReward(), world.comparisons, replications=20, progress=False)
    >>> found.ranks.shape, found.passed(0.001)
    ((20, 2), True)
    """
    replications = settings.argument(
        "replications", replications, settings.whole(1), error=ModelError
    )
    seed = settings.seed(seed)
    engines = (_SHORT_GIBBS, _SHORT_NUTS) if engine is None else (engine,)
    engine, _ = first_prepared(engines, model, comparisons)
    engine = replace(engine, progress=False)
    chosen = list(comparisons.users[:1] if users is None else users)
    started = time.perf_counter()
    prior = model.prior_predictive(comparisons, draws=replications, seed=seed)
    rng = np.random.default_rng(seed)
    ranks, correlations = [], []
    for number in tqdm(range(replications), desc="sbc", unit="fit", disable=not progress):
        truth = prior.isel(draw=[number])
        simulated = replace(comparisons, choice=truth["choice"].to_numpy().ravel().astype(float))
        if "context" in model.observed(comparisons):
            simulated = replace(simulated, context=truth["context"].to_numpy()[0, 0])
        drawn = engine.prepare(model, simulated).run(int(rng.integers(2**31)))
        draws = label(drawn.sites, model.variables(comparisons), comparisons)
        names, found = _quantities(model, simulated, draws, chosen)
        true = _quantities(model, simulated, truth, chosen)[1].ravel()
        kept = _thinned(found)
        below, ties = (kept < true).sum(axis=0), (kept == true).sum(axis=0)
        ranks.append(below + rng.integers(0, ties + 1))  # a tie may go either way
        correlations.append(_autocorrelation(kept))
    neighbours = np.mean(correlations, axis=0)
    result = SBC(
        ranks=pd.DataFrame(np.array(ranks), columns=pd.Index(names, name="quantity")),
        largest=len(kept),
        autocorrelation=pd.Series(dict(zip(names, neighbours.tolist(), strict=True))),
        model=model.settings(),
        engine=engine.settings(),
        seed=seed,
        seconds=time.perf_counter() - started,
    )
    worst = int(neighbours.argmax())
    if neighbours[worst] > CORRELATED:
        warnings.warn(
            f"sbc: the draws of {names[worst]} that true values are ranked among correlate "
            f"by {neighbours[worst]:.2f} (threshold {CORRELATED}), so that ranks pile up at both "
            "ends even if the engine is exact; run longer chains",
            ConvergenceWarning,
            stacklevel=2,
        )
    return result


def _quantities(
    model: RewardModel, comparisons: Comparisons, draws: xr.Dataset, users: list[Any]
) -> tuple[list[str], Floats]:
    """Name what is ranked and lay out its draws, (sample, quantity)."""
    names, columns = [], []
    ranked = model.identified(draws[list(model.variables(comparisons))])
    for name, variable in ranked.data_vars.items():
        chosen = variable.sel(user=users) if "user" in variable.dims else variable
        labels, values = parameters(chosen.rename(name))
        names += labels
        columns.append(values.reshape(-1, len(labels)))
    weights = model.user_weights(draws)
    choices = model.choice_distribution(draws, comparisons)
    likelihood = predict(weights, choices, comparisons, np.random.default_rng(0))[LIKELIHOOD]
    columns.append(likelihood["choice"].sum("comparison").to_numpy().reshape(-1, 1))
    return [*names, LIKELIHOOD], np.concatenate(columns, axis=1)


def _thinned(draws: Floats) -> Floats:
    """Up to `RANKED` evenly spaced rows of draws (sample, quantity)."""
    count = min(RANKED, len(draws))
    places = ((np.arange(count) + 0.5) * len(draws) / count).astype(int)
    return np.asarray(draws[places])


def _autocorrelation(draws: Floats) -> Floats:
    """Correlation of each column's neighbours, (quantity,)."""
    centred = draws - draws.mean(axis=0)
    return np.asarray((centred[1:] * centred[:-1]).sum(axis=0) / (centred**2).sum(axis=0))
