"""Errors over many verdicts: how many of the comparisons called confounded are expected not to be.

With p_n the posterior probability that comparison n is confounded, a set S of comparisons has the
posterior expected false discovery rate

    FDR(S) = sum_{n in S} (1 - p_n) / |S|

(Newton, Noueiry, Sarkar & Ahlquist 2004, Biostatistics 5). It holds whatever the dependence of the
verdicts, as each is counted by its own probability, and is right where these are. The largest set
within a rate takes comparisons in the order of p_n.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.types import FloatArray, Mask


def largest_set(p: FloatArray, fdr: float) -> Mask:
    """Return (n,) the largest set of comparisons whose expected false discovery rate is at most so.

    Comparisons of the same probability are in it together or not at all.

    Parameters
    ----------
    p
        (n,) probabilities that comparisons are confounded; NaN where that was not assessed.
    fdr
        The rate.

    Examples
    --------
    >>> largest_set(np.array([0.99, 0.2, 0.95, 0.92]), 0.05)
    array([ True, False,  True,  True])
    """
    known = np.sort(p[~np.isnan(p)])[::-1]
    if not known.size:
        return np.zeros(len(p), dtype=bool)
    expected = np.cumsum(1.0 - known) / np.arange(1, len(known) + 1)
    last = np.append(np.diff(known) < 0, True)  # of those with the same probability
    within = np.flatnonzero((expected <= fdr) & last)
    if not within.size:
        return np.zeros(len(p), dtype=bool)
    return np.asarray(p >= known[within[-1]])


def expected_fdr(p: FloatArray, called: Mask) -> float | None:
    """Return the expected share of those called confounded that are not; None if none is called.

    Examples
    --------
    >>> round(expected_fdr(np.array([0.99, 0.2, 0.95]), np.array([True, False, True])), 3)
    0.03
    """
    return float(1.0 - p[called].mean()) if called.any() else None


def called_within(
    evidence: pd.DataFrame, p: Sequence[float | None], thresholds: Thresholds, fdr: float | None
) -> pd.DataFrame:
    """Return the evidence, in which the largest set within `fdr` is confounded; None: as it was.

    One of the tests, with p-values `p` (None where one was not made), has to reject as ever: where
    none does, no comparison is confounded. What randomised comparisons resolve is cleared.
    """
    made = [each for each in p if each is not None]
    if fdr is None or not made:
        return evidence
    called = largest_set(evidence["p_confounded"].to_numpy(dtype=np.float64), fdr)
    called &= min(made) <= thresholds.permutation_level
    if "resolved" not in evidence:
        return evidence.assign(confounded=called)
    resolved = evidence["resolved"].to_numpy(dtype=bool)
    return evidence.assign(confounded=called & ~resolved, cleared=called & resolved)


def note_on_rate(rate: float | None, fdr: float | None) -> tuple[str, ...]:
    """Say how many of those called confounded are expected not to be.

    Examples
    --------
    >>> note_on_rate(0.0213, None)[0]
    'Of the comparisons called confounded, 2.1 % are expected not to be (posterior expected false
    discovery rate).'
    """
    if rate is None:
        return ()
    how = "" if fdr is None else f": the largest set with at most {100 * fdr:g} %"
    return (
        f"Of the comparisons called confounded, {100 * rate:.1f} % are expected not to be "
        f"(posterior expected false discovery rate){how}.",
    )
