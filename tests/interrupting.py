"""Ctrl-C after a number of steps, and not after a time, which depends on the machine."""

from __future__ import annotations

import _thread
from types import ModuleType, TracebackType
from typing import Any

import pytest


def interrupt_after(steps: int, runner: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process the signal of Ctrl-C as soon as a run's progress reaches so many steps.

    Parameters
    ----------
    steps
        Of all chains together.
    runner
        The module whose progress bar counts: `threads` or `processes`.
    """

    class Bar:
        def __init__(self, **_: Any) -> None:
            self.n = 0
            self.sent = False

        def __enter__(self) -> Bar:
            return self

        def __exit__(
            self,
            error_type: type[BaseException] | None,
            error: BaseException | None,
            trace: TracebackType | None,
        ) -> None:
            assert self.sent, f"the run ended after {self.n} steps, before the interrupt"

        def update(self, count: int) -> None:
            self.n += count
            if self.n >= steps and not self.sent:
                self.sent = True
                _thread.interrupt_main()

    monkeypatch.setattr(runner, "tqdm", Bar)
