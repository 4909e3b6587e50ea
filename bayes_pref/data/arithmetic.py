"""Arithmetic on columns, written as in Python and read without running any of it.

A formula that was saved with a posterior is data: its expressions are walked here, node by node,
and what is not listed below is refused. Nothing is handed to ``eval``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bayes_pref.errors import DataError
from bayes_pref.messages import listed
from bayes_pref.types import FloatArray

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: Mapping[str, Callable[[Any], Any]] = {
    "log": np.log,
    "log10": np.log10,
    "log2": np.log2,
    "log1p": np.log1p,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "I": np.asarray,
}
_MODULES = ("np", "numpy")
_SHOWN = 80  # characters of an expression in a message


def parsed(expression: str) -> ast.expr:
    """Parse an expression; refuse what is none.

    Examples
    --------
    >>> type(parsed("log(price) / 2")).__name__
    'BinOp'
    """
    try:
        return ast.parse(expression.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        raise _refused(expression) from err


def name_of_call(node: ast.expr) -> str:
    """Return the name of the function that is called, without a module; empty if none is."""
    if not isinstance(node, ast.Call):
        return ""
    called = node.func
    if isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name):
        return called.attr if called.value.id in _MODULES else ""
    return called.id if isinstance(called, ast.Name) else ""


def variables_of(expression: str) -> tuple[str, ...]:
    """Names of the columns in an expression, in order; refuse what is not arithmetic.

    Raises
    ------
    DataError
        If it is anything but numbers, columns, ``+ - * / **`` and the functions listed here.

    Examples
    --------
    >>> variables_of("log(price) * 2 + quality ** 2")
    ('price', 'quality')
    >>> variables_of("open('file')")
    Traceback (most recent call last):
    bayes_pref.errors.DataError: formula: "open('file')" cannot be used; write columns, numbers,
    + - * / ** and 'log', 'log10', 'log2', 'log1p', 'exp', 'sqrt', 'abs' and 'I', or make the
    column in the table first
    """
    found: dict[str, None] = {}
    try:
        with np.errstate(all="ignore"):  # of the number that stands for every column
            _walked(
                parsed(expression), expression, lambda name: found.setdefault(name, None) or 1.0
            )
    except RecursionError as err:  # of a file that somebody nested a thousand deep
        raise _refused(expression) from err
    return tuple(found)


def computed(expression: str, columns: Mapping[str, FloatArray]) -> FloatArray:
    """(n,) values of an expression; where it has no value NaN or infinity.

    Parameters
    ----------
    expression
        What `variables_of` accepts.
    columns
        (n,) numbers by the names of the columns.

    Examples
    --------
    >>> computed("log(price) ** 2", {"price": np.array([1.0, np.e])})
    array([0., 1.])
    """
    with np.errstate(all="ignore"):
        value = _walked(parsed(expression), expression, columns.__getitem__)
    rows = len(next(iter(columns.values())))
    return np.broadcast_to(np.asarray(value, dtype=np.float64), rows).copy()


def _walked(node: ast.expr, whole: str, column: Callable[[str], Any]) -> Any:
    """Evaluate one node of an expression; what is no arithmetic of columns is refused."""
    if isinstance(node, ast.Name):
        return column(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return float(node.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        value = _walked(node.operand, whole, column)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        sides = (_walked(side, whole, column) for side in (node.left, node.right))
        try:
            return _OPERATORS[type(node.op)](*(np.asarray(side, np.float64) for side in sides))
        except TypeError as err:
            raise _refused(whole) from err
    function = _FUNCTIONS.get(name_of_call(node))
    if function and isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
        return function(_walked(node.args[0], whole, column))
    raise _refused(whole)


def _refused(expression: str) -> DataError:
    known = listed(_FUNCTIONS, limit=20)
    return DataError(
        f"formula: {_beginning(expression)!r} cannot be used",
        f"write columns, numbers, + - * / ** and {known}, or make the column in the table first",
    )


def _beginning(expression: str) -> str:
    return expression if len(expression) <= _SHOWN else f"{expression[:_SHOWN]}..."
