"""Comparisons as the checks of an audit read them, with the pooled fits that they share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from bayes_pref.assumptions.answer_scores import PooledFit
from bayes_pref.assumptions.shown_tasks import ShownTasks, leading, polynomial, standardised
from bayes_pref.data import Comparisons, Ranking
from bayes_pref.data.sides import AS_SHOWN
from bayes_pref.types import FloatArray, IntArray

_MOST_DIRECTIONS = 8  # of attributes, in which preferences are looked at
_MOST_REGRESSORS = 60
_MOST_CONTEXTS = 4
_ROWS_A_REGRESSOR = 10  # without which no effects of contexts are fitted beside those of attributes


@dataclass(frozen=True, eq=False)
class AuditData:
    """What the checks read.

    Attributes
    ----------
    comparisons
        The comparisons.
    permutations
        Number of resampled data sets.
    seed
        Random seed.
    """

    comparisons: Comparisons
    permutations: int = 999
    seed: int = 0

    def rng(self, stream: int) -> np.random.Generator:
        """Random numbers of one check, whichever others are made."""
        return np.random.default_rng([self.seed, stream])

    @cached_property
    def shown(self) -> ShownTasks:
        """What every task showed."""
        return ShownTasks.of(self.comparisons)

    @cached_property
    def task(self) -> IntArray:
        """(n,) task of every row."""
        return self.comparisons.outcome.tasks(len(self.comparisons))

    @cached_property
    def stage(self) -> IntArray:
        """(n,) choice that every row belongs to."""
        outcome = self.comparisons.outcome
        return outcome.stage if isinstance(outcome, Ranking) else np.arange(len(self.comparisons))

    @property
    def sided(self) -> bool:
        """Whether left and right are sides as shown, settled before the answer."""
        return self.comparisons.outcome.rowwise and self.comparisons.sides == AS_SHOWN

    @cached_property
    def features(self) -> FloatArray:
        """(n, r) differences of features in units of a typical one, or their leading directions."""
        scale = self.comparisons.feature_scale
        scaled = self.comparisons.difference / np.where(scale > 0, scale, 1.0)
        return _directions(scaled, _MOST_REGRESSORS)[0]

    @cached_property
    def _attributes(self) -> tuple[FloatArray, tuple[str, ...]]:
        """(n, k) scaled differences, or a few directions of them, and their names."""
        names = self.comparisons.features.attributes
        k = len(names)
        scale = self.comparisons.feature_scale[:k]
        differs = np.flatnonzero((self.comparisons.difference[:, :k] != 0).any(axis=0))
        scaled = (self.comparisons.difference[:, :k] / np.where(scale > 0, scale, 1.0))[:, differs]
        found, whole = _directions(scaled, min(_MOST_DIRECTIONS, max(1, self.n_groups // 5)))
        words = tuple(repr(names[j]) for j in differs)
        if not whole:
            words = tuple(f"direction {j + 1} of the attributes" for j in range(found.shape[1]))
        return found, words

    @property
    def attributes(self) -> FloatArray:
        """(n, k) differences of attributes, or their leading directions where these are many."""
        return self._attributes[0]

    @property
    def attribute_names(self) -> tuple[str, ...]:
        """(k,) names of the columns of `attributes`."""
        return self._attributes[1]

    @property
    def n_groups(self) -> int:
        """Number of users, or of tasks where users are few."""
        return int(self.group[-1]) + 1

    @cached_property
    def group(self) -> IntArray:
        """(n,) what is independent of the rest: a row's user, or where users are few, its task."""
        return self.comparisons.user if self.comparisons.n_users >= 20 else self.task

    @cached_property
    def surroundings(self) -> tuple[FloatArray, tuple[str, ...]]:
        """(t, q) contexts and mean levels of each task, at most a few, and their names."""
        shown = self.shown
        values = np.hstack([shown.context, shown.level])
        names = [*shown.context_names, *shown.level_names]
        varying = np.flatnonzero(standardised(values).any(axis=0))
        if len(varying) > _MOST_CONTEXTS:
            words = tuple(f"direction {k + 1} of what is shown" for k in range(_MOST_CONTEXTS))
            return leading(values[:, varying], _MOST_CONTEXTS), words
        return values[:, varying], tuple(names[k] for k in varying)

    @cached_property
    def basis(self) -> tuple[FloatArray, list[str]]:
        """(n, b) functions of what surrounds each row, up to the second degree, and their names."""
        values, names = self.surroundings
        if not names:
            return np.zeros((len(self.task), 0)), []
        made, words = polynomial(values, names, products=len(names) <= 3)
        room = len(self.shown.user) / (_ROWS_A_REGRESSOR * max(self.attributes.shape[1], 1)) - 1
        keep = made.shape[1] if made.shape[1] <= room else min(len(names), made.shape[1])
        return made[self.task][:, :keep], words[:keep]

    @cached_property
    def side(self) -> FloatArray:
        """(n, 1) ones where sides can matter, and no column elsewhere."""
        return np.ones((len(self.task), int(self.sided)))

    @cached_property
    def base_design(self) -> FloatArray:
        """(n, r) the side and the features."""
        return np.hstack([self.side, self.features])

    @cached_property
    def base(self) -> PooledFit:
        """One reward for all, of the features as they are."""
        return PooledFit.of(self.base_design, self.comparisons.choice, self.stage)

    @cached_property
    def wide_design(self) -> FloatArray:
        """(n, r) the base, and every attribute times every function of what surrounds it."""
        return np.hstack([self.base_design, products(self.attributes, self.basis[0])])

    @cached_property
    def wide(self) -> PooledFit:
        """One reward for all, whose weights may depend on what surrounds a task."""
        return PooledFit.of(self.wide_design, self.comparisons.choice, self.stage)


def products(first: FloatArray, second: FloatArray) -> FloatArray:
    """(n, k b) products of every column of the first (n, k) and of the second (n, b).

    Examples
    --------
    >>> products(np.array([[2.0, 3.0]]), np.array([[5.0]])).tolist()
    [[10.0, 15.0]]
    """
    return np.asarray((first[:, :, None] * second[:, None, :]).reshape(len(first), -1))


def _directions(scaled: FloatArray, most: int) -> tuple[FloatArray, bool]:
    """At most so many directions of differences, without centring; whether these are all."""
    if scaled.shape[1] <= most:
        return scaled, True
    vectors = np.linalg.eigh(scaled.T @ scaled)[1][:, ::-1][:, :most]
    found = scaled @ vectors
    return found / np.sqrt((found**2).mean(axis=0)).clip(1e-9), False
