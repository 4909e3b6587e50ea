"""`robust`: p_do and shifts that are right if the model or what users are shown is right.

The estimand is the model's: for a pair with differences d, shown in context x, p_do is the share
of all users who would choose left, p_obs that among the users who see x, shift = p_obs - p_do; for
a set of alternatives, the shares that choose each. The equations are in `robust_correction`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.robust.robust_effects import robust_effects
from bayes_pref.diagnostics.robust.robust_shares import RobustShares
from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import printable
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.task_distribution import Over


@dataclass(frozen=True, eq=False, repr=False)
class RobustEstimates:
    """Shares of choices beside the model's, and where and why both disagree.

    Made by `bayes_pref.robust`.

    Attributes
    ----------
    comparisons
        One row a comparison of the report, in its order: `row`, of sets `alternative`, `user`;
        `p_do` of the model with its `p_do_sd`, `p_do_robust` with `p_do_lower` and `p_do_upper`;
        `p_disagree`, the probability that both differ by more than `report.thresholds.shift`;
        `shift`, `shift_robust` with `shift_lower` and `shift_upper`; `agree`, unless `p_disagree`
        is above `report.thresholds.certainty`.
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
    shares
        The posterior behind it and its residuals.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> report = bp.diagnose(posterior, assessments=["preference", "confounding"], progress=False)
    >>> found = bp.robust(report)
    >>> found.sentence[:50]
    'The model and the estimate without its assumptions'
    """

    comparisons: pd.DataFrame
    assumptions: pd.DataFrame
    sentence: str
    notes: tuple[str, ...]
    interval: float
    shares: RobustShares

    def amce(
        self,
        over: Over = "observed",
        *,
        attributes: Sequence[str] | str | None = None,
        baseline: Mapping[str, Any] | None = None,
        values: Mapping[str, tuple[Any, Any]] | None = None,
    ) -> pd.DataFrame:
        """Estimate average marginal component effects beside those of the model.

        Parameters
        ----------
        over, attributes, baseline, values
            As for `Posterior.amce`; `over` cannot be None.

        Returns
        -------
        frame: `attribute`, `level`, `baseline`; `mean` and `sd` of the model, `robust`, and its
            interval `lower` to `upper`

        Raises
        ------
        DataError, ModelError
            As `Posterior.amce`, and if answers are graded or may be ties.
        """
        return robust_effects(
            self.shares,
            over,
            attributes=attributes,
            baseline=baseline,
            values=values,
            interval=self.interval,
        )

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
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> report = bp.diagnose(posterior, assessments=["preference", "confounding"], progress=False)
    >>> found = bp.robust(report)
    >>> found.assumptions["assumption"].tolist()
    ['weights', 'curve', 'contexts', 'exposure', 'attributes']
    """
    interval = settings.interval(interval)
    posterior, query = _fitted(report)
    shares = RobustShares.of(posterior)
    known = [report.comparisons[name].to_numpy(np.float64) for name in ("p_do", "p_obs")]
    model = shares.model_at(query).with_means(known[0], known[1])
    limits = report.thresholds
    found = shares.table(query, model, interval, limits.shift)
    agree = found["p_disagree"] <= limits.certainty
    table = pd.concat([query.keys(), found], axis=1).assign(agree=agree)
    assumptions = shares.assumptions()
    return RobustEstimates(
        table, assumptions, _sentence(table, assumptions, report), shares.notes(), interval, shares
    )


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


def _sentence(table: pd.DataFrame, assumptions: pd.DataFrame, report: Report) -> str:
    """Say whether both agree, and if not, on which assumption they disagree."""
    rows, apart = report.wording.rows, int((~table["agree"]).sum())
    limits = report.thresholds
    agreed = (
        f"The model and the estimate without its assumptions agree on "
        f"{100 * table['agree'].mean():.0f} % of {len(table):,} {rows}"
    )
    if apart:
        agreed += (
            f"; p_do of the other {apart:,} differs by more than {limits.shift:g} with probability "
            f"{limits.certainty:g}"
        )
    rejected = assumptions[assumptions["rejected"]]
    if len(rejected):
        found = " and ".join(
            f"{row['assumption']} (most on {row['largest']}, p = {row['p_value']:.2g})"
            for _, row in rejected.iterrows()
        )
        plural = "assumptions" if len(rejected) > 1 else "assumption"
        return f"{agreed}: residuals contradict the {plural} on {found}."
    smallest = assumptions.sort_values("p_value").iloc[0]
    lowest = f"(smallest p = {smallest['p_value']:.2g}, of {smallest['assumption']})"
    if apart:
        return f"{agreed}, but residuals contradict no single assumption {lowest}."
    return f"{agreed}, and residuals contradict none of its assumptions {lowest}."
