"""A formula of attributes, as the columns that it adds to a caller's tables.

What a formula says of one attribute (levels, a logarithm) is a `Coding`, as elsewhere. Products of
attributes and other arithmetic are columns of their own, made here of the columns that the
caller's tables have. A formula is plain data, saved with the comparisons, and read without running
any of it (`arithmetic`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np

from bayes_pref.data.arithmetic import computed, variables_of
from bayes_pref.data.coding import Coding
from bayes_pref.data.table import Table, missing_in
from bayes_pref.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One factor of a product: numbers, or the levels of an attribute.

    Parameters
    ----------
    label
        Its name, where it holds numbers.
    expression
        Arithmetic on columns; empty for levels.
    centre, scale
        What is subtracted from the numbers, and by what they are divided then.
    coding
        The levels.
    full
        Whether each level has an indicator, instead of all but one.

    Examples
    --------
    >>> import pandas as pd
    >>> price = Factor(label="log(price)", expression="log(price)")
    >>> price.values(Table.read(pd.DataFrame({"price": [1.0]})), {"price": "price"})
    array([[0.]])
    """

    label: str = ""
    expression: str = ""
    centre: float = 0.0
    scale: float = 1.0
    coding: Coding | None = None
    full: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns."""
        if self.coding is None:
            return (self.label,)
        if self.full:
            return tuple(f"{self.coding.name}[{level}]" for level in self.coding.levels)
        return self.coding.columns

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns of the caller's that it is made of."""
        return variables_of(self.expression) if self.coding is None else (self.coding.name,)

    def values(self, table: Table, columns: Mapping[str, str]) -> FloatArray:
        """(n, c) columns, NaN where a value is missing; see `Product.values`."""
        series = {name: table.frame[columns[name]] for name in self.variables}
        missing = np.any([missing_in(each) for each in series.values()], axis=0)
        if self.coding is not None:
            whole = self.coding.values(table, columns[self.coding.name], missing)
            if self.full:
                basis = self.coding.basis  # with a constant beside it, square
                square = np.column_stack([basis, np.ones(len(basis))])
                alike = np.column_stack([whole, np.ones(len(whole))])
                whole = np.rint(alike @ np.linalg.inv(square))
            return np.where(missing[:, None], np.nan, whole)
        kept = {
            name: Table(table.frame[~missing], table.name).numbers([columns[name]])[:, 0]
            for name in series
        }
        found = np.full((len(table.frame), 1), np.nan)
        found[~missing, 0] = (computed(self.expression, kept) - self.centre) / self.scale
        return found


@dataclass(frozen=True, kw_only=True)
class Product:
    """A term of a formula that is a product of factors, or arithmetic: columns of numbers.

    Parameters
    ----------
    factors
        At least one.

    Examples
    --------
    >>> import pandas as pd
    >>> brand = Coding(name="brand", kind="reference", levels=("A", "B"), baseline="A")
    >>> term = Product(factors=(Factor(label="price", expression="price"), Factor(coding=brand)))
    >>> term.names, term.values(Table.read(pd.DataFrame({"price": [2, 3], "brand": ["B", "A"]})))
    (('price:brand[B]',), array([[2.],
           [0.]]))
    """

    factors: tuple[Factor, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns, of which the last factor's vary fastest."""
        return reduce(
            lambda made, more: tuple(f"{one}:{other}" for one in made for other in more),
            (factor.names for factor in self.factors),
        )

    @property
    def variables(self) -> tuple[str, ...]:
        """Columns of the caller's that it is made of."""
        return tuple(dict.fromkeys(name for each in self.factors for name in each.variables))

    def values(self, table: Table, columns: Mapping[str, str] | None = None) -> FloatArray:
        """(n, c) values, NaN where one that it is made of is missing.

        Parameters
        ----------
        table
            The caller's.
        columns
            Names of the columns in it, by those in the formula; None: the same.

        Raises
        ------
        DataError
            For a level that was not in the fitted data, and what should be a number and is none.
        """
        columns = columns or {name: name for name in self.variables}
        parts = (factor.values(table, columns) for factor in self.factors)
        return reduce(
            lambda made, more: (made[:, :, None] * more[:, None, :]).reshape(len(made), -1), parts
        )


@dataclass(frozen=True, kw_only=True)
class Formula:
    """A formula, learnt from a table: it makes the same columns of another.

    Parameters
    ----------
    text
        As it was written.
    inputs
        Attributes as the caller's tables have them, in the order in which they were named.
    terms
        Attributes that stand alone, and products, in order: their names.
    codings
        Of attributes that stand alone.
    products
        The other terms.

    Examples
    --------
    >>> heavy = Product(factors=(Factor(label="weight ** 2", expression="weight ** 2"),))
    >>> formula = Formula(
    ...     text="~ I(weight**2)", inputs=("weight",), terms=heavy.names, products=(heavy,)
    ... )
    >>> import pandas as pd
    >>> formula.applied(Table.read(pd.DataFrame({"weight": [3.0]}))).frame
       weight  weight ** 2
    0     3.0          9.0
    """

    text: str
    inputs: tuple[str, ...]
    terms: tuple[str, ...]
    codings: tuple[Coding, ...] = ()
    products: tuple[Product, ...] = ()

    def applied(
        self, table: Table, columns: Mapping[str, str] | None = None, suffix: str = ""
    ) -> Table:
        """Return a table with the columns of the products, as far as it has what they need.

        Parameters
        ----------
        table
            The caller's; columns of products that it has are kept.
        columns
            As of `Product.values`.
        suffix
            What is appended to the names of the new columns.
        """
        added: dict[str, Any] = {}
        for product in self.products:  # a loop over terms
            needed = [(columns or {}).get(name, name) for name in product.variables]
            there = set(table.frame.columns)
            if set(needed) <= there and not {name + suffix for name in product.names} <= there:
                values = product.values(table, columns)
                added |= {n + suffix: v for n, v in zip(product.names, values.T, strict=True)}
        return Table(table.frame.assign(**added), table.name, table.sides) if added else table

    def require(self, table: Table) -> None:
        """Refuse a table that has neither the columns of a product nor what they are made of."""
        for product in self.products:
            if not set(product.names) <= set(table.frame.columns):
                table.require(product.variables)

    def state(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Formula:
        """Build what `state` described; refuse expressions that are not arithmetic."""
        products = []
        for term in state["products"]:
            factors = [_factor(each) for each in term["factors"]]
            products.append(Product(factors=tuple(factors)))
        made = cls(
            text=str(state["text"]),
            inputs=tuple(state["inputs"]),
            terms=tuple(state["terms"]),
            codings=tuple(Coding.from_state(each) for each in state["codings"]),
            products=tuple(products),
        )
        for product in made.products:
            product.variables  # noqa: B018 - walks every expression
        return made


def _factor(state: Mapping[str, Any]) -> Factor:
    coding = state["coding"]
    known = None if coding is None else Coding.from_state(coding)
    return Factor(**{**state, "coding": known})
