"""Findings: what a convergence check found wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


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
    settings
        Settings of the engine that are advised, by name; empty where other advice is given.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> posterior.findings  # all checks passed
    ()
    """

    statistic: str
    parameter: str
    value: float
    threshold: float
    count: int
    message: str
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)


def engine_call(engine: str, settings: Mapping[str, Any]) -> str:
    """Write an engine with its settings in Python, as the messages of findings do.

    Examples
    --------
    >>> engine_call("Gibbs", {"draws": 2000, "thin": 4})
    'Gibbs(draws=2000, thin=4)'
    """
    return f"{engine}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"
