"""A damaged file is refused in one sentence: it neither crashes, nor hangs, nor says otherwise."""

from __future__ import annotations

import json

import pytest
import sweep

pytestmark = pytest.mark.slow

DAMAGES = ("cut", "flip", "byte", "zeros", "letter", "longer", "swap", "hole")

# Loads damaged copies of a saved posterior, and counts the refusals by kind of damage.
LOADER = """
import json, sys, tempfile
from pathlib import Path
import numpy as np
from made_posteriors import made_posterior
from bayes_pref.errors import DataError
from bayes_pref.posterior import Posterior

seed, number = int(sys.argv[1]), int(sys.argv[2])
kinds = sys.argv[3:]
rng = np.random.default_rng(seed)
folder = Path(tempfile.mkdtemp())
path, made = folder / "posterior.nc", {}
for compact in (False, True):
    made_posterior().save(path, compact=compact)
    made[compact] = path.read_bytes()


def damaged(whole, kind):
    found, size = bytearray(whole), len(whole)
    place = int(rng.integers(size))
    # The beginning and the end, where the superblock and the seal are, more often than the rest.
    place = int(rng.choice([place, rng.integers(128), size - 1 - rng.integers(128)]))
    block = int(rng.choice([1, 8, 64, 512, 4096, 65536]))
    if kind == "cut":
        return found[:place]
    if kind == "flip":
        found[place] ^= 1 << int(rng.integers(8))
    elif kind == "byte":
        found[place] = (found[place] + int(rng.integers(1, 256))) % 256
    elif kind == "zeros":
        found[place : place + block] = bytes(len(found[place : place + block]))
    elif kind == "letter":  # one of the settings, which are JSON
        start = whole.find(b'"mean_sd"')
        found[start + int(rng.integers(40))] = int(rng.integers(32, 127))
    elif kind == "longer":
        found += bytes(rng.integers(0, 256, size=block, dtype=np.uint8))
    elif kind == "swap":
        other = int(rng.integers(size - 64))
        part = found[place : place + 64]
        found[place : place + len(part)] = found[other : other + len(part)]
        found[other : other + len(part)] = part
    elif kind == "hole":
        del found[place : place + block]
    return found


counts = {kind: [0, 0] for kind in kinds}
for case in range(number):
    kind, whole = kinds[case % len(kinds)], made[case % 3 == 0]
    found = damaged(whole, kind)
    while found == whole:
        found = damaged(whole, kind)
    path.write_bytes(found)
    counts[kind][0] += 1
    try:
        Posterior.load(path)
    except DataError as err:
        counts[kind][1] += str(err).startswith("cannot load ") and "\\n" not in str(err)
path.unlink()
folder.rmdir()
print(json.dumps(counts))
"""


def test_no_damaged_file_is_loaded() -> None:
    number = sweep.cases(80, 1200)
    found = sweep.child(LOADER, 0, number, *DAMAGES, seconds=300, megabytes=2048)
    assert found.code == 0, found.err
    counts = json.loads(found.out)
    tried, held = (sum(each) for each in zip(*counts.values(), strict=True))
    sweep.report("damaged files", tried, held)
    assert tried == held == number, counts
