"""Contexts and covariates that are words: coded, kept, matched, and refused where unseen."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import bayes_pref as bp

REGIONS = ["north", "south", "west"]
GIBBS = bp.Gibbs(draws=60, warmup=60, chains=2, progress=False)
pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.errors.ConvergenceWarning")


def votes(users: int = 30, each: int = 8) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    who = np.repeat(np.arange(users), each)
    own = np.array(REGIONS)[who % 3]
    shown = np.where(rng.random(len(who)) < 0.6, own, rng.choice(REGIONS, len(who)))
    frame = pd.DataFrame(rng.normal(size=(len(who), 2)), columns=["price", "size"])
    eta = frame["price"] * (1.0 + (shown == "west"))
    won = (rng.random(len(who)) < 1 / (1 + np.exp(-eta))).astype(int)
    return frame.assign(who=who, region=shown, won=won)


def people(users: int = 30) -> pd.DataFrame:
    job = np.array(["nurse", "baker"])[np.arange(users) % 2]
    return pd.DataFrame({"who": np.arange(users), "job": job, "age": 20.0 + np.arange(users)})


def read(frame: pd.DataFrame, **changes: Any) -> bp.Comparisons:
    roles: dict[str, Any] = {"user": "who", "choice": "won", "difference": ["price", "size"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        return bp.Comparisons.from_frame(frame, **roles | {"context": ["region"]} | changes)


@pytest.mark.parametrize("coding", ["effect", "reference"])
def test_words_read_as_the_columns_that_they_stand_for(coding: str) -> None:
    frame = votes()
    data = read(
        frame,
        coding=coding,
        baseline={"region": "south", "job": "nurse"},
        interactions=[("price", "region")],
        covariates=people(),
    )
    by_hand = frame.copy()
    for level in ("north", "west"):
        by_hand[f"region[{level}]"] = (frame["region"] == level).astype(float)
        if coding == "effect":
            by_hand[f"region[{level}]"] -= (frame["region"] == "south").astype(float)
    names = ["region[north]", "region[west]"]
    other = people()
    other["job[baker]"] = (other["job"] == "baker") * 1.0
    if coding == "effect":
        other["job[baker]"] = 2.0 * other["job[baker]"] - 1.0
    same = read(
        by_hand,
        context=names,
        interactions=[("price", name) for name in names],
        covariates=other[["who", "job[baker]", "age"]],
    )
    assert data.features.contexts == tuple(names)
    assert data.feature_names == same.feature_names
    assert data.covariate_names == ("job[baker]", "age")
    np.testing.assert_array_equal(data.context, same.context)
    np.testing.assert_array_equal(data.difference, same.difference)
    np.testing.assert_array_equal(data.covariates, same.covariates)


def test_a_posterior_reads_words_and_refuses_those_that_it_has_not_seen(tmp_path: Path) -> None:
    data = read(votes(), interactions="all", coding="reference")
    fitted = bp.fit(bp.HierarchicalReward(exposure=True), data, GIBBS)
    fitted.save(tmp_path / "words.nc")
    posterior = bp.Posterior.load(tmp_path / "words.nc")
    new = pd.DataFrame({"price": [1.0, 1.0], "size": 0.0, "region": ["west", "north"]})
    report = bp.diagnose(posterior, new, progress=False)
    coded = new.drop(columns="region").assign(**{"region[south]": 0.0, "region[west]": [1.0, 0.0]})
    same = bp.diagnose(posterior, coded, progress=False)
    pd.testing.assert_frame_equal(report.comparisons, same.comparisons)
    rewards = posterior.reward(new, users="population")["mean"]
    assert rewards.iloc[0] > rewards.iloc[1] + 0.2  # the west cares more for the price
    strange = new.assign(region="east")
    for ask in (lambda: bp.diagnose(posterior, strange), lambda: posterior.reward(strange)):
        with pytest.raises(bp.DataError, match="level 'east' was not in the fitted data"):
            ask()
    with pytest.raises(bp.DataError, match="no column 'region'"):
        posterior.reward(new.drop(columns="region"))


def test_held_out_words_are_matched_whatever_their_coding() -> None:
    frame = votes()
    train, rest = frame[frame["who"] < 20], frame[frame["who"] >= 20]
    posterior = bp.fit(
        bp.HierarchicalReward(), read(train, interactions="all", coding="reference"), GIBBS
    )
    plain = bp.evaluate(posterior, read(rest, interactions="all", coding="reference"))
    other = read(rest, interactions="all", baseline={"region": "west"})
    assert other.features.contexts == ("region[north]", "region[south]")
    pd.testing.assert_frame_equal(bp.evaluate(posterior, other).rows, plain.rows)
    two = rest[rest["region"] != "south"]
    assert len(bp.evaluate(posterior, read(two, interactions="all")).rows) == len(two)
    east = rest.assign(region=rest["region"].replace("west", "east"))
    with pytest.raises(bp.DataError, match=r"held_out: .*'region': level 'east' was not in"):
        bp.evaluate(posterior, read(east, interactions="all"))


def test_every_reader_takes_words() -> None:
    rng = np.random.default_rng(1)
    tasks = pd.DataFrame(
        {
            "who": np.repeat(np.arange(10) % 5, 3),
            "id": np.repeat(np.arange(10), 3),
            "alt": np.tile([*"abc"], 10),
            "price": rng.normal(size=30),
            "won": np.tile([1, 0, 0], 10),
            "place": np.tile([2, 1, 3], 10),
            "region": np.repeat(np.array(REGIONS)[np.arange(10) % 3], 3),
        }
    )
    shared: dict[str, Any] = {"context": ["region"], "order": {"region": REGIONS[::-1]}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        made = [
            bp.Comparisons.from_tasks(
                tasks, user="who", task="id", choice="won", attributes=["price"], **shared
            ),
            bp.Comparisons.from_rankings(
                tasks, user="who", ranking="id", item="alt", rank="place", **shared
            ),
            bp.Comparisons.from_items(
                tasks.assign(other="d"),
                user="who",
                left="alt",
                right="other",
                choice="won",
                **shared,
            ),
        ]
    for data in made:
        assert data.features.contexts == ("region[south]", "region[north]")
        assert set(np.unique(data.context)) == {-1.0, 0.0, 1.0}


def test_options_for_what_is_no_column_are_refused() -> None:
    pairs = np.arange(240) // 2
    with pytest.raises(bp.DataError, match="baseline: unknown attribute 'regoin'"):
        bp.Comparisons.from_tasks(
            votes().assign(id=pairs, region=np.array(REGIONS)[pairs % 3], won=np.arange(240) % 2),
            user="who",
            task="id",
            choice="won",
            attributes=["price"],
            context=["region"],
            baseline={"regoin": "north"},
        )
