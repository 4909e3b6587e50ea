"""Ctrl-C asks for an end once, wherever it strikes, and insists the second time."""

from __future__ import annotations

import signal
import threading

import pytest

from bayes_pref.inference.runtime.interrupts import on_interrupt


def test_a_first_interrupt_asks_and_a_second_one_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    asked: list[str] = []
    with on_interrupt(lambda: asked.append("stop")) as heard:
        signal.raise_signal(signal.SIGINT)
        assert heard.is_set()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert asked == ["stop"]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_interrupt_within_a_finaliser_is_heard() -> None:
    class Finalised:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    Finalised()  # where Ctrl-C as it is by itself is lost
    with on_interrupt(lambda: None) as heard:
        Finalised()
    assert heard.is_set()


def test_threads_and_those_who_ignore_it_hear_nothing() -> None:
    found: list[bool] = []

    def elsewhere() -> None:
        with on_interrupt(lambda: found.append(True)) as heard:
            found.append(heard.is_set())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [False]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with on_interrupt(lambda: found.append(True)):
            signal.raise_signal(signal.SIGINT)
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert found == [False]
