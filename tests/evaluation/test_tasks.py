"""Tasks among several alternatives: split, scored, replicated and left out as a whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp


def ranked(users: int, *, items: int = 4, places: int = 2, each: int = 5) -> bp.Comparisons:
    """Rankings of the best `places` of `items` by each of `users`, who have one taste."""
    rng = np.random.default_rng(users)
    worth = np.linspace(-1, 1, items)
    order = np.argsort(-(worth + rng.gumbel(size=(users * each, items))), axis=1)
    place = np.argsort(order, axis=1) + 1.0
    place[place > places] = np.nan
    task = np.repeat(np.arange(users * each), items)
    frame = pd.DataFrame(
        {
            "who": task // each,
            "id": task,
            "drink": np.tile([f"i{k}" for k in range(items)], users * each),
            "place": place.ravel(),
        }
    )
    return bp.Comparisons.from_rankings(frame, user="who", ranking="id", item="drink", rank="place")


@pytest.mark.parametrize("by", ["comparison", "task"])
def test_a_split_holds_out_whole_tasks_of_each_user(by: str) -> None:
    data = ranked(12)
    train, test = data.split(by=by, test=0.4, seed=1)
    ids = [{label[0] for label in part.rows} for part in (train, test)]
    assert not ids[0] & ids[1]
    assert len(ids[0] | ids[1]) == 60
    assert len(ids[1]) == 24
    assert train.n_users == 12
    for part in (train, test):
        assert np.bincount(part.outcome.task).tolist() == [2] * (part.outcome.task[-1] + 1)
    # A user with a single task keeps it.
    lone = data.take(np.isin(data.outcome.task_of_rows, [0, 5, 6, 7]))
    assert lone.split(by=by, test=0.9)[0].n_users == 2


def test_a_pair_is_a_task_of_its_own() -> None:
    data = bp.simulate(users=6, seed=0).comparisons
    one, other = (data.split(by=by, seed=3)[1].rows for by in ("comparison", "task"))
    assert one.equals(other)
