"""People with one hidden objective each, who write most of their prompts accordingly.

Half of them judge responses for helpfulness, half for harmlessness; with probability rho a prompt
of theirs is of that type. Neither objectives nor types are told to any model but the oracle.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.linalg import eigh

import bayes_pref as bp
from bayes_pref.text.text_features import Projection
from confounding_study.data import OBJECTIVES, Allocation, Array, Judged, Rows, reduced

USERS = 112
EACH = 15  # comparisons of a user
ANSWERED = 10  # held-out pairs of either kind that every user is answered for
_PROMPT_COMPONENTS = 8
CONTEXTS = ("leading", "four")


@dataclass(frozen=True, eq=False)
class People:
    """What was observed of the users, and pairs held out.

    Attributes
    ----------
    comparisons
        By the users, with contexts made of the prompts.
    row, held_row
        Rows of the judged pairs that these and the held-out ones are, in their order.
    objective
        (u,) what each user is after, 0 helpful or 1 harmless, in the order of `comparisons.users`.
    held
        Pairs judged by the same objectives, with a `user` who is to be answered for.
    features
        (n, d) differences of all judged pairs, on the same features.
    """

    comparisons: bp.Comparisons
    row: Rows
    held_row: Rows
    objective: NDArray[np.intp]
    held: pd.DataFrame
    features: Array

    @property
    def held_user(self) -> NDArray[np.intp]:
        """Codes (m,) of the users of the held-out pairs."""
        return self.comparisons.users.get_indexer(self.held["user"])


def draw(judged: Judged, rho: float, seed: int, contexts: str = "leading") -> People:
    """Draw users, their comparisons, and pairs to answer them for.

    Parameters
    ----------
    judged
        All pairs; none is drawn twice.
    rho
        Probability that a prompt is of the type that its user is after.
    seed
        Of the draw; the pairs held out are the same for every rho.
    contexts
        "leading": the direction of 8 components of the prompts in which users differ most for what
        they vary; "four": the first four components.
    """
    if contexts not in CONTEXTS:
        raise ValueError(f"contexts={contexts!r}: expected one of {CONTEXTS}")
    allocation = Allocation.draw(judged, np.random.default_rng([seed, 2]))
    rng = np.random.default_rng([seed, 3, round(100 * rho)])
    objective = rng.permutation(np.arange(USERS) % 2)
    user = np.repeat(np.arange(USERS), EACH)
    consistent = rng.random(user.size) < rho
    row = np.empty(user.size, dtype=np.intp)
    for cell, pool in allocation.pool.items():
        mine = (objective[user] == OBJECTIVES.index(cell[0])) & (consistent == cell[1])
        row[mine] = pool[: mine.sum()]  # in random order
    held_user, held_row = _held(allocation, objective, rng)
    pairs = reduced(judged, np.sort(row))
    # `reduced` groups the pairs by objective, as `judged` does: their order is the same.
    context = _contexts(judged.prompt, row, user, contexts)
    features = list(pairs.feature_names)
    names = [f"prompt_{k + 1}" for k in range(context.shape[1])]
    labels = np.array([f"user {code + 1:03d}" for code in range(USERS)])

    def frame(rows: Rows, users: NDArray[np.intp]) -> pd.DataFrame:
        values = np.hstack([pairs.difference[rows], context[rows]])
        return pd.DataFrame(values, columns=[*features, *names]).assign(
            user=labels[users], choice=pairs.choice[rows]
        )

    comparisons = bp.Comparisons.from_frame(
        frame(row, user), user="user", choice="choice", difference=features, context=names
    )
    held = frame(held_row, held_user)
    return People(comparisons, row, held_row, objective, held, pairs.difference)


def _held(
    allocation: Allocation, objective: NDArray[np.intp], rng: np.random.Generator
) -> tuple[NDArray[np.intp], Rows]:
    """Users and rows: for each user as many consistent as inconsistent pairs, none twice."""
    users, rows = [], []
    for code, mine in enumerate(objective):
        for consistent in (True, False):
            pool = allocation.held[OBJECTIVES[mine], consistent]
            rows.append(rng.choice(pool, ANSWERED, replace=False))
            users.append(np.full(ANSWERED, code))
    return np.concatenate(users), np.concatenate(rows)


def _contexts(prompt: Array, row: Rows, user: NDArray[np.intp], contexts: str) -> Array:
    """(n, q) contexts of all prompts, fitted to those that users wrote; no label is looked at."""
    components = Projection.fit(prompt[row], _PROMPT_COMPONENTS, "prompts")(prompt)
    if contexts == "four":
        return components[:, :4] / components[row, :4].std(axis=0)
    own = components[row].reshape(USERS, EACH, -1)
    within = (own - own.mean(axis=1, keepdims=True)).reshape(user.size, -1)
    between = np.cov(own.mean(axis=1).T)
    leading = eigh(between, within.T @ within / (user.size - USERS))[1][:, -1]
    # A sign for it, so that pictures of several draws agree.
    leading = leading * np.sign(leading[np.abs(leading).argmax()])
    along = components @ leading
    return np.asarray((along - along[row].mean()) / along[row].std())[:, None]
