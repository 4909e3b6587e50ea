"""Small data of choices among several, and stages drawn by random utilities."""

from __future__ import annotations

import numpy as np
import pandas as pd

import bayes_pref as bp


def stage_comparisons(
    *, users: int = 6, each: int = 4, size: int = 3, seed: int = 0
) -> bp.Comparisons:
    """Tasks of `size` alternatives with two attributes."""
    rng = np.random.default_rng(seed)
    count = users * each * size
    task = np.repeat(np.arange(users * each), size)
    frame = pd.DataFrame(
        {
            "who": np.repeat(np.arange(users), each * size),
            "task": task,
            "brief": rng.standard_normal(count),
            "polite": rng.standard_normal(count),
        }
    )
    utility = frame["brief"] - 0.5 * frame["polite"] + rng.gumbel(size=count)
    frame["chosen"] = (utility == utility.groupby(task).transform("max")).astype(int)
    return bp.Comparisons.from_tasks(
        frame, user="who", task="task", choice="chosen", attributes=["brief", "polite"]
    )


def chosen_first(features: np.ndarray, weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Differences (n (k - 1), d), chosen minus other, of n sets (n, k, d) at weights (n, d)."""
    utility = np.einsum("nkd,nd->nk", features, weights) + rng.gumbel(size=features.shape[:2])
    chosen = utility.argmax(axis=1)
    order = np.argsort(np.arange(features.shape[1]) != chosen[:, None], axis=1, kind="stable")
    sorted_ = np.take_along_axis(features, order[:, :, None], axis=1)
    return (sorted_[:, :1] - sorted_[:, 1:]).reshape(-1, features.shape[2])
