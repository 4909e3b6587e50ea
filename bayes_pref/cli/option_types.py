"""What is typed on the command line, as the value of a parameter of Python.

A name or number stands for itself. Several are separated by commas, or given by repeating the
option; a name that holds a comma goes in double quotes, as in CSV. Values by name are written
``name=value``, and pairs ``feature:context``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

from bayes_pref.cli.signatures import Parameter
from bayes_pref.messages import closest

_TRUTH = {"true": True, "false": False}


class WordType(click.Choice[str]):
    """One of some words; another word leads to the one that was meant."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the word."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as err:
            near = closest(value, self.choices)
            raise click.BadParameter(f"{err.message}{near}", ctx=ctx, param=param) from err


@dataclass(frozen=True)
class ValueType:
    """How the values of a parameter are written.

    Parameters
    ----------
    annotation
        The parameter's type, as Python's source has it.

    Examples
    --------
    >>> ValueType("Sequence[str] | None").read(["price,brand"])
    ['price', 'brand']
    >>> ValueType("str | Mapping[str, str]").read(["brand=reference", "size=steps"])
    {'brand': 'reference', 'size': 'steps'}
    >>> ValueType("Literal['all'] | Sequence[tuple[str, str]] | None").read(["tone:formal"])
    [('tone', 'formal')]
    >>> ValueType("bool | Literal['flexible']").read(["true"])
    True
    """

    annotation: str

    @property
    def flag(self) -> bool:
        """Whether it is switched on and off."""
        return self.annotation in ("bool", "bool | None")

    @property
    def table(self) -> bool:
        """Whether it is a table, of which a file is named."""
        return self.annotation.startswith("TableLike")

    @property
    def by_name(self) -> bool:
        """Whether values may be given by name."""
        return bool(re.search(r"\b(Mapping|Occasion|Goal)\b", self.annotation))

    @property
    def pairs(self) -> bool:
        """Whether it is pairs of names."""
        return "tuple[str, str]" in self.annotation

    @property
    def several(self) -> bool:
        """Whether it may be several values."""
        return bool(re.search(r"\b(Sequence|ArrayLike|Levels|Occasion)\b", self.annotation))

    @property
    def choices(self) -> tuple[str, ...]:
        """The words that it can be, where it can be nothing else."""
        if not re.fullmatch(r"Literal\[[^\[\]]*\]", self.annotation):
            return ()
        return tuple(re.findall(r"'([^']*)'", self.annotation))

    @property
    def metavar(self) -> str:
        """What stands for a value in the help."""
        if self.table:
            return "FILE"
        if self.annotation in ("int", "int | None"):
            return "N"
        if self.annotation in ("float", "float | None"):
            return "NUMBER"
        if self.pairs:
            return "FEATURE:CONTEXT,..."
        if self.by_name:
            return "NAME=VALUE"
        return "NAME,..." if self.several else "VALUE"

    @property
    def click_type(self) -> click.ParamType[Any]:
        """The type that checks one value while the command line is read."""
        if self.choices:
            return WordType(self.choices)
        if self.annotation in ("int", "int | None"):
            return click.INT
        return click.FLOAT if self.annotation in ("float", "float | None") else click.STRING

    def read(self, texts: Sequence[Any]) -> Any:
        """Return the value that the command line gives, in one or several words.

        Raises
        ------
        click.BadParameter
            If it cannot be such a value.
        """
        words = [word for text in texts for word in _split(text)] if self.several else list(texts)
        if self.pairs:
            return "all" if words == ["all"] else [_pair(word) for word in words]
        named = self.by_name and all("=" in word for word in map(str, texts))
        if named:
            return {name: self._value(value) for name, value in (t.split("=", 1) for t in texts)}
        found = [self._scalar(word) for word in words]
        if self.several and (len(found) > 1 or not self._one_alone(found[0])):
            return found
        return found[-1]  # given twice, the last one counts

    def _one_alone(self, value: Any) -> bool:
        """Whether a single value stands for itself, and not for a list of one."""
        if self.annotation.startswith("Sequence["):
            return False
        return not isinstance(value, str) or "Sequence[" not in self.annotation

    def _value(self, text: str) -> Any:
        """Return one of the values by name."""
        words = _split(text)
        listed = len(words) > 1 or "Mapping[str, Sequence" in self.annotation
        return [self._scalar(word) for word in words] if listed else self._scalar(text)

    def _scalar(self, word: Any) -> Any:
        """Return a word as the number or truth value that it may be here."""
        if not isinstance(word, str):
            return word
        free = re.search(r"\b(Any|Levels|ArrayLike|Goal)\b", self.annotation)
        if word.lower() in _TRUTH and (free or "bool" in self.annotation):
            return _TRUTH[word.lower()]
        for number in (int, float):
            if free or re.search(rf"\b{number.__name__}\b", self.annotation):
                try:
                    return number(word)
                except ValueError:
                    continue
        return word


def value_type(parameter: Parameter) -> ValueType:
    """Return how the values of a parameter are written."""
    return ValueType(parameter.annotation)


def _split(text: Any) -> list[Any]:
    """Split at commas that are not within double quotes."""
    return next(csv.reader([text]), []) if isinstance(text, str) else [text]


def _pair(word: str) -> tuple[str, str]:
    first, colon, second = word.partition(":")
    if not colon:
        raise click.BadParameter(f"{word!r} is no pair: write feature:context, or all")
    return first, second
