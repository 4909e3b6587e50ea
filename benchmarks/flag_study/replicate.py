"""One replication of one world: fit, ask for verdicts, compare with the truth."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import bayes_pref as bp
from bayes_pref.diagnostics.confounding import confounding_shift
from bayes_pref.diagnostics.confounding.exposure_posterior import refit_with_exposure
from bayes_pref.diagnostics.confounding.left_out import left_out_contexts, with_context_effects
from bayes_pref.diagnostics.identifiability import prior_share
from bayes_pref.diagnostics.query import read_query
from flag_study import reach, unlearned, worlds
from flag_study.choice_worlds import CHOICE_WORLDS, MODELS, choice_of
from flag_study.metrics import OURS, figures, reliability
from flag_study.rivals import CERTAIN, LEVEL, MATERIAL, Answer, answers

# A thousand sweeps: what is averaged over a posterior has a Monte Carlo error of a few hundredths
# of a posterior sd, which the errors over replications include. Verdicts integrate over each draw
# kept, so half of the sweeps are thrown away.
ENGINE = bp.Gibbs(draws=250, thin=2, warmup=250, chains=2, cores=1, progress=False)
# Eight times the sweeps: what short chains cost.
LONG, LONG_CHAINS = replace(ENGINE, draws=500, thin=8, warmup=500), f"{OURS}, long chains"
# Covariances of what the data say nothing of need as many draws as sweeps can give.
FULL = replace(ENGINE, draws=500, thin=1)
# Where posterior means are enough: without coupling, only p_do is asked for.
SHORT = bp.Gibbs(draws=200, warmup=200, chains=2, cores=1, progress=False)
# Whether choices separate does not depend on the draws, but a verdict needs a posterior.
SHORTEST = bp.Gibbs(draws=50, warmup=20, chains=2, cores=1, progress=False)
SEPARATION = "separation"
PLAIN = bp.HierarchicalReward()


@dataclass(frozen=True)
class Task:
    """What a process is asked to do.

    Attributes
    ----------
    world
        A name in `worlds.WORLDS` or `unlearned.WORLDS`, or "separation".
    replication
        Number from 0; the seed derives from it and the world's name.
    bounds
        Whether to ask what is within reach, too, in the worlds where that is known.
    """

    world: str
    replication: int
    bounds: bool = False


@dataclass(frozen=True)
class Outcome:
    """What a replication found.

    Attributes
    ----------
    records
        world, replication, method, figure, value.
    bins
        world, replication, bin, gate, n, said, confounded: of the calibration figure.
    seconds
        Of the processor.
    """

    records: list[dict[str, Any]]
    bins: list[dict[str, Any]]
    seconds: float


def run(task: Task) -> Outcome:
    """Run a task; every world draws from seeds of its own."""
    start = time.process_time()
    bins: list[dict[str, Any]] = []
    with warnings.catch_warnings():
        # Short chains on purpose; what they cost is part of what is measured.
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        if task.world in worlds.WORLDS:
            found, bins = _confounding(task)
        elif task.world in CHOICE_WORLDS:
            found, bins = _of_choice(task)
        elif task.world == SEPARATION:
            found = _separation(task)
        else:
            found = _identifiability(task)
    where = {"replication": task.replication}
    return Outcome(
        [{"world": task.world} | where | record for record in found],
        [{"world": task.world} | where | counts for counts in bins],
        time.process_time() - start,
    )


def _confounding(task: Task) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    seed = worlds.seed_of(task.world, task.replication)
    setting = worlds.WORLDS[task.world]
    world = setting.make(seed)
    posterior = bp.fit(setting.model, world.comparisons, SHORT, seed=seed)
    ours = coupled(world.comparisons, seed, model=setting.model)
    everyone = answers(world.comparisons, posterior, seed) | {OURS: ours}
    if task.bounds and task.world in reach.WORLDS:
        assert ours.p_value is not None
        everyone[LONG_CHAINS] = coupled(world.comparisons, seed, LONG)
        everyone |= reach.answers(world, ours.p_value, seed)
    records = [
        {"method": method, "figure": figure, "value": value}
        for method, answer in everyone.items()
        for figure, value in figures(world, answer).items()
    ]
    return records, reliability(world, ours)


def _of_choice(task: Task) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the figures of a world of another choice model, which has no rivals."""
    seed = worlds.seed_of(task.world, task.replication)
    world = CHOICE_WORLDS[task.world].make(seed)
    model = MODELS.get(choice_of(task.world), bp.HierarchicalReward())
    ours = coupled(world.comparisons, seed, model=model)
    records = [
        {"method": OURS, "figure": figure, "value": value}
        for figure, value in figures(world, ours).items()
    ]
    return records, reliability(world, ours)


def coupled(
    comparisons: bp.Comparisons,
    seed: int,
    engine: bp.Gibbs = ENGINE,
    model: bp.HierarchicalReward = PLAIN,
) -> Answer:
    """Return what the flags say of comparisons, from a fit with the exposure terms they ask for."""
    plain = bp.fit(model, comparisons, SHORTEST, seed=seed)
    left_out = left_out_contexts(comparisons, confounding_shift.null_of(plain, seed=seed))
    if left_out:
        wider = with_context_effects(comparisons, left_out)
        plain = refit_with_exposure(plain, seed=seed, engine=engine, comparisons=wider)
    test = confounding_shift.exposure_test(plain, seed=seed)
    curve_sd = confounding_shift.chosen_curves(test, comparisons.features.contexts)
    joint = refit_with_exposure(plain, seed=seed, engine=engine, curve_sd=curve_sd)
    thresholds = bp.Thresholds(shift=MATERIAL, certainty=CERTAIN, permutation_level=LEVEL)
    found = confounding_shift.assess(
        joint, read_query(joint), test=test, thresholds=thresholds, seed=seed
    )
    table = found.comparisons
    k = len(comparisons.features.attributes)
    mu = joint.draws["mu"].mean(("chain", "draw")).to_numpy()
    return Answer(
        p_do=table["p_do"].to_numpy(),
        p_value=float(found.permutation_p),
        p_confounded=table["p_confounded"].to_numpy(),
        context_effect=mu[k:] if len(mu) > k else None,
        flagged=np.asarray(found.confounded),
        shift=tuple(table[name].to_numpy() for name in ("shift_lower", "shift", "shift_upper")),
    )


def _identifiability(task: Task) -> list[dict[str, Any]]:
    seed = worlds.seed_of(task.world, task.replication)
    world = unlearned.WORLDS[task.world](seed)
    records = []
    for prior in unlearned.PRIORS:
        model = bp.HierarchicalReward(mean_sd=prior)
        posterior = bp.fit(model, world.comparisons, FULL, seed=seed)
        new = _unidentifiable(posterior, world.candidates)
        shown = _unidentifiable(posterior, None)
        found = {"detected": new[world.unidentifiable]}
        found["false flags"] = np.concatenate([new[world.unknown == 0], shown])
        records += [
            {"method": OURS, "figure": f"{figure}, prior {prior:g}", "value": float(said.mean())}
            for figure, said in found.items()
            if len(said)
        ]
    return records


def _unidentifiable(posterior: bp.Posterior, candidates: bp.Comparisons | None) -> np.ndarray:
    found = prior_share.assess(posterior, read_query(posterior, candidates))
    return found.comparisons["unidentifiable"].to_numpy(dtype=bool)


def _separation(task: Task) -> list[dict[str, Any]]:
    records = []
    for kind in unlearned.SEPARATIONS:
        seed = worlds.seed_of(kind, task.replication)
        comparisons, truth = unlearned.separated(seed, kind)
        posterior = bp.fit(bp.HierarchicalReward(), comparisons, SHORTEST, seed=seed)
        found = prior_share.assess(posterior, read_query(posterior))
        said = bool(found.comparisons["separated"].any())
        figure = "detected" if truth else "false alarms"
        records.append({"method": OURS, "figure": f"{figure}: {kind}", "value": float(said)})
    return records
