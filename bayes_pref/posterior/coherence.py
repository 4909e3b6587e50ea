"""Whether the parts of a posterior belong together: draws, data, model, statistics and run.

A file that passes its digest may still have been made by another program, or edited. What is
inconsistent is refused, when it is loaded, and when it is saved: what is saved can be loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref import settings
from bayes_pref.convergence.finding import Finding
from bayes_pref.data import Comparisons, Representation
from bayes_pref.draws import label
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, shown
from bayes_pref.models import RewardModel
from bayes_pref.posterior.run import Run
from bayes_pref.posterior.user_summary import UserSummary
from bayes_pref.text.text_features import Projection, TextFeatures
from bayes_pref.types import FloatArray

_SAMPLED = ("chain", "draw")
_SDS = ("tau", "noise", "between", "within")
_PROBABILITIES = ("share", "lapse", "careless_share", "careless")
_CORRELATION = "correlation"
_ROUNDING = 1e-6  # by which a correlation or a sum of shares may miss its bound


def check_draws(
    model: RewardModel,
    comparisons: Comparisons,
    draws: xr.Dataset,
    sample_stats: xr.Dataset,
    *,
    users: UserSummary | None = None,
) -> None:
    """Refuse draws that are not of this model and these comparisons.

    Raises
    ------
    DataError
        If a variable is missing, has other dimensions or labels than the data, or holds a value
        that it cannot have, such as NaN or a negative standard deviation.
    """
    variables = model.variables(comparisons)
    if users is not None:
        variables = {name: dims for name, dims in variables.items() if "user" not in dims}
        _check_summary(users, comparisons, draws)
    for name, dims in variables.items():
        if name not in draws:
            raise DataError(f"there are no draws of {name}, which {type(model).__name__} has")
        found = draws[name]
        if set(found.dims) != {*_SAMPLED, *dims}:
            raise DataError(f"the draws of {name} have the dimensions {listed(found.dims)}")
        if not found.size:
            raise DataError(f"there are no draws of {name}")
    _check_labels(variables, comparisons, draws, of_users=users is None)
    for name in variables:
        problem = _problem(name, draws[name])
        if problem:
            raise DataError(f"the draws of {name} hold {problem}")
    for dim in _SAMPLED:
        if sample_stats.sizes.get(dim, draws.sizes[dim]) != draws.sizes[dim]:
            raise DataError(f"sample_stats have {sample_stats.sizes[dim]} on the dimension {dim}")


def check_run(run: Run, seed: Any, findings: tuple[Finding, ...]) -> None:
    """Refuse a run, a seed or findings that no engine gives."""
    settings.seed(seed, error=DataError)
    settings.argument("the number of draws of the run", run.draws, settings.whole(0))
    settings.argument("the seconds of the run", run.seconds, settings.number(0.0))
    texts = [run.engine, *(text for each in findings for text in (each.statistic, each.message))]
    switches = [run.exact, run.joint, run.complete]
    maps = [run.settings, *(each.settings for each in findings)]
    right = all(isinstance(text, str) for text in texts)
    right &= all(isinstance(switch, bool) for switch in switches)
    if not right or not all(isinstance(each, Mapping) for each in maps):
        raise DataError("the description of the run is not one that an engine gives")


def check_features(comparisons: Comparisons) -> None:
    """Refuse a map from texts or attributes to features that does not give these features."""
    names, network, text = comparisons.features.attributes, comparisons.representation, None
    if isinstance(comparisons.text, TextFeatures):
        text = comparisons.text
        for projection in (text.responses, text.prompts):
            if projection is not None:
                _check_projection(projection)
    if network is not None:
        _check_network(network)
        if network.names != names:
            raise DataError(f"the network gives {listed(network.names)}, not {listed(names)}")
        names = network.attributes
    if text is not None and text.names != names:
        raise DataError(f"texts give {listed(text.names)}, not {listed(names)}")
    for what, values in (("right", comparisons.right), ("catalogue", comparisons.catalogue)):
        if values is not None and not np.isfinite(np.asarray(values)).all():
            raise DataError(f"the comparisons' {what} holds NaN or infinity")


def _check_summary(users: UserSummary, comparisons: Comparisons, draws: xr.Dataset) -> None:
    """Refuse a summary of users' weights that is of other users, features or draws."""
    for name, found in (("mean", users.mean), ("sd", users.sd)):
        if not _same(comparisons.users, found.indexes["user"]):
            raise DataError(f"the summary's {name} is of other users than the comparisons'")
    for found in (users.mean, users.sd, users.kept, users.average):
        if list(found.indexes["feature"]) != list(comparisons.feature_names):
            raise DataError("the summary of users' weights is of other features")
    if float(users.sd.min()) < 0.0:
        raise DataError("the summary of users' weights holds a negative standard deviation")
    for found in (users.kept, users.average):
        if any(found.sizes[dim] != draws.sizes[dim] for dim in _SAMPLED):
            raise DataError("the summary of users' weights is of another number of draws")


def _check_labels(
    variables: Mapping[str, tuple[str, ...]],
    comparisons: Comparisons,
    draws: xr.Dataset,
    *,
    of_users: bool,
) -> None:
    """Refuse draws whose labels are not those of the comparisons, in their order."""
    dims = {dim for of in variables.values() for dim in of}
    users = {"user"} if of_users else set()
    missing = (dims | users | {*_SAMPLED}) - set(draws.dims)
    if missing:
        raise DataError(f"the draws have no dimension {listed(sorted(missing))}")
    # Labelled anew; one draw of each shape is enough.
    blank = {
        name: np.zeros((1, 1, *(draws.sizes[dim] for dim in of)))
        for name, of in variables.items()
    }  # fmt: skip
    expected = _labelled(blank, dict(variables), comparisons)
    for dim in sorted(users | dims):
        known, found = expected.indexes[dim], draws.indexes[dim]
        if not _same(known, found):
            raise DataError(
                f"the draws are labelled {listed(found, limit=3)} on the dimension {dim}, and the "
                f"comparisons {listed(known, limit=3)}"
            )


def _labelled(
    values: dict[str, FloatArray], variables: dict[str, tuple[str, ...]], comparisons: Comparisons
) -> xr.Dataset:
    """Label draws, or refuse those of another size than the labels."""
    try:
        return label(values, variables, comparisons)
    except ValueError as err:
        raise DataError("the draws are of other sizes than the comparisons") from err


def _same(one: pd.Index[Any], other: pd.Index[Any]) -> bool:
    return len(one) == len(other) and (one.equals(other) or one.tolist() == other.tolist())


def _problem(name: str, draws: xr.DataArray) -> str:
    """Describe values that a variable cannot have; empty if there are none."""
    values = draws.to_numpy()
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        return "NaN or infinity"
    if name in _SDS and low < 0.0:
        return f"the negative standard deviation {shown(low)}"
    if name in _PROBABILITIES and not 0.0 <= low <= high <= 1.0 + _ROUNDING:
        return f"{shown(low)} to {shown(high)} for probabilities"
    if name.endswith(_CORRELATION) and max(-low, high) > 1.0 + _ROUNDING:
        return f"{shown(low)} to {shown(high)} for correlations"
    if name == "share" and np.abs(draws.sum("component") - 1.0).max() > _ROUNDING:
        return "shares whose sum is not 1"
    return ""


def _check_projection(projection: Projection) -> None:
    centre, directions = projection.centre, projection.directions
    right = centre.ndim == 1 and directions.ndim == 2 and len(directions) == len(centre)
    if not right or not (np.isfinite(centre).all() and np.isfinite(directions).all()):
        raise DataError("the components of texts are not a map from embeddings to features")


def _check_network(network: Representation) -> None:
    """Refuse a network whose arrays do not fit together."""
    size = len(network.attributes) + len(network.contexts) + len(network.groups)
    hidden = len(network.bias)
    shapes = {
        "centre": (size,), "scale": (size,), "inner": (hidden, size), "bias": (hidden,),
        "outer": (len(network.outer), hidden),
    }  # fmt: skip
    for name, shape in shapes.items():
        values = getattr(network, name)
        if values.shape != shape or not np.isfinite(values).all():
            raise DataError(f"the network's {name} is not an array of numbers of shape {shape}")
