"""Scores of predictions of held-out answers that are more than two: with ties, or graded.

Row n has K possible answers, from right to left, of which answer k is predicted with probability
p_nk = E P(k | w_i(n)). With o_nk = 1 for the answer given, and 0 for the others, its scores are

    hit_rate   1 if the answer given had the highest probability, shared where several have it
    log_score  log probability of the answer given, in nats
    brier      half of sum_k (p_nk - o_nk)^2
    rps        sum over j < K of (P(k <= j) - [answer <= j])^2 / (K - 1): the ranked probability
               score (Epstein 1969, J. Appl. Meteorol. 8), which counts how far off an answer is

Of two answers, both brier and rps are the Brier score of a comparison. All but the hit rate are
proper. Beside each is its level of chance, at which all answers are predicted alike.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayes_pref.data import Comparisons, GradedChoice, Outcome
from bayes_pref.evaluation.held_out_rows import predicted_rows
from bayes_pref.evaluation.score_tables import in_bins, observed_shares
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import COLUMNS, describe
from bayes_pref.types import FloatArray, IntArray

ANSWER_SCORES = ("hit_rate", "log_score", "brier", "rps")
OF_SIDES = ("right", "tie", "left")
_FOLDED = ("the other side", "tie", "the predicted side")


class AnswerScores(NamedTuple):
    """What held-out answers were predicted with.

    Attributes
    ----------
    rows
        One row a comparison.
    chance
        (n, K) predicted probabilities of the answers.
    given
        (n,) place of the answer given.
    names
        (K,) the answers.
    user
        (n,) codes of users.
    """

    rows: pd.DataFrame
    chance: FloatArray
    given: IntArray
    names: tuple[Any, ...]
    user: IntArray

    @property
    def answers(self) -> pd.DataFrame:
        """One row for each possible answer of each comparison."""
        each = len(self.names)
        frame = self.rows[["user", "comparison", "known"]]
        frame = frame.loc[np.repeat(np.arange(len(frame)), each)].reset_index(drop=True)
        frame["answer"] = np.tile(np.array(self.names, dtype=object), len(self.rows))
        chosen = np.arange(each) == self.given[:, None]
        return frame.assign(mean=self.chance.ravel(), chosen=chosen.ravel().astype(np.float64))

    def folded(self) -> AnswerScores:
        """Return the answers as they read from the side that is predicted to win, ties between."""
        turned = self.chance[:, -1] < self.chance[:, 0]
        chance = np.where(turned[:, None], self.chance[:, ::-1], self.chance)
        given = np.where(turned, len(self.names) - 1 - self.given, self.given)
        return self._replace(chance=chance, given=given, names=_FOLDED)


def answer_names(outcome: Outcome) -> tuple[Any, ...]:
    """Return the possible answers, from right to left: the levels, or the sides and a tie.

    Examples
    --------
    >>> answer_names(GradedChoice(["worse", "same", "better"]))
    ('worse', 'same', 'better')
    """
    return outcome.levels if isinstance(outcome, GradedChoice) else OF_SIDES


def score_answers(posterior: Posterior, held_out: Comparisons, interval: float) -> AnswerScores:
    """Predict and score every answer."""
    names = answer_names(held_out.outcome)
    chance, columns = _predicted(posterior, held_out, len(names), interval)
    given = np.rint(held_out.choice * (len(names) - 1)).astype(np.intp)
    known = held_out.users.isin(posterior.comparisons.users)[held_out.user]
    even = np.full_like(chance, 1.0 / len(names))
    scores = {"log_score": columns.pop("log_score"), **_of_probabilities(chance, given)}
    by_chance = {"log_score": np.full(len(given), -np.log(len(names)))}
    by_chance |= _of_probabilities(even, given)
    rows = pd.DataFrame(
        {
            "user": held_out.users[held_out.user],
            "comparison": held_out.rows,
            "known": known,
            **columns,
            "choice": held_out.outcome.answers(held_out.choice),
            **{name: scores[name] for name in ANSWER_SCORES},
            **{f"chance_{name}": by_chance[name] for name in ANSWER_SCORES},
        }
    )
    return AnswerScores(rows, chance, given, names, held_out.user)


def _predicted(
    posterior: Posterior, held_out: Comparisons, n_answers: int, interval: float
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Mean probabilities (n, K) of answers, descriptions of those of left, and log scores."""
    chance = np.empty((len(held_out), n_answers))
    columns = {name: np.empty(len(held_out)) for name in (*COLUMNS, "log_score")}
    for here, choices, eta in predicted_rows(posterior, held_out):
        each = choices.probabilities(eta)
        chance[here] = each.mean(axis=2).T
        made = choices.log_likelihood(eta, held_out.choice[here])
        columns["log_score"][here] = logsumexp(made, axis=1) - np.log(made.shape[1])
        left = each[(n_answers + 1) // 2 :].sum(axis=0)
        for name, values in describe(left, interval).items():
            columns[name][here] = values
    return chance, columns


def _of_probabilities(chance: FloatArray, given: IntArray) -> dict[str, FloatArray]:
    """Scores (n,) of probabilities (n, K) of the answers, other than the log score."""
    places = np.arange(chance.shape[1])
    made = places == given[:, None]
    top = chance >= chance.max(axis=1, keepdims=True) - 1e-12
    below = chance.cumsum(axis=1) - (given[:, None] <= places)
    return {
        "hit_rate": (top & made).sum(axis=1) / top.sum(axis=1),
        "brier": 0.5 * ((chance - made) ** 2).sum(axis=1),
        "rps": (below[:, :-1] ** 2).sum(axis=1) / (chance.shape[1] - 1),
    }


def calibration_of_answers(scores: AnswerScores, interval: float, bins: int) -> pd.DataFrame:
    """Observed shares of every answer in bins of its predicted probability."""
    return _observed(scores, interval, bins).drop(columns="least")


def shares_of_answers(scores: AnswerScores, interval: float) -> pd.DataFrame:
    """Predicted and observed share of every answer."""
    found = _observed(scores, interval, 1)
    found["error"] = (found["mean"] - found["predicted"]).abs()
    # The mean distance of a normal variable from its mean is sqrt(2 / pi) sds.
    found["error_by_chance"] = np.sqrt(2.0 / np.pi) * found.pop("least")
    return found


def _observed(scores: AnswerScores, interval: float, bins: int) -> pd.DataFrame:
    tables = []
    for place, name in enumerate(scores.names):
        p, made = scores.chance[:, place], (scores.given == place).astype(np.float64)
        table = observed_shares(p, made, scores.user, in_bins(p, bins), interval)
        table.insert(0, "answer", pd.Series([name] * len(table), dtype=object))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
