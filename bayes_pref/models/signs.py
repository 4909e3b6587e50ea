"""Weights of one sign: a user's weight is log-normal, sign * exp(z), with z Gaussian over users.

    v_i ~ Normal(location + known terms, Sigma),   w_ik = sign_k exp(v_ik) or, without a sign, v_ik

The population stays Gaussian in v, so that covariates, correlations and new users are what they are
without constraints, and every user obeys, new ones included. Reported are `mu`, the weight of the
median user (one at the mean of the regressors), sign_k exp(location_k); and `tau`, the standard
deviation of users' weights around such users, |mu_k| sqrt(V (V - 1)) with V = exp(s_k^2) and s_k
the sd of v. Both are in log-odds per raw unit, as without a sign, and give location and s_k back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from bayes_pref.types import FloatArray, Mask


@dataclass(frozen=True, eq=False)
class Signs:
    """Which weights have a sign, and the prior mean of their logarithms.

    Attributes
    ----------
    sign
        (n_features,) -1, 1, or 0 for either.
    centre
        (n_features,): prior mean of `location`: of log |mu| with a sign, and 0 without.

    Examples
    --------
    >>> signs = Signs(np.array([-1.0, 0.0]), np.zeros(2))
    >>> signs.weights(np.array([0.0, 3.0])), signs.location(np.array([-1.0, 3.0]))
    (array([-1.,  3.]), array([0., 3.]))
    """

    sign: FloatArray
    centre: FloatArray

    @property
    def on(self) -> Mask:
        """(n_features,) whether a feature has a sign."""
        return np.asarray(self.sign != 0.0)

    def weights(self, gaussian: FloatArray) -> FloatArray:
        """Weights (..., n_features) of Gaussian values v."""
        made = np.array(gaussian)
        made[..., self.on] = self.sign[self.on] * np.exp(made[..., self.on])
        return made

    def location(self, weights: FloatArray) -> FloatArray:
        """Gaussian values v (..., n_features) of weights."""
        made = np.array(weights)
        made[..., self.on] = np.log(self.sign[self.on] * made[..., self.on])
        return made

    def log_spread(self, mu: FloatArray, tau: FloatArray) -> FloatArray:
        """Sds of v (..., n_features) of those of the weights, `tau`.

        Examples
        --------
        >>> signs = Signs(np.array([-1.0, 0.0]), np.zeros(2))
        >>> mu, spread = np.array([-2.0, 3.0]), np.array([0.5, 0.5])
        >>> signs.log_spread(mu, signs.spread(mu, spread)).round(12)
        array([0.5, 0.5])
        """
        made = np.array(tau)
        square = (made[..., self.on] / mu[..., self.on]) ** 2
        # V (V - 1) = square, for V - 1 without the loss of digits of a small one.
        made[..., self.on] = np.sqrt(np.log1p(2 * square / (1 + np.sqrt(1 + 4 * square))))
        return made

    def spread(self, mu: FloatArray, log_spread: FloatArray) -> FloatArray:
        """Sds of the weights, `tau`, of those of v (..., n_features)."""
        found = self.spread_of(torch.as_tensor(mu), torch.as_tensor(log_spread))
        return np.asarray(found.numpy())

    def weights_of(self, gaussian: torch.Tensor) -> torch.Tensor:
        """`weights` of a tensor."""
        on, sign = torch.as_tensor(self.on), torch.as_tensor(self.sign)
        # Not exp of the others, whose overflow would spoil gradients.
        sizes = torch.where(on, gaussian, torch.zeros_like(gaussian)).exp()
        return torch.where(on, sign * sizes, gaussian)

    def spread_of(self, mu: torch.Tensor, log_spread: torch.Tensor) -> torch.Tensor:
        """`spread` of tensors."""
        on = torch.as_tensor(self.on)
        square = torch.where(on, log_spread, torch.zeros_like(log_spread)) ** 2
        return torch.where(on, mu.abs() * (square.exp() * square.expm1()).sqrt(), log_spread)

    def prior_sd(self, mean_sd: FloatArray) -> FloatArray:
        """Prior sd (n_features,) of mu, of that of `location`."""
        made, log_sd = np.array(mean_sd), mean_sd[self.on]
        size = np.exp(self.centre[self.on] + 0.5 * log_sd**2)
        made[self.on] = size * np.sqrt(np.expm1(log_sd**2))
        return made
