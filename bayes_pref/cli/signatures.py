"""Parameters of public functions, methods and dataclasses, read from their source.

The options of the command are Python's parameters: their names, defaults and meaning are read from
where Python has them, so that nothing is written twice. The source is parsed and not imported,
since a model imports torch, and help and a misspelled option should not take seconds.
"""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any, TypeAlias

REQUIRED = inspect.Parameter.empty
_PACKAGE = import_module("bayes_pref")
_FOLDER = Path(__file__).parents[1]
_ELSEWHERE = re.compile(r"(?:As (?:in|for)|See) `(\w+(?:\.\w+)?)`")
_Named: TypeAlias = ast.ClassDef | ast.FunctionDef


@dataclass(frozen=True)
class Parameter:
    """One parameter.

    Parameters
    ----------
    name
        Its name.
    annotation
        Its type, as the source has it.
    default
        Its default; `REQUIRED` where there is none; ``...`` where it is no literal.
    text
        What it means: the first sentence about it in the documentation, without the full stop.
    """

    name: str
    annotation: str
    default: Any
    text: str


def public(name: str) -> Any:
    """Import something public, by what follows ``bp.`` in Python."""
    return attrgetter(name)(_PACKAGE)


@cache
def parameters(name: str) -> dict[str, Parameter]:
    """Return the parameters of something public, by name and in their order.

    Parameters
    ----------
    name
        What follows ``bp.`` in Python, such as ``"fit"`` or ``"Comparisons.from_frame"``.

    Examples
    --------
    >>> thresholds = parameters("Thresholds")
    >>> list(thresholds)[:2], thresholds["shift"].default
    (['shift', 'certainty'], 0.03)
    >>> parameters("Gibbs")["draws"].text
    'Number of draws of each chain'
    """
    module, node = _definition(name)
    if isinstance(node, ast.ClassDef):
        return _fields(module, node)
    arguments = node.args
    texts = _texts(node)
    positional = arguments.args
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = [
        *zip(positional, [*missing, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return {
        each.arg: Parameter(
            each.arg, _source(each.annotation), _literal(default), texts.get(each.arg, "")
        )
        for each, default in pairs
        if each.arg not in ("self", "cls")
    }


def summary(name: str) -> str:
    """Return the first line of the documentation of something public, without the full stop."""
    return (ast.get_docstring(_definition(name)[1]) or "").split("\n")[0].rstrip(".")


def _definition(name: str) -> tuple[str, _Named]:
    """Find where something public is defined: the module, and its class or function."""
    first, *rest = name.split(".")
    if first in _PACKAGE._HOMES:
        module, node = _defined(_PACKAGE._HOMES[first], first)
    else:
        module, node = _defined(first, rest.pop(0))
    for part in rest:
        module, node = _method(module, node, part)
    return module, node


@cache
def _body(module: str) -> list[ast.stmt]:
    """Parse a module of the package."""
    path = _FOLDER.joinpath(*module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text(encoding="utf-8")).body


def _defined(module: str, name: str) -> tuple[str, _Named]:
    """Find a class or function that a module defines, or imports from within the package."""
    body = _body(module)
    # Of a function with overloads, the last definition is the one that runs.
    for node in reversed(body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name:
            return module, node
    for node in body:
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                if (alias.asname or alias.name) == name and node.module.startswith("bayes_pref."):
                    return _defined(node.module.removeprefix("bayes_pref."), alias.name)
    raise LookupError(f"{module} defines no {name}")


def _bases(module: str, node: ast.ClassDef) -> list[tuple[str, ast.ClassDef]]:
    """Find the base classes that the package defines."""
    found = []
    for base in node.bases:
        try:
            home, defined = _defined(module, _source(base).split("[")[0])
        except LookupError:  # such as ABC
            continue
        if isinstance(defined, ast.ClassDef):
            found.append((home, defined))
    return found


def _method(module: str, node: _Named, name: str) -> tuple[str, _Named]:
    """Find a method of a class, or of its bases."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == name:
            return module, each
    for home, base in _bases(module, node) if isinstance(node, ast.ClassDef) else ():
        try:
            return _method(home, base, name)
        except LookupError:
            continue
    raise LookupError(f"{node.name} has no {name}")


def _fields(module: str, node: ast.ClassDef) -> dict[str, Parameter]:
    """Fields of a dataclass, those of its bases first."""
    found: dict[str, Parameter] = {}
    for home, base in _bases(module, node):
        found |= _fields(home, base)
    texts = _texts(node)
    found = {
        name: Parameter(name, each.annotation, each.default, texts.get(name, each.text))
        for name, each in found.items()
    }
    for each in node.body:
        if not isinstance(each, ast.AnnAssign) or not isinstance(each.target, ast.Name):
            continue
        name, annotation = each.target.id, _source(each.annotation)
        if annotation.startswith("ClassVar") or name.startswith("_"):
            continue
        before = found[name].text if name in found else ""
        text = texts.get(name, before)
        found[name] = Parameter(name, annotation, _literal(each.value), text)
    return found


def _source(node: ast.expr | None) -> str:
    return "" if node is None else ast.unparse(node)


def _literal(node: ast.expr | None) -> Any:
    """Return a default; of ``field(default=...)``, that."""
    if node is None:
        return REQUIRED
    if isinstance(node, ast.Call):
        inner = {word.arg: word.value for word in node.keywords}
        return _literal(inner["default"]) if "default" in inner else ...
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ...


def _texts(node: _Named) -> dict[str, str]:
    """Read the first sentence on each parameter from the documentation (numpydoc)."""
    document = ast.get_docstring(node) or ""
    part = re.search(r"(?ms)^Parameters\n-+\n(.*?)(?=^\w[\w ]*\n-+$|\Z)", document)
    found: dict[str, str] = {}
    for names, text in re.findall(
        r"(?m)^(\w[^\n]*)\n((?:[ ]+\S.*\n?|\n)+)", part[1] if part else ""
    ):
        paragraph = " ".join(text.split("\n\n")[0].split())
        sentence = re.split(r"(?<=[^.])\.\s+(?=[A-Z\"`])", paragraph)[0].rstrip(".")
        for name in names.split(","):
            found[name.strip()] = _resolved(name.strip(), sentence).replace("`", "")
    return found


def _resolved(name: str, sentence: str) -> str:
    """Replace "As in `from_frame`" and "See `MCMC`" by what stands there."""
    other = _ELSEWHERE.match(sentence)
    if other is None:
        return sentence
    home = other[1] if other[1] in _PACKAGE._HOMES or "." in other[1] else f"Comparisons.{other[1]}"
    known = parameters(home)
    return known[name].text if name in known else sentence
