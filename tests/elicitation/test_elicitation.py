"""Asking and telling: what is updated, what a file holds, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
ENGINE = bp.Gibbs(draws=300, warmup=200, progress=False)
GOAL = {"short": 1.0}


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    """Users whose preferences depend on what they see."""
    world = bp.simulate(
        users=40, comparisons=8, features=["short", "kind"], confounding=0.7, seed=5
    )
    return bp.fit(bp.HierarchicalReward(exposure=True), world.comparisons, ENGINE, seed=0)


def session(posterior: bp.Posterior, **changed: Any) -> bp.Elicitation:
    """An elicitation about one contrast."""
    return bp.Elicitation(posterior, **({"goal": GOAL, "engine": ENGINE} | changed))


def test_an_elicitation_goes_on_from_its_file_as_if_nothing_had_happened(
    posterior: bp.Posterior, tmp_path: Path
) -> None:
    """Saved and loaded with questions pending, after weights and after a run."""
    one = session(posterior)
    for count, answers in ((2, {1: "left", 2: "right"}), (12, dict.fromkeys(range(3, 12), True))):
        one.ask(count)
        one.save(tmp_path / "state.nc")
        other = bp.Elicitation.load(tmp_path / "state.nc", engine=ENGINE)
        for each in (one, other):
            each.tell(answers)
        one.save(tmp_path / "state.nc")
        again = bp.Elicitation.load(tmp_path / "state.nc", engine=ENGINE)
        for found in (other, again):
            pd.testing.assert_frame_equal(found.targets, one.targets)
            pd.testing.assert_frame_equal(found.asked, one.asked)
            pd.testing.assert_frame_equal(found.history, one.history)
            assert found.posterior.comparisons.rows.equals(one.posterior.comparisons.rows)
    assert one.history["updated"].tolist() == ["weights", "run"]
    pd.testing.assert_frame_equal(again.ask(3).questions, one.ask(3).questions)


@pytest.mark.long
def test_weights_and_a_short_run_agree_with_a_refit(posterior: bp.Posterior) -> None:
    """Means of all users' weights: the distance to a long refit is that of Monte Carlo error."""
    told = session(posterior)
    asked = told.ask(2, per_user=2, users=list(posterior.comparisons.users[:1]))
    told.tell(dict.fromkeys(asked.questions["question"], "left"))
    for updated in ("weights", "run"):
        assert told.history["updated"].iloc[-1] == updated
        model, data = posterior.model, told.posterior.comparisons
        exact = bp.fit(model, data, bp.Gibbs(draws=2000, progress=False), seed=3).weights()
        found = told.posterior.weights()
        # 300 effective draws, and a fifth of them after weighting: 0.13 of an sd at most.
        away = ((found["mean"] - exact["mean"]) / exact["sd"]).to_numpy()
        assert np.sqrt(np.mean(away**2)) < 0.13
        before = posterior.weights()
        moved = ((before["mean"] - exact["mean"]) / exact["sd"]).to_numpy()
        assert np.abs(moved).max() > 2 * np.abs(away).max()  # as no update would be seen
        asked = told.ask(30)
        told.tell(dict.fromkeys(asked.questions["question"], "left"))


def test_pending_questions_count_as_asked(posterior: bp.Posterior) -> None:
    """They are not asked again, what is left tells less, and nobody is asked twice the same."""
    told = session(posterior, goal="population")
    first, second = told.ask(30), told.ask(30)
    assert first.questions["question"].tolist() == list(range(1, 31))
    assert second.questions["question"].tolist() == list(range(31, 61))
    assert second.questions["gain"].sum() < 0.9 * first.questions["gain"].sum()
    assert not told.asked.duplicated(["user", "row"]).any()
    told.drop([2])
    told.tell(pd.DataFrame({"question": [3, 1], "answer": [0, "left"]}))
    assert len(told.pending) == 57
    assert told.asked["state"].tolist()[:4] == ["answered", "dropped", "answered", "pending"]
    rows = told.posterior.comparisons
    assert {"asked 1", "asked 3"} <= set(rows.rows)
    assert rows.randomised is not None
    assert rows.randomised.sum() == 2
    assert "2 answered, 57 pending" in repr(told)


def test_answers_enter_the_data_as_they_were_given(posterior: bp.Posterior) -> None:
    """The difference, the context, the user and the choice of every answer."""
    pairs = pd.DataFrame(
        {"short": [1.5, -0.5], "kind": [0.0, 1.0], "context_1": [0.25, -2.0]}, index=["a", "b"]
    )
    told = session(posterior, candidates=pairs)
    users = list(posterior.comparisons.users[[7, 3]])
    asked = told.ask(4, users=users, per_user=2).questions
    told.tell({number: number % 2 for number in asked["question"]})
    frame = told.posterior.comparisons.to_frame()
    for _, question in asked.iterrows():
        row = frame.loc[f"asked {question['question']}"]
        assert row["user"] == question["user"]
        assert row["choice"] == question["question"] % 2
        given = pairs.loc[question["row"]]
        assert row[list(pairs)].astype(float).tolist() == given.tolist()
    with pytest.raises(bp.DataError, match="nothing left to ask these users"):
        told.ask(1, users=users)


@pytest.mark.parametrize("kind", ["pooled", "sets", "graded"])
def test_every_kind_of_answer_can_be_told(kind: str, tmp_path: Path) -> None:
    """Of people who are all alike, of choices in sets, and on levels."""
    alternatives = 3 if kind == "sets" else 2
    data = bp.simulate(
        users=12, comparisons=4, features=2, contexts=0, alternatives=alternatives, seed=0
    ).comparisons
    if kind == "graded":
        frame = data.to_frame().replace({"choice": {0.0: "no", 1.0: "yes"}})
        data = bp.Comparisons.from_frame(
            frame,
            user="user",
            choice="choice",
            difference=list(data.feature_names),
            levels=["no", "so", "yes"],
        )
    model = bp.PooledReward() if kind == "pooled" else bp.HierarchicalReward()
    engine = bp.Gibbs(draws=60, warmup=40, chains=2, progress=False)
    told = bp.Elicitation(bp.fit(model, data, engine), goal="population", engine=engine)
    asked = told.ask(2).questions
    answers: list[Any] = ["so", "yes"] if kind == "graded" else ["left", "right"]
    if kind == "sets":
        answers = [names[0] for names in asked["alternatives"]]
    told.tell(dict(zip(asked["question"], answers, strict=True)))
    tasks = len(told.posterior.comparisons.tasks)
    assert tasks == len(data.tasks) + 2
    told.save(tmp_path / "state.nc")
    again = bp.Elicitation.load(tmp_path / "state.nc", engine=engine)
    pd.testing.assert_frame_equal(again.asked, told.asked)
    pd.testing.assert_frame_equal(again.ask(2).questions, told.ask(2).questions)


@pytest.mark.parametrize(
    ("step", "match"),
    [
        (lambda told: told.tell({7: 1}), "question 7 was never asked; those asked have .* 1 to 2"),
        (lambda told: told.tell({"a": 1}), "question 'a' was never asked"),
        (lambda told: told.tell({True: 1}), "question True was never asked"),
        (lambda told: told.tell({}), "answers: there are none"),
        (lambda told: told.tell({1: 2}), "column 'answer': unknown outcome 2"),
        (lambda told: told.tell({1: None}), "column 'answer': missing outcome"),
        (lambda told: told.tell({1: 0.5}), "a tie in row 0; the fitted answers have none"),
        (lambda told: told.tell(pd.DataFrame({"question": [1]})), "no column 'answer'"),
        (
            lambda told: told.tell(pd.DataFrame({"question": [1, 1], "answer": 1})),
            "question 1 occurs twice",
        ),
        (lambda told: told.tell([1, 0]), "answers must be a mapping .* or a table, got"),
        (lambda told: told.drop([1, 9]), "questions: question 9 was never asked"),
        (lambda told: told.drop(1), r"questions must be a list of numbers, got 1; write \[1\]"),
        (lambda told: told.ask(1, users=["nobody"]), "nobody"),
        (lambda told: told.ask(1, users="u001"), "users must be a list"),
        (lambda told: told.ask(0), "n must be"),
        (lambda told: told.save("/nowhere/at/all"), "there is no folder"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    posterior: bp.Posterior, step: Callable[[bp.Elicitation], Any], match: str
) -> None:
    """One sentence each."""
    told = session(posterior)
    told.ask(2)
    before = told.asked
    with pytest.raises(bp.DataError, match=match) as error:
        step(told)
    assert "\n" not in str(error.value)
    pd.testing.assert_frame_equal(told.asked, before)
    assert not len(told.history)


def test_candidates_may_have_columns_of_all_sorts(posterior: bp.Posterior, tmp_path: Path) -> None:
    """What describes a pair is kept as it is, and what no file holds is refused at once."""
    pairs = pd.DataFrame(
        {
            "short": [1.0, 2.0],
            "kind": 0.0,
            "context_1": 0.0,
            "note": ["a", None],
            "day": pd.to_datetime(["2025-01-01", None]),
            "size": pd.array([1, None], dtype="Int64"),
            "group": pd.Categorical(["u", "v"]),
        },
        index=pd.Index([("a", 1), ("b", 2)], tupleize_cols=False),
    )
    told = session(posterior, candidates=pairs)
    told.ask(3)
    told.save(tmp_path / "state.nc")
    told.save(tmp_path / "small.nc", compact=True)
    for name in ("state.nc", "small.nc"):
        again = bp.Elicitation.load(tmp_path / name)
        pd.testing.assert_frame_equal(again.asked, told.asked)
    sizes = [(tmp_path / name).stat().st_size for name in ("small.nc", "state.nc")]
    assert sizes[0] < sizes[1] / 2
    with pytest.raises(bp.DataError, match="candidates, column 'odd': label"):
        session(posterior, candidates=pairs.assign(odd=[[1], [2]]))
    with pytest.raises(bp.DataError, match="for users who were not fitted; add them with"):
        session(posterior, candidates=pairs.assign(user=["u001", "nobody"]))


@pytest.fixture(scope="module")
def newcomers() -> bp.Comparisons:
    """Five people of the same world, with eight answers each."""
    world = bp.simulate(
        users=45, comparisons=8, features=["short", "kind"], confounding=0.7, seed=5
    )
    return world.comparisons[world.comparisons.users[40:]]


def test_people_whom_the_fit_has_never_met_come_in(
    posterior: bp.Posterior, newcomers: bp.Comparisons, tmp_path: Path
) -> None:
    """They are asked, answer, and are in the file; what was asked before stays."""
    told = session(posterior)
    told.ask(3)
    told.tell({1: "left"})
    before = told.asked
    told.add_users(newcomers)
    pd.testing.assert_frame_equal(told.asked, before)
    assert told.history["updated"].tolist() == ["weights", "users"]
    data = told.posterior.comparisons
    assert data.n_users == 45
    assert len(data) == len(posterior.comparisons) + len(newcomers) + 1
    told.save(tmp_path / "state.nc")
    again = bp.Elicitation.load(tmp_path / "state.nc", engine=ENGINE)
    new = list(newcomers.users)
    for each in (told, again):
        asked = each.ask(4, users=new).questions
        assert set(asked["user"]) <= set(new)
        each.tell(dict.fromkeys(asked["question"], "right"))
    pd.testing.assert_frame_equal(told.targets, again.targets)
    assert told.posterior.comparisons.rows.equals(again.posterior.comparisons.rows)


@pytest.mark.slow
def test_with_people_who_come_in_it_agrees_with_a_refit(
    posterior: bp.Posterior, newcomers: bp.Comparisons
) -> None:
    told = session(posterior)
    told.add_users(newcomers)
    data = told.posterior.comparisons
    exact = bp.fit(posterior.model, data, bp.Gibbs(draws=2000, progress=False), seed=3)
    both = exact.weights().set_index(["user", "feature"])
    away = told.posterior.weights().set_index(["user", "feature"])["mean"] - both["mean"]
    # 1,200 draws, of which 400 count at the least: 0.05 of an sd, and as much again for chance.
    assert np.sqrt(np.mean((away / both["sd"]) ** 2)) < 0.1
    new = both.loc[list(newcomers.users)]
    typical = exact.draws["mu"].mean(("chain", "draw")).to_series()
    unheard = new["mean"] - typical.reindex(new.index.get_level_values("feature")).to_numpy()
    assert np.sqrt(np.mean((unheard / new["sd"]) ** 2)) > 0.3  # as if their answers were ignored


def test_who_is_no_newcomer_is_refused_and_nothing_changes(
    posterior: bp.Posterior, newcomers: bp.Comparisons
) -> None:
    told = session(posterior)
    world = bp.simulate(users=42, comparisons=2, features=["short"], seed=0).comparisons
    other = world[world.users[40:]]
    for given, message in (
        (
            posterior.comparisons,
            "user 'u001' was fitted already, and 39 more; leave out their rows",
        ),
        (other, "'kind'"),
        (newcomers.to_frame(), "comparisons: got DataFrame but expected bp.Comparisons; read the"),
    ):
        with pytest.raises(bp.DataError, match=message):
            told.add_users(given)  # type: ignore[arg-type]
    assert told.posterior.comparisons.n_users == 40
    assert told.history.empty


def test_an_answer_is_told_once(posterior: bp.Posterior) -> None:
    """And a question that was dropped is not answered."""
    told = session(posterior)
    told.ask(2)
    told.tell(pd.Series({1: 1}))
    told.drop([2])
    with pytest.raises(bp.DataError, match="question 1 was answered already"):
        told.tell({1: 1})
    with pytest.raises(bp.DataError, match="question 2 was dropped already"):
        told.tell({2: 1})


def test_a_file_that_is_damaged_or_another_is_refused(
    posterior: bp.Posterior, tmp_path: Path
) -> None:
    """Cut in half, one byte changed, a posterior; and an elicitation is no posterior."""
    path, whole = tmp_path / "cut.nc", tmp_path / "state.nc"
    told = session(posterior)
    told.ask(2)
    told.save(whole)
    content = whole.read_bytes()
    changed = bytearray(content)
    changed[len(content) // 3] ^= 1
    for damaged in (content[: len(content) // 2], bytes(changed), b""):
        path.write_bytes(damaged)
        with pytest.raises(bp.DataError, match=r"cannot load .*cut\.nc"):
            bp.Elicitation.load(path)
    posterior.save(path)
    with pytest.raises(bp.DataError, match="a saved posterior and no elicitation"):
        bp.Elicitation.load(path)
    with pytest.raises(bp.DataError, match="it is a saved elicitation; load it with"):
        bp.Posterior.load(whole)
    with pytest.raises(bp.DataError, match="No such file"):
        bp.Elicitation.load(tmp_path / "absent.nc")


def test_the_last_file_stays_where_a_save_fails(
    posterior: bp.Posterior, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full half-way leaves what was saved before."""
    path = tmp_path / "state.nc"
    told = session(posterior)
    told.ask(2)
    told.save(path)
    content = path.read_bytes()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    told.tell({1: 1})
    with monkeypatch.context() as patch:
        patch.setattr("bayes_pref.whole_files.os.write", full)
        with pytest.raises(bp.DataError, match="No space left"):
            told.save(path)
    assert path.read_bytes() == content
    assert [each.name for each in tmp_path.iterdir()] == ["state.nc"]


def test_a_model_without_gaussian_users_is_refused() -> None:
    """As by `recommend`, before anything is asked."""
    world = bp.simulate(users=10, comparisons=5, features=2, seed=0)
    engine = bp.Gibbs(draws=20, warmup=20, chains=2, progress=False)
    mixture = bp.fit(bp.MixtureReward(components=2), world.comparisons, engine)
    with pytest.raises(bp.ModelError, match="MixtureReward has no users who are Gaussian"):
        bp.Elicitation(mixture)
    alike = bp.fit(bp.PooledReward(), world.comparisons, engine)
    with pytest.raises(bp.ModelError, match="engine: got str"):
        bp.Elicitation(alike, engine="Gibbs")  # type: ignore[arg-type]
