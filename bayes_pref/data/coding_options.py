"""How a caller wants attributes to be coded, and what their columns then say of their levels."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from pandas.api import types

from bayes_pref.data.coding import OF_LEVELS, OF_NUMBERS, Coding, numbers_of
from bayes_pref.data.plain_labels import REMEDY, odd_label
from bayes_pref.data.table import Table, missing_in
from bayes_pref.errors import DataError, DataWarning
from bayes_pref.messages import listed, shown, suggestion
from bayes_pref.types import Mask

_MOST_LEVELS = 200


@dataclass(frozen=True)
class CodingOptions:
    """How a caller wants attributes to be coded.

    Parameters
    ----------
    coding
        "effect", "reference" or "steps", for all attributes with levels or by name of the
        attribute.
    baseline
        Level without a feature of its own, by name; the first level of those not named.
    order
        The levels in order, by name; one that no row has is left out, with a warning.
    transform
        "log" or "standardise", by name.

    Raises
    ------
    DataError
        If an option is none of these.

    Examples
    --------
    >>> CodingOptions("dummy")
    Traceback (most recent call last):
    bayes_pref.errors.DataError: coding must be 'effect', 'reference' or 'steps', got 'dummy'
    """

    coding: str | Mapping[str, str] = "effect"
    baseline: Mapping[str, Any] | None = None
    order: Mapping[str, Sequence[Any]] | None = None
    transform: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        """Validate the options."""
        named = self.coding if isinstance(self.coding, Mapping) else {}
        _refuse_unknown("coding", OF_LEVELS, named or {"": self.coding})
        for option in ("baseline", "order", "transform"):
            given = getattr(self, option)
            if given is not None and not isinstance(given, Mapping):
                raise DataError(f"{option} must be a dict by attribute, got {shown(given)}")
            object.__setattr__(self, option, dict(given or {}))
        object.__setattr__(self, "coding", dict(named) if named else self.coding)
        _refuse_unknown("transform", OF_NUMBERS, self.transform or {})

    def require(self, attributes: Sequence[str], remedy: str = "") -> None:
        """Refuse options for an attribute that is none of these.

        Parameters
        ----------
        attributes
            Names of the attributes.
        remedy
            What to do about it; empty: the name that comes nearest.
        """
        for option, named in self._named().items():
            for name in named:
                if name not in attributes:
                    near = remedy or suggestion(name, attributes)
                    near = near or f"the attributes are {listed(attributes)}"
                    raise DataError(f"{option}: unknown attribute {shown(name)}", near)

    def _named(self) -> dict[str, Mapping[str, Any]]:
        by_name = self.coding if isinstance(self.coding, Mapping) else {}
        rest = {each: getattr(self, each) for each in ("baseline", "order", "transform")}
        return {"coding": by_name} | rest

    def parted(self, names: Sequence[str]) -> tuple[CodingOptions, CodingOptions]:
        """Return the options of these names, such as contexts, and those of all others.

        Examples
        --------
        >>> own, others = CodingOptions(baseline={"region": "north", "brand": "A"}).parted(
        ...     ["region"]
        ... )
        >>> own.baseline, others.baseline
        ({'region': 'north'}, {'brand': 'A'})
        """
        return self._only(lambda name: name in names), self._only(lambda name: name not in names)

    def _only(self, kept: Callable[[str], bool]) -> CodingOptions:
        named = {
            option: {name: value for name, value in given.items() if kept(name)}
            for option, given in self._named().items()
        }
        coding = named.pop("coding") or "effect"
        return CodingOptions(self.coding if isinstance(self.coding, str) else coding, **named)

    def learn_all(
        self,
        table: Table,
        names: Sequence[str],
        *sides: Sequence[str],
        skipped: Mask | None = None,
    ) -> dict[str, Coding]:
        """Find how attributes are coded, by name; those that are numbers as they are have none.

        Parameters
        ----------
        table, names
            The table, and names of the attributes.
        sides
            Columns of the attributes, of one side after the other; none: named as they are.
        skipped
            (n,) rows that do not count.
        """
        self.require(names)
        columns = zip(*(sides or (names,)), strict=True)
        found = {
            name: self.learn(name, table, each, skipped)
            for name, each in zip(names, columns, strict=True)
        }
        return {name: coding for name, coding in found.items() if coding is not None}

    def learn(
        self, name: str, table: Table, columns: Sequence[str], skipped: Mask | None = None
    ) -> Coding | None:
        """Find how an attribute is coded, from the columns that hold it; None: numbers as they are.

        Parameters
        ----------
        name
            The attribute.
        table, columns
            The table, and its columns that hold the attribute: one, or one a side.
        skipped
            (n,) rows that do not count.

        Raises
        ------
        DataError
            If an option does not suit the values, or there is a single level.

        Examples
        --------
        >>> votes = Table.read(pd.DataFrame({"brand": ["B", "A", "B"]}))
        >>> CodingOptions("reference").learn("brand", votes, ["brand"]).columns
        ('brand[B]',)
        """
        options = self._named()
        transform = options["transform"].get(name)
        wanted = [option for option in ("coding", "baseline", "order") if name in options[option]]
        if transform is not None:
            if wanted:
                raise DataError(f"attribute {name!r} has {wanted[0]}= for levels and transform=")
            return _number_coding(name, transform, table, columns, skipped)
        series = [table.frame[column] for column in columns]
        if not wanted and not _has_levels(series):
            return None
        levels, ordered = _levels(name, table, columns, options["order"].get(name), skipped)
        coding = self.coding
        kind: Any = coding if isinstance(coding, str) else coding.get(name, "effect")
        baseline = options["baseline"].get(name, levels[0])
        return Coding(name=name, kind=kind, levels=levels, baseline=baseline, ordered=ordered)


def _refuse_unknown(option: str, known: Sequence[str], given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if value not in known:
            of = f" of {name!r}" if name else ""
            raise DataError(f"{option}{of} must be {listed(known, last='or')}, got {shown(value)}")


def _number_coding(
    name: str, kind: Any, table: Table, columns: Sequence[str], skipped: Mask | None
) -> Coding:
    """Return the coding of a numeric attribute, with the mean and sd of all its columns."""
    if kind == "log":
        return Coding(name=name, kind="log")
    values = np.stack([numbers_of(table, column, skipped, 0.0) for column in columns])
    if skipped is not None:
        values = values[:, ~skipped]
    scale = float(values.std())
    if scale == 0:
        found = f"transform: attribute {name!r} is always {values.flat[0]:g}"
        raise DataError(found, "leave it out")
    return Coding(name=name, kind="standardise", centre=float(values.mean()), scale=scale)


def _has_levels(series: Sequence[pd.Series[Any]]) -> bool:
    """Whether columns hold levels: categories, or text of which no entry is a number."""
    if any(isinstance(each.dtype, pd.CategoricalDtype) for each in series):
        return True
    if not all(types.is_object_dtype(each) or types.is_string_dtype(each) for each in series):
        return False
    words: set[str] = set()
    for each in series:
        entries = each[~missing_in(each)]
        if not all(isinstance(entry, str) for entry in entries):
            return False
        words.update(entries)
    # Numbers written as text are a mistake to be told of, and not a level each.
    read = pd.to_numeric(pd.Series(list(words), dtype=object), errors="coerce")
    return bool(words) and bool(read.isna().all())


def _levels(
    name: str,
    table: Table,
    columns: Sequence[str],
    order: Sequence[Any] | None,
    skipped: Mask | None,
) -> tuple[tuple[Any, ...], bool]:
    """Levels of an attribute that occur, in order, and whether their order has a meaning."""
    taken = np.ones(len(table.frame), dtype=bool) if skipped is None else ~skipped
    found: dict[Any, None] = {}
    given: list[Any] = []
    ordered = order is not None
    for column in columns:
        series = table.frame[column]
        odd = odd_label(series[~missing_in(series)])
        if odd is not None:
            raise DataError(f"column {column!r}: levels must be plain values, {odd[1]}", REMEDY)
        present = series[taken & ~missing_in(series)]
        found |= dict.fromkeys(pd.unique(present.astype(object)))
        if isinstance(series.dtype, pd.CategoricalDtype):
            given += [level for level in series.dtype.categories if level not in given]
            ordered |= bool(series.dtype.ordered)
    if order is not None:
        given = list(order)
        strange = [level for level in found if level not in given]
        if strange:
            raise DataError(
                f"order: attribute {name!r} has a level {shown(strange[0])} that is not listed",
                "list all of its levels",
            )
        absent = [level for level in given if level not in found]
        if absent:
            warnings.warn(
                f"order: no row has the level {shown(absent[0])} of attribute {name!r}, so that "
                "nothing can be said of it and it is left out; check its spelling",
                DataWarning,
                stacklevel=_of_caller(),
            )
    levels = [level for level in given if level in found] or _sorted(list(found))
    levels = [level.item() if isinstance(level, np.generic) else level for level in levels]
    if len(levels) < 2:
        what = f"is {shown(levels[0])} in every row" if levels else "is missing in every row"
        raise DataError(f"attribute {name!r} {what}, so it explains nothing", "leave it out")
    if len(levels) > _MOST_LEVELS:
        raise DataError(
            f"attribute {name!r} has {len(levels):,} levels, and {_MOST_LEVELS} is the most",
            "leave it out, or put its levels into groups",
        )
    return tuple(levels), ordered


def _of_caller() -> int:
    """Return the level of the stack, seen from who calls this, at which this package is called."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("bayes_pref."):
        frame, level = frame.f_back, level + 1
    return level


def _sorted(levels: list[Any]) -> list[Any]:
    try:
        return sorted(levels)
    except TypeError:  # of several types
        return sorted(levels, key=str)
