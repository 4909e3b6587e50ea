"""The best combination of attribute levels for a group of people, and how sure that is.

The value of a combination is the mean over people of its reward, weighted by their survey weights
if there are any. It is computed in every draw, so that the uncertainty of the best combination is
that of all weights together, and not of each level alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.draws import stack_last, thin
from bayes_pref.errors import DataError
from bayes_pref.messages import closest, listed, shown
from bayes_pref.posterior.attributes import attributes_of
from bayes_pref.posterior.estimates import describe, user_blocks
from bayes_pref.posterior.queries import AVERAGE
from bayes_pref.posterior.subgroups import By, Subgroup, subgroups
from bayes_pref.posterior.task_distribution import shown_tasks
from bayes_pref.posterior.trl_pairs import TrlPairs
from bayes_pref.settings import interval as valid_interval
from bayes_pref.types import FloatArray

_MOST, _SAMPLES = 20_000, 1_000  # combinations and draws
_FEW = 6  # values of a number that are taken as they were shown

Values = Mapping[str, Any] | None


@dataclass(frozen=True, eq=False, repr=False)
class BestProfiles(TrlPairs):
    """Base of `Posterior`: the best combination of attribute levels."""

    def best_profiles(
        self, values: Values = None, *, by: By = None, top: int = 5, interval: float = 0.9
    ) -> pd.DataFrame:
        """Rank all combinations of attribute levels by their mean reward over people.

        Parameters
        ----------
        values
            By attribute (and context that interacts with one), the levels or numbers to combine, or
            one of them to hold fixed. Attributes that are left out have all their levels; a number
            has the values that were shown, if these are at most six. Fix a price: its best value is
            else the lowest.
        by
            A covariate by name, or labels of users in a Series indexed by user: the best of every
            group. None: of all users.
        top
            How many combinations to return, the best first.
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: a column for each attribute; `mean`, `sd`, `lower`, `upper` of the mean reward minus
            that of the average combination, log-odds; `p_best`, the probability that no combination
            has a larger one; `regret`, by how much the best is better, on average; before these,
            with `by`, `group`

        Raises
        ------
        DataError
            If an attribute or a level is unknown, values of a number are needed, there are more
            than 20,000 combinations, or every item has a reward of its own.
        ModelError
            If groups are asked for of a model in which users are alike.

        Notes
        -----
        The best for the average reward need not have the largest share of a market, which depends
        on what else is offered: give the first few to `market_shares`, or to `choose_for_group`,
        which has other rules. At most 1,000 draws are used, so that `p_best` has a Monte Carlo
        error of at most 0.016.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> levels = {"brand": ["A", "B"], "size": ["S", "M", "L"]}
        >>> world = bp.simulate(users=20, features=["price"], contexts=0, categories=levels, seed=0)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
        >>> best = posterior.best_profiles({"price": 0.0}, top=6)
        >>> len(best), round(float(best["p_best"].sum()), 6)
        (6, 1.0)
        """
        interval = valid_interval(interval)
        top = settings.argument("top", top, settings.whole(1))
        if by is not None:
            self._check_users_differ("by")
        profiles = self._profiles(values)
        matrix = self.comparisons.features.matrix(profiles, name="values")
        parts = [
            self._ranked(profiles, matrix, group, top, interval)
            for group in subgroups(by, self.comparisons)
        ]
        return pd.concat(parts, ignore_index=True)

    def _profiles(self, values: Values) -> pd.DataFrame:
        """List all combinations, one a row, in the order of the attributes."""
        features = self.comparisons.features
        if features.items:
            raise DataError(
                "values: items have rewards of their own, and no levels to combine",
                "use posterior.leaderboard() or posterior.choose()",
            )
        if values is not None and not isinstance(values, Mapping):
            raise DataError(f"values: got {shown(values)}", "give levels by attribute")
        given = {str(name): listed_values(each) for name, each in (values or {}).items()}
        coded = {column: each.name for each in features.context_codings for column in each.columns}
        used = (coded.get(context, context) for _, context in features.interactions)
        contexts = list(dict.fromkeys(used))
        names = [name for name in features.inputs if name not in self._outside_names()]
        for name in given:
            if name not in (*names, *contexts):
                hint = closest(name, names) or f"; the attributes are {listed(names, limit=20)}"
                raise DataError(f"values: there is no attribute {shown(name)}{hint}")
        for name in contexts:
            if name not in given:
                raise DataError(
                    f"values: rewards depend on the context {name!r}", "give one value of it"
                )
        for name in names:  # a loop over attributes
            if name not in given:
                given[name] = self._shown_values(name)
        count = prod(len(given[name]) for name in (*names, *contexts))
        if count > _MOST:
            raise DataError(
                f"values: there are {count:,} combinations, and {_MOST:,} are the most",
                "hold some attributes fixed",
            )
        columns = [*names, *contexts]
        return pd.DataFrame(list(product(*(given[name] for name in columns))), columns=columns)

    def _outside_names(self) -> set[str]:
        codings = self.comparisons.features.codings
        return {coding.name for coding in codings if not coding.has_range}

    def _shown_values(self, name: str) -> Sequence[Any]:
        """Levels of an attribute, or its few numbers."""
        known = {each.name: each for each in attributes_of(self.comparisons)}
        attribute = known[name]
        if attribute.levels:
            return attribute.levels
        tasks = shown_tasks(self.comparisons)
        numbers: Sequence[float] = []
        if tasks.known[attribute.places].all():
            column = np.unique(tasks.profiles[~tasks.outside][:, attribute.places[0]])
            numbers = attribute.raw(column[: _FEW + 1])
        if not 0 < len(numbers) <= _FEW:
            raise DataError(
                f"values: attribute {name!r} is a number of many values, or one of which only "
                "differences are known",
                f"give some to combine, or one to hold fixed: values={{{name!r}: [...]}}",
            )
        return numbers

    def _ranked(
        self,
        profiles: pd.DataFrame,
        matrix: FloatArray,
        group: Subgroup,
        top: int,
        interval: float,
    ) -> pd.DataFrame:
        """Describe the best combinations for a group."""
        mean = self._group_weights(group)
        reward = matrix @ mean
        order = np.argsort(-reward.mean(axis=1), kind="stable")[:top]
        best = reward.max(axis=0)
        # Combinations that are equal in a draw share it, as where a level has no weight.
        ties = (reward == best).sum(axis=0)
        kept = reward[order]
        columns = {
            "p_best": ((kept == best) / ties).mean(axis=1),
            "regret": (best - kept).mean(axis=1),
        }
        described = describe(kept - reward.mean(axis=0), interval)
        found = profiles.iloc[order].reset_index(drop=True).assign(**described, **columns)
        if group.label is not None:
            found.insert(0, "group", pd.Series([group.label] * len(found), dtype=object))
        return found

    def _group_weights(self, group: Subgroup) -> FloatArray:
        """(d, sample) mean weights of a group."""
        whole = len(group.users) == self.comparisons.n_users and group.label is None
        weights = self._weights(AVERAGE if whole else None)[0]
        drawn = thin(weights, _SAMPLES)
        if whole:
            return stack_last(drawn.isel(user=0), "feature")
        total = np.zeros((drawn.sizes["feature"], drawn.sizes["chain"] * drawn.sizes["draw"]))
        start = 0
        # A loop over blocks of users: the draws of all would be as large as the posterior.
        for block in user_blocks(drawn.isel(user=group.users)):
            total += np.tensordot(group.shares[start : start + len(block)], block, 1)
            start += len(block)
        return total


def listed_values(given: Any) -> Sequence[Any]:
    """Return the values to combine of one attribute, of which one alone need be no list.

    Examples
    --------
    >>> listed_values("A"), listed_values([1, 2])
    (['A'], [1, 2])
    """
    if isinstance(given, str) or not isinstance(given, Iterable):
        return [given]
    found = list(given)
    if not found:
        raise DataError("values: an attribute has none", "leave it out for all of its levels")
    return found
