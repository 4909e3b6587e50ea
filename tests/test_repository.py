"""The repository keeps its own rules: links, one-way imports, documented names, pinned versions."""

from __future__ import annotations

import ast
import configparser
import importlib.util
import inspect
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from draw_architecture import (
    PAGE,
    PICTURE,
    circles,
    draw,
    file_graph,
    file_of,
    imported_names,
    read_sources,
    room_graph,
    table,
    with_table,
    wrong_arrows,
)
from matplotlib import image
from packaging.requirements import Requirement

import bayes_pref as bp
import bayes_pref.models
from conftest import ROOT, unchanged_globals

PACKAGE = ROOT / "bayes_pref"
SOURCES = read_sources()
LONGEST = 400  # lines of a file, and of a class


def wrong_imports(sources: dict[str, str]) -> list[str]:
    """Return, as sentences, what breaks the one-way order among the files of the package."""
    files = file_graph(sources)
    wrong = [f"{' and '.join(circle)} import each other" for circle in circles(files)]
    wrong += wrong_arrows(room_graph(files))
    for file, source in sources.items():
        for name in sorted(imported_names(file, source)):
            head = name.partition(".")[0]
            if head == "arviz" and Path(file).name != "arviz_bridge.py":
                wrong.append(f"{file} imports {name}: only arviz_bridge talks to ArviZ")
            if head in ("models", "inference"):
                wrong.append(f"{file} imports {name}: the links are not packages")
            if head == "bayes_pref" and file_of(name, sources) == "__init__.py":
                wrong.append(f"{file} imports {name}: import it from the module that defines it")
    return wrong


def test_imports_point_one_way() -> None:
    assert wrong_imports(SOURCES) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("data/features.py", "from ..posterior import Posterior"),
        ("data/features.py", "from .. import posterior"),
        ("data/features.py", "from bayes_pref import simulate"),
        ("data/features.py", "def late():\n    import bayes_pref.models.pooled"),
        ("data/table.py", "from bayes_pref.cli import main"),
        ("data/table.py", "from bayes_pref.data.comparisons import Comparisons"),
        ("errors.py", "from bayes_pref.data.table import Table"),
        ("models/pooled.py", "from ..inference.gibbs.gibbs import Gibbs"),
        ("models/pooled.py", "if TYPE_CHECKING:\n    from bayes_pref.posterior import Posterior"),
        ("models/pooled.py", "from bayes_pref import Comparisons"),
        ("models/pooled.py", "from models.base import RewardModel"),
        ("models/pooled.py", "import bayes_pref as bp"),
        ("plots/style.py", "from bayes_pref.diagnostics.report import Report"),
        ("simulation/world.py", "from bayes_pref.models import PooledReward"),
        ("posterior/posterior.py", "import arviz as az"),
        ("posterior/posterior.py", "from arviz.stats import rhat"),
    ],
)
def test_an_import_that_points_the_wrong_way_is_caught(file: str, line: str) -> None:
    assert wrong_imports({**SOURCES, file: f"{SOURCES[file]}\n{line}\n"}) != []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("models/pooled.py", "from .base import RewardModel\nfrom ..data import Comparisons"),
        ("plots/style.py", "from bayes_pref.posterior.arviz_bridge import to_idata"),
        ("posterior/arviz_bridge.py", "import arviz as az"),
        ("__init__.py", "from bayes_pref.cli import main"),
    ],
)
def test_an_import_that_points_the_right_way_passes(file: str, line: str) -> None:
    assert wrong_imports({**SOURCES, file: f"{SOURCES[file]}\n{line}\n"}) == []


def definitions(kind: type[ast.stmt]) -> list[tuple[str, Any]]:
    """Return every definition of a kind in the package, with its file."""
    trees = [(file, ast.parse(source)) for file, source in SOURCES.items()]
    return [(file, node) for file, tree in trees for node in ast.walk(tree) if type(node) is kind]


def doubled(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)


def test_no_file_and_no_class_has_the_name_of_another() -> None:
    files = [Path(file).name for file in SOURCES]
    assert doubled(name for name in files if name not in ("__init__.py", "__main__.py")) == []
    assert doubled(node.name for _, node in definitions(ast.ClassDef)) == []
    assert doubled(["a.py", "b.py", "a.py"]) == ["a.py"]


def test_files_and_classes_are_short() -> None:
    longest = max(SOURCES, key=lambda file: SOURCES[file].count("\n"))
    assert SOURCES[longest].count("\n") <= LONGEST, longest
    for file, node in definitions(ast.ClassDef):
        assert node.end_lineno - node.lineno < LONGEST, f"{file}: {node.name}"


def test_no_folder_has_more_than_twelve_rooms() -> None:
    rooms: dict[str, set[str]] = {}
    for file in SOURCES:
        for parent in list(Path(file).parents)[:-1]:
            inside = Path(file).relative_to(parent).parts[0]
            rooms.setdefault(str(parent), set()).add(inside)
    crowded = {folder: len(inside - {"__init__.py"}) for folder, inside in rooms.items()}
    assert crowded["inference"] <= 12


def concrete_model_checks(source: str) -> list[str]:
    """Return the calls of isinstance and issubclass on a concrete model's class."""
    models = {
        name for name, value in vars(bayes_pref.models).items()
        if inspect.isclass(value) and issubclass(value, bp.RewardModel)
    } - {"RewardModel"}  # fmt: skip
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if (
            isinstance(node, ast.Call)
            and ast.unparse(node.func) in ("isinstance", "issubclass")
            and models & set(re.findall(r"\w+", ast.unparse(node.args[1])))
        )
        or (
            isinstance(node, ast.Compare)
            and "type(" in ast.unparse(node.left)
            and models & set(re.findall(r"\w+", ast.unparse(node)))
        )
    ]


def test_nothing_above_the_models_asks_for_the_class_of_one() -> None:
    above = {file: text for file, text in SOURCES.items() if not file.startswith("models/")}
    assert {
        file: found for file, text in above.items() if (found := concrete_model_checks(text))
    } == {}
    wrong = "if isinstance(model, PooledReward | bp.MixtureReward):\n    pass"
    assert len(concrete_model_checks(wrong)) == 1
    assert len(concrete_model_checks("type(model) is not bp.PooledReward")) == 1


def test_the_page_on_the_architecture_shows_the_code_as_it_is(tmp_path: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert with_table(page, table(SOURCES)) == page, "python docs/draw_architecture.py --write"
    draw(room_graph(file_graph(SOURCES)), tmp_path / "drawn.png")
    drawn, kept = (image.imread(path) for path in (tmp_path / "drawn.png", PICTURE))
    assert drawn.shape[2] == kept.shape[2]
    assert abs(drawn.shape[0] - kept.shape[0]) < 30  # fonts differ between machines


@pytest.mark.parametrize("name", ["models", "inference"])
def test_the_top_level_folder_is_a_link_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert link.readlink() == Path("bayes_pref", name)
    assert (link / "__init__.py").samefile(PACKAGE / name / "__init__.py")


def test_ruff_reads_the_package_and_not_the_links() -> None:
    pytest.importorskip("ruff")  # there is none where only the oldest versions are tried
    command = [sys.executable, "-m", "ruff", "check", "--show-files", ".", "models", "inference"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    read = {Path(line).relative_to(ROOT) for line in output.splitlines()}
    assert {Path("bayes_pref", file) for file in SOURCES} <= read
    assert not {path for path in read if path.parts[0] in ("models", "inference")}


def examples_missing(name: str, thing: Any) -> list[str]:
    """Return the public names, of a thing or inside a module, without a docstring example."""
    if isinstance(thing, ModuleType):
        inside = vars(thing).items()
        own = [(k, v) for k, v in inside if getattr(v, "__module__", None) == thing.__name__]
        public = [(f"{name}.{key}", value) for key, value in own if not key.startswith("_")]
        return [missing for key, value in public for missing in examples_missing(key, value)]
    if not callable(thing) or (inspect.isclass(thing) and issubclass(thing, Exception)):
        return [] if inspect.getdoc(thing) else [name]
    return [] if ">>>" in (thing.__doc__ or "") else [name]


def test_every_public_name_has_a_docstring_with_an_example() -> None:
    names = [name for name in bp.__all__ if not name.startswith("__")]
    assert names
    assert [miss for name in names for miss in examples_missing(name, getattr(bp, name))] == []


def test_a_public_name_without_an_example_is_caught() -> None:
    def bare() -> None:
        """Say what, but not how."""

    module = ModuleType("bayes_pref.made_up", "A module.")
    bare.__module__ = module.__name__
    vars(module).update(bare=bare, _private=bare)
    assert examples_missing("made_up", module) == ["made_up.bare"]


def settings() -> configparser.ConfigParser:
    """Return the parsed setup.cfg."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    return parser


def test_every_dependency_is_pinned_within_its_bounds() -> None:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    listed = settings()["options"]["install_requires"] + settings()["options.extras_require"]["dev"]
    wanted = [Requirement(line) for line in listed.split("\n") if line.strip()]
    assert len(wanted) > 10
    assert [str(need) for need in wanted if pins.get(need.name, "") not in need.specifier] == []


def test_the_version_is_the_same_everywhere() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.findall(r"(?m)^version: (.+)$", citation) == [bp.__version__]
    assert re.findall(r"(?m)^## ([\d.]+)", changelog)[0] == bp.__version__


def test_the_citation_names_the_paper() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert text.startswith("cff-version: 1.2.0\n")
    for part in ("message:", "title:", "authors:", "Kobalczyk", "van der Schaar", "2506.05967"):
        assert part in text
    if importlib.util.find_spec("yaml") is not None:
        yaml = importlib.import_module("yaml")
        assert yaml.safe_load(text)["references"][0]["year"] == 2025


def test_the_readme_and_the_licence_are_there() -> None:
    assert "bayes-pref" in (ROOT / "README.md").read_text(encoding="utf-8")
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_demo_test_and_lint_imply_the_environment() -> None:
    for target in ("demo", "test", "lint"):
        command = ["make", "--dry-run", "--always-make", target]
        plan = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        assert "requirements.lock" in plan


@pytest.mark.parametrize("culprit", ["torch's global generator", "NumPy's global generator"])
def test_a_change_of_a_global_generator_fails_the_test_that_made_it(culprit: str) -> None:
    state = np.random.get_state()  # noqa: NPY002
    with (
        torch.random.fork_rng(devices=[]),
        pytest.raises(pytest.fail.Exception, match=f"a test changed {culprit}"),
        unchanged_globals("a test"),
    ):
        torch.rand(1) if culprit.startswith("torch") else np.random.rand()  # noqa: NPY002
    np.random.set_state(state)  # noqa: NPY002


@pytest.mark.parametrize(
    ("culprit", "change", "restore"),
    [
        ("dtype", lambda: torch.set_default_dtype(torch.float64), torch.set_default_dtype),
        ("number of threads", lambda: torch.set_num_threads(7), torch.set_num_threads),
    ],
)
def test_a_change_of_torch_settings_fails_the_test_that_made_it(
    culprit: str, change: Any, restore: Any
) -> None:
    before = torch.get_default_dtype() if culprit == "dtype" else torch.get_num_threads()
    with pytest.raises(pytest.fail.Exception, match=culprit), unchanged_globals("a test"):
        change()
    restore(before)


def test_a_fresh_installation_draws_every_plot() -> None:
    tree = ast.parse(Path(".ci/fresh_check.py").read_text())
    assigned = [node for node in ast.walk(tree) if isinstance(node, ast.AnnAssign)]
    plots = next(node.value for node in assigned if ast.unparse(node.target) == "plots")
    assert isinstance(plots, ast.Dict)
    drawn = {ast.literal_eval(key) for key in plots.keys if key is not None}
    public = {name for name, _ in inspect.getmembers(bp.plots, inspect.isfunction)}
    assert drawn == public - {"__getattr__"}
