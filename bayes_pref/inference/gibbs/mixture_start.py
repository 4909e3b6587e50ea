"""Where a chain of a mixture starts: at the likeliest of several clusterings of the users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from bayes_pref.inference.gibbs.kernels.design_matrix import log_odds
from bayes_pref.inference.gibbs.kernels.user_information import information_by_user
from bayes_pref.inference.gibbs.mixture_marginal import MixtureMarginal
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.types import FloatArray, IntArray

_CLUSTERINGS = 10
_STEPS = 30  # of the EM algorithm
_NOISE = 0.1  # of what is clustered
_APART = 0.5  # sd of the differences between chains, of means in tau and of log tau
_SD = 0.5  # of contexts within a component, in the units of their prior


class Start(NamedTuple):
    """A start: mu (components, d), tau (d,), shares, mean contexts, and each user's component."""

    mu: FloatArray
    tau: FloatArray
    share: FloatArray
    context: FloatArray
    component: IntArray


def likely_start(marginal: MixtureMarginal, context: FloatArray, rng: np.random.Generator) -> Start:
    """Draw clusterings of rough estimates, improve each by the EM algorithm, and draw one of them.

    By their densities given rough log-odds, so that a clustering far from the likeliest is not
    chosen: a chain that starts there may need thousands of sweeps to leave it. The one that is
    drawn is then perturbed.

    Parameters
    ----------
    marginal
        Density of the parameters.
    context
        (n_users, q) mean contexts in the units of their prior, as far as they depend on components.
    """
    rough = rough_weights(marginal.problem)
    psi = np.empty(marginal.problem.rows.starts.size - 1)
    log_odds(marginal.problem.rows, rough, psi)
    half = np.maximum(np.abs(psi), 1e-6) / 2
    omega = np.tanh(half) / (4 * half)  # the mean of Polya-Gamma variables
    found = []
    for _ in range(_CLUSTERINGS):
        start = _clustered(marginal.components, rough, context, rng)
        found.append(_improved(marginal, start, omega, context))
    density = np.array([value if np.isfinite(value) else -np.inf for value, _ in found])
    start = found[int(np.argmax(density + rng.gumbel(size=len(found))))][1]
    mu = start.mu + _APART * start.tau * rng.standard_normal(start.mu.shape)
    return start._replace(mu=mu, tau=start.tau * np.exp(_APART * rng.standard_normal(mu.shape[1])))


def rough_weights(problem: Problem) -> FloatArray:
    """Estimate each user's weights, (n_users, n_features), by one step of a ridge logit from 0."""
    rows = problem.rows
    users, d = rows.offsets.size - 1, problem.feature_scale.size
    information, score = np.empty((users, d, d)), np.empty((users, d))
    information_by_user(rows, np.full(rows.starts.size - 1, 0.25), information, score)
    return np.asarray(np.linalg.solve(information + np.eye(d), score[:, :, None])[:, :, 0])


def _clustered(
    components: int, rough: FloatArray, context: FloatArray, rng: np.random.Generator
) -> Start:
    """Cluster rough estimates and contexts, perturbed."""
    from sklearn.cluster import KMeans  # takes a second to import; only this needs it

    described = np.hstack([rough, context])
    described += _NOISE * rng.standard_normal(described.shape)
    clusters = KMeans(components, n_init=1, random_state=int(rng.integers(2**31))).fit(described)
    d = rough.shape[1]
    mu, mean = np.split(clusters.cluster_centers_, [d], axis=1)
    tau = np.exp(rng.normal(np.log(0.5), 0.5, d))
    return Start(mu, tau, np.full(components, 1 / components), mean, clusters.labels_)


def _improved(
    marginal: MixtureMarginal, start: Start, omega: FloatArray, context: FloatArray
) -> tuple[float, Start]:
    """Improve a start given Polya-Gamma variables; returns its log density, too."""
    mean, d = start.context, len(start.tau)
    total = marginal.concentration * marginal.components
    x = np.concatenate([start.mu.ravel(), start.tau, np.log(total * start.share)])
    for _ in range(_STEPS):
        marginal.read(omega, _log_contexts(context, mean))
        x = marginal.improved(x)
        chance = marginal.responsibility
        mean = chance.T @ context / (chance.sum(axis=0)[:, None] + _SD**2)
    value = marginal.log_density(x, np.empty_like(x))
    value -= 0.5 * float((mean**2).sum())
    mu = x[: marginal.scales.start].reshape(-1, d)
    tau, share = x[marginal.scales], marginal.share(x)
    return value, Start(mu, tau, share, mean, marginal.responsibility.argmax(axis=1))


def _log_contexts(context: FloatArray, mean: FloatArray) -> FloatArray:
    """(n_users, components) log density of contexts around the means of components."""
    return np.asarray(-0.5 * (((context[:, None] - mean) / _SD) ** 2).sum(axis=2))
