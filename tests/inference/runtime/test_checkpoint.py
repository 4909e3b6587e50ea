"""A run that is killed and resumed has the draws of one that was not."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from cases import small_comparisons

import bayes_pref as bp
from bayes_pref.inference.runtime import checkpoint as checkpoints

# Enough sweeps for a few seconds, so that a kill strikes in the middle.
LONG = {"draws": 10_000, "warmup": 200, "chains": 2, "cores": 2, "progress": False}

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
from cases import small_comparisons
import bayes_pref as bp
from bayes_pref.inference.runtime import checkpoint
checkpoint.SECONDS = 0.05
engine = bp.Gibbs(
    checkpoint=sys.argv[1], draws=10_000, warmup=200, chains=2, cores=2, progress=False
)
bp.fit(bp.HierarchicalReward(covariance="full"), small_comparisons(), engine)
"""


def fit(model: bp.RewardModel, seed: int = 0, **settings: object) -> bp.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, small_comparisons(), bp.Gibbs(**{**LONG, **settings}), seed=seed)


def test_a_killed_run_resumes_to_the_same_draws_bit_for_bit(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", SCRIPT, str(folder), str(Path(__file__).parents[2])]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 600
    while not all((folder / f"chain-{chain}.npz").exists() for chain in (0, 1)):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    states = [int(np.load(folder / f"chain-{chain}.npz")["done"]) for chain in (0, 1)]
    assert 0 < min(states) < 10_200, "killed too late to test anything"
    model = bp.HierarchicalReward(covariance="full")
    resumed = fit(model, checkpoint=folder)
    assert resumed.draws.identical(fit(model).draws)
    assert resumed.sample_stats.identical(fit(model).sample_stats)
    assert not folder.exists()  # a complete run leaves nothing behind


@pytest.mark.parametrize("model", [bp.PooledReward(), bp.HierarchicalReward()], ids=repr)
def test_a_chain_goes_on_from_its_state_in_warm_up_and_after(
    model: bp.RewardModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    settings = {"draws": 60, "warmup": 50}
    whole = fit(model, **settings)
    saves = itertools.count(1)  # chains save from threads of their own: each takes its number
    save = checkpoints.Checkpoint.save

    class CrashError(Exception):
        pass

    def save_and_die(self: object, chain: int, state: dict, *, now: bool = False) -> None:
        save(self, chain, state, now=now)  # type: ignore[arg-type]
        if next(saves) % 5 == 0:
            raise CrashError

    monkeypatch.setattr(checkpoints.Checkpoint, "save", save_and_die)
    crashes = 0
    while True:
        try:
            resumed = fit(model, checkpoint=tmp_path / "run", **settings)
        except CrashError:
            crashes += 1
        else:
            break
    assert crashes >= 2
    assert resumed.draws.identical(whole.draws)


def test_states_are_read_by_one_thread_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python 3.11's parser, which reads a NumPy file's header, can fail in threads side by side."""
    load, readers = checkpoints.Checkpoint.load, []

    def load_and_tell(self: checkpoints.Checkpoint, chain: int) -> dict | None:
        readers.append(threading.current_thread())
        return load(self, chain)

    monkeypatch.setattr(checkpoints.Checkpoint, "load", load_and_tell)
    fit(bp.PooledReward(), draws=20, checkpoint=tmp_path / "run")
    assert readers == 2 * [threading.main_thread()]


def test_a_checkpoint_of_another_run_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints.Checkpoint, "remove", lambda _: None)
    fit(bp.PooledReward(), draws=20, checkpoint=tmp_path / "run")
    with pytest.raises(bp.ModelError, match=r"another run \(draws differ\): give another folder"):
        fit(bp.PooledReward(), draws=30, checkpoint=tmp_path / "run")
    with pytest.raises(bp.ModelError, match=r"\(seed differ\)"):
        fit(bp.PooledReward(), seed=1, draws=20, checkpoint=tmp_path / "run")
    with pytest.raises(bp.ModelError, match=r"\(data and priors differ\)"):
        fit(bp.PooledReward(mean_sd=1.0), draws=20, checkpoint=tmp_path / "run")
    (tmp_path / "run" / "theta.npy").write_bytes(b"cut")
    with pytest.raises(bp.ModelError, match=r"cannot be used .* delete it to start afresh"):
        fit(bp.PooledReward(), draws=20, checkpoint=tmp_path / "run")
