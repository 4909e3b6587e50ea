"""Verdicts: their order of precedence, and sentences that state their numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp
from bayes_pref.diagnostics.evidence import Evidence, percent
from bayes_pref.diagnostics.verdicts import REGISTRY, VERDICTS, decide, explain

NUMBERS = ("mean", "lower", "upper", "p_do", "p_obs", "shift", "shift_lower", "shift_upper")
OTHERS = ("prior_share", "reference_sd", "p_left", "p_small")
FLAGS = ("unidentifiable", "confounded", "cleared", "separated")
WORDS = {"non_identified": "The data never separate a and b", "separated_by": "'a'"}


def evidence(
    thresholds: bp.Thresholds | None = None, **columns: list[float] | list[bool]
) -> Evidence:
    """Evidence about comparisons in which nothing was found, but for the columns given."""
    n = len(next(iter(columns.values())))
    plain = dict.fromkeys([*NUMBERS, *OTHERS], np.full(n, 0.1))
    flags = dict.fromkeys(FLAGS, np.zeros(n, bool))
    given = {name: np.asarray(values) for name, values in columns.items()}
    given |= {name: given[name].astype(bool) for name in FLAGS if name in given}
    return Evidence(pd.DataFrame(plain | flags | WORDS | given), thresholds or bp.Thresholds(), 0.9)


def said(about: Evidence) -> list[str]:
    return explain(about, decide(about, REGISTRY), REGISTRY).tolist()


def test_the_first_verdict_that_holds_is_given() -> None:
    found = evidence(
        unidentifiable=[1, 0, 0, 0, 0, 0, 0],
        confounded=[1, 1, 0, 0, 0, 0, 0],
        cleared=[1, 1, 1, 0, 0, 0, 0],
        separated=[1, 1, 1, 1, 0, 0, 0],
        p_left=[0.99, 0.99, 0.99, 0.99, 0.96, 0.6, 0.94],
        p_small=[0.0, 0.0, 0.0, 0.0, 0.0, 0.91, 0.0],
    )
    assert decide(found, REGISTRY).tolist() == list(bp.VERDICTS[:7])
    # The partner that must fail: another order gives other verdicts.
    assert decide(found, REGISTRY[::-1]).tolist() == ["not assessed"] * 7


def test_verdicts_need_what_was_not_assessed() -> None:
    found = evidence(unidentifiable=[1, 0], p_left=[0.99, 0.99])
    table = found.table.drop(columns=["p_left", "p_small"])
    without = Evidence(table, found.thresholds, 0.9)
    assert decide(without, REGISTRY).tolist() == ["unidentifiable", "not assessed"]


def test_other_thresholds_give_other_verdicts() -> None:
    numbers = {"p_left": [0.96, 0.6], "p_small": [0.0, 0.91]}
    strict = bp.Thresholds(sign=0.99, small_certainty=0.99)
    assert decide(evidence(**numbers), REGISTRY).tolist() == ["prefers", "indifferent"]
    assert decide(evidence(strict, **numbers), REGISTRY).tolist() == ["undecided"] * 2


def test_where_no_verdict_holds_that_is_an_error() -> None:
    with pytest.raises(bp.ModelError, match="none holds for 1 of 2 comparisons; end with one"):
        decide(evidence(separated=[1, 0]), [verdict for verdict in REGISTRY if verdict.problem])


def test_sentences_state_the_numbers() -> None:
    found = evidence(
        confounded=[1, 0, 0, 0, 0, 0],
        unidentifiable=[0, 0, 1, 0, 0, 0],
        separated=[0, 0, 0, 1, 0, 0],
        prior_share=[0.1, 0.1, 0.83, 0.1, 0.1, 0.1],
        p_obs=[0.71] * 6,
        p_do=[0.58] * 6,
        shift=[0.13] * 6,
        shift_lower=[0.08] * 6,
        shift_upper=[0.17] * 6,
        p_left=[0.5, 0.02, 0.5, 0.5, 0.5, 0.7],
        p_small=[0.1, 0.1, 0.1, 0.1, 0.93, 0.1],
        mean=[0.0, -1.5, 0.0, 2.0, 0.0, 0.4],
        lower=[0.0, -2.5, 0.0, 1.0, 0.0, -0.3],
        upper=[0.0, -0.5, 0.0, 3.0, 0.0, 1.1],
    )
    assert said(found) == [
        "Users who see pairs like this would choose left 71 % of the time; all users, 58 % (shift "
        "0.13, 90 % interval 0.08 to 0.17).",
        "This user prefers right (probability 98 %): -1.50, 90 % interval -2.50 to -0.50 log-odds "
        "for left.",
        "The data never separate a and b: the prior accounts for 83 % of the uncertainty.",
        "The sign is identified but the magnitude is not (complete separation along 'a'): its "
        "size, 2.00, 90 % interval 1.00 to 3.00 log-odds for left, is set by the prior.",
        "This user is indifferent: the difference is within 0.2 log-odds with probability 93 %.",
        "The sign is not known yet: 0.40, 90 % interval -0.30 to 1.10 log-odds for left; more "
        "answers will tell.",
    ]


def test_randomised_comparisons_are_said_to_settle_a_pair_or_how_many_would() -> None:
    found = evidence(
        confounded=[0, 1, 1, 1],
        cleared=[1, 0, 0, 0],
        p_obs=[0.71] * 4,
        p_do=[0.58] * 4,
        p_do_lower=[0.55] * 4,
        p_do_upper=[0.61] * 4,
        shift=[0.13] * 4,
        shift_lower=[0.08] * 4,
        shift_upper=[0.17] * 4,
        randomised_count=[150.0] * 4,
        randomised_needed=[0.0, 240.0, np.nan, 0.0],
    )
    flagged = (
        "Users who see pairs like this would choose left 71 % of the time; all users, 58 % (shift "
        "0.13, 90 % interval 0.08 to 0.17)."
    )
    assert said(found) == [
        "The log alone would be confounded (71 % of those who see pairs like this in it would "
        "choose left), but 150 randomised comparisons resolve it: of all users 58 % would (90 % "
        "interval 55 % to 61 %).",
        f"{flagged} About 240 more randomised comparisons would resolve the latter to within 0.05.",
        flagged,
        flagged,
    ]


def test_where_exposure_is_unknown_the_log_is_what_all_users_seem_to_choose() -> None:
    found = evidence(
        confounded=[1, 0],
        cleared=[0, 1],
        by_log=[1, 1],
        p_obs=[0.71] * 2,
        p_do=[0.58] * 2,
        p_do_lower=[0.55] * 2,
        p_do_upper=[0.61] * 2,
        shift=[0.13] * 2,
        shift_lower=[0.08] * 2,
        shift_upper=[0.17] * 2,
        randomised_count=[150.0] * 2,
    )
    assert said(found) == [
        "By the log users would choose left 71 % of the time; by randomised comparisons, 58 % "
        "(shift 0.13, 90 % interval 0.08 to 0.17).",
        "The log alone would be confounded (71 % of all users by it would choose left), but 150 "
        "randomised comparisons resolve it: of all users 58 % would (90 % interval 55 % to 61 %).",
    ]


def test_shares_are_not_rounded_to_all_or_nothing() -> None:
    assert percent(np.array([0.0, 0.001, 0.5, 0.999, 1.0])).tolist() == [
        *("0 %", "under 1 %", "50 %", "over 99 %", "100 %")
    ]


def test_names_of_verdicts_are_unique_and_public() -> None:
    assert VERDICTS == bp.VERDICTS
    assert len(set(VERDICTS)) == len(REGISTRY)
    assert all(verdict.meaning and not verdict.meaning.endswith(".") for verdict in REGISTRY)


@pytest.mark.parametrize("name", list(vars(bp.Thresholds())))
def test_every_threshold_is_validated(name: str) -> None:
    with pytest.raises(bp.ModelError, match=rf"Thresholds\({name}=-1\): expected"):
        bp.Thresholds(**{name: -1})
