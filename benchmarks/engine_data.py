"""The data sets on which engines are compared: two studies, and simulated ones.

Pairs are `difference` (n, d) and `choice` (n,) of `user` (n,). Tasks of several alternatives are
`shown` (n, k, d), their attributes in the order of the answer: what was chosen first, or the places
of a ranking, or the best first and the worst last.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray]

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data"
# Choice models other than the logistic one of pairs, whose data are simulated.
CHOICES = ("ties", "ordinal", "probit", "ranking", "best_worst")
LEVELS, PLACES = 5, 3  # grades of an answer; places that a ranking of 5 names
USERS, EACH, FEATURES = 300, 15, 6


def _table(name: str) -> tuple[list[str], NDArray]:
    """Read the header and the numbers of a file of `FOLDER`."""
    path = FOLDER / name
    if not path.exists():
        raise SystemExit(f"{path} is not there; --data dense and --choice need no file")
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, np.array(rows, dtype=float)


def bank() -> Arrays:
    """Read the credit-card conjoint study: 946 users, 14,799 comparisons, 14 sparse features."""
    header, table = _table("bank_choices.csv")
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


def electricity() -> Arrays:
    """Read the electricity study: 361 users, 4,308 choices among 4 suppliers, 6 attributes."""
    header, table = _table("electricity_long.csv")
    reference = FOLDER / "electricity_reference.json"
    scale = json.loads(reference.read_text(encoding="utf-8"))["scale"]
    task, chosen = (table[:, header.index(name)] for name in ("chid", "choice"))
    table = table[np.lexsort((-chosen, task))]  # the alternative chosen first
    columns = [header.index(name) for name in scale]
    shown = (table[:, columns] / np.array(list(scale.values()))).reshape(-1, 4, len(scale))
    user = np.unique(table[::4, header.index("id")], return_inverse=True)[1]
    return {"user": user, "shown": shown}


def simulated(name: str) -> Arrays:
    """Simulate answers of a choice model, with a seed of its own."""
    rng = np.random.default_rng([7, CHOICES.index(name)])
    user = np.repeat(np.arange(USERS), EACH)
    mean, spread = rng.normal(0, 0.7, FEATURES), rng.uniform(0.2, 0.9, FEATURES)
    weights = (mean + spread * rng.standard_normal((USERS, FEATURES)))[user]
    if name in ("ranking", "best_worst"):
        size = 5 if name == "ranking" else 4
        shown = rng.standard_normal((user.size, size, FEATURES))
        reward = np.einsum("nkd,nd->nk", shown, weights)
        order = np.argsort(-reward - rng.gumbel(size=reward.shape), axis=1)
        if name == "best_worst":  # the worst of the rest has noise of its own
            against = rng.gumbel(size=reward.shape) - reward
            np.put_along_axis(against, order[:, :1], -np.inf, axis=1)
            rank = np.zeros(reward.shape)
            np.put_along_axis(rank, order[:, :1], -1.0, axis=1)
            np.put_along_axis(rank, against.argmax(axis=1)[:, None], 1.0, axis=1)
            order = np.argsort(rank, axis=1, kind="stable")
        return {"user": user, "shown": np.take_along_axis(shown, order[:, :, None], axis=1)}
    difference = rng.standard_normal((user.size, FEATURES))
    eta = (difference * weights).sum(axis=1)
    if name == "probit":
        choice = (eta + rng.standard_normal(eta.size) > 0).astype(float)
    elif name == "ordinal":
        level = np.searchsorted([-2.0, -0.5, 0.7, 2.0], eta + rng.logistic(size=eta.size))
        choice = level / (LEVELS - 1)
    else:
        scores = np.stack([-eta / 2, np.full(eta.size, -0.5), eta / 2])
        choice = (scores + rng.gumbel(size=scores.shape)).argmax(axis=0) / 2
    return {"user": user, "choice": choice, "difference": difference}


def load(name: str, *, quick: bool) -> Arrays:
    """Return the data set, or with `quick` that of its first 60 users."""
    studies: dict[str, Callable[[], Arrays]]
    studies = {"bank": bank, "dense": dense, "electricity": electricity}
    data = simulated(name) if name in CHOICES else studies[name]()
    if quick:
        few = data["user"] < 60
        data = {key: values[few] for key, values in data.items()}
    return data


def chosen_users(data: Arrays) -> NDArray:
    """Ten users, evenly spaced, whose weights are compared: 0, 100, ..., 900 of the study."""
    count = int(data["user"].max()) + 1
    return np.arange(10) * (100 if count > 900 else count // 10)
