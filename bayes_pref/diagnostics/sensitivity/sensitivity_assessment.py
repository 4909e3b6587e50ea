"""The assessment of sensitivity for a report: average effects and an unmeasured factor of users."""

from __future__ import annotations

from matplotlib.axes import Axes

from bayes_pref.diagnostics.assessment import Assessed, Assessment, Settings
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.sensitivity.own_information import population_of_users
from bayes_pref.diagnostics.sensitivity.tipping import Sensitivity, sensitivity
from bayes_pref.errors import DataError, ModelError
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.attributes import refuse_hidden
from bayes_pref.posterior.products import require_values
from bayes_pref.posterior.task_distribution import shown_tasks


class SensitivityAssessment(Assessment):
    """How strong an unmeasured factor would have to be to turn each average effect.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> report = bp.diagnose(posterior, assessments=["preference", "sensitivity"])
    >>> report.tables["sensitivity"]["attribute"].tolist()
    ['feature_1', 'feature_2', 'feature_3', 'feature_4']
    """

    name = "sensitivity"

    def unsupported(self, posterior: Posterior) -> str | None:
        """Say why there is no sensitivity, such as where all users are alike; None if there is."""
        if posterior.comparisons.features.of_items.all():
            return "sensitivity is of attributes, and here every item has a reward of its own"
        try:
            refuse_hidden(posterior.comparisons.features)
            require_values(posterior.comparisons.features, shown_tasks(posterior.comparisons))
            population_of_users(posterior)
        except (DataError, ModelError) as reason:
            return str(reason)
        return None

    def run(self, posterior: Posterior, query: Query, settings: Settings) -> Assessed:
        """Return the table of average effects, with what would turn them."""
        found = sensitivity(posterior, interval=settings.interval)
        return Assessed(
            columns=self.missing(query),
            tables={"sensitivity": found.table},
            results={"sensitivity": found},
            figures={"sensitivity": _draw},
        )


def _draw(report: Report, ax: Axes | None = None) -> Axes:
    """Draw what turns the average effect that is turned most easily."""
    found: Sensitivity = report.results["sensitivity"]
    return found.plot(ax=ax)
