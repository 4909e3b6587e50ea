"""Ctrl-C at random times in every engine: back within seconds, and the process goes on usable."""

from __future__ import annotations

import json

import pytest
import sweep

pytestmark = pytest.mark.slow

SECONDS = 8.0  # between the interrupt and the return, on a machine that does other work, too

CODE = """
import json, os, random, signal, sys, threading, time, warnings
import numpy as np
import torch
import pyro
import bayes_pref as bp

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background process ignores it
warnings.simplefilter("ignore")
kind, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
comparisons = bp.simulate(users=30, comparisons=10, features=3, contexts=0, seed=1).comparisons
H = bp.HierarchicalReward()
long, short = {
    "gibbs": (
        (H, bp.Gibbs(draws=10**5, progress=False)),
        (H, bp.Gibbs(draws=20, warmup=20, progress=False)),
    ),
    "gibbs, full": (
        (bp.HierarchicalReward(covariance="full"), bp.Gibbs(draws=10**5, progress=False)),
        (bp.HierarchicalReward(covariance="full"), bp.Gibbs(draws=20, warmup=20, progress=False)),
    ),
    "svi": (
        (H, bp.SVI(steps=10**5, window=50000, progress=False)),
        (H, bp.SVI(draws=4, steps=10, progress=False)),
    ),
    "nuts": (
        (bp.PooledReward(link="probit"), bp.NUTS(draws=10**5, chains=2, progress=False)),
        (bp.PooledReward(link="probit"), bp.NUTS(draws=10, warmup=10, chains=2, progress=False)),
    ),
    "pyro": (
        (bp.PooledReward(), bp.NUTS(draws=10**5, chains=1, kernel="pyro", progress=False)),
        (bp.PooledReward(), bp.NUTS(draws=5, warmup=5, chains=1, kernel="pyro", progress=False)),
    ),
}[kind]


def state():
    return repr((
        torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(),
        len(pyro.poutine.runtime._PYRO_STACK), list(pyro.get_param_store().keys()),
        pyro.infer.is_validation_enabled(), signal.getsignal(signal.SIGINT),
        torch.get_rng_state().numpy().tobytes().__hash__(), len(warnings.filters),
    ))


def fit(job):
    return bp.fit(job[0], comparisons, job[1], seed=3)


expected, before = fit(short).draws, state()
chance = random.Random(seed)
for _ in range(count):
    sent = []

    def interrupt():
        sent.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)

    timer = threading.Timer(chance.choice([0.05, 0.3, 2.0]) * chance.random(), interrupt)
    found = None
    try:
        timer.start()  # which the interrupt may come before the end of
        found = fit(long)
    except KeyboardInterrupt:
        pass
    back = time.monotonic() - sent[0]
    said = found is None or any(each.statistic == "incomplete" for each in found.findings)
    same = fit(short).draws.equals(expected)
    print(json.dumps([back, said, same, state() == before, found is not None]), flush=True)
"""


@pytest.mark.parametrize(
    ("kind", "whole"), [("gibbs", 30), ("gibbs, full", 15), ("svi", 30), ("nuts", 15), ("pyro", 10)]
)
def test_an_interrupt_returns_and_leaves_a_process_that_works(kind: str, whole: int) -> None:
    # Gibbs and SVI are interrupted in tests of their own, after a number of steps.
    if not (count := sweep.cases(0, whole)):
        pytest.skip("in the whole sweep alone")
    child = sweep.child(CODE, kind, count, 7, seconds=580)
    tried = [json.loads(line) for line in child.out.splitlines()]
    held = [row for row in tried if row[0] < SECONDS and all(row[1:4])]
    kept = sum(row[4] for row in tried)
    slowest = max((row[0] for row in tried), default=0.0)
    name = f"interrupts of {kind} ({kept} kept draws, slowest {slowest:.1f} s)"
    sweep.report(name, count, len(held))
    assert len(held) == count, (tried, child.err[-3000:])
