"""Held-out scores, leave-one-out and comparisons of models, against independent computations."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from made_posteriors import made_comparisons, made_posterior
from monte_carlo import mean_and_error
from scipy.special import expit, logsumexp
from scipy.stats import binom

import bayes_pref as bp
from bayes_pref.evaluation.integrand_mode import LinearEta, LogisticChoices
from bayes_pref.evaluation.integrated_likelihood import log_marginal
from bayes_pref.evaluation.model_comparison import stacking_weights
from bayes_pref.evaluation.score_tables import RANGES
from bayes_pref.evaluation.scores import clustered_error, mean_with_error, wilson
from bayes_pref.models.population import Population
from bayes_pref.posterior.arviz_bridge import HAS_INFERENCE_DATA

with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)  # ArviZ 0.23 announces 1.x
    import arviz

GIBBS = bp.Gibbs(draws=500, chains=2, progress=False)
Fitted = dict[str, bp.Posterior]


def fitted(comparisons: bp.Comparisons, engine: bp.Gibbs = GIBBS, seed: int = 0) -> Fitted:
    models = {"pooled": bp.PooledReward(), "hierarchical": bp.HierarchicalReward()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return {k: bp.fit(model, comparisons, engine, seed=seed) for k, model in models.items()}


@pytest.fixture(scope="module")
def small() -> Fitted:
    world = bp.simulate(users=15, comparisons=8, features=2, contexts=0, seed=4)
    return fitted(world.comparisons)


@pytest.mark.skipif(not HAS_INFERENCE_DATA, reason="ArviZ 1.x has another interface")
def test_leaving_out_comparisons_gives_what_arviz_gives(small: Fitted) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = {k: arviz.loo(each.idata, pointwise=True) for k, each in small.items()}
        table = arviz.compare({k: each.idata for k, each in small.items()})
        ours = {k: bp.loo(each) for k, each in small.items()}
    for name, found in ours.items():
        elpd, k = theirs[name].loo_i.to_numpy(), theirs[name].pareto_k.to_numpy()
        assert np.allclose(found.pointwise["elpd"], elpd, rtol=0, atol=1e-10)
        assert np.allclose(found.pointwise["pareto_k"], k, rtol=0, atol=1e-10)
        assert found.p_loo == pytest.approx(theirs[name].p_loo)
        # Errors are clustered; where every row is a user, they are the usual ones.
        plain = clustered_error(elpd, np.arange(len(elpd))) * len(elpd)
        assert plain == pytest.approx(theirs[name].se, rel=1 / len(elpd))
    compared = bp.compare(ours)
    assert compared.index.tolist() == table.index.tolist()
    assert np.allclose(compared["difference"], -table["elpd_diff"])
    assert np.allclose(compared["weight"], table["weight"].astype(float), atol=1e-3)


def test_a_user_is_integrated_out_as_by_quadrature() -> None:
    nodes = np.linspace(
        -7, 7, 701
    )  # steep choices need steps of 0.02; 80 Hermite nodes err by 0.06
    z = np.stack(np.meshgrid(nodes, nodes), axis=-1).reshape(-1, 2)
    weight = -0.5 * (z**2).sum(axis=1) + 2 * np.log((nodes[1] - nodes[0]) / np.sqrt(2 * np.pi))
    rng = np.random.default_rng(0)
    for sd, rows in ((0.2, 5), (1.5, 12), (1.5, 1), (4.0, 20)):
        design = sd * rng.normal(size=(1, rows, 2))
        centre = rng.normal(size=(1, rows))
        choice = (rng.random(rows) < 0.7).astype(float)
        eta = centre + z @ design[0].T
        exact = logsumexp(-np.logaddexp(0, (1 - 2 * choice) * eta).sum(axis=1) + weight)

        def of_rows(eta: np.ndarray, _part: object, choice: np.ndarray = choice) -> np.ndarray:
            return -np.logaddexp(0, (1 - 2 * choice) * eta).sum(axis=-1)

        made = LogisticChoices(choice)
        found = [
            log_marginal(LinearEta(centre, design), made, of_rows, seed=seed)[0]
            for seed in range(20)
        ]
        # Points are added until the relative error would be 0.1 were they independent; they are
        # spread more evenly, and err by half of that.
        assert np.abs(np.array(found) - exact).max() < 4 * 0.05
        assert abs(np.mean(found) - exact) < 4 * 0.05 / np.sqrt(20)
        # The wrong partner, the user of mean weights, is told apart where the data say enough.
        naive = of_rows(centre[:, None], slice(None), choice)[0, 0]
        assert sd < 1 or rows < 12 or abs(naive - exact) > 4 * 0.05


def test_a_population_without_spread_needs_no_integral(small: Fitted) -> None:
    found = bp.loo(small["pooled"], by="user").pointwise
    by_row = bp.loo(small["pooled"]).pointwise.groupby("user", sort=False)["elpd"].sum()
    assert found["comparison"].tolist() == [8] * 15
    # Everyone has the same weights, so leaving out 8 rows or each of them differs a little only.
    assert np.abs(found["elpd"].to_numpy() - by_row.to_numpy()).max() < 1.0


@pytest.mark.slow
def test_leaving_out_users_is_what_refitting_without_them_gives() -> None:
    world = bp.simulate(
        users=8, comparisons=10, features=1, contexts=0, heterogeneity=1.5, mean=0.5, seed=3
    )
    comparisons, model = world.comparisons, bp.HierarchicalReward(scale="raw")
    engine = bp.Gibbs(draws=4000, chains=2, progress=False)
    whole = bp.fit(model, comparisons, engine)
    ours = bp.loo(whole, by="user").pointwise["elpd"].to_numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        rows = bp.loo(whole).pointwise
    wrong = rows.groupby("user", sort=False)["elpd"].sum().to_numpy()
    nodes, masses = np.polynomial.hermite_e.hermegauss(60)
    exact, error = np.empty(8), np.empty(8)
    for user, label in enumerate(comparisons.users):
        rest = comparisons.take(comparisons.user != user)
        draws = bp.fit(model, rest, engine, seed=user + 1).draws
        w = draws["mu"].to_numpy() + draws["tau"].to_numpy() * nodes  # one feature
        own = comparisons[label]
        sign = (2 * own.choice - 1) * own.difference[:, 0]
        p = np.exp(-np.logaddexp(0, -sign * w[..., None]).sum(axis=-1)) @ masses
        mean, deviation = mean_and_error(p[..., None] / np.sqrt(2 * np.pi))
        exact[user], error[user] = np.log(mean[0]), deviation[0] / mean[0]
    # 1,000 draws reweighted (as effective as k says), and 0.05 of each integral.
    allowed = 4 * np.hypot(error, np.hypot(0.05, 0.1))
    assert (np.abs(ours - exact) < allowed).all(), (ours - exact, allowed)
    assert abs(ours.sum() - exact.sum()) < 4 * np.sqrt((error**2 + 0.05**2 + 0.03**2).sum())
    assert (np.abs(wrong - exact) > allowed).any()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Pareto k")  # a user's weights rest on 15 rows, one counts much
@pytest.mark.parametrize("by", ["comparison", pytest.param("user", marks=pytest.mark.long)])
def test_users_who_differ_are_predicted_better_by_a_model_that_lets_them(by: str) -> None:
    sizes = {"users": 60, "comparisons": 15, "features": 3, "contexts": 0}
    apart = bp.simulate(**sizes, heterogeneity=1.5, seed=0)
    found = bp.compare(fitted(apart.comparisons), by=by)
    assert found.index[0] == "hierarchical"
    assert found.loc["pooled", "difference"] < -3 * found.loc["pooled", "difference_se"]
    alike = bp.simulate(**sizes, heterogeneity=0.0, seed=0)
    found = bp.compare(fitted(alike.comparisons), by=by)
    # Not better by more than a few errors, nor by more than 4, where nothing is to be gained.
    gain = found.loc["hierarchical", "elpd"] - found.loc["pooled", "elpd"]
    assert gain < 4


def test_pareto_k_above_the_threshold_is_said_with_what_to_do() -> None:
    wild = made_posterior()  # draws around centres that the choices know nothing of
    with pytest.warns(bp.ConvergenceWarning, match=r"above 0.7 for \d+ of 60 comparisons.*by='use"):
        found = bp.loo(wild)
    assert found.bad > 0
    assert "above 0.7" in repr(found)


def test_models_of_different_comparisons_are_not_compared(small: Fitted) -> None:
    other = made_posterior()
    with pytest.raises(bp.DataError, match="'a' and 'b' were fitted to different comparisons"):
        bp.compare({"a": small["pooled"], "b": other})
    with pytest.raises(bp.DataError, match="at least two posteriors"):
        bp.compare({"a": small["pooled"]})
    with pytest.raises(bp.DataError, match="left out by user"):
        bp.compare({"a": bp.loo(small["pooled"], by="user"), "b": small["hierarchical"]})
    with pytest.raises(bp.DataError, match="by must be"):
        bp.loo(small["pooled"], by="item")
    with pytest.raises(bp.ModelError, match="expected a Posterior"):
        bp.loo(3)


def test_stacking_finds_the_mixture_that_predicts_best() -> None:
    rng = np.random.default_rng(1)
    elpd = np.log(rng.uniform(0.1, 0.9, size=(200, 2)))
    grid = np.linspace(0, 1, 2001)
    scores = np.log(np.exp(elpd) @ np.stack([grid, 1 - grid])).sum(axis=0)
    assert stacking_weights(elpd)[0] == pytest.approx(grid[scores.argmax()], abs=1e-3)


def test_errors_that_cluster_cover_and_others_do_not() -> None:
    rng = np.random.default_rng(5)
    users, rows, worlds = 40, 10, 600
    user = np.repeat(np.arange(users), rows)
    covered = np.zeros(2)
    for _ in range(worlds):
        scores = rng.normal(size=users)[user] + rng.normal(size=user.size)
        for k, unit in enumerate((user, np.arange(user.size))):
            found = mean_with_error(scores, unit, 0.9)
            covered[k] += found["lower"] < 0 < found["upper"]
    low, high = binom.ppf([5e-5, 1 - 5e-5], worlds, 0.9)
    assert low <= covered[0] <= high
    assert covered[1] < low  # rows taken for independent


def test_known_users_are_predicted_by_their_weights_and_new_ones_by_the_population() -> None:
    whole = bp.simulate(users=12, comparisons=10, features=2, contexts=0, seed=2).comparisons
    train, new = whole.split(by="user", test=0.25)
    train, own = train.split(by="comparison", test=0.3)
    both = whole.take(np.isin(whole.rows, [*new.rows, *own.rows]))
    posterior = fitted(train)["hierarchical"]
    found = bp.evaluate(posterior, both)
    rows = found.rows.set_index("comparison")
    assert rows["known"].sum() == len(own)
    assert set(rows.loc[~rows["known"], "user"]) == set(new.users)
    for data, users in ((own, None), (new, "population")):
        weights = posterior.weights_draws(users).to_numpy().reshape(1000, -1, 2)
        place = data.user * 0 if users else train.users.get_indexer(data.users)[data.user]
        p = expit((weights[:, place] * data.difference).sum(axis=2)).mean(axis=0)
        assert np.allclose(rows.loc[data.rows, "mean"], p)
        made = np.where(data.choice == 1, p, 1 - p)
        assert np.allclose(rows.loc[data.rows, "log_score"], np.log(made))
        assert np.allclose(rows.loc[data.rows, "brier"], (1 - made) ** 2)
        assert (rows.loc[data.rows, "accuracy"] == (made > 0.5)).all()
    table = found.overall.set_index(["users", "score"])
    assert table.loc[("new", "brier"), "mean"] == pytest.approx(rows.loc[new.rows, "brier"].mean())
    assert table.loc[("all", "brier"), "comparisons"] == len(both)
    assert (~found.users.set_index("user").loc[list(new.users), "known"]).all()
    assert found.calibration["comparisons"].sum() == len(both)
    assert bp.plots.reliability(found).has_data()


def test_calibration_bins_cover_true_probabilities_and_not_exaggerated_ones() -> None:
    world = bp.simulate(users=150, comparisons=20, features=2, contexts=0, seed=6)
    train, test = world.comparisons.split(by="comparison", test=0.5)
    posterior = fitted(train)["hierarchical"]
    bins = bp.evaluate(posterior, test, interval=0.999).calibration
    assert ((bins["lower"] < bins["predicted"]) & (bins["predicted"] < bins["upper"])).all()
    sure = posterior.draws.assign(weights=3 * posterior.draws["weights"])
    wrong = bp.Posterior(
        posterior.model, train, sure, posterior.sample_stats, posterior.run, posterior.seed
    )
    bins = bp.evaluate(wrong, test, interval=0.999).calibration
    assert ((bins["lower"] > bins["predicted"]) | (bins["predicted"] > bins["upper"])).any()


def test_held_out_data_that_cannot_be_scored_are_refused(small: Fitted) -> None:
    posterior = made_posterior()
    with pytest.raises(bp.DataError, match="features"):
        bp.evaluate(small["pooled"], made_comparisons())
    with pytest.warns(bp.DataWarning, match="60 of the 60 held-out comparisons are among those"):
        bp.evaluate(posterior, posterior.comparisons)
    tied = bp.simulate(users=5, features=2, contexts=0, ties=0.3, seed=0).comparisons
    with pytest.raises(bp.DataError, match=r"has .* ties, the first in row"):
        bp.evaluate(small["pooled"], tied)
    with pytest.raises(bp.DataError, match="bins must be a whole number"):
        bp.evaluate(posterior, posterior.comparisons, bins=0)
    with pytest.raises(bp.DataError, match="expected Comparisons"):
        bp.evaluate(posterior, 3)


def test_a_single_row_has_no_error_of_its_own() -> None:
    assert np.isnan(mean_with_error(np.array([1.0]), np.array([0]), 0.9)["sd"])


def test_users_are_integrated_out_under_their_choice_model() -> None:
    world = bp.simulate(users=4, comparisons=5, features=2, contexts=0, ties=0.3, seed=1)
    comparisons, rows = world.comparisons, slice(5, 10)
    rng = np.random.default_rng(0)
    tie, lapse = rng.normal(size=6), rng.uniform(0.01, 0.1, size=6)
    model = bp.Logit(ties=True, lapse=True)
    eta, choice = rng.normal(size=(2, 3, 5)), comparisons.choice[rows]
    choices = model.at(tie=tie, lapse=lapse).take(slice(4, 6))
    found = model.joint_log_likelihood(choices, eta, choice, comparisons.outcome)
    for sample in range(2):
        one = model.at(tie=tie[[4 + sample]], lapse=lapse[[4 + sample]])
        for point in range(3):
            alone = one.log_likelihood(eta[sample, point][:, None], choice)
            assert found[sample, point] == pytest.approx(alone.sum())


@pytest.mark.slow
def test_the_population_of_a_model_has_the_moments_of_its_new_users() -> None:
    comparisons = made_comparisons(covariates=True)
    rng = np.random.default_rng(0)
    for model in (
        bp.HierarchicalReward(),
        bp.HierarchicalReward(covariance="full", exposure=True),
        bp.LowRankReward(rank=1),
        bp.MixtureReward(components=2),
    ):
        if isinstance(model, bp.MixtureReward):
            draws = model.prior_predictive(comparisons, draws=400)
        else:
            draws = made_posterior(comparisons, model, draws=1000).draws
        population = model.population(draws, comparisons)
        assert isinstance(population, Population)
        drawn = population.draw(comparisons.n_users, rng).reshape(-1, 3)
        theirs = model.new_user_weights(draws, comparisons, rng).to_numpy().reshape(-1, 3)
        error = theirs.std(axis=0) / np.sqrt(len(theirs)) * 1.2
        assert (np.abs(drawn.mean(axis=0) - theirs.mean(axis=0)) < 4.5 * error).all()
        # The sd of an sd is about sd / sqrt(2 n) for normal draws; these are mixtures, at most 2x.
        assert np.allclose(drawn.std(axis=0), theirs.std(axis=0), rtol=8 / np.sqrt(2 * len(theirs)))


def test_intervals_of_scores_stay_inside_their_ranges(small: Fitted) -> None:
    world = bp.simulate(users=60, comparisons=3, features=2, contexts=0, seed=4)
    others = world.comparisons.take(world.comparisons.user >= 15)
    found = bp.evaluate(small["hierarchical"], others)
    for table in (found.users, found.overall):
        for score in ("accuracy", "log_score", "brier"):
            low, high = RANGES[score]
            bounds = table[table["score"] == score]
            assert ((bounds["lower"] >= low) & (bounds["upper"] <= high)).all()
            assert ((bounds["lower"] <= bounds["mean"]) & (bounds["mean"] <= bounds["upper"])).all()
    sure = found.users[(found.users["score"] == "accuracy") & (found.users["mean"] == 1.0)]
    assert len(sure) > 3
    assert (sure["lower"] < 0.9).all()  # three right answers are no certainty


def test_the_interval_of_an_accuracy_covers_and_a_cut_one_does_not() -> None:
    share, size = 0.9, 8
    hits = np.arange(size + 1)
    weight = binom.pmf(hits, size, share)
    low, high = wilson(hits / size, size, 1.645)
    sd = np.sqrt(hits / size * (1 - hits / size) / (size - 1))
    assert weight[(low <= share) & (share <= high)].sum() > 0.85
    assert weight[np.abs(hits / size - share) <= 1.895 * sd].sum() < 0.75
