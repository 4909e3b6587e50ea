"""A fit as a scikit-learn classifier: its checks, its tools, and the same numbers."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import bayes_pref as bp

ENGINE = bp.Gibbs(draws=200, warmup=150, chains=2, cores=1, progress=False)


@pytest.fixture(scope="module")
def world() -> bp.World:
    return bp.simulate(
        users=12,
        comparisons=20,
        features=["length", "tone"],
        contexts=["hard"],
        interactions=True,
        mean=[2.0, -1.0, 0.0, 0.0],
        seed=0,
    )


def table(world: bp.World) -> tuple[pd.DataFrame, pd.Series[Any]]:
    return world.frame.drop(columns="choice"), world.frame["choice"]


@pytest.fixture(autouse=True)
def _short_chains() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        yield


@pytest.mark.long
@pytest.mark.parametrize("model", [None, bp.PooledReward(position=True)])
def test_every_check_of_scikit_learn_passes(model: bp.RewardModel | None) -> None:
    classifier = bp.RewardClassifier(model=model, engine=ENGINE)
    before = np.random.get_state()  # noqa: NPY002 - the checks seed the global generator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of made-up data and of what it skips
        checks = check_estimator(classifier, on_fail=None)
    np.random.set_state(before)  # noqa: NPY002
    assert len(checks) > 40
    assert [each["check_name"] for each in checks if each["status"] == "failed"] == []


def test_it_gives_the_numbers_of_the_posterior(world: bp.World) -> None:
    X, y = table(world)
    words = np.where(y == 1, "left", "a right one")
    classifier = bp.RewardClassifier(
        "user", engine=ENGINE, context=["hard"], interactions="all", seed=3
    ).fit(X, words)
    assert classifier.classes_.tolist() == ["a right one", "left"]
    assert list(classifier.feature_names_in_) == list(X.columns)
    direct = bp.fit(bp.HierarchicalReward(), world.comparisons, ENGINE, seed=3)
    expected = direct.predict(X)["mean"].to_numpy()
    chance = classifier.predict_proba(X)
    np.testing.assert_allclose(chance, np.column_stack([1 - expected, expected]))
    assert (classifier.predict(X) == np.where(expected > 0.5, "left", "a right one")).all()
    assert classifier.score(X, words) > 0.7
    stranger = X.head(2).assign(user="eve")
    population = direct.predict(stranger, new_users="population")["mean"]
    np.testing.assert_allclose(classifier.predict_proba(stranger)[:, 1], population)


def test_the_tools_of_scikit_learn_take_it(world: bp.World) -> None:
    X, y = table(world)
    classifier = bp.RewardClassifier("user", engine=ENGINE, context=["hard"])
    copy = clone(classifier.set_params(seed=5))
    assert copy.get_params() == classifier.get_params()
    scores = cross_val_score(copy, X, y, groups=X["user"], cv=GroupKFold(2))
    assert (scores > 0.6).all()  # of users who were not fitted; a coin has 0.5
    scaled = make_column_transformer(
        (StandardScaler(with_mean=False), ["length", "tone"]),
        remainder="passthrough",
        verbose_feature_names_out=False,
    ).set_output(transform="pandas")
    line = make_pipeline(scaled, clone(copy)).fit(X, y)
    plain = copy.fit(X, y).predict_proba(X)
    # Priors are on scaled features: a feature's unit changes nothing but rounding.
    np.testing.assert_allclose(line.predict_proba(X), plain, atol=1e-6)


def test_without_users_an_array_will_do() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(80, 2))
    y = X[:, 0] - X[:, 1] + 0.3 * rng.normal(size=80) > 0
    classifier = bp.RewardClassifier(engine=ENGINE).fit(X, y)
    assert classifier.score(X, y) > 0.85
    assert isinstance(classifier.posterior_.model, bp.PooledReward)


def test_what_it_cannot_fit_is_refused(world: bp.World) -> None:
    X, y = table(world)
    classifier = bp.RewardClassifier("user", engine=ENGINE)
    refused: list[tuple[Any, Any, str]] = [
        (X.to_numpy()[:, 1:].astype(float), y, "an array has no column 'user'"),
        (X.drop(columns="user"), y, "user"),
        (X[["user"]], y, "no columns of features"),
        (X, np.arange(len(y)) % 3, "Only binary classification"),
        (X, np.ones(len(y)), "only one class"),
        (X, y[:-1], "inconsistent numbers of samples"),
    ]
    for features, target, message in refused:
        with pytest.raises(ValueError, match=message):
            classifier.fit(features, target)
    with pytest.raises(NotFittedError):
        bp.RewardClassifier("user").predict(X)
