"""Willingness to pay against ratios of draws, and where there is none."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_posteriors import draws_by_feature, made_posterior, made_votes

import bayes_pref as bp

KEYS = ["attribute", "level", "baseline"]


def with_price(posterior: bp.Posterior, price: np.ndarray) -> bp.Posterior:
    """Give users these weights (user, sample) of the price, which is the first feature."""
    weights = posterior.draws["weights"].copy(deep=True)
    chains, draws = weights.sizes["chain"], weights.sizes["draw"]
    values = np.moveaxis(price.reshape(-1, chains, draws), 0, 2)
    weights[{"feature": 0}] = values
    return replace(posterior, draws=posterior.draws.assign(weights=weights))


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    world = bp.simulate(
        users=4,
        features=["price", "camera"],
        categories={"brand": ["A", "B", "C"]},
        alternatives=3,
        none=True,
        contexts=0,
    )
    made = made_posterior(world.comparisons)
    return with_price(made, -np.exp(np.random.default_rng(0).normal(size=(4, 100))))


def test_it_is_the_ratio_of_draws(posterior: bp.Posterior) -> None:
    w = draws_by_feature(posterior)
    gained = {
        ("camera", "unit", None): w["camera"],
        ("brand", "B", "A"): 2 * w["brand[B]"] + w["brand[C]"],  # effect coded
        ("brand", "C", "A"): w["brand[B]"] + 2 * w["brand[C]"],
    }
    users = posterior.willingness_to_pay("price", None, interval=0.8)
    average = posterior.willingness_to_pay("price", interval=0.8)
    assert list(average[KEYS].itertuples(index=False, name=None)) == list(gained)
    drawn = posterior.willingness_to_pay_draws("price")
    assert drawn["level"].to_numpy().tolist() == ["camera", "brand: B", "brand: C"]
    for place, worth in enumerate(gained.values()):
        of_users, of_average = -worth / w["price"], -worth.mean(axis=0) / w["price"].mean(axis=0)
        for found, pay in ((users, of_users), (average, of_average[None])):
            rows = found.iloc[place :: len(gained)]
            for column, level in (("median", 0.5), ("lower", 0.1), ("upper", 0.9)):
                expected = np.quantile(pay, level, axis=1, method="inverted_cdf")
                np.testing.assert_allclose(rows[column], expected)
        each = drawn.isel(level=place).transpose("user", "chain", "draw").to_numpy()
        np.testing.assert_allclose(each.reshape(4, -1), of_users)
    assert list(users["user"].unique()) == list(posterior.comparisons.users)
    assert (users["p_price_negative"] == 1.0).all()


def test_a_draw_whose_price_is_not_negative_has_no_limit(posterior: bp.Posterior) -> None:
    price = -np.ones((4, 100))
    price[0, :5], price[1, :6], price[2, :2] = 0.0, 1e-300, 1.0
    changed = with_price(posterior, price)
    first = posterior.comparisons.users[0]
    found = changed.willingness_to_pay("price", [first]).set_index("attribute").loc["camera"]
    camera = draws_by_feature(changed)["camera"][0].copy()
    camera[:5] = np.copysign(np.inf, camera[:5])
    for column, place in (("lower", 4), ("median", 49), ("upper", 94)):
        assert found[column] == np.sort(camera)[place]
    assert np.isfinite([found["lower"], found["upper"]]).all()
    assert found["p_price_negative"] == 0.95
    infinite = np.isinf(changed.willingness_to_pay_draws("price")).sum(("chain", "draw"))
    assert infinite.sel(level="camera").to_numpy().tolist() == [5, 6, 2, 0]


def test_users_whose_price_may_not_matter_are_named(posterior: bp.Posterior) -> None:
    price = -np.ones((4, 100))
    price[1, :6] = 1e-300
    with pytest.raises(bp.ModelError) as caught:
        with_price(posterior, price).willingness_to_pay("price", None)
    second = posterior.comparisons.users[1]
    assert f"for 1 of 4 users, so that what they would pay has no limit: {second!r} (0.94)" in str(
        caught.value
    )


def read_prices(**options: str) -> bp.Comparisons:
    """Pairs of offers with a price and a camera, the price transformed or not."""
    values = np.random.default_rng(0).normal(size=(20, 4)).cumsum(axis=0)
    frame = pd.DataFrame(values, columns=["price_l", "price_r", "camera_l", "camera_r"])
    frame[["price_l", "price_r"]] += 300.0
    frame = frame.assign(who=np.arange(20) % 4, chosen=np.arange(20) % 3 == 0)
    sides = {"left": ["price_l", "camera_l"], "right": ["price_r", "camera_r"]}
    return bp.Comparisons.from_frame(
        frame, user="who", choice="chosen", **sides, transform=options or None
    )


def test_a_standardised_price_is_in_its_own_units() -> None:
    price = -np.exp(np.random.default_rng(0).normal(size=(4, 100)))
    plain, scaled = (
        with_price(made_posterior(read), price)
        for read in (read_prices(), read_prices(price="standardise"))
    )
    [coding] = scaled.comparisons.features.codings
    assert coding.scale != 1.0
    found = scaled.willingness_to_pay("price", None)["median"]
    expected = coding.scale * plain.willingness_to_pay("price", None)["median"]
    np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ("prize", "there is no attribute 'prize'; did you mean 'price'?"),
        ("brand", "price: 'brand' has levels"),
    ],
)
def test_what_is_no_price_is_refused(posterior: bp.Posterior, price: str, said: str) -> None:
    with pytest.raises(bp.DataError, match=said.replace("?", r"\?")):
        posterior.willingness_to_pay(price)


def test_a_price_needs_units_and_something_to_pay_for() -> None:
    alone = bp.simulate(users=4, features=["price"], contexts=0, seed=0).comparisons
    with pytest.raises(bp.DataError, match="no attribute beside 'price'"):
        made_posterior(alone).willingness_to_pay("price")
    with pytest.raises(bp.DataError, match="'price' was read as its logarithm"):
        made_posterior(read_prices(price="log")).willingness_to_pay("price")
    with pytest.raises(bp.DataError, match="reward of its own"):
        made_posterior(made_votes()).willingness_to_pay("price")
