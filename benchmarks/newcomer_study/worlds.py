"""People who judge pairs of HH-RLHF, described by frozen embeddings of the responses.

"simulated": the pairs are real and the people are not. Weights of the two objectives are those of
ridge logits on all pairs judged for each; a person's are a mixture of both, in a proportion that is
near one or the other for most, made stronger, and noise of their own. That is no normal
distribution, as our models take it to be, and no exact factor model either. The truth is known.

"hidden objectives": the pairs and the judgements are real, every pair is used once, and a person is
fifteen or more judgements by the same objective. Only the answers are known.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from confounding_study.data import OBJECTIVES, Array, load, reduced

EACH, ASKED = 15, 20  # answers of a person, and pairs that a newcomer is asked about
NAMES = ("simulated", "hidden objectives")
_USERS = {"simulated": (200, 200), "hidden objectives": (120, 52)}  # fitted, and newcomers
_STRENGTH, _NOISE, _RIDGE = 4.0, 0.15, 0.1


class Shown(NamedTuple):
    """Pairs shown to u people, n to each.

    Attributes
    ----------
    left, right
        (u, n, k) features of both sides, per root mean square of a difference.
    choice
        (u, n) 1 where left was chosen.
    """

    left: Array
    right: Array
    choice: Array

    @property
    def difference(self) -> Array:
        """(u, n, k) left minus right."""
        return self.left - self.right

    def first(self, count: int) -> Shown:
        """Return the first pairs of each person."""
        return Shown(*(values[:, :count] for values in self))

    def people(self, which: slice | NDArray[np.intp]) -> Shown:
        """Return some of the people."""
        return Shown(*(values[which] for values in self))


class World(NamedTuple):
    """Fitted people, newcomers, and P(left) of what newcomers are asked, (u, n), where known."""

    fitted: Shown
    answers: Shown
    asked: Shown
    chance: Array | None


@cache
def _objectives(rows: tuple[int, ...]) -> tuple[Array, Array, Array, NDArray[np.intp]]:
    """Features of both sides of all pairs, the judgements, and the objective of each."""
    judged = load()
    pairs = reduced(judged, np.array(rows))
    right = np.asarray(pairs.right)
    scale = pairs.feature_scale
    left = (right + pairs.difference) / scale
    right = right / scale
    centre = (left + right).mean(axis=0) / 2
    objective = (judged.objective == OBJECTIVES[1]).astype(np.intp)
    return left - centre, right - centre, pairs.choice, objective


def draw(name: str, seed: int, *, small: bool = False) -> World:
    """Draw people, half of the pairs for those who are fitted and half for newcomers.

    Parameters
    ----------
    name
        One of `NAMES`.
    seed
        Of the draw.
    small
        Whether to draw a quarter of the people.
    """
    rng = np.random.default_rng([seed, NAMES.index(name)])
    judged = load()
    order = rng.permutation(len(judged.objective))
    half = len(order) // 2
    # Components are those of the responses that fitted people saw.
    left, right, choice, objective = _objectives(tuple(np.sort(order[:half]).tolist()))
    users = [count // 4 if small else count for count in _USERS[name]]
    sizes = (EACH, EACH + ASKED)
    if name == "simulated":
        weights = _weights(left - right, choice, objective, sum(users), rng)
        parts = []
        for pool, count, size in zip((order[:half], order[half:]), users, sizes, strict=True):
            rows = np.stack([rng.choice(pool, size, replace=False) for _ in range(count)])
            parts.append(rows)
        own = np.split(weights, [users[0]])
        chances = [
            expit(np.einsum("unk,uk->un", left[rows] - right[rows], w))
            for rows, w in zip(parts, own, strict=True)
        ]
        answers = [(rng.random(chance.shape) < chance).astype(float) for chance in chances]
        known: Array | None = chances[1][:, EACH:]
    else:
        parts = []
        for pool, count, size in zip((order[:half], order[half:]), users, sizes, strict=True):
            each = [pool[objective[pool] == code][: (count // 2) * size] for code in (0, 1)]
            parts.append(np.concatenate(each).reshape(-1, size))
        answers, known = [choice[rows] for rows in parts], None
    fitted, new = (
        Shown(left[rows], right[rows], said) for rows, said in zip(parts, answers, strict=True)
    )
    later = Shown(*(values[:, EACH:] for values in new))
    return World(fitted, new.first(EACH), later, known)


def _weights(
    difference: Array,
    choice: Array,
    objective: NDArray[np.intp],
    count: int,
    rng: np.random.Generator,
) -> Array:
    """(count, k) true weights of simulated people."""
    logit = LogisticRegression(C=_RIDGE, fit_intercept=False)
    both = [
        logit.fit(difference[objective == code], choice[objective == code]).coef_[0].copy()
        for code in (0, 1)
    ]
    share = rng.beta(0.5, 0.5, size=(count, 1))
    typical = share * both[0] + (1 - share) * both[1]
    own = _NOISE * rng.standard_normal((count, difference.shape[1]))
    return np.asarray(_STRENGTH * typical + own)
