"""Codings of attributes: levels and transformed numbers, in every reader and every query."""

from __future__ import annotations

import warnings
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior
from scipy.special import expit

import bayes_pref as bp
from bayes_pref.data.alignment import aligned
from bayes_pref.data.coding import Coding
from bayes_pref.data.coding_options import CodingOptions

BRANDS, WORTH = ["A", "B", "C"], {"A": 0.9, "B": -0.2, "C": -0.7}


def cards(n: int = 60, seed: int = 0) -> pd.DataFrame:
    """Tasks of three cards, the choice at random."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "who": np.repeat(np.arange(n) % 5, 3),
            "id": np.repeat(np.arange(n), 3),
            "alt": np.tile(np.arange(3), n),
            "brand": rng.choice(BRANDS, size=3 * n),
            "size": rng.choice(["S", "M", "L"], size=3 * n),
            "price": rng.uniform(1.0, 5.0, size=3 * n),
            "hard": np.repeat(rng.normal(size=n), 3),
        }
    )
    return frame.assign(won=(frame["alt"] == np.repeat(rng.integers(3, size=n), 3)).astype(int))


ATTRIBUTES = ["brand", "size", "price"]


def read(frame: pd.DataFrame, **changes: Any) -> bp.Comparisons:
    roles = {"user": "who", "task": "id", "choice": "won", "attributes": ATTRIBUTES} | changes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # few rows
        return bp.Comparisons.from_tasks(frame, **roles)


def worth(frame: pd.DataFrame) -> np.ndarray:
    return frame["brand"].map(WORTH).to_numpy(float)


@pytest.mark.parametrize("kind", ["effect", "reference"])
@pytest.mark.parametrize("baseline", BRANDS)
def test_part_worths_say_what_the_features_do(kind: str, baseline: str) -> None:
    frame = cards()
    data = read(frame, attributes=["brand"], coding=kind, baseline={"brand": baseline})
    (coding,) = data.features.codings
    assert data.feature_names == tuple(f"brand[{level}]" for level in BRANDS if level != baseline)
    weights = np.linalg.lstsq(coding.basis, np.array(list(WORTH.values())), rcond=None)[0]
    if kind == "effect":  # the part-worths sum to 0, and the baseline's is minus the sum
        assert coding.basis @ weights == pytest.approx(list(WORTH.values()))
        assert WORTH[baseline] == pytest.approx(-weights.sum())
    else:
        weights = np.array([WORTH[level] - WORTH[baseline] for level in coding.featured])
        assert (coding.basis @ weights)[BRANDS.index(baseline)] == 0
    better, worse = (data.rows.get_level_values(name) for name in ("better", "worse"))
    task = data.rows.get_level_values("id")
    by_label = pd.Series(worth(frame), index=pd.MultiIndex.from_arrays([frame["id"], frame["alt"]]))
    one, other = (
        by_label.loc[pd.MultiIndex.from_arrays([task, each - 1])].to_numpy()
        for each in (better, worse)
    )
    assert data.difference @ weights == pytest.approx(one - other)


@pytest.mark.parametrize("baseline", BRANDS)
def test_weights_of_steps_are_what_a_level_is_worth_more_than_the_last(baseline: str) -> None:
    frame = cards()
    options: dict[str, Any] = {"order": {"brand": BRANDS}, "baseline": {"brand": baseline}}
    data = read(frame, attributes=["brand"], coding="steps", **options)
    (coding,) = data.features.codings
    assert data.feature_names == ("brand[A to B]", "brand[B to C]")
    steps = np.diff(list(WORTH.values()))
    expected = np.array(list(WORTH.values())) - WORTH[baseline]
    assert coding.basis @ steps == pytest.approx(expected)
    effect = read(frame, attributes=["brand"], coding="effect", order={"brand": BRANDS})
    for one, other in ((data, effect), (effect, data)):
        found = aligned(one, other, "held_out", all_contexts=True)
        np.testing.assert_allclose(found.difference, other.difference, atol=1e-12)
    posterior = made_posterior(data, bp.PooledReward())
    posterior = replace(
        posterior, draws=posterior.draws.assign(mu=posterior.draws["mu"] * 0 + steps)
    )
    assert posterior.part_worths()["mean"].to_numpy() == pytest.approx(expected)
    low, high = (pd.DataFrame({"brand": [level]}) for level in "AC")
    chance = posterior.preference(high, low, users="population")["mean"]
    assert chance.to_numpy() == pytest.approx(expit(steps.sum()))


def test_levels_are_in_the_order_of_the_categories_or_of_the_caller() -> None:
    frame = cards()
    assert read(frame).feature_names == ("brand[B]", "brand[C]", "size[M]", "size[S]", "price")
    sizes = pd.CategoricalDtype(["S", "M", "L", "XL"], ordered=True)
    by_category = read(frame.astype({"size": sizes}))
    by_option = read(frame, order={"size": ["S", "M", "L"]})
    for data in (by_category, by_option):
        (_, size) = data.features.codings
        assert (size.levels, size.baseline, size.ordered) == (("S", "M", "L"), "S", True)
        np.testing.assert_array_equal(data.difference, by_option.difference)
    assert not read(frame).features.codings[0].ordered


def test_truth_values_are_numbers_and_numbers_may_be_levels() -> None:
    frame = cards().assign(new=lambda each: each["price"] > 3, stars=lambda each: each["alt"] + 1)
    plain = read(frame, attributes=["new", "stars"])
    assert plain.feature_names == ("new", "stars")
    assert set(np.unique(plain.difference[:, 0])) <= {-1.0, 0.0, 1.0}
    coded = read(frame, attributes=["new", "stars"], coding={"stars": "reference"})
    assert coded.feature_names == ("new", "stars[2]", "stars[3]")
    based = read(frame, attributes=["stars"], baseline={"stars": 3})
    assert based.feature_names == ("stars[1]", "stars[2]")


def test_numbers_are_logged_and_standardised_by_name() -> None:
    frame = cards()
    logged = read(frame, attributes=["price"], transform={"price": "log"})
    expected = read(frame.assign(price=np.log(frame["price"])), attributes=["price"])
    assert logged.feature_names == ("log(price)",)
    np.testing.assert_array_equal(logged.difference, expected.difference)
    scaled = read(frame, attributes=["price"], transform={"price": "standardise"})
    plain = read(frame, attributes=["price"])
    expected_scale = plain.difference / frame["price"].std(ddof=0)
    np.testing.assert_allclose(scaled.difference, expected_scale, rtol=1e-12)
    found = scaled.features.matrix(frame[["price"]])
    assert (found.mean(), found.std()) == pytest.approx((0.0, 1.0))


def pairs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the first two cards of each task, side by side."""
    one, other = (frame[frame["alt"] == side].reset_index(drop=True) for side in (0, 1))
    sides = one[ATTRIBUTES].add_prefix("l_").join(other[ATTRIBUTES].add_prefix("r_"))
    return sides.join(one[["who", "hard", "won"]])


def test_every_reader_codes_alike() -> None:
    frame = cards()
    options: dict[str, Any] = {
        "coding": {"brand": "reference"},
        "baseline": {"size": "L"},
        "transform": {"price": "log"},
    }
    pair = pairs(frame)
    names = [[f"{side}_{name}" for name in ATTRIBUTES] for side in ("l", "r")]
    sides = bp.Comparisons.from_frame(
        pair, user="who", choice="won", left=names[0], right=names[1], **options
    )
    expected = ("brand[B]", "brand[C]", "size[M]", "size[S]", "log(price)")
    assert sides.feature_names == expected

    two = read(frame[frame["alt"] < 2].assign(won=lambda each: _first_or_second(each)), **options)
    np.testing.assert_array_equal(two.difference, sides.difference)
    np.testing.assert_array_equal(two.right, sides.right)

    items = frame[ATTRIBUTES].assign(item=frame.index)
    votes = pair.assign(a=frame.index[frame["alt"] == 0], b=frame.index[frame["alt"] == 1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # items that nobody connects
        by_item = bp.Comparisons.from_items(
            votes, items, user="who", left="a", right="b", choice="won", **options
        )
        ranked = bp.Comparisons.from_rankings(
            frame.assign(item=frame.index, place=2 - frame["won"].where(frame["won"] == 1)),
            items,
            user="who",
            ranking="id",
            item="item",
            rank="place",
            **options,
        )
    np.testing.assert_array_equal(by_item.difference, sides.difference)
    tasks = read(frame, **options)
    np.testing.assert_array_equal(ranked.difference, tasks.difference)
    assert ranked.features == tasks.features == by_item.features == sides.features

    wide = frame.pivot(index="id", columns="alt", values=ATTRIBUTES)
    wide.columns = [f"{name}_{alt}" for name, alt in wide.columns]
    wide = wide.astype({f"price_{alt}": float for alt in range(3)})
    wide["who"] = frame.groupby("id")["who"].first()
    wide["mode"] = frame[frame["won"] == 1].set_index("id")["alt"]
    from_wide = bp.Comparisons.from_wide(
        wide, user="who", choice="mode", attributes=ATTRIBUTES, alternatives=[0, 1, 2], **options
    )
    np.testing.assert_array_equal(from_wide.difference, tasks.difference)


def _first_or_second(frame: pd.DataFrame) -> pd.Series:
    """Make a choice of two: the second card, where the first was not chosen."""
    first = frame.groupby("id")["won"].transform("first")
    return frame["won"].where(frame["alt"] == 0, 1 - first)


def test_an_interaction_with_an_attribute_is_one_with_all_its_levels() -> None:
    named: dict[str, Any] = {"context": ["hard"], "interactions": [("brand", "hard")]}
    data = read(cards(), **named)
    assert data.feature_names[-2:] == ("brand[B]:hard", "brand[C]:hard")
    columns = [data.feature_names.index(name) for name in ("brand[B]", "brand[C]")]
    np.testing.assert_array_equal(
        data.difference[:, -2:], data.difference[:, columns] * data.context
    )


@pytest.mark.parametrize("label", ["none", True])
def test_the_outside_option_has_no_levels(label: Any) -> None:
    frame = cards()
    frame = frame[~((frame["id"] == 3) & (frame["won"] == 1))].astype({"alt": object})
    if label is True:
        data = read(frame, none=True)
    else:
        who = frame.groupby("id")["who"].first()
        rows = pd.DataFrame(
            {"who": who, "id": who.index, "alt": "none", "won": (who.index == 3) * 1}
        )
        data = read(pd.concat([frame, rows]), none="none", alternative="alt")
    assert data.feature_names[-1] == "none"
    taken = data.features.matrix(pd.DataFrame({"none": [1, 0]}).assign(**_first(frame)))
    assert taken[0].tolist() == [0, 0, 0, 0, 0, 1]
    assert taken[1, -1] == 0
    np.testing.assert_array_equal(data.features.matrix(frame)[:, -1], 0)  # no column is needed
    in_data = data.difference[data.rows.get_level_values("better") == "none"]
    np.testing.assert_allclose(in_data, taken[0] - data.features.matrix(frame[frame["id"] == 3]))


def _first(frame: pd.DataFrame) -> dict[str, list[object]]:
    return {name: [None, frame[name].iloc[0]] for name in ATTRIBUTES}


def test_items_are_coded_as_the_data_were() -> None:
    data = read(cards(), coding="reference", transform={"price": "log"})
    posterior = made_posterior(data)
    item = pd.DataFrame({"brand": ["C"], "size": ["L"], "price": [2.0]}, index=["x"])
    mean = posterior.weights("population").set_index("feature")["mean"]
    reward = posterior.reward(item, "population")["mean"][0]
    assert reward == pytest.approx(mean["brand[C]"] + np.log(2.0) * mean["log(price)"])
    coded = pd.DataFrame(data.features.matrix(item), index=["x"], columns=data.feature_names)
    assert posterior.reward(coded, "population")["mean"][0] == pytest.approx(reward)
    with pytest.raises(
        bp.DataError, match="level 'D' was not in the fitted data in row 'x'; its lev"
    ):
        posterior.reward(item.assign(brand="D"))
    both = posterior.preference(item, item.assign(brand="A"), "population")
    one = coded.assign(**{"brand[C]": 1.0, "brand[B]": 0.0, "size[M]": 0, "size[S]": 0})
    one["log(price)"] = 0.0
    assert both["mean"][0] == pytest.approx(
        posterior.preference(one, users="population")["mean"][0]
    )
    with pytest.raises(
        bp.DataError, match="column 'brand' holds levels, and a difference needs bo"
    ):
        posterior.preference(item)


def test_codings_survive_selection_files_and_the_way_back(tmp_path: Path) -> None:
    data = read(cards(), none=True, order={"size": ["S", "M", "L"]})
    for part in (data[data.users[1]], *data.split(by="user", test=0.4)):
        assert part.features == data.features
    posterior = made_posterior(data)
    posterior.save(tmp_path / "cards.nc")
    assert bp.Posterior.load(tmp_path / "cards.nc").comparisons.features == data.features
    pair = pairs(cards())
    names = [[f"{side}_{name}" for name in ATTRIBUTES] for side in ("l", "r")]
    sides = bp.Comparisons.from_frame(pair, user="who", choice="won", left=names[0], right=names[1])
    frame = sides.to_frame()
    again = bp.Comparisons.from_frame(
        frame, user="who", choice="won", difference=list(sides.features.attributes)
    )
    np.testing.assert_array_equal(again.difference, sides.difference)


@pytest.mark.parametrize("none", [None, True])
@pytest.mark.parametrize("kind", ["effect", "reference"])
def test_new_data_are_brought_to_the_fitted_coding(kind: str, none: bool | None) -> None:
    frame = cards()
    if none:
        frame.loc[frame["id"] < 9, "won"] = 0
    fitted = read(frame, none=none, transform={"price": "standardise"})
    part = frame[frame.groupby("id")["brand"].transform(lambda each: (each != "A").all())]
    options: dict[str, Any] = {"coding": kind, "baseline": {"size": "M"}, "none": none}
    new = read(part, **options, transform={"price": "standardise"})
    assert new.features.codings[0].levels == ("B", "C")
    found = aligned(new, fitted, "held_out", all_contexts=True)
    expected = fitted.features.matrix(part)
    row = pd.Series(np.arange(len(part)), pd.MultiIndex.from_arrays([part["id"], part["alt"] + 1]))
    whole = np.vstack([expected, np.zeros(expected.shape[1])])
    whole[-1, -1] = 1.0 if none else 0.0
    task = new.rows.get_level_values("id")
    one, other = (
        row.reindex(pd.MultiIndex.from_arrays([task, new.rows.get_level_values(name)]))
        .fillna(-1)
        .astype(int)
        .to_numpy()
        for name in ("better", "worse")
    )
    np.testing.assert_allclose(found.difference, whole[one] - whole[other], atol=1e-12)
    assert found.features == fitted.features
    strange = read(frame.replace({"brand": {"C": "D"}}), **options)
    with pytest.raises(bp.DataError, match="held_out: attribute 'brand': level 'D' was not in the"):
        aligned(strange, read(frame, none=none), "held_out", all_contexts=True)


def test_effects_of_a_level_are_against_the_baseline_in_either_coding() -> None:
    pair = pairs(cards())
    names = [[f"{side}_brand"] for side in ("l", "r")]
    effects = {}
    for kind in ("effect", "reference"):
        data = bp.Comparisons.from_frame(
            pair, user="who", choice="won", left=names[0], right=names[1], coding=kind
        )
        posterior = made_posterior(data, bp.PooledReward())
        values = [WORTH["B"], WORTH["C"]] - (kind == "reference") * np.array(WORTH["A"])
        draws = posterior.draws.assign(mu=posterior.draws["mu"] * 0 + values)
        effects[kind] = replace(posterior, draws=draws).amce()["mean"].to_numpy()
    gain = np.array([WORTH["B"] - WORTH["A"], WORTH["C"] - WORTH["A"]])
    for found in effects.values():
        assert found == pytest.approx(2 * expit(gain) - 1)


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"brand": ["1", "2", "3"] * 60}, {}, "'brand': text '1' in row 0; a number is needed"),
        ({"brand": ["A", 1.0, "B"] * 60}, {}, "'brand': text 'A' in row 0; a number is needed"),
        ({"brand": ["A", None, "B"] * 60}, {}, "column 'brand': missing value in row 1; drop"),
        ({"brand": "A"}, {}, "attribute 'brand' is 'A' in every row, so it explains nothing"),
        ({"brand": [f"b{k % 230}x" for k in range(180)]}, {}, ""),
        (
            {"price": [1.0, 2.0, -3.0] * 60},
            {"transform": {"price": "log"}},
            "-3 has no logarithm in",
        ),
        ({"price": 2.0}, {"transform": {"price": "standardise"}}, "'price' is always 2; leave it"),
        ({}, {"coding": "dummy"}, "coding must be 'effect', 'reference' or 'steps', got 'dummy'"),
        (
            {},
            {"coding": {"brand": "x"}},
            "coding of 'brand' must be 'effect', 'reference' or 'steps', got 'x'",
        ),
        (
            {},
            {"coding": {"brnd": "effect"}},
            "coding: unknown attribute 'brnd'; did you mean 'brand'",
        ),
        (
            {},
            {"transform": {"price": "sqrt"}},
            "transform of 'price' must be 'log' or 'standardise'",
        ),
        ({}, {"transform": "log"}, "transform must be a dict by attribute, got 'log'"),
        (
            {},
            {"baseline": {"brand": "D"}},
            "baseline: attribute 'brand' has no level 'D'; its levels",
        ),
        (
            {},
            {"order": {"size": ["S", "M"]}},
            "order: attribute 'size' has a level 'L' that is not",
        ),
        (
            {},
            {"transform": {"price": "log"}, "baseline": {"price": 1.0}},
            "attribute 'price' has baseline= for levels and transform=",
        ),
    ],
)
def test_what_cannot_be_coded_is_refused_in_a_sentence(
    changes: dict[str, Any], options: dict[str, Any], message: str
) -> None:
    frame = cards().assign(**changes)
    if not message:  # 180 levels are many, and 200 the most
        assert len(read(frame, **options).features.codings[0].levels) == 180
        return
    with pytest.raises(bp.DataError, match=message):
        read(frame, **options)


def test_levels_that_no_file_can_hold_and_too_many_are_refused() -> None:
    many = cards(80).assign(brand=[f"b{k}x" for k in range(240)])
    with pytest.raises(bp.DataError, match="has 240 levels, and 200 is the most; leave it out"):
        read(many)
    with pytest.raises(bp.DataError, match=r"'d': level .* is no text, number or truth value"):
        Coding(name="d", kind="effect", levels=(pd.Timestamp("2020"),), baseline=None)
    with pytest.raises(bp.DataError, match="written alike: 1 and '1'"):
        Coding(name="d", kind="effect", levels=(1, "1"), baseline=1)
    with pytest.raises(bp.DataError, match="differences are numbers: give left= and right="):
        bp.Comparisons.from_frame(
            cards(), user="who", choice="won", difference=["price"], transform={"price": "log"}
        )
    with pytest.raises(bp.DataError, match="the items have no attributes: give items="):
        bp.Comparisons.from_items(
            cards(), user="who", left="brand", right="size", choice="won", order={"brand": ["A"]}
        )
    assert CodingOptions({"a": "effect"}).coding == {"a": "effect"}


def test_a_level_in_order_that_never_occurs_is_named_where_the_data_are_read() -> None:
    order = {"size": ["S", "M", "L", "XL"]}
    read_as = {"user": "who", "task": "id", "choice": "won", "attributes": ATTRIBUTES}
    with pytest.warns(bp.DataWarning) as said:
        data = bp.Comparisons.from_tasks(cards(), **read_as, order=order)
    (warned,) = [each for each in said if "order:" in str(each.message)]
    assert "no row has the level 'XL' of attribute 'size'" in str(warned.message)
    assert warned.filename == __file__
    assert {each.name: each.levels for each in data.features.codings}["size"] == ("S", "M", "L")
    with warnings.catch_warnings():  # categories that do not occur are usual after a selection
        warnings.simplefilter("error", bp.DataWarning)
        sizes = pd.Categorical(cards()["size"], order["size"], ordered=True)
        bp.Comparisons.from_tasks(cards().assign(size=sizes), **read_as)


@pytest.mark.parametrize("odd", [Decimal("sNaN"), [1], {}], ids=str)
@pytest.mark.parametrize("options", [{}, {"coding": {"tone": "effect"}}], ids=str)
def test_entries_without_a_hash_are_refused_in_a_sentence(odd: Any, options: dict) -> None:
    votes = pd.DataFrame({"one": ["a", "b", "c"], "other": ["b", "c", "a"], "won": [1, 0, 1]})
    for first in (0.5, "warm"):
        tone = pd.Series([first, first, odd], list("abc"), dtype=object)
        items = pd.DataFrame({"size": [1.0, 2.0, 4.0]}, index=list("abc")).assign(tone=tone)
        with pytest.raises(bp.DataError, match="'tone'"):
            bp.Comparisons.from_items(
                votes, items, left="one", right="other", choice="won", **options
            )
