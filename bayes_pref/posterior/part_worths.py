"""Part-worths of attributes' levels, and the importance of attributes, as in conjoint analysis.

The part-worth of a level is its part of the reward. The importance of an attribute to a user is the
range of its part-worths, as a share of the sum of the ranges of all attributes (Green & Rao 1971,
J. Mark. Res. 8); it is computed draw by draw, and then averaged over users. An attribute that is a
number has a range of its largest difference in the data, times the size of its weight.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.data.coding import Coding
from bayes_pref.errors import DataError
from bayes_pref.posterior.arviz_groups import ArvizGroups
from bayes_pref.posterior.attributes import Attribute, attributes_of
from bayes_pref.posterior.estimates import describe, describer, estimate, user_blocks
from bayes_pref.posterior.products import mean_features, products_of
from bayes_pref.posterior.queries import AVERAGE, Users, is_average
from bayes_pref.posterior.replacements import Replacement
from bayes_pref.posterior.task_distribution import shown_tasks
from bayes_pref.settings import interval as valid_interval
from bayes_pref.types import FloatArray

_STEPS = 9  # at which the reward of a number is computed that arithmetic may bend
_UNITS = {"log": "unit of the logarithm", "standardise": "standard deviation", "outside": "chosen"}


@dataclass(frozen=True)
class AttributeLevels:
    """The levels of an attribute, or a unit of a number, as features.

    Attributes
    ----------
    name
        The attribute, as the caller's tables have it.
    levels
        (L,) labels.
    matrix
        (L, d) features, interactions at the mean of the contexts.
    ends
        (e, d) features among which the range of rewards is that of the attribute.
    """

    name: str
    levels: Sequence[Any]
    matrix: FloatArray
    ends: FloatArray


def attribute_levels(comparisons: Comparisons) -> list[AttributeLevels]:
    """List the attributes of comparisons, items beside them first, the outside option last.

    Raises
    ------
    DataError
        If items have a reward each and no attributes.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=5, features=["price"], categories={"brand": ["A", "B"]}, seed=0)
    >>> [(each.name, each.levels) for each in attribute_levels(world.comparisons)]
    [('price', ['unit']), ('brand', ['A', 'B'])]
    """
    features = comparisons.features
    if features.of_items.all():
        raise DataError(
            "every item has a reward of its own here, and no attributes", "use posterior.reward()"
        )
    context = comparisons.context.mean(axis=0)
    codings = {coding.name: coding for coding in features.codings}
    known = {each.name: each for each in attributes_of(comparisons)}
    found = []
    if features.items:
        attributes = np.eye(len(features.items), len(features.attributes))
        matrix = features.expand(attributes, np.tile(context, (len(attributes), 1)))
        found.append(AttributeLevels("item", features.items, matrix, matrix))
    products = set(features.products)
    for name in features.columns[len(features.items) :]:  # a loop over attributes
        if name in products:
            continue
        coding = codings.get(name)
        columns = (name,) if coding is None else coding.columns
        places = [features.attributes.index(column) for column in columns]
        plain = coding is None or not coding.of_levels
        basis = np.eye(1) if coding is None or plain else coding.basis
        labels: list[Any] = ["unit"]
        if coding is not None:
            labels = [_UNITS[coding.kind]] if plain else list(coding.levels)
        attributes = np.zeros((len(basis), len(features.attributes)))
        attributes[:, places] = basis
        multiplied = name in known and bool(products_of(features, known[name]))
        if multiplied:
            attributes = _on_average(comparisons, known[name], basis)
        matrix = features.expand(attributes, np.tile(context, (len(basis), 1)))
        ends = matrix
        if plain and multiplied:
            ends = _over_the_range(comparisons, known[name], context)
        elif plain:
            span = _span(comparisons, places[0], codings)
            ends = np.vstack([0.0 * matrix, span * matrix])
        found.append(AttributeLevels(name, labels, matrix, ends))
    return found


def _on_average(comparisons: Comparisons, attribute: Attribute, basis: FloatArray) -> FloatArray:
    """(L, k) attributes of levels, or of one unit more, with products averaged over those shown."""
    if attribute.levels:
        each = Replacement(attribute, attribute.levels, 0, basis)
        return mean_features(comparisons, each)
    half = np.array([[-0.5], [0.5]])
    less, more = mean_features(comparisons, Replacement(attribute, (0, 1), 0, half, relative=True))
    return np.asarray(more - less)[None]


def _over_the_range(
    comparisons: Comparisons, attribute: Attribute, context: FloatArray
) -> FloatArray:
    """(e, d) features of numbers from the smallest to the largest that were shown."""
    tasks = shown_tasks(comparisons)
    shown = tasks.profiles[~tasks.outside][:, attribute.places]
    values = np.linspace(shown.min(axis=0), shown.max(axis=0), _STEPS)
    made = mean_features(comparisons, Replacement(attribute, tuple(range(_STEPS)), 0, values))
    return comparisons.features.expand(made, np.tile(context, (_STEPS, 1)))


def _span(comparisons: Comparisons, column: int, codings: Mapping[str, Coding]) -> float:
    """Largest difference of a number between alternatives, the outside option aside.

    What is missing of the outside option counts as 0, which nobody was offered.
    """
    values, names = comparisons.difference[:, column], comparisons.features.attributes
    outside = [each.columns[0] for each in codings.values() if not each.has_range]
    if not outside or names[column] in outside:
        return float(np.abs(values).max())
    other = comparisons.difference[:, names.index(outside[0])]
    if (other == 0).any():
        return float(np.abs(values[other == 0]).max())
    return float(np.ptp(-values * other))  # each is compared with the outside option alone


@dataclass(frozen=True, eq=False, repr=False)
class PartWorths(ArvizGroups):
    """Base of `Posterior`: part-worths and importances."""

    def part_worths(self, users: Users = AVERAGE, *, interval: float = 0.9) -> pd.DataFrame:
        """Estimate the part-worth of every level of every attribute, baselines included.

        Parameters
        ----------
        users
            ``"average"``: the mean over all users, weighted by their survey weights if there are
            any, with the interval of that mean; or as for `weights`.
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `attribute`, `level`, `mean`, `sd`, `lower`, `upper`, log-odds; of a number,
            the level is its unit. Where attributes interact with contexts, at the contexts' mean.
            Where a formula multiplies attributes, the products are part of the part-worths of each,
            at their means over all that was shown; of a number, half a unit up against half a unit
            down. Such part-worths of two attributes do not add up to the reward of an item:
            `reward` and `market_shares` take the products as they are

        Raises
        ------
        DataError
            If a user is unknown, items have no attributes, or a formula multiplies an attribute
            that does not stand alone in it.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> levels = {"brand": ["A", "B", "C"]}
        >>> world = bp.simulate(users=20, features=0, contexts=0, categories=levels, seed=0)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
        >>> posterior.part_worths()[["user", "attribute", "level"]].values.tolist()
        [['average', 'brand', 'A'], ['average', 'brand', 'B'], ['average', 'brand', 'C']]
        >>> bool(abs(posterior.part_worths()["mean"].sum()) < 1e-9)  # effect coded
        True
        """
        described = attribute_levels(self.comparisons)
        weights, labels = self._weights(users)
        matrix = np.vstack([each.matrix for each in described])
        columns = estimate(weights, matrix, describer(interval))
        rows = [(each.name, level) for each in described for level in each.levels]
        attributes, levels = zip(*rows, strict=True)
        keys = {
            "user": labels.repeat(len(rows)),
            "attribute": list(attributes) * len(labels),
            "level": pd.Series(list(levels) * len(labels), dtype=object),
        }
        return pd.DataFrame(keys | columns)

    def importance(self, users: Users = AVERAGE, *, interval: float = 0.9) -> pd.DataFrame:
        """Estimate how important attributes are: the range of their part-worths, as a share.

        Parameters
        ----------
        users
            ``"average"``: the mean over all users, weighted by their survey weights if there are
            any, with the interval of that mean; or as for `weights`.
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `attribute`, `mean`, `sd`, `lower`, `upper`; the means of a user sum to 1

            The range of a number is that of its largest difference in the data, the outside
            option aside, which is no attribute either. Ranges are not below 0, so that an
            attribute about which the data say little has a share, too. Of a number that a formula
            multiplies, it is the range of its part-worths from the smallest value that was shown to
            the largest, and of every such attribute with products at their means.

        Raises
        ------
        DataError
            As `part_worths`.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> posterior.importance()["attribute"].tolist()
        ['feature_1', 'feature_2', 'feature_3', 'feature_4']
        >>> round(float(posterior.importance()["mean"].sum()), 6)
        1.0
        """
        interval = valid_interval(interval)
        outside = {each.name for each in self.comparisons.features.codings if not each.has_range}
        every = attribute_levels(self.comparisons)
        described = [each for each in every if each.name not in outside]
        weights, labels = self._weights(None if is_average(users) else users)
        shares = (_shares(block, described) for block in user_blocks(weights))
        if is_average(users):
            total, start = np.zeros(()), 0
            for block in shares:  # of users
                part = self.comparisons.user_shares[start : start + len(block)]
                total, start = total + np.tensordot(part, block, 1), start + len(block)
            parts, labels = [describe(total[None], interval)], pd.Index([AVERAGE])
        else:
            parts = [describe(block, interval) for block in shares]
        columns = {
            name: np.concatenate([part[name].ravel() for part in parts]) for name in parts[0]
        }
        keys = {
            "user": labels.repeat(len(described)),
            "attribute": [each.name for each in described] * len(labels),
        }
        return pd.DataFrame(keys | columns)


def _shares(weights: FloatArray, described: Sequence[AttributeLevels]) -> FloatArray:
    """(user, attribute, sample) shares of the ranges of attributes, at draws of users' weights."""
    ranges = np.stack([np.ptp(each.ends @ weights, axis=1) for each in described], axis=1)
    total = ranges.sum(axis=1, keepdims=True)
    equal = np.full_like(ranges, 1.0 / len(described))  # where no attribute matters at all
    return np.asarray(np.divide(ranges, total, out=equal, where=total > 0))
