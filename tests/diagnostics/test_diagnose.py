"""`diagnose`: verdicts in their order, sentences with their numbers, clear words for bad input."""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_posterior

import bayes_pref as bp
from conftest import ROOT

COLUMNS = [
    *("row", "user", "mean", "sd", "lower", "upper"),
    *("p_do", "p_obs", "shift", "shift_lower", "shift_upper", "p_confounded"),
    *("prior_share", "reference_sd", "borrowed", "overlap", "verdict", "sentence"),
]

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.errors.ConvergenceWarning")

QUICK = bp.Gibbs(draws=250, warmup=250, chains=2, progress=False)


@pytest.fixture(scope="module")
def world() -> bp.World:
    return bp.simulate(
        users=80, comparisons=12, features=["length", "tone"], confounding=0.8, seed=4
    )


@pytest.fixture(scope="module")
def posterior(world: bp.World) -> bp.Posterior:
    return bp.fit(bp.HierarchicalReward(exposure=True), world.comparisons, QUICK)


@pytest.fixture(scope="module")
def report(posterior: bp.Posterior) -> bp.Report:
    return bp.diagnose(posterior, progress=False)


def test_every_comparison_has_one_verdict_and_a_sentence(
    world: bp.World, report: bp.Report
) -> None:
    frame = report.comparisons
    assert frame.columns.tolist() == COLUMNS
    assert frame["row"].tolist() == world.comparisons.rows.tolist()
    assert frame["verdict"].isin(bp.VERDICTS).all()
    assert frame["sentence"].str.fullmatch(r"[A-Z].*\.").all()
    assert frame.drop(columns=["row", "user", "verdict", "sentence"]).notna().all(axis=None)


def test_reward_differences_are_those_of_the_user(
    posterior: bp.Posterior, report: bp.Report
) -> None:
    comparisons = posterior.comparisons
    weights = posterior.draws["weights"].transpose("user", "feature", "chain", "draw").to_numpy()
    for n in (0, 500, len(comparisons) - 1):
        eta = np.tensordot(comparisons.difference[n], weights[comparisons.user[n]], 1)
        row = report.comparisons.loc[n]
        assert row["mean"] == pytest.approx(eta.mean())
        assert row[["lower", "upper"]].tolist() == pytest.approx(np.quantile(eta, [0.05, 0.95]))


def test_confounded_comparisons_are_found_and_truly_shifted(
    world: bp.World, report: bp.Report
) -> None:
    shift = world.truth.comparisons["shift"].abs().to_numpy()
    flagged = (report.comparisons["verdict"] == "confounded").to_numpy()
    assert flagged.sum() >= 50
    # Flags are right with probability 0.95; those of one world share a coupling.
    assert (shift[flagged] > 0.03).mean() > 0.85
    assert shift[flagged].mean() > 2 * shift[~flagged].mean()


def test_users_add_up(report: bp.Report) -> None:
    users = report.users
    given = [name for name in bp.VERDICTS if name in users]
    assert users["comparisons"].sum() == len(report.comparisons)
    assert (users[given].sum(axis=1) == users["comparisons"]).all()
    assert users["learned"].between(0, 1).all()


def test_a_fit_without_the_exposure_term_is_given_one_and_says_so(world: bp.World) -> None:
    plain = bp.fit(bp.HierarchicalReward(), world.comparisons, QUICK)
    found = bp.diagnose(plain, progress=False)
    assert found.exposure_posterior is not None
    assert found.exposure_posterior is not plain
    assert any("exposure term" in note for note in found.notes)
    assert found.permutation_p is not None
    assert found.permutation_p <= 0.01


def test_without_contexts_the_report_says_what_to_record() -> None:
    world = bp.simulate(users=30, contexts=0, seed=0)
    found = bp.diagnose(bp.fit(bp.HierarchicalReward(), world.comparisons, QUICK))
    [note] = [note for note in found.notes if note.startswith("Confounding")]
    assert "context=[...]" in note
    assert found.permutation_p is None
    assert found.comparisons["p_confounded"].isna().all()
    assert "confounded" not in set(found.comparisons["verdict"])


def test_a_pooled_posterior_gets_no_verdict_about_users(world: bp.World) -> None:
    found = bp.diagnose(bp.fit(bp.PooledReward(), world.comparisons, QUICK), progress=False)
    assert any(note.startswith("PooledReward") and "prefers" in note for note in found.notes)
    assert not set(found.comparisons["verdict"]) & {"prefers", "indifferent", "undecided"}


def test_a_mean_field_posterior_gets_no_verdict_that_needs_a_covariance(
    posterior: bp.Posterior,
) -> None:
    apart = replace(posterior, run=replace(posterior.run, joint=False))
    found = bp.diagnose(apart, progress=False)
    [note] = [note for note in found.notes if "SVI(guide='mean_field')" in note]
    assert "cannot be given" in note
    assert found.comparisons[["prior_share", "reference_sd"]].isna().all(axis=None)
    assert not set(found.comparisons["verdict"]) & {"unidentifiable", "separated"}
    assert found.exposure_posterior is not None
    assert found.exposure_posterior.run.engine == "Gibbs"


def test_features_that_never_part_are_named() -> None:
    twin = bp.simulate(users=40, features=["length", "detail"], aliased=1, seed=2)
    posterior = bp.fit(bp.HierarchicalReward(exposure=True), twin.comparisons, QUICK)
    new = pd.DataFrame(
        {"user": twin.comparisons.users[0], "length": [1.0, 1.0], "detail": [1.0, -1.0]}
    ).assign(context_1=0.0)
    found = bp.diagnose(posterior, new).comparisons
    assert found["verdict"][1] == "unidentifiable"
    assert found["verdict"][0] != "unidentifiable"
    assert re.search("'length' and 'detail'", found["sentence"][1])
    assert "the prior accounts for" in found["sentence"][1]


def test_separated_answers_are_told_from_large_ones() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"who": np.repeat(np.arange(8), 5), "size": rng.normal(size=40)})
    frame["left"] = (frame["size"] > 0).astype(int)
    comparisons = bp.Comparisons.from_frame(frame, user="who", choice="left", difference=["size"])
    found = bp.diagnose(bp.fit(bp.HierarchicalReward(), comparisons, QUICK)).comparisons
    assert set(found["verdict"]) == {"separated"}
    assert found["sentence"].str.contains("'size'").all()


def test_new_users_and_pairs_get_verdicts(posterior: bp.Posterior) -> None:
    new = pd.DataFrame(
        {"user": ["u001", "stranger"], "length": 1.0, "tone": 0.5, "context_1": [0.2, 0.2]},
        index=["first", "second"],
    )
    found = bp.diagnose(posterior, new)
    rows = found.comparisons
    assert rows["row"].tolist() == ["first", "second"]
    assert rows["sd"][1] > rows["sd"][0]
    assert rows["borrowed"].tolist() == pytest.approx([0.0, 1.0])
    assert found.users.set_index("user").loc["stranger", "learned"] == 0.0
    anyone = bp.diagnose(posterior, new.drop(columns="user")).comparisons
    assert anyone["user"].tolist() == ["population"] * 2
    assert anyone["mean"].tolist() == pytest.approx([rows["mean"][1]] * 2)


PANELS = ("report", "shift", "observed", "learned", "overlap", "sensitivity")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda frame: frame.drop(columns="tone"), ["tone"]),
        (lambda frame: frame.drop(columns="context_1"), ["context_1"]),
        (lambda frame: frame.assign(tone=[0.1, np.nan]), ["tone", "second"]),
        (lambda frame: frame.assign(tone="x"), ["tone", "'x'"]),
        (lambda frame: frame.head(0), ["no rows"]),
        (lambda frame: frame.assign(user=["u001", None]), ["user", "second"]),
    ],
)
def test_candidates_that_cannot_be_read_are_refused(
    posterior: bp.Posterior, spoil: object, words: list[str]
) -> None:
    new = pd.DataFrame(
        {"user": "u001", "length": 1.0, "tone": 0.5, "context_1": [0.2, 0.2]},
        index=["first", "second"],
    )
    with pytest.raises(bp.DataError) as caught:
        bp.diagnose(posterior, spoil(new))  # type: ignore[operator]
    assert [word for word in words if word not in str(caught.value)] == []
    assert "\n" not in str(caught.value)


def test_candidates_of_other_features_are_refused(posterior: bp.Posterior) -> None:
    other = bp.simulate(users=3, features=["length", "warmth"], seed=0).comparisons
    with pytest.raises(bp.DataError, match="has no feature 'tone'"):
        bp.diagnose(posterior, other)


def test_another_unit_is_warned_of(posterior: bp.Posterior) -> None:
    new = pd.DataFrame({"length": [4000.0], "tone": 0.5, "context_1": 0.2})
    with pytest.warns(bp.DataWarning, match=r"'length': values reach 4000.*unit"):
        bp.diagnose(posterior, new)


@pytest.mark.parametrize(
    "change",
    ["constant context", "one user", "all alike", "never differs"],
)
def test_data_that_can_tell_little_get_a_verdict_and_no_silent_nan(change: str) -> None:
    frame = bp.simulate(users=12, comparisons=8, features=["length", "tone"], seed=1).frame
    model: bp.RewardModel = bp.HierarchicalReward()
    if change == "constant context":
        frame["context_1"] = 1.0
    elif change == "one user":
        frame["user"], model = "only", bp.PooledReward()
    elif change == "all alike":
        frame[["length", "tone", "context_1"]] = 1.0
    else:
        frame["tone"] = 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        comparisons = bp.Comparisons.from_frame(
            frame,
            user="user",
            choice="choice",
            difference=["length", "tone"],
            context=["context_1"],
        )
    found = bp.diagnose(bp.fit(model, comparisons, QUICK), progress=False)
    rows = found.comparisons
    assert rows["verdict"].isin(bp.VERDICTS).all()
    assert (
        rows[["mean", "sd", "lower", "upper", "prior_share", "reference_sd", "borrowed"]]
        .notna()
        .all(axis=None)
    )
    if rows["shift"].isna().any() or rows["overlap"].isna().any():
        assert found.notes
    assert not rows["sentence"].str.contains("nan").any()
    assert found.summary()
    assert found.plot()


def test_what_is_no_posterior_is_refused() -> None:
    with pytest.raises(bp.ModelError, match="got str but expected a Posterior"):
        bp.diagnose("posterior")  # type: ignore[arg-type]


def test_an_old_keyword_is_refused_with_the_new_one() -> None:
    with pytest.raises(TypeError, match=r"'threshold'; write thresholds=bp.Thresholds\(shift="):
        bp.diagnose(made_posterior(), threshold=0.05)  # type: ignore[call-arg]


def test_an_old_attribute_is_refused_with_the_new_one(report: bp.Report) -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'threshold'; use report\.thresholds"):
        assert report.threshold  # type: ignore[attr-defined]
    assert not hasattr(report, "verdict")


def test_thresholds_are_of_their_type() -> None:
    with pytest.raises(bp.ModelError, match=r"thresholds: got float but expected bp.Thresholds"):
        bp.diagnose(made_posterior(), thresholds=0.05)  # type: ignore[arg-type]


def test_an_exported_folder_holds_everything(report: bp.Report, tmp_path: Path) -> None:
    report.export(tmp_path / "diagnostics")
    names = {path.name for path in (tmp_path / "diagnostics").iterdir()}
    pictures = {f"{name}.{ending}" for ending in ("png", "svg") for name in PANELS}
    kept = ("comparisons", "users", "directions", "coupling", "sensitivity")
    tables = {f"{name}.csv" for name in kept}
    assert names == pictures | tables | {"report.html", "summary.txt"}
    again = pd.read_csv(tmp_path / "diagnostics" / "comparisons.csv")
    assert again["verdict"].tolist() == report.comparisons["verdict"].tolist()
    text = (tmp_path / "diagnostics" / "report.html").read_text(encoding="utf-8")
    assert text.count("<img") == text.count("data:image/png;base64,") == len(report.figures)
    linked = re.findall(r"<a href='([^#'][^']*)'>", text)
    assert set(linked) == names - {"report.html"}
    assert "confounded" in text


def test_labels_are_escaped_in_html() -> None:
    world = bp.simulate(users=15, features=["length", "<b>bold</b>"], aliased=1, seed=2)
    found = bp.diagnose(bp.fit(bp.HierarchicalReward(), world.comparisons, QUICK), progress=False)
    assert "<b>bold" not in found.page() + found._repr_html_()


def test_the_same_seed_gives_the_same_report(posterior: bp.Posterior, report: bp.Report) -> None:
    again = bp.diagnose(posterior, progress=False)
    pd.testing.assert_frame_equal(again.comparisons, report.comparisons)


def test_left_out_assessments_leave_no_trace(posterior: bp.Posterior, report: bp.Report) -> None:
    asked = ["identifiability", "preference"]
    found = bp.diagnose(posterior, assessments=asked, progress=False)
    columns = ["row", "user", "prior_share", "reference_sd", "mean", "sd", "lower", "upper"]
    assert found.comparisons.columns.tolist() == [*columns, "verdict", "sentence"]
    pd.testing.assert_frame_equal(found.comparisons[columns], report.comparisons[columns])
    assert list(found.figures) == ["learned"]
    assert len(found.plot().axes) == 1
    with pytest.raises(bp.DataError, match="no permutation_p: the assessment that finds it"):
        assert found.permutation_p
    assert "confounded" not in found.page()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"verdicts": ["prefer"]}, r"verdicts: got 'prefer', which is no bp.Verdict.*'prefers'"),
        ({"verdicts": "prefers"}, "verdicts: expected names or bp.Verdict, got 'prefers'"),
        ({"verdicts": ["prefers", "prefers"]}, "'prefers' is given twice"),
        ({"verdicts": ["unidentifiable"]}, "none holds for .* comparisons; end with"),
        ({"assessments": []}, "assessments: expected names or bp.Assessment"),
        ({"assessments": [3]}, "assessments: got 3, which is no bp.Assessment"),
    ],
)
def test_what_is_no_verdict_or_assessment_is_refused(
    posterior: bp.Posterior, arguments: dict[str, Any], message: str
) -> None:
    given = {"assessments": ["preference"]} | arguments
    with pytest.raises(bp.ModelError, match=message):
        bp.diagnose(posterior, progress=False, **given)


def test_the_documents_describe_every_verdict() -> None:
    table = (ROOT / "docs" / "verdicts.md").read_text(encoding="utf-8")
    guide = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
    for name in bp.VERDICTS:
        assert f"| **{name}** |" in table
    assert [name for name in bp.VERDICTS[:-1] if name not in guide] == []


def test_a_misspelt_verdict_is_no_verdict_without_examples(report: bp.Report) -> None:
    with pytest.raises(bp.DataError, match="got 'confonded'; did you mean 'confounded'"):
        report.examples("confonded")
    with pytest.raises(bp.DataError, match="count must be a whole number"):
        report.examples("confounded", 1.5)  # type: ignore[arg-type]


def test_a_format_that_cannot_be_written_is_refused_before_anything_is(
    report: bp.Report, tmp_path: Path
) -> None:
    with pytest.raises(bp.DataError, match=r"written as 'jpeg2'; did you mean 'jpeg'"):
        report.export(tmp_path / "out", formats=["png", "jpeg2"])
    with pytest.raises(bp.DataError, match="formats must be names such as 'png', got 3"):
        report.export(tmp_path / "out", formats=3)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_fit_that_confounding_needs_takes_the_engine_that_is_given() -> None:
    world = bp.simulate(users=20, seed=0)
    posterior = made_posterior(world.comparisons)
    engine = bp.Gibbs(draws=20, warmup=20, chains=2, progress=False)
    with pytest.warns(bp.ConvergenceWarning):
        found = bp.diagnose(posterior, engine=engine, assessments=["preference", "confounding"])
    assert found.exposure_posterior is not None
    assert found.exposure_posterior.draws.sizes["draw"] == 20
    [*_, note] = [note for note in found.notes if "longer chains" in note]
    assert note.startswith("In that fit (not in the given posterior): ")
    assert "bp.diagnose(..., engine=bp.Gibbs(draws=" in note
    with pytest.raises(bp.ModelError, match=r"engine: got str but expected bp.Gibbs"):
        bp.diagnose(posterior, engine="gibbs")  # type: ignore[arg-type]
