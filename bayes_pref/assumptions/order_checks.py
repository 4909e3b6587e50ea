"""Sides and order: balance of sides, answers that lean to one, carry-over and drift.

Sides are exchanged at random, task by task, for their balance: exact where they were tossed. A
leaning is a score with mean zero, whose signs are exchanged user by user. For carry-over and drift
the tasks of every user are permuted: exact where nothing depends on their order.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.assumptions.audit_data import AuditData
from bayes_pref.assumptions.check import CONSISTENCY, Check, named, p_words, unmade
from bayes_pref.assumptions.resampling import (
    Resampled,
    exchanged_signs,
    largest_of,
    permuted_within,
)
from bayes_pref.types import FloatArray, IntArray

_MOST_TASKS = 20_000
_VALUES = 2**22  # held at once
BALANCE, LEANING, CARRY, DRIFT = "balance of sides", "position bias", "carry-over", "drift"
_SIDES = {
    "toss": "Sides were tossed when the data were read, so that those shown are not known.",
    "one-sided": "The winner is written on one side, so that the sides shown are not known.",
}


def balance_check(data: AuditData) -> Check:
    """Test whether left and right have the same attributes on average."""
    if not data.sided:
        return _no_sides(data, BALANCE)
    names = data.attribute_names
    rows = data.attributes[data.rng(5).permutation(len(data.attributes))[:_MOST_TASKS]]
    test = exchanged_signs(rows, data.permutations, data.rng(6))
    columns = [names[k] for k in test.order if test.adjusted[k] <= 0.01] or [names[test.order[0]]]
    mean = data.attributes.mean(axis=0)
    worst = int(test.order[0])
    side = "left" if mean[worst] > 0 else "right"
    return Check(
        name=BALANCE,
        assumption=CONSISTENCY,
        null="which item is on the left was tossed",
        statistic="largest studentised mean of left minus right",
        value=test.largest,
        p=test.p,
        found=(
            f"Sides are not balanced: {side} has more of {named(columns)} ({p_words(test.p)}), "
            "which an effect of the side would be credited to."
        ),
        clear=f"Left and right have the same attributes on average ({p_words(test.p)}).",
        remedy="toss sides before tasks are shown, and fit a position bias (position=True)",
        detail=pd.DataFrame(
            {"attribute": names, "left minus right": mean, "p": test.adjusted}
        ).iloc[test.order],
    )


def leaning_check(data: AuditData) -> Check:
    """Test whether answers lean to one side beyond what the attributes say."""
    if not data.sided:
        return _no_sides(data, LEANING)
    design = data.wide_design[:, data.side.shape[1] :]
    fit = type(data.wide).of(design, data.comparisons.choice, data.stage)
    scores = fit.efficient(data.side, design, data.group, data.n_groups)
    fitted = design.shape[1]
    test = exchanged_signs(scores, data.permutations, data.rng(7), fitted=fitted)
    bias = float(data.wide.coefficients[0])
    side = "left" if bias > 0 else "right"
    return Check(
        name=LEANING,
        assumption=CONSISTENCY,
        null="exchanging the sides exchanges the answer",
        statistic="log-odds in favour of left",
        value=bias,
        p=test.p,
        found=(
            f"Answers lean to the {side} by {abs(bias):.2f} log-odds, whatever is shown "
            f"({p_words(test.p)})."
        ),
        clear=f"Answers do not lean to a side ({p_words(test.p)}).",
        remedy="fit a position bias: bp.Logit(position=True) or position=True of the model",
    )


def _no_sides(data: AuditData, name: str) -> Check:
    reason = _SIDES.get(
        data.comparisons.sides, "Choices among several have no sides; record the order shown."
    )
    return unmade(name, CONSISTENCY, reason, "record which item was shown on the left")


def session_checks(data: AuditData) -> tuple[Check, Check]:
    """Test whether answers depend on the task before, and whether they drift over a session."""
    user = data.shown.user
    if np.bincount(user).max() < 3:
        reason, remedy = "No user answered three tasks.", "give each user several tasks"
        return unmade(CARRY, CONSISTENCY, reason, remedy), unmade(
            DRIFT, CONSISTENCY, reason, remedy
        )
    values, names = _answers(data)
    rng = data.rng(8)
    if len(user) > _MOST_TASKS:  # all tasks of the first of the users in random order
        counts = np.bincount(user)
        order = rng.permutation(len(counts))
        kept = order[: max(1, int(np.searchsorted(np.cumsum(counts[order]), _MOST_TASKS)))]
        values, user = values[np.isin(user, kept)], user[np.isin(user, kept)]
    found = [_along(values[None], user)]
    step = max(1, _VALUES // values.size)
    for start in range(0, data.permutations, step):  # blocks: all at once would not fit
        order = permuted_within(user, min(step, data.permutations - start), rng)
        found.append(_along(values[order], user))
    lagged, trend = (np.concatenate(parts) for parts in zip(*found, strict=True))
    last = len(names) - 1  # surprise has a trend; that it is lasting says that users differ
    carry = largest_of(lagged[:, :last], two_sided=True)
    drift = largest_of(trend, two_sided=True)
    return _carry(carry, names[:last]), _drift(drift, names, trend[0])


def _answers(data: AuditData) -> tuple[FloatArray, list[str]]:
    """(t, m) residuals of answers: of the side, about each attribute, and their size."""
    count = len(data.shown.user)
    fit, task = data.wide, data.task
    parts = [fit.scores(data.attributes, task, count)]
    names = [f"what is chosen in {name}" for name in data.attribute_names]
    if data.sided:
        parts.insert(0, fit.scores(data.side, task, count))
        names.insert(0, "the side chosen")
    surprise = np.zeros(count)
    np.add.at(surprise, task, np.abs(fit.residual) - 2.0 * fit.other * (1.0 - fit.other))
    return np.column_stack([*parts, surprise]), [*names, "how surprising answers are"]


def _along(values: FloatArray, user: IntArray) -> tuple[FloatArray, FloatArray]:
    """Lagged products and trends within users, (r, m) each, of answers (r, t, m) in their order."""
    same = (user[1:] == user[:-1])[:, None]
    lagged = (values[:, 1:] * values[:, :-1] * same).sum(axis=1)
    counts = np.bincount(user)
    starts = np.cumsum(counts) - counts
    place = np.arange(len(user)) - starts[user]
    time = (place - (counts[user] - 1) / 2.0) / np.maximum(counts[user], 1)
    return lagged, np.einsum("rtm,t->rm", values, time)


def _carry(test: Resampled, names: list[str]) -> Check:
    columns = [names[k] for k in test.order if test.adjusted[k] <= 0.01] or [names[test.order[0]]]
    return Check(
        name=CARRY,
        assumption=CONSISTENCY,
        null="the order of a user's tasks does not matter",
        statistic="largest covariance of successive answers, in sds of permuted sessions",
        value=test.largest,
        p=test.p,
        found=f"Answers depend on the one before: {named(columns)} ({p_words(test.p)}).",
        clear=f"Answers do not depend on the one before, in the order of rows ({p_words(test.p)}).",
        remedy="put tasks in random order with a pause or a filler between, or leave out each "
        "second one",
        detail=pd.DataFrame({"answers": names, "p": test.adjusted}).iloc[test.order],
    )


def _drift(test: Resampled, names: list[str], trend: FloatArray) -> Check:
    columns = [names[k] for k in test.order if test.adjusted[k] <= 0.01] or [names[test.order[0]]]
    words = ["up" if trend[k] > 0 else "down" for k in range(len(names))]
    return Check(
        name=DRIFT,
        assumption=CONSISTENCY,
        null="the order of a user's tasks does not matter",
        statistic="largest trend over a session, in sds of permuted sessions",
        value=test.largest,
        p=test.p,
        found=f"Answers change over a session: {named(columns)} ({p_words(test.p)}).",
        clear=f"Answers do not change over a session, in the order of rows ({p_words(test.p)}).",
        remedy="shorten sessions, or pass the place in the session as a context with interactions",
        detail=pd.DataFrame({"answers": names, "trend": words, "p": test.adjusted}).iloc[
            test.order
        ],
    )
