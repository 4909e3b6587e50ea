"""Variational inference with Pyro (Hoffman et al. 2013), and how far its result can be trusted.

A guide, a family of distributions, is fitted to the posterior by maximising the evidence lower
bound, ELBO (`training`), and drawn from (`approximation`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from threading import Event
from typing import Any

import pyro
import torch

from bayes_pref import settings
from bayes_pref.convergence import checks as convergence
from bayes_pref.convergence.checks import PARETO_K
from bayes_pref.convergence.finding import Finding
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError, Unsupported
from bayes_pref.inference.engine import Engine, Program
from bayes_pref.inference.pyro_tools.pyro_posterior import PyroPosterior, build_pyro_posterior
from bayes_pref.inference.pyro_tools.trace import (
    as_double,
    dims_of,
    double_precision,
    sample_nodes,
)
from bayes_pref.inference.raw_draws import RawDraws
from bayes_pref.inference.runtime.interrupts import on_interrupt
from bayes_pref.inference.svi.approximation import guide_draws, pareto_k
from bayes_pref.inference.svi.guides import LIMITS, build, latent_sites
from bayes_pref.inference.svi.minibatch import plate_of_latents
from bayes_pref.inference.svi.training import (
    Training,
    TrainingSettings,
    learn_features,
    maximise_elbo,
)
from bayes_pref.models.base import RewardModel
from bayes_pref.seeding import seeded, standard_numpy

Guide = str | Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class SVI(Engine):
    """Stochastic variational inference: an approximation, for models or data too large for others.

    Parameters
    ----------
    draws, progress
        See `Engine`; draws from the guide are independent, and make one chain.
    guide
        "auto": the population with a full covariance, and every user with a full covariance given
        the population (a model without users: all parameters with a full covariance);
        "mean_field": all parameters independent; "low_rank": all jointly, with a covariance of
        rank `rank` plus a diagonal; or a Pyro guide of your own, called as the model is, that
        samples the model's latent sites.
    batch
        Number of users in a mini-batch, such as 500 of thousands; None: all users in every step.
        The guide "auto" is then also drawn from by so many users at a time, which bounds the memory
        in use. A model or guide of your own must use the indices of its plate of users.
    steps
        Largest number of steps; the run ends earlier when the ELBO no longer rises.
    learning_rate
        First learning rate of Adam; multiplied by 0.3 whenever the ELBO stops rising, three times.
    clip
        Gradients are clipped to this multiple of the running mean of their norm.
    window
        Steps that the ELBO is averaged over to judge whether it rises.
    candidates
        Number of candidates for each user in the importance weights of the guide "auto", at least
        8.
    rank
        Rank of the guide "low_rank".

    Raises
    ------
    ModelError
        If a setting is out of range.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.SVI(progress=False))
    >>> posterior.run.settings["guide"], posterior.run.complete
    ('auto', True)
    """

    guide: Guide = "auto"
    batch: int | None = None
    steps: int = 10_000
    learning_rate: float = 0.03
    clip: float = 10.0
    window: int = 50
    candidates: int = 16
    rank: int = 10

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(
            self,
            steps=settings.whole(1),
            window=settings.whole(2),
            candidates=settings.whole(8),
            rank=settings.whole(1),
            batch=settings.optional(settings.whole(1)),
            learning_rate=settings.positive,
            clip=settings.positive,
        )
        if not callable(self.guide):
            names = settings.one_of(
                "auto", "mean_field", "low_rank", other="a Pyro guide of your own"
            )
            settings.check(self, guide=names)

    @property
    def guide_name(self) -> str:
        """Name of the guide: its setting, or the name of a guide of the user's own."""
        if isinstance(self.guide, str):
            return self.guide
        return getattr(self.guide, "__name__", type(self.guide).__name__)

    def settings(self) -> dict[str, Any]:
        """Return the engine's name and settings, ready for JSON."""
        # Not asdict, which would copy a guide.
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"name": type(self).__name__} | kept | {"guide": self.guide_name}

    @property
    def training(self) -> TrainingSettings:
        """Settings of the optimiser."""
        names = [field.name for field in fields(TrainingSettings)]
        return TrainingSettings(**{name: getattr(self, name) for name in names})

    def prepare(self, model: RewardModel, comparisons: Comparisons) -> Program:
        """Read a model and its data; see `Engine.prepare`."""
        if self.batch is not None and self.guide == "low_rank":
            raise Unsupported(
                "guide='low_rank' ties all users together, so it cannot look at a batch of them"
            )
        return SVIProgram(self, model, comparisons)

    def train(self, model: RewardModel, comparisons: Comparisons, *, seed: int = 0) -> Comparisons:
        """Train a model's own parameters, such as a network, and draw nothing.

        Parameters
        ----------
        model, comparisons
            As for `bayes_pref.fit`.
        seed
            Random seed.

        Returns
        -------
        comparisons on the learned features, ready for another engine

        Raises
        ------
        ModelError
            If the model cannot describe the data, or has nothing to train.

        Warns
        -----
        ConvergenceWarning
            If training had not converged.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> world = bp.simulate(users=20, features=["length", "tone"], contexts=0, seed=0)
        >>> frame = world.frame.assign(nothing=0.0, zero=0.0)
        >>> sides = bp.Comparisons.from_frame(
        ...     frame,
        ...     user="user",
        ...     choice="choice",
        ...     left=["length", "tone"],
        ...     right=["nothing", "zero"],
        ...     features=["length", "tone"],
        ... )
        >>> model = bp.RepresentationReward(size=2, hidden=8)
        >>> bp.SVI(progress=False).train(model, sides).feature_names
        ('z_1', 'z_2')
        """
        model.check(comparisons)
        seed = settings.seed(seed)
        if not model.needs_training(comparisons):
            raise ModelError(f"{type(model).__name__} has nothing to train on these comparisons")
        with standard_numpy(), on_interrupt(lambda: None) as interrupted:
            learned, training = learn_features(model, comparisons, self.training, seed, interrupted)
        convergence.warn(training.findings or training.unfinished)
        return learned

    def sample(
        self, model: Callable[..., Any], *args: Any, seed: int = 0, **kwargs: Any
    ) -> PyroPosterior:
        """Approximate the posterior of any Pyro model, which need not be about preferences.

        Parameters
        ----------
        model
            An ordinary Pyro model without discrete latent sites, called as
            ``model(*args, **kwargs)``. Hand tensors over as arguments: they arrive in float64.
        seed
            Random seed.

        Returns
        -------
        PyroPosterior: independent draws from the guide, in one chain

        Raises
        ------
        ModelError
            If the model has discrete latent sites, or the guide cannot be built for it.

        Warns
        -----
        ConvergenceWarning
            If the guide is too far from the posterior; says what it cannot represent.

        Examples
        --------
        >>> import pyro
        >>> import pyro.distributions as dist
        >>> import torch
        >>> import bayes_pref as bp
        >>> def shops(sales: torch.Tensor) -> None:
        ...     mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
        ...     with pyro.plate("shop", len(sales)):
        ...         true = pyro.sample("true", dist.Normal(mean, 1.0))
        ...         pyro.sample("sales", dist.Normal(true, 1.0), obs=sales)
        >>> sales = torch.tensor([3.0, 1.0, 2.0, 4.0, 2.5, 3.5])
        >>> found = bp.SVI(progress=False).sample(shops, sales, seed=1)
        >>> found.draws["true"].dims
        ('chain', 'draw', 'shop')
        """
        started = time.perf_counter()
        seed = settings.seed(seed)
        with standard_numpy():
            with on_interrupt(lambda: None) as interrupted:
                drawn, dims = _approximate(self, model, args, kwargs, seed, interrupted)
            seconds = time.perf_counter() - started
            return build_pyro_posterior(drawn, dims, self.settings(), seconds, seed)


@dataclass(frozen=True, eq=False)
class SVIProgram(Program):
    """A model and its data, ready for a guide to be fitted.

    Attributes
    ----------
    engine
        Its settings.
    model, comparisons
        Pyro reads them when the guide is built, with the seed of the run.
    """

    engine: SVI
    model: RewardModel
    comparisons: Comparisons

    def run(self, seed: int) -> RawDraws:
        """Learn features where the model has any to learn, fit the guide, and draw from it."""
        with on_interrupt(lambda: None) as interrupted:
            return self._run(seed, interrupted)

    def _run(self, seed: int, interrupted: Event) -> RawDraws:
        model, comparisons = self.model, self.comparisons
        findings: tuple[Finding, ...] = ()
        learned = None
        if model.needs_training(comparisons):
            learned, training = learn_features(
                model, comparisons, self.engine.training, seed, interrupted
            )
            comparisons, findings = learned, training.findings
        names = list(model.variables(comparisons))
        args = (comparisons,)
        drawn, _ = _approximate(self.engine, model, args, {}, seed, interrupted, names)
        return replace(drawn, comparisons=learned, findings=findings + drawn.findings)


def _approximate(
    engine: SVI,
    model: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    seed: int,
    interrupted: Event,
    names: Sequence[str] | None = None,
) -> tuple[RawDraws, dict[str, tuple[str, ...]]]:
    """Fit the guide and draw; also the dimensions of each site. names=None: all sites."""
    args, kwargs = as_double(tuple(args)), as_double(dict(kwargs))
    with seeded(seed), pyro.get_param_store().scope():
        with torch.no_grad():
            nodes = sample_nodes(model, args, kwargs)
        latent = latent_sites(nodes)
        dims = {name: dims_of(name, node) for name, node in nodes.items()}
        with double_precision():
            plate = None if engine.batch is None else plate_of_latents(latent, engine.batch)
            family = build(
                engine.guide,
                model,
                args,
                kwargs,
                nodes,
                candidates=engine.candidates,
                rank=engine.rank,
                batch=engine.batch,
            )
            training = maximise_elbo(
                family, args, kwargs, engine.training, plate, seed, interrupted
            )
            kept = list(dims) if names is None else list(names)
            sites, log_weights = guide_draws(family, args, kwargs, kept, engine.draws, interrupted)
    k = pareto_k(log_weights)
    size = sum(node["value"].numel() for node in latent.values())
    drawn = RawDraws(
        sites,
        {"log_weight": log_weights[None]},
        complete=training.complete and len(log_weights) == engine.draws,
        exact=False,
        joint=engine.guide != "mean_field",
        pareto_k=k,
        pareto_k_of=family.weighed,
        elbo=training.elbo,
        findings=_findings(engine, training, k, size),
    )
    return drawn, dims


def _findings(engine: SVI, training: Training, k: float, size: int) -> tuple[Finding, ...]:
    """Report what the guide cannot represent, and whether the optimisation has converged."""
    if engine.guide not in ("mean_field", "low_rank") and k <= PARETO_K:
        return training.findings
    message = LIMITS.get(engine.guide_name, LIMITS["own"]).format(rank=engine.rank, size=size)
    return (Finding("guide", "", k, PARETO_K, size, message), *training.findings)
