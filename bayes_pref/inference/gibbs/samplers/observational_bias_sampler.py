"""Gibbs sampler for a log that may be biased: w_ik and b_ik independent over features.

A sweep is one of the diagonal sampler over both, given the mean bias, and then draws of how what
the log tells is shared among the two.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.chain import HierarchicalChain
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.mean_bias import MeanBias
from bayes_pref.inference.gibbs.observational_bias_problem import ObservationalBiasProblem
from bayes_pref.inference.gibbs.samplers.diagonal_sampler import DiagonalSweeps
from bayes_pref.inference.gibbs.samplers.sampler import Sampler
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray


class ObservationalBiasSampler(Sampler[ObservationalBiasProblem]):
    """Gaussian users whose features are independent, with a bias in some rows."""

    position_bias = True

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether there is a log with a bias, and a diagonal covariance without factors."""
        return (
            spec.observational_bias is not None
            and spec.gaussian_weights
            and spec.covariance == "diagonal"
        )

    def problem(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> ObservationalBiasProblem:
        """Read the data and the priors; called where nothing is `unsupported`."""
        return ObservationalBiasProblem.read(spec, comparisons, choice_model.position_sd)

    def chain(
        self,
        problem: ObservationalBiasProblem,
        warmup: int,
        thin: int,
        rng: Generator,
        store: Store,
    ) -> ObservationalBiasChain:
        """Make a chain with an overdispersed start."""
        return ObservationalBiasChain(problem.own(), warmup, thin, rng, store)

    def compile_ahead(self, problem: ObservationalBiasProblem) -> None:
        """Compile in another process what the chains call last."""
        DiagonalSweeps().compile_ahead(problem)


class ObservationalBiasChain(HierarchicalChain):
    """A chain with a mean bias of its own.

    Parameters
    ----------
    problem
        Data and priors; the shifts of its rows are written into.
    warmup, thin, rng, store
        See `Chain`.
    """

    def __init__(
        self,
        problem: ObservationalBiasProblem,
        warmup: int,
        thin: int,
        rng: Generator,
        store: Store,
    ) -> None:
        self.bias = MeanBias(problem, rng)
        super().__init__(problem, DiagonalSweeps(), warmup, thin, rng, store)
        self.most = 1  # what is shared out is drawn after every sweep
        self.bias.problem = replace(problem, rows=self.problem.rows)
        d = problem.bias_scale.size
        self.places = np.split(problem.n_parameters + np.arange(2 * d), 2)

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on."""
        return super().arrays() | self.bias.arrays()

    def advance(self) -> int:
        """Run one more sweep."""
        keeps, draw = self.keeps, self.kept
        sweeps = super().advance()
        if keeps:
            for place, value in zip(self.places, (self.bias.size, self.bias.mean), strict=True):
                self.store.theta[draw, place] = value
        self.bias.move(self.theta, self.weights, self.psi, self.rng)
        return sweeps
