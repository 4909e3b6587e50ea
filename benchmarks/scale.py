"""Cost of a fit as users become many: seconds a sweep, total, peak memory, and accuracy.

Simulated users make 15 choices each between two, which differ in 4 of 14 features, as in a conjoint
study of 14 levels. Every size runs in a process of its own:

    python benchmarks/scale.py                        # 1,000, 10,000 and 100,000 users
    python benchmarks/scale.py --sizes 1000000
    python benchmarks/scale.py --sizes 20000 --features 8 --dense
    python benchmarks/scale.py --sizes 6000 --dense --blocks no   # or yes; default: by the data
    python benchmarks/scale.py --sizes 10000 --device cpu   # blocks by torch
    python benchmarks/scale.py --sizes 10000 --workers 2    # blocks on two Dask workers
    python benchmarks/scale.py --sizes 10000 --svi --draws 200            # variational
    python benchmarks/scale.py --sizes 10000 --svi --draws 200 --compare  # and against exact blocks

Seconds a sweep are those after warm-up. Beside them stand those of one NumPy evaluation of the log
likelihood and its gradient over the same rows, measured in the same run, and CPU seconds, which
other processes disturb less; these are of the main process, so that they leave out what workers do.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

import bayes_pref as bp
from bayes_pref.convergence.statistics import chain_statistics
from bayes_pref.data.features import Features
from bayes_pref.inference.gibbs.blocks.block_chain import BlockChain
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.summaries.summary_chain import SummaryChain
from bayes_pref.types import FloatArray

_CHUNK = 20_000  # users who are simulated, or evaluated by NumPy, at a time


def simulated(
    users: int, answers: int, features: int, shown: int, seed: int
) -> tuple[bp.Comparisons, FloatArray, FloatArray, FloatArray]:
    """Comparisons whose rows have `shown` features that are not 0, and mu, tau, weights."""
    rng = np.random.default_rng(seed)
    mu = rng.normal(0.0, 0.5, features)
    tau = np.exp(rng.normal(np.log(0.6), 0.3, features))
    weights = mu + tau * rng.standard_normal((users, features))
    difference = np.zeros((users * answers, features))
    choice = np.empty(users * answers)
    for first in range(0, users, _CHUNK):  # all at once would take several times the memory
        own = weights[first : first + _CHUNK]
        part = difference[first * answers : (first + len(own)) * answers]
        if shown < features:
            columns = rng.random(part.shape).argpartition(shown, axis=1)[:, :shown]
            np.put_along_axis(part, columns, rng.choice([-1.0, 1.0], columns.shape), axis=1)
        else:
            part[...] = rng.standard_normal(part.shape)
        eta = np.einsum("nd,nd->n", part, np.repeat(own, answers, axis=0))
        chosen = rng.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))
        choice[first * answers : first * answers + len(eta)] = chosen
    names = tuple(f"feature_{k + 1}" for k in range(features))
    user = np.repeat(np.arange(users), answers)
    for array in (difference, choice, user):
        array.setflags(write=False)
    comparisons = bp.Comparisons(
        difference=difference,
        choice=choice,
        user=user,
        users=pd.RangeIndex(users),
        features=Features(names, (), ()),
        context=np.zeros((len(user), 0)),
        covariates=np.zeros((users, 0)),
        covariate_names=(),
        rows=pd.RangeIndex(len(user)),
    )
    return comparisons, mu, tau, weights


def numpy_evaluation(comparisons: bp.Comparisons, weights: FloatArray) -> dict[str, float]:
    """Seconds of one evaluation of the log likelihood and its gradient in all weights."""
    wall, cpu, offsets = time.perf_counter(), time.process_time(), comparisons.offsets
    for first in range(0, len(weights), _CHUNK):
        own = weights[first : first + _CHUNK]
        starts = offsets[first : first + len(own) + 1]
        rows = slice(starts[0], starts[-1])
        difference, sign = comparisons.difference[rows], 2.0 * comparisons.choice[rows] - 1.0
        eta = sign * np.einsum("nd,nd->n", difference, own[comparisons.user[rows] - first])
        np.log1p(np.exp(-eta)).sum()
        slope = sign / (1.0 + np.exp(eta))
        np.add.reduceat(slope[:, None] * difference, starts[:-1] - starts[0], axis=0)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


class Clock:
    """Notes when sweeps of all chains end, from the first of each on: the start is no sweep."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.moments: list[tuple[float, float, int]] = []
        self.chain = ""

    def watch(self) -> None:
        """Note the sweeps of every chain of this process."""
        for chain in (BlockChain, SummaryChain):
            chain.advance = self._timed(chain.advance)  # type: ignore[method-assign]

    def _timed(self, advance: Callable[[Any], int]) -> Callable[[Any], int]:
        def timed(chain: Chain) -> int:
            done = advance(chain)
            with self.lock:
                self.moments.append((time.perf_counter(), time.process_time(), done))
                self.chain = type(chain).__name__
            return done

        return timed

    @property
    def sweeps(self) -> int:
        """Number of sweeps of all chains."""
        return sum(done for *_, done in self.moments)

    def seconds_a_sweep(self, chains: int, warmup: int) -> tuple[float, float]:
        """Wall and CPU seconds of a sweep of one chain, after warm-up."""
        moments = np.array(self.moments).reshape(-1, 3)
        own = moments[moments[:, 2].cumsum() > chains * warmup]
        if len(own) < 2:  # SVI
            return np.nan, np.nan
        return tuple(np.ptp(own[:, :2], axis=0) / own[1:, 2].sum())  # type: ignore[return-value]


@contextmanager
def engine_of(arguments: argparse.Namespace) -> Iterator[bp.Engine]:
    """Return what fits, with its workers where it has any."""
    if arguments.svi:
        yield bp.SVI(
            batch=min(arguments.batch, arguments.size),
            candidates=arguments.candidates,
            draws=arguments.draws,
            progress=arguments.progress,
        )
        return
    engine = bp.Gibbs(
        users="summary",
        blocks={"yes": True, "no": False}.get(arguments.blocks),
        until="converged",
        max_minutes=arguments.minutes,
        chains=arguments.chains,
        warmup=arguments.warmup,
        draws=arguments.draws,
        cores=arguments.cores,
        device=arguments.device,
        progress=arguments.progress,
    )
    if not arguments.workers:
        yield engine
        return
    from distributed import LocalCluster

    with (
        LocalCluster(
            n_workers=arguments.workers, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        cluster.get_client() as client,
    ):
        yield replace(engine, client=client)


def distances(
    comparisons: bp.Comparisons, posterior: bp.Posterior, arguments: argparse.Namespace
) -> dict[str, float]:
    """How far draws of mu, tau and weights are from those of exact blocks, in posterior sds."""
    engine = bp.Gibbs(users="summary", blocks=True, until="converged", chains=2, progress=False)
    exact = bp.fit(bp.HierarchicalReward(), comparisons, engine, seed=arguments.seed + 1)
    found = {}
    for name in ("mu", "tau", "weights"):
        some = posterior.draws[name]
        mean, sd = some.mean(("chain", "draw")).to_numpy(), some.std(("chain", "draw")).to_numpy()
        if name == "weights":
            other = exact.users.mean, exact.users.sd
        else:
            draws = exact.draws[name]
            other = (
                draws.mean(("chain", "draw")).to_numpy(),
                draws.std(("chain", "draw")).to_numpy(),
            )
        away, ratio = (mean - other[0]) / other[1], sd / other[1]
        found[f"{name}_rms_sds"] = float(np.sqrt((away**2).mean()))
        found[f"{name}_most_sds"] = float(abs(away).max())
        found[f"{name}_sd_ratio_low"], found[f"{name}_sd_ratio_high"] = np.quantile(
            ratio, [0.0, 1.0]
        )
        found[f"{name}_sd_ratio"] = float(np.median(ratio))
    return found


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Simulate, fit and score one size in this process."""
    shown = arguments.features if arguments.dense else arguments.shown
    data = (arguments.size, arguments.answers, arguments.features, shown, arguments.seed)
    comparisons, mu, tau, weights = simulated(*data)
    unit = numpy_evaluation(comparisons, weights)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    clock = Clock()
    clock.watch()
    with engine_of(arguments) as engine, warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", bp.ConvergenceWarning)
        wall, cpu = time.perf_counter(), time.process_time()
        posterior = bp.fit(bp.HierarchicalReward(), comparisons, engine, seed=arguments.seed)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sweep, sweep_cpu = clock.seconds_a_sweep(arguments.chains, arguments.warmup)
    truths = {"mu": mu, "tau": tau}
    drawn = np.concatenate([posterior.draws[name].to_numpy() for name in truths], axis=2)
    statistics = chain_statistics(drawn)
    far = distances(comparisons, posterior, arguments) if arguments.compare else {}
    ess = float(np.minimum(statistics.ess_bulk, statistics.ess_tail).min())
    low, high = np.quantile(drawn, [0.05, 0.95], axis=(0, 1))
    truth = np.concatenate(list(truths.values()))
    frame = posterior.weights()
    own = weights.ravel()
    return {
        "users": arguments.size,
        "sweep_s": sweep,
        "sweep_cpu_s": sweep_cpu,
        "numpy_s": unit["wall"],
        "numpy_cpu_s": unit["cpu"],
        "ratio": sweep / unit["wall"],
        "ratio_cpu": sweep_cpu / unit["cpu"],
        "fit_s": wall,
        "fit_cpu_s": cpu,
        "chain": clock.chain,
        "sweeps": clock.sweeps,
        "ess": ess,
        "rhat": float(statistics.rhat.max()),
        "data_gib": before / 2**20,
        "peak_gib": peak / 2**20,
        "covered": float(((low <= truth) & (truth <= high)).mean()),
        "covered_users": float(((frame["lower"] <= own) & (own <= frame["upper"])).mean()),
        "pareto_k": posterior.run.pareto_k,
        "steps": None if posterior.run.elbo is None else posterior.run.elbo.steps,
        **far,
        "warnings": [str(each.message) for each in caught],
    }


def line_of(found: list[dict[str, Any]]) -> str:
    """Describe the straight line through seconds a sweep, and how far each size is from it."""
    size, seconds = (np.array([each[name] for each in found]) for name in ("users", "sweep_cpu_s"))
    # Relative errors: the smallest size counts as much as the largest.
    design = np.column_stack([np.ones(len(size)), size]) / seconds[:, None]
    start, slope = np.linalg.lstsq(design, np.ones(len(size)), rcond=None)[0]
    away = ", ".join(
        f"{n:,}: {100 * (s / (start + slope * n) - 1):+.0f} %"
        for n, s in zip(size, seconds, strict=True)
    )
    return f"CPU seconds a sweep = {start:.3g} + {1e6 * slope:.3g} per million users; off by {away}"


def main() -> None:
    """Measure every size in a process of its own, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--answers", type=int, default=15)
    parser.add_argument("--features", type=int, default=14)
    parser.add_argument("--shown", type=int, default=4, help="features of a row that are not 0")
    parser.add_argument("--dense", action="store_true", help="no feature of a row is 0")
    parser.add_argument("--chains", type=int, default=2)
    parser.add_argument("--warmup", type=int, default=60)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--cores", type=int, default=None)
    parser.add_argument("--blocks", choices=("yes", "no"), help="default: by the data")
    parser.add_argument("--device", default=None, help="of torch; default: the compiled kernels")
    parser.add_argument("--workers", type=int, default=0, help="Dask workers of one thread each")
    parser.add_argument("--svi", action="store_true")
    parser.add_argument("--batch", type=int, default=500, help="users in a mini-batch of SVI")
    parser.add_argument("--candidates", type=int, default=16, help="of SVI, for each user")
    parser.add_argument("--compare", action="store_true", help="SVI with exact blocks")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.size is not None:
        print(json.dumps(measured(arguments)))
        return
    found = []
    for size in arguments.sizes:
        command = [sys.executable, __file__, *sys.argv[1:], "--size", str(size)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
        found.append(json.loads(answer.splitlines()[-1]))
        print(json.dumps(found[-1]), flush=True)
    table = pd.DataFrame(found).drop(columns="warnings").set_index("users")
    print(table.T.to_string(float_format="{:.3g}".format))
    if len(found) > 1 and not arguments.svi:
        print(line_of(found))


if __name__ == "__main__":
    main()
