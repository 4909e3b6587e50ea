"""Of what is declared resolved at most 5 % is wrong, whenever one stops."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import stopping

from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS
from bayes_pref.elicitation.sessions.resolution import resolution

WORLDS, TARGETS, BATCH, ROUNDS, DRAWS = 150, 12, 50, 8, 400
LEVEL = 1 - DEFAULT_THRESHOLDS.certainty


def paths(told_twice: bool = False) -> pd.DataFrame:
    """Shares from their prior, Beta(2, 2), and more answers about each in every round.

    The posterior is exact, and its width depends on the answers. `told_twice` counts each of them
    twice, as a posterior does that is too narrow.
    """
    rng = np.random.default_rng(0)
    truth = rng.beta(2, 2, WORLDS * TARGETS)
    left, right = np.full(truth.shape, 2.0), np.full(truth.shape, 2.0)
    weight, found = 1.0 + told_twice, []
    for turn in range(ROUNDS):
        draws = rng.beta(left, right, (DRAWS, len(truth))).T
        known = resolution(draws, DEFAULT_THRESHOLDS)
        found.append(
            known.assign(
                world=np.repeat(np.arange(WORLDS), TARGETS),
                target=np.tile(np.arange(TARGETS), WORLDS),
                turn=turn,
                wrong=np.abs(known["p_do"] - truth) > DEFAULT_THRESHOLDS.resolved,
            )
        )
        yes = rng.binomial(BATCH, truth)
        left += weight * yes
        right += weight * (BATCH - yes)
    return pd.concat(found, ignore_index=True)


@pytest.fixture(scope="module")
def one_path() -> pd.DataFrame:
    """Of an exact posterior."""
    return paths()


@pytest.mark.slow
def test_at_most_one_in_twenty_is_wrong_whenever_one_stops(one_path: pd.DataFrame) -> None:
    """At every stopping time that looks at the answers; not so with a posterior too narrow."""
    honest, narrow = stopping.stopped(one_path), stopping.stopped(paths(told_twice=True))
    excess = {
        name: ((table["wrong"] - LEVEL) / table["error"]).to_numpy()[: len(stopping.RULES)]
        for name, table in (("honest", honest), ("narrow", narrow))
    }
    # Of 8 rules the largest of so many standard errors.
    assert excess["honest"].max() < 2.7
    assert excess["narrow"].max() > 6
    # A time that is chosen in hindsight is no stopping time, and no bound holds of it.
    assert honest["wrong"].iloc[-1] > 2 * LEVEL


@pytest.mark.long
def test_an_elicitation_resolves_what_it_says_it_does() -> None:
    """Whole dialogues in worlds from the model's prior."""
    found = stopping.stopped(pd.concat([stopping.path(seed) for seed in range(12)]))
    rules = found.iloc[: len(stopping.RULES)]
    assert (rules["wrong"] - LEVEL < 2.7 * rules["error"].clip(lower=0.02)).all()
    assert rules["resolved"].iloc[0] > stopping.TARGETS / 2


@pytest.mark.parametrize("rule", stopping.RULES.values(), ids=list(stopping.RULES))
def test_no_rule_looks_ahead(one_path: pd.DataFrame, rule: Callable[[pd.DataFrame], int]) -> None:
    """What comes after the stop changes nothing."""
    for known in stopping.by_round(one_path)[:10]:
        stop = rule(known)
        if stop < known.index[-1]:
            later = known.copy()
            later.loc[stop + 1 :] = 0.0
            assert rule(later) == stop
