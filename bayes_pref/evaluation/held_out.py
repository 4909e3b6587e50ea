"""Scores of predictions of held-out comparisons.

Row n is predicted by p_n = E P(left | w_i(n)). The expectation is over the posterior of the user's
weights or, for a user without comparisons in the posterior, over the population. All scores but
accuracy are proper (Gneiting & Raftery 2007, J. Am. Stat. Assoc. 102):

    accuracy   1 if the choice had the higher probability, 0.5 if both outcomes had the same
    log_score  log probability of the choice, in nats: 0 is perfect, log 0.5 = -0.69 a fair coin
    brier      (p_n - choice_n)^2: 0 is perfect, 0.25 a fair coin

Tasks among several alternatives have scores of their own, see `held_out_tasks`; so have answers
that are more than two, with ties or graded, see `held_out_answers`.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayes_pref import settings
from bayes_pref.data import Comparisons, GradedChoice
from bayes_pref.data.alignment import aligned
from bayes_pref.data.outcome import MOST
from bayes_pref.data.sides import ONE_SIDED, TOSS
from bayes_pref.data.sparse_rows import is_sparse, row_keys
from bayes_pref.errors import DataError, DataWarning
from bayes_pref.evaluation.choices import expect_posterior
from bayes_pref.evaluation.held_out_answers import (
    ANSWER_SCORES,
    answer_names,
    calibration_of_answers,
    score_answers,
    shares_of_answers,
)
from bayes_pref.evaluation.held_out_rows import predicted_rows
from bayes_pref.evaluation.held_out_tasks import TASK_SCORES, predicted_shares, score_tasks
from bayes_pref.evaluation.score_tables import (
    in_bins,
    observed_shares,
    overall_scores,
    scores_by_user,
)
from bayes_pref.messages import listed, shown
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import COLUMNS, describe

SCORES = ("accuracy", "log_score", "brier")


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """What `evaluate` found.

    Of tasks among several alternatives, `comparisons` are tasks, and there are two more tables; of
    answers with ties or levels, there are two more, too.

    Attributes
    ----------
    overall
        One row for each `score` and group of `users` ("known" to the posterior, "new", and "all"
        where there are both): `mean`, its standard error `sd`, clustered by user, the bounds
        `lower` and `upper` of its confidence interval (of accuracy Wilson's, which stays between 0
        and 1; others are cut at the score's range), and the numbers of `comparisons` and of
        users, `n_users`. Of tasks, ties and levels, also the score by `chance`, that of equal
        probabilities.
    users
        One row for each `user` and `score`: whether the user is `known`; `mean`, `sd`, `lower` and
        `upper` over the user's own rows; the number of `comparisons`. The errors of a user with a
        single comparison are nan.
    calibration
        One row for each bin of predictions, about equally many in each: the mean `predicted`
        probability of left, the observed share `mean` of left with its standard error `sd` and
        confidence interval, and the number of `comparisons`. Where `folded`, of the side that is
        predicted with a probability above 0.5 instead of left. Of tasks, of each alternative
        offered, whether it was chosen; `comparisons` counts alternatives. Of ties and levels, so
        many bins for each `answer`.
    rows
        One row a comparison, in the order of the held-out data: `user`, `comparison`, `known`, the
        probability of left (of all levels that find it better) as `mean`, `sd`, `lower`, `upper`,
        the `choice`, and the scores. Of a task, the number of its `stages` and of its
        `alternatives`, and the probability of all that was chosen.
    folded
        Whether `calibration` is that of the side predicted to win. It is where the answers may have
        decided which side is left (see `Comparisons.sides`), since of a winner that is always
        written left, left is chosen whatever is predicted.
    alternatives
        Of tasks, one row for each alternative of each stage, the one chosen first: `user`,
        `comparison`, `known`, the number of the `stage`, whether the `choice` is the "best" or the
        "worst", the `alternative`, its predicted probability `mean`, and whether it was `chosen`.
    shares
        Of tasks, one row an `alternative` (and `choice`, where the worst is named, too): the mean
        `predicted` probability and the observed share `mean`, with `sd`, `lower` and `upper`, of
        the stages in which it was `offered`; their distance `error`, and the mean distance if the
        predictions are right, `error_by_chance`. Where most alternatives are offered a few times
        only, or have no names, of bins of the predicted probability. Of ties and levels, one row an
        `answer`.
    answers
        Of ties and levels, one row for each possible answer of each comparison, from right to left:
        `user`, `comparison`, `known`, the `answer`, its predicted probability `mean`, and whether
        it was `chosen`.

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
    alternatives: pd.DataFrame | None = None
    shares: pd.DataFrame | None = None
    answers: pd.DataFrame | None = None

    @property
    def share_error(self) -> float | None:
        """Mean absolute error of the predicted shares; None of choices between two."""
        return None if self.shares is None else float(self.shares["error"].mean())

    def _about_shares(self) -> str:
        if self.shares is None:
            return ""
        by_chance = self.shares["error_by_chance"].mean()
        return (
            f"Error of predicted shares: {self.share_error:.3f} on average; {by_chance:.3f} is "
            "expected of right predictions"
        )

    def __repr__(self) -> str:
        """The overall scores."""
        scores = f"Evaluation\n{self.overall.round(3).to_string(index=False)}"
        return "\n".join(filter(None, (scores, self._about_shares())))

    def _repr_html_(self) -> str:
        scores = f"<strong>Evaluation</strong>{self.overall.round(3).to_html(index=False)}"
        return scores + (f"<p>{self._about_shares()}</p>" if self._about_shares() else "")


def evaluate(
    posterior: Posterior, held_out: Comparisons, *, interval: float = 0.9, bins: int = 10
) -> Evaluation:
    """Score how well a posterior predicts comparisons that it was not fitted to.

    Users with comparisons in the posterior are predicted from their own weights. Other users are
    predicted from the population, as in ``posterior.preference(..., users="population")``. The
    column `known` tells them apart. Where a posterior holds a summary of users' weights, their
    draws are made as in `draw_users`, some users at a time.

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
        If the features or the possible answers differ, `interval` or `bins` is out of range, or
        tasks among several alternatives are predicted by a model of other than logit choices.

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
    if not held_out.outcome.rowwise:
        return _of_tasks(posterior, held_out, interval, bins)
    if posterior.choice_distribution.n_outcomes > 2:
        return _of_answers(posterior, held_out, interval, bins)
    rows = _rows(posterior, held_out, interval)
    user, folded = held_out.user, _one_sided(posterior.comparisons, held_out)
    left, choice = rows["mean"].to_numpy(), rows["choice"].to_numpy()
    if folded:  # where both sides have the same probability, half a choice is for either
        left, choice = np.maximum(left, 1.0 - left), rows["accuracy"].to_numpy()
    return Evaluation(
        overall_scores(rows, user, SCORES, interval),
        scores_by_user(rows, user, held_out.users, SCORES, interval),
        observed_shares(left, choice, user, in_bins(left, bins), interval).drop(columns="least"),
        rows,
        folded,
    )


def _of_tasks(
    posterior: Posterior, held_out: Comparisons, interval: float, bins: int
) -> Evaluation:
    """Score tasks among several alternatives."""
    scores = score_tasks(posterior, held_out, interval)
    rows, frame = scores.rows, scores.alternatives
    p, chosen = frame["mean"].to_numpy(), frame["chosen"].to_numpy()
    calibration = observed_shares(
        p, chosen, scores.user_of_alternatives, in_bins(p, bins), interval
    )
    return Evaluation(
        overall_scores(rows, scores.user, TASK_SCORES, interval),
        scores_by_user(rows, scores.user, held_out.users, TASK_SCORES, interval),
        calibration.drop(columns="least"),
        rows.drop(columns=[f"chance_{score}" for score in TASK_SCORES]),
        alternatives=frame,
        shares=predicted_shares(scores, interval, bins),
    )


def _of_answers(
    posterior: Posterior, held_out: Comparisons, interval: float, bins: int
) -> Evaluation:
    """Score answers with ties or levels."""
    scores = score_answers(posterior, held_out, interval)
    graded = isinstance(held_out.outcome, GradedChoice)
    # Where cutpoints need not be symmetric, the sides cannot be exchanged.
    folded = not graded and _one_sided(posterior.comparisons, held_out)
    read = scores.folded() if folded else scores
    return Evaluation(
        overall_scores(scores.rows, scores.user, ANSWER_SCORES, interval),
        scores_by_user(scores.rows, scores.user, held_out.users, ANSWER_SCORES, interval),
        calibration_of_answers(read, interval, bins),
        scores.rows.drop(columns=[f"chance_{score}" for score in ANSWER_SCORES]),
        folded,
        shares=shares_of_answers(read, interval),
        answers=scores.answers,
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
    fitted = posterior.comparisons
    held_out = aligned(held_out, fitted, "held_out", all_contexts=False)
    _same_answers(posterior, held_out)
    of_two = fitted.outcome.rowwise and not posterior.choice_distribution.logistic
    if of_two and not held_out.outcome.rowwise:
        beyond = posterior.model.choice_model(posterior.comparisons).beyond_logistic
        raise DataError(
            f"held_out has tasks among several alternatives, and the posterior has "
            f"{beyond or 'a position bias'}, which says nothing of them",
            "fit it to such tasks, too",
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


def _same_answers(posterior: Posterior, held_out: Comparisons) -> None:
    """Refuse answers that the posterior's choice model gives no probability."""
    fitted, new = posterior.comparisons.outcome, held_out.outcome
    graded = isinstance(fitted, GradedChoice) or isinstance(new, GradedChoice)
    if graded and fitted != new:
        levels = [
            f"the levels {listed(answer_names(each), limit=MOST)}"
            if isinstance(each, GradedChoice)
            else each.name
            for each in (new, fitted)
        ]
        raise DataError(
            f"held_out has {levels[0]} and the posterior {levels[1]}", "read both in the same way"
        )
    ties = np.flatnonzero(held_out.choice == 0.5)
    if not graded and ties.size and posterior.choice_distribution.n_outcomes == 2:
        raise DataError(
            f"held_out has {ties.size:,} ties, the first in row {shown(held_out.rows[ties[0]])}, "
            "and the posterior's choice model has none; fit it with ties=True, or leave those rows "
            "out: held_out.take(held_out.choice != 0.5)"
        )


def _seen(fitted: Comparisons, held_out: Comparisons) -> int:
    """Number of held-out rows with the user, label, differences and choice of a fitted row."""
    sparse = is_sparse(fitted.difference) or is_sparse(held_out.difference)

    def keyed(comparisons: Comparisons) -> pd.DataFrame:
        keys = {"user": comparisons.users[comparisons.user], "row": comparisons.rows}
        flat = {name: labels.to_flat_index() for name, labels in keys.items()}
        difference = comparisons.difference
        columns = {"": row_keys(difference)} if sparse else dict(enumerate(difference.T))
        return pd.DataFrame(
            {name: pd.Series(labels, dtype=object).to_numpy() for name, labels in flat.items()}
            | columns
            | {"choice": comparisons.choice}
        )

    return len(keyed(held_out).merge(keyed(fitted).drop_duplicates()))


def _rows(posterior: Posterior, held_out: Comparisons, interval: float) -> pd.DataFrame:
    """Predict and score every row."""
    columns = {name: np.empty(len(held_out)) for name in (*COLUMNS, "log_score")}
    for here, choices, eta in predicted_rows(posterior, held_out):
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
            "known": posterior.comparisons.users.get_indexer(held_out.users)[held_out.user] >= 0,
            **{name: columns[name] for name in COLUMNS},
            "choice": choice,
            "accuracy": right_about.astype(np.float64),
            "log_score": columns["log_score"],
            "brier": (left - choice) ** 2,
        }
    )
