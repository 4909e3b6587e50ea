"""Users whose comparisons are replaced by pseudo-observations: exact draws and their gradients.

    w ~ Normal(loc, S S'),  data ~ Normal(L' w, I)

Draws come by perturbing and solving (Papandreou & Yuille 2010). Whatever is as expensive as a
factorisation is done once, without gradients; first-order terms around its result then have
exactly the gradients of the draw and of its density, at the price of products with vectors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pyro.distributions as dist
import torch

Tensor = torch.Tensor

_LOG_2PI = math.log(2 * math.pi)


@dataclass(frozen=True)
class Conditional:
    """Gaussian prior of a user's weights: loc + scale x, x standard normal.

    Attributes
    ----------
    loc
        (..., users, d)
    scale
        (..., users, d) of independent weights, or (..., d, d) lower triangular.
    triangular
        Which of the two.
    """

    loc: Tensor
    scale: Tensor
    triangular: bool = False

    @classmethod
    def of(cls, fn: Any) -> Conditional | None:
        """Read the prior of a site in the plate of users, or None where it is not Gaussian.

        A prior that a plate repeats is read once: (1, users, d) or (users, d).
        """
        scalar = not fn.event_shape
        while isinstance(fn, dist.Independent):
            fn = fn.base_dist
        if isinstance(fn, dist.MultivariateNormal):
            # Its scale_tril would be one matrix a user, though most models share one.
            return cls(_once(fn.loc, 2), fn._unbroadcasted_scale_tril, True)
        if not isinstance(fn, dist.Normal):
            return None
        loc, scale = (fn.loc[..., None], fn.scale[..., None]) if scalar else (fn.loc, fn.scale)
        return cls(_once(loc, 2), _once(scale, 2))

    def sd(self) -> Tensor:
        """Prior sd of each weight, (..., users, d)."""
        sd = (self.scale**2).sum(-1).sqrt() if self.triangular else self.scale
        return sd.expand_as(self.loc)

    def loadings(self, raw: Tensor) -> Tensor:
        """Loadings on the standardised weights, (..., users, d, k)."""
        return self.scale.mT @ raw if self.triangular else self.scale[..., None] * raw

    def place(self, x: Tensor) -> Tensor:
        """Weights from standardised ones, (..., users, d)."""
        if self.triangular:
            return self.loc + torch.einsum("...dk,...k->...d", self.scale, x)
        return self.loc + self.scale * x

    def log_volume(self) -> Tensor:
        """Log |scale|, (..., users)."""
        diagonal = self.scale.diagonal(dim1=-2, dim2=-1) if self.triangular else self.scale
        return diagonal.log().sum(-1)


def _once(tensor: Tensor, keep: int) -> Tensor:
    """Undo the repetition of leading dimensions, the last `keep` excepted."""
    index = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in tensor.stride()[:-keep])
    return tensor[index]


def _times(matrix: Tensor, vector: Tensor) -> Tensor:
    """Product of each user's matrix and vectors; one factor may lack leading dimensions."""
    return torch.einsum("...udk,...uk->...ud", matrix, vector)


def _transposed(matrix: Tensor, vector: Tensor) -> Tensor:
    return torch.einsum("...udk,...ud->...uk", matrix, vector)


def draw_given_pseudo_data(
    prior: Conditional, loadings: Tensor, data: Tensor, shape: torch.Size
) -> tuple[Tensor, Tensor]:
    """Draw weights w from prior(w) Normal(data; loadings' w, I), with their log density.

    Parameters
    ----------
    prior
        Of the weights.
    loadings, data
        (users, d, k) and (users, k); constants, through which no gradients flow.
    shape
        (..., users) of the draws; leading dimensions that `prior` lacks repeat it.

    Returns
    -------
    weights, log_density
        (..., users, d) and (..., users), with gradients with respect to the prior.
    """
    M = prior.loadings(loadings)
    residual = data - _transposed(loadings, prior.loc)
    b = _times(M, residual)
    noise = [torch.randn((*shape, size), dtype=M.dtype) for size in M.shape[-2:]]
    right = b + _times(M, noise[1]) + noise[0]
    with torch.no_grad():
        identity = torch.eye(M.shape[-2], dtype=M.dtype)
        factor = torch.linalg.cholesky(identity + M @ M.mT)
        covariance = torch.cholesky_inverse(factor)
        start, mean = _times(covariance, right), _times(covariance, b)
        log_factor = factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        whitened = _transposed(factor, start - mean)
        value = log_factor - 0.5 * (whitened**2).sum(-1) - 0.5 * M.shape[-2] * _LOG_2PI
        pull = covariance @ M
    # Equal to start; its derivative is that of solving (I + M M') x = right.
    x = start + _times(covariance, right - start - _times(M, _transposed(M, start)))
    slope = (
        ((x - mean) * b).sum(-1)
        - 0.5 * (x**2).sum(-1)
        - 0.5 * (_transposed(M, x) ** 2).sum(-1)
        + 0.5 * (_transposed(M, mean) ** 2).sum(-1)
        + (pull * M).sum((-2, -1))
    )
    log_density = value + slope - slope.detach() - prior.log_volume()
    return prior.place(x), log_density
