"""Does what users are shown go with what they prefer? Before any fit but a pooled one.

Scores of a user's answers under the pooled model say how the user's weights differ from those of
all. They are related to what the user was shown on average, z, by

    U = sum_i psi_i,   psi_i = z_i u_i - A n_i,   T = U' (sum_i psi_i psi_i')^-1 U

with n_i the user's scores of the pooled coefficients, effects of contexts among them, so that an
effect that contexts have on everybody is none of users who meet them. z is permuted over users
after regression on covariates, and T, studentised, keeps its level in large samples where users
differ in anything else (Janssen 1997, Stat. Probab. Lett. 36). "shown by answers" asks of the order
within users: does the next task depend on the answer before?
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.assumptions.audit_data import AuditData
from bayes_pref.assumptions.check import UNCONFOUNDEDNESS, Check, named, p_words, unmade
from bayes_pref.assumptions.resampling import exchanged_signs, largest_of
from bayes_pref.assumptions.shown_tasks import polynomial, standardised
from bayes_pref.types import FloatArray, IntArray

_FEWEST_USERS, _MOST_USERS = 20, 3000
_VALUES = 2**23  # held at once
_LEFT = 0.02  # share of the information on exposure that effects of contexts must leave
PREFERENCES, ANSWERS = "shown by preferences", "shown by answers"


def preferences_check(data: AuditData) -> Check:
    """Test whether users who are shown different things prefer differently."""
    reason, remedy = _why_not(data)
    if reason:
        return unmade(PREFERENCES, UNCONFOUNDEDNESS, reason, remedy)
    rng = data.rng(3)
    z, names = _exposure(data)
    if not names:
        return unmade(
            PREFERENCES, UNCONFOUNDEDNESS,
            "Covariates account for all that users were shown on average.",
            "vary what users with the same covariates are shown",
        )  # fmt: skip
    parts = _parts(data, rng)
    found, left = _statistics(parts, z[parts.users][None])
    kept = np.flatnonzero(left[0] > _LEFT)
    if not len(kept):
        return unmade(
            PREFERENCES, UNCONFOUNDEDNESS,
            "What is shown hardly varies within users, so that its effect on everybody cannot be "
            "told from differences between users.",
            "show each user several contexts",
        )  # fmt: skip
    z, names = z[parts.users][:, kept], [names[k] for k in kept]
    statistics = [found[:, kept]]
    order = np.arange(len(z))
    step = max(1, _VALUES // (len(z) * len(names) * max(parts.cross.shape[1], 1)))
    for start in range(0, data.permutations, step):  # blocks: all at once would not fit
        size = min(step, data.permutations - start)
        drawn = z[rng.permuted(np.tile(order, (size, 1)), axis=1)]
        statistics.append(_statistics(parts, drawn)[0])
    test = largest_of(np.cbrt(np.concatenate(statistics)))  # nearly normal (Wilson & Hilferty 1931)
    columns = [names[k] for k in test.order if test.adjusted[k] <= 0.01] or [names[test.order[0]]]
    given = " given their covariates" if data.comparisons.covariate_names else ""
    return Check(
        name=PREFERENCES,
        assumption=UNCONFOUNDEDNESS,
        null=f"users who are shown different things prefer alike{given}",
        statistic="largest studentised relation of preferences to what users are shown on average",
        value=test.largest,
        p=test.p,
        found=(
            f"Users who are shown more of {named(columns)} prefer otherwise{given} "
            f"({p_words(test.p)}): answers to such pairs are those of other users."
        ),
        clear=(
            f"Users who are shown different things do not prefer otherwise{given} "
            f"({p_words(test.p)})."
        ),
        remedy="fit HierarchicalReward(exposure=True) and use p_do of bp.diagnose; deal tasks to "
        "users at random",
        detail=pd.DataFrame({"column": names, "p": test.adjusted}).iloc[test.order],
    )


def _why_not(data: AuditData) -> tuple[str, str]:
    """Say why preferences cannot be related to what is shown, and what to do; empty if they can."""
    comparisons = data.comparisons
    if comparisons.n_users < _FEWEST_USERS:
        many = "is 1 user" if comparisons.n_users == 1 else f"are {comparisons.n_users} users"
        return (
            f"There {many}, too few to relate preferences to what is shown.",
            f"ask at least {_FEWEST_USERS} users",
        )
    if not data.surroundings[1]:
        return (
            "Neither contexts nor attributes of both sides were recorded, so that what users are "
            "shown on average is not known.",
            "record what each task was about, such as the topic of its prompt, and pass it as "
            "context=[...]",
        )
    return "", ""


def _exposure(data: AuditData) -> tuple[FloatArray, list[str]]:
    """(u, m) what users were shown on average, less what covariates account for, and names."""
    values, names = data.surroundings
    shown, comparisons = data.shown, data.comparisons
    starts = np.flatnonzero(np.diff(shown.user, prepend=-1))
    means = np.add.reduceat(standardised(values), starts, axis=0) / np.bincount(shown.user)[:, None]
    made, words = polynomial(means, names, products=len(names) <= 3)
    nuisance = np.column_stack([np.ones(len(made)), standardised(comparisons.covariates)])
    rest = made - nuisance @ np.linalg.lstsq(nuisance, made, rcond=None)[0]
    kept = np.flatnonzero((rest**2).mean(axis=0) > 1e-3)
    return standardised(rest[:, kept]), [words[k] for k in kept]


class _Parts:
    """Scores and information of users: k directions of preferences, r pooled coefficients."""

    def __init__(self, users: IntArray, score: FloatArray, nuisance: FloatArray, cross: FloatArray,
                 information: FloatArray, k: int) -> None:  # fmt: skip
        self.users, self.score, self.nuisance, self.cross = users, score, nuisance, cross
        self.information, self.k = information, k


def _parts(data: AuditData, rng: np.random.Generator) -> _Parts:
    """Scores (u, k), pooled scores (u, r), and information between these (u, k r)."""
    fit, user, count = data.wide, data.comparisons.user, data.comparisons.n_users
    attributes, design = data.attributes, data.wide_design
    covariates = standardised(data.comparisons.covariates)[:, :4]
    if covariates.shape[1]:  # users' covariates may move their weights
        design = np.hstack([design, _by_covariates(attributes, covariates[user])])
        fit = type(fit).of(design, data.comparisons.choice, data.stage)
    stages = np.flatnonzero(np.diff(fit.stage, prepend=-1))
    weighted = attributes * fit.other[:, None]
    first = np.add.reduceat(weighted, stages, axis=0)
    second = np.add.reduceat(design * fit.other[:, None], stages, axis=0)
    k, r = attributes.shape[1], design.shape[1]
    cross = np.zeros((count, k * r))
    owners, owned = user[stages], np.flatnonzero(np.diff(user, prepend=-1))
    places = np.flatnonzero(np.diff(owners, prepend=-1))
    for j in range(k):  # a loop over directions: all products at once would not fit
        rows = np.add.reduceat(weighted[:, j : j + 1] * design, owned, axis=0)
        taken = np.add.reduceat(first[:, j : j + 1] * second, places, axis=0)
        cross[:, j * r : (j + 1) * r] = rows - taken
    users = np.sort(rng.permutation(count)[:_MOST_USERS])
    return _Parts(
        users,
        fit.scores(attributes, user, count)[users],
        fit.scores(design, user, count)[users],
        cross[users],
        fit.information,
        k,
    )


def _by_covariates(attributes: FloatArray, covariates: FloatArray) -> FloatArray:
    return np.asarray((attributes[:, :, None] * covariates[:, None]).reshape(len(attributes), -1))


def _statistics(parts: _Parts, z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """(b, m) T of each column of several exposures (b, u, m), and the share of information left."""
    b, u, m = z.shape
    k, r = parts.k, parts.nuisance.shape[1]
    across = z.transpose(0, 2, 1).reshape(b * m, u)
    taken = np.linalg.solve(parts.information, (across @ parts.cross).reshape(-1, r).T)
    away = (parts.nuisance @ taken).reshape(u, b * m, k).transpose(1, 0, 2)
    raw = across[:, :, None] * parts.score
    psi = raw - away
    square = psi.transpose(0, 2, 1) @ psi
    trace = np.einsum("bkk->b", square)
    left = trace / np.maximum((raw**2).sum(axis=(1, 2)), 1e-300)
    ridge = (1e-6 * trace / k + 1e-300)[:, None, None] * np.eye(k)
    total = psi.sum(axis=1)
    found = np.einsum("bk,bk->b", total, np.linalg.solve(square + ridge, total[..., None])[..., 0])
    return found.reshape(b, m), left.reshape(b, m)


def answers_check(data: AuditData) -> Check:
    """Test whether the next task that a user is shown depends on the answer before."""
    shown = data.shown
    values, names = shown.columns()
    follows = np.flatnonzero(np.diff(shown.user, prepend=-1) == 0)
    counts = np.bincount(shown.user)
    if not len(follows) or counts.max() < 3 or not names:
        return unmade(
            ANSWERS, UNCONFOUNDEDNESS, "No user answered three tasks in a row.",
            "give each user several tasks, in rows in the order of the session",
        )  # fmt: skip
    k = min(data.attributes.shape[1], 8)
    scores = data.wide.scores(data.attributes[:, :k], data.task, len(shown.user))
    owner = shown.user[follows]
    after, before = _centred(values[follows], owner), _centred(scores[follows - 1], owner)
    products = (before[:, :, None] * after[:, None, :]).reshape(len(follows), -1)
    if data.comparisons.n_users >= _FEWEST_USERS:
        products = np.add.reduceat(products, np.flatnonzero(np.diff(owner, prepend=-1)), axis=0)
    test = exchanged_signs(products, data.permutations, data.rng(4))
    pairs = [(a, b) for a in data.attribute_names[:k] for b in names]
    significant = [j for j in test.order if test.adjusted[j] <= 0.01] or [test.order[0]]
    columns = list(dict.fromkeys(pairs[j][1] for j in significant))
    return Check(
        name=ANSWERS,
        assumption=UNCONFOUNDEDNESS,
        null="what is shown next does not depend on the answer before",
        statistic="largest studentised covariance of an answer and the next task of a user",
        value=test.largest,
        p=test.p,
        found=(
            f"What is shown next depends on the answer before: {named(columns)} "
            f"({p_words(test.p)}), as where tasks are chosen by what users answered."
        ),
        clear=f"What is shown next does not depend on the answer before ({p_words(test.p)}).",
        remedy="record the probability with which each task was chosen, or choose some tasks at "
        "random",
        detail=pd.DataFrame(
            {"answer about": [a for a, _ in pairs], "next task": [b for _, b in pairs],
             "p": test.adjusted}
        ).iloc[test.order],
    )  # fmt: skip


def _centred(values: FloatArray, owner: IntArray) -> FloatArray:
    """Values (n, m) less the mean of each owner's."""
    starts = np.flatnonzero(np.diff(owner, prepend=-1))
    size = np.diff(np.append(starts, len(owner)))
    mean = np.add.reduceat(values, starts, axis=0) / size[:, None]
    return np.asarray(values - np.repeat(mean, size, axis=0))
