"""The families that SVI chooses from by name, each with what it cannot represent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.poutine as poutine
import torch
from pyro.infer import Trace_ELBO, autoguide

from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.inference.guides import ConditionalGuide, latent_sites
from bayes_pref.inference.standardise import standardise_all, standardise_population
from bayes_pref.models.minibatch import Codes, user_of_row

Tensor = torch.Tensor
Call = Callable[..., Any]

_EARLY_LOOKS, _LOOK_EVERY = 20, 5
_FEW = 4  # candidates while the rate is still high

LIMITS = {
    "mean_field": (
        "guide='mean_field' cannot represent correlations, neither between features nor between "
        "the population and its users (the funnel): the population's sds come out too small, often "
        "by half; use Gibbs, NUTS or guide='auto' before you rely on intervals"
    ),
    "low_rank": (
        "guide='low_rank' represents {rank} directions of correlation among {size:,} parameters "
        "and no funnel between the spread of users and their weights: sds come out too small; use "
        "Gibbs, NUTS or guide='auto' before you rely on intervals"
    ),
    "auto": (
        "guide='auto' cannot represent a population whose unconstrained sites (log tau) are not "
        "Gaussian, and follows users' skewed posteriors only as far as {candidates} candidates "
        "reach: means of features on which few users reveal much are drawn towards zero; raise "
        "candidates=, or use Gibbs or NUTS"
    ),
}


@dataclass
class Family:
    """A guide with all that the engine does with it.

    Attributes
    ----------
    model, guide, loss
        For Pyro's SVI.
    draw
        Returns the values of the model's latent sites and the log importance weight of one draw.
    look
        Called before a step with its number, whether the rate is below the first, and the step's
        users; improves what gradients do not.
    """

    model: Call
    guide: Call
    loss: Any
    draw: Callable[[], tuple[dict[str, Tensor], float]]
    look: Callable[[int, bool, Codes | None], None]


def auto(model: Call, comparisons: Comparisons, candidates: int) -> Family:
    """Build the guide of `guides`; few candidates will do while the rate is high."""
    flat = poutine.reparam(model, config=standardise_population)
    guide = ConditionalGuide(flat, user_of_row, comparisons)
    count = min(_FEW, candidates)

    def loss(_: Call, __: Call, *args: Any, **kwargs: Any) -> Tensor:
        return -guide.candidates(count, *args, **kwargs).objective()

    def look(step: int, sharp: bool, users: Codes | None) -> None:
        nonlocal count
        count = candidates if sharp else min(_FEW, candidates)
        if users is not None:
            guide.refine(torch.tensor(users), candidates, comparisons, users=users)
        elif step < _EARLY_LOOKS or step % _LOOK_EVERY == 0:
            guide.refine(slice(None), candidates, comparisons)

    def draw() -> tuple[dict[str, Tensor], float]:
        found = guide.candidates(candidates, comparisons)
        return found.resampled(), float(found.log_evidence())

    return Family(flat, guide, loss, draw, look)


def pyro_guide(
    model: Call, comparisons: Comparisons, guide: str | Call, rank: int, *, batched: bool
) -> Family:
    """Pyro's own guides by name, or the user's guide."""
    flat = model if callable(guide) else poutine.reparam(model, config=standardise_all)
    trace = poutine.trace(flat).get_trace(comparisons)
    latent = latent_sites(trace)
    if callable(guide):
        made = guide
    elif guide == "mean_field":
        plates = {plate.name for site in latent.values() for plate in site["cond_indep_stack"]}
        subsampled = batched and "user" in plates
        made = autoguide.AutoNormal(flat, create_plates=_user_plate if subsampled else None)
        made(comparisons)
    else:
        made = autoguide.AutoLowRankMultivariateNormal(flat, rank=rank)
    if callable(guide):
        _expect_all(latent, made, comparisons)

    def draw() -> tuple[dict[str, Tensor], float]:
        drawn = poutine.trace(made).get_trace(comparisons)
        replayed = poutine.trace(poutine.replay(flat, trace=drawn)).get_trace(comparisons)
        values = {name: replayed.nodes[name]["value"] for name in latent}
        return values, float(replayed.log_prob_sum() - drawn.log_prob_sum())

    return Family(flat, made, Trace_ELBO(), draw, lambda *_: None)


def _user_plate(comparisons: Comparisons, users: Codes | None = None) -> Any:
    """The plate that a mini-batch subsamples, for guides that make plates themselves."""
    subsample = None if users is None else torch.tensor(users)
    return pyro.plate("user", comparisons.n_users, subsample=subsample, dim=-1)


def _expect_all(latent: dict[str, Any], guide: Call, comparisons: Comparisons) -> None:
    """Refuse a guide that leaves out a site, which Pyro would silently draw from its prior."""
    trace = poutine.trace(guide).get_trace(comparisons)
    absent = [name for name in latent if name not in trace.nodes]
    if absent:
        raise ModelError(
            f"the guide has no site {absent[0]!r}; it must sample {', '.join(latent)} under the "
            "names that the model gives them"
        )
