"""Comparisons: the frozen table of who saw which pair in which context, and what they chose.

Row n is one comparison of one user: the difference d_n of the features of the left and the right
item (left minus right), the choice (1 left, 0 right, 0.5 a tie), and the context of both. Rows are
grouped by user, so that the rows of user i are one slice. Every row keeps the label that it has in
the caller's table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayes_pref import settings
from bayes_pref.data.consistency import check_parts
from bayes_pref.data.description import as_html, as_text, described
from bayes_pref.data.feature_scale import constant_features, feature_scale
from bayes_pref.data.features import Features, TextSource
from bayes_pref.data.network import Representation
from bayes_pref.data.outcome import Outcome, PairedChoice
from bayes_pref.data.read_only import read_only, read_only_copy, taken
from bayes_pref.data.readers.items import ItemsReader
from bayes_pref.data.readers.long import TasksReader
from bayes_pref.data.readers.parquet import ParquetReader
from bayes_pref.data.readers.rankings import RankingsReader
from bayes_pref.data.readers.wide import WideReader
from bayes_pref.data.selection import hold_out_rows, hold_out_users, positions, rows_of
from bayes_pref.data.sides import AS_SHOWN
from bayes_pref.data.sparse_rows import is_sparse, taken_rows
from bayes_pref.data.survey_weights import shares
from bayes_pref.data.table import find
from bayes_pref.errors import DataError
from bayes_pref.messages import listed
from bayes_pref.types import FloatArray, IntArray, Mask

__all__ = ["Comparisons"]

_NUMBERS = ("difference", "choice", "context", "covariates", "right", "survey_weights")
_ARRAYS: Mapping[str, type[np.generic]] = {
    **dict.fromkeys(_NUMBERS, np.float64),
    "user": np.int64,
    "randomised": np.bool_,
}
_MANY = (list, pd.Index, pd.Series, np.ndarray)
_RENAMED = {"levels": "outcome.levels", "stage": "outcome.stage", "has_ties": "outcome.ties"}


@dataclass(frozen=True, eq=False, repr=False)
class Comparisons(ParquetReader, ItemsReader, RankingsReader, TasksReader, WideReader):
    """Pairwise choices of many users.

    Made by `from_frame`, `from_parquet`, `from_items`, `from_tasks`, ...; read-only.

    Parameters
    ----------
    difference
        (n, d) features of the left item minus those of the right, raw units, C-contiguous; of many
        items held without its zeros, of which ``numpy.asarray`` makes the array if that fits.
    choice
        (n,) 1 where the left item was preferred, 0 the right, 0.5 a tie; of graded answers, how
        strongly left was preferred, k / (K - 1) for level k = 0 ... K - 1.
    user
        (n,) nondecreasing codes of the users, 0 to u - 1.
    users
        (u,) labels of the users, in order of first appearance.
    features
        Names of the attributes and contexts, and which products of them are features.
    context
        (n, q) contexts that both sides share, such as the prompt's topic, raw units.
    covariates
        (u, p) covariates of the users, raw units, in the order of `users`.
    covariate_names
        Names of the p covariates.
    rows
        (n,) the caller's row labels.
    catalogue
        Attributes of the items, indexed by item label, where comparisons came as items.
    user_name, choice_name
        The caller's names of the user and the choice columns.
    outcome
        What a choice is: a `PairedChoice`, a `GradedChoice` or a `Ranking`.
    right
        (n, k) attributes of the right item, where both sides are known; those of the left item are
        these plus the first k columns of `difference`. Models with a nonlinear reward need them.
    text
        Source of the attributes, where items are texts.
    representation
        The trained network whose outputs are the attributes, where there is one.
    sides
        How sides came about: "as shown"; "toss", at random after the answer; or "one-sided", where
        the answers name one side almost throughout, as where the winner is written first.
    survey_weights
        (u,) how many people each user stands for, in averages over users; None: all as many.
    randomised
        (n,) whether what a row shows was assigned at random; None: not known.

    Raises
    ------
    DataError
        If the parts do not fit together.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_pref as bp
    >>> frame = pd.DataFrame(
    ...     {"who": list("abab"), "length": [1.0, -2.0, 3.0, 1.0], "left_chosen": [1, 0, 1, 1]}
    ... )
    >>> comparisons = bp.Comparisons.from_frame(
    ...     frame, user="who", choice="left_chosen", difference=["length"]
    ... )
    >>> comparisons
    Comparisons: 4 comparisons by 2 users (2 each)
      feature: length
      choices: 75 % left, 25 % right
    >>> comparisons.rows.tolist()
    [0, 2, 1, 3]
    """

    difference: FloatArray
    choice: FloatArray
    user: IntArray
    users: pd.Index[Any]
    features: Features
    context: FloatArray
    covariates: FloatArray
    covariate_names: tuple[str, ...]
    rows: pd.Index[Any]
    catalogue: pd.DataFrame | None = None
    user_name: str = "user"
    choice_name: str = "choice"
    outcome: Outcome = field(default_factory=PairedChoice)
    right: FloatArray | None = None
    text: TextSource | None = None
    representation: Representation | None = None
    sides: str = AS_SHOWN
    survey_weights: FloatArray | None = None
    randomised: Mask | None = None

    def __post_init__(self) -> None:
        """Freeze the arrays and check that the parts fit together."""
        for name, dtype in _ARRAYS.items():
            if getattr(self, name) is not None and not is_sparse(getattr(self, name)):
                object.__setattr__(self, name, read_only_copy(getattr(self, name), dtype))
        for name in ("users", "rows"):
            labels = getattr(self, name)
            if not isinstance(labels, pd.MultiIndex):  # an index of several levels stays as it is
                object.__setattr__(self, name, pd.Index(labels))
        check_parts(vars(self))
        object.__setattr__(self, "outcome", self.outcome.observed(self.choice))

    @property
    def n_users(self) -> int:
        """Number of users, u."""
        return len(self.users)

    @property
    def n_features(self) -> int:
        """Number of features, d, interactions included."""
        return len(self.features.names)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """(d,) names of the columns of `difference`."""
        return self.features.names

    @cached_property
    def offsets(self) -> IntArray:
        """(u + 1,) where each user's rows begin; user i has rows offsets[i] to offsets[i + 1]."""
        return read_only(np.searchsorted(self.user, np.arange(self.n_users + 1)).astype(np.int64))

    @cached_property
    def counts(self) -> IntArray:
        """(u,) number of comparisons of each user."""
        return read_only(np.diff(self.offsets))

    @cached_property
    def user_shares(self) -> FloatArray:
        """(u,) share of each user in averages over people: 1 / u, or by `survey_weights`.

        Raises
        ------
        DataError
            If all of these users have a survey weight of 0.
        """
        if self.survey_weights is None:
            return read_only(np.full(self.n_users, 1.0 / self.n_users))
        return read_only(shares(self.survey_weights))

    @cached_property
    def tasks(self) -> pd.Index[Any]:
        """Labels of the tasks: those of the rows, or of choices among several the tasks' own.

        Tasks that are numbered within users are labelled by user and task.
        """
        if self.outcome.rowwise:
            return self.rows
        first = np.flatnonzero(np.diff(self.outcome.tasks(len(self)), prepend=-1))
        named = [row[0] if isinstance(row, tuple) else row for row in self.rows[first].tolist()]
        labels: pd.Index[Any] = pd.Index(named)
        both = list(zip(self.users[self.user[first]].tolist(), named, strict=True))
        if len(set(both)) == labels.nunique():  # a label may be that of copies of a task
            return labels
        return pd.Index([str(label) for label in both])

    @cached_property
    def constant(self) -> tuple[str, ...]:
        """Names of the features that never differ within a pair."""
        return constant_features(self.difference, self.features)

    @cached_property
    def feature_scale(self) -> FloatArray:
        """(d,) root mean square of each difference over the rows: the size of a typical one.

        It is 1 for a feature that never differs, and for an item's indicator. The product of an
        indicator and a context has the context's root mean square.
        """
        return read_only(feature_scale(self.difference, self.context, self.features))

    if not TYPE_CHECKING:  # a type checker would take every misspelt name for an attribute

        def __getattr__(self, name: str) -> NoReturn:
            """Say the new name of an attribute that was renamed."""
            remedy = f"; use comparisons.{_RENAMED[name]}" if name in _RENAMED else ""
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}{remedy}")

    # Without this, Python would iterate by asking for users 0, 1, 2, ... until an error.
    __iter__ = None

    def __len__(self) -> int:
        """Return the number of comparisons, n."""
        return len(self.choice)

    def __getitem__(self, users: object) -> Self:
        """Select users by label: one label, or a list of labels in the order wanted.

        Raises
        ------
        DataError
            If a label is unknown or given twice.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> comparisons = bp.simulate(users=3, comparisons=5, seed=0).comparisons
        >>> len(comparisons[comparisons.users[0]])
        5
        """
        if isinstance(users, slice):
            raise DataError("users are selected by label: comparisons[comparisons.users[:10]]")
        labels = list(users) if isinstance(users, _MANY) else [users]  # a tuple is one label
        chosen = find(labels, self.users, "user")
        if len(np.unique(chosen)) < len(chosen):
            raise DataError(f"a user is selected twice in {listed(labels)}", "name each once")
        return self.take(rows_of(chosen, self.offsets))

    def take(self, rows: ArrayLike) -> Self:
        """Select comparisons by position; users without any row left are dropped.

        Parameters
        ----------
        rows
            Integer positions 0 to n - 1 (repeats allowed), or a mask of n booleans.

        Returns
        -------
        comparisons: grouped by user, users in order of first appearance in `rows`

        Raises
        ------
        DataError
            If no row is selected, a position is out of range or the mask has another length.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> comparisons = bp.simulate(users=3, comparisons=5, seed=0).comparisons
        >>> comparisons.take([0, 1, 5]).n_users
        2
        """
        chosen = positions(rows, len(self))
        codes, kept = pd.factorize(self.user[chosen])
        order = np.argsort(codes, kind="stable")
        chosen = chosen[order]
        return replace(
            self,
            difference=taken_rows(self.difference, chosen),
            choice=read_only(self.choice[chosen]),
            user=read_only(codes[order].astype(np.int64)),
            users=self.users[kept],
            context=read_only(self.context[chosen]),
            covariates=read_only(self.covariates[kept]),
            rows=self.rows[chosen],
            right=taken(self.right, chosen),
            outcome=self.outcome.take(chosen),
            survey_weights=taken(self.survey_weights, kept),
            randomised=taken(self.randomised, chosen),
        )

    def split(
        self,
        *,
        by: Literal["user", "comparison", "task"] = "user",
        test: float = 0.2,
        seed: int | np.random.Generator = 0,
    ) -> tuple[Self, Self]:
        """Split at random into a training and a test part.

        Parameters
        ----------
        by
            ``"user"`` holds out whole users; ``"comparison"`` holds out some comparisons of each
            user, of whom at least one stays in the training part. Of choices among several these
            are whole tasks, for which ``"task"`` is another name: all places of a ranking, and the
            best and the worst of a set, stay together.
        test
            Share held out, between 0 and 1: of the users, or of each user's comparisons or tasks.
        seed
            Seed or generator; the same seed gives the same split.

        Returns
        -------
        train, test: every comparison is in one of them

        Raises
        ------
        DataError
            If `by` or `test` is unknown, or there is nothing to hold out.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> comparisons = bp.simulate(users=10, comparisons=5, seed=0).comparisons
        >>> train, test = comparisons.split(by="user", test=0.2, seed=1)
        >>> train.n_users, test.n_users
        (8, 2)
        """
        test = settings.argument("test", test, settings.fraction)
        settings.argument("by", by, settings.one_of("user", "comparison", "task"))
        rng = np.random.default_rng(seed)
        if by == "user":
            held = hold_out_users(self.offsets, test, rng)
        else:
            task = self.outcome.tasks(len(self))
            first = np.flatnonzero(np.diff(task, prepend=-1))
            held = hold_out_rows(np.searchsorted(first, self.offsets), test, rng)[task]
        return self.take(~held), self.take(held)

    def to_frame(self) -> pd.DataFrame:
        """Return the table from which `from_frame` makes the same comparisons.

        Returns
        -------
        frame: n rows under the caller's labels, with the columns user, attributes (left minus
            right), contexts and choice; interactions are left for `from_frame` to multiply, and
            graded answers are their labels, to be read with the same `levels`; where an item is
            called like the user or the choice column, that column's name is led by ``_``

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> frame = pd.DataFrame({"who": ["a", "a"], "length": [1.0, 2.0], "won": [1.0, 0.0]})
        >>> bp.Comparisons.from_frame(
        ...     frame, user="who", choice="won", difference=["length"]
        ... ).to_frame()
          who  length  won
        0   a     1.0  1.0
        1   a     2.0  0.0
        """
        attributes, contexts = self.features.attributes, self.features.contexts
        numbers = np.hstack([self.difference[:, : len(attributes)], self.context])
        frame = pd.DataFrame(numbers, index=self.rows, columns=[*attributes, *contexts])
        user, choice = self.user_name, self.choice_name
        while user in frame:
            user = f"_{user}"
        frame.insert(0, user, self.users[self.user])
        while choice in frame:
            choice = f"_{choice}"
        frame[choice] = self.outcome.answers(self.choice)
        return frame

    def _described(self) -> list[tuple[str, str]]:
        choices = self.outcome.describe(self.choice)
        parts = (self.counts, self.features, self.covariate_names, self.constant)
        return described(*parts, choices, self.survey_weights, self.randomised)

    def __repr__(self) -> str:
        """Describe the comparisons in a few lines."""
        return as_text(self._described())

    def _repr_html_(self) -> str:
        """Describe the comparisons as a small table, for notebooks."""
        return as_html(self._described())
