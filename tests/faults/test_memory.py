"""What would fill the memory is refused before it does, in a child that has little of it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import sweep

pytestmark = pytest.mark.slow

REFUSED = """
import json, sys, warnings, numpy as np, pandas as pd, bayes_pref as bp
from bayes_pref.errors import BayesPrefError
warnings.simplefilter("ignore")
for code in json.loads(sys.argv[1]):
    try:
        exec(code)
    except BayesPrefError as error:
        print("refused:", error)
"""
CASES = {
    "levels": "from bayes_pref.data.outcome import GradedChoice; GradedChoice(10**9)",
    "levels of a table": "bp.Comparisons.from_frame(pd.DataFrame({'u': [1, 1], 'x': [1., 2.], "
    "'y': [1, 2]}), user='u', choice='y', difference=['x'], levels=10**9)",
    # Votes between many items fit, and the array of their differences does not.
    "items": "n = np.arange(2 * 10**4); np.asarray(bp.Comparisons.from_items(pd.DataFrame({'a': n, "
    "'b': n + 10**5, 'y': n % 2}), left='a', right='b', choice='y').difference)",
    "ranked items": "n = np.arange(4 * 10**4); np.asarray(bp.Comparisons.from_rankings("
    "pd.DataFrame({'u': 1, 'r': n // 2, 'i': n, 'k': n % 2 + 1}), user='u', ranking='r', item='i', "
    "rank='k').difference)",
    "contexts": "n = np.arange(10**4); np.asarray(bp.Comparisons.from_items(pd.DataFrame({'a': n % "
    "6000, 'b': 6000 + n % 6000, 'y': n % 2, **{f'c{k}': n / k for k in range(1, 9)}}), left='a', "
    "right='b', choice='y', context=[f'c{k}' for k in range(1, 9)], interactions='all').difference"
    ")",
}


def test_what_would_fill_the_memory_is_refused() -> None:
    child = sweep.child(REFUSED, json.dumps([*CASES.values()]), megabytes=2500)
    held = sum(line.startswith("refused:") for line in child.out.splitlines())
    sweep.report("memory", len(CASES), held)
    assert held == len(CASES), child
    assert child.megabytes < 1500, child


@pytest.mark.parametrize("name", ["votes.csv.gz", "votes.jsonl.gz"])
def test_a_small_file_that_expands_to_gigabytes_is_refused(name: str, tmp_path: Path) -> None:
    head = b"user,choice,x\n" if "csv" in name else b""
    row = b"1,1,0.5\n" if "csv" in name else b'{"prompt": "p", "chosen": "a", "rejected": "b"}\n'
    # Members of a gzip file follow one another: 40 MB each, of which none takes time to write.
    member = gzip.compress(row * (40 * 2**20 // len(row)))
    (tmp_path / name).write_bytes(gzip.compress(head) + member * 20)
    code = (
        "from pathlib import Path; from bayes_pref.cli.tables import read_table; "
        "read_table(Path(sys.argv[2]))"
        if "csv" in name
        else "bp.text.comparisons(sys.argv[2])"
    )
    child = sweep.child(REFUSED, json.dumps([code]), tmp_path / name, megabytes=2500)
    held = "times its size; if this is right, save it uncompressed" in child.out
    sweep.report(f"memory: {name}", 1, held)
    assert held, child
