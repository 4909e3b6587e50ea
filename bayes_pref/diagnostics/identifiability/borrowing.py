"""Borrowing: the part of a pair about which a user's own comparisons say nothing.

For user i and differences d on scaled features it is the share |(I - P_i) d|^2 / |d|^2, with P_i
the projection onto the row space of the differences that the user judged. The estimate along that
part of d comes from other users.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.assessment import Assessed, Assessment, Settings
from bayes_pref.diagnostics.evidence import joined, percent
from bayes_pref.diagnostics.query import Query, typical_differences
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray

_BLOCK = 4_000_000  # numbers in one block: 32 MB
_RANK = 1e-6  # of the largest singular value


class BorrowingAssessment(Assessment):
    """How much of each comparison's estimate comes from other users.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=5, comparisons=2, features=4, contexts=0, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> report = bp.diagnose(posterior, assessments=["borrowing"], verdicts=["not assessed"])
    >>> float(report.comparisons["borrowed"].max().round(6))  # of pairs that users judged
    0.0
    """

    name = "borrowing"
    columns = ("borrowed",)

    def unsupported(self, posterior: Posterior) -> str | None:
        """Return None: it depends on the comparisons alone."""
        return None

    def run(self, posterior: Posterior, query: Query, settings: Settings) -> Assessed:
        """Return the share of every pair, with a remark where it is large or the user is new."""
        share = borrowed(posterior, query)
        some = joined(
            "This user's own comparisons say nothing about ",
            percent(share),
            " of what differs here: that part of the estimate comes from other users.",
        )
        new = "This user has no comparisons: the estimate comes from other users."
        remarks = np.where(share > settings.thresholds.borrowed, some, "")
        return Assessed(
            columns=pd.DataFrame({"borrowed": share}),
            remarks=np.where(query.is_new, new, remarks).astype(object),
            users=pd.DataFrame({"borrowed": query.by_user(share)}),
        )


def borrowed(posterior: Posterior, query: Query) -> FloatArray:
    """Share of each pair that lies outside the span of its user's own comparisons.

    Parameters
    ----------
    posterior
        Its comparisons are those that the users made.
    query
        n pairs.

    Returns
    -------
    share: (n,) 0 to 1; 1 for new users

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_query
    >>> world = bp.simulate(users=5, comparisons=2, features=4, contexts=0, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> float(borrowed(posterior, read_query(posterior)).max().round(6))
    0.0
    """
    comparisons = posterior.comparisons
    scale = typical_differences(comparisons, query.difference)
    asked = query.difference / scale
    length = np.linalg.norm(asked, axis=1)
    asked = asked / np.where(length > 0, length, 1.0)[:, None]
    share = np.ones(len(query))
    known = np.flatnonzero(~query.is_new)
    known = known[np.argsort(query.user[known], kind="stable")]
    wanted = np.zeros(comparisons.n_users, dtype=bool)
    wanted[query.user[known]] = True
    for users, bases in _row_spaces(comparisons, scale, np.flatnonzero(wanted)):
        place = np.full(comparisons.n_users, -1)
        place[users] = np.arange(len(users))
        rows = known[place[query.user[known]] >= 0]
        step = max(1, _BLOCK // max(1, bases[0].size))
        for start in range(0, len(rows), step):  # blocks, for memory
            some = rows[start : start + step]
            inside = np.einsum("nrf,nf->nr", bases[place[query.user[some]]], asked[some])
            share[some] = (1.0 - (inside**2).sum(axis=1)).clip(0.0, 1.0)
    # Where nothing differs there is nothing to borrow.
    return np.where((length > 0) | query.is_new, share, 0.0)


def _row_spaces(
    comparisons: Comparisons, scale: FloatArray, users: IntArray
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Blocks of users and orthonormal bases (b, r, d) of what each judged, padded with zeros."""
    d = comparisons.n_features
    users = users[np.argsort(-comparisons.counts[users], kind="stable")]
    done = 0
    while done < len(users):  # blocks, for memory; users with similar counts share a block
        most = int(comparisons.counts[users[done]])
        block = users[done : done + max(1, _BLOCK // (d * max(most, d)))]
        done += len(block)
        counts = comparisons.counts[block]
        row = comparisons.offsets[block][:, None] + np.arange(most)
        there = np.arange(most) < counts[:, None]
        rows = comparisons.difference[np.where(there, row, 0)] / scale * there[:, :, None]
        if most > d:  # the same row space in fewer rows
            values, vectors = np.linalg.eigh(np.swapaxes(rows, 1, 2) @ rows)
            kept = values > _RANK**2 * np.maximum(values[:, -1:], 1e-300)
            bases = np.swapaxes(vectors * kept[:, None, :], 1, 2)
        else:
            _, size, vectors = np.linalg.svd(rows, full_matrices=False)
            kept = size > _RANK * np.maximum(size[:, :1], 1e-300)
            bases = vectors * kept[:, :, None]
        yield block, bases
