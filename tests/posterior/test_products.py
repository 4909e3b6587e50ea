"""Products by a formula follow the attributes that they are made of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior
from raw_tables import PRICED, SIDES, priced_votes

import bayes_pref as bp
from bayes_pref.draws import stack_last
from bayes_pref.types import FloatArray


def side(frame: pd.DataFrame, which: str) -> pd.DataFrame:
    return frame[[f"{name}_{which}" for name in PRICED]].set_axis(list(PRICED), axis=1)


def read(formula: str, **given: Any) -> bp.Posterior:
    data = bp.Comparisons.from_frame(
        priced_votes(), user="who", choice="won", formula=formula, **SIDES, **given
    )
    return made_posterior(data)


def draws(posterior: bp.Posterior) -> FloatArray:
    return stack_last(posterior.weights_draws(), "user", "feature")


def chosen(posterior: bp.Posterior, **changes: Any) -> FloatArray:
    """Chance of an alternative with other values, over users and alternatives, in each draw."""
    frame, total = priced_votes(), 0.0
    features, weights = posterior.comparisons.features, draws(posterior)
    for own, other in ("ab", "ba"):
        ours = side(frame, own)
        ours = ours.assign(**{name: change(ours[name]) for name, change in changes.items()})
        apart = features.matrix(ours) - features.matrix(side(frame, other))
        total = total + (1.0 / (1.0 + np.exp(-np.einsum("nd,uds->nus", apart, weights)))) / 2.0
    return np.asarray(total).mean(axis=(0, 1))


def to(value: Any) -> Any:
    return lambda shown: [value] * len(shown)


def test_the_effect_of_an_attribute_is_that_of_its_products_too() -> None:
    posterior = read("~ price * brand + quality + I(quality ** 2)")
    found = posterior.amce("observed").set_index(["attribute", "level"])["mean"]
    brand = chosen(posterior, brand=to("B")) - chosen(posterior, brand=to("A"))
    price = chosen(posterior, price=lambda x: x + 0.5) - chosen(posterior, price=lambda x: x - 0.5)
    bent = chosen(posterior, quality=lambda x: x + 0.5) - chosen(
        posterior, quality=lambda x: x - 0.5
    )
    # Averages over 6,000 tasks: an error of at most 0.5 / sqrt(6000) = 0.0065.
    assert found["brand", "B"] == pytest.approx(brand.mean(), abs=0.02)
    assert found["price", "unit"] == pytest.approx(price.mean(), abs=0.02)
    assert found["quality", "unit"] == pytest.approx(bent.mean(), abs=0.02)
    # Products that stay as they were give another answer.
    frozen = posterior.comparisons.features
    held = replace(posterior.comparisons, features=replace(frozen, formula=None))
    wrong = replace(posterior, comparisons=held).amce("observed", attributes="brand")
    assert abs(wrong["mean"].iloc[0] - brand.mean()) > 0.05
    both = posterior.acie("brand", "price", values={"price": (2.0, 8.0)})
    row = both[both["level"] == "B"].iloc[0]
    corners = [
        chosen(posterior, brand=to(one), price=to(two)).mean()
        for one in ("B", "A")
        for two in (8.0, 2.0)
    ]
    expected = corners[0] - corners[1] - corners[2] + corners[3]
    assert row["mean"] == pytest.approx(expected, abs=0.03)


def test_part_worths_hold_products_at_their_means() -> None:
    posterior = read("~ log(price) * brand + quality")
    features, weights = posterior.comparisons.features, draws(posterior)
    frame = priced_votes()
    every = pd.concat([side(frame, "a"), side(frame, "b")], ignore_index=True)

    def mean(**values: Any) -> FloatArray:
        changed = every.assign(**values)
        return np.asarray(features.matrix(changed).mean(axis=0) @ weights.mean(axis=0))

    found = posterior.part_worths().set_index(["attribute", "level"])["mean"]
    difference = mean(brand="C") - mean(brand="A")
    assert found["brand", "C"] - found["brand", "A"] == pytest.approx(difference.mean())
    half = np.exp(0.5)
    slope = mean(price=every["price"] * half) - mean(price=every["price"] / half)
    assert found["price", "unit of the logarithm"] == pytest.approx(slope.mean())
    shares = posterior.importance()
    assert shares["attribute"].tolist() == ["price", "brand", "quality"]
    assert shares["mean"].sum() == pytest.approx(1.0)
    who = posterior.polarisation("brand")
    assert who["level"].unique().tolist() == ["B", "C"]
    effects = bp.sensitivity(posterior).table.set_index(["attribute", "level"])["mean"]
    assert effects["brand", "C"] == pytest.approx(difference.mean())


def test_willingness_to_pay_with_products_of_what_is_paid_for() -> None:
    posterior = read("~ price + brand * quality")
    paid = posterior.willingness_to_pay_draws("price", "average")
    assert paid["level"].to_numpy().tolist() == ["brand: B", "brand: C", "quality"]
    weights = posterior.weights_draws("average").isel(user=0)
    money = weights.sel(feature="price").to_numpy()
    frame = priced_votes()
    quality = pd.concat([side(frame, "a"), side(frame, "b")])["quality"].mean()
    worth = weights.sel(feature="brand[B]") + quality * weights.sel(feature="brand[B]:quality")
    negative = money < 0.0
    assert negative.any()
    found = paid.sel(level="brand: B").isel(user=0).to_numpy()
    np.testing.assert_allclose(found[negative], (-worth.to_numpy() / money)[negative])
    with pytest.raises(bp.DataError, match="a unit of money is not worth the same"):
        read("~ price * brand").willingness_to_pay("price")


@pytest.mark.parametrize("ask", ["part_worths", "importance", "polarisation"])
def test_what_a_product_hides_is_refused_with_what_to_do(ask: str) -> None:
    posterior = read("~ price + price:quality")
    with pytest.raises(bp.DataError, match=r"'quality', which does not .*add \+ quality"):
        getattr(posterior, ask)()
    with pytest.raises(bp.DataError, match=r"add \+ quality to the formula"):
        posterior.amce("observed")
    with pytest.raises(bp.DataError, match="give over='observed', say"):
        read("~ price * quality").amce()


def test_a_standardised_or_centred_number_stands_alone() -> None:
    posterior = read("~ scale(price) + center(quality)")
    assert posterior.comparisons.feature_names == ("standardise(price)", "quality")
    assert posterior.part_worths()["level"].tolist() == ["standard deviation", "unit"]
