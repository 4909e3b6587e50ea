"""What users' answers say for and against their being given at random: see `careless_users`."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayes_pref.inference.gibbs.kernels.centred_batches import (
    BATCH,
    factor_batch,
    room_for_factors,
    weights_of_batch,
)
from bayes_pref.inference.gibbs.kernels.choice_likelihood import user_log_likelihood
from bayes_pref.inference.gibbs.kernels.jit import compiled_reordering
from bayes_pref.inference.gibbs.kernels.signed_weights import to_weights
from bayes_pref.types import FloatArray


@compiled_reordering
def deviations_from_zeta(
    lower: FloatArray,
    full: bool,
    information: FloatArray,
    linear: FloatArray,
    mean: FloatArray,
    zeta: FloatArray,
    v: FloatArray,
    log_volume: FloatArray,
) -> None:
    """Fill v (n_batches, d, batch) and log |dv / dzeta| (n_batches, batch), at zeta.

    The others are those of `partial_centring.population_log_density`.
    """
    n_batches, d, _ = mean.shape
    factors, weights = room_for_factors(d), np.empty((d, BATCH))
    root, centre = factors.root, factors.centre
    for b in range(n_batches):
        factor_batch(lower, full, information[b], linear[b], mean[b], factors)
        weights_of_batch(lower, full, mean[b], root, centre, zeta[b], v[b], weights)
        for w in range(BATCH):
            log_volume[b, w] = 0.0
        for k in range(d):
            for w in range(BATCH):
                log_volume[b, w] += np.log(root[k, k, w])


@compiled_reordering
def user_log_likelihoods(
    rows: Any, values: FloatArray, signed: FloatArray, weights: FloatArray, found: FloatArray
) -> None:
    """Fill the log likelihood (n_users,) of every user's choices, also of those at random.

    `weights` (n_users, d) are of scaled features, before signs.
    """
    n_users, d = weights.shape
    own, gradient, slope = np.empty(d), np.empty(d), np.empty(values.size)
    eta = np.empty(rows.outcome.size)
    row, cell = np.empty(values.size + 3), np.empty(4)
    for i in range(n_users):
        for k in range(d):
            own[k] = weights[i, k]
        to_weights(signed, own.reshape(d, 1))
        found[i] = user_log_likelihood(rows, values, i, own, eta, gradient, slope, row, cell)
