"""The assessment of confounding for a report, with a fit with exposure where one is needed."""

from __future__ import annotations

from bayes_pref.convergence.finding import Finding, engine_call
from bayes_pref.diagnostics.assessment import Assessed, Assessment, Settings
from bayes_pref.diagnostics.confounding.cleared import with_share
from bayes_pref.diagnostics.confounding.confounding_limits import unsupported
from bayes_pref.diagnostics.confounding.confounding_panels import draw_observed, draw_shift
from bayes_pref.diagnostics.confounding.confounding_shift import (
    Confounding,
    assess,
    chosen_curves,
    exposure_test,
    null_of,
)
from bayes_pref.diagnostics.confounding.exposure_posterior import refit_with_exposure
from bayes_pref.diagnostics.confounding.left_out import (
    left_out_contexts,
    note_on_left_out,
    query_with_context_effects,
    with_context_effects,
)
from bayes_pref.diagnostics.confounding.permutation import PermutationTest
from bayes_pref.diagnostics.confounding.unknown_exposure import without_exposure
from bayes_pref.diagnostics.query import Query
from bayes_pref.messages import listed
from bayes_pref.posterior import Posterior

_FIGURES = {"shift": draw_shift, "observed": draw_observed}


class ConfoundingAssessment(Assessment):
    """Whether the users who see each comparison differ in their preferences from all users.

    Where the weights of the posterior do not depend on exposure, a model in which they do is
    fitted to the same comparisons; and where preferences follow exposure in another way than along
    a line, one in which weights depend on its squares and products.

    Where contexts do not say who sees what, p_do is what all users would choose by the posterior at
    hand, and nothing is said of those who see a comparison; with a share of comparisons that were
    assigned at random, p_obs is what the others say.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=30, confounding=0.6, seed=0)
    >>> model = bp.HierarchicalReward(exposure=True)
    >>> posterior = bp.fit(model, world.comparisons, bp.Gibbs(progress=False))
    >>> report = bp.diagnose(posterior, assessments=["preference", "confounding"])
    >>> report.exposure_posterior is posterior
    True
    """

    name = "confounding"
    columns = ("p_do", "p_obs", "shift", "shift_lower", "shift_upper", "p_confounded")

    def unsupported(self, posterior: Posterior) -> str | None:
        """Return None: what all users would choose is always said."""
        return None

    def run(self, posterior: Posterior, query: Query, settings: Settings) -> Assessed:
        """Return both probabilities and their shift for every comparison.

        Returns
        -------
        Assessed; with covariates, the column `shift_unadjusted` as well
        """
        reason = unsupported(posterior.comparisons)
        if reason is not None:  # contexts do not say who sees what
            return without_exposure(posterior, query, settings, self.missing(query), reason)
        given, null = posterior, null_of(posterior, seed=settings.seed)
        left_out = left_out_contexts(posterior.comparisons, null)
        if left_out:
            query = query_with_context_effects(query, posterior.comparisons, left_out)
            posterior = refit_with_exposure(
                posterior,
                seed=settings.seed,
                progress=settings.progress,
                engine=settings.engine,
                comparisons=with_context_effects(posterior.comparisons, left_out),
            )
        test = exposure_test(posterior, seed=settings.seed, null=None if left_out else null)
        fitted = refit_with_exposure(
            posterior,
            seed=settings.seed,
            progress=settings.progress,
            engine=settings.engine,
            curve_sd=chosen_curves(test, posterior.comparisons.features.contexts),
        )
        found = assess(
            fitted,
            query,
            test=test,
            thresholds=settings.thresholds,
            interval=settings.interval,
            seed=settings.seed,
        )
        columns = [*self.columns, *(["shift_unadjusted"] if found.carried is not None else [])]
        of_share = with_share(found, fitted.comparisons)
        return Assessed(
            columns=found.comparisons[columns].assign(**of_share.columns),
            evidence=of_share.evidence,
            tables={"coupling": found.coupling},
            results={
                "permutation_p": found.permutation_p,
                "randomised_p": found.randomised_p,
                "exposure_posterior": fitted,
            },
            notes=(
                *_notes_on_fit(given, fitted),
                *note_on_left_out(left_out),
                *_notes_on_curves(test, fitted),
                *found.notes,
                *of_share.notes,
                *_note_on_covariates(found, fitted),
            ),
            figures=_FIGURES,
        )


def _notes_on_fit(given: Posterior, fitted: Posterior) -> list[str]:
    """Say that a fit was made, why, and what its convergence checks found."""
    if fitted is given:
        return []
    spec = given.model.spec(given.comparisons)
    exposure = "True" if "H" not in fitted.draws else "'flexible'"
    if spec is not None and spec.signs is not None:
        lacks = "has weights of one sign, whose means do not shift in proportion to exposure"
    elif given.comparisons.feature_names != fitted.comparisons.feature_names:
        lacks = "leaves out effects of contexts"
    elif "G" in given.draws and "H" in fitted.draws and given.run.joint:
        lacks = "has an exposure term that is linear"
    elif "G" in given.draws:
        lacks = "comes from a mean-field guide, whose intervals are too narrow"
    else:
        lacks = "has no exposure term"
    made = (
        f"Confounding was assessed with a fit of {type(fitted.model).__name__}(exposure="
        f"{exposure}) to the same comparisons, since the given posterior {lacks}; it is kept as "
        "Report.exposure_posterior."
    )
    return [made, *(_in_that_fit(finding, fitted) for finding in fitted.findings)]


def _notes_on_curves(test: PermutationTest, fitted: Posterior) -> list[str]:
    """Say that preferences follow exposure in another way than along a line."""
    found = chosen_curves(test, fitted.comparisons.features.contexts)
    if not found:
        return []
    start = (
        f"Preferences may depend on {listed(found)} of users' mean contexts (permutation test, p = "
        f"{test.curved:.2g})"
    )
    if "H" in fitted.draws:
        return [f"{start}, and the model of the shifts has such a term."]
    return [
        f"{start}, but {type(fitted.model).__name__} relates them along a line: pass a posterior "
        "of bp.HierarchicalReward(exposure='flexible')."
    ]


def _in_that_fit(finding: Finding, fitted: Posterior) -> str:
    """Say whose chains a finding is about, and where to change them."""
    advised = engine_call(fitted.run.engine, finding.settings) if finding.settings else ""
    here = f"bp.diagnose(..., engine=bp.{advised})"
    message = finding.message.replace(advised, here, 1) if advised else finding.message
    return f"In that fit (not in the given posterior): {message}"


def _note_on_covariates(found: Confounding, fitted: Posterior) -> list[str]:
    """Say how much of the shifts adjusting for covariates removes."""
    if found.carried is None:
        return []
    after, before = (
        float(found.comparisons[name].abs().mean()) for name in ("shift", "shift_unadjusted")
    )
    return [
        f"Covariates ({', '.join(fitted.comparisons.covariate_names)}) account for "
        f"{100 * found.carried:.0f} % of the dependence of preferences on exposure: the mean "
        f"absolute shift is {before:.3f} before adjusting for them (column shift_unadjusted) and "
        f"{after:.3f} after (column shift)."
    ]
