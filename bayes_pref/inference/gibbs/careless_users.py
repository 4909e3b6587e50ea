"""Which users of a chain answer at random: their indicators, and the share of such people.

User i has the indicator c_i, and share ~ Beta(a, b). Where c_i = 1 every answer has the same
probability, whatever the weights: the choices drop out of the density, and w_i follows the
population. Were c_i drawn given w_i, it would hardly ever change: weights that were learned from
the choices explain them better than a coin does, and others far worse. It is drawn given zeta_i
instead. With zeta_i the coordinates are those of `partial_centring` where c_i = 0, and those of an
expansion without information, zeta_i = v_i, where c_i = 1; so that

    P(c_i = 1) : P(c_i = 0) = share p(answers at random) Normal(zeta_i; 0, I)
                              : (1 - share) p(choices | w_i) Normal(v_i; 0, I) |dv_i / dzeta_i|.

This is an exact Gibbs step, and as zeta_i is nearly standard normal in either case, it is nearly a
draw with the weights integrated out.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import betaln, expit

from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.partial_density import PartialDensity
from bayes_pref.models.choice.kernel_form import STAGES
from bayes_pref.types import FloatArray

_LEAST = 1e-300  # share whose logarithm is finite


class CarelessUsers:
    """Indicators of the users who answer at random, and their share.

    Parameters
    ----------
    problem
        Of the chain; `self.problem` is the same with indicators of this chain's own.
    shape
        (a, b) of the share's Beta prior.

    Attributes
    ----------
    indicators
        (n_users,): 1 where a user answers at random, at first of nobody.
    share
        (1,): share of such people.
    """

    def __init__(self, problem: ChoiceProblem, shape: tuple[float, float]) -> None:
        self.shape = shape
        rows = problem.rows
        self.indicators = np.zeros_like(rows.careless)
        self.problem = replace(problem, rows=rows._replace(careless=self.indicators))
        self.share = np.full(1, shape[0] / sum(shape))
        offered = np.full(rows.stages.size - 1, float(rows.n_outcomes))
        if rows.family == STAGES:
            offered = 1.0 + np.diff(rows.stages)
        self.log_at_random = -np.add.reduceat(np.log(offered), rows.stage_offsets[:-1])

    def arrays(self) -> dict[str, FloatArray]:
        """Return the arrays that the next draw depends on."""
        return {"careless": self.indicators, "careless_share": self.share}

    def draw(
        self,
        density: PartialDensity,
        theta: FloatArray,
        zeta: FloatArray,
        v: FloatArray,
        rng: np.random.Generator,
    ) -> None:
        """Draw all indicators given zeta, and the share given these; v follows, in place."""
        heeding, log_volume = density.deviations(theta, zeta)
        likelihood = density.user_log_likelihoods(theta, heeding)
        moved = 0.5 * ((heeding**2).sum(axis=1) - (zeta**2).sum(axis=1)) - log_volume
        log_odds = np.log(self.share) - np.log1p(-self.share)
        log_odds = log_odds + self.log_at_random - likelihood
        log_odds += moved.ravel()[: likelihood.size]
        self.indicators[:] = rng.random(likelihood.size) < expit(log_odds)
        a, b = self.shape
        count = int(self.indicators.sum())
        drawn = rng.beta(a + count, b + likelihood.size - count)
        self.share[0] = np.clip(drawn, _LEAST, 1.0 - np.finfo(float).eps)
        self.apply(density)
        at_random = density.by_batch(self.indicators)[:, None] > 0.0
        v[...] = np.where(at_random, zeta, heeding)

    def apply(self, density: PartialDensity) -> None:
        """Leave the choices of users who answer at random out of a density's expansion."""
        density.leave_out(self.indicators)

    def log_density(self) -> float:
        """Log density of the share, the indicators, and the answers at random."""
        a, b = self.shape
        count, rest = float(self.indicators.sum()), float((1.0 - self.indicators).sum())
        share = float(self.share[0])
        prior = (a - 1.0 + count) * np.log(share) + (b - 1.0 + rest) * np.log1p(-share)
        return float(prior - betaln(a, b) + self.indicators @ self.log_at_random)
