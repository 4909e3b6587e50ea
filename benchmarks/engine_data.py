"""The data sets on which engines are compared: a conjoint study, and a dense simulated one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray]

BANK = Path(__file__).resolve().parents[2] / "shared" / "data" / "bank_choices.csv"


def bank() -> Arrays:
    """Read the credit-card conjoint study: 946 users, 14,799 comparisons, 14 sparse features."""
    if not BANK.exists():
        raise SystemExit(f"{BANK} is not there; --data dense needs no file")
    with BANK.open(newline="") as file:
        header, *rows = csv.reader(file)
    table = np.array(rows, dtype=float)
    user = np.unique(table[:, header.index("id")], return_inverse=True)[1]
    columns = [k for k, name in enumerate(header) if name not in ("id", "choice")]
    return {
        "user": user,
        "choice": table[:, header.index("choice")],
        "difference": table[:, columns],
    }


def dense(users: int = 500, each: int = 30, features: int = 20, seed: int = 0) -> Arrays:
    """Simulate users of features that all differ in every pair, neighbours correlated by 0.7."""
    rng = np.random.default_rng(seed)
    place = np.arange(features)
    covariance = 0.7 ** np.abs(place[:, None] - place)
    user = np.repeat(np.arange(users), each)
    difference = rng.standard_normal((user.size, features)) @ np.linalg.cholesky(covariance).T
    mean, spread = rng.normal(0, 0.5, features), rng.uniform(0.1, 0.6, features)
    weights = mean + spread * rng.standard_normal((users, features))
    eta = (difference * weights[user]).sum(axis=1)
    choice = (rng.random(user.size) < 1 / (1 + np.exp(-eta))).astype(float)
    return {"user": user, "choice": choice, "difference": difference}


def load(name: str, *, quick: bool) -> Arrays:
    """Return the data set, or with `quick` that of its first 60 users."""
    data = {"bank": bank, "dense": dense}[name]()
    if quick:
        few = data["user"] < 60
        data = {key: values[few] for key, values in data.items()}
    return data


def chosen_users(data: Arrays) -> NDArray:
    """Ten users, evenly spaced, whose weights are compared: 0, 100, ..., 900 of the study."""
    count = int(data["user"].max()) + 1
    return np.arange(10) * (100 if count > 900 else count // 10)
