"""Validation of settings and arguments: a rule for each sort of value, one way to refuse.

A rule returns the value in its plain Python type (a `numpy.int64` becomes an `int`), or raises
`RuleError`. `check` applies rules to the fields of a frozen dataclass, and `argument` applies one
to the argument of a function. Both refuse in one sentence that names the setting, the value and
what was expected.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import wraps
from typing import Any, ClassVar, ParamSpec, Self, TypeAlias, TypeVar

import numpy as np

from bayes_pref.errors import BayesPrefError, DataError, KeywordError, ModelError
from bayes_pref.messages import closest, listed, shown, unknown_keyword

SMALLEST_PRIOR = 1e-10

P = ParamSpec("P")
T = TypeVar("T")
Rule: TypeAlias = Callable[[object], T]


class RuleError(ValueError):
    """A value breaks a rule.

    Parameters
    ----------
    what
        What the rule expects, as a noun: "a positive number".
    hint
        Appended to the message.
    """

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


def check(owner: object, **rules: Rule[Any]) -> None:
    """Check settings of a frozen dataclass, and keep them in plain Python types.

    Parameters
    ----------
    owner
        The dataclass; call this in its ``__post_init__``.
    rules
        A rule for each field to check.

    Raises
    ------
    ModelError
        For the first setting that breaks its rule.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> bp.LowRankReward(rank=np.int64(3)).rank
    3
    >>> bp.LowRankReward(rank=0)
    Traceback (most recent call last):
    bayes_pref.errors.ModelError: LowRankReward(rank=0): expected a whole number of at least 1
    """
    for name, rule in rules.items():
        value = getattr(owner, name)
        try:
            object.__setattr__(owner, name, rule(value))
        except RuleError as err:
            setting = f"{type(owner).__name__}({name}={shown(value)})"
            raise ModelError(f"{setting}: expected {err.what}{err.hint}") from None


def argument(
    name: str,
    value: object,
    rule: Rule[T],
    *,
    error: type[BayesPrefError] = DataError,
    hint: str = "",
) -> T:
    """Check an argument of a function and return it in its plain Python type.

    Parameters
    ----------
    name, value
        The argument.
    rule
        What it must be.
    error
        What to raise.
    hint
        A clause to end the message with.

    Examples
    --------
    >>> argument("bins", np.int64(4), whole(1))
    4
    >>> argument("bins", 0, whole(1))
    Traceback (most recent call last):
    bayes_pref.errors.DataError: bins must be a whole number of at least 1, got 0
    """
    try:
        return rule(value)
    except RuleError as err:
        end = f"; {hint}" if hint else err.hint
        raise error(f"{name} must be {err.what}, got {shown(value)}{end}") from None


def check_keywords(
    function: str,
    given: Iterable[str],
    known: Iterable[str],
    renamed: Mapping[str, str] | None = None,
) -> None:
    """Refuse keywords that a function or class does not have.

    Parameters
    ----------
    function
        Its name.
    given
        The keywords of a call.
    known
        Those that there are.
    renamed
        Old keyword -> what to write instead.

    Raises
    ------
    KeywordError
        For the first unknown one; a `TypeError`, as Python's own.
    """
    names = list(known)
    for name in given:
        if name not in names:
            raise KeywordError(unknown_keyword(function, name, names, renamed))


class CheckedKeywords:
    """Base of classes that answer a misspelt or renamed keyword with the right one.

    Attributes
    ----------
    renamed_keywords
        Old keyword -> what to write instead.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> bp.HierarchicalReward(covarience="full")
    Traceback (most recent call last):
    bayes_pref.errors.KeywordError: ... unexpected keyword argument 'covarience'; did you mean ...
    """

    renamed_keywords: ClassVar[Mapping[str, str]] = {}

    def __new__(cls, *_: Any, **kwargs: Any) -> Self:
        """Check the keywords before the class's own `__init__` reads them."""
        if kwargs:
            known = inspect.signature(cls.__init__).parameters
            if not any(each.kind is each.VAR_KEYWORD for each in known.values()):
                names = [name for name in known if name != "self"]
                check_keywords(cls.__name__, kwargs, names, cls.renamed_keywords)
        return super().__new__(cls)


def keywords(
    renamed: Mapping[str, str] | None = None,
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let a function answer a misspelt or renamed keyword with the right one.

    Parameters
    ----------
    renamed
        Old keyword -> what to write instead; None: none was renamed.

    Examples
    --------
    >>> @keywords({"size": "length="})
    ... def cut(length):
    ...     return length
    >>> cut(size=3)
    Traceback (most recent call last):
    bayes_pref.errors.KeywordError: cut() got an unexpected keyword argument 'size'; write length=
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        known = tuple(inspect.signature(function).parameters)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            check_keywords(function.__name__, kwargs, known, renamed)
            return function(*args, **kwargs)

        return call

    return decorate


def whole(least: int = 0, most: int | None = None) -> Rule[int]:
    """Whole numbers of Python or numpy within a range; booleans are none."""

    def rule(value: object) -> int:
        plain = _whole(value)
        if plain is None or plain < least or (most is not None and plain > most):
            raise RuleError(f"a whole number {_span(least, most)}")
        return plain

    return rule


def number(least: float | None = None, most: float | None = None) -> Rule[float]:
    """Finite numbers within a range, the ends included; booleans are none."""

    def rule(value: object) -> float:
        low, high = -np.inf if least is None else least, np.inf if most is None else most
        plain = _finite(value)
        if plain is None or not low <= plain <= high:
            raise RuleError(f"a number {_span(least, most)}")
        return plain

    return rule


def positive(value: object) -> float:
    """Finite numbers above 0."""
    plain = _finite(value)
    if plain is None or plain <= 0:
        raise RuleError("a positive number")
    return plain


def prior_size(value: object) -> float:
    """Settings of priors: numbers above 0 whose squares and reciprocals can be computed with."""
    plain = positive(value)
    if not SMALLEST_PRIOR <= plain <= 1.0 / SMALLEST_PRIOR:
        raise RuleError(
            f"a positive number from {SMALLEST_PRIOR:g} to {1.0 / SMALLEST_PRIOR:g}",
            ", as others are lost in arithmetic",
        )
    return plain


def fraction(value: object) -> float:
    """Numbers between 0 and 1, the ends excluded."""
    plain = _finite(value)
    if plain is None or not 0 < plain < 1:
        raise RuleError("a number between 0 and 1")
    return plain


def boolean(value: object) -> bool:
    """True or False, of Python or numpy."""
    plain = _scalar(value)
    if not isinstance(plain, bool):
        raise RuleError("True or False")
    return plain


def one_of(*options: str, other: str = "") -> Rule[Any]:
    """One of some names; `other` says what else there is, which the caller accepts beforehand."""
    expected = listed(options, limit=len(options), last="or")
    if other:
        expected = f"{', '.join(map(shown, options))} or {other}"

    def rule(value: object) -> Any:
        if not isinstance(value, str) or value not in options:
            raise RuleError(expected, closest(value, options) if isinstance(value, str) else "")
        return value

    return rule


def optional(rule: Rule[T]) -> Rule[T | None]:
    """Return the rule with None accepted, too."""

    def either(value: object) -> T | None:
        if value is None:
            return None
        try:
            return rule(value)
        except RuleError as err:
            *options, last = err.what.split(" or ")
            what = f"{' or '.join(options)}, {last}" if options else last
            raise RuleError(f"{what} or None", err.hint) from None

    return either


def interval(value: object) -> float:
    """Probability inside a credible interval: between 0 and 1."""
    return argument("interval", value, fraction, hint="0.9 is usual")


def seed(value: object, *, error: type[BayesPrefError] = ModelError) -> int:
    """Seed of random numbers: a whole number of at least 0."""
    return argument("seed", value, whole(0), error=error)


def _scalar(value: Any) -> object:
    """Take the number out of an array or tensor without dimensions, such as a total."""
    return value.item() if getattr(value, "ndim", None) == 0 else value


def _whole(value: object) -> int | None:
    value = _scalar(value)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        return None
    return int(value)


def _finite(value: object) -> float | None:
    value = _scalar(value)
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    plain: float = value.item() if isinstance(value, np.generic) else value
    return plain if abs(plain) < np.inf else None


def _span(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return "that is finite"
    if least is None:
        return f"of at most {most:g}"
    return f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"
