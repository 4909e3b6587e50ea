"""The audit: it names the assumption that is broken, keeps quiet else, and says what it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

import bayes_pref as bp
from audit_study import broken, judged
from bayes_pref.assumptions.auditing import holm
from bayes_pref.assumptions.check import ASSUMPTIONS, DECLARED, FAILS, PASSES, STATUSES, UNTESTED

ENOUGH = {"permutations": 199}


@pytest.mark.parametrize("world", broken.BROKEN, ids=lambda world: world.name)
def test_the_broken_assumption_is_named(world: broken.Broken) -> None:
    found = bp.audit(world.make(1, world.strengths[2]), **ENOUGH)
    assert world.assumption in found.failed


@pytest.mark.parametrize("name", ["base", "choices among 3", "rankings of 4", "ties and lapses"])
def test_worlds_that_break_nothing_pass(name: str) -> None:
    found = bp.audit(broken.null(name, 1), **ENOUGH)
    assert found.failed == ()
    assert found["same for all users"].status == UNTESTED  # users write their own prompts


def test_a_randomised_world_is_called_so() -> None:
    found = bp.audit(broken.null("randomised", 2), **ENOUGH)
    assert found.failed == ()
    assert found.randomised
    status = found.assumptions.set_index("assumption")["status"]
    assert status["unconfoundedness"] == PASSES


def graded(seed: int) -> bp.Comparisons:
    """Grades of three levels, by users whose prompts depend on age."""
    world = bp.simulate(users=60, comparisons=10, covariates=["age"], intraclass=0.0, seed=seed)
    frame = world.frame.copy()
    age = world.covariates["age"]
    frame["context_1"] += 0.8 * age.loc[frame["user"]].to_numpy()
    eta = frame["feature_1"] - frame["feature_2"]
    frame["choice"] = np.digitize(
        eta + np.random.default_rng(seed).logistic(size=len(frame)), [-1, 1]
    )
    return bp.Comparisons.from_frame(
        frame,
        user="user",
        choice="choice",
        levels=[0, 1, 2],
        difference=["feature_1", "feature_2"],
        context=["context_1"],
        covariates=world.covariates,
    )


def test_grades_are_audited_and_sentences_name_the_columns() -> None:
    found = bp.audit(graded(0), **ENOUGH)
    assert found.failed == ("unconfoundedness",)
    sentence = found["shown by covariates"].sentence
    assert "'age'" in sentence
    assert "'context_1'" in sentence
    assert "adjust for 'age'" in found["shown by covariates"].remedy


def test_the_same_seed_gives_the_same_audit_and_the_order_of_users_changes_no_statistic() -> None:
    world = bp.simulate(users=40, comparisons=8, covariates=1, seed=3)
    first, again = (bp.audit(world.comparisons, **ENOUGH).table for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    turned = world.comparisons[list(world.comparisons.users[::-1])]
    other = bp.audit(turned, **ENOUGH)["position bias"].value
    assert other == pytest.approx(bp.audit(world.comparisons, **ENOUGH)["position bias"].value)


def test_declared_randomisation_holds_by_design_unless_the_data_contradict_it() -> None:
    randomised = broken.null("randomised", 2)
    graph = bp.CausalGraph.of(randomised).randomise()
    found = bp.audit(randomised, graph, **ENOUGH).assumptions.set_index("assumption")
    assert found.loc["unconfoundedness", "status"] == DECLARED
    assert "declared" in found.loc["unconfoundedness", "sentence"]
    by_age = graded(0)
    audit = bp.audit(by_age, bp.CausalGraph.of(by_age).randomise(), **ENOUGH)
    assert audit["same for all users"].status == FAILS
    row = audit.assumptions.set_index("assumption").loc["unconfoundedness"]
    assert row["status"] == FAILS
    assert "but the data contradict it" in row["sentence"]


def test_without_covariates_and_contexts_it_says_what_to_record() -> None:
    found = bp.audit(bp.simulate(users=40, comparisons=8, contexts=0, seed=0).comparisons, **ENOUGH)
    assert found["shown by covariates"].status == UNTESTED
    for check in ("shown by preferences", "overlap by user"):
        assert "Neither contexts nor" in found[check].sentence
        assert "context=[...]" in found[check].remedy
    status = found.assumptions.set_index("assumption")["status"]
    assert status["positivity (overlap)"] == UNTESTED
    assert status["latent sufficiency"] == UNTESTED


def test_one_user_is_told_so_in_a_sentence() -> None:
    found = bp.audit(bp.simulate(users=1, seed=0).comparisons, **ENOUGH)
    assert found["same for all users"].sentence == (
        "There is one user, and no other to compare with."
    )
    assert found.assumptions.set_index("assumption").loc["positivity (overlap)", "status"] == (
        UNTESTED
    )


def test_a_single_comparison_can_be_audited() -> None:
    with pytest.warns(bp.DataWarning, match="a single comparison"):
        one = bp.simulate(users=1, comparisons=1, seed=0).comparisons
    assert set(bp.audit(one, **ENOUGH).table["status"]) <= set(STATUSES)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: bp.audit("data"), "got str but expected bp.Comparisons"),
        (lambda c: bp.audit(c, graph="X -> Y"), "graph: got str but expected bp.CausalGraph"),
        (lambda c: bp.audit(c, permutations=9), "permutations must be a whole number of at least"),
        (lambda c: bp.audit(c, seed=-1), "seed must be"),
        (
            lambda c: bp.audit(c, bp.CausalGraph.of(c).record("C", ["agee"])),
            "recorded as column 'agee', which the comparisons do not have",
        ),
        (lambda c: bp.audit(c, **ENOUGH)["drifts"], "did you mean 'drift'"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(call: Any, message: str) -> None:
    comparisons = bp.simulate(users=6, comparisons=3, seed=0).comparisons
    with pytest.raises(bp.DataError, match=message) as caught:
        call(comparisons)
    assert "\n" not in str(caught.value)


def test_items_that_were_never_compared_are_found() -> None:
    frame = pd.DataFrame(
        {"who": list("aabb") * 10, "left": ["tea", "oak"] * 20, "right": ["milk", "elm"] * 20,
         "choice": [1, 0, 0, 1] * 10}
    )  # fmt: skip
    with pytest.warns(bp.DataWarning, match="2 groups"):
        items = bp.Comparisons.from_items(
            frame, user="who", left="left", right="right", choice="choice"
        )
    found = bp.audit(items, **ENOUGH)["informative pairs"]
    assert found.status == FAILS
    assert "2 groups that were never compared" in found.sentence


def test_every_output_tells_the_same(tmp_path: Path) -> None:
    found = bp.audit(graded(0), **ENOUGH)
    assert found.assumptions["assumption"].tolist() == list(ASSUMPTIONS)
    assert set(found.table["status"]) <= set(STATUSES)
    assert "unconfoundedness: tested and fails" in repr(found)
    assert "tested and fails" in found._repr_html_()
    ax = found.plot()
    assert len(ax.get_yticklabels()) == len(found.table)
    pyplot.close(ax.figure)
    assert found.section().title == "Assumptions"
    found.export(tmp_path, formats="png")
    assert {path.name for path in tmp_path.iterdir()} == {
        "audit.html", "audit.txt", "audit_checks.csv", "audit_assumptions.csv", "audit.png"
    }  # fmt: skip
    checks = pd.read_csv(tmp_path / "audit_checks.csv")
    assert checks["check"].tolist() == found.table["check"].tolist()
    assert "'age'" in (tmp_path / "audit.txt").read_text()
    assert "d-sep" not in (tmp_path / "audit.html").read_text()


def test_holms_adjustment() -> None:
    p = np.array([0.3, 0.001, np.nan, 0.02])
    assert np.allclose(holm(p), [0.3, 0.003, np.nan, 0.04], equal_nan=True)


@pytest.mark.parametrize(("rho", "expected"), [*zip(judged.RHOS, judged.EXPECTED, strict=True)])
def test_the_audit_of_case_study_2(
    rho: float, expected: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BAYES_PREF_DATA", str(shared_data))
    assert judged.said(bp.audit(judged.comparisons(rho, 0, told=True), **ENOUGH)) == expected
