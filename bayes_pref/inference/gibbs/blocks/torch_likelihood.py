"""Users' likelihoods of a block on a torch device: all users at once.

    eta = X w,   gradient in w = X' slope,   curvature = X' K X

with X the sparse matrix of the block's rows, whose columns are the features of every user, and K
minus the second derivatives in eta. X and X' are kept, so that no sum is scattered.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse

from bayes_pref.inference.gibbs.blocks.sparse_sums import SparseSums
from bayes_pref.inference.gibbs.blocks.torch_rows import Curvature, torch_rows
from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.kernels.choice_likelihood import ChoiceRows
from bayes_pref.models.choice.kernel_form import STAGES
from bayes_pref.types import FloatArray


class UserTerms(NamedTuple):
    """What users' choices say at their weights.

    Attributes
    ----------
    log
        (n_users,) log likelihood.
    slope
        (n_users, d) gradient in the Gaussian values.
    of_values
        (n_users, number of values) derivatives in the choice model's values.
    """

    log: torch.Tensor
    slope: torch.Tensor
    of_values: torch.Tensor

    def where(self, chosen: torch.Tensor, other: UserTerms) -> UserTerms:
        """Return these of users who are chosen, (n_users,), and the other terms of the rest."""
        whole = chosen[:, None]
        return UserTerms(
            torch.where(chosen, self.log, other.log),
            torch.where(whole, self.slope, other.slope),
            torch.where(whole, self.of_values, other.of_values),
        )


class TorchLikelihood:
    """Likelihoods of the users of a block; the Gaussian values are those of `signed_weights`.

    Parameters
    ----------
    problem
        The block's data.
    device
        Where they are kept.
    """

    def __init__(self, problem: ChoiceProblem, device: torch.device) -> None:
        rows, self.device = problem.rows, device
        self.n_users, self.d = len(rows.offsets) - 1, len(problem.feature_scale)
        self.n_values = problem.form.values(np.zeros(problem.form.size)).size
        self.has_values = problem.form.size > 0
        matrix = _matrix(rows, self.d)
        self.log_odds = SparseSums(matrix, device)
        self.gradients = SparseSums(sparse.csr_matrix(matrix.T), device)
        stages = rows.family == STAGES
        of_user = rows.stage_offsets if stages else rows.offsets
        self.by_user = SparseSums.of_ranges(of_user, device)
        self.by_feature = _StageFeatures(rows, self.d, device) if stages else None
        self.rows = torch_rows(rows, device)
        self.sign, self.centre = (torch.tensor(part, device=device) for part in problem.signed)

    def at(self, gaussian: torch.Tensor, values: FloatArray) -> UserTerms:
        """Log likelihoods and slopes at Gaussian values (n_users, d)."""
        weights = self._weights(gaussian)
        terms = self.rows.terms(self.log_odds.times(weights.flatten()), values)
        of_values = torch.zeros(
            (self.n_users, self.n_values), dtype=torch.float64, device=self.device
        )
        if self.has_values:
            for place, slope in terms.of_values.items():
                of_values[:, place] = self.by_user.times(slope)
        slope = self._slopes(weights, self._gradient(terms.slope))
        return UserTerms(self.by_user.times(terms.log), slope, of_values)

    def expansion(
        self, gaussian: torch.Tensor, values: FloatArray, *, diagonal: bool
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Curvature (n_users, d, d), or its diagonal (n_users, d), and slope (n_users, d)."""
        weights = self._weights(gaussian)
        eta = self.log_odds.times(weights.flatten())
        slope = self._slopes(weights, self._gradient(self.rows.terms(eta, values).slope))
        curvature = self.rows.curvature(eta, values)
        found = self._diagonal(curvature) if diagonal else self._whole(curvature)
        if self.sign.numel():
            signed = self.sign != 0.0
            by = torch.where(signed, weights, 1.0)
            bend = torch.where(signed, (-slope).clamp(min=0.0), 0.0)
            if diagonal:
                found = found * by**2 + bend
            else:
                found = by[:, :, None] * found * by[:, None] + torch.diag_embed(bend)
        return found, slope

    def _gradient(self, slope: torch.Tensor) -> torch.Tensor:
        return self.gradients.times(slope).view(self.n_users, self.d)

    def _whole(self, curvature: Curvature) -> torch.Tensor:
        """(n_users, d, d), column by column: K applied to the rows' values of one feature."""
        columns = []
        for k in range(self.d):
            unit = torch.zeros((self.n_users, self.d), dtype=torch.float64, device=self.device)
            unit[:, k] = 1.0
            feature = self.log_odds.times(unit.flatten())
            columns.append(self._gradient(curvature.times(feature)))
        return torch.stack(columns, dim=2)

    def _diagonal(self, curvature: Curvature) -> torch.Tensor:
        found = self.gradients.times(curvature.rows, squared=True)
        if self.by_feature is not None:
            found = found - self.by_feature.of_means(curvature)
        return found.view(self.n_users, self.d)

    def _weights(self, gaussian: torch.Tensor) -> torch.Tensor:
        if not self.sign.numel():
            return gaussian
        made = self.sign * torch.exp(self.centre + gaussian)
        return torch.where(self.sign != 0.0, made, gaussian)

    def _slopes(self, weights: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        """Slopes in the Gaussian values, of those in weights."""
        if not self.sign.numel():
            return slope
        return torch.where((self.sign != 0.0) & (slope != 0.0), slope * weights, slope)


class _StageFeatures:
    """Sums over the rows of stages feature by feature: what `_diagonal` takes away."""

    def __init__(self, rows: ChoiceRows, d: int, device: torch.device) -> None:
        entry_rows = np.repeat(np.arange(len(rows.outcome)), np.diff(rows.starts))
        of_row = np.repeat(np.arange(len(rows.stages) - 1), np.diff(rows.stages))
        pairs, pair = np.unique(of_row[entry_rows] * d + rows.columns, return_inverse=True)
        stage, feature = pairs // d, pairs % d
        user = np.searchsorted(rows.stage_offsets, stage, side="right") - 1
        n_users, n = len(rows.offsets) - 1, len(pairs)
        means = sparse.coo_matrix((rows.values, (pair, entry_rows)), (n, len(rows.outcome)))
        sums = sparse.coo_matrix((np.ones(n), (user * d + feature, np.arange(n))), (n_users * d, n))
        self.means = SparseSums(sparse.csr_matrix(means), device)
        self.sums = SparseSums(sparse.csr_matrix(sums), device)
        self.stage = torch.tensor(stage, device=device)

    def of_means(self, curvature: Curvature) -> torch.Tensor:
        """(n_users d,) sums over stages of share m_k^2, with m_k the mean of feature k."""
        assert curvature.chances is not None  # as of all stages
        assert curvature.shares is not None
        means = self.means.times(curvature.chances)
        return self.sums.times(curvature.shares[self.stage] * means**2)


def _matrix(rows: ChoiceRows, d: int) -> sparse.csr_matrix:
    """X (n_rows, n_users d)."""
    user = np.repeat(np.arange(len(rows.offsets) - 1), np.diff(rows.offsets))
    columns = rows.columns + d * np.repeat(user, np.diff(rows.starts))
    shape = (len(rows.outcome), d * (len(rows.offsets) - 1))
    return sparse.csr_matrix((rows.values, columns, rows.starts), shape=shape)
