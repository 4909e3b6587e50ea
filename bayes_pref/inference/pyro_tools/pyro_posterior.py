"""Draws of a model of the user's own: labelled, checked for convergence, ready for ArviZ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import xarray as xr

from bayes_pref import settings
from bayes_pref.convergence import checks as convergence
from bayes_pref.convergence.finding import Finding
from bayes_pref.inference.checked_draws import check_draws
from bayes_pref.inference.raw_draws import RawDraws
from bayes_pref.posterior.estimates import parameter_frame
from bayes_pref.posterior.renamed_attributes import missing_attribute
from bayes_pref.posterior.run import Run


@dataclass(frozen=True, eq=False, repr=False)
class PyroPosterior:
    """Draws from the posterior of any Pyro model.

    Attributes
    ----------
    draws
        The model's latent and deterministic sites, with dimensions chain, draw, and the site's
        own: a plate's by its name, others ``<site>_dim_<number>``.
    sample_stats
        Statistics of the sampler, (chain, draw).
    run
        How the draws were made: the engine, its settings, running time, and whether the run is
        complete.
    seed
        Random seed of the draws.
    findings
        What the convergence checks found; empty if all is well.

    Examples
    --------
    >>> import pyro.distributions as dist
    >>> import pyro, torch
    >>> import bayes_pref as bp
    >>> def coin(heads: torch.Tensor) -> None:
    ...     fairness = pyro.sample("fairness", dist.Beta(2.0, 2.0))
    ...     with pyro.plate("toss", len(heads)):
    ...         pyro.sample("heads", dist.Bernoulli(fairness), obs=heads)
    >>> engine = bp.NUTS(chains=2, progress=False)
    >>> engine.sample(coin, torch.ones(10), seed=1)
    <PyroPosterior of fairness: 2 chains x 1,000 draws by NUTS>
    """

    draws: xr.Dataset
    sample_stats: xr.Dataset
    run: Run
    seed: int
    findings: tuple[Finding, ...] = ()

    if not TYPE_CHECKING:  # a type checker would take every attribute to exist

        def __getattr__(self, name: str) -> Any:
            return missing_attribute(self, name)

    @property
    def idata(self) -> Any:
        """The draws as ArviZ bundles them: InferenceData (0.x) or DataTree (1.x)."""
        from bayes_pref.posterior import arviz_bridge  # ArviZ takes a second to import

        return arviz_bridge.to_idata({"posterior": self.draws, "sample_stats": self.sample_stats})

    def summary(self, *, interval: float = 0.9) -> pd.DataFrame:
        """Describe every parameter and how well it was sampled.

        Parameters
        ----------
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: one row a parameter; `mean`, `sd`, `lower`, `upper`, `rhat`, `ess_bulk`, `ess_tail`
        """
        interval = settings.interval(interval)
        return parameter_frame(list(self.draws.data_vars.values()), interval)

    def __repr__(self) -> str:
        sizes = self.draws.sizes
        chains = "1 chain" if sizes["chain"] == 1 else f"{sizes['chain']} chains"
        return (
            f"<PyroPosterior of {', '.join(map(str, self.draws))}: {chains} x "
            f"{sizes['draw']:,} draws by {self.run.engine}>"
        )


def build_pyro_posterior(
    drawn: RawDraws,
    dims: Mapping[str, tuple[str, ...]],
    settings: dict[str, Any],
    seconds: float,
    seed: int,
) -> PyroPosterior:
    """Label an engine's draws and check them; warns of what it finds.

    Parameters
    ----------
    dims
        Site -> names of its dimensions.
    settings
        Of the engine.
    """
    draws = xr.Dataset(
        {name: (("chain", "draw", *dims[name]), each) for name, each in drawn.sites.items()}
    )
    draws = draws.assign_coords({dim: range(size) for dim, size in draws.sizes.items()})
    stats, run, findings = check_draws(draws, drawn, settings, seconds)
    convergence.warn(findings)
    return PyroPosterior(draws=draws, sample_stats=stats, run=run, seed=seed, findings=findings)
