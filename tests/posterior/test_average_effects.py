"""Average effects: against sums over all users and tasks, and means of randomised designs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior, made_votes, pooled_posterior
from matplotlib import pyplot
from scipy.special import expit

import bayes_pref as bp
from bayes_pref.posterior import average_effects, replaced_chances
from bayes_pref.posterior.task_distribution import shown_tasks, tasks_over

LEVELS = {"brand": ["A", "B", "C"], "size": ["S", "L"]}
WORLDS: dict[str, dict[str, Any]] = {
    "pairs": {},
    "sets": {"alternatives": 3},
    "none": {"alternatives": 3, "none": True},
    "worst": {"alternatives": 4, "best_worst": True},
    "ranked": {"alternatives": 3, "rankings": True},
    "contexts": {"contexts": 1, "interactions": True, "alternatives": 3},
}


def made(world: str, **changes: Any) -> tuple[bp.World, bp.Posterior]:
    settings = {"users": 4, "comparisons": 5, "features": ["price"], "contexts": 0} | WORLDS[world]
    simulated = bp.simulate(**(settings | changes), categories=LEVELS, seed=3)
    return simulated, made_posterior(simulated.comparisons, draws=10)


def sets_of(world: bp.World) -> list[pd.DataFrame]:
    """The alternatives of each task as the caller's table has them, the outside option as NaN."""
    return [rows for _, rows in world.frame.groupby(["user", "task"], sort=False)]


def features_of(rows: pd.DataFrame, data: bp.Comparisons) -> np.ndarray:
    """(alternative, feature) of a table, in effect coding, written out by hand."""
    columns = []
    for name in data.feature_names:
        plain, _, context = name.partition(":")
        if plain == "price":
            column = rows["price"].fillna(0.0).to_numpy(float)
        elif plain == "none":
            column = (rows["alternative"] == "none").to_numpy(float)
        else:
            attribute, level = plain.rstrip("]").split("[")
            base = LEVELS[attribute][0]
            column = (rows[attribute] == level).to_numpy(float) - (rows[attribute] == base)
        columns.append(column * (rows[context].to_numpy(float) if context else 1.0))
    return np.column_stack(columns)


def chance_of(
    world: bp.World, posterior: bp.Posterior, given: dict[str, Any], shares: np.ndarray
) -> np.ndarray:
    """(sample,) how often an alternative with these levels is chosen, by plain loops."""
    data = posterior.comparisons
    weights = posterior.weights_draws().transpose("user", "chain", "draw", "feature").to_numpy()
    weights = weights.reshape(len(shares), -1, data.n_features)
    total = np.zeros(weights.shape[1])
    tasks = sets_of(world)
    for rows in tasks:
        inside = [k for k in range(len(rows)) if not pd.isna(rows["brand"].iloc[k])]
        for k in inside:
            changed = rows.copy()
            for name, level in given.items():
                old = rows[name].iloc[k]
                new = old + level if name == "price" else level
                changed.iloc[k, changed.columns.get_loc(name)] = new
            reward = np.exp(weights @ features_of(changed, data).T)  # user, sample, alternative
            chosen = reward[..., k] / reward.sum(axis=-1)
            total += np.einsum("u,us->s", shares, chosen) / len(inside) / len(tasks)
    return total


@pytest.fixture
def every_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every user is given every task: the averages are then sums without any Monte Carlo error."""

    def whole(*args: Any) -> Any:
        group, tasks = args[0], args[1]
        inside = np.bincount(tasks.task[~tasks.outside], minlength=len(tasks)).mean()
        return dealt(group, tasks, round(len(group.users) * len(tasks) * inside), args[3])

    dealt = replaced_chances._dealt
    monkeypatch.setattr(replaced_chances, "_dealt", whole)


@pytest.fixture(autouse=True)
def _figures_are_closed() -> Iterator[None]:
    yield
    pyplot.close("all")


@pytest.mark.usefixtures("every_pair")
@pytest.mark.parametrize("name", WORLDS)
def test_effects_are_sums_over_all_users_tasks_and_alternatives(name: str) -> None:
    world, posterior = made(name)
    equal = np.full(4, 0.25)
    up, down = (chance_of(world, posterior, {"price": by}, equal) for by in (0.5, -0.5))
    brand = {level: chance_of(world, posterior, {"brand": level}, equal) for level in "ABC"}
    effects = posterior.amce("observed", attributes=["price", "brand"], baseline={"brand": "B"})
    assert effects["level"].tolist() == ["unit", "A", "C"]
    expected = [up - down, brand["A"] - brand["B"], brand["C"] - brand["B"]]
    assert effects["mean"].to_numpy() == pytest.approx([each.mean() for each in expected])
    assert effects["upper"].to_numpy() == pytest.approx([np.quantile(e, 0.95) for e in expected])
    means = posterior.marginal_means(attributes="brand")
    assert means["mean"].to_numpy() == pytest.approx([brand[level].mean() for level in "ABC"])


@pytest.mark.usefixtures("every_pair")
@pytest.mark.parametrize("name", ["pairs", "none"])
def test_an_interaction_is_the_difference_of_effects(name: str) -> None:
    world, posterior = made(name)
    equal = np.full(4, 0.25)

    def chance(brand: str, size: str) -> np.ndarray:
        return chance_of(world, posterior, {"brand": brand, "size": size}, equal)

    found = posterior.acie("brand", "size").set_index(["level", "other_level"])
    expected = chance("C", "L") - chance("A", "L") - chance("C", "S") + chance("A", "S")
    assert found.loc[("C", "L"), "mean"] == pytest.approx(expected.mean())
    assert abs(expected.mean()) > 1e-4


@pytest.mark.usefixtures("every_pair")
def test_groups_are_averages_of_their_own_users_by_their_survey_weights() -> None:
    world, posterior = made("sets")
    weights = np.array([1.0, 3.0, 2.0, 0.0])
    data = replace(posterior.comparisons, survey_weights=weights)
    posterior = replace(posterior, comparisons=data)
    by = pd.Series([True, False, True, False], index=data.users)[::-1]  # in any order
    shares = {False: np.array([0, 1, 0, 0]), True: np.array([1, 0, 2, 0]) / 3.0}
    drawn = {
        group: chance_of(world, posterior, {"size": "L"}, share)
        - chance_of(world, posterior, {"size": "S"}, share)
        for group, share in shares.items()
    }
    found = posterior.amce("observed", attributes="size", by=by)
    assert found["group"].tolist() == [False, True, True]
    assert found["minus"].tolist() == [None, None, False]
    expected = [drawn[False], drawn[True], drawn[True] - drawn[False]]
    assert found["mean"].to_numpy() == pytest.approx([each.mean() for each in expected])
    assert found["lower"].to_numpy() == pytest.approx([np.quantile(e, 0.05) for e in expected])
    everyone = posterior.amce("observed", attributes="size")["mean"].iloc[0]
    overall = chance_of(world, posterior, {"size": "L"}, weights / 6.0)
    overall = overall - chance_of(world, posterior, {"size": "S"}, weights / 6.0)
    assert everyone == pytest.approx(overall.mean())


def test_dealing_tasks_out_is_as_accurate_as_the_docstring_says() -> None:
    settings: dict[str, Any] = {"users": 20, "comparisons": 6, "contexts": 0, "seed": 1}
    world = bp.simulate(**settings, features=["price"], categories=LEVELS, alternatives=3)
    posterior = made_posterior(world.comparisons, draws=20)
    drawn = posterior.amce_draws("observed").mean(("chain", "draw")).to_numpy()
    equal = np.full(20, 1 / 20)
    base = chance_of(world, posterior, {"brand": "A"}, equal)
    exact = [(chance_of(world, posterior, {"brand": level}, equal) - base).mean() for level in "BC"]
    # Single effects have an sd below 0.5, of 6,000; twice for the two of a difference, times four.
    assert drawn[1:3] == pytest.approx(exact, abs=4 * 0.5 / np.sqrt(6_000))


@pytest.mark.parametrize("over", ["uniform", "given", "profiles"])
def test_distributions_of_attributes_are_those_asked_for(over: str) -> None:
    world, posterior = made("none", users=5, comparisons=30)
    data = posterior.comparisons
    table = pd.DataFrame({"price": [1.0, 2.0], "brand": ["A", "C"], "size": ["S", "L"]})
    given = {"brand": {"A": 0.25, "C": 0.75}, "price": {2.0: 1.0}}
    asked: Any = {"uniform": "uniform", "given": given, "profiles": table}[over]
    tasks = tasks_over(asked, data, 4_000, np.random.default_rng(0))
    inside = tasks.profiles[~tasks.outside]
    assert (np.bincount(tasks.task) == 4).all()  # three, and none of them
    assert (tasks.profiles[tasks.outside] == [0, 0, 0, 0, 1]).all()
    error = 4 * 0.5 / np.sqrt(len(inside))
    is_c, is_large = inside[:, 2] == 1, inside[:, 3] == 1
    expected = {"uniform": (1 / 3, 0.5), "given": (0.75, 0.5), "profiles": (0.5, 0.5)}[over]
    assert (is_c.mean(), is_large.mean()) == pytest.approx(expected, abs=error)
    joint = 0.5 if over == "profiles" else expected[0] * expected[1]
    assert (is_c & is_large).mean() == pytest.approx(joint, abs=error)
    if over == "uniform":
        assert set(inside[:, 0].round(9)) <= set(world.frame["price"].dropna().round(9))
    else:
        assert set(inside[:, 0]) == ({2.0} if over == "given" else {1.0, 2.0})
    assert posterior.amce(asked)["mean"].notna().all()


def test_the_tasks_shown_are_those_of_the_table() -> None:
    for name in WORLDS:
        world, posterior = made(name)
        tasks = shown_tasks(posterior.comparisons)
        count = len(posterior.comparisons.features.attributes)
        for number, rows in enumerate(sets_of(world)):
            own = tasks.profiles[tasks.task == number]
            expected = features_of(rows, posterior.comparisons)[:, :count]
            assert np.sort(own, axis=0) == pytest.approx(np.sort(expected, axis=0)), name
            drawn = np.random.default_rng(0).normal(size=count)  # rows, not only columns, agree
            assert np.sort(own @ drawn) == pytest.approx(np.sort(expected @ drawn)), name


def test_ties_and_position_bias_count_for_half() -> None:
    world = bp.simulate(users=4, comparisons=10, features=["price"], contexts=0, ties=0.2, seed=0)
    model = bp.HierarchicalReward(ties=True, position=True)
    posterior = made_posterior(world.comparisons, model, draws=10)
    # Nothing else differs, so that the margin of an alternative is the difference shown.
    prices = world.comparisons.difference[:, 0]
    pairs = pd.DataFrame({"price": np.concatenate([prices, -prices])})
    total = []
    for by in (0.5, -0.5):
        there = posterior.preference(pairs + by)
        back = posterior.preference(-pairs - by)
        lost = 1.0 - back["mean"] - back["tie"]
        total.append((there["mean"] + lost + (there["tie"] + back["tie"]) / 2).mean() / 2)
    found = posterior.amce("observed")["mean"].iloc[0]
    assert found == pytest.approx(total[0] - total[1], abs=4 * 0.5 / np.sqrt(6_000))


def test_a_number_that_takes_two_values_is_compared_at_both() -> None:
    world = bp.simulate(users=5, comparisons=20, features=0, contexts=0, categories=LEVELS, seed=0)
    frame = world.frame.assign(
        large=(world.frame["size"] == "L").astype(int),
        price=np.random.default_rng(0).choice([1.0, 2.0, 3.0], size=len(world.frame)),
    )
    roles: dict[str, Any] = {"user": "user", "task": "task", "choice": "choice"}
    data = bp.Comparisons.from_tasks(frame, **roles, attributes=["large", "price"])
    posterior = made_posterior(data)
    effects = posterior.amce("observed", values={"price": (1, 3)})
    assert effects["level"].tolist() == [1.0, 3]
    assert effects["baseline"].tolist() == [0.0, 1]
    means = posterior.marginal_means()
    assert means["level"].tolist() == [0.0, 1.0, 1.0, 2.0, 3.0]
    found = {key: rows["mean"].to_numpy() for key, rows in means.groupby("attribute")}
    expected = [np.diff(found["large"])[0], found["price"][2] - found["price"][0]]
    assert effects["mean"].to_numpy() == pytest.approx(expected)


def test_items_have_effects_and_marginal_means() -> None:
    posterior = made_posterior(made_votes())
    effects = posterior.amce("observed", baseline={"item": "milk"})
    assert effects["level"].tolist() == ["mate", "tea"]
    means = posterior.marginal_means().set_index("level")["mean"]
    expected = [means["mate"] - means["milk"], means["tea"] - means["milk"]]
    assert effects["mean"].to_numpy() == pytest.approx(expected)


def test_of_differences_alone_there_are_effects_of_a_unit() -> None:
    posterior = made_posterior()
    found = posterior.amce("observed", attributes="tone")
    weights = posterior.weights_draws().to_numpy().reshape(-1, 4, 3)
    rows = posterior.comparisons.difference
    eta = np.einsum("sud,nd->sun", weights, np.vstack([rows, -rows]))
    tone = weights[:, :, 1, None]
    expected = expit(eta + 0.5 * tone) - expit(eta - 0.5 * tone)
    assert found["mean"].iloc[0] == pytest.approx(expected.mean(), abs=2 / np.sqrt(6_000))
    with pytest.raises(bp.DataError, match="only differences of 'tone', not its values; read"):
        posterior.marginal_means(attributes="tone")
    with pytest.raises(bp.DataError, match="only differences of 'length'"):
        posterior.amce("uniform")
    table = pd.DataFrame({"length": [0.0, 1.0], "tone": [2.0, 1.0], "tact": [0.0, 3.0]})
    assert posterior.amce(table)["attribute"].tolist() == ["length", "tone", "tact"]


def test_polarisation_counts_camps_in_every_draw() -> None:
    _, posterior = made("pairs", users=6)
    weights = posterior.weights_draws().to_numpy().reshape(-1, 6, 4)
    names = posterior.comparisons.feature_names
    gain = weights[..., names.index("brand[B]")] - weights[..., names.index("brand[C]")]
    share = (gain > 0).mean(axis=1)
    expected = [share, np.minimum(share, 1 - share), expit(gain).std(axis=1)]
    found = posterior.polarisation("brand", values={"brand": ("C", "B")})
    assert found["measure"].tolist() == ["share", "minority", "spread"]
    assert found["mean"].to_numpy() == pytest.approx([each.mean() for each in expected])
    assert found["upper"].to_numpy() == pytest.approx([np.quantile(e, 0.95) for e in expected])


def means_by_level(frame: pd.DataFrame, attribute: str) -> tuple[pd.Series, pd.Series]:
    """How often alternatives with each level were chosen, and standard errors by user."""
    chosen = frame.groupby(attribute)["choice"].mean()
    errors = {}
    for level, rows in frame.groupby(attribute):
        residual = (rows["choice"] - chosen[level]).groupby(rows["user"]).sum()
        errors[level] = np.sqrt(np.square(residual).sum()) / len(rows)
    return chosen, pd.Series(errors)


def assert_agrees_with_the_design(frame: pd.DataFrame, posterior: bp.Posterior) -> None:
    """Means and differences of means within three standard errors of the model's."""
    means = posterior.marginal_means().set_index(["attribute", "level"])["mean"]
    effects = posterior.amce("observed").set_index(["attribute", "level"])
    for attribute in effects.index.unique("attribute"):
        chosen, error = means_by_level(frame, attribute)
        for level in chosen.index:
            assert means[attribute, level] == pytest.approx(chosen[level], abs=3 * error[level])
        for level, row in effects.loc[attribute].iterrows():
            base = row["baseline"]
            both = np.hypot(error[level], error[base])
            assert row["mean"] == pytest.approx(chosen[level] - chosen[base], abs=3 * both)
            # As precise as the design, or more so: the model knows all attributes of a task.
            assert 0.3 * both < row["sd"] < 1.3 * both


@pytest.mark.slow
@pytest.mark.parametrize("alternatives", [2, pytest.param(3, marks=pytest.mark.long)])
def test_effects_agree_with_differences_of_means_in_a_randomised_world(alternatives: int) -> None:
    settings: dict[str, Any] = {"users": 150, "comparisons": 8, "features": 0, "contexts": 0}
    world = bp.simulate(
        **settings, categories=LEVELS, alternatives=alternatives, heterogeneity=0.5, seed=5
    )
    engine = bp.Gibbs(draws=300, warmup=200, chains=2, progress=False)
    with pytest.warns(bp.ConvergenceWarning):  # few draws
        posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    assert_agrees_with_the_design(world.frame, posterior)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")  # few draws
def test_effects_agree_with_differences_of_means_in_a_published_study(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "sw2022_long.csv").rename(columns={"respondent": "user"})
    names = ["agenda", "talent", "children", "cand_gender", "prior_office"]
    about = frame.groupby("user")["resp_female"].first()
    data = bp.Comparisons.from_tasks(
        frame, user="user", task="task", choice="choice", attributes=names
    )
    engine = bp.Gibbs(draws=250, warmup=250, chains=2, progress=False)
    posterior = bp.fit(bp.HierarchicalReward(), data, engine)
    assert_agrees_with_the_design(frame, posterior)
    by = posterior.amce("observed", attributes="cand_gender", by=about)
    assert by["minus"].notna().sum() == 1


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda p: p.amce(by="age"), "by= is for effects over a distribution of the other"),
        (lambda p: p.amce("all"), "over='all' is no distribution of attributes; give 'observed'"),
        (lambda p: p.amce({"prize": {}}), "over: there is no attribute 'prize'; did you mean"),
        (lambda p: p.amce({"brand": {"A": 0.5}}), "'brand' has probabilities that sum to 0.5"),
        (lambda p: p.amce({"brand": {"A": -1.0, "B": 2.0}}), "has the probability -1; expected 0"),
        (lambda p: p.amce({"brand": {"D": 1.0}}), "over: attribute 'brand' has no level 'D'; its"),
        (lambda p: p.amce({"brand": 3}), "over: attribute 'brand': got 3; give {level:"),
        (lambda p: p.amce({"brand": {"A": "x"}}), "has a probability that is no number"),
        (
            lambda p: p.amce(pd.DataFrame({"price": []})),
            "over is empty: it has no rows; at least 1 is",
        ),
        (
            lambda p: p.amce(pd.DataFrame({"price": [1.0]})),
            "over has no columns 'brand' and 'size'; its col",
        ),
        (lambda p: p.amce("observed", attributes="colour"), "attributes: there is no attribute 'c"),
        (lambda p: p.amce("observed", attributes=[]), "attributes is empty"),
        (lambda p: p.amce("observed", baseline={"price": 1}), "baseline: attribute 'price' is a n"),
        (lambda p: p.amce("observed", baseline={"size": "XL"}), "attribute 'size' has no level"),
        (lambda p: p.amce("observed", baseline="A"), "baseline: got 'A'; give one of each"),
        (lambda p: p.amce("observed", values={"price": (1, 1)}), "give two different ones"),
        (lambda p: p.amce("observed", values={"price": 2}), "give a list of values"),
        (lambda p: p.amce("observed", values={"size": ("S", "M")}), "has no level 'M'"),
        (lambda p: p.amce("observed", by="age"), "by: there is no covariate 'age'; the comparis"),
        (lambda p: p.amce("observed", by=[1]), "by: got list; give the name of a covariate"),
        (lambda p: p.amce("observed", by=labels(p, [1, 2, 3])), "no label for user 'u004'"),
        (lambda p: p.amce("observed", by=labels(p, [True] * 4)), "nobody is in group False"),
        (lambda p: p.amce("observed", by=labels(p, ["x"] * 4)), "all users are in the group 'x'"),
        (lambda p: p.amce("observed", by=cut(p)), "by: nobody is in group 'old'"),
        (lambda p: p.amce("observed", by=labels(p, [None] * 4)), "nobody is in any group"),
        (lambda p: p.acie("brand", "brand"), "other: 'brand' is the same attribute; name another"),
        (lambda p: p.acie("brand", "none"), "other: there is no attribute 'none'"),
        (lambda p: p.polarisation("colour"), "attributes: there is no attribute 'colour'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(ask: Any, message: str) -> None:
    _, posterior = made("none")
    with pytest.raises(bp.DataError) as refused:
        ask(posterior)
    assert message in " ".join(str(refused.value).split())


def labels(posterior: bp.Posterior, values: list[Any]) -> pd.Series:
    return pd.Series(values, index=posterior.comparisons.users[: len(values)])


def cut(posterior: bp.Posterior) -> pd.Series:
    groups = pd.CategoricalDtype(["young", "middle", "old"])
    return labels(posterior, ["young", "middle"] * 2).astype(groups)


def test_of_a_model_in_which_all_are_alike_there_are_no_groups() -> None:
    posterior = pooled_posterior(made_comparisons(covariates=True))
    assert posterior.amce("observed")["mean"].notna().all()
    groups = pd.Series([1, 1, 2, 2], index=posterior.comparisons.users)
    with pytest.raises(bp.ModelError, match="by: all users are alike in PooledReward; fit a model"):
        posterior.amce("observed", by=groups)
    with pytest.raises(bp.ModelError, match="polarisation: all users are alike in PooledReward"):
        posterior.polarisation()


def test_a_covariate_names_groups() -> None:
    data = made_comparisons(covariates=True)
    two = replace(data, covariates=np.array([[0.0], [1.0], [1.0], [0.0]]))
    found = made_posterior(two).amce("observed", attributes="tone", by="age")
    assert found["group"].tolist() == [0.0, 1.0, 1.0]
    assert found["minus"].tolist() == [None, None, 0.0]
    many = replace(data, survey_weights=np.array([0.0, 1.0, 1.0, 0.0]))
    groups = pd.Series([1, 2, 2, 1], index=data.users)
    with pytest.raises(bp.DataError, match="the users in the group 1 of by all have the survey"):
        made_posterior(many).amce("observed", by=groups)


@pytest.mark.parametrize("differences", [False, True])
def test_dots_stand_where_the_frame_says(differences: bool) -> None:
    _, posterior = made("pairs")
    by = labels(posterior, ["x", "y", "x", "y"])
    effects = posterior.amce("observed", by=by)
    ax = bp.plots.average_effects(effects, differences=differences)
    shown = [label.get_text() for label in ax.get_yticklabels()]
    assert shown == ["price", "unit", "brand", "A", "B", "C", "size", "S", "L"]
    *groups, base = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert base.get_xdata().tolist() == [0.0, 0.0]
    assert base.get_ydata().tolist() == [3, 7]
    drawn = effects[effects["minus"].notna() == differences]
    assert len(groups) == (1 if differences else 2)
    for line, (_, part) in zip(groups, drawn.groupby("group"), strict=True):
        assert line.get_xdata() == pytest.approx(part["mean"].to_numpy())
        assert np.rint(line.get_ydata()).tolist() == [1, 4, 5, 8]


def test_other_results_are_drawn_and_other_frames_refused() -> None:
    _, posterior = made("pairs")
    means = bp.plots.average_effects(posterior.marginal_means(attributes="size"))
    assert means.get_xlabel() == "probability of being chosen"
    both = bp.plots.average_effects(posterior.acie("brand", "size"))
    assert [label.get_text() for label in both.get_yticklabels()] == [
        *("brand beside size", "B, L", "C, L")
    ]
    with pytest.raises(bp.DataError, match="effects: got DataFrame without some of attribute"):
        bp.plots.average_effects(posterior.weights())
    with pytest.raises(bp.DataError, match="effects has no groups; ask for them with by="):
        bp.plots.average_effects(posterior.amce("observed"), differences=True)


def test_many_draws_are_thinned_and_the_same_question_has_the_same_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, posterior = made("pairs")
    monkeypatch.setattr(replaced_chances, "SAMPLES", 8)
    drawn = posterior.amce_draws("observed")
    assert dict(drawn.sizes) == {"chain": 2, "draw": 4, "effect": 4}
    monkeypatch.setattr(average_effects, "TASKS", 10)
    pd.testing.assert_frame_equal(posterior.amce("uniform"), posterior.amce("uniform"))
