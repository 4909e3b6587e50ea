"""Posterior predictions of comparisons: log-odds, likelihood, replicated choices, effects.

Row n of user i has log-odds d_n . w_i. Rows are grouped by user, so that a block of rows is a
sparse matrix (row, user and feature) times the weights of a few users. No weights are copied per
row, and the zeros of effect-coded features cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
import xarray as xr
from scipy.sparse import csr_array

from bayes_pref.data import Comparisons
from bayes_pref.data.sparse_rows import compressed, is_sparse
from bayes_pref.draws import stack_last
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.models.choice.task_choices import draw_rows, log_tasks
from bayes_pref.models.observational_bias import rows_with_bias
from bayes_pref.posterior.estimates import BLOCK_VALUES
from bayes_pref.types import FloatArray, IntArray

_MANY = 500  # features, from which weights that users share are not copied for each of them


def log_odds(
    weights: xr.DataArray,
    users: IntArray,
    difference: FloatArray,
    together: IntArray | None = None,
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
    together
        (n,) nondecreasing codes from 0; rows of the same code are never apart. None: all may be.
    """
    samples = weights.sizes["chain"] * weights.sizes["draw"]
    rows, features = difference.shape
    many = is_sparse(difference) or features > _MANY
    shared = many and _is_shared(weights)
    step = max(1, BLOCK_VALUES // (samples * (1 if shared else features)))
    ends = np.append(np.arange(step, rows, step), rows)
    if together is not None:
        ends = np.unique(np.searchsorted(together, together[ends - 1], side="right"))
    everyone = stack_last(weights.isel(user=0), "feature") if shared else None
    # A loop over blocks of rows: the log-odds of all would be as large as the posterior.
    for start, end in pairwise([0, *ends.tolist()]):
        part = slice(start, end)
        if everyone is not None:
            yield part, np.asarray(compressed(difference[part]) @ everyone)
            continue
        user = users[part]
        known = stack_last(weights.isel(user=slice(user[0], user[-1] + 1)), "user", "feature")
        columns = (user - user[0])[:, None] * features + np.arange(features)
        row, column = np.nonzero(difference[part])
        design = csr_array(
            (difference[part][row, column], (row, columns[row, column])),
            shape=(len(user), len(known) * features),
        )
        yield part, np.asarray(design @ known.reshape(-1, samples))


def _is_shared(weights: xr.DataArray) -> bool:
    """Whether all users have the same weights, and not just equal ones."""
    if weights.sizes["user"] == 1:
        return True
    return weights.transpose("user", ...).to_numpy().strides[0] == 0


def describe_rows(
    weights: xr.DataArray,
    users: IntArray,
    difference: FloatArray,
    describe_block: Callable[[FloatArray, IntArray], dict[str, FloatArray]],
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
        Turns draws (row, sample) and the codes of the rows' users into named arrays (row,).
    """
    order = np.argsort(users, kind="stable")
    blocks = log_odds(weights, users[order], difference[order])
    parts = [describe_block(eta, users[order][part]) for part, eta in blocks]
    back = np.argsort(order)
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


def predict(
    weights: xr.DataArray,
    samples: xr.Dataset,
    choices: ChoiceDistribution,
    comparisons: Comparisons,
    rng: np.random.Generator,
) -> dict[str, xr.Dataset]:
    """Compute the log likelihood of every task and replicated choices of every row, for ArviZ.

    Parameters
    ----------
    weights, samples, choices
        Weights (chain, draw, user, feature), the draws they are of, and the distribution of choices
        there.
    comparisons
        The data.
    rng
        Generator for the replicated choices.

    Returns
    -------
    Datasets ``log_likelihood`` (chain, draw, task), ``posterior_predictive`` (chain, draw,
    comparison) and ``observed_data`` (comparison), each with the variable ``choice``. Where each
    comparison is a task of its own, the dimension is ``comparison`` throughout.
    """
    chains, draws, rows = weights.sizes["chain"], weights.sizes["draw"], len(comparisons)
    outcome, task = comparisons.outcome, comparisons.outcome.tasks(rows)
    likelihood = np.empty((chains * draws, int(task[-1]) + 1))
    dtype = np.int8 if choices.n_outcomes == 2 else np.float32
    replicated = np.empty((chains * draws, rows), dtype=dtype)
    weights, difference = rows_with_bias(weights, samples, comparisons)
    for part, eta in log_odds(weights, comparisons.user, difference, task):
        tasks = slice(task[part.start], task[part.stop - 1] + 1)
        chosen, own = comparisons.choice[part], outcome.take(np.arange(part.start, part.stop))
        of_rows = choices.of_users(comparisons.user[part])
        likelihood[:, tasks] = log_tasks(of_rows, eta, chosen, own).T
        replicated[:, part] = draw_rows(of_rows, eta, own, rng).T
    sampled = {dim: weights.indexes[dim] for dim in ("chain", "draw") if dim in weights.indexes}
    # Renamed: xarray takes the name of an index for that of its dimension.
    named = {"comparison": plain_labels(comparisons.rows).rename("comparison")}
    unit = "comparison" if outcome.rowwise else "task"
    units = plain_labels(comparisons.tasks).rename(unit)
    choice = comparisons.choice.astype(dtype)

    def drawn(values: FloatArray, dim: str, labels: pd.Index) -> xr.Dataset:
        each = values.reshape(chains, draws, -1)
        return xr.Dataset({"choice": (("chain", "draw", dim), each)}, sampled | {dim: labels})

    return {
        "log_likelihood": drawn(likelihood, unit, units),
        "posterior_predictive": drawn(replicated, "comparison", named["comparison"]),
        "observed_data": xr.Dataset({"choice": ("comparison", choice)}, coords=named),
    }


def plain_labels(labels: pd.Index) -> pd.Index:
    """Return labels as ArviZ accepts them, which are not of several levels."""
    return pd.Index([str(label) for label in labels]) if isinstance(labels[0], tuple) else labels


def marginal_effects(
    weights: xr.DataArray, choices: ChoiceDistribution, comparisons: Comparisons
) -> FloatArray:
    """Compute average marginal component effects (sample, attribute), in [-1, 1].

    P(preferred) - P(the other preferred) of an item that has one unit more of the attribute (or
    that level instead of the baseline) and is otherwise equal, averaged over both sides, over each
    user's own contexts where the attribute interacts with any, and over users, by their shares.
    """
    features, samples = comparisons.features, weights.sizes["chain"] * weights.sizes["draw"]
    count = len(features.attributes)
    effects = np.zeros((samples, count))
    of_users = comparisons.user_shares
    share = (of_users / comparisons.counts)[comparisons.user]
    interacting = np.isin(features.attributes, [name for name, _ in features.interactions])
    own = weights.isel(feature=slice(count)).transpose("user", "feature", "chain", "draw")
    # A loop over attributes: with contexts, each takes log-odds of all rows and draws.
    for k, unit in enumerate(features.contrasts):
        if interacting[unit != 0].any():
            units = features.expand(np.tile(unit, (len(comparisons), 1)), comparisons.context)
            for part, eta in log_odds(weights, comparisons.user, units):
                of_rows = choices.of_users(comparisons.user[part])
                effects[:, k] += share[part] @ of_rows.advantage(eta)
        else:
            gain = np.einsum("j,uj...->u...", unit[unit != 0], own[:, unit != 0].to_numpy())
            effects[:, k] = of_users @ choices.advantage(gain.reshape(len(gain), -1))
    return effects
