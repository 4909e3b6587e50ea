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
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from packaging.requirements import Requirement

import bayes_pref as bp
from conftest import ROOT, unchanged_globals

PACKAGE = ROOT / "bayes_pref"

# The design's layers: a unit (module or subpackage) may reach those of earlier lines only. Units
# that are not named here are free to stand where they are needed, so long as no layer is crossed.
LAYERS = (
    ("errors",),
    ("drawing", "logistic"),
    ("output_folder",),
    ("data",),
    ("models", "simulate"),
    ("posterior",),
    ("inference",),
    ("diagnostics", "recommend", "evaluate", "text"),
    ("plots",),
    ("cli",),
)
LAYER = {unit: height for height, units in enumerate(LAYERS) for unit in units}
SOURCES = {
    path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}


def unit_of(file: str) -> str:
    """Return the module or subpackage of bayes_pref that a file belongs to."""
    return Path(file).parts[0].removesuffix(".py")


def imports(file: str, source: str) -> set[tuple[str, bool]]:
    """Return each absolute dotted name a file imports, and whether for type checking only."""
    package, tree, found = ("bayes_pref", *Path(file).parent.parts), ast.parse(source), set()
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    typing = [node.body for node in blocks if ast.unparse(node.test).endswith("TYPE_CHECKING")]
    unseen = {node for body in typing for line in body for node in ast.walk(line)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {(alias.name, node in unseen) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            source = ".".join(filter(None, (*base, node.module)))
            # "from bayes_pref import data" names the module only after the word import.
            found |= {(f"{source}.{alias.name}", node in unseen) for alias in node.names}
    return found


def reach(arrows: dict[str, set[str]], start: str) -> set[str]:
    """Return every unit that importing one unit imports, directly or through others."""
    seen: set[str] = set()
    ahead = set(arrows[start])
    while ahead:
        unit = ahead.pop()
        seen.add(unit)
        ahead |= arrows[unit] - seen
    return seen


def wrong_imports(sources: dict[str, str]) -> list[str]:
    """Return, as sentences, what breaks the one-way order among the files of the package."""
    wrong: list[str] = []
    units = {unit_of(file) for file in sources} - {"__init__", "__main__"}
    direct: dict[str, set[str]] = {unit: set() for unit in units}
    loaded: dict[str, set[str]] = {unit: set() for unit in units}
    for file, source in sources.items():
        unit = unit_of(file)
        for name, for_types in imports(file, source):
            head, target = (*name.split("."), "")[:2]
            if head == "arviz" and Path(file).name != "arviz_bridge.py":
                wrong.append(f"{file} imports {name}: only arviz_bridge talks to ArviZ")
            if head in ("models", "inference"):
                wrong.append(f"{file} imports {name}: the links are not packages")
            if head != "bayes_pref" or unit not in units or target == unit:
                continue
            if target not in units:
                wrong.append(f"{file} imports {name}: import it from the module that defines it")
                continue
            direct[unit].add(target)
            if not for_types:
                loaded[unit].add(target)
    for unit in sorted(units):
        reached = reach(loaded, unit)
        if unit in reached:
            wrong.append(f"{unit} imports itself in a circle")
        above = {other for other in units if LAYER.get(other, -1) >= LAYER.get(unit, len(LAYERS))}
        crossed = sorted((reached | direct[unit]) & above - {unit})
        wrong += [f"{unit} reaches {other}, which does not stand below it" for other in crossed]
    return wrong


def test_imports_point_one_way() -> None:
    assert wrong_imports(SOURCES) == []


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("data/items.py", "from ..posterior import Posterior"),
        ("data/items.py", "from .. import posterior"),
        ("data/items.py", "from bayes_pref import simulate"),
        ("data/items.py", "def late():\n    import bayes_pref.models.pooled"),
        ("data/validate.py", "from bayes_pref.cli import main"),
        ("errors.py", "from bayes_pref.data.table import shown"),
        ("models/pooled.py", "from ..inference.gibbs import Gibbs"),
        ("models/pooled.py", "if TYPE_CHECKING:\n    from bayes_pref.posterior import Posterior"),
        ("models/pooled.py", "from bayes_pref import Comparisons"),
        ("models/pooled.py", "from models.base import RewardModel"),
        ("models/pooled.py", "import bayes_pref as bp"),
        ("simulate/world.py", "from bayes_pref.models import PooledReward"),
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
        ("plots/chains.py", "from bayes_pref.posterior.arviz_bridge import to_idata"),
        ("posterior/arviz_bridge.py", "import arviz as az"),
        ("new_helper.py", "from bayes_pref.posterior import Posterior"),
        ("__init__.py", "from bayes_pref.cli import main"),
    ],
)
def test_an_import_that_points_the_right_way_passes(file: str, line: str) -> None:
    assert wrong_imports({**SOURCES, file: f"{SOURCES.get(file, '')}\n{line}\n"}) == []


@pytest.mark.parametrize("name", ["models", "inference"])
def test_the_top_level_folder_is_a_link_into_the_package(name: str) -> None:
    link = ROOT / name
    assert link.is_symlink()
    assert link.readlink() == Path("bayes_pref", name)
    assert (link / "__init__.py").samefile(PACKAGE / name / "__init__.py")


def test_ruff_reads_the_package_and_not_the_links() -> None:
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
