"""Items with a reward each beside attributes of what was shown, in pairs and in tasks."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior

import bayes_pref as bp

ATTRIBUTES = {"length": ("length_a", "length_b"), "tone": ("tone_a", "tone_b"), "first": "first"}


def votes(rows: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    left = rng.integers(0, 3, rows)
    names = np.array(["tea", "milk", "mate"])
    return pd.DataFrame(
        {
            "who": rng.integers(0, 4, rows),
            "a": names[left],
            "b": names[(left + rng.integers(1, 3, rows)) % 3],
            "length_a": rng.normal(size=rows),
            "length_b": rng.normal(size=rows),
            "tone_a": rng.choice(["warm", "cold"], rows),
            "tone_b": rng.choice(["warm", "cold"], rows),
            "first": rng.choice([-1, 1], rows),
            "late": rng.normal(size=rows),
            "won": rng.integers(0, 2, rows),
        }
    )


def read(frame: pd.DataFrame | None = None, **more: Any) -> bp.Comparisons:
    roles = {"user": "who", "left": "a", "right": "b", "choice": "won", "attributes": ATTRIBUTES}
    return bp.Comparisons.from_items(votes() if frame is None else frame, **(roles | more))


def tasks() -> pd.DataFrame:
    """Tasks of three items with their prices, or none of them."""
    rng = np.random.default_rng(1)
    count = 30
    frame = pd.DataFrame(
        {
            "who": np.repeat(np.arange(count) % 5, 3),
            "id": np.repeat(np.arange(count), 3),
            "drink": np.concatenate([rng.permutation(list("abcd"))[:3] for _ in range(count)]),
            "price": rng.normal(size=3 * count),
            "hot": np.repeat(rng.normal(size=count), 3),
        }
    )
    chosen = rng.integers(0, 4, count)  # of 3: none of them
    return frame.assign(won=(np.tile(np.arange(3), count) == np.repeat(chosen, 3)).astype(int))


def read_tasks(**more: Any) -> bp.Comparisons:
    roles = {"user": "who", "task": "id", "choice": "won", "items": "drink", "none": True}
    return bp.Comparisons.from_tasks(tasks(), **(roles | {"attributes": ["price"]} | more))


def test_rows_hold_indicators_and_differences_of_attributes() -> None:
    frame = votes()
    data = read(frame)
    items = data.features.items
    assert data.feature_names == (*items, "length", "tone[warm]", "first")
    ordered = frame.loc[data.rows]
    for k, item in enumerate(items):
        expected = (ordered["a"] == item).astype(float) - (ordered["b"] == item)
        assert data.difference[:, k].tolist() == expected.tolist()
    assert np.allclose(data.difference[:, 3], ordered["length_a"] - ordered["length_b"])
    warm = [(ordered[side] == "warm") * 2.0 - 1.0 for side in ("tone_a", "tone_b")]
    assert data.difference[:, 4].tolist() == (warm[0] - warm[1]).tolist()
    assert data.difference[:, 5].tolist() == ordered["first"].tolist()
    assert data.feature_scale[:3].tolist() == [1.0] * 3
    assert data.feature_scale[3] == pytest.approx(np.sqrt(np.mean(data.difference[:, 3] ** 2)))
    assert "3 items: " in repr(data)
    assert "3 features: length, tone[warm], first" in repr(data)


def test_a_winner_and_a_loser_have_their_own_attributes() -> None:
    frame = votes().rename(columns={"a": "best", "b": "other"})
    data = bp.Comparisons.from_items(
        frame,
        user="who",
        winner="best",
        loser="other",
        attributes={"length": ("length_a", "length_b")},
    )
    sign = np.where(data.choice == 1.0, 1.0, -1.0)
    expected = (frame["length_a"] - frame["length_b"]).loc[data.rows]
    assert np.allclose(sign * data.difference[:, 3], expected)
    assert 0 < data.choice.mean() < 1


def test_tasks_have_items_attributes_and_an_outside_option() -> None:
    data, frame = read_tasks(), tasks()
    assert data.feature_names == (*data.features.items, "price", "none")
    total = data.difference[:, [*range(4), 5]].sum(axis=1)
    assert np.allclose(total, 0.0)  # an item, or none of them, on both sides of a row
    prices = frame.set_index(["id", "drink"])["price"]
    names = list(data.features.items)
    for row, (task, better, worse) in zip(data.difference, data.rows, strict=True):
        drinks = frame[frame["id"] == task]["drink"].tolist()
        own = [None if label == "none" else drinks[label - 1] for label in (better, worse)]
        expected = np.zeros(4)
        for label, sign in zip(own, (1.0, -1.0), strict=True):
            if label is not None:
                expected[names.index(label)] += sign
        assert row[:4].tolist() == expected.tolist()
        cost = [0.0 if label is None else prices[task, label] for label in own]
        assert row[4] == pytest.approx(cost[0] - cost[1])


def test_a_task_of_two_items_with_attributes_is_the_pair() -> None:
    frame = votes()
    long = pd.concat(
        [
            frame[["who", "a", "length_a"]].set_axis(["who", "item", "length"], axis=1),
            frame[["who", "b", "length_b"]].set_axis(["who", "item", "length"], axis=1),
        ]
    )
    chosen = np.concatenate([frame["won"], 1 - frame["won"]])
    long = long.assign(id=long.index, won=chosen).sort_values("id", kind="stable")
    of_tasks = bp.Comparisons.from_tasks(
        long, user="who", task="id", choice="won", items="item", attributes=["length"]
    )
    pairs = read(attributes={"length": ("length_a", "length_b")})
    assert of_tasks.features == pairs.features
    assert np.array_equal(of_tasks.difference, pairs.difference)
    assert np.array_equal(of_tasks.choice, pairs.choice)


@pytest.mark.parametrize("outside", [False, True])
def test_only_items_lose_their_common_level(outside: bool) -> None:
    data = read_tasks() if outside else read(context=["late"], interactions="all")
    model = bp.HierarchicalReward()
    engine = bp.Gibbs(draws=20, warmup=20, chains=2, progress=False)
    drawn = engine.prepare(model, data).run(0).sites["mu"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        reported = bp.fit(model, data, engine, seed=0).draws["mu"].to_numpy()
    eta = data.difference @ reported.reshape(-1, data.n_features).T
    assert np.allclose(eta, data.difference @ drawn.reshape(-1, data.n_features).T)
    count = len(data.features.items)
    assert np.allclose(reported[..., :count].sum(axis=-1), 0.0)
    assert np.array_equal(reported[..., count], drawn[..., count])  # the first attribute
    if not outside:
        products = slice(len(data.features.attributes), len(data.features.attributes) + count)
        assert np.allclose(reported[..., products].sum(axis=-1), 0.0)


def test_rewards_are_net_of_attributes_and_relative_to_any_item() -> None:
    data = read()
    posterior = made_posterior(data)
    mean = posterior.draws["weights"].mean(("chain", "draw"))
    own = {item: mean.sel(feature=item).to_numpy() for item in data.features.items}
    net = posterior.reward().set_index(["item", "user"])["mean"]
    assert np.allclose(net["tea"], own["tea"])
    relative = posterior.reward(baseline="milk").set_index(["item", "user"])["mean"]
    assert np.allclose(relative["tea"], own["tea"] - own["milk"])
    assert np.allclose(relative["milk"], 0.0)
    weights = posterior.weights(baseline="milk").set_index(["feature", "user"])["mean"]
    assert np.allclose(weights["mate"], own["mate"] - own["milk"])
    assert np.allclose(weights["length"], mean.sel(feature="length"))
    offer = pd.DataFrame({"item": ["tea"], "length": [2.0], "tone": ["warm"], "first": [0.0]})
    shown = posterior.reward(offer, baseline="milk")
    tone = mean.sel(feature="tone[warm]").to_numpy()
    expected = own["tea"] - own["milk"] + 2 * mean.sel(feature="length").to_numpy() + tone
    assert shown["item"].tolist() == ["tea"] * data.n_users
    assert np.allclose(shown["mean"], expected)
    with pytest.raises(bp.DataError, match="unknown item 'cocoa'"):
        posterior.reward(baseline="cocoa")
    with pytest.raises(
        bp.DataError, match="unknown item 'cocoa' in row 0; it is in none of the fit"
    ):
        posterior.reward(offer.assign(item="cocoa"))
    with pytest.raises(bp.DataError, match="items has no column 'item'; its columns are 'length',"):
        posterior.reward(offer.drop(columns="item"))
    plain = made_posterior()
    with pytest.raises(bp.DataError, match="here items have no rewards of their own"):
        plain.weights(baseline="tea")


def test_products_with_contexts_are_relative_to_the_item_too() -> None:
    data = read(attributes={"first": "first"}, context=["late"], interactions="all")
    posterior = made_posterior(data)
    mean = posterior.draws["weights"].mean(("chain", "draw"))
    offer = pd.DataFrame({"item": ["tea"], "first": [1.0], "late": [3.0]})
    found = posterior.reward(offer, baseline="milk")["mean"]
    parts = {name: mean.sel(feature=name).to_numpy() for name in data.feature_names}
    expected = parts["tea"] - parts["milk"] + 3 * (parts["tea:late"] - parts["milk:late"])
    assert np.allclose(found, expected + parts["first"] + 3 * parts["first:late"])


def test_part_worths_list_the_items_and_the_attributes() -> None:
    found = made_posterior(read()).part_worths()
    assert found["attribute"].tolist() == ["item"] * 3 + ["length", "tone", "tone", "first"]
    shares = made_posterior(read_tasks()).importance()
    assert shares["attribute"].tolist() == ["item", "price"]
    assert shares["mean"].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("outside", [False, True])
def test_files_keep_what_is_an_item(outside: bool, tmp_path: Path) -> None:
    posterior = made_posterior(read_tasks() if outside else read())
    posterior.save(tmp_path / "both.nc")
    again = bp.Posterior.load(tmp_path / "both.nc")
    assert again.comparisons.features == posterior.comparisons.features
    pd.testing.assert_frame_equal(again.reward(), posterior.reward())


def test_new_votes_are_brought_into_the_order_of_the_fitted_ones() -> None:
    frame = votes()
    posterior = made_posterior(read(frame))
    held = read(frame.iloc[::-1].iloc[:40], attributes=dict(reversed(ATTRIBUTES.items())))
    assert held.feature_names != posterior.comparisons.feature_names
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # they were fitted
        found = bp.evaluate(posterior, held)
        same = bp.evaluate(posterior, read(frame.iloc[::-1].iloc[:40]))
    assert found.rows["log_score"].tolist() == pytest.approx(same.rows["log_score"].tolist())
    with pytest.raises(bp.DataError, match="no features 'tone"):
        bp.evaluate(posterior, read(frame, attributes={"length": ("length_a", "length_b")}))


def test_an_attribute_that_is_a_constant_of_the_item_is_said_to_be_one() -> None:
    frame = votes()
    price = {"tea": 1.0, "milk": 3.0, "mate": 2.5}
    frame = frame.assign(price_a=frame["a"].map(price), price_b=frame["b"].map(price))
    both = {"price": ("price_a", "price_b"), "length": ("length_a", "length_b")}
    with pytest.warns(bp.DataWarning, match="'price' is a constant of each item"):
        data = read(frame, attributes=both)
    posterior = made_posterior(data)
    asked = pd.DataFrame({"left": ["tea"], "right": ["milk"], "price": [-2.0], "length": [0.0]})
    other = asked.assign(price=5.0)  # a pair of these items at prices they never had
    report = bp.diagnose(posterior, pd.concat([asked, other]), progress=False)
    assert report.comparisons["prior_share"].iloc[1] > 0.9
    assert report.comparisons["verdict"].iloc[1] == "unidentifiable"
    assert report.comparisons["verdict"].iloc[0] != "unidentifiable"
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # an item's own constant, and noise: no warning
        read(frame.assign(price_a=frame["price_a"] + 0.01 * frame["length_a"]), attributes=both)


def test_new_sets_name_their_items_beside_the_attributes() -> None:
    posterior = made_posterior(read_tasks())
    asked = pd.DataFrame(
        {
            "task": [1, 1, 1, 2, 2],
            "item": ["a", "b", None, "c", "d"],
            "price": [1.0, 2.0, np.nan, 0.0, 0.5],
            "none": [0, 0, 1, 0, 0],
        }
    )
    report = bp.diagnose(posterior, asked, progress=False, assessments=["preference"])
    mean = posterior.weights("population").set_index("feature")["mean"]
    worth = mean["a"] + mean["price"] - (mean["b"] + 2 * mean["price"] + mean["none"]) / 2
    assert report.comparisons["mean"].iloc[0] == pytest.approx(worth)
    with pytest.raises(bp.DataError, match="unknown item 'e'"):
        bp.diagnose(posterior, asked.assign(item=list("ebacd")), progress=False)


@pytest.mark.parametrize("outside", [False, True])
def test_verdicts_checks_and_plots_know_both(outside: bool) -> None:
    posterior = made_posterior(read_tasks() if outside else read())
    report = bp.diagnose(posterior, progress=False)
    assert np.isfinite(report.comparisons["prior_share"]).all()
    assert "groups that nobody compared" not in report.summary()
    names = [label.get_text() for label in bp.plots.population(posterior).get_yticklabels()]
    assert names == list(posterior.comparisons.feature_names)
    checked = bp.posterior_predictive_check(posterior)
    assert ("cyclic triads of items" in set(checked["statistic"])) is not outside


def test_attributes_beside_items_may_have_a_sign() -> None:
    data = read_tasks()
    model = bp.HierarchicalReward(constraints={"price": "negative"})
    model.check(data)
    signs = model.spec(data).signs
    assert signs is not None
    assert signs.sign.tolist() == [-1.0 * (name == "price") for name in data.feature_names]
    for name in ("a", "none"):
        with pytest.raises(bp.ModelError, match=f"'{name}' is known up to a level"):
            bp.HierarchicalReward(constraints={name: "positive"}).check(data)


def test_items_that_nobody_compared_are_found_beside_attributes() -> None:
    frame = votes()
    apart = frame.replace({"a": {"tea": "rum", "milk": "gin", "mate": "ale"}})
    apart = apart.replace({"b": {"tea": "rum", "milk": "gin", "mate": "ale"}})
    with pytest.warns(bp.DataWarning, match="2 groups that nobody compared"):
        data = read(pd.concat([frame, apart], ignore_index=True))
    posterior = made_posterior(data)
    asked = pd.DataFrame({"left": ["tea", "tea"], "right": ["milk", "gin"], "first": 0.0})
    asked = asked.assign(length=1.0, **{"tone[warm]": 0.0})
    report = bp.diagnose(posterior, asked, progress=False)
    assert report.comparisons["verdict"].tolist()[1] == "unidentifiable"
    assert report.comparisons["verdict"].tolist()[0] != "unidentifiable"
    assert "nobody compared" in report.comparisons["sentence"].iloc[1]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ("length_a", "attributes must name the columns of both sides"),
        (["length_a"], "attributes must name the columns of both sides"),
        ({"length": ("a", "b", "c")}, "attributes must name the columns of both sides"),
        ({"length": ("length_a", "size")}, "has no column 'size'"),
        ({"length": ("a", "length_b")}, "used both as left and as attributes"),
        ({"tea": ("length_a", "length_b")}, "'tea' is an item and an attribute"),
        ({"tone": "tone_a"}, "column 'tone_a'"),
    ],
)
def test_attributes_that_cannot_be_read_are_refused(attributes: Any, message: str) -> None:
    with pytest.raises(bp.DataError, match=message):
        read(attributes=attributes)


def test_items_described_by_attributes_have_none_beside_them() -> None:
    described = pd.DataFrame({"item": ["tea", "milk", "mate"], "price": [1.0, 2.0, 4.0]})
    with pytest.raises(bp.DataError, match="give one of the two"):
        read(items=described)
    with pytest.raises(bp.DataError, match="cannot be beside those of items"):
        replace(read().features, beside=6)


def recovered(**more: Any) -> tuple[bp.Posterior, np.ndarray, np.ndarray]:
    """Fit simulated votes; the posterior, the users' true rewards and weights of length."""
    rng = np.random.default_rng(7)
    users, items, each = 60, 6, 40
    reward = np.linspace(-1.0, 1.0, items) + 0.7 * rng.normal(size=(users, items))
    length = 0.8 + 0.3 * rng.normal(size=users)
    who = np.repeat(np.arange(users), each)
    left = rng.integers(0, items, users * each)
    right = (left + rng.integers(1, items, users * each)) % items
    # The worst items give the longest answers.
    sizes = [rng.normal(size=users * each) - 0.5 * side for side in (left, right)]
    eta = reward[who, left] - reward[who, right] + length[who] * (sizes[0] - sizes[1])
    frame = pd.DataFrame(
        {
            "who": who,
            "a": np.array(list("uvwxyz"))[left],
            "b": np.array(list("uvwxyz"))[right],
            "length_a": sizes[0],
            "length_b": sizes[1],
            "won": (rng.random(len(eta)) < 1.0 / (1.0 + np.exp(-eta))).astype(int),
        }
    )
    data = bp.Comparisons.from_items(frame, user="who", left="a", right="b", choice="won", **more)
    engine = bp.Gibbs(draws=250, warmup=200, thin=4, chains=2, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(bp.HierarchicalReward(), data, engine, seed=1), reward, length


@pytest.mark.slow
def test_each_users_rewards_are_recovered_net_of_length() -> None:
    posterior, reward, length = recovered(attributes={"length": ("length_a", "length_b")})
    truth = reward - reward.mean(axis=1, keepdims=True)
    drawn = posterior.draws["weights"].mean(("chain", "draw"))
    spread = posterior.draws["weights"].std(("chain", "draw"))
    names = list("uvwxyz")
    z = ((drawn.sel(feature=names) - truth) / spread.sel(feature=names)).to_numpy().ravel()
    # 360 nearly independent errors, of which 5 in 6 are free: a variance within 4 standard errors.
    assert abs(np.mean(z**2) - 1.0) < 4.0 * np.sqrt(2.0 / 300.0)
    of_length = (drawn.sel(feature="length") - length) / spread.sel(feature="length")
    assert abs(np.mean(of_length.to_numpy() ** 2) - 1.0) < 4.0 * np.sqrt(2.0 / 60.0)
    centred = reward.mean(axis=0) - reward.mean()
    population = posterior.draws["mu"].sel(feature=names)
    error = population.mean(("chain", "draw")) - centred
    # Of these users, whose mean is not quite that of the population.
    sd = np.hypot(population.std(("chain", "draw")), 0.7 / np.sqrt(60.0))
    assert np.abs(error / sd).max() < 4.0
    # Without the attribute, the worst items are too good: their answers are the longest.
    without = recovered()[0].draws["mu"].sel(feature=names)
    bias = (without.mean(("chain", "draw")) - centred).to_numpy()
    assert bias[0] > 6.0 * float(without.std(("chain", "draw"))[0])
    assert bias[-1] < -6.0 * float(without.std(("chain", "draw"))[-1])
