"""Users in blocks: the same draws whoever works on them, and the posterior of other samplers."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.evaluation import held_out_rows
from bayes_pref.inference.gibbs.blocks import block_chain, block_problem
from bayes_pref.inference.gibbs.blocks.block_chain import BlockChain
from bayes_pref.inference.gibbs.blocks.block_problem import block_starts
from bayes_pref.inference.gibbs.blocks.stretched_spreads import StretchedSpreads
from bayes_pref.inference.gibbs.blocks.user_block import UserBlock
from bayes_pref.inference.runtime.checkpoint import Checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
KEPT = ["u003", "u040"]
DEVICES = [None, "cpu"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several blocks of few users."""
    monkeypatch.setattr(block_problem, "_SMALLEST", 16)


def engine(**settings: Any) -> bp.Gibbs:
    few = {"warmup": 40, "draws": 60, "chains": 2, "progress": False, "keep_users": KEPT}
    return bp.Gibbs(users="summary", blocks=True, **(few | settings))


@pytest.fixture(scope="module")
def world() -> bp.World:
    return bp.simulate(users=60, comparisons=12, features=3, contexts=0, seed=4)


def same(one: bp.Posterior, other: bp.Posterior) -> bool:
    assert one.users is not None
    assert other.users is not None
    return (
        one.draws.equals(other.draws)
        and one.users.mean.equals(other.users.mean)
        and one.users.sd.equals(other.users.sd)
        and one.users.kept.equals(other.users.kept)
        and one.users.average.equals(other.users.average)
    )


@pytest.mark.parametrize("device", DEVICES)
def test_draws_do_not_depend_on_the_number_of_threads(world: bp.World, device: str | None) -> None:
    found = [
        bp.fit(bp.HierarchicalReward(), world.comparisons, engine(cores=n, device=device), seed=2)
        for n in (1, 2, 3)
    ]
    assert same(found[0], found[1])
    assert same(found[0], found[2])
    other = bp.fit(bp.HierarchicalReward(), world.comparisons, engine(device=device), seed=3)
    assert not same(found[0], other)


def test_blocks_depend_on_the_number_of_users_alone_and_are_whole_batches() -> None:
    for users in (1, 7, 8, 9, 513, 20_000, 262_144, 1_000_000):
        starts = block_starts(users)
        assert starts[0] == 0
        assert starts[-1] == users
        sizes = np.diff(starts)
        assert (sizes > 0).all()
        assert (sizes[:-1] % 8 == 0).all()
        assert sizes.max() <= 8192


@pytest.mark.parametrize("device", DEVICES)
def test_a_run_that_was_stopped_resumes_with_the_same_draws(
    world: bp.World, device: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = bp.fit(bp.HierarchicalReward(), world.comparisons, engine(device=device), seed=2)
    saved = engine(checkpoint=tmp_path / "c", device=device)
    monkeypatch.setattr(Checkpoint, "due", lambda *_: True)
    advance = BlockChain.advance
    for stop in (5, 30, 57, 90):

        def stopped(self: BlockChain, stop: int = stop) -> int:
            if self.done == stop:
                raise KeyboardInterrupt
            return advance(self)

        monkeypatch.setattr(BlockChain, "advance", stopped)
        with pytest.raises(KeyboardInterrupt):
            bp.fit(bp.HierarchicalReward(), world.comparisons, saved, seed=2)
    monkeypatch.setattr(BlockChain, "advance", advance)
    other = replace(saved, device="cpu" if device is None else None)
    with pytest.raises(bp.ModelError, match="belongs to another run"):
        bp.fit(bp.HierarchicalReward(), world.comparisons, other, seed=2)
    again = bp.fit(bp.HierarchicalReward(), world.comparisons, saved, seed=2)
    assert same(whole, again)
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("device", DEVICES)
def test_the_summary_is_that_of_all_draws(world: bp.World, device: str | None) -> None:
    chosen = engine(keep_users=list(world.comparisons.users), device=device)
    found = bp.fit(bp.HierarchicalReward(), world.comparisons, chosen, seed=2)
    assert found.users is not None
    kept = found.users.kept
    assert found.users.count == kept.sizes["chain"] * kept.sizes["draw"]
    np.testing.assert_allclose(found.users.mean, kept.mean(("chain", "draw")), atol=1e-12)
    np.testing.assert_allclose(found.users.sd, kept.std(("chain", "draw"), ddof=1), rtol=1e-10)
    np.testing.assert_allclose(found.users.average, kept.mean("user"), atol=1e-12)


def test_what_the_posterior_answers_and_what_it_refuses(world: bp.World, tmp_path: Path) -> None:
    found = bp.fit(bp.HierarchicalReward(), world.comparisons, engine(), seed=2)
    users = world.comparisons.users
    every = found.weights()
    assert len(every) == 60 * 3
    assert found.users is not None
    np.testing.assert_allclose(every["mean"], found.users.mean.to_numpy().ravel())
    np.testing.assert_allclose(every["upper"] - every["mean"], 1.6448536 * every["sd"])
    item = pd.DataFrame({name: [1.0] for name in world.comparisons.feature_names})
    assert len(found.reward(item, KEPT)) == 2
    assert len(found.preference(item, users="population")) == 1
    average = found.reward(item, "average")["mean"].item()
    assert average == pytest.approx(float(found.users.average.mean(("chain", "draw")).sum()))
    other = [str(users[0])]
    for ask in (
        lambda: found.reward(item, other),
        lambda: found.preference(item, users=other),
        lambda: found.preference(item, users="average"),
        lambda: found.preference(world.comparisons.to_frame()),
        lambda: found.weights_draws(),
        lambda: bp.diagnose(found),
        lambda: bp.recommend(found, n=2),
        lambda: found.polarisation(),
        lambda: found.choose_for_group(pd.concat([item, -item], keys=["a", "b"])),
        lambda: bp.sensitivity(found),
        lambda: bp.loo(found),
    ):
        with pytest.raises(bp.DataError, match="draw_users"):
            ask()
    assert len(bp.plots.users(found, other[0])) == 3
    found.save(tmp_path / "p.nc")
    again = bp.Posterior.load(tmp_path / "p.nc")
    assert same(found, again)
    assert again.weights().equals(every)


@pytest.mark.slow
def test_held_out_answers_are_scored_some_users_at_a_time(
    world: bp.World, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, test = world.comparisons.split(by="comparison", test=0.3, seed=0)
    strangers = bp.simulate(users=3, comparisons=5, features=3, contexts=0, seed=9).frame
    columns = {"difference": list(test.feature_names)}
    frame = pd.concat(
        [test.to_frame(), strangers.assign(user="new " + strangers["user"].astype(str))]
    ).sample(frac=1.0, random_state=0)
    held_out = bp.Comparisons.from_frame(
        frame.reset_index(drop=True), user="user", choice="choice", **columns
    )
    monkeypatch.setattr(held_out_rows, "_MOST_VALUES", 20 * 3 * 1000)  # of 20 users
    model = bp.HierarchicalReward()
    summary = bp.fit(model, train, engine(draws=1000, warmup=200), seed=2)
    whole = bp.fit(model, train, bp.Gibbs(draws=2000, progress=False), seed=1)
    found, expected = (bp.evaluate(each, held_out).rows for each in (summary, whole))
    assert found[["user", "comparison", "known"]].equals(expected[["user", "comparison", "known"]])
    # Probabilities of some 200 effective draws at least, 5 of their standard errors apart.
    away = (found["mean"] - expected["mean"]) / expected["sd"]
    assert float(away.abs().max()) < 5 * np.sqrt(1 / 200)
    assert float((found["log_score"] - expected["log_score"]).abs().mean()) < 0.02


def test_chosen_users_are_drawn_whole_after_the_fit(world: bp.World) -> None:
    found = bp.fit(bp.HierarchicalReward(), world.comparisons, engine(draws=400), seed=2)
    some = bp.draw_users(found, ["u003", "u040", "u007"])
    assert found.users is not None
    assert some.draws["weights"].sizes == {"chain": 2, "draw": 400, "user": 3, "feature": 3}
    labels = list(some.draws["user"].to_numpy())
    drawn = some.draws["weights"]
    sd = found.users.sd.sel(user=labels)
    away = (drawn.mean(("chain", "draw")) - found.users.mean.sel(user=labels)) / sd
    # Two means of at least some 200 effective draws each: 4 standard errors of their difference.
    assert float(np.abs(away).max()) < 4 * np.sqrt(2 / 200)
    np.testing.assert_allclose(drawn.std(("chain", "draw")), sd, rtol=4 / np.sqrt(200))


@pytest.mark.parametrize(
    ("link", "leaps", "power"),
    [("logit", 1, None), ("probit", 1, None), ("logit", 3, None), ("logit", 1, 1.5)],
)
@pytest.mark.slow
@pytest.mark.long
def test_agrees_with_draws_of_everybody(
    link: str, leaps: int, power: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if leaps > 1:
        monkeypatch.setattr(block_chain, "_REFUSED", 10.0)
    if power is not None:
        monkeypatch.setattr(StretchedSpreads, "choose", lambda self, *_: self.power.fill(power))
    made = bp.simulate(users=80, comparisons=12, features=3, contexts=0, seed=9, ties=0.0)
    model = bp.HierarchicalReward(link=link)
    whole = bp.fit(model, made.comparisons, bp.Gibbs(draws=2000, progress=False), seed=1)
    found = bp.fit(
        model, made.comparisons, engine(draws=2000, warmup=300, chains=4, keep_users=()), seed=1
    )
    assert found.users is not None
    for name in ("mu", "tau"):
        _agree(whole.draws[name], found.draws[name].mean(("chain", "draw")))
    _agree(whole.draws["weights"], found.users.mean)
    ratio = whole.draws["weights"].std(("chain", "draw")) / found.users.sd
    # 240 ratios of sds, of some 2,000 effective draws each: 5 standard errors.
    assert float(np.abs(np.log(ratio)).max()) < 5 * np.sqrt(2 / (2 * 2000))


def _agree(draws: Any, mean: Any) -> None:
    sd = draws.std(("chain", "draw"))
    away = (draws.mean(("chain", "draw")) - mean) / sd
    # Means of 1,000 effective draws or more on each side: 5 standard errors, of 246 parameters.
    assert float(np.abs(away).max()) < 5 * np.sqrt(2 / 1000)


def test_no_spread_starts_near_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the density is flat, so that the chain would crawl although the posterior is far."""
    alike = bp.simulate(users=60, comparisons=12, features=3, contexts=0, heterogeneity=0, seed=4)
    run, begun = BlockChain._run, []

    def recorded(self: BlockChain, operation: str, *args: Any, **blocks: Any) -> list[Any]:
        if operation == "begin":
            begun.append((self, args[0].copy()))
        return run(self, operation, *args, **blocks)

    monkeypatch.setattr(BlockChain, "_run", recorded)
    found = bp.fit(bp.HierarchicalReward(), alike.comparisons, engine(draws=200), seed=2)
    assert len(begun) == 2
    starts = []
    for chain, theta in begun:
        tau, spread = theta[chain.coordinates.places[1]], chain.problem.population.spread
        starts.append(np.abs(tau) / spread)
    assert (np.array(starts) >= 0.25).all()
    assert np.abs(starts[0] - starts[1]).min() > 1e-3  # chains start apart
    assert float(found.draws["tau"].median()) < 0.2  # far below, where the posterior is


@pytest.mark.parametrize(("size", "leaps"), [(0.4, 1.0), (3.0, 3.0)])
def test_users_take_several_steps_where_answers_say_much(
    monkeypatch: pytest.MonkeyPatch, size: float, leaps: float
) -> None:
    made = bp.simulate(users=60, features=3, contexts=0, heterogeneity=size, seed=4)
    summary, seen = BlockChain.summary, []

    def recorded(self: BlockChain) -> list[Any]:
        seen.append(float(self.leaps[0]))
        return summary(self)

    monkeypatch.setattr(BlockChain, "summary", recorded)
    bp.fit(bp.HierarchicalReward(), made.comparisons, engine(warmup=60), seed=2)
    assert seen == [leaps, leaps]


@pytest.mark.parametrize("warmup", [2, 8, 9, 30])
def test_means_of_expansions_are_let_go_of_when_warm_up_ends(
    world: bp.World, warmup: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, held = UserBlock.keep, []

    def watched(self: UserBlock, *args: Any) -> Any:
        held.append(self.expansions is not None)
        return keep(self, *args)

    monkeypatch.setattr(UserBlock, "keep", watched)
    bp.fit(bp.HierarchicalReward(), world.comparisons, engine(warmup=warmup, draws=4), seed=2)
    assert held
    assert not any(held)


def test_unsuited_models_are_refused_by_name(world: bp.World) -> None:
    for model in (bp.MixtureReward(components=2), bp.LowRankReward(rank=1)):
        with pytest.raises(bp.ModelError, match="users='summary' is for Gaussian users"):
            bp.fit(model, world.comparisons, engine(keep_users=()))
    with pytest.raises(bp.DataError, match="keep_users"):
        bp.fit(bp.HierarchicalReward(), world.comparisons, engine(keep_users=["nobody"]))
    with pytest.raises(bp.ModelError, match="keep_users"):
        bp.Gibbs(keep_users=["a"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bp.Gibbs(users="summary", blocks=True)


@pytest.mark.parametrize("device", DEVICES)
def test_the_curvature_given_zeta_is_about_what_is_expected_of_all_blocks(
    world: bp.World, device: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which bounds it; sums over some of the blocks stand for all of them."""
    monkeypatch.setattr(block_chain, "_LOOKED_AT", 20)
    own, seen = block_chain.bounded_curvature, []

    def recorded(curvature: np.ndarray, expected: np.ndarray) -> np.ndarray:
        values = np.linalg.eigvals(np.linalg.solve(expected, curvature)).real
        seen.append(np.sort(values))
        return own(curvature, expected)

    monkeypatch.setattr(block_chain, "bounded_curvature", recorded)
    bp.fit(bp.HierarchicalReward(), world.comparisons, engine(device=device), seed=2)
    # At the start, after three renewals, once spreads are stretched, and eight times after it.
    assert len(seen) == 2 * 13
    assert 0.5 < np.median(np.concatenate(seen)) < 2.0
