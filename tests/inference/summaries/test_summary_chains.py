"""Summaries of users by Polya-Gamma variables: those of draws that are not kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bayes_pref as bp
from bayes_pref.inference.gibbs.samplers.diagonal_sampler import DiagonalSampler
from bayes_pref.inference.gibbs.summaries import faster_sampler
from bayes_pref.inference.gibbs.summaries.faster_sampler import (
    blocks_are_faster,
    typical_log_odds,
)
from bayes_pref.inference.gibbs.summaries.summary_chain import SummaryChain
from bayes_pref.inference.runtime.checkpoint import Checkpoint
from bayes_pref.inference.users import slow_users

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
KEPT = ["u003", "u040"]
LENGTHS: dict[str, Any] = {"warmup": 40, "draws": 60, "chains": 2, "progress": False}
MODELS = {
    "diagonal": bp.HierarchicalReward(),
    "full": bp.HierarchicalReward(covariance="full"),
    "position bias": bp.HierarchicalReward(position=True),
}


@pytest.fixture(autouse=True)
def slow_users_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have summaries be those of the chains alone."""
    monkeypatch.setattr(slow_users, "_SHARE", 0.0)


@pytest.fixture(scope="module")
def world() -> bp.World:
    return bp.simulate(users=60, comparisons=12, features=3, contexts=0, seed=4)


def engine(**settings: Any) -> bp.Gibbs:
    return bp.Gibbs(users="summary", keep_users=KEPT, **(LENGTHS | settings))


def same(one: bp.Posterior, other: bp.Posterior) -> bool:
    assert one.users is not None
    assert other.users is not None
    return (
        one.draws.equals(other.draws)
        and one.users.mean.equals(other.users.mean)
        and one.users.sd.equals(other.users.sd)
        and one.users.kept.equals(other.users.kept)
        and one.users.average.equals(other.users.average)
        and one.users.count == other.users.count
    )


@pytest.mark.parametrize("thin", [1, 7])
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_the_draws_are_those_of_a_fit_that_keeps_them_all(
    world: bp.World, model: bp.HierarchicalReward, thin: int
) -> None:
    """Sweeps come five at a time, which no thinning interval need be a multiple of."""
    whole = bp.fit(model, world.comparisons, bp.Gibbs(thin=thin, **LENGTHS), seed=2)
    found = bp.fit(model, world.comparisons, engine(thin=thin), seed=2)
    weights = whole.draws["weights"]
    assert found.draws.equals(whole.draws.drop_vars(["weights", "user"]))
    assert found.users is not None
    assert found.users.count == 120
    assert found.users.kept.equals(weights.sel(user=KEPT))
    assert found.sample_stats["lp"].equals(whole.sample_stats["lp"])
    np.testing.assert_allclose(found.users.mean, weights.mean(("chain", "draw")), atol=1e-12)
    np.testing.assert_allclose(found.users.sd, weights.std(("chain", "draw"), ddof=1), rtol=1e-10)
    np.testing.assert_allclose(found.users.average, weights.mean("user"), atol=1e-12)


def test_items_have_the_common_level_of_their_rewards_taken_out() -> None:
    votes = bp.simulate(users=40, comparisons=10, features=2, contexts=0, seed=1).frame
    rng = np.random.default_rng(0)
    pairs = np.stack([rng.permutation(4)[:2] for _ in range(len(votes))])
    frame = votes.assign(left=pairs[:, 0], right=pairs[:, 1])
    comparisons = bp.Comparisons.from_items(
        frame, user="user", left="left", right="right", choice="choice"
    )
    model = bp.HierarchicalReward()
    whole = bp.fit(model, comparisons, bp.Gibbs(**LENGTHS), seed=2)
    found = bp.fit(model, comparisons, bp.Gibbs(users="summary", **LENGTHS), seed=2)
    assert found.users is not None
    expected = whole.draws["weights"].mean(("chain", "draw"))
    np.testing.assert_allclose(found.users.mean, expected, atol=1e-12)
    np.testing.assert_allclose(found.users.mean.sum("feature"), 0.0, atol=1e-12)


@pytest.mark.parametrize("until", [None, "converged"])
def test_a_run_that_was_stopped_resumes_with_the_same_draws(
    world: bp.World, until: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths = {"thin": 2} if until is None else {"until": until, "draws": 400, "warmup": 15}
    model, comparisons = bp.HierarchicalReward(), world.comparisons
    whole = bp.fit(model, comparisons, engine(**lengths), seed=2)
    assert whole.run.settings["thin"] > 1  # of a run that got longer, too
    saved = engine(checkpoint=tmp_path / "c", **lengths)
    monkeypatch.setattr(Checkpoint, "due", lambda *_: True)
    advance = SummaryChain.advance
    for stop in (5, 30, 57, 90):

        def stopped(self: SummaryChain, stop: int = stop) -> int:
            if self.done >= stop:
                raise KeyboardInterrupt
            return advance(self)

        monkeypatch.setattr(SummaryChain, "advance", stopped)
        with pytest.raises(KeyboardInterrupt):
            bp.fit(model, comparisons, saved, seed=2)
    monkeypatch.setattr(SummaryChain, "advance", advance)
    assert same(whole, bp.fit(model, comparisons, saved, seed=2))


def test_who_samples_depends_on_the_data_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faster_sampler, "_FEW_USERS", 200)
    sampler, model = DiagonalSampler(), bp.HierarchicalReward()

    def faster(size: float, users: int = 200, **settings: Any) -> bool:
        made = bp.simulate(
            users=users, features=4, contexts=0, heterogeneity=size, mean=[size] * 4, seed=1
        ).comparisons
        found = blocks_are_faster(sampler, bp.HierarchicalReward(**settings), made)
        assert found == blocks_are_faster(sampler, bp.HierarchicalReward(**settings), made)
        return found

    assert faster(0.4)
    assert not faster(3.0)
    assert not faster(0.4, users=199)
    assert not faster(0.4, covariance="full")
    strong = bp.simulate(
        users=300, features=2, contexts=0, heterogeneity=0.0, mean=[2.0, 2.0], seed=1
    )
    true = np.abs(strong.comparisons.difference @ np.array([2.0, 2.0]))
    away = typical_log_odds(sampler, model, strong.comparisons) - np.median(true)
    assert abs(away) < 0.3 * np.median(true)


def test_who_samples_can_be_chosen(world: bp.World) -> None:
    model, comparisons = bp.HierarchicalReward(), world.comparisons
    found = {
        blocks: bp.fit(model, comparisons, engine(blocks=blocks), seed=2)
        for blocks in (None, False, True)
    }
    assert same(found[None], found[False])  # so few users
    assert not same(found[False], found[True])
    assert "blocks" not in found[None].run.settings
    assert found[True].run.settings["blocks"] is True
    probit = bp.HierarchicalReward(link="probit")
    by_itself, asked = (
        bp.fit(probit, comparisons, engine(blocks=blocks), seed=2) for blocks in (None, True)
    )
    assert same(by_itself, asked)
    with pytest.raises(bp.ModelError, match="blocks=False out"):
        bp.fit(probit, comparisons, engine(blocks=False))
    with pytest.raises(bp.ModelError, match="give users='summary', too"):
        bp.Gibbs(blocks=True)
    with pytest.raises(bp.ModelError, match=r"blocks='yes'\): expected"):
        bp.Gibbs(users="summary", blocks="yes")  # type: ignore[arg-type]
    with pytest.raises(bp.ModelError, match="leave blocks out"):
        bp.Gibbs(users="summary", blocks=False, device="cpu")


@pytest.mark.slow
def test_answers_that_say_much_converge_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where blocks give one effective draw in thirty sweeps."""
    monkeypatch.setattr("bayes_pref.inference.fit._LARGE", 1)
    made = bp.simulate(users=1500, comparisons=15, features=14, contexts=0, seed=0)
    with pytest.warns(bp.DataWarning, match="kept are the mean and sd"):
        found = bp.fit(bp.HierarchicalReward(), made.comparisons, seed=1)
    assert found.users is not None
    assert not found.findings
    assert found.summary()["ess_bulk"].min() >= 400
    within = np.abs(found.users.mean - made.truth.weights.to_numpy()) < 1.6449 * found.users.sd
    assert 0.88 < float(within.mean()) < 0.92  # 21,000 weights, of users whose errors are related
