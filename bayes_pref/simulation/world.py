"""Simulated comparisons and the true parameters behind them."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.messages import printable


@dataclass(frozen=True, eq=False)
class Truth:
    """True parameters of simulated comparisons; features include interactions.

    Parameters
    ----------
    weights
        (users, features), log-odds per unit of a feature.
    mu
        (features,), mean weights of the population at the mean of the covariates.
    tau
        (features,), standard deviation of the users' weights around mu + B c.
    covariance
        (features, features), covariance of the users' weights around mu + B c.
    B
        (features, covariates), log-odds per unit of a feature per unit of a covariate.
    coupling
        (features, contexts), log-odds per unit of a feature per sd of exposure.
    exposure
        (users, contexts), in sds: the users' mean contexts, but for scale.
    comparisons
        One row a comparison, in the order of `world.comparisons.rows`: `probability` (that this
        user chooses left, without ties, lapses and position bias), `p_do` and `p_obs` (the same
        over all users, and over those who see such a context), `shift` (p_obs - p_do) and `kind`
        (how the answer came about: "choice", "tie" or "lapse"). Of tasks with more than two
        alternatives, or other questions than which of two is better, one row an alternative,
        labelled by task and alternative: the same of its being the best.
    nu
        Davidson's tie parameter; 0 without ties.
    V
        (features, factors), log-odds per unit of a feature per sd of a factor. Any rotation of V
        and `scores` together gives the same weights.
    scores
        (users, factors), in sds.
    position
        Position bias: log-odds in favour of the left side.
    """

    weights: pd.DataFrame
    mu: pd.Series[float]
    tau: pd.Series[float]
    covariance: pd.DataFrame
    B: pd.DataFrame
    coupling: pd.DataFrame
    exposure: pd.DataFrame
    comparisons: pd.DataFrame
    nu: float
    V: pd.DataFrame
    scores: pd.DataFrame
    position: float = 0.0


@dataclass(frozen=True, eq=False, repr=False)
class World:
    """Simulated comparisons with the true parameters.

    Parameters
    ----------
    comparisons
        The comparisons, ready for a model.
    frame
        The same rows as a raw table: user, choice, differences (left minus right), contexts; of
        choice tasks, one row an alternative, as `Comparisons.from_tasks` reads them.
    covariates
        One row a user, indexed by user; None without covariates.
    truth
        The true parameters.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> world.truth.weights.shape  # a row for each user, a column for each feature
    (20, 4)
    """

    comparisons: Comparisons
    frame: pd.DataFrame
    covariates: pd.DataFrame | None
    truth: Truth

    def __repr__(self) -> str:
        """Show the sizes, the share of confounded comparisons, and the population."""
        population = self._population().rename(index=printable, columns=printable)
        return f"{self._headline()}\n{population.to_string(float_format='{:.2f}'.format)}"

    def _repr_html_(self) -> str:
        population = self._population().rename(index=printable, columns=printable)
        return f"<p>{self._headline()}</p>{population.to_html(float_format='{:.2f}'.format)}"

    def _headline(self) -> str:
        rows = self.truth.comparisons
        ties, lapses = (100 * (rows["kind"] == kind).mean() for kind in ("tie", "lapse"))
        count, what, each = len(rows), "comparisons", "comparisons"
        if rows.index.nlevels > 1:
            count = rows.index.get_level_values("task").nunique()
            what, each = f"tasks of {len(rows) // count} alternatives", "alternatives"
        return (
            f"World: {len(self.truth.weights):,} users, {count:,} {what} "
            f"({ties:.0f} % ties, {lapses:.0f} % lapses); true shift beyond 0.03 in "
            f"{100 * (rows['shift'].abs() > 0.03).mean():.0f} % of {each}"
        )

    def _population(self) -> pd.DataFrame:
        coupling = self.truth.coupling.add_prefix("coupling to ")
        return pd.concat([self.truth.mu, self.truth.tau, coupling], axis=1)
