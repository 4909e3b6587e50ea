"""Posterior: what was learned of every user's reward function, and how sure it is.

User i's reward of an item with features phi is phi . w_i in log-odds, where w_i has a draw for
each draw of the posterior. Every answer is computed draw by draw and then described, so that its
interval carries all of the uncertainty: that of the user, and that of the population.

For a comparison with log-odds eta and probabilities p of its outcomes, by the model's own law of
choices, the entropy of the next choice, in bits, splits into two parts (Houlsby et al. 2011): the
aleatoric part E[H(p)] is left even when the weights are known, the epistemic part H(E[p]) - E[H(p)]
is what more data would remove.
"""

from __future__ import annotations

import os
from collections.abc import Hashable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_pref import settings
from bayes_pref.convergence.finding import Finding
from bayes_pref.convergence.statistics import ChainStatistics, chain_statistics
from bayes_pref.data import Comparisons
from bayes_pref.draws import parameters
from bayes_pref.models import RewardModel, from_settings
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.posterior import predictions, storage
from bayes_pref.posterior.estimates import (
    COLUMNS,
    describe_choices,
    describe_parameters,
    describer,
    estimate,
    estimate_frame,
)
from bayes_pref.posterior.queries import (
    POPULATION,
    Items,
    Users,
    difference_matrix,
    item_matrix,
    user_positions,
)
from bayes_pref.posterior.repr import as_html, as_text
from bayes_pref.posterior.text_reward import TextReward

Floats = NDArray[np.float64]

# Streams of random numbers: what one question draws never changes the answer to another.
_NEW_USER, _REPLICATION = 1, 2


@dataclass(frozen=True, eq=False, repr=False)
class Posterior:
    """Draws of every reward function, with the labels of the data they were learned from.

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
    engine
        Name, settings, running time in seconds, and whether the run is complete.
    seed
        From which the draws were made, and from which new users and replications are.
    findings
        What the convergence checks found wrong; empty if nothing.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> engine = bp.Gibbs(progress=False)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    >>> posterior.draws["weights"].dims
    ('chain', 'draw', 'user', 'feature')
    """

    model: RewardModel
    comparisons: Comparisons
    draws: xr.Dataset
    sample_stats: xr.Dataset
    engine: dict[str, Any]
    seed: int
    findings: tuple[Finding, ...] = ()

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
        >>> import bayes_pref as bp
        >>> world = bp.simulate(users=20, features=1, contexts=0, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        >>> posterior.summary().columns.tolist()
        ['mean', 'sd', 'lower', 'upper', 'rhat', 'ess_bulk', 'ess_tail']
        """
        kinds = {"population": (False,), "users": (True,), "all": (False, True)}
        settings.argument("kind", kind, settings.one_of(*kinds))
        interval = settings.interval(interval)
        parts = []
        for name, variable in self.draws.data_vars.items():
            if ("user" in variable.dims) in kinds[kind]:
                labels, values = parameters(variable.rename(name))
                columns = describe_parameters(values, interval)
                columns |= chain_statistics(values)._asdict()
                parts.append(pd.DataFrame(columns, index=pd.Index(labels, name="parameter")))
        nothing = pd.DataFrame(columns=[*COLUMNS, *ChainStatistics._fields])
        return pd.concat(parts) if parts else nothing

    def weights(self, users: Users = None, *, interval: float = 0.9) -> pd.DataFrame:
        """Estimate users' weights: how much a raw unit of each feature is worth to them.

        Parameters
        ----------
        users
            A user's label, a list of labels, None for every user, or ``"population"`` for a new
            user of whom nothing is known. (If a user is labelled "population": ``["population"]``
            is that user.)
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `feature`, `mean`, `sd`, `lower`, `upper`, log-odds per raw unit

        Raises
        ------
        DataError
            If a user is unknown, or `interval` is not between 0 and 1.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> world = bp.simulate(users=20, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        >>> posterior.weights("population").columns.tolist()
        ['user', 'feature', 'mean', 'sd', 'lower', 'upper']
        """
        weights, labels = self._weights(users)
        features = pd.Index(self.comparisons.feature_names)
        columns = estimate(weights, np.eye(len(features)), describer(interval))
        return estimate_frame({"user": labels, "feature": features}, columns)

    def weights_draws(self, users: Users = None) -> xr.DataArray:
        """Return draws of users' weights, (chain, draw, user, feature), log-odds per raw unit.

        Parameters
        ----------
        users
            As for `weights`.

        Raises
        ------
        DataError
            If a user is unknown.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> world = bp.simulate(users=20, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        >>> posterior.weights_draws(list(world.comparisons.users[:3])).shape
        (4, 1000, 3, 4)
        """
        return self._weights(users)[0].rename("weights")

    def membership(self, *, interval: float = 0.9) -> pd.DataFrame:
        """Estimate how probable it is that each user belongs to each component; for `MixtureReward`.

        Parameters
        ----------
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `component`, `mean`, `sd`, `lower`, `upper`

            `mean` is the probability given the data. The rest describe the probability given the
            user's weights and the population, over their draws.

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
        self, items: Items = None, users: Users = None, *, interval: float = 0.9
    ) -> pd.DataFrame:
        """Estimate the reward of items to users, in log-odds.

        Only differences of rewards have a meaning: those of two items to the same user, in the
        same context.

        Parameters
        ----------
        items
            A frame with the attribute columns (and the context columns that interact with any),
            whose index (or column ``item``) labels the items; or, where the comparisons came from
            items, a list of item labels, or None for every item.
        users
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
        weights, people = self._weights(users)
        columns = estimate(weights, matrix, describer(interval))
        return estimate_frame({"user": people, "item": labels}, columns)

    def reward_draws(self, items: Items = None, users: Users = None) -> xr.DataArray:
        """Return draws of the rewards of items, (chain, draw, user, item), log-odds.

        Parameters
        ----------
        items, users
            As for `reward`.

        Raises
        ------
        DataError
            As `reward`.
        """
        matrix, labels = item_matrix(items, self.comparisons)
        return self._projected(matrix, labels, "item", users).rename("reward")

    def preference(
        self,
        left: Items,
        right: Items = None,
        users: Users = None,
        *,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Estimate the probability that users prefer left, and what the uncertainty consists of.

        That is the probability that somebody asked says so, by the choice model: what is shown on
        the left has its `position` effect, some answers are lapses, and a tie is not for left
        (``mean`` and ``tie`` leave the rest to right). Of graded answers, all those that find left
        better count.

        Parameters
        ----------
        left, right
            Items as for `reward`, equally many; row by row, left is compared with right. With
            `right` None, `left` is a frame of differences, left minus right.
        users
            As for `weights`.
        interval
            Probability inside the central credible interval.

        Returns
        -------
        frame: `user`, `comparison`, `mean`, `sd`, `lower`, `upper`, `epistemic`, `aleatoric`, and
        `tie` where the model has ties or a middle level: the mean probability of that answer

            `comparison` is the label of left's row. `aleatoric` is the expected entropy of the
            choice (bits) if the weights were known, `epistemic` what is on top of it because they
            are not: the mutual information of the choice and the weights.

        Raises
        ------
        DataError
            As `reward`, and if left and right differ in length or in context.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> import pandas as pd
        >>> world = bp.simulate(users=20, features=["length"], contexts=0, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        >>> alike = posterior.preference(pd.DataFrame({"length": [0.0]}), users="population")
        >>> alike[["mean", "epistemic", "aleatoric"]].values.tolist()
        [[0.5, 0.0, 1.0]]
        """
        matrix, labels = difference_matrix(left, right, self.comparisons)
        weights, people = self._weights(users)
        choices = self.choice_distribution
        interval = settings.interval(interval)
        columns = estimate(weights, matrix, lambda eta: describe_choices(eta, choices, interval))
        return estimate_frame({"user": people, "comparison": labels}, columns)

    def preference_draws(
        self, left: Items, right: Items = None, users: Users = None
    ) -> xr.DataArray:
        """Return draws of the probability that left is preferred, (chain, draw, user, comparison).

        Parameters
        ----------
        left, right, users
            As for `preference`.

        Raises
        ------
        DataError
            As `preference`.
        """
        matrix, labels = difference_matrix(left, right, self.comparisons)
        eta = self._projected(matrix, labels, "comparison", users)
        samples_last = np.moveaxis(eta.to_numpy(), (0, 1), (2, 3))
        samples = samples_last.reshape(*samples_last.shape[:2], -1)
        chance = self.choice_distribution.preferred(samples)
        chance = np.moveaxis(chance.reshape(samples_last.shape), (2, 3), (0, 1))
        return eta.copy(data=chance).rename("preference")

    def amce(self, *, interval: float = 0.9) -> pd.DataFrame:
        """Estimate the average marginal component effect of each attribute.

        P(preferred) - P(the other preferred), from -1 to 1, of an item that has one raw unit more
        of the attribute and is otherwise the same; averaged over its being shown on the left and on
        the right, over users and, for an attribute that interacts with contexts, over the contexts
        of each user's comparisons. A tie or a middle level is for neither.

        Parameters
        ----------
        interval
            Probability inside the central credible interval, of the average over these users.

        Returns
        -------
        frame: `feature`, `mean`, `sd`, `lower`, `upper`

        Raises
        ------
        DataError
            If `interval` is not between 0 and 1.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> world = bp.simulate(users=20, features=["length", "tone"], contexts=0, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        >>> posterior.amce()["feature"].tolist()
        ['length', 'tone']
        """
        interval = settings.interval(interval)
        effects = self.amce_draws()
        columns = describe_parameters(effects.to_numpy(), interval)
        return pd.DataFrame({"feature": effects.indexes["feature"], **columns})

    def amce_draws(self) -> xr.DataArray:
        """Return draws of the average marginal component effects, (chain, draw, feature)."""
        weights, _ = self._weights(None)
        effects = predictions.marginal_effects(weights, self.choice_distribution, self.comparisons)
        coords = self._sampled() | {"feature": list(self.comparisons.features.attributes)}
        shape = (weights.sizes["chain"], weights.sizes["draw"], -1)
        return xr.DataArray(
            effects.reshape(shape), coords, ("chain", "draw", "feature"), name="amce"
        )

    @cached_property
    def idata(self) -> Any:
        """Everything as ArviZ has it: an InferenceData (ArviZ 0.23) or a DataTree (1.x).

        Groups `posterior`, `sample_stats`, and for every row of the comparisons `choice` in
        `log_likelihood`, `posterior_predictive` and `observed_data`. The last three are computed
        when first asked for; they take 9 bytes a row and draw.
        """
        from bayes_pref.posterior import arviz_bridge  # ArviZ takes a second to import; few need it

        if not self.comparisons.outcome.rowwise:
            # Rows of one choice in a ranking have no likelihood and no replication of their own.
            groups = {"posterior": self.draws, "sample_stats": self.sample_stats}
            return arviz_bridge.to_idata(groups)
        weights, _ = self._weights(None)
        rng = self._generator(_REPLICATION)
        predicted = predictions.predict(weights, self.choice_distribution, self.comparisons, rng)
        groups = {"posterior": self.draws, "sample_stats": self.sample_stats} | predicted
        return arviz_bridge.to_idata(groups)

    def reward_model(self, user: Hashable = POPULATION) -> TextReward:
        """Return a torch module that scores texts as a user would, with its uncertainty.

        Parameters
        ----------
        user
            A user's label, or ``"population"`` for a new user.

        Returns
        -------
        module: called with prompts and responses, gives `mean` and `sd` (n,), log-odds against the
            average response of the data; for best-of-n, and for the reward of a training loop

        Raises
        ------
        DataError
            If the user is unknown, or the comparisons were not read from texts.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> short, long = "It is four.", "Let me explain at some length why the answer is four."
        >>> votes = [
        ...     {"who": who, "prompt": "2 + 2?", "chosen": pair[0], "rejected": pair[1]}
        ...     for who, pair in [("ann", (short, long)), ("bob", (long, short))]
        ...     for _ in range(10)
        ... ]
        >>> read = bp.text.comparisons(votes, user="who", surface=["length"])
        >>> engine = bp.Gibbs(warmup=1000, thin=4, progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), read, engine)
        >>> answers = ["Seven.", "I would say that it comes to seven, all things considered."]
        >>> for user in ("ann", "bob"):
        ...     scores = posterior.reward_model(user)("3 + 4?", answers)
        ...     print(user, answers[int(scores.mean.argmax())])
        ann Seven.
        bob I would say that it comes to seven, all things considered.
        """
        weights, _ = self._weights(user if user == POPULATION else [user])
        values = weights.transpose("chain", "draw", "user", "feature").to_numpy()
        group = self.model.group_label(self.comparisons, user)
        return TextReward(self.comparisons, values.reshape(-1, values.shape[-1]), group)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save to one NetCDF file, comparisons included; the file is written whole or not at all.

        Parameters
        ----------
        path
            Where to; an existing file is replaced. Any suffix will do, ``.nc`` is usual.

        Raises
        ------
        DataError
            If the folder does not exist or cannot be written to, or a label is of a type that a
            file cannot hold.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> import pathlib, tempfile
        >>> world = bp.simulate(users=20, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "posterior.nc")
        ...     posterior.save(path)
        ...     again = bp.Posterior.load(path)
        >>> again.weights().equals(posterior.weights())
        True
        """
        groups = {
            "posterior": self.draws,
            "sample_stats": self.sample_stats,
            "comparisons": storage.comparisons_dataset(self.comparisons),
        }
        settings = {
            "model": self.model.settings(),
            "engine": self.engine,
            "seed": self.seed,
            "findings": [asdict(finding) for finding in self.findings],
        }
        storage.write(path, groups, settings)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Load what `save` wrote; every number and label is what it was.

        Parameters
        ----------
        path
            The file.

        Raises
        ------
        DataError
            If the file is missing, damaged, of another kind, or of a newer version.
        """
        groups, settings = storage.read(path)
        with storage.damage(path):
            return cls(
                model=from_settings(settings["model"]),
                comparisons=storage.comparisons_from(groups["comparisons"]),
                draws=groups["posterior"],
                sample_stats=groups["sample_stats"],
                engine=settings["engine"],
                seed=settings["seed"],
                findings=tuple(Finding(**finding) for finding in settings["findings"]),
            )

    def __repr__(self) -> str:
        """Describe who was asked, what was fitted and how, and whether to trust it."""
        return as_text(self)

    def _repr_html_(self) -> str:
        """Describe the same for notebooks."""
        return as_html(self)

    @property
    def choice_distribution(self) -> ChoiceDistribution:
        """The distribution of choices at these draws: link, ties, levels, lapses, position bias."""
        return self.model.choice_distribution(self.draws, self.comparisons)

    def _weights(self, users: Users) -> tuple[xr.DataArray, pd.Index]:
        """Draws (chain, draw, user, feature) of the users asked for, and their labels."""
        if isinstance(users, str) and users == POPULATION:
            drawn = self.model.new_user_weights(
                self.draws, self.comparisons, self._generator(_NEW_USER)
            )
            label = pd.Index([POPULATION])
            drawn = drawn.expand_dims(user=label)
            return drawn.transpose("chain", "draw", "user", "feature"), label
        known = self.comparisons.users
        weights = self.model.user_weights(self.draws)
        if users is None:
            return weights, known
        positions = user_positions(users, known)
        return weights.isel(user=positions), known.take(positions)

    def _projected(self, matrix: Floats, labels: pd.Index, dim: str, users: Users) -> xr.DataArray:
        """Draws (chain, draw, user, `dim`) of ``matrix @ weights``."""
        weights, people = self._weights(users)
        values = weights.transpose("chain", "draw", "user", "feature").to_numpy() @ matrix.T
        # Renamed: xarray takes the name of an index for that of its dimension.
        coords = self._sampled() | {"user": people.rename("user"), dim: labels.rename(dim)}
        return xr.DataArray(values, coords, ("chain", "draw", "user", dim))

    def _sampled(self) -> dict[str, Any]:
        """Labels of the chains and draws."""
        return {dim: self.draws[dim].to_numpy() for dim in ("chain", "draw")}

    def _generator(self, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(stream,)))
