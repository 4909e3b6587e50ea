"""A verdict and an assessment from outside the package, through public names alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.axes import Axes

import bayes_pref as bp

pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.errors.ConvergenceWarning")

QUICK = bp.Gibbs(draws=150, warmup=150, chains=2, progress=False)


class Repeated(bp.Assessment):
    """How often the same pair was asked of the same user."""

    name = "repeated"
    columns = ("times_asked",)

    def unsupported(self, posterior: bp.Posterior) -> str | None:
        if posterior.comparisons.features.contexts:
            return None
        return "pairs without contexts may be alike by chance"

    def run(self, posterior: bp.Posterior, query: Any, settings: Any) -> bp.Assessed:
        same = pd.DataFrame(query.difference).assign(user=query.labels)
        times = same.groupby(list(same)).transform("size").to_numpy()
        frame = pd.DataFrame({"times_asked": times})
        often = np.where(times > 2, "This pair was asked more than twice.", "").astype(object)
        return bp.Assessed(
            columns=frame,
            remarks=often,
            users=frame.groupby(query.labels).max().rename(columns={"times_asked": "most"}),
            tables={"repeats": frame.value_counts().reset_index()},
            results={"most": int(times.max())},
            notes=("Pairs were counted by their differences.",),
            figures={"repeats": draw_repeats},
        )


def draw_repeats(report: bp.Report, ax: Axes | None = None) -> Axes:
    ax = ax or pyplot.subplots()[1]
    ax.hist(report.comparisons["times_asked"])
    return ax


ASKED_TWICE = bp.Verdict(
    name="asked twice",
    meaning="the same pair was asked before",
    needs=("times_asked",),
    holds=lambda evidence: evidence["times_asked"] > 1,
    sentence=lambda evidence: np.array(
        [f"This pair was asked {times} times." for times in evidence["times_asked"]]
    ),
    problem=True,
    severity=lambda rows: rows["times_asked"],
)


def diagnosed(contexts: int = 1, **arguments: Any) -> bp.Report:
    frame = bp.simulate(users=15, comparisons=8, features=2, contexts=contexts, seed=1).frame
    frame = pd.concat([frame, frame.iloc[:4], frame.iloc[:1]], ignore_index=True)
    comparisons = bp.Comparisons.from_frame(
        frame,
        user="user",
        choice="choice",
        difference=["feature_1", "feature_2"],
        context=["context_1"] if contexts else None,
    )
    posterior = bp.fit(bp.HierarchicalReward(exposure=contexts > 0), comparisons, QUICK)
    return bp.diagnose(
        posterior,
        verdicts=(ASKED_TWICE, *bp.VERDICTS),
        assessments=(*bp.ASSESSMENTS, Repeated()),
        progress=False,
        **arguments,
    )


def test_an_outside_verdict_takes_part_in_everything(tmp_path: Path) -> None:
    report = diagnosed()
    rows = report.comparisons
    assert rows.columns[-3:].tolist() == ["times_asked", "verdict", "sentence"]
    twice = rows["times_asked"] > 1
    assert twice.sum() == 9
    assert rows.loc[twice, "verdict"].eq("asked twice").all()
    assert rows.loc[~twice, "verdict"].isin(bp.VERDICTS).all()
    assert rows.loc[twice, "sentence"].str.startswith("This pair was asked ").all()
    assert rows["sentence"].str.endswith("This pair was asked more than twice.").sum() == 3
    assert report.counts().loc["asked twice", "meaning"] == ASKED_TWICE.meaning
    assert report.examples("asked twice", 1)["times_asked"].tolist() == [3]
    assert "asked twice: the same pair was asked before." in report.summary()
    assert report.users["most"].max() == report.results["most"] == 3
    assert report.users["asked twice"].sum() == 9
    report.export(tmp_path)
    assert {"repeats.csv", "repeats.png"} <= {path.name for path in tmp_path.iterdir()}
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Asked twice: 3 of 9" in page
    assert "Pairs were counted by their differences." in page


def test_an_outside_assessment_that_is_not_supported_leaves_a_note() -> None:
    report = diagnosed(contexts=0)
    assert report.comparisons["times_asked"].isna().all()
    assert "Pairs without contexts may be alike by chance." in report.notes
    assert "asked twice" not in set(report.comparisons["verdict"])


def test_an_outside_assessment_with_other_rows_or_columns_of_another_is_refused() -> None:
    class Short(Repeated):
        def run(self, posterior: bp.Posterior, query: Any, settings: Any) -> bp.Assessed:
            return bp.Assessed(columns=pd.DataFrame({"times_asked": [1]}))

    class Twin(Repeated):
        columns = ("mean",)

        def run(self, posterior: bp.Posterior, query: Any, settings: Any) -> bp.Assessed:
            return bp.Assessed(columns=pd.DataFrame({"mean": np.zeros(len(query))}))

    posterior = bp.fit(bp.PooledReward(), bp.simulate(users=5, seed=0).comparisons, QUICK)
    with pytest.raises(bp.ModelError, match="two assessments returned the column 'mean'"):
        bp.diagnose(posterior, assessments=["preference", Twin()])
    with pytest.raises(bp.ModelError, match="'repeated' returned 1 rows for 75 comparisons"):
        bp.diagnose(posterior, assessments=[Short()], verdicts=["not assessed"])


def test_thresholds_decide_and_are_kept() -> None:
    strict, lax = bp.Thresholds(sign=0.999), bp.Thresholds(sign=0.6)
    few, many = (diagnosed(thresholds=thresholds) for thresholds in (strict, lax))
    verdicts = few.comparisons["verdict"], many.comparisons["verdict"]
    assert (verdicts[0] == "prefers").sum() < (verdicts[1] == "prefers").sum()
    assert many.thresholds is lax
