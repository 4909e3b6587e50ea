"""The density of `PartialDensity` on a torch device, for all users of a block at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch

from bayes_pref.inference.gibbs.blocks.torch_centring import (
    Centring,
    DiagonalCentring,
    FullCentring,
)
from bayes_pref.inference.gibbs.blocks.torch_likelihood import TorchLikelihood, UserTerms
from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.kernels.centred_batches import SHORT
from bayes_pref.inference.gibbs.population_coordinates import PopulationCoordinates, UserSums
from bayes_pref.types import FloatArray


class Expansion(NamedTuple):
    """H, (n_users, d, d) or its diagonals (n_users, d), and h, (n_users, d), of users."""

    information: torch.Tensor
    linear: torch.Tensor


class PopulationSetting(NamedTuple):
    """The population at one theta, and what it makes of users' expansions."""

    centring: Centring
    values: FloatArray


@dataclass(frozen=True)
class UserPoint:
    """Users at zeta: their deviations v, both (n_users, d), and what their choices say there."""

    zeta: torch.Tensor
    v: torch.Tensor
    terms: UserTerms

    def where(self, chosen: torch.Tensor, other: UserPoint) -> UserPoint:
        """Return these of users who are chosen, (n_users,), and the other points of the rest."""
        whole = chosen[:, None]
        return UserPoint(
            torch.where(whole, self.zeta, other.zeta),
            torch.where(whole, self.v, other.v),
            self.terms.where(chosen, other.terms),
        )


class TorchDensity:
    """Log density of theta and zeta, with expansions that are given.

    Parameters
    ----------
    problem
        The block's data, and the priors of all.
    device
        Where arrays are kept and worked on.
    diagonal
        Whether expansions take feature by feature.
    """

    def __init__(self, problem: ChoiceProblem, device: torch.device, *, diagonal: bool) -> None:
        self.device = device
        self.diagonal = diagonal
        self.coordinates = PopulationCoordinates(problem)
        self.likelihood = TorchLikelihood(problem, device)
        self.design = self.tensor(problem.population.design)
        self.n_users, self.d = self.likelihood.n_users, self.likelihood.d

    def tensor(self, array: FloatArray) -> torch.Tensor:
        """Return a copy on the device."""
        return torch.tensor(array, dtype=torch.float64, device=self.device)

    def normal(self, size: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
        """Return numbers from the standard normal distribution."""
        return torch.randn(size, generator=generator, dtype=torch.float64, device=self.device)

    def nothing(self) -> Expansion:
        """Return an expansion without information."""
        linear = torch.zeros((self.n_users, self.d), dtype=torch.float64, device=self.device)
        return Expansion(linear if self.diagonal else torch.diag_embed(linear), linear)

    def at(self, theta: FloatArray, expansion: Expansion) -> PopulationSetting:
        """Return the population at theta."""
        here = self.coordinates.at(theta)
        mean = self.design @ self.tensor(here.gamma)
        made = DiagonalCentring if self.diagonal else FullCentring
        return PopulationSetting(made(self.tensor(here.lower), *expansion, mean), here.values)

    def expanded(
        self, setting: PopulationSetting, weights: torch.Tensor
    ) -> tuple[Expansion, torch.Tensor]:
        """Expand users' likelihoods at weights (n_users, d); returns their slopes, too."""
        information, slope = self.likelihood.expansion(
            weights, setting.values, diagonal=self.diagonal
        )
        return Expansion(information, slope + self.times(information, weights)), slope

    def times(self, information: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """(n_users, d) H w."""
        if self.diagonal:
            return information * weights
        return (information @ weights[:, :, None])[:, :, 0]

    def point(self, setting: PopulationSetting, zeta: torch.Tensor) -> UserPoint:
        """Return users at zeta."""
        v = setting.centring.deviations(zeta)
        terms = self.likelihood.at(setting.centring.weights(v), setting.values)
        return UserPoint(zeta, v, terms)

    def sums(self, setting: PopulationSetting, point: UserPoint) -> UserSums:
        """Sums over users of the log density without the prior of theta, and of its slopes."""
        zeta, v, terms = point.zeta, point.v, point.terms
        means, lower = setting.centring.slopes(zeta, v, terms.slope)
        each = terms.log - 0.5 * (v**2).sum(1) + setting.centring.log_volume()
        total = each.sum().item()
        found = (self.design.T @ means, lower, terms.of_values.sum(0))
        return UserSums(total, *(part.cpu().numpy() for part in found))

    def move_users(
        self,
        setting: PopulationSetting,
        start: UserPoint,
        angle: float,
        leaps: int,
        generator: torch.Generator,
    ) -> tuple[UserPoint, float]:
        """Move every user's zeta by a trajectory; returns where they are, and mean acceptance.

        As `kernels.user_moves.move_users`, with an angle for each user.
        """
        momentum = self.normal((self.n_users, self.d), generator)
        chance = torch.rand(
            (3, self.n_users, 1), generator=generator, dtype=torch.float64, device=self.device
        )
        turn = angle * (0.9 + 0.2 * chance[0])
        turn = torch.where(chance[1] < SHORT, SHORT * turn, turn)
        cosine, sine = torch.cos(turn), torch.sin(turn)
        energy, point = _energy(start, momentum), start
        for leap in range(leaps + 1):
            slope = setting.centring.zeta_slope(point.v, point.terms.slope)
            kick = turn if 0 < leap < leaps else 0.5 * turn
            momentum = momentum + kick * (slope + point.zeta)
            if leap < leaps:
                new = point.zeta * cosine + momentum * sine
                momentum = momentum * cosine - point.zeta * sine
                point = self.point(setting, new)
        change = energy - _energy(point, momentum)
        # A trajectory that lost a number is refused.
        accepting = torch.where(change.isfinite(), change.clamp(max=0.0).exp(), 0.0)
        return point.where(chance[2, :, 0] < accepting, start), accepting.mean().item()


def _energy(point: UserPoint, momentum: torch.Tensor) -> torch.Tensor:
    """(n_users,) minus the log density of zeta and momentum."""
    return 0.5 * (point.v**2 + momentum**2).sum(1) - point.terms.log
