"""Excel in and out: the first sheet is read as the same table as CSV, and tables are written."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.cli import main
from bayes_pref.cli.sheets import read_sheet
from bayes_pref.cli.tables import read_table
from bayes_pref.cli.writing import write_frame
from bayes_pref.reporting import workbook as workbooks

FIT = ["--user", "user", "--choice", "choice", "--model", "PooledReward", "--draws", "20"]
FIT += ["--warmup", "20", "--chains", "2"]


def test_a_workbook_is_read_as_its_csv(tmp_path: Path) -> None:
    votes = bp.simulate(users=4, comparisons=5, features=["length", "tone"], contexts=0).frame
    votes = votes.assign(user=[f"{k:03d}" for k in votes["user"].rank(method="dense").astype(int)])
    votes.to_csv(tmp_path / "votes.csv", index=False)
    votes.to_excel(tmp_path / "votes.xlsx", index=False)
    read = [read_table(tmp_path / f"votes.{end}", labels=["user"]) for end in ("csv", "xlsx")]
    pd.testing.assert_frame_equal(
        read[0].frame.reset_index(drop=True), read[1].frame.reset_index(drop=True)
    )
    assert read[1].frame.index[0] == 2
    assert read[1].frame["user"].iloc[0] == "001"


def test_the_command_reads_and_writes_workbooks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    votes = bp.simulate(users=6, comparisons=8, features=["length"], contexts=0, seed=0).frame
    votes.to_excel(tmp_path / "votes.xlsx", index=False)
    run = str(tmp_path / "run")
    # So few draws may be found wanting (status 1); bad input would be 2.
    assert main(["fit", str(tmp_path / "votes.xlsx"), *FIT, "--out", run]) in (0, 1)
    out = tmp_path / "weights.xlsx"
    assert main(["export", run, "weights", "--out", str(out)]) == 0
    again = pd.read_excel(out)
    assert list(again.columns) == ["user", "feature", "mean", "sd", "lower", "upper"]
    assert len(again) == 6
    broken = votes.assign(length=votes["length"].astype(object))
    broken.loc[3, "length"] = None
    broken.to_excel(tmp_path / "broken.xlsx", index=False)
    capsys.readouterr()
    assert main(["fit", str(tmp_path / "broken.xlsx"), *FIT, "--out", run + "2"]) == 2
    assert "column 'length': missing value (nan) in row 5" in " ".join(
        capsys.readouterr().err.split()
    )


def test_cells_are_no_formulas(tmp_path: Path) -> None:
    path = tmp_path / "table.xlsx"
    write_frame(path, pd.DataFrame({"user": ["=1+1", "a\x1bb", "NA"], "mean": [1.0, 2.0, 3.0]}))
    assert read_sheet(path, ["user"])["user"].tolist() == ["'=1+1", "'a\\x1bb", "NA"]


def test_what_is_no_workbook_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "votes.xlsx"
    with pytest.raises(bp.DataError, match=r"cannot read .*No such file"):
        read_table(path)
    path.write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(bp.DataError, match="is not a whole Excel workbook"):
        read_table(path)
    pd.DataFrame([["a", "a"], [1, 2]]).to_excel(path, index=False, header=False)
    with pytest.raises(bp.DataError, match="more than one column named 'a'"):
        read_table(path)
    pd.DataFrame([["a", None], [1, 2]]).to_excel(path, index=False, header=False)
    with pytest.raises(bp.DataError, match="column 2 has no name"):
        read_table(path)
    pd.DataFrame().to_excel(path, index=False, header=False)
    with pytest.raises(bp.DataError, match="has no table on its first sheet"):
        read_table(path)
    monkeypatch.setattr(workbooks, "MOST_ROWS", 2)
    with pytest.raises(bp.DataError, match="'table' has 3 rows, and a sheet of Excel holds 2"):
        write_frame(path, pd.DataFrame({"mean": [1.0, 2.0, 3.0]}))
    for name in ("openpyxl", "openpyxl.workbook"):
        monkeypatch.setitem(sys.modules, name, None)
    for use in (lambda: write_frame(path, pd.DataFrame({"a": [1]})), lambda: read_table(path)):
        with pytest.raises(bp.DataError, match=r"needs openpyxl; .*'bayes-pref\[excel\]'"):
            use()
