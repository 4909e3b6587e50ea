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

# Enough sweeps for a second, so that a kill strikes in the middle.
LONG = {"draws": 1_500, "warmup": 200, "chains": 2, "cores": 2, "progress": False}

SCRIPT = """
import sys
sys.path.insert(0, sys.argv[2])
from cases import small_comparisons
import bayes_pref as bp
from bayes_pref.inference.runtime import checkpoint
checkpoint.SECONDS = 0.01
engine = bp.Gibbs(
    checkpoint=sys.argv[1], draws=1_500, warmup=200, chains=2, cores=2, progress=False
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
    while not all((folder / f"chain-{chain}.state").exists() for chain in (0, 1)):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stderr.close()
    assert (folder / "run.json").exists(), "killed too late to test anything"
    model = bp.HierarchicalReward(covariance="full")
    resumed, whole = fit(model, checkpoint=folder), fit(model)
    assert resumed.draws.identical(whole.draws)
    assert resumed.sample_stats.identical(whole.sample_stats)
    assert not folder.exists()  # a complete run leaves nothing behind


SHORT = {"draws": 60, "warmup": 50}
CONVERGED = {"draws": 400, "warmup": 5, "until": "converged"}


@pytest.mark.parametrize(
    ("model", "settings", "every"),
    [
        (bp.PooledReward(), SHORT, 5),
        (bp.HierarchicalReward(), SHORT, 5),
        (bp.HierarchicalReward(), CONVERGED, 100),
    ],
    ids=["pooled", "hierarchical", "until converged"],
)
def test_a_chain_goes_on_from_its_state_in_warm_up_and_after(
    model: bp.RewardModel,
    settings: dict,
    every: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
    whole = fit(model, **settings)
    saves = itertools.count(1)  # chains save from threads of their own: each takes its number
    save = checkpoints.Checkpoint.save

    class CrashError(Exception):
        pass

    def save_and_die(self: checkpoints.Checkpoint, chain: int, state: dict, kept: int) -> None:
        save(self, chain, state, kept)
        if next(saves) % every == 0:
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
    (tmp_path / "run" / "chain-0.draws").write_bytes(b"cut")
    with pytest.raises(bp.ModelError, match=r"is damaged \(chain-0.draws .* delete it to start"):
        fit(bp.PooledReward(), draws=20, checkpoint=tmp_path / "run")


def test_a_checkpoint_in_use_is_refused(tmp_path: Path) -> None:
    arrays = {"theta": np.zeros((1, 4, 2))}
    with checkpoints.Checkpoint(tmp_path / "run", {"seed": 0}, arrays):
        with pytest.raises(bp.ModelError, match="in use by another fit: wait for it, or give"):
            fit(bp.PooledReward(), draws=20, checkpoint=tmp_path / "run")
        code = (
            "import sys, numpy as np; from pathlib import Path\n"
            "from bayes_pref.inference.runtime.checkpoint import Checkpoint\n"
            "with Checkpoint(Path(sys.argv[1]), {}, {'theta': np.zeros((1, 4, 2))}): pass\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "run")]
        other = subprocess.run(command, capture_output=True, text=True, check=False)
        assert other.returncode == 1
        assert "in use by another fit" in other.stderr


def test_files_of_others_in_the_folder_stay(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "theta.npy").write_text("mine")
    (folder / "chain-0.state").write_text("of a run that was half removed")
    fit(bp.PooledReward(), draws=20, checkpoint=folder)
    assert [path.name for path in folder.iterdir()] == ["theta.npy"]
