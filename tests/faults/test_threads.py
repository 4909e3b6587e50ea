"""Fits side by side in threads, pools of threads and asyncio: each has the draws of its seed."""

from __future__ import annotations

import json

import pytest
import sweep

pytestmark = pytest.mark.slow

FITS = """
import asyncio, json, sys, threading, warnings
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import torch
import pyro
import pyro.distributions as dist
import bayes_pref as bp

warnings.simplefilter("ignore")
comparisons = bp.simulate(users=6, comparisons=6, features=2, contexts=0, seed=1).comparisons
kinds = [
    (bp.HierarchicalReward(), bp.Gibbs(draws=20, warmup=20, chains=2, progress=False)),
    (bp.HierarchicalReward(), bp.SVI(draws=4, steps=15, progress=False)),
    (bp.PooledReward(link="probit"), bp.NUTS(draws=8, warmup=8, chains=2, progress=False)),
    (
        bp.PooledReward(),
        bp.NUTS(draws=4, warmup=4, chains=1, kernel="pyro", progress=False),
    ),
    (
        bp.HierarchicalReward(covariance="full"),
        bp.Gibbs(draws=20, warmup=20, chains=2, progress=False),
    ),
]


def fit(job):
    kind, seed = job
    model, engine = kinds[kind]
    return bp.fit(model, comparisons, engine, seed=seed).draws


count, = map(int, sys.argv[1:])
if count <= len(kinds):
    del kinds[2]  # compiles for seconds
jobs = [(i % len(kinds), i // len(kinds) % 2) for i in range(count)]
expected = {job: fit(job) for job in dict.fromkeys(jobs)}
filters, threads = list(warnings.filters), torch.get_num_threads()
"""

JUDGE = """
same = [a.equals(expected[job]) for a, job in zip(found, jobs, strict=True)]
left = warnings.filters == filters and torch.get_num_threads() == threads
left = left and not pyro.poutine.runtime._PYRO_STACK and torch.get_default_dtype() == torch.float32
print(json.dumps([sum(same), len(same), left]))
"""

WAYS = {
    "a pool of threads": """
with ThreadPoolExecutor(5) as pool:
    found = list(pool.map(fit, jobs))
""",
    "asyncio.to_thread": """
async def main():
    return await asyncio.gather(*(asyncio.to_thread(fit, job) for job in jobs))
found = asyncio.run(main())
""",
    "threads": """
found = [None] * len(jobs)
def work(i):
    found[i] = fit(jobs[i])
for first in range(0, len(jobs), 10):
    some = range(first, min(first + 10, len(jobs)))
    own = [threading.Thread(target=work, args=(i,)) for i in some]
    for thread in own:
        thread.start()
    for thread in own:
        thread.join()
""",
    "a fit within a model": """
nested = []
def coin(heads):
    fairness = pyro.sample("fairness", dist.Beta(2.0, 2.0))
    if len(nested) < len(jobs):
        nested.append(fit(jobs[len(nested)]))
    with pyro.plate("toss", len(heads)):
        pyro.sample("heads", dist.Bernoulli(fairness), obs=heads)
with ThreadPoolExecutor(1) as pool:
    pool.submit(bp.SVI(draws=4, steps=20, progress=False).sample, coin, torch.ones(10)).result()
found = nested[: len(jobs)]
jobs = jobs[: len(found)]
""",
}


@pytest.mark.parametrize(("way", "whole"), [
    ("a pool of threads", 50), ("asyncio.to_thread", 30), ("threads", 20),
    ("a fit within a model", 5),
])  # fmt: skip
def test_fits_in_threads_have_the_draws_of_their_seeds(way: str, whole: int) -> None:
    sample = 4 if way == "a pool of threads" else 0
    count = sweep.cases(sample, whole)
    if not count:
        pytest.skip("in the whole sweep alone")
    child = sweep.child(FITS + WAYS[way] + JUDGE, count, seconds=580)
    assert child.code == 0, child.err[-3000:]
    held, tried, left = json.loads(child.out.splitlines()[-1])
    sweep.report(f"fits in {way}", tried, held)
    assert left, "warning filters, torch or Pyro were left otherwise than they were"
    assert held == tried == count
