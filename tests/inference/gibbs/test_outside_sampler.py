"""A Gibbs sampler from outside the package: one class, and one entry in a tuple.

Choices with a probit link are sampled given Gaussian utilities (Albert & Chib 1993).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from cases import small_comparisons
from monte_carlo import agree
from scipy.special import ndtr, ndtri

import bayes_pref as bp
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.samplers.sampler import Sampler


@dataclass(frozen=True, eq=False)
class ProbitProblem:
    """Signed rows (n, d) and prior sds (d,), raw units."""

    signed: np.ndarray
    sd: np.ndarray
    weights_shape: tuple[int, int] = (0, 0)

    @property
    def n_columns(self) -> int:
        return self.sd.size

    def identity(self) -> dict[str, Any]:
        return {"data": self.signed.tolist(), "prior": self.sd.tolist()}

    def raw(self, theta: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        return {"mu": theta}


class ProbitChain(Chain):
    def __init__(self, problem: ProbitProblem, *settings: Any) -> None:
        super().__init__(*settings)
        self.signed = problem.signed
        self.precision = self.signed.T @ self.signed + np.diag(problem.sd**-2.0)
        self.mu = self.rng.standard_normal(problem.sd.size)

    def arrays(self) -> dict[str, np.ndarray]:
        return {"mu": self.mu}

    def advance(self) -> int:
        eta = self.signed @ self.mu
        # A chosen side has a positive utility, eta - z with a standard normal z below eta.
        utility = eta - ndtri(ndtr(eta) * (1 - self.rng.random(eta.size)))
        factor = np.linalg.cholesky(self.precision)
        noise = np.linalg.solve(factor.T, self.rng.standard_normal(self.mu.size))
        self.mu[:] = np.linalg.solve(self.precision, self.signed.T @ utility) + noise
        if self.keeps:
            self.store.theta[self.kept] = self.mu
            self.store.stats[self.kept, 1] = np.log(ndtr(self.signed @ self.mu)).sum()
        self.done += 1
        return 1


class ProbitSampler(Sampler[ProbitProblem]):
    statistics = ("lp",)

    def __init__(self, stretch: float = 1.0) -> None:
        self.stretch = stretch  # of the data; another than 1 is wrong

    def matches(self, spec: Any) -> bool:
        return spec.pooled

    def unsupported(self, spec: Any, choice_model: Any, comparisons: bp.Comparisons) -> str | None:
        if spec.pooled and choice_model == bp.Probit():
            return None
        return "it is for pooled choices with a probit link"

    def problem(self, spec: Any, choice_model: Any, comparisons: bp.Comparisons) -> ProbitProblem:
        signed = (2 * comparisons.choice - 1)[:, None] * comparisons.difference
        return ProbitProblem(self.stretch * signed, spec.mean_sd)

    def chain(self, problem: ProbitProblem, *settings: Any) -> Chain:
        return ProbitChain(problem, *settings)


class ProbitGibbs(bp.Gibbs):
    samplers = (ProbitSampler(),)


class WrongGibbs(bp.Gibbs):
    samplers = (ProbitSampler(stretch=1.3),)


class LastGibbs(bp.Gibbs):
    samplers = (*bp.Gibbs.samplers, ProbitSampler())


def test_it_agrees_with_nuts_and_a_wrong_one_does_not() -> None:
    comparisons, model = small_comparisons(), bp.PooledReward(link="probit")
    settings = {"draws": 2000, "chains": 2, "progress": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        reference, right, wrong = (
            bp.fit(model, comparisons, engine(**settings), seed=1).draws
            for engine in (bp.NUTS, ProbitGibbs, WrongGibbs)
        )
    assert agree(right, reference)
    assert not agree(wrong, reference)


def test_the_samplers_of_the_package_are_asked_first(tmp_path: Any) -> None:
    comparisons = small_comparisons()
    engine = LastGibbs(draws=20, chains=1, progress=False, checkpoint=tmp_path / "run")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        draws = [
            bp.fit(bp.PooledReward(), comparisons, one, seed=1).draws
            for one in (engine, bp.Gibbs(draws=20, chains=1, progress=False))
        ]
    assert draws[0].identical(draws[1])
    with pytest.raises(bp.Unsupported, match="it is for pooled choices"):
        bp.fit(bp.PooledReward(lapse=True), comparisons, ProbitGibbs())
