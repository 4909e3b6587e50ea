"""Users in blocks on Dask workers: the draws of one machine, whatever becomes of the workers."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

import bayes_pref as bp
from bayes_pref.inference.gibbs.blocks import block_problem, block_workers
from bayes_pref.inference.gibbs.blocks.block_chain import BlockChain

distributed = pytest.importorskip("distributed", reason="the extra scale is not installed")

pytestmark = [
    pytest.mark.slow,
    # Of short chains, and of Dask itself, which tests are not about.
    pytest.mark.filterwarnings("default", "ignore::bayes_pref.ConvergenceWarning"),
]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of few users."""
    monkeypatch.setattr(block_problem, "_SMALLEST", 16)


@pytest.fixture
def client() -> Iterator[Any]:
    """Two workers, each a process of its own."""
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0"
        ) as cluster,
        distributed.Client(cluster) as made,
    ):
        yield made


def engine(**settings: Any) -> bp.Gibbs:
    few = {"warmup": 12, "draws": 6, "chains": 2, "progress": False, "keep_users": ["u003"]}
    return bp.Gibbs(users="summary", blocks=True, **(few | settings))


def test_workers_give_the_draws_of_one_machine_though_one_is_killed(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(block_workers, "_KEPT_OPERATIONS", 15)
    data = bp.simulate(users=60, comparisons=8, features=2, contexts=0, seed=4).comparisons
    model = bp.HierarchicalReward()
    here = bp.fit(model, data, engine(), seed=2)
    advance, killed = BlockChain.advance, []

    def with_a_kill(self: BlockChain) -> int:
        if self.done == 10 and not killed:
            processes = client.run(os.getpid)
            killed.append(processes[sorted(processes)[0]])
            os.kill(killed[0], signal.SIGKILL)
        return advance(self)

    monkeypatch.setattr(BlockChain, "advance", with_a_kill)
    again = bp.fit(model, data, engine(client=client), seed=2)
    assert killed
    assert again.draws.equals(here.draws)
    assert again.users is not None
    assert here.users is not None
    assert again.users.mean.equals(here.users.mean)
    assert again.users.sd.equals(here.users.sd)
    assert again.users.kept.equals(here.users.kept)


def test_without_workers_the_run_ends_with_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_workers, "_PATIENCE", 1.0)
    data = bp.simulate(users=20, comparisons=5, features=2, contexts=0, seed=4).comparisons
    with (
        distributed.LocalCluster(n_workers=0, dashboard_address=":0") as cluster,
        distributed.Client(cluster) as nobody,
        pytest.raises(bp.ModelError, match="no worker"),
    ):
        bp.fit(bp.HierarchicalReward(), data, engine(client=nobody))


def test_what_is_no_client_is_refused() -> None:
    with pytest.raises(bp.ModelError, match=r"expected a distributed\.Client"):
        bp.Gibbs(users="summary", client="tcp://host:8786")
    with pytest.raises(bp.ModelError, match="users='summary'"):
        bp.Gibbs(client="tcp://host:8786")
