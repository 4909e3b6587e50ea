"""The same seed in other surroundings: the same draws, and the surroundings as they were."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sweep

pytestmark = pytest.mark.slow

# What a program may have set before it fits, and what it finds again afterwards.
FITS = """
import contextlib, hashlib, json, locale, os, sys, warnings
import numpy as np
import torch
import pyro
import bayes_pref as bp

warnings.simplefilter("ignore")
comparisons = bp.simulate(users=6, comparisons=6, features=2, contexts=0, seed=1).comparisons
engines = {
    "gibbs": (bp.HierarchicalReward(), bp.Gibbs(draws=8, warmup=8, chains=2, progress=False)),
    "blocks by torch": (
        bp.HierarchicalReward(),
        bp.Gibbs(users="summary", device="cpu", draws=8, warmup=8, chains=2, progress=False),
    ),
    "svi": (bp.HierarchicalReward(), bp.SVI(draws=4, steps=20, progress=False)),
    "nuts": (bp.PooledReward(link="probit"), bp.NUTS(draws=8, warmup=8, chains=1, progress=False)),
    "pyro": (
        bp.PooledReward(),
        bp.NUTS(draws=4, warmup=4, chains=1, kernel="pyro", progress=False),
    ),
}
if os.environ.get("BAYES_PREF_FAULTS") != "whole":
    del engines["nuts"]  # compiles for seconds
store = pyro.get_param_store()


def state():
    return repr((
        torch.get_default_dtype(), torch.get_default_device(), torch.get_num_threads(),
        torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled(),
        torch.are_deterministic_algorithms_enabled(), torch.is_autocast_enabled("cpu"),
        torch.get_rng_state().numpy().tobytes().__hash__(), np.geterr(), os.environ.get("TZ"),
        pyro.infer.is_validation_enabled(), pyro.distributions.is_validation_enabled(),
        [(name, float(value)) for name, value in store.items()],
        np.random.get_state(legacy=False)["state"]["key"].tobytes().__hash__(),
    ))


def digests(names):
    found = {}
    for name in names:
        model, engine = engines[name]
        draws = bp.fit(model, comparisons, engine, seed=3).draws
        whole = hashlib.sha256()
        for variable in draws.data_vars.values():
            whole.update(np.ascontiguousarray(variable.to_numpy()).tobytes())
        found[name] = whole.hexdigest()
    return found


def within(*contexts):
    stack = contextlib.ExitStack()
    for each in contexts:
        stack.enter_context(each)
    return stack


def device(kind):
    torch.set_default_device(kind)


@contextlib.contextmanager
def both(set_it, undo):
    set_it()
    try:
        yield
    finally:
        undo()


surroundings = {
    "gradients off": torch.no_grad,
    "inference mode": torch.inference_mode,
    "float16": lambda: both(
        lambda: torch.set_default_dtype(torch.float16),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "float64": lambda: both(
        lambda: torch.set_default_dtype(torch.float64),
        lambda: torch.set_default_dtype(torch.float32),
    ),
    "device meta": lambda: both(lambda: device("meta"), lambda: device(None)),
    "deterministic": lambda: both(
        lambda: torch.use_deterministic_algorithms(True),
        lambda: torch.use_deterministic_algorithms(False),
    ),
    "anomalies": torch.autograd.detect_anomaly,
    "autocast": lambda: torch.autocast("cpu"),
    "numpy raises": lambda: np.errstate(all="raise"),
    "three threads": lambda: both(
        lambda: torch.set_num_threads(3), lambda: torch.set_num_threads(1)
    ),
    "pyro unchecked": lambda: pyro.validation_enabled(False),
    "a parameter": lambda: both(
        lambda: pyro.param("mine", torch.tensor(2.0)), lambda: store.clear()
    ),
    "within a model": lambda: within(pyro.poutine.trace(), pyro.plate("user", 3)),
    "everything": lambda: within(
        torch.inference_mode(), np.errstate(all="raise"), torch.autocast("cpu")
    ),
}
"""

TRY = (
    FITS
    + """
names = json.loads(sys.argv[1])
expected = digests(engines)
print(json.dumps(expected), flush=True)
for name in names:
    with surroundings[name]():
        before = state()
        found = digests(engines)
        print(json.dumps([name, found == expected, state() == before]), flush=True)
"""
)


ENGINES = 4 if sweep.WHOLE else 3
NAMES = [
    "everything", "within a model", "float16", "gradients off", "inference mode", "numpy raises",
    "device meta", "a parameter", "float64", "deterministic", "anomalies", "autocast",
    "three threads", "pyro unchecked",
][: sweep.cases(2, 99)]  # fmt: skip


@pytest.fixture(scope="module")
def here() -> sweep.Child:
    """Fits as everywhere, then in the surroundings of one process after another."""
    return sweep.child(TRY, json.dumps(NAMES), seconds=2400 if sweep.WHOLE else 570)


def test_draws_depend_on_no_setting_of_torch_numpy_or_pyro(here: sweep.Child) -> None:
    tried = [json.loads(line) for line in here.out.splitlines()[1:]]
    held = [name for name, same, left in tried if same and left]
    sweep.report(
        "engines in other surroundings of one process", ENGINES * len(NAMES), ENGINES * len(held)
    )
    assert held == NAMES, (tried, here.err[-2000:])


def test_draws_depend_on_no_variable_of_the_environment_and_no_folder(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if not sweep.WHOLE:
        pytest.skip("in the whole sweep alone")
    here: sweep.Child = request.getfixturevalue("here")
    code = (
        FITS
        + """
if sys.argv[1:]:
    digests(engines)  # torch and ArviZ cannot be imported in a folder that is removed
    os.rmdir(os.getcwd())
print(json.dumps(digests(engines)))
"""
    )
    variables: list[dict[str, str]] = [
        {"PYTHONHASHSEED": "1"},
        {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "LC_ALL": "C", "TZ": "Asia/Tokyo"},
        {"PYTHONHASHSEED": "77", "LC_ALL": "C.utf8", "PYTHONOPTIMIZE": "1"},
        {"PYTHONUTF8": "0", "LANG": "POSIX", "COLUMNS": "7"},
    ]
    gone = tmp_path / "gone"
    gone.mkdir()
    first = here.out.splitlines(keepends=True)[0]
    others = [sweep.child(code, seconds=300, environment=each) for each in variables]
    others.append(sweep.child(code, "remove", seconds=300, folder=gone))
    held = sum(each.out == first for each in others)
    sweep.report("engines in other environments", ENGINES * len(others), ENGINES * held)
    assert held == len(others), [each.err[-1000:] for each in others]
