"""Labels of every kind go all the way round, from the table to a loaded fit, or are refused."""

from __future__ import annotations

import datetime as dt
import enum
import json
import random
import uuid
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import sweep

import bayes_pref as bp
from bayes_pref.data.plain_labels import odd_label
from bayes_pref.posterior.labels import decode_index, encode_index

pytestmark = pytest.mark.slow


class Colour(enum.Enum):
    RED = 1
    GREEN = 2
    BLUE = 3


KINDS: dict[str, Sequence[Any]] = {
    "tuples": [("a", 1), ("b", 2), ("c", 3)],
    "truth values": [True, False, "neither"],
    "UUIDs": [uuid.UUID(int=k) for k in range(3)],
    "Decimals": [Decimal(k) / 3 for k in (1, 2, 3)],
    "bytes": [b"a", b"b", b"c"],
    "Periods": list(pd.period_range("2024-01", periods=3, freq="M")),
    "timestamps": list(pd.date_range("2024", periods=3)),
    "times of a zone": pd.date_range("2024", periods=3, tz="Europe/Rome"),
    "times of two zones": [pd.Timestamp("2024", tz=zone) for zone in ("UTC", "Europe/Rome", "EST")],
    "dates": [dt.date(2024, 1, day) for day in (1, 2, 3)],
    "times of day": [dt.time(hour) for hour in (1, 2, 3)],
    "durations": pd.to_timedelta([1, 2, 3], unit="D"),
    "enums": list(Colour),
    "half an emoji": ["\ud83d", "b", "c"],
    "NUL": ["a\0b", "b", "c"],
    "very long": ["a" * 50_000, "b" * 50_000, "c"],
    "empty": ["", " ", "c"],
    "NaN-like": ["nan", "NaN", "None"],
    "1 and its text": [1, "1", "one"],
    "1 and True": [1, True, "one"],
    "several types": ["x", 2, 3.5],
    "infinite": [np.inf, -np.inf, 0.0],
    "large whole numbers": [2**70, 2**71, 3],
    "unsigned": np.array([2**63 + 1, 2**63 + 2, 2], dtype="u8"),
    "intervals": list(pd.interval_range(0, 3)),
    "complex": [1j, 2j, 3j],
    "sets": [frozenset("a"), frozenset("b"), frozenset("c")],
    "NumPy's text": [np.str_("a"), np.str_("b"), np.str_("c")],
    "categories": pd.Categorical(["b", "a", "c"]),
    "dimensions": ["user", "draw", "feature"],
    "columns": ["who", "won", "x"],
    "controls": ["a\nb", "\x1b[31mred", "\u202eright to left"],
    "markup": ["<b>a</b>", "$\\frac{", "'\"&"],
    "formulas": ["=1+1", "@SUM", "-1"],
    "mathematics": ["$x$", "$", "a_b^c"],
}
INTERNAL = [
    "chain", "draw", "user", "feature", "other", "comparison", "row", "item", "context", "choice",
    "covariate", "component", "factor", "sample", "index", "level", "mean", "sd", "lower", "upper",
    "mu", "tau", "weights", "score", "known", "everyone", "population", "label", "name", "values",
    "left", "right", "difference", "rows", "users", "T", "shape", "__class__", "0", "", " ", "a:b",
]  # fmt: skip
ROLES = ("user", "item", "row")


def read(labels: Sequence[Any], role: str) -> bp.Comparisons:
    """Comparisons of which some labels are these."""
    rng = np.random.default_rng(0)
    # By position, so that each keeps its type.
    column = pd.Series(labels).dtype if not isinstance(labels, list) else np.dtype(object)
    codes = np.arange(24) % 3
    own = pd.Series([labels[code] for code in codes], dtype=column)
    frame = pd.DataFrame({"x": rng.normal(size=24), "won": rng.integers(0, 2, 24)})
    frame["who"] = np.repeat(["p", "q"], 12)
    if role == "item":
        frame["a"], frame["b"] = own, pd.Series([labels[(c + 1) % 3] for c in codes], dtype=column)
        return bp.Comparisons.from_items(frame, user="who", left="a", right="b", choice="won")
    if role == "user":
        frame["who"] = own
    else:
        frame.index = pd.Index(own, tupleize_cols=False)
    return bp.Comparisons.from_frame(frame, user="who", choice="won", difference=["x"])


def go_round(comparisons: bp.Comparisons, path: Path) -> None:
    """Use the labels for everything that they are used for; fail where that fails."""
    engine = bp.Gibbs(chains=2, draws=20, warmup=20, progress=False)
    posterior = bp.fit(bp.HierarchicalReward(), comparisons, engine)
    posterior.save(path)
    loaded = bp.Posterior.load(path)
    ours, theirs = posterior.comparisons, loaded.comparisons
    for one, other in ((ours.users, theirs.users), (ours.rows, theirs.rows)):
        assert one.tolist() == other.tolist()
        assert [type(label) for label in one] == [type(label) for label in other]
    assert ours.features == theirs.features
    assert (ours.user_name, ours.choice_name) == (theirs.user_name, theirs.choice_name)
    if ours.catalogue is not None:
        assert ours.catalogue.index.tolist() == theirs.catalogue.index.tolist()
        first, second = ours.catalogue.index[:1].tolist(), ours.catalogue.index[1:2].tolist()
        assert loaded.preference(first, second)["mean"].between(0, 1).all()
        loaded.reward()
    loaded.summary()
    for user in ours.users:
        alone = loaded.weights_draws([user]).to_numpy()
        place = ours.users.get_loc(user)
        np.testing.assert_array_equal(alone[:, :, 0], posterior.weights_draws()[:, :, place])
        assert len(ours[user]) == ours.counts[place]
    loaded.weights()
    repr(loaded), repr(ours), ours._repr_html_(), ours.to_frame()
    bp.loo(loaded)
    bp.evaluate(loaded, ours)
    bp.diagnose(loaded, progress=False)
    for plot in (bp.plots.trace, bp.plots.users, bp.plots.population):
        plot(loaded)
    plt.gcf().canvas.draw()
    plt.close("all")


def chosen(cases: list[Any], sample: int) -> list[Any]:
    """All cases, or the same few in every run."""
    return random.Random(0).sample(cases, sweep.cases(sample, len(cases)))


@pytest.mark.filterwarnings("ignore")
def test_labels_go_all_the_way_or_are_refused_by_name(tmp_path: Path) -> None:
    kept, refused, failed = [], [], []
    for kind, role in chosen([(kind, role) for kind in KINDS for role in ROLES], 3):
        try:
            comparisons = read(KINDS[kind], role)
        except bp.DataError:
            refused.append((kind, role))
            continue
        try:
            go_round(comparisons, tmp_path / "fit.nc")
            kept.append((kind, role))
        except Exception as error:  # noqa: BLE001  # counted, and the test fails
            failed.append((kind, role, repr(error)[:200]))
    sweep.report("labels: kinds", len(kept) + len(refused) + len(failed), len(kept) + len(refused))
    assert failed == []
    assert ("several types", "user") not in refused
    assert kept


@pytest.mark.filterwarnings("ignore")
def test_columns_and_items_may_have_the_names_of_dimensions(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    tried, failed = 0, []
    for name, role in chosen(
        [(n, r) for n in INTERNAL for r in ("user", "feature", "context", "item", "choice")], 3
    ):
        roles = {key: f"{key} of all" for key in ("user", "feature", "context", "item", "choice")}
        roles[role] = name
        frame = pd.DataFrame({roles["user"]: np.arange(24) % 3})
        frame[roles["choice"]] = rng.integers(0, 2, 24)
        tried += 1
        try:
            if role == "item":
                frame["one"] = np.where(frame.index % 2, name, "z")
                frame["another"] = "y"
                read_ = bp.Comparisons.from_items(
                    frame,
                    user=roles["user"],
                    left="one",
                    right="another",
                    choice=roles["choice"],
                )
            else:
                frame[roles["feature"]] = rng.normal(size=24)
                frame[roles["context"]] = rng.normal(size=24)
                read_ = bp.Comparisons.from_frame(
                    frame,
                    user=roles["user"],
                    choice=roles["choice"],
                    difference=[roles["feature"]],
                    context=[roles["context"]],
                    interactions="all",
                )
            go_round(read_, tmp_path / "fit.nc")
        except Exception as error:  # noqa: BLE001  # counted, and the test fails
            failed.append((name, role, repr(error)[:200]))
    sweep.report("labels: names of dimensions", tried, tried - len(failed))
    assert failed == []


def test_what_reading_accepts_a_file_accepts() -> None:
    for labels in KINDS.values():
        column = pd.Series(labels, dtype=object if isinstance(labels, list) else None)
        if odd_label(column) is None:
            index = pd.Index(column)
            assert decode_index(encode_index(index)).tolist() == index.tolist()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("field", ["who", "chosen", "prompt"])
def test_half_an_emoji_from_json_is_read_or_refused_by_name(field: str, tmp_path: Path) -> None:
    record = {"who": "a", "prompt": "p", "chosen": "a long answer", "rejected": "no"}
    odd = record | {field: "\ud83d and more"}
    others = [row | {"who": "b"} for row in (record, odd)] if field != "who" else []
    lines = [json.dumps(row) for row in (record, odd, record, odd, *others, *others)]
    path = tmp_path / "votes.jsonl"
    path.write_text("\n".join(lines))
    if field == "who":
        with pytest.raises(bp.DataError, match=r"column 'who': .* holds half a character in row 2"):
            bp.text.comparisons(path, user="who", surface=["length"])
    else:
        read = bp.text.comparisons(path, user="who", surface=["length"])
        assert len(read) == 8
        go_round(read, tmp_path / "fit.nc")
