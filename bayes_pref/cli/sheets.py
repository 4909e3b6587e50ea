"""Excel workbooks: the first sheet as a table."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from pandas.api import types

from bayes_pref.cli.text_tables import doubled_column
from bayes_pref.data.expansion import refuse_bomb
from bayes_pref.errors import DataError
from bayes_pref.reporting.workbook import MISSING


def read_sheet(path: Path, labels: Sequence[str] = ()) -> pd.DataFrame:
    """Read the first sheet of a workbook, whose first row names the columns.

    Parameters
    ----------
    path
        The file.
    labels
        Columns of labels, of which those that are not all numbers are read as text.

    Returns
    -------
    frame: rows labelled as in Excel, without empty rows

    Raises
    ------
    DataError
        If openpyxl is missing, the file is no workbook, or a column has no name or one twice.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "votes.xlsx")
    ...     pd.DataFrame({"who": ["ann", 7], "length": [1.5, 2]}).to_excel(path, index=False)
    ...     read_sheet(path, ["who"])
         who  length
    row
    2    ann     1.5
    3      7     2.0
    """
    with path.open("rb"):  # that a file is missing is more important than what it holds
        pass
    try:
        with zipfile.ZipFile(path) as parts:
            expanded = sum(part.file_size for part in parts.infolist())
        refuse_bomb(path, path.stat().st_size, float(expanded))
        cells = pd.read_excel(
            path,
            header=None,
            dtype=object,
            keep_default_na=False,
            na_values=[""],
            engine="openpyxl",
        )
    except DataError:
        raise
    except ImportError as err:
        raise DataError(f"reading {path} needs openpyxl", MISSING) from err
    except Exception as err:
        raise DataError(
            f"{path} is not a whole Excel workbook", "save it again as .xlsx or .csv"
        ) from err
    if not len(cells):
        raise DataError(f"{path} has no table on its first sheet", "its first row names columns")
    names = cells.iloc[0]
    if names.isna().any():
        place = int(names.isna().argmax()) + 1
        raise DataError(f"{path}: column {place} has no name", "name it in the first row")
    frame = cells.iloc[1:].set_axis([str(name) for name in names], axis=1)
    doubled = frame.columns[frame.columns.duplicated()]
    if len(doubled):
        raise doubled_column(path, doubled[0])
    frame = frame.set_axis(pd.RangeIndex(2, len(frame) + 2, name="row")).dropna(how="all")
    frame = frame.infer_objects()
    mixed = [name for name in labels if name in frame and not types.is_numeric_dtype(frame[name])]
    return frame.assign(**{name: frame[name].map(str, na_action="ignore") for name in mixed})
