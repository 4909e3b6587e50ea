"""Posterior: what was learned of every user's reward function, with its uncertainty.

Every answer is computed draw by draw and then described, so that its interval carries all of the
uncertainty: that of the user, and that of the population.

For a comparison whose outcomes have probabilities p under the model's choice model, the entropy of
the next choice, in bits, is the sum of two parts (Houlsby et al. 2011): the aleatoric part E[H(p)]
remains even when the weights are known; more data reduce the epistemic part H(E[p]) - E[H(p)].
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy.sparse import eye_array

from bayes_pref import settings
from bayes_pref.data.sparse_rows import held
from bayes_pref.posterior.estimates import (
    describe_chances,
    describe_choices,
    describe_parameters,
    describer,
    estimate,
    estimate_choices,
    estimate_frame,
    parameter_frame,
)
from bayes_pref.posterior.own_choices import of_known_and_new
from bayes_pref.posterior.predictions import describe_rows
from bayes_pref.posterior.queries import (
    AVERAGE,
    POPULATION,
    Items,
    Users,
    difference_matrix,
    is_average,
    item_contrasts,
    item_matrix,
    row_users,
)
from bayes_pref.posterior.repr import as_html, as_text
from bayes_pref.posterior.standings import Standings
from bayes_pref.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False, repr=False)
class Posterior(Standings):
    """Draws of every user's reward function, labelled as the data are.

    Made by `bayes_pref.fit` or `Posterior.load`. Estimates are frames with the columns `mean`,
    `sd`, `lower` and `upper`; the methods that end in ``_draws`` return the draws behind them.

    Parameters
    ----------
    model
        The model that was fitted.
    comparisons
        The data.
    draws
        Draws of the model's variables; dimensions ``chain``, ``draw`` and those of the variable,
        with the caller's labels. Weights are log-odds per raw unit of a feature.
    sample_stats
        Statistics of the sampler (chain, draw).
    run
        How the draws were made: the engine, its settings, running time, and whether the run is
        complete.
    seed
        Random seed of the fit, and of posterior predictive draws and new users.
    findings
        The convergence checks that failed.
    users
        A `UserSummary`: what is kept of users' weights where their draws are not, after a fit with
        ``bp.Gibbs(users="summary")``. `weights` answers from it with normal intervals; what needs
        draws of other users than those kept is refused, and `bayes_pref.draw_users` makes them.
        None: `draws` are of everybody.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> engine = bp.Gibbs(progress=False)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    >>> posterior.draws["weights"].dims
    ('chain', 'draw', 'user', 'feature')
    """

    def summary(
        self,
        kind: Literal["population", "users", "all"] = "population",
        *,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Describe the model's parameters and how well they were sampled.

        Parameters
        ----------
        kind
            "population": what users share; "users": what each user has; "all": both.
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: one row a parameter; `mean`, `sd`, `lower`, `upper`, `rhat`, `ess_bulk`, `ess_tail`

        Raises
        ------
        DataError
            If `kind` or `interval` is not one of those.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> posterior.summary().columns.tolist()
        ['mean', 'sd', 'lower', 'upper', 'rhat', 'ess_bulk', 'ess_tail']
        """
        of_users = {"population": (False,), "users": (True,), "all": (False, True)}
        settings.argument("kind", kind, settings.one_of(*of_users))
        interval = settings.interval(interval)
        variables = list(self.draws.data_vars.values())
        if self.users is not None:
            variables.append(self.users.kept.rename("weights"))
        chosen = [each for each in variables if ("user" in each.dims) in of_users[kind]]
        return parameter_frame(chosen, interval)

    def weights(
        self, users: Users = None, *, baseline: Hashable | None = None, interval: float = 0.9
    ) -> pd.DataFrame:
        """Estimate users' weights: how much a raw unit of each feature is worth to them.

        Parameters
        ----------
        users
            A user's label, a list of labels, None for every user, ``"population"`` for a new user
            as the model has it, or ``"average"`` for the mean over all users, weighted by their
            survey weights if there are any. (If a user is labelled "population" or "average":
            ``["average"]`` is that user.)
        baseline
            Where items have rewards of their own, the item to which these are relative; None: to
            the mean of all items.
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `feature`, `mean`, `sd`, `lower`, `upper`, log-odds per raw unit

        Raises
        ------
        DataError
            If a user or the baseline is unknown, or `interval` is not between 0 and 1.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> posterior.weights("population").columns.tolist()
        ['user', 'feature', 'mean', 'sd', 'lower', 'upper']
        """
        features = pd.Index(self.comparisons.feature_names)
        known, summary = self.comparisons.users, self.users
        at_population = isinstance(users, str) and users == POPULATION
        answers = summary is not None and not at_population and baseline is None
        if summary is not None and answers and not summary.holds(users, known):
            owners, columns = summary.described(users, known, settings.interval(interval))
            return estimate_frame({"user": owners, "feature": features}, columns)
        weights, labels = self._weights(users)
        contrasts = held(eye_array(len(features), format="csr"))
        if baseline is not None:
            contrasts = item_contrasts(self.comparisons, baseline)
        columns = estimate(weights, contrasts, describer(interval))
        return estimate_frame({"user": labels, "feature": features}, columns)

    def membership(self, *, interval: float = 0.9) -> pd.DataFrame:
        """Estimate the probability that each user belongs to each component of a mixture.

        Parameters
        ----------
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `component`, `mean`, `sd`, `lower`, `upper`

            `mean` is the posterior probability. The other columns describe the probability given
            the user's weights and the population, over the draws.

        Raises
        ------
        ModelError
            If the model has no mixture components.
        DataError
            If `interval` is not between 0 and 1.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> world = bp.simulate(users=20, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.MixtureReward(components=1), world.comparisons, engine)
        >>> posterior.membership()[["component", "mean"]].drop_duplicates().values.tolist()
        [[1.0, 1.0]]
        """
        interval = settings.interval(interval)
        probabilities = self.model.component_probabilities(self.draws, self.comparisons)
        size, _, components = probabilities.shape
        columns = describe_parameters(probabilities.reshape(1, size, -1), interval)
        labels = pd.Index(np.arange(1, components + 1))
        return estimate_frame({"user": self.comparisons.users, "component": labels}, columns)

    def reward(
        self,
        items: Items = None,
        users: Users = None,
        *,
        baseline: Hashable | None = None,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Estimate the reward of items to users, in log-odds.

        Only differences of rewards have a meaning: those of two items to the same user, in the
        same context.

        Parameters
        ----------
        items
            A frame with the attribute columns (and the context columns that interact with any),
            whose index (or column ``item``) labels the items; or, where the comparisons came from
            items, a list of item labels, or None for every item. Where items have rewards of their
            own beside attributes, the column ``item`` names the item, and labels stand for items
            whose attributes are all 0.
        users, baseline
            As for `weights`.
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `item`, `mean`, `sd`, `lower`, `upper`, log-odds

        Raises
        ------
        DataError
            If a user or an item is unknown, or a column is missing or holds no numbers.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> import pandas as pd
        >>> world = bp.simulate(users=20, features=["length"], contexts=0, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        >>> answers = pd.DataFrame({"length": [0.0, 1.0]}, index=["terse", "long"])
        >>> posterior.reward(answers, users="population")[["user", "item"]].values.tolist()
        [['population', 'terse'], ['population', 'long']]
        """
        matrix, labels = item_matrix(items, self.comparisons)
        if baseline is not None:
            matrix = matrix @ item_contrasts(self.comparisons, baseline)
        weights, owners = self._weights(users)
        columns = estimate(weights, matrix, describer(interval))
        return estimate_frame({"user": owners, "item": labels}, columns)

    def preference(
        self,
        left: Items,
        right: Items = None,
        users: Users = None,
        *,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Estimate the probability that users prefer left, and the two parts of its uncertainty.

        It is the probability of that answer under the choice model: position bias and lapses
        count, and a tie is not for left (right has the probability that ``mean`` and ``tie``
        leave). For graded answers it is that of all levels that find left better.

        Parameters
        ----------
        left, right
            Items as for `reward`, equally many; row by row, left is compared with right. With
            `right` None, `left` is a frame of differences, left minus right.
        users
            As for `weights`. None: where `left` is a frame with the column of the users, named as
            in the data, each row for its own user, and otherwise every user. A user without
            comparisons in the posterior is a new user from the population. ``"average"``: the
            mean of the probability over all users, which is not that at the mean of their weights.
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `comparison`, `mean`, `sd`, `lower`, `upper`, `epistemic`, `aleatoric`, and
        `tie` where the model has ties or a middle level: the mean probability of that answer

            `comparison` is the label of left's row. `aleatoric` is the expected entropy of the
            choice given the weights, in bits; `epistemic` is the mutual information of the choice
            and the weights.

        Raises
        ------
        DataError
            As `reward`, and if left and right differ in length or in context.

        Warns
        -----
        DataWarning
            For rows of users who are new; names them.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> import pandas as pd
        >>> world = bp.simulate(users=20, features=["length"], contexts=0, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        >>> len(posterior.preference(world.frame))  # each row for its own user
        300
        >>> alike = posterior.preference(pd.DataFrame({"length": [0.0]}), users="population")
        >>> alike[["mean", "epistemic", "aleatoric"]].values.tolist()
        [[0.5, 0.0, 1.0]]
        """
        matrix, labels = difference_matrix(left, right, self.comparisons)
        interval = settings.interval(interval)
        if is_average(users):
            average = describe_chances(self._average_chances(matrix), interval)
            return pd.DataFrame({"user": AVERAGE, "comparison": labels, **average})
        own = row_users(left, self.comparisons) if users is None else None
        if own is not None:
            weights, codes = self._own_weights(*own)
            known, new = self.choices_of(), self.choices_of(POPULATION)
            choices = of_known_and_new(known, new, own[0])

            def describe(eta: FloatArray, users: IntArray) -> dict[str, FloatArray]:
                return describe_choices(eta, choices.of_users(users), interval)

            columns = describe_rows(weights, codes, matrix, describe)
            return pd.DataFrame({"user": own[1], "comparison": labels, **columns})
        weights, owners = self._weights(users)
        columns = estimate_choices(weights, matrix, self.choices_of(users), interval)
        return estimate_frame({"user": owners, "comparison": labels}, columns)

    def __repr__(self) -> str:
        """Describe the data, the model, the engine and the convergence checks."""
        return as_text(self)

    def _repr_html_(self) -> str:
        """Give the same description as HTML, for notebooks."""
        return as_html(self)
