"""Sampler of one vector of thousands of weights: one for each of many items, of any choice model.

A sweep is a Hamiltonian trajectory of all parameters at once. In units of their curvature they are
close to standard normal around their mean m, so that the trajectory alternates between the exact
motion of a standard normal and steps along the rest of the gradient (split Hamiltonian Monte Carlo;
Shahbaba, Lan, Johnson & Neal 2014, Statistics and Computing 24). Its cost is a few passes over the
comparisons, whatever the number of items. The level that all items share is then drawn by itself,
since the choices do not depend on it.

Curvature and mean are averages over states of warm-up, and fixed after it.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.data.sparse_rows import is_sparse
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.many_features import ManyFeaturesDensity, ManyFeaturesProblem
from bayes_pref.inference.gibbs.samplers.sampler import Sampler
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray

# Shares of warm-up: at which curvatures are looked at; from which the mean is one of states; from
# which both are taken afresh; at which the length of trajectories is decided, and their step
# adapted anew.
_LOOKS = (0.01, 0.02, 0.04, 0.07, 0.1, 0.15, 0.2, 0.3, 0.4, 0.45, 0.5, 0.55, 0.6)
_MEAN, _AFRESH, _LAST = 0.1, 0.3, 0.9
_LENGTHS = 0.15, 0.6
_TURN = 0.5 * np.pi  # radians of the slowest direction, half a turn would only swap sides
_JITTER = 0.4, 1.6  # of it: with whole turns alone draws would come back to where they were
_LONG_SHARE = 0.5  # of trajectories as long as the slowest direction needs; others serve the rest
_SLOWEST = 0.01  # curvature that trajectories are made for; it is negative where lapses bend it
_MOST_LEAPS = 50
_MODERATE = 1_000  # features that another sampler still takes, which is better at lapses
_ACCEPTANCE = 0.9


class ManyFeaturesSampler(Sampler[ManyFeaturesProblem]):
    """The same weights for all, of so many features that their rows are held without zeros."""

    position_bias = True

    def matches(self, spec: PopulationSpec) -> bool:
        """Whether users do not differ."""
        return spec.pooled

    def unsupported(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> str | None:
        """Return why it cannot sample the posterior, or None if it can."""
        name = type(self).__name__
        if not self.matches(spec) or spec.signs is not None or spec.careless is not None:
            return f"{name} is for weights of either sign that all users share"
        if not is_sparse(comparisons.difference):
            return f"{name} is for comparisons of many items"
        form = choice_model.kernel_form(comparisons.outcome)
        if form is None:
            return f"Gibbs has no kernel for {choice_model.beyond_logistic}"
        if form.lapse is not None and comparisons.n_features <= _MODERATE:
            return f"{name} is slow where choices lapse, and for a thousand items and more alone"
        return None

    def problem(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> ManyFeaturesProblem:
        """Read the data and the priors; called where nothing is `unsupported`."""
        form = choice_model.kernel_form(comparisons.outcome)
        assert form is not None  # or it would be unsupported
        return ManyFeaturesProblem.read(spec, comparisons, form)

    def chain(
        self,
        problem: ManyFeaturesProblem,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
    ) -> Chain:
        """Make a chain with an overdispersed start."""
        return ManyFeaturesChain(problem, warmup, thin, rng, store)


class ManyFeaturesChain(Chain):
    """A chain of one vector of many weights."""

    def __init__(
        self,
        problem: ManyFeaturesProblem,
        warmup: int,
        thin: int,
        rng: np.random.Generator,
        store: Store,
    ) -> None:
        super().__init__(warmup, thin, rng, store)
        self.density = ManyFeaturesDensity(problem)
        self.theta = self.density.start(rng)
        self.mean = self.theta.copy()
        self.averaged = np.zeros(2)  # number of curvatures, and of states, in the averages
        self.information = self.density.curvature(self.theta)
        self.turn = np.full(1, _TURN)  # radians of a typical direction
        self.log_step = np.full(1, np.log(0.3))
        self.looks = {max(1, int(share * warmup)) for share in _LOOKS}

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next sweep depends on."""
        return {
            "theta": self.theta,
            "mean": self.mean,
            "averaged": self.averaged,
            "information": self.information,
            "turn": self.turn,
            "log_step": self.log_step,
        }

    def advance(self) -> int:
        """Run one more sweep."""
        with np.errstate(over="ignore", invalid="ignore"):  # a trajectory may lose numbers
            acceptance, log_density = self._move()
        self.density.shift_levels(self.theta, self.rng)
        if self.keeps:
            self.store.theta[self.kept] = self.theta
            self.store.stats[self.kept] = acceptance, log_density
        self.done += 1
        if self.done <= _LAST * self.warmup:
            self._adapt(acceptance)
        return 1

    def _move(self) -> tuple[float, float]:
        """Follow a trajectory and accept its end or not; its acceptance and the log density."""
        rng, mean, scale = self.rng, self.mean, 1.0 / np.sqrt(self.information)
        turn = float(self.turn[0]) if rng.random() < _LONG_SHARE else _TURN
        turn *= rng.uniform(*_JITTER)
        leaps = int(np.clip(np.ceil(turn / np.exp(self.log_step[0])), 1, _MOST_LEAPS))
        step = min(turn / leaps, float(np.exp(self.log_step[0])))
        cosine, sine = np.cos(step), np.sin(step)
        start, gradient = self.density.log_density(self.theta)
        end, z = start, (self.theta - mean) / scale
        momentum = rng.standard_normal(z.size)
        kinetic = 0.5 * float(momentum @ momentum)
        for leap in range(leaps + 1):
            momentum += (1.0 if 0 < leap < leaps else 0.5) * step * (scale * gradient + z)
            if leap == leaps:
                break
            z, momentum = cosine * z + sine * momentum, cosine * momentum - sine * z
            end, gradient = self.density.log_density(mean + scale * z)
            if not np.isfinite(end):
                return 0.0, start
        change = end - start + kinetic - 0.5 * float(momentum @ momentum)
        # A trajectory that lost a number is refused: the least of 0 and nan is 0.
        acceptance = float(np.exp(min(0.0, change))) if np.isfinite(change) else 0.0
        if not rng.random() < acceptance:
            return acceptance, start
        self.theta[...] = mean + scale * z
        return acceptance, end

    def _adapt(self, acceptance: float) -> None:
        """Adapt step, mean, curvature and length after a sweep of warm-up."""
        done, warmup = self.done, self.warmup
        lengths = [max(1, int(share * warmup)) for share in _LENGTHS]
        since = max((place for place in lengths if place <= done), default=done)
        gain = 0.5 / (1 + 0.05 * (done - since))
        self.log_step += gain * (acceptance - _ACCEPTANCE)
        if done == max(1, int(_AFRESH * warmup)):
            self.averaged[...] = 0.0
        if done < _MEAN * warmup:
            self.mean[...] = self.theta
        else:
            self.averaged[1] += 1
            self.mean += (self.theta - self.mean) / self.averaged[1]
        if done in self.looks:
            new = self.density.curvature(self.theta)
            if np.isfinite(new).all():
                self.averaged[0] = 1 if done < _MEAN * warmup else self.averaged[0] + 1
                self.information += (new - self.information) / self.averaged[0]
        if done in lengths:
            scale = 1.0 / np.sqrt(self.information)
            least = self.density.least_curvature(self.theta, scale, self.rng)
            self.turn[...] = _TURN / np.sqrt(np.clip(least, _SLOWEST, 1.0))
