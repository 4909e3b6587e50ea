"""Blocks on a torch device draw from the posterior that the kernels draw from."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from cases import shortest
from density_cases import MODELS
from monte_carlo import agree
from stage_cases import stage_comparisons
from torch_cases import CPU, EXACT, by_user, close

import bayes_pref as bp
from bayes_pref.inference.gibbs.blocks import block_problem
from bayes_pref.inference.gibbs.blocks.block_problem import BlockProblem
from bayes_pref.inference.gibbs.blocks.torch_block import TorchBlock
from bayes_pref.inference.gibbs.blocks.torch_centring import FullCentring
from bayes_pref.inference.gibbs.blocks.torch_density import TorchDensity
from bayes_pref.inference.gibbs.blocks.user_block import UserBlock
from bayes_pref.inference.gibbs.diagonal_density import DiagonalDensity

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")

CASES = {
    "pairs": bp.HierarchicalReward(),
    "probit, full": bp.HierarchicalReward(link="probit", covariance="full"),
    "stages, lapse, negative": bp.HierarchicalReward(
        lapse=True, constraints={"polite": "negative"}
    ),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of few users."""
    monkeypatch.setattr(block_problem, "_SMALLEST", 16)


@cache
def data_of(case: str) -> bp.Comparisons:
    if "stages" in case:
        return stage_comparisons(users=25, each=8)
    return bp.simulate(
        users=25, comparisons=12, features=2, contexts=0, ties=0.0, seed=9
    ).comparisons


@cache
def drawn_by_kernels(case: str) -> Any:
    """Draws of the compiled kernels."""
    return drawn(case, None)


def drawn(case: str, device: str | None) -> Any:
    """Draws of the population, and of every user's weights."""
    data = data_of(case)
    engine = bp.Gibbs(
        users="summary",
        keep_users=list(data.users),
        device=device,
        draws=1500,
        warmup=300,
        chains=2,
        progress=False,
    )
    found = bp.fit(CASES[case], data, engine, seed=1 if device is None else 2)
    assert found.users is not None
    return found.draws.assign(weights=found.users.kept)


@pytest.mark.slow
@pytest.mark.parametrize("case", shortest(CASES, short="pairs"))
def test_draws_agree_with_those_of_the_kernels(case: str) -> None:
    assert agree(drawn(case, "cpu"), drawn_by_kernels(case))


@pytest.mark.long
@pytest.mark.parametrize("wrong", ["volume", "momentum"])
def test_draws_of_a_wrong_law_are_noticed(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if wrong == "volume":  # of the change of coordinates, which is to count for the population
        log_volume = FullCentring.log_volume  # features are few
        monkeypatch.setattr(FullCentring, "log_volume", lambda self: 0.5 * log_volume(self))
    else:  # of a smaller sd than the energy says
        normal = TorchDensity.normal
        monkeypatch.setattr(TorchDensity, "normal", lambda *args: 0.9 * normal(*args))
    assert not agree(drawn("pairs", "cpu"), drawn_by_kernels("pairs"))


def test_what_a_device_cannot_do_is_refused_by_name() -> None:
    for device in ("nonsense", "meta", *([] if torch.cuda.is_available() else ["cuda"])):
        with pytest.raises(bp.ModelError, match=f"device='{device}': torch has no such device"):
            bp.Gibbs(users="summary", device=device)
    with pytest.raises(bp.ModelError, match="the name of a torch device, such as 'cuda'"):
        bp.Gibbs(users="summary", device=torch.device("cpu"))
    with pytest.raises(bp.ModelError, match=r"device='cpu': .*give users='summary', too"):
        bp.Gibbs(device="cpu")
    engine = bp.Gibbs(users="summary", device="cpu", progress=False)
    with pytest.raises(bp.ModelError, match="all have the same weights; leave device out"):
        bp.fit(bp.PooledReward(), data_of("pairs"), engine)
    with pytest.raises(bp.ModelError, match="users='summary' is for Gaussian users"):
        bp.fit(bp.MixtureReward(components=2), data_of("pairs"), engine)


def test_a_device_and_a_cluster_are_not_given_together() -> None:
    distributed = pytest.importorskip("distributed", reason="the extra scale is not installed")
    unconnected = object.__new__(distributed.Client)  # a cluster takes seconds and a port
    with pytest.raises(bp.ModelError, match="leave one of both out"):
        bp.Gibbs(users="summary", device="cpu", client=unconnected)


def test_settings_name_the_device_where_there_is_one() -> None:
    assert bp.Gibbs(users="summary", device="cpu").settings()["device"] == "cpu"
    assert "device" not in bp.Gibbs(users="summary").settings()


def items_comparisons() -> bp.Comparisons:
    """Votes between items, whose rewards have a common level that is taken out."""
    rng = np.random.default_rng(2)
    names = np.array(["a", "b", "c", "d"])
    pairs = np.array([rng.choice(4, 2, replace=False) for _ in range(160)])
    votes = pd.DataFrame(names[pairs], columns=["left", "right"])
    votes = votes.assign(user=np.arange(160) % 20, choice=rng.integers(0, 2, 160))
    return bp.Comparisons.from_items(
        votes, user="user", left="left", right="right", choice="choice"
    )


OPERATIONS = {
    "stages, negative": ("diagonal", MODELS["stages, negative"], stage_comparisons),
    "stages, full": ("full", MODELS["stages, lapse"], stage_comparisons),
    "items": ("diagonal", bp.HierarchicalReward(), items_comparisons),
}


@pytest.mark.parametrize("case", OPERATIONS)
def test_operations_without_random_numbers_are_those_of_the_kernels(case: str) -> None:
    covariance, model, data = OPERATIONS[case]
    comparisons, model = data(), replace(model, covariance=covariance)
    spec, choice = model.spec(comparisons), model.choice_model(comparisons)
    form = choice.kernel_form(comparisons.outcome)
    part = BlockProblem.read_in_blocks(spec, comparisons, form, np.array([1, 3])).parts[0]
    assert (part.units.level is not None) == (case == "items")
    key = np.array([1, 2], dtype=np.uint64)
    one = UserBlock(part, key)
    density = TorchDensity(part.problem, CPU, diagonal=isinstance(one.density, DiagonalDensity))
    other = TorchBlock(part, key, density)
    rng = np.random.default_rng(1)
    theta = one.density.start(rng)
    one.begin(theta)
    other.begin(theta)
    other.load(other.state() | {"zeta": by_user(one.density, one.zeta)})
    blocks = (one, other)
    # The kernels may keep an expansion in less precision.
    error = max(EXACT, 1e3 * float(np.finfo(one.density.information.dtype).eps))
    for step in range(6):
        theta = theta + 0.1 * rng.standard_normal(theta.size)
        for block in blocks:
            block.look(theta)
            if step in (2, 4):
                before = block.weights(theta)
                block.renew(theta, False)
                close(block.weights(theta), before, error)
            if step == 3:
                block.count_as(1)
        kept = [block.keep(theta, step == 0) for block in blocks]
        for found, expected in zip(kept[1], kept[0], strict=True):
            close(found, expected, error)
        close(other.information(theta), one.information(theta), error)
        sums = [block.sums_at(np.stack([theta, theta + 0.1]))[1] for block in blocks]
        close(
            one.density.with_prior(one.density.at(theta), sums[1])[1],
            one.density.with_prior(one.density.at(theta), sums[0])[1],
            error,
        )
    expected, summary = one.summary(), other.summary()
    assert expected.count[0] == summary.count[0] == 4
    close(summary.mean, expected.mean, error)
    close(summary.squares, expected.squares, error)
    assert one.state().keys() == other.state().keys()
    fresh = TorchBlock(part, key, density)
    fresh.load(other.state())
    moves = [block.move(theta, 0.5, 2, 7, False) for block in (other, fresh)]
    assert moves[0].accepted == moves[1].accepted > 0.5 * density.n_users
    undone = fresh.move(theta, 0.5, 2, 7, True)
    assert undone.after.total == moves[1].after.total
    assert undone.before.total == moves[1].before.total != undone.after.total
