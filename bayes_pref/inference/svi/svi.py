"""Variational inference with Pyro (Hoffman et al. 2013), and how far its result can be trusted.

A guide, a family of distributions, is moved towards the posterior by climbing the evidence lower
bound (ELBO). No guide contains the posterior; importance weights of the result say how far it is
(Yao et al. 2018): with a Pareto k above 0.7 they have no usable variance. For the guide "auto" they
are the weights of the population, every user being summed out; for any other guide those of all
parameters together, whose k is large as soon as there are hundreds of them: small errors in each
of 13,000 parameters, of which no answer would take notice, multiply in the joint weight.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyro
import pyro.poutine as poutine
import torch
from numpy.typing import NDArray
from pyro import infer
from tqdm.auto import tqdm

from bayes_pref import settings
from bayes_pref.convergence import checks as convergence
from bayes_pref.convergence.checks import PARETO_K
from bayes_pref.convergence.finding import Finding
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.inference.engine import Engine, RawDraws
from bayes_pref.inference.nuts.density import as_double, dims_of, double_precision, sample_nodes
from bayes_pref.inference.pyro_posterior import PyroPosterior, build_sample
from bayes_pref.inference.svi.guides import LIMITS, Family, build, latent_sites
from bayes_pref.inference.svi.minibatch import ChosenIndices, batches, plate_of_latents
from bayes_pref.inference.svi.network_elbo import NetworkElbo, network_elbo
from bayes_pref.inference.svi.optimizer import Average, ClippedAdam, Progress
from bayes_pref.models.base import RewardModel
from bayes_pref.posterior.run import ElboRecord
from bayes_pref.seeding import seeded

Array = NDArray[np.float64]
Guide = str | Callable[..., Any]

_FEWEST = 4  # draws that are worth keeping after an interrupt


@dataclass(frozen=True, kw_only=True)
class SVI(Engine):
    """Stochastic variational inference: an approximation, for models or data too large for others.

    Parameters
    ----------
    draws
        Draws from the guide, all independent.
    chains, warmup, cores
        Kept for symmetry: one chain, no warm-up.
    guide
        "auto": the population with full rank, and every user with full rank given the population
        (a model without users: all parameters with full rank);
        "mean_field": all parameters independent; "low_rank": all jointly, with a covariance of
        rank `rank` beside a diagonal; or a Pyro guide of your own, called as the model is, that
        samples the model's latent sites.
    batch
        Users looked at in one step; None: all. A model or guide of your own must then use the
        indices of its plate of users.
    steps
        Most steps; the run ends before when the ELBO no longer rises.
    learning_rate
        Of Adam, at first; cut to 0.3 of its value whenever the ELBO stops rising, three times.
    clip
        Gradients are cut to this multiple of their usual norm.
    window
        Steps that the ELBO is averaged over to judge whether it rises.
    candidates
        Of each user and draw that the guide "auto" weighs against each other, at least 8.
    rank
        Of the guide "low_rank".

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

    chains: int = 1
    warmup: int = 0
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
        if self.chains != 1 or self.warmup != 0:
            raise ModelError(
                f"SVI(chains={self.chains}, warmup={self.warmup}): its draws are independent, so "
                "there is one chain and no warm-up"
            )
        if not callable(self.guide):
            names = settings.one_of(
                "auto", "mean_field", "low_rank", other="a Pyro guide of your own"
            )
            settings.check(self, guide=names)

    @property
    def _name(self) -> str:
        if isinstance(self.guide, str):
            return self.guide
        return getattr(self.guide, "__name__", type(self.guide).__name__)

    def settings(self) -> dict[str, Any]:
        """Return the engine's name and settings, ready for JSON."""
        kept = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("warmup", "cores"):
            del kept[name]
        return {"name": type(self).__name__} | kept | {"guide": self._name}

    def unsupported(self, model: RewardModel, comparisons: Comparisons) -> str | None:
        """Return why this engine cannot run the model, or None if it can."""
        if self.batch is not None and self.guide == "low_rank":
            return "guide='low_rank' ties all users together, so it cannot look at a batch of them"
        return None

    def run(self, model: RewardModel, comparisons: Comparisons, seed: int) -> RawDraws:
        """Fit the guide and draw from it; a model's own parameters are trained before."""
        findings: tuple[Finding, ...] = ()
        learned = None
        if model.needs_training(comparisons):
            comparisons, findings = self._train(model, comparisons, seed)
            learned = comparisons
        names = list(model.variables(comparisons))
        drawn = self._draw(model, (comparisons,), {}, seed, names)[0]
        return replace(drawn, comparisons=learned, findings=findings + drawn.findings)

    def train(self, model: RewardModel, comparisons: Comparisons, *, seed: int = 0) -> Comparisons:
        """Train a model's own parameters, such as a network, and draw nothing.

        Parameters
        ----------
        model, comparisons
            As for `bayes_pref.fit`.
        seed
            Makes the result reproducible.

        Returns
        -------
        comparisons as the trained parameters see them, ready for another engine

        Raises
        ------
        ModelError
            If the model cannot describe the data, or has nothing to train.

        Warns
        -----
        ConvergenceWarning
            If training had not settled.

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
        if not model.needs_training(comparisons):
            raise ModelError(f"{type(model).__name__} has nothing to train on these comparisons")
        learned, findings = self._train(model, comparisons, seed)
        convergence.warn(findings)
        return learned

    def _train(
        self, model: RewardModel, comparisons: Comparisons, seed: int
    ) -> tuple[Comparisons, tuple[Finding, ...]]:
        """Climb with the model's parameters and a mean-field guide; keep the former."""
        args = (comparisons,)
        with _one_thread(), seeded(seed), pyro.get_param_store().scope():
            with torch.no_grad():
                nodes = sample_nodes(model, args, {})
            with double_precision():
                plate = None
                if self.batch is not None:
                    plate = plate_of_latents(latent_sites(nodes), self.batch)
                family = build("mean_field", model, args, {}, nodes, candidates=8, rank=1)
                written = network_elbo(model, comparisons) if plate is None else None
                progress, _, complete = self._climb(family, args, {}, plate, seed, written)
                values = {
                    name: value.detach().numpy().copy()
                    for name, value in pyro.get_param_store().items()
                    if "." in name and not name.startswith("Auto")
                }
        found = () if progress.done or not complete else (self._unsettled(),)
        return model.with_learned_features(comparisons, values), found

    def _unsettled(self) -> Finding:
        message = (
            f"the ELBO had not settled after {self.steps:,} steps: take more, for example "
            f"SVI(steps={2 * self.steps})"
        )
        return Finding("elbo", "", float(self.steps), float(self.steps), 1, message)

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
            Makes the draws reproducible.

        Returns
        -------
        Sample: independent draws from the guide, in one chain

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
        drawn, dims = self._draw(model, args, kwargs, seed, None)
        seconds = time.perf_counter() - started
        return build_sample(drawn, dims, self.settings(), seconds, seed)

    def _draw(
        self,
        model: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        seed: int,
        names: Sequence[str] | None,
    ) -> tuple[RawDraws, dict[str, tuple[str, ...]]]:
        """Fit and draw; also the dimensions of each site. names=None: all sites."""
        args, kwargs = as_double(tuple(args)), as_double(dict(kwargs))
        with _one_thread(), seeded(seed), pyro.get_param_store().scope():
            with torch.no_grad():
                nodes = sample_nodes(model, args, kwargs)
            latent = latent_sites(nodes)
            dims = {name: dims_of(name, node) for name, node in nodes.items()}
            with double_precision():
                plate = None
                if self.batch is not None:
                    plate = plate_of_latents(latent, self.batch)
                family = build(
                    self.guide,
                    model,
                    args,
                    kwargs,
                    nodes,
                    candidates=self.candidates,
                    rank=self.rank,
                )
                progress, steps, complete = self._climb(family, args, kwargs, plate, seed)
                kept = list(dims) if names is None else list(names)
                values, log_weights, drawn = self._values(family, args, kwargs, kept)
        complete = complete and drawn
        pareto_k = _pareto_k(log_weights)
        size = sum(node["value"].numel() for node in latent.values())
        elbo = ElboRecord(
            history=tuple(progress.history),
            every=self.window,
            cuts=tuple(progress.cuts),
            steps=steps,
        )
        found = RawDraws(
            values,
            {"log_weight": log_weights[None]},
            complete,
            exact=False,
            joint=self.guide != "mean_field",
            pareto_k=pareto_k,
            pareto_k_of=family.weighed,
            elbo=elbo,
            findings=self._findings(progress, pareto_k, size, complete=complete),
        )
        return found, dims

    def _climb(
        self,
        family: Family,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        plate: tuple[str, int] | None,
        seed: int,
        written: NetworkElbo | None = None,
    ) -> tuple[Progress, int, bool]:
        """Fit the guide: what the ELBO did, the steps taken, and whether nobody interrupted.

        `written` is the same ELBO without Pyro's traces, if there is one.
        """
        optimiser = ClippedAdam(self.learning_rate, self.clip)
        svi = infer.SVI(family.model, family.guide, optimiser, family.loss)
        progress, average = Progress(self.learning_rate, self.window), Average()
        chosen = self._chosen(plate, seed)
        step = 0
        try:
            with tqdm(total=self.steps, desc="SVI", unit="step", disable=not self.progress) as bar:
                while step < self.steps and not progress.done:
                    with next(chosen):
                        elbo = -(written.step(optimiser) if written else svi.step(*args, **kwargs))
                    if not np.isfinite(elbo):
                        raise ModelError(
                            f"the ELBO is {elbo} at step {step:,}; use a smaller learning_rate= "
                            "or rescale the features"
                        )
                    step += 1
                    if progress.record(elbo):
                        optimiser.set_rate(progress.rate)
                    if progress.last_rate:
                        average.add()
                    bar.update()
                    if progress.history:
                        bar.set_postfix(elbo=f"{progress.history[-1]:.1f}", refresh=False)
        except KeyboardInterrupt:
            if not step:
                raise KeyboardInterrupt("interrupted before there was a guide to keep") from None
            return progress, step, False
        average.apply()
        return progress, step, True

    def _chosen(self, plate: tuple[str, int] | None, seed: int) -> Iterator[Any]:
        """Context of each step, in which the plate holds the step's mini-batch."""
        if plate is None or self.batch is None or self.batch == plate[1]:
            while True:
                yield nullcontext()
        name, total = plate
        for indices in batches(total, self.batch, np.random.default_rng(seed)):
            yield ChosenIndices(name, indices)

    def _values(
        self, family: Family, args: Sequence[Any], kwargs: Mapping[str, Any], names: Sequence[str]
    ) -> tuple[dict[str, Array], Array, bool]:
        """Draws (1, draw, ...) of the model's variables, log weights (draw,), and if complete."""
        kept: dict[str, list[Array]] = {name: [] for name in names}
        log_weights: list[float] = []
        with torch.no_grad():
            try:
                # One at a time: neither a model nor a guide of the user's own need broadcast.
                while len(log_weights) < self.draws:
                    sites, log_weight = family.draw()
                    conditioned = poutine.condition(family.model, data=sites)
                    trace = poutine.trace(conditioned).get_trace(*args, **kwargs)
                    values = {name: trace.nodes[name]["value"].numpy().copy() for name in names}
                    for name, value in values.items():
                        kept[name].append(value)
                    log_weights.append(log_weight)
            except KeyboardInterrupt:
                if len(log_weights) < _FEWEST:
                    raise
        count = len(log_weights)
        stacked = {name: np.stack(found[:count])[None] for name, found in kept.items()}
        return stacked, np.array(log_weights), count == self.draws

    def _findings(
        self, progress: Progress, pareto_k: float, size: int, *, complete: bool
    ) -> tuple[Finding, ...]:
        """Say what the guide cannot represent, and whether it had the time to settle."""
        found = []
        if self.guide in ("mean_field", "low_rank") or pareto_k > PARETO_K:
            message = LIMITS.get(self._name, LIMITS["own"]).format(rank=self.rank, size=size)
            found.append(Finding("guide", "", pareto_k, PARETO_K, size, message))
        if complete and not progress.done:
            found.append(self._unsettled())
        return tuple(found)


def _pareto_k(log_weights: Array) -> float:
    """Pareto k of importance weights; 0 where they are all the same."""
    if np.ptp(log_weights) < 1e-9:
        return 0.0
    from bayes_pref.posterior import arviz_bridge  # ArviZ takes a second to import

    return arviz_bridge.pareto_k(log_weights)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Run torch in one thread: its sums, and so the draws, then depend on the seed alone."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
