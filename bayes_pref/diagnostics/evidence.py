"""Evidence for the verdicts, and the words for its numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.diagnostics.wording import PAIRS, Wording
from bayes_pref.types import FloatArray, IntArray, Mask

Texts: TypeAlias = NDArray[Any]  # of str, one a comparison


@dataclass(frozen=True, eq=False)
class Evidence:
    """What the assessments found about some comparisons, as verdicts and sentences read it.

    Attributes
    ----------
    table
        One row a comparison: the columns of `Report.comparisons`, and further columns of the
        assessments.
    thresholds
        Thresholds of the verdicts.
    interval
        Probability inside the intervals.
    wording
        What sentences call what is compared.

    Examples
    --------
    >>> from bayes_pref.diagnostics.thresholds import Thresholds
    >>> evidence = Evidence(pd.DataFrame({"overlap": [0.1, 0.9]}), Thresholds(), 0.9)
    >>> evidence["overlap"] < evidence.thresholds.overlap
    array([ True, False])
    """

    table: pd.DataFrame
    thresholds: Thresholds
    interval: float
    wording: Wording = PAIRS

    def __len__(self) -> int:
        """Return the number of comparisons, n."""
        return len(self.table)

    def __contains__(self, column: str) -> bool:
        """Say whether there is such a column."""
        return column in self.table

    def __getitem__(self, column: str) -> NDArray[Any]:
        """Return a column, (n,)."""
        return self.table[column].to_numpy()

    def take(self, rows: IntArray | Mask) -> Evidence:
        """Return the evidence about some rows, by position or by a mask."""
        place = np.flatnonzero(rows) if rows.dtype == bool else rows
        return replace(self, table=self.table.iloc[place])

    def estimate(self, mean: str, lower: str, upper: str) -> Texts:
        """Write an estimate with its interval, (n,), such as "0.13, 90 % interval 0.08 to 0.17"."""
        middle, low, high = (decimals(self[name]) for name in (mean, lower, upper))
        return joined(middle, f", {100 * self.interval:g} % interval ", low, " to ", high)


def percent(share: FloatArray) -> Texts:
    """Write shares in percent, (n,); a share below 1 is never rounded to 100 %, one above 0 to 0 %.

    Examples
    --------
    >>> percent(np.array([0.123, 0.995, 0.005])).tolist()  # the last two are halfway
    ['12 %', 'over 99 %', 'under 1 %']
    """
    text = np.char.mod("%.0f %%", np.rint(100.0 * np.nan_to_num(share)))
    text = np.where((share >= 0.995) & (share < 1.0), "over 99 %", text)
    return np.where((share <= 0.005) & (share > 0.0), "under 1 %", text).astype(object)


def of_draws(probability: FloatArray) -> Texts:
    """Write probabilities that are shares of draws, (n,): none of these is certain.

    Examples
    --------
    >>> of_draws(np.array([0.123, 1.0])).tolist()
    ['12 %', 'over 99 %']
    """
    return percent(np.clip(probability, 1e-9, 1.0 - 1e-9))


def decimals(values: FloatArray) -> Texts:
    """Write numbers with two decimals, (n,).

    Examples
    --------
    >>> decimals(np.array([-0.001, 1.5])).tolist()
    ['0.00', '1.50']
    """
    # Adding zero turns -0.0 into 0.0.
    return np.char.mod("%.2f", np.round(np.nan_to_num(values), 2) + 0.0).astype(object)


def joined(*parts: NDArray[Any] | str) -> Texts:
    """Join texts elementwise; at least one part is an array (n,).

    Examples
    --------
    >>> joined("left ", percent(np.array([0.5, 0.7]))).tolist()
    ['left 50 %', 'left 70 %']
    """
    total: NDArray[Any] = np.asarray("", dtype=object)
    for part in parts:
        total = total + np.asarray(part, dtype=object)
    return total
