"""The guide "auto": a Gaussian population, and Gaussian users given the population.

    z ~ Normal(m, T T')                                   the population, unconstrained, full rank
    q(w_i given z) ~ prior(w_i given z) exp(h_i' w_i - w_i' P_i w_i / 2)          full rank in w_i

P_i and h_i approximate the likelihood of a user's choices. The prior of w_i given z is exact, so
that the guide has the funnel between the users' spread and their weights, and the uncertainty about
the mean that users share. P_i is the mean of minus the Hessian of the log likelihood under q, and
h_i goes with its mean gradient. At a fixed point q is the Gaussian with the highest ELBO (Opper &
Archambeau 2009), and a step towards them is a natural gradient step (Khan & Lin 2017). They are not
estimated from the covariance of the candidates, which shrinks when few candidates have all weight.

With Gaussian users the ELBO is a loose bound, and looser where users differ more. Summed over
hundreds of users that would bias the population's spread towards zero by whole posterior sds.
Importance weights of K candidates tighten the bound (Burda, Grosse & Salakhutdinov 2016), and its
remaining bias of order 1 / K is estimated and removed (Nowozin 2018).
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import pyro.distributions as dist
import pyro.poutine as poutine
import torch
from pyro.infer.autoguide import AutoMultivariateNormal

from bayes_pref.errors import ModelError
from bayes_pref.inference.svi.minibatch import ChosenIndices
from bayes_pref.inference.svi.user_model import Prior, Sites, UserModel

Tensor = torch.Tensor

_LOG_2PI = math.log(2 * math.pi)
_FIRST_UPDATES = 10.0  # number of updates that the initial values of P and h count for
_FIRST_OF_FEW = 3.0  # the same in mini-batches, where a user may be seen fewer than ten times
_FORGETTING = 0.7  # the k-th update of a user's P and h has step size k to minus this
_TRUST = 0.75  # share of P in the proposal, which is wider than q for users with skewed posteriors
_EVALUATED = 2  # candidates at which a user's curvature is evaluated in one step


@dataclass(frozen=True, eq=False)
class Candidates:
    """One draw of the population and K candidates for every user.

    Attributes
    ----------
    population
        Site -> value.
    standard
        (K, users, size): users' parameters in units of the prior, (w - loc) / scale.
    prior
        Of users at this population.
    log_population
        (): log density of the population under the model minus that under the guide.
    log_weight
        (K, users): the same for users and their choices.
    scale
        Number of users over number of users in the mini-batch.
    """

    population: Sites
    standard: Tensor
    prior: Prior
    log_population: Tensor
    log_weight: Tensor
    scale: float

    def log_evidence(self) -> Tensor:
        """Log of an unbiased estimate of the population's weight, users marginalised out, ()."""
        each = self.log_weight.logsumexp(0) - math.log(len(self.log_weight))
        return self.log_population + self.scale * each.sum()

    def objective(self) -> Tensor:
        """Objective to maximise, (): the ELBO; with K > 1 candidates corrected for its bias."""
        count = len(self.log_weight)
        if count < 2:
            return self.log_evidence()
        # E log mean r = log E r - Var(r) / (2 K E(r)^2) + O(1 / K^2), from the weights' shares.
        excess = (self.log_weight.softmax(0) ** 2).sum(0) - 1 / count
        return self.log_evidence() + self.scale * 0.5 * count / (count - 1) * excess.sum()

    def some(self, which: slice) -> Candidates:
        """Some of the candidates."""
        return replace(self, standard=self.standard[which], log_weight=self.log_weight[which])

    def resampled(self) -> Tensor:
        """One candidate for every user, drawn by weight: (users, size), in the model's units."""
        gumbel = -torch.empty_like(self.log_weight).exponential_().log()
        chosen = (self.log_weight + gumbel).argmax(0)
        return _place(self.prior, self.standard[chosen, torch.arange(len(chosen))])


class PerUserGuide:
    """The guide "auto" for a model of users.

    Parameters
    ----------
    model
        A model whose population sites are `standardised`.
    count
        Number of candidates for every user.
    batch
        Number of users whom the model is called with at a time; None: all of them.
    """

    def __init__(self, model: UserModel, count: int, batch: int | None = None) -> None:
        self.model = model
        self.count = count
        self.trust = _TRUST
        users = model.users
        parts = 1 if batch is None else -(-users // batch)
        self.parts = torch.arange(users).tensor_split(parts)
        self.owners: list[Tensor | None] = [None] * parts
        with self._only(0):
            self.population = AutoMultivariateNormal(
                poutine.block(model.model, hide=list(model.shapes)),
                # With mini-batches of the order of what so many users leave uncertain, in units of
                # the prior: their noise hides how much the ELBO gains where the guide narrows.
                init_scale=0.1 if parts == 1 else min(0.1, users**-0.5),
            )
            self.population(*model.args, **model.kwargs)
            with torch.no_grad():
                start = self.population.median()
                prior = model.prior(start)
            size = prior.loc.shape[-1]
            self.owners[0] = self._owner(start, prior)
        self.precision = torch.zeros(users, size, size)
        self.shift = torch.zeros(users, size)
        self.updates = torch.full((users,), _FIRST_UPDATES if parts == 1 else _FIRST_OF_FEW)
        self.noise = int(torch.randint(2**62, ()))

    def loss(self, *_: object, **__: object) -> Tensor:
        """Loss that Pyro's SVI minimises; also updates P and h of the users."""
        found = self._candidates()
        with torch.no_grad():
            self._learn(found)
        return -found.objective()

    def draw(self) -> tuple[Sites, float]:
        """Draw all sites; also the log importance weight of the population's draw.

        The weight marginalises the users out, by an estimate from candidates. The errors of the
        estimates of hundreds of users would hide how the weights vary. So all draws use the same
        noise for these candidates: most of the error is common to all draws, and cancels.
        """
        drawn = self._draw_population()
        values, log_weight = torch.empty_like(self.shift), 0.0
        for part, users in enumerate(self.parts):
            seeded = torch.Generator().manual_seed(self.noise + part)
            shared = torch.randn(self.count, len(users), values.shape[-1], generator=seeded)
            noise = torch.cat([torch.randn_like(shared), shared])
            with self._only(part):
                found = self._candidates(drawn, noise, part)
            values[users] = found.some(slice(None, self.count)).resampled()
            # Each part estimates the whole; their mean over users is the whole.
            of_part = found.some(slice(self.count, None)).log_evidence()
            log_weight += float(of_part) / found.scale
        return drawn[0] | self.model.sites(values), log_weight

    def _only(self, part: int) -> AbstractContextManager[Any]:
        """Context in which the plate holds this part of the users; nothing where there is one."""
        if len(self.parts) == 1:
            return nullcontext()
        return ChosenIndices(self.model.plate, self.parts[part])

    def _candidates(
        self,
        drawn: tuple[Sites, Tensor] | None = None,
        noise: Tensor | None = None,
        part: int | None = None,
    ) -> Candidates:
        """Candidates of the users in the plate, at a draw of the population.

        Parameters
        ----------
        drawn
            The population, and the log density of the guide there; None: drawn anew.
        noise
            (K, users, size) standard noise that candidates are made of; None: drawn anew.
        part
            Which of the parts these users are, if they are one.
        """
        population, log_guide = self._draw_population() if drawn is None else drawn
        prior = self.model.prior(population)
        if noise is None:
            noise = torch.randn(self.count, *prior.loc.shape)
        S, users = prior.scale, prior.users
        precision, shift = self.precision[users], self.shift[users]
        pull = shift - (precision @ prior.loc[..., None])[..., 0]
        identity, information = torch.eye(S.shape[-1]), S.mT @ precision @ S
        tight = torch.linalg.cholesky(identity + information)
        mean = torch.cholesky_solve((S.mT @ pull[..., None]), tight)[..., 0]
        factor = torch.linalg.cholesky(identity + self.trust * information)
        # One solve a user for all candidates.
        step = torch.linalg.solve_triangular(factor.mT, noise.permute(1, 2, 0), upper=True)
        x = mean + step.permute(2, 0, 1)
        log_factor = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        # Normalising constants cancel between prior and guide, as does |scale|.
        log_weight = 0.5 * (noise**2).sum(-1) - 0.5 * (x**2).sum(-1) - log_factor
        rows = self.model.log_rows(population, _place(prior, x))
        owner = self._owner_in(part, population, prior)
        total = rows.new_zeros(len(x), len(users) + 1).index_add(-1, owner, rows)
        scale = len(self.shift) / len(users)
        shared = total[0, -1]  # rows of nobody are the same for every candidate
        log_weight = log_weight + total[:, :-1] / scale
        log_population = prior.log_population + shared - log_guide
        return Candidates(population, x, prior, log_population, log_weight, scale)

    def _owner_in(self, part: int | None, population: Sites, prior: Prior) -> Tensor:
        """User of each row in the plate, from memory where these are all users or a known part."""
        part = 0 if len(prior.users) == len(self.shift) else part
        if part is None:
            return self._owner(population, prior)
        found = self.owners[part]
        if found is None:
            found = self.owners[part] = self._owner(population, prior)
        return found

    def _owner(self, population: Sites, prior: Prior) -> Tensor:
        owner = self.model.owners(population, prior)
        if owner is None:
            raise ModelError(
                "guide='auto': in a mini-batch an observation depends on more than one user; leave "
                "batch out, or use guide='mean_field'"
            )
        return owner

    def _draw_population(self) -> tuple[Sites, Tensor]:
        """Population's sites, and the log density of the guide there, ().

        Gradients leave out the score of the guide's density: its mean is zero, and without it the
        variance vanishes as the guide approaches the posterior (Roeder, Wu & Duvenaud 2017).
        """
        trace = poutine.trace(self.population).get_trace(*self.model.args, **self.model.kwargs)
        nodes = {name: node for name, node in trace.nodes.items() if node["type"] == "sample"}
        (latent,) = (each for each in nodes.values() if each["infer"].get("is_auxiliary"))
        sites = {name: node for name, node in nodes.items() if node is not latent}
        guide = latent["fn"]
        fixed = dist.MultivariateNormal(guide.loc.detach(), scale_tril=guide.scale_tril.detach())
        log_density = fixed.log_prob(latent["value"])
        for node in sites.values():
            log_density = log_density + node["fn"].log_prob(node["value"]).sum()
        return {name: node["value"] for name, node in sites.items()}, log_density

    def _learn(self, found: Candidates) -> None:
        """Update P and h of the users towards their values at the mean curvature under q."""
        prior, users = found.prior, found.prior.users
        values = _place(prior, found.standard[:_EVALUATED]).detach()
        population = {name: value.detach() for name, value in found.population.items()}
        slope, curvature = self.model.curvature(population, values)
        precision = (-curvature / found.scale).mean(0)
        pull = slope / found.scale - (curvature @ values[..., None])[..., 0] / found.scale
        self.updates[users] += 1
        rate = self.updates[users] ** -_FORGETTING
        old = self.precision[users]
        self.precision[users] = _positive(old + rate[:, None, None] * (precision - old))
        self.shift[users] += rate[:, None] * (pull.mean(0) - self.shift[users])


def _positive(matrices: Tensor) -> Tensor:
    """Set negative eigenvalues, which a likelihood that is not log-concave may give, to zero."""
    lowest = 1e-9 * matrices.diagonal(dim1=-2, dim2=-1).abs().sum(-1) + 1e-12
    ridge = torch.diag_embed(lowest[:, None].expand(matrices.shape[:-1]))
    bad = torch.linalg.cholesky_ex(matrices + ridge).info > 0
    if bad.any():
        size, axes = torch.linalg.eigh(matrices[bad])
        matrices[bad] = (axes * size.clamp_min(0.0)[:, None, :]) @ axes.mT
    return matrices


def _place(prior: Prior, standard: Tensor) -> Tensor:
    """Users' parameters from those in units of the prior, (..., users, size)."""
    return prior.loc + torch.einsum("uij,...uj->...ui", prior.scale, standard)
