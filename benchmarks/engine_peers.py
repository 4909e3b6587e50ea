"""The peers that the benchmark of engines compares with, on the model of `engine_run`.

NumPyro's NUTS; blackjax's adjusted microcanonical sampler on the same density; and PyMC's model
sampled by nutpie, as it comes and with its low-rank modified mass matrix.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from engine_data import LEVELS, PLACES
from numpy.typing import NDArray

Arrays = dict[str, NDArray]
Result = tuple[Arrays, float]  # draws (chain, draw, ...) of mu, tau, weights ...; seconds

CHAINS = 2
OF_CHOICE = {"ties": "tie", "ordinal": "cutpoints"}  # parameters of choice models


def numpyro_model(data: Arrays, settings: dict[str, Any]) -> Callable[[], None]:
    """Return the non-centred model in NumPyro, with float64 and a device for each chain."""
    import jax
    import jax.numpy as jnp
    import numpyro
    import numpyro.distributions as dist

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

    return model


def numpyro(data: Arrays, settings: dict[str, Any]) -> Result:
    """NumPyro's NUTS, non-centred, its chains in parallel."""
    import jax
    from numpyro.infer import MCMC, NUTS

    model = numpyro_model(data, settings)
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


def mams(data: Arrays, settings: dict[str, Any]) -> Result:
    """Blackjax's Metropolis-adjusted microcanonical sampler, its chains in parallel.

    NumPyro's model; tuned by its authors' procedure (Robnik, Cohn-Gordon & Seljak 2025, arXiv
    2503.01707): acceptance 0.9, a diagonal preconditioner, trajectories of random length.
    """
    model = numpyro_model(data, settings)  # before blackjax starts JAX, and with it the devices

    import blackjax
    import jax
    from blackjax.mcmc import adjusted_mclmc_dynamic as dynamic
    from numpyro.infer.util import initialize_model

    started = time.perf_counter()
    keys = jax.random.split(jax.random.PRNGKey(settings["seed"]), CHAINS)
    info = initialize_model(keys, model)

    def log_density(position: Any) -> Any:
        return -info.potential_fn(position)

    kernel = dynamic.build_kernel(dynamic.make_random_trajectory_length_fn(True))

    def chain(key: Any, position: Any) -> Any:
        first, tuning, running = jax.random.split(key, 3)
        tuned, found, _ = blackjax.adjusted_mclmc_find_L_and_step_size(
            mclmc_kernel=kernel,
            logdensity_fn=log_density,
            num_steps=5 * settings["warmup"],  # of which two stages of tuning take a tenth each
            state=dynamic.init(position, log_density, first),
            rng_key=tuning,
            target=0.9,
        )

        def draw(state: Any, key: Any) -> Any:
            state, _ = kernel(
                key,
                state,
                log_density,
                found.step_size,
                inverse_mass_matrix=found.inverse_mass_matrix,
                integration_steps_params=(found.L / found.step_size,),
            )
            sites = info.postprocess_fn(state.position)
            kept = {"mu", "tau", "weights", *OF_CHOICE.values()} & set(sites)
            return state, {name: sites[name] for name in sorted(kept)}

        return jax.lax.scan(draw, tuned, jax.random.split(running, settings["draws"]))[1]

    draws = jax.pmap(chain)(keys, info.param_info.z)
    return {name: np.asarray(each) for name, each in draws.items()}, time.perf_counter() - started


def pymc(data: Arrays, settings: dict[str, Any], *, low_rank: bool = False) -> Result:
    """PyMC's model of pairs, non-centred, sampled by nutpie on PyMC's compiled gradient.

    `low_rank`: by JAX's gradient, with a diagonal mass matrix that has a correction of low rank.
    """
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
    backend = {"backend": "jax", "gradient_backend": "jax"} if low_rank else {}
    trace = nutpie.sample(
        nutpie.compile_pymc_model(model, **backend),
        low_rank_modified_mass_matrix=low_rank,
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


def nutpie_low_rank(data: Arrays, settings: dict[str, Any]) -> Result:
    """Sample PyMC's model by nutpie with its low-rank modified mass matrix, on JAX's gradient."""
    return pymc(data, settings, low_rank=True)
