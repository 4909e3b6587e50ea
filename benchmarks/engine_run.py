"""Run one engine once, in a process of its own: `engine_run.py ENGINE data.npz settings.json out`.

The model is the same for all:

    mu_k ~ Normal(0, 2), tau_k ~ HalfNormal(1), R = I or R ~ LKJ(2),
    w_i ~ Normal(mu, diag(tau) R diag(tau)), choice ~ Bernoulli(sigmoid(d . w_i))

or, for the data of another choice model, with that and its priors in bayes_pref; all in float64,
two chains at once on two cores. Timed is everything from data in memory to draws
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
from engine_data import LEVELS, PLACES
from numpy.typing import NDArray

Arrays = dict[str, NDArray]
Result = tuple[Arrays, float]  # draws (chain, draw, ...) of mu, tau, weights ...; seconds

CHAINS = 2
OF_CHOICE = {"ties": "tie", "ordinal": "cutpoints"}  # parameters of choice models


def ours(engine: str) -> Callable[[Arrays, dict[str, Any]], Result]:
    """Runner of an engine of bayes_pref; the convergence checks of `fit` are not timed."""

    def run(data: Arrays, settings: dict[str, Any]) -> Result:
        import bayes_pref as bp

        comparisons = _comparisons(data, settings["data"])
        model = bp.HierarchicalReward(
            covariance=settings["covariance"],
            link="probit" if settings["data"] == "probit" else "logit",
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
        names = ["mu", "tau", *set(OF_CHOICE.values()) & set(posterior.draws)]
        draws = {name: posterior.draws[name].to_numpy() for name in names}
        draws["weights"] = posterior.draws["weights"].sel(user=users).to_numpy()
        return draws, posterior.run.seconds

    return run


def _comparisons(data: Arrays, name: str) -> Any:
    """Read the data as a user would, from a table."""
    import pandas as pd

    import bayes_pref as bp

    def table(values: NDArray, user: NDArray) -> tuple[pd.DataFrame, list[str]]:
        features = [f"feature_{k}" for k in range(values.shape[1])]
        return pd.DataFrame(values, columns=features).assign(user=user), features

    if "shown" not in data:
        frame, features = table(data["difference"], data["user"])
        levels = None
        frame["choice"] = data["choice"]
        if name == "ordinal":
            levels = np.unique(data["choice"]).tolist()
        return bp.Comparisons.from_frame(
            frame, user="user", choice="choice", difference=features, levels=levels
        )
    tasks, size, count = data["shown"].shape
    frame, features = table(data["shown"].reshape(-1, count), np.repeat(data["user"], size))
    place = np.tile(np.arange(size), tasks)
    frame["task"] = np.repeat(np.arange(tasks), size)
    asked = {"choice": place == 0}
    if name == "best_worst":
        asked = {"best": place == 0, "worst": place == size - 1}
    elif name == "ranking":
        asked = {"rank": np.where(place < PLACES, place + 1.0, np.nan)}
    return bp.Comparisons.from_tasks(
        frame.assign(**asked),
        user="user",
        task="task",
        attributes=features,
        **{column: column for column in asked},
    )


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
    user, name = jnp.asarray(data["user"]), settings["data"]
    attributes = jnp.asarray(data["shown" if "shown" in data else "difference"])
    choice, features = jnp.asarray(data.get("choice", 0.0)), attributes.shape[-1]

    def answers(eta: Any) -> None:
        """The choice model at log-odds (n,), or at rewards (n, k) in the order of the answer."""
        if name == "ties":
            tie = numpyro.sample("tie", dist.Normal(-1.0, 1.5))
            scores = jnp.stack([-eta / 2, jnp.full_like(eta, tie), eta / 2], axis=-1)
            outcome = jnp.rint(2 * choice).astype(int)
            numpyro.sample("choice", dist.Categorical(logits=scores), obs=outcome)
        elif name == "ordinal":
            shares = numpyro.sample("shares", dist.Dirichlet(jnp.ones(LEVELS)))
            below = jnp.cumsum(shares)[:-1]
            cuts = numpyro.deterministic("cutpoints", jnp.log(below) - jnp.log1p(-below))
            level = jnp.rint((LEVELS - 1) * choice).astype(int)
            numpyro.sample("choice", dist.OrderedLogistic(eta, cuts), obs=level)
        elif name == "probit":
            numpyro.factor("choice", jax.scipy.special.log_ndtr((2 * choice - 1) * eta).sum())
        elif eta.ndim == 1:
            numpyro.sample("choice", dist.Bernoulli(logits=eta), obs=choice)
        else:
            total = 0.0
            for place in range(PLACES if name == "ranking" else 1):
                left = eta[:, place:]
                total += (left[:, 0] - jax.nn.logsumexp(left, axis=1)).sum()
            if name == "best_worst":
                rest = -eta[:, 1:]
                total += (rest[:, -1] - jax.nn.logsumexp(rest, axis=1)).sum()
            numpyro.factor("choice", total)

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
        if attributes.ndim == 2:
            answers((attributes * weights[user]).sum(-1))
        else:
            answers(jnp.einsum("nkd,nd->nk", attributes, weights[user]))

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
    kept = ["mu", "tau", "weights", *set(OF_CHOICE.values()) & set(draws)]
    found = {name: np.asarray(draws[name]) for name in kept}
    return found, time.perf_counter() - started


def pymc(data: Arrays, settings: dict[str, Any]) -> Result:
    """PyMC's model of pairs, non-centred, sampled by nutpie on PyMC's compiled gradient."""
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
