"""From the raw draws of an engine to sampler statistics, the record of the run, and findings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayes_pref.convergence import checks as convergence
from bayes_pref.convergence.finding import Finding
from bayes_pref.inference.raw_draws import RawDraws
from bayes_pref.posterior.run import Run


def check_draws(
    draws: xr.Dataset, raw: RawDraws, settings: Mapping[str, Any], seconds: float
) -> tuple[xr.Dataset, Run, tuple[Finding, ...]]:
    """Label the sampler's statistics, describe the run and check its convergence.

    Parameters
    ----------
    draws
        The labelled draws.
    raw
        What the engine returned.
    settings
        Name of the engine, as `name`, and its settings.
    seconds
        Running time.

    Returns
    -------
    sample_stats, run, findings
        Statistics of the sampler (chain, draw); how the draws were made; what the engine and the
        convergence checks found wrong.
    """
    stats = xr.Dataset(
        {name: (("chain", "draw"), each) for name, each in raw.stats.items()},
        coords={"chain": draws["chain"], "draw": draws["draw"]},
    )
    run = Run(
        engine=settings["name"],
        settings={k: value for k, value in settings.items() if k != "name"} | dict(raw.settings),
        exact=raw.exact,
        joint=raw.joint,
        draws=draws.sizes["draw"],
        seconds=seconds,
        complete=raw.complete,
        elbo=raw.elbo,
        pareto_k=raw.pareto_k,
        pareto_k_of=raw.pareto_k_of,
    )
    found = convergence.check(
        draws,
        stats,
        engine=run.engine,
        settings=run.settings,
        complete=run.complete,
        steps=None if run.elbo is None else run.elbo.steps,
        pareto_k=run.pareto_k,
    )
    return stats, run, (*raw.findings, *found)
