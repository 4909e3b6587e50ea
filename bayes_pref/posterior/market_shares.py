"""Shares of a market among several alternatives, and how they move from one scenario to another.

In each draw, the share of alternative j is the mean over users, each counting as often as the
people they stand for, of the probability of choosing it,

    P_i(j) = exp(u_ij) / sum_k exp(u_ik)        u_ij the reward of j to user i (Luce 1959),

or, with answers at random, of the mixture that the choice model has. It is known as the share of
preference (Orme 2014, Getting started with conjoint analysis), and is not the share of people whose
favourite j is. The difference of two scenarios is taken in each draw, of the same people.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref import settings
from bayes_pref.data.context_coding import with_coded
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import shown
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.posterior.estimates import describe, estimate_frame, user_blocks
from bayes_pref.posterior.predicting import Predicting
from bayes_pref.posterior.queries import Items, item_matrix
from bayes_pref.posterior.subgroups import By, Subgroup, subgroups
from bayes_pref.types import FloatArray

_COPIES = 2  # arrays as large as the rewards, while shares are computed


@dataclass(frozen=True, eq=False, repr=False)
class MarketShares(Predicting):
    """Base of `Posterior`: shares among several alternatives."""

    def market_shares(
        self,
        items: Items = None,
        *,
        against: Items = None,
        outside: bool = False,
        by: By = None,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Estimate how often each of several items would be chosen, if these were on offer.

        Parameters
        ----------
        items
            As for `reward`, all in the same context, each with its own label; two or more, or one
            beside the outside option.
        against
            Another scenario, as `items`: the shares are then those of `items` minus these. An item
            with the same label is the same in both, and one that is missing has a share of 0.
        outside
            Whether nobody has to choose: adds the data's outside option, labelled as it is there.
        by
            A covariate by name, or labels of users in a Series indexed by user: shares in every
            group.
        interval
            Probability inside the central credible interval, of the share among these users or the
            people they stand for. That the users are a sample is not in it.

        Returns
        -------
        frame: `item`, `mean`, `sd`, `lower`, `upper`, from 0 to 1, or with `against` from -1 to 1;
            before these, with `by`, `group`

        Raises
        ------
        DataError
            As `reward`, and if there are fewer than two alternatives, two have the same label,
            items differ in context, the data have no outside option, or `by` is no division of the
            users.
        ModelError
            If choices are not logistic, or groups are asked for of a model in which users are
            alike.

        Notes
        -----
        Lapses and answers at random count, as in `predict`; position bias and ties do not. The
        mean absolute error against shares that were held out is ``bp.evaluate(...).share_error``.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> import pandas as pd
        >>> names = posterior.comparisons.feature_names
        >>> now = pd.DataFrame([[1.0, 0, 0, 0], [0, 1.0, 0, 0]], ["ours", "theirs"], columns=names)
        >>> more = pd.concat([now, pd.DataFrame([[0.0] * 4], ["plain"], columns=names)])
        >>> round(float(posterior.market_shares(now)["mean"].sum()), 6)
        1.0
        >>> moved = posterior.market_shares(more, against=now)
        >>> (moved["mean"] > 0).tolist()
        [False, False, True]
        """
        interval = settings.interval(interval)
        groups = self._market_groups(by)
        drawn, labels = self._market(items, outside, groups, "items")
        if against is not None:
            other, theirs = self._market(against, outside, groups, "against")
            every = labels.append(theirs[~theirs.isin(labels)])
            drawn = _placed(drawn, labels, every) - _placed(other, theirs, every)
            labels = every
        columns = {name: values.ravel() for name, values in describe(drawn, interval).items()}
        if by is None:
            return pd.DataFrame({"item": labels, **columns})
        named = pd.Index([group.label for group in groups], tupleize_cols=False)
        return estimate_frame({"group": named, "item": labels}, columns)

    def market_shares_draws(
        self, items: Items = None, *, outside: bool = False, by: By = None
    ) -> xr.DataArray:
        """Return draws of the shares of items, (chain, draw, item); with `by` (..., group, item).

        Parameters
        ----------
        items, outside, by
            As for `market_shares`.

        Raises
        ------
        DataError, ModelError
            As `market_shares`.
        """
        groups = self._market_groups(by)
        drawn, labels = self._market(items, outside, groups, "items")
        coords = self._sampled() | {"item": labels.rename("item")}
        shape = (len(coords["chain"]), len(coords["draw"]))
        values = np.moveaxis(drawn, 2, 0).reshape(*shape, *drawn.shape[:2])
        coords["group"] = [group.label for group in groups]
        dims = ("chain", "draw", "group", "item")
        found = xr.DataArray(values, coords, dims, name="market_share")
        return found.isel(group=0, drop=True) if by is None else found

    def _market_groups(self, by: By) -> list[Subgroup]:
        """Groups of users; refuses a posterior without shares among several, or by group."""
        choice_model = self.model.choice_model(self.comparisons)
        if not choice_model.log_odds:
            raise ModelError(
                f"market_shares: choices by {type(choice_model).__name__} are not logistic, and it "
                "has no probabilities of choices among several; use posterior.preference"
            )
        if by is not None:
            self._check_users_differ("by")
        return subgroups(by, self.comparisons)

    def _market(
        self, items: Items, outside: bool, groups: Sequence[Subgroup], argument: str
    ) -> tuple[FloatArray, pd.Index]:
        """Draws (group, item, sample) of the shares of items, and their labels."""
        settings.argument("outside", outside, settings.boolean)
        matrix, labels = item_matrix(items, self.comparisons, argument)
        if len(matrix) + outside < 2:
            raise DataError(
                f"{argument}: there are fewer than two alternatives",
                "name two, or one and outside=True",
            )
        self._require_one_context(items, np.zeros(len(matrix), dtype=np.int64), argument)
        if outside:
            row, name = self._outside_option(items, argument)
            matrix, labels = np.vstack([matrix, row]), labels.append(pd.Index([name]))
        if not labels.is_unique:
            twice = shown(labels[labels.duplicated()][0])
            raise DataError(f"{argument}: two are labelled {twice}", "give each its own label")
        shares = np.zeros((len(groups), self.comparisons.n_users))
        for row, group in zip(shares, groups, strict=True):  # a loop over groups
            row[group.users] = group.shares
        weights, choices = self._weights(None)[0], self.choice_distribution
        samples = weights.sizes["chain"] * weights.sizes["draw"]
        total, start = np.zeros((len(groups), len(matrix), samples)), 0
        relative = matrix - matrix[0]  # numbers far from 0 would lose digits
        # A loop over blocks of users: the rewards of all would be as large as the posterior.
        for block in user_blocks(weights, _COPIES * len(matrix) / matrix.shape[1]):
            here = slice(start, start + len(block))
            chance = _chosen(relative @ block, choices.of_users(here))
            total += np.tensordot(shares[:, here], chance, 1)
            start = here.stop
        return total, labels

    def _outside_option(self, items: Items, argument: str) -> tuple[FloatArray, str]:
        """Features (1, d) of the outside option in the items' context, and its name."""
        features = self.comparisons.features
        names = [coding.name for coding in features.codings if not coding.has_range]
        if not names:
            raise DataError(
                "outside: the data have no outside option", "read them with none=, or leave it out"
            )
        attributes = np.zeros((1, len(features.attributes)))
        attributes[0, features.attributes.index(names[0])] = 1.0
        context = np.zeros((1, len(features.contexts)))
        if features.interactions:  # then items are a table
            table = Table.read(cast(TableLike, items), argument)
            context = features.used_contexts(with_coded(table, features.context_codings))[:1]
        return features.expand(attributes, context), names[0]


def _chosen(reward: FloatArray, choices: ChoiceDistribution) -> FloatArray:
    """(user, item, sample) probabilities of choosing items, at draws of their rewards."""
    reward -= reward.max(axis=1, keepdims=True)
    chance = np.exp(reward, out=reward)
    chance /= chance.sum(axis=1, keepdims=True)
    lapse = choices.stage_lapse(np.arange(len(chance)))
    if lapse is None:
        return chance
    own = lapse[:, None] if lapse.ndim == 2 else lapse
    return np.asarray((1.0 - own) * chance + own / chance.shape[1])


def _placed(drawn: FloatArray, labels: pd.Index, every: pd.Index) -> FloatArray:
    """Draws (group, item, sample) of all items, 0 of those that are not on offer."""
    made = np.zeros((len(drawn), len(every), drawn.shape[2]))
    made[:, every.get_indexer(labels)] = drawn
    return made
