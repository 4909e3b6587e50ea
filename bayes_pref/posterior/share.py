"""Shares of people: how many of the users, or of those they stand for, prefer one of two items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.posterior.estimates import describe_parameters, user_blocks
from bayes_pref.posterior.queries import Items, difference_matrix
from bayes_pref.posterior.willingness_to_pay import WillingnessToPay
from bayes_pref.settings import interval as valid_interval


@dataclass(frozen=True, eq=False, repr=False)
class Shares(WillingnessToPay):
    """Base of `Posterior`: shares of people."""

    def share(self, left: Items, right: Items = None, *, interval: float = 0.9) -> pd.DataFrame:
        """Estimate the share of people to whom left is worth more than right.

        Users count as often as people they stand for, where the comparisons have survey weights,
        and else equally. In each draw everybody is on one side, so that the share is not that of
        the users whose mean reward is positive, which exaggerates where little is known of each.

        Parameters
        ----------
        left, right
            As for `preference`.
        interval
            Probability inside the central credible interval, of the share among these users or the
            people they stand for. That the users are a sample is not in it.

        Returns
        -------
        frame: `comparison`, `mean`, `sd`, `lower`, `upper`, from 0 to 1; who is indifferent counts
            for half

        Raises
        ------
        DataError
            As `preference`.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> import pandas as pd
        >>> names = posterior.comparisons.feature_names
        >>> both = pd.DataFrame([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]], columns=names, index=["+", "-"])
        >>> posterior.share(both)["comparison"].tolist()
        ['+', '-']
        >>> round(float(posterior.share(both)["mean"].sum()), 6)
        1.0
        """
        interval = valid_interval(interval)
        drawn = self.share_draws(left, right)
        columns = describe_parameters(drawn.to_numpy(), interval)
        return pd.DataFrame({"comparison": drawn.indexes["comparison"], **columns})

    def share_draws(self, left: Items, right: Items = None) -> xr.DataArray:
        """Return draws of the share of people who prefer left, (chain, draw, comparison).

        Parameters
        ----------
        left, right
            As for `preference`.

        Raises
        ------
        DataError
            As `preference`.
        """
        matrix, labels = difference_matrix(left, right, self.comparisons)
        weights, _ = self._weights(None)
        chains, draws = weights.sizes["chain"], weights.sizes["draw"]
        total, start = np.zeros((len(matrix), chains * draws)), 0
        # A loop over blocks of users: the rewards of all would be as large as the posterior.
        for block in user_blocks(weights, len(matrix) / matrix.shape[1]):
            eta = matrix @ block
            part = self.comparisons.user_shares[start : start + len(block)]
            total += np.einsum("u,urs->rs", part, 0.5 + 0.5 * np.sign(eta))
            start += len(block)
        coords = self._sampled() | {"comparison": labels.rename("comparison")}
        values = total.T.reshape(chains, draws, -1)
        return xr.DataArray(values, coords, ("chain", "draw", "comparison"), name="share")
