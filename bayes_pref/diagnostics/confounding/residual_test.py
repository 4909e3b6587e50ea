"""Score test of whether answers depend on columns that a fitted model leaves out.

Under a fitted model, what an answer says of its log-odds, h_n, has mean 0 given what is shown.
With x_n the products that are tested (an attribute's difference times a recorded column), d_n the
regressors of the model and k_n the slope of E h_n, user i adds to the score
    U_i = sum_n (x_n - A d_n) h_n,   A = (sum k x d') (sum k d d')^-1,
which the estimates of the model do not move. Users are independent, whatever the dependence among
the answers of one: T = (sum U)' (sum U U')^-1 (sum U) is chi-squared in large samples, and below it
in small ones, since the U are not centred (a generalised score test; Boos 1992, Am. Stat. 46).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.exposure_posterior import NullFit
from bayes_pref.diagnostics.confounding.null_scores import answer_scores
from bayes_pref.types import FloatArray as Array
from bayes_pref.types import IntArray

_SINGULAR = 1e-10  # of the largest eigenvalue


@dataclass(frozen=True, eq=False)
class RowScores:
    """What answers say of their log-odds, beyond what a fitted model expects.

    Attributes
    ----------
    rows
        (n, d) differences, chosen minus other where a choice is one among several; scaled.
    score, slope
        (n,) h_n, and minus the derivative of its mean by the log-odds.
    offsets
        (u + 1,) where users' rows begin.
    """

    rows: Array
    score: Array
    slope: Array
    offsets: IntArray

    @classmethod
    def of(cls, comparisons: Comparisons, null: NullFit) -> RowScores:
        """Compute them at the posterior means of a fit."""
        rows, parts, _ = answer_scores(
            comparisons, null.centre, null.covariance, null.position, null.choices
        )
        return cls(rows, parts[0], parts[1], comparisons.offsets)

    def p_value(self, tested: Array, nuisance: Array) -> float:
        """P-value of no dependence on products.

        Parameters
        ----------
        tested
            (n, m) products; those that nuisance parameters explain count for nothing.
        nuisance
            (n, r) regressors of the model.
        """
        weighted = self.slope[:, None] * nuisance
        matrix = nuisance.T @ weighted
        inverse = np.linalg.pinv(matrix, rcond=_SINGULAR, hermitian=True)
        rest = tested - nuisance @ (inverse @ (weighted.T @ tested))
        own = np.add.reduceat(rest * self.score[:, None], self.offsets[:-1])
        total, square = own.sum(axis=0), own.T @ own
        values, vectors = np.linalg.eigh(square)
        kept = values > _SINGULAR * max(values[-1], 1e-300)
        statistic = ((vectors[:, kept].T @ total) ** 2 / values[kept]).sum()
        return float(chi2.sf(statistic, max(int(kept.sum()), 1)))
