"""Goals: what is to be learned, as directions of the mean weights.

"flagged"     the mean over all users of each flagged comparison's difference
"population"  the mean weights, all directions at once
"users"       every user's weights and the population's
a contrast    one difference of features, averaged over all users
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.data.table import Table, TableLike
from bayes_pref.diagnostics.report import Report
from bayes_pref.errors import DataError
from bayes_pref.messages import closest, listed, shown
from bayes_pref.types import FloatArray

Named: TypeAlias = Literal["flagged", "population", "users"]
Goal: TypeAlias = "Named | Mapping[str, float] | TableLike"


@dataclass(frozen=True, eq=False)
class Targets:
    """What is to be learned.

    Attributes
    ----------
    name
        What sentences call it.
    directions
        (t, d) differences; None: all directions.
    everyone
        Where there are no directions: whether users' own weights count, not only the population's.
    rows
        What the directions are, one row each.
    """

    name: str
    directions: FloatArray | None
    everyone: bool
    rows: pd.DataFrame


def read_goal(goal: Goal, comparisons: Comparisons, report: Report | None) -> Targets:
    """Read a goal.

    Raises
    ------
    DataError
        If there is no such goal, nothing is flagged, or a contrast names no feature.
    """
    if isinstance(goal, str):
        if goal == "flagged":
            return _flagged(report)
        if goal in ("population", "users"):
            what = "the mean weights" if goal == "population" else "all users' weights"
            return Targets(what, None, goal == "users", pd.DataFrame())
        raise DataError(
            f"goal must be {listed(get_args(Named), last='or')}, or a contrast such as "
            f"{{'{comparisons.feature_names[0]}': 1}}, got {shown(goal)}"
            f"{closest(goal, get_args(Named))}"
        )
    if isinstance(goal, Mapping):
        names = comparisons.feature_names
        for name, size in goal.items():
            if name not in names:
                raise DataError(f"goal: no feature {shown(name)}{closest(str(name), names)}")
            if isinstance(size, bool) or not np.isfinite(np.asarray(size, dtype=float)):
                raise DataError(f"goal[{name!r}] must be a number, got {shown(size)}")
        difference = np.array([[float(goal.get(name, 0.0)) for name in names]])
        if not difference.any():
            raise DataError("goal: the contrast is zero in every feature")
        rows = pd.DataFrame({"contrast": [", ".join(f"{k} {v:+g}" for k, v in goal.items())]})
    else:
        difference = comparisons.features.difference_matrix(goal, name="goal")
        rows = pd.DataFrame({"contrast": Table.read(goal, "goal").frame.index})
    return Targets("the contrast", difference, False, rows)


def _flagged(report: Report | None) -> Targets:
    """Return the comparisons of a report whose verdict is a problem, as targets."""
    if report is None:
        raise DataError(
            "goal 'flagged' needs a report: bp.recommend(bp.diagnose(posterior), ...), or another "
            "goal, such as goal='population'"
        )
    problems = [verdict.name for verdict in report.verdicts if verdict.problem]
    verdict = report.comparisons["verdict"]
    flagged = np.flatnonzero(verdict.isin(problems))
    if not len(flagged):
        raise DataError(
            "goal 'flagged': nothing is flagged in this report",
            "choose another goal, such as goal='users'",
        )
    keys = [
        name for name in ("row", "alternative", "user", "verdict") if name in report.comparisons
    ]
    rows = report.comparisons.loc[flagged, keys].reset_index(drop=True)
    directions = report.query.difference[flagged]
    return Targets(f"{len(rows):,} flagged {report.wording.rows}", directions, False, rows)
