"""How repeatable answers are: a user's answers to the same pair, or to the same set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.draws import thin
from bayes_pref.evaluation.alternatives import StageAlternatives
from bayes_pref.evaluation.task_statistics import same_sets
from bayes_pref.models.choice.stage_choices import log_stages, others
from bayes_pref.models.observational_bias import rows_with_bias
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.posterior.repeats import agreeing, repeats
from bayes_pref.types import FloatArray, Mask

_DRAWS = 200


@dataclass(frozen=True)
class RepeatedAnswers:
    """Answers of the same users to the same questions.

    Attributes
    ----------
    count
        Number of pairs of answers to the same question.
    alike
        Share of these in which both answers are the same; NaN where there are none.
    expected
        That share in new answers to these questions, given what was learned from all answers.
    """

    count: int
    alike: float
    expected: float

    @classmethod
    def of(cls, posterior: Posterior) -> RepeatedAnswers:
        """Compare the answers in a posterior's data, at 200 of its draws or about as many.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> RepeatedAnswers.of(posterior).count
        0
        """
        if not posterior.comparisons.outcome.rowwise:
            return _of_sets(posterior)
        model, comparisons = posterior.model, posterior.comparisons
        draws = thin(posterior.draws, _DRAWS)
        choices = model.choice_distribution(draws, comparisons)
        weights, difference = rows_with_bias(model.user_weights(draws), draws, comparisons)
        found = repeats(weights, choices, comparisons, difference)
        count = found["repeats"].to_numpy()
        if not count.any():
            return cls(0, np.nan, np.nan)
        had = count > 0
        alike, expected = (
            float(np.average(found.loc[had, name], weights=count[had]))
            for name in ("alike", "alike_expected")
        )
        return cls(int(count.sum()), alike, expected)


def _of_sets(posterior: Posterior) -> RepeatedAnswers:
    """Compare answers to the same set, as far as its alternatives were left at a stage."""
    comparisons = posterior.comparisons
    listed = StageAlternatives.of(comparisons)
    same, answer = same_sets(comparisons, listed)
    own = same * comparisons.n_users + comparisons.user[listed.starts]
    code, size = np.unique(own, return_inverse=True, return_counts=True)[1:]
    often = size[code] > 1
    count = int((size * (size - 1)).sum()) // 2
    if not count:
        return RepeatedAnswers(0, np.nan, np.nan)
    kept = often[listed.stage]  # alternatives, and below, rows
    own_answer = answer[kept] * comparisons.n_users + listed.user[kept]
    order = np.argsort(own_answer, kind="stable")
    starts = np.flatnonzero(np.diff(own_answer[order], prepend=-1))
    chosen = listed.chosen(comparisons.choice)[kept][order]
    chance = _chances(posterior, comparisons, listed, often)[kept][order]
    alike, expected = (
        float(agreeing(each[None], starts).sum()) / count for each in (chosen[:, None], chance)
    )
    return RepeatedAnswers(count, alike, expected)


def _chances(
    posterior: Posterior, comparisons: Comparisons, listed: StageAlternatives, often: Mask
) -> FloatArray:
    """(m, sample) probabilities of the alternatives of some of the stages (s,), 0 elsewhere."""
    draws = thin(posterior.draws, _DRAWS)
    weights, rows = rows_with_bias(posterior.model.user_weights(draws), draws, comparisons)
    choices = posterior.model.choice_distribution(draws, comparisons)
    kept = often[listed.stage[listed.other]]
    user, difference = comparisons.user[kept], rows[kept]
    eta = np.concatenate([eta for _, eta in log_odds(weights, user, difference)])
    of_rows = choices.of_users(user)
    stage = np.unique(listed.stage[listed.other][kept], return_inverse=True)[1].ravel()
    lapse = of_rows.stage_lapse(stage)
    found = np.zeros((len(listed.stage), eta.shape[1]))
    found[listed.own[often]] = np.exp(log_stages(eta, stage, lapse=lapse))
    found[listed.other[kept]] = others(eta, stage, lapse)
    return found
