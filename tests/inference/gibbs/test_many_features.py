"""The sampler of many items draws from the posterior that other samplers draw from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import shortest
from monte_carlo import agree
from scipy.sparse import csr_array

import bayes_pref as bp
from bayes_pref.data.sparse_rows import SparseRows
from bayes_pref.inference.gibbs.many_features import ManyFeaturesDensity, ManyFeaturesProblem
from bayes_pref.inference.gibbs.samplers.many_features_sampler import ManyFeaturesSampler

ITEMS, ROWS = 60, 1_500
MODELS: dict[str, dict[str, Any]] = {
    "pairs": {},
    "position": {"position": True},
    "ties": {"ties": True},
    "probit": {"link": "probit"},
    "lapse": {"lapse": True},
    "graded": {},
    "rankings": {},
    "best of several, lapse": {"lapse": True},
}


def world(kind: str = "pairs", items: int = ITEMS, rows: int = ROWS) -> bp.Comparisons:
    """Return comparisons of items of which some are compared rarely, held without zeros."""
    rng = np.random.default_rng(3)
    worth, share = rng.normal(size=items), rng.pareto(1.5, items) + 0.3
    if kind in ("rankings", "best of several, lapse"):
        shown = [
            rng.choice(items, 3, replace=False, p=share / share.sum()) for _ in range(rows // 2)
        ]
        order = np.array([np.argsort(-(worth[each] + rng.gumbel(size=3))) for each in shown])
        frame = pd.DataFrame(
            {
                "who": "all",
                "task": np.repeat(np.arange(len(shown)), 3),
                "item": np.concatenate(shown),
                "rank": order.argsort(axis=1).ravel() + 1,
            }
        )
        columns = {"user": "who", "task": "task", "alternative": "item"}
        if kind == "rankings":
            made = bp.Comparisons.from_tasks(frame, rank="rank", **columns)
        else:
            frame["best"] = frame["rank"] == 1
            made = bp.Comparisons.from_tasks(frame, choice="best", **columns)
    else:
        left = rng.choice(items, rows, p=share / share.sum())
        right = (left + rng.integers(1, items, rows)) % items
        apart = worth[left] - worth[right] + rng.logistic(size=rows)
        won: Any = (apart > 0).astype(float)
        options = {}
        if kind == "ties":
            won = np.where(np.abs(apart) < 0.5, 0.5, won)
        if kind == "graded":
            levels = ["much worse", "worse", "better", "much better"]
            won = np.array(levels)[np.digitize(apart, [-1.5, 0.0, 1.5])]
            options = {"levels": levels}
        frame = pd.DataFrame({"a": left, "b": right, "won": won})
        made = bp.Comparisons.from_items(frame, left="a", right="b", choice="won", **options)
    return replace(made, difference=SparseRows(csr_array(made.difference)))


def dense(comparisons: bp.Comparisons) -> bp.Comparisons:
    return replace(comparisons, difference=np.asarray(comparisons.difference))


def drawn(model: bp.RewardModel, comparisons: bp.Comparisons, seed: int) -> bp.Posterior:
    return bp.fit(model, comparisons, bp.Gibbs(draws=2_000, progress=False), seed=seed)


@pytest.mark.parametrize("kind", ["pairs", "rankings"])
def test_many_items_are_sampled_by_the_sampler_of_many_items(kind: str) -> None:
    comparisons = world(kind)
    model = bp.PooledReward()
    sparse = bp.Gibbs().prepare(model, comparisons)
    assert isinstance(sparse.sampler, ManyFeaturesSampler)
    assert not isinstance(
        bp.Gibbs().prepare(model, dense(comparisons)).sampler, ManyFeaturesSampler
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", shortest([kind for kind in MODELS if "lapse" not in kind], short="pairs")
)
def test_draws_agree_with_those_of_the_other_samplers(kind: str) -> None:
    comparisons = world(kind)
    model = bp.PooledReward(**MODELS[kind])
    many, few = drawn(model, comparisons, 1), drawn(model, dense(comparisons), 2)
    assert not many.findings
    assert agree(many.draws, few.draws)
    # The wrong partner: a prior that is an eighth wider.
    if kind == "pairs":
        wrong = drawn(replace(model, mean_sd=2.25), comparisons, 3)
        assert not agree(wrong.draws, few.draws)


def densities(kind: str) -> tuple[ManyFeaturesDensity, np.ndarray]:
    comparisons, model = world(kind), bp.PooledReward(**MODELS[kind])
    form = model.choice_model(comparisons).kernel_form(comparisons.outcome)
    assert form is not None
    problem = ManyFeaturesProblem.read(model.spec(comparisons), comparisons, form)
    density = ManyFeaturesDensity(problem)
    return density, density.start(np.random.default_rng(0))


def hessian(density: ManyFeaturesDensity, theta: np.ndarray) -> np.ndarray:
    """Return minus the Hessian by central differences of gradients."""
    step = 1e-5 * np.eye(theta.size)
    rows = [
        (density.log_density(theta - each)[1] - density.log_density(theta + each)[1]) / 2e-5
        for each in step
    ]
    return np.array(rows)


def test_few_items_with_lapses_are_left_to_the_general_sampler() -> None:
    program = bp.Gibbs().prepare(bp.PooledReward(lapse=True), world("lapse"))
    assert not isinstance(program.sampler, ManyFeaturesSampler)


@pytest.mark.parametrize("kind", MODELS)
def test_gradients_are_those_of_the_density(kind: str) -> None:
    density, theta = densities(kind)
    _, gradient = density.log_density(theta)
    for k in [0, 7, ITEMS - 1, *range(ITEMS, theta.size)]:
        step = np.zeros(theta.size)
        step[k] = 1e-5
        up, down = (density.log_density(theta + sign * step)[0] for sign in (1, -1))
        # Differences of sums of some 1,000 are exact to 1e-12, over steps of 1e-5.
        assert gradient[k] == pytest.approx((up - down) / 2e-5, abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("kind", ["pairs", "ties", "probit", "graded", "rankings"])
def test_the_curvature_is_the_diagonal_of_the_hessian(kind: str) -> None:
    density, theta = densities(kind)
    exact = np.diag(hessian(density, theta))[:ITEMS]
    np.testing.assert_allclose(density.curvature(theta)[:ITEMS], exact, rtol=1e-5)


@pytest.mark.parametrize("kind", ["pairs", "rankings"])
def test_the_least_curvature_leaves_out_what_no_comparison_informs(kind: str) -> None:
    density, theta = densities(kind)
    scale = 1 / np.sqrt(density.curvature(theta))
    found = density.least_curvature(theta, scale, np.random.default_rng(1))
    whole = hessian(density, theta)[:ITEMS, :ITEMS] * np.outer(scale, scale)[:ITEMS, :ITEMS]
    level = density.problem.levels[0] / scale[:ITEMS]
    level /= np.linalg.norm(level)
    away = np.eye(ITEMS) - np.outer(level, level)
    values = np.linalg.eigvalsh(away @ whole @ away)
    assert abs(values[0]) < 1e-6  # the direction that was taken out
    # 30 Lanczos iterations in 59 dimensions, of which the end is found to a few per cent.
    assert values[1] * 0.999 < found < values[1] * 1.1


def test_levels_have_their_prior_given_the_rest() -> None:
    density, theta = densities("pairs")
    start, rng = theta.copy(), np.random.default_rng(2)
    level, precision = density.problem.levels[0], density.precision
    drawn = []
    for _ in range(4_000):
        density.shift_levels(theta, rng)
        drawn.append(theta.mean())
    # A priori the mean is normal and independent of the differences.
    assert np.ptp(precision) == 0.0
    sd = 2 / np.sqrt(ITEMS)
    assert abs(np.mean(drawn)) < 4 * sd / np.sqrt(4_000)
    assert np.std(drawn) == pytest.approx(sd, rel=4 / np.sqrt(2 * 4_000))
    np.testing.assert_allclose(theta - theta.mean(), start - start.mean(), atol=1e-12)
    assert level.tolist() == [1.0] * ITEMS


def test_draws_depend_on_the_seed_alone_and_resume_from_a_checkpoint(tmp_path: Any) -> None:
    comparisons, model = world(), bp.PooledReward()
    engine = bp.Gibbs(draws=40, warmup=40, chains=2, progress=False)
    with pytest.warns(bp.ConvergenceWarning):
        one = bp.fit(model, comparisons, engine, seed=4)
    with pytest.warns(bp.ConvergenceWarning):
        other = bp.fit(
            model, comparisons, replace(engine, cores=1, checkpoint=tmp_path / "run"), seed=4
        )
    assert one.draws.equals(other.draws)
    program = engine.prepare(model, comparisons)
    chains = [
        program.sampler.chain(program.problem, 40, 1, np.random.default_rng(5), _store(program))
        for _ in range(2)
    ]
    while chains[0].done < 30:
        chains[0].advance()
    chains[1].restore(chains[0].state())
    for chain in chains:
        while chain.done < 60:
            chain.advance()
    np.testing.assert_array_equal(chains[0].theta, chains[1].theta)


def _store(program: Any) -> Any:
    from bayes_pref.inference.gibbs.kernels.store import Store

    return Store(np.empty((40, program.problem.n_columns)), np.empty((40, 0, 0)), np.empty((40, 2)))


def test_rewards_of_many_items_for_each_user_are_refused_by_their_memory() -> None:
    rng = np.random.default_rng(0)
    left = rng.integers(0, 20_000, 40_000)
    votes = pd.DataFrame(
        {
            "who": rng.integers(0, 3_000, 40_000),
            "a": left,
            "b": (left + 1 + rng.integers(0, 19_999, 40_000)) % 20_000,
            "won": rng.integers(0, 2, 40_000),
        }
    )
    with pytest.warns(bp.DataWarning):
        comparisons = bp.Comparisons.from_items(
            votes, user="who", left="a", right="b", choice="won"
        )
    for engine in (None, bp.Gibbs(), bp.Gibbs(users="summary")):
        needed = r"rewards of [\d,]+ items for each of 3,000 users take [\d,]+ GB.*PooledReward"
        with pytest.raises(bp.errors.ModelError, match=needed):
            bp.fit(bp.HierarchicalReward(), comparisons, engine)
    with pytest.raises(bp.errors.DataError, match=r"as an array take .* GB"):
        bp.fit(bp.PooledReward(), comparisons, bp.NUTS(progress=False))
