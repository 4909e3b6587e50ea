"""Data with the winner written first, through every door: tossed they say what as-shown data say.

Without a toss, one clear sentence comes, and nothing that depends on sides is reported. False
alarms and the power of that sentence are counted over small worlds whose truth is known.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sweep
from monte_carlo import flat, z_scores
from scipy.stats import norm

import bayes_pref as bp
from bayes_pref.cli import main

pytestmark = pytest.mark.slow

ENGINE = bp.Gibbs(draws=400, warmup=300, chains=2, progress=False)
SIZES = {"users": 60, "comparisons": 30, "features": ["a", "b"], "contexts": 0}


def turned(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with the winner first."""
    sign = np.where(frame["choice"] == 1, 1, -1)
    return frame.assign(a=frame["a"] * sign, b=frame["b"] * sign, choice=1)


def read(frame: pd.DataFrame, **changes: Any) -> bp.Comparisons:
    columns = {"user": "user", "choice": "choice", "difference": ["a", "b"]}
    return bp.Comparisons.from_frame(frame, **columns | changes)


def quietly(call: Any, *arguments: Any, **keywords: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return call(*arguments, **keywords)


def fitted(comparisons: bp.Comparisons, seed: int = 0) -> bp.Posterior:
    return quietly(bp.fit, bp.HierarchicalReward(), comparisons, ENGINE, seed=seed)


def z_of_means(one: bp.Posterior, other: bp.Posterior) -> np.ndarray:
    names = ["mu", "tau"]
    return z_scores(flat(one.draws[names]), flat(other.draws[names]))


def limit(count: int) -> float:
    """Largest of so many z scores, exceeded with probability 1e-4; errors are estimated, too."""
    return float(norm.isf(0.5e-4 / count)) * 1.2


def off(found: bp.Evaluation) -> np.ndarray:
    """Bins of the calibration that miss their prediction by more than four errors."""
    bins = found.calibration
    return (np.abs(bins["mean"] - bins["predicted"]) > 4 * bins["sd"]).to_numpy()


def test_a_world_with_the_winner_first_is_as_well_known_as_the_one_that_was_shown() -> None:
    frame = bp.simulate(**SIZES, seed=3).frame
    shown = fitted(read(frame[::2]))
    tossed = fitted(read(turned(frame[::2]), sides="toss"), seed=1)
    unsided = fitted(quietly(read, turned(frame[::2])), seed=2)
    for other in (tossed, unsided):
        z = z_of_means(shown, other)
        assert np.abs(z).max() < limit(z.size)
    held = quietly(read, turned(frame[1::2]))
    results = {
        "as shown": bp.evaluate(shown, read(frame[1::2])),
        "tossed": bp.evaluate(tossed, read(turned(frame[1::2]), sides="toss")),
        "winner first": bp.evaluate(unsided, held),
        "few rows": bp.evaluate(unsided, held.take(np.arange(20))),
    }
    assert [found.folded for found in results.values()] == [False, False, True, True]
    for found in results.values():
        assert not off(found).any()
    accuracy = [found.overall.set_index("score").loc["accuracy"] for found in results.values()]
    for score in accuracy[1:3]:
        assert abs(score["mean"] - accuracy[0]["mean"]) < 0.02
    # The wrong partner: the curve of left over winners that are always left.
    bins = bp.evaluate(unsided, bp.Comparisons(**vars_of(held) | {"sides": "as shown"}))
    assert bins.folded  # all are on one side
    curve = results["winner first"].rows
    assert (curve["choice"] == 1).all()
    assert (curve["mean"] < 0.5).any()
    assert bp.plots.reliability(results["winner first"]).get_xlim()[0] == 0.5


def vars_of(comparisons: bp.Comparisons) -> dict[str, Any]:
    return {name: getattr(comparisons, name) for name in comparisons.__dataclass_fields__}


def test_checks_of_a_good_model_find_nothing_in_winners_first() -> None:
    frame = bp.simulate(**SIZES, seed=5).frame
    first = turned(frame)
    found = {
        "tossed": bp.posterior_predictive_check(fitted(read(first, sides="toss"))),
        "winner first": bp.posterior_predictive_check(fitted(quietly(read, first))),
    }
    for table in found.values():
        assert table["p"].min() > 0.01 / len(table)
    sided = {"share of left", "users' spread: left"}
    assert sided <= set(found["tossed"]["statistic"])
    assert not sided & set(found["winner first"]["statistic"])
    # The wrong partner: taken as shown, the same answers contradict the model.
    wrong = quietly(read, first)
    wrong = fitted(bp.Comparisons(**vars_of(wrong) | {"sides": "as shown"}))
    p = bp.posterior_predictive_check(wrong).set_index("statistic")["p"]
    assert p["share of left"] < 0.01


def test_position_bias_is_learned_from_sides_as_shown_alone() -> None:
    frame = bp.simulate(**SIZES, position=0.8, seed=2).frame
    biased = bp.HierarchicalReward(position=True)
    posterior = quietly(bp.fit, biased, read(frame), ENGINE)
    draws = posterior.draws["position"].to_numpy()
    assert abs(draws.mean() - 0.8) < 4 * draws.std()
    for model in (biased, bp.PooledReward(choice=bp.Logit(position=True))):
        with pytest.raises(bp.ModelError, match=r"position bias cannot be told .*sides='toss'"):
            bp.fit(model, quietly(read, turned(frame)), ENGINE)
        with pytest.raises(bp.ModelError, match=r"the sides were tossed .*leave position out"):
            bp.fit(model, read(turned(frame), sides="toss"), ENGINE)


@pytest.mark.long  # NUTS compiles
def test_graded_answers_about_the_winner_are_mirrored_or_refused() -> None:
    frame = bp.simulate(**SIZES, seed=7).frame
    rng = np.random.default_rng(0)
    eta = frame["a"] - 0.5 * frame["b"] + rng.logistic(size=len(frame))
    graded = frame.assign(choice=np.digitize(eta, [-1.5, 0.0, 1.5]) + 1)
    sign = np.where(graded["choice"] > 2, 1, -1)
    first = graded.assign(
        a=sign * graded["a"],
        b=sign * graded["b"],
        choice=np.where(sign > 0, graded["choice"], 5 - graded["choice"]),
    )
    engine = bp.NUTS(draws=250, warmup=250, chains=2, cores=1, progress=False)
    shown, tossed = (
        quietly(bp.fit, bp.PooledReward(), read(table, levels=4, sides=sides), engine, seed=seed)
        for seed, (table, sides) in enumerate([(graded, "as shown"), (first, "toss")])
    )
    one, other = shown.draws["mu"].to_numpy(), tossed.draws["mu"].to_numpy()
    # The same rows seen from other sides: cutpoints that need not be symmetric take some error.
    assert (np.abs(one.mean((0, 1)) - other.mean((0, 1))) < one.std((0, 1))).all()
    alike = tossed.preference(pd.DataFrame({"a": [0.0], "b": [0.0]}), users="population")
    assert abs(alike["mean"][0] - 0.5) < 0.06
    with pytest.warns(bp.DataWarning, match=r"are for left.*sides='toss'"):
        wrong = read(first, levels=4)
    with pytest.raises(bp.ModelError, match="cutpoints of graded answers cannot be told"):
        bp.fit(bp.PooledReward(), wrong, engine)


def test_items_and_files_keep_what_was_tossed(tmp_path: Any) -> None:
    rng = np.random.default_rng(1)
    worth = pd.Series([1.0, 0.3, -0.4, -0.9], index=list("wxyz"))
    pairs = rng.permuted(np.tile(worth.index.to_numpy(), (900, 1)), axis=1)[:, :2]
    chance = 1 / (1 + np.exp(-(worth[pairs[:, 0]].to_numpy() - worth[pairs[:, 1]].to_numpy())))
    votes = pd.DataFrame(pairs, columns=["one", "two"]).assign(who=rng.integers(0, 30, 900))
    votes["won"] = (rng.random(900) < chance).astype(int)
    named = votes.assign(
        best=np.where(votes["won"], votes["one"], votes["two"]),
        rest=np.where(votes["won"], votes["two"], votes["one"]),
    )
    shown = bp.Comparisons.from_items(votes, user="who", left="one", right="two", choice="won")
    tossed = bp.Comparisons.from_items(named, user="who", winner="best", loser="rest")
    found = [fitted(each, seed) for seed, each in enumerate((shown, tossed))]
    ability = [each.reward(list("wxyz"), "population").set_index("item") for each in found]
    assert (np.abs(ability[0]["mean"] - ability[1]["mean"]) < 0.5 * ability[0]["sd"]).all()
    found[1].save(tmp_path / "tossed.nc")
    again = bp.Posterior.load(tmp_path / "tossed.nc").comparisons
    assert again.sides == "toss"
    np.testing.assert_array_equal(again.choice, tossed.choice)


def test_the_command_tosses_and_says_when_it_should(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "votes.csv"
    turned(bp.simulate(**SIZES, seed=3).frame).to_csv(table, index=False)
    plain = ["fit", str(table), "--user", "user", "--choice", "choice", "--model", "PooledReward"]
    plain += ["--draws", "100", "--warmup", "100", "--chains", "2", "--cores", "1"]
    for sides, told in (([], True), (["--sides", "toss"], False)):
        assert main([*plain, *sides, "--out", str(tmp_path / f"out{told}")]) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert ("read the data with --sides toss" in said) is told
        (saved,) = (tmp_path / f"out{told}").glob("*.nc")
        assert bp.Posterior.load(saved).comparisons.sides == ("one-sided" if told else "toss")


def test_honest_worlds_are_hardly_ever_accused_and_winners_first_always() -> None:
    worlds = sweep.cases(60, 600)
    accused = {"honest": 0, "position bias 1.4": 0, "one strong preference": 0, "winner first": 0}
    large = 0  # worlds of at least 31 answers, fewer of which prove nothing
    for seed in range(worlds):
        rng = np.random.default_rng(seed)
        users, each = int(rng.integers(2, 20)), int(rng.integers(3, 40))
        sizes = {"users": users, "comparisons": each, "features": 1, "contexts": 0, "seed": seed}
        given = {
            "honest": bp.simulate(**sizes).frame,
            "position bias 1.4": bp.simulate(**sizes, mean=0.5, position=1.4).frame,
            "one strong preference": bp.simulate(**sizes, mean=8.0).frame,
        }
        given["winner first"] = given["honest"].assign(choice=1)
        for name, frame in given.items():
            made = quietly(
                bp.Comparisons.from_frame,
                frame,
                user="user",
                choice="choice",
                difference=["feature_1"],
            )
            accused[name] += made.sides == "one-sided"
            large += name == "winner first" and len(made) >= 31
    false = sum(count for name, count in accused.items() if name != "winner first")
    sweep.report("one-sided: honest worlds not accused", 3 * worlds, 3 * worlds - false)
    sweep.report("one-sided: winners first found", large, accused["winner first"])
    assert accused["winner first"] == large > 0.8 * worlds
    assert accused["honest"] == accused["one strong preference"] == 0
    assert accused["position bias 1.4"] <= 1 + worlds // 500
