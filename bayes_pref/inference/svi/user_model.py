"""A Pyro model as a population, and Gaussian users given the population.

The user of each row is found by experiment: all users' parameters are shifted by the binary digits
of their index, and the log probability of a row changes with the digits of its user. This works for
any model, however it indexes the users of its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyro.distributions as dist
import pyro.poutine as poutine
import torch

Tensor = torch.Tensor
Sites = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Prior:
    """Users' parameters given the population: Normal(loc, scale scale').

    Attributes
    ----------
    loc, scale
        (users, size) and (users, size, size), lower triangular.
    log_population
        (): log prior density of the population's sites.
    users
        (users,) indices of the plate.
    """

    loc: Tensor
    scale: Tensor
    log_population: Tensor
    users: Tensor


@dataclass(frozen=True, eq=False)
class UserModel:
    """A Pyro model whose latent sites are of the population, or of users and then Gaussian.

    Attributes
    ----------
    model, args, kwargs
        Called as ``model(*args, **kwargs)``.
    plate, users
        Of users: its name, and the number of all of them.
    shapes
        Site of users -> shape of one user's value.
    """

    model: Callable[..., Any]
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    plate: str
    users: int
    shapes: Mapping[str, torch.Size]

    def prior(self, population: Sites) -> Prior:
        """Distribution of the users given the population."""
        trace = self._trace(population)
        trace.compute_log_prob()
        blocks = [_gaussian(trace.nodes[name]["fn"]) for name in self.shapes]
        loc = torch.cat([block[0] for block in blocks], dim=-1)
        scale = loc.new_zeros(*loc.shape, loc.shape[-1])
        place = 0
        for _, block in blocks:
            end = place + block.shape[-1]
            scale[:, place:end, place:end] = block
            place = end
        density = sum((trace.nodes[name]["log_prob_sum"] for name in population), loc.new_zeros(()))
        return Prior(loc, scale, density, trace.nodes[self.plate]["value"])

    def sites(self, values: Tensor) -> Sites:
        """Users' sites from their values (users, size) side by side."""
        parts = torch.split(values, [shape.numel() for shape in self.shapes.values()], dim=-1)
        return {
            name: part.reshape(len(values), *shape)
            for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)
        }

    def log_rows(self, population: Sites, values: Tensor) -> Tensor:
        """Log probability of every observation, with the model's own scaling, (count, rows).

        Parameters
        ----------
        values
            (count, users, size)
        """

        def one(user_values: Tensor) -> Tensor:
            given = population | self.sites(user_values)
            trace = self._trace(given)
            trace.compute_log_prob()
            return torch.cat(
                [
                    node["log_prob"].reshape(-1)
                    for name, node in trace.nodes.items()
                    if node["type"] == "sample" and node["is_observed"] and name not in given
                ]
            )

        try:
            return torch.vmap(one)(values)
        except RuntimeError:  # whatever torch cannot batch, such as a branch, a loop can still run
            return torch.stack([one(each) for each in values])

    def curvature(self, population: Sites, values: Tensor) -> tuple[Tensor, Tensor]:
        """Gradient and Hessian of the log probability of every user's observations.

        Parameters
        ----------
        values
            (count, users, size)

        Returns
        -------
        gradient: (count, users, size)
        hessian: (count, users, size, size); between users it is zero, as a row depends on one
        """
        with torch.enable_grad():
            at = values.detach().requires_grad_()
            total = self.log_rows(population, at).sum()
            (slope,) = torch.autograd.grad(total, at, create_graph=True)
            size = at.shape[-1]
            columns = [
                torch.autograd.grad(slope[..., k].sum(), at, retain_graph=k + 1 < size)[0]
                for k in range(size)
            ]
        return slope.detach(), torch.stack(columns, dim=-1)

    def owners(self, population: Sites, prior: Prior) -> Tensor | None:
        """Index of the user of each row, (rows,); the number of users where it depends on none.

        None: a row depends on more than one user.
        """
        users = len(prior.loc)
        bits = torch.arange(max(1, (users - 1).bit_length()))
        digits = (torch.arange(users)[:, None] >> bits) & 1
        moves = torch.cat([torch.zeros(1, users), digits.T, 1 - digits.T])
        step = prior.scale.sum(-1) * torch.linspace(0.5, 1.5, prior.loc.shape[-1])
        with torch.no_grad():
            rows = self.log_rows(population, prior.loc + moves[..., None] * step)
        moved = rows[1:] != rows[0]
        ones, zeros = moved[: len(bits)], moved[len(bits) :]
        somebody = moved.any(0)
        if (somebody & ~(ones ^ zeros).all(0)).any():
            return None
        owner = (ones * 2 ** bits[:, None]).sum(0)
        return torch.where(somebody, owner, users)

    def _trace(self, values: Sites) -> Any:
        return poutine.trace(poutine.condition(self.model, data=values)).get_trace(
            *self.args, **self.kwargs
        )


def read_users(
    model: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    latent: Mapping[str, dict[str, Any]],
) -> UserModel | None:
    """Read a model as one of users and their population, or return None where it is not.

    Parameters
    ----------
    latent
        Its latent sites, from a trace.
    """
    users = {name: site for name, site in latent.items() if site["cond_indep_stack"]}
    plates = {frame for site in users.values() for frame in site["cond_indep_stack"]}
    if len(users) == len(latent) or len(plates) != 1 or next(iter(plates)).dim != -1:
        return None
    if not all(_is_gaussian(site["fn"]) for site in users.values()):
        return None
    shapes = {name: site["fn"].event_shape for name, site in users.items()}
    (plate,) = plates
    found = UserModel(model, args, kwargs, plate.name, plate.full_size, shapes)
    population = {name: site["value"] for name, site in latent.items() if name not in users}
    return found if _independent(found, population) else None


def _independent(model: UserModel, population: Sites) -> bool:
    """Whether users' sites depend on the population alone, and each row on one user."""
    with torch.no_grad():
        first, second = model.prior(population), model.prior(population)
    # Other sites of users were drawn anew: a prior that depends on them has changed.
    same = torch.equal(first.loc, second.loc) and torch.equal(first.scale, second.scale)
    return same and model.owners(population, first) is not None


def _base(fn: Any) -> Any:
    while isinstance(fn, dist.Independent):
        fn = fn.base_dist
    return fn


def _is_gaussian(fn: Any) -> bool:
    return isinstance(_base(fn), dist.Normal | dist.MultivariateNormal) and fn.event_dim < 2


def _gaussian(fn: Any) -> tuple[Tensor, Tensor]:
    """Location (users, size) and lower triangular scale (users, size, size)."""
    base = _base(fn)
    if isinstance(base, dist.MultivariateNormal):
        return base.loc, base.scale_tril
    scalar = not fn.event_shape
    loc, scale = (base.loc[:, None], base.scale[:, None]) if scalar else (base.loc, base.scale)
    return loc, torch.diag_embed(scale)
