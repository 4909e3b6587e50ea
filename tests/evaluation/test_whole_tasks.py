"""Tasks among several alternatives: split, scored, replicated and left out as a whole."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior
from scipy.special import logsumexp

import bayes_pref as bp
from bayes_pref.data import Ranking
from bayes_pref.models.choice.stage_choices import log_stages

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.23 announces 1.x
    import arviz


def ranked(users: int, *, items: int = 4, places: int = 2, each: int = 5) -> bp.Comparisons:
    """Rankings of the best `places` of `items` by each of `users`, who have one taste."""
    rng = np.random.default_rng(users)
    worth = np.linspace(-1, 1, items)
    order = np.argsort(-(worth + rng.gumbel(size=(users * each, items))), axis=1)
    place = np.argsort(order, axis=1) + 1.0
    place[place > places] = np.nan
    task = np.repeat(np.arange(users * each), items)
    frame = pd.DataFrame(
        {
            "who": task // each,
            "id": task,
            "drink": np.tile([f"i{k}" for k in range(items)], users * each),
            "place": place.ravel(),
        }
    )
    return bp.Comparisons.from_rankings(frame, user="who", ranking="id", item="drink", rank="place")


def as_stages(pairs: bp.Comparisons) -> bp.Comparisons:
    """The same choices between two, as stages of two alternatives."""
    turned = np.where(pairs.choice == 1.0, 1.0, -1.0)
    return replace(
        pairs,
        difference=turned[:, None] * pairs.difference,
        choice=np.ones(len(pairs)),
        outcome=Ranking(np.arange(len(pairs))),
    )


@pytest.fixture(scope="module")
def same() -> tuple[bp.Posterior, bp.Posterior]:
    """The same draws of weights, of choices between two and of stages of two."""
    pairs = made_comparisons(rows=60)
    one, other = (made_posterior(data, draws=200) for data in (pairs, as_stages(pairs)))
    return one, other


@pytest.fixture(scope="module")
def places() -> bp.Posterior:
    return made_posterior(ranked(6), bp.PooledReward(), draws=200)


@pytest.mark.parametrize("by", ["comparison", "task"])
def test_a_split_holds_out_whole_tasks_of_each_user(by: str) -> None:
    data = ranked(12)
    train, test = data.split(by=by, test=0.4, seed=1)
    ids = [{label[0] for label in part.rows} for part in (train, test)]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == 60
    assert len(ids[1]) == 24
    assert train.n_users == 12
    for part in (train, test):
        assert np.bincount(part.outcome.task).tolist() == [2] * (part.outcome.task[-1] + 1)
    # A user with a single task keeps it.
    lone = data.take(np.isin(data.outcome.task_of_rows, [0, 5, 6, 7]))
    assert lone.split(by=by, test=0.9)[0].n_users == 2


def test_a_pair_is_a_task_of_its_own() -> None:
    data = bp.simulate(users=6, seed=0).comparisons
    one, other = (data.split(by=by, seed=3)[1].rows for by in ("comparison", "task"))
    assert one.equals(other)


@pytest.mark.filterwarnings("ignore:Pareto k")  # draws around centres that choices know nothing of
@pytest.mark.parametrize("by", ["comparison", "user"])
def test_leaving_out_sets_of_two_is_leaving_out_pairs(
    same: tuple[bp.Posterior, bp.Posterior], by: bp.evaluation.leave_one_out.By
) -> None:
    one, other = (bp.loo(each, by=by) for each in same)
    for column in ("elpd", "p_loo", "pareto_k"):
        theirs = other.pointwise[column].to_numpy()
        # By user, modes are found by other sums, and points move with them.
        allowed = 1e-9 if by == "comparison" else 1e-3
        np.testing.assert_allclose(one.pointwise[column], theirs, rtol=allowed, atol=allowed)
    assert one.se == pytest.approx(other.se, rel=1e-3)
    assert "120 comparisons" in repr(one) or by == "user"
    assert "120 tasks" in repr(other) or by == "user"


def test_the_log_likelihood_of_a_ranking_is_that_of_its_exploded_choices(
    places: bp.Posterior,
) -> None:
    data = places.comparisons
    found = places.idata["log_likelihood"]["choice"]
    assert found.dims == ("chain", "draw", "task")
    assert found["task"].to_numpy().tolist() == list(range(30))
    weights = places.draws["mu"].to_numpy().reshape(-1, 4)
    # By hand: each place is a choice by softmax among those that are left.
    for task in (0, 17):
        names = [label for label in data.rows if label[0] == task]
        order = [better for better, _ in dict.fromkeys((b, b) for _, b, _ in names)]
        last = [worse for _, better, worse in names if better == order[-1]]
        worth = weights[:, [data.feature_names.index(name) for name in [*order, *last]]]
        exact = sum(worth[:, k] - logsumexp(worth[:, k:], axis=1) for k in range(len(order)))
        np.testing.assert_allclose(found.to_numpy().reshape(-1, 30)[:, task], exact)
    stages = log_stages(data.difference @ weights.T, data.outcome.stage)
    total = found.sum("task").to_numpy().ravel()
    np.testing.assert_allclose(total, stages.sum(axis=0))
    # ArviZ reads it, and leaves out whole tasks as `bp.loo` does.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs, ours = arviz.loo(places.idata, pointwise=True), bp.loo(places)
    assert len(ours.pointwise) == 30
    assert np.asarray(ours.pointwise["comparison"]).tolist() == list(range(30))
    elpd = getattr(theirs, "loo_i", None)
    elpd = theirs.elpd_i if elpd is None else elpd
    np.testing.assert_allclose(ours.pointwise["elpd"], np.asarray(elpd).ravel(), atol=1e-8)
    assert places.idata["posterior_predictive"]["choice"].shape[-1] == len(data)


def test_tasks_numbered_within_users_have_their_own_labels() -> None:
    data = ranked(3)
    rows = pd.Index([(label[0] % 5, *label[1:]) for label in data.rows], tupleize_cols=False)
    again = replace(data, rows=rows)
    assert again.tasks[5] == "(1, 0)"
    assert again.tasks.is_unique
    assert made_comparisons().tasks[0] == "row 0"


def chosen(tasks: int, *, alternatives: int, best_worst: bool = False) -> bp.Comparisons:
    """Tasks of one user a task, by random profiles of two attributes."""
    rng = np.random.default_rng(tasks)
    x = rng.normal(size=(tasks, alternatives, 2))
    utility = x @ [1.0, -0.5] + rng.gumbel(size=(tasks, alternatives))
    frame = pd.DataFrame(x.reshape(-1, 2), columns=["cost", "time"])
    frame["who"] = np.repeat(np.arange(tasks) // 2, alternatives)
    frame["task"] = np.repeat(np.arange(tasks), alternatives)
    frame["best"] = (utility == utility.max(axis=1, keepdims=True)).ravel()
    frame["worst"] = (utility == utility.min(axis=1, keepdims=True)).ravel()
    how = {"best": "best", "worst": "worst"} if best_worst else {"choice": "best"}
    return bp.Comparisons.from_tasks(
        frame, user="who", task="task", attributes=["cost", "time"], **how
    )


@pytest.mark.parametrize("best_worst", [False, True])
def test_leaving_out_a_task_is_what_the_posterior_without_it_gives(best_worst: bool) -> None:
    """Exact posteriors on a grid of both weights, from which the draws are taken, too."""
    data = chosen(40, alternatives=4, best_worst=best_worst)
    grid = np.linspace(-6.0, 6.0, 301)
    weights = np.stack(np.meshgrid(grid, grid), axis=-1).reshape(-1, 2)
    stages = log_stages(data.difference @ weights.T, data.outcome.stage)
    tasks = np.add.reduceat(stages, np.flatnonzero(np.diff(data.outcome.task, prepend=-1)), axis=0)
    prior = -0.5 * (weights**2).sum(axis=1) / 2.0**2
    joint = prior + tasks.sum(axis=0)
    exact = logsumexp(joint) - logsumexp(joint - tasks, axis=1)
    mass = np.exp(joint - logsumexp(joint))
    drawn = weights[np.random.default_rng(0).choice(len(weights), size=4000, p=mass)]
    model = bp.PooledReward(scale="raw", mean_sd=2.0)
    made = made_posterior(data, model, chains=1, draws=4000)
    posterior = replace(made, draws=made.draws.assign(mu=made.draws["mu"].copy(data=drawn[None])))
    found = bp.loo(posterior, by="task").pointwise["elpd"].to_numpy()
    assert len(found) == 40
    # Monte Carlo error of the mean of 1 / p over the draws, on the log scale.
    inverse = np.exp(-tasks)
    spread = np.sqrt(inverse**2 @ mass - (inverse @ mass) ** 2) / (inverse @ mass)
    allowed = 4.0 * spread / np.sqrt(4000)
    assert (np.abs(found - exact) < allowed).all()
    # The wrong partner: stages left out one at a time, of which a task has two, or not at all.
    apart = [logsumexp(joint) - logsumexp(joint - stage) for stage in stages]
    wrong = np.bincount(data.outcome.task, apart) if best_worst else tasks @ mass
    assert (np.abs(found - wrong) > allowed).any()
