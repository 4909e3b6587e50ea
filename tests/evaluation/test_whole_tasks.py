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
from bayes_pref.draws import thin
from bayes_pref.evaluation.integrated_likelihood import user_log_likelihood
from bayes_pref.models.choice.stage_choices import log_stages

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.23 announces 1.x
    import arviz


def ranked(
    users: int, *, items: int = 4, places: int = 2, each: int = 5, first: int = 0
) -> bp.Comparisons:
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
            "id": task + first,
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


@pytest.mark.filterwarnings("ignore:.*held-out comparisons are among those")
def test_sets_of_two_have_the_scores_of_pairs(same: tuple[bp.Posterior, bp.Posterior]) -> None:
    one, other = (bp.evaluate(each, each.comparisons) for each in same)
    renamed = other.overall.replace({"score": {"hit_rate": "accuracy"}})
    pd.testing.assert_frame_equal(one.overall, renamed[one.overall.columns], rtol=1e-9)
    by_user = other.users.replace({"score": {"hit_rate": "accuracy"}})
    pd.testing.assert_frame_equal(one.users, by_user, rtol=1e-9)
    # Of a pair, the probability of left; of a task, of what was chosen.
    left = one.rows["choice"] == 1.0
    chosen = np.where(left, one.rows["mean"], 1.0 - one.rows["mean"])
    np.testing.assert_allclose(other.rows["mean"], chosen)
    assert other.overall["chance"].tolist() == pytest.approx([0.5, np.log(0.5), 0.25])
    assert one.shares is None
    assert one.share_error is None


def predicted_by_hand(
    data: bp.Comparisons, weights: np.ndarray
) -> list[tuple[object, object, object, float, float]]:
    """Task, alternative, "best" or "worst", probability and choice, written as for one stage."""
    found = []
    for stage in range(data.outcome.stage[-1] + 1):
        rows = np.flatnonzero(data.outcome.stage == stage)
        worst = bool(data.outcome.worst[stage])
        labels = [data.rows[row] for row in rows]
        utility = np.vstack([np.zeros(len(weights)), -(data.difference[rows] @ weights.T)])
        p = np.exp(utility - logsumexp(utility, axis=0)).mean(axis=1)
        names = [labels[0][2 if worst else 1], *(label[1 if worst else 2] for label in labels)]
        how = "worst" if worst else "best"
        found += [
            (labels[0][0], name, how, float(chance), float(k == 0))
            for k, (name, chance) in enumerate(zip(names, p, strict=True))
        ]
    return found


@pytest.mark.parametrize("best_worst", [False, True])
def test_scores_of_tasks_are_those_of_each_computed_by_hand(best_worst: bool) -> None:
    data = chosen(30, alternatives=4, best_worst=best_worst)
    train, held_out = data.split(by="task", test=0.4)
    posterior = made_posterior(train, bp.PooledReward(), draws=100)
    found = bp.evaluate(posterior, held_out)
    weights = posterior.draws["mu"].to_numpy().reshape(-1, 2)
    exact = predicted_by_hand(held_out, weights)
    assert found.alternatives is not None
    table = found.alternatives[["comparison", "alternative", "choice", "mean", "chosen"]]
    for ours, theirs in zip(table.itertuples(index=False), exact, strict=True):
        assert tuple(ours[:3]) == theirs[:3]
        assert tuple(ours[3:]) == pytest.approx(theirs[3:])
    frame = pd.DataFrame(exact, columns=["task", "alternative", "how", "p", "chosen"])
    stages = frame.groupby(["task", "how"], sort=False)
    hits = stages.apply(lambda part: part.loc[part["p"].idxmax(), "chosen"])
    brier = stages.apply(lambda part: ((part["p"] - part["chosen"]) ** 2).sum() / 2)
    overall = found.overall.set_index("score")
    assert overall.loc["hit_rate", "mean"] == pytest.approx(hits.mean())
    assert overall.loc["brier", "mean"] == pytest.approx(brier.mean())
    each = 2 if best_worst else 1
    assert overall.loc["log_score", "chance"] == pytest.approx(
        -np.log(4) - (np.log(3) if best_worst else 0)
    )
    assert overall.loc["hit_rate", "chance"] == pytest.approx((0.25 + 1 / 3 * (each - 1)) / each)
    stage = log_stages(held_out.difference @ weights.T, held_out.outcome.stage)
    task = stage.reshape(-1, each, len(weights)).sum(axis=1)
    score = logsumexp(task, axis=1) - np.log(len(weights))
    np.testing.assert_allclose(found.rows["log_score"], score)
    assert overall.loc["log_score", "comparisons"] == len(score) == len(found.rows)
    assert found.calibration["comparisons"].sum() == len(frame)
    assert "Error of predicted shares" in repr(found)


def test_shares_of_items_are_compared_with_how_often_they_were_chosen(
    places: bp.Posterior,
) -> None:
    fresh = ranked(8, first=1000)
    found = bp.evaluate(places, fresh)
    assert found.overall["users"].unique().tolist() == ["known", "new", "all"]
    assert found.shares is not None
    shares = found.shares.set_index("alternative")
    assert sorted(shares.index) == ["i0", "i1", "i2", "i3"]
    winners = pd.Series([label[1] for label in dict.fromkeys((r[0], r[1]) for r in fresh.rows)])
    for item, row in shares.iterrows():
        offered = fresh.difference[:, fresh.feature_names.index(str(item))] != 0
        stages = len(np.unique(fresh.outcome.stage[offered]))
        assert row["offered"] == stages
        assert row["mean"] == pytest.approx((winners == item).sum() / stages)
    assert found.share_error == pytest.approx((shares["mean"] - shares["predicted"]).abs().mean())
    # Where sets have alternatives of their own, bins of the probability.
    few = bp.evaluate(places, fresh.take(fresh.user == 0), bins=4)
    assert few.shares is not None
    assert few.shares["bin"].tolist() == [1, 2, 3, 4]


def test_right_predictions_of_shares_err_by_chance_alone() -> None:
    data = chosen(4000, alternatives=4)
    made = made_posterior(data, bp.PooledReward(scale="raw"), chains=1, draws=2)
    truth = np.broadcast_to([1.0, -0.5], (1, 2, 2))
    errors = {}
    for name, mu in (("true", truth), ("wrong", -truth)):
        posterior = replace(made, draws=made.draws.assign(mu=made.draws["mu"].copy(data=mu)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bp.DataWarning)  # scored on the data of the fit
            errors[name] = bp.evaluate(posterior, data)
    right = errors["true"]
    table = right.calibration
    # Observed shares lie within 4.5 errors of right predictions, in every bin, and others do not.
    assert (np.abs(table["mean"] - table["predicted"]) < 4.5 * table["sd"]).all()
    wrong = errors["wrong"].calibration
    assert (np.abs(wrong["mean"] - wrong["predicted"]) > 10 * wrong["sd"]).any()
    assert right.shares is not None
    assert right.share_error < 4.5 * right.shares["error_by_chance"].mean()
    scores = right.overall.set_index("score")
    assert (scores.loc[["hit_rate", "log_score"], "lower"] > scores["chance"].iloc[:2]).all()


def test_tasks_are_not_predicted_by_other_choice_models() -> None:
    pairs = made_posterior(as_stages(made_comparisons()))
    lapsed = made_posterior(made_comparisons(), bp.HierarchicalReward(lapse=True))
    with pytest.raises(bp.DataError, match="several alternatives, and the posterior has a lapse"):
        bp.evaluate(lapsed, pairs.comparisons)


def repeated(users: int, *, same_answers: bool) -> bp.Comparisons:
    """Two sets of three, each shown four times to each user, in two orders."""
    rng = np.random.default_rng(1)
    sets = np.array([[0.1, 0.7, 1.3], [0.2, 0.5, 2.2]])
    rows = []
    for task in range(users * 8):
        prices = sets[task % 2]
        picked = task // 8 % 3 if same_answers else rng.integers(3)
        order = rng.permutation(3)
        rows += [(task // 8, task, prices[k] + task // 2, float(k == picked)) for k in order]
    frame = pd.DataFrame(rows, columns=["who", "task", "price", "taken"])
    return bp.Comparisons.from_tasks(
        frame, user="who", task="task", choice="taken", attributes=["price"]
    )


def test_answers_to_a_set_that_is_repeated_agree_as_often_as_they_do() -> None:
    """Sets are told by how their alternatives differ, whatever was chosen and in which order."""
    found = {}
    for same_answers in (True, False):
        posterior = made_posterior(repeated(9, same_answers=same_answers), draws=50)
        table = bp.posterior_predictive_check(posterior).set_index("statistic")
        found[same_answers] = table["observed"]
    within, across = (
        f"agreement of {which} same set"
        for which in ("a user's answers to the", "different users about the")
    )
    assert found[True][within] == 1.0
    # Three users give each of the three answers: of the pairs of others, 6 of 24 are alike.
    assert found[True][across] == pytest.approx(6 / 24)
    assert 0.1 < found[False][within] < 0.6


def test_statistics_of_tasks_are_those_counted_by_hand(places: bp.Posterior) -> None:
    data = places.comparisons
    table = bp.posterior_predictive_check(places).set_index("statistic")
    mean = places.draws["mu"].mean(("chain", "draw")).to_numpy()
    draws = thin(places.draws, 500)["mu"].transpose("feature", "chain", "draw").to_numpy()
    own = draws.reshape(len(mean), -1)
    hits, predicted, users, chosen = [], [], [], []
    for stage in range(data.outcome.stage[-1] + 1):
        rows = data.outcome.stage == stage
        hits.append((data.difference[rows] @ own > 0).all(axis=0))
        predicted.append(bool((data.difference[rows] @ mean > 0).all()))
        users.append(data.user[rows][0])
        offered = [data.rows[np.flatnonzero(rows)[0]][1], *(row[2] for row in data.rows[rows])]
        chosen.append((offered[0], "i3" in offered))
    assert table.loc["hit rate", "observed"] == pytest.approx(np.mean(hits))
    by_user = pd.Series(predicted).groupby(users).mean()
    spread = table.loc["users' spread: highest mean reward", "observed"]
    assert spread == pytest.approx(by_user.std(ddof=0))
    share = np.mean([winner == "i3" for winner, there in chosen if there])
    assert table.loc["share of i3", "observed"] == pytest.approx(share)
    assert "agreement of different users about the same set" in table.index


@pytest.mark.parametrize("best_worst", [False, True])
def test_checks_of_tasks_find_weights_of_the_wrong_sign_and_accept_the_true_ones(
    best_worst: bool,
) -> None:
    data = chosen(600, alternatives=4, best_worst=best_worst)
    made = made_posterior(data, bp.PooledReward(scale="raw"), chains=1, draws=200)
    p = {}
    for name, mu in (("true", [1.0, -0.5]), ("wrong", [-1.0, 0.5])):
        draws = made.draws["mu"].copy(data=np.broadcast_to(mu, (1, 200, 2)))
        posterior = replace(made, draws=made.draws.assign(mu=draws))
        table = bp.posterior_predictive_check(posterior, seed=3).set_index("statistic")
        p[name] = table["p"]
    assert p["true"].min() > 1e-3
    assert p["wrong"]["hit rate"] < 0.02
    shares = [name for name in p["true"].index if name.startswith("share of ")]
    assert len(shares) == (8 if best_worst else 4)  # by place in the set


def test_users_who_saw_few_of_the_items_are_integrated_over_what_they_saw() -> None:
    """With a reward each for 30 items, by brute force over draws of the population."""
    rng = np.random.default_rng(4)
    rows = [
        (task // 2, task, f"i{item}", 1.0 if place == 0 else None)
        for task in range(40)
        for place, item in enumerate(rng.permutation(30)[:3])
    ]
    frame = pd.DataFrame(rows, columns=["who", "id", "item", "place"])
    data = bp.Comparisons.from_rankings(frame, user="who", ranking="id", item="item", rank="place")
    posterior = made_posterior(data, bp.HierarchicalReward(), chains=1, draws=3)
    population = posterior.model.population(posterior.draws, data)
    assert population is not None
    found = user_log_likelihood(posterior.model, population, posterior.draws, data)
    for user in (0, 7):
        own = population.of_user(user)
        mine, z = data.user == user, rng.standard_normal((200_000, data.n_features))
        for sample in range(3):
            weights = own.mean[sample, 0] + z @ own.of_component(0)[sample].T
            stages = log_stages(data.difference[mine] @ weights.T, data[user].outcome.stage)
            p = np.exp(stages.sum(axis=0))
            error = p.std() / np.sqrt(len(p)) / p.mean()
            assert abs(found[user, sample] - np.log(p.mean())) < 4 * np.hypot(error, 0.1)


@pytest.mark.long
@pytest.mark.parametrize("lapse", [False, True])
def test_the_default_engine_is_calibrated_on_tasks(lapse: bool) -> None:
    """The log likelihood that is ranked is that of the choices simulated, 0 where they differ."""
    data = chosen(20, alternatives=4, best_worst=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        model = bp.PooledReward(lapse=lapse)
        found = bp.sbc(model, data, replications=20, progress=False)
    sites = ["mu[cost]", "mu[time]", *["lapse"] * lapse]
    assert found.ranks.columns.tolist() == [*sites, "log_likelihood"]
    assert found.passed(0.001)
