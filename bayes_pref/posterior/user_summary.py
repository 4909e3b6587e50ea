"""A summary of users' weights, where there are too many users to keep their draws.

It holds of every user the mean and standard deviation of each weight, over all draws of all chains;
the draws of a few users whole; and those of the mean over all users. What needs other users' draws
is refused, by the name of the user. Given a draw of the population a user's weights depend on that
user's answers alone, so `bayes_pref.draw_users` can make the draws of any users later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtri

from bayes_pref.draws import thin
from bayes_pref.errors import DataError
from bayes_pref.messages import listed
from bayes_pref.posterior.queries import AVERAGE, Users, is_average, user_positions
from bayes_pref.types import FloatArray


@dataclass(frozen=True, eq=False)
class UserSummary:
    """What is kept of users' weights, log-odds per raw unit.

    Attributes
    ----------
    mean, sd
        (user, feature) over all draws of all chains.
    kept
        (chain, draw, user, feature) draws of the users that are kept whole; may be nobody.
    average
        (chain, draw, feature) mean over all users, weighted by their survey weights if any.
    count
        How many draws they are of.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> engine = bp.Gibbs(users="summary", warmup=50, draws=100, progress=False)
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", bp.ConvergenceWarning)  # a short run
    ...     posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    >>> posterior.users.mean.dims, posterior.users.count
    (('user', 'feature'), 400)
    """

    mean: xr.DataArray
    sd: xr.DataArray
    kept: xr.DataArray
    average: xr.DataArray
    count: int

    def drawn(self, users: Users, known: pd.Index[Any]) -> tuple[xr.DataArray, pd.Index[Any]]:
        """Draws (chain, draw, user, feature) of the users asked for, and their labels.

        Raises
        ------
        DataError
            If a user is unknown, or is not among those whose draws are kept.
        """
        if is_average(users):
            label: pd.Index[Any] = pd.Index([AVERAGE])
            order = ("chain", "draw", "user", "feature")
            return self.average.expand_dims(user=label).transpose(*order), label
        labels = known.take(user_positions(users, known))
        places = self.kept.indexes["user"].get_indexer(labels)
        if (places < 0).any() or users is None:
            missing = labels[places < 0]
            raise DataError(
                f"of {len(missing):,} users ({listed(missing, limit=3)}) the posterior holds the "
                "mean and sd of each weight, and no draws",
                "take their draws with bp.draw_users(posterior, users), or name them in "
                "bp.Gibbs(users='summary', keep_users=[...]) before the fit",
            )
        return self.kept.isel(user=places), labels

    def holds(self, users: Users, known: pd.Index[Any]) -> bool:
        """Whether there are draws of these users, so that the summary need not answer."""
        if is_average(users):
            return True
        if users is None:
            return False
        labels = known.take(user_positions(users, known))
        return bool((self.kept.indexes["user"].get_indexer(labels) >= 0).all())

    def described(
        self, users: Users, known: pd.Index[Any], interval: float
    ) -> tuple[pd.Index[Any], dict[str, FloatArray]]:
        """Labels of users, and mean, sd and a normal interval of each of their weights, in a row.

        The interval is that of the normal distribution with this mean and sd.
        """
        places = user_positions(users, known)
        mean, sd = (values.to_numpy()[places].ravel() for values in (self.mean, self.sd))
        away = float(ndtri(0.5 + interval / 2.0)) * sd
        columns = {"mean": mean, "sd": sd, "lower": mean - away, "upper": mean + away}
        return known.take(places), columns

    def joined(self, weights: xr.DataArray, draws: int, shares: FloatArray) -> UserSummary:
        """Return a summary of these users and of others, whose draws are kept whole.

        Parameters
        ----------
        weights
            (chain, draw, user, feature) of the others, for draws that are thinned to `draws`.
        draws
            Largest number of draws that are kept, over all chains.
        shares
            (user,) of all of them in averages.
        """
        weights = weights.transpose("chain", "draw", "user", "feature")
        over, fitted = ("chain", "draw"), self.mean.sizes["user"]
        mean = xr.concat([self.mean, weights.mean(over)], "user")
        sd = xr.concat([self.sd, weights.std(over, ddof=1)], "user")
        kept = xr.concat([thin(self.kept, draws), weights], "user")
        new = xr.DataArray(shares[fitted:], {"user": weights["user"]}, ("user",))
        average = thin(self.average, draws) * shares[:fitted].sum() + (weights * new).sum("user")
        return UserSummary(mean, sd, kept, average, self.count)

    def stored(self) -> xr.Dataset:
        """Return a dataset from which `restored` makes the same."""
        kept = self.kept.rename(user="kept_user")
        arrays = {"mean": self.mean, "sd": self.sd, "kept": kept, "average": self.average}
        made = {name: array.variable for name, array in arrays.items()}
        coords = {dim: array.coords[dim] for array in arrays.values() for dim in array.dims}
        return xr.Dataset(made | {"count": np.int64(self.count)}, coords)

    @classmethod
    def restored(cls, dataset: xr.Dataset) -> UserSummary:
        """Build what `stored` described."""
        mean, sd = (dataset[name].transpose("user", "feature") for name in ("mean", "sd"))
        for name, array in (("mean", mean), ("sd", sd)):
            if not np.isfinite(array.to_numpy()).all():
                raise DataError(f"the summary's {name} holds NaN or infinity")
        kept = dataset["kept"].rename(kept_user="user")
        return cls(mean, sd, kept, dataset["average"], int(dataset["count"]))
