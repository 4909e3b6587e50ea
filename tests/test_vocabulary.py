"""One vocabulary: words that were replaced by the field's terms do not come back."""

from __future__ import annotations

import ast
import io
import json
import re
import tokenize
from pathlib import Path

import pytest
from draw_architecture import PACKAGE, ROOT

# Pattern of a retired expression -> the term that replaces it.
RETIRED = {
    r"laws?": "choice model, choice distribution, or distribution",
    r"kinds? of (?:users?|people)": "component",
    r"tastes?": "factor, or preference",
    r"left-hand effects?": "position bias",
    r"summed out": "marginalised out",
    r"askers?": "users who see such a pair",
    r"people in general": "all users, the population",
    r"climb(?:s|ed|ing)?": "optimise",
    r"lanes?": "SIMD batch",
    r"unlearned": "non-identified",
    r"untrained": "needs training",
    r"left over by": "residual",
    r"elas_ref": "prior_share",
    r"sd_ref": "reference_sd",
    r"gate_p": "permutation_p",
}
RETIRED_NAMES = {
    *("law", "laws", "taste", "tastes", "settle", "settled", "untrained", "unlearned", "refusal"),
    *("unassessable", "couple", "coupled", "gate", "gate_p", "elas_ref", "sd_ref"),
    *("calibrate", "Calibration", "Sample", "Law", "ChoiceLaw", "types_of_users"),
}
_PATTERN = re.compile(r"(?<![\w.])(?:" + "|".join(RETIRED) + r")(?!\w)", re.IGNORECASE)
# Tables of old and new names, such as DIMS_RENAMED = {...}, hold the old ones as strings.
_TABLES = re.compile(r"^\w*RENAMED\b[^{}]*\{[^{}]*\}", re.MULTILINE)
# Where an expression means something else.
ALLOWED = re.compile(
    r"law of large numbers|Bayes' law|scaling laws?|Freedman & Lane", re.IGNORECASE
)

PAGES = [
    ROOT / name for name in ("README.md", "CONTRIBUTING.md")
] + sorted((ROOT / "docs").glob("*.md"))  # fmt: skip
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SOURCES = sorted(PACKAGE.rglob("*.py"))


def retired_words(text: str) -> list[str]:
    """Return the retired expressions in prose."""
    return [found.group() for found in _PATTERN.finditer(ALLOWED.sub("", text))]


def prose_of(source: str) -> str:
    """Return the strings and comments of Python code, without tables of renamed names."""
    tokens = tokenize.generate_tokens(io.StringIO(_TABLES.sub("", source)).readline)
    kinds = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    return "\n".join(token.string for token in tokens if token.type in kinds)


def retired_names(source: str) -> list[str]:
    """Return the retired identifiers that code uses."""
    found = []
    for node in ast.walk(ast.parse(source)):
        names = [getattr(node, key, None) for key in ("id", "attr", "arg", "name")]
        found += [name for name in names if isinstance(name, str) and name in RETIRED_NAMES]
    return found


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_the_package_speaks_the_terms_of_the_field(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert retired_words(prose_of(source)) == []
    # Where old names are known so that an error can say the new one, they are strings.
    assert retired_names(source) == []


@pytest.mark.parametrize("path", PAGES, ids=relative)
def test_the_documents_speak_the_terms_of_the_field(path: Path) -> None:
    assert retired_words(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=relative)
def test_the_notebooks_speak_the_terms_of_the_field(path: Path) -> None:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    assert retired_words("\n".join("".join(cell["source"]) for cell in cells)) == []


def test_a_retired_word_is_caught() -> None:
    assert retired_words("The law of choices, and kinds of users.") == ["law", "kinds of users"]
    assert retired_words("by the law of large numbers") == []
    assert retired_words(prose_of('x = f"a taste {y}"  # a lane')) == ["taste", "lane"]
    assert retired_words(prose_of('_RENAMED = {"law": "run"}\nx = "law"')) == ["law"]
    assert retired_names("def law(): ...\nmodel.settle(x)") == ["law", "settle"]
