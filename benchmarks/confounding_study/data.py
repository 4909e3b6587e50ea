"""HH-RLHF pairs judged for two objectives, as arrays, and training sets with a chosen rho.

rho = P(type of the prompt = objective of the judge) in the training data: 1/2 is a randomised
allocation, and at 1 nobody is shown a prompt of the other type.
"""

from __future__ import annotations

import gzip
import json
import os
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

import bayes_pref as bp
from bayes_pref.text.text_features import Projection

Array = NDArray[np.float64]
Rows = NDArray[np.intp]

OBJECTIVES = ("helpful", "harmless")
TRAINING = 850  # pairs for each objective at every rho: what rho = 1 leaves for harmlessness
HELD_OUT = 150  # pairs for each objective and kind, consistent or not
COMPONENTS = 16  # of the response embeddings; more overfit at this size


@dataclass(frozen=True, eq=False)
class Judged:
    """Pairs of responses, each judged for one objective.

    Attributes
    ----------
    comparisons
        All of them; users are the objectives, features log length and the whole embedding.
    objective, subset
        (n,) "helpful" or "harmless": what the judge was after, and the type of the prompt.
    prompt
        (n, 384) embeddings of the prompts.
    """

    comparisons: bp.Comparisons
    objective: NDArray[np.str_]
    subset: NDArray[np.str_]
    prompt: Array

    @property
    def consistent(self) -> NDArray[np.bool_]:
        """Whether the prompt is of the type that the judge is after, (n,)."""
        return np.asarray(self.objective == self.subset)


def folder() -> Path:
    """Folder of the data: ``BAYES_PREF_DATA``, or ../shared/data beside the repository."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    return Path(os.environ.get("BAYES_PREF_DATA", beside))


@cache
def load() -> Judged:
    """Read the pairs with the embeddings that lie beside them."""
    path = folder() / "hh_relabeled.jsonl.gz"
    with np.load(folder() / "hh_relabeled_minilm.npz") as held:
        known = {name: held[name].astype(np.float64) for name in held.files}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # two pairs of identical responses
        comparisons = bp.text.comparisons(
            path,
            user="objective",
            components=None,
            surface=["length"],
            embeddings=known,
            skip=True,
            progress=False,
        )
    with gzip.open(path, "rt", encoding="utf-8") as file:
        records = pd.DataFrame([json.loads(line) for line in file])
    places = comparisons.rows.to_numpy() - 1  # rows are labelled by their lines
    chosen = records.iloc[places]
    return Judged(
        comparisons,
        chosen["objective"].to_numpy(str),
        chosen["data_subset"].map(lambda name: name.split("-")[0]).to_numpy(str),
        known["prompt"][places],
    )


@dataclass(frozen=True, eq=False)
class Allocation:
    """Rows held out once and for all, and an order in which the others enter training sets."""

    held: dict[tuple[str, bool], Rows]
    pool: dict[tuple[str, bool], Rows]

    @classmethod
    def draw(cls, judged: Judged, rng: np.random.Generator) -> Allocation:
        """Hold out as many pairs of each objective and kind, at random."""
        held, pool = {}, {}
        for objective in OBJECTIVES:
            for consistent in (True, False):
                mine = (judged.objective == objective) & (judged.consistent == consistent)
                rows = rng.permutation(np.flatnonzero(mine))
                held[objective, consistent] = rows[:HELD_OUT]
                pool[objective, consistent] = rows[HELD_OUT:]
        return cls(held, pool)

    def training(self, rho: float) -> Rows:
        """Rows of a training set of the same size for every objective and rho."""
        parts = []
        for objective in OBJECTIVES:
            first = round(rho * TRAINING)
            parts += [self.pool[objective, True][:first]]
            parts += [self.pool[objective, False][: TRAINING - first]]
        return np.sort(np.concatenate(parts))


def reduced(judged: Judged, training: Rows) -> bp.Comparisons:
    """All pairs, on log length and components of the responses in the training rows."""
    whole = judged.comparisons
    right = np.asarray(whole.right)
    left = right + whole.difference
    components = Projection.fit(
        np.vstack([left[training, 1:], right[training, 1:]]), COMPONENTS, "responses"
    )
    names = ["length", *(f"component_{k + 1}" for k in range(COMPONENTS))]
    sides = {
        side: np.hstack([values[:, :1], components(values[:, 1:])])
        for side, values in (("left", left), ("right", right))
    }
    frame = pd.DataFrame(
        np.hstack([sides["left"], sides["right"]]),
        columns=[f"{side}_{name}" for side in sides for name in names],
    ).assign(objective=judged.objective, choice=whole.choice)
    return bp.Comparisons.from_frame(
        frame,
        user="objective",
        choice="choice",
        left=[f"left_{name}" for name in names],
        right=[f"right_{name}" for name in names],
        features=names,
    )
