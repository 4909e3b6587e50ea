"""Predictions of the rows of a table, each for its own user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref import settings
from bayes_pref.data.context_coding import with_coded
from bayes_pref.data.table import Table, TableLike
from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import shown
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.models.choice.stage_choices import stage_starts
from bayes_pref.posterior.asked_rows import alternatives, is_about_tasks, pair_differences
from bayes_pref.posterior.choosing import Choosing
from bayes_pref.posterior.estimates import describe, describe_choices
from bayes_pref.posterior.own_choices import of_known_and_new
from bayes_pref.posterior.predictions import describe_rows, log_odds
from bayes_pref.posterior.queries import POPULATION
from bayes_pref.types import FloatArray, IntArray

_USER = "user"


@dataclass(frozen=True, eq=False, repr=False)
class Predicting(Choosing):
    """Base of `Posterior`: predictions of rows."""

    def predict(
        self,
        frame: TableLike,
        *,
        new_users: Literal["refuse", "population"] = "refuse",
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Predict the choice in each row of a table, for the row's own user.

        Parameters
        ----------
        frame
            A table with the columns that the fitted one had (the choice is not needed): of pairs,
            one row a comparison; of tasks, one row an alternative. Instead of the columns of both
            sides, differences named as the features will do. An outside option that has no rows in
            the fitted tasks is an alternative of each task here, too, unless a column ``none`` is 1
            in rows of its own.
        new_users
            "refuse" rows of users who are not in the posterior, or predict them as users drawn from
            the "population", as all rows are without a column of users. (`bayes_pref.add_users`
            uses their own answers.)
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: one row for each row of the table, in its order and with its index

            Of pairs: `user`; `mean`, `sd`, `lower`, `upper` of the probability that left is chosen;
            `epistemic`, `aleatoric` and `tie` as in `preference`. Of tasks: `user`, `task`, and
            `mean`, `sd`, `lower`, `upper` of the probability that the alternative is chosen.

        Raises
        ------
        DataError
            If a column is missing or cannot be used as it stands, or a user is unknown.
        ModelError
            If the features were learned by a network.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> import pandas as pd
        >>> votes = pd.DataFrame(
        ...     {
        ...         "who": ["ann", "ann", "bob", "bob"] * 10,
        ...         "length_left": [1.0, 2.0, 3.0, 1.0] * 10,
        ...         "length_right": [2.0, 1.0, 1.0, 2.0] * 10,
        ...         "left": [1, 0, 1, 0] * 10,
        ...     }
        ... )
        >>> sides = {"left": ["length_left"], "right": ["length_right"]}
        >>> read = bp.Comparisons.from_frame(votes, user="who", choice="left", **sides)
        >>> posterior = bp.fit(bp.HierarchicalReward(), read, bp.Gibbs(progress=False))
        >>> found = posterior.predict(votes.drop(columns="left").head(3))
        >>> (found["mean"] > 0.5).tolist()
        [True, False, True]
        """
        settings.argument("new_users", new_users, settings.one_of("refuse", POPULATION))
        interval = settings.interval(interval)
        comparisons = self.comparisons
        if comparisons.representation is not None:
            raise ModelError(
                "predict: the features were learned by a network; give theirs to "
                "posterior.preference"
            )
        table = Table.read(frame, "frame")
        positions, labels = self._users_of(table, new_users)
        table = with_coded(table, comparisons.features.context_codings)
        weights, codes, choices = self._of_rows(positions)
        index = table.frame.index
        if not is_about_tasks(comparisons):
            difference = pair_differences(table, comparisons)

            def described(eta: FloatArray, users: IntArray) -> dict[str, FloatArray]:
                return describe_choices(eta, choices.of_users(users), interval)

            columns = describe_rows(weights, codes, difference, described)
            return pd.DataFrame({_USER: labels, **columns}, index)
        asked, name = alternatives(table, comparisons)
        kept = asked.row >= 0
        sets = np.empty(len(index), dtype=np.int64)
        sets[asked.row[kept]] = asked.task[kept]
        self._require_one_context(table.frame, sets, "frame")
        first = asked.row[stage_starts(asked.task)]  # a row of the table comes before one added
        own = codes[first][asked.task]
        order = np.lexsort((asked.task, own))
        together = np.cumsum(np.diff(asked.task[order], prepend=asked.task[order[0]]) != 0)
        found: dict[str, FloatArray] = {}
        for part, reward in log_odds(weights, own[order], asked.features[order], together):
            users = choices.of_users(own[order][part])
            task = together[part] - together[part.start]
            chance = _chances(reward, task, users, pairs=comparisons.outcome.rowwise)
            for column, values in describe(chance, interval).items():
                found.setdefault(column, np.empty(len(table.frame)))
                row = asked.row[order][part]
                found[column][row[row >= 0]] = values[row >= 0]
        tasks = table.labels(name).to_numpy()
        return pd.DataFrame({_USER: labels, "task": tasks, **found}, index)

    def _users_of(self, table: Table, new_users: str) -> tuple[IntArray, pd.Index]:
        """(n,) positions of the rows' users, -1 for new ones, and their labels."""
        name, known = self.comparisons.user_name, self.comparisons.users
        if name not in table.frame.columns:
            if new_users != POPULATION:
                remedy = "or pass new_users='population' to predict for a new user"
                raise DataError(f"frame: there is no column {name!r} of users", f"add it, {remedy}")
            count = len(table.frame)
            return np.full(count, -1, dtype=np.int64), pd.Index([POPULATION] * count)
        codes, users = table.codes(name)
        positions = known.get_indexer(users)[codes].astype(np.int64)
        if new_users != POPULATION and (positions < 0).any():
            row = int(np.argmax(positions < 0))
            table.refuse(
                name,
                row,
                f"user {shown(users[codes[row]])} is not in the posterior",
                "add their answers with bp.add_users, or pass new_users='population'",
            )
        return positions, users[codes]

    def _of_rows(self, positions: IntArray) -> tuple[xr.DataArray, IntArray, ChoiceDistribution]:
        """Weights of the distinct users, (n,) their codes, and the distribution of their answers.

        All new users are one draw from the population, which is first.
        """
        distinct, codes = np.unique(positions, return_inverse=True)
        known, new = self.choices_of(), self.choices_of(POPULATION)
        choices = of_known_and_new(known, new, positions)
        order = ("chain", "draw", "user", "feature")
        weights = self.model.user_weights(self.draws).isel(user=distinct[distinct >= 0])
        if distinct[0] < 0:
            drawn, _ = self._weights(POPULATION)
            parts = [each.transpose(*order).to_numpy() for each in (drawn, weights)]
            weights = xr.DataArray(np.concatenate(parts, axis=2), dims=order)
        return weights, codes.ravel().astype(np.int64), choices


def _chances(
    reward: FloatArray, task: IntArray, choices: ChoiceDistribution, *, pairs: bool
) -> FloatArray:
    """(row, sample) probabilities that alternatives are chosen, at draws of their rewards.

    Of pairs, the first is left.
    """
    starts = stage_starts(task)
    if pairs:
        chance = choices.of_users(starts).probabilities(reward[starts] - reward[starts + 1])
        found = np.empty_like(reward)
        found[starts], found[starts + 1] = chance[-1], chance[0]
        return found
    top = np.maximum.reduceat(reward, starts, axis=0)
    found = np.exp(reward - top[task])
    found /= np.add.reduceat(found, starts, axis=0)[task]
    lapse = choices.stage_lapse(task)
    if lapse is not None:
        own = lapse[task] if lapse.ndim == 2 else lapse
        found = (1.0 - own) * found + own / np.bincount(task)[task][:, None]
    return found
