"""Settings and arguments are checked by one set of rules, in one form of message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import bayes_pref as bp
from bayes_pref import settings
from bayes_pref.errors import DataError, ModelError


@pytest.mark.parametrize(
    ("rule", "value", "plain"),
    [
        (settings.whole(1), np.int64(3), 3),
        (settings.whole(1), np.array(3), 3),
        (settings.whole(1), torch.tensor(3), 3),
        (settings.positive, torch.tensor(0.5), 0.5),
        (settings.boolean, np.array(True), True),
        (settings.whole(), 0, 0),
        (settings.number(0, 1), np.float32(0.5), 0.5),
        (settings.number(), -2, -2),
        (settings.positive, np.int64(2), 2),
        (settings.fraction, 0.9, 0.9),
        (settings.boolean, np.bool_(True), True),
        (settings.one_of("rms", "raw"), "raw", "raw"),
        (settings.optional(settings.whole(1)), None, None),
        (settings.optional(settings.whole(1)), np.uint8(2), 2),
    ],
)
def test_a_value_within_the_rule_comes_back_in_its_plain_type(
    rule: Callable[[object], Any], value: object, plain: object
) -> None:
    found = rule(value)
    assert found == plain
    assert type(found) is type(plain)


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        (settings.whole(1), 0, "x must be a whole number of at least 1, got 0"),
        (settings.whole(0, 4), 5, "x must be a whole number from 0 to 4, got 5"),
        (settings.whole(), True, "x must be a whole number of at least 0, got True"),
        (settings.whole(), 2.0, "x must be a whole number of at least 0, got 2.0"),
        (settings.number(0), -1.5, "x must be a number of at least 0, got -1.5"),
        (settings.number(), np.inf, "x must be a number that is finite, got inf"),
        (settings.number(most=2), 3, "x must be a number of at most 2, got 3"),
        (settings.number(0, 1), np.float64("nan"), "x must be a number from 0 to 1, got nan"),
        (settings.positive, 0, "x must be a positive number, got 0"),
        (settings.positive, "2", "x must be a positive number, got '2'"),
        (settings.fraction, 1, "x must be a number between 0 and 1, got 1"),
        (settings.boolean, 1, "x must be True or False, got 1"),
        (settings.one_of("a", "b", "c"), 3, "x must be 'a', 'b' or 'c', got 3"),
        (settings.optional(settings.boolean), "no", "x must be True, False or None, got 'no'"),
        (
            settings.optional(settings.whole(1)),
            0,
            "x must be a whole number of at least 1 or None, got 0",
        ),
        (
            settings.one_of("diagonal", "full"),
            "diag",
            "x must be 'diagonal' or 'full', got 'diag'; did you mean 'diagonal'?",
        ),
    ],
)
def test_a_value_outside_the_rule_is_refused_by_name(
    rule: Callable[[object], Any], value: object, message: str
) -> None:
    with pytest.raises(DataError) as caught:
        settings.argument("x", value, rule)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    "make",
    [
        lambda: bp.Gibbs(draws=np.int64(100), chains=np.int32(2)),
        lambda: bp.NUTS(max_tree_depth=np.int64(5)),
        lambda: bp.SVI(steps=np.int64(100), rank=np.int64(2)),
        lambda: bp.LowRankReward(rank=np.int64(2), spread_sd=np.float64(0.5)),
        lambda: bp.MixtureReward(components=np.int64(2)),
        lambda: bp.RepresentationReward(size=np.int64(2), hidden=np.int64(4)),
    ],
)
def test_whole_numbers_of_numpy_are_kept_as_those_of_python(make: Callable[[], Any]) -> None:
    made = make()
    kept = [getattr(made, name) for name in vars(made)]
    assert not [value for value in kept if isinstance(value, np.generic)]


def test_a_seed_of_numpy_gives_the_fit_of_the_same_seed_of_python() -> None:
    comparisons = bp.simulate(users=np.int64(4), comparisons=5, seed=np.int64(1)).comparisons
    engine = bp.Gibbs(draws=4, warmup=4, chains=1, progress=False)
    with pytest.warns(bp.ConvergenceWarning):
        one, other = (
            bp.fit(bp.PooledReward(), comparisons, engine, seed=seed) for seed in (3, np.int64(3))
        )
    assert other.seed == 3
    assert type(other.seed) is int
    assert one.draws.equals(other.draws)


@pytest.mark.parametrize("seed", [-1, 1.0, True, "1", None])
def test_a_seed_that_is_no_whole_number_is_refused(seed: Any) -> None:
    comparisons = bp.simulate(users=4, comparisons=5, seed=1).comparisons
    with pytest.raises(ModelError, match="seed must be a whole number of at least 0, got "):
        bp.fit(bp.PooledReward(), comparisons, seed=seed)


@pytest.mark.parametrize(
    ("call", "meant"),
    [
        (lambda: bp.HierarchicalReward(covarience="full"), "covariance"),
        (lambda: bp.LowRankReward(ranks=2), "rank"),
        (lambda: bp.Gibbs(draw=100), "draws"),
        (lambda: bp.NUTS(target_acceptance=0.9), "target_accept"),
        (lambda: bp.SVI(learningrate=0.1), "learning_rate"),
        (lambda: bp.Logit(lapes=True), "lapse"),
        (lambda: bp.fit(bp.PooledReward(), None, sed=1), "seed"),  # type: ignore[call-overload]
    ],
)
def test_a_misspelt_keyword_is_answered_with_the_right_one(
    call: Callable[[], Any], meant: str
) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword.*did you mean '{meant}'"):
        call()
