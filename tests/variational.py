"""Short variational fits, and a normal model whose posterior is known exactly."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pyro.poutine as poutine
import torch

import bayes_pref as bp
from bayes_pref.inference.svi.guides import latent_sites
from bayes_pref.inference.svi.user_model import UserModel, read_users


def quiet(engine: bp.Engine, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=11)


def svi(**settings: Any) -> bp.SVI:
    return bp.SVI(**({"progress": False, "draws": 1000} | settings))


def short(**settings: Any) -> bp.SVI:
    return svi(**({"draws": 20, "steps": 20, "window": 5} | settings))


def shops(sales: torch.Tensor, shop: torch.Tensor) -> None:
    """Normal all through, so that everything is known exactly; rows in any order."""
    mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
    with pyro.plate("shop", 6):
        true = pyro.sample("true", dist.Normal(mean, 1.0))
    with pyro.plate("sale", len(sales)):
        pyro.sample("sales", dist.Normal(true[shop], 2.0), obs=sales)


SHOP = torch.tensor([0, 5, 3, 3, 1, 4, 0, 2, 5, 5, 0])


SALES = torch.tensor([3.0, 1.0, 2.0, 4.0, 2.5, 3.5, -1.0, 0.0, 2.0, 5.0, 1.0], dtype=torch.float64)


def read(model: Any, *args: Any) -> UserModel | None:
    with torch.no_grad():
        trace = poutine.trace(model).get_trace(*args)
    return read_users(model, args, {}, latent_sites(trace.nodes))


def distance(posterior: bp.Posterior, exact: bp.Posterior, name: str) -> tuple[float, float, float]:
    """Largest distance of means in exact sds, smallest and largest ratio of sds."""
    a, b = posterior.draws[name], exact.draws[name]
    dims = ("chain", "draw")
    z = np.abs((a.mean(dims) - b.mean(dims)) / b.std(dims)).to_numpy()
    ratio = (a.std(dims) / b.std(dims)).to_numpy()
    return float(z.max()), float(ratio.min()), float(ratio.max())
