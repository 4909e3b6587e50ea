"""Notebooks run from top to bottom, and show what they print when they are run."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from printed import disagreement

import bayes_pref as bp
from conftest import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 600_000  # bytes: pictures are for looking at, not for printing

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(notebook: Any) -> list[Any]:
    """The cells that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def kinds(cell: Any) -> list[str]:
    """What a cell shows: streams by name, displays by their richest form."""
    found = []
    for output in cell.outputs:
        data = output.get("data", {})
        rich = [kind for kind in ("image/png", "text/html", "text/plain") if kind in data]
        found.append(rich[0] if rich else output.get("name", output.output_type))
    return found


def text(cell: Any) -> str:
    """All that a cell shows as text."""
    parts = [o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in cell.outputs]
    return "\n".join(parts)


def test_there_is_a_quickstart() -> None:
    assert "01_quickstart" in [path.stem for path in NOTEBOOKS]


def test_every_plot_is_shown() -> None:
    text = (ROOT / "notebooks" / "09_plots.ipynb").read_text(encoding="utf-8")
    shown = set(re.findall(r"bp\.plots\.(\w+)\(", text))
    there = {name for name, _ in inspect.getmembers(bp.plots, inspect.isfunction)}
    assert shown == {name for name in there if not name.startswith("_")}


@each_notebook
def test_a_notebook_was_run_in_order_and_shows_neither_errors_nor_noise(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    shown = [kind for cell in cells for kind in kinds(cell)]
    assert {"image/png", "text/html"} <= set(shown)
    assert not {"error", "stderr"} & set(shown)
    assert notebook.metadata.kernelspec.name == "python3"


@each_notebook
def test_a_notebook_is_small_and_knows_no_folder_of_its_author(path: Path) -> None:
    assert path.stat().st_size < LARGEST
    pictures = r'"image/png": "[^"]*"|;base64,[^\'"]*'  # base64 has slashes, too
    written = re.sub(pictures, "", path.read_text(encoding="utf-8"))
    assert re.findall(r"(?<![\w.:/<])/(?:[\w.-]+/)+[\w.-]*", written) == []


@pytest.mark.slow
def test_a_figure_shows_after_a_representation_that_has_one(tmp_path: Path) -> None:
    """What is drawn into a page first does not keep the notebook's own figures away."""
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [
        nbformat.v4.new_code_cell("import bayes_pref as bp\ngraph = bp.CausalGraph()\ngraph"),
        nbformat.v4.new_code_cell("graph.plot();"),
    ]
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=where).execute()
    assert [kinds(cell) for cell in notebook.cells] == [["text/html"], ["image/png"]]


@pytest.mark.long  # a minute or more each; every commit runs what the README shows
@each_notebook
def test_a_notebook_runs_and_shows_what_it_showed(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    if "BAYES_PREF_DATA" in path.read_text(encoding="utf-8"):
        monkeypatch.setenv("BAYES_PREF_DATA", str(request.getfixturevalue("shared_data")))
    # Nobody's own settings, and no traces in their folders.
    for variable in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR"):
        monkeypatch.setenv(variable, str(tmp_path / variable.lower()))
    committed, again = (nbformat.read(path, as_version=4) for _ in range(2))
    where = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(again, timeout=600, kernel_name="python3", resources=where).execute()
    for old, new in zip(code_cells(committed), code_cells(again), strict=True):
        assert kinds(old) == kinds(new), new.source
        assert disagreement(text(old), text(new)) == "", new.source
