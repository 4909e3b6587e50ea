"""`robust`: p_do and shifts that are right if the model or what users are shown is right.

The estimand is the model's: for a pair with differences d, shown in context x, p_do is the share
of all users who would choose left, p_obs that among the users who see x, shift = p_obs - p_do. The
equations are in `robust_correction`.

p_obs is corrected by the same coefficients, the columns in d and h at E(h | x) instead of 0: that
regression over comparisons has x, its squares, and the covariates, which are then set to their mean
over users, as in the back-door formula of the model. Intervals add the posterior variance of the
model's share and that of the correction, on the log-odds scale for p_do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.context_basis import ContextBasis
from bayes_pref.diagnostics.confounding.exposure_distribution import draw_exposure
from bayes_pref.diagnostics.confounding.shifts import PopulationDraws, most_draws
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.robust.expected_answers import Answers, expected_answers
from bayes_pref.diagnostics.robust.model_shares import ModelShares
from bayes_pref.diagnostics.robust.residual_directions import BLOCKS, Directions
from bayes_pref.diagnostics.robust.robust_correction import (
    Correction,
    correct,
    corrected,
    jacobian,
)
from bayes_pref.diagnostics.task_sets import one_row_a_task
from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import listed, printable
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


@dataclass(frozen=True, eq=False, repr=False)
class RobustEstimates:
    """Shares of choices beside the model's, and where and why both disagree.

    Made by `bayes_pref.robust`.

    Attributes
    ----------
    comparisons
        One row a comparison of the report, in its order: `row`, of sets `alternative`, `user`;
        `p_do` of the model with its `p_do_sd`, `p_do_robust` with `p_do_lower` and `p_do_upper`;
        `shift`, `shift_robust` with `shift_lower` and `shift_upper`; `agree`, whether both p_do are
        within `report.thresholds.shift` of each other.
    assumptions
        One row an assumption: `assumption`, `meaning`, `p_value` of its test (nan where it was not
        tested), `size` (log-odds: root mean square of the correction), `largest`, the direction
        that contradicts it most, and `rejected`, at level 0.01 of all tests together.
    sentence
        Whether both agree, and if not, which assumption they disagree on.
    notes
        Sentences on limits.
    interval
        Probability inside the intervals.
    """

    comparisons: pd.DataFrame
    assumptions: pd.DataFrame
    sentence: str
    notes: tuple[str, ...]
    interval: float

    def summary(self) -> str:
        """Summarise in plain text: the sentence, and the test of each assumption."""
        lines = [printable(self.sentence), ""]
        for _, row in self.assumptions.iterrows():
            p = "not tested" if np.isnan(row["p_value"]) else f"p = {row['p_value']:.2g}"
            lines.append(f"  {row['assumption']:<11}{p:<13}{row['meaning']}")
        lines += ["", *(f"- {printable(note)}" for note in self.notes)] if self.notes else []
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return the summary."""
        return self.summary()


def robust(report: Report, *, interval: float = 0.9) -> RobustEstimates:
    """Estimate p_do and shifts of a report's comparisons, right if either of two parts is right.

    Beside the model's shares stands a correction by the residuals of the answers, in which each
    user is predicted from all others, weighted so that they stand for all users at each pair. It is
    right if the model is, or if what the residuals depend on is among the directions looked at
    (the curve between reward and choice, contexts, exposure, attributes that are not linear). Where
    residuals say nothing against the model the interval is little longer than the model's.

    Parameters
    ----------
    report
        What `bayes_pref.diagnose` returned, with confounding assessed.
    interval
        Probability inside the intervals.

    Returns
    -------
    RobustEstimates

    Raises
    ------
    ModelError
        If `report` is no report, or its model is one whose p_do needs no or allows no correction.
    DataError
        If the report has no assessment of confounding, or there are too few users.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=40, confounding=0.5, seed=0)
    >>> model = bp.HierarchicalReward(exposure=True)
    >>> posterior = bp.fit(model, world.comparisons, bp.Gibbs(progress=False))
    >>> report = bp.diagnose(posterior, assessments=["preference", "confounding"])
    >>> found = bp.robust(report)
    >>> found.assumptions["assumption"].tolist()
    ['weights', 'curve', 'contexts', 'exposure', 'attributes']
    """
    interval = settings.interval(interval)
    posterior, query = _fitted(report)
    known = [report.comparisons[name].to_numpy(np.float64) for name in ("p_do", "p_obs")]
    found = estimate(posterior, query, interval, (known[0], known[1]))
    apart = (found.table["p_do_robust"] - found.table["p_do"]).abs()
    table = found.table.assign(agree=apart <= report.thresholds.shift)
    return RobustEstimates(
        pd.concat([query.keys(), table], axis=1),
        found.assumptions,
        _sentence(table, found.assumptions, report),
        found.notes,
        interval,
    )


class Estimated(NamedTuple):
    """Numbers of `RobustEstimates`, without words."""

    table: pd.DataFrame
    assumptions: pd.DataFrame
    notes: tuple[str, ...]


def estimate(
    posterior: Posterior,
    query: Query,
    interval: float = 0.9,
    known: tuple[FloatArray, FloatArray] | None = None,
) -> Estimated:
    """Correct the shares of a posterior of a model with exposure.

    Parameters
    ----------
    posterior
        The posterior.
    query
        n comparisons, in its features.
    interval
        Probability inside the intervals.
    known
        (n,) each: its p_do and p_obs; None: they are computed here.
    """
    comparisons = posterior.comparisons
    answers = expected_answers(posterior)
    curved = "H" in posterior.draws
    population = PopulationDraws.read(posterior, most_draws(posterior, query, curved=curved))
    exposure = draw_exposure(
        one_row_a_task(comparisons), len(population.mu), np.random.default_rng(0), curved=curved
    )
    unit = posterior.model.choice_model(comparisons).log_odds_per_unit
    shares = ModelShares.at(population, exposure, answers.query, unit)
    directions = Directions.of(
        comparisons, answers.query, shares.log_odds(answers.query), shares.kappa
    )
    _require_users(directions, comparisons)
    found = correct(
        _columns(directions, answers.query, shares, directions.regressors[answers.user]),
        directions.block,
        answers.made - answers.expected,
        shares.p_do,
        answers.user,
        answers.query,
        len(BLOCKS),
    )
    same = np.array_equal(query.difference, answers.query.difference)
    asked = shares if same else ModelShares.at(population, exposure, query, unit)
    if known is not None:
        asked = asked.with_means(*known)
    table = pd.DataFrame(_estimates(directions, found, answers, query, asked, interval))
    return Estimated(table, _assumptions(directions, found), _notes(directions, answers))


def _fitted(report: Report) -> tuple[Posterior, Query]:
    """The posterior of the report's p_do, and the query in its features."""
    if not isinstance(report, Report):
        raise ModelError(
            f"report: got {type(report).__name__} but expected a Report, as bp.diagnose returns it"
        )
    posterior = report.exposure_posterior
    if posterior is None:
        raise DataError(
            "report: confounding was not assessed, so that there is no p_do to compare with; "
            "report.notes says why"
        )
    name = type(posterior.model).__name__
    if "G" not in posterior.draws:
        raise ModelError(
            f"report: {name} has a joint model of contexts and weights; diagnose a posterior of "
            "bp.HierarchicalReward(exposure=True)"
        )
    if "observational_bias" in posterior.draws:
        raise ModelError(
            "report: p_do rests on comparisons that were assigned at random, and needs no "
            "correction for who sees what; read the data without randomised= to compare with these"
        )
    if "careless" in posterior.draws:
        raise ModelError(
            f"report: in {name}(reliability=True) p_do is that of users who heed the rewards, and "
            "residuals are of all; diagnose a posterior without reliability="
        )
    features, query = posterior.comparisons.features, report.query
    attributes = query.difference[:, : len(features.attributes)]
    return posterior, replace(query, difference=features.expand(attributes, query.context))


def _require_users(directions: Directions, comparisons: Comparisons) -> None:
    if "weights" in directions.skipped:
        raise DataError(
            f"report: {comparisons.n_users} users are too few for robust estimates with "
            f"{comparisons.n_features} features; at least {3 * comparisons.n_features} are needed"
        )


def _columns(
    directions: Directions, query: Query, shares: ModelShares, regressors: FloatArray
) -> FloatArray:
    return directions.at(query, shares.log_odds(query), shares.kappa, regressors)


def _estimates(
    directions: Directions,
    found: Correction,
    answers: Answers,
    query: Query,
    shares: ModelShares,
    interval: float,
) -> dict[str, FloatArray]:
    """Shares of the model, corrected ones, and their intervals."""
    beta, covariance = found.shrunk.mean, found.shrunk.covariance
    seen = _columns(directions, query, shares, _seen(directions, answers, query))
    everyone = seen * directions.of_pairs
    p_do = corrected(shares.p_do, everyone @ beta, query)
    p_obs = corrected(shares.p_obs, seen @ beta, query)
    slope = jacobian(p_do, everyone, query)
    size = p_do * (1.0 - p_do)
    own = shares.p_do_sd / (shares.p_do * (1.0 - shares.p_do))
    sd = np.sqrt(own**2 + _quadratic(slope, covariance) / size**2)
    away = float(ndtri(0.5 + interval / 2.0))
    shift = p_obs - p_do
    spread = np.sqrt(
        shares.shift_sd**2 + _quadratic(jacobian(p_obs, seen, query) - slope, covariance)
    )
    return {
        "p_do": shares.p_do,
        "p_do_sd": shares.p_do_sd,
        "p_do_robust": p_do,
        "p_do_lower": expit(logit(p_do) - away * sd),
        "p_do_upper": expit(logit(p_do) + away * sd),
        "shift": shares.p_obs - shares.p_do,
        "shift_robust": shift,
        "shift_lower": shift - away * spread,
        "shift_upper": shift + away * spread,
    }


def _seen(directions: Directions, answers: Answers, query: Query) -> FloatArray:
    """E(h | x) at the contexts of a query (n, r), covariates being those of all users."""
    basis = ContextBasis.of_data(answers.query.context)
    h, known = directions.regressors[answers.user], directions.covariates
    shown = _design(basis, answers.query.context)
    design = np.hstack([shown, h[:, :known]])
    slope = np.linalg.lstsq(design, h[:, known:], rcond=1e-8)[0]
    out = np.zeros((len(query), h.shape[1]))
    out[:, known:] = _design(basis, query.context) @ slope[: shown.shape[1]]
    return out


def _design(basis: ContextBasis, context: FloatArray) -> FloatArray:
    return np.column_stack([np.ones(len(context)), basis(context)])


def _quadratic(rows: FloatArray, matrix: FloatArray) -> FloatArray:
    return np.asarray(((rows @ matrix) * rows).sum(axis=1).clip(0.0))


def _assumptions(directions: Directions, found: Correction) -> pd.DataFrame:
    """Return the test of each assumption."""
    error = np.abs(found.estimate) / np.sqrt(np.diag(found.variance))
    largest = [
        directions.names[int(np.argmax(np.where(directions.block == code, error, -1.0)))]
        if (directions.block == code).any()
        else ""
        for code in range(len(BLOCKS))
    ]
    square = np.bincount(directions.block, found.shrunk.mean**2, minlength=len(BLOCKS))
    return pd.DataFrame(
        {
            "assumption": BLOCKS,
            "meaning": [_MEANING[name] for name in BLOCKS],
            "p_value": found.p_values,
            "size": np.sqrt(square),
            "largest": largest,
            "rejected": found.p_values <= LEVEL / len(BLOCKS),
        }
    )


def _sentence(table: pd.DataFrame, assumptions: pd.DataFrame, report: Report) -> str:
    """Say whether both agree, and if not, on which assumption they disagree."""
    rows, apart = report.wording.rows, int((~table["agree"]).sum())
    limit = f"within {report.thresholds.shift:g}"
    agreed = (
        f"The model and the estimate without its assumptions agree on "
        f"{100 * table['agree'].mean():.0f} % of {len(table):,} {rows} (p_do {limit})"
    )
    rejected = assumptions[assumptions["rejected"]]
    if len(rejected):
        found = listed(
            [
                f"{row['assumption']} (most on {row['largest']}, p = {row['p_value']:.2g})"
                for _, row in rejected.iterrows()
            ]
        )
        plural = "assumptions" if len(rejected) > 1 else "assumption"
        use = f"; for the other {apart:,} use p_do_robust" if apart else ""
        return f"{agreed}; residuals contradict the {plural} on {found}{use}."
    smallest = assumptions.sort_values("p_value").iloc[0]
    lowest = f"(smallest p = {smallest['p_value']:.2g}, of {smallest['assumption']})"
    if not apart:
        return f"{agreed}, and residuals contradict none of its assumptions {lowest}."
    return (
        f"{agreed}; for the other {apart:,} residuals suggest more than that, but no assumption "
        f"is contradicted by itself {lowest}."
    )


def _notes(directions: Directions, answers: Answers) -> tuple[str, ...]:
    """Say what was not looked at, and of whom draws say too little."""
    notes = []
    if directions.skipped:
        notes.append(
            f"Users are too few to look for residuals that depend on {listed(directions.skipped)}."
        )
    if answers.unreliable:
        notes.append(
            f"{answers.unreliable:,} users say so much of the population that draws without them "
            "are inaccurate (Pareto k above 0.7): the residuals of their answers may be too small."
        )
    return tuple(notes)
