"""Non-identified directions: their features, and the reason in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.data.readers.items import ItemPairs
from bayes_pref.diagnostics.identifiability.separation import Separation
from bayes_pref.diagnostics.task_sets import from_the_mean
from bayes_pref.messages import listed
from bayes_pref.types import FloatArray, IntArray, Mask

_SIZEABLE = 0.1  # of the largest loading; smaller loadings are estimation error
_ALIKE = 0.9  # correlation above which two features are said to be hardly separated
_NEVER = 1e-5  # rms of a unit combination of scaled features, up to which it never varies


@dataclass(frozen=True, eq=False)
class NonIdentified:
    """Non-identified directions, each with as few features as possible.

    Attributes
    ----------
    vectors
        (d, m) unit vectors over scaled features, independent but not orthogonal.
    named
        (d, m) the same, where rewards of items are relative to those of most items.
    space
        (d, m) orthonormal basis of their span.
    names
        (d,) names of the features.
    reasons
        (m,) reasons why the data do not identify them, without a full stop.
    """

    vectors: FloatArray
    named: FloatArray
    space: FloatArray
    names: tuple[str, ...]
    reasons: tuple[str, ...]

    @classmethod
    def of(
        cls,
        comparisons: Comparisons,
        scaled: FloatArray,
        space: FloatArray,
        separation: Separation,
    ) -> NonIdentified:
        """Describe a space by directions with few features.

        Parameters
        ----------
        comparisons
            The fitted comparisons.
        scaled
            (n, d) what users compared, as `compared` gives it, on scaled features.
        space
            (d, m) orthonormal basis of the non-identified space.
        separation
            Directions in which the choices bound no size.
        """
        if comparisons.features.indicators:
            space = _between_items(comparisons, space)
        named = sparse_basis(against_most(comparisons, space))
        vectors = named
        if comparisons.features.indicators:
            # Words are about the items that stand apart; numbers, about what pairs can show.
            vectors = space @ (space.T @ named)
            vectors = vectors / np.linalg.norm(vectors, axis=0)
        names = comparisons.feature_names
        bounded = np.linalg.norm(vectors.T @ separation.directions, axis=1) < 0.5
        each = zip(named.T, bounded.tolist(), strict=True)
        reasons = tuple(_reason(comparisons, scaled, *found) for found in each)
        return cls(vectors, named, space, names, reasons)

    def dominating(self, asked: FloatArray) -> IntArray:
        """Return (n,) the direction with the largest share of scaled pairs (n, d); -1 if none."""
        if not self.vectors.shape[1]:
            return np.full(len(asked), -1, dtype=np.int64)
        shares = asked @ self.space @ np.linalg.pinv(self.space.T @ self.vectors).T
        return np.asarray(np.abs(shares).argmax(axis=1), dtype=np.int64)

    def frame(self, shares: FloatArray, sds: FloatArray) -> pd.DataFrame:
        """Return one row for each direction and feature in it; `shares` and `sds` are (m,)."""
        feature, direction = np.nonzero(_taking_part(self.named))
        order = np.lexsort((feature, direction))
        feature, direction = feature[order], direction[order]
        reasons = np.asarray(self.reasons, dtype=object)
        return pd.DataFrame(
            {
                "direction": direction,
                "feature": np.asarray(self.names, dtype=object)[feature],
                "loading": self.named[feature, direction],
                "prior_share": shares[direction],
                "sd": sds[direction],
                "reason": reasons[direction] if len(reasons) else reasons,
            }
        )


def compared(comparisons: Comparisons) -> FloatArray:
    """Return what users compared, raw units: the differences of pairs, (n, d).

    Of choices among several these are the alternatives of every stage, minus their mean.
    """
    outcome = comparisons.outcome
    if isinstance(outcome, Ranking):
        return from_the_mean(comparisons.difference, outcome.stage)[0]
    return comparisons.difference


def sparse_basis(space: FloatArray) -> FloatArray:
    """Find a sparse basis of a space by Gauss-Jordan elimination.

    Parameters
    ----------
    space
        (d, m) independent columns.

    Returns
    -------
    basis: (d, m) unit columns with the same span; in one row, only that column is nonzero, and
        positive

    Examples
    --------
    >>> mixed = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]])
    >>> sparse_basis(mixed).round(2).T.tolist()
    [[0.71, -0.71, 0.0], [0.0, 0.0, 1.0]]
    """
    rows = space.T.copy()
    pivots: list[int] = []
    for step in range(len(rows)):  # full pivoting
        rest = np.abs(rows[step:])
        rest[:, pivots] = 0.0
        # The first of entries that are equal up to rounding.
        best = np.argmax(rest > 0.999 * rest.max()) if rest.size else 0
        row, column = divmod(int(best), rows.shape[1])
        rows[[step, step + row]] = rows[[step + row, step]]
        rows[step] /= rows[step, column]
        others = np.arange(len(rows)) != step
        rows[others] -= np.outer(rows[others, column], rows[step])
        pivots.append(column)
    basis = rows[np.argsort(pivots, kind="stable")].T
    return np.asarray(basis / np.linalg.norm(basis, axis=0))


def correlation(rows: FloatArray, one: int, other: int) -> float:
    """Correlation of two columns of differences about zero; 0 if a column is zero.

    The mean is taken as zero, since which side is left is arbitrary.

    Examples
    --------
    >>> correlation(np.array([[1.0, 2.0], [3.0, 6.0]]), 0, 1)
    1.0
    """
    squares = float(rows[:, one] @ rows[:, one]) * float(rows[:, other] @ rows[:, other])
    return float(rows[:, one] @ rows[:, other]) / squares**0.5 if squares else 0.0


def item_pairs(comparisons: Comparisons) -> ItemPairs:
    """Which two items each row compares, where every item has its own reward."""
    places = item_places(comparisons)
    items = comparisons.difference[:, places]
    if comparisons.catalogue is None or len(comparisons.catalogue) < len(places):
        catalogue = pd.DataFrame(index=pd.Index(comparisons.features.names).take(places))
    else:
        catalogue = comparisons.catalogue
    return ItemPairs(catalogue, items.argmax(axis=1), items.argmin(axis=1))


def item_places(comparisons: Comparisons) -> IntArray:
    """(k,) features of items with a reward each, and of an outside option beside them."""
    return comparisons.features.level_blocks[0][1]


def item_groups(comparisons: Comparisons) -> IntArray:
    """(k,) connected component of each of `item_places` in the graph of comparisons.

    An item without comparisons is a component of its own.
    """
    k = len(item_places(comparisons))
    compared, group = item_pairs(comparisons).groups()
    groups = np.full(k, -1, dtype=np.int64)
    groups[compared] = group
    alone = groups < 0
    groups[alone] = group.max() + 1 + np.arange(alone.sum())
    return groups


def _between_items(comparisons: Comparisons, space: FloatArray) -> FloatArray:
    """Remove the gain that all items share, which no comparison of two items can show."""
    shared = _gains_of_all(comparisons)
    shared /= np.linalg.norm(shared, axis=0)
    left, size, _ = np.linalg.svd(space - shared @ (shared.T @ space), full_matrices=False)
    return np.asarray(left[:, size > 0.5])


def _gains_of_all(comparisons: Comparisons) -> FloatArray:
    """(d, b) the same gain of all items, and of an outside option, on scaled features.

    One for their rewards and one for the products with each context: the sum of these features is 0
    in every pair. The unit of an outside option is not that of items, which is 1.
    """
    blocks = comparisons.features.level_blocks
    made = np.zeros((comparisons.n_features, len(blocks)))
    for column, (_, every) in enumerate(blocks):
        made[every, column] = comparisons.feature_scale[every]
    return made


def against_most(comparisons: Comparisons, directions: FloatArray) -> FloatArray:
    """Give rewards of items relative to those of most items.

    Comparisons show differences alone: that one item gains, and that all others lose, is the same
    direction. The median is taken away, so that the items that stand apart keep a loading.

    Parameters
    ----------
    comparisons
        The fitted comparisons.
    directions
        (d, m) over scaled features; returned as they are where features are no items.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> votes = pd.DataFrame({"who": 1, "left": list("aabd"), "right": list("bcca"), "won": 1})
    >>> read = bp.Comparisons.from_items(
    ...     votes, user="who", left="left", right="right", choice="won"
    ... )
    >>> against_most(read, np.array([[-0.3], [-0.3], [-0.3], [0.9]])).round(1).ravel().tolist()
    [0.0, 0.0, 0.0, 1.2]
    """
    if not comparisons.features.indicators or not directions.shape[1]:
        return directions
    relative = directions.copy()
    for gain in _gains_of_all(comparisons).T:
        block = gain > 0
        unit = gain[block, None]
        relative[block] -= unit * np.median(relative[block] / unit, axis=0)
    return relative


def _taking_part(vectors: FloatArray) -> Mask:
    sizes = np.abs(vectors)
    return np.asarray(sizes >= _SIZEABLE * sizes.max(axis=0, initial=0.0))


def _reason(
    comparisons: Comparisons,
    scaled: FloatArray,
    vector: FloatArray,
    bounded: bool,
) -> str:
    """Say why the data do not identify a direction, of which the choices may bound the size."""
    names = comparisons.feature_names
    taking = np.flatnonzero(_taking_part(vector))
    named = [names[k] for k in taking]
    noun = "set" if isinstance(comparisons.outcome, Ranking) else "pair"
    values = scaled[:, taking] @ vector[taking]
    never = float(np.sqrt(np.mean(values**2))) <= _NEVER
    if comparisons.features.of_items[taking].all() and never:
        apart = item_pairs(comparisons).disconnected(one_reward_each=True)
        if apart:
            return apart
    if never and len(named) == 1:
        return f"{listed(named)} never differs within a {noun} in your data"
    same = _single_context(comparisons, named) if never else ""
    if same:
        return same
    if not never and not bounded:
        return (
            f"all choices that depend on {listed(named)} agree (complete separation): the sign is "
            "identified but the magnitude is not"
        )
    if len(named) == 2 and abs(correlation(scaled, *taking)) > _ALIKE:
        found = correlation(scaled, *taking)
        verb = "never" if never else "hardly"
        return f"the data {verb} separate {listed(named)} (correlation {found:.2f} in your {noun}s)"
    if never:
        return f"the data never separate {listed(named)}: {_written(named, vector[taking], noun)}"
    differing = int((np.abs(values) > _NEVER).sum())
    what = "pairs" if noun == "pair" else "alternatives"
    return (
        f"{differing:,} of {len(scaled):,} {what} are informative about {listed(named)}, and "
        "together they are less informative than the prior"
    )


def _single_context(comparisons: Comparisons, named: list[str]) -> str:
    """Name the constant context that makes a feature and its product with it collinear."""
    features = comparisons.features
    pairs = {
        f"{attribute}": (attribute, "") for attribute in features.attributes if attribute in named
    }
    products = dict(
        zip(features.names[len(features.attributes) :], features.interactions, strict=True)
    )
    pairs |= {name: products[name] for name in named if name in products}
    contexts = sorted({context for _, context in pairs.values() if context})
    columns = [features.contexts.index(context) for context in contexts]
    values = comparisons.context[:, columns]
    if not contexts or len({attribute for attribute, _ in pairs.values()}) != 1:
        return ""
    if (values != values[0]).any():
        return ""
    only = " and ".join(
        f"{name!r} is always {value:g}" for name, value in zip(contexts, values[0], strict=True)
    )
    return f"{only} in your data, so {listed(named)} cannot be told apart"


def _written(named: list[str], loadings: FloatArray, noun: str, limit: int = 5) -> str:
    """Write the combination of features that is the same for all that is compared."""
    where = "on both sides of a pair" if noun == "pair" else "for all of a set"
    if len(named) > limit:
        return f"a combination of these {len(named):,} features is the same {where}"
    relative = loadings / np.abs(loadings).max()
    terms = [
        f"{'-' if value < 0 else '+'} {'' if abs(value) > 0.995 else f'{abs(value):.2g} '}{name}"
        for name, value in zip(named, relative, strict=True)
    ]
    equal = "0" if noun == "pair" else "the same"
    combination = " ".join(terms).removeprefix("+ ")
    return f"{combination} (each scaled to its typical difference) is {equal} in every {noun}"
