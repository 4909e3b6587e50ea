"""Findings: what a convergence check found wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A convergence check that failed.

    Attributes
    ----------
    statistic
        "rhat", "ess_bulk", "ess_tail", "divergences", "bfmi", "pareto_k", "incomplete", ...
    parameter
        The worst parameter or chain.
    value, threshold
        Value of the statistic, and the threshold at which the check fails.
    count
        Number of parameters that fail.
    message
        One sentence: the parameter, the value, the threshold and what to do.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> posterior.findings  # all checks passed
    ()
    """

    statistic: str
    parameter: str
    value: float
    threshold: float
    count: int
    message: str
