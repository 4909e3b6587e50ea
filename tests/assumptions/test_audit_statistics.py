"""The statistics of an audit: exact levels, scores that are derivatives, and what was shown."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import bayes_pref as bp
from bayes_pref.assumptions.allocation_checks import allocation_check, covariates_check
from bayes_pref.assumptions.answer_scores import PooledFit, _objective
from bayes_pref.assumptions.audit_data import AuditData
from bayes_pref.assumptions.check import Check
from bayes_pref.assumptions.order_checks import balance_check, leaning_check, session_checks
from bayes_pref.assumptions.preference_checks import answers_check, preferences_check
from bayes_pref.assumptions.resampling import exchanged_signs, largest_of, permuted_within
from bayes_pref.assumptions.shown_tasks import ShownTasks
from bayes_pref.assumptions.sufficiency_checks import residual_check

CHECKS: dict[str, Callable[[AuditData], Check]] = {
    "balance": balance_check,
    "leaning": leaning_check,
    "carry": lambda data: session_checks(data)[0],
    "drift": lambda data: session_checks(data)[1],
    "covariates": covariates_check,
    "preferences": preferences_check,
    "answers": answers_check,
    "residual": residual_check,
    "allocation": allocation_check,
}


@pytest.mark.long
@pytest.mark.parametrize("name", CHECKS)
def test_p_values_are_uniform_where_nothing_is_broken(name: str) -> None:
    worlds, low = 400, 0.1
    found = [
        CHECKS[name](
            AuditData(
                bp.simulate(
                    users=40, comparisons=8, features=2, covariates=1, intraclass=0.0, seed=seed
                ).comparisons,
                permutations=99,
            )
        ).p
        for seed in range(worlds)
    ]
    # 3.3 standard errors of the binomial: one false alarm in 1,000 such tests.
    assert np.mean(np.array(found) <= low) < low + 3.3 * np.sqrt(low * (1 - low) / worlds)
    assert abs(np.mean(found) - 0.5) < 3.3 / np.sqrt(12 * worlds)


def test_an_exhaustive_permutation_test_is_exact() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.standard_normal((2, 5))
    every = [np.dot(first, second[list(order)]) for order in permutations(range(5))]
    p = [
        largest_of(np.array([every[k], *every[:k], *every[k + 1 :]])[:, None]).p
        for k in range(len(every))
    ]
    assert np.allclose(np.sort(p), np.arange(1, 121) / 120)


def test_signs_and_orders_are_drawn_as_they_should() -> None:
    rng = np.random.default_rng(0)
    assert exchanged_signs(rng.standard_normal((50, 2)) + 2.0, 199, rng).p == 1 / 200
    user = np.repeat([0, 1, 2], [3, 1, 4])
    orders = permuted_within(user, 500, rng)
    assert (user[orders] == user).all()
    assert len(np.unique(orders[:, :3], axis=0)) == 6


def test_the_pooled_fit_agrees_with_another_logistic_regression() -> None:
    world = bp.simulate(users=50, seed=0)
    fit = AuditData(world.comparisons).base
    design, choice = AuditData(world.comparisons).base_design, world.comparisons.choice
    penalty = 1e-3 * len(choice)
    other = LogisticRegression(C=1 / penalty, fit_intercept=False, tol=1e-8).fit(design, choice)
    assert np.allclose(fit.coefficients, other.coef_[0], atol=1e-5)


@pytest.mark.parametrize("knobs", [{}, {"alternatives": 4, "rankings": True}, {"ties": 0.2}])
def test_scores_and_information_are_derivatives(knobs: dict) -> None:
    data = AuditData(bp.simulate(users=20, features=2, comparisons=5, seed=0, **knobs).comparisons)
    design, choice, stage = data.wide_design, data.comparisons.choice, data.stage
    fit = PooledFit.of(design, choice, stage)
    starts, none = np.flatnonzero(np.diff(stage, prepend=-1)), np.zeros((design.shape[1],) * 2)

    def value(at: np.ndarray) -> float:
        return _objective(design, choice, stage, starts, at, none)

    step = 1e-4 * np.eye(design.shape[1])
    at = fit.coefficients
    slope = [(value(at + each) - value(at - each)) / 2e-4 for each in step]
    assert np.allclose(design.T @ fit.residual, slope, atol=1e-5)
    curve = [(value(at + each) - 2 * value(at) + value(at - each)) / 1e-8 for each in step]
    assert np.allclose(np.diagonal(fit.information), -np.array(curve), rtol=1e-3, atol=1e-4)


def test_what_was_shown_does_not_depend_on_the_answer() -> None:
    world = bp.simulate(users=5, comparisons=4, alternatives=3, seed=0)
    frame = world.frame.copy()
    turned = frame.assign(choice=frame.groupby("task")["choice"].shift(1).fillna(0).astype(int))
    last = frame.groupby("task")["choice"].transform("last") == 1
    turned.loc[last & (frame["alternative"] == 1), "choice"] = 1
    asked = {
        "user": "user", "task": "task", "choice": "choice", "alternative": "alternative",
        "attributes": [f"feature_{k + 1}" for k in range(4)], "context": ["context_1"],
    }  # fmt: skip
    first, second = (
        ShownTasks.of(bp.Comparisons.from_tasks(each, **asked)) for each in (frame, turned)
    )
    assert (frame["choice"] != turned["choice"]).any()
    for name in ("context", "level", "spread"):
        assert np.allclose(getattr(first, name), getattr(second, name))
    # As computed from the table itself.
    spread = frame.groupby("task")["feature_1"].std(ddof=0)
    order = frame.drop_duplicates("task").groupby("user", sort=False)["task"].agg(list).sum()
    assert np.allclose(first.spread[:, 0], spread.loc[order])


def test_effects_of_contexts_on_everybody_are_no_confounding() -> None:
    """And are named as left out where they are; a coupling is named as confounding, and not so."""
    worlds = {"effect": {"interactions": True}, "coupling": {"confounding": 0.9}}
    found = {}
    for name, knobs in worlds.items():
        world = bp.simulate(users=200, features=2, intraclass=0.3, mean=1.0, seed=0, **knobs)
        bare = bp.Comparisons.from_frame(
            world.frame,
            user="user",
            choice="choice",
            difference=["feature_1", "feature_2"],
            context=["context_1"],
        )
        data = AuditData(bare)
        found[name] = preferences_check(data).p, residual_check(data).p
    assert found["effect"][0] > 0.01
    assert found["effect"][1] == 0.001
    assert found["coupling"][0] == 0.001
    assert found["coupling"][1] > 0.01
