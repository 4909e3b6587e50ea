"""Maximisation of the evidence lower bound (ELBO) in the parameters of a guide and of a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from threading import Event
from typing import Any

import numpy as np
import pyro
import torch
from pyro import infer

from bayes_pref.convergence.finding import Finding
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.inference.pyro_tools.trace import double_precision, sample_nodes
from bayes_pref.inference.svi.guides import Family, build, latent_sites
from bayes_pref.inference.svi.minibatch import ChosenIndices, batches, plate_of_latents
from bayes_pref.inference.svi.network_elbo import NetworkElbo, network_elbo
from bayes_pref.inference.svi.optimizer import (
    PATIENCE,
    PATIENCE_OF_BATCHES,
    Average,
    ClippedAdam,
    Progress,
)
from bayes_pref.models.base import RewardModel
from bayes_pref.posterior.run import ElboRecord
from bayes_pref.progress import tqdm
from bayes_pref.seeding import seeded


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """Settings of the optimiser; see `SVI`."""

    steps: int
    learning_rate: float
    clip: float
    window: int
    batch: int | None
    progress: bool


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the optimisation went.

    Attributes
    ----------
    elbo
        Course of the ELBO.
    converged
        Whether the stopping rule was met before the steps were used up.
    complete
        False if the optimisation was interrupted.
    """

    elbo: ElboRecord
    converged: bool
    complete: bool

    @property
    def unfinished(self) -> tuple[Finding, ...]:
        """Whether the optimisation was interrupted, for training that no draws follow."""
        if self.complete:
            return ()
        steps = self.elbo.steps
        message = (
            f"training was interrupted after {steps:,} steps: train again, to the end, before you "
            "rely on the learned features"
        )
        return (Finding("incomplete", "", float(steps), np.inf, 0, message),)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Whether there were too few steps; an interrupted run is reported as such."""
        if self.converged or not self.complete:
            return ()
        steps = self.elbo.steps
        message = (
            f"the ELBO had not converged after {steps:,} steps: take more, for example "
            f"SVI(steps={2 * steps})"
        )
        return (Finding("elbo", "", float(steps), float(steps), 1, message),)


def maximise_elbo(
    family: Family,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    settings: TrainingSettings,
    plate: tuple[str, int] | None,
    seed: int,
    interrupted: Event,
    explicit: NetworkElbo | None = None,
) -> Training:
    """Maximise the ELBO in all parameters of Pyro's store.

    Parameters
    ----------
    family
        Model, guide and loss.
    args, kwargs
        What the model and the guide are called with.
    plate
        Name and size of the plate that mini-batches are of; None: all data in every step.
    seed
        Random seed of the mini-batches.
    interrupted
        Set once there was a Ctrl-C: training then ends with the guide so far.
    explicit
        The same ELBO without Pyro's traces, if there is one.

    Raises
    ------
    ModelError
        If the ELBO is not a number.
    KeyboardInterrupt
        If interrupted before the first step.
    """
    optimiser = ClippedAdam(settings.learning_rate, settings.clip)
    svi = infer.SVI(family.model, family.guide, optimiser, family.loss)
    some = plate is not None and settings.batch not in (None, plate[1])
    patience = PATIENCE_OF_BATCHES if some else PATIENCE
    progress = Progress(settings.learning_rate, settings.window, patience)
    average = Average()
    chosen = _mini_batches(plate, settings.batch, seed)
    step = 0
    try:
        with tqdm(
            total=settings.steps, desc="SVI", unit="step", disable=not settings.progress
        ) as bar:
            while step < settings.steps and not progress.done and not interrupted.is_set():
                with next(chosen):
                    loss = explicit.step(optimiser) if explicit else svi.step(*args, **kwargs)
                if not np.isfinite(loss):
                    raise ModelError(
                        f"the ELBO is {-loss} at step {step:,}; use a smaller learning_rate= "
                        "or rescale the features"
                    )
                step += 1
                if progress.record(-loss):
                    optimiser.set_rate(progress.rate)
                if progress.last_rate:
                    average.add()
                bar.update()
                if progress.history:
                    bar.set_postfix(elbo=f"{progress.history[-1]:.1f}", refresh=False)
    except KeyboardInterrupt:
        if interrupted.is_set():  # a second one
            raise
        interrupted.set()
    if not step:
        raise KeyboardInterrupt("interrupted before there was a guide to keep")
    complete = not interrupted.is_set()
    if complete:
        average.apply()
    elbo = ElboRecord(
        history=tuple(progress.history),
        every=settings.window,
        cuts=tuple(progress.cuts),
        steps=step,
    )
    return Training(elbo=elbo, converged=progress.done, complete=complete)


def _mini_batches(
    plate: tuple[str, int] | None, size: int | None, seed: int
) -> Iterator[AbstractContextManager[Any]]:
    """Context of each step, in which the plate holds the step's mini-batch."""
    if plate is None or size is None or size == plate[1]:
        while True:
            yield nullcontext()
    name, total = plate
    for indices in batches(total, size, np.random.default_rng(seed)):
        yield ChosenIndices(name, indices)


def learn_features(
    model: RewardModel,
    comparisons: Comparisons,
    settings: TrainingSettings,
    seed: int,
    interrupted: Event,
) -> tuple[Comparisons, Training]:
    """Train a model's own parameters, such as a network, with a mean-field guide for its sites.

    Parameters
    ----------
    interrupted
        Set once there was a Ctrl-C: training then ends with the parameters so far.

    Returns
    -------
    comparisons on the learned features, and how the optimisation went
    """
    args = (comparisons,)
    with seeded(seed), pyro.get_param_store().scope():
        with torch.no_grad():
            nodes = sample_nodes(model, args, {})
        with double_precision():
            plate = None
            if settings.batch is not None:
                plate = plate_of_latents(latent_sites(nodes), settings.batch)
            family = build("mean_field", model, args, {}, nodes, candidates=8, rank=1)
            explicit = network_elbo(model, comparisons) if plate is None else None
            training = maximise_elbo(family, args, {}, settings, plate, seed, interrupted, explicit)
            values = {
                name: value.detach().numpy().copy()
                for name, value in pyro.get_param_store().items()
                if "." in name and not name.startswith("Auto")
            }
    return model.with_learned_features(comparisons, values), training
