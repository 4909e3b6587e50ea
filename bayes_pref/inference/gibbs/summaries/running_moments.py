"""Mean and spread of users' weights over the draws of a chain, of which none is kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.types import FloatArray


@dataclass(frozen=True, eq=False)
class RunningMoments:
    """Count, mean and sum of squares around it, of values that come one draw at a time.

    Welford (1962), Technometrics 4.

    Attributes
    ----------
    count
        (1,) number of draws.
    mean, squares
        (n_users, d): of the draws, and sum of the squares of their distances from it.

    Examples
    --------
    >>> import numpy as np
    >>> moments = RunningMoments.without_draws(1, 1)
    >>> for value in (1.0, 2.0, 6.0):
    ...     moments.add(np.full((1, 1), value))
    >>> moments.mean.item(), moments.squares.item()
    (3.0, 14.0)
    """

    count: FloatArray
    mean: FloatArray
    squares: FloatArray

    @classmethod
    def without_draws(cls, n_users: int, d: int) -> RunningMoments:
        """Return moments to which nothing has been added."""
        return cls(np.zeros(1), np.zeros((n_users, d)), np.zeros((n_users, d)))

    def add(self, values: FloatArray) -> None:
        """Take a draw (n_users, d) into them, in place."""
        self.count[0] += 1
        away = values - self.mean
        self.mean[...] += away / self.count[0]
        self.squares[...] += away * (values - self.mean)

    def count_as(self, count: int) -> None:
        """Have the draws so far count as so many, fewer than they are."""
        self.squares[...] *= count / max(self.count[0], 1.0)
        self.count[0] = count

    def restart(self) -> None:
        """Forget all draws."""
        for array in self.arrays().values():
            array[...] = 0.0

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays by name, which can be written into."""
        return dict(vars(self))
