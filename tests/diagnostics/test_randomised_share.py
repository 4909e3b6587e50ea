"""What a share of randomised comparisons says of a log: the test, the shifts, and how many more."""

from __future__ import annotations

import numpy as np
import pytest

import bayes_pref as bp
from bayes_pref.diagnostics.confounding.exposure_posterior import NullFit
from bayes_pref.diagnostics.confounding.randomised_share import log_p_value, pairs_needed


def p_value(world: bp.simulation.World) -> float:
    """Of the log against the rest, at the true population."""
    comparisons, truth = world.comparisons, world.truth
    centre = np.tile(truth.mu.to_numpy(), (comparisons.n_users, 1))
    null = NullFit(centre, truth.covariance.to_numpy(), bp.Logit().at(), 0.0)
    return log_p_value(comparisons, null)


@pytest.mark.parametrize("confounding", [0.0, 0.8])
def test_an_honest_log_is_rarely_found_to_differ(confounding: float) -> None:
    """At level 0.1, 20 of 200 worlds are expected, with a standard deviation of 4.2."""
    found = [
        p_value(
            bp.simulate(
                users=60,
                comparisons=8,
                features=2,
                confounding=confounding,
                randomised=0.3,
                seed=seed,
            )
        )
        for seed in range(200)
    ]
    assert 5 <= (np.array(found) <= 0.1).sum() <= 34


def test_a_log_that_is_off_is_found() -> None:
    found = [
        p_value(
            bp.simulate(
                users=200,
                comparisons=10,
                features=2,
                randomised=0.3,
                observational_bias=[1.0, 0.0],
                seed=seed,
            )
        )
        for seed in range(20)
    ]
    assert (np.array(found) <= 0.01).mean() > 0.9


def test_sets_of_several_are_tested_too() -> None:
    made = {"users": 100, "features": 2, "alternatives": 3, "randomised": 0.4, "seed": 2}
    honest, off = bp.simulate(**made), bp.simulate(**made, observational_bias=[1.0, 0.0])
    assert p_value(off) < 1e-3 < p_value(honest)


def test_the_number_needed_is_that_of_the_matrices() -> None:
    rng = np.random.default_rng(0)
    root = rng.standard_normal((3, 3))
    covariance, information = root @ root.T, np.diag([0.3, 0.1, 0.0])
    difference, ratio = rng.standard_normal((40, 3)), rng.uniform(0.05, 1.0, 40)
    found = pairs_needed(difference, covariance, information, ratio)

    def left(pairs: float, row: int) -> float:
        after = np.linalg.inv(np.linalg.inv(covariance) + pairs * information)
        return float(difference[row] @ after @ difference[row])

    now = np.array([left(0, row) for row in range(40)])
    never = np.isnan(found)
    assert 0 < never.sum() < 40  # the third feature is never learned
    for row in np.flatnonzero(~never):
        assert left(found[row], row) <= ratio[row] * now[row] * (1 + 1e-5)
        assert found[row] == 0 or left(found[row] - 1, row) > ratio[row] * now[row]
    for row in np.flatnonzero(never):
        assert left(1e7, row) > ratio[row] * now[row]


@pytest.mark.slow
def test_diagnose_corrects_p_do_and_clears() -> None:
    world = bp.simulate(
        users=80, features=1, comparisons=20, randomised=0.5, observational_bias=1.2, seed=4
    )
    engine = bp.Gibbs(draws=250, warmup=200, chains=2, progress=False)
    model = bp.HierarchicalReward(observational_bias=True, exposure=True)
    with pytest.warns(bp.ConvergenceWarning):
        posterior = bp.fit(model, world.comparisons, engine)
    report = bp.diagnose(posterior, assessments=["preference", "confounding"], progress=False)
    assert report.exposure_posterior is posterior
    rows, truth = report.comparisons, world.truth.comparisons
    p_do = truth["p_do"].to_numpy()
    inside = (rows["p_do_lower"] <= p_do) & (p_do <= rows["p_do_upper"])
    assert inside.mean() > 0.6  # of one world, whose rows share their error
    assert np.abs(rows["p_obs"] - truth["p_obs"].to_numpy()).mean() < 0.04
    assert report.results["randomised_p"] < 0.001
    verdicts = rows["verdict"].value_counts()
    assert verdicts["cleared"] > 20
    cleared = rows[rows["verdict"] == "cleared"]
    assert (cleared["randomised_needed"] == 0).all()
    assert (rows.loc[rows["verdict"] == "confounded", "randomised_needed"] > 0).all()
    assert "assigned at random" in " ".join(report.notes)
