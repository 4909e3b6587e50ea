"""Contexts and covariates that are words, or numbers on another scale, as columns of numbers.

They are coded as attributes are (`coding`): a context ``region`` becomes ``region[north]`` and so
on. Tables that a caller gives get these columns beside the column of words, so that whatever reads
contexts reads numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bayes_pref.data.coding import Coding, coded_names
from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.table import Table
from bayes_pref.errors import DataError
from bayes_pref.messages import listed


class CodedContexts(NamedTuple):
    """A table whose contexts are numbers.

    Attributes
    ----------
    table
        The caller's table, with a column for each of `names`.
    names
        The contexts, as they are called from here on.
    codings
        How those that are no numbers were coded, by the names of the caller.
    """

    table: Table
    names: tuple[str, ...]
    codings: Mapping[str, Coding]

    @classmethod
    def read(cls, table: Table, contexts: Sequence[str], options: CodingOptions) -> CodedContexts:
        """Code the contexts of a table.

        Parameters
        ----------
        table, contexts
            The table, and its columns that hold contexts.
        options
            How to code them, by name.

        Examples
        --------
        >>> import pandas as pd
        >>> regions = Table.read(pd.DataFrame({"region": ["south", "north"]}))
        >>> CodedContexts.read(regions, ["region"], CodingOptions("reference")).names
        ('region[south]',)
        """
        codings = options.learn_all(table, contexts)
        coded = with_coded(table, tuple(codings.values()), "context")
        return cls(coded, coded_names(contexts, codings), codings)


def with_coded(
    table: Table, codings: Sequence[Coding], role: str = "context", *, needed: bool = False
) -> Table:
    """Return a table with the columns that codings make of others.

    Parameters
    ----------
    table
        A table of the caller; one that has the columns already is returned as it is.
    codings
        How they are made.
    role
        What the columns are, for messages.
    needed
        Whether to refuse a table that has neither the columns nor what they are made of.

    Raises
    ------
    DataError
        For a level that is none of the fitted ones, and where a column would stand twice.

    Examples
    --------
    >>> import pandas as pd
    >>> region = Coding(name="region", kind="reference", levels=("a", "b"), baseline="a")
    >>> made = with_coded(Table.read(pd.DataFrame({"region": ["b", "a"]})), [region])
    >>> made.frame["region[b]"].tolist()
    [1.0, 0.0]
    """
    added: dict[str, Any] = {}
    for coding in codings:  # a loop over columns
        there = [name for name in coding.columns if name in table.frame.columns]
        if len(there) == len(coding.columns):
            continue
        if there:
            raise DataError(
                f"{role} {coding.name!r}: column {listed(there[:1])} is there already",
                "rename the column",
            )
        if coding.name in table.frame.columns:
            values = coding.values(table, coding.name)
            added |= dict(zip(coding.columns, values.T, strict=True))
        elif needed:
            table.require([coding.name])
    return Table(table.frame.assign(**added), table.name, table.sides) if added else table
