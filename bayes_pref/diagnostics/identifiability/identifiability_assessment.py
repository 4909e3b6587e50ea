"""The assessment of identifiability for a report: the prior's share, and separation."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.assessment import Assessed, Assessment, Settings
from bayes_pref.diagnostics.evidence import Texts
from bayes_pref.diagnostics.identifiability.identifiability_panel import draw_learned
from bayes_pref.diagnostics.identifiability.prior_share import assess, unsupported
from bayes_pref.diagnostics.identifiability.separable_rows import never_chosen
from bayes_pref.diagnostics.identifiability.spread_of_users import spread_note, spread_ratio
from bayes_pref.diagnostics.query import Query
from bayes_pref.messages import listed, shown
from bayes_pref.posterior import Posterior

_UNNAMED = "the data say next to nothing about what differs here"
_DIRECTIONS = ["direction", "feature", "loading", "prior_share", "sd", "reason"]
_FIGURES = {"learned": draw_learned}


def _of_each(separated: tuple[str, ...], fitted: Comparisons, query: Query) -> Texts:
    """Name the features that separate the choices and differ in each comparison, (n,)."""
    differ = query.difference[:, [fitted.feature_names.index(name) for name in separated]] != 0
    patterns, code = np.unique(differ, axis=0, return_inverse=True)
    # A pair without such a feature of its own is separated by all of them together.
    chosen = [np.flatnonzero(row if row.any() else ~row) for row in patterns]
    words = [listed([separated[k] for k in places]) for places in chosen]
    never = never_chosen(fitted)
    if never is not None:
        said = f"{shown(never)}, which is never chosen"
        words = [each.replace(shown(never), said) for each in words]
    return np.asarray(words, dtype=object)[code.ravel()]


def _note_on_none(fitted: Comparisons) -> str:
    """Say what follows where the outside option is never chosen."""
    never = never_chosen(fitted)
    if never is None:
        return ""
    return (
        f"The outside option {shown(never)} is never chosen, so that its reward has no lower "
        "bound, and whatever is compared with it is separated: read the data without it, which "
        "leaves the rewards of all others as they are."
    )


class IdentifiabilityAssessment(Assessment):
    """Whether the data identify each comparison, or the prior decides.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=40, features=["length", "detail"], aliased=1, seed=2)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> report = bp.diagnose(posterior, assessments=["preference", "identifiability"])
    >>> sorted(report.directions["feature"])
    ['detail', 'length']
    """

    name = "identifiability"
    columns = ("prior_share", "reference_sd")

    def unsupported(self, posterior: Posterior) -> str | None:
        """Say why the posterior does not show it, such as a mean-field guide; None if it does."""
        reason = unsupported(posterior)
        if reason is None:
            return None
        return (
            f"the verdicts unidentifiable and separated cannot be given: {reason}. Without them, "
            "an estimate that the prior alone decides may pass for one that the data support"
        )

    def run(self, posterior: Posterior, query: Query, settings: Settings) -> Assessed:
        """Return the share of the prior for every comparison.

        Returns
        -------
        Assessed; as evidence `unidentifiable` and `separated`, with words for the non-identified
        direction and for the features that separate the choices
        """
        found = assess(posterior, query, thresholds=settings.thresholds)
        rows = found.comparisons
        reasons = found.directions.drop_duplicates("direction").set_index("direction")["reason"]
        spoken = reasons.reindex(rows["direction"]).fillna(_UNNAMED)
        evidence = rows[["unidentifiable", "separated"]].assign(
            non_identified=(spoken.str[0].str.upper() + spoken.str[1:]).to_numpy(),
            separated_by=_of_each(found.separated_by, posterior.comparisons, query),
        )
        return Assessed(
            columns=rows[list(self.columns)],
            evidence=evidence,
            tables={"directions": found.directions},
            results={
                "spectrum": found.spectrum,
                "principal": found.principal,
                "spread_ratio": spread_ratio(posterior),
            },
            notes=tuple(
                filter(None, [spread_note(posterior), _note_on_none(posterior.comparisons)])
            ),
            figures=_FIGURES,
        )

    def without(self, query: Query) -> Assessed:
        """Return the columns without numbers."""
        return Assessed(
            columns=self.missing(query),
            tables={"directions": pd.DataFrame(columns=_DIRECTIONS)},
            results={"spectrum": np.empty(0), "principal": (), "spread_ratio": np.empty(0)},
        )
