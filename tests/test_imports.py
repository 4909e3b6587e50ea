"""What an import costs, and that every public name is found on its first use."""

from __future__ import annotations

import ast
import json
import operator
import os
import subprocess
import sys
from pathlib import Path

import pytest
from draw_architecture import imported_names, read_sources, room_of

import bayes_pref as bp
from conftest import ROOT

SLOW = {
    "arviz",
    "matplotlib",
    "networkx",
    "numba",
    "pandas",
    "pyro",
    "scipy",
    "sklearn",
    "torch",
    "xarray",
}
SOURCES = read_sources()

# A notebook on a machine without ipywidgets.
NOTEBOOK = """
import sys, types
sys.modules["ipykernel.zmqshell"] = types.ModuleType("ipykernel.zmqshell")
shell = types.SimpleNamespace(config={"IPKernelApp": {}})  # which older bars look at
sys.modules["IPython"] = types.SimpleNamespace(get_ipython=lambda: shell)
sys.modules["ipywidgets"] = None
"""


def python(script: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a script in a new interpreter."""
    return subprocess.run(
        [sys.executable, *options, "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def loaded_after(script: str) -> set[str]:
    """Return the modules that a new interpreter has loaded after a script."""
    tell = "import sys, json; print(json.dumps(sorted(sys.modules)), file=sys.stderr)"
    done = python(f"import atexit\natexit.register(lambda: exec({tell!r}))\n{script}")
    return set(json.loads(done.stderr))


@pytest.mark.parametrize(
    "script",
    [
        "import bayes_pref",
        "import bayes_pref; dir(bayes_pref), bayes_pref.__version__, bayes_pref.DataError",
        "from bayes_pref.cli import main; main(['--help'])",
        "from bayes_pref.cli import main; main(['fit', '--help'])",
        "from bayes_pref.cli.registry import collect; from bayes_pref.cli import main\n"
        "for name in collect(): assert main([name, '--help']) == 0",
    ],
)
def test_import_and_help_wait_for_nothing_slow(script: str) -> None:
    loaded = loaded_after(script)
    assert "bayes_pref" in loaded
    assert loaded & SLOW == set()


def test_comparisons_need_no_sampler() -> None:
    loaded = loaded_after("import bayes_pref as bp; bp.Comparisons, bp.simulate")
    assert "pandas" in loaded
    assert loaded & {"arviz", "numba", "pyro", "torch"} == set()


def test_a_script_that_imports_a_sampler_is_caught() -> None:
    assert "torch" in loaded_after("import bayes_pref as bp; bp.fit")


def test_every_public_name_is_found() -> None:
    assert all(getattr(bp, name) is not None for name in bp.__all__)
    assert set(dir(bp)) == {*bp.__all__, "__version__"}
    known: dict[str, object] = {}
    exec("from bayes_pref import *", known)
    assert set(bp.__all__) <= set(known)


def test_type_checkers_see_the_names_that_are_found() -> None:
    body = ast.parse(SOURCES["__init__.py"]).body
    block = next(node for node in body if isinstance(node, ast.If))
    lines = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    homes = {alias.asname: node.module for node in lines for alias in node.names}
    assert sorted(map(str, homes)) == bp.__all__
    for name, module in bp._HOMES.items():
        assert homes[name] == f"bayes_pref.{module}"


def test_no_function_has_the_name_of_a_submodule() -> None:
    modules = {room_of(file) for file in SOURCES}
    assert modules & set(bp.__all__) == {"plots", "text"}


@pytest.mark.long  # a cold run of mypy over the package; make lint checks its stubs every time
def test_strict_mypy_accepts_code_that_uses_the_names(tmp_path: Path) -> None:
    lines = [
        "import bayes_pref as bp",
        "from bayes_pref import Comparisons, plots",
        "def fitted(comparisons: Comparisons) -> bp.Posterior:",
        "    posterior = bp.fit(bp.HierarchicalReward(), comparisons, seed=1)",
        "    plots.population(posterior)",
        "    return posterior",
    ]
    right, wrong = tmp_path / "right.py", tmp_path / "wrong.py"
    right.write_text("\n".join(lines))
    wrong.write_text("import bayes_pref as bp\nbp.calibrate\nbp.fit(3)\n")
    found = {path: checked(path) for path in (right, wrong)}
    assert found[right].startswith("Success")
    assert 'Module has no attribute "calibrate"' in found[wrong]
    assert "matches argument type" in found[wrong]


def checked(path: Path) -> str:
    """Return what mypy says of a file."""
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file", "setup.cfg", str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("calibrate", "it is called bayes_pref.sbc"),
        ("Calibration", "it is called bayes_pref.SBC"),
        ("check", "it is called bayes_pref.posterior_predictive_check"),
        ("Sample", "it is called bayes_pref.PyroPosterior"),
        ("HierachicalReward", "did you mean bayes_pref.HierarchicalReward?"),
        ("zzz", "has no attribute 'zzz'$"),
    ],
)
def test_a_name_that_is_not_there_leads_to_the_one_that_is(name: str, message: str) -> None:
    with pytest.raises(AttributeError, match=message):
        getattr(bp, name)


def test_a_renamed_plot_leads_to_the_one_that_is_there() -> None:
    with pytest.raises(AttributeError, match=r"it is called bayes_pref\.plots\.factors"):
        operator.attrgetter("plots.tastes")(bp)
    assert not hasattr(bp.plots, "zzz")
    assert callable(bp.plots.factors)


def test_renamed_names_lead_to_names_that_are_there() -> None:
    assert set(bp._RENAMED.values()) <= set(bp.__all__)
    assert set(bp._RENAMED) & set(bp.__all__) == set()


def imports_progress_first(source: str) -> bool:
    """Whether the first import of a package is that of the progress bars."""
    lines = [
        node for node in ast.parse(source).body if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return bool(lines) and ast.unparse(lines[0]).startswith("from bayes_pref import progress")


def test_bars_come_from_the_module_that_silences_their_warning() -> None:
    others = {file: text for file, text in SOURCES.items() if file != "progress.py"}
    import_bars = {f for f, text in others.items() if "tqdm.auto.tqdm" in imported_names(f, text)}
    assert import_bars == set()
    assert "tqdm.auto.tqdm" in imported_names("progress.py", SOURCES["progress.py"])


def test_rooms_that_import_pyro_import_the_progress_bars_first() -> None:
    rooms = {
        room_of(file)
        for file, source in SOURCES.items()
        if any(name.split(".")[0] == "pyro" for name in imported_names(file, source))
    }
    assert "models" in rooms
    # A module of its own, such as `seeding`, sees Pyro in functions that a fit calls.
    inits = {room: SOURCES.get(f"{room}/__init__.py") for room in rooms}
    late = {room for room, init in inits.items() if init and not imports_progress_first(init)}
    assert late == set()
    assert not imports_progress_first("from bayes_pref.models.base import RewardModel")


@pytest.mark.parametrize("entry", ["models.pooled", "inference.pyro_tools.reparametrise"])
def test_a_notebook_without_widgets_shows_no_warning(entry: str) -> None:
    assert python(f"{NOTEBOOK}\nimport bayes_pref.{entry}").stderr == ""


def test_pyro_alone_warns_in_a_notebook_without_widgets() -> None:
    assert "IProgress not found" in python(f"{NOTEBOOK}\nimport pyro.infer").stderr
