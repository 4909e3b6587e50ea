"""Choices among several made by hand: sets of any size, of one context each, by a few users."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import softmax

import bayes_pref as bp
from bayes_pref.data import Features, Ranking

Array = np.ndarray


def chosen_sets(
    *,
    users: int = 12,
    each: int = 6,
    size: int = 3,
    places: int = 1,
    worst: bool = False,
    weights: Array | None = None,
    attributes: Array | None = None,
    context: Array | None = None,
    lapses: float = 0.0,
    seed: int = 0,
) -> bp.Comparisons:
    """Rankings of the first `places` of sets of two features, or the best and then the worst.

    `weights` (user, 2), `attributes` (task, alternative, 2) and `context` (task,) are random if not
    given. Of tasks of one stage, a share of `lapses` is answered at random.
    """
    rng = np.random.default_rng(seed)
    tasks = users * each
    user = np.repeat(np.arange(users), each)
    if weights is None:
        weights = np.array([0.8, -0.5]) + rng.normal(size=(users, 2))
    if attributes is None:
        attributes = rng.normal(size=(tasks, size, 2))
    context = rng.normal(size=tasks) + user / users if context is None else context
    reward = np.einsum("tad,td->ta", attributes, weights[user])
    if lapses:
        reward = np.where(rng.random((tasks, 1)) < lapses, 0.0, reward)
    order = np.argsort(-(reward + rng.gumbel(size=reward.shape)), axis=1)
    rows, stage, task, names, is_worst, of = [], 0, [], [], [], []
    for t in range(tasks):
        left = list(order[t])
        for place in range(places + worst):
            lowest = worst and place == places
            pick = left[0]
            if lowest:
                p = softmax(-reward[t, left])
                pick = left[int(rng.choice(len(left), p=p))]
            others = [a for a in left if a != pick]
            for a in others:
                better, worse = (a, pick) if lowest else (pick, a)
                rows.append((stage, t, attributes[t, better] - attributes[t, worse]))
                names.append((f"t{t}", f"a{better}", f"a{worse}"))
            task.append(t)
            is_worst.append(lowest)
            of += [user[t]] * len(others)
            left, stage = others, stage + 1
            if len(left) < 2:
                break
    stages, where, difference = zip(*rows, strict=True)
    return bp.Comparisons(
        difference=np.array(difference),
        choice=np.ones(len(rows)),
        user=np.array(of),
        users=pd.Index([f"u{k}" for k in range(users)]),
        features=Features(("brief", "polite"), ("hard",), ()),
        context=context[list(where)][:, None],
        covariates=np.empty((users, 0)),
        covariate_names=(),
        rows=pd.Index(names, dtype=object, tupleize_cols=False),
        outcome=Ranking(np.array(stages), np.array(task), np.array(is_worst)),
    )


def as_pairs(comparisons: bp.Comparisons) -> bp.Comparisons:
    """Sets of two as pairs, with the alternative chosen on the left."""
    return bp.Comparisons(
        difference=comparisons.difference,
        choice=comparisons.choice,
        user=comparisons.user,
        users=comparisons.users,
        features=comparisons.features,
        context=comparisons.context,
        covariates=comparisons.covariates,
        covariate_names=(),
        rows=pd.Index([label[0] for label in comparisons.rows]),
    )
