"""The guides that SVI has by name, and what each of them cannot represent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.poutine as poutine
import torch
from pyro.infer import Trace_ELBO, autoguide
from pyro.poutine.util import site_is_subsample

from bayes_pref.errors import ModelError
from bayes_pref.inference.pyro_tools.reparametrise import standardised
from bayes_pref.inference.svi.hierarchical_guide import PerUserGuide
from bayes_pref.inference.svi.minibatch import ChosenIndices, plate_of_latents
from bayes_pref.inference.svi.user_model import read_users

Tensor = torch.Tensor
Call = Callable[..., Any]
Nodes = Mapping[str, dict[str, Any]]

_MOST_JOINT = 1000  # parameters that one full covariance can hold

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
        "guide='auto' cannot represent users whose answers all point one way, so that their "
        "posterior is skewed, nor a spread (tau) that may well be zero: where users differ most, "
        "the mean and the spread come out too small, by two sds at worst on real data; compare "
        "with Gibbs or NUTS before you rely on them"
    ),
    "own": (
        "your guide is far from the posterior; give it more of the posterior's correlations, or "
        "compare with guide='auto', Gibbs or NUTS"
    ),
}


@dataclass(frozen=True, eq=False)
class Family:
    """A guide, with the model in the form that it is a guide for.

    Attributes
    ----------
    model, guide, loss
        For Pyro's SVI.
    draw
        Returns a draw of the latent sites, which determine all others, and its log importance
        weight.
    weighed
        Which parameters the importance weight is of.
    """

    model: Call
    guide: Call
    loss: Any
    draw: Callable[[], tuple[dict[str, Tensor], float]]
    weighed: str


def latent_sites(nodes: Nodes) -> dict[str, dict[str, Any]]:
    """Unobserved random sites among the nodes of a trace, in order.

    Raises
    ------
    ModelError
        If one of them is discrete, a plate takes a random subsample of its own, or there is none.
    """
    found = {}
    for name, node in nodes.items():
        if node["type"] != "sample" or node["is_observed"]:
            continue
        if site_is_subsample(node):
            if node["fn"].subsample_size not in (None, node["fn"].size):
                raise ModelError(
                    f"plate {name!r} takes a random subsample of its own: leave subsample_size "
                    "out, use the plate's indices in the model, and ask for SVI(batch=...)"
                )
            continue
        if node["fn"].support.is_discrete:
            raise ModelError(
                f"site {name!r} is discrete and has no gradient for SVI: marginalise it out by "
                "hand, or use NUTS, which marginalises out what Pyro can enumerate"
            )
        found[name] = node
    if not found:
        raise ModelError("the model has no latent site")
    return found


def build(
    guide: str | Call,
    model: Call,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    nodes: Nodes,
    *,
    candidates: int,
    rank: int,
    batch: int | None = None,
) -> Family:
    """Build a guide by its name, or take the user's; `nodes` are those of a trace of the model."""
    latent = latent_sites(nodes)
    if callable(guide):
        _expect_all(latent, guide, args, kwargs)
        return _plain(model, guide, args, kwargs, list(latent))
    if guide == "auto":
        in_plates = [name for name, node in latent.items() if node["cond_indep_stack"]]
        flat = standardised(model, nodes, but=in_plates)
        with _some(latent, batch):  # of all users that would take as long as many steps
            trace = poutine.trace(flat).get_trace(*args, **kwargs)
            users = read_users(flat, args, kwargs, latent_sites(trace.nodes))
        if users is not None:
            made = PerUserGuide(users, candidates, batch)
            return Family(flat, made.population, made.loss, made.draw, "the population")
        size = sum(node["value"].numel() for node in latent.values())
        if size > _MOST_JOINT:
            raise ModelError(
                f"guide='auto' knows one plate of users, at dim=-1, whose sites are Gaussian given "
                f"the rest; this model has no such plate, and its {size:,} parameters are too "
                f"many for one joint Gaussian (at most {_MOST_JOINT:,}): use guide='mean_field', "
                "'low_rank' or a guide of your own"
            )
    flat = standardised(model, nodes)
    trace = poutine.trace(flat).get_trace(*args, **kwargs)
    names = list(latent_sites(trace.nodes))
    if guide == "mean_field":
        frames = {frame for name in names for frame in trace.nodes[name]["cond_indep_stack"]}

        def plates(*_: Any, **__: Any) -> list[Any]:
            return [pyro.plate(frame.name, frame.full_size, dim=frame.dim) for frame in frames]

        built = autoguide.AutoNormal(flat, create_plates=plates)
    elif guide == "low_rank":
        built = autoguide.AutoLowRankMultivariateNormal(flat, rank=rank)
    else:
        built = autoguide.AutoMultivariateNormal(flat)
    built(*args, **kwargs)
    return _plain(flat, built, args, kwargs, names)


def _plain(
    model: Call, guide: Call, args: Sequence[Any], kwargs: Mapping[str, Any], names: list[str]
) -> Family:
    def draw() -> tuple[dict[str, Tensor], float]:
        drawn = poutine.trace(guide).get_trace(*args, **kwargs)
        replayed = poutine.trace(poutine.replay(model, trace=drawn)).get_trace(*args, **kwargs)
        values = {name: replayed.nodes[name]["value"] for name in names}
        return values, float(replayed.log_prob_sum() - drawn.log_prob_sum())

    return Family(model, guide, Trace_ELBO(), draw, "all parameters")


def _some(latent: Nodes, batch: int | None) -> AbstractContextManager[Any]:
    """Context in which the plate of latent sites holds the first `batch`; None: all."""
    if batch is None:
        return nullcontext()
    name, _ = plate_of_latents(latent, batch)
    return ChosenIndices(name, torch.arange(batch))


def _expect_all(latent: Nodes, guide: Call, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Check that a guide has every site: Pyro would draw the others from their priors."""
    trace = poutine.trace(guide).get_trace(*args, **kwargs)
    absent = [name for name in latent if name not in trace.nodes]
    if absent:
        raise ModelError(
            f"the guide has no site {absent[0]!r}; it must sample {', '.join(latent)} under the "
            "names that the model gives them"
        )
