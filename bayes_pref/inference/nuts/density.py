"""A Pyro model as a density of one flat vector: what gradient-based samplers work on.

Every continuous latent site is mapped to unconstrained space, where its transform's log Jacobian
joins the density; discrete latent sites are marginalised out by Pyro's enumeration. Everything
is in double precision: the energy error of a leapfrog is a difference of large sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyro.poutine as poutine
import torch
from pyro.infer.mcmc.util import initialize_model
from pyro.poutine.subsample_messenger import _Subsample

from bayes_pref.errors import ModelError
from bayes_pref.inference.pyro_tools.reparametrise import non_centred
from bayes_pref.inference.pyro_tools.trace import (
    as_double,
    dims_of,
    double_precision,
    sample_nodes,
)
from bayes_pref.seeding import seeded
from bayes_pref.types import FloatArray

Sites = dict[str, torch.Tensor]

TRIES = 100  # starting points before a density is taken to be nowhere finite
RADIUS = 2.0  # of the cube of starting points, as in Stan and Pyro


@dataclass(frozen=True, eq=False)
class FlatDensity:
    """A model's log density and sites as functions of an unconstrained vector.

    Attributes
    ----------
    size
        Length of the vector.
    log_density
        (size,) -> scalar, up to a constant, in float64.
    sites
        (size,) -> the model's latent and deterministic sites, in the model's own terms.
    dims
        Site -> names of its dimensions: plates by their names, others `<site>_dim_<number>`.
    """

    size: int
    log_density: Callable[[torch.Tensor], torch.Tensor]
    sites: Callable[[torch.Tensor], Sites]
    dims: Mapping[str, tuple[str, ...]]

    def value_and_gradient(self, point: FloatArray) -> tuple[float, FloatArray]:
        """Log density and gradient by plain autograd: the reference for compiled gradients."""
        with double_precision():
            z = torch.tensor(point, requires_grad=True)
            value = self.log_density(z)
            (gradient,) = torch.autograd.grad(value, z)
        return float(value.detach()), gradient.numpy()

    def start(self, rng: np.random.Generator) -> FloatArray:
        """Point with finite density and gradient, uniform in a cube.

        Raises
        ------
        ModelError
            If none is found.
        """
        for _ in range(TRIES):
            point = rng.uniform(-RADIUS, RADIUS, self.size)
            value, gradient = self.value_and_gradient(point)
            if np.isfinite(value) and np.isfinite(gradient).all():
                return point
        raise ModelError(
            f"the model's density is nowhere finite at {TRIES} random starting points: check that "
            "its priors allow the data, and that the data have no NaN"
        )


def flatten(
    model: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    centred: bool = False,
    seed: int = 0,
) -> FlatDensity:
    """Read a Pyro model.

    Parameters
    ----------
    model
        Called as ``model(*args, **kwargs)``; floating tensors arrive there in float64.
    centred
        Whether to sample sites as written; otherwise those of unknown spread are sampled as
        standard noise.
    seed
        Random seed of the runs that find the sites; their values do not matter.

    Raises
    ------
    ModelError
        If the model has no continuous latent site, a discrete one that cannot be marginalised out,
        or a random subsample.

    Examples
    --------
    >>> import numpy as np
    >>> import pyro
    >>> import pyro.distributions as dist
    >>> flat = flatten(lambda: pyro.sample("x", dist.Exponential(2.0)))
    >>> flat.size, flat.dims
    (1, {'x': ()})
    >>> flat.value_and_gradient(np.zeros(1))  # log 2 - 2 exp(z) + z, the log Jacobian, at z = 0
    (-1.306852..., array([-1.]))
    """
    args, kwargs = as_double(tuple(args)), as_double(dict(kwargs or {}))
    with seeded(seed):
        with torch.no_grad(), poutine.block():
            nodes = sample_nodes(model, args, kwargs)
        discrete = _check(nodes)
        with double_precision():
            shaped = model if centred else non_centred(model, *args, **kwargs)
            try:
                _, potential, transforms, prototype = initialize_model(
                    shaped, args, kwargs, initial_params={}
                )
            except (ValueError, RuntimeError, NotImplementedError) as err:
                if not discrete:
                    raise
                raise ModelError(_cannot_enumerate(discrete, err)) from err
            values = {name: prototype.nodes[name]["value"].detach() for name in transforms}
            shapes = {name: transforms[name](value).shape for name, value in values.items()}

    def unpack(z: torch.Tensor) -> Sites:
        pieces = torch.split(z, [shape.numel() for shape in shapes.values()])
        return {
            name: piece.reshape(shape)
            for (name, shape), piece in zip(shapes.items(), pieces, strict=True)
        }

    names = [name for name in nodes if name not in discrete]

    def sites(z: torch.Tensor) -> Sites:
        inner = {name: transforms[name].inv(value) for name, value in unpack(z).items()}
        found = poutine.trace(poutine.condition(shaped, data=inner)).get_trace(*args, **kwargs)
        return {name: found.nodes[name]["value"] for name in names}

    return FlatDensity(
        size=sum(shape.numel() for shape in shapes.values()),
        log_density=lambda z: -potential(unpack(z)),
        sites=sites,
        dims={name: dims_of(name, nodes[name]) for name in names},
    )


def _check(nodes: Mapping[str, dict[str, Any]]) -> list[str]:
    """Check that gradients reach the latent sites; return the discrete ones to marginalise out."""
    latent = {name: node for name, node in nodes.items() if not node["is_observed"]}
    for name, node in latent.items():
        if isinstance(node["fn"], _Subsample):
            raise ModelError(
                f"plate {name!r} takes a random subsample of {node['fn'].subsample_size} of "
                f"{node['fn'].size}: NUTS needs all of the data, so leave subsample_size out"
            )
    discrete = [name for name, node in latent.items() if node["fn"].support.is_discrete]
    for name in discrete:
        if not latent[name]["fn"].has_enumerate_support:
            raise ModelError(
                f"site {name!r} is discrete and {type(latent[name]['fn']).__name__} has no finite "
                "list of values to sum over: NUTS needs continuous sites, so marginalise it out by "
                "hand or use a continuous distribution"
            )
    if len(discrete) == len(latent):
        raise ModelError("the model has no continuous latent site for NUTS to sample")
    return discrete


def _cannot_enumerate(discrete: Sequence[str], err: Exception) -> str:
    return (
        f"Pyro cannot marginalise out the discrete site{'s' if len(discrete) > 1 else ''} "
        f"{', '.join(repr(name) for name in discrete)} of this model ({err}): write the model for "
        "parallel enumeration (pyro.plate, Vindex), or marginalise them out by hand"
    )
