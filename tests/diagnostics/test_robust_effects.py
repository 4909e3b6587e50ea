"""Average effects beside the model's: tasks with values replaced, and what residuals change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_posteriors import made_posterior

import bayes_pref as bp
from bayes_pref.data import Ranking
from bayes_pref.diagnostics.robust.robust_effects import replaced_sets, robust_effects
from bayes_pref.diagnostics.robust.robust_shares import RobustShares
from bayes_pref.posterior.attributes import attributes_of
from bayes_pref.posterior.replacements import contrasts
from bayes_pref.posterior.task_distribution import shown_tasks

BRANDS = {"brand": ["A", "B", "C"]}
SHORT = bp.Gibbs(draws=200, warmup=200, chains=2, cores=1, progress=False)


@pytest.mark.parametrize("alternatives", [2, 3])
@pytest.mark.parametrize("name", ["brand", "price"])
def test_values_are_replaced_one_alternative_at_a_time(alternatives: int, name: str) -> None:
    """Against loops over tasks, alternatives and values."""
    world = bp.simulate(
        users=3,
        comparisons=2,
        features=["price"],
        categories=BRANDS,
        alternatives=alternatives,
        interactions=True,
        seed=0,
    )
    comparisons = world.comparisons
    tasks, known = shown_tasks(comparisons), attributes_of(comparisons)
    chosen = [each for each in known if each.name == name]
    [each] = contrasts(chosen, known, tasks, None, None)
    query, focal = replaced_sets(comparisons, tasks, each)
    expected, counted = [], []
    for task in range(len(tasks)):
        shown = tasks.profiles[tasks.task == task]
        for place in range(len(shown)):
            for value in each.features:
                made = shown.copy()
                columns = each.attribute.places
                made[place, columns] = value + (made[place, columns] if each.relative else 0.0)
                context = np.tile(tasks.context[task], (len(made), 1))
                others = (made.sum(axis=0) - made) / (len(made) - 1.0)
                rows = comparisons.features.expand(made - others, context)
                if isinstance(comparisons.outcome, Ranking):
                    counted.append(len(expected) + place)
                    expected += list(rows)
                else:
                    counted.append(len(expected))
                    expected.append(rows[place])
    np.testing.assert_allclose(query.difference, np.array(expected), atol=1e-12)
    assert focal.tolist() == counted


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_residuals_bring_effects_of_a_wrong_model_to_differences_of_means() -> None:
    """What brand B is worth is put wrong; brands were assigned at random, so that means are right.

    The model's effect is the partner that must fail.
    """
    world = bp.simulate(
        users=100, comparisons=15, features=["price"], categories=BRANDS, seed=1, confounding=0.3
    )
    comparisons = world.comparisons
    fitted = bp.fit(bp.HierarchicalReward(exposure=True), comparisons, SHORT)
    right = fitted.amce("observed", attributes="brand").set_index("level")
    away = np.zeros(comparisons.n_features)
    away[comparisons.feature_names.index("brand[B]")] = 1.0
    draws = fitted.draws.assign(
        mu=fitted.draws["mu"] + away, weights=fitted.draws["weights"] + away
    )
    shares = RobustShares.of(replace(fitted, draws=draws))
    found = robust_effects(shares, attributes="brand").set_index("level")
    for level in ("B", "C"):
        error = 3 * right.loc[level, "sd"] + 0.02  # of 3 sds, and of brands that differ by chance
        assert found.loc[level, "robust"] == pytest.approx(right.loc[level, "mean"], abs=error)
    wrong = abs(found.loc["B", "mean"] - right.loc["B", "mean"])
    assert wrong > 5 * right.loc["B", "sd"]
    assert (found["lower"] < found["robust"]).all()
    tests = shares.assumptions().set_index("assumption")
    assert bool(tests.loc["weights", "rejected"])
    assert tests.loc["weights", "largest"] == "brand[B]"


def test_effects_that_cannot_be_corrected_are_refused_in_a_sentence() -> None:
    world = bp.simulate(users=40, comparisons=4, features=1, seed=0)
    posterior = made_posterior(world.comparisons, bp.HierarchicalReward(exposure=True))
    shares = RobustShares.of(posterior)
    with pytest.raises(bp.DataError, match="over is None; name a distribution"):
        robust_effects(shares, None)
