"""What to serve: one item to each person, or one to a whole group.

Every rule is applied to draws of rewards, so that what is not known of a person counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data.context_coding import with_coded
from bayes_pref.data.table import Table, TableLike
from bayes_pref.draws import thin
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.posterior.average_effects import AverageEffects
from bayes_pref.posterior.choice_rules import BestOfSets, Rule, best_of_sets, valid_rule
from bayes_pref.posterior.estimates import user_blocks
from bayes_pref.posterior.group_choice import GroupChoice, Members
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.posterior.queries import (
    AVERAGE,
    POPULATION,
    Items,
    Users,
    is_table,
    item_matrix,
    row_users,
    user_positions,
)
from bayes_pref.posterior.subgroups import By, subgroups
from bayes_pref.settings import interval as valid_interval
from bayes_pref.types import FloatArray, IntArray

_COPIES = 4  # arrays as large as the rewards, while one of several items is chosen
_SAMPLES, _MOST = 1_000, 100  # draws and items for groups, which take items times items numbers


@dataclass(frozen=True, eq=False, repr=False)
class Choosing(AverageEffects):
    """Base of `Posterior`: the best of several items."""

    def choose(
        self,
        items: Items = None,
        users: Users = None,
        *,
        rule: Rule = "mean",
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Choose which of some items to serve to each user.

        Parameters
        ----------
        items
            As for `reward`, all in the same context. A table with the column of the users, named as
            in the data, offers each row to its own user only (with `users` None); a user without
            comparisons in the posterior is then a new user from the population.
        users
            As for `weights`.
        rule
            "mean": the largest mean reward; it has the smallest expected regret, too. "lower": the
            largest lower end of the interval of the reward, relative to the average of the items
            offered; cautious about what is little known. "probability best": the item that is most
            probably the best. "regret": the smallest upper end of the interval of the regret.
        interval
            Probability inside the interval of the rules "lower" and "regret": of 0.9, they take the
            quantiles 0.05 and 0.95.

        Returns
        -------
        frame: one row a user

            `item`; `value`, what the rule compares: log-odds relative to the average of the items
            offered for "mean" and "lower", a probability for "probability best", and log-odds below
            the best for "regret"; `probability_best`, that no item is worth more to this user;
            `regret`, by how much the best item is worth more than this one, on average, log-odds;
            `runner_up`, the second by the rule, None where one item is offered.

        Raises
        ------
        DataError
            As `reward`, and if there is no item, items offered together differ in context, or there
            is no such rule.

        Warns
        -----
        DataWarning
            For rows of users who are new; names them.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> import pandas as pd
        >>> world = bp.simulate(users=20, features=["length"], contexts=0, mean=[1.0], seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        >>> answers = pd.DataFrame({"length": [0.0, 1.0]}, index=["terse", "long"])
        >>> posterior.choose(answers, "average")[["item", "runner_up"]].values.tolist()
        [['long', 'terse']]
        """
        named, interval = valid_rule(rule), valid_interval(interval)
        matrix, labels = item_matrix(items, self.comparisons)
        if not len(matrix):
            raise DataError("items: there are none", "offer at least one")
        own = row_users(items, self.comparisons) if users is None else None
        if own is None:
            self._require_one_context(items, np.zeros(len(matrix), dtype=np.int64))
            weights, owners = self._weights(users)
            best = _of_everybody(weights, matrix, named, interval)
        else:
            sets, distinct = own[1].factorize()
            owners = pd.Index(distinct)
            self._require_one_context(items, sets)
            best = _of_rows(*self._own_weights(*own), sets, matrix, named, interval)
        second = [labels[place] if place >= 0 else None for place in best.runner_up]
        return pd.DataFrame(
            {
                "user": owners,
                "item": labels[best.chosen],
                "value": best.value,
                "probability_best": best.probability_best,
                "regret": best.regret,
                "runner_up": pd.Series(second, dtype=object),
            }
        )

    def choose_for_group(
        self, items: Items = None, users: Users = None, *, by: By = None, interval: float = 0.9
    ) -> GroupChoice:
        """Choose one item for many users, by four rules; none is recommended where they disagree.

        In every draw, "utilitarian" takes the largest mean reward over users; "Borda" the largest
        share of contests between two items that an item wins; "Condorcet" the item that more than
        half of the users prefer to each other one, if there is such an item; and "min-max regret"
        the smallest regret of whoever, subgroup or user, loses most. Survey weights count.

        Parameters
        ----------
        items
            As for `reward`, at least two and at most 100, all in the same context.
        users
            Labels of the group's members; None: all users.
        by
            A covariate by name, or labels of users in a Series indexed by user: regret is then that
            of subgroups, by their mean rewards. None: that of each user.
        interval
            Probability inside the credible interval of regrets.

        Returns
        -------
        GroupChoice

        Raises
        ------
        DataError
            As `reward` and `amce`, and if items are less than two or more than 100, a user is named
            twice, or nobody of these users is in a subgroup.
        ModelError
            If all users are alike in the model.

        Notes
        -----
        Rewards of different people are added and compared as log-odds: someone who chooses more
        consistently has a larger say in "utilitarian" and "min-max regret", and not in the other
        two. At most 1,000 draws are used: a probability has a Monte Carlo error of at most 0.016.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> import pandas as pd
        >>> names = posterior.comparisons.feature_names
        >>> plus = pd.DataFrame([[2.0, 0, 0, 0], [-2.0, 0, 0, 0]], ["+", "-"], columns=names)
        >>> posterior.choose_for_group(plus).rules["rule"].tolist()
        ['utilitarian', 'Borda', 'Condorcet', 'min-max regret']
        """
        interval = valid_interval(interval)
        if isinstance(users, str) and users in (POPULATION, AVERAGE):
            if users not in self.comparisons.users:
                raise DataError(f"users: {users!r} is no group", "name users, or leave it out")
            users = [users]
        matrix, labels = item_matrix(items, self.comparisons)
        if not 2 <= len(matrix) <= _MOST:
            raise DataError(f"items: there are {len(matrix)}", f"offer 2 to {_MOST}")
        self._require_one_context(items, np.zeros(len(matrix), dtype=np.int64))
        self._check_users_differ("choose_for_group")
        some = user_positions(users, self.comparisons.users)
        if not len(some) or len(np.unique(some)) < len(some):
            wrong = "somebody is named twice" if len(some) else "nobody is named"
            raise DataError(f"users: {wrong}", "name each member once, or leave it out for all")
        members = Members.of(
            self.comparisons, some, subgroups(by, self.comparisons) if by is not None else None
        )
        weights = thin(self._weights(None)[0], _SAMPLES).isel(user=some)
        return GroupChoice.of(weights, matrix, labels, members, interval)

    def _require_one_context(self, items: Items, sets: IntArray, argument: str = "items") -> None:
        """Refuse items that are offered together in different contexts.

        `sets` are (n,) codes of what is offered together.
        """
        used = list(dict.fromkeys(context for _, context in self.comparisons.features.interactions))
        if not used or not is_table(items):
            return
        table = Table.read(cast(TableLike, items), argument)
        table = with_coded(table, self.comparisons.features.context_codings)
        names = [name for name in used if name in table.frame.columns]
        context = table.numbers(names)
        first = np.unique(sets, return_index=True)[1][sets]
        apart = context != context[first]
        if apart.any():
            row, column = np.argwhere(apart)[0]
            one, other = (shown(table.frame.index[at]) for at in (row, first[row]))
            raise DataError(
                f"{argument}, column {names[column]!r}: row {one} differs from row {other}, and "
                "both are offered together",
                "what is compared has one context",
            )


def _of_everybody(
    weights: xr.DataArray, matrix: FloatArray, rule: str, interval: float
) -> BestOfSets:
    """Choose among the same items (m, d) for each user; positions are of items."""
    found, count = [], len(matrix)
    # A loop over blocks of users: the rewards of all would be as large as the posterior.
    for block in user_blocks(weights, _COPIES * count / matrix.shape[1]):
        reward = (matrix @ block).reshape(-1, block.shape[-1])
        best = best_of_sets(reward, np.arange(len(block)) * count, rule, interval)
        second = np.where(best.runner_up < 0, -1, best.runner_up % count)
        found.append(best._replace(chosen=best.chosen % count, runner_up=second))
    return _joined(found)


def _of_rows(
    weights: xr.DataArray,
    codes: IntArray,
    sets: IntArray,
    matrix: FloatArray,
    rule: str,
    interval: float,
) -> BestOfSets:
    """Choose among the rows (n, d) of each set; positions are of rows, and sets in order.

    `codes` (n,) are those of the rows' users among the weights (chain, draw, user, feature).
    """
    order = np.lexsort((sets, codes))  # is stable
    together = np.cumsum(np.diff(sets[order], prepend=sets[order[0]]) != 0)
    found = []
    for part, reward in log_odds(weights, codes[order], matrix[order], together):
        starts = np.flatnonzero(np.diff(together[part], prepend=-1))
        best = best_of_sets(reward, starts, rule, interval)
        second = np.where(best.runner_up < 0, -1, order[part][best.runner_up])
        found.append(best._replace(chosen=order[part][best.chosen], runner_up=second))
    every = _joined(found)
    return _take(every, np.argsort(sets[every.chosen]))


def _joined(parts: list[BestOfSets]) -> BestOfSets:
    if not parts:  # of no user
        none, nothing = np.empty(0, dtype=np.int64), np.empty(0)
        return BestOfSets(none, none, nothing, nothing, nothing)
    return BestOfSets._make(np.concatenate(columns) for columns in zip(*parts, strict=True))


def _take(best: BestOfSets, order: IntArray) -> BestOfSets:
    return BestOfSets._make(column[order] for column in best)
