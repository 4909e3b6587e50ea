"""Products with a sparse matrix on a torch device, whose sums always add up in the same order."""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse

from bayes_pref.types import IntArray


class SparseSums:
    """A sparse matrix, whose rows are sums of some entries of a vector, times values.

    Rows whose lengths differ by less than a factor of two are a table of as many columns as rows,
    filled up with zeros, and summed over its other axis. No addition is atomic, whose order differs
    on a GPU from run to run.

    Parameters
    ----------
    matrix
        (n, m).
    device
        Where it is kept.
    """

    def __init__(self, matrix: sparse.csr_matrix, device: torch.device) -> None:
        lengths = np.diff(matrix.indptr)
        classes = np.frexp(np.maximum(lengths - 1, 0))[1]  # of 1; 2; 3 and 4; 5 to 8; ...
        classes[lengths == 0] = -1
        self.size = len(lengths)
        self._tables: list[tuple[torch.Tensor, torch.Tensor]] = []
        order = [np.flatnonzero(classes < 0)]
        for number in np.unique(classes[classes >= 0]):
            rows = np.flatnonzero(classes == number)
            steps = np.arange(lengths[rows].max())[:, None]
            # What fills up a row repeats its last entry: what is infinite elsewhere stays there.
            entries = matrix.indptr[rows] + np.minimum(steps, lengths[rows] - 1)
            values = np.where(steps < lengths[rows], matrix.data[entries], 0.0)
            places = matrix.indices[entries].astype(np.int64)
            self._tables.append(
                (torch.tensor(places, device=device), torch.tensor(values, device=device))
            )
            order.append(rows)
        self._nothing = torch.zeros(len(order[0]), dtype=torch.float64, device=device)
        self._order = None
        if len(self._tables) != 1 or len(order[0]):
            self._order = torch.tensor(np.argsort(np.concatenate(order)), device=device)

    @classmethod
    def of_ranges(cls, starts: IntArray, device: torch.device) -> SparseSums:
        """Return plain sums over ranges that begin at `starts`, the last of which is the end."""
        total = int(starts[-1])
        ones = np.ones(total)
        shape = (len(starts) - 1, total)
        return cls(sparse.csr_matrix((ones, np.arange(total), starts), shape=shape), device)

    def times(self, vector: torch.Tensor, *, squared: bool = False) -> torch.Tensor:
        """(n,) sums of values, or of their squares, times a vector (m,)."""
        found = [
            (_taken(vector, places) * (values**2 if squared else values)).sum(0)
            for places, values in self._tables
        ]
        return self._in_order(found)

    def largest(self, vector: torch.Tensor) -> torch.Tensor:
        """(n,) largest entry of a vector (m,) of those in each sum; 0 where there are none."""
        return self._in_order([_taken(vector, places).amax(0) for places, _ in self._tables])

    def _in_order(self, found: list[torch.Tensor]) -> torch.Tensor:
        if self._order is None:
            return found[0]
        return torch.cat([self._nothing, *found]).index_select(0, self._order)


def _taken(vector: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
    # Several times as fast as an index of two dimensions.
    return vector.index_select(0, places.flatten()).view(places.shape)
