"""From a formula as one writes it to terms: formulaic reads it, and says how levels are coded."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api import types

from bayes_pref.data.arithmetic import computed, name_of_call, parsed, variables_of
from bayes_pref.data.coding import Coding
from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.formula import Factor, Formula, Product
from bayes_pref.data.table import Table, missing_in
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, shown, suggestion

_SCALED = {"center": False, "scale": True, "standardize": True}
_ROWS = 1_000  # from which formulaic sees which columns are words


def read_formula(formula: str | Formula, frame: pd.DataFrame) -> Formula:
    """Read a formula of attributes.

    Parameters
    ----------
    formula
        As `Comparisons.from_frame` takes it.
    frame
        All alternatives, one a row, with the attributes under their names.

    Raises
    ------
    DataError
        If formulaic is missing, or the formula cannot be used.

    Examples
    --------
    >>> read_formula("~ price + price:heavy", pd.DataFrame({"price": [1.0], "heavy": [0.0]})).terms
    ('price', 'price:heavy')
    """
    if isinstance(formula, Formula):
        absent = [name for name in formula.inputs if name not in frame]
        if absent:
            raise DataError(f"formula: there is no attribute {absent[0]!r}", _known(frame))
        return formula
    if not isinstance(formula, str):
        raise DataError(f"formula must be text such as '~ price + C(brand)', got {shown(formula)}")
    terms = _terms(formula, frame)
    alone = [term[0][0] for term in terms if len(term) == 1]
    names: list[str] = []
    codings: list[Coding] = []
    products: list[Product] = []
    for term in terms:  # a loop over terms
        factors = tuple(_factor(expression, full, frame) for expression, full in term)
        one = _standing_alone(factors[0], alone) if len(factors) == 1 else None
        if one is None:
            products.append(Product(factors=factors))
            names += products[-1].names
        else:
            names.append(one if isinstance(one, str) else one.name)
            codings += [] if isinstance(one, str) else [one]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DataError(f"formula: {twice[0]!r} stands in it twice", "leave one out")
    used = {name for each in products for name in each.variables} | {*names}
    inputs = tuple(name for name in frame.columns if name in used)
    return Formula(
        text=formula,
        inputs=inputs,
        terms=tuple(names),
        codings=tuple(codings),
        products=tuple(products),
    )


def _terms(formula: str, frame: pd.DataFrame) -> list[list[tuple[str, bool]]]:
    """Factors of each term, and whether their levels are coded in full."""
    try:
        formulaic: Any = import_module("formulaic")
    except ImportError as err:
        raise DataError(
            "formula= needs formulaic", "install it with pip install 'bayes-pref[formula]'"
        ) from err
    try:
        read = formulaic.Formula(formula)
        if hasattr(read, "lhs"):
            raise DataError(
                f"formula: {formula!r} has a left-hand side", "begin with ~, and name choice="
            )
        for term in read:
            for factor in term.factors:
                _check(str(factor.expr), frame)
        shown_rows = frame.head(_ROWS)
        spec = formulaic.model_matrix(read, shown_rows, context={}, na_action="drop").model_spec
    except DataError:
        raise
    except Exception as err:
        raise DataError(f"formula: {formula!r} cannot be read: {err}") from err
    found = []
    for term in spec.structure:
        factors = [str(factor.expr) for factor in term.term.factors]
        if factors in ([], ["1"], ["0"]):  # a constant cancels
            continue
        # Of a term that is coded in several pieces, the fullest.
        full = {
            scoped.factor.expr
            for piece in term.scoped_terms
            for scoped in piece.factors
            if not scoped.reduced
        }
        found.append([(each, each in full and len(factors) > 1) for each in factors])
    if not found:
        raise DataError(f"formula: {formula!r} has no attribute", _known(frame))
    return found


def _check(expression: str, frame: pd.DataFrame) -> None:
    """Refuse what cannot be read again without being run, and unknown columns."""
    if expression in frame or expression in ("1", "0"):
        return
    node = parsed(expression)
    if name_of_call(node) in (*_SCALED, "C") and isinstance(node, ast.Call) and node.args:
        variables = variables_of(ast.unparse(node.args[0]))
    else:
        variables = variables_of(expression)
    for name in variables:
        if name not in frame:
            remedy = suggestion(name, frame.columns) or _known(frame)
            raise DataError(f"formula: there is no attribute {name!r}", remedy)


def _known(frame: pd.DataFrame) -> str:
    return f"the attributes are {listed(frame.columns, limit=20)}"


def _factor(expression: str, full: bool, frame: pd.DataFrame) -> Factor:
    """Learn one factor from all alternatives."""
    node = None if expression in frame else parsed(expression)
    call = "" if node is None else name_of_call(node)
    if isinstance(node, ast.Call) and call == "C":
        return Factor(coding=_levels(node, expression, frame), full=full)
    if expression in frame and _words(frame[expression]):
        options = CodingOptions("reference")
        coding = options.learn(
            expression, Table(frame), [expression], missing_in(frame[expression])
        )
        return Factor(coding=coding, full=full)
    label = expression.removeprefix("np.").removeprefix("numpy.")
    if isinstance(node, ast.Call) and call == "I":
        label = ast.unparse(node.args[0])
    if isinstance(node, ast.Call) and call in _SCALED:
        inner = ast.unparse(node.args[0])
        values = _numbers(inner, frame)
        scale = float(np.nanstd(values, ddof=1)) if _SCALED[call] else 1.0
        if not scale > 0:
            raise DataError(f"formula: {inner!r} never differs", "leave it out")
        centre = float(np.nanmean(values))
        return Factor(label=label, expression=inner, centre=centre, scale=scale)
    return Factor(label=label, expression=expression if node is not None else _quoted(expression))


def _quoted(name: str) -> str:
    if not name.isidentifier():
        raise DataError(f"formula: column {name!r} is no plain name", "rename it for the formula")
    return name


def _numbers(expression: str, frame: pd.DataFrame) -> np.ndarray[Any, Any]:
    names = variables_of(expression)
    kept = Table(frame[~np.any([missing_in(frame[name]) for name in names], axis=0)])
    return computed(expression, {name: kept.numbers([name])[:, 0] for name in names})


def _levels(node: ast.Call, expression: str, frame: pd.DataFrame) -> Coding:
    """Levels as ``C(brand)``, ``C(brand, contr.treatment("A"))`` or ``C(brand, contr.sum)`` say."""
    if not isinstance(node.args[0], ast.Name):
        raise DataError(f"formula: {expression!r} is of no column", "write C(column)")
    name = node.args[0].id
    given: dict[str, Any] = {key.arg or "": key.value for key in node.keywords}
    contrast = given.pop("contrasts", node.args[1] if len(node.args) == 2 else None)
    order = given.pop("levels", None)
    kind, base = _contrast(contrast)
    if given or len(node.args) > 2 or kind not in ("treatment", "sum"):
        raise DataError(
            f"formula: {expression!r} cannot be used",
            "write C(column), with contr.treatment('level') or contr.sum, and levels=[...]",
        )
    options = CodingOptions(
        {name: "effect" if kind == "sum" else "reference"},
        baseline=None if base is None else {name: ast.literal_eval(base)},
        order=None if order is None else {name: ast.literal_eval(order)},
    )
    coding = options.learn(name, Table(frame), [name], missing_in(frame[name]))
    assert coding is not None  # the coding was named
    if kind == "sum":  # whose last level has no feature
        state = coding.state() | {"baseline": coding.levels[-1]}
        return Coding.from_state(state)
    return coding


def _contrast(node: ast.expr | None) -> tuple[str, ast.expr | None]:
    """Name of a contrast, and its base."""
    if node is None:
        return "treatment", None
    base: ast.expr | None = None
    if isinstance(node, ast.Call):
        bases = [*node.args, *(key.value for key in node.keywords if key.arg == "base")]
        if len(bases) > 1 or len(bases) != len(node.args) + len(node.keywords):
            return "", None
        base, node = bases[0] if bases else None, node.func
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        return (node.attr if node.value.id == "contr" else ""), base
    return "", base


def _words(column: pd.Series[Any]) -> bool:
    return not (types.is_numeric_dtype(column.dtype) or types.is_bool_dtype(column.dtype))


def _standing_alone(factor: Factor, alone: Sequence[str]) -> Coding | str | None:
    """Coding of an attribute that has one, or its name; None where it is a column of its own."""
    if factor.coding is not None:
        return factor.coding
    names = factor.variables
    if factor.expression == factor.label and names == (factor.expression,):
        return factor.expression
    if len(names) != 1 or names[0] in alone or not _once(names[0], alone):
        return None
    if factor.label == f"log({names[0]})":
        return Coding(name=names[0], kind="log")
    if factor.expression == names[0] and factor.scale != 1.0:
        centre, scale = factor.centre, factor.scale
        return Coding(name=names[0], kind="standardise", centre=centre, scale=scale)
    if factor.expression == names[0]:  # centred, which cancels
        return names[0]
    return None


def _once(name: str, alone: Sequence[str]) -> bool:
    """Whether only one of the terms that stand alone is made of a column."""
    return sum(f"({name}" in each or each == name for each in alone) == 1


class SidesByFormula(NamedTuple):
    """Both sides of pairs, by a formula.

    Attributes
    ----------
    formula
        The formula, learnt from both sides.
    table
        The caller's, with columns of products for either side.
    left, right
        Columns of the terms.
    raw_left, raw_right
        Columns of what the formula is made of.
    """

    formula: Formula
    table: Table
    left: tuple[str, ...]
    right: tuple[str, ...]
    raw_left: tuple[str, ...]
    raw_right: tuple[str, ...]

    @classmethod
    def read(
        cls, formula: str | Formula, table: Table, names: Sequence[str], *sides: Sequence[str]
    ) -> SidesByFormula:
        """Read a formula of the attributes `names`, whose columns `sides` has, left and right."""
        parts = [table.frame[[*columns]].set_axis([*names], axis=1) for columns in sides]
        learnt = read_formula(formula, pd.concat(parts, ignore_index=True))
        terms, raw = [], []
        for side, each in zip(("left", "right"), sides, strict=True):
            columns, suffix = dict(zip(names, each, strict=True)), f" ({side})"
            table = learnt.applied(table, columns, suffix)
            terms.append(tuple(columns.get(name, name + suffix) for name in learnt.terms))
            raw.append(tuple(columns[name] for name in learnt.inputs))
        return cls(learnt, table, *terms, *raw)
