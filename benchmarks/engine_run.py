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
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from engine_data import PLACES
from engine_peers import CHAINS, OF_CHOICE, Arrays, Result, mams, numpyro, nutpie_low_rank, pymc
from numpy.typing import NDArray


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


RUNNERS: dict[str, Callable[[Arrays, dict[str, Any]], Result]] = {
    "Gibbs": ours("Gibbs"),
    "NUTS": ours("NUTS"),
    "SVI": ours("SVI"),
    "NumPyro": numpyro,
    "MAMS": mams,
    "PyMC": pymc,
    "nutpie": nutpie_low_rank,
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
