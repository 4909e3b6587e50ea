"""Scores of predictions of held-out tasks among several alternatives.

Stage s offers k_s alternatives, of which alternative a is predicted with probability
p_a = E P(a | w_i). The scores of a task, whose stages are the places of a ranking or the best and
the worst of a set, are

    hit_rate   share of the stages in which the alternative of the highest probability was chosen,
               shared where several have it
    log_score  log probability of all that was chosen, E of the product over the stages, in nats
    brier      mean over the stages of half of sum_a (p_a - chosen_a)^2

Of two alternatives these are the scores of a comparison. Where all alternatives are predicted
alike, they are 1 / k, -log k and (1 - 1 / k) / 2: the level of chance.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import logsumexp

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.evaluation.alternatives import StageAlternatives
from bayes_pref.evaluation.held_out_rows import predicted_rows
from bayes_pref.evaluation.score_tables import in_bins, observed_shares
from bayes_pref.models.choice.stage_choices import log_stages, others, stage_starts
from bayes_pref.models.choice.task_choices import log_tasks
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import COLUMNS, describe
from bayes_pref.types import FloatArray, IntArray

TASK_SCORES = ("hit_rate", "log_score", "brier")
_OFTEN = 20  # stages that offer an alternative, on average, for shares by alternative


class TaskScores(NamedTuple):
    """What held-out tasks were predicted with.

    Attributes
    ----------
    rows
        One row a task.
    user
        (n,) codes of the users of `rows`.
    alternatives
        One row an alternative of a stage.
    user_of_alternatives
        (m,) codes of the users of `alternatives`.
    """

    rows: pd.DataFrame
    user: IntArray
    alternatives: pd.DataFrame
    user_of_alternatives: IntArray


def score_tasks(posterior: Posterior, held_out: Comparisons, interval: float) -> TaskScores:
    """Predict and score every task."""
    outcome = held_out.outcome
    assert isinstance(outcome, Ranking)  # as asked for
    assert outcome.task is not None  # as validated
    listed = StageAlternatives.of(held_out)
    own, stage = listed.own, listed.stage
    first = stage_starts(outcome.task)  # the first stage of each task
    chances, columns = _predicted(posterior, held_out, outcome, len(own), len(first), interval)
    p, chosen = listed.listed(*chances), listed.chosen(held_out.choice)
    top = listed.highest(p)
    count = np.bincount(stage)
    hit = np.add.reduceat(top * chosen, own) / np.add.reduceat(top, own)
    brier = 0.5 * np.add.reduceat((p - chosen) ** 2, own)
    each = np.bincount(outcome.task)

    def of_task(values: FloatArray) -> FloatArray:
        return np.asarray(np.add.reduceat(values, first) / each)

    user = held_out.user[listed.starts[first]]
    known = held_out.users.isin(posterior.comparisons.users)
    rows = pd.DataFrame(
        {
            "user": held_out.users[user],
            "comparison": held_out.tasks,
            "known": known[user],
            "stages": each,
            "alternatives": count[first],
            **columns,
            "hit_rate": of_task(hit),
            "brier": of_task(brier),
            "chance_hit_rate": of_task(1.0 / count),
            "chance_log_score": -np.add.reduceat(np.log(count), first),
            "chance_brier": of_task(0.5 - 0.5 / count),
        }
    )
    task = listed.task
    frame = pd.DataFrame(
        {
            "user": held_out.users[user[task]],
            "comparison": held_out.tasks[task],
            "known": known[user[task]],
            "stage": stage - first[task] + 1,
            "choice": np.where(listed.worst, "worst", "best"),
            "alternative": listed.label,
            "mean": p,
            "chosen": chosen,
        }
    )
    return TaskScores(rows, user, frame, listed.user)


def _predicted(
    posterior: Posterior,
    held_out: Comparisons,
    outcome: Ranking,
    n_stages: int,
    n_tasks: int,
    interval: float,
) -> tuple[tuple[FloatArray, FloatArray], dict[str, FloatArray]]:
    """Mean probabilities of what was chosen (stage,) and of the others (row,), and of tasks."""
    row_chance, stage_chance = np.empty(len(held_out)), np.empty(n_stages)
    columns = {name: np.empty(n_tasks) for name in (*COLUMNS, "log_score")}
    for here, choices, eta in predicted_rows(posterior, held_out):
        own = outcome.take(here)
        lapse = choices.stage_lapse(own.stage)
        row_chance[here] = others(eta, own.stage, lapse).mean(axis=1)
        first_chosen = np.exp(log_stages(eta, own.stage, lapse=lapse)).mean(axis=1)
        stage_chance[pd.unique(outcome.stage[here])] = first_chosen
        made = log_tasks(choices, eta, held_out.choice[here], own)
        where = pd.unique(outcome.task_of_rows[here])
        columns["log_score"][where] = logsumexp(made, axis=1) - np.log(made.shape[1])
        for name, values in describe(np.exp(made), interval).items():
            columns[name][where] = values
    return (stage_chance, row_chance), columns


def predicted_shares(scores: TaskScores, interval: float, bins: int) -> pd.DataFrame:
    """Predicted and observed shares of each alternative among the stages that offer it."""
    frame = scores.alternatives
    keys = ["choice", "alternative"] if frame["choice"].eq("worst").any() else ["alternative"]
    named = frame.groupby(keys, sort=False, dropna=False)
    p, chosen = frame["mean"].to_numpy(), frame["chosen"].to_numpy()
    if frame["alternative"].notna().all() and len(frame) >= _OFTEN * named.ngroups:
        parts = [np.asarray(part) for part in named.indices.values()]
        found = frame.loc[[part[0] for part in parts], keys].reset_index(drop=True)
    else:
        parts = in_bins(p, bins)
        found = pd.DataFrame({"bin": np.arange(1, len(parts) + 1)})
    shares = observed_shares(p, chosen, scores.user_of_alternatives, parts, interval)
    found = pd.concat([found, shares.rename(columns={"comparisons": "offered"})], axis=1)
    found["error"] = (found["mean"] - found["predicted"]).abs()
    # The mean distance of a normal variable from its mean is sqrt(2 / pi) sds.
    found["error_by_chance"] = np.sqrt(2.0 / np.pi) * found.pop("least")
    return found
