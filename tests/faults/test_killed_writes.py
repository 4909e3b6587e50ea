"""A process that is killed while it saves loses nothing, and leaves nothing after the next save."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import sweep

pytestmark = pytest.mark.slow

# Forks writers that kill themselves at a given line of the module that writes files.
KILLER = """
import json, os, signal, sys
from pathlib import Path
import pandas as pd
from made_posteriors import made_posterior
from bayes_pref import whole_files
from bayes_pref.reporting.folder import OutputFolder

what, share, folder = sys.argv[1], float(sys.argv[2]), Path(sys.argv[3])
whole_files._AT_ONCE = 8192  # many system calls a file, to be killed between them
old, new = (made_posterior(seed=seed, draws=20) for seed in (1, 2))


def write(version):
    if what == "save":
        (old, new)[version].save(folder / "posterior.nc")
    else:
        out = OutputFolder(folder)
        out.text("summary.txt", f"version {version} " * 3000)
        out.table("users.csv", pd.DataFrame({"mean": [version] * 5000}), index=False)


def contents():
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def traced(limit):
    count = 0

    def lines(frame, event, _):
        nonlocal count
        count += event == "line"
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)
        return lines

    return lambda frame, *_: lines if frame.f_code.co_filename == whole_files.__file__ else None


def killed(limit):
    pid = os.fork()
    if not pid:
        try:
            sys.settrace(traced(limit))
            write(1)
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1] == signal.SIGKILL


write(1)
known = [contents()]
write(0)
known.append(contents())
tried = held = step = 0
progress = 0.0
while True:
    step += 1
    progress += share
    if progress < 1:
        if step > 2000:
            break
        continue
    progress -= 1
    if not killed(step):
        break
    tried += 1
    found = contents()
    # What has its name is whole, of the one version or the other.
    kept = all(found.get(name) in [each[name] for each in known] for name in known[0])
    if tried % 3 == 0:  # otherwise the next writer meets what this one left
        write(0)
        kept &= contents() == known[1]
    held += kept
write(0)
left = len(contents()) - len(known[1])
for path in folder.iterdir():
    path.unlink()
print(json.dumps([tried, held, left]))
"""


@pytest.mark.parametrize("what", ["save", "export"])
def test_no_kill_loses_or_leaves_a_file(what: str, tmp_path: Path) -> None:
    # Both write by write_whole: a sample tries saving.
    if not (tenths := sweep.cases(1 if what == "save" else 0, 10)):
        pytest.skip("in the whole sweep alone")
    share = tenths / 10
    found = sweep.child(KILLER, what, share, tmp_path, seconds=300)
    assert found.code == 0, found.err
    tried, held, left = json.loads(found.out)
    sweep.report(f"kills during {what}", tried, held)
    assert tried >= sweep.cases(5, 50)
    assert (held, left) == (tried, 0)
