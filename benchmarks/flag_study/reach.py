"""What is within reach: what analysts who know more than anybody could would make of the same data.

The truth is about a population, of which a data set has a few users, who answered a few questions.
Two analysts know all of the world but mean weights and coupling, and of these the scale:

- **informed** has the same choices. Known are the law of exposure and contexts and the covariance
  V of what exposure does not explain; with f_i = (1, s_i),
      w_i = Theta f_i + u_i,  Theta = (mu, G),  s_i ~ Normal(m_i, v) given user i's contexts,
  is sampled by Gibbs with Polya-Gamma variables, the weights integrated out when Theta is drawn.
- **all-knowing** sees the weights and exposures of these users besides, as if each had answered
  without end: the regression of w_i on f_i. What is left is which users there happen to be.

Both flag by the same rule, and with the permutation test of the library.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.simulation.true_population import TruePopulation
from flag_study.rivals import CERTAIN, LEVEL, MATERIAL, Answer
from flag_study.truth import Array
from flag_study.worlds import INTRACLASS, Confounded

# The worlds that `bp.simulate` makes, whose exposures are normal and whose users answer equally.
WORLDS = (
    "base",
    "weak",
    "moderate",
    "strong",
    "small",
    "interactions",
    "null: unrelated",
    "null: context effect",
)
INFORMED, ALL_KNOWING = "informed", "all-knowing"
_ATTRIBUTE_SD, _INTERACTION_SD = 1.0, 0.5  # of mean weights, as `bp.simulate` draws them
_COUPLING_SD = 0.35  # of the base world, where there is no coupling to have a scale
_WARMUP, _SWEEPS, _THIN = 200, 4000, 4


def answers(world: Confounded, p_value: float, seed: int) -> dict[str, Answer]:
    """Return what each of the two says, by name; `p_value` is the permutation test's."""
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(2)]
    return {
        INFORMED: _answer(world, _from_choices(world, streams[0]), p_value),
        ALL_KNOWING: _answer(world, _from_weights(world, streams[1]), p_value),
    }


def _from_weights(world: Confounded, rng: np.random.Generator) -> Array:
    """Draws of Theta (draw, 2, d), given all users' weights and exposures."""
    f = np.column_stack([np.ones(len(world.exposure)), world.exposure])
    own = np.linalg.inv(world.population.own)
    precision = _prior(world) + np.kron(f.T @ f, own)
    score = (f.T @ world.weights @ own).ravel()
    return np.stack([_gaussian(precision, score, rng) for _ in range(_SWEEPS // _THIN)])


def _from_choices(world: Confounded, rng: np.random.Generator) -> Array:
    """Draws of Theta (draw, 2, d), given all users' choices and contexts."""
    comparisons, own = world.comparisons, np.linalg.inv(world.population.own)
    rows, user, first = comparisons.difference, comparisons.user, comparisons.offsets[:-1]
    square = (rows[:, :, None] * rows[:, None, :]).reshape(len(rows), -1)
    score = np.add.reduceat(rows * (comparisons.choice - 0.5)[:, None], first)
    middle, v = _known_exposure(world)
    prior, table = _prior(world), right_table()
    users, d = score.shape
    f, weights = np.column_stack([np.ones(users), middle]), np.zeros((users, d))
    omega, kept = np.empty(len(rows)), []
    for sweep in range(_WARMUP + _SWEEPS):
        draw_polya_gamma(np.einsum("nd,nd->n", rows, weights[user]), omega, table, rng)
        information = np.add.reduceat(square * omega[:, None], first).reshape(users, d, d)
        covariance = np.linalg.inv(information + own)
        # Given omega the choices are as good as one Gaussian observation of each user's weights.
        weight = own - own @ covariance @ own
        seen = np.einsum("de,uef,uf->ud", own, covariance, score, optimize=True)
        outer = np.einsum("ua,ub,ude->adbe", f, f, weight, optimize=True).reshape(2 * d, 2 * d)
        theta = _gaussian(prior + outer, (f.T @ seen).ravel(), rng)
        noise = np.linalg.cholesky(covariance) @ rng.standard_normal((users, d, 1))
        weights = (covariance @ (score + f @ theta @ own)[:, :, None] + noise)[:, :, 0]
        along = own @ theta[1]
        left = 1 / (1 / v + theta[1] @ along)
        centre = left * (middle / v + (weights - theta[0]) @ along)
        f[:, 1] = centre + np.sqrt(left) * rng.standard_normal(users)
        if sweep >= _WARMUP and sweep % _THIN == 0:
            kept.append(theta)
    return np.stack(kept)


def _known_exposure(world: Confounded) -> tuple[Array, float]:
    """Mean (u,) and variance of each user's exposure, given the contexts of their comparisons."""
    comparisons = world.comparisons
    count = float(comparisons.counts[0])
    means = np.add.reduceat(comparisons.context[:, 0], comparisons.offsets[:-1]) / count
    # x = sqrt(r) s + sqrt(1 - r) e, so that the mean of `count` of them has this variance.
    total = INTRACLASS + (1 - INTRACLASS) / count
    return np.sqrt(INTRACLASS) * means / total, 1 - INTRACLASS / total


def _prior(world: Confounded) -> Array:
    """Precision (2 d, 2 d) of Theta: the scales from which, or at which, the truth was drawn."""
    d, attributes = len(world.population.mu), len(world.coupling)
    sd = np.full((2, d), _ATTRIBUTE_SD)
    sd[0, attributes:] = _INTERACTION_SD
    sd[1] = np.sqrt(np.mean(world.population.coupling**2)) or _COUPLING_SD
    return np.diag(1 / sd.ravel() ** 2)


def _gaussian(precision: Array, score: Array, rng: np.random.Generator) -> Array:
    """Draw Theta (2, d) from Normal(precision^-1 score, precision^-1)."""
    factor = np.linalg.cholesky(precision)
    half = np.linalg.solve(factor, score) + rng.standard_normal(len(score))
    return np.asarray(np.linalg.solve(factor.T, half).reshape(2, -1))


def _answer(world: Confounded, thetas: Iterable[Array], p_value: float) -> Answer:
    """What draws of Theta say: each is a population whose p_do and p_obs follow."""
    drawn = [_preferred(world, theta) for theta in thetas]
    p_do, p_obs = np.moveaxis(np.array(drawn), 1, 0)
    shift = p_obs - p_do
    p_confounded = (np.abs(shift) > MATERIAL).mean(axis=0)
    lower, upper = np.quantile(shift, [0.05, 0.95], axis=0)
    return Answer(
        p_do=p_do.mean(axis=0),
        p_value=p_value,
        p_confounded=p_confounded,
        flagged=(p_confounded > CERTAIN) & (p_value <= LEVEL),
        shift=(lower, shift.mean(axis=0), upper),
        p_do_sd=p_do.std(axis=0),
    )


def _preferred(world: Confounded, theta: Array) -> tuple[Array, Array]:
    """p_do and p_obs of a population whose mean weights and coupling are Theta."""
    d, own = theta.shape[1], world.population.own
    spread = np.sqrt(own.diagonal())
    population = TruePopulation(
        mu=theta[0],
        coupling=theta[1][:, None],
        effects=np.zeros((d, 0)),
        noise=spread,
        correlation=own / np.outer(spread, spread),
        loadings=np.zeros((d, 0)),
    )
    comparisons = world.comparisons
    return population.preferred(
        comparisons.difference, comparisons.context, INTRACLASS, 1 - INTRACLASS
    )
