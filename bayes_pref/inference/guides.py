"""A guide that knows how users depend on the population, and Pyro's own guides by name.

A guide is the family of distributions in which variational inference looks for the posterior. The
one named "auto" is

    z ~ Normal(m, T T')                      the population's sites, unconstrained, full rank
    w_i given z ~ prior(w_i given z) * Normal(a_i; L_i' w_i, I), normalised

so that each user's comparisons are replaced by a few pseudo-observations a_i, with loadings L_i,
that are learned. What follows is Gaussian with full rank for every user, and moves and widens with
the population exactly as the prior says: neither the funnel between a spread and the weights that
it spreads nor the shared uncertainty about the mean is lost. This is the conjugate form of Khan &
Lin (2017), fitted by stochastic gradients, which leave out the score of the guide's density: its
mean is zero, and without it the noise vanishes as the guide nears the posterior (Roeder, Wu &
Duvenaud 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pyro
import pyro.distributions as dist
import pyro.poutine as poutine
import torch
from pyro.infer.elbo import ELBO
from pyro.poutine.messenger import Messenger
from pyro.poutine.util import site_is_subsample
from torch.distributions import biject_to

from bayes_pref.errors import ModelError
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
    args, kwargs
        Of the model.

    Raises
    ------
    ModelError
        If a site is discrete, or is of neither kind.
    """

    def __init__(self, model: Call, of_row, *args: Any, **kwargs: Any) -> None:
        self.model = model
        self.of_row = of_row
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

    def candidates(self, count: int, *args: Any, **kwargs: Any) -> Candidates:
        """Draw the population once, and `count` candidates for the weights of every user."""
        guide = poutine.trace(self).get_trace(*args, **kwargs)
        values = {name: guide.nodes[name]["value"] for name in self.event_dims}
        conditioned = poutine.condition(self.model, data=values)
        with self.pseudo_users or nullcontext(), pyro.plate("candidate", count, dim=-2):
            trace = poutine.trace(conditioned).get_trace(*args, **kwargs)
        trace.compute_log_prob()
        population = -guide.log_prob_sum()
        log_weight = torch.zeros((), dtype=torch.float64)
        scale = 1.0
        for name, site in trace.nodes.items():
            if site["type"] != "sample" or site_is_subsample(site):
                continue
            if name in self.users:
                scale = site["scale"]
                log_weight = (
                    log_weight + site["unscaled_log_prob"] - self.pseudo_users.log_density[name]
                )
            elif self.users and any(plate.name != "candidate" for plate in site["cond_indep_stack"]):
                rows = self.of_row(*args, **kwargs)
                lp = site["unscaled_log_prob"]
                log_weight = log_weight + log_weight.new_zeros((count, int(rows[-1])+1)).index_add(-1, rows, lp)
            else:
                # Repeated for every candidate.
                population = population + site["log_prob_sum"] / count
        drawn = {}
        for name in self.users:
            value = trace.nodes[name]["value"]
            event_dim = trace.nodes[name]["fn"].event_dim
            # Pyro does not add the dimension of a plate of one.
            drawn[name] = value if value.dim() == 2 + event_dim else value[None]
        log_weight = log_weight if log_weight.dim() != 1 else log_weight[None]
        return Candidates(values, drawn, population, log_weight, scale)

    def _draw_population(self) -> Tensor:
        loc = pyro.param("population_loc")
        tilt = pyro.param("population_tilt").tril(-1) + torch.eye(self.size, dtype=loc.dtype)
        factor = pyro.param("population_log_scale").exp()[:, None] * tilt
        z = loc + factor @ torch.randn_like(loc)
        log_density = dist.MultivariateNormal(
            loc.detach(), scale_tril=factor.detach()
        ).log_prob(z)
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

    def refine(self, users: Tensor | slice, *args: Any, **kwargs: Any) -> None:
        """Take a natural-gradient step for these users (a slice: everyone)."""
        if self.pseudo_users is None:
            return
        with torch.no_grad():
            drawn = self.candidates(1, *args, **kwargs)
        sites = drawn.population | {k: v[0] for k, v in drawn.users.items()}
        self.pseudo_users.look(self.model, sites, users, args, kwargs)


@dataclass(frozen=True)
class Candidates:
    population: dict[str, Tensor]
    users: dict[str, Tensor]
    log_population: Tensor
    log_weight: Tensor
    scale: float

    def bound(self):
        if self.log_weight.dim() == 0:
            return self.log_population
        k = self.log_weight.shape[0]
        return self.log_population + self.scale * (self.log_weight.logsumexp(0) - math.log(k)).sum()


def UserELBO(count):
    return lambda model, guide, *args, **kwargs: -guide.candidates(count, *args, **kwargs).bound()


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
