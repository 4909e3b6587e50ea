"""Sides: which of two items is called left, and whether that was settled before the answer.

The rewards of a pair do not depend on which side is left, but much else does: position bias, the
cutpoints of graded answers, the calibration and the share of left. Where the winner is written
first, as in chosen minus rejected, the side follows from the answer, and all of that is wrong.
Sides that are tossed anew are independent of the answers again: a hash of the pair is the coin,
whichever won.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from scipy.stats import binom

from bayes_pref import settings
from bayes_pref.errors import DataError
from bayes_pref.types import FloatArray, Mask

SidesOption: TypeAlias = Literal["as shown", "toss"]

AS_SHOWN, TOSS, ONE_SIDED = "as shown", "toss", "one-sided"
SIDES = (AS_SHOWN, TOSS, ONE_SIDED)

# Data whose sides were settled before the answers hold so few answers for the rarer side with a
# probability below _CHANCE, as long as the other side is favoured in at most _FAVOURED of them.
_FAVOURED, _CHANCE, _FEWEST = 0.8, 1e-3, 0.02


@dataclass(frozen=True)
class SidesReader:
    """How a reader takes the sides of a table.

    Parameters
    ----------
    sides
        "as shown": as they are given; "toss": at random, independently of the answers.
    seed
        Random seed of the toss.

    Raises
    ------
    DataError
        If an argument is none of these.

    Examples
    --------
    >>> SidesReader("winner first")
    Traceback (most recent call last):
    bayes_pref.errors.DataError: sides must be 'as shown' or 'toss', got 'winner first'
    """

    sides: SidesOption = "as shown"
    seed: int = 0

    def __post_init__(self) -> None:
        """Validate the arguments."""
        settings.argument("sides", self.sides, settings.one_of(AS_SHOWN, TOSS))
        object.__setattr__(self, "seed", settings.seed(self.seed, error=DataError))

    def of(self, choice: FloatArray) -> str:
        """Return how sides came about, `Comparisons.sides`, given the choices that were read."""
        if self.sides == TOSS:
            return TOSS
        return ONE_SIDED if one_sided(choice) else AS_SHOWN

    def exchanged(
        self,
        users: pd.Index[Any],
        context: Iterable[bytes],
        left: Iterable[bytes],
        right: Iterable[bytes],
    ) -> Mask:
        """Return (n,) whether to exchange the sides of each row.

        It depends on the seed, the user, the context and the two items, but neither on the answer
        nor on the order of the rows. Where both items are the same, tosses are made one after
        another.

        Parameters
        ----------
        users
            (n,) labels.
        context, left, right
            (n,) bytes of what both items share, and of each of them.

        Examples
        --------
        >>> read, who = SidesReader("toss"), pd.Index(["ann", "bob", "cid", "dan"])
        >>> read.exchanged(who, [b""] * 4, [b"tea"] * 4, [b"milk"] * 4)
        array([False,  True, False, False])
        >>> read.exchanged(who, [b""] * 4, [b"milk"] * 4, [b"tea"] * 4)
        array([ True, False,  True,  True])
        """
        if self.sides == AS_SHOWN:
            return np.zeros(len(users), dtype=bool)
        seen: Counter[bytes] = Counter()
        found = np.empty(len(users), dtype=bool)
        rows = zip(users, context, left, right, strict=True)
        # A loop over rows: each takes a few microseconds, in which hashes are made.
        for row, (user, shared, one, other) in enumerate(rows):
            beside = str(user).encode("utf-8", "surrogatepass") + b"\x00" + shared
            if one == other:
                seen[beside] += 1
                one, other = b"%d" % seen[beside], b"-%d" % seen[beside]
            found[row] = exchange(self.seed, beside, one, other)
        return found


def exchange(seed: int, beside: bytes, one: bytes, other: bytes) -> bool:
    """Whether the first of two different items goes to the other's side.

    A coin is tossed for the pair, in no order, and what is beside it; it says whether the item that
    comes first in the order of bytes is left. So the same pair gets the same sides however it is
    written, and pairs that share an item have coins of their own.

    Parameters
    ----------
    seed
        Random seed.
    beside
        What both items share, such as the prompt.
    one, other
        The items.

    Examples
    --------
    >>> exchange(0, b"Hi", b"Hello.", b"Hm."), exchange(0, b"Hi", b"Hm.", b"Hello.")
    (True, False)
    """
    parts = [str(seed).encode(), beside, *sorted((one, other))]
    coin = hashlib.sha256(b"".join(b"%d:%b" % (len(part), part) for part in parts)).digest()[0] & 1
    return bool(coin) != (one > other)


def bytes_of(values: FloatArray, names: Sequence[str]) -> list[bytes]:
    """(n,) bytes of values (n, k), whatever the order of their names."""
    order = sorted(range(len(names)), key=lambda column: names[column])
    return [row.tobytes() for row in np.ascontiguousarray(values[:, order] + 0.0)]  # no -0.0


def one_sided(choice: FloatArray) -> bool:
    """Whether so many choices (n,) name one side that they must have decided which side it is.

    Not more than 1 in 50 name the other side, and data whose sides were settled before the answers
    would show that with probability below 1 in 1,000 even if 4 in 5 answers favoured one side (and
    below 1 in 500 million if neither side were favoured). It takes 31 answers other than ties.

    Examples
    --------
    >>> one_sided(np.ones(30)), one_sided(np.ones(31)), one_sided(np.array([0.0] * 3 + [1.0] * 97))
    (False, True, False)
    """
    left, right = int((choice > 0.5).sum()), int((choice < 0.5).sum())
    fewer, count = min(left, right), left + right
    rare = float(binom.cdf(fewer, count, 1.0 - _FAVOURED)) < _CHANCE if count else False
    return rare and fewer <= _FEWEST * count


def one_sided_warning(choice: FloatArray) -> str:
    """Say that choices (n,) are one-sided, what follows from it, and what to do."""
    left, right = int((choice > 0.5).sum()), int((choice < 0.5).sum())
    side, most, count = "left" if left > right else "right", max(left, right), left + right
    share = f"all {count:,}" if most == count else f"{most:,} of {count:,}"
    return (
        f"{share} answers other than ties are for {side}, which has probability below 1 in 1,000 "
        "where sides are settled before the answers, so the winner seems to be written first: "
        "read the data with sides='toss', without which position bias, graded answers and the "
        "share of left cannot be learned from them"
    )
