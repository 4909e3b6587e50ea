"""How much of what is said of a user, along a direction of the features, is their own answers.

User i's reward difference along d is d . w_i = d . (m_i + u_i), m_i the mean of users like them.
Given the population, their own answers leave the variance V_i = Var(d . u_i | data) of T = d' Sigma
d, so that the posterior mean weighs their own answers by

    omega_i = 1 - V_i / T,

and the others by the rest: 0 for a user who was never asked about d, near 1 for one who was asked
much. The mean over users that is learned weighs users' own answers in proportion to omega_i.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.draws import no_draws_of_users, stack, thin
from bayes_pref.errors import ModelError
from bayes_pref.models.population import Population
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import BLOCK_VALUES
from bayes_pref.types import FloatArray

_SAMPLES = 1_000


@dataclass(frozen=True, eq=False)
class OwnInformation:
    """Weights of users' own answers along n directions.

    Attributes
    ----------
    omega
        (n, u) from 0 to 1.
    noise
        (n, u) variance of these that is due to the number of draws.
    spread
        (n,) sd over users of the reward difference, given what is recorded of them; log-odds units
        of the model.
    """

    omega: FloatArray
    noise: FloatArray
    spread: FloatArray


def population_of_users(posterior: Posterior) -> Population:
    """Return the population at the draws that are used, or refuse a model that has none.

    Raises
    ------
    ModelError
        If users do not differ in the model, or not around a mean that is linear in what is
        recorded of them.
    """
    draws, name = posterior.draws, type(posterior.model).__name__
    if posterior.users is not None:
        raise no_draws_of_users()
    if "weights" not in draws:
        raise ModelError(
            f"sensitivity: all users are alike in {name}, so that no factor of users is missing "
            "from it alone; fit bp.HierarchicalReward()"
        )
    spec = posterior.model.spec(posterior.comparisons)
    found = None
    if spec is not None and spec.signs is None and spec.cause is None:
        found = posterior.model.population(thin(draws, _SAMPLES), posterior.comparisons)
    if found is None:
        raise ModelError(
            f"sensitivity is for users who are normal around a mean, and not for this {name}",
            "fit bp.HierarchicalReward() without constraints",
        )
    return found


def own_information(posterior: Posterior, rows: FloatArray) -> OwnInformation:
    """Return the weights of users' own answers along each of some directions.

    Parameters
    ----------
    posterior
        Posterior of a model in which users differ.
    rows
        (n, d) differences of features.

    Raises
    ------
    ModelError
        As `population_of_users`.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> found = own_information(posterior, np.eye(4))
    >>> found.omega.shape, bool(found.omega.max() < 1.0)
    ((4, 20), True)
    """
    population = population_of_users(posterior)
    share = np.exp(population.log_share)
    mean = np.einsum("suc,sucd->sud", *_alike(share, population.mean))
    total = _variance(population, share, mean, rows)
    draws = thin(posterior.model.user_weights(posterior.draws), _SAMPLES)
    samples, users = len(mean), draws.sizes["user"]
    omega = np.empty((len(rows), users))
    step = max(1, BLOCK_VALUES // (samples * rows.shape[1]))
    # A loop over blocks of users: the draws of all would be copied.
    for start in range(0, users, step):
        part = slice(start, min(start + step, users))
        own = stack(draws.isel(user=part), "user", "feature")
        apart = own - (mean if mean.shape[1] == 1 else mean[:, part])
        apart -= apart.mean(axis=0)
        covariance = np.einsum("sud,sue->ude", apart, apart, optimize=True) / (samples - 1)
        few = max(1, BLOCK_VALUES // covariance[..., 0].size)
        for first in range(0, len(rows), few):  # of rows
            some = slice(first, first + few)
            along = np.einsum("nd,ude->nue", rows[some], covariance, optimize=True)
            left = np.einsum("nue,ne->nu", along, rows[some])
            omega[some, part] = np.clip(1.0 - left / total[some, None], 0.0, 1.0)
    noise = 2.0 * np.square(1.0 - omega) / samples
    return OwnInformation(omega, noise, np.sqrt(total))


def _variance(
    population: Population, share: FloatArray, mean: FloatArray, rows: FloatArray
) -> FloatArray:
    """(n,) variance of d . w around the mean of users like these, averaged over draws."""
    of = np.broadcast_to(share.mean(axis=1), (len(mean), population.components))
    within = np.square(np.einsum("nd,scdr->scnr", rows, population.factor)).sum(axis=3)
    within = np.broadcast_to(within, (len(mean), population.components, len(rows)))
    found = np.einsum("sc,scn->n", of, within) / len(mean)
    if population.components > 1:
        apart = (population.mean - mean[:, :, None]) @ rows.T
        shares, apart = _alike(share, apart)
        found = found + np.einsum("suc,sucn->n", shares, np.square(apart)) / np.prod(
            shares.shape[:2]
        )
    return np.asarray(np.maximum(found, np.finfo(float).tiny))


def _alike(share: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Repeat along the axis of users what all users share, so that both have the same length."""
    users = max(share.shape[1], values.shape[1])
    return (
        np.broadcast_to(share, (share.shape[0], users, share.shape[2])),
        np.broadcast_to(values, (values.shape[0], users, *values.shape[2:])),
    )
