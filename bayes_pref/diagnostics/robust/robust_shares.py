"""Shares of a posterior, corrected by the residuals of the answers that it was fitted to.

p_do is corrected as `robust_correction` says. p_obs is corrected by the same coefficients, with the
columns in d and h at E(h | x) instead of 0: that regression over comparisons has x, its squares and
products, and the covariates, which are then set to their mean over users, as in the back-door
formula of the model. Intervals add the posterior variance of the model's share and that of the
correction: of p_do on the log-odds scale, of the shift as it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtr, ndtri

from bayes_pref.diagnostics.confounding.context_basis import ContextBasis
from bayes_pref.diagnostics.confounding.exposure_distribution import ExposureDraws, draw_exposure
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws, most_draws
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.robust.expected_answers import ExpectedAnswers, expected_answers
from bayes_pref.diagnostics.robust.model_shares import ModelShares
from bayes_pref.diagnostics.robust.residual_directions import BLOCKS, Directions
from bayes_pref.diagnostics.robust.robust_correction import (
    Correction,
    correct,
    corrected,
    jacobian,
)
from bayes_pref.diagnostics.task_sets import one_row_a_task
from bayes_pref.errors import DataError
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray

LEVEL = 0.01  # of the tests of all assumptions together
_MEANING = {
    "weights": "mean weights are what the fit says",
    "curve": "link, lapses and the tails of users' weights",
    "contexts": "contexts do not change what attributes are worth, beyond the model's products",
    "exposure": "how preferences follow covariates and exposure",
    "attributes": "rewards are linear in each attribute",
}


@dataclass(frozen=True, eq=False)
class RobustShares:
    """A posterior of a model with exposure, and what its residuals say.

    Attributes
    ----------
    posterior
        The posterior.
    population, exposure
        Draws of the population, and of users' exposure.
    answers, answered
        What was answered, and the model's shares there.
    directions, correction
        What residuals may depend on, and how far they do.
    """

    posterior: Posterior
    population: PopulationDraws
    exposure: ExposureDraws
    answers: ExpectedAnswers
    answered: ModelShares
    directions: Directions
    correction: Correction

    @classmethod
    def of(cls, posterior: Posterior) -> RobustShares:
        """Look at the residuals.

        Raises
        ------
        DataError
            If there are too few users.
        """
        comparisons, answers = posterior.comparisons, expected_answers(posterior)
        curved = "H" in posterior.draws
        most = most_draws(posterior, answers.query, curved=curved)
        population = PopulationDraws.read(posterior, most)
        exposure = draw_exposure(
            one_row_a_task(comparisons), len(population.mu), np.random.default_rng(0), curved=curved
        )
        answered = ModelShares.at(population, exposure, answers.query, _unit(posterior))
        log_odds = answered.log_odds(answers.query)
        directions = Directions.of(comparisons, answers.query, log_odds, answered.kappa)
        if "weights" in directions.skipped:
            raise DataError(
                f"report: {comparisons.n_users} users are too few for robust estimates with "
                f"{comparisons.n_features} features; at least {3 * comparisons.n_features} are "
                "needed"
            )
        correction = correct(
            directions.at(
                answers.query, log_odds, answered.kappa, directions.regressors[answers.user]
            ),
            directions.block,
            answers.made - answers.expected,
            answered.p_do,
            answers.user,
            answers.query,
            len(BLOCKS),
        )
        return cls(posterior, population, exposure, answers, answered, directions, correction)

    def model_at(self, query: Query) -> ModelShares:
        """Return the model's shares at some comparisons."""
        asked = self.answers.query
        pairs = ((query.difference, asked.difference), (query.context, asked.context))
        same = np.array_equal(query.sizes, asked.sizes) and all(
            np.array_equal(one, other) for one, other in pairs
        )
        if same:
            return self.answered
        return ModelShares.at(self.population, self.exposure, query, _unit(self.posterior))

    def columns(self, query: Query, shares: ModelShares) -> FloatArray:
        """Return the directions (n, c) at some comparisons, for the users who see them."""
        return self.directions.at(query, shares.log_odds(query), shares.kappa, self._seen(query))

    def table(
        self, query: Query, shares: ModelShares, interval: float = 0.9, smallest: float = 0.03
    ) -> pd.DataFrame:
        """Return shares of the model, corrected ones, and their intervals.

        Parameters
        ----------
        query
            n comparisons.
        shares
            The model's there.
        interval
            Probability inside the intervals.
        smallest
            Difference of probabilities that matters, for `p_disagree`.
        """
        beta, covariance = self.correction.shrunk.mean, self.correction.shrunk.covariance
        seen = self.columns(query, shares)
        everyone = seen * self.directions.of_pairs
        p_do = corrected(shares.p_do, everyone @ beta, query)
        p_obs = corrected(shares.p_obs, seen @ beta, query)
        slope = jacobian(p_do, everyone, query)
        own = shares.p_do_sd / (shares.p_do * (1.0 - shares.p_do))
        change = np.sqrt(quadratic(slope, covariance)).clip(1e-12)
        sd = np.sqrt(own**2 + (change / (p_do * (1.0 - p_do))) ** 2)
        beyond = [ndtr((side * (p_do - shares.p_do) - smallest) / change) for side in (1.0, -1.0)]
        away = float(ndtri(0.5 + interval / 2.0))
        apart = jacobian(p_obs, seen, query) - slope
        spread = np.sqrt(shares.shift_sd**2 + quadratic(apart, covariance))
        shift = p_obs - p_do
        return pd.DataFrame(
            {
                "p_do": shares.p_do,
                "p_do_sd": shares.p_do_sd,
                "p_do_robust": p_do,
                "p_do_lower": expit(logit(p_do) - away * sd),
                "p_do_upper": expit(logit(p_do) + away * sd),
                "p_disagree": beyond[0] + beyond[1],
                "shift": shares.p_obs - shares.p_do,
                "shift_robust": shift,
                "shift_lower": shift - away * spread,
                "shift_upper": shift + away * spread,
            }
        )

    def _seen(self, query: Query) -> FloatArray:
        """E(h | x) at the contexts of a query (n, r), covariates being those of all users."""
        context = self.answers.query.context
        basis = ContextBasis.of_data(context)
        h, known = self.directions.regressors[self.answers.user], self.directions.covariates
        shown = _design(basis, context)
        design = np.hstack([shown, h[:, :known]])
        slope = np.linalg.lstsq(design, h[:, known:], rcond=1e-8)[0]
        out = np.zeros((len(query), h.shape[1]))
        out[:, known:] = _design(basis, query.context) @ slope[: shown.shape[1]]
        return out

    def assumptions(self) -> pd.DataFrame:
        """Return the test of each assumption, as `RobustEstimates.assumptions`."""
        found, directions = self.correction, self.directions
        square = np.bincount(directions.block, found.shrunk.mean**2, minlength=len(BLOCKS))
        return pd.DataFrame(
            {
                "assumption": BLOCKS,
                "meaning": [_MEANING[name] for name in BLOCKS],
                "p_value": found.p_values,
                "size": np.sqrt(square),
                "largest": [directions.names[k] if k >= 0 else "" for k in found.largest],
                "rejected": found.p_values <= LEVEL / len(BLOCKS),
            }
        )

    def notes(self) -> tuple[str, ...]:
        """Say what was not looked at, and of whom draws say too little."""
        notes, few = [], self.directions.skipped
        if few:
            names = " and ".join(few)
            notes.append(f"Users are too few to look for residuals that depend on {names}.")
        if self.answers.unreliable:
            notes.append(
                f"{self.answers.unreliable:,} of {len(self.directions.regressors):,} users say so "
                "much of the population that draws without them are inaccurate (Pareto k above "
                "0.7): the residuals of their answers may be too small."
            )
        return tuple(notes)


def quadratic(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    """R M R', one value (n,) for each row of R (n, c)."""
    return np.asarray(((rows @ matrix) * rows).sum(axis=1).clip(0.0))


def _design(basis: ContextBasis, context: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(context)), basis(context)])


def _unit(posterior: Posterior) -> float:
    """Log-odds per unit of the reward."""
    return float(posterior.model.choice_model(posterior.comparisons).log_odds_per_unit)
