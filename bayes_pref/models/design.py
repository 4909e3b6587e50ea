"""The users that a plate holds at the moment, and their comparisons: everyone, or a mini-batch.

A sum over users of terms f_i is estimated from b of n users drawn at random, without replacement,
by n / b times the sum of theirs. Pyro's plate scales what is inside it so; the same scale holds
for these users' comparisons. Scaling rows by (all rows / rows drawn) would be biased wherever users
differ in how many comparisons they make.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyro
import pyro.poutine as poutine
import torch

from bayes_pref.data import Comparisons
from bayes_pref.data.selection import rows_of
from bayes_pref.types import FloatArray, IntArray

_PADDING = 2.0  # rows of `Batch.table` for each row of the data, at most


@dataclass(frozen=True, eq=False)
class Batch:
    """What a model needs of the users in a plate.

    Attributes
    ----------
    users
        (b,) codes of the users; None: everyone, in order.
    user
        (m,) place among those users of the user of each row.
    difference, choice
        (m, d) and (m,): the rows of these users.
    table
        (most, d, b): the differences by user, padded with zeros to the most that a user has. None
        where that would be more than twice the rows. A gradient is then a sum over one of its axes;
        rows that look their users up have theirs scattered, which takes several times as long.
    place
        (m,) place of each row in the first and last axis of `table`.
    scale
        Of each row: users in all over users here.
    """

    users: IntArray | None
    user: torch.Tensor
    difference: torch.Tensor
    choice: torch.Tensor
    table: torch.Tensor | None
    place: torch.Tensor
    scale: float

    @classmethod
    def of(cls, comparisons: Comparisons, users: torch.Tensor) -> Batch:
        """Take the rows of the users that a plate names in its `indices`, each at most once.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> comparisons = bp.simulate(users=4, comparisons=5, seed=0).comparisons
        >>> batch = Batch.of(comparisons, torch.tensor([3, 1]))
        >>> batch.user.tolist(), batch.scale
        ([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 2.0)
        """
        if len(users) == comparisons.n_users:  # by its size: a tracer has no values to look at
            return cls(
                None,
                torch.tensor(comparisons.user),
                torch.tensor(comparisons.difference),
                torch.tensor(comparisons.choice),
                *_by_user(comparisons.difference, comparisons.counts),
                1.0,
            )
        codes = users.numpy()
        rows = rows_of(codes, comparisons.offsets)
        return cls(
            codes,
            torch.tensor(np.repeat(np.arange(len(codes)), comparisons.counts[codes])),
            torch.tensor(comparisons.difference[rows]),
            torch.tensor(comparisons.choice[rows]),
            *_by_user(comparisons.difference[rows], comparisons.counts[codes]),
            comparisons.n_users / len(codes),
        )

    def of_users(self, values: FloatArray) -> torch.Tensor:
        """Rows of an array (n_users, ...) that belong to these users."""
        return torch.as_tensor(values if self.users is None else values[self.users])

    def log_odds(self, weights: torch.Tensor) -> torch.Tensor:
        """Reward of left minus reward of right (..., m) under these users' weights (..., b, d)."""
        if self.table is None:
            return (self.difference * weights[..., self.user, :]).sum(-1)
        return (self.table * weights.mT[..., None, :, :]).sum(-2).flatten(-2)[..., self.place]

    @contextmanager
    def plate(self) -> Iterator[None]:
        """Hold one observation a row."""
        with (
            poutine.scale(scale=self.scale),
            pyro.plate("comparison", len(self.choice), dim=-1),
        ):
            yield


def _by_user(difference: FloatArray, counts: IntArray) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Rows, which are grouped by user, as `Batch.table` and `Batch.place`."""
    most = int(counts.max(initial=0))
    first = np.cumsum(counts) - counts
    user = np.repeat(np.arange(counts.size), counts)
    nth = np.arange(len(difference)) - first[user]
    place = nth * counts.size + user
    if counts.size * most > _PADDING * len(difference):
        return None, torch.tensor(place)
    table = np.zeros((most, difference.shape[1], counts.size))
    table[nth, :, user] = difference
    return torch.tensor(table), torch.tensor(place)
