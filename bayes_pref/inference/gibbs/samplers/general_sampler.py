"""Sampler of Gaussian users for every choice model with a `KernelForm`.

A sweep moves, by Hamiltonian trajectories,

1. every user's zeta given the population: users are apart, accepted one by one;
2. the population and the choice model's parameters given all zeta;

and before these, where some users answer at random, draws who does (`careless_users`). In warm-up
that begins when the chain is no longer far off: a population that is far from everybody would
explain nobody's answers better than a coin.

zeta is nearly standard normal and nearly independent of the population (`partial_centring`), so
both moves go far. In warm-up the expansion of users' likelihoods is renewed, first at their
weights and then as a mean over states of the chain, and the metric of the second move is the mean
of the density's curvature over such states, which is about zeta held fixed: the covariance of the
states would be too wide where theta and zeta depend on each other. Both are then fixed. Where a
likelihood bends more than on average, long steps are refused: some moves are short, so that nobody
stays there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.adaptation import CHUNK
from bayes_pref.inference.gibbs.careless_users import CarelessUsers
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.diagonal_density import density_of
from bayes_pref.inference.gibbs.kernels.centred_batches import SHORT
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.partial_density import MeanExpansion
from bayes_pref.inference.gibbs.population_coordinates import metric_root
from bayes_pref.inference.gibbs.samplers.sampler import Sampler
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray

# Shares of warm-up at which the expansion and the metric are renewed: from Fisher information while
# the chain comes from far, then from curvature; afresh once, when the start is forgotten.
_FAR = (0.01, 0.02, 0.04, 0.07, 0.1)
_NEAR = (0.15, 0.2, 0.25, 0.3, 0.35)
_FINAL = (0.4, 0.45, 0.5, 0.6, 0.7)
_MANY = 60  # parameters from which every other look at the curvature is left out
_FEW = 5  # states, below which the expansion is that of the last one
_ANGLE = 0.75  # radians: two of them turn zeta into its momentum
_LEAPS_OF_USERS = 2
_LEAPS, _LEAPS_OF_FULL = 3, 4  # of the population, about half a turn with the full step
_JITTER = 0.4, 1.2  # of its steps: half turns alone would swap two sides, and never come closer
_SHORT_SHARE = 0.1  # of the population's moves


class GeneralSampler(Sampler[ChoiceProblem]):
    """Gaussian users, or one for all, with any choice model that kernels can read.

    Some of the users may answer at random.
    """

    position_bias = True

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether users are Gaussian around a mean that known regressors give, or all alike."""
        return spec.pooled or (spec.gaussian and spec.covariance != "none")

    def unsupported(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> str | None:
        """Return why it cannot sample the posterior, or None if it can."""
        if not self.matches(spec):
            return f"{type(self).__name__} is for another structure of the population"
        if choice_model.kernel_form(comparisons.outcome) is None:
            return f"Gibbs has no kernel for {choice_model.beyond_logistic}; use bp.NUTS()"
        return None

    def problem(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> ChoiceProblem:
        """Read the data and the priors; called where nothing is `unsupported`."""
        form = choice_model.kernel_form(comparisons.outcome)
        assert form is not None  # or it would be unsupported
        return ChoiceProblem.read(spec, comparisons, form)

    def chain(
        self, problem: ChoiceProblem, warmup: int, thin: int, rng: np.random.Generator, store: Store
    ) -> Chain:
        """Make a chain with an overdispersed start."""
        return GeneralChain(problem, warmup, thin, rng, store)


class GeneralChain(Chain):
    """A chain of the general sampler.

    Parameters
    ----------
    problem
        Data and priors.
    warmup, thin, rng, store
        See `Chain`.
    """

    def __init__(
        self,
        problem: ChoiceProblem,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
    ) -> None:
        super().__init__(warmup, thin, rng, store)
        self.careless = None
        if problem.careless is not None:
            self.careless = CarelessUsers(problem, problem.careless)
            problem = self.careless.problem
        self.problem = problem
        self.density = density_of(problem)
        size = self.density.size
        self.theta = self.density.start(rng)
        self.v = rng.standard_normal(self.density.linear.shape) * (not problem.pooled)
        self.density.expand(self.theta, self.density.weights(self.theta, self.v))
        self.zeta = self.density.standardised(self.theta, self.v)
        self.mean = MeanExpansion.like(self.density)
        self.curvature = np.zeros((size, size))
        self.whiten = np.zeros((size, size))
        self.looked = np.zeros(1)  # number of curvatures in the mean
        self.leaps = _LEAPS_OF_FULL if problem.population.full else _LEAPS
        self.log_step = np.full(1, np.log(0.5))
        self.log_turn = np.zeros(1)  # of users' angle, relative to the largest
        self.short = False
        every = 2 if size > _MANY else 1
        self.looks = {
            int(share * warmup): stage
            for stage, shares in enumerate((_FAR, _NEAR, _FINAL))
            for share in (shares if stage == 0 else shares[::every])
        }
        self._whiten(self.density.fisher(self.theta))

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on."""
        return {
            "theta": self.theta,
            "v": self.v,
            "zeta": self.zeta,
            "information": self.density.information,
            "linear": self.density.linear,
            **self.mean.arrays(),
            "curvature": self.curvature,
            "whiten": self.whiten,
            "looked": self.looked,
            "log_step": self.log_step,
            "log_turn": self.log_turn,
            **({} if self.careless is None else self.careless.arrays()),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned; see `Chain.restore`."""
        super().restore(state)
        if self.careless is not None:
            self.careless.apply(self.density)

    def advance(self) -> int:
        """Run one more sweep."""
        careless = self.careless
        if careless is not None and self.done >= _FAR[-1] * self.warmup:
            careless.draw(self.density, self.theta, self.zeta, self.v, self.rng)
        of_users = self._move_users()
        acceptance, log_density = self._move_population()
        if self.keeps:
            draw, store = self.kept, self.store
            kept = self.density.lower_entries(self.theta)
            store.theta[draw, : kept.size] = kept
            if careless is not None:
                store.theta[draw, -1] = careless.share[0]
                store.weights[draw, :, 0] = careless.indicators
                log_density += careless.log_density()
            if not self.problem.pooled:
                weights = self.density.weights(self.theta, self.v)
                store.weights[draw, :, -weights.shape[1] :] = weights
            store.stats[draw] = acceptance, log_density
        self.done += 1
        if self.done <= self.warmup:
            self._adapt(of_users, acceptance)
        return 1

    def _move_users(self) -> float:
        """Move all zeta; returns the mean acceptance."""
        if self.problem.pooled:
            return 1.0
        angle = _ANGLE * float(np.exp(self.log_turn[0]))
        state = (self.theta, self.zeta, self.v)
        return self.density.move_users(*state, angle, _LEAPS_OF_USERS, self.rng)

    def _move_population(self) -> tuple[float, float]:
        """Move theta given all zeta; returns the acceptance and the log density it ends at."""
        rng = self.rng
        step = float(np.exp(self.log_step[0])) * rng.uniform(*_JITTER)
        self.short = bool(rng.random() < _SHORT_SHARE)
        step *= SHORT if self.short else 1.0
        new, v = self.theta.copy(), np.empty_like(self.v)
        with np.errstate(over="ignore", invalid="ignore"):  # a trajectory may lose numbers
            return self._trajectory(new, v, step)

    def _trajectory(self, new: FloatArray, v: FloatArray, step: float) -> tuple[float, float]:
        """Follow a trajectory of theta, `new` at first, and accept its end or not; v is filled."""
        rng, density = self.rng, self.density
        start, gradient = density.log_density(new, self.zeta, v)
        momentum = rng.standard_normal(density.size)
        end, kinetic = start, 0.5 * float(momentum @ momentum)
        momentum += 0.5 * step * (self.whiten.T @ gradient)
        for leap in range(self.leaps):
            new += step * (self.whiten @ momentum)
            end, gradient = density.log_density(new, self.zeta, v)
            if not np.isfinite(end):
                return 0.0, start
            last = leap == self.leaps - 1
            momentum += (0.5 if last else 1.0) * step * (self.whiten.T @ gradient)
        change = end - start + kinetic - 0.5 * float(momentum @ momentum)
        # A trajectory that lost a number is refused: the least of 0 and nan is 0.
        acceptance = float(np.exp(min(0.0, change))) if np.isfinite(change) else 0.0
        if not rng.random() < acceptance:
            return acceptance, start
        self.theta[...] = new
        self.v[...] = v
        return acceptance, end

    def _adapt(self, of_users: float, acceptance: float) -> None:
        """Adapt the moves after a sweep of warm-up."""
        gain = 0.5 / (1 + 0.05 * max(0, self.done - self.warmup // 5))
        if not self.short:
            self.log_step += gain * (acceptance - 0.8)
        self.log_turn[...] = np.minimum(self.log_turn + gain * (of_users - 0.8), 0.0)
        if self.done > self.warmup // 5 and self.done % CHUNK == 0:
            self.density.add_expansion(self.mean, self.theta, self._heeding())
        stage = self.looks.get(self.done)
        if stage is not None:
            self._look(stage)

    def _look(self, stage: int) -> None:
        """Renew the expansion and the metric."""
        if self.mean.count[0] < _FEW:
            self.density.expand(self.theta, self.density.weights(self.theta, self._heeding()))
        else:
            self.density.expand_by(self.mean)
        if self.careless is not None:
            self.careless.apply(self.density)
        self.zeta[...] = self.density.standardised(self.theta, self.v)
        if stage == 0:
            self._whiten(self.density.fisher(self.theta))
            return
        if self.done == min(place for place, of in self.looks.items() if of == stage):
            self.curvature[...] = 0.0
            self.looked[0] = 0
        self.looked[0] += 1
        new = self.density.curvature(self.theta, self.zeta)
        if np.isfinite(new).all():
            self.curvature += (new - self.curvature) / self.looked[0]
            self._whiten(self.curvature)
            self.log_step[...] = np.maximum(self.log_step, np.log(0.4))

    def _heeding(self) -> FloatArray:
        """Deviations v, of users who answer at random those that they would have otherwise."""
        if self.careless is None:
            return self.v
        return self.density.deviations(self.theta, self.zeta)[0]

    def _whiten(self, curvature: FloatArray) -> None:
        """Use a curvature as the metric."""
        self.whiten[...] = metric_root(curvature)
