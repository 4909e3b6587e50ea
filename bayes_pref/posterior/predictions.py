"""Posterior predictions of comparisons: log-odds, likelihood, replicated choices, effects.

Row n of user i has log-odds d_n . w_i. Rows are grouped by user, so that a block of rows is a
sparse matrix (row, user and feature) times the weights of a few users. No weights are copied per
row, and the zeros of effect-coded features cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import csr_array

from bayes_pref.data import Comparisons
from bayes_pref.draws import stack_last
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.posterior.estimates import BLOCK_VALUES
from bayes_pref.types import FloatArray, IntArray


def log_odds(
    weights: xr.DataArray, users: IntArray, difference: FloatArray
) -> Iterator[tuple[slice, FloatArray]]:
    """Yield rows and their log-odds (row, sample), a few rows at a time.

    Parameters
    ----------
    weights
        (chain, draw, user, feature) of all users.
    users
        (n,) codes of the rows' users among them, nondecreasing.
    difference
        (n, d) left minus right.
    """
    samples = weights.sizes["chain"] * weights.sizes["draw"]
    rows, features = difference.shape
    step = max(1, BLOCK_VALUES // (samples * features))
    # A loop over blocks of rows: the log-odds of all would be as large as the posterior.
    for start in range(0, rows, step):
        part = slice(start, min(start + step, rows))
        user = users[part]
        known = stack_last(weights.isel(user=slice(user[0], user[-1] + 1)), "user", "feature")
        columns = (user - user[0])[:, None] * features + np.arange(features)
        row, column = np.nonzero(difference[part])
        design = csr_array(
            (difference[part][row, column], (row, columns[row, column])),
            shape=(len(user), len(known) * features),
        )
        yield part, np.asarray(design @ known.reshape(-1, samples))


def describe_rows(
    weights: xr.DataArray,
    users: IntArray,
    difference: FloatArray,
    describe_block: Callable[[FloatArray], dict[str, FloatArray]],
) -> dict[str, FloatArray]:
    """Describe the log-odds of each row for its own user, in the order of the rows.

    Parameters
    ----------
    weights
        (chain, draw, user, feature)
    users
        (n,) codes of the rows' users among them, in any order.
    difference
        (n, d) left minus right; n is at least 1.
    describe_block
        Turns draws (row, sample) into named arrays (row,).
    """
    order = np.argsort(users, kind="stable")
    parts = [describe_block(eta) for _, eta in log_odds(weights, users[order], difference[order])]
    back = np.argsort(order)
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


def predict(
    weights: xr.DataArray,
    choices: ChoiceDistribution,
    comparisons: Comparisons,
    rng: np.random.Generator,
) -> dict[str, xr.Dataset]:
    """Compute the log likelihood and replicated choices of every row, for ArviZ.

    Parameters
    ----------
    weights, choices
        Weights (chain, draw, user, feature), and the distribution of choices at the same draws.
    comparisons
        The data.
    rng
        Generator for the replicated choices.

    Returns
    -------
    Datasets ``log_likelihood``, ``posterior_predictive`` (chain, draw, comparison) and
    ``observed_data`` (comparison), each with the variable ``choice``.
    """
    chains, draws, rows = weights.sizes["chain"], weights.sizes["draw"], len(comparisons)
    likelihood = np.empty((chains * draws, rows))
    dtype = np.int8 if choices.n_outcomes == 2 else np.float32
    replicated = np.empty((chains * draws, rows), dtype=dtype)
    for part, eta in log_odds(weights, comparisons.user, comparisons.difference):
        likelihood[:, part] = choices.log_likelihood(eta, comparisons.choice[part]).T
        replicated[:, part] = choices.draw(eta, rng).T
    dims, shape = ("chain", "draw", "comparison"), (chains, draws, rows)
    sampled = {dim: weights.indexes[dim] for dim in dims[:2] if dim in weights.indexes}
    labels = comparisons.rows
    if isinstance(labels[0], tuple):  # ArviZ does not accept labels of several levels
        labels = pd.Index([str(label) for label in labels])
    # Renamed: xarray takes the name of an index for that of its dimension.
    named = {"comparison": labels.rename("comparison")}
    choice = comparisons.choice.astype(dtype)
    return {
        "log_likelihood": xr.Dataset(
            {"choice": (dims, likelihood.reshape(shape))}, coords=sampled | named
        ),
        "posterior_predictive": xr.Dataset(
            {"choice": (dims, replicated.reshape(shape))}, coords=sampled | named
        ),
        "observed_data": xr.Dataset({"choice": ("comparison", choice)}, coords=named),
    }


def marginal_effects(
    weights: xr.DataArray, choices: ChoiceDistribution, comparisons: Comparisons
) -> FloatArray:
    """Compute average marginal component effects (sample, attribute), in [-1, 1].

    P(preferred) - P(the other preferred) of an item that has one unit more of the attribute and is
    otherwise equal, averaged over both sides, over each user's own contexts where the attribute
    interacts with any, and over users.
    """
    features, samples = comparisons.features, weights.sizes["chain"] * weights.sizes["draw"]
    count = len(features.attributes)
    effects = np.zeros((samples, count))
    share = 1.0 / (comparisons.n_users * comparisons.counts[comparisons.user])
    interacting = {attribute for attribute, _ in features.interactions}
    # A loop over attributes: with contexts, each takes log-odds of all rows and draws.
    for k, attribute in enumerate(features.attributes):
        if attribute in interacting:
            unit = np.zeros((len(comparisons), count))
            unit[:, k] = 1.0
            unit = features.expand(unit, comparisons.context)
            for part, eta in log_odds(weights, comparisons.user, unit):
                effects[:, k] += share[part] @ choices.advantage(eta)
        else:
            own = weights.isel(feature=k).transpose("user", "chain", "draw").to_numpy()
            effects[:, k] = choices.advantage(own.reshape(len(own), -1)).mean(axis=0)
    return effects
