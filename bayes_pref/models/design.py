"""Tensors of the data for Pyro models: those of all users, or of a mini-batch of users.

A sum over users of terms f_i is estimated from b of n users, drawn at random without replacement,
by n / b times the sum over these. Pyro's plate scales what is inside it in this way, and the same
scale holds for these users' comparisons. Scaling rows by (all rows / rows drawn) would be biased
where users differ in their numbers of comparisons.

A model runs once for every evaluation of its density, so that the tensors of all users are made
once for each `Comparisons` and kept as long as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import pyro
import pyro.poutine as poutine
import torch

from bayes_pref.data import Comparisons
from bayes_pref.data.selection import rows_of
from bayes_pref.models.regressors import logged
from bayes_pref.seeding import standard_torch
from bayes_pref.types import FloatArray, IntArray

_PADDING = 2.0  # most rows of `Batch.table` for each row of the data


@dataclass(frozen=True, eq=False)
class Batch:
    """What a model needs of the users in a plate.

    Attributes
    ----------
    users
        (b,) codes of the users; None: all of them, in order.
    user
        (m,) place among those users of the user of each row.
    difference, choice, context
        (m, d), (m,) and (m, q): the rows of these users.
    table
        (most, d, b): the differences by user, padded with zeros to the largest number of rows of a
        user; None where that would be more than twice the rows. The gradient is then a sum over an
        axis, which is several times as fast as scattering rows.
    place
        (m,) place of each row in the first and last axis of `table`.
    scale
        Weight of each row: number of all users over the number in the batch.
    logged
        (m,) 1 in rows that were not assigned at random, 0 in the others.
    """

    users: IntArray | None
    user: torch.Tensor
    difference: torch.Tensor
    choice: torch.Tensor
    context: torch.Tensor
    table: torch.Tensor | None
    place: torch.Tensor
    scale: float
    logged: torch.Tensor

    @classmethod
    def of(cls, comparisons: Comparisons, users: torch.Tensor) -> Batch:
        """Take the rows of users.

        Parameters
        ----------
        comparisons
            The data.
        users
            Codes of distinct users, as the `indices` of a plate; as many as there are: all users.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> comparisons = bp.simulate(users=4, comparisons=5, seed=0).comparisons
        >>> batch = Batch.of(comparisons, torch.tensor([3, 1]))
        >>> batch.user.tolist(), batch.scale
        ([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 2.0)
        """
        if len(users) == comparisons.n_users:  # by its size: a tracer has no values to look at
            return cls.everyone(comparisons)
        codes = users.numpy().copy()
        latest = _LATEST.get(comparisons)
        if latest is not None and latest.users is not None and np.array_equal(codes, latest.users):
            return latest
        rows = rows_of(codes, comparisons.offsets)
        user = np.repeat(np.arange(len(codes)), comparisons.counts[codes])
        scale = comparisons.n_users / len(codes)
        with standard_torch():  # kept for callers in any surroundings
            made = cls._made(comparisons, codes, rows, user, comparisons.counts[codes], scale)
        _LATEST[comparisons] = made
        return made

    @classmethod
    def everyone(cls, comparisons: Comparisons) -> Batch:
        """Take the rows of all users; made once, the same for every caller."""
        found = _EVERYONE.get(comparisons)
        if found is None:
            with standard_torch():  # kept for callers in any surroundings
                found = cls._made(
                    comparisons, None, slice(None), comparisons.user, comparisons.counts, 1.0
                )
            _EVERYONE[comparisons] = found
        return found

    @classmethod
    def _made(
        cls,
        comparisons: Comparisons,
        codes: IntArray | None,
        rows: IntArray | slice,
        user: IntArray,
        counts: IntArray,
        scale: float,
    ) -> Batch:
        difference = comparisons.difference[rows]
        table, place = _by_user(difference, counts)
        return cls(
            codes,
            _tensor(user),
            _tensor(difference),
            _tensor(comparisons.choice[rows]),
            _tensor(comparisons.context[rows]),
            table,
            place,
            scale,
            _tensor(logged(comparisons)[rows]),
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
        """Open a plate of the rows, scaled to all users."""
        with (
            poutine.scale(scale=self.scale),
            pyro.plate("comparison", len(self.choice), dim=-1),
        ):
            yield


_EVERYONE: WeakKeyDictionary[Comparisons, Batch] = WeakKeyDictionary()
# A step of variational inference runs a model several times for the same users.
_LATEST: WeakKeyDictionary[Comparisons, Batch] = WeakKeyDictionary()


def _tensor(values: FloatArray | IntArray) -> torch.Tensor:
    """Copy an array, which may be read-only.

    `torch.from_numpy`, since a tensor of `torch.tensor` that is made while a tracer is active
    belongs to that trace, and must not be kept.
    """
    return torch.from_numpy(np.array(values))


def _by_user(difference: FloatArray, counts: IntArray) -> tuple[torch.Tensor | None, torch.Tensor]:
    """Rows, which are grouped by user, as `Batch.table` and `Batch.place`."""
    most = int(counts.max(initial=0))
    first = np.cumsum(counts) - counts
    user = np.repeat(np.arange(counts.size), counts)
    nth = np.arange(len(difference)) - first[user]
    place = nth * counts.size + user
    if counts.size * most > _PADDING * len(difference):
        return None, _tensor(place)
    table = np.zeros((most, difference.shape[1], counts.size))
    table[nth, :, user] = difference
    return _tensor(table), _tensor(place)
