"""The rows of some of the users, weighted so that their sum is unbiased for that of everyone.

A sum over users of terms f_i is estimated from B users drawn at random, without replacement, by
(u / B) times the sum of theirs. The same weight holds for their comparisons: rows are drawn by
drawing users, so weighing them by (all rows / rows drawn) would be biased wherever users differ in
how many comparisons they make.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyro.poutine as poutine
import torch
from numpy.typing import NDArray

from bayes_pref.data import Comparisons
from bayes_pref.selection import rows_of

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class MiniBatch:
    """What a model needs of the users that it is asked about.

    Attributes
    ----------
    users
        (b,) codes of the users, for the `subsample` of the plate "user"; None: everyone, in order.
    user
        (m,) position among those b users of the user of each row.
    difference, choice
        (m, d) and (m,): the rows of these users.
    weight
        Of each row and each user: n_users / b.
    """

    users: torch.Tensor | None
    user: torch.Tensor
    difference: torch.Tensor
    choice: torch.Tensor
    weight: float

    @classmethod
    def of(cls, comparisons: Comparisons, users: Codes | None) -> MiniBatch:
        """Take the rows of these users (codes, each at most once), or of everyone.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> comparisons = bp.simulate(users=4, comparisons=5, seed=0).comparisons
        >>> batch = MiniBatch.of(comparisons, np.array([3, 1]))
        >>> batch.user.tolist(), batch.weight
        ([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 2.0)
        """
        if users is None:
            return cls(
                None,
                torch.tensor(comparisons.user),
                torch.tensor(comparisons.difference),
                torch.tensor(comparisons.choice),
                1.0,
            )
        rows = rows_of(users, comparisons.offsets)
        position = np.repeat(np.arange(len(users)), comparisons.counts[users])
        return cls(
            torch.tensor(users),
            torch.tensor(position),
            torch.tensor(comparisons.difference[rows]),
            torch.tensor(comparisons.choice[rows]),
            comparisons.n_users / len(users),
        )

    def weighted(self) -> AbstractContextManager[Any]:
        """Weigh the sites inside, which must be one a row."""
        return poutine.scale(scale=self.weight)  # type: ignore[no-any-return]


def user_of_row(comparisons: Comparisons, users: Codes | None = None) -> torch.Tensor:
    """Position, among these users, of the user of each row that `MiniBatch.of` takes."""
    return MiniBatch.of(comparisons, users).user
