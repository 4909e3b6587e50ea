"""Plots of ranks, models, correlations, covariates, components and pairs, and of long rows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior, made_votes
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

import bayes_pref as bp
from bayes_pref import plots
from bayes_pref.plots.rows import RowsStyle, draw_rows
from bayes_pref.plots.style import apart


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    yield
    pyplot.close("all")


def labels(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_yticklabels()]


def bars(ax: Axes) -> np.ndarray:
    """Ends (bar, end, x or y) of the first intervals drawn."""
    (found, *_) = [each for each in ax.collections if isinstance(each, LineCollection)]
    return np.array(found.get_segments())


def test_a_leaderboard_shows_the_best_with_their_ranks() -> None:
    posterior = made_posterior(made_votes())
    table = posterior.leaderboard(interval=0.8)
    ax = plots.leaderboard(posterior, interval=0.8, most=2)
    assert labels(ax) == table["item"].tolist()[:2]
    np.testing.assert_allclose(ax.lines[0].get_xdata(), table["mean"][:2])
    np.testing.assert_allclose(bars(ax)[:, :, 0], table[["lower", "upper"]][:2])
    first = table.iloc[0]
    low, high = int(first["rank_lower"]), int(first["rank_upper"])
    assert ax.texts[0].get_text() == ("1" if low == high else f"1 ({low} to {high})")
    assert "the best 2 of 3" in ax.get_xlabel().replace("\n", " ")
    assert "minus milk" in plots.leaderboard(posterior, against="milk").get_xlabel()


def test_models_are_compared_by_difference_weight_and_pareto_k() -> None:
    table = pd.DataFrame(
        {"difference": [0.0, -9.0], "difference_se": [0.0, 2.0], "weight": [0.9, 0.1]},
        index=["full", "po$oled"],
    ).assign(bad=[0, 3])
    ax = plots.compare(table)
    assert labels(ax) == ["full", "po$oled (3 k above 0.7)"]
    np.testing.assert_allclose(bars(ax)[1, :, 0], [-13.0, -5.0])
    assert [text.get_text() for text in ax.texts] == ["90 %", "10 %", "weight"]
    with pytest.raises(bp.DataError, match=r"give what bp.compare\(\{\.\.\.\}\) returned"):
        plots.compare(pd.DataFrame({"elpd": [1.0]}))


def test_a_cell_is_the_mean_correlation_and_bold_where_its_sign_is_known() -> None:
    posterior = made_posterior(model=bp.HierarchicalReward(covariance="full"), draws=300)
    ax = plots.correlations(posterior)
    found = posterior.correlations().set_index(["feature", "other"])
    columns = [label.get_text() for label in ax.get_xticklabels()]
    assert len(ax.texts) == 3
    for text in ax.texts:
        across, up = text.get_position()
        pair = (columns[int(across)], labels(ax)[int(up)])
        row = found.loc[pair if pair in found.index else pair[::-1]]
        assert float(text.get_text()) == pytest.approx(row["mean"], abs=0.00501)
        assert (text.get_fontweight() == "bold") == (row["lower"] * row["upper"] > 0)


def test_effects_of_covariates_are_per_sd_and_sorted_by_size() -> None:
    posterior = made_posterior(made_comparisons(covariates=True))
    (ax,) = plots.covariate_effects(posterior)
    comparisons = posterior.comparisons
    effect = posterior.draws["B"].sel(covariate="age").mean(("chain", "draw")).to_series()
    expected = effect * comparisons.covariates.std() * comparisons.feature_scale
    expected = expected.loc[expected.abs().sort_values(ascending=False).index]
    assert labels(ax) == expected.index.tolist()
    np.testing.assert_allclose(ax.lines[0].get_xdata(), expected)
    with pytest.raises(bp.DataError, match="covariate"):
        plots.covariate_effects(posterior, covariates="agee")
    with pytest.raises(bp.ModelError, match="no effects of covariates"):
        plots.covariate_effects(made_posterior())


def test_components_stand_side_by_side_and_what_sets_them_apart_on_top() -> None:
    engine = bp.Gibbs(draws=30, warmup=30, chains=2, progress=False)
    with pytest.warns(bp.ConvergenceWarning):
        posterior = bp.fit(bp.MixtureReward(components=2), made_comparisons(), engine)
    ax = plots.components(posterior, units="raw")
    mean = posterior.draws["mu"].mean(("chain", "draw")).transpose("component", "feature")
    apart_by = np.abs(np.diff(mean.to_numpy(), axis=0)).ravel()
    order = np.argsort(-apart_by, kind="stable")
    assert labels(ax) == [str(mean["feature"].to_numpy()[k]) for k in order]
    for line, values in zip(ax.lines[:2], mean.to_numpy(), strict=True):
        np.testing.assert_allclose(line.get_xdata(), values[order])
    assert (ax.lines[0].get_ydata() < ax.lines[1].get_ydata()).all()
    with pytest.raises(bp.ModelError, match="HierarchicalReward has no components"):
        plots.components(made_posterior())


def test_a_pair_is_the_sum_of_its_parts() -> None:
    posterior = made_posterior()
    left = pd.DataFrame({"length": [2.0], "tone": [0.0], "tact": [-1.0]}, index=["x"])
    ax = plots.pair(posterior, left, user="ann", interval=0.8)
    weights = posterior.weights("ann").set_index("feature")["mean"]
    parts = {"length (+2)": 2 * weights["length"], "tact (-1)": -weights["tact"]}
    order = sorted(parts, key=lambda name: -abs(parts[name]))
    assert labels(ax) == [*order, "together"]
    np.testing.assert_allclose(
        ax.lines[0].get_xdata(), [*(parts[name] for name in order), sum(parts.values())]
    )
    chance = posterior.preference(left, users=["ann"], interval=0.8).iloc[0]
    assert f"user ann: P(left) = {chance['mean']:.2f}" in ax.get_title(loc="left")
    with pytest.raises(bp.DataError, match="got 1 pairs and 2 users"):
        plots.pair(posterior, left, user=["ann", "bob"])


def test_a_pair_of_items_has_no_parts_since_single_rewards_have_no_origin() -> None:
    ax = plots.pair(made_posterior(made_votes()), ["tea"], ["milk"])
    assert labels(ax) == ["together"]
    assert ax.get_title(loc="left").startswith("tea against milk, all users on average")


def test_of_many_parts_the_smallest_are_added_up() -> None:
    names = [f"f{k}" for k in range(20)]
    posterior = made_posterior(
        bp.simulate(users=15, comparisons=4, features=names, contexts=0).comparisons
    )
    ax = plots.pair(posterior, pd.DataFrame([np.ones(20)], columns=names))
    assert labels(ax)[-2:] == ["9 other features", "together"]
    parts = ax.lines[0].get_xdata()
    assert sum(parts[:-1]) == pytest.approx(parts[-1])


def test_a_row_far_beyond_the_others_is_written_and_does_not_stretch_the_axis() -> None:
    table = pd.DataFrame({"mean": [0.1, -0.2, 0.3, 70.0]})
    table = table.assign(lower=table["mean"] - 0.1, upper=table["mean"] + 0.1)
    ax = draw_rows(table, list("abcd"), None, RowsStyle())
    assert ax.get_xlim()[1] < 1.0
    assert ax.texts[0].get_text().startswith("70 (69.9 to 70.1)")
    ordinary = draw_rows(table[:3], list("abc"), None, RowsStyle())
    assert not ordinary.texts


def test_one_feature_does_not_flatten_the_panels_of_all_others() -> None:
    posterior = made_posterior(made_comparisons())
    first, second, _ = plots.users(posterior)
    assert first.get_ylim() == second.get_ylim()
    wide = posterior.draws.copy(deep=True)
    wide["weights"].loc[{"feature": "length"}] *= 100.0
    first, second, _ = plots.users(bp.Posterior(**{**vars(posterior), "draws": wide}))
    assert first.get_ylim()[1] > 20 * second.get_ylim()[1]


def test_a_sorted_forest_has_the_largest_on_top_and_the_truth_beside_it() -> None:
    posterior = made_posterior()
    truth = {"length": 1.0, "tone": 2.0, "tact": 3.0}
    ax = plots.population(posterior, units="raw", sort=True, truth=truth)
    mean = posterior.draws["mu"].mean(("chain", "draw")).to_series()
    order = mean.abs().sort_values(ascending=False).index.tolist()
    assert labels(ax) == order
    (drawn,) = [line for line in ax.lines if line.get_label() == "truth"]
    assert drawn.get_xdata().tolist() == [truth[name] for name in order]


def test_labels_are_moved_apart_as_little_as_needed() -> None:
    assert apart(np.array([0.0, 10.0]), 3.0).tolist() == [0.0, 10.0]
    assert apart(np.array([1.0, 0.0, 0.5]), 2.0).tolist() == [4.0, 0.0, 2.0]


def test_thousands_of_marks_are_pictures_in_a_vector_file() -> None:
    posterior = made_posterior(made_comparisons(list(range(600)), rows=600), draws=10)
    axes = plots.users(posterior)
    lines = [each for each in axes[0].collections if isinstance(each, LineCollection)]
    assert all(each.get_rasterized() for each in lines)
    few = plots.users(made_posterior())[0].collections
    assert not any(each.get_rasterized() for each in few)


def test_a_dollar_sign_is_a_dollar_sign_and_starts_no_formula() -> None:
    names = ["$\\frac{1}$ a", "x_1^2 $", "\x1b[31m"]
    frame = pd.DataFrame(made_comparisons().difference, columns=names)
    frame = frame.assign(who=np.arange(60) % 4, won=np.arange(60) % 2)
    people = pd.DataFrame({"who": range(4), "$\\frac$ age": [1.0, 2.0, 3.0, 5.0]})
    data = bp.Comparisons.from_frame(
        frame, user="who", choice="won", difference=names, covariates=people
    )
    full = made_posterior(data, bp.HierarchicalReward(covariance="full"))
    row = pd.DataFrame([[1.0, -1.0, 1.0]], columns=names, index=["$\\frac$"])
    items = pd.concat([row, -row.rename(index={"$\\frac$": "$\\bad"})])
    drawn = [
        plots.pair(full, row),
        plots.leaderboard(full, items=items, against="$\\bad"),
        plots.correlations(full),
        plots.covariate_effects(full)[0],
    ]
    for ax in drawn:
        ax.figure.canvas.draw()  # a formula that is none would be an error
        texts = [*map(str, labels(ax)), ax.get_xlabel(), ax.get_title(), ax.get_title(loc="left")]
        assert any("$" in text for text in texts)
        assert not any("\x1b" in text for text in texts)
