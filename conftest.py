"""What every test shares: markers, a guard over global state, real data, and names of doctests."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

import bayes_pref as bp

ROOT = Path(__file__).resolve().parent

mpl.use("Agg")

GLOBALS: dict[str, Callable[[], Any]] = {
    "torch's default dtype": torch.get_default_dtype,
    "torch's default device": torch.get_default_device,
    "torch's number of threads": torch.get_num_threads,
    "torch's global generator": lambda: torch.get_rng_state().numpy().tobytes(),
    # The legacy generator on purpose: it is the global one, which a library must leave alone.
    "NumPy's global generator": lambda: repr(np.random.get_state(legacy=False)["state"]),  # noqa: NPY002
}


def pytest_configure() -> None:
    """Receive Ctrl-C: a shell starts a background process so that it ignores SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)  # before tests are deselected by their markers
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every long test as slow, too, so that a bare pytest runs neither."""
    for item in items:
        if item.get_closest_marker("long") is not None:
            item.add_marker("slow")


@contextmanager
def unchanged_globals(where: str) -> Iterator[None]:
    """Fail the test if the block changes the global state of torch or NumPy."""
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
    """Guard fixtures of a wider scope, which are set up before the guard of a test."""
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


@pytest.fixture(scope="session")
def doctest_world() -> bp.World:
    """Return the world of the examples in docstrings."""
    return bp.simulate(users=20, seed=0)


@pytest.fixture(scope="session")
def doctest_posterior(doctest_world: bp.World) -> bp.Posterior:
    """Return the posterior of the examples in docstrings: the default model of their world."""
    engine = bp.Gibbs(progress=False)
    return bp.fit(bp.HierarchicalReward(), doctest_world.comparisons, engine)


@pytest.fixture(autouse=True)
def _doctest_names(
    request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]
) -> Iterator[None]:
    """Give the examples `bp`, `np`, `pd` and, where they use them, `world` and `posterior`.

    Figures that they leave open are closed: of more than 20 matplotlib warns.
    """
    if not isinstance(request.node, pytest.DoctestItem):
        yield
        return
    doctest_namespace.update(bp=bp, np=np, pd=pd)
    lines = "".join(example.source for example in request.node.dtest.examples)
    for name in ("world", "posterior"):
        if name in lines:
            doctest_namespace[name] = request.getfixturevalue(f"doctest_{name}")
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
