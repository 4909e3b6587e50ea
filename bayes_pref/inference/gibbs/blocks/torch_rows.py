"""Log probabilities of choices on a torch device, with slopes and curvatures, for every family.

The formulas are those of `kernels.choice_likelihood`, exact in both tails, for all rows at once.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import NamedTuple

import numpy as np
import torch

from bayes_pref.inference.gibbs.blocks.sparse_sums import SparseSums
from bayes_pref.inference.gibbs.kernels.choice_likelihood import ChoiceRows
from bayes_pref.models.choice.kernel_form import CELLS, CUTS, LAPSE, POSITION, STAGES, TIE
from bayes_pref.types import FloatArray

_ROOT = math.sqrt(2.0 * math.pi)


class RowTerms(NamedTuple):
    """What rows say at their log-odds.

    Attributes
    ----------
    log
        (n,) log probability of each observation: of each row or, in stages, of each stage.
    slope
        (n_rows,) derivative in eta.
    of_values
        (n,) derivatives in the choice model's values, by their places.
    """

    log: torch.Tensor
    slope: torch.Tensor
    of_values: dict[int, torch.Tensor]


class StageSums(NamedTuple):
    """Sums over the rows of each stage, and each row's stage, (n_rows,)."""

    sums: SparseSums
    of_row: torch.Tensor


class Curvature(NamedTuple):
    """Minus the second derivatives in eta.

    Attributes
    ----------
    rows
        (n_rows,) of each row by itself.
    stages, chances, shares
        Of rows of stages: the sums over a stage, each row's probability in it, (n_rows,), and the
        share of a stage's curvature that counts, (n_stages,); None of other rows.
    """

    rows: torch.Tensor
    stages: StageSums | None = None
    chances: torch.Tensor | None = None
    shares: torch.Tensor | None = None

    def times(self, direction: torch.Tensor) -> torch.Tensor:
        """(n_rows,) product with a direction (n_rows,) of log-odds."""
        found = self.rows * direction
        if self.stages is None or self.chances is None:
            return found
        means = self.stages.sums.times(self.chances * direction)
        return found - self.rows * means[self.stages.of_row]


class TorchRows(ABC):
    """The rows of a block.

    Parameters
    ----------
    rows
        As the kernels read them.
    device
        Where they are kept.
    """

    def __init__(self, rows: ChoiceRows, device: torch.device) -> None:
        self.device = device
        self.outcome = torch.tensor(rows.outcome, device=device)
        self.n_outcomes = rows.n_outcomes
        self.probit = rows.probit

    @abstractmethod
    def terms(self, eta: torch.Tensor, values: FloatArray) -> RowTerms:
        """Log probabilities and slopes at log-odds (n_rows,) and the choice model's values."""

    @abstractmethod
    def curvature(self, eta: torch.Tensor, values: FloatArray) -> Curvature:
        """Minus the second derivatives in eta, as positive as `add_user_information` has them."""


def torch_rows(rows: ChoiceRows, device: torch.device) -> TorchRows:
    """Return the rows of a block on a device, of the family that they have."""
    if rows.family == STAGES:
        return _Stages(rows, device)
    if rows.family != CELLS:
        return _Ties(rows, device)
    return (_Pairs if rows.n_outcomes == 2 else _Cells)(rows, device)


class _SingleRows(TorchRows):
    """Rows that are choices of their own."""

    def terms(self, eta: torch.Tensor, values: FloatArray) -> RowTerms:
        """Log probabilities and slopes; see `TorchRows.terms`."""
        meant = self._meant(eta, values)
        if not values[LAPSE] > 0.0:
            return meant
        share, mixed, even = self._lapsed(meant.log, values)
        of_values = {place: share * slope for place, slope in meant.of_values.items()}
        of_values[LAPSE] = (even - meant.log.exp()) / mixed
        return RowTerms(mixed.log(), share * meant.slope, of_values)

    def curvature(self, eta: torch.Tensor, values: FloatArray) -> Curvature:
        """Minus the second derivatives; see `TorchRows.curvature`."""
        meant = self._meant(eta, values)
        found = self._bend(eta, values, meant).clamp(min=0.0)
        if values[LAPSE] > 0.0:
            found = self._lapsed(meant.log, values)[0] * found
        return Curvature(found)

    def _lapsed(
        self, log: torch.Tensor, values: FloatArray
    ) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Share of what was meant in a probability, the latter, and that of a lapse."""
        lapse, even = float(values[LAPSE]), 1.0 / self.n_outcomes
        own = (1.0 - lapse) * log.exp()
        mixed = own + lapse * even
        return own / mixed, mixed, even

    @abstractmethod
    def _meant(self, eta: torch.Tensor, values: FloatArray) -> RowTerms:
        """Terms without lapses."""

    @abstractmethod
    def _bend(self, eta: torch.Tensor, values: FloatArray, meant: RowTerms) -> torch.Tensor:
        """Minus the second derivative in eta, (n_rows,), without lapses."""


class _Pairs(_SingleRows):
    """Choices between two: F(eta - c), or F(c - eta)."""

    def __init__(self, rows: ChoiceRows, device: torch.device) -> None:
        super().__init__(rows, device)
        self.sign = 2.0 * self.outcome.to(torch.float64) - 1.0

    def _meant(self, eta: torch.Tensor, values: FloatArray) -> RowTerms:
        x = self.sign * (eta - float(values[CUTS]))
        log = _log_cdf(x, self.probit)
        ratio = torch.exp(-0.5 * x**2 - log) / _ROOT if self.probit else torch.sigmoid(-x)
        slope = self.sign * ratio
        return RowTerms(log, slope, {CUTS: -slope})

    def _bend(self, eta: torch.Tensor, values: FloatArray, meant: RowTerms) -> torch.Tensor:
        if self.probit:
            return meant.slope * (meant.slope + eta - float(values[CUTS]))
        return meant.slope.abs() * meant.log.exp()


class _Cells(_SingleRows):
    """Graded answers: F(c_k - eta) - F(c_(k-1) - eta)."""

    def _ends(self, eta: torch.Tensor, values: FloatArray) -> tuple[torch.Tensor, torch.Tensor]:
        bounds = np.concatenate([[-np.inf], values[CUTS:], [np.inf]])
        cuts = torch.tensor(bounds, device=self.device)
        return cuts[self.outcome] - eta, cuts[self.outcome + 1] - eta

    def _meant(self, eta: torch.Tensor, values: FloatArray) -> RowTerms:
        low, high = self._ends(eta, values)
        log = _log_cell(low, high, self.probit)
        at_low, at_high = self._ratios(low, high, log)
        of_values = {}
        for k in range(self.n_outcomes - 1):
            above, below = self.outcome == k + 1, self.outcome == k
            of_values[CUTS + k] = torch.where(below, at_high, 0.0) - torch.where(above, at_low, 0.0)
        return RowTerms(log, at_low - at_high, of_values)

    def _ratios(
        self, low: torch.Tensor, high: torch.Tensor, log: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """f(low) / P and f(high) / P."""
        ends = (torch.exp(_log_pdf(end, self.probit) - log) for end in (low, high))
        return next(ends), next(ends)

    def _bend(self, eta: torch.Tensor, values: FloatArray, meant: RowTerms) -> torch.Tensor:
        low, high = self._ends(eta, values)
        if not self.probit:
            return sum((_log_pdf(end, False).exp() for end in (low, high)), torch.zeros_like(eta))
        at_low, at_high = self._ratios(low, high, meant.log)
        # An end that is infinite has no density: it is not to become infinity times zero.
        low, high = (torch.where(end.isinf(), 0.0, end) for end in (low, high))
        return meant.slope**2 + high * at_high - low * at_low


class _Ties(_SingleRows):
    """Choices between two with ties."""

    def _meant(self, eta: torch.Tensor, values: FloatArray) -> RowTerms:
        left, tie = 0.5 * (eta + float(values[POSITION])), float(values[TIE])
        log_total = self._log_total(left, tie)
        tied = self.outcome == 1
        side = self.outcome.to(torch.float64) - 1.0
        log = torch.where(tied, tie, side * left) - log_total
        slope = 0.5 * (side - torch.exp(left - log_total) + torch.exp(-left - log_total))
        of_tie = tied.to(torch.float64) - torch.exp(tie - log_total)
        return RowTerms(log, slope, {TIE: of_tie, POSITION: slope})

    def _log_total(self, left: torch.Tensor, tie: float) -> torch.Tensor:
        top = left.abs().clamp(min=tie)
        sides = torch.exp(left - top) + torch.exp(-left - top)
        return top + torch.log(sides + torch.exp(tie - top))

    def _bend(self, eta: torch.Tensor, values: FloatArray, meant: RowTerms) -> torch.Tensor:
        left, tie = 0.5 * (eta + float(values[POSITION])), float(values[TIE])
        log_total = self._log_total(left, tie)
        one, other = torch.exp(left - log_total), torch.exp(-left - log_total)
        return 0.25 * (one + other - (one - other) ** 2)


class _Stages(TorchRows):
    """Choices among several: 1 / (1 + sum exp(-eta)) over the rows of a stage."""

    def __init__(self, rows: ChoiceRows, device: torch.device) -> None:
        super().__init__(rows, device)
        sizes = np.diff(rows.stages)
        of_row = torch.tensor(np.repeat(np.arange(len(sizes)), sizes), device=device)
        self.stages = StageSums(SparseSums.of_ranges(rows.stages, device), of_row)
        self.other = 1.0 - self.outcome.to(torch.float64)
        self.even = torch.tensor(1.0 / (sizes + 1.0), device=device)

    def _meant(self, eta: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Log probabilities of stages without lapses, and each other alternative's, (n_rows,)."""
        sums, of_row = self.stages
        top = sums.largest(-eta).clamp(min=0.0)
        others = torch.exp(-eta - top[of_row])
        total = torch.exp(-top) + sums.times(others)
        log = -top - total.log() - sums.times(self.other * eta)
        return log, others / total[of_row]

    def terms(self, eta: torch.Tensor, values: FloatArray) -> RowTerms:
        """Log probabilities and slopes; see `TorchRows.terms`."""
        log, chances = self._meant(eta)
        slope, lapse = chances - self.other, float(values[LAPSE])
        if not lapse > 0.0:
            return RowTerms(log, slope, {})
        own = (1.0 - lapse) * log.exp()
        mixed = own + lapse * self.even
        share = (own / mixed)[self.stages.of_row]
        return RowTerms(mixed.log(), share * slope, {LAPSE: (self.even - log.exp()) / mixed})

    def curvature(self, eta: torch.Tensor, values: FloatArray) -> Curvature:
        """Minus the second derivatives; see `TorchRows.curvature`."""
        log, chances = self._meant(eta)
        own = (1.0 - float(values[LAPSE])) * log.exp()
        shares = own / (own + float(values[LAPSE]) * self.even)
        return Curvature(shares[self.stages.of_row] * chances, self.stages, chances, shares)


def _log_cdf(x: torch.Tensor, probit: bool) -> torch.Tensor:
    """Log F(x), exact in both tails."""
    return torch.special.log_ndtr(x) if probit else torch.nn.functional.logsigmoid(x)


def _log_pdf(x: torch.Tensor, probit: bool) -> torch.Tensor:
    """Log of the density f(x)."""
    if probit:
        return -0.5 * x**2 - math.log(_ROOT)
    return -x.abs() - 2.0 * torch.log1p(torch.exp(-x.abs()))


def _log_cell(low: torch.Tensor, high: torch.Tensor, probit: bool) -> torch.Tensor:
    """Log probability of the cell from low to high, either of them infinite at the ends."""
    upper = low > 0.0  # reflected into the lower tail, where differences are exact
    first, last = torch.where(upper, -high, low), torch.where(upper, -low, high)
    top = _log_cdf(last, probit)
    return top + torch.log(-torch.expm1(_log_cdf(first, probit) - top))
