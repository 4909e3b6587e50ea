"""What `test_checkpoints` tries, each in a process of its own that is forked from this one.

A case ends with one of the words of `OUTCOMES`; anything else, a crash and a hang included, is a
fault. Each runs in a process that has imported and compiled everything before.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cases import small_comparisons

import bayes_pref as bp
from bayes_pref.inference.runtime import checkpoint

OUTCOMES = ("refused", "same", "killed")
SETTINGS = {"draws": 40, "warmup": 20, "chains": 2, "cores": 1, "progress": False}
SECONDS = 300.0  # of one case
# Every step of writing and cleaning up passes through one of these.
STEPS = ("mkdir", "open", "posix_fallocate", "pwrite", "fsync", "replace", "unlink", "rmdir")


def fit(folder: Path | None = None, seed: int = 0) -> bp.Posterior:
    """Fit, with a state after every few sweeps."""
    checkpoint.SECONDS = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        warnings.simplefilter("ignore", RuntimeWarning)
        engine = bp.Gibbs(**SETTINGS, checkpoint=folder)  # type: ignore[arg-type]
        return bp.fit(bp.HierarchicalReward(), small_comparisons(), engine, seed=seed)


def outcome(folder: Path, expected: bp.Posterior) -> str:
    """Fit with what is in the folder; see `OUTCOMES`."""
    try:
        found = fit(folder)
    except bp.ModelError as err:
        return "refused" if "checkpoint" in str(err) and "\n" not in str(err) else f"{err!r}"
    same = found.draws.identical(expected.draws)
    return "same" if same and found.sample_stats.identical(expected.sample_stats) else "different"


def forked(case: Callable[[], str]) -> str:
    """Run a case in a process of its own; what it returned, or how it ended."""
    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            said = case()
        except BaseException:  # noqa: BLE001
            said = traceback.format_exc()
        os.write(write, said.encode()[-4000:])
        os._exit(0)
    os.close(write)
    deadline = time.monotonic() + SECONDS
    while not (ended := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(read)
            return "hung"
        time.sleep(0.002)
    with os.fdopen(read, "rb") as pipe:
        said = pipe.read().decode()
    if os.WIFSIGNALED(ended[1]):
        number = os.WTERMSIG(ended[1])
        return "killed" if number == signal.SIGKILL else f"signal {number}"
    return said


def begun(folder: Path, seed: int = 0, steps: int = 60) -> None:
    """Leave the checkpoint of a run that was killed after so many steps."""
    assert forked(lambda: killed_at(steps, lambda: fit(folder, seed))) == "killed"


def killed_at(step: int, work: Callable[[], object], counted: list[int] | None = None) -> str:
    """Kill this process at a step of what it does with files; every second one when half done."""
    taken = 0

    def counting(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted_step(*args: Any, **kwargs: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken == step:
                if name == "pwrite" and step % 2:
                    file, view, offset = args
                    function(file, view[: len(view) // 2], offset)
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return counted_step

    before = {name: getattr(os, name) for name in STEPS if hasattr(os, name)}
    for name, function in before.items():
        setattr(os, name, counting(name, function))
    try:
        work()
    finally:
        for name, function in before.items():
            setattr(os, name, function)
    if counted is not None:
        counted.append(taken)
    return "not killed"


def damage(rng: np.random.Generator, folder: Path, other: Path, kind: int) -> str:
    """Damage a checkpoint; returns what was done."""
    files = sorted(path for path in folder.iterdir() if path.stat().st_size)  # not the lock
    states = sorted(folder.glob("chain-*.state"))
    path = files[rng.integers(len(files))]
    content = bytearray(path.read_bytes())
    at = int(rng.integers(max(len(content), 1)))
    about = folder / "run.json"
    match kind % 10:
        case 0:
            content[at] ^= 1 << int(rng.integers(8))
        case 1:
            content = content[:at]
        case 2:
            content[at : at + 512] = bytes(len(content[at : at + 512]))
        case 3:
            content += bytes(rng.integers(0, 256, 64, dtype=np.uint8))
        case 4:
            path.unlink()
            return f"removed {path.name}"
        case 5:
            path, run = about, json.loads(about.read_bytes())
            key = list(run)[rng.integers(len(run))]
            values = [None, 0, "", [], 7, {key: run[key]}]
            run[key] = values[rng.integers(len(values))]
            texts = [json.dumps(run), "[]", "{}", "", "[" * 9999, json.dumps(run)[:-1], "\xff"]
            content = bytearray(texts[rng.integers(len(texts))].encode("latin-1"))
        case 6:
            path = states[rng.integers(len(states))]
            content = bytearray((other / path.name).read_bytes())
            if rng.random() < 0.5:
                shutil.copy(other / path.with_suffix(".draws").name, folder)
        case 7:
            one, two = states[0], states[-1]
            first = one.read_bytes()
            one.write_bytes(two.read_bytes())
            path, content = two, bytearray(first)
        case 8:
            about.unlink()
            if rng.random() < 0.5:
                shutil.copytree(other, folder, dirs_exist_ok=True)
                about.unlink()
            return "removed run.json"
        case 9:
            path.unlink()
            [lambda: os.mkfifo(path), path.mkdir, lambda: path.symlink_to("nowhere")][
                int(rng.integers(3))
            ]()
            return f"{path.name} is no file"
    path.write_bytes(content)
    return f"{kind % 10} of {path.name} at {at}"


def damages(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """Damaged checkpoints: what was done, and the outcome."""
    expected = fit()
    begun(folder / "template")
    begun(folder / "other", seed=1)
    for number in range(count):
        case = folder / "case"
        shutil.rmtree(case, ignore_errors=True)
        shutil.copytree(folder / "template", case)
        done = damage(np.random.default_rng(number), case, folder / "other", number)
        yield done, forked(partial(outcome, case, expected))


def kills(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """Kills at steps of writing and cleaning up: the step, and the outcome of the next call."""
    expected = fit()
    counted: list[int] = []
    killed_at(0, lambda: fit(folder / "counted"), counted)
    steps = np.unique(np.linspace(1, counted[0], count).astype(int))
    # The last of them are those of cleaning up, each of which is tried.
    for step in sorted({*steps.tolist(), *range(counted[0] - 9, counted[0] + 1)}):
        case = folder / f"step-{step}"
        found = forked(partial(killed_at, step, partial(fit, case)))
        if found == "killed":
            found = forked(partial(outcome, case, expected))
            if found == "same" and case.exists():
                found = f"left behind: {sorted(case.iterdir())}"
        yield f"step {step} of {counted[0]}", "killed" if found == "same" else found


def full_disks(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """Disks that take files of some size only: the size, and the outcome of this and the next."""
    expected = fit()
    begun(folder / "template", steps=75)
    largest = max(path.stat().st_size for path in (folder / "template").iterdir())
    for number, size in enumerate(np.linspace(0, 1.2 * largest, count).astype(int)):
        case = folder / "case"
        if number % 2:
            shutil.copytree(folder / "template", case, dirs_exist_ok=True)

        def full(size: int = int(size), case: Path = case) -> str:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
            return outcome(case, expected)

        found = forked(full)
        if list(case.glob("*.part")):
            found = f"{found}, and left {list(case.glob('*.part'))}"
        if found == "refused" and case.exists() and not number % 2:
            found = f"refused, and left {list(case.iterdir())}"
        if found in OUTCOMES and forked(partial(outcome, case, expected)) != "same":
            found = f"{found}, but not resumed"
        yield f"{size} bytes", found
        shutil.rmtree(case, ignore_errors=True)


def main() -> None:
    """Run a sweep: its name, a folder, the number of cases; print a line a case."""
    sweep = {"damages": damages, "kills": kills, "full_disks": full_disks}[sys.argv[1]]
    for done, found in sweep(Path(sys.argv[2]), int(sys.argv[3])):
        print(json.dumps([done, found]), flush=True)  # noqa: T201
