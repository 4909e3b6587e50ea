"""A Gaussian belief about the population and every user, which answers yet to come can update.

With gamma the coefficients of the population (mu and those of known regressors), F_i gamma the mean
weights of user i, and Sigma the covariance of the users' weights around them,


    gamma ~ Normal(., S),   w_i | gamma ~ Normal(. + L_i' (gamma - .), C_i),
    L_i = F_i' Sigma^-1 C_i

An answer of information kappa about eta = d . w_i changes C_i, L_i and S by a matrix of rank one
each, and nothing else: users are independent given gamma. What is to be learned is about the mean
of some weights: of those of the u fitted users, their own noise C_i / u included, or of new ones,
which is mu.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from bayes_pref.draws import evenly_spaced, stacked
from bayes_pref.errors import ModelError
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray

_MOST_DRAWS = 4000
_ROUNDS = 20  # of the fixed point for C_i, which converges as fast as there are users
_RIDGE = 1e-9  # relative to the trace


@dataclass(eq=False)
class Belief:
    """Means and covariances; units of eta per raw unit of the features.

    Attributes
    ----------
    mean
        (u, d) posterior means of the users' weights.
    own
        (u, d, d) C_i.
    lift
        (u, m, d) L_i.
    centre, shared
        (m,) and (m, m): posterior mean of gamma, and S. The first d of the m are mu.
    spread
        (d, d) Sigma.
    middle, noise, share
        (m, d) mean of L_i and (d, d) variance of the mean of the w_i given gamma, over all fitted
        users; and 1 / u, or 0 where the mean of new users' weights is to be learned.
    typical
        (d,) posterior mean of that mean.
    """

    mean: FloatArray
    own: FloatArray
    lift: FloatArray
    centre: FloatArray
    shared: FloatArray
    spread: FloatArray
    middle: FloatArray
    noise: FloatArray
    share: float
    typical: FloatArray

    @classmethod
    def read(cls, posterior: Posterior) -> Self:
        """Read the belief from draws.

        S and the covariances V_i of the users' weights are those of the draws. C_i follows from
        V_i = C_i + L_i' S L_i, and L_i from C_i. Read off as covariances of w_i and gamma instead,
        L_i would be as noisy as the draws are few, and a search over many questions would find the
        noise.

        Raises
        ------
        ModelError
            If users are not Gaussian around a mean that known regressors give.
        """
        spec = posterior.model.spec(posterior.comparisons)
        if spec is None or not spec.gaussian or spec.signs is not None:
            raise ModelError(
                f"this {type(posterior.model).__name__} has no users who are Gaussian around the "
                "population; what to ask is worked out for bp.PooledReward() and for "
                "bp.HierarchicalReward() without constraints= and observational_bias="
            )
        draws = posterior.draws
        if not spec.pooled:  # which a summary refuses by name
            draws = draws.assign(weights=posterior.model.user_weights(draws))
        kept = evenly_spaced(draws.sizes["chain"] * draws.sizes["draw"], _MOST_DRAWS)
        known = spec.known
        blocks = [stacked(draws, "mu", "feature")[kept][:, :, None]]
        blocks += [stacked(draws, term.name, "feature", term.dim)[kept] for term, _ in known]
        gamma = np.concatenate(blocks, axis=2)  # (sample, feature, regressor)
        n, d, p = gamma.shape
        gamma = gamma.swapaxes(1, 2).reshape(n, p * d)
        centre, shared = gamma.mean(axis=0), np.atleast_2d(np.cov(gamma, rowvar=False))
        if spec.pooled:
            own, lift = np.zeros((1, d, d)), np.eye(d)[None]
            none = np.zeros((d, d))
            return cls(
                centre[None, :d], own, lift, centre, shared, none, lift[0], none, 0.0, centre
            )
        users = posterior.comparisons.n_users
        regressors = np.hstack([np.ones((users, 1)), *(values for _, values in known)])
        tau = stacked(draws, "tau", "feature")[kept]
        if "correlation" in draws:
            found = stacked(draws, "correlation", "feature", "feature_bis")[kept]
            spread = np.einsum("sd,sde,se->de", tau, found, tau, optimize=True) / n
        else:
            spread = np.diag((tau**2).mean(axis=0))
        weights = stacked(draws, "weights", "user", "feature")[kept]
        mean = weights.mean(axis=0)
        weights = (weights - mean).transpose(1, 2, 0)
        total = weights @ weights.swapaxes(1, 2) / (n - 1)
        own, lift = _apart(total, shared, spread, regressors)
        middle, noise = lift.mean(axis=0), own.mean(axis=0) / users
        return cls(
            mean, own, lift, centre, shared, spread, middle, noise, 1.0 / users, mean.mean(axis=0)
        )

    @property
    def n_users(self) -> int:
        """Number of users, u."""
        return len(self.mean)

    def copy(self) -> Belief:
        """Return a belief that updates of this one leave as it is."""
        return self.of_users(np.arange(self.n_users))

    def of_users(self, users: IntArray) -> Belief:
        """Return a copy in which these users can be asked, in their order."""
        return replace(
            self,
            mean=self.mean[users],
            own=self.own[users],
            lift=self.lift[users],
            shared=self.shared.copy(),
        )

    def of_new_users(self, count: int) -> Belief:
        """Return a copy about users of whom nothing is known, at the mean of the regressors."""
        d, m = len(self.spread), len(self.centre)
        return replace(
            self,
            mean=np.tile(self.centre[:d], (count, 1)),
            own=np.tile(self.spread, (count, 1, 1)),
            lift=np.tile(np.eye(m, d), (count, 1, 1)),
            shared=self.shared.copy(),
            middle=np.eye(m, d),
            noise=np.zeros((d, d)),
            share=0.0,
            typical=self.centre[:d],
        )

    def average(self, difference: FloatArray) -> tuple[FloatArray, FloatArray]:
        """(n,) mean and variance of differences (n, d) times the mean weights."""
        above = difference @ self.middle.T
        variance = ((above @ self.shared) * above).sum(axis=1)
        variance += ((difference @ self.noise) * difference).sum(axis=1)
        return difference @ self.typical, variance

    def covariance(self, users: IntArray) -> FloatArray:
        """(n, d, d) covariances V_i of the weights of users."""
        own, lift = self.own[users], self.lift[users]
        return np.asarray(own + lift.swapaxes(1, 2) @ self.shared @ lift)

    def between(self, difference: FloatArray) -> FloatArray:
        """(n,) variances over the users of their d . w, for differences (n, d)."""
        away = self.mean - self.typical
        covariance = away.T @ away / len(away) + self.own.mean(axis=0)
        return np.asarray(((difference @ covariance) * difference).sum(axis=1))

    def with_average(self, users: IntArray) -> FloatArray:
        """(n, d, d) covariances of the mean weights with those of users."""
        return np.asarray(
            self.share * self.own[users] + self.middle.T @ self.shared @ self.lift[users]
        )

    def learn(self, user: int, difference: FloatArray, precision: float) -> None:
        """Update, in place, by an answer of one user with this information about d . w_i.

        Parameters
        ----------
        user
            Position of the user.
        difference
            (d,)
        precision
            kappa: inverse variance of the answer, taken for an observation of d . w_i.
        """
        own, lift = self.own[user], self.lift[user]
        along, above = own @ difference, lift @ difference
        noise = 1.0 / precision + difference @ along
        seen = self.shared @ above
        self.shared -= np.outer(seen, seen) / (noise + above @ seen)
        self.lift[user] = lift - np.outer(above, along) / noise
        self.own[user] = own - np.outer(along, along) / noise
        self.middle = self.middle - self.share * np.outer(above, along) / noise
        self.noise = self.noise - self.share**2 * np.outer(along, along) / noise


def _apart(
    total: FloatArray, shared: FloatArray, spread: FloatArray, regressors: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """C_i and L_i, given V_i, S, Sigma and the regressors f_i, where F_i = f_i' (x) I."""
    d, p = len(spread), regressors.shape[1]
    inverse = np.linalg.inv(spread + _RIDGE * np.trace(spread) * np.eye(d))
    blocks = shared.reshape(p, d, p, d)
    of_means = np.einsum("up,pdqe,uq->ude", regressors, blocks, regressors, optimize=True)
    pulled = inverse @ of_means @ inverse
    own = total
    for _ in range(_ROUNDS):  # V = C + C K C
        own = total @ np.linalg.inv(np.eye(d) + pulled @ own)
        own = (own + own.swapaxes(1, 2)) / 2
    lift = np.einsum("up,ude->upde", regressors, inverse @ own)
    return own, lift.reshape(len(own), p * d, d)
