"""Summaries of users by Polya-Gamma variables: those of draws that are not kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayes_pref as bp
from bayes_pref.convergence import checks
from bayes_pref.inference.gibbs import lengthening
from bayes_pref.inference.gibbs.lengthening import LengtheningRun
from bayes_pref.inference.gibbs.samplers.diagonal_sampler import DiagonalSampler
from bayes_pref.inference.gibbs.summaries import faster_sampler, summary_program
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
    return bp.Gibbs(users="summary", **({"keep_users": KEPT} | LENGTHS | settings))


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


def test_averages_use_survey_weights_and_kept_users_may_come_in_any_order(
    world: bp.World, tmp_path: Path
) -> None:
    shares = np.arange(1.0, 61.0)
    weighted = replace(world.comparisons, survey_weights=shares)
    model, keep = bp.HierarchicalReward(), KEPT[::-1]
    whole = bp.fit(model, weighted, bp.Gibbs(**LENGTHS), seed=2)
    found = bp.fit(model, weighted, engine(keep_users=keep), seed=2)
    weights = whole.draws["weights"]
    assert found.users is not None
    assert found.users.kept.sel(user=keep).equals(weights.sel(user=keep))
    average = (weights * xr.DataArray(shares / shares.sum(), dims="user")).sum("user")
    np.testing.assert_allclose(found.users.average, average, atol=1e-12)
    assert float(np.abs(average - weights.mean("user")).max()) > 0.01  # weights matter here
    found.save(tmp_path / "p.nc")
    again = bp.Posterior.load(tmp_path / "p.nc")
    assert same(found, again)
    assert again.run.settings["blocks"] is False


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


@pytest.mark.parametrize(("until", "room"), [(None, 1), ("converged", 1), ("converged", 2)])
def test_a_run_that_was_stopped_resumes_with_the_same_draws(
    world: bp.World, until: Any, room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that got longer, too, whether its draws were thinned or not."""
    monkeypatch.setattr(summary_program, "_ROOM", room)
    lengths = {"thin": 2} if until is None else {"until": until, "draws": 400, "warmup": 15}
    model, comparisons = bp.HierarchicalReward(), world.comparisons
    whole = bp.fit(model, comparisons, engine(**lengths), seed=2)
    assert (whole.run.settings["thin"] > 1) == (room == 1)
    assert (whole.run.settings["draws"] > 400) == (room == 2)
    assert whole.draws.sizes["draw"] == whole.run.settings["draws"]
    sweeps = whole.run.settings["thin"] * whole.run.settings["draws"]
    saved = engine(checkpoint=tmp_path / "c", **lengths)
    monkeypatch.setattr(Checkpoint, "due", lambda *_: True)
    advance = SummaryChain.advance
    for stop in (5, 30, 57, 90, sweeps - 40):

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
    sampler = DiagonalSampler()

    def read(model: bp.HierarchicalReward, comparisons: bp.Comparisons) -> tuple[Any, ...]:
        return sampler, model.spec(comparisons), model.choice_model(comparisons), comparisons

    def faster(size: float, users: int = 200, **settings: Any) -> bool:
        made = bp.simulate(
            users=users, features=4, contexts=0, heterogeneity=size, mean=[size] * 4, seed=1
        ).comparisons
        return blocks_are_faster(*read(bp.HierarchicalReward(**settings), made))

    assert faster(0.4)
    assert not faster(3.0)
    assert not faster(0.4, users=199)
    assert not faster(0.4, covariance="full")
    alike = bp.simulate(users=300, features=2, contexts=0, heterogeneity=0.0, mean=[2, 2], seed=1)
    true = np.abs(alike.comparisons.difference @ np.array([2.0, 2.0]))
    found = typical_log_odds(*read(bp.HierarchicalReward(), alike.comparisons))
    # 4,500 choices know the weights to 5 %; users' own, who seem to differ by up to 0.3, add some.
    assert found == pytest.approx(np.median(true), rel=0.2)
    assert np.median(true) != pytest.approx(1.5, rel=0.2)  # what decides is further away


def test_a_covariate_that_few_users_have_is_that_of_all_when_some_are_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(faster_sampler, "_FEW_USERS", 50)
    monkeypatch.setattr(faster_sampler, "_USERS", 5)
    made = bp.simulate(users=60, features=2, contexts=0, seed=1)
    users = made.comparisons.users
    rare = pd.DataFrame({"rare": np.arange(60) == 59}, index=users).astype(float)
    comparisons = bp.Comparisons.from_frame(
        made.frame,
        user="user",
        choice="choice",
        difference=["feature_1", "feature_2"],
        covariates=rare,
    )
    found = bp.fit(bp.HierarchicalReward(), comparisons, bp.Gibbs(users="summary", **LENGTHS))
    assert found.run.settings["blocks"] is True


@pytest.mark.parametrize(("features", "covariance"), [(4, "diagonal"), (24, "full")])
@pytest.mark.parametrize("warmup", [0, 3, 60])
def test_moves_have_a_metric_after_a_warm_up_of_any_length(
    features: int, covariance: str, warmup: int
) -> None:
    """Without moves, sweeps over a full covariance would disregard its prior."""
    made = bp.simulate(users=40, features=features, contexts=0, seed=1).comparisons
    lengths = LENGTHS | {"warmup": warmup, "draws": 4}
    found = bp.fit(bp.HierarchicalReward(covariance=covariance), made, bp.Gibbs(**lengths))
    assert np.isfinite(found.sample_stats["lp"]).all()


@pytest.mark.parametrize("blocks", [False, True])
def test_after_a_restart_a_run_that_is_stopped_has_the_draws_before_it(
    world: bp.World, blocks: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until others replace them."""
    monkeypatch.setattr(lengthening, "APART", 0.0)  # every run that gets longer starts anew
    monkeypatch.setattr(checks, "ESS", 400.0)
    advanced, lengthen = LengtheningRun.advance, LengtheningRun.lengthen
    longer = []

    def lengthened(self: LengtheningRun, worst: Any) -> bool:
        longer.append(lengthen(self, worst))
        return longer[-1]

    def advance(self: LengtheningRun) -> tuple[list[int], bool]:
        return (self.kept, False) if any(longer) else advanced(self)

    monkeypatch.setattr(LengtheningRun, "lengthen", lengthened)
    monkeypatch.setattr(LengtheningRun, "advance", advance)
    lengths = {"until": "converged", "draws": 400, "warmup": 20}
    found = bp.fit(
        bp.HierarchicalReward(), world.comparisons, engine(blocks=blocks, **lengths), seed=2
    )
    assert longer == [True]
    assert found.users is not None
    assert found.users.count == 800
    kept = found.users.kept
    own = found.users.sd.sel(user=KEPT)
    np.testing.assert_allclose(own, kept.std(("chain", "draw"), ddof=1), rtol=1e-10)


@pytest.mark.parametrize("blocks", [False, True])
def test_draws_count_alike_before_and_after_a_run_got_longer(blocks: bool) -> None:
    made = bp.simulate(users=40, comparisons=12, features=8, contexts=0, heterogeneity=2, seed=4)
    lengths = LENGTHS | {"draws": 400, "warmup": 100}
    chosen = bp.Gibbs(users="summary", until="converged", blocks=blocks, **lengths)
    found = bp.fit(bp.HierarchicalReward(), made.comparisons, chosen, seed=2)
    assert found.run.settings["thin"] > 1
    assert found.users is not None
    assert found.users.count == found.draws.sizes["chain"] * found.draws.sizes["draw"]


def test_who_samples_can_be_chosen(world: bp.World) -> None:
    model, comparisons = bp.HierarchicalReward(), world.comparisons
    found = {
        blocks: bp.fit(model, comparisons, engine(blocks=blocks), seed=2)
        for blocks in (None, False, True)
    }
    assert same(found[None], found[False])  # so few users
    assert not same(found[False], found[True])
    assert [found[each].run.settings["blocks"] for each in found] == [False, False, True]
    probit = bp.HierarchicalReward(link="probit")
    by_itself, asked = (
        bp.fit(probit, comparisons, engine(blocks=blocks), seed=2) for blocks in (None, True)
    )
    assert same(by_itself, asked)
    with pytest.raises(bp.ModelError, match=r"blocks=False: .*leave it out"):
        bp.fit(probit, comparisons, engine(blocks=False))
    with pytest.raises(bp.ModelError, match="leave blocks out"):
        bp.fit(bp.PooledReward(), comparisons, bp.Gibbs(users="summary", blocks=True))
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
