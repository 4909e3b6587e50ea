"""A Pyro model as a density of one flat vector: what gradient-based samplers work on.

Every continuous latent site is mapped to unconstrained space, where its transform's log Jacobian
joins the density; discrete latent sites are summed out by Pyro's enumeration. Everything is in
double precision: a leapfrog's energy error is a difference of large sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyro
import pyro.poutine as poutine
import torch
from numpy.typing import NDArray
from pyro.infer.mcmc.util import initialize_model
from pyro.poutine.subsample_messenger import _Subsample

from bayes_pref.errors import ModelError
from bayes_pref.inference.pyro_tools.reparametrise import non_centred
from bayes_pref.seeding import seeded

Array = NDArray[np.float64]
Sites = dict[str, torch.Tensor]

TRIES = 100  # starting points before a density counts as nowhere finite
RADIUS = 2.0  # of the cube of starting points, as in Stan and Pyro


@dataclass(frozen=True, eq=False)
class FlatModel:
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

    def value_and_gradient(self, point: Array) -> tuple[float, Array]:
        """Log density and gradient by plain autograd, the reference for every compiled one."""
        with double_precision():
            z = torch.tensor(point, requires_grad=True)
            value = self.log_density(z)
            (gradient,) = torch.autograd.grad(value, z)
        return float(value.detach()), gradient.numpy()

    def start(self, rng: np.random.Generator) -> Array:
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


@contextmanager
def double_precision() -> Iterator[None]:
    """Make float64 torch's default within the block, without Pyro's checks of values."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with pyro.validation_enabled(False):
            yield
    finally:
        torch.set_default_dtype(before)


def as_double(value: Any) -> Any:
    """Return the value with all floating tensors in it, also within containers, in float64."""
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, dict):
        return {key: as_double(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(as_double(item) for item in value)
    return value


def flatten(
    model: Callable[..., Any],
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    centred: bool = False,
    seed: int = 0,
) -> FlatModel:
    """Read a Pyro model.

    Parameters
    ----------
    model
        Called as ``model(*args, **kwargs)``; floating tensors arrive there in float64.
    centred
        Whether to keep sites as written instead of sampling them as standard noise where their
        spread is unknown.
    seed
        Of the runs that find the sites, whose values do not matter.

    Raises
    ------
    ModelError
        If the model has no continuous latent site, a discrete one that cannot be summed out, or a
        random subsample.

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
                raise ModelError(_cannot_sum_out(discrete, err)) from err
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

    return FlatModel(
        size=sum(shape.numel() for shape in shapes.values()),
        log_density=lambda z: -potential(unpack(z)),
        sites=sites,
        dims={name: dims_of(name, nodes[name]) for name in names},
    )


def sample_nodes(
    model: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Latent and deterministic sites by name, as one run of the model leaves them."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:  # with Pyro's checks, unlike later runs: this is where a mistake in a model shows
        trace = poutine.trace(model).get_trace(*args, **kwargs)
    except RuntimeError as err:
        if "dtype" not in str(err):
            raise
        raise ModelError(
            f"the model mixes float32 with float64, in which it runs ({str(err).splitlines()[0]}): "
            "hand its tensors over as arguments, which arrive in float64, or make them float64"
        ) from err
    finally:
        torch.set_default_dtype(before)
    return {
        name: node
        for name, node in trace.nodes.items()
        if node["type"] == "sample"
        and (not node["is_observed"] or node["infer"].get("_deterministic"))
        and not (isinstance(node["fn"], _Subsample) and _whole(node))
    }


def _whole(node: dict[str, Any]) -> bool:
    size = node["fn"].subsample_size
    return size is None or size >= node["fn"].size


def _check(nodes: Mapping[str, dict[str, Any]]) -> list[str]:
    """Refuse what no gradient reaches; return the discrete sites that can be summed out."""
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
                "list of values to sum over: NUTS needs continuous sites, so sum it out by hand or "
                "use a continuous distribution"
            )
    if len(discrete) == len(latent):
        raise ModelError("the model has no continuous latent site for NUTS to sample")
    return discrete


def _cannot_sum_out(discrete: Sequence[str], err: Exception) -> str:
    return (
        f"Pyro cannot sum out the discrete site{'s' if len(discrete) > 1 else ''} "
        f"{', '.join(repr(name) for name in discrete)} of this model ({err}): write the model for "
        "parallel enumeration (pyro.plate, Vindex), or sum them out by hand"
    )


def dims_of(name: str, node: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of a site's dimensions: plates by their names, others `<site>_dim_<number>`."""
    shape, event_dim = node["value"].shape, node["fn"].event_dim
    plates = {
        len(shape) - event_dim + frame.dim: frame.name
        for frame in node["cond_indep_stack"]
        if frame.vectorized
    }
    return tuple(plates.get(place, f"{name}_dim_{place}") for place in range(len(shape)))
