"""Non-centred parametrisation: a site of unknown spread as location + scale * standard noise.

theta ~ Normal(mu, tau) with unknown tau has a funnel: theta varies less where tau is small, and no
step size suits both ends. theta = mu + tau * noise, noise ~ Normal(0, 1), is the same model without
the funnel (Papaspiliopoulos, Roberts & Skold 2007).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from typing import Any

import pyro
import pyro.distributions as dist
import pyro.poutine as poutine
import torch
from pyro.infer.reparam.reparam import Reparam
from pyro.poutine.messenger import Messenger

NOISE = "_decentered"  # Pyro's own suffix for such noise
LOCATION_SCALE = (dist.Normal, dist.LogNormal, dist.StudentT, dist.Laplace, dist.Cauchy)


def non_centred(model: Callable[..., Any], *args: Any, **kwargs: Any) -> Callable[..., Any]:
    """Return the model with sites of unknown spread non-centred, under the same names.

    Parameters
    ----------
    model
        A Pyro model; it is run once, as ``model(*args, **kwargs)``, to find latent sites of a
        location-scale family or multivariate normal whose scale depends on other latent sites.

    Returns
    -------
    The model itself where there is no such site.

    Examples
    --------
    >>> import pyro, torch
    >>> import pyro.distributions as dist
    >>> def schools() -> None:
    ...     spread = pyro.sample("spread", dist.HalfNormal(5.0))
    ...     pyro.sample("effect", dist.Normal(torch.zeros(8), spread).to_event(1))
    >>> with torch.random.fork_rng():
    ...     list(pyro.poutine.trace(non_centred(schools)).get_trace().nodes)
    ['_INPUT', 'spread', 'effect_decentered', 'effect', '_RETURN']
    """
    with _Tracked():
        nodes = poutine.trace(model).get_trace(*args, **kwargs).nodes
    return _reparam(model, nodes, lambda _, scale: scale.requires_grad)


def standardised(
    model: Callable[..., Any], nodes: Mapping[str, dict[str, Any]], *, but: Container[str] = ()
) -> Callable[..., Any]:
    """Return the model with all its sites of these families in units of their own spread.

    The parameters of an optimiser are then in units of sds, so that one learning rate suits all.

    Parameters
    ----------
    nodes
        Of a trace of the model.
    but
        Sites to leave as they are.
    """
    return _reparam(model, nodes, lambda name, _: name not in but)


def _reparam(
    model: Callable[..., Any],
    nodes: Mapping[str, dict[str, Any]],
    wanted: Callable[[str, torch.Tensor], bool],
) -> Callable[..., Any]:
    """Return the model with the sites that are wanted, by name and scale, as noise."""
    config: dict[str, Reparam] = {}
    for name, site in nodes.items():
        if site["type"] != "sample" or site["is_observed"]:
            continue
        fn, _ = _base(site["fn"])
        if isinstance(fn, dist.MultivariateNormal):
            if wanted(name, fn.scale_tril):
                config[name] = _Whitened()
        elif isinstance(fn, LOCATION_SCALE) and wanted(name, fn.scale):
            config[name] = _Standardised()
    return poutine.reparam(model, config=config) if config else model


class _Tracked(Messenger):  # type: ignore[misc]
    """Mark values that depend on a latent site, by autograd."""

    def _pyro_post_sample(self, msg: dict[str, Any]) -> None:
        if not msg["is_observed"] and torch.is_floating_point(msg["value"]):
            msg["value"] = msg["value"].detach().requires_grad_()


def _base(fn: Any) -> tuple[Any, int]:
    """Return what `Independent` wraps, and how many of its dimensions are one event."""
    events = 0
    while isinstance(fn, dist.Independent):
        events += fn.reinterpreted_batch_ndims
        fn = fn.base_dist
    return fn, events


def _determined(value: torch.Tensor, event_dim: int) -> dict[str, Any]:
    """Return the message of a site whose value follows from others."""
    return {
        "fn": dist.Delta(value, event_dim=event_dim).mask(False),
        "value": value,
        "is_observed": True,
    }


class _Standardised(Reparam):  # type: ignore[misc]
    """A site of a location-scale family (or its exponential) as location + scale * noise."""

    def apply(self, msg: dict[str, Any]) -> dict[str, Any]:
        """Sample noise in place of the site; see `Reparam.apply`."""
        fn, events = _base(msg["fn"])
        # Within torch's distributions parameters have been broadcast against each other.
        zeros, ones = torch.zeros_like(fn.loc), torch.ones_like(fn.loc)
        shape = {"df": fn.df} if isinstance(fn, dist.StudentT) else {}
        family = dist.Normal if isinstance(fn, dist.LogNormal) else type(fn)
        noise = pyro.sample(
            f"{msg['name']}{NOISE}", family(loc=zeros, scale=ones, **shape).to_event(events)
        )
        value = fn.loc + fn.scale * noise
        return _determined(value.exp() if isinstance(fn, dist.LogNormal) else value, events)


class _Whitened(Reparam):  # type: ignore[misc]
    """A multivariate normal site as location + Cholesky factor @ noise."""

    def apply(self, msg: dict[str, Any]) -> dict[str, Any]:
        """Sample noise in place of the site; see `Reparam.apply`."""
        fn, events = _base(msg["fn"])
        noise = pyro.sample(
            f"{msg['name']}{NOISE}",
            dist.Normal(torch.zeros_like(fn.loc), torch.ones_like(fn.loc)).to_event(1 + events),
        )
        value = fn.loc + (fn.scale_tril @ noise[..., None]).squeeze(-1)
        return _determined(value, 1 + events)
