"""Gibbs sampler for a log that may be biased: w_ik and b_ik independent over features.

A sweep is one of the diagonal sampler over both, and then draws of how the weights of the log are
shared among them, and of the sizes of the bias.
"""

from __future__ import annotations

from numpy.random import Generator

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.chain import HierarchicalChain
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.log_bias_problem import BiasSize, LogBiasProblem
from bayes_pref.inference.gibbs.samplers.diagonal_sampler import DiagonalSweeps
from bayes_pref.inference.gibbs.samplers.sampler import Sampler
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray


class LogBiasSampler(Sampler[LogBiasProblem]):
    """Gaussian users whose features are independent, with a bias in some rows."""

    position_bias = True

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether there is a log with a bias, and a diagonal covariance without factors."""
        return spec.log_bias is not None and spec.gaussian_weights and spec.covariance == "diagonal"

    def problem(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> LogBiasProblem:
        """Read the data and the priors; called where nothing is `unsupported`."""
        return LogBiasProblem.read(spec, comparisons, choice_model.position_sd)

    def chain(
        self,
        problem: LogBiasProblem,
        warmup: int,
        thin: int,
        rng: Generator,
        store: Store,
    ) -> LogBiasChain:
        """Make a chain with an overdispersed start."""
        return LogBiasChain(problem.own(), warmup, thin, rng, store)

    def compile_ahead(self, problem: LogBiasProblem) -> None:
        """Compile in another process what the chains call last."""
        DiagonalSweeps().compile_ahead(problem)


class LogBiasChain(HierarchicalChain):
    """A chain with sizes of the bias of its own.

    Parameters
    ----------
    problem
        Data and priors; its rows are written into.
    warmup, thin, rng, store
        See `Chain`.
    """

    def __init__(
        self,
        problem: LogBiasProblem,
        warmup: int,
        thin: int,
        rng: Generator,
        store: Store,
    ) -> None:
        self.size = BiasSize(problem, rng)
        super().__init__(problem, DiagonalSweeps(), warmup, thin, rng, store)
        self.most = 1  # the sizes are drawn after every sweep
        self.first = problem.n_parameters

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on."""
        rows = self.problem.rows
        own = {"size": self.size.value, "values": rows.values, "entries": rows.entry_values}
        return super().arrays() | own

    def advance(self) -> int:
        """Run one more sweep."""
        keeps, draw = self.keeps, self.kept
        sweeps = super().advance()
        if keeps:
            self.store.theta[draw, self.first : self.first + self.size.value.size] = self.size.value
        self.size.exchange(self.theta, self.weights, self.psi, self.rng)
        self.size.share_spread(self.theta, self.weights, self.psi, self.rng)
        self.size.move_with_biases(self.weights, self.psi, self.rng)
        self.size.move(self.theta, self.weights, self.rng)
        return sweeps
