"""Reliability: whether tasks that a user saw twice are answered the same way.

An answer that is drawn anew with probability q agrees with itself with probability
q^2 + (1 - q)^2. No test can tell lapses from answers that are hard to give, and either way answers
that hardly agree with themselves tell little: that is what the check looks for.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betainc

from bayes_pref.assumptions.audit_data import AuditData
from bayes_pref.assumptions.check import CONSISTENCY, Check, unmade
from bayes_pref.data.same_pairs import same_pairs
from bayes_pref.evaluation.alternatives import StageAlternatives
from bayes_pref.evaluation.task_statistics import same_sets
from bayes_pref.types import FloatArray, IntArray

REPEATS = "repeated tasks"
LEAST_RELIABLE = 0.2  # of a correlation of answers to the same task, below which they tell little
_FEWEST = 10  # pairs of answers


def repeats_check(data: AuditData) -> Check:
    """Estimate how reliable answers are, from tasks that a user saw more than once."""
    alike, chance = _agreements(data)
    if len(alike) < _FEWEST:
        count = f"{len(alike)} tasks were" if len(alike) else "No task was"
        return unmade(
            REPEATS,
            CONSISTENCY,
            f"{count} put to the same user twice, which does not tell how reliable answers are.",
            "put about one task in ten to the same user twice, with sides exchanged",
        )
    n, agreeing = len(alike), float(alike.sum())
    mean_chance = float(chance.mean())
    threshold = mean_chance + LEAST_RELIABLE * (1.0 - mean_chance)
    probability = float(betainc(agreeing + 0.5, n - agreeing + 0.5, threshold))
    share = agreeing / n
    reliability = (share - mean_chance) / (1.0 - mean_chance)
    lapse = 1.0 - np.sqrt(max(reliability, 0.0))
    counts = f"{100 * share:.0f} % of {n:,} answers to a task seen before are the same"
    return Check(
        name=REPEATS,
        assumption=CONSISTENCY,
        null=f"answers to the same task have a reliability of at least {LEAST_RELIABLE:g}",
        statistic="share of answers to a repeated task that are the same",
        value=share,
        probability=probability,
        found=(
            f"Repeated tasks are answered differently: {counts}, and tossing coins would give "
            f"{100 * mean_chance:.0f} %."
        ),
        clear=(
            f"{counts[0].upper()}{counts[1:]} (by chance {100 * mean_chance:.0f} %); if users were "
            f"sure of all others, {100 * lapse:.0f} % of answers would be lapses."
        ),
        remedy="fit a lapse rate (lapse=True), show fewer tasks, and check that answers are "
        "recorded with the pair that was shown",
    )


def _agreements(data: AuditData) -> tuple[FloatArray, FloatArray]:
    """Whether each successive two answers of a user to a task agree, and the chance of that."""
    comparisons = data.comparisons
    if comparisons.outcome.rowwise:
        rows, pair, turned = same_pairs(comparisons)
        where = comparisons.user[rows]
        # A context may change the answer: only what is shown in the same one is the same task.
        context = np.unique(comparisons.context[rows], axis=0, return_inverse=True)[1].ravel()
        choice = comparisons.choice[rows]
        answer = np.where(turned, 1.0 - choice, choice)
        first, second = _successive(where, pair, context)
        values = np.sign(2.0 * answer - 1.0)  # grades agree where they name the same side
        share = np.unique(values, return_counts=True)[1] / len(values)
        even = share.max() > 0.999 or len(share) == 2
        chance = 0.5 if even else float((share**2).sum())
        return (values[first] == values[second]).astype(float), np.full(len(first), chance)
    listed = StageAlternatives.of(comparisons)
    same, answer_of = same_sets(comparisons, listed)
    chosen = listed.chosen(comparisons.choice) > 0.5
    answer = answer_of[chosen]
    stage_user = comparisons.user[listed.starts]
    context = np.unique(comparisons.context[listed.starts], axis=0, return_inverse=True)[1].ravel()
    first, second = _successive(stage_user, same, context)
    size = np.bincount(listed.stage)
    return (answer[first] == answer[second]).astype(float), 1.0 / size[first]


def _successive(*keys: IntArray) -> tuple[IntArray, IntArray]:
    """Places of successive entries with the same keys."""
    order = np.lexsort(keys)
    same = np.all([key[order][1:] == key[order][:-1] for key in keys], axis=0)
    return order[:-1][same], order[1:][same]
