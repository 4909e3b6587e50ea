"""Posteriors made by hand: real comparisons, and draws that no sampler had to find."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.draws import label
from bayes_pref.models import HierarchicalReward, PooledReward, RewardModel
from bayes_pref.posterior import Finding, Posterior, Run

ATTRIBUTES = ("length", "tone", "tact")


def made_comparisons(
    users: Sequence[Hashable] = ("zoe", "ann", "bob", "kim"),
    *,
    name: str = "user",
    rows: int = 30,
    interactions: bool = False,
    covariates: bool = False,
    seed: int = 0,
) -> Comparisons:
    """Comparisons of these users, in this order, with unequal numbers of rows."""
    rng = np.random.default_rng(seed)
    who = [*users, *(users[k] for k in rng.integers(len(users), size=rows - len(users)))]
    frame = pd.DataFrame(rng.normal(size=(rows, 3)).round(2), columns=list(ATTRIBUTES))
    frame = frame.assign(hard=rng.normal(size=rows), chosen=rng.integers(0, 2, size=rows))
    frame[name] = pd.Series(who, dtype=pd.Index(list(users)).dtype)
    frame = pd.concat([frame, frame])  # two rows a user at least: one would warn
    frame.index = pd.Index([f"row {k}" for k in range(len(frame))])
    known = pd.DataFrame({name: list(users), "age": rng.normal(40.0, 10.0, size=len(users))})
    return Comparisons.from_frame(
        frame,
        user=name,
        choice="chosen",
        difference=list(ATTRIBUTES),
        context=["hard"],
        interactions=[("tone", "hard")] if interactions else None,
        covariates=known if covariates else None,
    )


def made_votes() -> Comparisons:
    """Comparisons of items with a reward each."""
    rng = np.random.default_rng(3)
    drinks = ["tea", "milk", "mate"]
    pairs = np.array([rng.permutation(3)[:2] for _ in range(24)])
    votes = pd.DataFrame(np.array(drinks)[pairs], columns=["first", "second"])
    votes = votes.assign(user=np.arange(24) % 4, chosen=rng.integers(0, 2, size=24))
    return Comparisons.from_items(votes, user="user", left="first", right="second", choice="chosen")


def made_posterior(
    comparisons: Comparisons | None = None,
    model: RewardModel | None = None,
    *,
    chains: int = 2,
    draws: int = 50,
    seed: int = 0,
    findings: tuple[Finding, ...] = (),
) -> Posterior:
    """Independent normal draws around random centres, in the model's variables."""
    comparisons = made_comparisons() if comparisons is None else comparisons
    model = HierarchicalReward() if model is None else model
    rng = np.random.default_rng(seed)
    lengths = {
        "user": comparisons.n_users,
        "feature": comparisons.n_features,
        "feature_bis": comparisons.n_features,
        "covariate": len(comparisons.covariate_names),
        "context": len(comparisons.features.contexts),
        "factor": getattr(model, "rank", 0),
        "component": getattr(model, "components", 0),
        "cutpoint": len(comparisons.outcome.boundaries),
    }
    variables = model.variables(comparisons)
    values: dict[str, Any] = {}
    for name, dims in variables.items():
        shape = tuple(lengths[dim] for dim in dims)
        values[name] = rng.normal(size=shape) + 0.5 * rng.normal(size=(chains, draws, *shape))
    if "tau" in values:
        values["tau"] = np.abs(values["tau"]) + 0.1
    if "cutpoints" in values:
        values["cutpoints"] = np.sort(values["cutpoints"], axis=-1)
    if "careless" in values:
        values["careless"] = (values["careless"] > 1.0).astype(float)
        values["careless_share"] = 1.0 / (1.0 + np.exp(-values["careless_share"]))
    if "lapse" in values:
        values["lapse"] = 0.1 / (1.0 + np.exp(-values["lapse"]))
    if "correlation" in values:
        d = comparisons.n_features
        factor = rng.normal(size=(chains, draws, d, 3 * d))
        factor /= np.linalg.norm(factor, axis=-1, keepdims=True)
        values["correlation"] = factor @ np.swapaxes(factor, -1, -2)
    data = label(values, variables, comparisons)
    stats = xr.Dataset(
        {
            "lp": (("chain", "draw"), rng.normal(size=(chains, draws))),
            "diverging": (("chain", "draw"), np.zeros((chains, draws), dtype=bool)),
            "steps": (("chain", "draw"), rng.integers(1, 8, size=(chains, draws))),
        },
        coords={"chain": data["chain"], "draw": data["draw"]},
    )
    settings = {"draws": draws, "chains": chains, "warmup": 10, "cores": None}
    run = Run(engine="Gibbs", settings=settings, exact=True, joint=True, draws=draws, seconds=1.25)
    return Posterior(model, comparisons, data, stats, run, 7, findings)


def pooled_posterior(comparisons: Comparisons | None = None) -> Posterior:
    """As `made_posterior`, of a model in which everyone has the same weights."""
    return made_posterior(comparisons, PooledReward())


def draws_by_feature(posterior: Posterior) -> dict[str, np.ndarray]:
    """Draws (user, sample) of each weight."""
    drawn = posterior.weights_draws().transpose("feature", "user", "chain", "draw").to_numpy()
    drawn = drawn.reshape(*drawn.shape[:2], -1)
    return dict(zip(posterior.comparisons.feature_names, drawn, strict=True))
