"""Formulas: the columns of formulaic, labelled as elsewhere, applied again without being run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import formulaic
import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior
from raw_tables import PRICED, SIDES, priced_votes
from scipy.linalg import subspace_angles

import bayes_pref as bp
from bayes_pref.data.arithmetic import variables_of
from bayes_pref.data.formula import Formula


def alternatives(frame: pd.DataFrame) -> pd.DataFrame:
    sides = [frame[columns].set_axis(list(PRICED), axis=1) for columns in SIDES.values()]
    return pd.concat(sides, ignore_index=True)


def read(formula: Any, frame: pd.DataFrame | None = None) -> bp.Comparisons:
    frame = priced_votes() if frame is None else frame
    return bp.Comparisons.from_frame(frame, user="who", choice="won", formula=formula, **SIDES)


@pytest.mark.parametrize(
    ("formula", "names"),
    [
        (
            "~ price + C(brand) + price:quality",
            ("price", "brand[B]", "brand[C]", "price:quality"),
        ),
        ("~ log(price) + brand", ("log(price)", "brand[B]", "brand[C]")),
        ("~ 0 + price:brand", ("price:brand[A]", "price:brand[B]", "price:brand[C]")),
        (
            "~ C(brand, contr.sum) + I(price**2) + scale(quality)",
            ("brand[A]", "brand[B]", "price ** 2", "standardise(quality)"),
        ),
        (
            "~ quality + C(brand, contr.treatment('B')):quality",
            ("quality", "brand[A]:quality", "brand[C]:quality"),
        ),
        ("center(price):quality + np.log(price)", ("log(price)", "center(price):quality")),
    ],
)
def test_features_span_what_formulaic_makes(formula: str, names: tuple[str, ...]) -> None:
    frame = priced_votes()
    found = read(formula)
    assert found.feature_names == names
    whole = formulaic.model_matrix(formula, alternatives(frame))
    whole = whole.drop(columns="Intercept", errors="ignore").to_numpy(np.float64)
    theirs = whole[: len(frame)] - whole[len(frame) :]
    ours = found.difference[np.argsort(found.rows)]
    assert theirs.shape == ours.shape
    assert subspace_angles(theirs, ours).max() < 1e-7
    if "C(brand)" not in formula:
        return
    # Treatment coding: the very columns, but for their order.
    np.testing.assert_allclose(np.sort(np.abs(theirs).sum(0)), np.sort(np.abs(ours).sum(0)))


def test_the_formula_is_applied_again_where_the_posterior_is_asked(tmp_path: Path) -> None:
    frame = priced_votes()
    posterior = made_posterior(read("~ log(price) + C(brand) + price:brand"))
    posterior.save(tmp_path / "posterior.nc")
    again = bp.Posterior.load(tmp_path / "posterior.nc")
    assert again.comparisons.features == posterior.comparisons.features
    items = pd.DataFrame({"price": [2.0, 3.0], "brand": ["C", "A"], "quality": 0.0})
    matrix = again.comparisons.features.matrix(items)
    expected = [[np.log(2.0), 0.0, 1.0, 0.0, 0.0, 2.0], [np.log(3.0), 0.0, 0.0, 3.0, 0.0, 0.0]]
    np.testing.assert_allclose(matrix, expected)
    weights = again.draws["weights"].mean(("chain", "draw")).to_numpy()
    reward = again.reward(items).pivot(index="user", columns="item", values="mean")
    np.testing.assert_allclose(reward.to_numpy(), weights @ matrix.T)
    rows = again.predict(frame)
    pd.testing.assert_frame_equal(rows, posterior.predict(frame))
    assert len(rows) == len(frame)
    # A level that was not in the data, by its name, and a column that is not there.
    with pytest.raises(bp.DataError, match="level 'Z' was not in the fitted data"):
        again.reward(items.assign(brand="Z"))
    with pytest.raises(bp.DataError, match="has no column 'price'"):
        again.reward(items.drop(columns="price"))


def test_a_report_says_what_a_product_keeps_it_from() -> None:
    posterior = made_posterior(read("~ price + price:quality"))
    report = bp.diagnose(posterior, assessments=["preference", "sensitivity"], progress=False)
    assert any("'quality', which does not stand alone" in note for note in report.notes)
    assert len(report.comparisons) == len(posterior.comparisons)
    posterior = made_posterior(read("~ price * quality"))
    report = bp.diagnose(posterior, assessments=["preference", "sensitivity"], progress=False)
    assert report.tables["sensitivity"]["attribute"].tolist() == ["price", "quality"]


def test_nothing_that_was_saved_is_run() -> None:
    state = read("~ price + price:quality").features.formula
    assert state is not None
    text = json.dumps(state.state())
    assert Formula.from_state(json.loads(text)) == state
    assert "'expression': 'quality'" in str(state.state())
    harm = text.replace('"expression": "quality"', '"expression": "__import__(\'os\').abort()"')
    with pytest.raises(bp.DataError, match="cannot be used"):
        Formula.from_state(json.loads(harm))


def test_tasks_are_read_by_a_formula() -> None:
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "who": np.repeat(np.arange(4), 12),
            "task": np.repeat(np.arange(16), 3),
            "price": rng.uniform(1.0, 9.0, 48),
            "brand": rng.choice(list("AB"), 48),
            "bought": np.tile([1, 0, 0], 16),
        }
    )
    columns: dict[str, Any] = {"user": "who", "task": "task", "choice": "bought"}
    found = bp.Comparisons.from_tasks(frame, **columns, formula="~ price*brand", none=True)
    assert found.feature_names == ("price", "brand[B]", "price:brand[B]", "none")
    plain = frame.assign(
        of_b=(frame["brand"] == "B").astype(float), both=(frame["brand"] == "B") * frame["price"]
    )
    same = bp.Comparisons.from_tasks(
        plain, **columns, attributes=["price", "of_b", "both"], none=True
    )
    np.testing.assert_allclose(found.difference, same.difference)
    asked = pd.DataFrame({"price": [2.0], "brand": ["B"], "none": [0.0]})
    np.testing.assert_allclose(found.features.matrix(asked), [[2.0, 1.0, 2.0, 0.0]])


def test_other_tables_are_read_by_the_formula_that_was_learnt() -> None:
    frame = priced_votes()
    first = read("~ scale(price):quality + price", frame[:40])
    posterior = made_posterior(first)
    with pytest.raises(bp.DataError, match=r"read it with formula=posterior\.comparisons"):
        bp.evaluate(posterior, read("~ scale(price):quality + price", frame[40:]))
    later = read(first.features.formula, frame[40:])
    assert later.features == replace(first.features, sources=later.features.sources)
    assert bp.evaluate(posterior, later).overall.notna().all(axis=None)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("~ prize", "there is no attribute 'prize'; did you mean 'price'?"),
        ("won ~ price", "has a left-hand side; begin with ~"),
        ("~ eval(price)", r"'eval\(price\)' cannot be used; write columns"),
        ("~ price.mean()", r"'price.mean\(\)' cannot be used"),
        ("~ C(brand, contr.poly)", "write C"),
        ("~ C(brand, contr.treatment('Z'))", "not among the provided levels"),
        ("~ brand + C(brand)", "'brand' stands in it twice"),
        ("~ 1", "has no attribute"),
        ("~ price +* quality", "cannot be read"),
        (3, "must be text such as"),
    ],
)
def test_what_is_no_formula_is_refused(formula: Any, message: str) -> None:
    with pytest.raises(bp.DataError, match=message):
        read(formula)


def test_a_formula_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    frame, ask = priced_votes(), {"user": "who", "choice": "won", "formula": "~ price"}
    with pytest.raises(bp.DataError, match="formula= is of attributes; give left="):
        bp.Comparisons.from_frame(frame, difference=["price_a"], **ask)
    with pytest.raises(bp.DataError, match="the formula says how attributes are coded"):
        bp.Comparisons.from_frame(frame, **SIDES, **ask, transform={"price": "log"})
    monkeypatch.setitem(__import__("sys").modules, "formulaic", None)
    with pytest.raises(bp.DataError, match=r"pip install 'bayes-pref\[formula\]'"):
        read("~ price")


@pytest.mark.parametrize(
    "deep", ["-" * 2000 + "x", "-" * 100_000 + "x", "log(" * 600 + "x" + ")" * 600]
)
def test_an_expression_nested_without_end_is_refused_in_a_short_sentence(deep: str) -> None:
    with pytest.raises(bp.DataError, match="cannot be used") as refused:
        variables_of(deep)
    assert len(str(refused.value)) < 300


def test_finding_columns_of_an_expression_warns_of_no_arithmetic() -> None:
    assert variables_of("log(price) ** -1 + log(log(size))") == ("price", "size")


def test_items_are_read_by_a_formula() -> None:
    rng = np.random.default_rng(2)
    items = pd.DataFrame({"price": [1.0, 2.0, 3.0, 4.0], "brand": list("ABAB")}, index=list("uvwx"))
    left = rng.integers(0, 4, 40)
    right = (left + rng.integers(1, 4, 40)) % 4
    votes = pd.DataFrame(
        {"who": np.arange(40) % 4, "left": items.index[left], "right": items.index[right]}
    ).assign(won=rng.integers(0, 2, 40))
    columns: dict[str, Any] = {"user": "who", "left": "left", "right": "right", "choice": "won"}
    found = bp.Comparisons.from_items(votes, items, formula="~ price*brand", **columns)
    assert found.feature_names == ("price", "brand[B]", "price:brand[B]")
    both = items.assign(b=[0.0, 1.0, 0.0, 1.0], of_b=[0.0, 2.0, 0.0, 4.0]).drop(columns="brand")
    same = bp.Comparisons.from_items(votes, both, **columns)
    np.testing.assert_array_equal(found.difference, same.difference)
    posterior = made_posterior(found)
    by_label, by_table = posterior.reward(["x"]), posterior.reward(items.loc[["x"]])
    pd.testing.assert_frame_equal(by_label, by_table)
    with pytest.raises(bp.DataError, match="formula= is of attributes of items; give them"):
        bp.Comparisons.from_items(votes, formula="~ price", **columns)
    with pytest.raises(bp.DataError, match="the formula says how attributes are coded"):
        bp.Comparisons.from_items(
            votes, items, formula="~ price", transform={"price": "log"}, **columns
        )
