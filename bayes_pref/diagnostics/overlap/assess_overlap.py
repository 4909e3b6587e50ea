"""Whose data an answer rests on: the user's own, people like them, or others.

Borrowed, for user i and differences d on scaled features: |(I - P_i) d|^2 / |d|^2, with P_i the
projection onto the row space of the differences that the user judged. The user's own choices say
nothing of that part of d; what is said of it comes from other users.

Overlap, for user i and context x: how common x is among people like i, relative to everyone,

    overlap(i, x) = min(1, p(x | people like i) / p(x)).

With several components of users it is sum_k P(i is of component k) P(component k | x) / P(component k): the components from
choices and exposure together (those of `MixtureReward` where that was fitted), P(component | x) by
regularised logistic regression on what other users were asked (cross-fitted over users), if that
predicts the components of users held out: on the contexts, or on what describes prompts better. With one
component, or components that contexts do not tell apart, people like i are those whose exposure is
like theirs, and the densities are normal. A context does not vouch for itself: for a pair that the
user was shown, their exposure is taken from their other comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.table import FloatArray, IntArray
from bayes_pref.diagnostics.identifiability.assess_identifiability import units
from bayes_pref.diagnostics.overlap.prompts import Described, by_component, read_described
from bayes_pref.diagnostics.overlap.user_components import Exposure, user_components
from bayes_pref.diagnostics.query import UNASKED, Pairs
from bayes_pref.posterior import Posterior

Flags: TypeAlias = NDArray[np.bool_]

BORROWED = 0.1  # share above which a user's own data are said to say nothing of a pair
_AT_ONCE = 4_000_000  # numbers in one block: 32 MB
_RANK = 1e-6  # of the largest singular value
_LIKE = 0.1  # variance, in that between users, among people who count as alike in exposure
_GRID = 11  # contexts in the map of users by contexts


@dataclass(frozen=True, eq=False)
class Overlap:
    """Whether people like a user are shown contexts like a pair's.

    Attributes
    ----------
    comparisons
        One row a pair: `overlap` (0 to 1, NaN where it cannot be assessed) and `no_overlap`.
    components
        One row a user: the probability of each component, `kind_1` being the commonest.
    map
        Overlap by user, in order of exposure, and by position along the axis that tells users'
        contexts apart best (in standard deviations); empty where it cannot be assessed.
    note
        A sentence on what the overlap rests on, or why there is none.
    """

    comparisons: pd.DataFrame
    components: pd.DataFrame
    map: pd.DataFrame
    note: str


def borrowed(posterior: Posterior, pairs: Pairs) -> FloatArray:
    """Share of each pair that lies outside of what its user judged.

    Parameters
    ----------
    posterior
        Whose comparisons the users made.
    pairs
        Pairs to judge.

    Returns
    -------
    share: (n,) 0 to 1; 1 for users who judged nothing

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_pairs
    >>> world = bp.simulate(users=5, comparisons=2, features=4, contexts=0, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> float(borrowed(posterior, read_pairs(posterior)).max().round(6))  # what was judged
    0.0
    """
    comparisons = posterior.comparisons
    scale = units(comparisons, pairs.difference)
    asked = pairs.difference / scale
    length = np.linalg.norm(asked, axis=1)
    asked = asked / np.where(length > 0, length, 1.0)[:, None]
    share = np.ones(len(pairs))
    known = np.flatnonzero(pairs.user != UNASKED)
    known = known[np.argsort(pairs.user[known], kind="stable")]
    wanted = np.zeros(comparisons.n_users, dtype=bool)
    wanted[pairs.user[known]] = True
    for users, bases in _row_spaces(comparisons, scale, np.flatnonzero(wanted)):
        place = np.full(comparisons.n_users, -1)
        place[users] = np.arange(len(users))
        rows = known[place[pairs.user[known]] >= 0]
        step = max(1, _AT_ONCE // max(1, bases[0].size))
        for start in range(0, len(rows), step):  # blocks, for memory
            some = rows[start : start + step]
            inside = np.einsum("nrf,nf->nr", bases[place[pairs.user[some]]], asked[some])
            share[some] = (1.0 - (inside**2).sum(axis=1)).clip(0.0, 1.0)
    # Where nothing differs there is nothing to borrow.
    return np.where((length > 0) | (pairs.user == UNASKED), share, 0.0)


def _row_spaces(
    comparisons: Comparisons, scale: FloatArray, users: IntArray
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Blocks of users and orthonormal bases (b, r, d) of what each judged, padded with zeros."""
    d = comparisons.n_features
    users = users[np.argsort(-comparisons.counts[users], kind="stable")]
    done = 0
    while done < len(users):  # blocks, for memory; like numbers of rows stand together
        most = int(comparisons.counts[users[done]])
        block = users[done : done + max(1, _AT_ONCE // (d * max(most, d)))]
        done += len(block)
        counts = comparisons.counts[block]
        row = comparisons.offsets[block][:, None] + np.arange(most)
        there = np.arange(most) < counts[:, None]
        rows = comparisons.difference[np.where(there, row, 0)] / scale * there[:, :, None]
        if most > d:  # the same row space in fewer rows
            values, vectors = np.linalg.eigh(np.swapaxes(rows, 1, 2) @ rows)
            kept = values > _RANK**2 * np.maximum(values[:, -1:], 1e-300)
            bases = np.swapaxes(vectors * kept[:, None, :], 1, 2)
        else:
            _, size, vectors = np.linalg.svd(rows, full_matrices=False)
            kept = size > _RANK * np.maximum(size[:, :1], 1e-300)
            bases = vectors * kept[:, :, None]
        yield block, bases


def assess(
    posterior: Posterior,
    pairs: Pairs,
    *,
    least: float = 0.2,
    components: int | None = None,
    described: Described | None = None,
    seed: int = 0,
) -> Overlap:
    """Tell whether people like each pair's user are shown contexts like the pair's.

    Parameters
    ----------
    posterior
        Of the users' weights, with the contexts they were asked in.
    pairs
        Pairs to judge.
    least
        Overlap below which there is none to speak of.
    components
        How many components of users there are; None: those of a `MixtureReward`, or else as many as the
        data show.
    described
        What tells prompts apart, such as their embeddings: (n, m) for the fitted comparisons, and
        (n, m) for the pairs, in their order, or frames indexed by their labels; None: the contexts.
    seed
        Of the mixture's starts and the folds.

    Returns
    -------
    Overlap

    Raises
    ------
    DataError
        If `components` is not a number of components that these users can be of, or `described` does not fit.

    Notes
    -----
    Everyone is like a user of whom nothing is known: their overlap is 1. A context further outside
    of the range of all contexts in the data than their standard deviation is shown to nobody: 0.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_pairs
    >>> world = bp.simulate(users=50, features=["length"], intraclass=0.9, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> low, high = world.truth.exposure["context_1"].agg(["idxmin", "idxmax"])
    >>> x = world.frame.loc[world.frame["user"] == high, "context_1"].mean()
    >>> asked = pd.DataFrame({"user": [low, high], "length": 1.0, "context_1": x})
    >>> assess(posterior, read_pairs(posterior, asked)).comparisons["no_overlap"].tolist()
    [True, False]
    """
    comparisons = posterior.comparisons
    _check_kinds(components, comparisons.n_users)
    seen, asked = read_described(described, comparisons, pairs)
    exposure = Exposure.of(comparisons)
    note = _missing(comparisons, exposure)
    if note:
        values = np.full(len(pairs), np.nan)
        values[_shown_to_nobody(comparisons, pairs.context)] = 0.0
        everyone = _kinds_frame(np.ones((comparisons.n_users, 1)), comparisons)
        return Overlap(_frame(values, least), everyone, pd.DataFrame(), note)
    component = _kinds(posterior, exposure, components, seed)
    user, marks = _map_points(comparisons, exposure)
    whose = np.concatenate([pairs.user, np.repeat(user, len(marks))])
    where = np.vstack([pairs.context, np.tile(comparisons.context[marks], (len(user), 1))])
    several = component.shape[1] > 1
    found = (
        by_component(comparisons, component, seen, asked, pairs.user, marks=marks, seed=seed)
        if several
        else None
    )
    if found is not None:
        ratio = np.concatenate([found[0], found[1][user].ravel()])
        note = (
            f"{component.shape[1]} components of users were found by their choices and contexts; overlap "
            f"compares the {'contexts' if described is None else 'prompts'} of a user's component with "
            "everyone's"
        )
    else:
        own = np.zeros(len(whose), dtype=bool)
        own[: len(pairs)] = _own_contexts(comparisons, pairs)
        ratio = _by_exposure(exposure, whose, where, own)
        who = (
            f"{component.shape[1]} components of users were found, who are shown like contexts"
            if several
            else "one kind of user was found"
        )
        note = f"{who}; overlap compares the contexts of users with a like exposure with everyone's"
    ratio[whose == UNASKED] = 1.0
    ratio[_shown_to_nobody(comparisons, where)] = 0.0
    values, grid = np.split(ratio.clip(0.0, 1.0), [len(pairs)])
    place = exposure.coordinates(comparisons.context[marks])[:, 0]
    table = pd.DataFrame(
        grid.reshape(len(user), len(marks)), comparisons.users[user], place.round(2)
    )
    return Overlap(_frame(values, least), _kinds_frame(component, comparisons), table, note)


def _kinds(
    posterior: Posterior, exposure: Exposure, components: int | None, seed: int
) -> FloatArray:
    """(u, k) probabilities that users are of each component: the model's own components, if it has any."""
    model = posterior.model
    spec = model.spec(posterior.comparisons)
    if components is None and spec is not None and spec.components is not None:
        return np.asarray(
            model.component_probabilities(posterior.draws, posterior.comparisons).mean(axis=0)
        )
    return user_components(posterior, exposure, components, seed)


def _by_exposure(exposure: Exposure, user: IntArray, context: FloatArray, own: Flags) -> FloatArray:
    """(n,) normal density of contexts among users with a like exposure, relative to everyone."""
    x = exposure.coordinates(context)
    counts, mean = exposure.counts[user], exposure.mean[user]
    rest = np.maximum(counts - 1.0, 1.0)[:, None]
    mean = np.where(own[:, None], (counts[:, None] * mean - x) / rest, mean)
    place, unsure = exposure.place(mean, counts - own)
    variance = 1.0 - exposure.between + unsure + _LIKE * exposure.between
    log_ratio = 0.5 * (x**2 - (x - place) ** 2 / variance - np.log(variance)).sum(axis=1)
    return np.asarray(np.exp(np.minimum(log_ratio, 0.0)))


def _own_contexts(comparisons: Comparisons, pairs: Pairs) -> Flags:
    """Whether the user of a pair was shown exactly its context."""
    keys = [
        np.column_stack([user, context])
        for user, context in (
            (comparisons.user, comparisons.context),
            (pairs.user, pairs.context),
        )
    ]
    codes = np.unique(np.vstack(keys), axis=0, return_inverse=True)[1].ravel()
    return np.isin(codes[len(comparisons) :], codes[: len(comparisons)])


def _shown_to_nobody(comparisons: Comparisons, context: FloatArray) -> Flags:
    """Whether contexts lie more than a standard deviation outside of the data's range."""
    seen = comparisons.context
    margin = seen.std(axis=0) + 1e-9 * np.abs(seen).max(axis=0, initial=0.0)
    outside = (context < seen.min(axis=0) - margin) | (context > seen.max(axis=0) + margin)
    return np.asarray(outside.any(axis=1))


def _missing(comparisons: Comparisons, exposure: Exposure) -> str:
    """Say why overlap cannot be assessed; empty if it can."""
    if not comparisons.features.contexts:
        return (
            "overlap cannot be assessed: the comparisons have no contexts; record what users were "
            "asked about, such as the component of prompt, and pass it as context=[...]"
        )
    if comparisons.n_users < 2:
        return "overlap cannot be assessed: there is one user, and no other to compare with"
    if not comparisons.context.std(axis=0).any() or not exposure.axes.size:
        what = (
            "every user made a single comparison, so that who is shown what cannot be told"
            if len(comparisons) == comparisons.n_users
            else "the contexts have one value, the same for everyone"
        )
        return f"overlap cannot be assessed: {what}"
    return ""


def _map_points(comparisons: Comparisons, exposure: Exposure) -> tuple[IntArray, IntArray]:
    """Users in order of exposure, and comparisons spread over the leading axis of contexts."""
    user = np.argsort(exposure.mean[:, 0], kind="stable")
    along = exposure.coordinates(comparisons.context)[:, 0]
    order = np.argsort(along, kind="stable")
    marks = np.linspace(0.02, 0.98, _GRID) * (len(order) - 1)
    row: IntArray = order[np.unique(marks.round().astype(np.int64))].astype(np.int64)
    return user.astype(np.int64), row


def _frame(values: FloatArray, least: float) -> pd.DataFrame:
    return pd.DataFrame({"overlap": values, "no_overlap": values < least})


def _kinds_frame(component: FloatArray, comparisons: Comparisons) -> pd.DataFrame:
    columns = [f"kind_{k + 1}" for k in range(component.shape[1])]
    return pd.DataFrame(component, comparisons.users.rename("user"), columns)


def _check_kinds(components: int | None, n_users: int) -> None:
    settings.argument("components", components, settings.optional(settings.whole(1, n_users)))
