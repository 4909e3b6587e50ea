"""Who is shown what: whether it differs between users, and covariates of users predict it.

Predictions are cross-fitted ridge regressions of what users were shown on average, linear and with
a Gaussian kernel. They are linear in what was shown, so that each permutation of users costs one
product of matrices. Permutations exchange whole users with all that they were shown, and are exact
where covariates have nothing to do with it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.assumptions.audit_data import AuditData
from bayes_pref.assumptions.check import UNCONFOUNDEDNESS, Check, named, p_words, unmade
from bayes_pref.assumptions.resampling import largest_of
from bayes_pref.assumptions.shown_tasks import standardised
from bayes_pref.types import FloatArray, IntArray

_FEWEST_USERS, _MOST_USERS, _MOST_TASKS = 20, 500, 20_000
_FOLDS = 5
_DESCRIBING = 299  # permutations of tasks: enough for a p-value that only describes
_VALUES = 2**22  # held at once
_PENALTIES = (0.1, 1.0)  # of the linear predictions, per user
ALLOCATION, COVARIATES = "same for all users", "shown by covariates"


def allocation_check(data: AuditData) -> Check:
    """Describe whether all users are shown the same, by permuting tasks over all users.

    A difference is no fault by itself: it makes confounding possible.
    """
    shown = data.shown
    values, names = shown.columns()
    if data.comparisons.n_users == 1:
        return unmade(
            ALLOCATION, UNCONFOUNDEDNESS, "There is one user, and no other to compare with.",
            "ask several users",
        )  # fmt: skip
    rng = data.rng(1)
    user = shown.user
    if len(user) > _MOST_TASKS:
        values, user = _some(values, user, rng)
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    if not names or len(starts) == len(user):
        return unmade(
            ALLOCATION, UNCONFOUNDEDNESS, "Every user answered a single task.",
            "give each user several tasks",
        )  # fmt: skip
    counts = np.diff(np.append(starts, len(user)))[:, None]
    found = [_between(values[None], starts, counts)]
    step = max(1, _VALUES // values.size)
    count = min(data.permutations, _DESCRIBING)
    for start in range(0, count, step):  # blocks: all at once would not fit
        order = np.tile(np.arange(len(user)), (min(step, count - start), 1))
        found.append(_between(values[rng.permuted(order, axis=1)], starts, counts))
    share = np.concatenate(found)
    test = largest_of(share)
    differing = [names[k] for k in test.order if test.adjusted[k] <= 0.01]
    return Check(
        name=ALLOCATION,
        assumption=UNCONFOUNDEDNESS,
        null="tasks were dealt to users as if at random",
        statistic="largest share of the variance of a column that lies between users",
        value=float(share[0].max()),
        p=test.p,
        found=(
            f"Users differ in what they are shown: {named(differing or [names[test.order[0]]])} "
            f"({p_words(test.p)}), which is no fault by itself."
        ),
        clear=f"What is shown does not differ between users ({p_words(test.p)}).",
        remedy="deal tasks to users at random, or record what decides who is shown what",
        alarms=False,
        detail=pd.DataFrame(
            {"column": names, "share between users": share[0], "p": test.adjusted}
        ).iloc[test.order],
    )


def _some(
    values: FloatArray, user: IntArray, rng: np.random.Generator
) -> tuple[FloatArray, IntArray]:
    """All tasks of some users, drawn at random."""
    counts = np.bincount(user)
    order = rng.permutation(len(counts))
    kept = order[: max(2, int(np.searchsorted(np.cumsum(counts[order]), _MOST_TASKS)))]
    rows = np.flatnonzero(np.isin(user, kept))
    return values[rows], np.unique(user[rows], return_inverse=True)[1].ravel()


def _between(values: FloatArray, starts: IntArray, counts: IntArray) -> FloatArray:
    """(r, m) share of the variance of columns (r, t, m) between users."""
    sums = np.add.reduceat(values, starts, axis=1)
    total = values.sum(axis=1)
    square = (values[0] ** 2).sum(axis=0) - total**2 / values.shape[1]
    between = (sums**2 / counts).sum(axis=1) - total**2 / values.shape[1]
    return np.asarray(between / np.maximum(square, 1e-300))


def covariates_check(data: AuditData) -> Check:
    """Test whether covariates of users predict what they are shown."""
    comparisons, shown = data.comparisons, data.shown
    covariates = standardised(comparisons.covariates)
    differs = np.flatnonzero(covariates.any(axis=0))
    if not len(differs):
        return unmade(
            COVARIATES, UNCONFOUNDEDNESS,
            "No covariate of the users was recorded." if not comparisons.covariate_names
            else "No covariate differs between users.",
            "record what is known of the users, and pass it as covariates=",
        )  # fmt: skip
    if comparisons.n_users < _FEWEST_USERS:
        return unmade(
            COVARIATES, UNCONFOUNDEDNESS,
            f"There are {comparisons.n_users} users, too few to relate covariates to what is "
            "shown.",
            f"ask at least {_FEWEST_USERS} users",
        )  # fmt: skip
    values, names = shown.columns()
    means = _means(values, shown.user, comparisons.n_users)
    rng = data.rng(2)
    chosen = rng.permutation(comparisons.n_users)[:_MOST_USERS]
    covariates, means = covariates[chosen][:, differs], means[chosen]
    varying = np.flatnonzero(means.std(axis=0) > 1e-9)
    if not len(varying):
        return unmade(
            COVARIATES, UNCONFOUNDEDNESS, "All users were shown the same on average.",
            "nothing: covariates cannot predict it",
        )  # fmt: skip
    means, names = means[:, varying], tuple(names[k] for k in varying)
    explained = _explained(means, _predictors(covariates, rng), data.permutations, rng)
    test = largest_of(explained)
    best = explained[0].reshape(-1, len(names)).max(axis=0)
    adjusted = test.adjusted.reshape(-1, len(names)).min(axis=0)
    order = np.argsort(adjusted - 1e-6 * best, kind="stable")
    columns = [names[k] for k in order if adjusted[k] <= 0.01] or [names[order[0]]]
    related = np.abs(covariates.T @ standardised(means[:, order[:1]])).ravel()
    covariate = comparisons.covariate_names[differs[int(related.argmax())]]
    return Check(
        name=COVARIATES,
        assumption=UNCONFOUNDEDNESS,
        null="what users are shown is unrelated to their covariates",
        statistic="largest share of the variance between users that covariates predict out of "
        "sample",
        value=float(best.max()),
        p=test.p,
        found=(
            f"Covariates predict what users are shown: above all {covariate!r} predicts "
            f"{named(columns)} ({100 * best[order[0]]:.0f} % of the variance between users out of "
            f"sample, {p_words(test.p)}); averages of answers are confounded unless they are "
            "adjusted for it."
        ),
        clear=f"Covariates do not predict what users are shown ({p_words(test.p)}).",
        remedy=f"adjust for {covariate!r} (covariates=), or deal tasks to users at random",
        detail=pd.DataFrame({"column": names, "predicted": best, "p": adjusted}).iloc[order],
    )


def _means(values: FloatArray, user: IntArray, count: int) -> FloatArray:
    """(u, m) mean over each user's tasks."""
    starts = np.flatnonzero(np.diff(user, prepend=-1))
    return np.asarray(
        np.add.reduceat(values, starts, axis=0) / np.bincount(user, minlength=count)[:, None]
    )


def _predictors(covariates: FloatArray, rng: np.random.Generator) -> list[FloatArray]:
    """Matrices (u, u) that predict users from those of other folds; the first by their mean."""
    u = len(covariates)
    fold = rng.permutation(np.arange(u) % _FOLDS)
    linear = covariates @ covariates.T / covariates.shape[1]
    square = np.diagonal(linear)
    distance = (square[:, None] + square - 2.0 * linear).clip(0.0)
    middle = np.median(distance[distance > 1e-12]) if (distance > 1e-12).any() else 1.0
    kernels = [(linear, u * penalty) for penalty in _PENALTIES]
    kernels.append((np.exp(-distance / middle), 1.0))
    means, found = np.zeros((u, u)), [np.zeros((u, u)) for _ in kernels]
    for k in range(_FOLDS):
        held, train = np.flatnonzero(fold == k), np.flatnonzero(fold != k)
        means[np.ix_(held, train)] = 1.0 / len(train)
        centre = np.eye(len(train)) - 1.0 / len(train)
        for matrix, (kernel, penalty) in zip(found, kernels, strict=True):
            inner = kernel[np.ix_(train, train)] + penalty * np.eye(len(train))
            smooth = np.linalg.solve(inner, kernel[np.ix_(train, held)]).T
            matrix[np.ix_(held, train)] = smooth @ centre + 1.0 / len(train)
    return [means, *found]


def _explained(
    means: FloatArray, predictors: list[FloatArray], count: int, rng: np.random.Generator
) -> FloatArray:
    """(1 + count, predictors x columns) share predicted out of sample, of permuted users, too."""
    u, m = means.shape
    eye = np.eye(u)
    found = []
    step = max(1, _VALUES // (u * m))
    for start in range(0, count + 1, step):  # blocks: all at once would not fit
        size = min(step, count + 1 - start)
        order = rng.permuted(np.tile(np.arange(u), (size, 1)), axis=1)
        if not start:
            order[0] = np.arange(u)
        permuted = means[order].transpose(1, 0, 2).reshape(u, size * m)
        error = [(((eye - each) @ permuted) ** 2).sum(axis=0) for each in predictors]
        shares = [1.0 - each / np.maximum(error[0], 1e-300) for each in error[1:]]
        found.append(np.stack([share.reshape(size, m) for share in shares], axis=1))
    return np.concatenate(found).reshape(count + 1, -1)
