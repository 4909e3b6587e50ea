"""Mixtures of users: components marginalised out, and labels aligned over draws.

The density of a mixture does not depend on the order of its components, so that labels are not
identified within a draw. `relabelled` permutes the components of every draw so that all draws
classify the users alike. The permutations minimise the Kullback-Leibler divergence from the draws'
user-by-component probabilities to their average (Stephens 2000, J. R. Statist. Soc. B 62). Each is
an assignment of minimal cost (Kuhn 1955), alternating with an update of the average.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyro.distributions as dist
import torch
import xarray as xr
from scipy.optimize import linear_sum_assignment

from bayes_pref.types import FloatArray, IntArray

_TURNS = 50  # most iterations of permuting and averaging; a few are usual
_PIVOTED = 400  # draws that the average is found from
_LEAST = 1e-12  # probability: a component that nobody is of in one draw must not decide for all


class ComponentMixture(dist.TorchDistribution):  # type: ignore[misc]
    """What is observed of users of unknown components, which are marginalised out.

    A value holds the rows of all users, in one tensor; its log probability is one number a user.

    Parameters
    ----------
    log_share
        (users, components): log probability that a user is of a component, before this is observed.
    log_prob_by_component
        From a value to its log probability given the component, (users, components).
    draw
        From components (users,) to a value.
    """

    has_rsample = False
    arg_constraints: dict[str, Any] = {}  # noqa: RUF012 (torch's own interface)

    def __init__(
        self,
        log_share: torch.Tensor,
        log_prob_by_component: Callable[[torch.Tensor], torch.Tensor],
        draw: Callable[[torch.Tensor], torch.Tensor],
    ) -> None:
        self.log_share = log_share
        self.log_prob_by_component = log_prob_by_component
        self.draw = draw
        super().__init__(log_share.shape[:-1], torch.Size(), validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> ComponentMixture:
        """Return itself: a plate of users is all that it can be in."""
        if torch.Size(batch_shape) != self.batch_shape:
            raise NotImplementedError(f"cannot be expanded to {tuple(batch_shape)}")
        return self

    def joint(self, value: torch.Tensor) -> torch.Tensor:
        """Log probability of a value and each component, (users, components)."""
        return self.log_share + self.log_prob_by_component(value)

    def log_prob(self, value: torch.Tensor) -> torch.Tensor:
        """Log probability of what is observed of each user, (users,)."""
        return torch.logsumexp(self.joint(value), dim=-1)

    def sample(self, sample_shape: Any = ()) -> torch.Tensor:
        """Draw components, and a value given the components."""
        if tuple(sample_shape):
            raise NotImplementedError("one value at a time")
        return self.draw(dist.Categorical(logits=self.log_share).sample())


def add_by_user(rows: torch.Tensor, user: torch.Tensor, users: int) -> torch.Tensor:
    """Sum rows (n, ...) over each user, (users, ...)."""
    return rows.new_zeros(users, *rows.shape[1:]).index_add(0, user, rows)


def relabelled(
    draws: xr.Dataset, probabilities: Callable[[xr.Dataset], FloatArray], dim: str = "component"
) -> xr.Dataset:
    """Permute the labels of components, draw by draw, until they mean the same in every draw.

    Mixture are then numbered by falling posterior mean number of users.

    Parameters
    ----------
    draws
        With dimensions chain and draw; what has the dimension `dim` is permuted.
    probabilities
        From draws to probabilities (draw, user, component), their chains one after another.
    dim
        Dimension of the components.

    Returns
    -------
    Dataset like `draws`
    """
    chains, length, components = draws.sizes["chain"], draws.sizes["draw"], draws.sizes[dim]
    if components == 1:
        return draws
    step = -(-chains * length // _PIVOTED)
    few = probabilities(draws.isel(draw=slice(None, None, step))).clip(_LEAST)
    best, least = few[0], np.inf
    # One start a chain: the divergence has local minima, and chains may lie in different ones.
    for start in range(0, len(few), len(few) // chains):
        average = few[start]
        for _ in range(_TURNS):
            order, cost = _assign(few, average)
            moved = np.take_along_axis(few, order[:, None, :], axis=2).mean(axis=0)
            if np.array_equal(moved, average):
                break
            average = moved
        if cost < least:
            best, least = average, cost
    best = best[:, np.argsort(-best.sum(axis=0), kind="stable")]
    orders = [
        _assign(probabilities(draws.isel(chain=[chain])).clip(_LEAST), best)[0]
        for chain in range(chains)
    ]
    return permuted(draws, np.stack(orders), dim)


def _assign(values: FloatArray, average: FloatArray) -> tuple[IntArray, float]:
    """Permutations (draw, component) of least divergence from the average, and its sum.

    `values` are probabilities (draw, user, component), `average` (user, component).
    """
    size, _, components = values.shape
    own = (values * np.log(values)).sum()
    # cost[s, j, l]: of calling draw s's component l the j-th.
    cost = -np.einsum("suk,uj->sjk", values, np.log(average), optimize=True)
    order = np.empty((size, components), dtype=np.int64)
    # A loop over draws: an assignment has no batched solver, and takes microseconds.
    for s in range(size):
        order[s] = linear_sum_assignment(cost[s])[1]
    return order, float(own + np.take_along_axis(cost, order[:, :, None], axis=2).sum())


def permuted(draws: xr.Dataset, order: IntArray, dim: str = "component") -> xr.Dataset:
    """Take the components of every draw in the order (chain, draw, component) given for it."""
    place = xr.DataArray(order, dims=("chain", "draw", dim))
    changed = {}
    for name, variable in draws.data_vars.items():
        if dim in variable.dims:
            plain = variable.drop_vars(dim)
            changed[name] = plain.isel({dim: place}).transpose(*variable.dims)
    return draws.assign(changed)
