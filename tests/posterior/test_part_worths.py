"""Part-worths and importances against their definitions, draw by draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_posteriors import draws_by_feature, made_posterior, made_votes

import bayes_pref as bp
from bayes_pref.posterior.part_worths import attribute_levels

LEVELS = {"brand": ["A", "B", "C"], "size": ["S", "L"]}


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    world = bp.simulate(
        users=6, features=["price"], categories=LEVELS, alternatives=3, none=True, contexts=0
    )
    return made_posterior(world.comparisons)


def test_part_worths_are_those_of_all_levels(posterior: bp.Posterior) -> None:
    w = draws_by_feature(posterior)
    expected = {
        ("price", "unit"): w["price"],
        ("brand", "A"): -w["brand[B]"] - w["brand[C]"],
        ("brand", "B"): w["brand[B]"],
        ("brand", "C"): w["brand[C]"],
        ("size", "S"): -w["size[L]"],
        ("size", "L"): w["size[L]"],
        ("none", "chosen"): w["none"],
    }
    average = posterior.part_worths(interval=0.8).set_index(["attribute", "level"])
    users = posterior.part_worths(None, interval=0.8).set_index(["attribute", "level", "user"])
    assert list(average.index) == list(expected)
    for key, draws in expected.items():
        mean = draws.mean(axis=0)
        found = average.loc[key, ["mean", "lower", "upper"]].to_numpy(float)
        assert found == pytest.approx([mean.mean(), *np.quantile(mean, [0.1, 0.9])])
        for user, each in zip(posterior.comparisons.users, draws, strict=True):
            found = users.loc[(*key, user), ["mean", "lower"]].to_numpy(float)
            assert found == pytest.approx([each.mean(), np.quantile(each, 0.1)])
    assert set(posterior.part_worths("population")["user"]) == {"population"}


def test_importance_is_the_share_of_the_range(posterior: bp.Posterior) -> None:
    w, data = draws_by_feature(posterior), posterior.comparisons
    brand = np.stack([-w["brand[B]"] - w["brand[C]"], w["brand[B]"], w["brand[C]"]])
    offers = data.difference[:, -1] == 0  # not compared with none of them
    ranges = {
        "price": np.abs(w["price"]) * np.abs(data.difference[offers, 0]).max(),
        "brand": brand.max(axis=0) - brand.min(axis=0),
        "size": 2 * np.abs(w["size[L]"]),
    }
    total = sum(ranges.values())
    average = posterior.importance(interval=0.8).set_index("attribute")
    users = posterior.importance(None).set_index(["attribute", "user"])
    assert list(average.index) == list(ranges)  # the outside option is none of them
    for name, each in ranges.items():
        share = each / total
        found = average.loc[name, ["mean", "lower", "upper"]].to_numpy(float)
        of_mean = share.mean(axis=0)
        assert found == pytest.approx([of_mean.mean(), *np.quantile(of_mean, [0.1, 0.9])])
        assert users.loc[name, "mean"].to_numpy() == pytest.approx(share.mean(axis=1))
    assert average["mean"].sum() == pytest.approx(1.0)


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_range_of_a_number_is_that_of_what_was_offered(size: int) -> None:
    rows = np.arange(30 * size)
    frame = pd.DataFrame(
        {
            "who": rows // (3 * size),
            "task": rows // size,
            "price": 300.0 + rows % 4,  # far from 0, which stands for the price of none of them
            "brand": [["A", "B"][row // 2 % 2] for row in rows],
            "bought": rows % (2 * size) == 0,
        }
    )
    roles = {"user": "who", "task": "task", "choice": "bought"}
    data = bp.Comparisons.from_tasks(frame, **roles, attributes=["price", "brand"], none=True)
    price, brand = attribute_levels(data)[:2]
    # The largest difference from what was chosen: the first row of every other task.
    assert np.ptp(price.ends[:, 0]) == {1: 3.0, 2: 1.0, 3: 2.0}[size]
    assert np.ptp(brand.ends[:, 1]) == 2.0


def test_neither_depends_on_the_coding() -> None:
    world = bp.simulate(users=5, features=["price"], categories=LEVELS, alternatives=3, seed=1)
    roles = {"user": "user", "task": "task", "choice": "choice"}
    found = {}
    for kind in ("effect", "reference"):
        data = bp.Comparisons.from_tasks(
            world.frame, **roles, attributes=["price", *LEVELS], coding=kind
        )
        posterior = made_posterior(data)
        rng = np.random.default_rng(0)
        shape = (*posterior.draws["weights"].shape[:3], 3)
        brand = rng.normal(size=shape) + np.array([0.5, 0.0, -0.5])
        brand -= brand.mean(axis=-1, keepdims=True)
        size, price = rng.normal(size=(2, *shape[:3]))
        baseline = kind == "reference"
        values = [price, *(brand[..., k] - baseline * brand[..., 0] for k in (1, 2))]
        values += [(1 + baseline) * size]
        draws = posterior.draws["weights"].copy(data=np.stack(values, axis=-1))
        made = type(posterior)(
            posterior.model,
            data,
            posterior.draws.assign(weights=draws),
            posterior.sample_stats,
            posterior.run,
            posterior.seed,
        )
        found[kind] = made.importance(None)["mean"].to_numpy()
        worths = made.part_worths().set_index(["attribute", "level"])["mean"]
        difference = worths["brand", "B"] - worths["brand", "A"]
        assert difference == pytest.approx((brand[..., 1] - brand[..., 0]).mean())
        assert (worths["brand", "A"] == 0) == baseline
    assert found["effect"] == pytest.approx(found["reference"])


def test_an_interaction_counts_at_the_mean_of_its_context() -> None:
    world = bp.simulate(users=5, features=["price"], categories=LEVELS, interactions=True, seed=2)
    posterior = made_posterior(world.comparisons)
    w, mean = draws_by_feature(posterior), world.comparisons.context.mean()
    expected = w["size[L]"] + mean * w["size[L]:context_1"]
    worths = posterior.part_worths(None).query("attribute == 'size' and level == 'L'")["mean"]
    assert worths.to_numpy() == pytest.approx(expected.mean(axis=1))


def test_items_without_attributes_have_neither() -> None:
    posterior = made_posterior(made_votes())
    for refused in (posterior.importance, posterior.part_worths):
        with pytest.raises(bp.DataError, match="every item has a reward of its own here, and no"):
            refused()
