"""The guide "auto" for variational inference: it knows how users depend on the population.

    z ~ Normal(m, T T')                      the population's sites, unconstrained, full rank
    w_i given z ~ prior(w_i given z) * Normal(a_i; L_i' w_i, I), normalised

Each user's comparisons are replaced by a few pseudo-observations a_i, with loadings L_i, that are
learned (`pseudo_users`). What follows is Gaussian with full rank for every user, and moves and
widens with the population exactly as the prior says: neither the funnel between a spread and the
weights that it spreads nor the shared uncertainty about the mean is lost. Several candidates from
it are weighed against each other for every user (`candidates`). The population is fitted by
stochastic gradients, which leave out the score of the guide's density: its mean is zero, and
without it the noise vanishes as the guide nears the posterior (Roeder, Wu & Duvenaud 2017).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.distributions as dist
import pyro.poutine as poutine
import torch
from pyro.poutine.util import site_is_subsample
from torch.distributions import biject_to

from bayes_pref.errors import ModelError
from bayes_pref.inference.candidates import Candidates
from bayes_pref.inference.pseudo_data import Conditional
from bayes_pref.inference.pseudo_users import PseudoUsers

Tensor = torch.Tensor
Call = Callable[..., Any]

_PRIOR_DRAWS = 500
_START_SCALE = 0.1  # of the population's guide, unconstrained units


@dataclass(frozen=True)
class _Site:
    """A site of the population: where it lies among the unconstrained numbers."""

    name: str
    place: slice
    shape: torch.Size
    transform: Any
    start: Tensor

    @classmethod
    def of(cls, name: str, fn: Any, first: int) -> _Site:
        transform = biject_to(fn.support)
        unconstrained = transform.inv(fn.sample((_PRIOR_DRAWS,)))
        start = unconstrained.mean(0)
        place = slice(first, first + start.numel())
        return cls(name, place, start.shape, transform, start.flatten())

    def sample(self, z: Tensor, event_dim: int) -> Tensor:
        """Put the site, given all unconstrained numbers, into the guide's trace."""
        unconstrained = z[self.place].reshape(self.shape)
        value = self.transform(unconstrained)
        log_density = -self.transform.log_abs_det_jacobian(unconstrained, value)
        while log_density.dim() > value.dim() - event_dim:
            log_density = log_density.sum(-1)
        found: Tensor = pyro.sample(
            self.name, dist.Delta(value, log_density=log_density, event_dim=event_dim)
        )
        return found


class ConditionalGuide:
    """The guide "auto": the population with full rank, and each user given the population.

    Parameters
    ----------
    model
        A Pyro model whose sites are of the population, or of users in one plate at the right,
        Gaussian given the population.
    user_of_row
        From the model's arguments: (rows,) position of the user of each row.
    args, kwargs
        Of the model.

    Raises
    ------
    ModelError
        If a site is discrete, or is of neither kind.
    """

    def __init__(self, model: Call, user_of_row: Call, *args: Any, **kwargs: Any) -> None:
        self.model = model
        self.user_of_row = user_of_row
        with torch.no_grad():
            trace = poutine.trace(model).get_trace(*args, **kwargs)
        self.population: list[_Site] = []
        self.event_dims: dict[str, int] = {}
        self.users: list[str] = []
        self.size = 0
        for name, site in latent_sites(trace).items():
            if site["cond_indep_stack"]:
                self._expect_user_site(name, site)
                self.users.append(name)
                continue
            self.population.append(_Site.of(name, site["fn"], self.size))
            self.event_dims[name] = site["fn"].event_dim
            self.size = self.population[-1].place.stop
        self.pseudo_users = self._start(args, kwargs)

    @staticmethod
    def _expect_user_site(name: str, site: dict[str, Any]) -> None:
        plates = site["cond_indep_stack"]
        if len(plates) > 1 or plates[0].dim != -1 or len(site["fn"].event_shape) > 1:
            raise ModelError(
                f"guide='auto' knows one plate, of users, at dim=-1, and vectors in it; site "
                f"{name!r} is of another shape; use guide='mean_field' or a guide of your own"
            )
        if Conditional.of(site["fn"]) is None:
            raise ModelError(
                f"guide='auto' needs sites of users that are Gaussian given the population, and "
                f"{name!r} is not; use guide='mean_field' or a guide of your own"
            )

    def __call__(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """Sample the population's sites, as a Pyro guide of these alone."""
        if not self.size:
            return {}
        z = self._draw_population()
        return {site.name: site.sample(z, self.event_dims[site.name]) for site in self.population}

    def candidates(self, count: int, /, *args: Any, **kwargs: Any) -> Candidates:
        """Draw the population once, and `count` candidates for the weights of every user."""
        drawn = poutine.trace(self).get_trace(*args, **kwargs)
        values = {name: drawn.nodes[name]["value"] for name in self.event_dims}
        conditioned = poutine.condition(self.model, data=values)
        with self.pseudo_users or nullcontext(), pyro.plate("candidate", count, dim=-2):
            trace = poutine.trace(conditioned).get_trace(*args, **kwargs)
        trace.compute_log_prob()
        log_population = -drawn.log_prob_sum()
        terms: list[Tensor] = []
        scale = 1.0
        for name, site in trace.nodes.items():
            if site["type"] != "sample" or site_is_subsample(site):
                continue
            plates = [plate.name for plate in site["cond_indep_stack"] if plate.name != "candidate"]
            if name in self.users and self.pseudo_users is not None:
                scale = site["scale"]
                terms.append(site["unscaled_log_prob"] - self.pseudo_users.log_density[name])
            elif self.users and plates:
                terms.append(self._by_user(name, site["unscaled_log_prob"], args, kwargs))
            else:
                # Repeated for every candidate.
                log_population = log_population + site["log_prob_sum"] / count
        users = {}
        for name in self.users:
            value = trace.nodes[name]["value"]
            # Pyro does not add the dimension of a plate of one.
            single = value.dim() == 1 + trace.nodes[name]["fn"].event_dim
            users[name] = value[None] if single else value
        log_weight = sum(terms[1:], terms[0]) if terms else None
        if log_weight is not None and log_weight.dim() == 1:
            log_weight = log_weight[None]
        return Candidates(values, users, log_population, log_weight, float(scale))

    def _by_user(self, name: str, log_prob: Tensor, args: Any, kwargs: Any) -> Tensor:
        """Sum a site's log probabilities (..., rows) over the rows of each user."""
        rows = self.user_of_row(*args, **kwargs)
        if log_prob.shape[-1:] != rows.shape:
            raise ModelError(
                f"guide='auto': site {name!r} has {log_prob.shape[-1]:,} values for "
                f"{len(rows):,} comparisons; use guide='mean_field' or a guide of your own"
            )
        total = log_prob.new_zeros((*log_prob.shape[:-1], int(rows[-1]) + 1))
        return total.index_add(-1, rows, log_prob)

    def refine(self, users: Tensor | slice, count: int, /, *args: Any, **kwargs: Any) -> None:
        """Take a natural-gradient step for these users (a slice: everyone)."""
        if self.pseudo_users is None:
            return
        with torch.no_grad():
            sites = self.candidates(count, *args, **kwargs).resampled()
        self.pseudo_users.look(self.model, sites, users, args, kwargs)

    def _draw_population(self) -> Tensor:
        loc = pyro.param("population_loc")
        tilt = pyro.param("population_tilt").tril(-1) + torch.eye(self.size, dtype=loc.dtype)
        factor = pyro.param("population_log_scale").exp()[:, None] * tilt
        z = loc + factor @ torch.randn_like(loc)
        log_density = dist.MultivariateNormal(loc.detach(), scale_tril=factor.detach()).log_prob(z)
        drawn: Tensor = pyro.sample(
            "population_unconstrained",
            dist.Delta(z, log_density=log_density, event_dim=1),
            infer={"is_auxiliary": True},
        )
        return drawn

    def _start(self, args: Any, kwargs: Any) -> PseudoUsers | None:
        """Begin at the prior of the population, and at each user's likelihood given that."""
        dtype = next((site.start.dtype for site in self.population), torch.float64)
        loc = torch.cat([site.start for site in self.population] or [torch.zeros(0, dtype=dtype)])
        pyro.param("population_loc", loc)
        pyro.param("population_log_scale", torch.full_like(loc, _START_SCALE).log())
        pyro.param("population_tilt", loc.new_zeros(loc.numel(), loc.numel()))
        if not self.users:
            return None
        values = {
            site.name: site.transform(site.start.reshape(site.shape)) for site in self.population
        }
        with torch.no_grad():
            trace = poutine.trace(poutine.condition(self.model, data=values)).get_trace(
                *args, **kwargs
            )
        priors = {name: Conditional.of(trace.nodes[name]["fn"]) for name in self.users}
        return PseudoUsers({name: prior for name, prior in priors.items() if prior is not None})


def latent_sites(trace: Any) -> dict[str, dict[str, Any]]:
    """Unobserved random sites of a model's trace, in order.

    Raises
    ------
    ModelError
        If one of them is discrete: gradients cannot move it.
    """
    found = {
        name: site
        for name, site in trace.nodes.items()
        if site["type"] == "sample" and not site["is_observed"] and not site_is_subsample(site)
    }
    for name, site in found.items():
        if not site["fn"].has_rsample and site["fn"].support.is_discrete:
            raise ModelError(
                f"site {name!r} is discrete, which SVI cannot move by gradients; sum it out in "
                "the model"
            )
    return found
