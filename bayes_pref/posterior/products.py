"""Products of attributes, by a formula, as functions of the attributes that stand alone.

Where an attribute takes another value, the products that it is part of take others, too. A product
has therefore no effect of its own: the effect of an attribute is that of its own features and of
all its products together, at what the alternative has in the other attributes, and averaged over
that. The values of an attribute can be read back only where it also stands alone in the formula.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons, Features
from bayes_pref.data.formula import Product
from bayes_pref.data.table import Table
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.posterior.attributes import Attribute, attributes_of, only_differences
from bayes_pref.posterior.replacements import Replacement
from bayes_pref.posterior.task_distribution import Tasks, shown_tasks
from bayes_pref.types import FloatArray, IntArray


def products_of(features: Features, attribute: Attribute) -> list[Product]:
    """Return the products of a formula that an attribute is part of."""
    formula = features.formula
    known = () if formula is None else formula.products
    return [product for product in known if attribute.name in product.variables]


def places_of(features: Features, products: Sequence[Product]) -> IntArray:
    """Places of the columns of products among the attributes."""
    names = [name for product in products for name in product.names]
    return np.array([features.attributes.index(name) for name in names], dtype=np.int64)


def filled(features: Features, attributes: Sequence[Attribute], profiles: FloatArray) -> FloatArray:
    """Return profiles whose products are those of their other attributes.

    Parameters
    ----------
    features
        Which attributes are products.
    attributes
        All that are none, as `attributes_of` lists them.
    profiles
        (..., k) attributes of alternatives, none of which is the outside option.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_pref as bp
    >>> items = pd.DataFrame({"item": ["a", "b"], "p": [1.0, 2.0], "q": [3.0, 4.0]})
    >>> votes = pd.DataFrame({"one": ["a", "b"], "other": ["b", "a"], "won": [1, 0]})
    >>> columns = {"left": "one", "right": "other", "choice": "won"}
    >>> data = bp.Comparisons.from_items(votes, items, formula="~ p * q", **columns)
    >>> filled(data.features, attributes_of(data), np.array([[2.0, 5.0, 0.0]]))
    array([[ 2.,  5., 10.]])
    """
    formula = features.formula
    if formula is None or not formula.products:
        return profiles
    flat = profiles.reshape(-1, profiles.shape[-1]).copy()
    used = {name for product in formula.products for name in product.variables}
    columns = {
        each.name: each.labels_of(flat[:, each.places]) for each in attributes if each.name in used
    }
    table = Table.read(pd.DataFrame(columns), "profiles")
    for product in formula.products:  # a loop over terms
        flat[:, places_of(features, [product])] = product.values(table)
    return flat.reshape(profiles.shape)


def require_values(features: Features, tasks: Tasks) -> None:
    """Refuse to change products of attributes that are known as differences only.

    Raises
    ------
    DataError
        If there are products, and the values of one are not known.
    """
    places = [features.attributes.index(name) for name in features.products]
    if not tasks.known[places].all():
        raise only_differences(features.products[0])


def mean_features(comparisons: Comparisons, each: Replacement) -> FloatArray:
    """(L, k) attributes of the values of one attribute, its products averaged over those shown.

    Other attributes are 0. A product has its mean over all alternatives shown, each of which is
    given the value and keeps its other attributes, less that of what was shown where values are
    added to it: rewards are sums, so that this is the mean of rewards.
    """
    features, places = comparisons.features, each.attribute.places
    made = np.zeros((len(each.labels), len(features.attributes)))
    made[:, places] = each.features
    products = products_of(features, each.attribute)
    if not products:
        return made
    tasks = shown_tasks(comparisons)
    require_values(features, tasks)
    attributes, of_products = attributes_of(comparisons), places_of(features, products)
    inside = tasks.profiles[~tasks.outside]
    before = filled(features, attributes, inside)[:, of_products].mean(axis=0)
    for row, values in zip(made, each.features, strict=True):  # a loop over values
        profiles = inside.copy()
        profiles[:, places] = profiles[:, places] + values if each.relative else values
        after = filled(features, attributes, profiles)[:, of_products].mean(axis=0)
        row[of_products] = after - before if each.relative else after
    return made


def require_no_products(features: Features, what: str) -> None:
    """Refuse what one unit more of an attribute alone would do, where a formula multiplies it.

    Raises
    ------
    DataError
        If the features have products of attributes.
    """
    if features.products:
        raise DataError(
            f"{what}: by the formula {shown(features.products[0])} changes with other attributes, "
            "so that the effect of one depends on them",
            "give over='observed', say, to average over these",
        )
