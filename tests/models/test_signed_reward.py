"""Weights of one sign: constraints are read, refused, obeyed, and sampled exactly."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cases import SIGNED, small_comparisons
from monte_carlo import agree, mean_and_error
from scipy.special import log_expit, logsumexp
from scipy.stats import halfnorm, norm

import bayes_pref as bp
from bayes_pref.models.signs import Signs

Array = np.ndarray[Any, Any]


def phones(users: int = 20, tasks: int = 8, seed: int = 0) -> tuple[bp.Comparisons, pd.DataFrame]:
    """Choices among three, and true weights: price lowers the reward, a better camera raises it."""
    rng = np.random.default_rng(seed)
    n = users * tasks * 3
    frame = pd.DataFrame(
        {
            "who": np.repeat(np.arange(users), tasks * 3),
            "task": np.repeat(np.arange(users * tasks), 3),
            "price": rng.uniform(1.0, 4.0, n),
            "camera": rng.choice(["poor", "fair", "good"], n),
            "brand": rng.choice(["A", "B", "C"], n),
        }
    )
    weights = pd.DataFrame(
        {
            "price": -np.exp(rng.normal(0.0, 0.5, users)),
            "camera[poor to fair]": np.exp(rng.normal(0.0, 0.4, users)),
            "camera[fair to good]": np.exp(rng.normal(-1.0, 0.4, users)),
        }
    )
    own = weights.loc[frame["who"]].reset_index(drop=True)
    reward = own["price"] * frame["price"]
    reward += own["camera[poor to fair]"] * (frame["camera"] != "poor")
    reward += own["camera[fair to good]"] * (frame["camera"] == "good")
    best = (reward + rng.gumbel(size=n)).groupby(frame["task"]).idxmax()
    frame["bought"] = np.isin(frame.index, best).astype(int)
    return read(frame), weights


def read(frame: pd.DataFrame, **changes: Any) -> bp.Comparisons:
    options: dict[str, Any] = {
        "attributes": ["price", "camera", "brand"],
        "coding": {"camera": "steps"},
        "order": {"camera": ["poor", "fair", "good"]},
    }
    roles = {"user": "who", "task": "task", "choice": "bought"}
    return bp.Comparisons.from_tasks(frame, **roles, **(options | changes))


CONSTRAINTS: dict[str, Any] = {"price": "negative", "camera": "increasing"}
MODEL = bp.HierarchicalReward(constraints=CONSTRAINTS)


@pytest.fixture(scope="module")
def fitted() -> tuple[bp.Posterior, pd.DataFrame]:
    comparisons, truth = phones()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)  # short chains
        engine = bp.Gibbs(draws=300, warmup=300, chains=2, progress=False)
        return bp.fit(MODEL, comparisons, engine, seed=1), truth


@pytest.mark.parametrize(
    ("constraints", "expected"),
    [
        ({"price": "negative", "camera": "increasing"}, [-1, 1, 1, 0, 0]),
        ({"camera": "decreasing", "brand": "positive"}, [0, -1, -1, 1, 1]),
        ({"camera[fair to good]": "positive", "brand[C]": "negative"}, [0, 0, 1, 0, -1]),
        ({"camera": "increasing", "camera[poor to fair]": "positive"}, [0, 1, 1, 0, 0]),
    ],
)
def test_constraints_are_of_attributes_and_of_levels(constraints: Any, expected: list[int]) -> None:
    signs = bp.HierarchicalReward(constraints=constraints).spec(phones(4, 6)[0]).signs
    assert signs is not None
    np.testing.assert_array_equal(signs.sign, expected)


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"prize": "negative"}, "unknown attribute 'prize'; did you mean 'price'?"),
        ({"brand[D]": "negative"}, r"'brand' has no level 'D'; it has 'brand\[B\]' and"),
        ({"brand[A]": "negative"}, "level 'A' is the baseline of 'brand', which has no weight"),
        ({"camera[poor to good]": "positive"}, "'camera' has no step 'poor to good'; it has"),
        ({"price": "increasing"}, "'price' is a number, whose weight is 'negative' or 'positive'"),
        ({"brand": "increasing"}, r"'steps'} and order={'brand': \[...\]}"),
        ({"brand[B]": "decreasing"}, r"'brand\[B\]' is one feature of 'brand', whose weight is"),
        (
            {"camera": "increasing", "camera[poor to fair]": "negative"},
            r"'camera' increasing and 'camera\[poor to fair\]' negative contradict each other",
        ),
    ],
)
def test_constraints_that_these_data_cannot_have_are_refused(
    constraints: Any, message: str
) -> None:
    model = bp.PooledReward(constraints=constraints)
    with pytest.raises(bp.ModelError, match=message) as caught:
        model.check(phones(4, 6)[0])
    assert str(caught.value).count("\n") == 0


@pytest.mark.parametrize(
    ("constraints", "message"),
    [
        ({"price": "down"}, "expected 'price' to be 'negative', 'positive'"),
        ({"price": -1}, "expected 'price' to be 'negative'"),
        (["price"], "expected a dict by attribute, like {'price': 'negative'}"),
        ({3: "negative"}, "expected a dict by attribute"),
    ],
)
def test_what_is_no_constraint_is_refused_at_once(constraints: Any, message: str) -> None:
    with pytest.raises(bp.ModelError, match=message):
        bp.HierarchicalReward(constraints=constraints)


def test_an_order_of_levels_needs_steps_in_that_order() -> None:
    rng = np.random.default_rng(0)
    votes = pd.DataFrame(
        {
            "who": 1,
            "task": np.repeat(np.arange(20), 3),
            "bought": np.tile([1, 0, 0], 20),
            "camera": rng.choice(["poor", "fair", "good"], 60),
        }
    )
    with pytest.raises(bp.DataError, match="'camera' has levels in no order, and so no steps"):
        read(votes, attributes=["camera"], coding="steps", order=None)
    effect = read(votes, attributes=["camera"], coding="effect")
    with pytest.raises(bp.ModelError, match="cannot be increasing in effect coding"):
        bp.PooledReward(constraints={"camera": "increasing"}).check(effect)


def test_items_with_a_reward_each_have_no_attribute_to_constrain() -> None:
    votes = pd.DataFrame({"who": 1, "left": list("aabb"), "right": list("bcca"), "won": 1})
    comparisons = bp.Comparisons.from_items(
        votes, user="who", left="left", right="right", choice="won"
    )
    with pytest.raises(bp.ModelError, match="every item has a reward of its own here"):
        bp.PooledReward(constraints={"a": "negative"}).check(comparisons)


def test_settings_without_constraints_are_as_before() -> None:
    assert "constraints" not in bp.HierarchicalReward().settings()
    assert MODEL.settings()["constraints"] == CONSTRAINTS
    assert hash(MODEL) == hash(bp.HierarchicalReward())
    assert bp.HierarchicalReward() != MODEL


def test_fit_picks_gibbs() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        posterior = bp.fit(SIGNED["diagonal, negative"], small_comparisons())
    assert posterior.run.engine == "Gibbs"
    assert (posterior.draws["weights"].sel(feature="polite") <= 0).all()


def test_sds_of_weights_are_those_of_a_log_normal_and_give_those_of_logarithms_back() -> None:
    rng = np.random.default_rng(0)
    signs = Signs(np.array([-1.0, 1.0, 0.0]), np.zeros(3))
    mu = signs.weights(rng.normal(size=(50, 3)))
    spread = np.exp(rng.normal(-1.0, 2.0, size=(50, 3))).clip(1e-9, 4.0)
    np.testing.assert_allclose(signs.log_spread(mu, signs.spread(mu, spread)), spread, rtol=1e-6)
    np.testing.assert_allclose(signs.weights(signs.location(mu)), mu, rtol=1e-14)
    median, sds = np.array([-2.0, 3.0, 1.0]), np.full(3, 0.3)
    drawn = signs.weights(signs.location(median) + sds * rng.normal(size=(10**6, 3)))
    sd = signs.spread(median, sds)
    # The standard error of an sd is below 1.3 sd / sqrt(2n) at this kurtosis of at most 5.
    np.testing.assert_allclose(drawn.std(axis=0), sd, rtol=5 * 1.5e-3)


@pytest.mark.parametrize("name", SIGNED)
def test_every_draw_of_the_prior_obeys_and_has_the_size_of_a_normal_one(name: str) -> None:
    comparisons, model = small_comparisons(), SIGNED[name]
    prior = model.prior_predictive(comparisons, draws=1000, seed=0)
    spec = model.spec(comparisons)
    assert spec.signs is not None
    sign = spec.signs.sign
    mu = prior["mu"].to_numpy()[0]
    weights = model.user_weights(prior).transpose("chain", "draw", "user", "feature").to_numpy()[0]
    assert (mu * sign >= 0).all()
    assert (weights * sign >= 0).all()
    assert (weights != 0).all()
    one = (mu * comparisons.feature_scale)[:, sign != 0]
    # Its root mean square is mean_sd = 2; the logarithm is Normal(log 2 - 1, 1).
    error = 4 / np.sqrt(len(one))
    np.testing.assert_allclose(np.log(np.abs(one)).mean(axis=0), np.log(2.0) - 1.0, atol=error)
    np.testing.assert_allclose(np.log(np.abs(one)).std(axis=0), 1.0, atol=error)
    mean = np.where(sign != 0, 2.0 * np.exp(-0.5), 0.0)
    np.testing.assert_allclose(np.hypot(spec.mu_sd * comparisons.feature_scale, mean), 2.0)


def votes_on_length(users: int = 3, each: int = 6, seed: int = 0) -> bp.Comparisons:
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(users), each)
    frame = pd.DataFrame({"who": user, "long": rng.normal(size=user.size)})
    eta = -np.exp(rng.normal(0.0, 0.7, users))[user] * frame["long"]
    frame["won"] = (rng.random(user.size) < 1 / (1 + np.exp(-eta))).astype(int)
    return bp.Comparisons.from_frame(frame, user="who", choice="won", difference=["long"])


def exact_moments(comparisons: bp.Comparisons, *, sign: float | None) -> dict[str, float]:
    """Posterior means by brute force: a grid of the population, and one of each user's weight."""
    unit = float(comparisons.feature_scale[0])
    centre, sd, scale = (0.0, 2.0, 1.0) if sign is None else (np.log(2.0) - 1.0, 1.0, 0.5)
    location = centre + sd * np.linspace(-6.0, 6.0, 61)
    spread = scale * np.linspace(0.025, 4.975, 100)
    z = np.linspace(-8.0, 8.0, 81)
    prior_z = norm.logpdf(z) + np.log(z[1] - z[0])
    v = location[:, None, None] + spread[None, :, None] * z
    weights = v if sign is None else sign * np.exp(v)
    total = norm.logpdf(location, centre, sd)[:, None] + halfnorm.logpdf(spread, scale=scale)
    first = np.zeros(())
    for user in range(comparisons.n_users):
        rows = slice(comparisons.offsets[user], comparisons.offsets[user + 1])
        signed = (2 * comparisons.choice[rows] - 1) * comparisons.difference[rows, 0] / unit
        log_density = sum((log_expit(each * weights) for each in signed), prior_z)
        own = logsumexp(log_density, axis=2)
        if user == 0:
            first = (weights * np.exp(log_density - own[..., None])).sum(axis=2)
        total = total + own
    chance = np.exp(total - logsumexp(total))
    if sign is None:
        mu, tau = np.meshgrid(location, spread, indexing="ij")
    else:
        mu = np.broadcast_to(sign * np.exp(location)[:, None], chance.shape)
        square = np.exp(spread**2)
        tau = np.abs(mu) * np.sqrt(square * (square - 1.0))
    return {
        "mu": float((chance * mu).sum()) / unit,
        "log tau": float((chance * np.log(tau / unit)).sum()),
        "weight": float((chance * first).sum()) / unit,
    }


ENGINES = {
    "Gibbs": bp.Gibbs(draws=4000, warmup=800, chains=2, progress=False),
    "NUTS": bp.NUTS(draws=3000, warmup=600, chains=2, progress=False),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Gibbs", pytest.param("NUTS", marks=pytest.mark.long)])
def test_engines_draw_from_the_posterior_that_brute_force_integrates(name: str) -> None:
    comparisons, engine = votes_on_length(), ENGINES[name]
    model = bp.HierarchicalReward(constraints={"long": "negative"})
    draws = bp.fit(model, comparisons, engine, seed=1).draws
    one = {
        "mu": draws["mu"].to_numpy()[..., 0],
        "log tau": np.log(draws["tau"].to_numpy()[..., 0]),
        "weight": draws["weights"].isel(user=0, feature=0).to_numpy(),
    }
    right = exact_moments(comparisons, sign=-1.0)
    wrong = exact_moments(comparisons, sign=None)
    scores, others = {}, {}
    for name, values in one.items():
        (mean,), (error,) = mean_and_error(values)
        scores[name] = abs(mean - right[name]) / error
        others[name] = abs(mean - wrong[name]) / error
    # 4.4: three comparisons with a false alarm of 3e-5 in all.
    assert max(scores.values()) < 4.4, scores
    assert max(others.values()) > 4.4, others  # the posterior without the constraint is another


def test_one_weight_of_all_users_is_drawn_from_its_posterior() -> None:
    comparisons = votes_on_length()
    unit, model = comparisons.feature_scale[0], bp.PooledReward(constraints={"long": "negative"})
    drawn = bp.fit(model, comparisons, ENGINES["Gibbs"], seed=1).draws["mu"].to_numpy()[..., 0]
    (mean,), (error,) = mean_and_error(drawn)
    v = np.linspace(-6.0, 6.0, 1001)
    sizes = np.exp(np.log(2.0) - 1.0 + v)  # of the scaled feature
    signed = (2 * comparisons.choice - 1) * comparisons.difference[:, 0] / unit
    log_density = norm.logpdf(v) + log_expit(-np.outer(sizes, signed)).sum(axis=1)
    chance = np.exp(log_density - logsumexp(log_density))
    assert abs(mean + float(chance @ sizes) / unit) < 4 * error


def test_every_user_obeys_new_ones_included(fitted: tuple[bp.Posterior, pd.DataFrame]) -> None:
    posterior, _ = fitted
    sign = np.array([-1.0, 1.0, 1.0, 0.0, 0.0])
    order = ("chain", "draw", "user", "feature")
    for users in (None, "population"):
        weights = posterior.weights_draws(users).transpose(*order).to_numpy()
        assert (weights * sign >= 0).all()
    free = posterior.weights_draws("population").to_numpy()[..., 3:]
    assert (free > 0).any()
    assert (free < 0).any()
    parts = posterior.part_worths(users=None).set_index(["user", "attribute", "level"])["mean"]
    camera = parts.xs("camera", level="attribute").unstack("level")
    assert ((camera["poor"] < camera["fair"]) & (camera["fair"] < camera["good"])).all()


def test_true_medians_and_users_are_recovered(fitted: tuple[bp.Posterior, pd.DataFrame]) -> None:
    posterior, truth = fitted
    mu = posterior.draws["mu"].isel(feature=slice(3))
    away = mu.mean(("chain", "draw")).to_numpy() - [-1.0, 1.0, np.exp(-1.0)]
    z = away / mu.std(("chain", "draw")).to_numpy()
    assert np.abs(z).max() < 4
    price = posterior.draws["weights"].sel(feature="price").mean(("chain", "draw")).to_numpy()
    found = np.corrcoef(np.log(-price), np.log(-truth["price"]))[0, 1]
    assert np.arctanh(found) > 2.33 / np.sqrt(len(truth) - 3)  # better than chance, at 1 %


@pytest.mark.filterwarnings("ignore:Pareto k")  # few draws
def test_what_a_constraint_does_to_prediction_is_compared(
    fitted: tuple[bp.Posterior, pd.DataFrame],
) -> None:
    posterior, _ = fitted
    engine = bp.Gibbs(draws=300, warmup=300, chains=2, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        free = bp.fit(bp.HierarchicalReward(), posterior.comparisons, engine, seed=1)
        for by in ("comparison", "user"):
            table = bp.compare({"signed": posterior, "free": free}, by=by)
            assert np.isfinite(table.to_numpy()).all()
            assert abs(table["difference"].iloc[-1]) < 0.1 * abs(table["elpd"].iloc[0])
            # What is known beforehand need not be learned.
            assert table.loc["signed", "p_loo"] < table.loc["free", "p_loo"]


def test_saved_judged_and_replicated(
    fitted: tuple[bp.Posterior, pd.DataFrame], tmp_path: Path
) -> None:
    posterior, _ = fitted
    posterior.save(tmp_path / "signed.bp")
    loaded = bp.Posterior.load(tmp_path / "signed.bp")
    assert loaded.model == posterior.model
    xr.testing.assert_equal(loaded.draws["mu"], posterior.draws["mu"])
    assert (loaded.draws["weights"].sel(feature="price") <= 0).all()
    report = bp.diagnose(posterior)
    assert set(report.comparisons["verdict"]) <= {"prefers", "undecided", "indifferent"}
    check = bp.posterior_predictive_check(posterior, users="new")
    assert np.isfinite(check["p"]).all()


def test_the_model_for_exposure_has_no_constraint() -> None:
    found = SIGNED["full, exposure, both signs"].with_exposure(small_comparisons())
    assert found == bp.HierarchicalReward(covariance="full", exposure=True)


@pytest.mark.long
def test_exposure_is_judged_without_the_constraint() -> None:
    comparisons, model = small_comparisons(), SIGNED["diagonal, negative"]
    draws = model.prior_predictive(comparisons, draws=100)[list(model.variables(comparisons))]
    run = bp.Run(engine="prior", settings={}, exact=True, joint=True, draws=100, seconds=0.0)
    posterior = bp.Posterior(model, comparisons, draws, xr.Dataset(), run, 0)
    engine = bp.Gibbs(draws=200, warmup=200, chains=1, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        report = bp.diagnose(posterior, assessments=["confounding"], engine=engine)
    assert "has weights of one sign, whose means do not shift" in " ".join(report.notes)
    assert report.exposure_posterior.model == bp.HierarchicalReward(exposure=True)


@pytest.mark.long
@pytest.mark.parametrize("name", [each for each in SIGNED if each != "pooled, negative"])
def test_gibbs_and_nuts_agree_on_weights_of_one_sign(name: str) -> None:
    comparisons, model = small_comparisons(covariates=True), SIGNED[name]
    engines = (
        bp.Gibbs(draws=4000, warmup=1000, chains=2, progress=False),
        bp.NUTS(draws=1500, warmup=500, chains=2, progress=False),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        one, other = (bp.fit(model, comparisons, each, seed=2).draws for each in engines)
        free = bp.fit(replace(model, constraints=None), comparisons, engines[0], seed=2).draws
    assert agree(one, other)
    assert not agree(free, other)


@pytest.mark.long
def test_ranks_of_the_constrained_model_are_uniform_and_those_of_a_wrong_prior_are_not() -> None:
    comparisons, model = small_comparisons(users=5, each=6), SIGNED["diagonal, negative"]
    engine = bp.Gibbs(draws=100, warmup=300, thin=5, chains=1, progress=False)
    found = bp.sbc(model, comparisons, engine, replications=100, seed=1, progress=False)
    assert found.passed()
    wrong = _Wider(draws=100, warmup=300, thin=5, chains=1, progress=False)
    assert not bp.sbc(model, comparisons, wrong, replications=100, seed=1, progress=False).passed()


class _Wider(bp.Gibbs):
    """Gibbs of a model with a prior of twice the size."""

    def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
        wider = bp.HierarchicalReward(constraints={"polite": "negative"}, mean_sd=8.0)
        return super().prepare(wider, comparisons)
