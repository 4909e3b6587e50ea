"""Reading a Pyro model: its sites and their dimensions, all in double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyro
import pyro.poutine as poutine
import torch
from pyro.poutine.subsample_messenger import _Subsample

from bayes_pref.errors import ModelError


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
    """Return the value with all floating tensors in it, also within containers, in float64.

    They are data: without a gradient of the caller's, and not of inference mode, whose tensors
    take part in no gradient.
    """
    if isinstance(value, torch.Tensor):
        data = value.detach()
        data = data.double() if data.is_floating_point() else data
        return data.clone() if data.is_inference() else data
    if isinstance(value, dict):
        return {key: as_double(item) for key, item in value.items()}
    if type(value) in (list, tuple):
        return type(value)(as_double(item) for item in value)
    return value


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


def dims_of(name: str, node: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of a site's dimensions: plates by their names, others `<site>_dim_<number>`."""
    shape, event_dim = node["value"].shape, node["fn"].event_dim
    plates = {
        len(shape) - event_dim + frame.dim: frame.name
        for frame in node["cond_indep_stack"]
        if frame.vectorized
    }
    return tuple(plates.get(place, f"{name}_dim_{place}") for place in range(len(shape)))
