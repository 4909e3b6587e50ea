"""Effects of contexts that a model leaves out: looked for, and taken in, before any flag.

Where everybody wants shorter answers to short questions and the model has no product of length and
the question's length, the users who are shown short questions seem to be others. What tells the two
apart is a user's own answers: those differ between the contexts of one user only if the context
itself matters. The test is that of `residual_test`, for each context that is recorded, of the
products of all attributes with
    x_n - mean of x over the rows of the user of n,
on which neither the users' weights nor what they are shown on average has any bearing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.exposure_posterior import NullFit
from bayes_pref.diagnostics.confounding.residual_test import RowScores
from bayes_pref.diagnostics.query import Query
from bayes_pref.models.regressors import mean_contexts
from bayes_pref.types import FloatArray

LEVEL = 0.01  # of the test of all contexts together
_FEWEST = 5  # users for each product, below which the test has no power to speak of


def left_out_contexts(comparisons: Comparisons, null: NullFit) -> dict[str, float]:
    """Find contexts whose products with the attributes are missing, and their p-values.

    Parameters
    ----------
    comparisons
        The fitted comparisons.
    null
        Posterior means of the fit without exposure.
    """
    features, found = comparisons.features, {}
    if features.indicators or comparisons.representation is not None:
        return {}
    scores = RowScores.of(comparisons, null)
    within = comparisons.context - mean_contexts(comparisons)[comparisons.user]
    size = np.abs(comparisons.context).max(axis=0, initial=0.0)
    for place, name in enumerate(features.contexts):  # a loop over contexts
        columns = attributes_without(comparisons, name)
        few = comparisons.n_users < _FEWEST * len(columns)
        if few or not columns or np.abs(within[:, place]).max() <= 1e-9 * size[place]:
            continue
        tested = scores.rows[:, columns] * within[:, [place]]
        p = scores.p_value(tested, scores.rows)
        if p <= LEVEL / len(features.contexts):
            found[name] = p
    return found


def with_context_effects(comparisons: Comparisons, contexts: Iterable[str]) -> Comparisons:
    """Return comparisons in which all attributes interact with some contexts.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> comparisons = bp.simulate(users=5, features=["length"], contexts=["hard"]).comparisons
    >>> with_context_effects(comparisons, ["hard"]).feature_names
    ('length', 'length:hard')
    """
    pairs = _missing(comparisons, contexts)
    features = comparisons.features
    return replace(
        comparisons,
        features=replace(features, interactions=(*features.interactions, *pairs)),
        difference=_expanded(comparisons.difference, comparisons.context, comparisons, pairs),
    )


def query_with_context_effects(
    query: Query, comparisons: Comparisons, contexts: Iterable[str]
) -> Query:
    """Return a query about such comparisons, from one about the given ones."""
    pairs = _missing(comparisons, contexts)
    difference = _expanded(query.difference, query.context, comparisons, pairs)
    return replace(query, difference=difference)


def note_on_left_out(found: dict[str, float]) -> list[str]:
    """Say that effects of contexts were left out, and what was done."""
    if not found:
        return []
    named = ", ".join(f"{name} (p = {p:.2g})" for name, p in found.items())
    return [
        f"Answers of the same users depend on {named} in ways that the fitted model leaves out. "
        "Confounding was assessed with products of the attributes and these contexts, since a real "
        'effect of a context passes for confounding; read the data with interactions="all".'
    ]


def attributes_without(comparisons: Comparisons, context: str) -> list[int]:
    """Places of the attributes that do not interact with a context."""
    features = comparisons.features
    return [
        place
        for place, name in enumerate(features.attributes)
        if (name, context) not in features.interactions
    ]


def _missing(comparisons: Comparisons, contexts: Iterable[str]) -> list[tuple[str, str]]:
    attributes = comparisons.features.attributes
    return [
        (attributes[place], context)
        for context in contexts
        for place in attributes_without(comparisons, context)
    ]


def _expanded(
    difference: FloatArray,
    context: FloatArray,
    comparisons: Comparisons,
    pairs: list[tuple[str, str]],
) -> FloatArray:
    """(n, d + m) differences, and products of attributes and contexts."""
    features = comparisons.features
    left = [features.attributes.index(name) for name, _ in pairs]
    right = [features.contexts.index(name) for _, name in pairs]
    return np.hstack([difference, difference[:, left] * context[:, right]])
