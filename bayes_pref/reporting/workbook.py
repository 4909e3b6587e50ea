"""Tables as one Excel workbook, one sheet each."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping

import pandas as pd

from bayes_pref.errors import DataError
from bayes_pref.reporting.csv_cells import neutral

MOST_ROWS = 1_048_575  # of a sheet, below its header
_NAME = 31  # letters of a sheet's name
MISSING = "install it with pip install 'bayes-pref[excel]'"


def workbook(tables: Mapping[str, pd.DataFrame]) -> bytes:
    """Return the contents of an .xlsx file.

    Texts are written as in CSV (`csv_cells`): none is a formula.

    Parameters
    ----------
    tables
        Tables by the names of their sheets, at least one; their index is not written.

    Raises
    ------
    DataError
        If openpyxl is missing, or a table has more rows than a sheet holds.

    Examples
    --------
    >>> made = workbook({"weights": pd.DataFrame({"user": ["=1+1"], "mean": [0.5]})})
    >>> pd.read_excel(io.BytesIO(made), sheet_name="weights").values.tolist()
    [["'=1+1", 0.5]]
    """
    for name, frame in tables.items():
        if len(frame) > MOST_ROWS:
            raise DataError(
                f"table {name!r} has {len(frame):,} rows, and a sheet of Excel holds {MOST_ROWS:,}",
                "write it as .csv or .parquet",
            )
    buffer = io.BytesIO()
    try:
        with pd.ExcelWriter(buffer, engine="openpyxl") as writer:
            for name, frame in tables.items():
                sheet = re.sub(r"[\[\]:*?/\\]", "_", name)[:_NAME]
                neutral(frame, index=False).to_excel(writer, sheet_name=sheet, index=False)
    except ImportError as err:
        raise DataError("an Excel file needs openpyxl", MISSING) from err
    return buffer.getvalue()
