"""The report of a diagnosis: verdicts with their numbers and reasons, figures, and files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

import pandas as pd
from matplotlib.axes import Axes

from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.report_files import ReportFiles
from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.diagnostics.verdicts import Verdict
from bayes_pref.errors import DataError
from bayes_pref.posterior import Posterior
from bayes_pref.reporting import html as pages
from bayes_pref.types import FloatArray

Panel: TypeAlias = "Callable[[Report, Axes | None], Axes]"

_RENAMED = {
    "coupled": "exposure_posterior",
    "gate_p": "permutation_p",
    "threshold": "thresholds.shift",
}


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Report(ReportFiles):
    """A verdict on every comparison, with the numbers that it rests on.

    Made by `bayes_pref.diagnose`.

    Attributes
    ----------
    comparisons
        One row a comparison, or of choices among several one row an alternative of each set:
        `row` (the caller's label; of sets, the task's), of sets `alternative`, `user`; `mean`,
        `sd`, `lower`, `upper` of that user's reward difference (log-odds: left minus right, or the
        alternative minus the mean of the others); `p_do`, `p_obs` (probability that left, or the
        alternative, is chosen, over all users and over the users who see such), `shift` (their
        difference), `shift_lower`, `shift_upper`, `p_confounded` (probability that the shift
        matters), with covariates `shift_unadjusted`; `prior_share` (share of the uncertainty due
        to the prior), `reference_sd` (log-odds); `borrowed` (share of the pair about which this
        user's own comparisons say nothing); `overlap` (0 to 1); columns of further assessments;
        `verdict`; `sentence`. What could not be assessed is NaN, and `notes` say why.
    users
        One row a user: how many comparisons, what share was `learned` about the user, the mean of
        `borrowed` and `overlap`, and how many comparisons got each verdict.
    notes
        What could not be assessed and why, and how the rest was assessed.
    tables
        Further tables of the assessments by name, such as `directions` and `coupling`.
    results
        Further results of the assessments by name, such as `permutation_p`.
    figures
        Functions by name that draw the report into matplotlib Axes.
    verdicts
        The verdicts that could be given, in order of precedence.
    thresholds
        The thresholds used.
    interval
        Probability inside all intervals.
    posterior, query
        The posterior that was diagnosed, and the comparisons as it was asked about them.
    seed
        Random seed of the diagnosis.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> report = bp.diagnose(posterior, progress=False)
    >>> len(report.comparisons) == len(world.comparisons)
    True
    >>> bool(report.comparisons["verdict"].isin(bp.VERDICTS).all())
    True
    """

    comparisons: pd.DataFrame
    users: pd.DataFrame
    notes: tuple[str, ...]
    tables: Mapping[str, pd.DataFrame]
    results: Mapping[str, Any]
    figures: Mapping[str, Panel]
    verdicts: tuple[Verdict, ...]
    thresholds: Thresholds
    interval: float
    posterior: Posterior
    query: Query
    seed: int = 0

    @property
    def directions(self) -> pd.DataFrame:
        """Non-identified directions: one row for each direction and feature in it."""
        return cast(pd.DataFrame, self._found(self.tables, "directions"))

    @property
    def coupling(self) -> pd.DataFrame:
        """How users' weights depend on the contexts that they see.

        `feature`, `context`, `mean`, `sd`, `lower`, `upper`, log-odds per raw unit of the feature
        and standard deviation of the exposure over users. Squares and products of exposures follow
        by name, such as ``age^2`` and ``age x length``, where preferences seem to depend on them.
        """
        return cast(pd.DataFrame, self._found(self.tables, "coupling"))

    @property
    def permutation_p(self) -> float | None:
        """P-value of the permutation test that preferences do not depend on exposure.

        None where confounding could not be assessed.
        """
        return cast("float | None", self._found(self.results, "permutation_p"))

    @property
    def expected_fdr(self) -> float | None:
        """Expected share of the comparisons called confounded that are not.

        The posterior expected false discovery rate; None where none is called confounded.
        """
        return cast("float | None", self._found(self.results, "expected_fdr"))

    @property
    def exposure_posterior(self) -> Posterior | None:
        """The fit in which confounding was assessed; None where it could not be."""
        return cast("Posterior | None", self._found(self.results, "exposure_posterior"))

    @property
    def spectrum(self) -> FloatArray:
        """(n_features,) share of the prior in the principal directions, in descending order.

        Empty where identifiability could not be assessed.
        """
        return cast(FloatArray, self._found(self.results, "spectrum"))

    @property
    def exposure(self) -> pd.DataFrame:
        """What the figure of overlap shows, one row a comparison: `user`, context, `overlap`.

        Several contexts are combined along the direction in which users differ most.
        """
        return cast(pd.DataFrame, self._found(self.results, "exposure"))

    if not TYPE_CHECKING:  # else a type checker would take every attribute to exist

        def __getattr__(self, name: str) -> NoReturn:
            """Say the new name of an attribute that was renamed."""
            remedy = f"; use report.{_RENAMED[name]}" if name in _RENAMED else ""
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}{remedy}")

    def _found(self, among: Mapping[str, Any], name: str) -> Any:
        if name not in among:
            raise DataError(
                f"this report has no {name}: the assessment that finds it was left out of "
                "bp.diagnose(..., assessments=...)"
            )
        return among[name]

    def _count_texts(self) -> list[list[str]]:
        """Name, number, share and meaning of each verdict that was given."""
        return [
            [str(name), f"{row['comparisons']:,}", f"{100 * row['share']:.0f} %", row["meaning"]]
            for name, row in self.counts().iterrows()
        ]

    def __repr__(self) -> str:
        """Return the summary."""
        return self.summary()

    def _repr_html_(self) -> str:
        """Return the counts and notes, for notebooks."""
        title = pages.escaped(self._title())
        table = pages.plain_table(self._count_texts(), numbers=(1, 2))
        return f"<div><strong>{title}</strong>{table}{pages.items(self.notes)}</div>"
