"""What `test_caches` tries: damaged caches of compiled code, and no place to keep any."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from checkpoint_faults import forked
from worker_faults import fit

import bayes_pref as bp
from bayes_pref.compile_cache import NullCache
from bayes_pref.inference.gibbs.kernels import hmc
from bayes_pref.inference.gibbs.kernels.jit import compiled
from bayes_pref.posterior import arviz_bridge, arviz_caches


@compiled
def double(value: float) -> float:
    """Return twice the value; small enough to be compiled many times."""
    return 2.0 * value


def ours() -> str:
    """Call a kernel of ours."""
    return "held" if double(21.0) == 42.0 else "wrong"


def of_arviz() -> str:
    """Call what ArviZ compiles."""
    from arviz.stats.density_utils import histogram

    arviz_caches.seal_caches()
    counts, _, _ = histogram(np.arange(10.0), 5)
    return "held" if counts.tolist() == [2.0] * 5 else "wrong"


def damage(rng: np.random.Generator, path: Path, kind: int) -> str:
    """Damage a file of a cache; returns what was done."""
    content = bytearray(path.read_bytes())
    at = int(rng.integers(len(content)))
    names = ("emptied", "cut", "flipped", "zeroed", "garbage", "sealed garbage", "a folder")
    match kind % 7:
        case 0:
            content = bytearray()
        case 1:
            content = content[:at]
        case 2:
            content[at] ^= 1 << int(rng.integers(8))
        case 3:
            content[at : at + 512] = bytes(len(content[at : at + 512]))
        case 4:
            content = bytearray(rng.bytes(len(content)))
        case 5:
            garbage = rng.bytes(500)
            content = bytearray(hashlib.sha256(garbage).digest() + garbage)
        case 6:
            path.unlink()
            (path / "in it").mkdir(parents=True)
            return names[6]
    path.write_bytes(content)
    return names[kind % 7]


def damages(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """Damaged caches of a kernel of ours and, in a whole sweep, of ArviZ."""
    for call in (ours, of_arviz) if count > 20 else (ours,):
        assert forked(call) == "held"
        (path,) = folder.rglob("*double*.nbc" if call is ours else "*histogram*.nbc")
        whole = path.read_bytes()
        for number in range(count if call is ours else 7):
            done = damage(np.random.default_rng(number), path, number)
            found = forked(call)
            if found == "held" and path.read_bytes() != whole:
                # Compiled anew, the code has the same length, and is found the next time.
                found = "held" if path.stat().st_size > 512 else "not kept"
            yield f"{call.__name__}, {done}", found
            if path.is_dir():
                shutil.rmtree(path)
            path.write_bytes(whole)


def homeless(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """The package where nothing can be kept: import, a kernel and, in a whole sweep, a fit."""
    assert Path(bp.__file__).is_relative_to(folder), bp.__file__
    assert isinstance(hmc.hmc_move._cache, NullCache), "there is a cache"
    yield "import", "held"
    yield "a kernel", ours()
    world = bp.simulate(users=8, seed=0)
    if count > 2:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bp.ConvergenceWarning)
            engine = bp.Gibbs(draws=20, warmup=20, chains=2, progress=False)
            posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        bp.plots.rank(posterior)
        bp.plots.trace(posterior)
        posterior.summary()
        yield "fit and plots", "held"
        yield "what ArviZ compiles", of_arviz()
    assert arviz_bridge.arviz.__version__
    made = list(folder.rglob("*.nb?"))
    yield "nothing was written", str(made) if made else "held"


DIGITS = 64  # of a digest


def compiled_nuts() -> str:
    """Run compiled chains; a digest of their draws."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        warnings.filterwarnings("error", "torch cannot compile")
        return fit("nuts")


def inductor(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """Damaged code of torch's compiler: what was done, and whether there are draws.

    They may be rounded otherwise: where torch's trial of vector instructions is what is damaged,
    it compiles without them.
    """
    assert len(forked(compiled_nuts)) == DIGITS
    libraries = {path: path.read_bytes() for path in folder.rglob("*.so")}
    assert libraries
    for number, kind in enumerate((0, 4, 5, 0, 4, 5)[:count]):
        everything = folder.rglob("*") if number > 2 else libraries
        for path in [each for each in everything if each.is_file() and each.stat().st_size]:
            done = damage(np.random.default_rng(number), path, kind)
        found = forked(compiled_nuts)
        yield f"code of torch's compiler, {done}", "held" if len(found) == DIGITS else found
        for path, content in libraries.items():
            path.write_bytes(content)


def main() -> None:
    """Run a sweep: its name, a folder, the number of cases; print a line a case."""
    sweep = {"damages": damages, "homeless": homeless, "inductor": inductor}[sys.argv[1]]
    for done, found in sweep(Path(sys.argv[2]), int(sys.argv[3])):
        print(json.dumps([done, found]), flush=True)  # noqa: T201
