"""Published analyses done again, and true parameters found again, at posterior modes.

A mode needs no sampling, so that what is left of a difference is the prior's pull alone.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from choice_cases import items_frame
from monte_carlo import mean_and_error
from scipy.optimize import minimize
from scipy.special import expit

import bayes_pref as bp
from bayes_pref.inference.nuts.density import flatten

# Games of the American League's eastern division in 1987, home wins and away wins: Agresti (2002),
# Categorical Data Analysis, 2nd edition, table 10.10; as in R's BradleyTerry2 (baseball).
TEAMS = ["Milwaukee", "Detroit", "Toronto", "New York", "Boston", "Cleveland", "Baltimore"]
HOME = """4-3 4-2 4-3 6-1 4-2 6-0  3-3 4-2 4-3 6-0 6-1 4-3  2-5 4-3 2-4 4-3 4-2 6-0
    3-3 5-1 2-5 4-3 4-2 6-1  5-1 2-5 3-3 4-2 5-2 6-0  2-5 3-3 3-4 4-3 4-2 2-4
    2-5 1-5 1-6 2-4 1-6 3-4"""
# Six brands of chocolate pudding, compared in pairs: first preferred, second preferred, ties.
# Davidson (1970, J. Am. Stat. Assoc. 65, 317-328); as in R's PlackettLuce (pudding).
PUDDINGS = """12 19-22-16 13 16-19-12 23 19-19-10 14 18-23-13 24 23-19-9 34 19-20-15 15 13-19-18
    25 16-20-12 35 16-15-17 45 17-14-16 16 18-21-12 26 22-20-12 36 13-18-10 46 14-19-18
    56 11-21-12"""


def mode(model: bp.RewardModel, data: bp.Comparisons) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sites at the posterior mode, and their sds by Laplace's approximation."""
    flat = flatten(model, (data,))

    def climb(z: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = flat.value_and_gradient(z)
        return -value, -gradient

    found = minimize(climb, np.zeros(flat.size), jac=True, method="BFGS", options={"gtol": 1e-6})
    step = 1e-4
    curvature = [
        (climb(found.x + step * axis)[1] - climb(found.x - step * axis)[1]) / (2 * step)
        for axis in np.eye(flat.size)
    ]
    root = np.linalg.cholesky(np.linalg.inv(np.array(curvature)))
    noise = np.random.default_rng(0).standard_normal((500, flat.size)) @ root.T
    with torch.no_grad():
        centre = flat.sites(torch.tensor(found.x))
        around = [flat.sites(torch.tensor(found.x + z)) for z in noise]
    return {
        name: (value.numpy(), np.std([each[name].numpy() for each in around], axis=0))
        for name, value in centre.items()
    }


def baseball() -> bp.Comparisons:
    pairs = [(a, b) for a in TEAMS for b in TEAMS if a != b]
    won = [(*map(int, score.split("-")), 0) for score in HOME.split()]
    votes = items_frame([(*pair, *each) for pair, each in zip(pairs, won, strict=True)])
    return bp.Comparisons.from_items(
        votes, user="judge", left="left", right="right", choice="choice"
    )


def puddings() -> bp.Comparisons:
    words = PUDDINGS.split()
    rows = [
        (*pair, *map(int, counts.split("-")))
        for pair, counts in zip(words[::2], words[1::2], strict=True)
    ]
    return bp.Comparisons.from_items(
        items_frame(rows), user="judge", left="left", right="right", choice="choice"
    )


def vague(**settings: bool) -> bp.PooledReward:
    """A prior that pulls differences of items by less than a ten thousandth."""
    return bp.PooledReward(mean_sd=100.0, **settings)


def worths(data: bp.Comparisons, mu: np.ndarray, names: list[str]) -> np.ndarray:
    value = np.exp(mu - mu.max())[[data.feature_names.index(name) for name in names]]
    return value / value.sum()


def test_agrestis_baseball_teams_and_their_home_field_are_found() -> None:
    data = baseball()
    plain = mode(vague(), data)["mu"][0]
    ability = plain - plain[data.feature_names.index("Baltimore")]
    # Table 10.11, column 3: relative to Baltimore, from Cleveland up.
    np.testing.assert_allclose(
        np.sort(ability)[1:], [0.68, 1.11, 1.25, 1.29, 1.44, 1.58], atol=0.0051
    )
    found = mode(vague(position=True), data)
    position, sd = found["position"]
    # Column 5 and the text: the prior, Normal(0, 1), pulls the effect by its square of sd.
    worth = np.sort(worths(data, found["mu"][0], TEAMS))
    np.testing.assert_allclose(worth, [0.044, 0.088, 0.137, 0.157, 0.164, 0.190, 0.220], atol=0.001)
    assert 0.0 < 0.302 - position < 0.302 * 1.2 * sd**2 + 0.0005
    posterior = bp.fit(vague(position=True), data, bp.Gibbs(progress=False), seed=1)
    mean, error = mean_and_error(posterior.draws["position"].to_numpy()[..., None])
    # Mean and mode differ by the skewness, a term of the order of sd^2.
    assert abs(mean[0] - position) < 4 * error[0] + sd**2


def test_davidsons_puddings_and_their_ties_are_found() -> None:
    data = puddings()
    found = mode(vague(), data)
    log_nu, sd = found["tie"]
    # As PlackettLuce has them (vignette "Overview"), and Davidson to fewer digits.
    published = [0.1388005, 0.1729985, 0.1617420, 0.1653930, 0.1586805, 0.2023855]
    worth = worths(data, found["mu"][0], list("123456"))
    np.testing.assert_allclose(worth, published, atol=2e-4)
    # The prior, Normal(-1, 1.5), pulls log nu by its distance times the ratio of the variances.
    pull = (np.log(0.7468147) + 1) * sd**2 / 1.5**2
    assert log_nu == pytest.approx(np.log(0.7468147) - pull, abs=0.1 * pull)
    # And the maximum of the likelihood, written down anew.
    left, right = (np.argmax(side, axis=1) for side in (data.difference, -data.difference))

    def loss(x: np.ndarray) -> float:
        worth = np.exp(np.append(x[:5], 0.0))
        one, other = worth[left], worth[right]
        both = np.exp(x[5]) * np.sqrt(one * other)
        won = np.select([data.choice == 1, data.choice == 0], [one, other], both)
        return float(-np.log(won / (one + other + both)).sum())

    best = minimize(loss, np.zeros(6), method="BFGS").x
    ours = found["mu"][0] - found["mu"][0][-1]
    np.testing.assert_allclose(ours[:5], best[:5], atol=1e-3)
    assert log_nu == pytest.approx(best[5] - pull, abs=0.1 * pull)


def half_votes(data: bp.Comparisons) -> tuple[np.ndarray, np.ndarray]:
    """Weights and their sds by maximum likelihood where a tie is half a vote for each side."""
    rows, choice = data.difference, data.choice

    def loss(w: np.ndarray) -> float:
        eta = rows @ w
        return float(np.logaddexp(0.0, eta).sum() - choice @ eta)

    found = minimize(loss, np.zeros(rows.shape[1]), method="BFGS").x
    p = expit(rows @ found)
    information = np.linalg.inv(rows.T @ ((p * (1 - p))[:, None] * rows))
    scores = rows * (choice - p)[:, None]
    return found, np.sqrt(np.diag(information @ (scores.T @ scores) @ information))


TRUE = np.array([1.2, -0.8, 0.5])


def test_ties_as_half_votes_bias_weights_and_davidsons_do_not() -> None:
    world = bp.simulate(
        users=200, features=3, contexts=0, mean=TRUE, heterogeneity=0.0, ties=0.2, seed=11
    )
    found = mode(bp.PooledReward(), world.comparisons)
    weights, sd = found["mu"]
    assert (np.abs(weights - TRUE) < 4 * sd).all()
    log_nu, log_nu_sd = found["tie"]
    assert abs(log_nu - np.log(world.truth.nu)) < 4 * log_nu_sd
    halved, halved_sd = half_votes(world.comparisons)
    assert (np.abs(halved) < np.abs(TRUE)).all()
    assert ((np.abs(TRUE) - np.abs(halved)) / halved_sd).max() > 5
    # Half votes for untied choices alone are the same as no ties at all: the estimator is right.
    decided = world.comparisons.take(world.comparisons.choice != 0.5)
    halved, halved_sd = half_votes(decided)
    assert (np.abs(halved - TRUE) < 4 * halved_sd).all()


def test_a_left_hand_effect_and_lapses_are_found_and_bias_what_ignores_them() -> None:
    knobs = {"users": 300, "features": 3, "contexts": 0, "mean": 2 * TRUE, "heterogeneity": 0.0}
    world = bp.simulate(**knobs, position=0.6, lapses=0.2, seed=12)
    found = mode(bp.PooledReward(position=True, lapse=True), world.comparisons)
    for name, truth in (("mu", 2 * TRUE), ("position", 0.6), ("lapse", 0.2)):
        value, sd = found[name]
        assert (np.abs(value - truth) < 4 * sd).all()
    weights, sd = mode(bp.PooledReward(position=True), world.comparisons)["mu"]
    assert (np.abs(weights - 2 * TRUE) / sd).max() > 5


def test_probit_weights_and_cutpoints_are_found() -> None:
    rng = np.random.default_rng(13)
    names, cuts = ["a", "b", "c"], np.array([-1.5, -0.5, 0.2, 1.0])
    frame = pd.DataFrame(rng.normal(size=(3000, 3)), columns=names)
    latent = frame.to_numpy() @ TRUE + rng.normal(size=3000)
    frame["who"] = "all"
    columns = {"user": "who", "choice": "choice", "difference": names}
    two = bp.Comparisons.from_frame(frame.assign(choice=(latent > 0).astype(int)), **columns)
    five = bp.Comparisons.from_frame(
        frame.assign(choice=1 + np.searchsorted(cuts, latent)), **columns, levels=5
    )
    one, sd = mode(bp.PooledReward(link="probit"), two)["mu"]
    assert (np.abs(one - TRUE) < 4 * sd).all()
    found = mode(bp.PooledReward(link="probit"), five)
    assert (np.abs(found["mu"][0] - TRUE) < 4 * found["mu"][1]).all()
    assert (np.abs(found["cutpoints"][0] - cuts) < 4 * found["cutpoints"][1]).all()
    # Five levels tell more than two, and the logistic model has other units.
    assert (found["mu"][1] < sd).all()
    logistic, logistic_sd = mode(replace(bp.PooledReward(), link="logit"), two)["mu"]
    assert (np.abs(logistic - TRUE) / logistic_sd).max() > 5
