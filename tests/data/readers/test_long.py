"""Choice tasks: what a task becomes, the outside option, best-worst, and what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from raw_tables import assert_same

import bayes_pref as bp
from bayes_pref.data import PairedChoice

ROLES: dict[str, Any] = {"user": "who", "task": "id", "choice": "won", "attributes": ["x", "y"]}


def tasks(sizes: list[int], *, users: int = 3, seed: int = 0) -> pd.DataFrame:
    """Tasks of these sizes in shuffled rows, users in turn, the choice and ranks at random."""
    rng = np.random.default_rng(seed)
    task = np.repeat(np.arange(len(sizes)), sizes)
    frame = pd.DataFrame(
        {
            "who": [f"u{code % users}" for code in task],
            "id": task,
            "alt": np.concatenate([rng.permutation(size) for size in sizes]),
            "x": rng.normal(size=len(task)),
            "y": rng.normal(size=len(task)),
            "hard": np.repeat(rng.normal(size=len(sizes)), sizes),
            "place": np.concatenate([rng.permutation(size) + 1 for size in sizes]),
        }
    )
    frame["won"] = (frame["place"] == 1).astype(int)
    frame["lost"] = (frame["place"] == frame.groupby("id")["place"].transform("max")).astype(int)
    return frame.sample(frac=1, random_state=seed).set_axis(rng.permutation(len(task)) + 100)


def read(frame: pd.DataFrame, **changes: Any) -> bp.Comparisons:
    roles = {name: value for name, value in (ROLES | changes).items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # few rows
        return bp.Comparisons.from_tasks(frame, **roles)


def probabilities(data: bp.Comparisons, weights: np.ndarray) -> pd.Series:
    """Log probability of each task by the formula of its stages, by label of the task."""
    eta = data.difference @ weights
    stage = pd.Series(np.exp(-eta)).groupby(data.outcome.stage).sum()
    first = np.flatnonzero(np.diff(data.outcome.stage, prepend=-1))
    labels = data.rows.get_level_values(0)[first]
    return (-np.log1p(stage)).groupby(labels.to_numpy()).sum()


def test_a_choice_is_the_multinomial_logit_of_the_set() -> None:
    frame = tasks([3, 4, 2, 5, 3, 3])
    data, weights = read(frame), np.array([0.7, -0.4])
    reward = frame[["x", "y"]] @ weights
    share = np.exp(reward) / np.exp(reward).groupby(frame["id"]).transform("sum")
    expected = np.log(share[frame["won"] == 1]).set_axis(frame["id"][frame["won"] == 1])
    pd.testing.assert_series_equal(
        probabilities(data, weights),
        expected.sort_index(),
        check_names=False,
        check_index_type=False,
    )
    assert data.rows.names == ["id", "better", "worse"]
    assert data.outcome.task.tolist() == list(range(6))


def test_best_and_worst_are_two_choices_and_of_three_are_the_ranking() -> None:
    frame = tasks([3] * 6)
    both = read(frame, choice=None, best="won", worst="lost")
    ranked = read(frame, choice=None, rank="place")
    assert both.outcome.worst.tolist() == [False, True] * 6
    assert "6, each of the best of those that are left, and 6 of the worst" in repr(both)
    for name in ("stage", "task"):
        assert getattr(both.outcome, name).tolist() == getattr(ranked.outcome, name).tolist()
    key = [data.rows.to_frame(index=False) for data in (both, ranked)]
    order = [each.sort_values(list(each.columns)).index for each in key]  # rows within a stage
    np.testing.assert_array_equal(both.difference[order[0]], ranked.difference[order[1]])

    # Of five, the worst is chosen among the four that are left, with the rewards' signs turned.
    frame, weights = tasks([5, 2, 4]), np.array([0.7, -0.4])
    found = probabilities(read(frame, choice=None, best="won", worst="lost"), weights)
    for task, group in frame.groupby("id"):
        reward = (group[["x", "y"]] @ weights).to_numpy()
        won, lost = (group[name].to_numpy() == 1 for name in ("won", "lost"))
        best = reward[won] - np.log(np.exp(reward).sum())
        worst = -reward[lost] - np.log(np.exp(-reward[~won]).sum())
        assert found[task] == pytest.approx(float(best[0] + worst[0]))


def test_a_ranking_in_tasks_is_that_of_from_rankings() -> None:
    frame = tasks([4, 3, 5])
    frame["place"] = frame["place"].where(frame["place"] < 3)  # the rest is not ranked
    frame["item"] = [f"i{row}" for row in range(len(frame))]
    items = frame[["item", "x", "y"]]
    ours = read(frame, choice=None, rank="place", alternative="item")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        theirs = bp.Comparisons.from_rankings(
            frame, items, user="who", ranking="id", item="item", rank="place"
        )
    assert_same(ours, theirs)
    assert ours.outcome.stage.tolist() == theirs.outcome.stage.tolist()


def test_a_set_of_two_is_a_pair() -> None:
    frame = tasks([2] * 40, users=4).sort_values("id", kind="stable")
    data = read(frame, context=["hard"], interactions="all")
    left, right = (frame.groupby("id").nth(side).reset_index(drop=True) for side in (0, 1))
    pairs = left[["who", "hard", "won"]].join(
        left[["x", "y"]].add_prefix("l_").join(right[["x", "y"]].add_prefix("r_"))
    )
    expected = bp.Comparisons.from_frame(
        pairs,
        user="who",
        choice="won",
        left=["l_x", "l_y"],
        right=["r_x", "r_y"],
        context=["hard"],
        interactions="all",
    )
    assert_same(data, expected)
    assert data.outcome == expected.outcome == PairedChoice()
    np.testing.assert_array_equal(data.right, expected.right)
    engine = bp.Gibbs(draws=30, warmup=20, chains=1, cores=1, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        one, other = (
            bp.fit(bp.HierarchicalReward(), each, engine, seed=3).draws for each in (data, expected)
        )
    assert one.equals(other)


def test_ids_of_the_chosen_and_words_read_as_indicators_do() -> None:
    frame = tasks([3, 4, 3, 2])
    chosen = frame["alt"].where(frame["won"] == 1).groupby(frame["id"]).transform("max")
    frame["named"] = chosen.astype(int)
    frame["said"] = np.where(frame["won"] == 1, "Yes", "no")
    expected = read(frame, alternative="alt")
    assert_same(read(frame, choice="named", alternative="alt"), expected)
    assert_same(read(frame, choice="said", alternative="alt"), expected)
    frame["alt"], frame["named"] = "a" + frame["alt"].astype(str), "a" + frame["named"].astype(str)
    named = read(frame, choice="named", alternative="alt")
    np.testing.assert_array_equal(named.difference, expected.difference)
    assert named.rows[0][1].startswith("a")


@pytest.mark.parametrize("label", [0, "none"])
def test_an_outside_option_is_the_same_with_a_row_and_without(label: object) -> None:
    frame = tasks([3, 2, 4, 3]).sort_values("id", kind="stable")
    frame["alt"] = frame["alt"] + 1
    frame.loc[frame["id"] == 2, "won"] = 0
    added = read(frame, none=True, alternative="alt")
    assert added.feature_names == ("x", "y", "none")
    ids = frame["id"].unique()
    who = frame.groupby("id")["who"].first()
    rows = pd.DataFrame({"who": who[ids], "id": ids, "alt": label, "won": (ids == 2).astype(int)})
    with_rows = pd.concat([frame.astype({"alt": object}), rows], ignore_index=True)
    found = read(with_rows, none=label, alternative="alt")
    for name in ("difference", "user"):
        np.testing.assert_array_equal(getattr(found, name), getattr(added, name))
    assert found.features == added.features
    last = added.rows.get_level_values(0) == 2
    assert set(added.rows[last].get_level_values(1)) == {"none"}
    expected = np.column_stack([-frame.loc[frame["id"] == 2, ["x", "y"]], np.ones(4)])
    np.testing.assert_array_equal(added.difference[last], expected)


def test_taking_or_leaving_one_thing_is_a_pair_with_the_outside_option() -> None:
    frame = tasks([1, 1, 1, 1]).assign(won=[0, 1, 1, 0])
    data = read(frame, none=True)
    assert isinstance(data.outcome, PairedChoice)
    rows = data.rows.to_numpy()
    np.testing.assert_array_equal(data.difference[:, 2], -np.ones(4))
    np.testing.assert_array_equal(data.choice, frame.set_index("id")["won"][rows])


def test_items_without_attributes_have_a_reward_each() -> None:
    frame = tasks([3] * 4)
    data = read(frame, attributes=None, alternative="alt", choice=None, best="won", worst="lost")
    assert data.features.indicators
    assert data.catalogue is not None
    assert sorted(data.catalogue.index) == [0, 1, 2]
    for label, row in zip(data.rows, data.difference, strict=True):
        assert row[data.feature_names.index(str(label[1]))] == 1
        assert row[data.feature_names.index(str(label[2]))] == -1


def test_what_is_not_available_is_not_in_the_set() -> None:
    frame = tasks([4, 4, 4])
    frame["there"] = (frame["place"] != 3).map({True: "yes", False: "no"})
    frame.loc[frame["there"] == "no", "x"] = np.nan
    assert_same(
        read(frame, availability="there"), read(frame[frame["there"] == "yes"].astype({"x": float}))
    )
    with pytest.raises(
        bp.DataError, match=r"'there': the alternative named in task . was not available"
    ):
        read(frame.assign(there=frame["place"] != 1), availability="there")
    none_there = frame.assign(there=frame["id"] != 1, won=frame["won"].where(frame["id"] != 1, 0))
    with pytest.raises(bp.DataError, match="'there': no alternative of task 1 was available"):
        read(none_there, availability="there", none=True)


def test_tasks_are_numbered_within_users_or_over_all_of_them() -> None:
    frame = tasks([3] * 6)
    within = frame.assign(id=frame["id"] // 3)
    one, other = read(frame), read(within)
    np.testing.assert_array_equal(one.difference, other.difference)
    assert len(np.unique(other.outcome.task)) == 6


def doubted(frame: pd.DataFrame) -> list[str]:
    """Names of the files that are said to have a task of several users, one a warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        bp.Comparisons.from_tasks(frame, **ROLES, none=True)
    told = "task 0 of user 'u0' has no choice, which reads as none of its alternatives, and is also"
    return [Path(each.filename).name for each in caught if told in str(each.message)]


def test_a_task_that_spans_users_is_doubted_where_its_rest_reads_as_none_of_them() -> None:
    frame = tasks([4] * 6).sort_values(["id", "place"]).reset_index(drop=True)
    spanning = frame.assign(who=frame["who"].where(frame.index > 1, "u9"))  # two rows of task 0
    assert doubted(spanning) == ["test_long.py"]
    none_chosen = frame.assign(won=frame["won"].where(frame["id"] > 0, 0))
    assert not doubted(none_chosen)
    assert not doubted(none_chosen.assign(id=frame["id"] // 3))  # numbered within users


def changed(frame: pd.DataFrame, where: Any, column: str, value: object) -> pd.DataFrame:
    made = frame.astype({column: object}).copy()
    made.loc[where, column] = value
    return made.infer_objects()


FRAME = tasks([3, 3, 3]).sort_values(["id", "place"]).reset_index(drop=True)


@pytest.mark.parametrize(
    ("frame", "roles", "message"),
    [
        (changed(FRAME, 0, "won", 0), {}, "no alternative is chosen in task 0 in row 0; leave"),
        (changed(FRAME, 1, "won", 1), {}, "'won': a second alternative is chosen in task 0 in row"),
        (FRAME.drop([4, 5]), {}, "column 'id': task 1 has a single alternative in row 3; leave"),
        (
            changed(FRAME, [0, 1], "alt", 1),
            {"alternative": "alt"},
            "column 'alt': alternative 1 is twice in task 0 in row 1; keep one row",
        ),
        (changed(FRAME, 4, "x", np.nan), {}, "column 'x': missing value .nan. in row 4; drop"),
        (changed(FRAME, 4, "won", 0.5), {}, "'won': unknown value 0.5 in row 4; expected 1, True"),
        (changed(FRAME, 4, "won", None), {}, "'won': missing value in row 4; expected 1, True"),
        (changed(FRAME, 1, "hard", 9.0), {"context": ["hard"]}, "9.0 beside .* in task 0 in row 1"),
        (
            changed(FRAME, 1, "who", "u1"),
            {},
            "task 0 of user 'u1' has a single alternative, and this id",
        ),
        (
            changed(FRAME, 0, "who", "u1"),
            {},
            "task 0 of user 'u1' has a single alternative, and this id spans the users 'u1' and "
            "'u0' in row 0; a task is one user's",
        ),
        (
            changed(FRAME, 0, "who", "u1"),
            {"choice": None, "rank": "place"},
            "task 0 of user 'u1' has a single alternative, and this id spans the users",
        ),
        (
            FRAME.assign(lost=FRAME["won"]),
            {"choice": None, "best": "won", "worst": "lost"},
            "'won': the best is also the worst in task 0 in row 0; name two",
        ),
        (
            FRAME.assign(named=[2, 2, 2, 9, 9, 9, 2, 2, 2]),
            {"choice": "named", "alternative": "alt"},
            "'named': 9 is no alternative of task 1 in row 3; name one of its rows",
        ),
        (
            changed(FRAME, 0, "place", 2),
            {"choice": None, "rank": "place"},
            "rank 2 is given twice in task 0",
        ),
        (FRAME, {"rank": "place"}, "give one of choice=, rank=, or best= and worst="),
        (FRAME, {"choice": None, "best": "won"}, "give one of choice=, rank=, or best= and worst="),
        (FRAME, {"attributes": None}, "give attributes=.*, or alternative= for a reward"),
        (FRAME, {"none": "x"}, "none='x' is an id; name the column with alternative="),
        (FRAME, {"none": "x", "alternative": "alt"}, "no row is of the outside option 'x'; its"),
        (
            FRAME.rename(columns={"x": "none"}),
            {"none": True, "attributes": ["none", "y"]},
            "the attribute 'none' clashes with the feature of the outside option; rename",
        ),
        (
            changed(FRAME, 0, "alt", "none"),
            {"none": True, "alternative": "alt"},
            "'alt': an alternative is called 'none', which clashes with none=True; pass none=",
        ),
        (FRAME, {"none": True, "choice": None, "rank": "place"}, "none=True does not say at which"),
        (FRAME, {"task": "alternatives"}, "the table has no column 'alternatives'"),
        (
            FRAME,
            {"choice": "hard"},
            "'hard': unknown value .* in row 0; expected 1, True or 'yes'",
        ),
    ],
)
def test_what_is_no_task_is_refused_in_a_sentence(
    frame: pd.DataFrame, roles: dict[str, Any], message: str
) -> None:
    with pytest.raises(bp.DataError, match=message) as caught:
        read(frame, **roles)
    assert "\n" not in str(caught.value)


def test_electricity_reads_as_4308_choices_among_four(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "electricity_long.csv")
    attributes = ["pf", "cl", "loc", "wk", "tod", "seas"]
    roles: dict[str, Any] = {"user": "id", "task": "chid", "attributes": attributes}
    data = read(frame, **roles, choice="choice", alternative="alt")
    assert (len(data), data.n_users, int(data.outcome.stage[-1]) + 1) == (12_924, 361, 4_308)
    chosen = frame[frame["choice"] == 1].set_index("chid")[attributes]
    task = data.rows.get_level_values("chid")
    other = frame.set_index(["chid", "alt"])[attributes].loc[
        pd.MultiIndex.from_arrays([task, data.rows.get_level_values("worse")])
    ]
    expected = chosen.loc[task].to_numpy() - other.to_numpy()
    np.testing.assert_array_equal(data.difference, expected)


def test_tasks_of_sw2022_are_numbered_within_respondents(shared_data: Path) -> None:
    frame = pd.read_csv(shared_data / "sw2022_long.csv")
    frame["female"] = (frame["cand_gender"] == "Female").astype(int)
    data = read(frame, user="respondent", task="task", choice="choice", attributes=["female"])
    assert isinstance(data.outcome, PairedChoice)
    assert (len(data), data.n_users) == (3_573, frame["respondent"].nunique())
    won = frame[frame["choice"] == 1].set_index(["respondent", "task"])["female"]
    lost = frame[frame["choice"] == 0].set_index(["respondent", "task"])["female"]
    towards = (2 * data.choice - 1) * data.difference[:, 0]
    key = pd.MultiIndex.from_arrays([data.users[data.user], data.rows])
    np.testing.assert_array_equal(towards, (won - lost).loc[key])
