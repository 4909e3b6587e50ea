"""Scores of predictions of held-out comparisons.

Row n is predicted by p_n = E P(left | w_i(n)). The expectation is over the posterior of the user's
weights or, for a user without comparisons in the posterior, over the population. All scores but
accuracy are proper (Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102):

    accuracy   1 if the choice had the higher probability, 0.5 if both outcomes had the same
    log_score  log probability of the choice, in nats: 0 is perfect, log 0.5 = -0.69 a fair coin
    brier      (p_n - choice_n)^2: 0 is perfect, 0.25 a fair coin
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logsumexp, ndtri
from scipy.stats import t

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.alignment import aligned
from bayes_pref.data.sides import ONE_SIDED, TOSS
from bayes_pref.errors import DataError, DataWarning
from bayes_pref.evaluation.choices import expect_posterior, refuse_rankings
from bayes_pref.evaluation.scores import mean_with_error, wilson
from bayes_pref.messages import shown
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import COLUMNS, describe
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.posterior.queries import POPULATION
from bayes_pref.types import FloatArray, IntArray

SCORES = ("accuracy", "log_score", "brier")
RANGES = {"accuracy": (0.0, 1.0), "log_score": (-np.inf, 0.0), "brier": (0.0, 1.0)}


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """What `evaluate` found.

    Attributes
    ----------
    overall
        One row for each `score` and group of `users` ("known" to the posterior, "new", and "all"
        where there are both): `mean`, its standard error `sd`, clustered by user, the bounds
        `lower` and `upper` of its confidence interval (of accuracy Wilson's, which stays between 0
        and 1; others are cut at the score's range), and the numbers of `comparisons` and of
        users, `n_users`.
    users
        One row for each `user` and `score`: whether the user is `known`; `mean`, `sd`, `lower` and
        `upper` over the user's own rows; the number of `comparisons`. The errors of a user with a
        single comparison are nan.
    calibration
        One row for each bin of predictions, about equally many in each: the mean `predicted`
        probability of left, the observed share `mean` of left with its standard error `sd` and
        confidence interval, and the number of `comparisons`. Where `folded`, of the side that is
        predicted with a probability above 0.5 instead of left.
    rows
        One row a comparison, in the order of the held-out data: `user`, `comparison`, `known`,
        the probability of left as `mean`, `sd`, `lower`, `upper`, the `choice`, and the scores.
    folded
        Whether `calibration` is that of the side predicted to win. It is where the answers may have
        decided which side is left (see `Comparisons.sides`), since of a winner that is always
        written left, left is chosen whatever is predicted.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> train, test = bp.simulate(users=20, seed=0).comparisons.split(by="comparison")
    >>> posterior = bp.fit(bp.PooledReward(), train, bp.Gibbs(progress=False))
    >>> bp.evaluate(posterior, test).overall[["users", "score", "comparisons"]].values.tolist()
    [['known', 'accuracy', 60], ['known', 'log_score', 60], ['known', 'brier', 60]]
    """

    overall: pd.DataFrame
    users: pd.DataFrame
    calibration: pd.DataFrame
    rows: pd.DataFrame
    folded: bool = False

    def __repr__(self) -> str:
        """The overall scores."""
        return f"Evaluation\n{self.overall.round(3).to_string(index=False)}"

    def _repr_html_(self) -> str:
        return f"<strong>Evaluation</strong>{self.overall.round(3).to_html(index=False)}"


def evaluate(
    posterior: Posterior, held_out: Comparisons, *, interval: float = 0.9, bins: int = 10
) -> Evaluation:
    """Score how well a posterior predicts comparisons that it was not fitted to.

    Users with comparisons in the posterior are predicted from their own weights. Other users are
    predicted from the population, as in ``posterior.preference(..., users="population")``. The
    column `known` tells them apart.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    held_out
        Comparisons of the same features, such as the second part of ``comparisons.split()``, or
        of a table of their own: columns and items are matched by name, in any order.
    interval
        Probability inside the intervals of probabilities and scores.
    bins
        Most bins of the calibration curve.

    Raises
    ------
    ModelError
        If that is no posterior.
    DataError
        If the features differ, there are ties, or `interval` or `bins` is out of range.

    Warns
    -----
    DataWarning
        If some of the comparisons are among those that the posterior was fitted to.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> train, test = bp.simulate(users=20, seed=0).comparisons.split(by="user")
    >>> posterior = bp.fit(bp.HierarchicalReward(), train, bp.Gibbs(progress=False))
    >>> found = bp.evaluate(posterior, test)
    >>> found.overall["users"].unique().tolist()  # no user in `test` is in `train`
    ['new']
    """
    posterior = expect_posterior(posterior)
    interval = settings.interval(interval)
    bins = settings.argument("bins", bins, settings.whole(1))
    held_out = _checked(posterior, held_out)
    rows = _rows(posterior, held_out, interval)
    user, folded = held_out.user, _one_sided(posterior.comparisons, held_out)
    return Evaluation(
        _overall(rows, user, interval),
        _by_user(rows, held_out, interval),
        _calibration(rows, user, interval, bins, folded=folded),
        rows,
        folded,
    )


def _one_sided(fitted: Comparisons, held_out: Comparisons) -> bool:
    """Whether the answers may have decided the sides of the held-out comparisons.

    These may be too few to show it, which the fitted ones do; or all of them are for one side, when
    the share of left says nothing else.
    """
    if held_out.sides == TOSS:
        return False
    unsettled = ONE_SIDED in (held_out.sides, fitted.sides)
    return unsettled or bool((held_out.choice == held_out.choice[0]).all())


def _checked(posterior: Posterior, held_out: Comparisons) -> Comparisons:
    """Return the held-out comparisons with the posterior's features, in its order."""
    if not isinstance(held_out, Comparisons):
        raise DataError(
            f"held_out: got {type(held_out).__name__} but expected Comparisons, like the second "
            "part of comparisons.split()"
        )
    instead = "use bp.loo(posterior, by='user')"
    refuse_rankings(held_out, "evaluate", instead)
    fitted = posterior.comparisons
    held_out = aligned(held_out, fitted, "held_out", all_contexts=False)
    ties = np.flatnonzero(~np.isin(held_out.choice, (0.0, 1.0)))
    if ties.size:
        raise DataError(
            f"held_out has {ties.size:,} choices that are neither left nor right, the first in row "
            f"{shown(held_out.rows[ties[0]])}; predictions of left and right are scored, so leave "
            "those rows out: held_out.take(held_out.choice != 0.5)"
        )
    seen = _seen(fitted, held_out)
    if seen:
        warnings.warn(
            f"{seen:,} of the {len(held_out):,} held-out comparisons are among those that the "
            "posterior was fitted to, so their scores are too good; fit to the first part of "
            "comparisons.split() alone",
            DataWarning,
            stacklevel=3,
        )
    return held_out


def _seen(fitted: Comparisons, held_out: Comparisons) -> int:
    """Number of held-out rows with the user, label, differences and choice of a fitted row."""

    def keyed(comparisons: Comparisons) -> pd.DataFrame:
        keys = {"user": comparisons.users[comparisons.user], "row": comparisons.rows}
        return pd.DataFrame(
            {name: pd.Series(labels, dtype=object).to_numpy() for name, labels in keys.items()}
            | dict(enumerate(comparisons.difference.T))
            | {"choice": comparisons.choice}
        )

    return len(keyed(held_out).merge(keyed(fitted).drop_duplicates()))


def _rows(posterior: Posterior, held_out: Comparisons, interval: float) -> pd.DataFrame:
    """Predict and score every row."""
    codes = posterior.comparisons.users.get_indexer(held_out.users)[held_out.user]
    known = codes >= 0
    count = len(held_out)
    columns = {name: np.empty(count) for name in (*COLUMNS, "log_score")}
    choices = posterior.choice_distribution
    for which, users in ((known, None), (~known, POPULATION)):
        # In the order of the posterior's users, as `log_odds` requires.
        order = np.flatnonzero(which)[np.argsort(codes[which], kind="stable")]
        if not order.size:
            continue
        weights = posterior.weights_draws(users)
        # A loop over blocks of rows: the log-odds of all would be as large as the posterior.
        for part, eta in log_odds(weights, codes[order].clip(0), held_out.difference[order]):
            here = order[part]
            made = choices.log_likelihood(eta, held_out.choice[here])
            columns["log_score"][here] = logsumexp(made, axis=1) - np.log(made.shape[1])
            for name, values in describe(choices.preferred(eta), interval).items():
                columns[name][here] = values
    choice, left = held_out.choice, columns["mean"]
    right_about = np.where(left == 0.5, 0.5, (left > 0.5) == (choice == 1.0))
    return pd.DataFrame(
        {
            "user": held_out.users[held_out.user],
            "comparison": held_out.rows,
            "known": known,
            **{name: columns[name] for name in COLUMNS},
            "choice": choice,
            "accuracy": right_about.astype(np.float64),
            "log_score": columns["log_score"],
            "brier": (left - choice) ** 2,
        }
    )


def _overall(rows: pd.DataFrame, user: IntArray, interval: float) -> pd.DataFrame:
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
                "comparisons": int(which.sum()),
                "n_users": len(np.unique(user[which])),
            }
            for group, which in groups.items()
            for score in SCORES
        ]
    )


def _mean_within(
    score: str, scores: FloatArray, user: IntArray, interval: float
) -> dict[str, float]:
    """Mean of a score with an interval inside the score's range."""
    found = mean_with_error(scores, user, interval)
    if score == "accuracy" and np.isfinite(found["sd"]):
        mean, error, groups = found["mean"], found["sd"], len(np.unique(user))
        # As many independent comparisons as would have this error; at most all of them.
        spread = mean * (1.0 - mean)
        size = min(len(scores), spread / error**2) if error > 0 and spread > 0 else len(scores)
        low, high = wilson(mean, size, float(t.ppf(0.5 + interval / 2, groups - 1)))
        return found | {"lower": float(low), "upper": float(high)}
    bounds = {name: float(np.clip(found[name], *RANGES[score])) for name in ("lower", "upper")}
    return found | bounds


def _by_user(rows: pd.DataFrame, held_out: Comparisons, interval: float) -> pd.DataFrame:
    user, counts = held_out.user, held_out.counts
    scores = rows[list(SCORES)].to_numpy(dtype=np.float64)
    mean = np.add.reduceat(scores, held_out.offsets[:-1], axis=0) / counts[:, None]
    square = np.add.reduceat((scores - mean[user]) ** 2, held_out.offsets[:-1], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # nan for users with a single row
        error = np.sqrt(square / (counts * (counts - 1))[:, None])
    times = np.asarray(t.ppf(0.5 + interval / 2, counts - 1))[:, None]
    bounds = (mean - times * error, mean + times * error)
    low, high = (
        np.stack([np.clip(bound[:, k], *RANGES[name]) for k, name in enumerate(SCORES)], axis=1)
        for bound in bounds
    )
    hits = SCORES.index("accuracy")
    z = np.where(counts > 1, -ndtri(0.5 - interval / 2), np.nan)
    low[:, hits], high[:, hits] = wilson(mean[:, hits], counts, z)
    columns = dict(zip(COLUMNS, (mean, error, low, high), strict=True))
    each = len(SCORES)
    return pd.DataFrame(
        {
            "user": np.repeat(held_out.users, each),
            "score": np.tile(SCORES, len(counts)),
            "known": np.repeat(rows["known"].to_numpy()[held_out.offsets[:-1]], each),
            **{name: values.ravel() for name, values in columns.items()},
            "comparisons": np.repeat(counts, each),
        }
    )


def _calibration(
    rows: pd.DataFrame, user: IntArray, interval: float, bins: int, *, folded: bool
) -> pd.DataFrame:
    """Observed shares of left, or of the side predicted to win, in bins of predicted probability.

    Where both sides have the same predicted probability, half a choice is for either.
    """
    left, choice = rows["mean"].to_numpy(), rows["choice"].to_numpy()
    if folded:
        left, choice = np.maximum(left, 1.0 - left), rows["accuracy"].to_numpy()
    order = np.argsort(left, kind="stable")
    found = []
    for part in np.array_split(order, min(bins, len(order))):
        gap = choice[part] - left[part]
        # At least the binomial error of the predictions, also where all choices are the same.
        least = float(np.sqrt((left[part] * (1 - left[part])).sum()) / len(part))
        about = mean_with_error(gap, user[part], interval)
        error = np.fmax(about["sd"], least)
        reach = (about["upper"] - about["mean"]) / about["sd"] if about["sd"] > 0 else np.nan
        if not np.isfinite(reach):
            reach = float(-ndtri(0.5 - interval / 2))
        share = float(choice[part].mean())
        low, high = np.clip([share - reach * error, share + reach * error], 0.0, 1.0)
        found.append(
            {
                "predicted": float(left[part].mean()),
                **dict(zip(COLUMNS, (share, error, low, high), strict=True)),
                "comparisons": len(part),
            }
        )
    return pd.DataFrame(found)
