"""Power: it rises with the size of a study, and what is not there is not found."""

from __future__ import annotations

import warnings
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior, made_votes
from matplotlib import pyplot
from scipy.special import expit

import bayes_pref as bp
from bayes_pref.diagnostics.query import read_query
from bayes_pref.draws import stacked
from bayes_pref.elicitation import power_study
from bayes_pref.elicitation.pilot import study

DESIGN: dict[str, Any] = {"features": ["length", "tone"], "contexts": 0, "mean": [0.7, 0.0]}
ENGINE = bp.Gibbs(draws=200, warmup=100, chains=2, cores=1, progress=False)


def averages(found: bp.Power) -> pd.DataFrame:
    """Powers by kind and number of users."""
    whole = found.table[found.table["feature"] == "all"]
    return whole.pivot(index="kind", columns="users", values="power")


@pytest.fixture(scope="module")
def small_and_large() -> bp.Power:
    return bp.power(DESIGN, users=[6, 60], tasks=6, replications=10, engine=ENGINE, progress=False)


def test_power_rises_with_the_size_of_a_study(small_and_large: bp.Power) -> None:
    by_users = averages(small_and_large)
    # 360 answers leave an error of 0.13 in a mean of 0.7, and 36 answers one of 0.45.
    assert by_users.loc["effect", 60] > 0.8
    assert by_users.loc["effect", 6] < by_users.loc["effect", 60] - 0.2
    needed = small_and_large.needed(0.8).set_index(["kind", "feature"])["users"]
    assert needed["effect", "length"] == 60
    assert "for effects, with 60 users of 6 tasks" in small_and_large.sentence
    assert small_and_large.sentence in repr(small_and_large)
    assert "<table" in small_and_large._repr_html_()


def test_what_is_not_there_is_found_no_more_often_than_the_level(small_and_large: bp.Power) -> None:
    null = small_and_large.table.set_index(["kind", "feature"]).loc[("effect", "tone")]
    assert null["power"].isna().all()
    # Three standard errors of a share of 0.05 in 20 simulations.
    assert null["wrong"].mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 20)


@pytest.mark.long
def test_a_null_effect_is_found_at_its_level_and_at_a_lax_one_more_often() -> None:
    found = {}
    for level in (0.05, 0.5):
        made = bp.power(DESIGN, users=30, tasks=8, replications=150, level=level, progress=False)
        [found[level]] = made.table.query("kind == 'effect' and feature == 'tone'")["wrong"]
    # Three standard errors; quantiles of 600 draws are another 0.01 off.
    assert found[0.05] < 0.06 + 3 * np.sqrt(0.05 * 0.95 / 150)
    assert abs(found[0.5] - 0.5) < 0.02 + 3 * 0.5 / np.sqrt(150)


def test_standard_errors_are_those_of_the_simulations(small_and_large: bp.Power) -> None:
    records = small_and_large.records.query("kind == 'individual sign' and feature == 'length'")
    each = records.groupby("users")["found"].agg(["mean", "std", "size"])
    rows = small_and_large.table.query("kind == 'individual sign' and feature == 'length'")
    rows = rows.set_index("users")
    np.testing.assert_allclose(rows["power"], each["mean"])
    np.testing.assert_allclose(rows["se"], each["std"] / np.sqrt(each["size"]))
    assert (small_and_large.table["se"].dropna() > 0).all()


def test_the_seed_decides_and_nothing_else() -> None:
    asked: dict[str, Any] = {"users": [5], "tasks": [4], "replications": 2, "engine": ENGINE}
    one, again, other = (bp.power(DESIGN, seed=seed, progress=False, **asked) for seed in (1, 1, 2))
    pd.testing.assert_frame_equal(one.records, again.records)
    assert not one.records.equals(other.records)
    # A size has the same simulations, whichever others there are.
    more = bp.power(DESIGN, seed=1, progress=False, **(asked | {"users": [5, 6]}))
    same = more.records[more.records["users"] == 5].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, one.records)


def test_what_was_simulated_before_an_interrupt_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, fit = [], power_study.fit

    def interrupted(*args: Any, **options: Any) -> bp.Posterior:
        calls.append(1)
        if len(calls) == stop:
            raise KeyboardInterrupt
        return fit(*args, **options)

    monkeypatch.setattr(power_study, "fit", interrupted)
    asked: dict[str, Any] = {"users": [4, 5], "tasks": 3, "engine": ENGINE, "progress": False}
    stop = 4
    found = bp.power(DESIGN, replications=9, **asked)
    assert not found.complete
    assert found.table.groupby("users")["replications"].max().tolist() == [2, 1]
    assert "(1 simulation of each size, when they were interrupted)" in found.sentence
    stop = 2
    calls.clear()
    with pytest.raises(KeyboardInterrupt):
        bp.power(DESIGN, replications=9, **asked)


CONFOUNDED: dict[str, Any] = {"features": 1, "contexts": 1, "mean": 1.0, "heterogeneity": 1.0}


def flags(confounding: float, replications: int, **more: Any) -> pd.DataFrame:
    """What is found of flags."""
    design = CONFOUNDED | {"confounding": confounding} | more
    made = bp.power(design, users=60, tasks=15, replications=replications, progress=False)
    return made.records[made.records["kind"] == "flag"]


def test_flags_are_found_where_there_is_confounding() -> None:
    found = flags(0.9, 2)
    assert found["found"].mean() > 0.3
    assert (found["wrong"].fillna(0.0) < 0.3).all()


@pytest.mark.slow
def test_flags_of_alternatives_of_a_task_are_found() -> None:
    found = flags(0.9, 2, alternatives=3)
    assert found["found"].mean() > 0.2
    assert (found["wrong"].fillna(0.0) < 0.3).all()


@pytest.mark.parametrize(
    "more", [{}, {"alternatives": 3, "none": True}, {"alternatives": 4, "rankings": True}]
)
def test_flags_are_held_against_the_shift_of_their_own_row(
    more: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flags that are right in every row are all found, and none of them is wrong."""
    world = bp.simulate(
        users=8, comparisons=4, seed=1, **(CONFOUNDED | {"confounding": 0.9} | more)
    )
    truth = world.truth.comparisons["shift"]
    posterior = made_posterior(world.comparisons)
    keys = read_query(posterior).keys()
    places = ["row", "alternative"] if more else "row"
    shift = truth.reindex(pd.Index(keys.set_index(places).index)).to_numpy()
    assert not np.array_equal(shift, truth.to_numpy()) or "rankings" not in more

    def right(*_: Any, **__: Any) -> SimpleNamespace:
        verdict = np.where(np.abs(shift) > 0.03, "confounded", "undecided")
        return SimpleNamespace(comparisons=keys.assign(verdict=verdict))

    monkeypatch.setattr(power_study, "diagnose", right)
    made = power_study._Study(world.comparisons, np.zeros(1), np.zeros((8, 1)), truth)
    found = power_study._flagged(posterior, made, bp.Thresholds(), 0)
    assert (found["found"], found["wrong"]) == (1.0, 0.0)


@pytest.mark.long
def test_no_flags_are_found_where_there_is_none() -> None:
    found = flags(0.0, 30)
    assert found["found"].isna().all()  # nothing is truly confounded
    # Anything is flagged in at most a twentieth of such worlds: three standard errors.
    assert found["wrong"].notna().mean() < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 30)


def test_a_study_like_a_pilot_has_its_pairs_and_follows_its_population() -> None:
    posterior = made_posterior(made_comparisons(rows=60), draws=5)
    pilot, rng = posterior.comparisons, np.random.default_rng(0)
    made, mean, weights = study(posterior, 2000, 5, rng)
    assert made.n_users == 2000
    assert (made.counts == 5).all()
    shown = {row.tobytes() for row in pilot.difference}
    assert {row.tobytes() for row in made.difference} <= shown
    # The truth is one draw of the population: mean and spread within 4.5 standard errors.
    mu, tau = (stacked(posterior.draws, name, "feature") for name in ("mu", "tau"))
    place = int(np.abs(mu - mean).sum(axis=1).argmin())
    np.testing.assert_allclose(mean, mu[place])
    tau = tau[place]
    assert (np.abs(weights.mean(axis=0) - mean) < 4.5 * tau / np.sqrt(2000)).all()
    assert (np.abs(weights.std(axis=0) / tau - 1.0) < 4.5 / np.sqrt(2 * 2000)).all()
    chance = expit(np.einsum("nf,nf->n", made.difference, weights[made.user]))
    z = ((made.choice - chance) * (chance - 0.5)).sum()
    sd = np.sqrt((chance * (1 - chance) * (chance - 0.5) ** 2).sum())
    assert abs(z) < 4.5 * sd
    # No two copies of a pilot user are the same person.
    assert len(np.unique(weights[:, 0])) == 2000


def test_a_pilot_can_be_asked_how_many_users_are_needed() -> None:
    world = bp.simulate(users=15, comparisons=8, features=["length"], contexts=0, mean=2.0, seed=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)  # chains are short
        pilot = bp.fit(bp.HierarchicalReward(), world.comparisons, ENGINE)
    found = bp.power(pilot, users=40, tasks=8, replications=2, engine=ENGINE, progress=False)
    assert found.table["kind"].unique().tolist() == ["effect", "individual sign"]
    assert averages(found).loc["effect", 40] == 1.0


def test_the_plot_shows_every_kind_and_size(small_and_large: bp.Power) -> None:
    axes = small_and_large.plot()
    assert [ax.get_title() for ax in axes] == ["effect", "individual sign"]
    by_users = averages(small_and_large)
    for ax in axes:
        line = ax.containers[0].lines[0]
        np.testing.assert_array_equal(line.get_xdata(), [6, 60])
        expected = by_users.loc[ax.get_title()].to_numpy(np.float64)
        np.testing.assert_allclose(np.asarray(line.get_ydata(), np.float64), expected)
    pyplot.close("all")
    with pytest.raises(bp.DataError, match="without some of kind"):
        bp.plots.power(pd.DataFrame({"users": [1]}))


def test_what_no_power_can_be_computed_for_is_refused() -> None:
    refused: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
        ({"feature": ["a"]}, {}, TypeError, "did you mean 'features'"),
        ({"comparisons": 5}, {}, TypeError, "write tasks= of bp.power"),
        ("a", {}, bp.ModelError, "design: got str"),
        (DESIGN, {"users": []}, bp.DataError, "users is empty"),
        (DESIGN, {"users": [1]}, bp.DataError, "users must be a whole number of at least 2"),
        (DESIGN, {"level": 1.0}, bp.DataError, "level must be"),
        (DESIGN, {"flags": True}, bp.DataError, "flags=True: without contexts"),
        (made_posterior(), {"flags": True}, bp.DataError, "are not known"),
    ]
    for design, options, error, message in refused:
        with pytest.raises(error, match=message):
            bp.power(design, progress=False, **options)
    ranked = bp.simulate(users=5, features=1, contexts=0, alternatives=3, seed=0).comparisons
    with pytest.raises(bp.ModelError, match="is about choices between two"):
        bp.power(made_posterior(ranked), progress=False)
    assert made_votes().n_users  # of items, a pilot works as of attributes
    items = bp.power(
        made_posterior(made_votes()),
        users=4,
        tasks=2,
        replications=1,
        engine=ENGINE,
        progress=False,
    )
    assert len(items.table) == 8
