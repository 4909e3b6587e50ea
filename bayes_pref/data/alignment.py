"""Comparisons from a table of their own, brought to the features of others by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from bayes_pref.data.coding import Coding
from bayes_pref.data.comparisons import Comparisons
from bayes_pref.data.features import Features
from bayes_pref.data.sparse_rows import compressed, held, is_sparse
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, suggestion
from bayes_pref.types import FloatArray


def aligned(new: Comparisons, fitted: Comparisons, what: str, *, all_contexts: bool) -> Comparisons:
    """Return comparisons whose features are those of others, in their order.

    Columns and items may come in another order, and items of the others may be missing.

    Parameters
    ----------
    new
        The comparisons to bring into order.
    fitted
        Those whose features they get.
    what
        The argument that they came in as, for messages.
    all_contexts
        Whether every context of `fitted` is needed, or only those that are part of a feature.

    Raises
    ------
    DataError
        If a feature, a context or an item is in one of them only; names it.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_pref as bp
    >>> columns = {"user": "who", "left": "a", "right": "b", "choice": "won"}
    >>> votes = pd.DataFrame({"who": 1, "a": ["tea", "milk"], "b": "mate", "won": [1, 0]})
    >>> fitted = bp.Comparisons.from_items(votes, **columns)
    >>> new = bp.Comparisons.from_items(votes[::-1], **columns)
    >>> new.feature_names, aligned(new, fitted, "held_out", all_contexts=True).feature_names
    (('milk', 'mate', 'tea'), ('tea', 'mate', 'milk'))
    """
    ours, theirs = fitted.features, new.features
    if theirs == ours:
        return new
    if theirs.indicators != ours.indicators:
        kinds = {True: "one reward an item", False: "features"}
        raise DataError(
            f"{what} has {kinds[theirs.indicators]} and the posterior {kinds[ours.indicators]}",
            "read both in the same way",
        )
    if ours.formula and theirs.formula and ours.formula.products != theirs.formula.products:
        raise DataError(
            f"{what} was read with another formula than the posterior, or with one learnt anew",
            "read it with formula=posterior.comparisons.features.formula",
        )
    n_attributes = len(theirs.attributes)
    between, names = _recoded(new.difference[:, :n_attributes], theirs, ours, what, 0.0)
    attributes = _columns(between, names, ours, what)
    used = {context for _, context in ours.interactions}
    new = _recoded_contexts(new, ours, what)
    theirs = new.features
    absent = [name for name in ours.contexts if name not in theirs.contexts]
    needed = [name for name in absent if all_contexts or name in used]
    if needed:
        raise DataError(
            f"{what} has no context {listed(needed)}, which the posterior was fitted to",
            suggestion(needed[0], theirs.contexts) or "name it in context=[...]",
        )
    contexts = tuple(name for name in ours.contexts if name not in absent)
    context = new.context[:, [theirs.contexts.index(name) for name in contexts]]
    features = replace(ours, contexts=contexts)
    right = None
    if new.right is not None:
        right = _columns(*_recoded(new.right, theirs, ours, what, 1.0), ours, what)
    return replace(
        new,
        features=features,
        difference=features.expand(attributes, context),
        context=context,
        right=right,
        catalogue=fitted.catalogue if ours.indicators else new.catalogue,
    )


def _recoded_contexts(new: Comparisons, ours: Features, what: str) -> Comparisons:
    """Return comparisons whose contexts are coded as the fitted ones; their features are not."""
    theirs = new.features
    if theirs.context_codings == ours.context_codings:
        return new
    known = {coding.name: coding for coding in ours.context_codings}
    names, context, codings = list(theirs.contexts), new.context, []
    for other in theirs.context_codings:  # a loop over contexts
        one = known.get(other.name)
        if one is None or not one.translates(other):
            codings.append(other)
            continue
        columns = [names.index(column) for column in other.columns]
        try:
            made = one.recoded(context[:, columns], other, np.ones(len(context)))
        except DataError as error:
            raise DataError(f"{what}: {error.found}", error.remedy) from error
        context = np.hstack([np.delete(context, columns, axis=1), made])
        names = [name for name in names if name not in other.columns] + list(one.columns)
        codings.append(one)
    n_attributes = len(theirs.attributes)
    features = replace(
        theirs, contexts=tuple(names), interactions=(), context_codings=tuple(codings)
    )
    difference = new.difference[:, :n_attributes]
    return replace(new, features=features, difference=difference, context=context)


def _recoded(
    values: FloatArray, theirs: Features, ours: Features, what: str, total: float
) -> tuple[FloatArray, list[str]]:
    """(n, k) values in the codings of the fitted ones, of the same attributes, and their names.

    The levels' indicators of an item sum to 1, those of the outside option to 0.
    """
    if is_sparse(values) and theirs.codings == ours.codings:
        return values, list(theirs.attributes)
    known = {coding.name: coding for coding in ours.codings}
    sums = np.full(len(values), total)
    for coding in theirs.codings:
        if coding.kind == "outside":
            sums -= values[:, theirs.attributes.index(coding.name)]
    parts, names = [], []
    of = {column: coding for coding in theirs.codings for column in coding.columns}
    for name in theirs.columns:  # a loop over attributes
        columns = [k for k, each in enumerate(theirs.attributes) if _raw(of, each) == name]
        part, found = values[:, columns], [theirs.attributes[k] for k in columns]
        one, other = known.get(name), of.get(found[0])
        if one is not None and other is not None and one.translates(other):
            try:
                part, found = one.recoded(part, other, sums), list(one.columns)
            except DataError as error:
                raise DataError(f"{what}: {error.found}", error.remedy) from error
        parts.append(part)
        names += found
    return np.hstack(parts), names


def _raw(of: Mapping[str, Coding], name: str) -> str:
    return of[name].name if name in of else name


def _columns(values: FloatArray, names: Sequence[str], ours: Features, what: str) -> FloatArray:
    """(n, k) the columns in the order of the fitted ones; items that were not compared are 0."""
    known = {name: column for column, name in enumerate(ours.attributes)}
    kind, remedy = "feature", "read both with the same columns"
    strange = [name for name in names if name not in known]
    outside = [coding.name for coding in ours.codings if coding.kind == "outside"]
    absent = [name for name in ours.attributes if name not in (*names, *outside)]
    if ours.indicators:  # an item of which no row tells does not matter
        absent = [name for name in absent if name not in ours.items]
    if ours.indicators and not absent:
        kind, remedy = "item", "leave out their rows"
        compared = dict(zip(names, np.asarray(values.any(axis=0)), strict=True))
        strange = [name for name in strange if compared[name]]
    if absent:
        raise DataError(
            f"{what} has no {_several(kind, absent)}, which the posterior was fitted to",
            suggestion(absent[0], strange) or remedy,
        )
    if strange:
        raise DataError(
            f"{what}: the posterior was fitted to no {_several(kind, strange)}",
            suggestion(strange[0], known) or remedy,
        )
    if is_sparse(values):
        rows = compressed(values).tocoo()
        places = np.array([known.get(name, -1) for name in names])[rows.coords[1]]
        there = places >= 0
        entries = rows.data[there], (rows.coords[0][there], places[there])
        return held(csr_array(entries, shape=(len(values), len(known))))
    made = np.zeros((len(values), len(known)))
    for column, name in enumerate(names):
        if name in known:
            made[:, known[name]] = values[:, column]
    return made


def _several(kind: str, names: Sequence[str]) -> str:
    return f"{kind}{'s' * (len(names) > 1)} {listed(names)}"
