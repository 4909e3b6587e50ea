"""A Gaussian belief: read off draws, and updated by answers."""

from __future__ import annotations

import numpy as np
import pytest

import bayes_pref as bp
from bayes_pref.elicitation.belief import Belief

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")


def small(seed: int = 0) -> Belief:
    """Three users, two features, and one known regressor."""
    rng = np.random.default_rng(seed)
    d, regressors = 2, np.column_stack([np.ones(3), [-1.0, 0.0, 1.0]])
    spread = np.array([[1.0, 0.3], [0.3, 0.5]])
    own = np.stack([np.linalg.inv(np.linalg.inv(spread) + k * np.eye(d)) for k in (0.5, 1.0, 2.0)])
    lift = np.stack(
        [
            np.kron(f[:, None], np.linalg.inv(spread) @ c)
            for f, c in zip(regressors, own, strict=True)
        ]
    )
    root, mean = rng.standard_normal((4, 4)), rng.standard_normal((3, d))
    return Belief(
        mean=mean,
        own=own,
        lift=lift,
        centre=rng.standard_normal(4),
        shared=root @ root.T / 8,
        spread=spread,
        middle=lift.mean(axis=0),
        noise=own.mean(axis=0) / 3,
        share=1 / 3,
        typical=mean.mean(axis=0),
    )


def joint(belief: Belief) -> np.ndarray:
    """Covariance of gamma and all users' weights, which a dense update may use."""
    lift = np.concatenate([np.eye(len(belief.centre)), *belief.lift.swapaxes(1, 2)])
    found = lift @ belief.shared @ lift.T
    m, d = len(belief.centre), belief.mean.shape[1]
    for user, own in enumerate(belief.own):
        part = slice(m + user * d, m + (user + 1) * d)
        found[part, part] += own
    return found


def test_an_answer_updates_the_joint_covariance_as_conditioning_does() -> None:
    """Answers of two users, one of them twice, against conditioning the dense matrix."""
    belief, before = small(), joint(small())
    asked = ((1, np.array([1.0, -2.0]), 0.3), (2, np.array([0.5, 0.0]), 2.0), (1, np.ones(2), 1.0))
    for user, difference, precision in asked:
        belief.learn(user, difference, precision)
        row = np.zeros(len(before))
        row[4 + 2 * user : 6 + 2 * user] = difference
        seen = before @ row
        before -= np.outer(seen, seen) / (row @ seen + 1.0 / precision)
    np.testing.assert_allclose(joint(belief), before, atol=1e-12)
    average = np.zeros((10, 2))
    average[4:] = np.tile(np.eye(2) / 3, (3, 1))
    covariance = average.T @ before @ average
    directions = np.array([[1.0, 0.0], [1.0, -3.0]])
    np.testing.assert_allclose(
        belief.average(directions)[1], np.diag(directions @ covariance @ directions.T)
    )
    with_users = (average.T @ before)[:, 4:].reshape(2, 3, 2).swapaxes(0, 1)
    np.testing.assert_allclose(belief.with_average(np.arange(3)), with_users, atol=1e-12)


def test_a_new_user_has_the_spread_of_the_population() -> None:
    """A new user's weights are mu plus what users differ in."""
    belief = small().of_new_users(2)
    found = joint(belief)
    np.testing.assert_allclose(found[4:6, 4:6], belief.spread + belief.shared[:2, :2])
    np.testing.assert_allclose(found[4:6, 6:8], belief.shared[:2, :2])


@pytest.mark.parametrize("exposure", [False, True])
def test_what_is_read_agrees_with_the_draws(exposure: bool) -> None:
    """Covariances of users and population, which are worked out and not read, are the draws'."""
    world = bp.simulate(users=40, comparisons=8, features=3, confounding=0.5, seed=3)
    model = bp.HierarchicalReward(exposure=exposure)
    posterior = bp.fit(model, world.comparisons, bp.Gibbs(progress=False), seed=0)
    belief = Belief.read(posterior)
    drawn = posterior.draws[["mu", "weights"]].stack(sample=("chain", "draw"))
    mu = drawn["mu"].transpose("sample", "feature").to_numpy()
    weights = drawn["weights"].transpose("sample", "user", "feature").to_numpy()
    said = belief.shared[:3] @ belief.lift
    found = np.einsum("sm,sud->umd", mu - mu.mean(0), weights - weights.mean(0)) / (len(mu) - 1)
    assert np.corrcoef(said.ravel(), found.ravel())[0, 1] > 0.8
    slope = (said * found).sum() / (said**2).sum()
    assert 0.75 < slope < 1.25
    total = belief.own + belief.lift.swapaxes(1, 2) @ belief.shared @ belief.lift
    np.testing.assert_allclose(
        total.diagonal(axis1=1, axis2=2), weights.var(axis=0, ddof=1), rtol=1e-6
    )


@pytest.mark.parametrize(
    "model",
    [bp.MixtureReward(components=2), bp.HierarchicalReward(constraints={"feature_1": "positive"})],
    ids=["mixture", "signs"],
)
def test_users_who_are_not_gaussian_are_refused(model: bp.RewardModel) -> None:
    """What holds of Gaussian users is not claimed of others."""
    world = bp.simulate(users=10, comparisons=5, features=2, seed=0)
    engine = bp.Gibbs(draws=20, warmup=20, chains=2, progress=False)
    posterior = bp.fit(model, world.comparisons, engine)
    name = type(model).__name__
    with pytest.raises(bp.ModelError, match=f"this {name} has no users .* without constraints="):
        bp.recommend(posterior, n=1)
