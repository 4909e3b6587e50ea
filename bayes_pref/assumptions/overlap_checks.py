"""Overlap before a fit: which users, and which groups of users, never see some contexts.

The contexts are cut into regions, the values of a column or its thirds. The rate at which a user
sees a region has a beta distribution over users, fitted by moments; from it and the user's counts
follows the probability that the rate is below a tenth of the average one. A region that a user
practically never sees says nothing about this user in it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import betainc

from bayes_pref.assumptions.audit_data import AuditData
from bayes_pref.assumptions.check import POSITIVITY, Check, named, unmade
from bayes_pref.types import FloatArray, Mask

BY_USER, BY_COVARIATES = "overlap by user", "overlap by covariates"
NEVER = 0.1  # rate of a region, relative to the average, below which it is never seen
UNSEEN = 0.15  # share of all tasks that the average user never sees, from which overlap fails
_MOST_LEVELS, _LEAST_SHARE, _BOOTSTRAPS = 6, 0.1, 400
_FEWEST_USERS = 5


class Regions(NamedTuple):
    """Regions of columns.

    Attributes
    ----------
    inside
        (t, m) whether a task lies in each region.
    names, column
        Regions in words, and (m,) the column that each is of.
    """

    inside: Mask
    names: list[str]
    column: np.ndarray


def regions_of(values: FloatArray, names: tuple[str, ...], *, outer: float = 1.0 / 3.0) -> Regions:
    """Cut columns (t, m) into regions: their values, if these are few, or else their thirds.

    `outer` is the share of the low and of the high region, if not a third.

    Examples
    --------
    >>> regions_of(np.array([[0.0], [1.0], [1.0]]), ("'hard'",)).names
    ["'hard' = 0", "'hard' = 1"]
    """
    inside, words, column = [], [], []
    for k, name in enumerate(names):  # a loop over columns
        levels = np.unique(values[:, k])
        if len(levels) < 2:
            continue
        if len(levels) <= _MOST_LEVELS:
            parts = [(values[:, k] == level, f"{name} = {level:g}") for level in levels]
        else:
            low, high = np.quantile(values[:, k], [outer, 1.0 - outer])
            parts = [
                (values[:, k] <= low, f"low {name}"),
                ((values[:, k] > low) & (values[:, k] <= high), f"medium {name}"),
                (values[:, k] > high, f"high {name}"),
            ]
        for mask, word in parts:
            if mask.mean() >= _LEAST_SHARE:
                inside.append(mask)
                words.append(word)
                column.append(k)
    made = np.stack(inside, axis=1) if inside else np.zeros((len(values), 0), dtype=bool)
    return Regions(made, words, np.array(column, dtype=np.int64))


def overlap_by_user(data: AuditData) -> Check:
    """Estimate the share of all tasks that the average user never sees."""
    regions, counts, seen = _counts(data)
    if data.comparisons.n_users < _FEWEST_USERS:
        return _too_few(data, BY_USER)
    if not regions.names:
        return _no_contexts(BY_USER)
    if counts.max() < 2:
        return unmade(
            BY_USER, POSITIVITY, "Every user answered a single task.",
            "give each user several tasks",
        )  # fmt: skip
    share = regions.inside.mean(axis=0)
    never = _never(seen, counts, share)
    rng = data.rng(9)
    u = len(never)
    weight = rng.multinomial(u, np.full(u, 1.0 / u), size=_BOOTSTRAPS) / u
    missing = np.vstack([never.mean(axis=0), weight @ never]) * share
    columns = np.unique(regions.column)
    by_column = np.stack([missing[:, regions.column == k].sum(axis=1) for k in columns], axis=1)
    worst = int(by_column[0].argmax())
    value = float(by_column[0, worst])
    probability = float((by_column[1:, worst] > UNSEEN).mean())
    detail = pd.DataFrame(
        {
            "region": regions.names,
            "share of tasks": share,
            "share of users who never see it": never.mean(axis=0),
        }
    ).sort_values("share of users who never see it", ascending=False)
    lacking = [
        f"{name} ({100 * part:.0f} % of users)"
        for name, part in zip(detail["region"], detail.iloc[:, 2], strict=True)
        if part > _LEAST_SHARE
    ]
    return Check(
        name=BY_USER,
        assumption=POSITIVITY,
        null=f"at most {100 * UNSEEN:.0f} % of what is shown is never seen by the average user",
        statistic="share of all tasks that the average user never sees",
        value=value,
        probability=probability,
        found=(
            f"No overlap: users never see {named(lacking or [str(detail['region'].iloc[0])])}; "
            "what they would answer there is extrapolation."
        ),
        clear=_seen(lacking),
        remedy="show every user some tasks of every kind",
        detail=detail,
    )


def _seen(lacking: list[str]) -> str:
    if not lacking:
        return "Practically every user sees every kind of context."
    return f"Most users see every kind of context; some never see {named(lacking)}."


def overlap_by_covariates(data: AuditData) -> Check:
    """Look for a group of users, by covariates, who never sees a region."""
    comparisons = data.comparisons
    covariates = comparisons.covariates
    regions, counts, seen = _counts(data)
    kinds = regions_of(covariates, tuple(map(repr, comparisons.covariate_names)))
    if not kinds.names:
        return unmade(
            BY_COVARIATES, POSITIVITY, "No covariate of the users was recorded.",
            "record what is known of the users, and pass it as covariates=",
        )  # fmt: skip
    if not regions.names:
        return _no_contexts(BY_COVARIATES)
    if comparisons.n_users < _FEWEST_USERS:
        return _too_few(data, BY_COVARIATES)
    share = regions.inside.mean(axis=0)
    member = kinds.inside.T.astype(float)
    total, hits = member @ counts, member @ seen
    # Answers of one user are not independent: count users where they are all alike.
    inflation = _inflation(seen, counts, share)
    total, hits = total[:, None] / inflation, hits / inflation
    fails = betainc(hits + 0.5, total - hits + 0.5, NEVER * share)
    kind, region = np.unravel_index(fails.argmax(), fails.shape)
    value = float(seen[kinds.inside[:, kind], region].sum() / counts[kinds.inside[:, kind]].sum())
    where = (
        f"users with {kinds.names[kind]}"
        if "=" in kinds.names[kind]
        else (f"users of {kinds.names[kind]}")
    )
    return Check(
        name=BY_COVARIATES,
        assumption=POSITIVITY,
        null=f"every group of users sees every region at {NEVER:g} of its average rate or more",
        statistic="smallest share of a group's tasks that lie in a region",
        value=value,
        # Bonferroni's bound for the choice of the worst.
        probability=float(1.0 - min(1.0, (1.0 - fails.max()) * fails.size)),
        found=(
            f"No overlap: {where} practically never see {regions.names[region]} "
            f"({100 * value:.1f} % of their tasks, of all {100 * share[region]:.0f} %)."
        ),
        clear="Every group of users, by covariates, sees every kind of context.",
        remedy=f"show {where} tasks with {regions.names[region]}",
        detail=pd.DataFrame(
            {
                "users": np.repeat(kinds.names, len(regions.names)),
                "region": np.tile(regions.names, len(kinds.names)),
                "probability of no overlap": fails.ravel(),
            }
        ).sort_values("probability of no overlap", ascending=False),
    )


def _counts(data: AuditData) -> tuple[Regions, FloatArray, FloatArray]:
    """Regions, (u,) numbers of tasks, and (u, m) how many of these lie in each region."""
    shown = data.shown
    values = np.hstack([shown.context, shown.level])
    regions = regions_of(values, (*shown.context_names, *shown.level_names))
    counts = np.bincount(shown.user).astype(float)
    starts = np.flatnonzero(np.diff(shown.user, prepend=-1))
    seen = np.add.reduceat(regions.inside.astype(float), starts, axis=0)
    return regions, counts, seen


def _moments(seen: FloatArray, counts: FloatArray, share: FloatArray) -> FloatArray:
    """(m,) intraclass correlation of regions within users, between 0 and 1."""
    many = counts >= 2
    n, y = counts[many][:, None], seen[many]
    pairs = (y * (y - 1.0)).sum(axis=0) / (n * (n - 1.0)).sum(axis=0)  # both of two in the region
    found = (pairs - share**2) / (share * (1.0 - share))
    return np.asarray(found.clip(1e-3, 0.999))


def _never(seen: FloatArray, counts: FloatArray, share: FloatArray) -> FloatArray:
    """(u, m) probability that a user sees a region at a tenth of its average rate or less."""
    alike = _moments(seen, counts, share)
    size = (1.0 - alike) / alike
    first = share * size + seen
    second = (1.0 - share) * size + counts[:, None] - seen
    return np.asarray(betainc(first, second, NEVER * share))


def _inflation(seen: FloatArray, counts: FloatArray, share: FloatArray) -> FloatArray:
    """(m,) variance of a total over users, relative to that of independent tasks."""
    size = (counts**2).sum() / counts.sum()
    return np.asarray(1.0 + (size - 1.0) * _moments(seen, counts, share))


def _no_contexts(name: str) -> Check:
    return unmade(
        name, POSITIVITY,
        "Neither contexts nor attributes of both sides were recorded, so that kinds of tasks are "
        "not known.",
        "record what each task was about, and pass it as context=[...]",
    )  # fmt: skip


def _too_few(data: AuditData, name: str) -> Check:
    count = data.comparisons.n_users
    many = "is 1 user" if count == 1 else f"are {count} users"
    return unmade(
        name, POSITIVITY, f"There {many}, too few to compare what users see.",
        f"ask at least {_FEWEST_USERS} users",
    )  # fmt: skip
