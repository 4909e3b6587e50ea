"""The best combination of levels, against an enumeration by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior, made_votes

import bayes_pref as bp
from bayes_pref.draws import stack_last

LEVELS = {"brand": ["A", "B", "C"], "size": ["S", "M"]}


def posterior(**given: Any) -> bp.Posterior:
    options: dict[str, Any] = {"features": ["price"], "contexts": 0, "categories": LEVELS}
    world = bp.simulate(users=8, comparisons=12, seed=0, **(options | given))
    return made_posterior(world.comparisons)


def test_the_best_is_that_of_all_combinations_in_every_draw() -> None:
    fitted = posterior()
    found = fitted.best_profiles({"price": [0.0, 1.0]}, top=12)
    assert len(found) == 12
    assert found["mean"].is_monotonic_decreasing
    reward = np.stack(
        [
            fitted.reward_draws(found.iloc[[row]][["price", "brand", "size"]], "average")
            .to_numpy()
            .ravel()
            for row in range(12)
        ]
    )
    apart = reward - reward.mean(axis=0)
    np.testing.assert_allclose(found["mean"], apart.mean(axis=1))
    np.testing.assert_allclose(found["p_best"], (reward == reward.max(axis=0)).mean(axis=1))
    np.testing.assert_allclose(found["regret"], (reward.max(axis=0) - reward).mean(axis=1))
    assert found["p_best"].sum() == pytest.approx(1.0)
    # Uncertainty is that of the whole combination: the best of each level need not be the best.
    top = fitted.best_profiles({"price": 0.0}, top=1)
    assert len(top) == 1
    assert 0.0 < top["p_best"].iloc[0] < 1.0


def test_a_group_has_a_best_of_its_own() -> None:
    fitted = posterior()
    users = fitted.comparisons.users
    by = pd.Series(["some"] * 3 + ["others"] * 5, index=users)
    found = fitted.best_profiles({"price": 0.0}, by=by, top=6)
    some = found[found["group"] == "some"]
    assert len(some) == 6
    assert len(found) == 12
    matrix = fitted.comparisons.features.matrix(some[["price", "brand", "size"]])
    weights = stack_last(fitted.weights_draws(), "user", "feature")[:3].mean(axis=0)
    reward = matrix @ weights
    np.testing.assert_allclose(some["mean"], (reward - reward.mean(axis=0)).mean(axis=1))


def test_products_of_a_formula_are_part_of_a_combination() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"who": np.arange(60) % 6, "won": rng.integers(0, 2, 60)})
    for side in "lr":
        frame[f"brand_{side}"] = rng.choice(list("AB"), 60)
        frame[f"size_{side}"] = rng.choice([1.0, 2.0, 3.0], 60)
    sides = {side: [f"brand_{side[0]}", f"size_{side[0]}"] for side in ("left", "right")}
    data = bp.Comparisons.from_frame(
        frame, user="who", choice="won", formula="~ brand * size", **sides
    )
    found = made_posterior(data).best_profiles(top=10)
    assert len(found) == 6  # numbers of which few were shown need not be given
    assert set(found["size"]) == {1.0, 2.0, 3.0}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (None, "'price' is a number of many values"),
        ({"prize": 1.0}, "no attribute 'prize'; did you mean 'price'"),
        ({"price": 0.0, "brand": "Z"}, "level 'Z' was not in the fitted data"),
        ({"price": []}, "an attribute has none"),
        ({"price": np.arange(5000.0)}, "30,000 combinations, and 20,000 are the most"),
        ("price", "give levels by attribute"),
    ],
)
def test_what_cannot_be_combined_is_refused(values: Any, message: str) -> None:
    with pytest.raises(bp.DataError, match=message):
        posterior().best_profiles(values)


def test_items_have_no_levels_to_combine() -> None:
    with pytest.raises(bp.DataError, match=r"use posterior\.leaderboard"):
        made_posterior(made_votes()).best_profiles()
