"""Progress bars: a widget in a notebook that can show one, plain text anywhere else.

Pyro imports the same bars. The packages whose files import Pyro, `models` and `inference`, import
this module first, so that a notebook without ipywidgets shows no warning.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

with warnings.catch_warnings():
    # tqdm warns at its import that it falls back to plain text.
    warnings.filterwarnings("ignore", message="IProgress not found")
    from tqdm.auto import tqdm as drawn

__all__ = ["counted", "tqdm"]

# The bars that count without being drawn; None: bars are drawn.
_hidden: ContextVar[list[Any] | None] = ContextVar("hidden bars", default=None)


class _Nowhere:
    """A stream that nobody reads."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None:
        """Do nothing."""


def tqdm(*arguments: Any, **settings: Any) -> Any:
    """Return a progress bar of tqdm; within `counted`, one that counts and is not drawn."""
    bars = _hidden.get()
    if bars is None or settings.get("disable"):
        return drawn(*arguments, **settings)
    bar = drawn(*arguments, **{**settings, "file": _Nowhere()})
    bars.append(bar)
    return bar


@contextmanager
def counted() -> Iterator[Callable[[], str]]:
    """Hide progress bars; yield a function that says how far the last of them is.

    Examples
    --------
    >>> with counted() as so_far:
    ...     bar = tqdm(total=2000, desc="sampling", unit="sweep")
    ...     _ = bar.update(1500)
    ...     so_far()
    'sampling, 1,500 of 2,000 sweeps'
    """
    bars: list[Any] = []
    token = _hidden.set(bars)

    def so_far() -> str:
        if not bars:
            return ""
        last = bars[-1]
        total = "" if last.total is None else f" of {last.total:,}"
        return f"{last.desc.rstrip(': ')}, {last.n:,}{total} {last.unit}s"

    try:
        yield so_far
    finally:
        _hidden.reset(token)
