"""How fast each engine turns the same data into effective draws, next to those of others.

    python benchmarks/engines.py                                  # the conjoint study, diagonal
    python benchmarks/engines.py --covariance full --data dense --quick
    python benchmarks/engines.py --data electricity               # choices among four
    python benchmarks/engines.py --choice ties                    # simulated, another choice model

Every engine runs in a process of its own, in turn, with the same model and priors, two chains on
two cores, in float64 (`engine_run` says what is timed). Runs go round: a second run of every engine
follows the first of all, so that a machine that slows down slows all of them. Our engines are timed
with the compiled code of an earlier fit on disk, and once (rows "first fit") with none; a fit that
was not asked for precedes, so that there is such code. Peers compile in every process.

Writes `<data>-<covariance>.md`, `.csv` and `.png` to --out. The peers are installed into
benchmarks/.peers at the first run, from peers.lock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from engine_data import CHOICES, Arrays, chosen_users, load
from engine_report import Run, report

HERE = Path(__file__).resolve().parent
OURS, PEERS = ("Gibbs", "NUTS", "SVI"), ("NumPyro", "MAMS", "PyMC", "nutpie")
OF_PAIRS = {"PyMC", "nutpie"}  # compared on pairs alone
# (warm-up, draws) a chain, that give about 400 effective draws of every parameter where that is
# affordable. PyMC's are few: it needs hours.
LENGTHS: dict[str, dict[tuple[str, str], tuple[int, int]]] = {
    "Gibbs": {
        ("bank", "diagonal"): (500, 6000),
        ("bank", "full"): (500, 4000),
        ("dense", "diagonal"): (500, 5000),
        ("dense", "full"): (500, 3000),
    },
    "NUTS": {
        ("bank", "diagonal"): (500, 4000),
        ("bank", "full"): (500, 1000),
        ("dense", "diagonal"): (400, 600),
        ("dense", "full"): (400, 600),
    },
    "SVI": {},
    "NumPyro": {
        ("bank", "diagonal"): (600, 4000),
        ("bank", "full"): (600, 1500),
        ("dense", "diagonal"): (400, 600),
        ("dense", "full"): (400, 600),
    },
    "MAMS": {
        ("bank", "diagonal"): (2000, 10000),
        ("bank", "full"): (2000, 5000),
        ("dense", "diagonal"): (1000, 3000),
        ("dense", "full"): (1000, 3000),
    },
    "nutpie": {
        ("bank", "diagonal"): (600, 4000),
        ("bank", "full"): (600, 1500),
        ("dense", "diagonal"): (400, 600),
        ("dense", "full"): (400, 600),
    },
    "PyMC": {
        ("bank", "diagonal"): (300, 300),
        ("bank", "full"): (300, 200),
        ("dense", "diagonal"): (300, 200),
        ("dense", "full"): (300, 200),
    },
}
# Of the other data: choices among several, ties, grades and the probit link.
OTHER_LENGTHS = {
    "Gibbs": (500, 3000),
    "NUTS": (500, 1000),
    "NumPyro": (600, 1500),
    "MAMS": (2000, 5000),
}
SVI_DRAWS = 2000
QUICK = (100, 100)


def options() -> argparse.Namespace:
    """Read the command line."""
    first, rest = __doc__.split("\n", 1)
    parser = argparse.ArgumentParser(
        description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", choices=("bank", "dense", "electricity"), default="bank")
    parser.add_argument(
        "--choice", choices=CHOICES, help="simulated data of this choice model, in place of --data"
    )
    parser.add_argument("--covariance", choices=("diagonal", "full"), default="diagonal")
    parser.add_argument("--engines", nargs="+", choices=OURS + PEERS)
    parser.add_argument("--runs", type=int, default=3, help="of each engine; medians are reported")
    parser.add_argument(
        "--once", nargs="*", choices=OURS + PEERS, default=["PyMC"], help="run only in round one"
    )
    parser.add_argument(
        "--length", type=float, default=1.0, help="multiplies the number of draws of every engine"
    )
    parser.add_argument(
        "--limit", type=float, default=1800.0, help="seconds after which a run is given up"
    )
    parser.add_argument("--quick", action="store_true", help="60 users and 100 draws: a smoke test")
    parser.add_argument("--peers-python", type=Path, help="interpreter that has the peers")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    args = parser.parse_args()
    pairs = args.choice is None and args.data in ("bank", "dense")
    args.data = args.choice or args.data
    if args.engines is None:
        args.engines = [*OURS, *PEERS] if pairs else ["NumPyro", "Gibbs", "NUTS"]
    elif OF_PAIRS & set(args.engines) and not pairs:
        parser.error("PyMC and nutpie are compared on pairs alone: --data bank or dense")
    return args


def peers_python(given: Path | None) -> Path:
    """Return the peers' interpreter, making their environment at the first run."""
    if given is not None:
        return given
    python = HERE / ".peers" / "bin" / "python"
    done = HERE / ".peers" / "installed"
    if not done.exists():
        subprocess.run([sys.executable, "-m", "venv", HERE / ".peers"], check=True)
        lock = HERE / "peers.lock"
        subprocess.run([python, "-m", "pip", "install", "--quiet", "-r", lock], check=True)
        done.touch()
    return python


def lengths(engine: str, args: argparse.Namespace) -> tuple[int, int]:
    """Warm-up and draws of a chain."""
    if args.quick:
        return QUICK
    other = OTHER_LENGTHS.get(engine, (0, SVI_DRAWS))
    warmup, draws = LENGTHS[engine].get((args.data, args.covariance), other)
    return warmup, max(4, int(args.length * draws))


def start(
    engine: str, python: Path, data: Path, settings: dict[str, Any], caches: Path, limit: float
) -> tuple[Arrays | None, str]:
    """Run an engine in a process; returns what it left, or None and why."""
    out = data.with_name("out.npz")
    out.unlink(missing_ok=True)
    note = data.with_name("settings.json")
    note.write_text(json.dumps(settings), encoding="utf-8")
    command = [python, HERE / "engine_run.py", engine, data, note, out]
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(caches / "numba"),
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
    }
    if engine in OURS:  # and not for peers, whose imports might find our folders
        environment["PYTHONPATH"] = str(HERE.parent)
    try:
        subprocess.run(
            command, env=environment, timeout=limit, check=True, stderr=subprocess.PIPE, text=True
        )
    except subprocess.TimeoutExpired:
        return None, f"given up after {limit:.0f} s"
    except subprocess.CalledProcessError as err:
        return None, (err.stderr.strip().splitlines() or ["failed"])[-1]
    with np.load(out) as file:
        return {name: file[name] for name in file.files}, ""


def rounds(args: argparse.Namespace, data: Arrays, folder: Path, runs: list[Run]) -> None:
    """Run the engines in rounds, adding to `runs`."""
    peers = peers_python(args.peers_python) if set(args.engines) & set(PEERS) else None
    file = folder / "data.npz"
    np.savez(file, **data)
    for number in range(args.runs):
        for engine in args.engines:
            if number and engine in args.once:
                continue
            warmup, draws = lengths(engine, args)
            settings = {
                "data": args.data,
                "covariance": args.covariance,
                "warmup": warmup,
                "draws": draws,
                "users": chosen_users(data).tolist(),
                "seed": number,
            }
            ours = engine in OURS
            python = Path(sys.executable) if ours else peers
            assert python is not None
            # Of our engines the first run finds nothing compiled, and is reported apart.
            labels = [f"{engine}, first fit", engine] if ours and not number else [engine]
            for label in labels:
                print(f"run {number + 1}: {label} ({warmup} + {draws})", flush=True)
                found, why = start(engine, python, file, settings, folder / engine, args.limit)
                runs.append(Run(label, warmup, draws, found, why))


def main() -> None:
    """Run the engines and report; after Ctrl-C, on what there is."""
    args = options()
    data = load(args.data, quick=args.quick)
    runs: list[Run] = []
    with tempfile.TemporaryDirectory() as folder, suppress(KeyboardInterrupt):
        rounds(args, data, Path(folder), runs)
    report(runs, args, " ".join(["python", "benchmarks/engines.py", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
