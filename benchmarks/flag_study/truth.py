"""What the flags have to find: p_do and p_obs of a comparison, by quadrature over exposure.

User i has an exposure s ~ density, weights w_i = mu + G f(s) + u_i with cov(u_i) = V, and makes
visits(s) comparisons, in contexts x ~ p(x | s). For a comparison with differences d in context x

    p_do(d)     = integral of density(s) c(s) ds
    p_obs(d, x) = integral of density(s) visits(s) p(x | s) c(s) ds, over the same without c
    c(s)        = E sigmoid(d' (mu + G f(s)) + sqrt(d' V d) T)

with T standard normal, or a standardised t where the users' tails are heavy. With two contexts s
and x have two components, and the integral is over the plane. A share of lapses l turns either
probability p into (1 - l) p + l / 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.interpolate import RectBivariateSpline
from scipy.special import expit

Array = NDArray[np.float64]
Law = Callable[[Array], Array]

HEAVY = 3  # degrees of freedom of the heavy tails: the fewest with a variance
# Equal steps in u for s = sinh(u): dense where exposures are, and far enough out for heavy tails.
_STEPS = np.linspace(-5.0, 5.0, 101)
# Of two exposures: what is beyond has a probability of 1e-5, and f and p(x | s) are smooth.
_PLANE = np.stack(np.meshgrid(*2 * [np.linspace(-4.5, 4.5, 37)])).reshape(2, -1)
_CENTRES, _SPREADS = np.linspace(-40.0, 40.0, 801), np.linspace(0.0, 14.0, 141)
_CHUNK = 500  # rows at a time: what keeps the arrays in the processor's cache


def standard_normal(values: Array) -> Array:
    """Density of the standard normal."""
    return np.asarray(stats.norm.pdf(values))


def two_normals(values: Array) -> Array:
    """Density of two independent standard normals, along the first axis."""
    return np.asarray(stats.norm.pdf(values).prod(axis=0))


def standard_t(values: Array) -> Array:
    """Density of Student's t with 3 degrees of freedom, scaled to unit variance."""
    unit = np.sqrt(HEAVY / (HEAVY - 2))
    return np.asarray(unit * stats.t.pdf(values * unit, HEAVY))


def unchanged(values: Array) -> Array:
    """f(s) = s: preferences are linear in exposure."""
    return values


def as_often(values: Array) -> Array:
    """visits(s) = 1: everyone makes equally many comparisons."""
    return np.ones(values.shape[-1])


@dataclass(frozen=True, kw_only=True)
class Population:
    """Who there is, what they want, what they are shown, and how often.

    Attributes
    ----------
    mu, coupling
        (d,) each: mean weights, and G, log-odds per unit of a feature (and of f).
    own
        (d, d) V, covariance of what exposure does not explain.
    shown
        (context (n, 1), exposure (1, k)) -> (n, k): density or probability of x given s. Of two
        contexts both have a first axis of length 2.
    density, response, visits
        Of exposure (k,), or (2, k): its density, f, and the expected number of comparisons up to a
        factor.
    heavy
        Whether u_i is a multivariate t with 3 degrees of freedom.
    contexts
        1 or 2.
    lapses
        Share of answers that toss a coin.
    """

    mu: Array
    coupling: Array
    own: Array
    shown: Callable[[Array, Array], Array]
    density: Law = standard_normal
    response: Law = unchanged
    visits: Law = as_often
    heavy: bool = False
    contexts: int = 1
    lapses: float = 0.0

    def preferred(self, difference: Array, context: Array) -> tuple[Array, Array]:
        """Shares of users who prefer left: of all, and of those who are shown such a context.

        Parameters
        ----------
        difference
            (n, d) left minus right, interactions included.
        context
            (n,), or (2, n)

        Returns
        -------
        p_do, p_obs: (n,) each, to 1e-4
        """
        exposure = np.sinh(_STEPS) if self.contexts == 1 else _PLANE
        mass = self.density(exposure)
        mass = mass * (np.cosh(_STEPS) if self.contexts == 1 else 1.0)
        mass /= mass.sum()
        spread = np.sqrt(np.einsum("nd,de,ne->n", difference, self.own, difference))
        centre, slope = difference @ self.mu, difference @ self.coupling
        choice = _expected_choice(self.heavy)
        p_do, p_obs = np.empty_like(centre), np.empty_like(centre)
        for start in range(0, len(centre), _CHUNK):
            rows = slice(start, start + _CHUNK)
            log_odds = centre[rows, None] + slope[rows, None] * self.response(exposure)
            chosen = choice(log_odds, np.broadcast_to(spread[rows, None], log_odds.shape))
            seen = self.shown(context[..., rows, None], exposure[..., None, :])
            seen = seen * mass * self.visits(exposure)
            p_do[rows] = chosen @ mass
            p_obs[rows] = (chosen * seen).sum(axis=1) / seen.sum(axis=1)
        return self.with_lapses(p_do), self.with_lapses(p_obs)

    def with_lapses(self, probability: Array) -> Array:
        """Return the share that chooses left, of those who would without lapses."""
        return (1 - self.lapses) * probability + self.lapses / 2


@lru_cache(maxsize=2)
def _expected_choice(heavy: bool) -> Callable[[Array, Array], Array]:
    """E sigmoid(m + v T) as a function of m and v, from a table of both."""
    at = np.sinh(np.linspace(-6.5, 6.5, 261))
    mass = (standard_t if heavy else standard_normal)(at) * np.sqrt(1 + at**2)
    mass /= mass.sum()
    table = np.array([expit(_CENTRES[:, None] + spread * at) @ mass for spread in _SPREADS]).T
    spline = RectBivariateSpline(_CENTRES, _SPREADS, table)

    def lookup(centre: Array, spread: Array) -> Array:
        # Beyond the table's ends the sigmoid is 0 or 1 to 1e-4 but for users with heavy tails,
        # whose spreads and centres stay well inside.
        return np.asarray(spline.ev(centre.clip(_CENTRES[0], _CENTRES[-1]), spread))

    return lookup
