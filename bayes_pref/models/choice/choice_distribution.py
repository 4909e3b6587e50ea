"""The distribution of choices at posterior draws, in NumPy.

Rewards differ by eta, left minus right, in a shape (..., sample) whose last axis runs over the
draws of the parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from scipy.special import expit

from bayes_pref.logistic_normal import expected_choice, expected_value
from bayes_pref.seeding import standard_torch
from bayes_pref.types import FloatArray, IntArray, Samples

Tensor = torch.Tensor
LogOutcomes = Callable[[Tensor, Mapping[str, Tensor]], Tensor]
MeanPreferred = Callable[[FloatArray, FloatArray, Mapping[str, FloatArray]], "FloatArray | None"]


@dataclass(frozen=True, eq=False)
class ChoiceDistribution:
    """Probabilities of choices given eta and draws of the choice model's parameters.

    `ChoiceModel.distribution` makes one from posterior draws.

    Parameters
    ----------
    log_outcomes
        Log probabilities (outcome, ...) of the outcomes, from right to left, at eta (...) and
        parameters by name.
    parameters
        (..., sample) draws of the parameters by name.
    logistic
        Whether it is P(left) = 1 / (1 + exp(-eta)) and no more, which is then computed directly.
    careless
        (row, sample): 1 where the answers of the first axis of eta are random, every outcome being
        equally likely, and 0 elsewhere. None: all heed the rewards. It is made with a row a user;
        `of_users` gives that of other rows.
    mean_preferred
        As `ChoiceModel.mean_preferred`; None: there is no formula.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> eta = np.array([[0.0], [2.0]])  # two pairs, one sample
    >>> bp.Logit().at().preferred(eta).round(3).ravel()
    array([0.5  , 0.881])
    >>> bp.Logit(ties=True).at(tie=np.zeros(1)).tied(eta).round(3).ravel()
    array([0.333, 0.245])
    """

    log_outcomes: LogOutcomes
    parameters: Mapping[str, FloatArray] = field(default_factory=dict)
    logistic: bool = False
    careless: FloatArray | None = None
    mean_preferred: MeanPreferred | None = None

    @cached_property
    def n_outcomes(self) -> int:
        """Number of outcomes: 2, 3 with ties, or the number of levels."""
        if self.logistic:
            return 2
        shapes = [values.shape[-1] for values in self.parameters.values()]
        return len(self._log(np.zeros((1, *shapes[:1]))))

    @property
    def has_formula(self) -> bool:
        """Whether `expected_preferred` is as fast as for logistic choices, or nearly so."""
        if self.logistic or self.mean_preferred is None:
            return self.logistic
        one = np.zeros((1, self.n_samples))
        return self.mean_preferred(one, one, self.parameters) is not None

    @property
    def n_samples(self) -> int:
        """Number of draws of the parameters; 1 without any."""
        return next((values.shape[-1] for values in self.parameters.values()), 1)

    def take(self, samples: Samples) -> ChoiceDistribution:
        """Return the distribution at some of the samples."""
        chosen = {name: values[..., samples] for name, values in self.parameters.items()}
        careless = None if self.careless is None else self.careless[:, samples]
        return replace(self, parameters=chosen, careless=careless)

    def of_users(self, users: Samples) -> ChoiceDistribution:
        """Return the distribution of the answers of some users, by their codes or a slice.

        The same one, where all heed the rewards.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> both = replace(bp.Logit().at(), careless=np.array([[0.0], [1.0]]))
        >>> both.of_users(np.array([1, 0])).preferred(np.array([[2.0], [2.0]])).round(3).ravel()
        array([0.5  , 0.881])
        """
        return self if self.careless is None else replace(self, careless=self.careless[users])

    def stage_lapse(self, stage: IntArray) -> FloatArray | None:
        """Probability that stages are answered at random, (sample,) or (stage, sample).

        Parameters
        ----------
        stage
            (row,) nondecreasing codes of the stages of the rows that this is the distribution of.
        """
        lapse = self.parameters.get("lapse")
        if self.careless is None:
            return lapse
        careless = self.careless[np.flatnonzero(np.diff(stage, prepend=-1))]
        return careless if lapse is None else careless + (1.0 - careless) * lapse

    def probabilities(self, eta: FloatArray) -> FloatArray:
        """Probability of every outcome, from right to left: (outcome, ..., sample)."""
        if self.logistic:
            left = self._mixed(probability(eta), 0.5, eta)
            return np.stack([1.0 - left, left])
        return self._mixed(np.exp(self._log(eta)), 1.0 / self.n_outcomes, eta)

    def preferred(self, eta: FloatArray) -> FloatArray:
        """Probability that left is chosen, or of all levels that find it better: like `eta`."""
        if self.logistic:
            return self._mixed(probability(eta), 0.5, eta)
        return np.asarray(self.probabilities(eta)[(self.n_outcomes + 1) // 2 :].sum(axis=0))

    def expected_preferred(self, mean: FloatArray, variance: FloatArray) -> FloatArray:
        """Expectation of `preferred` over eta ~ Normal(mean, variance): like `mean`.

        Parameters
        ----------
        mean, variance
            (..., sample) of the same shape.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> mean, variance = np.zeros((1, 1)), np.ones((1, 1))
        >>> bp.Ordinal().at(cutpoints=np.ones((1, 1))).expected_preferred(mean, variance).round(3)
        array([[0.303]])
        """
        if self.logistic:
            return expected_choice(mean, variance)
        found = self.mean_preferred and self.mean_preferred(mean, variance, self.parameters)
        return expected_value(self.preferred, mean, variance) if found is None else found

    def tied(self, eta: FloatArray) -> FloatArray | None:
        """Probability of a tie, or of the middle one of an odd number of levels; else None."""
        if self.n_outcomes % 2 == 0:
            return None
        return np.asarray(self.probabilities(eta)[self.n_outcomes // 2])

    def advantage(self, eta: FloatArray) -> FloatArray:
        """P(preferred) - P(the other preferred), over both ways to place the two: like `eta`."""
        if self.logistic:
            return self._mixed(2.0 * probability(eta) - 1.0, 0.0, eta)
        half = self.n_outcomes // 2
        there, back = self.probabilities(eta), self.probabilities(-eta)
        difference = there[-half:].sum(axis=0) - there[:half].sum(axis=0)
        difference -= back[-half:].sum(axis=0) - back[:half].sum(axis=0)
        return np.asarray(difference / 2)

    def log_likelihood(self, eta: FloatArray, choice: FloatArray) -> FloatArray:
        """Log probability of the choices made: like `eta`.

        Parameters
        ----------
        eta
            (row, ..., sample)
        choice
            (row,): 1 left, 0 right, 0.5 a tie; k / (K - 1) for level k.
        """
        at_random = -np.log(self.n_outcomes)
        if self.logistic:
            found = log_likelihood(eta, choice.reshape(-1, *[1] * (eta.ndim - 1)))
            return self._mixed(found, at_random, eta)
        made = np.rint(choice * (self.n_outcomes - 1)).astype(np.intp)
        each = np.asarray(self._log(eta)[made, np.arange(len(made))])
        return self._mixed(each, at_random, eta)

    def derivatives(
        self, eta: FloatArray, choice: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Log probability of the choices made, and its first two derivatives with respect to eta.

        Of answers that heed the rewards.

        Parameters
        ----------
        eta, choice
            As for `log_likelihood`.

        Returns
        -------
        log likelihood, gradient, curvature: each like `eta`

        Examples
        --------
        >>> import bayes_pref as bp
        >>> eta, choice = np.zeros((1, 1)), np.ones(1)
        >>> [float(part[0, 0]) for part in bp.Logit().at().derivatives(eta, choice)[1:]]
        [0.5, -0.25]
        """
        if self.logistic:
            left = probability(eta)
            answers = choice.reshape(-1, *[1] * (eta.ndim - 1))
            return log_likelihood(eta, answers), answers - left, -left * (1.0 - left)
        with standard_torch():
            made = torch.tensor(np.rint(choice * (self.n_outcomes - 1)).astype(np.int64))
            at = torch.tensor(eta, requires_grad=True)
            found = self.log_outcomes(at, self._tensors(eta.ndim))[made, torch.arange(len(made))]
            # Each value depends on its own eta alone, so the gradient of the sum is all gradients.
            (gradient,) = torch.autograd.grad(found.sum(), at, create_graph=True)
            (curvature,) = torch.autograd.grad(gradient.sum(), at)
        return found.detach().numpy(), gradient.detach().numpy(), curvature.numpy()

    def draw(self, eta: FloatArray, rng: np.random.Generator) -> FloatArray:
        """Draw choices: like `eta`, in the values of `Comparisons.choice`."""
        below = rng.random(eta.shape)
        if self.logistic:
            return (below < self.preferred(eta)).astype(np.float64)
        # From the left, so that the same random numbers give the same answers as above.
        reached = np.cumsum(self.probabilities(eta)[:0:-1], axis=0)
        steps = self.n_outcomes - 1
        return np.asarray((steps - (below >= reached).sum(axis=0)) / steps)

    def _mixed(self, values: FloatArray, at_random: float, eta: FloatArray) -> FloatArray:
        """Values like `eta`, or with outcomes first, and `at_random` of answers at random."""
        if self.careless is None:
            return values
        rows, samples = self.careless.shape
        if rows != len(eta):
            raise ValueError(f"of {rows} rows, and asked about {len(eta)}; take those of_users")
        careless = self.careless.reshape(rows, *[1] * (eta.ndim - 2), samples)
        return np.asarray(np.where(careless > 0.0, at_random, values))

    def _log(self, eta: FloatArray) -> FloatArray:
        with standard_torch(), torch.no_grad():
            found = self.log_outcomes(torch.tensor(eta), self._tensors(eta.ndim))
        return np.asarray(found.numpy())

    def _tensors(self, ndim: int) -> dict[str, Tensor]:
        """Parameters whose own dimensions (K - 1, sample) come first: (K - 1, 1, ..., sample)."""
        made = {}
        for name, values in self.parameters.items():
            *own, samples = values.shape
            gaps = [1] * (ndim - 1) if own else []
            made[name] = torch.tensor(values).reshape(*own, *gaps, samples)
        return made


def probability(eta: FloatArray) -> FloatArray:
    """Probability that left is preferred at log-odds `eta`, any shape, in the plain logit model.

    Examples
    --------
    >>> probability(np.array([0.0, 2.0])).round(3)
    array([0.5  , 0.881])
    """
    return np.asarray(expit(eta))


def log_likelihood(eta: FloatArray, choice: FloatArray) -> FloatArray:
    """Log probability of `choice` (1 = left, 0 = right) at log-odds `eta`; shapes broadcast.

    Examples
    --------
    >>> log_likelihood(np.array([0.0, 2.0]), np.array([1.0, 0.0])).round(3)
    array([-0.693, -2.127])
    """
    return np.asarray(-np.logaddexp(0.0, (1.0 - 2.0 * choice) * eta))
