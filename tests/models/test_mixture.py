"""Mixture of users: found as well as who knows the truth finds them, and labels that stay."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from altered_engines import FromFunction
from cases import MODELS, small_comparisons
from scipy.special import expit, log_expit, logsumexp
from scipy.stats import dirichlet, halfnorm, multivariate_normal, norm
from sklearn.metrics import adjusted_rand_score, roc_auc_score
from test_models import log_joint

import bayes_pref as bp
from bayes_pref.models.relabelling import permuted, relabelled


@dataclass(frozen=True, eq=False)
class Mixture:
    """A world of components of users: comparisons beside who is of which component."""

    comparisons: bp.Comparisons
    component: np.ndarray
    mu: np.ndarray
    spread: float


def world(
    mu: list[list[float]],
    *,
    users: int,
    each: int,
    spread: float = 0.3,
    apart: float = 0.0,
    seed: int = 0,
) -> Mixture:
    """Users of equally frequent components, whose mean contexts lie `apart` between components.

    A user's own mean context has sd 0.5 around their component's, and the contexts sd 1 around it.
    """
    rng = np.random.default_rng(seed)
    component = rng.integers(len(mu), size=users)
    weights = np.array(mu)[component] + spread * rng.standard_normal((users, len(mu[0])))
    user = np.repeat(np.arange(users), each)
    difference = rng.standard_normal((user.size, len(mu[0])))
    own = apart * component + 0.5 * rng.standard_normal(users)
    chance = expit((difference * weights[user]).sum(axis=1))
    names = [f"f{k}" for k in range(len(mu[0]))]
    frame = pd.DataFrame(difference, columns=names).assign(
        id=user,
        choice=(rng.random(user.size) < chance).astype(int),
        topic=own[user] + rng.standard_normal(user.size),
    )
    comparisons = bp.Comparisons.from_frame(
        frame, user="id", choice="choice", difference=names, context=["topic"]
    )
    return Mixture(comparisons, component, np.array(mu), spread)


def best_possible(made: Mixture, draws: int = 2000) -> np.ndarray:
    """Most probable component of each user, given all but the components and users' weights."""
    rng = np.random.default_rng(1)
    noise = made.spread * rng.standard_normal((draws, made.mu.shape[1]))
    comparisons = made.comparisons
    signed = (2 * comparisons.choice - 1)[:, None] * comparisons.difference
    found = np.empty((comparisons.n_users, len(made.mu)))
    for t, mu in enumerate(made.mu):
        rows = log_expit(signed @ (mu + noise).T)
        by_user = np.add.reduceat(rows, comparisons.offsets[:-1], axis=0)
        found[:, t] = logsumexp(by_user, axis=1)
    return found.argmax(axis=1)


def table(posterior: bp.Posterior) -> np.ndarray:
    """Probabilities (user, component)."""
    return (
        posterior.membership()
        .pivot_table(index="user", columns="component", values="mean")
        .to_numpy()
    )


THREE = [[1.5, -1.0, 0.5, 1.0], [-1.0, 1.5, 1.0, 0.0], [0.0, 0.5, -1.5, -1.5]]


@cache
def three() -> tuple[Mixture, bp.Posterior]:
    made = world(THREE, users=300, each=30)
    engine = bp.Gibbs(draws=500, warmup=300, chains=2, progress=False)
    with warnings.catch_warnings():  # the tests judge the draws themselves
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return made, bp.fit(bp.MixtureReward(components=3), made.comparisons, engine, seed=1)


@pytest.mark.slow
def test_kinds_are_found_as_well_as_by_who_knows_the_truth() -> None:
    made, posterior = three()
    reached = adjusted_rand_score(made.component, best_possible(made))
    assert reached > 0.8  # components that nobody could tell apart would prove nothing
    found = table(posterior)
    assert adjusted_rand_score(made.component, found.argmax(axis=1)) > reached - 0.05
    # The wrong partner: two components taken for one.
    assert adjusted_rand_score(made.component, found.argmax(axis=1) == 0) < reached - 0.05


@pytest.mark.slow
def test_labels_are_the_same_in_all_draws_and_chains() -> None:
    made, posterior = three()
    assert not [f for f in posterior.findings if f.statistic == "rhat" and f.value > 1.1]
    mu = posterior.draws["mu"].transpose("chain", "draw", "component", "feature").to_numpy()
    mean, sd = mu.mean(axis=(0, 1)), mu.std(axis=(0, 1))
    place = [int(np.abs(made.mu - each).sum(axis=1).argmin()) for each in mean]
    assert sorted(place) == [0, 1, 2]
    # 12 z-scores at once; finitely many users move each component's mean by its posterior sd.
    assert np.abs((mean - made.mu[place]) / sd).max() < norm.isf(1e-4 / 24)
    share = posterior.draws["share"].mean(("chain", "draw")).to_numpy()
    assert (np.diff(share) <= 0).all()
    assert np.abs(share - np.bincount(made.component)[place] / 300).max() < 0.05


@pytest.mark.slow
def test_contexts_that_differ_between_kinds_help_to_find_them() -> None:
    made = world([[0.5, 0.0], [-0.5, 0.3]], users=200, each=6, spread=0.2, apart=1.5, seed=2)
    engine = bp.Gibbs(draws=400, warmup=300, chains=2, progress=False)
    auroc = {}
    for exposure in (False, True):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bp.ConvergenceWarning)
            model = bp.MixtureReward(components=2, exposure=exposure)
            found = table(bp.fit(model, made.comparisons, engine, seed=1))[:, 0]
        area = roc_auc_score(made.component, found)
        auroc[exposure] = max(area, 1 - area)
    # The standard error of an AUROC of 200 users is at most 0.5 / sqrt(100) = 0.05 (Bamber 1975).
    assert auroc[True] > auroc[False] + 0.1
    # Means of 6 contexts lie 1.5 / sqrt(0.25 + 1 / 6) sds apart: by themselves they give this.
    assert auroc[True] > norm.cdf(1.5 / np.sqrt(2 * (0.25 + 1 / 6))) - 0.05


def test_the_density_is_the_formula_with_kinds_and_users_places_summed_out() -> None:
    comparisons = small_comparisons(users=4, each=3)
    rng = np.random.default_rng(0)
    share, mu, tau = np.array([0.2, 0.5, 0.3]), rng.normal(size=(3, 2)), rng.uniform(0.3, 1, 2)
    deviation, pick = rng.normal(size=(4, 2)), rng.normal(size=4)
    a, between, within = rng.normal(size=(3, 1)), np.array([0.7]), np.array([1.2])
    eta = np.einsum(
        "nd,tnd->nt", comparisons.difference, (mu[:, None] + tau * deviation)[:, comparisons.user]
    )
    signed = (2 * comparisons.choice - 1)[:, None] * eta
    x = comparisons.context[:, 0].reshape(4, 3)
    total = 0.0
    for i in range(4):
        # All contexts of a user at once: equally correlated normals.
        covariance = between**2 * np.ones((3, 3)) + within**2 * np.eye(3)
        components = [
            np.log(share[t])
            + multivariate_normal(np.full(3, a[t, 0]), covariance).logpdf(x[i])
            + log_expit(signed[comparisons.user == i, t]).sum()
            for t in range(3)
        ]
        total += logsumexp(components)
    expected = (
        total
        + dirichlet.logpdf(share, [1.5] * 3)
        + norm.logpdf(mu, 0, 2).sum()
        + halfnorm.logpdf(tau, 0, 0.5).sum()
        + norm.logpdf(a).sum()
        + halfnorm.logpdf(np.append(between, within)).sum()
        + norm.logpdf(deviation).sum()
        + norm.logpdf(pick).sum()
    )
    model = bp.MixtureReward(components=3, exposure=True, concentration=1.5, scale="raw")
    sites = {"share": share, "mu": mu, "tau": tau, "deviation": deviation, "pick": pick}
    sites |= {"a": a, "between": between, "within": within}
    assert log_joint(model, comparisons, **sites) == pytest.approx(expected, rel=1e-10)


def test_probabilities_of_kinds_are_bayes_rule_given_weights_and_contexts() -> None:
    comparisons = small_comparisons(users=5, each=4)
    model = bp.MixtureReward(components=2, exposure=True)
    prior = model.prior_predictive(comparisons, draws=3, seed=0)
    found = model.component_probabilities(prior, comparisons)
    means = [comparisons.context[comparisons.user == i].mean() for i in range(5)]
    for s in range(3):
        one = {name: prior[name][0, s].to_numpy() for name in model.variables(comparisons)}
        variance = one["between"][0] ** 2 + one["within"][0] ** 2 / 4
        density = np.stack(
            [
                np.log(one["share"][t])
                + norm.logpdf(one["weights"], one["mu"][t], one["tau"]).sum(axis=1)
                + norm.logpdf(means, one["a"][t, 0], np.sqrt(variance))
                for t in range(2)
            ]
        )
        expected = np.exp(density - logsumexp(density, axis=0)).T
        np.testing.assert_allclose(found[s], expected, rtol=1e-8, atol=1e-12)


@dataclass(frozen=True, kw_only=True)
class Alike(bp.Gibbs):
    """Gibbs that believes users of a component to differ four times as much as the model says."""

    def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
        other = replace(model, spread_sd=4 * model.spread_sd)
        return super().prepare(other, comparisons)


@pytest.mark.long
@pytest.mark.slow
def test_calibration_finds_out_an_engine_with_another_prior() -> None:
    found = bp.sbc(
        MODELS["mixture"],
        small_comparisons(users=8, each=5),
        Alike(draws=50, warmup=200, thin=10, chains=2, progress=False),
        replications=120,
        seed=1,
        progress=False,
    )
    assert not found.passed(1e-3), found.summary()


def test_labels_that_were_shuffled_are_put_back() -> None:
    rng = np.random.default_rng(0)
    truth = np.array([[2.0, 0.0], [-2.0, 0.0], [0.0, 2.0]])
    mu = truth + 0.1 * rng.standard_normal((2, 50, 3, 2))
    near = rng.choice(3, size=40, p=[0.5, 0.3, 0.2])
    users = truth[near] + 0.3 * rng.standard_normal((40, 2))
    draws = xr.Dataset(
        {"mu": (("chain", "draw", "component", "feature"), mu)}, {"component": [1, 2, 3]}
    )
    order = rng.permuted(np.tile(np.arange(3), (2, 50, 1)), axis=2)
    shuffled = permuted(draws, order)
    assert not np.allclose(shuffled["mu"], mu)

    def probabilities(some: xr.Dataset) -> np.ndarray:
        centres = some["mu"].to_numpy().reshape(-1, 1, 3, 2)
        density = -0.5 * (((users[:, None] - centres) / 0.3) ** 2).sum(axis=3)
        return np.exp(density - logsumexp(density, axis=2, keepdims=True))

    back = relabelled(shuffled, probabilities)
    np.testing.assert_array_equal(back["mu"], mu)  # numbered by their shares, as in the truth
    assert back["component"].to_numpy().tolist() == [1, 2, 3]


def test_chains_in_different_mixtures_are_pointed_out() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Stuck(bp.Gibbs):
        """Its second chain believes two components to be one."""

        def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
            program = super().prepare(model, comparisons)

            def draw(seed: int) -> bp.RawDraws:
                right = program.run(seed)
                mu = right.sites["mu"].copy()
                mu[1] = mu[1].mean(axis=1, keepdims=True)
                return replace(right, sites=right.sites | {"mu": mu})

            return FromFunction(draw)

    made = world([[1.5, 0.0], [-1.5, 0.0]], users=30, each=15)
    rhat = {}
    for engine in (Stuck, bp.Gibbs):
        short = engine(draws=100, warmup=100, chains=2, progress=False)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bp.ConvergenceWarning)
            posterior = bp.fit(bp.MixtureReward(components=2), made.comparisons, short, seed=0)
        found = [each for each in posterior.findings if each.statistic == "rhat"]
        rhat[engine] = max((each.value for each in found), default=1.0)
        if engine is Stuck:
            assert found[0].parameter.startswith("mu")
            assert "chains disagree" in found[0].message
    assert rhat[Stuck] > 1.5 > rhat[bp.Gibbs]


def test_a_new_user_is_of_a_kind_by_its_share() -> None:
    size = 20_000
    dims = ("chain", "draw", "component")
    draws = xr.Dataset(
        {
            "share": (dims, np.broadcast_to([0.3, 0.7], (1, size, 2))),
            "mu": ((*dims, "feature"), np.broadcast_to([[2.0, 0.0], [-2.0, 1.0]], (1, size, 2, 2))),
            "tau": (("chain", "draw", "feature"), np.full((1, size, 2), 0.1)),
        },
        coords={"component": [1, 2]},
    )
    model = bp.MixtureReward(components=2)
    new = model.new_user_weights(draws, small_comparisons(), np.random.default_rng(0))[0].to_numpy()
    first = new[:, 0] > 0
    assert abs(first.mean() - 0.3) < 4.5 * np.sqrt(0.21 / size)
    for mean, some in (([2, 0], new[first]), ([-2, 1], new[~first])):
        error = 4.5 * 0.1 / np.sqrt(len(some))
        assert (np.abs(some.mean(axis=0) - mean) < error).all()
        assert (np.abs(some.std(axis=0) - 0.1) < error).all()


def test_the_picked_kind_has_the_probability_of_the_kind() -> None:
    from bayes_pref.models.mixture import _picked

    probability = torch.tensor([[0.2, 0.5, 0.3]], dtype=torch.float64).expand(30_000, -1)
    uniform = torch.rand(30_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    share = np.bincount(_picked(probability, uniform).numpy(), minlength=3) / 30_000
    assert (np.abs(share - [0.2, 0.5, 0.3]) < 4.5 * np.sqrt(0.25 / 30_000)).all()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"components": 0}, r"components=0\): expected a whole number of at least 1"),
        ({"components": 2.0}, r"components=2.0\)"),
        ({"components": True}, r"components=True\)"),
        ({"components": 2, "exposure": "yes"}, r"exposure='yes'\): expected True or False"),
        (
            {"components": 2, "concentration": 0.0},
            r"concentration=0.0\): expected a positive number",
        ),
    ],
)
def test_settings_that_no_mixture_can_have_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(bp.ModelError, match=message):
        bp.MixtureReward(**settings)


def test_what_a_mixture_cannot_describe_is_refused_in_one_sentence() -> None:
    comparisons = small_comparisons()
    with pytest.raises(
        bp.ModelError, match=r"components=11\) needs at least as many users as components.*10"
    ):
        bp.fit(bp.MixtureReward(components=11), comparisons)
    frame = comparisons.to_frame()
    names = {"user": "person", "choice": "choice", "difference": ["brief", "polite"]}
    bare = bp.Comparisons.from_frame(frame, **names)
    with pytest.raises(bp.ModelError, match=r"exposure=True\) needs the contexts"):
        bp.fit(bp.MixtureReward(components=2, exposure=True), bare)
    frame["hard"] = frame.groupby("person")["hard"].transform("first")
    fixed = bp.Comparisons.from_frame(frame, **names, context=["hard"])
    with pytest.raises(bp.ModelError, match=r"context 'hard' never varies within a user"):
        bp.fit(bp.MixtureReward(components=2, exposure=True), fixed)
    tasks = bp.simulate(users=10, comparisons=3, alternatives=3, contexts=0, seed=0).comparisons
    with pytest.raises(bp.ModelError, match="cannot describe choices among several, or rankings"):
        bp.fit(bp.MixtureReward(components=2), tasks)
    posterior = bp.fit(bp.PooledReward(), comparisons, bp.Gibbs(draws=500, progress=False))
    with pytest.raises(bp.ModelError, match=r"PooledReward has no mixture components"):
        posterior.membership()


def test_a_posterior_of_kinds_answers_everything_and_survives_saving(tmp_path: Path) -> None:
    made = world([[1.5, 0.0], [-1.5, 0.0]], users=20, each=10)
    engine = bp.Gibbs(draws=100, warmup=100, chains=2, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        posterior = bp.fit(bp.MixtureReward(components=2), made.comparisons, engine, seed=0)
    components = posterior.membership()
    assert list(components) == ["user", "component", "mean", "sd", "lower", "upper"]
    np.testing.assert_allclose(components.groupby("user")["mean"].sum(), 1.0)
    assert posterior.weights("population").shape == (2, 6)
    assert posterior.idata["log_likelihood"]["choice"].shape == (2, 100, 200)
    assert "mu[1, f0]" in posterior.summary().index
    assert "MixtureReward" in repr(posterior)
    posterior.save(tmp_path / "components.nc")
    again = bp.Posterior.load(tmp_path / "components.nc")
    assert again.model == posterior.model
    pd.testing.assert_frame_equal(again.membership(), components)
