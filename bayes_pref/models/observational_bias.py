"""The bias of a log, where a share of the comparisons was assigned at random.

Rows that were assigned at random tell what users want. The others, the log, tell the same plus a
bias, in every direction of the features with a scale of its own:

    eta_n = d_n . w_i + (1 - r_n) d_n . b_i,    r_n = 1 where the row was assigned at random
    b_ik ~ Normal(b_k, t_k^2),  t_k ~ HalfNormal(spread_sd / 2 / scale of feature k)
    b_k ~ Normal(0, s_k^2),     s_k ~ HalfCauchy(bias_sd / scale of feature k)

An honest log agrees with the randomised rows, s is then small, and all rows speak of w. Where the
log disagrees, s is large and only the randomised rows speak: the tails of the half-Cauchy never let
the log override them (the horseshoe prior of Carvalho, Polson & Scott 2010, Biometrika 97, for
differences of a source to be borrowed from; compare power priors, Ibrahim & Chen 2000, Stat. Sci.
15). `t` is how much users differ in the bias. It does not share s: biases that are the same for all
users would then be shrunk.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyro
import pyro.distributions as dist
import torch
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.types import FloatArray, Mask

SITE = "observational_bias"
USERS = "user_observational_bias"


@dataclass(frozen=True, eq=False)
class ObservationalBias:
    """The prior of the bias, and the rows that have it.

    Attributes
    ----------
    scale
        (n_features,): scale of the half-Cauchy prior of s, log-odds per raw unit.
    spread_sd
        (n_features,): scale of the half-normal prior of t, log-odds per raw unit.
    logged
        (n,) rows that were not assigned at random.
    """

    scale: FloatArray
    spread_sd: FloatArray
    logged: Mask

    @classmethod
    def read(
        cls, comparisons: Comparisons, scale: FloatArray, spread_sd: FloatArray
    ) -> ObservationalBias:
        """Read which rows are the log.

        Raises
        ------
        ModelError
            If none was assigned at random, or all were.
        """
        randomised = comparisons.randomised
        if not has_log(comparisons) or randomised is None:
            found = "all" if randomised is not None and randomised.any() else "none"
            remedy = (
                "leave observational_bias out"
                if found == "all"
                else "name the column that marks those assigned at random as randomised=... when "
                "reading the data"
            )
            raise ModelError(
                "HierarchicalReward(observational_bias=True) compares the log with pairs assigned "
                f"at random, and {found} of these comparisons are; {remedy}"
            )
        return cls(scale, spread_sd, ~randomised)


def has_log(comparisons: Comparisons) -> bool:
    """Whether some comparisons were assigned at random and others were not."""
    randomised = comparisons.randomised
    return randomised is not None and bool(randomised.any()) and not bool(randomised.all())


def bias_sites(bias: ObservationalBias) -> dist.Distribution:
    """Sample s, b and t, and return the distribution of users' biases."""
    scale = torch.as_tensor(bias.scale)
    s = pyro.sample("bias_scale", dist.HalfCauchy(scale).to_event(1))
    mean = pyro.sample(SITE, dist.Normal(torch.zeros_like(scale), s).to_event(1))
    scale_of_spread = torch.as_tensor(bias.spread_sd)
    spread = pyro.sample("bias_spread", dist.HalfNormal(scale_of_spread).to_event(1))
    return dist.Normal(mean, spread).to_event(1)


def rows_with_bias(
    weights: xr.DataArray, draws: xr.Dataset, comparisons: Comparisons
) -> tuple[xr.DataArray, FloatArray]:
    """Weights and differences of the fitted rows, such that their products are the log-odds.

    Parameters
    ----------
    weights
        (chain, draw, user, feature)
    draws
        Draws of the same samples and users.
    comparisons
        The fitted rows.

    Returns
    -------
    weights, (n, d) differences; where the log has a bias, both with the bias as further features
    """
    if USERS not in draws:
        return weights, comparisons.difference
    assert comparisons.randomised is not None  # or there were no such draws
    bias = draws[USERS].assign_coords(
        feature=[f"{name} (log)" for name in comparisons.feature_names]
    )
    logged = comparisons.difference * ~comparisons.randomised[:, None]
    return xr.concat([weights, bias], "feature"), np.hstack([comparisons.difference, logged])
