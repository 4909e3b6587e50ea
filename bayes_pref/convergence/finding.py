"""What a convergence check found wrong."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Something that the convergence checks found wrong.

    Attributes
    ----------
    statistic
        "rhat", "ess_bulk", "ess_tail", "divergences", "bfmi", "pareto_k", "incomplete", ...
    parameter
        The worst parameter (or chain).
    value, threshold
        Its number, and the number from which the check fails.
    count
        How many parameters fail.
    message
        One sentence: the parameter, the number, the threshold and what to do.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> posterior.findings  # nothing found wrong
    ()
    """

    statistic: str
    parameter: str
    value: float
    threshold: float
    count: int
    message: str
