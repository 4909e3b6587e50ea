"""What every test shares: real data where it is present, and a guard over global state."""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]

mpl.use("Agg")

GLOBALS: dict[str, Callable[[], Any]] = {
    "torch's default dtype": torch.get_default_dtype,
    "torch's default device": torch.get_default_device,
    "torch's number of threads": torch.get_num_threads,
    "torch's global generator": lambda: torch.get_rng_state().numpy().tobytes(),
    # Legacy on purpose: this is the generator that library code must leave alone.
    "NumPy's global generator": lambda: repr(np.random.get_state(legacy=False)["state"]),  # noqa: NPY002
}


def pytest_configure() -> None:
    """Hear Ctrl-C: shells start what runs in the background deaf to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def unchanged_globals(where: str) -> Iterator[None]:
    """Fail the test if the block leaves torch's or NumPy's global state changed."""
    before = {name: read() for name, read in GLOBALS.items()}
    yield
    changed = [name for name, read in GLOBALS.items() if read() != before[name]]
    if changed:
        pytest.fail(f"{where} changed {' and '.join(changed)}", pytrace=False)


@pytest.fixture(autouse=True)
def _globals_stay_unchanged(request: pytest.FixtureRequest) -> Iterator[None]:
    with unchanged_globals(request.node.name):
        yield


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(
    fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest
) -> Generator[None, Any, Any]:
    """Guard the fixtures that are set up before the guard of the first test that uses them."""
    if request.scope == "function":
        return (yield)
    with unchanged_globals(f"fixture {fixturedef.argname}"):
        return (yield)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data beside the repository; tests that need it are skipped without it."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the real data in ../shared/data beside the repository")
    return folder
