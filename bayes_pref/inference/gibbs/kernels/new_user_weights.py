"""Weights of users whose choices were not fitted, given draws of the population.

A user's log likelihood is expanded to second order where a typical population puts its mode,
    log p(y | w) = const + h' w - w' J w / 2.
With the population of a draw, Normal(m_t, Sigma_t) in component t, this is a mixture of Gaussians
of precision P_t = Sigma_t^-1 + J and mean P_t^-1 (Sigma_t^-1 m_t + h). Draws of it are proposals of
an independence sampler (Tierney 1994), which removes what the expansion gets wrong.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.choice_likelihood import (
    add_user_information,
    user_log_likelihood,
)
from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering, compiled_reordering_part
from bayes_pref.types import FloatArray

_NEWTON, _HALVINGS = 20, 10
_SMALL = 1e-6


@compiled_reordering_part
def _factor(matrix: FloatArray, lower: FloatArray) -> float:
    """Cholesky factor of a (d, d) matrix; returns half its log determinant."""
    d = len(matrix)
    total = 0.0
    for i in range(d):
        for j in range(i + 1):
            value = matrix[i, j]
            for k in range(j):
                value -= lower[i, k] * lower[j, k]
            if i == j:
                lower[i, i] = np.sqrt(max(value, 1e-300))
                total += np.log(lower[i, i])
            else:
                lower[i, j] = value / lower[j, j]
    return total


@compiled_reordering_part
def _solve_lower(lower: FloatArray, vector: FloatArray) -> None:
    """Solve L x = vector, in place."""
    for i in range(vector.size):
        value = vector[i]
        for k in range(i):
            value -= lower[i, k] * vector[k]
        vector[i] = value / lower[i, i]


@compiled_reordering_part
def _solve_upper(lower: FloatArray, vector: FloatArray) -> None:
    """Solve L' x = vector, in place."""
    for i in range(vector.size - 1, -1, -1):
        value = vector[i]
        for k in range(i + 1, vector.size):
            value -= lower[k, i] * vector[k]
        vector[i] = value / lower[i, i]


@compiled_reordering_part
def _distance(precision: FloatArray, weights: FloatArray, mean: FloatArray) -> float:
    """(w - m)' P (w - m) / 2."""
    total = 0.0
    for i in range(weights.size):
        row = 0.0
        for k in range(weights.size):
            row += precision[i, k] * (weights[k] - mean[k])
        total += row * (weights[i] - mean[i])
    return 0.5 * total


@compiled_reordering
def expand_users(
    rows: Any,
    values: FloatArray,
    mean: FloatArray,
    precision: FloatArray,
    information: FloatArray,
    pull: FloatArray,
) -> None:
    """Fill J (u, d, d) and h (u, d) at the mode of each user under one population.

    Parameters
    ----------
    rows, values
        Choices of the users, and values of the choice model, as `user_log_likelihood` reads them.
    mean, precision
        (u, d) and (d, d): the population.
    """
    users, d = mean.shape
    eta, slope = np.zeros(rows.outcome.size), np.zeros(values.size)
    found, cell = np.zeros(3 + values.size), np.zeros(4)
    gradient, ahead, step, weights = np.zeros(d), np.zeros(d), np.zeros(d), np.zeros(d)
    lower, matrix = np.zeros((d, d)), np.zeros((d, d))
    for user in range(users):
        for k in range(d):
            weights[k] = mean[user, k]
        value = user_log_likelihood(rows, values, user, weights, eta, gradient, slope, found, cell)
        for _ in range(_NEWTON):
            own = information[user]
            for i in range(d):
                for k in range(d):
                    own[i, k] = 0.0
            add_user_information(rows, values, user, weights, eta, own, found, cell)
            for i in range(d):
                step[i] = gradient[i]
                for k in range(d):
                    matrix[i, k] = own[max(i, k), min(i, k)] + precision[i, k]
                    step[i] -= precision[i, k] * (weights[k] - mean[user, k])
            _factor(matrix, lower)
            _solve_lower(lower, step)
            gain = 0.0
            for k in range(d):
                gain += step[k] * step[k]
            _solve_upper(lower, step)
            if gain < _SMALL:
                break
            start = value - _distance(precision, weights, mean[user])
            length = 1.0
            for _halving in range(_HALVINGS):
                for k in range(d):
                    ahead[k] = weights[k] + length * step[k]
                value = user_log_likelihood(
                    rows, values, user, ahead, eta, gradient, slope, found, cell
                )
                if value - _distance(precision, ahead, mean[user]) >= start:
                    break
                length *= 0.5
            for k in range(d):
                weights[k] = ahead[k]
        for i in range(d):
            for k in range(i):
                information[user, k, i] = information[user, i, k]
        for i in range(d):
            pull[user, i] = gradient[i]
            for k in range(d):
                pull[user, i] += information[user, i, k] * weights[k]


@compiled_reordering
def draw_users(
    rows: Any,
    values: FloatArray,
    log_share: FloatArray,
    mean: FloatArray,
    precision: FloatArray,
    log_det: FloatArray,
    information: FloatArray,
    pull: FloatArray,
    first: int,
    last: int,
    steps: int,
    rng: np.random.Generator,
    drawn: FloatArray,
) -> float:
    """Fill weights (sample, user, d) of users from `first` to `last`; returns mean acceptance.

    Parameters
    ----------
    rows
        Choices of the users.
    values
        (sample, v) of the choice model.
    log_share, mean, precision, log_det
        (sample, u or 1, T), (sample, u or 1, T, d), (sample, T or 1, d, d) and (sample, T or 1):
        shares, means, inverse covariances and half the log determinants of these, by component.
    information, pull
        As `expand_users` fills them.
    steps
        Proposals for each draw, the first of which is accepted.
    """
    samples, _, d = drawn.shape
    components = log_share.shape[2]
    eta, slope = np.zeros(rows.outcome.size), np.zeros(values.shape[1])
    found, cell = np.zeros(3 + values.shape[1]), np.zeros(4)
    gradient, noise, weights = np.zeros(d), np.zeros(d), np.zeros(d)
    lower, centre = np.zeros((components, d, d)), np.zeros((components, d))
    matrix, vector = np.zeros((d, d)), np.zeros(d)
    evidence, half = np.zeros(components), np.zeros(components)
    accepted = 0.0
    for user in range(first, last):
        whose = 0 if mean.shape[1] == 1 else user
        shared = 0 if log_share.shape[1] == 1 else user
        for s in range(samples):
            top = -np.inf
            for t in range(components):
                common = 0 if precision.shape[1] == 1 else t
                prior, at = precision[s, common], mean[s, whose, t]
                size = 0.0
                for i in range(d):
                    vector[i] = 0.0
                    for k in range(d):
                        matrix[i, k] = prior[i, k] + information[user, i, k]
                        vector[i] += prior[i, k] * at[k]
                    size += vector[i] * at[i]
                    vector[i] += pull[user, i]
                half[t] = _factor(matrix, lower[t])
                _solve_lower(lower[t], vector)
                inside = 0.0
                for k in range(d):
                    inside += vector[k] * vector[k]
                _solve_upper(lower[t], vector)
                for k in range(d):
                    centre[t, k] = vector[k]
                evidence[t] = log_share[s, shared, t] + log_det[s, common] - half[t]
                evidence[t] += 0.5 * (inside - size)
                top = max(top, evidence[t])
            total = 0.0
            for t in range(components):
                total += np.exp(evidence[t] - top)
            current = -np.inf
            for step in range(steps):
                t = 0
                if components > 1:
                    left = rng.random() * total
                    while t < components - 1 and left > np.exp(evidence[t] - top):
                        left -= np.exp(evidence[t] - top)
                        t += 1
                size = 0.0
                for k in range(d):
                    noise[k] = rng.standard_normal()
                    size += noise[k] * noise[k]
                _solve_upper(lower[t], noise)
                for k in range(d):
                    weights[k] = centre[t, k] + noise[k]
                common = 0 if precision.shape[1] == 1 else t
                ratio = log_share[s, shared, t] + log_det[s, common]
                ratio -= _distance(precision[s, common], weights, mean[s, whose, t])
                ratio -= evidence[t] + half[t] - 0.5 * size
                ratio += user_log_likelihood(
                    rows, values[s], user, weights, eta, gradient, slope, found, cell
                )
                taken = step == 0 or np.log(rng.random()) < ratio - current
                if taken:
                    current = ratio
                    for k in range(d):
                        drawn[s, user, k] = weights[k]
                if step > 0 and taken:
                    accepted += 1.0
    return float(accepted / max(1, (last - first) * samples * (steps - 1)))
