"""A table of comparisons with a column of users is answered row by row, each for its own user."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior

import bayes_pref as bp


def table(posterior: bp.Posterior, rows: int = 40) -> pd.DataFrame:
    comparisons, rng = posterior.comparisons, np.random.default_rng(0)
    columns = [*comparisons.features.attributes, *comparisons.features.contexts]
    frame = pd.DataFrame(rng.normal(size=(rows, len(columns))), columns=columns)
    return frame.assign(**{comparisons.user_name: rng.choice(comparisons.users, rows)})


def test_each_row_is_answered_for_its_own_user() -> None:
    posterior = made_posterior()
    frame = table(posterior)
    found = posterior.preference(frame)
    name = posterior.comparisons.user_name
    assert found["user"].tolist() == frame[name].tolist()
    assert found["comparison"].tolist() == frame.index.tolist()
    for row, user in frame[name].items():
        alone = posterior.preference(frame.drop(columns=name).loc[[row]], users=[user])
        pd.testing.assert_series_equal(
            found.iloc[row, 2:], alone.iloc[0, 2:], check_names=False, check_dtype=False
        )
    # Who asks for others gets others, and without the column there is no user of a row.
    everyone = len(frame) * posterior.comparisons.n_users
    assert len(posterior.preference(frame.drop(columns=name))) == everyone
    assert posterior.preference(frame, users="population")["user"].unique().tolist() == [
        "population"
    ]


def test_new_users_are_named_and_answered_from_the_population() -> None:
    posterior = made_posterior()
    name = posterior.comparisons.user_name
    frame = table(posterior).astype({name: object})
    frame.loc[[3, 5], name] = "newcomer"
    with pytest.warns(bp.DataWarning, match="1 users are new to the posterior"):
        found = posterior.preference(frame)
    new = posterior.preference(frame.drop(columns=name), users="population")
    np.testing.assert_allclose(found["mean"][[3, 5]], new["mean"][[3, 5]])
    known = posterior.preference(frame.drop(index=[3, 5]))
    np.testing.assert_allclose(found["mean"].drop([3, 5]), known["mean"])
    frame.loc[7, name] = None
    with pytest.raises(bp.DataError, match=r"left, column .*missing label in row 7"):
        posterior.preference(frame)
