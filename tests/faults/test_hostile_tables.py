"""Tables of any content through every door: read as plain Python reads them, or refused.

The oracle below knows nothing of pandas: it walks the cells one by one. Where it and the library
disagree about a number, the test fails; so it does where the library raises another error than its
own. What the oracle cannot read, the library has to refuse.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sweep
from hypothesis import given

import bayes_pref as bp
from bayes_pref.cli.tables import read_table
from bayes_pref.errors import BayesPrefError

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

COUNTS: Counter[str] = Counter()
MISSING = (None, float("nan"), pd.NA, pd.NaT)
WORDS = {"left": 1.0, "right": 0.0, "tie": 0.5, "A": 1.0, "B": 0.0, "model_a": 1.0, "model_b": 0.0}

good_numbers = st.one_of(
    st.floats(-1e6, 1e6, allow_nan=False), st.integers(-1000, 1000), st.booleans()
)
odd_cells = st.sampled_from(
    [
        *(None, float("nan"), float("inf"), pd.NA, pd.NaT, "", "1", "1.5", "x", "nan", b"1"),
        *([1], (1,), {}, 1j, 10**400, Decimal("0.5"), Decimal("NaN"), Decimal("sNaN")),
        *(np.float32(2.5), np.int8(-3), np.bool_(True), np.array([1]), 1e308, -1e308, 5e-324),
        *("\ud83d", "a\0", object()),
    ]
)
labels = st.one_of(st.sampled_from(["ann", "bob", "cy"]), st.integers(0, 2), odd_cells)
numbers = st.one_of(good_numbers, good_numbers, good_numbers, odd_cells)
choices = st.one_of(
    st.sampled_from([0, 1]),
    st.sampled_from([0, 1, 0.5, True, False, np.int8(1), Decimal(1)]),
    st.sampled_from([*WORDS]),
    odd_cells,
)


def column(draw: Callable[..., Any], cells: st.SearchStrategy[Any], n: int) -> list[Any]:
    """Cells of a column: mostly of one sort, with an odd one now and then."""
    common = draw(cells)
    sort = st.one_of(cells) if draw(st.booleans()) else st.just(common)
    made = draw(st.lists(sort, min_size=n, max_size=n))
    return [draw(cells) if draw(st.integers(0, 9)) == 0 else cell for cell in made]


def objects(cells: list[Any]) -> pd.Series:
    """A column of these very objects."""
    made = np.empty(len(cells), dtype=object)
    for place, cell in enumerate(cells):
        made[place] = cell
    return pd.Series(made, dtype=object)


@st.composite
def tables(draw: Callable[..., Any]) -> dict[str, list[Any]]:
    n = draw(st.integers(1, 6))
    plain = draw(st.sampled_from(["none", "one", "all"]))  # how many columns may be odd
    odd = {"none": [], "one": [draw(st.sampled_from("uxyac"))], "all": list("uxyac")}[plain]
    made = {}
    for name, cells, tame in (
        ("u", labels, st.sampled_from(["ann", "bob"])),
        ("x", numbers, good_numbers),
        ("y", numbers, good_numbers),
        ("a", numbers, good_numbers),
        ("c", choices, st.sampled_from([0, 1, 0.5])),
    ):
        made[name] = (
            column(draw, cells, n) if name in odd else draw(st.lists(tame, min_size=n, max_size=n))
        )
    return made


def missing(cell: Any) -> bool:
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return True
    if isinstance(cell, Decimal):
        return cell.is_nan()
    return isinstance(cell, float | np.floating) and math.isnan(cell)


def number(cell: Any) -> float | None:
    """What a cell is as a number; None if it is none."""
    if missing(cell) or not isinstance(cell, bool | int | float | Decimal | np.number | np.bool_):
        return None
    if isinstance(cell, np.complexfloating):
        return None
    try:
        value = float(cell)
    except (OverflowError, ValueError):
        return None
    return value if math.isfinite(value) else None


def vote(cell: Any) -> float | None:
    if isinstance(cell, str):
        return WORDS.get(cell)
    value = number(cell)
    return value if value in (0.0, 0.5, 1.0) else None


def expected_rows(table: dict[str, list[Any]]) -> list[tuple[Any, ...]] | None:
    """(user, x, y, context, choice) of each row in the order of the users, or None: unreadable."""
    users: dict[Any, list[int]] = {}
    for row, user in enumerate(table["u"]):
        if missing(user) or not isinstance(user, str | int | float | np.number | np.bool_):
            return None
        if isinstance(user, str) and ("\0" in user or "\ud83d" in user):
            return None
        users.setdefault(user, []).append(row)
    kinds = {isinstance(user, bool | np.bool_) for user in table["u"] if not isinstance(user, str)}
    if len(kinds) > 1:
        return None  # True is 1
    found = []
    for rows in users.values():
        for row in rows:
            cells = [number(table[name][row]) for name in "xya"]
            choice = vote(table["c"][row])
            if None in cells or choice is None:
                return None
            found.append((table["u"][rows[0]], *cells, choice))
    return found


def agree(read: bp.Comparisons, rows: list[tuple[Any, ...]]) -> bool:
    """Whether comparisons hold exactly these rows."""
    values = np.column_stack([read.difference[:, :2], read.context[:, 0], read.choice])
    users = [read.users[code] for code in read.user]
    return values.tolist() == [list(row[1:]) for row in rows] and all(
        one == other for one, other in zip(users, (row[0] for row in rows), strict=True)
    )


def attempt(door: str, make: Callable[[], bp.Comparisons]) -> tuple[bp.Comparisons | None, str]:
    """Read through a door: the comparisons, or the sentence of an error of ours in one line."""
    COUNTS[door] += 1
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return make(), ""
    except BayesPrefError as error:
        refusal = str(error)
    assert refusal
    assert "\n" not in refusal
    return None, refusal


def judged(door: str, rows: Any, make: Callable[[], bp.Comparisons]) -> None:
    """Read through a door, and compare with the oracle; count what held."""
    read, refusal = attempt(door, make)
    if read is None:
        assert rows is None or extreme(rows), f"{door} refused a good table: {refusal}"
    else:
        assert rows is not None, f"{door} read what cannot be read"
        assert agree(read, rows), f"{door} read other numbers"
    COUNTS[f"{door}, held"] += 1


def extreme(rows: list[tuple[Any, ...]]) -> bool:
    """Whether a number is of a size that may be refused."""
    sizes = [abs(value) for row in rows for value in row[1:] if value]
    return any(size > 1e100 or size < 1e-100 for size in sizes)


def finished(door: str) -> None:
    sweep.report(f"tables: {door}", COUNTS[door], COUNTS[f"{door}, held"])


ROLES: dict[str, Any] = {"user": "u", "choice": "c", "difference": ["x", "y"], "context": ["a"]}


def test_frames() -> None:
    @sweep.settings(40, 1200)
    @given(tables(), st.booleans())
    def tried(table: dict[str, list[Any]], as_objects: bool) -> None:
        columns = {name: objects(cells) for name, cells in table.items()}
        frame = pd.DataFrame(columns)
        if not as_objects:
            with contextlib.suppress(UnicodeEncodeError):  # of pandas: half a character
                frame = frame.infer_objects()
        rows = expected_rows({name: frame[name].tolist() for name in frame})
        judged("from_frame", rows, lambda: bp.Comparisons.from_frame(frame, **ROLES))

    tried()
    finished("from_frame")


def test_arrow_and_polars() -> None:
    @sweep.settings(30, 500)
    @given(tables(), st.sampled_from(["arrow", "polars"]))
    def tried(table: dict[str, list[Any]], kind: str) -> None:
        try:
            made = pa.table(table) if kind == "arrow" else pl.DataFrame(table)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  # no table of theirs; Polars panics with one
            return
        # Types of a column are theirs: what it holds is asked of them.
        cells = made.to_pydict() if kind == "arrow" else made.to_dict(as_series=False)
        judged(kind, expected_rows(cells), lambda: bp.Comparisons.from_frame(made, **ROLES))

    tried()
    sweep.report(
        "tables: arrow, polars",
        *(sum(COUNTS[f"{kind}{end}"] for kind in ("arrow", "polars")) for end in ("", ", held")),
    )


def test_items_and_their_attributes() -> None:
    @sweep.settings(30, 500)
    @given(tables(), st.booleans())
    def tried(table: dict[str, list[Any]], with_attributes: bool) -> None:
        n = len(table["u"])
        votes = pd.DataFrame({name: objects(table[name]) for name in "uac"})
        votes["l"], votes["r"] = [f"i{k}" for k in range(n)], "base"
        items = pd.DataFrame({name: objects([*table[name], 0.0]) for name in "xy"})
        items.index = pd.Index([*votes["l"], "base"])
        rows = expected_rows(table)

        def make() -> bp.Comparisons:
            return bp.Comparisons.from_items(
                votes, items, user="u", left="l", right="r", choice="c", context=["a"]
            )

        if with_attributes:
            judged("from_items", rows, make)
            return
        read, refusal = attempt(
            "from_items",
            lambda: bp.Comparisons.from_items(
                votes, user="u", left="l", right="r", choice="c", context=["a"]
            ),
        )
        want = expected_rows(table | {"x": [0] * n, "y": [0] * n})
        if read is None:
            assert want is None or extreme(want), refusal
        else:
            assert want is not None
            assert read.choice.tolist() == [row[-1] for row in want]
            assert (np.abs(read.difference).sum(axis=1) == 2).all()
        COUNTS["from_items, held"] += 1

    tried()
    finished("from_items")


def test_covariates() -> None:
    @sweep.settings(20, 300)
    @given(st.lists(numbers, min_size=3, max_size=3), st.permutations(["ann", "bob", "cy"]))
    def tried(ages: list[Any], order: list[str]) -> None:
        frame = pd.DataFrame({"u": ["ann", "bob", "cy"] * 2, "x": range(6), "c": [1, 0] * 3})
        known = pd.DataFrame({"u": order, "age": objects(ages)})
        values = [number(age) for age in ages]
        usable = None not in values and len(set(values)) > 1
        read, refusal = attempt(
            "covariates",
            lambda: bp.Comparisons.from_frame(
                frame, user="u", choice="c", difference=["x"], covariates=known
            ),
        )
        if read is None:
            assert not usable or extreme([(0, *values)]), refusal
        else:
            assert usable
            want = [values[order.index(user)] for user in ("ann", "bob", "cy")]
            assert read.covariates[:, 0].tolist() == want
        COUNTS["covariates, held"] += 1

    tried()
    finished("covariates")


def test_rankings() -> None:
    ranks = st.one_of(st.integers(1, 3), st.integers(1, 3), odd_cells)

    @sweep.settings(20, 300)
    @given(st.lists(ranks, min_size=3, max_size=3), st.permutations(["tea", "milk", "mate"]))
    def tried(places: list[Any], shown: list[str]) -> None:
        frame = pd.DataFrame({"u": "ann", "r": 1, "i": shown, "k": objects(places)})
        values = [None if missing(place) else number(place) for place in places]
        odd = any(not missing(p) and v is None for p, v in zip(places, values, strict=True))
        ranked = sorted(v for v in values if v is not None)
        usable = not odd and ranked == [float(k) for k in range(1, len(ranked) + 1)] and ranked
        read, refusal = attempt(
            "rankings",
            lambda: bp.Comparisons.from_rankings(frame, user="u", ranking="r", item="i", rank="k"),
        )
        if read is None:
            assert not usable, refusal
        else:
            assert usable
            left = [(v, s) for v, s in zip(values, shown, strict=True)]
            left.sort(key=lambda pair: (pair[0] is None, pair[0] or 0))
            names = read.feature_names
            want = Counter()
            for place, (rank, best) in enumerate(left):
                if rank is not None:
                    want.update((best, worse) for _, worse in left[place + 1 :])
            found = Counter((names[row.argmax()], names[row.argmin()]) for row in read.difference)
            assert found == want
        COUNTS["rankings, held"] += 1

    tried()
    finished("rankings")


def test_tasks() -> None:
    marks = st.one_of(st.sampled_from([0, 1]), st.sampled_from(["yes", "No", True]), odd_cells)

    @sweep.settings(40, 500)
    @given(st.data(), st.integers(2, 3), st.sampled_from(["", "x", "c", "i", "u", "t", "all"]))
    def tried(data: st.DataObject, size: int, odd: str) -> None:
        n = 2 * size
        tame: dict[str, list[Any]] = {
            "u": ["ann"] * size + ["bob"] * size,
            "t": [1] * size + [2] * size,
            "i": list(range(size)) * 2,
            "x": data.draw(st.lists(good_numbers, min_size=n, max_size=n)),
            "c": ([1] + [0] * (size - 1)) * 2,
        }
        wild = {"u": labels, "t": labels, "i": labels, "x": numbers, "c": marks}
        cells = {
            name: column(data.draw, wild[name], n) if odd in (name, "all") else values
            for name, values in tame.items()
        }
        frame = pd.DataFrame({name: objects(values) for name, values in cells.items()})
        none = data.draw(st.sampled_from([None, True]))
        options = {"alternative": "i"} if data.draw(st.booleans()) else {}
        read, refusal = attempt(
            "tasks",
            lambda: bp.Comparisons.from_tasks(
                frame, user="u", task="t", choice="c", attributes=["x"], none=none, **options
            ),
        )
        if not odd:
            assert read is not None, refusal
            x = [float(value) for value in tame["x"]]
            want = [[x[k] - x[k + j]] for k in (0, size) for j in range(1, size)]
            if none is None:
                assert read.difference.tolist() == want
            else:
                assert len(read) == 2 * size
        COUNTS["tasks, held"] += 1

    tried()
    finished("tasks")


def test_wide_tasks_and_levels() -> None:
    levels = st.one_of(st.sampled_from(["A", "B", "C"]), odd_cells)
    marks = st.one_of(st.sampled_from(["car", "bus"]), odd_cells)

    @sweep.settings(30, 400)
    @given(st.data(), st.sampled_from(["", "b_car", "x_bus", "c", "asked", "all"]))
    def tried(data: st.DataObject, odd: str) -> None:
        tame: dict[str, list[Any]] = {
            "b_car": ["A", "B", "A", "B"],
            "b_bus": ["B", "A", "A", "B"],
            "x_car": data.draw(st.lists(good_numbers, min_size=4, max_size=4)),
            "x_bus": data.draw(st.lists(good_numbers, min_size=4, max_size=4)),
            "c": ["car", "bus", "car", "car"],
        }
        wild = {"b_car": levels, "b_bus": levels, "x_car": numbers, "x_bus": numbers, "c": marks}
        cells = {
            name: column(data.draw, wild[name], 4) if odd in (name, "all") else values
            for name, values in tame.items()
        }
        frame = pd.DataFrame({name: objects(values) for name, values in cells.items()})
        # Drawn before anything is counted: a case that runs out of choices is none.
        none = data.draw(st.sampled_from([None, True, "home"]))
        asked = objects(column(data.draw, levels, 4))
        read, refusal = attempt(
            "wide",
            lambda: bp.Comparisons.from_wide(
                frame.assign(u=[1, 1, 2, 2]),
                user="u",
                choice="c",
                attributes=["b", "x"],
                alternatives=["car", "bus"],
                none=none,
            ),
        )
        if odd in ("", "asked"):
            assert read is not None, refusal
        if odd == "asked":
            with contextlib.suppress(BayesPrefError):
                made = read.features.matrix(pd.DataFrame({"b": asked, "x": 1.0}))
                assert set(asked) <= {"A", "B"}
                want = [1.0 if level == "B" else -1.0 for level in asked]
                assert made[:, 0].tolist() == want
        COUNTS["wide, held"] += 1

    tried()
    finished("wide")


def words(text: str) -> int:
    """How many pieces between spaces hold a letter or a digit."""
    return sum(any(sign.isalnum() for sign in piece) for piece in text.split())


def test_texts() -> None:
    texts = st.one_of(st.sampled_from(["Yes.", "No, why?", "- a\n- b", "Sure", ""]), odd_cells)

    @sweep.settings(20, 300)
    @given(st.lists(st.tuples(texts, texts, texts, choices), min_size=1, max_size=4))
    def tried(votes: list[tuple[Any, ...]]) -> None:
        records = [dict(zip("plrc", vote_, strict=True)) for vote_ in votes]
        read, _ = attempt(
            "text",
            lambda: bp.text.comparisons(
                records, prompt="p", left="l", right="r", winner="c", surface=["length"]
            ),
        )
        if read is not None:
            assert read.choice.tolist() == [vote(record["c"]) for record in records]
            # The logarithm of one and the number of words, which the dashes of a list are not.
            sizes = [[math.log1p(words(record[side])) for side in "lr"] for record in records]
            want = [one - other for one, other in sizes]
            np.testing.assert_allclose(read.difference[:, 0], want)
        COUNTS["text, held"] += 1

    tried()
    finished("text")


def test_csv_through_the_command(tmp_path: Path) -> None:
    cells = st.one_of(
        st.floats(-1e6, 1e6, allow_nan=False).map(repr),
        st.integers(-99, 99).map(str),
        st.sampled_from(
            ["", "nan", "NA", "x", "1,5", '"', "1e400", "0x10", "1_000", " 3", "\ufeff"]
        ),
    )
    users = st.sampled_from(["ann", "bob", "007", "7", "NA", "", " ann"])

    @sweep.settings(30, 600)
    @given(
        st.lists(
            st.tuples(users, cells, st.sampled_from(["0", "1", "0.5", "left", "B", "2", ""])),
            min_size=1,
            max_size=5,
        )
    )
    def tried(rows: list[tuple[str, str, str]]) -> None:
        path = tmp_path / "votes.csv"
        lines = [
            ",".join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows
        ]
        path.write_text("\n".join(["u,x,c", *lines, ""]), encoding="utf-8")

        def make() -> bp.Comparisons:
            frame = read_table(path, labels=["u"]).frame
            return bp.Comparisons.from_frame(frame, user="u", choice="c", difference=["x"])

        read, _ = attempt("CSV", make)
        if read is not None:
            users_, kept = {}, []
            for user, x, choice in rows:
                users_.setdefault(user, []).append((float(x), vote_of(choice)))
            for group in users_.values():
                kept += group
            assert "" not in users_
            assert list(users_) == [str(user) for user in read.users]
            assert read.difference[:, 0].tolist() == [x for x, _ in kept]
            assert read.choice.tolist() == [choice for _, choice in kept]
        COUNTS["CSV, held"] += 1

    tried()
    finished("CSV")


def vote_of(text: str) -> float:
    return WORDS[text] if text in WORDS else float(text)
