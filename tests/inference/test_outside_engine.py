"""An engine from outside the package, made with public names alone, works in `fit` and `sbc`."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy.special import expit

import bayes_pref as bp


@dataclass(frozen=True, eq=False)
class GaussianAtMode(bp.Program):
    """Draws of mu from a Gaussian with this mean and Cholesky factor of its precision."""

    mode: np.ndarray
    factor: np.ndarray
    draws: int

    def run(self, seed: int) -> bp.RawDraws:
        noise = np.random.default_rng(seed).standard_normal((self.mode.size, self.draws))
        mu = self.mode + np.linalg.solve(self.factor.T, noise).T
        return bp.RawDraws({"mu": mu[None]}, {}, exact=False)


@dataclass(frozen=True, kw_only=True)
class Laplace(bp.Engine):
    """Laplace's approximation for users with the same weights; exact as the data grow.

    `prior_scale` stretches the prior, for a check that must fail.
    """

    prior_scale: float = 1.0

    def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
        spec, choice_model = model.spec(comparisons), model.choice_model(comparisons)
        if spec is None or not spec.pooled:
            raise bp.Unsupported("all users must have the same weights")
        if not choice_model.is_logistic or choice_model.position_sd is not None:
            raise bp.Unsupported("choices must be logistic in the rewards alone")
        signed = (2 * comparisons.choice - 1)[:, None] * comparisons.difference
        precision = np.diag(1 / (self.prior_scale * spec.mean_sd) ** 2)
        mode = np.zeros(len(spec.mean_sd))
        for _ in range(50):  # Newton's method; log-concave, and near 0 under the prior
            p = expit(-signed @ mode)
            information = (signed.T * (p * (1 - p))) @ signed + precision
            mode = mode + np.linalg.solve(information, signed.T @ p - precision @ mode)
        return GaussianAtMode(mode, np.linalg.cholesky(information), self.draws)


@pytest.fixture(scope="module")
def comparisons() -> bp.Comparisons:
    return bp.simulate(users=40, comparisons=10, features=2, contexts=0, seed=0).comparisons


def close(engine: bp.Engine, comparisons: bp.Comparisons) -> bool:
    """Whether means and sds of mu are those of Gibbs.

    With 400 comparisons a posterior is Gaussian up to a skewness of about 1 / sqrt(400), so that
    its mean and mode differ by some 0.05 sd; with two sets of 4,000 draws, 0.15 is safe.
    """
    exact = bp.fit(bp.PooledReward(), comparisons, bp.Gibbs(progress=False), seed=1).draws["mu"]
    found = bp.fit(bp.PooledReward(), comparisons, engine, seed=1).draws["mu"]
    dims = ("chain", "draw")
    away = np.abs(found.mean(dims) - exact.mean(dims)) / exact.std(dims)
    ratio = found.std(dims) / exact.std(dims)
    return bool((away < 0.15).all() and (np.abs(ratio - 1) < 0.1).all())


def test_fit_runs_it_and_the_posterior_knows_how(comparisons: bp.Comparisons) -> None:
    engine = Laplace(draws=4000)
    assert close(engine, comparisons)
    assert not close(replace(engine, prior_scale=0.02), comparisons)
    posterior = bp.fit(bp.PooledReward(), comparisons, engine, seed=1)
    assert posterior.run.engine == "Laplace"
    assert not posterior.run.exact
    assert posterior.run.settings == {"draws": 4000, "progress": True, "prior_scale": 1.0}


def test_what_it_cannot_do_is_refused_with_its_reason(comparisons: bp.Comparisons) -> None:
    with pytest.raises(bp.Unsupported, match=r"^Laplace cannot run HierarchicalReward: all users"):
        bp.fit(bp.HierarchicalReward(), comparisons, Laplace())
    with pytest.raises(bp.Unsupported, match=r"cannot run PooledReward: choices must be logistic"):
        bp.fit(bp.PooledReward(link="probit"), comparisons, Laplace())
    with pytest.raises(bp.Unsupported, match=r"Laplace cannot run a Pyro model of your own"):
        bp.fit(print, comparisons, Laplace())
    with pytest.raises(bp.ModelError, match=r"Laplace\(draws=0\): expected a whole number"):
        Laplace(draws=0)


def test_sbc_judges_it(comparisons: bp.Comparisons) -> None:
    ranks = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        for scale in (1.0, 0.05):
            engine = Laplace(draws=99, prior_scale=scale)
            ranks[scale] = bp.sbc(
                bp.PooledReward(), comparisons, engine, replications=60, seed=1, progress=False
            )
    assert ranks[1.0].engine["name"] == "Laplace"
    assert ranks[1.0].passed(1e-3), ranks[1.0].summary()
    assert not ranks[0.05].passed(1e-3), ranks[0.05].summary()
