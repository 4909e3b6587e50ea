"""Averages over people: survey weights against sums by hand, and files with and without them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_posteriors import made_comparisons, made_posterior

import bayes_pref as bp

SHARES = np.array([4.0, 1.0, 0.0, 2.0, 2.0, 1.0]) / 10.0


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    world = bp.simulate(
        users=6, features=["price"], categories={"brand": ["A", "B", "C"]}, contexts=0, seed=0
    )
    return made_posterior(replace(world.comparisons, survey_weights=30.0 * SHARES))


def draws(posterior: bp.Posterior) -> np.ndarray:
    """(sample, user, feature)."""
    weights = posterior.weights_draws().transpose("chain", "draw", "user", "feature")
    return weights.to_numpy().reshape(-1, *weights.shape[2:])


def described(values: np.ndarray) -> list[float]:
    return [values.mean(), *np.quantile(values, [0.05, 0.95])]


def found(frame: pd.DataFrame, row: int) -> list[float]:
    return frame.loc[row, ["mean", "lower", "upper"]].astype(float).tolist()


def test_averages_are_sums_over_users_by_their_shares(posterior: bp.Posterior) -> None:
    weights = draws(posterior)
    mean = np.einsum("u,sud->sd", SHARES, weights)
    average = posterior.weights("average")
    assert average["user"].tolist() == ["average"] * 3
    for k in range(3):
        assert found(average, k) == pytest.approx(described(mean[:, k]))
    parts = posterior.part_worths()
    assert found(parts, 0) == pytest.approx(described(mean[:, 0]))
    assert found(parts, 1) == pytest.approx(described(-mean[:, 1] - mean[:, 2]))
    offer = pd.DataFrame({"price": [2.0], "brand": ["A"]}, index=["offer"])
    reward = 2 * mean[:, 0] - mean[:, 1] - mean[:, 2]
    assert found(posterior.reward(offer, "average"), 0) == pytest.approx(described(reward))


def test_the_importance_of_an_average_is_the_mean_of_shares(posterior: bp.Posterior) -> None:
    weights, data = draws(posterior), posterior.comparisons
    price = np.abs(weights[..., 0]) * np.abs(data.difference[:, 0]).max()
    brand = np.stack([-weights[..., 1] - weights[..., 2], weights[..., 1], weights[..., 2]])
    share = price / (price + np.ptp(brand, axis=0)) @ SHARES
    assert found(posterior.importance(), 0) == pytest.approx(described(share))


def test_average_effects_are_weighted(posterior: bp.Posterior) -> None:
    gain = np.tanh(draws(posterior)[..., 0] / 2.0)  # P - (1 - P) at a difference of one unit
    assert found(posterior.amce(), 0) == pytest.approx(described(gain @ SHARES))


def test_average_effects_within_contexts_are_weighted_by_user() -> None:
    data = made_comparisons("abcdef", interactions=True)
    made = made_posterior(replace(data, survey_weights=SHARES))
    weights = draws(made)
    own = weights[:, data.user, 1] + weights[:, data.user, 3] * data.context[:, 0]
    share = (SHARES / data.counts)[data.user]
    assert found(made.amce(), 1) == pytest.approx(described(np.tanh(own / 2.0) @ share))


def test_a_share_of_people_counts_those_they_stand_for(posterior: bp.Posterior) -> None:
    names = list(posterior.comparisons.feature_names)
    offers = pd.DataFrame([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0], [0.0, 0.0, 0.0]], columns=names)
    weights = draws(posterior)
    eta = weights @ offers.to_numpy().T
    share = np.einsum("u,suc->sc", SHARES, (eta > 0) + 0.5 * (eta == 0))
    people = posterior.share(offers)
    for row in range(3):
        assert found(people, row) == pytest.approx(described(share[:, row]))
    assert found(people, 2) == pytest.approx([0.5] * 3)
    chance = np.einsum("u,suc->sc", SHARES, 1.0 / (1.0 + np.exp(-eta)))
    average = posterior.preference(offers, users="average")
    drawn = posterior.preference_draws(offers, users="average")
    for row in range(3):
        assert found(average, row) == pytest.approx(described(chance[:, row]))
        assert described(drawn[..., 0, row].to_numpy()) == pytest.approx(described(chance[:, row]))
    unequal = found(posterior.preference(offers, users=None), 0) != found(average, 0)
    assert unequal


def test_without_weights_all_users_count_alike(posterior: bp.Posterior) -> None:
    plain = replace(posterior, comparisons=replace(posterior.comparisons, survey_weights=None))
    mean = draws(plain).mean(axis=1)
    assert found(plain.weights("average"), 0) == pytest.approx(described(mean[:, 0]))
    assert found(plain.part_worths(), 0) != pytest.approx(found(posterior.part_worths(), 0))


def test_a_user_called_average_is_asked_for_in_a_list() -> None:
    data = bp.simulate(users=3, seed=0).comparisons
    made = made_posterior(replace(data, users=pd.Index(["average", "b", "c"])))
    one, mean = made.weights(["average"]), made.weights("average")
    assert found(one, 0) == pytest.approx(described(draws(made)[:, 0, 0]))
    assert found(mean, 0) == pytest.approx(described(draws(made)[..., 0].mean(axis=1)))


def test_files_keep_survey_weights_and_need_none(posterior: bp.Posterior, tmp_path: Path) -> None:
    posterior.save(tmp_path / "with.nc")
    again = bp.Posterior.load(tmp_path / "with.nc")
    assert np.array_equal(again.comparisons.survey_weights, 30.0 * SHARES)
    pd.testing.assert_frame_equal(again.part_worths(), posterior.part_worths())
    plain = replace(posterior, comparisons=replace(posterior.comparisons, survey_weights=None))
    plain.save(tmp_path / "without.nc")
    group = xr.load_dataset(tmp_path / "without.nc", group="comparisons", engine="h5netcdf")
    assert "survey_weights" not in group  # as in a file of an earlier version
    assert bp.Posterior.load(tmp_path / "without.nc").comparisons.survey_weights is None


def test_survey_weights_of_another_shape_or_value_are_refused() -> None:
    data = bp.simulate(users=3, seed=0).comparisons
    with pytest.raises(bp.DataError, match="survey_weights has shape"):
        replace(data, survey_weights=np.ones(2))
    with pytest.raises(bp.DataError, match=r"survey_weights: user .* has -1\.0"):
        replace(data, survey_weights=np.array([1.0, -1.0, 1.0]))
    with pytest.raises(bp.DataError, match=r"survey_weights: user .* has nan"):
        replace(data, survey_weights=np.array([1.0, np.nan, 1.0]))


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")  # few draws, both times
def test_the_posterior_of_frequencies_is_that_of_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "who": np.repeat(["a", "b", "c"], 8),
            "x": rng.normal(size=24),
            "won": rng.integers(0, 2, size=24),
            "n": 2,
        }
    )
    roles = {"user": "who", "choice": "won", "difference": ["x"]}
    twice = frame.loc[frame.index.repeat(2)]
    engine = bp.Gibbs(draws=50, warmup=50, chains=2, progress=False)
    fits = [
        bp.fit(bp.HierarchicalReward(), bp.Comparisons.from_frame(table, **roles, **more), engine)
        for table, more in ((frame, {"frequency": "n"}), (twice, {}))
    ]
    first, second = (each.draws["weights"].to_numpy() for each in fits)
    assert np.array_equal(first, second)
