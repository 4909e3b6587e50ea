"""Simulation-based calibration (SBC): whether an engine draws from the posterior of a model.

Parameters are drawn from the model's prior and choices given the parameters, and the model is
fitted to these choices. If engine and model agree, the rank of each true value among the posterior
draws is uniform (Talts, Betancourt, Simpson, Vehtari & Gelman 2018, arXiv 1804.06788). Ranks of
parameters alone do not detect an engine that returns the prior, so the log likelihood of all
choices, which depends on parameters and data, is ranked too (Modrak et al. 2023, Bayesian
Analysis).
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

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.draws import evenly_spaced, label, parameters
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
from bayes_pref.progress import tqdm
from bayes_pref.types import FloatArray

LIKELIHOOD = "log_likelihood"
RANKED = 99  # most posterior draws that a true value is ranked among
CORRELATED = 0.3  # autocorrelation of these draws above which ranks pile up at both ends

# No longer than ranks need.
_SHORT_GIBBS = Gibbs(draws=50, warmup=300, thin=10, chains=2)
_SHORT_NUTS = NUTS(draws=500, warmup=400, chains=2)


@dataclass(frozen=True, eq=False, repr=False)
class SBC:
    """Ranks of true values among draws from their posteriors; the result of `bayes_pref.sbc`.

    Attributes
    ----------
    ranks
        One row a replication, one column a quantity; ranks from 0 to `largest`.
    largest
        Number of draws that each true value was ranked among.
    autocorrelation
        Lag-1 autocorrelation of those draws, by quantity; ranks are uniform only if it is near 0.
    model, engine
        Settings of the model and of the engine.
    seed, seconds
        Random seed of the replications, and running time.

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
        frame, one row a quantity: `mean` of the ranks as a share of the largest (0.5 without bias;
        more if estimates are too low); the shares `inside_50` and `inside_90` of true values inside
        the central intervals (too few if posteriors are too narrow); the `autocorrelation` of the
        draws; the `p_value` of uniform ranks.
        """
        # A rank represents the midpoint of its interval in (0, 1).
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
        """Whether the ranks of all quantities are consistent with uniformity.

        Parameters
        ----------
        level
            Probability that a calibrated engine fails, over all quantities (Bonferroni correction).
        """
        return bool(self.summary()["p_value"].min() * self.ranks.shape[1] > level)

    def difference(self) -> pd.DataFrame:
        """Observed less expected share of ranks up to k = 0 ... largest - 1, by quantity."""
        counts = cumulative_counts(self.ranks.to_numpy(), self.largest)
        expected = (np.arange(self.largest) + 1) / (self.largest + 1)
        return pd.DataFrame(
            (counts / len(self.ranks) - expected).T,
            index=pd.Index(expected, name="expected"),
            columns=self.ranks.columns,
        )

    def band(self, probability: float = 0.95) -> pd.DataFrame:
        """Simultaneous confidence band of `difference` for a calibrated engine.

        Parameters
        ----------
        probability
            Probability that all differences lie within the band.

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

    Choices are simulated from the model's prior, for the users and pairs of `comparisons`, and the
    model is fitted to them, many times. Use it for a model or an engine of your own, and for an
    unusual design. It does not tell whether the model is right for your data.

    Parameters
    ----------
    model
        The model to simulate from and to fit.
    comparisons
        The design: users and their pairs. The choices are not used. A few dozen rows are enough;
        the running time grows with them.
    engine
        The engine to check. None: short chains of the engine that `fit` would choose. At most 99
        draws of each fit are used, evenly spaced; they should be nearly independent.
    replications
        Number of simulated data sets; 200 detect posterior sds that are 20 % too small.
    users
        Labels of the users whose weights are ranked; None: the first user.
    seed
        Random seed of the replications.
    progress
        Whether to show a progress bar.

    Returns
    -------
    SBC: the ranks

    Raises
    ------
    ModelError
        If the engine cannot run the model.

    Warns
    -----
    ConvergenceWarning
        If the draws are so autocorrelated that the ranks of an exact engine are not uniform.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=8, comparisons=5, features=1, contexts=0, seed=0)
    >>> found = bp.sbc(bp.PooledReward(), world.comparisons, replications=10, progress=False)
    >>> found.ranks.shape, found.passed(0.001)
    ((10, 2), True)
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
        simulated = _with_simulated(model, comparisons, truth)
        drawn = engine.prepare(model, simulated).run(int(rng.integers(2**31)))
        draws = label(drawn.sites, model.variables(comparisons), comparisons)
        names, found = _quantities(model, simulated, draws, chosen)
        true = _quantities(model, simulated, truth, chosen)[1].ravel()
        kept = found[evenly_spaced(len(found), RANKED)]
        below, ties = (kept < true).sum(axis=0), (kept == true).sum(axis=0)
        ranks.append(below + rng.integers(0, ties + 1))  # ties are broken at random
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
            f"sbc: the draws of {names[worst]} have autocorrelation {neighbours[worst]:.2f} "
            f"(threshold {CORRELATED}), so that ranks pile up at both ends even if the engine is "
            "exact; run longer chains",
            ConvergenceWarning,
            stacklevel=2,
        )
    return result


def _with_simulated(model: RewardModel, comparisons: Comparisons, truth: xr.Dataset) -> Comparisons:
    """Comparisons with the data of one draw from the prior."""
    choice = truth["choice"].to_numpy().ravel().astype(float)
    simulated = replace(comparisons, choice=choice)
    if "context" in model.observed(comparisons):
        simulated = replace(simulated, context=truth["context"].to_numpy()[0, 0])
    return simulated


def _quantities(
    model: RewardModel, comparisons: Comparisons, draws: xr.Dataset, users: list[Any]
) -> tuple[list[str], FloatArray]:
    """Names of the quantities to rank, and their draws (sample, quantity)."""
    names, columns = [], []
    ranked = model.identified(draws[list(model.variables(comparisons))])
    for variable in ranked.data_vars.values():
        chosen = variable.sel(user=users) if "user" in variable.dims else variable
        labels, values = parameters(chosen)
        names += labels
        columns.append(values.reshape(-1, len(labels)))
    weights = model.user_weights(draws)
    choices = model.choice_distribution(draws, comparisons)
    likelihood = predict(weights, draws, choices, comparisons, np.random.default_rng(0))[LIKELIHOOD]
    total = likelihood["choice"].sum(likelihood["choice"].dims[2:])
    columns.append(total.to_numpy().reshape(-1, 1))
    return [*names, LIKELIHOOD], np.concatenate(columns, axis=1)


def _autocorrelation(draws: FloatArray) -> FloatArray:
    """Lag-1 autocorrelation of each column, (quantity,)."""
    centred = draws - draws.mean(axis=0)
    total, together = (centred**2).sum(axis=0), (centred[1:] * centred[:-1]).sum(axis=0)
    # Whether somebody answers at random may be the same in all draws.
    found = np.divide(together, total, out=np.zeros_like(total), where=total > 0.0)
    return np.asarray(found)
