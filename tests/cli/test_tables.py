"""Tables on disk: what is read, what is refused, and how the place is named."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes_pref.cli.tables import SourceTable, feature_columns, read_table, whole_number_labels
from bayes_pref.errors import DataError, Place

pytest.importorskip("pyarrow")

TEXT = "who,won,length,tone\nann,1,1.5,-1\nann,0,-2,0\nbob,1,0.25,1\n"


@pytest.fixture
def frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "who": ["ann", "ann", "bob"],
            "won": [1, 0, 1],
            "length": [1.5, -2.0, 0.25],
            "tone": [-1, 0, 1],
        }
    )


def written(folder: Path, text: str, name: str = "votes.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("name", "unit", "first"),
    [
        ("votes.csv", "line", 2),
        ("votes.CSV", "line", 2),
        ("votes.tsv", "line", 2),
        ("votes.csv.gz", "line", 2),
        ("two.dots.tsv.gz", "line", 2),
        ("votes.parquet", "row", 1),
        ("votes.pq", "row", 1),
    ],
)
def test_every_format_gives_the_same_table(
    tmp_path: Path, frame: pd.DataFrame, name: str, unit: str, first: int
) -> None:
    path, text = tmp_path / name, TEXT.replace(",", "\t") if "tsv" in name else TEXT
    if unit == "row":
        frame.to_parquet(path)
    elif name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    read = read_table(path, labels=["who"])
    assert read.unit == unit
    assert read.frame.index.tolist() == [first, first + 1, first + 2]
    assert read.frame.to_dict("list") == frame.to_dict("list")


def test_rows_are_named_by_the_line_on_which_they_begin(tmp_path: Path) -> None:
    path = written(tmp_path, 'who,note,length\n\na,"one\ntwo",1\n   \nb,x,2\n')
    assert read_table(path, labels=["who"]).frame.index.tolist() == [3, 6]


def test_a_byte_order_mark_is_no_part_of_the_first_name(tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    assert read_table(path).frame.columns[0] == "who"


def test_labels_are_read_as_they_are_written(tmp_path: Path) -> None:
    path = written(tmp_path, "who,length\n007,1\n7,2\nNA,3\n7.0,4\n")
    assert read_table(path, labels=["who"]).frame["who"].tolist() == ["007", "7", "NA", "7.0"]


def test_an_empty_label_is_missing(tmp_path: Path) -> None:
    read = read_table(written(tmp_path, "who,length\n,1\nann,2\n"), labels=["who"])
    assert read.frame["who"].isna().tolist() == [True, False]


def test_words_for_missing_are_missing_among_numbers(tmp_path: Path) -> None:
    read = read_table(written(tmp_path, "who,length\na,NA\nb,\nc,nan\nd,4\n"), labels=["who"])
    assert read.frame["length"].isna().tolist() == [True, True, True, False]


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["3", "-12", "0"], [3, -12, 0]),
        (["3", "007"], ["3", "007"]),
        (["3", "3.0"], ["3", "3.0"]),
        (["3", "-0"], ["3", "-0"]),
        (["3", "x"], ["3", "x"]),
        (["9" * 19, "1"], ["9" * 19, "1"]),
    ],
)
def test_labels_become_whole_numbers_only_if_nothing_is_lost(
    labels: list[str], expected: list[object]
) -> None:
    table = SourceTable(Path("votes.csv"), pd.DataFrame({"who": labels}, dtype=str), "line")
    [read] = whole_number_labels([(table, "who")])
    assert read.frame["who"].tolist() == expected


def read_together(*tables: SourceTable) -> list[list[object]]:
    """Labels of several tables, each in the column ``who``."""
    found = whole_number_labels([(table, "who") for table in tables])
    return [table.frame["who"].tolist() for table in found]


def test_two_tables_agree_on_whether_labels_are_numbers() -> None:
    numbers = SourceTable(Path("a.csv"), pd.DataFrame({"who": ["1", "2"]}, dtype=str), "line")
    names = SourceTable(Path("b.csv"), pd.DataFrame({"who": ["1", "x"]}, dtype=str), "line")
    stored = SourceTable(Path("c.parquet"), pd.DataFrame({"who": [1, 2]}), "row")
    assert read_together(numbers, names) == [["1", "2"], ["1", "x"]]
    assert read_together(numbers, stored) == [[1, 2], [1, 2]]


def test_the_nameless_index_of_a_parquet_file_is_no_column(
    tmp_path: Path, frame: pd.DataFrame
) -> None:
    path = tmp_path / "votes.parquet"
    frame.set_index(np.array([5, 6, 9])).to_parquet(path)
    assert read_table(path).frame.columns.tolist() == frame.columns.tolist()


def test_the_named_index_of_a_parquet_file_is_a_column(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = tmp_path / "votes.parquet"
    frame.set_index("who").to_parquet(path)
    assert sorted(read_table(path).frame.columns) == sorted(frame.columns)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "votes.csv is empty: it has no header"),
        ("\n \n", "votes.csv is empty: it has no header"),
        ("who,won,who\na,1,2\n", "more than one column named 'who'"),
        (",who,won\n0,a,1\n", "column 1 has no name"),
        ("who,won, \na,1,2\n", "column 3 has no name"),
        ("who;won;tone\na;1;2\n", "a single column 'who;won;tone'"),
        ("some prose\nand more\n", "it is not a table whose fields are separated by commas"),
        ("who,won\na,1\nb,2,3\nc,1\n", "votes.csv, line 3: 3 fields, but the header has 2"),
        ("who,won,tone\na,1,2\nb,2\n", "votes.csv, line 3: 2 fields, but the header has 3"),
        ('who,won\n"a\nb",1\nc\n', "votes.csv, line 4: 1 field, but the header has 2"),
        ('who,won\na,1\n"b,1\nc,1\n', "votes.csv, line 3: not a row of a table"),
        ('who,won\n"a"b,1\n', "votes.csv, line 2: not a row of a table"),
        ("who,won\na\0b,1\n", "votes.csv is not a text table"),
    ],
)
def test_what_is_not_one_table_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        read_table(written(tmp_path, text))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("votes.csv", b"\x89PNG\r\n\x1a\n\xff\xfe\xfa", "is not a text table in UTF-8"),
        ("votes.csv", "who,wörd\n".encode("latin-1"), r"in UTF-8 \(byte b'\\xf6'\)"),
        ("votes.csv", TEXT.encode("utf-16"), "is not a text table"),
        ("votes.csv.gz", TEXT.encode(), "is not a whole gzip file"),
        ("votes.csv.gz", gzip.compress(TEXT.encode(), mtime=0)[:-12], "is not a whole gzip file"),
        ("votes.parquet", TEXT.encode(), "is not a whole Parquet file"),
        ("votes.xlsx", b"PK", "is not a whole Excel workbook"),
        ("votes.ods", b"PK", "its name tells no known format"),
        ("votes", b"", "its name tells no known format"),
    ],
)
def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / name)


def test_half_a_parquet_file_is_refused(tmp_path: Path, frame: pd.DataFrame) -> None:
    path = tmp_path / "votes.parquet"
    frame.to_parquet(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="is not a whole Parquet file"):
        read_table(path)


@pytest.mark.parametrize("name", ["no.csv", "no.tsv.gz", "no.parquet", "no.xlsx", "no"])
def test_a_missing_file_is_the_first_thing_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"cannot read .*: No such file or directory; check"):
        read_table(tmp_path / name)


def test_a_folder_is_not_a_table(tmp_path: Path) -> None:
    (tmp_path / "votes.csv").mkdir()
    with pytest.raises(DataError, match="Is a directory"):
        read_table(tmp_path / "votes.csv")


@pytest.mark.parametrize(
    ("error", "located"),
    [
        (
            DataError("is empty", "add a row", place=Place(), subject=True),
            "v.csv is empty; add a row",
        ),
        (
            DataError("text 'b'", "mend it", place=Place(column="a", rows=(5,))),
            "v.csv, column 'a': text 'b' in line 5; mend it",
        ),
        (
            DataError("user 7 made no comparison", place=Place("covariates", "a")),
            "v.csv, column 'a': user 7 made no comparison",
        ),
        (DataError("left has 1 columns"), "v.csv: left has 1 columns"),
    ],
)
def test_an_error_about_a_frame_becomes_one_about_the_file(error: DataError, located: str) -> None:
    table = SourceTable(Path("v.csv"), pd.DataFrame(), "line")
    assert str(table.located(error)) == located


def test_another_remedy_can_be_given() -> None:
    table = SourceTable(Path("v.csv"), pd.DataFrame(), "line")
    error = DataError("no names", "use features=[...]")
    assert str(table.located(error, remedy="use --features")) == "v.csv: no names; use --features"


def test_features_are_the_columns_that_are_nothing_else(frame: pd.DataFrame) -> None:
    table = SourceTable(Path("votes.csv"), frame, "line")
    assert feature_columns(table, ["won", "who"]) == ["length", "tone"]
    with pytest.raises(DataError, match="no column besides 'won', 'who', 'length' and 'tone'"):
        feature_columns(table, ["won", "who", "length", "tone"])


def test_a_column_of_names_is_not_taken_for_a_feature(frame: pd.DataFrame) -> None:
    table = SourceTable(Path("votes.csv"), frame.assign(country=["nl", None, "it"]), "line")
    with pytest.raises(DataError, match=r"'country' holds no numbers but such as 'nl'.*difference"):
        feature_columns(table, ["who", "won"])
