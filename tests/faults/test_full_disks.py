"""Where there is no room, no permission or no handle, one sentence says so and nothing is lost."""

from __future__ import annotations

import json

import pytest
import sweep

pytestmark = pytest.mark.slow

# Saves and exports within limits that are then lifted: whoever made the draws still has them.
LIMITED = """
import json, os, resource, sys, tempfile
from pathlib import Path
import numpy as np
import pandas as pd
from matplotlib import pyplot
from made_posteriors import made_posterior
from bayes_pref.errors import DataError
from bayes_pref.posterior import Posterior
from bayes_pref.reporting.folder import OutputFolder

number = int(sys.argv[1])
folder = Path(tempfile.mkdtemp())
folder.chmod(0o755)
path = folder / "posterior.nc"
old, new = (made_posterior(seed=seed) for seed in (1, 2))
counts = {}


def export(into):
    out = OutputFolder(into)
    out.text("summary.txt", "text " * 30000)
    out.table("users.csv", pd.DataFrame({"mean": range(30000)}), index=False)
    out.picture("users.png", lambda: pyplot.subplots()[1])


def contents():
    return {each.name: each.read_bytes() for each in folder.iterdir()}


def tried(name, limit, value, act, may_succeed=False):
    before = contents()
    soft, hard = resource.getrlimit(limit)
    resource.setrlimit(limit, (value, hard))
    try:
        act()
        outcome = may_succeed
    except DataError as err:
        outcome = isinstance(err.__cause__, OSError) and "\\n" not in str(err)
    finally:
        resource.setrlimit(limit, (soft, hard))
    after = contents()
    # Files already written by an export are whole; nothing else has come.
    outcome &= after.keys() <= before.keys() | whole.keys()
    outcome &= all(after[name] in (before.get(name), whole.get(name)) for name in after)
    counts.setdefault(name, [0, 0])
    counts[name][0] += 1
    counts[name][1] += bool(outcome)


new.save(path)
export(folder)
whole = contents()
old.save(path)
size = len(whole["posterior.nc"])
for limit in np.linspace(0, size - 1, number).astype(int).tolist():
    tried("full disk, save", resource.RLIMIT_FSIZE, limit, lambda: new.save(path))
largest = max(len(whole[name]) for name in whole if name != "posterior.nc")
for limit in np.linspace(0, largest - 1, number).astype(int).tolist():
    tried("full disk, export", resource.RLIMIT_FSIZE, limit, lambda: export(folder))
used = len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 16
for more in range(6):
    for act in (lambda: new.save(path), lambda: export(folder), lambda: Posterior.load(path)):
        tried("no handles", resource.RLIMIT_NOFILE, used - 2 + more, act, may_succeed=True)
new.save(path)
kept = path.read_bytes() == whole["posterior.nc"]

# As an ordinary user, because permissions do not bind an administrator.
inside = folder / "closed"
for act in (lambda: new.save(inside / "posterior.nc"), lambda: export(inside)):
    inside.mkdir()
    inside.chmod(0o555)
    child = os.fork()
    if not child:
        if os.getuid() == 0:
            os.setgid(65534)
            os.setuid(65534)
        try:
            act()
        except DataError as err:
            os._exit(0 if "Permission denied" in str(err) else 1)
        except BaseException:
            os._exit(2)
        os._exit(3)
    status = os.waitpid(child, 0)[1]
    counts.setdefault("read-only", [0, 0])
    counts["read-only"][0] += 1
    counts["read-only"][1] += status == 0 and not list(inside.iterdir())
    inside.rmdir()
for each in folder.iterdir():
    each.unlink()
folder.rmdir()
print(json.dumps([counts, kept]))
"""


def test_a_full_disk_is_one_sentence_and_costs_nothing() -> None:
    number = sweep.cases(5, 30)
    found = sweep.child(LIMITED, number, seconds=300)
    assert found.code == 0, found.err
    counts, kept = json.loads(found.out)
    for name, (tried, held) in counts.items():
        sweep.report(name, tried, held)
        assert held == tried, (name, counts)
    assert kept
