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
from numpy.typing import NDArray

from bayes_pref.data import Comparisons
from bayes_pref.data.selection import rows_of

Array = NDArray[np.float64]


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
    scale
        Of each row: users in all over users here.
    """

    users: NDArray[np.int64] | None
    user: torch.Tensor
    difference: torch.Tensor
    choice: torch.Tensor
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
                1.0,
            )
        codes = users.numpy()
        rows = rows_of(codes, comparisons.offsets)
        return cls(
            codes,
            torch.tensor(np.repeat(np.arange(len(codes)), comparisons.counts[codes])),
            torch.tensor(comparisons.difference[rows]),
            torch.tensor(comparisons.choice[rows]),
            comparisons.n_users / len(codes),
        )

    def of_users(self, values: Array) -> torch.Tensor:
        """Rows of an array (n_users, ...) that belong to these users."""
        return torch.as_tensor(values if self.users is None else values[self.users])

    @contextmanager
    def plate(self) -> Iterator[None]:
        """Hold one observation a row."""
        with (
            poutine.scale(scale=self.scale),
            pyro.plate("comparison", len(self.choice), dim=-1),
        ):
            yield
