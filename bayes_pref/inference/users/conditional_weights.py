"""Users' weights given draws of the population, for people of whom there are no draws.

Given the population a user's weights depend on that user's answers alone. For every draw of the
population they are drawn by an independence sampler (`new_user_weights`).
"""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataWarning, ModelError
from bayes_pref.inference.gibbs.choice_problem import choice_rows
from bayes_pref.inference.gibbs.kernels.choice_likelihood import ChoiceRows
from bayes_pref.inference.gibbs.kernels.new_user_weights import draw_users, expand_users
from bayes_pref.messages import callers_level
from bayes_pref.models.population import Population
from bayes_pref.models.spec import PopulationSpec, Term
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray

_STEPS = 3  # proposals for each draw; nine in ten would be accepted
_BLOCK = 64  # users with a random stream of their own, whatever the number of threads
_LEFT = 0.1  # of a regressor's sd, from which its change is pointed out
_RIDGE = 1e-9  # relative to the trace, for users who do not differ in some direction


def unsupported_model(posterior: Posterior) -> str | None:
    """Say why new users cannot be added without a fit; None if they can.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> unsupported_model(posterior) is None
    True
    """
    model, comparisons = posterior.model, posterior.comparisons
    spec = model.spec(comparisons)
    if spec is None:
        return "does not say how new users' weights are distributed"
    if spec.cause is not None or spec.contexts is not None:
        return "has users whose weights share a cause with their contexts"
    if spec.signs is not None:
        return "has weights of one sign"
    if spec.observational_bias is not None:
        return "has a bias of the log that each user would have, too"
    if spec.careless is not None:
        return "has people who answer at random, of whom each new user may be one"
    if model.choice_model(comparisons).kernel_form(comparisons.outcome) is None:
        return "has a choice model without a compiled likelihood"
    return None


def supported_spec(posterior: Posterior, what: str = "new users") -> PopulationSpec:
    """Return the population's specification, or say why users cannot be drawn given it."""
    reason, spec = unsupported_model(posterior), posterior.model.spec(posterior.comparisons)
    if spec is None or reason is not None:
        name = type(posterior.model).__name__
        raise ModelError(f"{name} {reason}, and takes {what} in a new fit only")
    return spec


def on_regressors(
    draws: xr.Dataset, before: list[tuple[Term, FloatArray]], after: PopulationSpec
) -> xr.Dataset:
    """Return mu and coefficients of regressors as they are centred and scaled over all users.

    The regressors of the fitted users are an affine function of those that the same users have
    among all, taken together: squares of exposures are without their linear parts. The weights stay
    what they were. Where users make unequal numbers of comparisons, exposures are shrunk by what
    all users are shown, which new users change; the closest affine function is then taken.

    Warns
    -----
    DataWarning
        If that leaves out more than a tenth of how some regressor varies.
    """
    if not before:
        return draws
    old = np.hstack([values for _, values in before])
    fitted = len(old)
    new = np.hstack([values for _, values in after.known])[:fitted]
    design = np.column_stack([np.ones(fitted), new])
    onto = np.linalg.lstsq(design, old, rcond=1e-10)[0]  # old = [1, new] onto
    share = (old - design @ onto).std(axis=0) / np.maximum(old.std(axis=0), 1e-300)
    if (share > _LEFT).any():
        warnings.warn(
            "the new users change what the exposures of the fitted ones are taken to be by up to "
            f"{100 * share.max():.0f} % of their standard deviation; fit all comparisons anew",
            DataWarning,
            stacklevel=callers_level(),
        )
    slopes = [draws[t.name].transpose("chain", "draw", "feature", t.dim) for t, _ in before]
    values = np.concatenate([slope.to_numpy() for slope in slopes], axis=3)
    moved = values @ onto[1:].T
    ends = np.cumsum([slope.shape[3] for slope in slopes])[:-1]
    changed: dict[str, Any] = {
        str(slope.name): slope.copy(data=part)
        for slope, part in zip(slopes, np.split(moved, ends, axis=3), strict=True)
    }
    mu = draws["mu"].transpose("chain", "draw", "feature")
    return draws.assign(mu=mu.copy(data=mu.to_numpy() + values @ onto[0]), **changed)


def conditional_weights(
    posterior: Posterior,
    draws: xr.Dataset,
    population: Population,
    both: Comparisons,
    new: IntArray,
    seed: int,
) -> FloatArray:
    """Draw some users' weights (sample, user, feature) given the population, per raw unit."""
    comparisons = both[both.users[new]]
    choice_model = posterior.model.choice_model(both)
    form = choice_model.kernel_form(both.outcome)
    assert form is not None  # or they were refused
    scale = comparisons.feature_scale
    samples = len(population.mean)
    parameters = choice_model.distribution(draws, both.outcome).parameters
    values = form.values_at(parameters, samples)
    mean = of_users(population.mean, new) * scale
    factor = population.factor * scale[:, None]
    covariance = factor @ factor.swapaxes(2, 3)
    trace = np.trace(covariance, axis1=2, axis2=3)[..., None, None]
    covariance += np.maximum(_RIDGE * trace, 1e-12) * np.eye(len(scale))
    precision = np.linalg.inv(covariance)
    log_det = 0.5 * np.linalg.slogdet(precision)[1]
    log_share = of_users(population.log_share, new)
    rows = choice_rows(comparisons, comparisons.offsets, form)
    arrays = [
        np.ascontiguousarray(a, dtype=np.float64) for a in (log_share, mean, precision, log_det)
    ]
    drawn = _draw(rows, values, arrays, len(new), seed)
    return drawn / scale


def of_users(values: FloatArray, users: IntArray) -> FloatArray:
    """Select users from (sample, user, ...), whose second axis has length 1 where all are alike."""
    return values[:, users] if values.shape[1] > 1 else values


def _draw(
    rows: ChoiceRows,
    values: FloatArray,
    arrays: list[FloatArray],
    users: int,
    seed: int,
) -> FloatArray:
    """Draw scaled weights (sample, user, feature) in blocks of users, on all processors."""
    log_share, mean, precision, log_det = arrays
    d = mean.shape[3]
    share = np.exp(log_share).mean(axis=(0, 1))
    typical = np.broadcast_to(np.tensordot(mean.mean(axis=0), share, (1, 0)), (users, d))
    spread = np.linalg.inv(precision).mean(axis=(0, 1))
    away = mean.mean(axis=(0, 1)) - mean.mean(axis=(0, 1)).mean(axis=0)
    spread += away.T @ (away * share[:, None])
    information, pull = np.zeros((users, d, d)), np.zeros((users, d))
    expand_users(
        rows,
        values.mean(axis=0),
        np.ascontiguousarray(typical),
        np.linalg.inv(spread),
        information,
        pull,
    )
    drawn: FloatArray = np.empty((len(values), users, d))
    starts = range(0, users, _BLOCK)
    seeds = np.random.SeedSequence(seed).spawn(len(starts))

    def block(index: int) -> float:
        first = index * _BLOCK
        return draw_users(
            rows,
            values,
            log_share,
            mean,
            precision,
            log_det,
            information,
            pull,
            first,
            min(first + _BLOCK, users),
            _STEPS,
            np.random.default_rng(seeds[index]),
            drawn,
        )

    block(0)  # compiles, which several threads must not do at once
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(block, range(1, len(starts))))
    return drawn
