"""Tables of scores: overall, by user, and observed shares beside predicted probabilities.

A frame of scores has one row for every comparison or task scored, grouped by user.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import ndtri
from scipy.stats import t

from bayes_pref.evaluation.scores import mean_with_error, wilson
from bayes_pref.posterior.estimates import COLUMNS
from bayes_pref.types import FloatArray, IntArray

RANGES = {
    "accuracy": (0.0, 1.0),
    "hit_rate": (0.0, 1.0),
    "log_score": (-np.inf, 0.0),
    "brier": (0.0, 1.0),
    "rps": (0.0, 1.0),
}
_SHARES = ("accuracy", "hit_rate")  # whose intervals are Wilson's


def overall_scores(
    rows: pd.DataFrame, user: IntArray, scores: Sequence[str], interval: float
) -> pd.DataFrame:
    """One row for each score and group of users: known to the posterior, new, and all.

    Parameters
    ----------
    rows
        The scores; its column `known` says whose are of users known to the posterior. Where there
        are columns ``chance_`` and a score's name, their mean is the column `chance`.
    user
        (n,) codes of the rows' users.
    scores
        Names of the scores.
    interval
        Confidence level.
    """
    known = rows["known"].to_numpy()
    groups = {"known": known, "new": ~known}
    groups = {name: rows_in for name, rows_in in groups.items() if rows_in.any()}
    if len(groups) > 1:
        groups["all"] = np.ones_like(known)
    return pd.DataFrame(
        [
            {
                "users": group,
                "score": score,
                **_mean_within(score, rows[score].to_numpy()[which], user[which], interval),
                **_by_chance(rows, score, which),
                "comparisons": int(which.sum()),
                "n_users": len(np.unique(user[which])),
            }
            for group, which in groups.items()
            for score in scores
        ]
    )


def _by_chance(rows: pd.DataFrame, score: str, which: FloatArray) -> dict[str, float]:
    column = f"chance_{score}"
    return {"chance": float(rows[column].to_numpy()[which].mean())} if column in rows else {}


def _mean_within(
    score: str, scores: FloatArray, user: IntArray, interval: float
) -> dict[str, float]:
    """Mean of a score with an interval inside the score's range."""
    found = mean_with_error(scores, user, interval)
    if score in _SHARES and np.isfinite(found["sd"]):
        mean, error, groups = found["mean"], found["sd"], len(np.unique(user))
        # As many independent comparisons as would have this error; at most all of them.
        spread = mean * (1.0 - mean)
        size = min(len(scores), spread / error**2) if error > 0 and spread > 0 else len(scores)
        low, high = wilson(mean, size, float(t.ppf(0.5 + interval / 2, groups - 1)))
        return found | {"lower": float(low), "upper": float(high)}
    bounds = {name: float(np.clip(found[name], *RANGES[score])) for name in ("lower", "upper")}
    return found | bounds


def scores_by_user(
    rows: pd.DataFrame,
    user: IntArray,
    users: pd.Index,
    scores: Sequence[str],
    interval: float,
) -> pd.DataFrame:
    """One row for each user and score.

    Parameters
    ----------
    rows, scores, interval
        As for `overall_scores`.
    user
        (n,) nondecreasing codes of the rows' users, each of whom has a row.
    users
        Labels of the users.
    """
    counts = np.bincount(user)
    first = np.cumsum(counts) - counts
    values = rows[list(scores)].to_numpy(dtype=np.float64)
    mean = np.add.reduceat(values, first, axis=0) / counts[:, None]
    square = np.add.reduceat((values - mean[user]) ** 2, first, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # nan for users with a single row
        error = np.sqrt(square / (counts * (counts - 1))[:, None])
    times = np.asarray(t.ppf(0.5 + interval / 2, counts - 1))[:, None]
    bounds = (mean - times * error, mean + times * error)
    low, high = (
        np.stack([np.clip(bound[:, k], *RANGES[name]) for k, name in enumerate(scores)], axis=1)
        for bound in bounds
    )
    z = np.where(counts > 1, -ndtri(0.5 - interval / 2), np.nan)
    for share in (k for k, name in enumerate(scores) if name in _SHARES):
        low[:, share], high[:, share] = wilson(mean[:, share], counts, z)
    columns = dict(zip(COLUMNS, (mean, error, low, high), strict=True))
    each = len(scores)
    return pd.DataFrame(
        {
            "user": np.repeat(users, each),
            "score": np.tile(scores, len(counts)),
            "known": np.repeat(rows["known"].to_numpy()[first], each),
            **{name: found.ravel() for name, found in columns.items()},
            "comparisons": np.repeat(counts, each),
        }
    )


def in_bins(predicted: FloatArray, bins: int) -> list[IntArray]:
    """Positions of predictions in bins from low to high, about equally many in each."""
    order = np.argsort(predicted, kind="stable")
    return np.array_split(order, min(bins, len(order)))


def observed_shares(
    predicted: FloatArray,
    happened: FloatArray,
    user: IntArray,
    parts: Sequence[IntArray],
    interval: float,
) -> pd.DataFrame:
    """Mean predicted probability and observed share of what happened, in parts of the predictions.

    Parameters
    ----------
    predicted, happened
        (n,) probabilities, and 1 where what they are of happened, 0 where it did not.
    user
        (n,) codes of users.
    parts
        Positions of the predictions in each part.
    interval
        Confidence level.

    Returns
    -------
    frame, one row a part: `predicted`, the share `mean` with `sd`, `lower` and `upper`; `least`,
    the sd of the share if the predictions are right; `comparisons`, the number of predictions
    """
    found = []
    for part in parts:
        gap = happened[part] - predicted[part]
        # At least the binomial error of the predictions, also where all choices are the same.
        least = float(np.sqrt((predicted[part] * (1 - predicted[part])).sum()) / len(part))
        about = mean_with_error(gap, user[part], interval)
        error = np.fmax(about["sd"], least)
        reach = (about["upper"] - about["mean"]) / about["sd"] if about["sd"] > 0 else np.nan
        if not np.isfinite(reach):
            reach = float(-ndtri(0.5 - interval / 2))
        share = float(happened[part].mean())
        low, high = np.clip([share - reach * error, share + reach * error], 0.0, 1.0)
        found.append(
            {
                "predicted": float(predicted[part].mean()),
                **dict(zip(COLUMNS, (share, error, low, high), strict=True)),
                "least": least,
                "comparisons": len(part),
            }
        )
    return pd.DataFrame(found)
