"""A user's reward as a head over frozen embeddings, made of torch's own layers.

The mean reward of an item with attributes x is linear, w . x, or w . V tanh(U s + a) where features
were learned (`data.network`). Where attributes are components of embeddings, (e - c) D, the head is
over the embedding e itself: its weights are D w.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn.utils import skip_init

from bayes_pref.data import Comparisons
from bayes_pref.data.network import Representation
from bayes_pref.errors import DataError
from bayes_pref.messages import listed
from bayes_pref.text.text_features import TextFeatures
from bayes_pref.types import FloatArray


def reward_head(
    comparisons: Comparisons, weights: FloatArray, group: Any, *, bias: bool
) -> torch.nn.Module:
    """Return the head of the mean reward.

    Parameters
    ----------
    comparisons
        The data of the posterior.
    weights
        (d,) posterior mean of the user's weights.
    group
        The user's group, where a learned representation has it as an input.
    bias
        Whether the output layer has a constant: the reward is then against the average item.

    Raises
    ------
    DataError
        If rewards depend on more than the item's attributes.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> data = bp.simulate(users=5, features=2, contexts=0, seed=0).comparisons
    >>> reward_head(data, np.array([1.0, -2.0]), None, bias=False)(torch.ones(1, 2))
    tensor([[-1.]], grad_fn=<MmBackward0>)
    """
    network, text = comparisons.representation, comparisons.text
    used = {context for _, context in comparisons.features.interactions}
    used |= set(network.contexts) if network else set()
    if used:
        raise DataError(
            f"rewards depend on {listed(sorted(used))}, and a head sees the item alone",
            "fit without these contexts, or use posterior.reward(items)",
        )
    projection = text.responses if isinstance(text, TextFeatures) else None
    if isinstance(text, TextFeatures) and projection is not None and text.surface:
        raise DataError(
            f"rewards depend on {listed(text.surface)} beside the embedding",
            "read the texts with surface=[], or use posterior.reward_model()",
        )
    # An attribute is that direction of the input less the centre.
    size = len(comparisons.features.attributes if network is None else network.attributes)
    centre, directions = np.zeros(size), np.eye(size)
    if projection is not None:
        centre, directions = projection.centre, projection.directions
    shift = 0.0 if comparisons.right is None else _average(comparisons) @ weights
    if network is None:
        output = directions @ weights
        return _linear(output[None], [-shift - centre @ output] if bias else None)
    inner, constant = _first_layer(network, group)
    first = inner @ directions.T
    return torch.nn.Sequential(
        _linear(first, constant - first @ centre),
        torch.nn.Tanh(),
        _linear((network.outer.T @ weights)[None], [-shift] if bias else None),
    )


def _average(comparisons: Comparisons) -> FloatArray:
    """(k,) mean attributes of all items that were shown."""
    right = comparisons.right
    assert right is not None
    count = len(comparisons.features.attributes)
    return np.asarray((right + comparisons.difference[:, :count] / 2.0).mean(axis=0))


def _first_layer(network: Representation, group: Any) -> tuple[FloatArray, FloatArray]:
    """(h, p) and (h,): the first layer, of attributes as they are, in one group."""
    count = len(network.attributes)
    scaled = network.inner / network.scale
    inputs = np.zeros(len(network.centre))
    if network.groups:
        inputs[-len(network.groups) :] = [float(each == group) for each in network.groups]
    return scaled[:, :count], network.bias + scaled @ (inputs - network.centre)


def _linear(weight: FloatArray, bias: Any = None) -> torch.nn.Linear:
    # Initial values would be drawn from torch's global generator.
    rows, columns = weight.shape
    made = skip_init(  # type: ignore[no-untyped-call]
        torch.nn.Linear, columns, rows, bias=bias is not None
    )
    assert isinstance(made, torch.nn.Linear)
    with torch.no_grad():
        made.weight.copy_(torch.as_tensor(np.asarray(weight)))
        if bias is not None:
            made.bias.copy_(torch.as_tensor(np.asarray(bias)))
    return made
