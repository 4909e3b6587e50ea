"""Keywords that were renamed: using an old one raises an error that says the new one."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def renamed_keywords(**advice: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Refuse old keywords of a function.

    Parameters
    ----------
    advice
        Old keyword -> what to write instead.

    Examples
    --------
    >>> @renamed_keywords(size="length=")
    ... def cut(length):
    ...     return length
    >>> cut(size=3)
    Traceback (most recent call last):
    TypeError: cut() got an unexpected keyword argument 'size'; write length=
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            for name in advice:
                if name in kwargs:
                    raise TypeError(
                        f"{function.__name__}() got an unexpected keyword argument {name!r}; "
                        f"write {advice[name]}"
                    )
            return function(*args, **kwargs)

        return call

    return decorate
