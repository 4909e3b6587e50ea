"""Sites as standard normals: what a sampler or an optimiser moves then has no unit.

Users' weights become deviations from the population in units of its spread (non-centred), which
removes the funnel between the two (Papaspiliopoulos et al. 2007); a population's mean becomes a
number of prior sds, whatever the unit of its feature.
"""

from __future__ import annotations

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from pyro.infer.reparam import LocScaleReparam
from pyro.infer.reparam.reparam import Reparam


class MultivariateNormalReparam(Reparam):  # type: ignore[misc]
    """Sample a multivariate normal site as its Cholesky factor times standard normals."""

    def apply(self, msg: dict[str, Any]) -> dict[str, Any]:
        """Replace the site."""
        fn = msg["fn"]
        noise = pyro.sample(
            f"{msg['name']}_decentered",
            dist.Normal(torch.zeros_like(fn.loc), torch.ones_like(fn.loc)).to_event(1),
        )
        value = fn.loc + (fn.scale_tril @ noise[..., None]).squeeze(-1)
        return {
            "fn": dist.Delta(value, event_dim=1).mask(False),
            "value": value,
            "is_observed": True,
        }


def standardise_population(site: dict[str, Any]) -> Reparam | None:
    """Choose how to sample a site: Gaussian sites outside of plates as standard normals."""
    return None if site["cond_indep_stack"] else standardise_all(site)


def standardise_all(site: dict[str, Any]) -> Reparam | None:
    """Choose how to sample a site: every Gaussian one as standard normals."""
    # What a replaced site samples comes by here as well.
    if site["is_observed"] or site["name"].endswith("_decentered"):
        return None
    fn = site["fn"]
    while isinstance(fn, dist.Independent):
        fn = fn.base_dist
    if isinstance(fn, dist.MultivariateNormal):
        return MultivariateNormalReparam()
    return LocScaleReparam(0.0) if isinstance(fn, dist.Normal) else None
