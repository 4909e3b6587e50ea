"""Which comparisons no amount of such data identifies, and which directions were never learned.

With S = Cov(mu | data) and prior covariance Sigma0, both on features scaled to like size, the data
contributed the information P = S^-1 - Sigma0^-1. Under a reference prior with sd s per scaled
feature, which replaces the user's own so that its width does not decide, a comparison with
differences d has

    S_ref = (P + I / s^2)^-1,   reference_sd(d) = sqrt(d' S_ref d),
    prior_share(d) = d' S_ref (I / s^2) S_ref d / d' S_ref d,

where prior_share is the share of the remaining variance that comes from the prior: how much the log
variance moves with the log of s^2. Contraction of the posterior along d would not do, since one
unlearned direction is diluted by learned ones.

S is known from draws, and where the data say little P is the difference of two nearly equal
matrices. What is known without error therefore goes first: choices depend on mu through the
differences alone, so P is 0 outside of their row space; and a logistic choice carries at most a
quarter of d d' (p (1 - p) <= 1/4, and a latent spread of users only takes away), so that
0 <= P <= D'D / 4. P is estimated within the row space, and its eigenvalues relative to D'D are
held to that range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref.data import Comparisons
from bayes_pref.data.table import FloatArray
from bayes_pref.diagnostics.identifiability.non_identified import Unlearned, item_groups
from bayes_pref.diagnostics.identifiability.separation import Separation, row_space, separate
from bayes_pref.diagnostics.query import Pairs
from bayes_pref.errors import ModelError
from bayes_pref.models.base import GaussianUsers
from bayes_pref.posterior import Posterior

Flags: TypeAlias = NDArray[np.bool_]

_INFORMATION = 0.25  # most of d d' that one logistic choice can carry
_DRAWS = 4  # per feature: with fewer, the smallest eigenvalues of a covariance are far too small


@dataclass(frozen=True, eq=False)
class Identifiability:
    """What the data identify.

    Attributes
    ----------
    comparisons
        One row a pair: `prior_share` (0 to 1), `reference_sd` (log-odds), `unidentifiable`, `separated`,
        and `direction`, the unlearned direction that dominates an unidentifiable pair, or -1.
    directions
        One row for each unlearned direction and each feature that takes part in it: `direction`,
        `feature`, `loading` (of a unit vector over scaled features), `prior_share`, `sd` (log-odds
        per unit length), and `reason`, a sentence.
    spectrum
        (d,) share of the prior in the d principal directions of what is left uncertain, falling.
    separated_by
        Features along which the choices bound the weights on one side only.
    """

    comparisons: pd.DataFrame
    directions: pd.DataFrame
    spectrum: FloatArray
    separated_by: tuple[str, ...]


def unsupported(posterior: Posterior) -> str | None:
    """Say why this posterior cannot support the verdict, or return None if it can.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=5, features=["length"], seed=0)
    >>> refusal(bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))) is None
    True
    """
    model = type(posterior.model).__name__
    if not posterior.run.joint:
        return (
            "this posterior comes from SVI(guide='mean_field'), which holds all weights to be "
            "independent and so cannot show which features the data never separate; fit again "
            "with bp.Gibbs(), bp.NUTS() or another guide"
        )
    if _prior(posterior) is None or "mu" not in posterior.draws:
        return (
            f"{model} has no population mean weights with a normal prior, whose posterior "
            "covariance shows what the data never separate; fit a HierarchicalReward to the same "
            "comparisons"
        )
    n_draws = posterior.draws.sizes["chain"] * posterior.draws.sizes["draw"]
    needed = _DRAWS * posterior.comparisons.n_features
    if n_draws < needed:
        return (
            f"{n_draws:,} draws do not give the covariance of "
            f"{posterior.comparisons.n_features:,} weights; draw at least {needed:,}"
        )
    return None


def _prior(posterior: Posterior) -> GaussianUsers | None:
    """The Gaussian users of the model, given what else it says of them."""
    model, comparisons = posterior.model, posterior.comparisons
    cause = model.shared_cause(comparisons)
    return model.gaussian_users(comparisons) if cause is None else cause.gaussian


def units(comparisons: Comparisons, difference: FloatArray) -> FloatArray:
    """Size of a typical difference in each feature, (d,) raw units.

    That of the data, `comparisons.feature_scale`; but a feature that never differs in the data has
    no size there, and takes the typical size of its differences (n, d) in the pairs asked about.
    """
    unseen = ~comparisons.difference.any(axis=0) & difference.any(axis=0)
    if comparisons.features.indicators or not unseen.any():
        return comparisons.feature_scale
    some = (difference != 0).sum(axis=0)
    largest = np.abs(difference).max(axis=0)
    relative = difference / np.where(largest > 0, largest, 1.0)
    typical = largest * np.sqrt((relative**2).sum(axis=0) / np.maximum(some, 1))
    return np.where(unseen, typical, comparisons.feature_scale)


def assess(
    posterior: Posterior,
    pairs: Pairs,
    *,
    reference_sd: float = 1.0,
    share: float = 0.5,
    least_sd: float = 0.25,
) -> Identifiability:
    """Tell which pairs the data identify.

    Parameters
    ----------
    posterior
        One that `unsupported` accepts.
    pairs
        Pairs to judge.
    reference_sd
        s, log-odds per scaled unit of a feature.
    share
        prior_share above which more than the prior's fair share of the uncertainty is the prior's.
    least_sd
        reference_sd, in log-odds, up to which the uncertainty is too small to matter.

    Returns
    -------
    Identifiability

    Raises
    ------
    ModelError
        If `unsupported` gives a reason.

    Notes
    -----
    Two kinds of pairs are unidentifiable whatever their numbers: those that differ in a feature
    that never differs in the data, whose unit is unknown, and those across groups of items that
    nobody compared with one another. A pair of which only the size is unknown, because all choices
    agree, is `separated` and not unidentifiable, if other choices on the same pairs would have
    identified it.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_pairs
    >>> world = bp.simulate(users=40, features=["length", "detail"], aliased=1, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> new = pd.DataFrame({"length": [1.0, 1.0], "detail": [1.0, 0.0], "context_1": 0.0})
    >>> found = assess(posterior, read_pairs(posterior, new))
    >>> found.comparisons["unidentifiable"].tolist()
    [False, True]
    >>> print(found.directions["reason"][0])
    the data never separate 'length' and 'detail' (correlation 1.00 in your pairs)
    """
    reason = unsupported(posterior)
    if reason:
        raise ModelError(reason)
    comparisons = posterior.comparisons
    scale = units(comparisons, pairs.difference)
    shown, asked = comparisons.difference / scale, pairs.difference / scale
    most = _INFORMATION * shown.T @ shown
    reference = _Reference.of(_information(posterior, shown, scale), reference_sd)
    mean = posterior.draws["mu"].mean(("chain", "draw")).to_numpy() * scale
    separation = separate(shown, comparisons.choice, mean)

    elasticity, sd = reference.describe(asked)
    separated = separation.affects(asked)
    unidentifiable = (elasticity > share) & (sd > least_sd)
    if separated.any():
        elastic, wide = _Reference.of(most, reference_sd).describe(asked)
        unidentifiable &= ~separated | ((elastic > share) & (wide > least_sd))
    unidentifiable |= _never_compared(comparisons, asked)
    unlearned = Unlearned.of(comparisons, shown, reference.directions(share), separation)
    frame = pd.DataFrame(
        {
            "prior_share": elasticity,
            "reference_sd": sd,
            "unidentifiable": unidentifiable,
            "separated": separated,
            "direction": np.where(unidentifiable, unlearned.dominating(asked), -1),
        }
    )
    shares, sds = reference.describe(unlearned.vectors.T)
    return Identifiability(
        frame,
        unlearned.frame(shares, sds),
        reference.spectrum,
        _features_of(separation, comparisons.feature_names),
    )


@dataclass(frozen=True, eq=False)
class _Reference:
    """S_ref / s^2 by its eigenvalues, falling, and eigenvectors; s."""

    spectrum: FloatArray
    vectors: FloatArray
    sd: float

    @classmethod
    def of(cls, information: FloatArray, sd: float) -> _Reference:
        values, vectors = np.linalg.eigh(information)
        return cls(1.0 / (1.0 + values.clip(0.0) * sd**2), vectors, sd)

    def describe(self, differences: FloatArray) -> tuple[FloatArray, FloatArray]:
        """prior_share and reference_sd of scaled differences (n, d); 0 and 0 where nothing differs."""
        squares = (differences @ self.vectors) ** 2
        variance = squares @ self.spectrum
        from_prior = squares @ self.spectrum**2
        elasticity = from_prior / np.where(variance > 0, variance, 1.0)
        return elasticity, self.sd * np.sqrt(variance)

    def directions(self, share: float) -> FloatArray:
        """(d, m) principal directions in which the prior has more than that share."""
        return self.vectors[:, self.spectrum > share]


def _information(posterior: Posterior, shown: FloatArray, scale: FloatArray) -> FloatArray:
    """P: what the data say of mu on scaled features, (d, d)."""
    basis, energy = row_space(shown)
    if not energy.size:
        return np.zeros((len(scale), len(scale)))
    prior = _prior(posterior)
    assert prior is not None  # or `unsupported` had given a reason
    draws = posterior.draws["mu"].transpose("chain", "draw", "feature").to_numpy()
    # One unit of each coordinate is what all rows together could tell at most four times.
    towards = basis * np.sqrt(energy)
    learned = draws.reshape(-1, len(scale)) * scale @ towards
    precision = np.linalg.inv(np.atleast_2d(np.cov(learned.T)))
    before = np.linalg.inv((towards * (prior.mean_sd * scale)[:, None] ** 2).T @ towards)
    values, vectors = np.linalg.eigh(precision - before)
    root = towards @ vectors
    return np.asarray((root * values.clip(0.0, _INFORMATION)) @ root.T)


def _never_compared(comparisons: Comparisons, asked: FloatArray) -> Flags:
    """Whether pairs differ in what never differs in the data, or lie across groups of items."""
    if comparisons.features.indicators:
        k = len(comparisons.features.attributes)
        weight = np.abs(asked).max(axis=1, initial=0.0)
        # Within a group, what one item gains another loses.
        gained = asked[:, :k] @ (item_groups(comparisons)[:, None] == np.arange(k))
        return np.asarray((np.abs(gained) > 1e-9 * weight[:, None]).any(axis=1))
    never = ~comparisons.difference.any(axis=0)
    # Scaled by the pairs themselves, so that rounding errors are small and all else is not.
    return np.asarray((np.abs(asked[:, never]) > 1e-9).any(axis=1))


def _features_of(separation: Separation, names: tuple[str, ...]) -> tuple[str, ...]:
    part = np.linalg.norm(separation.directions, axis=1)
    return tuple(name for name, size in zip(names, part, strict=True) if size > 0.1)
