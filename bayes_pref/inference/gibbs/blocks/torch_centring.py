"""The parametrisation of `kernels.partial_centring` on a torch device, for all users of a block.

With B = I + L' H L = C C' and u = C^-1 L' (h - H m), deviations are v = C'^-1 (u + zeta) and
weights m + L v. Arrays have users first: m, v and zeta are (n_users, d).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch


class Centring(ABC):
    """What depends on the population and the expansion alone.

    Parameters
    ----------
    lower
        (d, d): L.
    information, linear
        H, (n_users, d, d) or its diagonals (n_users, d), and h, (n_users, d).
    mean
        (n_users, d): m.
    """

    def __init__(
        self,
        lower: torch.Tensor,
        information: torch.Tensor,
        linear: torch.Tensor,
        mean: torch.Tensor,
    ) -> None:
        self.lower = lower
        self.mean = mean

    @abstractmethod
    def deviations(self, zeta: torch.Tensor) -> torch.Tensor:
        """V at zeta."""

    @abstractmethod
    def standardised(self, v: torch.Tensor) -> torch.Tensor:
        """Zeta at v."""

    @abstractmethod
    def weights(self, v: torch.Tensor) -> torch.Tensor:
        """Weights at v."""

    @abstractmethod
    def zeta_slope(self, v: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        """Gradient in zeta of log likelihood - |v|^2 / 2, of the slope in weights."""

    @abstractmethod
    def log_volume(self) -> torch.Tensor:
        """(n_users,): log |dv / dzeta|."""

    @abstractmethod
    def slopes(
        self, zeta: torch.Tensor, v: torch.Tensor, slope: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients of the log density given zeta: in m, and in L summed over users, (d, d)."""


class DiagonalCentring(Centring):
    """H and L are diagonal."""

    def __init__(
        self,
        lower: torch.Tensor,
        information: torch.Tensor,
        linear: torch.Tensor,
        mean: torch.Tensor,
    ) -> None:
        super().__init__(lower, information, linear, mean)
        self.scale, self.information = lower.diagonal(), information
        self.root = torch.sqrt(1.0 + self.scale**2 * information)
        self.score = linear - information * mean
        self.centre = self.scale * self.score / self.root

    def deviations(self, zeta: torch.Tensor) -> torch.Tensor:
        """V at zeta."""
        return (self.centre + zeta) / self.root

    def standardised(self, v: torch.Tensor) -> torch.Tensor:
        """Zeta at v."""
        return self.root * v - self.centre

    def weights(self, v: torch.Tensor) -> torch.Tensor:
        """Weights at v."""
        return self.mean + self.scale * v

    def zeta_slope(self, v: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        """Gradient in zeta; see `Centring.zeta_slope`."""
        return (self.scale * slope - v) / self.root

    def log_volume(self) -> torch.Tensor:
        """(n_users,): log |dv / dzeta|."""
        return -torch.log(self.root).sum(1)

    def slopes(
        self, zeta: torch.Tensor, v: torch.Tensor, slope: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients in m and L; see `Centring.slopes`."""
        bend = self.scale * self.information
        q = self.zeta_slope(v, slope)
        r = q / self.root
        of_root = -(q * v + (q * self.centre + 1.0) / self.root)
        of_scale = slope * v + r * self.score + of_root * bend / self.root
        return slope - bend * r, torch.diag(of_scale.sum(0))


class FullCentring(Centring):
    """H is a matrix; L is triangular or diagonal."""

    def __init__(
        self,
        lower: torch.Tensor,
        information: torch.Tensor,
        linear: torch.Tensor,
        mean: torch.Tensor,
    ) -> None:
        super().__init__(lower, information, linear, mean)
        self.one = torch.eye(len(lower), dtype=lower.dtype, device=lower.device)
        self.below = torch.ones_like(self.one).tril() > 0.0
        self.scaled = (information @ lower).mT  # L' H
        self.score = linear - _times(information, mean)
        # Of a proposal that lost a number no error, but numbers that are none.
        self.root = torch.linalg.cholesky_ex(self.one + self.scaled @ lower).L
        # B has no eigenvalue below one, so that its inverse is as exact as what is solved with it.
        every = self.one.expand(self.root.shape)
        self.inverse = torch.linalg.solve_triangular(self.root, every, upper=False)
        self.centre = _times(self.inverse, self.score @ lower)
        self.pulled = (self.inverse @ self.scaled).flatten(0, 1)  # C^-1 L' H, user by user

    def deviations(self, zeta: torch.Tensor) -> torch.Tensor:
        """V at zeta."""
        return _times(self.inverse.mT, self.centre + zeta)

    def standardised(self, v: torch.Tensor) -> torch.Tensor:
        """Zeta at v."""
        return _times(self.root.mT, v) - self.centre

    def weights(self, v: torch.Tensor) -> torch.Tensor:
        """Weights at v."""
        return self.mean + v @ self.lower.T

    def zeta_slope(self, v: torch.Tensor, slope: torch.Tensor) -> torch.Tensor:
        """Gradient in zeta; see `Centring.zeta_slope`."""
        return _times(self.inverse, slope @ self.lower - v)

    def log_volume(self) -> torch.Tensor:
        """(n_users,): log |dv / dzeta|."""
        return -torch.log(self.root.diagonal(dim1=1, dim2=2)).sum(1)

    def slopes(
        self, zeta: torch.Tensor, v: torch.Tensor, slope: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Gradients in m and L; see `Centring.slopes`."""
        q, x, u = self.zeta_slope(v, slope), self.centre + zeta, self.centre
        r = _times(self.inverse.mT, q)
        # In L by way of C: minus the sum of H L C'^-1 T C^-1, where T is symmetric and its lower
        # triangle that of x q' + q u' + I.
        outer = torch.stack([x, q], dim=2) @ torch.stack([q, u], dim=1)
        whole = torch.where(self.below, outer, outer.mT) + self.one
        of_root = self.pulled.T @ (whole @ self.inverse).flatten(0, 1)
        of_lower = slope.T @ v + self.score.T @ r - of_root
        return slope - _times(self.scaled.mT, r), of_lower.tril()


def _times(matrices: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """(n_users, d) products of matrices (n_users, d, d) and vectors (n_users, d)."""
    return (matrices @ vectors[:, :, None])[:, :, 0]
