"""Weights of the users of some rows, each row's own, of whom some may be new to the posterior."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_pref.errors import DataWarning
from bayes_pref.messages import listed
from bayes_pref.types import IntArray


def of_rows(
    everybody: xr.DataArray,
    positions: NDArray[np.intp],
    labels: pd.Index,
    population: Callable[[], tuple[xr.DataArray, Any]],
) -> tuple[xr.DataArray, IntArray]:
    """Weights of the users of some rows, and (n,) their codes; warns of new users.

    Parameters
    ----------
    everybody
        (chain, draw, user, feature) of all users.
    positions, labels
        (n,) of the rows' users, -1 where one is new.
    population
        Draws the weights of a new user.
    """
    codes, places = np.unique(positions, return_inverse=True)
    known = everybody.isel(user=codes[codes >= 0])
    if codes[0] >= 0:
        return known, places.ravel()
    new = labels[positions < 0].unique()
    warnings.warn(
        f"{len(new):,} users are new to the posterior ({listed(new, limit=3)}): their rows are "
        "predicted for a new user from the population",
        DataWarning,
        stacklevel=4,
    )
    drawn, _ = population()
    order = ("chain", "draw", "user", "feature")
    parts = [part.transpose(*order).to_numpy() for part in (drawn, known)]
    return xr.DataArray(np.concatenate(parts, axis=2), dims=order), places.ravel()
