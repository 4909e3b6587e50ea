"""The benchmark of the flags: its truth is true, its figures are what they say, and it can fail."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import linprog, minimize
from scipy.special import expit

import bayes_pref as bp
import flags
from conftest import ROOT
from flag_study import calibration, replicate, unlearned, worlds
from flag_study.metrics import (
    OURS,
    Target,
    auroc,
    averages,
    clustered_share,
    figures,
    reliability,
    verdicts,
)
from flag_study.rivals import Answer, Logit, hausman, pooled, pooled_by_context
from flag_study.truth import HEAVY, Population, standard_normal, standard_t

CONFOUNDED = [name for name, world in worlds.WORLDS.items() if world.kind == "confounded"]
ALTERED = [
    *("counts", "heavy users", "heavy contexts", "binary context", "blind: squared"),
    *("very unequal", "binary effects", "varied attributes", "blind: corner"),
]


def choice_z(world: worlds.Confounded, probability: np.ndarray) -> float:
    """Z-score of choices against their probabilities, along the shift: clustered by user."""
    comparisons = world.comparisons
    residual = world.shift * (comparisons.choice - probability)
    sums = np.bincount(comparisons.user, residual)
    return float(sums.sum() / np.sqrt((sums**2).sum()))


@pytest.mark.parametrize("name", ["base", "interactions", *ALTERED])
def test_choices_of_those_who_are_shown_a_pair_follow_p_obs_and_not_p_do(name: str) -> None:
    make, knobs = worlds.WORLDS[name].make, {"users": 500}
    world = make(0, **knobs)
    # 4.5 standard errors: one false alarm in 20,000 such tests.
    assert abs(choice_z(world, world.p_obs)) < 4.5
    assert abs(choice_z(world, world.p_do)) > 4.5


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("density", [standard_normal, standard_t])
def test_quadrature_agrees_with_many_users(density: object, heavy: bool) -> None:
    rng, users, unit = np.random.default_rng(0), 300_000, np.sqrt(HEAVY / (HEAVY - 2))
    normal = density is standard_normal
    exposure = rng.standard_normal(users) if normal else rng.standard_t(HEAVY, users) / unit
    own = rng.multivariate_normal([0, 0], [[0.5, 0.2], [0.2, 0.3]], users)
    if heavy:
        own *= np.sqrt((HEAVY - 2) / rng.chisquare(HEAVY, users))[:, None]
    population = Population(
        mu=np.array([1.0, -0.5]),
        coupling=np.array([0.6, 0.3]),
        own=np.array([[0.5, 0.2], [0.2, 0.3]]),
        shown=lambda x, s: expit(2 * s) if x[0, 0] else 1 - expit(2 * s),
        density=density,
        response=lambda s: s + 0.3 * s**2,
        visits=lambda s: 1 + expit(s),
        heavy=heavy,
    )
    weights = population.mu + np.outer(exposure + 0.3 * exposure**2, population.coupling) + own
    seen = (1 + expit(exposure)) * expit(2 * exposure)
    for pair in np.array([[1.0, 0.0], [2.0, -1.0], [-3.0, 1.0]]):
        chosen = expit(weights @ pair)
        p_do, p_obs = population.preferred(pair[None], np.array([1.0]))
        error = chosen.std() / np.sqrt(users)
        assert abs(chosen.mean() - p_do[0]) < 4.5 * error + 1e-4
        share = (chosen * seen).sum() / seen.sum()
        ratio = np.sqrt(np.sum((seen * (chosen - share)) ** 2)) / seen.sum()
        assert abs(share - p_obs[0]) < 4.5 * ratio + 1e-4
        lighter = replace(population, heavy=not heavy).preferred(pair[None], np.array([1.0]))
        assert abs(chosen.mean() - lighter[0][0]) > 4.5 * error + 1e-4


@pytest.mark.parametrize("name", ["base", "strong", "interactions", "null: randomised"])
def test_quadrature_gives_the_closed_form_where_there_is_one(name: str) -> None:
    world = worlds.WORLDS[name].make(3)
    found = world.population.preferred(
        world.comparisons.difference, world.comparisons.context[:, 0]
    )
    # The closed form's own integral is exact to 1e-5.
    np.testing.assert_allclose(found, (world.p_do, world.p_obs), atol=2e-5)


@pytest.mark.parametrize("name", list(worlds.WORLDS))
def test_nothing_is_confounded_in_the_nulls_and_much_elsewhere(name: str) -> None:
    make, knobs = worlds.WORLDS[name].make, {} if name == "small" else {"users": 100}
    world = make(worlds.seed_of(name, 0), **knobs)
    material = np.mean(np.abs(world.shift) > 0.03)
    if worlds.WORLDS[name].kind == "null" or name == "blind: left out":
        assert np.abs(world.shift).max() < 1e-4
    else:
        assert 0.05 < material < 0.95


def test_worlds_and_replications_have_seeds_of_their_own() -> None:
    names = [*worlds.WORLDS, *unlearned.WORLDS, *unlearned.SEPARATIONS]
    seeds = {worlds.seed_of(name, number) for name in names for number in range(100)}
    assert len(seeds) == 100 * len(names)


EXACT = [name for name in unlearned.WORLDS if name != "nearly collinear"]


@pytest.mark.parametrize("name", EXACT)
def test_what_stays_unknown_is_what_no_shown_pair_has_a_part_in(name: str) -> None:
    world = unlearned.WORLDS[name](1)
    shown = replace(world, candidates=world.comparisons)
    assert not shown.unknown.any()
    # A combination of shown pairs is known, and the candidates that are not are no combination.
    matrix = world.comparisons.difference
    fitted = np.linalg.lstsq(matrix.T, world.candidates.difference.T, rcond=None)[0]
    misfit = np.abs(matrix.T @ fitted - world.candidates.difference.T).max(axis=0)
    np.testing.assert_array_equal(misfit > 1e-6, world.unknown > 1e-6)
    assert world.unidentifiable.any() != name.startswith("identified")


def test_what_nearly_never_differs_stays_unknown_too() -> None:
    world = unlearned.WORLDS["nearly collinear"](1)
    first, last = world.comparisons.difference[:, [0, 3]].T
    assert 0.998 < np.corrcoef(first, last)[0, 1] < 0.9995
    # Alone, the direction (1, 0, 0, -1) has the information 1 / (1 + P) or more left to the prior.
    most = 0.25 * np.sum((first - last) ** 2) / 2
    assert 1 / (1 + most) > 0.75
    apart = np.abs(world.candidates.difference @ [1, 0, 0, -1]) / np.sqrt(2)
    np.testing.assert_allclose(world.unknown, apart, rtol=0.1, atol=0.1)
    # A hundred times the data would tell.
    frame = np.tile(world.comparisons.difference, (100, 1))
    _, size, _ = np.linalg.svd(frame, full_matrices=False)
    assert 0.25 * size.min() ** 2 > 1


@pytest.mark.parametrize("kind", unlearned.SEPARATIONS)
def test_choices_separate_where_the_world_says_so(kind: str) -> None:
    for seed in range(8):
        comparisons, separated = unlearned.separated(seed, kind)
        chosen = comparisons.difference * (2 * comparisons.choice - 1)[:, None]
        program = linprog(-chosen.sum(axis=0), -chosen, np.zeros(len(chosen)), bounds=(-1, 1))
        assert separated == (program.fun < -1e-9)


def test_tiny_worlds_go_either_way() -> None:
    assert {unlearned.separated(seed, "tiny")[1] for seed in range(20)} == {True, False}


@pytest.fixture(scope="module")
def small() -> worlds.Confounded:
    return worlds.simulated(0, users=60)


def test_a_pooled_logit_is_the_most_likely_one(small: worlds.Confounded) -> None:
    data = small.comparisons
    fit = Logit.fit(data.difference, data.choice, data.user)

    def loss(weights: np.ndarray) -> float:
        return float(np.logaddexp(0, (1 - 2 * data.choice) * (data.difference @ weights)).sum())

    np.testing.assert_allclose(fit.weights, minimize(loss, np.zeros(4)).x, atol=1e-4)
    np.testing.assert_allclose(pooled(data).p_do, expit(data.difference @ fit.weights))


def test_robust_errors_are_those_of_the_jackknife_over_users_and_naive_ones_are_not(
    small: worlds.Confounded,
) -> None:
    data = small.comparisons
    fit = Logit.fit(data.difference, data.choice, data.user)
    left = []
    for user in range(data.n_users):
        rest = data.user != user
        codes = np.unique(data.user[rest], return_inverse=True)[1]
        left.append(Logit.fit(data.difference[rest], data.choice[rest], codes).weights)
    spread = (np.array(left) - np.mean(left, axis=0)) * np.sqrt(data.n_users - 1)
    jackknife = np.sqrt((spread**2).mean(axis=0))
    robust = np.sqrt(fit.covariance.diagonal())
    alone = Logit.fit(data.difference, data.choice, np.arange(len(data.choice)))
    naive = np.sqrt(alone.covariance.diagonal())
    # Both are consistent with 60 users, and differ by terms of 1 / users.
    np.testing.assert_allclose(robust, jackknife, rtol=0.1)
    assert (naive < 0.9 * jackknife).any()


def test_a_hausman_test_tells_exposure_from_a_context_effect_and_pooled_regression_does_not() -> (
    None
):
    effect = worlds.WORLDS["null: context effect"].make(1).comparisons
    exposure = worlds.WORLDS["base"].make(1).comparisons
    rng = np.random.default_rng(0)
    said = {
        "hausman": [hausman(data).p_value for data in (effect, exposure)],
        "pooled": [pooled_by_context(data, rng).p_value for data in (effect, exposure)],
    }
    assert said["hausman"][0] > 1e-3 > 1e-4 > said["hausman"][1]
    assert max(said["pooled"]) < 1e-3


def test_auroc_counts_pairs() -> None:
    rng = np.random.default_rng(0)
    score, positive = rng.integers(5, size=60).astype(float), rng.random(60) < 0.4
    pairs = np.sign(score[positive][:, None] - score[~positive])
    assert auroc(score, positive) == pytest.approx((pairs.mean() + 1) / 2)
    assert np.isnan(auroc(score, np.zeros(60, dtype=bool)))


def test_the_truth_itself_gets_full_marks_and_silence_does_not(small: worlds.Confounded) -> None:
    positive = np.abs(small.shift) > 0.03
    right = Answer(
        p_do=small.p_do,
        p_value=0.001,
        p_confounded=positive.astype(float),
        shift=(small.shift - 1e-9, small.shift, small.shift + 1e-9),
    )
    found = figures(small, right)
    by_size = {figure for figure in found if figure.startswith("sensitivity 0.0")}
    assert len(by_size) == 3
    assert all(found.pop(figure) == 1 for figure in by_size)
    within = {figure for figure in found if "within" in figure or "discover" in figure}
    assert all(found.pop(figure) == figure.startswith("sens") for figure in within)
    assert found == {
        "p_do rmse": 0,
        "rejected": 1,
        "auroc": 1,
        "sensitivity": 1,
        "false flags": 0,
        "any flag": 1,
        "shift rmse": 0,
        "coverage": 1,
    }
    silent = figures(small, replace(right, flagged=np.zeros(len(positive), dtype=bool)))
    assert silent["sensitivity"] == silent["any flag"] == 0
    assert silent["sensitivity at 0.9"] == 1
    assert silent["false flags at 0.9"] == 0
    inverted = figures(small, replace(right, p_confounded=1.0 - positive))
    assert inverted["false flags"] == 1
    assert inverted["auroc"] == 0


def test_effects_that_swallow_the_coupling_are_seen_to_leak() -> None:
    world = worlds.simulated(0, interactions=True)
    effect = world.context_effect + 0.3 * world.coupling
    found = figures(world, Answer(world.p_do, context_effect=effect))
    assert found["leaked"] == pytest.approx(0.3)


def test_errors_of_shares_count_data_sets_and_not_comparisons() -> None:
    rng = np.random.default_rng(0)
    sizes = np.full(400, 50.0)
    # All comparisons of a data set are hits, or none is: 400 observations and not 20,000.
    share, error = clustered_share(sizes * (rng.random(400) < 0.3), sizes)
    assert error == pytest.approx(np.sqrt(share * (1 - share) / 400), rel=0.01)
    assert clustered_share(np.zeros(5), np.full(5, 10.0))[1] > 0


def test_bins_hold_every_comparison_once(small: worlds.Confounded) -> None:
    probability = np.random.default_rng(0).choice([0, 0.05, 0.3, 0.95, 0.99, 1], len(small.shift))
    answer = Answer(small.p_do, p_value=0.001, p_confounded=probability)
    counted = pd.DataFrame(reliability(small, answer))
    assert counted["n"].sum() == len(probability)
    assert counted["confounded"].sum() == (np.abs(small.shift) > 0.03).sum()
    assert counted["said"].sum() == pytest.approx(probability.sum())
    # What is flagged, above 0.95, is the last bin.
    assert counted["n"].iloc[-1] == (probability > 0.95).sum()
    bins = counted.assign(world="base", replication=0)
    others = [bins.assign(world="blind: left out"), bins.assign(replication=1, gate=0.0)]
    table = calibration.table(pd.concat([bins, *others]), gate=True)
    np.testing.assert_array_equal(table["n"], bins["n"])
    np.testing.assert_array_equal(calibration.table(pd.concat([bins, *others]))["n"], 2 * bins["n"])


def test_a_target_allows_for_two_standard_errors_and_no_more() -> None:
    values = np.array([0.9, 0.94, 0.92, 0.96])
    records = pd.DataFrame({"world": "base", "method": OURS, "figure": "auroc", "value": values})
    means = averages(records)
    mean, error = values.mean(), values.std(ddof=1) / 2
    assert means.loc[0, "se"] == pytest.approx(error)
    near, far = (Target("base", "auroc", least=mean + k * error) for k in (1.9, 2.1))
    most, over = (Target("base", "auroc", most=mean - k * error) for k in (1.9, 2.1))
    judged = verdicts(means, [near, far, most, over, Target("weak", "auroc", least=0.9)])
    assert judged["verdict"].tolist() == ["ok", "missed", "ok", "missed"]


@pytest.mark.long  # two worlds, each in a process that compiles its own
def test_the_quick_benchmark_runs_in_processes_and_keeps_what_it_found(tmp_path: Path) -> None:
    names = ["null: unrelated", replicate.SEPARATION]
    script = str(ROOT / "benchmarks" / "flags.py")
    found = subprocess.run(
        [sys.executable, script, "--quick", "--out", str(tmp_path), "--worlds", *names],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert (tmp_path / "flags.md").read_text(encoding="utf-8") in found.stdout
    records = pd.read_csv(tmp_path / "flags.csv")
    assert list(records["world"].unique()) == names
    assert (tmp_path / "flags_calibration.png").stat().st_size > 10_000


@pytest.mark.slow
def test_the_quick_benchmark_catches_flags_that_know_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def guess(comparisons: bp.Comparisons, seed: int, model: bp.HierarchicalReward) -> Answer:
        assert model == bp.HierarchicalReward()
        n, rng = len(comparisons), np.random.default_rng(seed)
        said = rng.random(n)
        zero = np.zeros(n)
        return Answer(np.full(n, 0.5), 0.5, said, shift=(zero - 0.1, zero, zero + 0.1))

    monkeypatch.setattr(replicate, "coupled", guess)
    asked = ["--quick", "--jobs", "1", "--out", str(tmp_path), "--worlds", "base"]
    assert flags.main(asked) == 1
    lines = capsys.readouterr().out.splitlines()
    missed = {line.split("|")[2].strip() for line in lines if line.endswith("missed  |")}
    assert {"auroc", "false flags", "shift rmse"} <= missed
