"""The move of a mixture's parameters with users integrated out, and its adaptation in warm-up."""

from __future__ import annotations

import numpy as np

from bayes_pref.inference.gibbs.adaptation import CHUNK, Metric
from bayes_pref.inference.gibbs.marginal import move_population
from bayes_pref.inference.gibbs.mixture_marginal import MixtureMarginal
from bayes_pref.inference.gibbs.sweeps import Trajectory
from bayes_pref.types import FloatArray


class MixtureMove:
    """Hamiltonian moves of mu, tau and the shares on the density of `MixtureMarginal`.

    The metric is the mean of the empirical information over warm-up, from a fifth of it on and
    afresh from two fifths, as in `Adaptation`; over all orders of the components, too, because
    labels may change.

    Parameters
    ----------
    marginal
        The density; the chain's own.
    warmup
        Number of sweeps to adapt in.
    """

    def __init__(self, marginal: MixtureMarginal, warmup: int) -> None:
        self.marginal = marginal
        self.metric = Metric(marginal.size, Trajectory(leaps=8, step=0.45, target=0.8))
        self.warmup = warmup
        self.looks = np.zeros(1)

    def arrays(self) -> dict[str, FloatArray]:
        """Return what has been adapted, as arrays that can be written into."""
        own = {"looks": self.looks, **self.metric.arrays()}
        return {f"mixture_{name}": array for name, array in own.items()}

    def move(
        self, theta: FloatArray, share: FloatArray, done: int, rng: np.random.Generator
    ) -> None:
        """Move theta, (mu, tau), and the shares in place; adapts in the first `warmup` sweeps."""
        marginal, metric = self.marginal, self.metric
        x = marginal.joined(theta, share, rng)
        first, restart, last = (part * self.warmup // 10 for part in (2, 4, 9))
        if self.looks[0]:
            acceptance = move_population(marginal, x, metric.move, rng)
            theta[...] = x[: theta.size]
            share[...] = marginal.share(x)
            if done < self.warmup:
                gain = 0.5 / (1 + 0.05 * max(0, done - first))
                metric.log_step += gain * (acceptance - metric.trajectory.target)
        if not first <= done <= last or done % CHUNK or done >= self.warmup:
            return
        if restart <= done < restart + CHUNK:
            metric.curvature[...] = 0.0
            self.looks[0] = 0
        self.looks[0] += 1
        metric.curvature += marginal.information_on(x)
        matrix = marginal.averaged(metric.curvature / self.looks[0])
        matrix.flat[:: marginal.size + 1] += marginal.prior_precision()
        metric.whiten[...] = np.linalg.inv(np.linalg.cholesky(matrix)).T
