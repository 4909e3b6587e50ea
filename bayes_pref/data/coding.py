"""Codings: how a column of levels, or of numbers on another scale, becomes features.

An attribute with levels l = 1 ... L has L - 1 features. In effect coding, the feature of a level
is 1 for that level, -1 for the baseline and 0 for the others, so that the levels' part-worths sum
to 0 and that of the baseline is minus the sum of the weights. In reference coding it is 1 for that
level and 0 for the others, so that the baseline's part-worth is 0. In the coding of steps, for
levels in order, a feature is the step from one level to the next: its weight is what the higher of
the two is worth more, and the baseline's part-worth is 0 (successive differences). A number may be
entered as its logarithm, or standardised.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from bayes_pref.data.plain_labels import why_not_plain
from bayes_pref.data.table import Table, missing_in, positions_in
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, shown, suggestion
from bayes_pref.types import FloatArray, IntArray, Mask

Kind: TypeAlias = Literal["effect", "reference", "steps", "log", "standardise", "outside"]

OF_LEVELS, OF_NUMBERS = ("effect", "reference", "steps"), ("log", "standardise")


@dataclass(frozen=True, kw_only=True)
class Coding:
    """How one attribute becomes features.

    Parameters
    ----------
    name
        The attribute, a column of the caller's tables.
    kind
        "effect", "reference" or "steps": levels, as in the module's docstring; "log": the natural
        logarithm;
        "standardise": minus `centre`, divided by `scale`; "outside": the indicator of an outside
        option, whose other attributes may be missing and count as 0.
    levels
        (L,) the levels in order; empty for numbers.
    baseline
        The level without a feature of its own; of steps, that whose features are all 0.
    ordered
        Whether the order of the levels has a meaning.
    centre, scale
        Of a standardised number, raw units.

    Raises
    ------
    DataError
        If these do not fit together.

    Examples
    --------
    >>> brand = Coding(name="brand", kind="effect", levels=("A", "B", "C"), baseline="A")
    >>> brand.columns
    ('brand[B]', 'brand[C]')
    >>> brand.basis
    array([[-1., -1.],
           [ 1.,  0.],
           [ 0.,  1.]])
    >>> size = Coding(name="size", kind="steps", levels=("S", "M", "L"), baseline="S", ordered=True)
    >>> size.columns
    ('size[S to M]', 'size[M to L]')
    >>> size.basis
    array([[0., 0.],
           [1., 0.],
           [1., 1.]])
    """

    name: str
    kind: Kind
    levels: tuple[Any, ...] = ()
    baseline: Any = None
    ordered: bool = False
    centre: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        """Validate the levels and the scale."""
        object.__setattr__(self, "levels", tuple(self.levels))
        if self.kind not in get_args(Kind):
            raise DataError(f"attribute {self.name!r}: unknown coding {shown(self.kind)}")
        if not (math.isfinite(self.centre) and math.isfinite(self.scale) and self.scale > 0):
            raise DataError(f"attribute {self.name!r}: no scale {self.scale:g}")
        if self.kind not in OF_LEVELS:
            return
        odd = [level for level in self.levels if not _is_plain(level)]
        if odd:
            raise DataError(
                f"attribute {self.name!r}: level {shown(odd[0])} is no text, number or truth value",
                "use frame[column].astype(str)",
            )
        if len(set(map(str, self.levels))) < len(self.levels):
            raise DataError(
                f"attribute {self.name!r} has levels that are written alike: {listed(self.levels)}",
                "give each its own name",
            )
        if self.baseline not in self.levels:
            raise DataError(
                f"baseline: attribute {self.name!r} has no level {shown(self.baseline)}",
                suggestion(self.baseline, self.levels) or f"its levels are {listed(self.levels)}",
            )
        if self.kind == "steps" and not self.ordered:
            raise DataError(
                f"attribute {self.name!r} has levels in no order, and so no steps between them",
                f"list them from the lowest to the highest, order={{{self.name!r}: [...]}}",
            )

    @property
    def of_levels(self) -> bool:
        """Whether the attribute has levels."""
        return self.kind in OF_LEVELS

    @property
    def has_range(self) -> bool:
        """Whether it is an attribute of what is offered, and not the outside option."""
        return self.kind != "outside"

    @property
    def featured(self) -> tuple[Any, ...]:
        """(L - 1,) levels with a feature of their own."""
        return tuple(level for level in self.levels if level != self.baseline)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the features."""
        if self.kind == "steps":
            steps = zip(self.levels[:-1], self.levels[1:], strict=True)
            return tuple(f"{self.name}[{low} to {high}]" for low, high in steps)
        if self.of_levels:
            return tuple(f"{self.name}[{level}]" for level in self.featured)
        return (f"{self.kind}({self.name})" if self.kind in OF_NUMBERS else self.name,)

    @property
    def basis(self) -> FloatArray:
        """(L, L - 1) features of each level: part-worths are this times the weights."""
        eye = np.eye(len(self.levels))
        base = self.levels.index(self.baseline)
        if self.kind == "steps":
            reached = np.tril(np.ones_like(eye))[:, 1:]
            return np.asarray(reached - reached[base])
        if self.kind == "effect":
            eye[base] = -1.0
        return np.delete(eye, base, axis=1)

    @property
    def contrasts(self) -> FloatArray:
        """(c, c) features of each level minus those of the baseline.

        Of a number, one unit more; of steps, one step.
        """
        if not self.of_levels or self.kind == "steps":
            return np.eye(len(self.columns))
        base = self.levels.index(self.baseline)
        return np.delete(self.basis - self.basis[base], base, axis=0)

    def values(self, table: Table, column: str, skipped: Mask | None = None) -> FloatArray:
        """Read a column of the attribute.

        Parameters
        ----------
        table, column
            The caller's table, and the name of the column in it.
        skipped
            (n,) rows in which the attribute may be missing, or no level, and then counts as 0.

        Returns
        -------
        values: (n, c) one column for each of `columns`

        Raises
        ------
        DataError
            For a level that is none of these, and values that cannot be used; names the row.

        Examples
        --------
        >>> brand = Coding(name="brand", kind="reference", levels=("A", "B"), baseline="A")
        >>> brand.values(Table.read(pd.DataFrame({"brand": ["B", "A", "D"]})), "brand")
        Traceback (most recent call last):
        bayes_pref.errors.DataError: column 'brand': level 'D' was not in the fitted data in row 2;
        its levels are 'A' and 'B'
        """
        if self.of_levels:
            code = self._codes(table, column, skipped)
            return np.asarray(np.vstack([self.basis, np.zeros(len(self.levels) - 1)])[code])
        numbers = numbers_of(table, column, skipped, 1.0 if self.kind == "log" else self.centre)
        if self.kind == "log":
            if (numbers <= 0).any():
                row = int(np.argmax(numbers <= 0))
                found = f"{numbers[row]:g} has no logarithm"
                table.refuse(column, row, found, "leave out transform='log', or mend it")
            numbers = np.log(numbers)
        return ((numbers - self.centre) / self.scale)[:, None]

    def _codes(self, table: Table, column: str, skipped: Mask | None) -> IntArray:
        """(n,) positions of the levels, -1 where there is none and need not be."""
        series = table.frame[column].astype(object)
        missing = missing_in(series)
        lost = missing if skipped is None else missing & ~skipped
        if lost.any():
            row = int(np.argmax(lost))
            table.refuse(column, row, "missing value", "drop the row or mend it")
        code = positions_in(series, pd.Index(self.levels, dtype=object))
        unseen = (code < 0) & ~missing if skipped is None else (code < 0) & ~missing & ~skipped
        if unseen.any():
            row = int(np.argmax(unseen))
            found = f"level {shown(series.iloc[row])} was not in the fitted data"
            table.refuse(column, row, found, f"its levels are {listed(self.levels, limit=20)}")
        return code

    def translates(self, other: Coding) -> bool:
        """Whether values in another coding of the attribute can be given in this one."""
        return self.kind == other.kind or (self.of_levels and other.of_levels)

    def recoded(self, values: FloatArray, other: Coding, total: FloatArray) -> FloatArray:
        """Return values in this coding, given in that of another table.

        Parameters
        ----------
        values
            (n, c) features of items in the coding `other`, or differences of such.
        other
            A coding of the same attribute, whose levels may be others.
        total
            (n,) 1 for items, 0 for an outside option; of differences, their difference.

        Raises
        ------
        DataError
            If the other table has a level, in some difference, that this coding has not.

        Examples
        --------
        >>> one = Coding(name="brand", kind="effect", levels=("A", "B"), baseline="A")
        >>> other = Coding(name="brand", kind="reference", levels=("A", "B"), baseline="B")
        >>> one.recoded(np.array([[1.0]]), other, np.zeros(1))  # A minus B
        array([[-2.]])
        """
        if not self.of_levels:
            shift = (other.centre - self.centre) * total[:, None]
            return (values * other.scale + shift) / self.scale
        # The levels' indicators, which give the values and sum to the total.
        whole = np.column_stack([other.basis, np.ones(len(other.levels))])
        there = np.column_stack([values, total]) @ np.linalg.inv(whole)
        indicator = dict(zip(other.levels, there.T, strict=True))
        made = np.zeros((len(values), len(self.levels)))
        for level, column in indicator.items():
            if level in self.levels:
                made[:, self.levels.index(level)] = np.rint(column)
            elif np.rint(column).any():
                raise DataError(
                    f"attribute {self.name!r}: level {shown(level)} was not in the fitted data",
                    f"its levels are {listed(self.levels, limit=20)}",
                )
        return np.asarray(made @ self.basis)

    def state(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Coding:
        """Build what `state` described."""
        return cls(**state)


def _is_plain(level: object) -> bool:
    if isinstance(level, float):
        return math.isfinite(level)
    return type(level) in (str, int, bool) and not why_not_plain(level)


def numbers_of(table: Table, column: str, skipped: Mask | None, missing: float) -> FloatArray:
    """(n,) numbers of a column, and a value for those that are missing and may be.

    Examples
    --------
    >>> prices = Table.read(pd.DataFrame({"price": [2.0, None]}))
    >>> numbers_of(prices, "price", np.array([False, True]), 0.0).tolist()
    [2.0, 0.0]
    """
    if skipped is None:
        return table.numbers([column])[:, 0]
    series = table.frame[column]
    filled = series.where(~(missing_in(series) & skipped), missing)
    return Table(table.frame.assign(**{column: filled}), table.name).numbers([column])[:, 0]


def readnumbers_of(table: Table, columns: Sequence[str], skipped: Mask | None) -> FloatArray:
    """(n, k) numbers of columns, 0 where one is missing and may be.

    Examples
    --------
    >>> prices = Table.read(pd.DataFrame({"price": [2.0, None]}))
    >>> readnumbers_of(prices, ["price"], np.array([False, True])).tolist()
    [[2.0], [0.0]]
    """
    if skipped is None:
        return table.numbers(columns)
    read = [numbers_of(table, column, skipped, 0.0) for column in columns]
    return np.column_stack(read) if read else np.empty((len(table.frame), 0))


def read_coded(
    table: Table,
    names: Sequence[str],
    codings: Mapping[str, Coding],
    columns: Sequence[str] | None = None,
    skipped: Mask | None = None,
) -> FloatArray:
    """Read attributes of items.

    Parameters
    ----------
    table, names
        The table, and names of the attributes.
    codings
        Codings by name; other attributes are numbers.
    columns
        Columns of the attributes, if they have other names.
    skipped
        (n,) rows in which attributes may be missing and then count as 0.

    Returns
    -------
    values: (n, k) one column for each of `coded_names`
    """
    columns = names if columns is None else columns
    if not codings:
        return readnumbers_of(table, columns, skipped)
    parts = [
        codings[name].values(table, column, skipped)
        if name in codings
        else readnumbers_of(table, [column], skipped)
        for name, column in zip(names, columns, strict=True)
    ]
    return np.hstack(parts)


def coded_names(names: Sequence[str], codings: Mapping[str, Coding]) -> tuple[str, ...]:
    """(k,) names of the features of attributes.

    Examples
    --------
    >>> coded_names(["price", "age"], {"price": Coding(name="price", kind="log")})
    ('log(price)', 'age')
    """
    return tuple(
        column
        for name in names
        for column in (codings[name].columns if name in codings else (name,))
    )
