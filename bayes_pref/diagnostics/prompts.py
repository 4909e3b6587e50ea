"""Descriptions of prompts that are richer than the contexts, such as whole embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.task_sets import one_row_a_task
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray

Prompts: TypeAlias = (
    "ArrayLike | pd.DataFrame | tuple[ArrayLike | pd.DataFrame, ArrayLike | pd.DataFrame]"
)


@dataclass(frozen=True, eq=False)
class PromptFeatures:
    """Numbers that describe prompts.

    Attributes
    ----------
    fitted
        (n_fitted, m) of the fitted comparisons; of choices among several, one row a task.
    asked
        (n, m) of the comparisons of a query.
    """

    fitted: FloatArray
    asked: FloatArray


def contexts(comparisons: Comparisons, query: Query) -> PromptFeatures:
    """Describe prompts by their contexts."""
    return PromptFeatures(comparisons.context, query.context)


def read_prompts(
    prompts: Prompts, comparisons: Comparisons, query: Query, *, same: bool = False
) -> PromptFeatures:
    """Read what describes the prompts of the fitted comparisons and of a query.

    Parameters
    ----------
    prompts
        Two arrays, (n_fitted, m) and (n, m), in the order of `comparisons.rows` and of
        `query.rows`, or two frames indexed by these labels, in any order. Of choices among several,
        one row a task.
    comparisons
        The fitted comparisons.
    query
        The comparisons of a diagnosis.
    same
        Whether the query is the fitted comparisons: `prompts` is then one array or frame.

    Returns
    -------
    PromptFeatures

    Raises
    ------
    DataError
        If rows or columns do not fit, or a value is missing, infinite or not a number.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> from bayes_pref.diagnostics.query import read_query
    >>> embeddings, query = np.ones((300, 8)), read_query(posterior)
    >>> read_prompts(embeddings, world.comparisons, query, same=True).asked.shape
    (300, 8)
    """
    if same:
        if isinstance(prompts, tuple):
            raise DataError(
                "prompts: got several arrays, but expected one, of the fitted comparisons"
            )
        prompts = (prompts, prompts)
    if not isinstance(prompts, tuple) or len(prompts) != 2:
        raise DataError(
            "prompts: expected two arrays, (of the fitted comparisons, of those to be judged), but "
            f"got {type(prompts).__name__}"
        )
    task = np.arange(len(query)) if query.task is None else query.task
    rows = query.rows[np.flatnonzero(np.diff(task, prepend=-1))]
    fitted = _rows(prompts[0], one_row_a_task(comparisons).rows, "the fitted comparisons")
    asked = _rows(prompts[1], rows, "the comparisons to be judged")
    if fitted.shape[1] != asked.shape[1]:
        raise DataError(
            f"prompts: {fitted.shape[1]} columns for the fitted comparisons, but {asked.shape[1]} "
            "for those to be judged; describe both alike"
        )
    return PromptFeatures(fitted, asked[task])


def _rows(values: ArrayLike | pd.DataFrame, rows: pd.Index[Any], whose: str) -> FloatArray:
    """Numbers (n, m), in the order of the row labels."""
    if isinstance(values, pd.DataFrame):
        if values.index.has_duplicates:
            raise DataError(f"prompts of {whose}: the row labels must be different")
        place = values.index.get_indexer(rows)
        if (place < 0).any():
            raise DataError(f"prompts of {whose}: none for row {shown(rows[place < 0][0])}")
        values = values.iloc[place]
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise DataError(f"prompts of {whose}: expected numbers, such as embeddings") from err
    if numbers.ndim != 2 or len(numbers) != len(rows) or not numbers.shape[1]:
        raise DataError(
            f"prompts of {whose}: expected an array of {len(rows):,} rows and at least one column, "
            f"got shape {numbers.shape}"
        )
    bad = ~np.isfinite(numbers).all(axis=1)
    if bad.any():
        raise DataError(
            f"prompts of {whose}: missing or infinite in row {shown(rows[int(bad.argmax())])}"
        )
    return numbers
