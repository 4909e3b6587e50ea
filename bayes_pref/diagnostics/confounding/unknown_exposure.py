"""What is said of confounding where contexts do not tell who sees what.

What all users would choose, p_do, is defined all the same, and comes from the posterior at hand.
What the users who see a comparison would choose is unknown, unless a share of the comparisons was
assigned at random: these tell what all users want, and the others, the log, what they seem to want
by a log that may be biased (`randomised_share`). Then p_obs is what the log says.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.diagnostics.assessment import Assessed, Settings
from bayes_pref.diagnostics.confounding.cleared import share_of
from bayes_pref.diagnostics.confounding.confounding_shift import null_of
from bayes_pref.diagnostics.confounding.exposure_distribution import draw_covariates
from bayes_pref.diagnostics.confounding.exposure_posterior import refit_with_bias
from bayes_pref.diagnostics.confounding.population_share import shares_of_all
from bayes_pref.diagnostics.confounding.randomised_share import assess_share, log_p_value
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws, most_draws
from bayes_pref.diagnostics.query import Query
from bayes_pref.posterior import Posterior

_ALL_USERS = (
    "p_do is what all users would choose by this posterior; p_obs and the shift are unknown, since "
    "nothing says which users see such comparisons."
)
_BY_LOG = (
    "Without exposure p_obs is what all users would choose by the comparisons that were not "
    "assigned at random; who sees them is unknown."
)


def without_exposure(
    posterior: Posterior, query: Query, settings: Settings, columns: pd.DataFrame, reason: str
) -> Assessed:
    """Return p_do, and with a randomised share what the log says.

    Parameters
    ----------
    posterior, query, settings
        As for `Assessment.run`.
    columns
        (n, .) the columns of the assessment, without numbers.
    reason
        Why the exposure of users is not known.
    """
    why = f"{reason[0].upper()}{reason[1:].removesuffix('.')}."
    nothing = pd.DataFrame(columns=["feature", "context", "mean", "sd", "lower", "upper"])
    fitted = refit_with_bias(
        posterior, seed=settings.seed, progress=settings.progress, engine=settings.engine
    )
    results = {"permutation_p": None, "randomised_p": None, "exposure_posterior": fitted}
    if fitted is None:
        return Assessed(
            columns=columns.assign(p_do=shares_of_all(posterior, query)),
            tables={"coupling": nothing},
            results=results,
            notes=(why, _ALL_USERS),
        )
    comparisons, limits = fitted.comparisons, settings.thresholds
    population = PopulationDraws.read(fitted, most_draws(fitted, query))
    rng = np.random.default_rng(settings.seed)
    users = draw_covariates(comparisons, len(population.mu), rng)
    share = assess_share(
        fitted, query, population, users, thresholds=limits, interval=settings.interval
    )
    p = log_p_value(comparisons, null_of(fitted, seed=settings.seed))
    certain = share.shifts["p_confounded"].to_numpy() > limits.certainty
    said = share_of(share, certain & (p <= limits.permutation_level), p, comparisons)
    made = (
        "The log was compared with the comparisons assigned at random in a fit of "
        f"{type(fitted.model).__name__}(observational_bias=True), which is kept as "
        "Report.exposure_posterior."
    )
    return Assessed(
        columns=share.shifts[list(columns.columns)].assign(**said.columns),
        evidence=said.evidence.assign(by_log=True),
        tables={"coupling": nothing},
        results=results | {"randomised_p": p},
        notes=(why, _BY_LOG, *([] if fitted is posterior else [made]), *said.notes),
    )
