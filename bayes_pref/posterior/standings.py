"""Items ranked by their rewards, and correlations of users' weights, with their uncertainty.

A reward has no origin: a constant added to the rewards of all items changes no choice. Intervals of
single rewards hold what is unknown of that constant. A leaderboard therefore describes differences,
from the mean of the items or from one of them, draw by draw, and so it does ranks.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import closest, shown
from bayes_pref.models.population_from_spec import population_root
from bayes_pref.posterior.best_profiles import BestProfiles
from bayes_pref.posterior.estimates import describe
from bayes_pref.posterior.queries import AVERAGE, Items, item_matrix
from bayes_pref.settings import interval as valid_interval

_COLUMNS = ("rank", "rank_lower", "rank_upper", "mean", "sd", "lower", "upper", "p_best")


@dataclass(frozen=True, eq=False, repr=False)
class Standings(BestProfiles):
    """Base of `Posterior`: ranks of items, and correlations of users' weights."""

    def leaderboard(
        self,
        items: Items = None,
        user: Hashable = AVERAGE,
        *,
        against: Hashable | None = None,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Rank items by their reward, with intervals of ranks and of reward differences.

        Parameters
        ----------
        items
            As for `reward`; None: every item.
        user
            ``"average"``: the mean over all users, weighted by their survey weights if there are
            any; ``"population"``: a new user; or the label of a user.
        against
            Label of the item that rewards are compared with; None: the mean of the items.
        interval
            Probability inside the central credible intervals.

        Returns
        -------
        frame: one row an item, the best first

            `item`; `rank` of its mean, and `rank_lower`, `rank_upper` of its ranks over the draws,
            1 the best; `mean`, `sd`, `lower`, `upper` of its reward minus that of `against`,
            log-odds; `p_best`, the probability that it is the best.

        Raises
        ------
        DataError
            If there are fewer than two items, or an item or a user is unknown.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> import pandas as pd
        >>> world = bp.simulate(users=20, features=["length"], mean=[1.0], contexts=0, seed=0)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
        >>> answers = pd.DataFrame({"length": [0.0, 2.0]}, index=["terse", "long"])
        >>> posterior.leaderboard(answers)[["item", "rank"]].values.tolist()
        [['long', 1], ['terse', 2]]
        """
        interval = valid_interval(interval)
        matrix, labels = item_matrix(items, self.comparisons)
        if len(matrix) < 2:
            raise DataError("items: a leaderboard needs two items or more", "name at least two")
        weights, owners = self._weights(user)
        if len(owners) != 1:
            raise DataError(f"user: name one user, or 'average'; got {shown(user)}")
        drawn = weights.transpose("user", "feature", "chain", "draw").to_numpy()
        reward = matrix @ drawn.reshape(matrix.shape[1], -1)
        zero = reward.mean(axis=0)
        if against is not None:
            if against not in labels:
                raise DataError(f"against: no item {shown(against)}{closest(against, labels)}")
            zero = reward[labels.get_loc(against)]
        ranks = rankdata(-reward, method="min", axis=0)
        frame = pd.DataFrame({"item": labels, **describe(reward - zero, interval)})
        tail = (1.0 - interval) / 2.0
        bounds = np.quantile(ranks, [tail, 1.0 - tail], axis=1, method="inverted_cdf")
        frame["rank_lower"], frame["rank_upper"] = bounds.astype(np.int64)
        first = ranks == 1
        frame["p_best"] = (first / first.sum(axis=0)).mean(axis=1)
        frame = frame.sort_values("mean", ascending=False, kind="stable", ignore_index=True)
        return frame.assign(rank=np.arange(1, len(frame) + 1))[["item", *_COLUMNS]]

    def correlations(self, *, interval: float = 0.9) -> pd.DataFrame:
        """Estimate how users' weights of two features go together, given covariates.

        Parameters
        ----------
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: one row a pair of features, the strongest first

            `feature`, `other`, `mean`, `sd`, `lower`, `upper`, from -1 to 1: who weighs one more
            than others do, weighs the other more (or less), too.

        Raises
        ------
        ModelError
            If the model takes users' weights for uncorrelated, or users for alike.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> world = bp.simulate(users=30, features=2, contexts=0, correlation=0.9, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> full = bp.HierarchicalReward(covariance="full")
        >>> posterior = bp.fit(full, world.comparisons, engine)
        >>> posterior.correlations()[["feature", "other"]].values.tolist()
        [['feature_1', 'feature_2']]
        """
        interval = valid_interval(interval)
        spec = self.model.spec(self.comparisons)
        if spec is None or not (spec.factors is not None or "correlation" in self.draws):
            raise ModelError(
                f"{type(self.model).__name__} has no correlations of users' weights; "
                "bp.HierarchicalReward(covariance='full') and bp.LowRankReward() have"
            )
        names = pd.Index(self.comparisons.feature_names)
        root = population_root(spec, self.draws)
        size = np.linalg.norm(root, axis=2, keepdims=True)
        unit = root / np.where(size > 0.0, size, 1.0)
        found = []
        for k in range(len(names) - 1):  # a loop over features: all pairs at once may be too large
            values = np.einsum("sr,skr->ks", unit[:, k], unit[:, k + 1 :])
            others = {"feature": names[k], "other": names[k + 1 :]}
            found.append(pd.DataFrame(others | describe(values, interval)))
        if not found:
            raise ModelError("correlations need two features or more, and there is one")
        frame = pd.concat(found, ignore_index=True)
        return frame.sort_values("mean", ascending=False, key=abs, kind="stable", ignore_index=True)
