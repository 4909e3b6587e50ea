"""Draws of an engine under the caller's labels, of what the data can identify."""

from __future__ import annotations

import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.draws import label
from bayes_pref.inference.raw_draws import RawDraws
from bayes_pref.models.base import RewardModel
from bayes_pref.models.item_level import without_item_level
from bayes_pref.posterior.user_summary import UserSummary


def labelled(model: RewardModel, drawn: RawDraws, comparisons: Comparisons) -> xr.Dataset:
    """Draws with labels, of what the data can identify.

    Where users are summarised, "weights" are those of the users who are kept whole, if any, and
    there is no other label of users.
    """
    sites = model.variables(comparisons)
    if drawn.kept_users is not None:
        sites = {name: dims for name, dims in sites.items() if "user" not in dims}
        drawn_sites = {name: drawn.sites[name] for name in sites}
    else:
        drawn_sites = drawn.sites
    values = model.align(drawn_sites, comparisons)
    values = without_item_level(values, sites, model.spec(comparisons), comparisons.features)
    found = label(values, sites, comparisons)
    if drawn.kept_users is None:
        return found
    found = found.drop_vars("user")
    if not drawn.kept_users.size:
        return found
    return found.assign(weights=_kept(drawn, comparisons))


def summarised(
    drawn: RawDraws, draws: xr.Dataset, comparisons: Comparisons
) -> tuple[xr.Dataset, UserSummary | None]:
    """Take users out of labelled draws, into the summary of their weights that there is, if any."""
    if drawn.users is None:
        return draws, None
    users, features = comparisons.users.rename("user"), list(comparisons.feature_names)
    dims, labels = ("user", "feature"), {"user": users, "feature": features}
    mean, sd = (xr.DataArray(each, labels, dims) for each in (drawn.users.mean, drawn.users.sd))
    sampled = {dim: draws[dim] for dim in ("chain", "draw")}
    average = xr.DataArray(
        drawn.sites["average"], sampled | {"feature": features}, ("chain", "draw", "feature")
    )
    summary = UserSummary(mean, sd, _kept(drawn, comparisons), average, drawn.users.draws)
    return draws.drop_vars(("weights", "user"), errors="ignore"), summary


def _kept(drawn: RawDraws, comparisons: Comparisons) -> xr.DataArray:
    """Draws of the users that are kept whole."""
    assert drawn.kept_users is not None  # or everybody's are
    values = drawn.sites["weights"]
    labels = {
        "chain": range(values.shape[0]),
        "draw": range(values.shape[1]),
        "user": comparisons.users.take(drawn.kept_users).rename("user"),
        "feature": list(comparisons.feature_names),
    }
    return xr.DataArray(values, labels, ("chain", "draw", "user", "feature"))
