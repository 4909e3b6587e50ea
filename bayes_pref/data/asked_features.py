"""Features of attributes as a caller asks for them: coded, and multiplied by contexts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bayes_pref.data.coding import Coding, coded_names
from bayes_pref.data.features import Features
from bayes_pref.data.table import column_names
from bayes_pref.errors import DataError


def interaction_pairs(
    interactions: str | Sequence[tuple[str, str]] | None,
    attributes: Sequence[str],
    contexts: Sequence[str],
) -> tuple[tuple[str, str], ...]:
    """Spell out the interactions a caller asked for: none, ``"all"``, or a list of pairs."""
    if interactions is None:
        return ()
    if not contexts:
        raise DataError("interactions need context columns", "name them in context=[...]")
    if isinstance(interactions, str):
        if interactions != "all":
            raise DataError(
                "interactions must be None, 'all' or pairs (feature, context), "
                f"got {interactions!r}"
            )
        return tuple((attribute, context) for attribute in attributes for context in contexts)
    pairs = [column_names(pair) for pair in interactions]
    for pair in pairs:
        if len(pair) != 2:
            raise DataError(f"interactions: expected pairs (feature, context), got {pair!r}")
    return tuple((attribute, context) for attribute, context in pairs)


def coded_features(
    names: Sequence[str],
    codings: Mapping[str, Coding],
    contexts: Sequence[str],
    interactions: str | Sequence[tuple[str, str]] | None,
    of_contexts: Mapping[str, Coding] | None = None,
) -> Features:
    """Features of attributes as they are coded.

    Parameters
    ----------
    names, codings
        The attributes, and codings of some of them by name.
    contexts, interactions
        Names of the features of contexts, and as a caller gives them. An interaction with an
        attribute or a context that has levels is one with all its features.
    of_contexts
        Codings of some contexts, by the names of the caller.

    Examples
    --------
    >>> brand = Coding(name="brand", kind="effect", levels=("A", "B"), baseline="A")
    >>> coded_features(["brand"], {"brand": brand}, ["old"], [("brand", "old")]).names
    ('brand[B]', 'brand[B]:old')
    """
    attributes = coded_names(names, codings)
    pairs, known = interaction_pairs(interactions, attributes, contexts), of_contexts or {}
    every = [
        (column, context)
        for name, shared in pairs
        for column in coded_names([name], codings)
        for context in coded_names([shared], known)
    ]
    return Features(
        attributes,
        tuple(contexts),
        tuple(every),
        codings=tuple(codings.values()),
        context_codings=tuple(known.values()),
    )
