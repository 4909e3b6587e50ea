"""Posterior: its answers are those of plain arithmetic on the draws, with the caller's labels."""

from __future__ import annotations

import copy
import html
import inspect
import pickle
from collections.abc import Callable
from dataclasses import replace
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_posteriors import (
    ATTRIBUTES,
    made_comparisons,
    made_posterior,
    made_votes,
    pooled_posterior,
)
from scipy.special import expit

from bayes_pref.errors import DataError, ModelError
from bayes_pref.inference.pyro_tools.pyro_posterior import PyroPosterior
from bayes_pref.models import HierarchicalReward
from bayes_pref.posterior import Finding, Posterior, arviz_bridge, estimates, predictions
from bayes_pref.posterior.queries import user_positions
from bayes_pref.simulation import simulate

arviz: Any = vars(arviz_bridge)["arviz"]  # imported there without its announcement
ITEMS = pd.DataFrame(
    np.random.default_rng(5).normal(size=(5, 3)), columns=list(ATTRIBUTES), index=list("vwxyz")
)


def flat(values: xr.DataArray) -> np.ndarray[Any, Any]:
    """(chain, draw, ...) -> (sample, ...)."""
    array = values.transpose("chain", "draw", ...).to_numpy()
    return array.reshape(-1, *array.shape[2:])


def assert_described(frame: pd.DataFrame, draws: np.ndarray[Any, Any], interval: float) -> None:
    """Each row of the frame describes one column of the draws (sample, row)."""
    tail = (1 - interval) / 2
    np.testing.assert_allclose(frame["mean"], draws.mean(axis=0), rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(frame["sd"], draws.std(axis=0, ddof=1), rtol=1e-10, atol=1e-13)
    lower, upper = np.quantile(draws, [tail, 1 - tail], axis=0)
    np.testing.assert_allclose(frame["lower"], lower, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(frame["upper"], upper, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("interval", [0.5, 0.9])
def test_weights_describe_the_draws_in_the_callers_labels(interval: float) -> None:
    posterior = made_posterior()
    frame = posterior.weights(interval=interval)
    assert frame.columns.tolist() == ["user", "feature", "mean", "sd", "lower", "upper"]
    assert frame["user"].tolist() == [u for u in ("zoe", "ann", "bob", "kim") for _ in range(3)]
    assert frame["feature"].tolist() == [*ATTRIBUTES] * 4
    assert_described(frame, flat(posterior.draws["weights"]).reshape(100, -1), interval)


def test_a_narrower_interval_lies_within_a_wider_one() -> None:
    posterior = made_posterior()
    narrow, wide = posterior.weights(interval=0.5), posterior.weights(interval=0.9)
    assert (narrow["lower"] > wide["lower"]).all()
    assert (narrow["upper"] < wide["upper"]).all()


@pytest.mark.parametrize("interval", [0.0, 1.0, -0.5, 90, float("nan"), "0.9"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda p, i: p.weights(interval=i),
        lambda p, i: p.reward(ITEMS, interval=i),
        lambda p, i: p.preference(ITEMS, interval=i),
        lambda p, i: p.amce(interval=i),
        lambda p, i: p.summary(interval=i),
    ],
)
def test_an_interval_outside_0_and_1_is_refused(
    ask: Callable[[Posterior, Any], pd.DataFrame], interval: Any
) -> None:
    with pytest.raises(DataError, match="interval must be a number between 0 and 1, got"):
        ask(made_posterior(), interval)


def test_reward_is_the_products_of_features_and_weights() -> None:
    posterior = made_posterior()
    frame = posterior.reward(ITEMS)
    expected = np.einsum("suf,mf->sum", flat(posterior.draws["weights"]), ITEMS.to_numpy())
    assert frame["user"].tolist() == [u for u in ("zoe", "ann", "bob", "kim") for _ in range(5)]
    assert frame["item"].tolist() == list("vwxyz") * 4
    assert_described(frame, expected.reshape(100, -1), 0.9)


def test_draws_of_rewards_and_preferences_are_what_the_frames_describe() -> None:
    posterior = made_posterior()
    reward = posterior.reward_draws(ITEMS, users=["bob", "zoe"])
    assert reward.dims == ("chain", "draw", "user", "item")
    assert reward["user"].to_numpy().tolist() == ["bob", "zoe"]
    assert reward["item"].to_numpy().tolist() == list("vwxyz")
    frame = posterior.reward(ITEMS, users=["bob", "zoe"])
    assert_described(frame, flat(reward).reshape(100, -1), 0.9)
    chance = posterior.preference_draws(ITEMS, ITEMS.iloc[::-1])
    assert chance.dims == ("chain", "draw", "user", "comparison")
    frame = posterior.preference(ITEMS, ITEMS.iloc[::-1])
    assert_described(frame, flat(chance).reshape(100, -1), 0.9)
    assert posterior.weights_draws("ann").shape == (2, 50, 1, 3)
    xr.testing.assert_equal(
        posterior.weights_draws("ann")[:, :, 0], posterior.draws["weights"].sel(user="ann")
    )


@pytest.mark.parametrize("values", [1, 700, 5000])
def test_the_size_of_blocks_changes_no_answer(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    posterior = made_posterior(made_comparisons(interactions=True))
    items = ITEMS.assign(hard=1.5)

    def answers() -> list[pd.DataFrame]:
        idata = made_posterior(made_comparisons(interactions=True)).idata
        groups = ("log_likelihood", "posterior_predictive")
        return [
            posterior.weights(),
            posterior.reward(items),
            posterior.preference(items),
            posterior.amce(),
            posterior.summary("all"),
            *(pd.DataFrame(flat(idata[group]["choice"])) for group in groups),
        ]

    whole = answers()
    monkeypatch.setattr(estimates, "BLOCK_VALUES", values)
    monkeypatch.setattr(predictions, "BLOCK_VALUES", values)
    for one, other in zip(whole, answers(), strict=True):
        # Not exactly: a matrix product of another shape may add in another order.
        pd.testing.assert_frame_equal(one, other, rtol=1e-12, atol=1e-14)


def test_reward_uses_the_context_where_it_interacts() -> None:
    posterior = made_posterior(made_comparisons(interactions=True))
    frame = posterior.reward(ITEMS.assign(hard=2.0), users="ann")
    phi = np.column_stack([ITEMS, 2.0 * ITEMS["tone"]])
    own = flat(posterior.draws["weights"].sel(user="ann"))
    assert_described(frame, own @ phi.T, 0.9)
    with pytest.raises(DataError, match="items has no column 'hard'"):
        posterior.reward(ITEMS)


def test_columns_are_found_by_name() -> None:
    posterior = made_posterior()
    shuffled = ITEMS[["tact", "length", "tone"]].assign(other="ignored")
    pd.testing.assert_frame_equal(posterior.reward(ITEMS), posterior.reward(shuffled))


def test_items_of_a_catalogue_are_found_by_label() -> None:
    posterior = made_posterior(made_votes())
    everything = posterior.reward()
    labels = made_votes().catalogue
    assert labels is not None
    assert everything["item"].tolist() == labels.index.tolist() * 4
    two = posterior.reward(["mate", "tea"], users=2)
    assert two["item"].tolist() == ["mate", "tea"]
    expected = everything[(everything["user"] == 2)].set_index("item").loc[["mate", "tea"]]
    np.testing.assert_array_equal(two["mean"], expected["mean"])
    # With a reward of its own, an item's weight is its reward.
    np.testing.assert_allclose(everything["mean"], posterior.weights()["mean"], rtol=1e-12)
    pair = posterior.preference("mate", "tea", users=2)
    assert pair["comparison"].tolist() == ["mate or tea"]
    gap = (
        posterior.reward_draws(["mate"], 2).to_numpy()
        - posterior.reward_draws(["tea"], 2).to_numpy()
    )
    np.testing.assert_allclose(pair["mean"], expit(gap).mean(), rtol=1e-12)


def test_unknown_items_and_missing_catalogues_are_refused() -> None:
    with pytest.raises(DataError, match="unknown item 'coffe'"):
        made_posterior(made_votes()).reward(["tea", "coffe"])
    with pytest.raises(DataError, match=r"items are needed: .* no catalogue .* length, tone, tact"):
        made_posterior().reward()
    with pytest.raises(DataError, match=r"items \['x'\] cannot be looked up"):
        made_posterior().reward(["x"])
    with pytest.raises(DataError, match="items has no column 'tact'"):
        made_posterior().reward(ITEMS.drop(columns="tact"))
    with pytest.raises(DataError, match=r"column 'tone': missing value .* in row 'w'"):
        made_posterior().reward(ITEMS.assign(tone=[1.0, np.nan, 1.0, 1.0, 1.0]))


def test_tables_that_are_not_of_pandas_are_read() -> None:
    polars = pytest.importorskip("polars")
    posterior = made_posterior()
    table = polars.from_pandas(ITEMS.rename_axis("item").reset_index())
    pd.testing.assert_frame_equal(posterior.reward(table), posterior.reward(ITEMS))


def test_preference_is_the_choice_and_its_entropy_in_two_parts() -> None:
    posterior = made_posterior()
    frame = posterior.preference(ITEMS, ITEMS.iloc[::-1])
    gaps = ITEMS.to_numpy() - ITEMS.iloc[::-1].to_numpy()
    chance = expit(np.einsum("suf,mf->sum", flat(posterior.draws["weights"]), gaps))
    assert frame.columns.tolist() == [
        *("user", "comparison", "mean", "sd", "lower", "upper", "epistemic", "aleatoric")
    ]
    assert frame["comparison"].tolist() == list("vwxyz") * 4
    assert_described(frame, chance.reshape(100, -1), 0.9)

    def entropy(p: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(-(p * np.log2(p) + (1 - p) * np.log2(1 - p)))

    expected = entropy(chance).mean(axis=0).ravel()
    np.testing.assert_allclose(frame["aleatoric"], expected, rtol=1e-10)
    whole = entropy(chance.mean(axis=0)).ravel()
    # Differences of numbers near 1: absolute error is a few float eps.
    np.testing.assert_allclose(frame["epistemic"] + frame["aleatoric"], whole, atol=1e-14)
    apart = frame[frame["comparison"] != "x"]
    assert (apart["epistemic"] > 1e-4).all()


def test_a_comparison_of_equals_is_a_coin_and_certainly_so() -> None:
    frame = made_posterior().preference(ITEMS, ITEMS)
    assert (frame["mean"] == 0.5).all()
    assert (frame["aleatoric"] == 1.0).all()
    assert (frame["epistemic"] == 0.0).all()


def test_known_weights_leave_no_epistemic_uncertainty() -> None:
    posterior = made_posterior()
    one = posterior.draws.isel(draw=[0] * 50, chain=[0, 0])
    known = Posterior(
        posterior.model, posterior.comparisons, one, posterior.sample_stats, posterior.run, 0, ()
    )
    assert (known.preference(ITEMS)["epistemic"] < 1e-14).all()
    assert (known.preference(ITEMS * 300.0)[["epistemic", "aleatoric"]].notna()).all(axis=None)


def test_swapping_the_sides_swaps_the_probabilities() -> None:
    posterior = made_posterior()
    one, other = (posterior.preference(*pair) for pair in ((ITEMS, -ITEMS), (-ITEMS, ITEMS)))
    np.testing.assert_allclose(one["mean"], 1 - other["mean"], rtol=1e-12)
    np.testing.assert_allclose(one["lower"], 1 - other["upper"], rtol=1e-10)
    np.testing.assert_allclose(one["aleatoric"], other["aleatoric"], rtol=1e-10)


def test_adding_the_same_to_both_sides_changes_no_preference() -> None:
    posterior = made_posterior()
    shifted = posterior.preference(ITEMS + 3.0, 3.0 - ITEMS)
    pd.testing.assert_frame_equal(posterior.preference(ITEMS, -ITEMS), shifted, rtol=1e-10)


def test_differences_can_be_given_directly() -> None:
    posterior = made_posterior(made_comparisons(interactions=True))
    left, right = ITEMS.assign(hard=0.7), (-ITEMS).assign(hard=0.7)
    whole = posterior.preference(left, right)
    without = posterior.preference(left, right.drop(columns="hard"))
    gap = posterior.preference((2.0 * ITEMS).assign(hard=0.7))
    pd.testing.assert_frame_equal(whole, without)
    pd.testing.assert_frame_equal(whole, gap, rtol=1e-10)


def test_sides_that_do_not_pair_up_are_refused() -> None:
    posterior = made_posterior(made_comparisons(interactions=True))
    left, right = ITEMS.assign(hard=0.7), ITEMS.assign(hard=[0.7, 0.7, 0.1, 0.7, 0.7])
    with pytest.raises(DataError, match="right, column 'hard': row 'x' differs from left"):
        posterior.preference(left, right)
    with pytest.raises(DataError, match="left has 5 rows and right has 4"):
        posterior.preference(left, left.iloc[:4])
    with pytest.raises(DataError, match="right is missing"):
        posterior.preference(["tea"])


def test_users_come_in_the_order_asked_for() -> None:
    posterior = made_posterior()
    frame = posterior.weights(["kim", "zoe", "kim"])
    assert frame["user"].tolist() == ["kim"] * 3 + ["zoe"] * 3 + ["kim"] * 3
    whole = posterior.weights().set_index("user")
    np.testing.assert_array_equal(frame["mean"][3:6], whole.loc["zoe", "mean"])
    np.testing.assert_array_equal(frame["mean"][6:], whole.loc["kim", "mean"])
    one = posterior.weights("kim")
    for users in (["kim"], pd.Index(["kim"]), np.array(["kim"]), ("kim",), pd.Series(["kim"])):
        pd.testing.assert_frame_equal(posterior.weights(users), one)
    assert posterior.weights([]).empty


@pytest.mark.parametrize(
    ("users", "wanted", "message"),
    [
        ((1, 2, 3, 4), "3", "unknown user '3'; did you mean 3"),
        ((1, 2, 3, 4), 9, "unknown user 9; the 4 known are 1, 2, 3, ..."),
        (("zoe", "ann", "bob", "kim"), ["zoe", "an"], "unknown user 'an'; did you mean 'ann'"),
        (("1", "2", "3"), 3, "unknown user 3; did you mean '3'"),
    ],
)
def test_an_unknown_user_is_refused_with_a_hint(users: Any, wanted: Any, message: str) -> None:
    posterior = made_posterior(made_comparisons(users))
    for ask in (posterior.weights, posterior.weights_draws):
        with pytest.raises(DataError, match=message):
            ask(wanted)
    with pytest.raises(DataError, match=message):
        posterior.reward(ITEMS, wanted)


def test_a_tuple_is_one_label_where_labels_are_tuples() -> None:
    pairs = [("a", 1), ("b", 2)]
    for known in (pd.MultiIndex.from_tuples(pairs), pd.Index(pairs, tupleize_cols=False)):
        assert user_positions(("b", 2), known).tolist() == [1]
        assert user_positions([("b", 2), ("a", 1)], known).tolist() == [1, 0]
    assert user_positions((2, 1), pd.Index([1, 2])).tolist() == [1, 0]


def test_what_is_no_label_is_refused() -> None:
    with pytest.raises(DataError, match="a user is named by a label or a list of labels"):
        made_posterior().weights([["ann"]])  # type: ignore[arg-type]


def test_the_labels_of_users_keep_their_type() -> None:
    frame = made_posterior(made_comparisons((3, 1, 2))).weights()
    assert frame["user"].dtype == np.int64
    assert frame["user"].tolist() == [3, 3, 3, 1, 1, 1, 2, 2, 2]
    both = made_posterior(made_comparisons((True, False)))
    frame = both.weights([False])
    assert frame["user"].tolist() == [False] * 3
    np.testing.assert_allclose(frame["mean"], flat(both.draws["weights"])[:, 1].mean(axis=0))


def test_users_are_labelled_whatever_their_column_is_called() -> None:
    posterior = made_posterior(made_comparisons(name="who"))
    assert posterior.draws["user"].to_numpy().tolist() == ["zoe", "ann", "bob", "kim"]
    assert posterior.summary("users").index[4] == "weights[ann, tone]"


def test_a_new_user_varies_around_the_population() -> None:
    posterior = made_posterior(draws=20_000)
    frame = posterior.weights("population").set_index("feature")
    assert frame["user"].tolist() == ["population"] * 3
    mu, tau = (flat(posterior.draws[name]) for name in ("mu", "tau"))
    sd = np.sqrt(mu.var(axis=0) + (tau**2).mean(axis=0))
    # The draws are independent: 4 standard errors of a mean, and of an sd. Normal mixtures of
    # this spread have a kurtosis below 6, so the error of an sd is below sd sqrt(5 / 4 n).
    assert (np.abs(frame["mean"] - mu.mean(axis=0)) < 4 * sd / 200).all()
    assert (np.abs(frame["sd"] - sd) < 4 * sd * np.sqrt(5 / 4) / 200).all()
    # Taking a new user for the average of all is the mistake that this must catch.
    assert (np.abs(mu.std(axis=0) - sd) > 4 * sd * np.sqrt(5 / 4) / 200).all()


def test_a_new_user_is_the_same_in_every_answer() -> None:
    posterior = made_posterior()
    pd.testing.assert_frame_equal(posterior.weights("population"), posterior.weights("population"))
    own = flat(posterior.weights_draws("population"))[:, 0]
    assert_described(posterior.reward(ITEMS, "population"), own @ ITEMS.to_numpy().T, 0.9)


def test_a_user_labelled_population_is_found_in_a_list() -> None:
    posterior = made_posterior(made_comparisons(("population", "ann")))
    own = flat(posterior.draws["weights"].sel(user="population"))
    assert_described(posterior.weights(["population"]), own, 0.9)
    assert not np.allclose(posterior.weights("population")["mean"], own.mean(axis=0))


def test_a_pooled_model_answers_for_everyone_alike() -> None:
    posterior = pooled_posterior()
    frame = posterior.weights()
    assert frame["user"].tolist() == [u for u in ("zoe", "ann", "bob", "kim") for _ in range(3)]
    means = flat(posterior.draws["mu"]).mean(axis=0)
    np.testing.assert_allclose(frame["mean"], np.tile(means, 4))
    assert_described(posterior.weights("population"), flat(posterior.draws["mu"]), 0.9)
    assert posterior.summary("users").empty
    assert list(posterior.summary().columns) == list(posterior.summary("users").columns)


def test_amce_averages_the_effect_of_one_unit_over_users() -> None:
    posterior = made_posterior()
    frame = posterior.amce()
    weights = flat(posterior.draws["weights"])
    assert frame.columns.tolist() == ["feature", "mean", "sd", "lower", "upper"]
    assert frame["feature"].tolist() == [*ATTRIBUTES]
    assert_described(frame, (2 * expit(weights) - 1).mean(axis=1), 0.9)
    # Not the effect for the average user, which ignores that the law of choice is curved.
    assert not np.allclose(frame["mean"], (2 * expit(weights.mean(axis=1)) - 1).mean(axis=0))
    assert posterior.amce_draws().dims == ("chain", "draw", "feature")


def test_amce_averages_over_the_contexts_of_each_user() -> None:
    comparisons = made_comparisons(interactions=True)
    posterior = made_posterior(comparisons)
    frame = posterior.amce()
    assert frame["feature"].tolist() == [*ATTRIBUTES]
    weights = flat(posterior.draws["weights"])
    effects = (2 * expit(weights[:, :, :3]) - 1).mean(axis=1)
    tone = np.zeros(100)
    for user in range(4):
        hard = comparisons.context[comparisons.user == user, 0]
        own = weights[:, user, 1, None] + weights[:, user, 3, None] * hard
        tone += (2 * expit(own) - 1).mean(axis=1) / 4
    effects[:, 1] = tone
    assert_described(frame, effects, 0.9)


def test_idata_holds_the_likelihood_of_every_row() -> None:
    posterior = made_posterior(made_comparisons(interactions=True))
    assert "idata" not in vars(posterior)  # computed when asked for
    idata = posterior.idata
    assert posterior.idata is idata
    likelihood = idata["log_likelihood"]["choice"]
    comparisons = posterior.comparisons
    assert likelihood["comparison"].to_numpy().tolist() == comparisons.rows.tolist()
    own = flat(posterior.draws["weights"])[:, comparisons.user]
    chance = expit(np.einsum("snf,nf->sn", own, comparisons.difference))
    expected = np.where(comparisons.choice == 1, np.log(chance), np.log(1 - chance))
    np.testing.assert_allclose(flat(likelihood), expected, rtol=1e-9)
    np.testing.assert_array_equal(idata["observed_data"]["choice"], comparisons.choice)
    xr.testing.assert_equal(idata["posterior"]["weights"], posterior.draws["weights"])
    np.testing.assert_array_equal(idata["sample_stats"]["lp"], posterior.sample_stats["lp"])


def test_replicated_choices_follow_the_probabilities() -> None:
    posterior = made_posterior(draws=5000)
    replicated = posterior.idata["posterior_predictive"]["choice"]
    assert replicated.dtype == np.int8
    own = flat(posterior.draws["weights"])[:, posterior.comparisons.user]
    chance = expit(np.einsum("snf,nf->sn", own, posterior.comparisons.difference))
    gaps = flat(replicated).mean(axis=0) - chance.mean(axis=0)
    error = np.sqrt((chance * (1 - chance)).mean(axis=0) / 10_000)
    # 60 z-scores: above 4.5 once in 2,400 data sets; half the error would be noticed in the rms.
    assert (np.abs(gaps / error) < 4.5).all()
    assert 0.6 < np.sqrt(np.mean((gaps / error) ** 2)) < 1.5
    again = made_posterior(draws=5000).idata["posterior_predictive"]["choice"]
    np.testing.assert_array_equal(replicated, again)


def test_idata_copes_with_rows_labelled_on_several_levels() -> None:
    comparisons = made_comparisons()
    levels = pd.MultiIndex.from_product([["a", "b"], range(30)])
    parts = {**vars(comparisons), "rows": levels}
    known = inspect.signature(type(comparisons)).parameters
    labelled = type(comparisons)(**{name: parts[name] for name in known})
    idata = made_posterior(labelled).idata
    assert idata["observed_data"]["comparison"].to_numpy()[31] == "('b', 1)"


@pytest.mark.parametrize("covariance", ["diagonal", "full"])
def test_summary_names_every_parameter_once(covariance: Any) -> None:
    model = HierarchicalReward(covariance=covariance)
    posterior = made_posterior(made_comparisons(covariates=True), model)
    population, users = posterior.summary(), posterior.summary("users")
    expected = [f"{name}[{feature}]" for name in ("mu", "tau") for feature in ATTRIBUTES]
    expected += [f"B[{feature}, age]" for feature in ATTRIBUTES]
    if covariance == "full":
        pairs = ("length, tone", "length, tact", "tone, tact")
        expected += [f"correlation[{pair}]" for pair in pairs]
    assert population.index.tolist() == expected
    assert len(users) == 12
    assert users.index[4] == "weights[ann, tone]"
    everything = posterior.summary("all")
    pd.testing.assert_frame_equal(everything, pd.concat([population, users]))


def test_summary_agrees_with_arviz() -> None:
    posterior = made_posterior(draws=150)
    frame = posterior.summary("all")
    for row, part in (("weights[kim, tone]", posterior.draws["weights"].sel(user="kim")),):
        draws = part.sel(feature="tone").to_numpy()
        found = frame.loc[row]
        assert found["mean"] == pytest.approx(draws.mean(), rel=1e-12)
        assert found["rhat"] == pytest.approx(float(arviz.rhat(draws)), rel=1e-8)
        assert found["ess_bulk"] == pytest.approx(float(arviz.ess(draws)), rel=1e-8)
        tail = float(arviz.ess(draws, method="tail", prob=(0.05, 0.95)))  # 1.x has other tails
        assert found["ess_tail"] == pytest.approx(tail, rel=1e-8)


def test_an_unknown_kind_of_summary_is_refused() -> None:
    with pytest.raises(DataError, match="kind must be 'population', 'users' or 'all', got 'user'"):
        made_posterior().summary("user")  # type: ignore[arg-type]


def test_the_repr_says_who_what_how_and_whether_to_trust_it() -> None:
    posterior = made_posterior()
    text = repr(posterior)
    for part in (
        "60 comparisons by 4 users, 3 features",
        "HierarchicalReward(mean_sd=2.0",
        "Gibbs, 2 chains of 50 draws after 10, 1.2 s, seed 7",
        "all checks passed",
        f"{posterior.draws['mu'].sel(feature='tone').mean().item():.3g}",
    ):
        assert part in text
    found = Finding("rhat", "mu[tone]", 1.2, 1.01, 1, "mu[tone]: R-hat 1.2 is <too> high")
    failed = made_posterior(findings=(found,))
    assert "1 check failed" in repr(failed)
    assert "mu[tone]: R-hat 1.2 is <too> high" in repr(failed)
    page = failed._repr_html_()
    assert "R-hat 1.2 is &lt;too&gt; high" in page
    assert "<too>" not in page
    assert page.count("<table") == page.count("</table>") == 2
    assert "tau" not in repr(pooled_posterior())


def test_the_repr_says_where_to_go_on_where_there_are_contexts() -> None:
    asked = "bp.diagnose(posterior) says which comparisons 'hard' may confound"
    posterior = made_posterior()
    assert asked in repr(posterior)
    plain = simulate(users=4, comparisons=15, features=3, contexts=0, seed=0).comparisons
    assert "diagnose" not in repr(made_posterior(plain))
    assert html.escape(asked) in posterior._repr_html_()


@pytest.mark.parametrize(
    ("old", "new"), [("engine", "run"), ("kinds", "membership"), ("law", "choice_distribution")]
)
def test_a_renamed_attribute_says_the_new_name(old: str, new: str) -> None:
    with pytest.raises(AttributeError, match=rf"no attribute '{old}'; it is called '{new}' now$"):
        getattr(made_posterior(), old)
    assert hasattr(made_posterior(), new)


def test_a_renamed_attribute_of_a_pyro_posterior_says_the_new_name() -> None:
    posterior = made_posterior()
    other = PyroPosterior(posterior.draws, posterior.sample_stats, posterior.run, 0)
    with pytest.raises(AttributeError, match=r"no attribute 'engine'; it is called 'run' now$"):
        attrgetter("engine")(other)
    with pytest.raises(AttributeError, match=r"no attribute 'kinds'$"):
        attrgetter("kinds")(other)


def test_other_missing_attributes_and_failing_properties_keep_their_own_error() -> None:
    posterior = made_posterior()
    with pytest.raises(AttributeError, match=r"has no attribute 'reward_function'$"):
        attrgetter("reward_function")(posterior)
    broken = replace(posterior, comparisons=None)  # type: ignore[arg-type]
    with pytest.raises(AttributeError, match="'NoneType' object"):
        attrgetter("choice_distribution")(broken)
    assert copy.copy(posterior).seed == pickle.loads(pickle.dumps(posterior)).seed == 7


def test_membership_is_for_mixtures() -> None:
    with pytest.raises(ModelError, match="HierarchicalReward has no mixture components; fit bp"):
        made_posterior().membership()
