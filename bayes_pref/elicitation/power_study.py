"""`power`: how many users and tasks it takes to find effects, individual signs and flags.

Studies are simulated, fitted and read as real ones would be, and what is found is compared with
their truth.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.diagnose import diagnose
from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS, Thresholds
from bayes_pref.draws import stack
from bayes_pref.elicitation.pilot import mean_weights, population_of_users, study
from bayes_pref.elicitation.power_result import ALL, EFFECTS, FLAGS, SIGNS, Power
from bayes_pref.errors import ConvergenceWarning, DataError, DataWarning, ModelError
from bayes_pref.inference.engine import Engine
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.models import HierarchicalReward, RewardModel
from bayes_pref.posterior import Posterior
from bayes_pref.progress import tqdm
from bayes_pref.simulation import simulate
from bayes_pref.types import FloatArray

_SHORT = Gibbs(draws=300, warmup=200, chains=2, cores=1, progress=False)
_SIZES = ("users", "comparisons", "seed")  # arguments of simulate that power gives itself
_KNOWN = [name for name in inspect.signature(simulate).parameters if name not in _SIZES]
_RENAMED = {name: f"{'tasks' if name == 'comparisons' else name}= of bp.power" for name in _SIZES}


class _Study(NamedTuple):
    """Simulated answers with their truth: weights (f,) and (u, f), shifts by row where known.

    The rows of shifts are those of a report: of sets, every alternative of each task.
    """

    comparisons: Comparisons
    mean: FloatArray
    weights: FloatArray
    shift: pd.Series[float] | None


def power(
    design: Mapping[str, Any] | Posterior,
    *,
    users: int | Sequence[int] = (50, 100, 200),
    tasks: int | Sequence[int] = (5, 15),
    replications: int = 20,
    model: RewardModel | None = None,
    engine: Engine | None = None,
    level: float = 0.05,
    flags: bool | None = None,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    seed: int = 0,
    progress: bool = True,
) -> Power:
    """Simulate studies of several sizes, and say how much each would find.

    Interrupted by Ctrl-C it returns what the simulations made so far say.

    Parameters
    ----------
    design
        Arguments of `bayes_pref.simulate`: what is shown, and the truth that is to be found, such
        as ``{"features": ["price", "quality"], "contexts": 0, "mean": [-0.3, 0.5]}``. Without
        ``mean`` every simulation has a truth of its own. Or the posterior of a pilot, whose
        users, pairs and draws of the population are taken instead, so that what the pilot leaves
        open counts.
    users, tasks
        Numbers of users, and of tasks or comparisons of each; all combinations are simulated.
    replications
        Simulations of each size. The standard error of a power of 0.8 is 0.09 with 20 of them.
    model
        The model that is fitted; None: that of the pilot, or `HierarchicalReward`, with
        ``exposure=True`` for flags.
    engine
        How to draw. None: `Gibbs` with 2 short chains, which are enough for intervals.
    level
        Of the test: an effect or a sign is found where the central interval with probability
        1 - level excludes 0.
    flags
        Whether to call comparisons confounded, as `bayes_pref.diagnose` does, which takes most of
        the time; of choices among several, every alternative of a task. None: if the design has
        contexts, and no posterior is given, of which the true shifts are not known.
    thresholds
        Those of the flags: a comparison is truly confounded if its shift exceeds
        ``thresholds.shift``.
    seed
        Random seed; the result does not depend on the number of processors.
    progress
        Whether to show a progress bar.

    Returns
    -------
    Power

    Raises
    ------
    DataError
        If an argument is out of range, or flags are asked for where there can be none.
    ModelError
        If the model has no distribution of users' weights, or the design is neither of these.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> design = {"features": ["length"], "contexts": 0, "mean": [1.0]}
    >>> found = bp.power(design, users=[20], tasks=[5], replications=3, progress=False)
    >>> found.table[["kind", "feature", "users", "tasks"]].values.tolist()
    [['effect', 'all', 20, 5], ['effect', 'length', 20, 5],
     ['individual sign', 'all', 20, 5], ['individual sign', 'length', 20, 5]]
    """
    counts, each = _whole("users", users, 2), _whole("tasks", tasks, 1)
    replications = settings.argument("replications", replications, settings.whole(1))
    level = settings.argument("level", level, settings.fraction)
    flags = settings.argument("flags", flags, settings.optional(settings.boolean))
    seed = settings.seed(seed, error=DataError)
    pilot = design if isinstance(design, Posterior) else None
    if pilot is None:
        design = _design(design)
    flags = _flags(design, flags)
    if model is None:
        model = HierarchicalReward(exposure=flags) if pilot is None else pilot.model
    engine = _SHORT if engine is None else engine
    sizes = [(u, t) for u in counts for t in each]
    records: list[Mapping[str, Any]] = []
    complete = False
    with tqdm(
        total=replications * len(sizes), desc="power", unit="study", disable=not progress
    ) as bar:
        try:
            # One simulation of every size after another, so that any number of them is balanced.
            for number in range(replications):
                for size in sizes:
                    state = np.random.SeedSequence([seed, number, *size]).generate_state(3)
                    made = _simulated(design, size, [int(part) for part in state])
                    found = _fitted(made, model, engine, int(state[1]))
                    if found is None:
                        raise KeyboardInterrupt
                    rows = _found(found, made, level)
                    if flags:
                        rows.append(_flagged(found, made, thresholds, int(state[2])))
                    key = {"users": size[0], "tasks": size[1], "replication": number}
                    records += [key | row for row in rows]
                    bar.update()
            complete = True
        except KeyboardInterrupt:
            if len({(row["users"], row["tasks"]) for row in records}) < len(sizes):
                raise  # not even one simulation of each size
    return Power.of(records, complete=complete)


def _whole(name: str, value: Any, least: int) -> list[int]:
    """Return distinct numbers in order."""
    values = list(value) if isinstance(value, list | tuple | range | np.ndarray) else [value]
    found = {settings.argument(name, each, settings.whole(least)) for each in values}
    if not found:
        raise DataError(f"{name} is empty", "give at least one number")
    return sorted(found)


def _design(design: Any) -> dict[str, Any]:
    """Validate arguments of `simulate`."""
    if not isinstance(design, Mapping):
        raise ModelError(
            f"design: got {type(design).__name__} but expected arguments of bp.simulate, like "
            "{'features': ['price'], 'mean': [-0.5]}, or a Posterior"
        )
    settings.check_keywords("design", design, _KNOWN, _RENAMED)
    return dict(design)


def _flags(design: Mapping[str, Any] | Posterior, flags: bool | None) -> bool:
    """Whether to look for flags."""
    reason = None
    if isinstance(design, Posterior):
        reason = "the true shifts of a study like a pilot are not known"
    else:
        if design.get("contexts", 1) in (0, [], ()):
            reason = "without contexts nothing is flagged, and the design has none"
    if flags and reason is not None:
        raise DataError(f"flags=True: {reason}", "leave it out")
    return reason is None if flags is None else flags


def _simulated(
    design: Mapping[str, Any] | Posterior, size: tuple[int, int], state: Sequence[int]
) -> _Study:
    """Simulate one study."""
    users, tasks = size
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # users with a single comparison
        if isinstance(design, Posterior):
            rng = np.random.default_rng(state[0])
            return _Study(*study(design, users, tasks, rng), None)
        world = simulate(users=users, comparisons=tasks, seed=state[0], **design)
    truth = world.truth
    shift = truth.comparisons["shift"]
    mean: FloatArray = np.asarray(truth.mu, dtype=np.float64)
    return _Study(world.comparisons, mean, truth.weights.to_numpy(np.float64), shift)


def _fitted(made: _Study, model: RewardModel, engine: Engine, seed: int) -> Posterior | None:
    """Fit one study; None where that was interrupted."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # chains are short
        found = fit(model, made.comparisons, engine, seed=seed)
    return found if found.run.complete else None


def _found(posterior: Posterior, made: _Study, level: float) -> list[dict[str, Any]]:
    """Say what is found of effects and of individual signs, by feature."""
    population = population_of_users(posterior.model, posterior.draws, posterior.comparisons)
    ends = [level / 2.0, 1.0 - level / 2.0]
    low, high = np.quantile(mean_weights(population), ends, axis=0)
    sign = np.sign(made.mean)
    said = np.where(low > 0.0, 1.0, np.where(high < 0.0, -1.0, 0.0))
    weights = stack(posterior.weights_draws(), "user", "feature")
    below, above = np.quantile(weights, ends, axis=0)
    own = np.where(below > 0.0, 1.0, np.where(above < 0.0, -1.0, 0.0))
    truly = np.sign(made.weights)
    rows: list[dict[str, Any]] = []
    for k, name in enumerate(posterior.comparisons.feature_names):  # a loop over features
        found = float(said[k] == sign[k]) if sign[k] else float("nan")
        rows.append(
            {
                "kind": EFFECTS,
                "feature": name,
                "true": float(made.mean[k]),
                "found": found,
                "wrong": float(said[k] != 0.0 and said[k] != sign[k]),
            }
        )
    for k, name in enumerate(posterior.comparisons.feature_names):
        right, wrong = own[:, k] == truly[:, k], own[:, k] * truly[:, k] < 0.0
        rows.append(
            {
                "kind": SIGNS,
                "feature": name,
                "true": float(made.mean[k]),
                "found": float(right.mean()),
                "wrong": float(wrong.mean()),
            }
        )
    return rows


def _flagged(
    posterior: Posterior, made: _Study, thresholds: Thresholds, seed: int
) -> dict[str, Any]:
    """Say what share of the confounded comparisons is flagged, and of the flagged is not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.simplefilter("ignore", DataWarning)
        report = diagnose(
            posterior,
            thresholds=thresholds,
            seed=seed,
            progress=False,
            assessments=["confounding"],
        )
    rows = report.comparisons
    flagged = (rows["verdict"] == "confounded").to_numpy()
    assert made.shift is not None  # or there are no flags
    keys = [rows[name] for name in ("row", "alternative") if name in rows]
    own = pd.MultiIndex.from_arrays(keys) if len(keys) > 1 else pd.Index(keys[0])
    truly = np.abs(made.shift.loc[own].to_numpy(np.float64)) > thresholds.shift
    nan = float("nan")
    return {
        "kind": FLAGS,
        "feature": ALL,
        "true": nan,
        "found": float(flagged[truly].mean()) if truly.any() else nan,
        "wrong": float((~truly)[flagged].mean()) if flagged.any() else nan,
    }
