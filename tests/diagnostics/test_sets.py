"""Verdicts on choices among several: one row an alternative, of which pairs are the case of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior
from scipy.special import softmax
from set_data import as_pairs, chosen_sets

import bayes_pref as bp
from bayes_pref.diagnostics.identifiability.separable_rows import separate_answers
from bayes_pref.diagnostics.query import read_query
from bayes_pref.diagnostics.task_sets import chosen_rows, one_row_a_task
from bayes_pref.models.regressors import exposures

LINEAR = ["preference", "identifiability", "borrowing", "overlap"]
NUMBERS = ["mean", "sd", "lower", "upper", "prior_share", "reference_sd", "borrowed", "overlap"]


@pytest.mark.parametrize(("places", "worst"), [(1, False), (4, False), (1, True)])
def test_the_first_stage_is_the_set_shown_and_its_rows_give_the_softmax(
    places: int, worst: bool
) -> None:
    rng = np.random.default_rng(3)
    attributes = rng.normal(size=(72, 4, 2))
    data = chosen_sets(size=4, places=places, worst=worst, attributes=attributes)
    query = read_query(made_posterior(data))
    assert query.task is not None
    assert query.alternatives is not None
    assert query.sizes.tolist() == [4] * len(query)
    w = np.array([0.7, -1.1])
    scaled = (query.difference @ w * 0.75).reshape(-1, 4)
    found = softmax(scaled, axis=1)
    # The alternatives come with the chosen one first; their labels say which they are.
    task = query.rows.str.removeprefix("t").astype(int).to_numpy().reshape(-1, 4)
    place = query.alternatives.str.removeprefix("a").astype(int).to_numpy().reshape(-1, 4)
    expected = softmax(attributes[task, place] @ w, axis=1)
    np.testing.assert_allclose(found, expected)
    assert (np.sort(place, axis=1) == np.arange(4)).all()


def test_sets_that_begin_with_the_worst_are_read_as_well() -> None:
    data = chosen_sets(size=3, places=0, worst=True)
    query = read_query(made_posterior(data))
    np.testing.assert_allclose(query.difference.reshape(-1, 3, 2).sum(axis=1), 0.0, atol=1e-12)
    # The alternative named comes first; "better" minus it are the rows.
    apart = query.difference.reshape(-1, 3, 2)
    np.testing.assert_allclose(
        (2 / 3) * (apart[:, 1:] - apart[:, :1]).reshape(-1, 2), data.difference
    )


def test_sets_of_two_have_the_numbers_of_pairs() -> None:
    data = chosen_sets(size=2)
    sets = made_posterior(data)
    pairs = replace(sets, comparisons=as_pairs(data))
    of_sets = bp.diagnose(sets, assessments=LINEAR).comparisons
    of_pairs = bp.diagnose(pairs, assessments=LINEAR).comparisons
    first = of_sets.iloc[::2].reset_index(drop=True)
    pd.testing.assert_frame_equal(first[NUMBERS], of_pairs[NUMBERS])
    np.testing.assert_allclose(of_sets["mean"].iloc[1::2], -of_pairs["mean"])
    assert first["verdict"].tolist() == of_pairs["verdict"].tolist()
    assert list(of_sets)[:3] == ["row", "alternative", "user"]


def test_reports_on_sets_speak_of_alternatives() -> None:
    report = bp.diagnose(made_posterior(chosen_sets()), assessments=LINEAR, progress=False)
    text = report.summary() + " ".join(report.comparisons["sentence"])
    assert "Report on 216 alternatives by 12 users" in text
    assert "Report on 216 alternatives" in report.page()
    assert "this alternative" in text
    assert " left" not in text
    assert " pair" not in text


def test_a_task_counts_once_in_what_a_user_was_shown() -> None:
    context = np.arange(72.0)
    data = chosen_sets(places=2, context=context)
    unequal = data.take(np.isin(data.outcome.task_of_rows, np.arange(3, 70)))  # type: ignore[attr-defined]
    np.testing.assert_allclose(exposures(unequal), exposures(one_row_a_task(unequal)), rtol=1e-12)
    shown = one_row_a_task(data)
    assert shown.rows.tolist() == [f"t{t}" for t in range(72)]
    np.testing.assert_array_equal(shown.context[:, 0], context)


def test_rows_favour_what_was_chosen_instead_in_a_replicated_choice() -> None:
    data = chosen_sets(users=1, each=1, size=3)
    instead = replace(data, choice=np.array([1.0, 0.0]))
    first, second = data.difference  # x - y, x - z, and z was chosen
    np.testing.assert_allclose(chosen_rows(instead), [first - second, -second])


@pytest.mark.parametrize("worst", [False, True])
def test_sets_are_separated_where_the_best_always_has_more_of_a_feature(worst: bool) -> None:
    certain = np.tile([1e5, 0.0], (12, 1))  # choices follow the first feature without fail
    data = chosen_sets(size=4, places=2 - worst, worst=worst, weights=certain)
    found = separate_answers(data, data.feature_scale)
    assert found.affects(np.array([[1.0, 0.0]])).all()
    report = bp.diagnose(made_posterior(data), assessments=LINEAR, progress=False)
    assert "separated" in report.comparisons["verdict"].to_numpy()
    random = chosen_sets(size=4, places=2 - worst, worst=worst, weights=np.zeros((12, 2)))
    assert separate_answers(random, random.feature_scale).directions.shape == (2, 0)


def candidates() -> pd.DataFrame:
    """One known user's task of three and a new user's of two, rows mixed."""
    return pd.DataFrame(
        {
            "task": ["p", "q", "p", "q", "p"],
            "user": ["u3", "new", "u3", "new", "u3"],
            "alternative": list("abcde"),
            "brief": [1.0, 2.0, 3.0, 4.0, 5.0],
            "polite": 0.0,
            "hard": 0.5,
        }
    )


def test_candidate_sets_come_as_one_row_an_alternative() -> None:
    posterior = made_posterior(chosen_sets())
    rows = bp.diagnose(posterior, candidates(), assessments=LINEAR).comparisons
    assert rows["row"].tolist() == ["p", "p", "p", "q", "q"]
    assert rows["alternative"].tolist() == ["a", "c", "e", "b", "d"]
    assert rows["user"].tolist() == ["u3"] * 3 + ["new"] * 2
    query = read_query(posterior, candidates())
    np.testing.assert_allclose(query.difference[:, 0], [-3.0, 0.0, 3.0, -2.0, 2.0])
    assert query.user.tolist() == [3, 3, 3, -1, -1]
    # Comparisons with the same rows ask the same.
    again = read_query(posterior, chosen_sets(seed=4))
    assert len(again) == 216


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: f.drop(columns="task"), r"no column 'task'.*one row an alternative"),
        (lambda f: f.iloc[:3], "task 'q' has a single alternative"),
        (lambda f: f.assign(alternative="a"), "'a' is twice in task 'p'"),
        (lambda f: f.assign(user=list("abcde")), "task 'p' has a single alternative"),
        (lambda f: f.assign(hard=[0, 1, 2, 3, 4.0]), "2.0 beside another value in task 'p'"),
        (lambda f: f.drop(columns="polite"), "polite"),
        (lambda f: f.iloc[:0], "no rows"),
    ],
)
def test_sets_that_cannot_be_read_are_refused(
    spoil: Callable[[pd.DataFrame], pd.DataFrame], message: str
) -> None:
    with pytest.raises(bp.DataError, match=message) as caught:
        read_query(made_posterior(chosen_sets()), spoil(candidates()))
    assert "\n" not in str(caught.value)


def test_sets_are_judged_by_logistic_pairs_and_by_no_other_pairs() -> None:
    pairs, sets = as_pairs(chosen_sets(size=2)), chosen_sets(size=3)
    assert len(read_query(made_posterior(pairs), sets)) == 216
    tied = replace(pairs, choice=np.where(np.arange(len(pairs)) % 3 == 0, 0.5, 1.0))
    with pytest.raises(bp.ModelError, match=r"choices among several, and the posterior's .*ties"):
        read_query(made_posterior(tied), sets)
