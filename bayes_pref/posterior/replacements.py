"""What an alternative has in one attribute instead of what was shown, and is otherwise the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.posterior.attributes import Attribute, find_attribute, only_differences
from bayes_pref.posterior.task_distribution import Tasks
from bayes_pref.types import FloatArray

_FEW = 6  # values of a number that are levels of their own
_SHARES = (0.1, 0.5, 0.9)  # of what was shown, at which a number with more values is stated


@dataclass(frozen=True, eq=False)
class Replacement:
    """Values of an attribute that alternatives are given in turn.

    Attributes
    ----------
    attribute
        The attribute.
    labels
        (L,) what the values are called.
    baseline
        Position of the value against which others are stated.
    features
        (L, c) its features.
    relative
        Whether the values are added to those that are shown.
    """

    attribute: Attribute
    labels: tuple[Any, ...]
    baseline: int
    features: FloatArray
    relative: bool = False

    @property
    def base_label(self) -> Any:
        """Name of the baseline; None for one unit less of a number."""
        return None if self.relative else self.labels[self.baseline]

    @property
    def others(self) -> list[int]:
        """Positions of the values that are stated against the baseline."""
        return [place for place in range(len(self.labels)) if place != self.baseline]


def chosen_attributes(
    names: Sequence[str] | str | None, known: Sequence[Attribute], argument: str = "attributes"
) -> list[Attribute]:
    """Return the attributes that are asked for; None: all.

    Raises
    ------
    DataError
        If there is no such attribute.
    """
    if names is None:
        return list(known)
    wanted = [names] if isinstance(names, str) else list(names)
    if not wanted:
        raise DataError(f"{argument} is empty", "name an attribute, or leave it out for all")
    return [find_attribute(name, known, argument) for name in wanted]


def contrasts(
    chosen: Sequence[Attribute],
    known: Sequence[Attribute],
    tasks: Tasks,
    baseline: Mapping[str, Any] | None,
    values: Mapping[str, Any] | None,
    *,
    replaced: bool = True,
) -> list[Replacement]:
    """Return what is compared for effects: levels with a baseline, or one unit of a number.

    A number that takes two values, where these are known, is compared at both. Unless they are to
    be `replaced` in what was shown, values need not be known, only their differences.

    Raises
    ------
    DataError
        If an attribute or a level is unknown, or an argument does not fit the attribute.
    """
    bases, pairs = _named("baseline", baseline, known), _named("values", values, known)
    made = []
    for attribute in chosen:  # a loop over attributes
        name, levels = attribute.name, attribute.levels
        if name in bases and not levels:
            remedy = f"give values={{{name!r}: (from, to)}}"
            raise DataError(f"baseline: attribute {name!r} is a number", remedy)
        if name in pairs:
            made.append(_pair(attribute, pairs[name]))
        elif levels:
            base = attribute.place(bases.get(name, attribute.baseline), "baseline")
            made.append(Replacement(attribute, levels, base, attribute.values_of(levels, "values")))
        elif len(both := _few(attribute, tasks)) == 2 and attribute.coding is None:
            made.append(Replacement(attribute, _labels(attribute, both), 0, both))
        else:
            half = np.array([[-0.5], [0.5]])
            made.append(Replacement(attribute, ("less", attribute.unit), 0, half, relative=True))
    if replaced:
        _require_known(made, tasks)
    return made


def levels(
    chosen: Sequence[Attribute],
    known: Sequence[Attribute],
    tasks: Tasks,
    values: Mapping[str, Any] | None,
) -> list[Replacement]:
    """Return at what marginal means are stated: every level, or some values of a number.

    Of a number these are all values, where it takes at most six, and else the 10th, 50th and 90th
    percentile of what was shown.

    Raises
    ------
    DataError
        As `contrasts`, and if the values of a number are not known.
    """
    given = _named("values", values, known)
    made = []
    for attribute in chosen:  # a loop over attributes
        name = attribute.name
        if name in given:
            labels = _as_values(given[name], name)
            found = attribute.values_of(labels, "values")
        elif attribute.levels:
            labels = attribute.levels
            found = attribute.values_of(labels, "values")
        else:
            found = _few(attribute, tasks)
            labels = _labels(attribute, found)
            if not len(found):
                column = tasks.profiles[~tasks.outside][:, attribute.places[0]]
                raw = attribute.raw(np.quantile(column, _SHARES))
                labels = tuple(dict.fromkeys(float(f"{value:.3g}") for value in raw))
                found = attribute.values_of(labels, "values")
        made.append(Replacement(attribute, labels, 0, found))
    _require_known(made, tasks)
    return made


def _require_known(made: Sequence[Replacement], tasks: Tasks) -> None:
    """Refuse to replace values that are known as differences only."""
    for each in made:
        if not (each.relative or tasks.known[each.attribute.places].all()):
            raise only_differences(each.attribute.name)


def _named(
    argument: str, given: Mapping[str, Any] | None, known: Sequence[Attribute]
) -> dict[str, Any]:
    """What is given by attribute; refuses unknown attributes."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise DataError(f"{argument}: got {shown(given)}", "give one of each attribute by its name")
    return {find_attribute(name, known, argument).name: value for name, value in given.items()}


def _pair(attribute: Attribute, given: Any) -> Replacement:
    labels = _as_values(given, attribute.name)
    if len(labels) != 2 or labels[0] == labels[1]:
        raise DataError(
            f"values: attribute {attribute.name!r} has {shown(given)}",
            "give two different ones, (from, to)",
        )
    return Replacement(attribute, labels, 0, attribute.values_of(labels, "values"))


def _as_values(given: Any, name: str) -> tuple[Any, ...]:
    if isinstance(given, str) or not hasattr(given, "__iter__") or not len(list(given)):
        raise DataError(f"values: attribute {name!r} has {shown(given)}", "give a list of values")
    return tuple(given)


def _few(attribute: Attribute, tasks: Tasks) -> FloatArray:
    """(o, 1) values of a number, if they are known and few; else none."""
    nothing = np.empty((0, 1))
    if not tasks.known[attribute.places].all():
        return nothing
    found = np.unique(tasks.profiles[~tasks.outside][:, attribute.places], axis=0)
    return found if len(found) <= _FEW else nothing


def _labels(attribute: Attribute, values: FloatArray) -> tuple[Any, ...]:
    return tuple(attribute.raw(values[:, 0]))
