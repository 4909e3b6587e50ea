"""What every Gibbs sampler does: say what it accepts, read the data, and make a chain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.chain import Chain, HierarchicalChain
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.sweeps import Sweeps
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray


class SamplerProblem(Protocol):
    """Data and priors as the chains of a sampler read them."""

    @property
    def n_columns(self) -> int:
        """Number of parameters in a draw beside the weights."""

    @property
    def weights_shape(self) -> tuple[int, int]:
        """Shape of the weights in a draw: users, and values of each."""

    def identity(self) -> dict[str, Any]:
        """Return what decides the posterior, ready for JSON."""

    def raw(self, theta: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Return draws (chain, draw, ...) by site in raw units; may write into `weights`."""


P = TypeVar("P", bound=SamplerProblem)


class Sampler(ABC, Generic[P]):
    """A Gibbs sampler of one structure of the population.

    Attributes
    ----------
    statistics
        Statistics that its chains write to the store, in order; the last columns of it.
    position_bias
        Whether it can sample a position bias.
    """

    statistics: ClassVar[tuple[str, ...]] = ("acceptance_rate", "lp")
    position_bias: ClassVar[bool] = False

    @abstractmethod
    def matches(self, spec: PopulationSpec) -> bool:
        """Whether the population has the structure that this sampler is for."""

    def unsupported(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> str | None:
        """Return why it cannot sample the posterior, or None if it can.

        Parameters
        ----------
        spec
            How users differ.
        choice_model
            How rewards become choices.
        comparisons
            The data.
        """
        if not self.matches(spec):
            return f"{type(self).__name__} is for another structure of the population"
        if spec.signs is not None:
            return f"{type(self).__name__} is for weights of either sign"
        if spec.careless is not None:
            return "Gibbs samples people who answer at random with Gaussian users alone"
        reason = choice_model.beyond_logistic
        if choice_model.position_sd is not None and not self.position_bias:
            reason = "a position bias"
        if reason is not None:
            return f"Gibbs samples logistic choices, and not {reason}; use bp.NUTS()"
        return None

    @abstractmethod
    def problem(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> P:
        """Read the data and the priors; called where nothing is `unsupported`."""

    @abstractmethod
    def chain(
        self, problem: P, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> Chain:
        """Make a chain with an overdispersed start.

        Parameters
        ----------
        problem
            What `problem` returned; other chains read it, too.
        warmup, thin, rng, store
            See `Chain`.
        """

    def compile_ahead(self, problem: P) -> None:
        """Compile in another process what the chains call last."""


class GaussianSampler(Sampler[Problem]):
    """Base of samplers of a single Gaussian population, which can sample a position bias."""

    position_bias: ClassVar[bool] = True

    def problem(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> Problem:
        """Read the data and the priors; called where nothing is `unsupported`."""
        return Problem.build(spec, comparisons, choice_model.position_sd)


class SweepSampler(GaussianSampler):
    """Base of those whose chains have no state beside that of their sweeps."""

    @abstractmethod
    def sweeps(self) -> Sweeps:
        """Return the sweeps of a chain."""

    def chain(
        self, problem: Problem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> HierarchicalChain:
        """Make a chain with an overdispersed start."""
        return HierarchicalChain(problem, self.sweeps(), warmup, thin, rng, store)

    def compile_ahead(self, problem: Problem) -> None:
        """Compile in another process what the chains call last."""
        self.sweeps().compile_ahead(problem)
