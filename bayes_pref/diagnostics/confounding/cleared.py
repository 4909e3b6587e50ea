"""Which comparisons a share of randomised ones clears: what a report says of it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.confounding_shift import Confounding
from bayes_pref.diagnostics.confounding.randomised_share import RandomisedShare
from bayes_pref.types import Mask


class Share(NamedTuple):
    """What the randomised comparisons add to a report.

    Attributes
    ----------
    columns
        Of `Report.comparisons`.
    evidence
        `confounded`, and with randomised comparisons `cleared`, `resolved` and their number.
    notes
        Sentences on what was found.
    """

    columns: pd.DataFrame
    evidence: pd.DataFrame
    notes: tuple[str, ...]


def with_share(found: Confounding, comparisons: Comparisons) -> Share:
    """Divide what would be confounded by the log into what is cleared and what is not."""
    if found.share is None or found.randomised_p is None:
        return Share(pd.DataFrame(), pd.DataFrame({"confounded": found.confounded}), ())
    return share_of(found.share, found.confounded, found.randomised_p, comparisons)


def share_of(
    share: RandomisedShare, by_log: Mask, randomised_p: float, comparisons: Comparisons
) -> Share:
    """Say what a randomised share clears of the comparisons (n,) that the log would confound.

    Parameters
    ----------
    share
        What the randomised comparisons say.
    by_log
        (n,) which would be confounded by the log alone.
    randomised_p
        P-value of the test that the log is answered as they are.
    comparisons
        The fitted ones.
    """
    assert comparisons.randomised is not None  # or there were no share
    columns = share.shifts[["p_do_lower", "p_do_upper"]].assign(randomised_needed=share.needed)
    task = comparisons.outcome.tasks(len(comparisons))
    count = len(np.unique(task[comparisons.randomised]))
    evidence = pd.DataFrame(
        {
            "confounded": by_log & ~share.resolved,
            "cleared": by_log & share.resolved,
            "resolved": share.resolved,
            "randomised_count": np.full(len(by_log), count),
        }
    )
    cleared, flagged = int((by_log & share.resolved).sum()), int(by_log.sum())
    note = (
        f"{count:,} of {task[-1] + 1:,} comparisons were assigned at random and govern p_do; p_obs "
        "is what the others, the log, say. The hypothesis that both are answered alike has p = "
        f"{randomised_p:.2g} (score test). Of {flagged:,} comparisons that the log alone "
        f"would confound, {cleared:,} are cleared."
    )
    return Share(columns, evidence, (note,))
