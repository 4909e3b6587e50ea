"""Comparisons: who was shown which pair, and what they chose; validated, labelled, grouped by user.

Row n is one comparison of one user: the difference d_n of the features of the left and the right
item (left minus right), the choice (1 left, 0 right, 0.5 a tie), and the context in which it was
made. Rows are kept grouped by user, so that the rows of user i are one slice; every row keeps the
label that it had in the caller's table.
"""

from __future__ import annotations

import html
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from bayes_pref.data.features import Features, interaction_pairs, shared_names
from bayes_pref.data.network import Representation
from bayes_pref.data.outcome import GradedChoice, Levels, Outcome, PairedChoice, Ranking
from bayes_pref.data.readers.covariates import per_user
from bayes_pref.data.readers.items import Votes
from bayes_pref.data.readers.rankings import Stages
from bayes_pref.data.selection import hold_out_rows, hold_out_users, positions, rows_of
from bayes_pref.data.table import (
    FloatArray,
    IntArray,
    Table,
    TableLike,
    column_names,
    find,
    listed,
    shown,
)
from bayes_pref.errors import DataError, DataWarning

__all__ = ["Comparisons"]

T = TypeVar("T", bound=np.generic)
_MANY = (list, pd.Index, pd.Series, np.ndarray)
_RENAMED = {"levels": "outcome.levels", "stage": "outcome.stage", "has_ties": "outcome.ties"}


@dataclass(frozen=True, eq=False, repr=False)
class Comparisons:
    """Pairwise choices of many users, ready to be modelled.

    Make one with `from_frame` or `from_items`. All arrays are read-only.

    Parameters
    ----------
    difference
        (n, d) features of the left item minus those of the right, raw units, C-contiguous.
    choice
        (n,) 1 where the left item was preferred, 0 the right, 0.5 a tie; of graded answers, how
        strongly left was preferred, k / (K - 1) for level k = 0 ... K - 1.
    user
        (n,) nondecreasing codes of the users, 0 to u - 1.
    users
        (u,) labels of the users, in order of first appearance.
    features
        How raw columns become the columns of `difference`.
    context
        (n, q) what both sides had in common, such as the prompt, raw units.
    covariates
        (u, p) what is known of each user, raw units, in the order of `users`.
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
        (n, k) attributes of the right item, where both sides are known; the left item's are these
        plus the first k columns of `difference`. Models whose reward is not linear need them.
    text
        How texts became the attributes, where they did.
    representation
        The network that made the attributes, where one did.

    Raises
    ------
    DataError
        If the parts do not fit together.

    Examples
    --------
    >>> import pandas as pd
    >>> import bayes_pref as bp
    >>> frame = pd.DataFrame(
    ...     {
    ...         "who": ["ann", "bob", "ann", "bob"],
    ...         "length": [1.0, -2.0, 3.0, 1.0],
    ...         "left_chosen": [1, 0, 1, 1],
    ...     }
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
    text: Any = None
    representation: Representation | None = None

    def __post_init__(self) -> None:
        """Freeze the arrays and refuse parts that do not fit together."""
        for name in ("difference", "choice", "context", "covariates", "right"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, _frozen(getattr(self, name), np.float64))
        object.__setattr__(self, "user", _frozen(self.user, np.int64))
        object.__setattr__(self, "users", pd.Index(self.users))
        object.__setattr__(self, "rows", pd.Index(self.rows))
        n, u = len(self.choice), len(self.users)
        expected = {
            "difference": (n, len(self.features.names)),
            "choice": (n,),
            "user": (n,),
            "context": (n, len(self.features.contexts)),
            "covariates": (u, len(self.covariate_names)),
            "rows": (n,),
        }
        if self.right is not None:
            expected["right"] = (n, len(self.features.attributes))
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                got = getattr(self, name).shape
                raise DataError(f"{name} has shape {got}, but {shape} fits the other parts")
        if not n:
            raise DataError("no comparisons: at least 1 row is needed")
        if not np.array_equal(np.unique(self.user), np.arange(u)) or (np.diff(self.user) < 0).any():
            raise DataError(f"user must hold each code from 0 to {u - 1}, in nondecreasing order")
        if self.users.has_duplicates:
            raise DataError("users must be different labels")
        object.__setattr__(self, "outcome", self.outcome.observed(self.choice))
        self._refuse_infinite("feature", self.features.names, self.difference, self.rows)
        self._refuse_infinite("context", self.features.contexts, self.context, self.rows)
        self._refuse_infinite("covariate", self.covariate_names, self.covariates, self.users)

    @staticmethod
    def _refuse_infinite(
        what: str, names: tuple[str, ...], values: FloatArray, labels: pd.Index[Any]
    ) -> None:
        bad = ~np.isfinite(values)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise DataError(
                f"{what} {names[column]!r} is missing or too large for a float in row "
                f"{shown(labels[row])}; drop the row or use another unit"
            )

    @classmethod
    def from_frame(
        cls,
        frame: TableLike,
        *,
        user: str,
        choice: str,
        difference: Sequence[str] | None = None,
        left: Sequence[str] | None = None,
        right: Sequence[str] | None = None,
        features: Sequence[str] | None = None,
        context: Sequence[str] | None = None,
        interactions: Literal["all"] | Sequence[tuple[str, str]] | None = None,
        covariates: TableLike | None = None,
        levels: Levels | None = None,
    ) -> Self:
        """Read comparisons from a table with one row a comparison.

        Parameters
        ----------
        frame
            A pandas DataFrame, or a polars or Arrow table.
        user
            Column of the users' labels.
        choice
            Column of the choices: 1 or True = left preferred, 0 or False = right, 0.5 = a tie.
        difference
            Columns that already hold left minus right.
        left, right
            Instead of `difference`: the columns of both sides, paired by position.
        features
            Names of the features; by default those of `difference`, or what the names of a left
            and a right column share (``left_length`` and ``right_length`` give ``length``).
        context
            Columns that are the same for both sides, such as what is known of the prompt.
        interactions
            Products of features and contexts to add: ``"all"``, or pairs (feature, context).
        covariates
            A table with one row a user, in which a column named like `user`, or else the index,
            holds the users' labels, and every other column is a number.
        levels
            For graded answers, 3 to 7 of them: their labels, from "right is much better" to "left
            is much better"; or their number K, for answers 1 to K. Three levels whose middle one is
            "no preference" can also be read as choices with ties (leave `levels` out, and let 0.5
            be the tie): ties have one parameter and no side, levels have a cutpoint on each side.

        Returns
        -------
        comparisons: rows grouped by user, users in order of first appearance

        Raises
        ------
        DataError
            For anything that cannot be used as it stands; names the column, the row and the value.

        Warns
        -----
        DataWarning
            For features that never differ within a pair and users with a single comparison.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> frame = pd.DataFrame(
        ...     {
        ...         "id": [7, 7, 8, 8],
        ...         "length_a": [3, 1, 2, 5],
        ...         "length_b": [1, 2, 2, 1],
        ...         "hard": [0, 1, 1, 0],
        ...         "a_wins": [True, False, True, True],
        ...     }
        ... )
        >>> comparisons = bp.Comparisons.from_frame(
        ...     frame,
        ...     user="id",
        ...     choice="a_wins",
        ...     left=["length_a"],
        ...     right=["length_b"],
        ...     context=["hard"],
        ...     interactions="all",
        ... )
        >>> comparisons.feature_names
        ('length', 'length:hard')
        >>> comparisons.difference
        array([[ 2.,  0.],
               [-1., -1.],
               [ 0.,  0.],
               [ 4.,  0.]])
        """
        table = Table.read(frame)
        user, choice = str(user), str(choice)
        ours, theirs, contexts = column_names(left), column_names(right), column_names(context)
        given = column_names(difference)
        if bool(given) == bool(ours or theirs):
            raise DataError("give either difference=[...] or both left=[...] and right=[...]")
        if len(ours) != len(theirs):
            raise DataError(
                f"left has {len(ours)} columns and right has {len(theirs)}; pair them one to one"
            )
        table.require_roles(
            {"user": [user], "choice": [choice], "difference": given}
            | {"left": ours, "right": theirs, "context": contexts}
        )
        attributes = column_names(features) or given or shared_names(ours, theirs)
        if len(attributes) != len(given or ours):
            raise DataError(
                f"features has {len(attributes)} names for {len(given or ours)} features"
            )
        with np.errstate(over="ignore"):  # what overflows is refused by name further on
            beside = None if given else table.numbers(theirs)
            values = table.numbers(given if beside is None else ours)
            values = values if beside is None else values - beside
        pairs = interaction_pairs(interactions, attributes, contexts)
        return cls._grouped(
            table,
            Features(attributes, contexts, pairs),
            values,
            None,
            user,
            choice,
            covariates,
            levels,
            beside,
        )

    @classmethod
    def from_items(
        cls,
        votes: TableLike,
        items: TableLike | None = None,
        *,
        user: str,
        left: str,
        right: str,
        choice: str,
        context: Sequence[str] | None = None,
        interactions: Literal["all"] | Sequence[tuple[str, str]] | None = None,
        covariates: TableLike | None = None,
        levels: Levels | None = None,
    ) -> Self:
        """Read comparisons of items that are named by an id.

        Parameters
        ----------
        votes
            One row a comparison.
        items
            The items' attributes, all of them numbers: one row an item, indexed by its id (or with
            a column ``item`` that holds the ids). None: every item has a reward of its own.
        user, choice
            Columns as in `from_frame`.
        left, right
            Columns of `votes` that hold the ids of the two items.
        context, interactions, covariates, levels
            As in `from_frame`; context columns are columns of `votes`.

        Returns
        -------
        comparisons: rows grouped by user, with the items as its `catalogue`

        Raises
        ------
        DataError
            As `from_frame`, and for items that are unknown, doubled or compared with themselves.

        Warns
        -----
        DataWarning
            As `from_frame`, and for groups of items that nobody compared with one another.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> votes = pd.DataFrame(
        ...     {
        ...         "who": ["ann", "ann", "bob", "bob"],
        ...         "first": ["tea", "milk", "tea", "milk"],
        ...         "second": ["milk", "mate", "mate", "tea"],
        ...         "chosen": [1, 0, 0.5, 0],
        ...     }
        ... )
        >>> comparisons = bp.Comparisons.from_items(
        ...     votes, user="who", left="first", right="second", choice="chosen"
        ... )
        >>> comparisons.feature_names
        ('tea', 'milk', 'mate')
        >>> comparisons.difference[0]
        array([ 1., -1.,  0.])
        """
        table = Table.read(votes, "votes")
        user, choice, contexts = str(user), str(choice), column_names(context)
        table.require_roles(
            {"user": [user], "choice": [choice], "left": [str(left)], "right": [str(right)]}
            | {"context": contexts}
        )
        voted = Votes.read(table, str(left), str(right), items)
        attributes = tuple(voted.catalogue.columns)
        pairs = interaction_pairs(interactions, attributes, contexts)
        features = Features(attributes, contexts, pairs, indicators=items is None)
        values = voted.difference()
        made = cls._grouped(
            table, features, values, voted.catalogue, user, choice, covariates, levels
        )
        apart = voted.disconnected(one_reward_each=features.indicators)
        if apart:
            warnings.warn(apart, DataWarning, stacklevel=2)
        return made

    @classmethod
    def from_rankings(
        cls,
        frame: TableLike,
        items: TableLike | None = None,
        *,
        user: str,
        ranking: str,
        item: str,
        rank: str,
        context: Sequence[str] | None = None,
        interactions: Literal["all"] | Sequence[tuple[str, str]] | None = None,
        covariates: TableLike | None = None,
    ) -> Self:
        """Read rankings, one row for every item that a ranking shows.

        They are modelled by Plackett and Luce, not broken into pairs: see `models.plackett_luce`.
        Fit them with `NUTS` or `SVI`.

        Parameters
        ----------
        frame
            One row an item in a ranking.
        items
            The items' attributes, as in `from_items`. None: every item has a reward of its own.
        user, ranking, item
            Columns of the users' labels, of what tells rankings apart, and of the items' ids.
        rank
            Column of the ranks: 1 for the best, 2, 3, ..., and nothing (missing) for items that
            were shown and not ranked, which are below all that are. Best-of-k: 1 and nothing else.
        context, interactions, covariates
            As in `from_frame`; contexts are the same in all rows of a ranking.

        Returns
        -------
        comparisons: one row for each item chosen and each one it was chosen over, labelled by
        ranking and both items; the rows of one choice have the same `outcome.stage`

        Raises
        ------
        DataError
            As `from_frame`, and for ties, gaps and repeated or unknown items in a ranking.

        Warns
        -----
        DataWarning
            As `from_frame`.

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> frame = pd.DataFrame(
        ...     {
        ...         "who": ["ann", "ann", "ann", "bob", "bob", "bob"],
        ...         "id": [1, 1, 1, 2, 2, 2],
        ...         "drink": ["tea", "milk", "mate", "tea", "milk", "mate"],
        ...         "place": [2, 1, 3, None, 1, None],
        ...     }
        ... )
        >>> ranked = bp.Comparisons.from_rankings(
        ...     frame, user="who", ranking="id", item="drink", rank="place"
        ... )
        >>> ranked.outcome.stage.tolist()  # milk, then tea; bob: milk
        [0, 0, 1, 2, 2]
        """
        table = Table.read(frame)
        contexts, user = column_names(context), str(user)
        table.require_roles(
            {"user": [user], "ranking": [ranking], "item": [item], "rank": [rank]}
            | {"context": contexts}
        )
        _same_throughout(table, ranking, [user, *contexts])
        read = Stages.read(table, ranking, item, rank, items)
        names = tuple(read.catalogue.columns)
        pairs = interaction_pairs(interactions, names, contexts)
        features = Features(names, contexts, pairs, indicators=items is None)
        rows = table.frame[[user, *contexts]].iloc[read.first].set_axis(read.label)
        exploded = Table(rows.assign(**{rank: 1.0}), table.name)
        made = cls._grouped(
            exploded, features, read.difference(), read.catalogue, user, rank, covariates, None
        )
        order = np.argsort(exploded.codes(user)[0], kind="stable")
        return replace(made, outcome=Ranking(pd.factorize(read.stage[order])[0]))

    @classmethod
    def _grouped(
        cls,
        table: Table,
        features: Features,
        attributes: FloatArray,
        catalogue: pd.DataFrame | None,
        user: str,
        choice: str,
        covariates: TableLike | None,
        levels: Levels | None,
        right: FloatArray | None = None,
    ) -> Self:
        """Group the rows of a table whose attribute differences are known already."""
        reserved = [name for name in (user, choice) if name in features.attributes]
        if reserved:
            raise DataError(
                f"feature {reserved[0]!r} is also the name of the user or the choice column; "
                "rename the column, or the feature with features=[...]"
            )
        codes, users = table.codes(user)
        outcome = PairedChoice() if levels is None else GradedChoice(levels)
        choices = outcome.read(table, choice)
        contexts = table.numbers(features.contexts)
        covariate_values, covariate_names = per_user(covariates, user=user, users=users)
        order = np.argsort(codes, kind="stable")
        made = cls(
            _given(features.expand(attributes, contexts)[order]),
            _given(choices[order]),
            _given(codes[order]),
            users,
            features,
            _given(contexts[order]),
            _given(covariate_values),
            covariate_names,
            table.frame.index[order],
            catalogue,
            user,
            choice,
            outcome,
            None if right is None else _given(right[order]),
        )
        for message in made._limits():
            warnings.warn(message, DataWarning, stacklevel=3)
        return made

    def _limits(self) -> list[str]:
        """Say what these data will not teach."""
        found = []
        if self.constant:
            found.append(
                "features that never differ within a pair cancel, and their weights come from the "
                f"prior alone: {listed(self.constant)}; leave them out, or record pairs in which "
                "they differ"
            )
        single = self.users[self.counts == 1]
        if len(single):
            found.append(
                f"{len(single):,} of {self.n_users:,} users made a single comparison "
                f"({listed(single, limit=3)}): their own rewards rest mostly on other users"
            )
        return found

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
        return _given(np.searchsorted(self.user, np.arange(self.n_users + 1)).astype(np.int64))

    @cached_property
    def counts(self) -> IntArray:
        """(u,) number of comparisons of each user."""
        return _given(np.diff(self.offsets))

    @cached_property
    def constant(self) -> tuple[str, ...]:
        """Names of the features that never differ within a pair."""
        never = ~self.difference.any(axis=0)
        return tuple(np.asarray(self.feature_names, dtype=object)[never])

    @cached_property
    def feature_scale(self) -> FloatArray:
        """(d,) root mean square of each difference over the rows: the size of a typical one.

        It is 1 for a feature that never differs. An item's indicator is a unit already and keeps
        the scale 1; its product with a context has the context's root mean square.
        """
        scale = _root_mean_square(self.difference)
        if self.features.indicators:
            of_context = dict(
                zip(self.features.contexts, _root_mean_square(self.context), strict=True)
            )
            products = [of_context[context] for _, context in self.features.interactions]
            scale = np.array([1.0] * len(self.features.attributes) + products)
        return _given(scale)

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
        """Select users by label: one label, or a list of them in the order wanted.

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
        # A tuple is one label, as in pandas; these hold several.
        labels = list(users) if isinstance(users, _MANY) else [users]
        chosen = find(labels, self.users, "user")
        if len(np.unique(chosen)) < len(chosen):
            raise DataError(f"a user is selected twice in {listed(labels)}; name each once")
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
        return type(self)(
            _given(self.difference[chosen]),
            _given(self.choice[chosen]),
            _given(codes[order].astype(np.int64)),
            self.users[kept],
            self.features,
            _given(self.context[chosen]),
            _given(self.covariates[kept]),
            self.covariate_names,
            self.rows[chosen],
            self.catalogue,
            self.user_name,
            self.choice_name,
            self.outcome.take(chosen),
            None if self.right is None else _given(self.right[chosen]),
            self.text,
            self.representation,
        )

    def split(
        self,
        *,
        by: Literal["user", "comparison"] = "user",
        test: float = 0.2,
        seed: int | np.random.Generator = 0,
    ) -> tuple[Self, Self]:
        """Split at random into a training and a test part.

        Parameters
        ----------
        by
            ``"user"`` holds out whole users; ``"comparison"`` holds out some comparisons of each
            user, and leaves everyone at least one in the training part.
        test
            Share held out, between 0 and 1: of the users, or of each user's comparisons.
        seed
            Seed or generator; the same seed gives the same split.

        Returns
        -------
        train, test: together they hold every comparison once

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
        if not 0 < test < 1:
            raise DataError(f"test must be a share between 0 and 1, got {test}")
        hold_out = {"user": hold_out_users, "comparison": hold_out_rows}.get(by)
        if hold_out is None:
            raise DataError(f"by must be 'user' or 'comparison', got {by!r}")
        if by == "comparison" and not self.outcome.rowwise:
            raise DataError(f"{self.outcome.name} cannot be split by comparison; use by='user'")
        held = hold_out(self.offsets, test, np.random.default_rng(seed))
        return self.take(~held), self.take(held)

    def to_frame(self) -> pd.DataFrame:
        """Return the table from which `from_frame` makes the same comparisons.

        Returns
        -------
        frame: n rows under the caller's labels, with the columns user, attributes (left minus
            right), contexts and choice; interactions are left for `from_frame` to multiply, and
            graded answers are their labels, to be read with the same `levels`

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
        frame.insert(0, self.user_name, self.users[self.user])
        frame[self.choice_name] = self.outcome.answers(self.choice)
        return frame

    def _described(self) -> list[tuple[str, str]]:
        """List what a reader wants to know first, as (title, text)."""
        low, high = self.counts.min(), self.counts.max()
        each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
        lines = [
            ("Comparisons", f"{len(self):,} comparisons by {self.n_users:,} users ({each} each)")
        ]
        for title, found in (
            ("item" if self.features.indicators else "feature", self.feature_names),
            ("context", self.features.contexts),
            ("covariate", self.covariate_names),
        ):
            if found:
                more = ", ..." if len(found) > 8 else ""
                count = f"{len(found):,} {title}s" if len(found) > 1 else title
                lines.append((count, ", ".join(found[:8]) + more))
        if self.constant:
            lines.append(("never differ within a pair", listed(self.constant)))
        return [*lines, ("choices", self.outcome.describe(self.choice))]

    def __repr__(self) -> str:
        """Describe the comparisons in a few lines."""
        return "\n  ".join(f"{title}: {text}" for title, text in self._described())

    def _repr_html_(self) -> str:
        """Describe the comparisons as a small table, for notebooks."""
        rows = "".join(
            f"<tr><th style='text-align: left'>{html.escape(title)}</th>"
            f"<td style='text-align: left'>{html.escape(text)}</td></tr>"
            for title, text in self._described()
        )
        return f"<table>{rows}</table>"


def _same_throughout(table: Table, ranking: str, columns: Sequence[str]) -> None:
    """Refuse rankings that change their user or a context from row to row."""
    codes, _ = table.codes(ranking)
    for column in columns:
        values = table.labels(column)
        first = values.groupby(codes).transform("first")
        apart = (values != first).to_numpy()
        if apart.any():
            row = int(np.argmax(apart))
            found = f"{shown(values.iloc[row])} beside {shown(first.iloc[row])}"
            name = shown(table.frame[ranking].iloc[row])
            table.refuse(column, row, f"{found} in ranking {name}", "a ranking has one of each")


def _frozen(array: ArrayLike, dtype: type[np.generic]) -> NDArray[Any]:
    """Return the array itself if nobody can write to it, else a read-only copy."""
    made = np.asarray(array)
    if made.flags.writeable or made.dtype != dtype or not made.flags.c_contiguous:
        made = np.array(made, dtype=dtype, order="C")
        made.flags.writeable = False
    return made


def _given(array: NDArray[T]) -> NDArray[T]:
    """Make a fresh array of ours read-only in place, which spares `_frozen` the copy."""
    array.flags.writeable = False
    return array


def _root_mean_square(values: FloatArray) -> FloatArray:
    """(k,) of each column; 1 where a column is 0."""
    largest = np.abs(values).max(axis=0)
    largest[largest == 0] = 1.0
    # Divided by the largest first: squares of very large or small values leave the floats' range.
    scale = largest * np.sqrt(np.mean((values / largest) ** 2, axis=0))
    return np.where(scale == 0, 1.0, scale)
