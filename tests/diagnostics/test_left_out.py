"""Effects of contexts that a model leaves out are found, named and taken in."""

from __future__ import annotations

import numpy as np
import pytest

import bayes_pref as bp
from bayes_pref.diagnostics.confounding.exposure_posterior import NullFit
from bayes_pref.diagnostics.confounding.left_out import (
    left_out_contexts,
    query_with_context_effects,
    with_context_effects,
)
from bayes_pref.diagnostics.confounding.residual_test import RowScores
from bayes_pref.diagnostics.query import read_query

MEAN = [0.5, -0.5, 0.8, 0.4]  # of two attributes, and of their products with the context


def without_products(comparisons: bp.Comparisons) -> bp.Comparisons:
    """The same answers, read without interactions."""
    return bp.Comparisons.from_frame(
        comparisons.to_frame(),
        user="user",
        choice="choice",
        difference=comparisons.features.attributes,
        context=comparisons.features.contexts,
    )


def true_null(comparisons: bp.Comparisons, world: bp.simulation.World) -> NullFit:
    """The population as it is, in the features of the comparisons."""
    d = comparisons.n_features
    centre = np.tile(world.truth.mu.to_numpy()[:d], (comparisons.n_users, 1))
    return NullFit(centre, world.truth.covariance.to_numpy()[:d, :d], bp.Logit().at(), 0.0)


@pytest.mark.parametrize("confounding", [0.0, 0.8])
def test_where_nothing_is_left_out_little_is_found(confounding: float) -> None:
    """Of 150 worlds 1.5 are expected at level 0.01; more than 6 once in a thousand times."""
    count = 0
    for seed in range(150):
        world = bp.simulate(users=60, comparisons=8, features=2, confounding=confounding, seed=seed)
        count += bool(left_out_contexts(world.comparisons, true_null(world.comparisons, world)))
    assert count <= 6


def test_differences_between_users_alone_would_pass_for_effects_of_a_context() -> None:
    """The partner that must fail: products that are not centred within users."""
    found = []
    for seed in range(10):
        world = bp.simulate(users=200, comparisons=10, features=2, confounding=0.8, seed=seed)
        scores = RowScores.of(world.comparisons, true_null(world.comparisons, world))
        found.append(scores.p_value(scores.rows * world.comparisons.context, scores.rows))
    assert (np.array(found) < 0.01).mean() > 0.8


def test_an_effect_that_is_left_out_is_found_and_named() -> None:
    for seed in range(10):
        world = bp.simulate(
            users=100, features=2, contexts=["hard"], interactions=True, mean=MEAN, seed=seed
        )
        comparisons = without_products(world.comparisons)
        found = left_out_contexts(comparisons, true_null(comparisons, world))
        assert list(found) == ["hard"]
        assert not left_out_contexts(world.comparisons, true_null(world.comparisons, world))


def test_the_comparisons_with_effects_are_those_that_the_reader_makes() -> None:
    world = bp.simulate(users=20, features=2, interactions=True, seed=1).comparisons
    made = with_context_effects(without_products(world), world.features.contexts)
    assert made.feature_names == world.feature_names
    assert np.allclose(made.difference, world.difference)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayes_pref.errors.ConvergenceWarning")  # short chains
def test_diagnose_takes_in_what_was_left_out() -> None:
    world = bp.simulate(
        users=100, features=2, contexts=["hard"], interactions=True, mean=MEAN, seed=3
    )
    comparisons = without_products(world.comparisons)
    engine = bp.Gibbs(draws=200, warmup=200, chains=2, progress=False)
    posterior = bp.fit(bp.HierarchicalReward(), comparisons, engine)
    report = bp.diagnose(
        posterior, assessments=["preference", "confounding"], progress=False, engine=engine
    )
    assert report.exposure_posterior.comparisons.n_features == 4
    assert any("hard" in note and 'interactions="all"' in note for note in report.notes)
    assert (report.comparisons["verdict"] != "confounded").mean() > 0.98
    query = query_with_context_effects(read_query(posterior), comparisons, ["hard"])
    assert np.allclose(query.difference, world.comparisons.difference)
    truth = world.truth.comparisons["p_do"].to_numpy()
    assert np.abs(report.comparisons["p_do"] - truth).mean() < 0.06
