"""Plots: every mark is where the posterior's own frames say, and every label can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from cases import small_comparisons
from made_posteriors import made_comparisons, made_posterior, made_votes, pooled_posterior
from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.text import Text

import bayes_pref as bp
from bayes_pref import plots
from bayes_pref.plots import users_plot

LONG = [f"the answer has {k} long words_and_underscores:prompt about code" for k in range(20)]


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    """Two features whose typical differences are about 1 and 3 raw units, ten users."""
    return made_posterior(small_comparisons())


def wide(features: list[str], users: int = 15) -> bp.Posterior:
    """A posterior of so many features."""
    return made_posterior(
        bp.simulate(users=users, comparisons=4, features=features, contexts=0).comparisons
    )


def line(ax: Axes, label: str) -> Line2D:
    """The line or dots of that label."""
    (found,) = [drawn for drawn in ax.lines if drawn.get_label() == label]
    return found


def bars(ax: Axes, label: str) -> np.ndarray[Any, Any]:
    """Ends (bar, end, x or y) of the interval bars of that label."""
    (found,) = [
        drawn
        for drawn in ax.collections
        if isinstance(drawn, LineCollection) and drawn.get_label() == label
    ]
    return np.array(found.get_segments())


def summary(posterior: bp.Posterior, name: str, interval: float = 0.9) -> pd.DataFrame:
    frame = posterior.summary(interval=interval)
    return frame[[label.startswith(f"{name}[") for label in frame.index]]


@pytest.mark.parametrize(("plot", "name"), [(plots.population, "mu"), (plots.heterogeneity, "tau")])
@pytest.mark.parametrize("interval", [0.5, 0.9])
@pytest.mark.parametrize("units", ["raw", "scaled"])
def test_a_forest_shows_the_summary(
    posterior: bp.Posterior, plot: Callable[..., Axes], name: str, interval: float, units: str
) -> None:
    ax = plot(posterior, interval=interval, units=units)
    found = summary(posterior, name, interval)
    scale = posterior.comparisons.feature_scale if units == "scaled" else np.ones(2)
    assert posterior.comparisons.feature_scale[1] > 2.0  # or the two units would look the same
    np.testing.assert_allclose(line(ax, "posterior mean").get_xdata(), found["mean"] * scale)
    ends = bars(ax, f"{100 * interval:g} % interval")
    np.testing.assert_allclose(ends[:, 0, 0], found["lower"] * scale)
    np.testing.assert_allclose(ends[:, 1, 0], found["upper"] * scale)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["brief", "polite"]
    assert ax.get_yticks().tolist() == ends[:, 0, 1].tolist() == [0, 1]
    assert ax.yaxis_inverted()  # the first feature stands on top
    unit = "typical difference" if units == "scaled" else "unit"
    assert f"{100 * interval:g} % interval (log-odds per {unit})" in " ".join(
        ax.get_xlabel().split()
    )


@pytest.mark.parametrize("plot", [plots.population, plots.heterogeneity])
def test_the_truth_stands_in_the_row_of_its_feature(
    posterior: bp.Posterior, plot: Callable[..., Axes]
) -> None:
    truth = pd.Series({"unknown": 9.0, "polite": 0.25, "brief": -1.0})
    for given in (truth, truth.to_dict()):
        drawn = line(plot(posterior, truth=given), "truth")
        expected = np.array([-1.0, 0.25]) * posterior.comparisons.feature_scale
        np.testing.assert_allclose(drawn.get_xdata(), expected)


def test_rewards_of_items_are_drawn_in_log_odds() -> None:
    ax = plots.population(made_posterior(made_votes()))
    assert ax.get_xlabel() == "population weight, 90 % interval (log-odds)"


def test_the_spread_says_that_covariates_are_taken_out() -> None:
    with_covariates = made_posterior(made_comparisons(covariates=True))
    assert "beyond covariates" in plots.heterogeneity(with_covariates).get_xlabel()
    assert "beyond" not in plots.heterogeneity(made_posterior()).get_xlabel()


@pytest.mark.parametrize("units", ["raw", "scaled"])
def test_a_panel_shows_every_users_weight_sorted(posterior: bp.Posterior, units: str) -> None:
    scale = dict(zip(["brief", "polite"], posterior.comparisons.feature_scale, strict=True))
    weights = posterior.weights(interval=0.8)
    middle = summary(posterior, "mu", 0.8)
    axes = plots.users(posterior, units=units, interval=0.8)
    for ax, feature in zip(axes, ["brief", "polite"], strict=True):
        unit = scale[feature] if units == "scaled" else 1.0
        found = weights[weights["feature"] == feature].sort_values("mean")
        np.testing.assert_allclose(line(ax, "users' means").get_ydata(), found["mean"] * unit)
        ends = bars(ax, "users' 80 % interval")
        np.testing.assert_allclose(ends[:, 0, 1], found["lower"] * unit)
        np.testing.assert_allclose(ends[:, 1, 1], found["upper"] * unit)
        np.testing.assert_array_equal(ends[:, 0, 0], np.arange(1, 11))
        assert [text.get_text() for text in ax.get_xticklabels()] == found["user"].tolist()
        row = middle.loc[f"mu[{feature}]"] * unit
        np.testing.assert_allclose(line(ax, "population mean").get_ydata(), row["mean"])
        (band,) = [patch for patch in ax.patches if "80 %" in patch.get_label()]
        edge = band.get_path().get_extents(band.get_patch_transform())  # a polygon before 3.9
        low, high = edge.y0, edge.y1
        np.testing.assert_allclose([low, high], row[["lower", "upper"]].tolist())
        assert ax.get_title() == feature


def test_true_weights_stay_with_their_users(posterior: bp.Posterior) -> None:
    people = posterior.comparisons.users
    rng = np.random.default_rng(1)
    truth = pd.DataFrame(
        rng.normal(size=(10, 2)), index=people[rng.permutation(10)], columns=["polite", "brief"]
    )
    axes = plots.users(posterior, truth=truth, units="raw")
    for ax, feature in zip(axes, ["brief", "polite"], strict=True):
        frame = posterior.weights()
        order = frame[frame["feature"] == feature].sort_values("mean")["user"]
        np.testing.assert_array_equal(line(ax, "truth").get_ydata(), truth.loc[order, feature])


@pytest.mark.parametrize("count", [10, 40])
def test_the_chosen_user_is_pointed_out_at_their_own_place(count: int) -> None:
    posterior = made_posterior(small_comparisons(users=count))
    weights = posterior.weights("u7")
    for user in ("u7", ["u7"]):
        axes = plots.users(posterior, user, units="raw")
        for ax, feature in zip(axes, ["brief", "polite"], strict=True):
            mark, everyone = line(ax, "user u7"), line(ax, "users' means")
            mean = weights.set_index("feature").loc[feature, "mean"]
            np.testing.assert_allclose(mark.get_ydata(), mean)
            place = int(mark.get_xdata()[0]) - 1
            np.testing.assert_allclose(everyone.get_ydata()[place], mean)
            # A few users are named below the panel, many are not: one label beside the mark.
            beside = [text.get_text() for text in ax.texts]
            below = [text.get_text() for text in ax.get_xticklabels()]
            assert (beside == []) == (count == 10)
            assert "u7" in (below if count == 10 else beside)


def test_the_chosen_users_truth_lies_on_top_of_their_bar(posterior: bp.Posterior) -> None:
    comparisons = posterior.comparisons
    truth = pd.DataFrame(0.25, comparisons.users, list(comparisons.feature_names))
    truth.loc[comparisons.users[3]] = -0.5
    for ax in plots.users(posterior, comparisons.users[3], truth=truth, units="raw"):
        mark = line(ax, f"user {comparisons.users[3]}")
        [cross] = [one for one in ax.lines if one.get_marker() == "x" and len(one.get_xdata()) == 1]
        assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (mark.get_xdata()[0], -0.5)
        assert cross.get_zorder() > max(
            mark.get_zorder(), *(b.get_zorder() for b in ax.collections)
        )


def test_panels_are_those_asked_for_in_the_order_asked_for(posterior: bp.Posterior) -> None:
    def titles(features: Any) -> list[str]:
        return [ax.get_title() for ax in plots.users(posterior, features=features)]

    assert titles(["polite", "brief"]) == ["polite", "brief"]
    assert titles("polite") == ["polite"]


def test_of_many_features_those_with_the_largest_differences_are_drawn() -> None:
    posterior = wide([f"f{k}" for k in range(23)])
    means = posterior.weights().pivot(index="feature", columns="user", values="mean")
    scale = pd.Series(posterior.comparisons.feature_scale, posterior.comparisons.feature_names)
    left_out = (means.std(axis=1) * scale).nsmallest(3).index
    axes = plots.users(posterior)
    assert {f"f{k}" for k in range(23)} - {ax.get_title() for ax in axes} == set(left_out)
    assert axes[0].figure.get_suptitle() == "20 of 23 features: where users differ most"
    assert len(plots.users(posterior, features=posterior.comparisons.feature_names)) == 23


def test_an_attribute_stands_for_the_features_of_its_levels() -> None:
    levels = {"brand": ["A", "B", "C"]}
    world = bp.simulate(users=6, features=["price"], categories=levels, alternatives=3, seed=0)
    posterior = made_posterior(world.comparisons)
    axes = plots.users(posterior, features=["brand", "price", "brand[B]"])
    assert [ax.get_title() for ax in axes] == ["brand[B]", "brand[C]", "price"]
    with pytest.raises(bp.DataError, match="unknown feature 'bran'"):
        plots.users(posterior, features="bran")


def test_a_trace_shows_the_draws_of_every_chain(posterior: bp.Posterior) -> None:
    grid = plots.trace(posterior)
    labels = ["mu[brief]", "mu[polite]", "tau[brief]", "tau[polite]"]
    assert [[ax.get_title() for ax in row] for row in grid] == [[label] * 2 for label in labels]
    for (_, ax), (name, feature) in zip(
        grid, [(n, f) for n in ("mu", "tau") for f in ("brief", "polite")], strict=True
    ):
        draws = posterior.draws[name].sel(feature=feature).to_numpy()
        drawn = [np.asarray(chain.get_ydata()) for chain in ax.lines]
        for chain in draws:
            assert any(np.array_equal(chain, found) for found in drawn)


def test_parameters_are_chosen_by_variable_and_label(posterior: bp.Posterior) -> None:
    axes = plots.rank(posterior, "weights", coords={"user": ["u3", "u1"], "feature": "polite"})
    assert [ax.get_title() for ax in axes] == ["weights[u3, polite]", "weights[u1, polite]"]
    full = made_posterior(small_comparisons(), bp.HierarchicalReward(covariance="full"))
    assert [ax.get_title() for ax in plots.rank(full, "correlation")] == [
        "correlation[brief, polite]"
    ]


@pytest.mark.parametrize("plot", [plots.trace, plots.rank])
def test_more_parameters_than_arviz_draws_at_once_are_all_drawn(plot: Callable[..., Any]) -> None:
    axes = plot(wide([f"f{k}" for k in range(12)]))
    assert len(axes) == 24
    assert all(ax.has_data() for ax in axes.ravel())


def test_the_prior_predictive_is_the_histogram_of_its_probabilities() -> None:
    comparisons = small_comparisons()
    prior = bp.HierarchicalReward().prior_predictive(comparisons, draws=50)
    chance = prior["probability"].to_numpy()[0]
    mine = np.isin(prior["comparison"], comparisons["u2"].rows)
    assert 0 < mine.sum() < mine.size
    for some, values in ((None, chance), (comparisons["u2"], chance[:, mine])):
        (steps,) = plots.prior_predictive(prior, some).patches
        heights, edges, _ = steps.get_data()
        counts = heights * np.diff(edges) * values.size
        np.testing.assert_allclose(counts, np.histogram(values, edges)[0], atol=1e-6)
        np.testing.assert_allclose(edges[[0, -1]], [0.0, 1.0])


@pytest.mark.parametrize(("mean_sd", "certain"), [(0.3, False), (50.0, True)])
def test_a_prior_that_is_certain_of_most_choices_is_told(mean_sd: float, certain: bool) -> None:
    prior = bp.PooledReward(mean_sd=mean_sd).prior_predictive(small_comparisons(), draws=50)
    values = prior["probability"].to_numpy()
    share = np.mean((values < 0.01) | (values > 0.99))
    title = " ".join(plots.prior_predictive(prior).get_title(loc="left").split())
    assert title.startswith(f"{100 * share:.0f} % of the probabilities")
    assert ("all but certain" in title) == certain


def everything(posterior: bp.Posterior) -> dict[str, tuple[Callable[..., Any], int]]:
    """Every plot as a function of axes, and how many it needs."""
    prior = posterior.model.prior_predictive(posterior.comparisons, draws=10)
    return {
        "population": (lambda ax: plots.population(posterior, ax), 1),
        "heterogeneity": (lambda ax: plots.heterogeneity(posterior, ax), 1),
        "prior_predictive": (lambda ax: plots.prior_predictive(prior, ax=ax), 1),
        "factors": (lambda ax: plots.factors(FACTORS, ax), 1),
        "users": (lambda axes: plots.users(posterior, "u1", axes=axes), 2),
        "trace": (lambda axes: plots.trace(posterior, "mu", axes), 4),
        "rank": (lambda axes: plots.rank(posterior, "mu", axes), 2),
    }


@pytest.mark.parametrize("name", everything(made_posterior(small_comparisons())))
def test_a_plot_draws_into_the_axes_given_and_touches_nothing_else(
    posterior: bp.Posterior, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyplot, "show", lambda *_: pytest.fail("a plot was shown"))
    before = dict(mpl.rcParams)
    draw, count = everything(posterior)[name]
    axes = pyplot.subplots(1, count)[1]
    returned = draw(axes)
    assert pyplot.get_fignums() == [1]
    assert np.ravel(returned).tolist() == np.ravel(axes).tolist()
    assert all(ax.has_data() for ax in np.ravel(axes))
    assert dict(mpl.rcParams) == before
    draw(None)
    assert pyplot.get_fignums() == [1, 2]
    pyplot.figure(2).canvas.draw()  # a layout that did not fit would warn


def overlaps(texts: list[Text]) -> list[tuple[str, str]]:
    """Pairs of neighbouring texts that cover each other."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    return [(a, b) for (a, box), (b, other) in pairwise(boxes) if box.overlaps(other)]


@pytest.mark.parametrize("height", [None, 6.0, 1.5])
def test_twenty_long_names_do_not_overlap_in_a_forest(height: float | None) -> None:
    axes = pyplot.subplots(figsize=(7, height), layout="constrained")[1] if height else None
    ax = plots.population(wide(LONG), axes)
    ax.figure.canvas.draw()
    labels = ax.get_yticklabels()
    assert "".join(labels[0].get_text().split()) == "".join(LONG[0].split())
    assert overlaps(labels) == []
    assert height == 1.5 or len(labels) == 20
    box = ax.figure.bbox
    assert all(box.x0 <= label.get_window_extent().x0 for label in labels)
    for label in labels:
        label.set_fontsize(24)
    assert overlaps(labels) != []


def test_twenty_long_names_do_not_overlap_above_the_panels() -> None:
    posterior = wide(LONG)
    axes = plots.users(posterior, posterior.comparisons.users[0])
    figure = axes[0].figure
    figure.canvas.draw()
    assert overlaps([ax.title for ax in axes]) == []
    rows = [ax.get_tightbbox() for ax in axes]
    assert not any(a.overlaps(b) for k, a in enumerate(rows) for b in rows[k + 1 :])
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert not any(box.overlaps(panel) for panel in rows)
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1


def test_a_dollar_sign_in_a_name_is_a_dollar_sign() -> None:
    names = [r"$\unknown{$", "$price$"]
    posterior = wide(names, users=40)
    for plot in (plots.population, plots.heterogeneity, plots.users, plots.trace, plots.rank):
        drawn = plot(posterior)
        np.ravel(drawn)[0].figure.canvas.draw()  # mathematics that cannot be read would raise


@pytest.mark.parametrize("users", [5, 13, 1000])
def test_users_of_any_number_fill_the_panel(users: int) -> None:
    posterior = made_posterior(small_comparisons(users=users, each=2), draws=5)
    (ax,) = plots.users(posterior, "u3", features="brief")
    low, high = ax.get_xlim()
    assert low < 1
    assert high > users
    assert high - low < 1.1 * users + 1


def test_of_very_many_users_some_are_drawn_at_their_own_places(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(users_plot, "_DRAWN", 50)
    posterior = made_posterior(small_comparisons(users=300, each=2), draws=5)
    (ax,) = plots.users(posterior, "u3", features="brief", units="raw")
    dots = next(line for line in ax.lines if line.get_label() == "users' means")
    place, mean = dots.get_data()
    assert (place[0], place[-1], len(place)) == (1, 300, 50)
    weights = posterior.weights()
    every = np.sort(weights.loc[weights["feature"] == "brief", "mean"].to_numpy())
    np.testing.assert_array_equal(mean, every[np.asarray(place, dtype=int) - 1])
    assert ax.get_xlabel() == "300 users, sorted; 50 drawn"
    (chosen,) = (line for line in ax.lines if line.get_label() == "user u3")
    own = weights[(weights["feature"] == "brief") & (weights["user"] == "u3")]["mean"].item()
    assert chosen.get_ydata()[0] == own  # whether or not it is among those drawn


@pytest.mark.parametrize("features", [1, 2, 3, 5])
def test_the_legend_fits_below_few_panels(features: int) -> None:
    posterior = wide([f"f{k}" for k in range(features)])
    truth = pd.DataFrame(0.0, posterior.comparisons.users, posterior.comparisons.feature_names)
    axes = plots.users(posterior, posterior.comparisons.users[0], truth=truth)
    figure = axes[0].figure
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert figure.bbox.x0 <= box.x0
    assert box.x1 <= figure.bbox.x1
    assert not any(box.overlaps(ax.get_tightbbox()) for ax in axes)
    # With the axis label, nothing is cut off at the top or the bottom.
    label = figure.get_supylabel()
    assert label.startswith("users' weights")
    (text,) = [found for found in figure.texts if found.get_text() == label]
    height = text.get_window_extent()
    assert figure.bbox.y0 <= height.y0
    assert height.y1 <= figure.bbox.y1


POOLED = pooled_posterior(small_comparisons())
GOOD = made_posterior(small_comparisons())
PRIOR = GOOD.model.prior_predictive(GOOD.comparisons, draws=5)
ONE = pd.Series({"brief": 1.0})
FACTORS = made_posterior(small_comparisons(), bp.LowRankReward(rank=2))
REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "pooled spread": (lambda: plots.heterogeneity(POOLED), "PooledReward has no differences"),
    "pooled users": (lambda: plots.users(POOLED), "PooledReward has no differences between users"),
    "no factors": (
        lambda: plots.factors(GOOD),
        "HierarchicalReward has no factors that users share",
    ),
    "one factor": (
        lambda: plots.factors(FACTORS, factors="factor_1"),
        "factors: name two of 'factor_1', 'factor_2', one for each axis",
    ),
    "a frame": (lambda: plots.population(pd.DataFrame()), "got DataFrame but expected a Posterior"),
    "a list": (lambda: plots.trace([]), "got list but expected a Posterior"),
    "a figure": (lambda: plots.population(GOOD, pyplot.figure()), "ax: got Figure but expected"),
    "one axis": (lambda: plots.users(GOOD, axes=pyplot.axes()), "axes: 2 matplotlib Axes are nee"),
    "no axes": (lambda: plots.rank(GOOD, "mu", [1, 2]), "axes: 2 matplotlib Axes are needed"),
    "interval": (lambda: plots.population(GOOD, interval=90), "interval must be a number between"),
    "units": (lambda: plots.users(GOOD, units="sd"), "units must be 'scaled' or 'raw', got 'sd'"),
    "user": (lambda: plots.users(GOOD, "u99"), "unknown user 'u99'"),
    "users": (lambda: plots.users(GOOD, ["u1", "u2"]), "name one user to highlight"),
    "feature": (lambda: plots.users(GOOD, features=["brif"]), "unknown feature 'brif'"),
    "no feature": (lambda: plots.users(GOOD, features=[]), "features: name at least one"),
    "truth": (lambda: plots.population(GOOD, truth=ONE), "no value for the feature 'polite'"),
    "text": (lambda: plots.population(GOOD, truth="mu"), "truth: expected a number for each"),
    "series": (lambda: plots.users(GOOD, truth=ONE), "truth: got Series but expected a frame"),
    "doubled": (
        lambda: plots.population(GOOD, truth=pd.Series([1, 2, 3], ["brief", "polite", "brief"])),
        "truth has the feature 'brief' twice",
    ),
    "variable": (lambda: plots.trace(GOOD, "sigma"), "unknown variable 'sigma'"),
    "dimension": (lambda: plots.rank(GOOD, coords={"item": 1}), "'mu' and 'tau' have no dimension"),
    "label": (lambda: plots.rank(GOOD, coords={"feature": "rude"}), "unknown feature 'rude'"),
    "too many": (
        lambda: plots.trace(made_posterior(small_comparisons(users=31)), "weights"),
        "trace: 62 parameters are too many for one figure (at most 60)",
    ),
    "a model": (
        lambda: plots.prior_predictive(GOOD.model),
        "prior: got HierarchicalReward, not what",
    ),
    "posterior": (
        lambda: plots.prior_predictive(GOOD.draws),
        "prior: got Dataset, not what model.prior",
    ),
    "foreign rows": (
        lambda: plots.prior_predictive(PRIOR, made_comparisons()),
        "the prior predictive holds none of these rows",
    ),
}


def test_users_stand_at_their_mean_positions_and_features_point_along_their_loadings() -> None:
    ax = plots.factors(FACTORS)
    draws = FACTORS.draws
    mean = draws["z"].mean(("chain", "draw")).transpose("user", "factor").to_numpy()
    assert ax.get_xlabel().startswith("factor_1")
    np.testing.assert_allclose(line(ax, "users' means").get_xydata(), mean)
    sd = draws["z"].std(("chain", "draw"), ddof=1).transpose("user", "factor").to_numpy()
    for k, segments in enumerate((bars(ax, "users' sd"), bars(ax, "_users' sd up"))):
        np.testing.assert_allclose(np.abs(np.diff(segments[:, :, k], axis=1))[:, 0], 2 * sd[:, k])
    loadings = draws["V"].mean(("chain", "draw")).transpose("feature", "factor").to_numpy()
    scaled = loadings * FACTORS.comparisons.feature_scale[:, None]
    tips = np.array([drawn.xy for drawn in ax.texts if drawn.arrow_patch is not None])
    np.testing.assert_allclose(tips / tips[0, 0], scaled / scaled[0, 0])
    assert [drawn.get_text() for drawn in ax.texts if drawn.arrow_patch is None] == [
        "brief",
        "polite",
    ]
    ax.figure.canvas.draw()  # a layout that did not fit would warn


def test_axes_of_tastes_are_those_asked_for_and_one_taste_stands_alone() -> None:
    ax = plots.factors(FACTORS, factors=["factor_2", "factor_1"])
    mean = FACTORS.draws["z"].mean(("chain", "draw")).transpose("user", "factor").to_numpy()
    np.testing.assert_allclose(line(ax, "users' means").get_xydata(), mean[:, ::-1])
    alone = made_posterior(small_comparisons(), bp.LowRankReward(rank=1))
    ax = plots.factors(alone)
    mean = alone.draws["z"].mean(("chain", "draw")).to_numpy()[:, 0]
    np.testing.assert_allclose(line(ax, "users' means").get_xdata(), np.sort(mean))


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(case: str) -> None:
    draw, message = REFUSED[case]
    before = pyplot.get_fignums()
    with pytest.raises(bp.BayesPrefError) as caught:
        draw()
    text = str(caught.value)
    assert message in text
    assert "\n" not in text
    # No empty figure is left behind (but those that the call itself was given).
    assert len(pyplot.get_fignums()) - len(before) == (case in ("a figure", "one axis"))
