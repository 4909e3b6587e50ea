"""The assessment of overlap for a report, with a remark where it is small."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.diagnostics.assessment import Assessed, Assessment, Settings
from bayes_pref.diagnostics.evidence import decimals, joined
from bayes_pref.diagnostics.overlap.context_overlap import assess
from bayes_pref.diagnostics.overlap.overlap_panel import draw_overlap, exposure_frame
from bayes_pref.diagnostics.query import Query
from bayes_pref.posterior import Posterior

_EXPOSURE = ["user", "context", "overlap"]


class OverlapAssessment(Assessment):
    """Whether users like each comparison's user see such contexts.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> report = bp.diagnose(posterior, assessments=["preference", "overlap"])
    >>> bool(report.comparisons["overlap"].between(0, 1).all())
    True
    """

    name = "overlap"
    columns = ("overlap",)

    def unsupported(self, posterior: Posterior) -> str | None:
        """Say that there are no contexts, where there are none."""
        if posterior.comparisons.features.contexts:
            return None
        return (
            "overlap cannot be assessed: the comparisons have no contexts; record what each one "
            "was about, such as the topic of its prompt, and pass it as context=[...]"
        )

    def run(self, posterior: Posterior, query: Query, settings: Settings) -> Assessed:
        """Return the overlap of every comparison, with a remark where it is small."""
        found = assess(posterior, query, prompts=settings.prompts, seed=settings.seed)
        text = joined(
            "Users like this one hardly ever see such contexts (overlap ",
            decimals(found.overlap),
            ").",
        )
        frame = pd.DataFrame({"overlap": found.overlap})
        return Assessed(
            columns=frame,
            remarks=np.where(found.overlap < settings.thresholds.overlap, text, "").astype(object),
            users=pd.DataFrame({"overlap": query.by_user(found.overlap)}),
            results={"exposure": exposure_frame(posterior, query, found.overlap)},
            notes=(found.note,),
            figures={"overlap": draw_overlap} if np.isfinite(found.overlap).any() else {},
        )

    def without(self, query: Query) -> Assessed:
        """Return the column without numbers."""
        missing = self.missing(query)
        return Assessed(
            columns=missing,
            users=pd.DataFrame({"overlap": query.by_user(missing["overlap"].to_numpy())}),
            results={"exposure": missing.assign(user=query.labels, context=np.nan)[_EXPOSURE]},
        )
