"""Choice models as compiled samplers read them: a family, and unconstrained parameters.

    CELLS    P(level k) = F(c_k - eta) - F(c_(k-1) - eta): links, graded answers, position bias
    TIES     P(left) : P(tie) : P(right) = exp(eta / 2) : exp(tie) : exp(-eta / 2)
    STAGES   P(stage) = 1 / (1 + sum_j exp(-eta_j)) over the rows of a stage

With two levels the cutpoint is minus the position bias. A lapse mixes with equal probabilities of
all outcomes. Priors are those of the choice models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, log_expit

from bayes_pref.types import FloatArray

CELLS, TIES, STAGES = 0, 1, 2
LAPSE, TIE, POSITION, CUTS = 0, 1, 2, 3  # places of the values that kernels read


@dataclass(frozen=True, kw_only=True)
class KernelForm:
    """A choice model as compiled samplers read it.

    Parameters
    ----------
    family
        `CELLS`, `TIES` or `STAGES`.
    n_outcomes
        Number of outcomes of a row, K.
    probit
        Whether F is the normal distribution function, not the logistic one.
    lapse, tie, position, cutpoints
        Prior of each parameter that there is, else None: the shape of a Beta, mean and sd of a
        Normal, sd of a Normal centred at zero, and True for cutpoints whose cells, between equals,
        have uniform Dirichlet probabilities.

    Examples
    --------
    >>> form = KernelForm(family=TIES, n_outcomes=3, tie=(-1.0, 1.5), lapse=(1.0, 19.0))
    >>> form.names, form.size
    (('lapse', 'tie'), 2)
    """

    family: int
    n_outcomes: int
    probit: bool = False
    lapse: tuple[float, float] | None = None
    tie: tuple[float, float] | None = None
    position: float | None = None
    cutpoints: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of the unconstrained vector."""
        has = {
            "lapse": self.lapse is not None,
            "tie": self.tie is not None,
            "position": self.position is not None,
            "cutpoints": self.cutpoints,
        }
        return tuple(name for name, present in has.items() if present)

    @property
    def size(self) -> int:
        """Length of the unconstrained vector, q."""
        return len(self.names) + (self.n_outcomes - 2) * self.cutpoints

    def start(self, rng: np.random.Generator) -> FloatArray:
        """(q,) overdispersed first values."""
        phi = 0.3 * rng.standard_normal(self.size)
        at = self._places()
        if self.lapse is not None:
            phi[at["lapse"]] -= 3.0
        if self.tie is not None:
            phi[at["tie"]] += self.tie[0]
        if self.cutpoints:
            phi[at["cutpoints"].start] -= 1.0
        return phi

    def values(self, phi: FloatArray) -> FloatArray:
        """(3 + K - 1,) values that kernels read: lapse, tie, position and the cutpoints."""
        found = np.zeros(CUTS + max(self.n_outcomes - 1, 1))
        at = self._places()
        if self.lapse is not None:
            found[LAPSE] = expit(phi[at["lapse"]][0])
        if self.tie is not None:
            found[TIE] = phi[at["tie"]][0]
        if self.position is not None:
            found[POSITION] = phi[at["position"]][0]
        if self.cutpoints:
            found[CUTS:] = _ordered(phi[at["cutpoints"]])
        elif self.family == CELLS:
            found[CUTS] = -found[POSITION]
        return found

    def values_at(self, parameters: Mapping[str, FloatArray], samples: int) -> FloatArray:
        """(sample, 3 + K - 1) values that kernels read, of draws (..., sample) of the parameters.

        Examples
        --------
        >>> PLAIN.values_at({}, 2)
        array([[0., 0., 0., 0.],
               [0., 0., 0., 0.]])
        """
        found = np.zeros((samples, CUTS + max(self.n_outcomes - 1, 1)))
        for name, place in (("lapse", LAPSE), ("tie", TIE), ("position", POSITION)):
            if name in parameters:
                found[:, place] = parameters[name]
        if self.cutpoints:
            found[:, CUTS:] = parameters["cutpoints"].T
        elif self.family == CELLS:
            found[:, CUTS] = 0.0 - found[:, POSITION]
        return found

    def pulled_back(self, phi: FloatArray, slope: FloatArray) -> FloatArray:
        """(..., q) gradient in phi, for the gradient (..., 3 + K - 1) in the kernels' values."""
        found = np.empty((*slope.shape[:-1], self.size))
        at = self._places()
        if self.lapse is not None:
            rate = expit(phi[at["lapse"]][0])
            found[..., at["lapse"]] = slope[..., [LAPSE]] * rate * (1.0 - rate)
        if self.tie is not None:
            found[..., at["tie"]] = slope[..., [TIE]]
        if self.position is not None:
            cut = slope[..., [CUTS]] if self.family == CELLS and not self.cutpoints else 0.0
            found[..., at["position"]] = slope[..., [POSITION]] - cut
        if self.cutpoints:
            above = slope[..., : CUTS - 1 : -1].cumsum(axis=-1)[..., ::-1]
            own = phi[at["cutpoints"]]
            above[..., 1:] *= np.exp(own[1:])
            found[..., at["cutpoints"]] = above
        return found

    def log_prior(self, phi: FloatArray) -> tuple[float, FloatArray]:
        """Log prior density of phi (q,), up to a constant, and its gradient (q,)."""
        gradient, at, total = np.zeros(self.size), self._places(), 0.0
        if self.lapse is not None:
            a, b = self.lapse
            x = phi[at["lapse"]][0]
            total += a * float(log_expit(x)) + b * float(log_expit(-x))
            gradient[at["lapse"]] = a - (a + b) * expit(x)
        for name, mean_sd in (("tie", self.tie), ("position", self.position)):
            if mean_sd is None:
                continue
            mean, sd = mean_sd if isinstance(mean_sd, tuple) else (0.0, mean_sd)
            away = (phi[at[name]][0] - mean) / sd
            total -= 0.5 * away**2
            gradient[at[name]] = -away / sd
        if self.cutpoints:
            own = phi[at["cutpoints"]]
            cuts = _ordered(own)
            if self.probit:
                total += float(-0.5 * (cuts**2).sum())
                slope = -cuts
            else:
                total += float((log_expit(cuts) + log_expit(-cuts)).sum())
                slope = 1.0 - 2.0 * expit(cuts)
            above = slope[::-1].cumsum()[::-1]
            above[1:] *= np.exp(own[1:])
            above[1:] += 1.0
            total += float(own[1:].sum())
            gradient[at["cutpoints"]] = above
        return total, gradient

    def draws(self, phi: FloatArray) -> dict[str, FloatArray]:
        """Draws of the parameters by name, for draws (..., q) of phi."""
        at = self._places()
        made = {name: phi[..., at[name]] for name in self.names}
        if self.lapse is not None:
            made["lapse"] = expit(made["lapse"])
        found = {name: value[..., 0] for name, value in made.items() if name != "cutpoints"}
        if self.cutpoints:
            found["cutpoints"] = _ordered(made["cutpoints"])
        return found

    def _places(self) -> dict[str, slice]:
        """Where each parameter stands in phi."""
        found, at = {}, 0
        for name in self.names:
            size = self.n_outcomes - 1 if name == "cutpoints" else 1
            found[name] = slice(at, at + size)
            at += size
        return found


PLAIN = KernelForm(family=CELLS, n_outcomes=2)  # logistic choices between two


def _ordered(phi: FloatArray) -> FloatArray:
    """Increasing (..., K - 1) cutpoints: the first, and logarithms of the steps."""
    steps = np.concatenate([phi[..., :1], np.exp(phi[..., 1:])], axis=-1)
    return np.asarray(steps.cumsum(axis=-1))
