"""From draws of the flat vector back to draws of the model's sites."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch
from torch.func import functionalize, vmap
from torch.fx.experimental.proxy_tensor import make_fx

from bayes_pref.inference.nuts.density import FlatDensity, Sites
from bayes_pref.inference.nuts.gradient import ancestors, is_random
from bayes_pref.inference.pyro_tools.trace import double_precision
from bayes_pref.seeding import seeded
from bayes_pref.types import FloatArray

BLOCK_VALUES = 2**22  # 32 MB of doubles at a time


def site_draws(
    flat: FlatDensity, z: FloatArray, names: Sequence[str] | None = None, *, seed: int = 0
) -> dict[str, FloatArray]:
    """Draws of the model's sites.

    Parameters
    ----------
    z
        (chain, draw, size)
    names
        Sites to return; None: all that the vector determines, which excludes those that depend on a
        discrete site that was marginalised out.
    seed
        Random seed of the values of such sites, which are computed and discarded.

    Returns
    -------
    Site -> (chain, draw, ...)

    Examples
    --------
    >>> import numpy as np
    >>> import pyro
    >>> import pyro.distributions as dist
    >>> from bayes_pref.inference.nuts.density import flatten
    >>> flat = flatten(lambda: pyro.sample("x", dist.Exponential(2.0)))
    >>> site_draws(flat, np.zeros((1, 2, 1)))
    {'x': array([[1., 1.]])}
    """
    chains, draws, size = z.shape
    rows = torch.from_numpy(z.reshape(-1, size))
    step = max(1, BLOCK_VALUES // size)
    with seeded(seed), torch.no_grad(), double_precision(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's remarks on what it cannot batch
        decided, batched = _batched_sites(flat, rows[0])
        wanted = [name for name in decided if names is None or name in names]
        values: dict[str, FloatArray] = {}
        # Blocks bound the memory of intermediate results; within one, draws are batched.
        for start in range(0, len(rows), step):
            block = batched(rows[start : start + step])
            for name in wanted:
                part = block[name].numpy()
                whole = values.setdefault(name, np.empty((len(rows), *part.shape[1:]), part.dtype))
                whole[start : start + step] = part
    return {name: each.reshape(chains, draws, *each.shape[1:]) for name, each in values.items()}


def _batched_sites(
    flat: FlatDensity, point: torch.Tensor
) -> tuple[list[str], Callable[[torch.Tensor], Sites]]:
    """Names of the sites that the vector alone determines; all sites of many vectors at once."""
    names = list(flat.dims)

    def listed(z: torch.Tensor) -> list[torch.Tensor]:
        found = flat.sites(z)
        return [found[name] for name in names]

    try:
        graph = make_fx(functionalize(listed))(point)
        # Not what sites do without, such as the log-odds of all rows, in each of many draws.
        graph.graph.eliminate_dead_code()
        graph.recompile()
        outputs = cast(list[torch.fx.Node], graph.graph.output_node().args[0])
        together = vmap(graph, randomness="different")
        together(point[None])
    except Exception:  # noqa: BLE001  whatever torch cannot trace or batch, a loop can still run
        return names, lambda z: {
            name: torch.stack(column)
            for name, column in zip(names, zip(*map(listed, z), strict=True), strict=True)
        }
    decided = [
        name
        for name, node in zip(names, outputs, strict=True)
        if not any(is_random(each) for each in {node, *ancestors(node)})
    ]
    return decided, lambda z: dict(zip(names, together(z), strict=True))
