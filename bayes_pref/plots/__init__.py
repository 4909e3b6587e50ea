"""Plots: each draws into the caller's matplotlib Axes or those of a new figure, and returns them.

Nothing is fitted here: a plot shows the numbers of `Posterior.summary`, `Posterior.weights` or
`RewardModel.prior_predictive`. Weights are drawn per typical difference of their feature (the root
mean square over the comparisons), so that features in different units can share an axis.
"""

from typing import TYPE_CHECKING, NoReturn

from bayes_pref.plots.average_effects_plot import average_effects as average_effects
from bayes_pref.plots.calibration_plot import calibration as calibration
from bayes_pref.plots.checks_plot import checks as checks
from bayes_pref.plots.compare_plot import compare as compare
from bayes_pref.plots.components_plot import components as components
from bayes_pref.plots.correlations_plot import correlations as correlations
from bayes_pref.plots.covariate_effects_plot import covariate_effects as covariate_effects
from bayes_pref.plots.elbo_plot import elbo as elbo
from bayes_pref.plots.factors_plot import factors as factors
from bayes_pref.plots.heterogeneity_plot import heterogeneity as heterogeneity
from bayes_pref.plots.leaderboard_plot import leaderboard as leaderboard
from bayes_pref.plots.pair_plot import pair as pair
from bayes_pref.plots.population_plot import population as population
from bayes_pref.plots.power_plot import power as power
from bayes_pref.plots.prior_predictive_plot import prior_predictive as prior_predictive
from bayes_pref.plots.rank_plot import rank as rank
from bayes_pref.plots.reliability_plot import reliability as reliability
from bayes_pref.plots.trace_plot import trace as trace
from bayes_pref.plots.users_plot import users as users

_RENAMED = {"tastes": "factors"}

if not TYPE_CHECKING:  # else a type checker would take every name to exist

    def __getattr__(name: str) -> NoReturn:
        """Say the new name of a plot that was renamed."""
        message = f"module 'bayes_pref.plots' has no attribute {name!r}"
        if name in _RENAMED:
            message += f": it is called bayes_pref.plots.{_RENAMED[name]}"
        raise AttributeError(message)
