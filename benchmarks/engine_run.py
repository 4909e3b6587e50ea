"""Run one engine once, in a process of its own: `engine_run.py ENGINE data.npz settings.json out`.

The model is the same for all:

    mu_k ~ Normal(0, 2), tau_k ~ HalfNormal(1), R = I or R ~ LKJ(2),
    w_i ~ Normal(mu, diag(tau) R diag(tau)), choice ~ Bernoulli(sigmoid(d . w_i)),

all in float64, two chains at once on two cores. Timed is everything from data in memory to draws
in memory: building the model, compiling, warm-up and sampling. Importing packages is not.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray]
Result = tuple[Arrays, float]  # draws (chain, draw, ...) of mu, tau, weights; seconds

CHAINS = 2


def ours(engine: str) -> Callable[[Arrays, dict[str, Any]], Result]:
    """Runner of an engine of bayes_pref; the convergence checks of `fit` are not timed."""

    def run(data: Arrays, settings: dict[str, Any]) -> Result:
        import pandas as pd

        import bayes_pref as bp

        features = [f"feature_{k}" for k in range(data["difference"].shape[1])]
        frame = pd.DataFrame(data["difference"], columns=features)
        frame = frame.assign(user=data["user"], choice=data["choice"])
        comparisons = bp.Comparisons.from_frame(
            frame, user="user", choice="choice", difference=features
        )
        model = bp.HierarchicalReward(
            covariance=settings["covariance"],
            mean_sd=2.0,
            spread_sd=1.0,
            concentration=2.0,
            scale="raw",
        )
        chains = {} if engine == "SVI" else {"chains": CHAINS, "warmup": settings["warmup"]}
        made = getattr(bp, engine)(draws=settings["draws"], progress=False, **chains)
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        posterior = bp.fit(model, comparisons, made, seed=settings["seed"])
        users = comparisons.users[settings["users"]]
        draws = {name: posterior.draws[name].to_numpy() for name in ("mu", "tau")}
        draws["weights"] = posterior.draws["weights"].sel(user=users).to_numpy()
        return draws, posterior.run.seconds

    return run


def numpyro(data: Arrays, settings: dict[str, Any]) -> Result:
    """NumPyro's NUTS, non-centred, its chains in parallel."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist
    from numpyro.infer import MCMC, NUTS

    numpyro.enable_x64()
    numpyro.set_host_device_count(CHAINS)
    full = settings["covariance"] == "full"
    difference, user = jnp.asarray(data["difference"]), jnp.asarray(data["user"])
    choice, features = jnp.asarray(data["choice"]), data["difference"].shape[1]

    def model() -> None:
        mu = numpyro.sample("mu", dist.Normal(0.0, 2.0).expand([features]).to_event(1))
        tau = numpyro.sample("tau", dist.HalfNormal(1.0).expand([features]).to_event(1))
        shape = (int(data["user"].max()) + 1, features)
        z = numpyro.sample("z", dist.Normal(0.0, 1.0).expand(shape).to_event(2))
        if full:
            factor = numpyro.sample("factor", dist.LKJCholesky(features, 2.0))
            weights = mu + z @ (tau[:, None] * factor).T
        else:
            weights = mu + tau * z
        numpyro.deterministic("weights", weights[jnp.asarray(settings["users"])])
        eta = (difference * weights[user]).sum(-1)
        numpyro.sample("choice", dist.Bernoulli(logits=eta), obs=choice)

    started = time.perf_counter()
    sampler = MCMC(
        NUTS(model),
        num_warmup=settings["warmup"],
        num_samples=settings["draws"],
        num_chains=CHAINS,
        chain_method="parallel",
        progress_bar=False,
    )
    sampler.run(jax.random.PRNGKey(settings["seed"]))
    draws = sampler.get_samples(group_by_chain=True)
    found = {name: np.asarray(draws[name]) for name in ("mu", "tau", "weights")}
    return found, time.perf_counter() - started


def pymc(data: Arrays, settings: dict[str, Any]) -> Result:
    """PyMC's model, non-centred, sampled by nutpie on PyMC's compiled gradient."""
    import nutpie
    import pymc as pm
    import pytensor.tensor as pt

    full, features = settings["covariance"] == "full", data["difference"].shape[1]
    started = time.perf_counter()
    with pm.Model() as model:
        mu = pm.Normal("mu", 0.0, 2.0, shape=features)
        z = pm.Normal("z", 0.0, 1.0, shape=(int(data["user"].max()) + 1, features))
        if full:
            factor, _, _ = pm.LKJCholeskyCov(
                "factor", n=features, eta=2.0, sd_dist=pm.HalfNormal.dist(1.0, shape=features)
            )
            pm.Deterministic("tau", pt.sqrt((factor**2).sum(axis=1)))
            weights = mu + pt.dot(z, factor.T)
        else:
            tau = pm.HalfNormal("tau", 1.0, shape=features)
            weights = mu + tau * z
        pm.Deterministic("weights", weights[np.asarray(settings["users"])])
        eta = (data["difference"] * weights[data["user"]]).sum(axis=-1)
        pm.Bernoulli("choice", logit_p=eta, observed=data["choice"])
    trace = nutpie.sample(
        nutpie.compile_pymc_model(model),
        draws=settings["draws"],
        tune=settings["warmup"],
        chains=CHAINS,
        cores=CHAINS,
        seed=settings["seed"],
        progress_bar=False,
    )
    posterior = trace.posterior
    found = {name: np.asarray(posterior[name]) for name in ("mu", "tau", "weights")}
    return found, time.perf_counter() - started


RUNNERS: dict[str, Callable[[Arrays, dict[str, Any]], Result]] = {
    "Gibbs": ours("Gibbs"),
    "NUTS": ours("NUTS"),
    "SVI": ours("SVI"),
    "NumPyro": numpyro,
    "PyMC": pymc,
}


def main() -> None:
    """Run the engine that the command line names, and leave its draws in a file."""
    engine, data_file, settings_file, out = sys.argv[1:]
    settings = json.loads(Path(settings_file).read_text(encoding="utf-8"))
    with np.load(data_file) as file:
        data = {name: file[name] for name in file.files}
    draws, seconds = RUNNERS[engine](data, settings)
    partial = Path(out).with_suffix(".partial.npz")
    np.savez(partial, seconds=seconds, **draws)
    partial.replace(out)  # whole or not at all


if __name__ == "__main__":
    main()
