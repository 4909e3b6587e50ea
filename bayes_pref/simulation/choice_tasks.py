"""Simulated choice tasks: sets of alternatives, an outside option, rankings, best and worst.

Choices follow the logit model: with rewards v and independent Gumbel noise g, the order of v + g is
a ranking by Plackett and Luce, whose first place is the multinomial logit choice. The worst is
named among the rest, by -v and noise of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.data import Comparisons, Features
from bayes_pref.data.asked_features import coded_features
from bayes_pref.data.coding import Coding
from bayes_pref.data.readers.choice_sets import NONE
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.types import FloatArray, IntArray, Mask

COLUMNS = ("task", "alternative", "best", "worst", "rank")


@dataclass(frozen=True)
class TaskDesign:
    """What a task shows and asks.

    Parameters
    ----------
    alternatives
        Number of alternatives, the outside option aside.
    none
        Whether there is an outside option, too.
    best_worst
        Whether the best and the worst are named.
    rankings
        How many places are ranked; True: all of them; False: one is chosen.
    categories
        Levels of attributes, by name.

    Raises
    ------
    DataError
        If an argument is none of these.

    Examples
    --------
    >>> TaskDesign().pairs, TaskDesign(alternatives=3, none=True).shown
    (True, 4)
    """

    alternatives: int = 2
    none: bool = False
    best_worst: bool = False
    rankings: bool | int = False
    categories: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Validate the arguments."""
        for name in ("none", "best_worst"):
            settings.argument(name, getattr(self, name), settings.boolean)
        least = settings.whole(1 if self.none else 2)
        settings.argument("alternatives", self.alternatives, least)
        if not isinstance(self.rankings, bool):
            settings.argument("rankings", self.rankings, settings.whole(1, self.shown - 1))
        if self.best_worst and self.rankings:
            raise DataError("best_worst= and rankings= are two ways to ask", "give one of them")
        if self.best_worst and self.shown < 3:
            raise DataError("best_worst=True needs at least 3 alternatives, none=True included")
        if not isinstance(self.categories, Mapping):
            expected = "categories must be a dict of levels by name, like {'brand': ['A', 'B']}"
            raise DataError(f"{expected}, got {shown(self.categories)}")
        for name, levels in self.categories.items():
            if np.ndim(levels) != 1 or len(levels) < 2:
                found = f"categories: {name!r} must be a list of at least 2 levels"
                raise DataError(f"{found}, got {shown(levels)}")

    @property
    def pairs(self) -> bool:
        """Whether it is the plain comparison of two, whose attributes are differences."""
        asks = self.none or self.best_worst or self.rankings or self.categories
        return self.alternatives == 2 and not asks

    @property
    def shown(self) -> int:
        """Number of alternatives, the outside option included."""
        return self.alternatives + self.none

    def codings(self) -> dict[str, Coding]:
        """Codings of the attributes, by name."""
        found = {
            name: Coding(name=name, kind="effect", levels=tuple(levels), baseline=levels[0])
            for name, levels in self.categories.items()
        }
        return found | ({NONE: Coding(name=NONE, kind="outside")} if self.none else {})

    def features(
        self, numbers: Sequence[str], contexts: Sequence[str], interactions: bool
    ) -> Features:
        """Features of the attributes: numbers, levels and the outside option."""
        codings = self.codings()
        return coded_features(
            (*numbers, *codings), codings, contexts, "all" if interactions and contexts else None
        )


class DrawnAlternatives(NamedTuple):
    """The alternatives of n tasks.

    Attributes
    ----------
    attributes
        (n, k, a) features of the alternatives without interactions, the outside option last.
    frame
        The attributes as columns, one row an alternative; the outside option's are missing.
    """

    attributes: FloatArray
    frame: pd.DataFrame


def draw_alternatives(
    design: TaskDesign,
    numbers: Sequence[str],
    tasks: int,
    aliased: int,
    rngs: tuple[np.random.Generator, np.random.Generator],
) -> DrawnAlternatives:
    """Draw alternatives: numbers whose differences are standard normal, and balanced levels.

    Parameters
    ----------
    design, numbers, tasks
        What is shown, names of the numbers, and how many tasks there are.
    aliased
        How many of the last numbers copy the first ones.
    rngs
        Sources of randomness of numbers and of levels.
    """
    rows = tasks * design.alternatives
    values = rngs[0].standard_normal((rows, len(numbers))) * np.sqrt(0.5)
    values[:, len(numbers) - aliased :] = values[:, :aliased]
    frame = pd.DataFrame(values, columns=list(numbers))
    parts = [values]
    for coding in design.codings().values():  # a loop over attributes
        if not coding.of_levels:
            continue
        count = len(coding.levels)
        if rows < count:
            raise DataError(f"categories: {coding.name!r} has {count} levels for {rows} rows")
        code = rngs[1].permutation(np.arange(rows) % count)
        levels = pd.Index(coding.levels)
        frame[coding.name] = pd.Categorical(levels[code], categories=levels)
        parts.append(coding.basis[code])
    attributes = np.hstack(parts).reshape(tasks, design.alternatives, -1)
    if design.none:
        attributes = np.pad(attributes, ((0, 0), (0, 1), (0, 1)))
        attributes[:, -1, -1] = 1.0
        every = np.arange(tasks * design.shown)
        frame = frame.set_axis(every.reshape(tasks, -1)[:, :-1].ravel()).reindex(every)
    return DrawnAlternatives(attributes, frame)


class TaskAnswers(NamedTuple):
    """Simulated answers to n tasks of k alternatives.

    Attributes
    ----------
    place
        (n, k) 1 for the best, 2, ...
    worst
        (n,) position of the worst.
    lapsed
        (n,) whether the answer has nothing to do with the rewards.
    """

    place: IntArray
    worst: IntArray
    lapsed: Mask


def draw_task_answers(reward: FloatArray, lapses: float, rng: np.random.Generator) -> TaskAnswers:
    """Draw the ranking of each task, and the worst of all but the best.

    Parameters
    ----------
    reward
        (n, k) log-odds.
    lapses
        Expected share of tasks that are answered at random, 0 to 1.
    rng
        Source of randomness.

    Examples
    --------
    >>> rewards = np.array([[0.0, 99.0, -99.0]])
    >>> answers = draw_task_answers(rewards, 0.0, np.random.default_rng(0))
    >>> answers.place.tolist(), answers.worst.tolist()
    ([[2, 1, 3]], [2])
    """
    lapsed = rng.random(len(reward)) < lapses
    known = np.where(lapsed[:, None], 0.0, reward)
    place = np.argsort(np.argsort(-(known + rng.gumbel(size=reward.shape)), axis=1), axis=1) + 1
    against = np.where(place == 1, -np.inf, rng.gumbel(size=reward.shape) - known)
    return TaskAnswers(place, against.argmax(axis=1), lapsed)


def read_tasks(
    design: TaskDesign,
    alternatives: DrawnAlternatives,
    answers: TaskAnswers,
    people: pd.DataFrame,
    features: Features,
    covariates: pd.DataFrame | None,
) -> tuple[Comparisons, pd.DataFrame]:
    """Return the comparisons, and the long table from which they are read as a user would.

    Parameters
    ----------
    design, alternatives, answers, features
        What was asked, shown and answered, and the features.
    people
        One row a task: the user and the contexts.
    covariates
        One row a user, or None.
    """
    tasks, count = len(people), design.shown
    frame = people.loc[people.index.repeat(count)].reset_index(drop=True)
    frame.insert(1, "task", np.repeat(np.arange(tasks) + 1, count))
    names = np.array([*range(1, design.alternatives + 1), *[NONE] * design.none], dtype=object)
    frame.insert(2, "alternative", pd.Series(np.tile(names, tasks)).infer_objects())
    first = answers.place == 1
    asked: dict[str, Any] = {"choice": first.astype(np.int64)}
    if design.best_worst:
        last = np.arange(count) == answers.worst[:, None]
        asked = {"best": asked["choice"], "worst": last.astype(np.int64)}
    elif design.rankings:
        most = count if design.rankings is True else design.rankings
        asked = {"rank": np.where(answers.place <= most, answers.place, np.nan)}
    for place, (name, value) in enumerate(asked.items()):
        frame.insert(3 + place, name, value.ravel())
    frame = frame.join(alternatives.frame)
    roles: dict[str, Any] = {name: name for name in asked}
    made = Comparisons.from_tasks(
        frame,
        user="user",
        task="task",
        alternative="alternative",
        attributes=list(alternatives.frame.columns),
        none=NONE if design.none else None,
        context=features.contexts,
        interactions="all" if features.interactions else None,
        covariates=covariates,
        randomised="randomised" if "randomised" in people else None,
        **roles,
    )
    return made, frame
