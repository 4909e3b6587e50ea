"""Identifiability: the share of the remaining uncertainty about a comparison that is the prior's.

With S = Cov(mu | data) and prior covariance Sigma0, both on scaled features, the data contributed
the information P = S^-1 - Sigma0^-1. A reference prior with standard deviation s per scaled feature
replaces the user's own, so that its width does not decide. A comparison with differences d then has

    S_ref = (P + I / s^2)^-1,   reference_sd(d) = sqrt(d' S_ref d),
    prior_share(d) = d' S_ref (I / s^2) S_ref d / d' S_ref d,

where prior_share, the share of the remaining variance due to the prior, is the elasticity of that
variance with respect to s^2. Contraction of the posterior along d would not do, since identified
directions dilute one that is not.

S is estimated from draws, and where the data say little P is the difference of two nearly equal
matrices. Two facts without error are therefore used first. Choices depend on mu through the
differences alone, so P is 0 outside their row space. And no choice carries more than its choice
model allows (a logistic one d d' / 4; `most_information` has the others), and a spread of users
only reduces it, so that 0 <= P <= E'E for rows E that the design gives. P is estimated within the
row space, and its eigenvalues relative to E'E are truncated to [0, 1].

All is in log-odds: with the probit, weights are multiplied by `log_odds_per_unit` first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.identifiability.most_information import most_information
from bayes_pref.diagnostics.identifiability.non_identified import (
    NonIdentified,
    against_most,
    compared,
    item_groups,
    item_places,
)
from bayes_pref.diagnostics.identifiability.separable_rows import separate_answers
from bayes_pref.diagnostics.identifiability.separation import Separation, row_space
from bayes_pref.diagnostics.query import Query, typical_differences
from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS, Thresholds
from bayes_pref.errors import ModelError
from bayes_pref.messages import direction_name
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, Mask

_ALIKE = 0.9  # cosine with the direction of all items, from which a direction is that one
_DRAWS = 4  # least draws a feature: with fewer, the smallest eigenvalues are far too small


@dataclass(frozen=True, eq=False)
class Identifiability:
    """What the data identify.

    Attributes
    ----------
    comparisons
        One row a comparison: `prior_share` (0 to 1), `reference_sd` (log-odds), `unidentifiable`,
        `separated`, and `direction`, the non-identified direction that dominates an unidentifiable
        comparison, or -1.
    directions
        One row for each non-identified direction and feature in it: `direction`, `feature`,
        `loading` (of a unit vector over scaled features), `prior_share`, `sd` (log-odds per unit
        length), and `reason`.
    spectrum
        (d,) share of the prior in the principal directions of the remaining uncertainty, in
        descending order.
    principal
        (d,) what these directions are, in their largest features.
    separated_by
        Features along which the choices are separated; of items, those that stand apart from most.
    """

    comparisons: pd.DataFrame
    directions: pd.DataFrame
    spectrum: FloatArray
    principal: tuple[str, ...]
    separated_by: tuple[str, ...]


def unsupported(posterior: Posterior) -> str | None:
    """Say why identifiability cannot be assessed with this posterior; None if it can.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit`:

    >>> unsupported(posterior) is None
    True
    """
    model = type(posterior.model).__name__
    if not posterior.run.joint:
        return (
            "this posterior comes from SVI(guide='mean_field'), which takes all weights to be "
            "independent and cannot show which features the data never separate; fit again with "
            "bp.Gibbs(), bp.NUTS() or another guide"
        )
    spec = posterior.model.spec(posterior.comparisons)
    if spec is None or spec.components is not None or "mu" not in posterior.draws:
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


def assess(
    posterior: Posterior,
    query: Query,
    *,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    scale: float = 1.0,
) -> Identifiability:
    """Assess which comparisons the data identify.

    Parameters
    ----------
    posterior
        Posterior that `unsupported` accepts.
    query
        n comparisons.
    thresholds
        Its `prior_share` and `reference_sd` are used.
    scale
        Standard deviation s of the reference prior, log-odds per scaled unit of a feature.

    Returns
    -------
    Identifiability

    Raises
    ------
    ModelError
        If `unsupported` gives a reason.

    Notes
    -----
    Two sorts of comparisons are unidentifiable whatever their numbers: those that differ in a
    feature that never differs in the data, whose unit is unknown, and those between items of
    different connected components of the comparison graph. A comparison is `separated` and not
    unidentifiable if other choices on the same pairs would have identified it.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_query
    >>> world = bp.simulate(users=40, features=["length", "detail"], aliased=1, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> new = pd.DataFrame({"length": [1.0, 1.0], "detail": [1.0, 0.0], "context_1": 0.0})
    >>> found = assess(posterior, read_query(posterior, new))
    >>> found.comparisons["unidentifiable"].tolist()
    [False, True]
    >>> print(found.directions["reason"][0])
    the data never separate 'length' and 'detail' (correlation 1.00 in your pairs)
    """
    reason = unsupported(posterior)
    if reason:
        raise ModelError(reason)
    comparisons = posterior.comparisons
    units = typical_differences(comparisons, query.difference)
    asked = query.difference / units
    most = most_information(posterior, units)
    reference = _ReferencePosterior.of(_information(posterior, most, units), scale)
    mean = posterior.draws["mu"].mean(("chain", "draw")).to_numpy() * units
    separation = separate_answers(comparisons, units, mean)

    share, sd = reference.describe(asked)
    separated = separation.affects(asked)
    unidentifiable = (share > thresholds.prior_share) & (sd > thresholds.reference_sd)
    if separated.any():
        # With the largest information that other choices on the same pairs can carry.
        best = _ReferencePosterior.of(most.T @ most, scale)
        least, narrow = best.describe(asked)
        hopeless = (least > thresholds.prior_share) & (narrow > thresholds.reference_sd)
        unidentifiable &= ~separated | hopeless
    unidentifiable |= _never_compared(comparisons, asked, query.difference)
    space = reference.directions(thresholds.prior_share)
    directions = NonIdentified.of(comparisons, compared(comparisons) / units, space, separation)
    frame = pd.DataFrame(
        {
            "prior_share": share,
            "reference_sd": sd,
            "unidentifiable": unidentifiable,
            "separated": separated,
            "direction": np.where(unidentifiable, directions.dominating(asked), -1),
        }
    )
    shares, sds = reference.describe(directions.vectors.T)
    return Identifiability(
        frame,
        directions.frame(shares, sds),
        reference.spectrum,
        tuple(_named(vector, comparisons) for vector in reference.vectors.T),
        _separated_features(comparisons, separation),
    )


def _named(vector: FloatArray, comparisons: Comparisons) -> str:
    """Name a principal direction; that of all items alike is no comparison at all."""
    if comparisons.features.indicators:
        places = item_places(comparisons)
        if abs(vector[places].sum()) > _ALIKE * np.sqrt(len(places)):
            return "all items alike: no origin"
    return direction_name(vector, comparisons.feature_names)


@dataclass(frozen=True, eq=False)
class _ReferencePosterior:
    """S_ref / s^2 by its eigenvalues, in descending order, and eigenvectors; s."""

    spectrum: FloatArray
    vectors: FloatArray
    sd: float

    @classmethod
    def of(cls, information: FloatArray, sd: float) -> _ReferencePosterior:
        """Decompose what the data's information (d, d) leaves of a prior with this sd."""
        values, vectors = np.linalg.eigh(information)
        return cls(1.0 / (1.0 + values.clip(0.0) * sd**2), vectors, sd)

    def describe(self, differences: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return prior_share and reference_sd, (n,), of scaled differences (n, d)."""
        squares = (differences @ self.vectors) ** 2
        variance = squares @ self.spectrum
        from_prior = squares @ self.spectrum**2
        share = from_prior / np.where(variance > 0, variance, 1.0)
        return share, self.sd * np.sqrt(variance)

    def directions(self, share: float) -> FloatArray:
        """Return (d, m) principal directions in which the prior has more than that share."""
        return self.vectors[:, self.spectrum > share]


def _information(posterior: Posterior, most: FloatArray, units: FloatArray) -> FloatArray:
    """P, the information of the data about mu in log-odds on scaled features, (d, d)."""
    basis, energy = row_space(most)
    if not energy.size:
        return np.zeros((len(units), len(units)))
    prior = posterior.model.spec(posterior.comparisons)
    assert prior is not None  # or `unsupported` had given a reason
    draws = posterior.draws["mu"].transpose("chain", "draw", "feature").to_numpy()
    sizes = units * posterior.model.choice_model(posterior.comparisons).log_odds_per_unit
    # Coordinates in which E'E is the identity.
    towards = basis * np.sqrt(energy)
    learned = draws.reshape(-1, len(units)) * sizes @ towards
    precision = np.linalg.inv(np.atleast_2d(np.cov(learned.T)))
    before = np.linalg.inv((towards * (prior.mu_sd * sizes)[:, None] ** 2).T @ towards)
    values, vectors = np.linalg.eigh(precision - before)
    root = towards @ vectors
    return np.asarray((root * values.clip(0.0, 1.0)) @ root.T)


def _never_compared(comparisons: Comparisons, asked: FloatArray, raw: FloatArray) -> Mask:
    """(n,) whether pairs differ in a feature without variation, or lie between item groups.

    `asked` are their scaled differences; `raw`, those in which an outside option counts as an item.
    """
    apart = np.zeros(len(asked), dtype=bool)
    never = ~comparisons.difference.any(axis=0)
    if comparisons.features.indicators:
        places = item_places(comparisons)
        weight = np.abs(raw[:, places]).max(axis=1, initial=0.0)
        # Within a group gains and losses cancel.
        groups = item_groups(comparisons)[:, None] == np.arange(len(places))
        gained = raw[:, places] @ groups
        apart = (np.abs(gained) > 1e-9 * weight[:, None]).any(axis=1)
        never &= ~comparisons.features.of_items
    # The pairs themselves set the unit, so that only rounding errors are small.
    return np.asarray((np.abs(asked[:, never]) > 1e-9).any(axis=1) | apart)


def _separated_features(comparisons: Comparisons, separation: Separation) -> tuple[str, ...]:
    part = np.linalg.norm(against_most(comparisons, separation.directions), axis=1)
    names = comparisons.feature_names
    return tuple(name for name, size in zip(names, part, strict=True) if size > 0.1)
