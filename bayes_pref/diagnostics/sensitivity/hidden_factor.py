"""The largest bias that an unmeasured factor of users can cause, and how strong recorded ones are.

Let U be a factor of users, standardised, that nobody recorded. It explains the share R2_y of the
variance T of users' reward differences d . w (given what was recorded), so that d . w depends on it
with the slope sqrt(R2_y T). The mean over users is learned in proportion to the weights omega_i of
`own_information`; in an average with shares s_i, user i's own answers therefore count by

    c_i = s_i omega_i + (1 - sum_j s_j omega_j) omega_i / sum_j omega_j - s_i

too much. Let R2_x be the squared correlation of U with c, of what c has left after what was
recorded: the share of U that says who was shown what. Then the estimate is off, in log-odds, by

    bias = sqrt(R2_x R2_y) K,   K = sqrt(T) sqrt(u) |c|,

the bias of an omitted variable with partial R2 as in Cinelli & Hazlett (2020, J. R. Stat. Soc. B
82), where what is shown takes the place of the treatment. With equal shares, sqrt(u) |c| is the
coefficient of variation of omega over users: where all users were shown alike, no factor of theirs
can bias a mean. A user's own estimate leans on the mean with weight 1 - omega_i and is off by

    (1 - omega_i) sqrt(R2_x R2_y T) |sqrt(u) |a| - sqrt(u) a_i / |a||,
    a_i = omega_i / sum_j omega_j - 1 / u,

where the last term is what is expected of the factor in users who were shown as much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bayes_pref.diagnostics.sensitivity.own_information import (
    OwnInformation,
    own_information,
    population_of_users,
)
from bayes_pref.draws import stack, thin
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray

_SAMPLES = 1_000


@dataclass(frozen=True, eq=False)
class HiddenFactor:
    """What an unmeasured factor could do to n conclusions.

    Attributes
    ----------
    largest
        (n,) K: the bias if it explained all of both; units of the model.
    learned
        (n,) mean over users of the weights of their own answers; of a user's sign, that user's.
    names
        What was recorded of users and is in the model: covariates, and exposures to contexts.
    shown, preference
        (n, j) partial R2 of each of these with what is shown and with preference.
    """

    largest: FloatArray
    learned: FloatArray
    names: tuple[str, ...]
    shown: FloatArray
    preference: FloatArray


def hidden_factor(
    posterior: Posterior, rows: FloatArray, users: IntArray | None = None
) -> HiddenFactor:
    """Return the largest bias along each of some directions.

    Parameters
    ----------
    posterior
        Posterior of a model in which users differ.
    rows
        (n, d) differences of features.
    users
        (n,) the user whom each row is about, -1 a new one; None: the mean over users.

    Raises
    ------
    ModelError
        As `own_information`.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> hidden_factor(posterior, np.eye(4)).largest.shape
    (4,)
    """
    comparisons = posterior.comparisons
    own, count = own_information(posterior, rows), comparisons.n_users
    shares = np.full(count, 1.0 / count) if users is not None else comparisons.user_shares
    total = np.maximum(own.omega.sum(axis=1, keepdims=True), np.finfo(float).tiny)
    mean = (own.omega * shares).sum(axis=1)
    learned = own.omega / total
    weight = learned - shares  # of a user's sign, that of the mean which it leans on
    if users is None:
        weight = weight + shares * own.omega - mean[:, None] * learned
    names, recorded, slopes = _recorded(posterior)
    residual = _without(weight, recorded)
    size = _size(residual, own, total, recorded.shape[1])
    largest = own.spread * np.sqrt(count) * size
    if users is not None:
        at = np.arange(len(rows)), users
        known = users >= 0
        lean = np.where(known, 1.0 - own.omega[at], 1.0)
        expected = np.where(known, residual[at], 0.0) / np.maximum(size, np.finfo(float).tiny)
        apart = np.abs(size - expected) if len(rows) else size
        largest = own.spread * np.sqrt(count) * lean * np.where(size > 0.0, apart, 0.0)
        mean = np.where(known, own.omega[at], 0.0)
    shown, preference = np.empty((2, len(rows), len(names)))
    for j in range(len(names)):  # a loop over what was recorded
        others = np.delete(recorded, j, axis=1)
        alone = _without(recorded[:, j][None], others)[0]
        both = _without(weight, others)
        variance = np.mean(alone**2)
        if variance <= 1e-12 * max(np.mean(recorded[:, j] ** 2), np.finfo(float).tiny):
            shown[:, j] = preference[:, j] = 0.0  # the others say all of it
            continue
        length = np.square(_size(both, own, total, others.shape[1]))
        along = np.square(both @ alone) / (count * variance)
        shown[:, j] = np.clip(along / np.maximum(length, np.finfo(float).tiny), 0.0, 1.0)
        explained = np.square(slopes[:, :, j] @ rows.T) * variance
        preference[:, j] = (explained / (explained + np.square(own.spread))).mean(axis=0)
    return HiddenFactor(largest, mean, names, shown, preference)


def _recorded(posterior: Posterior) -> tuple[tuple[str, ...], FloatArray, FloatArray]:
    """Names (j,), centred values (u, j) and slopes (sample, feature, j) of what is in the model."""
    population_of_users(posterior)
    comparisons = posterior.comparisons
    spec = posterior.model.spec(comparisons)
    draws = thin(posterior.draws, _SAMPLES)
    names: list[str] = []
    values = [np.empty((comparisons.n_users, 0))]
    samples = draws.sizes["chain"] * draws.sizes["draw"]
    slopes = [np.empty((samples, comparisons.n_features, 0))]
    for term, known in spec.known if spec is not None else ():
        labels: Sequence[str] = comparisons.covariate_names
        if term.dim == "context":
            labels = [f"exposure to {name}" for name in comparisons.features.contexts]
        if len(labels) != known.shape[1]:
            labels = [f"{term.name} {number + 1}" for number in range(known.shape[1])]
        names += labels
        values.append(known - known.mean(axis=0))
        slopes.append(stack(draws[term.name], "feature", term.dim))
    return tuple(names), np.hstack(values), np.concatenate(slopes, axis=2)


def _without(values: FloatArray, recorded: FloatArray) -> FloatArray:
    """Values (n, u) without their mean and what depends linearly on what was recorded (u, j)."""
    basis, _ = np.linalg.qr(np.column_stack([np.ones(values.shape[1]), recorded]))
    return np.asarray(values - (values @ basis) @ basis.T)


def _size(
    residual: FloatArray, own: OwnInformation, total: FloatArray, recorded: int
) -> FloatArray:
    """(n,) length of the residuals (n, u), without what the finite number of draws adds to it."""
    left = max(0.0, 1.0 - (1 + recorded) / residual.shape[1])
    # Where nobody's answers say anything of a direction, there is nothing to add.
    told = total > np.sqrt(np.finfo(float).tiny)
    share = np.divide(own.noise, total**2, out=np.zeros_like(own.noise), where=told)
    noise = left * share.sum(axis=1)
    return np.asarray(np.sqrt(np.maximum(np.square(residual).sum(axis=1) - noise, 0.0)))
