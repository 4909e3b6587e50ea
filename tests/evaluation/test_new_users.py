"""New users in place of known ones, for every model, against brute-force integration."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from cases import MODELS, SIGNED, small_comparisons
from scipy.special import logsumexp
from scipy.stats import norm

import bayes_pref as bp
from bayes_pref.evaluation.integrated_likelihood import user_log_likelihood

EVERY = MODELS | SIGNED
ERROR = 0.05  # relative error up to which integrals are computed
SIZE = 20_000  # weights that a brute-force integral is the mean over

Array = np.ndarray[Any, Any]


def prior_draws(model: bp.RewardModel, comparisons: bp.Comparisons, draws: int = 40) -> xr.Dataset:
    """Draws of the model's sites from the prior, which need no engine."""
    prior = model.prior_predictive(comparisons, draws=draws, seed=5)
    names = model.variables(comparisons)
    return prior.drop_vars([name for name in prior.data_vars if name not in names])


def posterior_of(model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Posterior:
    draws = prior_draws(model, comparisons)
    run = bp.Run(engine="prior", settings={}, exact=True, joint=True, draws=40, seconds=0.0)
    return bp.Posterior(model, comparisons, draws, xr.Dataset(), run, 0)


@pytest.fixture(scope="module")
def represented() -> bp.Posterior:
    frame = bp.simulate(users=6, comparisons=8, features=2, contexts=0, seed=2).frame
    names = ["feature_1", "feature_2"]
    sides = bp.Comparisons.from_frame(
        frame.assign(zero=0.0, nothing=0.0),
        user="user",
        choice="choice",
        left=names,
        right=["zero", "nothing"],
        features=names,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        engine = bp.SVI(draws=40, steps=60, progress=False)
        return bp.fit(bp.RepresentationReward(size=2, hidden=3), sides, engine)


def likelihoods(posterior: bp.Posterior, weights: Array) -> Array:
    """Probability of all choices of each user given weights (sample, user, feature)."""
    comparisons = posterior.comparisons
    data = xr.DataArray(weights[None], dims=("chain", "draw", "user", "feature"))
    eta = (data.to_numpy()[0, :, comparisons.user] * comparisons.difference[:, None]).sum(axis=2)
    choices = posterior.model.choice_distribution(posterior.draws, comparisons)
    rows = choices.log_likelihood(eta, comparisons.choice)
    return np.exp(np.add.reduceat(rows, comparisons.offsets[:-1], axis=0))


def at_one_draw(posterior: bp.Posterior, draw: int, times: int) -> bp.Posterior:
    """The same draw many times over."""
    repeated = posterior.draws.isel(chain=[0], draw=[draw] * times)
    return bp.Posterior(
        posterior.model, posterior.comparisons, repeated, xr.Dataset(), posterior.run, 0
    )


def integrated(posterior: bp.Posterior) -> Array:
    model, comparisons = posterior.model, posterior.comparisons
    population = model.population(posterior.draws, comparisons)
    assert population is not None
    return user_log_likelihood(model, population, posterior.draws, comparisons)


def assert_integrals_agree(posterior: bp.Posterior) -> None:
    """The integral over a user's weights is the mean over weights drawn from the population."""
    rng = np.random.default_rng(0)
    draw = 7  # not the first one: the parameters of a draw go together
    ours = integrated(at_one_draw(posterior, draw, 1))[:, 0]
    many = at_one_draw(posterior, draw, SIZE)
    population = posterior.model.population(many.draws, many.comparisons)
    assert population is not None
    drawn = likelihoods(many, population.draw(posterior.comparisons.n_users, rng))
    mean, error = drawn.mean(axis=1), drawn.std(axis=1) / np.sqrt(SIZE)
    assert (np.abs(np.exp(ours) - mean) < 4 * np.hypot(error, ERROR * mean) + 1e-12).all()


@pytest.mark.parametrize("name", EVERY)
def test_users_are_integrated_out_of_every_model_as_by_drawing_them(name: str) -> None:
    assert_integrals_agree(posterior_of(EVERY[name], small_comparisons(covariates=True)))


def test_users_are_integrated_out_of_a_learned_representation(represented: bp.Posterior) -> None:
    assert_integrals_agree(represented)


def test_a_population_that_is_too_narrow_is_caught() -> None:
    posterior = posterior_of(MODELS["diagonal"], small_comparisons())
    ours = integrated(at_one_draw(posterior, 0, 1))[:, 0]
    many = at_one_draw(posterior, 0, SIZE)
    narrow = many.draws.assign(tau=0.5 * many.draws["tau"])
    population = posterior.model.population(narrow, many.comparisons)
    assert population is not None
    wrong = likelihoods(many, population.draw(10, np.random.default_rng(0)))
    mean, error = wrong.mean(axis=1), wrong.std(axis=1) / np.sqrt(SIZE)
    assert (np.abs(np.exp(ours) - mean) > 4 * np.hypot(error, ERROR * mean)).any()


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.filterwarnings("ignore:Pareto k")  # these draws know nothing of the choices
def test_every_model_answers_for_new_users(name: str) -> None:
    assert_answers(posterior_of(EVERY[name], small_comparisons(covariates=True)))


@pytest.mark.filterwarnings("ignore:Pareto k")
def test_a_learned_representation_answers_for_new_users(represented: bp.Posterior) -> None:
    assert_answers(represented)


def assert_answers(posterior: bp.Posterior) -> None:
    found = bp.loo(posterior, by="user")
    assert found.pointwise["user"].tolist() == posterior.comparisons.users.tolist()
    assert np.isfinite(found.elpd)
    checked = bp.posterior_predictive_check(posterior, users="new", draws=20)
    assert np.isfinite(checked.drop(columns="statistic").to_numpy()).all()


def shared_cause_world(kind: str) -> bp.Comparisons:
    """Four users who were shown numbers, or indicators of one of three categories."""
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(4), [3, 6, 2, 5])
    frame = pd.DataFrame({"user": user, "x": rng.normal(size=16), "won": rng.integers(0, 2, 16)})
    if kind == "numbers":
        frame["hard"] = rng.normal(size=4)[user] + 0.5 * rng.normal(size=16)
        contexts = ["hard"]
    else:
        category = rng.integers(0, 3, size=16)
        frame["code"], frame["maths"] = (category == 1).astype(float), (category == 2).astype(float)
        contexts = ["code", "maths"]
    return bp.Comparisons.from_frame(
        frame, user="user", choice="won", difference=["x"], context=contexts
    )


def context_likelihood(comparisons: bp.Comparisons, site: dict[str, Array], s: Array) -> Array:
    """Log probability of each user's contexts given causes s (sample, context): (sample, user)."""
    place = site["a"] + s
    if "within" in site:
        rows = norm.logpdf(comparisons.context[None], place[:, None], site["within"]).sum(axis=2)
    else:  # the category without an indicator has log-odds 0
        total = np.logaddexp(logsumexp(place, axis=1), 0.0)
        rows = place @ comparisons.context.T - total[:, None]
    return np.add.reduceat(rows, comparisons.offsets[:-1], axis=1)


@pytest.mark.parametrize("kind", ["numbers", "categories"])
def test_users_of_a_shared_cause_are_integrated_out_given_their_contexts(kind: str) -> None:
    comparisons = shared_cause_world(kind)
    model = bp.SharedCauseReward(scale="raw", contexts=kind)  # type: ignore[arg-type]
    posterior = posterior_of(model, comparisons)
    rng, size = np.random.default_rng(1), 400_000
    told_apart = False
    for draw in (1, 4, 9):
        one = at_one_draw(posterior, draw, 1)
        site = {str(k): v.to_numpy()[0, 0] for k, v in one.draws.data_vars.items()}
        root = np.diag(site["between"])
        if "between_correlation" in site:
            root = root @ np.linalg.cholesky(site["between_correlation"])
        # s and w from their prior, weighted by the probability of the contexts.
        s = rng.standard_normal((size, len(site["a"]))) @ root.T
        noise = site["tau"] * rng.standard_normal((size, 1))
        w = site["mu"] + s @ site["Gamma"].T + noise
        sign = (2 * comparisons.choice - 1) * comparisons.difference[:, 0]
        rows = -np.logaddexp(0.0, -w * sign)
        chosen = np.exp(np.add.reduceat(rows, comparisons.offsets[:-1], axis=1))
        shown = np.exp(context_likelihood(comparisons, site, s))
        shown /= shown.mean(axis=0)
        mean = (shown * chosen).mean(axis=0)
        error = (shown * (chosen - mean)).std(axis=0) / np.sqrt(size)
        ours = np.exp(integrated(one)[:, 0])
        assert (np.abs(ours - mean) < 4 * np.hypot(error, ERROR * mean)).all(), (ours, mean, error)
        # Ignoring what a user was shown is the mistake that this must catch.
        naive = chosen.mean(axis=0)
        told_apart |= bool((np.abs(naive - mean) > 4 * np.hypot(error, ERROR * mean)).any())
    assert told_apart
