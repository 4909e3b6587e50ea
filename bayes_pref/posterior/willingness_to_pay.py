"""Willingness to pay: what a level of an attribute, or a unit of a number, is worth in money.

With w_a what it adds to the reward and w_p < 0 the weight of a unit of money, it is -w_a / w_p,
computed in each draw. A ratio whose denominator may be 0 has no mean (Daly, Hess & Train 2012,
Transportation 39), and its interval has limits only where the sign of the denominator is known
(Fieller 1954, J. R. Stat. Soc. B 16). Where w_p >= 0 no sum of money makes up for w_a: such a draw
counts as one without limit. Medians and quantiles are then finite as long as P(w_p < 0) reaches the
upper end of the interval, and else there is no answer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import shown
from bayes_pref.posterior.attributes import attributes_of, find_attribute
from bayes_pref.posterior.estimates import estimate, user_blocks
from bayes_pref.posterior.part_worths import PartWorths, attribute_levels
from bayes_pref.posterior.products import products_of
from bayes_pref.posterior.queries import AVERAGE, Users
from bayes_pref.settings import interval as valid_interval
from bayes_pref.types import FloatArray

_NAMED = 3  # users, in a message


@dataclass(frozen=True, eq=False, repr=False)
class WillingnessToPay(PartWorths):
    """Base of `Posterior`: willingness to pay."""

    def willingness_to_pay(
        self, price: str, users: Users = AVERAGE, *, interval: float = 0.9
    ) -> pd.DataFrame:
        """Estimate what users would pay for a unit of each attribute, or a level of it.

        Parameters
        ----------
        price
            The attribute that is the price, a number.
        users
            ``"average"``: the ratio of the mean weights over all users, weighted by their survey
            weights if there are any, which is not the mean of their ratios: that need not exist;
            or as for `weights`.
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `attribute`, `level`, `baseline`, `median`, `lower`, `upper`, in raw units of
            the price; `p_price_negative`, the probability that the user's weight of the price is
            below 0

            Levels are stated against the baseline, which is None for a number. Where attributes
            interact with contexts, at the contexts' mean; where a formula multiplies them, with the
            products at their means, as in `part_worths`. The outside option is left out.

        Raises
        ------
        DataError
            If the price is no attribute, or none that is a number in its own units, a formula
            multiplies it, there is no other attribute, or a user is unknown.
        ModelError
            If the weight of the price is not known to be negative for somebody who is asked for,
            with the probability of the upper end of the interval: 0.95 for 90 %.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``, whose
        last feature people dislike:

        >>> found = posterior.willingness_to_pay("feature_4")
        >>> found["attribute"].tolist(), bool((found["p_price_negative"] > 0.95).all())
        (['feature_1', 'feature_2', 'feature_3'], True)
        """
        tail = (1.0 - valid_interval(interval)) / 2.0
        keys, matrix, money = _exchanged(price, self.comparisons)
        weights, labels = self._weights(users)
        negative = estimate(weights, money[None], lambda drawn: {"p": (drawn < 0.0).mean(axis=-1)})
        _require_negative(price, negative["p"], labels, 1.0 - tail)
        parts = []
        # A loop over blocks of users: the draws of all would be as large as the posterior.
        for block in user_blocks(weights, 2 * len(matrix) / matrix.shape[1]):
            pay = _paid(matrix @ block, (money @ block)[:, None])
            pay.sort(axis=-1)
            levels = np.array([0.5, tail, 1.0 - tail]) * pay.shape[-1]
            # A draw itself, not between two: one of them may be without limit.
            parts.append(pay[..., np.ceil(levels - 1e-9).astype(np.intp).clip(1) - 1])
        median, lower, upper = np.concatenate(parts).reshape(-1, 3).T
        each = {name: keys[name].tolist() * len(labels) for name in keys}
        return pd.DataFrame(
            {
                "user": labels.repeat(len(keys)),
                **{name: pd.Series(values, dtype=object) for name, values in each.items()},
                "median": median,
                "lower": lower,
                "upper": upper,
                "p_price_negative": negative["p"].repeat(len(keys)),
            }
        )

    def willingness_to_pay_draws(self, price: str, users: Users = None) -> xr.DataArray:
        """Return draws of what users would pay, (chain, draw, user, level), for shares of people.

        Where the weight of the price is not negative, a draw is infinite: plus for what is liked.
        Medians and shares of users can be taken of these; means and sds cannot.

        Parameters
        ----------
        price, users
            As for `willingness_to_pay`; None: every user.

        Returns
        -------
        draws: in raw units of the price, with `attribute` and `baseline` as coordinates of `level`,
            whose own labels are "attribute" for a number, and "attribute: level" else

        Raises
        ------
        DataError
            As `willingness_to_pay`.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> posterior.willingness_to_pay_draws("feature_1")["level"].values.tolist()
        ['feature_2', 'feature_3', 'feature_4']
        """
        keys, matrix, money = _exchanged(price, self.comparisons)
        labels = [
            str(name) if base is None else f"{name}: {level}"
            for name, level, base in keys.itertuples(index=False)
        ]
        both = pd.Index([*labels, ""])
        drawn = self._projected(np.vstack([matrix, money]), both, "level", users)
        values = drawn.to_numpy()
        named = {name: ("level", keys[name].to_numpy()) for name in ("attribute", "baseline")}
        pay = drawn[..., :-1].copy(data=_paid(values[..., :-1], values[..., -1:]))
        return pay.assign_coords(named).rename("willingness_to_pay")


def _exchanged(price: str, comparisons: Comparisons) -> tuple[pd.DataFrame, FloatArray, FloatArray]:
    """What can be paid for (`attribute`, `level`, `baseline`), its features, those of money."""
    described = {each.name: each for each in attribute_levels(comparisons)}
    known = attributes_of(comparisons)
    paid = find_attribute(price, known, "price")
    kind = paid.coding.kind if paid.coding is not None else None
    if paid.levels:
        raise DataError(f"price: {price!r} has levels", "name an attribute that is a number")
    if kind == "log":
        raise DataError(
            f"price: {price!r} was read as its logarithm, of which a unit is no sum of money",
            "read it without transform=",
        )
    products = products_of(comparisons.features, paid)
    if products:
        raise DataError(
            f"price: by the formula {shown(products[0].names[0])} changes with {price!r}, so that "
            "a unit of money is not worth the same beside every offer",
            "leave that product out of the formula, or compare offers with market_shares(items)",
        )
    scale = paid.coding.scale if paid.coding is not None else 1.0
    rows, parts = [], []
    for attribute in known:  # a loop over attributes
        if attribute is paid:
            continue
        each, base = described[attribute.name], attribute.baseline if attribute.levels else None
        labels, matrix = list(each.levels), each.matrix
        if base is not None:
            place = attribute.place(base, "baseline")
            matrix = np.delete(matrix - matrix[place], place, axis=0)
            del labels[place]
        rows += [(attribute.name, label, base) for label in labels]
        parts.append(matrix)
    if not parts:
        raise DataError(f"price: there is no attribute beside {price!r} to pay for")
    keys = pd.DataFrame(rows, columns=["attribute", "level", "baseline"], dtype=object)
    return keys, np.vstack(parts), described[paid.name].matrix[0] / scale


def _paid(worth: FloatArray, money: FloatArray) -> FloatArray:
    """Sums of money that make up for `worth`; infinite where its weight is not negative."""
    below = np.broadcast_to(money < 0.0, worth.shape)
    with np.errstate(over="ignore"):  # a weight near 0: the sum is as good as infinite
        return np.divide(worth, -money, out=np.copysign(np.inf, worth), where=below)


def _require_negative(price: str, probability: FloatArray, users: pd.Index, least: float) -> None:
    """Refuse a price whose weight is not known to be negative for all of these users."""
    unsure = np.flatnonzero(probability < least - 1e-9)
    if not len(unsure):
        return
    first = ", ".join(
        f"{shown(users[place])} ({probability[place]:.2f})" for place in unsure[:_NAMED]
    )
    raise ModelError(
        f"price: P(weight of {price!r} < 0) is below {least:.3g} for {len(unsure):,} of "
        f"{len(users):,} users, so that what they would pay has no limit: {first}"
        f"{', ...' if len(unsure) > _NAMED else ''}; ask for others, or fit a model with "
        f"constraints={{{price!r}: 'negative'}}"
    )
