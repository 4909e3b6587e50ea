"""What a posterior holds, how it is saved, and draws of its answers.

User i's reward of an item with features phi is phi . w_i in log-odds, where w_i has a draw for each
draw of the posterior. `Posterior` describes these draws in data frames.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_pref import settings
from bayes_pref.convergence.finding import Finding
from bayes_pref.data import Comparisons
from bayes_pref.draws import stack
from bayes_pref.errors import DataError
from bayes_pref.models import RewardModel, from_settings
from bayes_pref.models.choice.choice_distribution import ChoiceDistribution
from bayes_pref.posterior import storage
from bayes_pref.posterior.coherence import check_draws, check_features, check_run
from bayes_pref.posterior.estimates import average_chances
from bayes_pref.posterior.own_choices import of_new_user
from bayes_pref.posterior.own_weights import of_rows
from bayes_pref.posterior.queries import (
    AVERAGE,
    POPULATION,
    Items,
    Users,
    difference_matrix,
    is_average,
    item_matrix,
    user_positions,
)
from bayes_pref.posterior.renamed_attributes import missing_attribute
from bayes_pref.posterior.run import Run
from bayes_pref.posterior.stored_comparisons import comparisons_dataset, comparisons_from
from bayes_pref.posterior.text_reward import TextReward
from bayes_pref.posterior.user_summary import UserSummary
from bayes_pref.text.text_features import EncoderLike, TextFeatures
from bayes_pref.types import FloatArray, IntArray

# Streams of random numbers: the draws for one question never change the answer to another.
_NEW_USER, _NEW_USER_AT_RANDOM = 1, 5  # 2: replications; 3: random answers; 4: average effects


@dataclass(frozen=True, eq=False, repr=False)
class PosteriorDraws:
    """Base of `Posterior`: what it holds, and draws of its answers."""

    model: RewardModel
    comparisons: Comparisons
    draws: xr.Dataset
    sample_stats: xr.Dataset
    run: Run
    seed: int
    findings: tuple[Finding, ...] = ()
    users: UserSummary | None = None

    if not TYPE_CHECKING:  # a type checker would take every attribute to exist

        def __getattr__(self, name: str) -> Any:
            return missing_attribute(self, name)

    @property
    def choice_distribution(self) -> ChoiceDistribution:
        """Distribution of choices at these draws: link, ties, levels, lapse rate, position bias."""
        return self.model.choice_distribution(self.draws, self.comparisons)

    def choices_of(self, users: Users = None) -> ChoiceDistribution:
        """Return the distribution of some users' answers, in the order of `weights_draws`.

        Where users may answer at random, that differs from user to user.

        Parameters
        ----------
        users
            As for `weights`.
        """
        found = self.choice_distribution
        if isinstance(users, str) and users == POPULATION:
            return of_new_user(found, self.draws, self._generator(_NEW_USER_AT_RANDOM))
        return found.of_users(user_positions(users, self.comparisons.users))

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
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> posterior.weights_draws(list(world.comparisons.users[:3])).shape
        (4, 1000, 3, 4)
        """
        return self._weights(users)[0].rename("weights")

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

    def preference_draws(
        self, left: Items, right: Items = None, users: Users = None
    ) -> xr.DataArray:
        """Return draws of the probability that left is preferred, (chain, draw, user, comparison).

        Parameters
        ----------
        left, right
            As for `preference`.
        users
            As for `weights`.

        Raises
        ------
        DataError
            As `preference`.
        """
        matrix, labels = difference_matrix(left, right, self.comparisons)
        if is_average(users):
            return self._average_preference(matrix, labels)
        eta = self._projected(matrix, labels, "comparison", users)
        samples_last = np.moveaxis(eta.to_numpy(), (0, 1), (2, 3))
        samples = samples_last.reshape(*samples_last.shape[:2], -1)
        chance = self.choices_of(users).preferred(samples)
        chance = np.moveaxis(chance.reshape(samples_last.shape), (2, 3), (0, 1))
        return eta.copy(data=chance).rename("preference")

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
        group = self.model.group_label(self.comparisons, user)
        return TextReward(self.comparisons, stack(weights, "user", "feature")[:, 0], group)

    def save(self, path: str | os.PathLike[str], *, compact: bool = False) -> None:
        """Save to one NetCDF file, comparisons included, completely or not at all.

        Parameters
        ----------
        path
            The file; an existing one is replaced. Any suffix will do, ``.nc`` is usual.
        compact
            Whether to save draws of users' parameters as compressed 32-bit floats, which takes a
            quarter of the space. Each draw is rounded to half of the Monte Carlo standard error of
            the mean, or finer, and so moves by a quarter of it at most: nothing is lost beyond
            Monte Carlo error. Draws of the population are exact either way.

        Raises
        ------
        DataError
            If the folder does not exist or cannot be written to, there is no room, a label is of a
            type that a file cannot hold, or the draws do not fit the comparisons.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "posterior.nc")
        ...     posterior.save(path)
        ...     again = bp.Posterior.load(path)
        >>> again.weights().equals(posterior.weights())
        True
        """
        settings.argument("compact", compact, settings.boolean)
        with storage.refusals("save to", path):
            self._check()
        storage.write(path, *self.stored(), compact=compact)

    def stored(self) -> tuple[dict[str, xr.Dataset], dict[str, Any]]:
        """Return datasets and JSON settings by name, from which `restored` makes the same."""
        groups = {
            "posterior": self.draws,
            "sample_stats": self.sample_stats,
            "comparisons": comparisons_dataset(self.comparisons),
        }
        if self.users is not None:
            groups["users"] = self.users.stored()
        return groups, {
            "model": self.model.settings(),
            "run": self.run.state(),
            "seed": self.seed,
            "findings": [asdict(finding) for finding in self.findings],
        }

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        *,
        encoder: EncoderLike | None = None,
        cache: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Load what `save` wrote, with the same numbers and labels.

        Nothing outside the file is read, written or fetched.

        Parameters
        ----------
        path
            The file.
        encoder
            The encoder of the texts, where features are components of embeddings and new texts
            are to be scored: as in `bayes_pref.text.comparisons`. A file only remembers its name.
        cache
            A folder for embeddings by that encoder.

        Raises
        ------
        DataError
            If the file is missing, damaged, no saved posterior, or of a newer version; if its parts
            contradict each other; or if there is an encoder and the features are not of texts.
        """
        groups, described = storage.read(path)
        if storage.ELICITATION in groups:
            raise DataError(
                f"cannot load {path}: it is a saved elicitation",
                "load it with bp.Elicitation.load(...), whose .posterior has all answers",
            )
        with storage.damage(path):
            loaded = cls.restored(groups, described)
        if encoder is None:
            return loaded
        text = loaded.comparisons.text
        if not isinstance(text, TextFeatures):
            raise DataError(f"{path} has no features of texts", "load it without encoder=")
        known = replace(loaded.comparisons, text=text.with_encoder(encoder, cache))
        return replace(loaded, comparisons=known)

    @classmethod
    def restored(cls, groups: Mapping[str, xr.Dataset], described: Mapping[str, Any]) -> Self:
        """Build what `stored` described; refuse parts that contradict each other."""
        loaded = cls(
            model=from_settings(described["model"]),
            comparisons=comparisons_from(groups["comparisons"]),
            draws=groups["posterior"],
            sample_stats=groups["sample_stats"],
            run=Run.from_state(described["run"]),
            seed=described["seed"],
            findings=tuple(Finding(**finding) for finding in described["findings"]),
            users=UserSummary.restored(groups["users"]) if "users" in groups else None,
        )
        loaded._check()
        return loaded

    def _check(self) -> None:
        """Refuse parts that contradict each other."""
        check_run(self.run, self.seed, self.findings)
        check_features(self.comparisons)
        check_draws(self.model, self.comparisons, self.draws, self.sample_stats, users=self.users)

    def _weights(self, users: Users) -> tuple[xr.DataArray, pd.Index]:
        """Draws (chain, draw, user, feature) of the users asked for, and their labels."""
        if isinstance(users, str) and users == POPULATION:
            rng = self._generator(_NEW_USER)
            drawn = self.model.new_user_weights(self.draws, self.comparisons, rng)
            label = pd.Index([POPULATION])
            drawn = drawn.expand_dims(user=label)
            return drawn.transpose("chain", "draw", "user", "feature"), label
        known = self.comparisons.users
        if self.users is not None:
            return self.users.drawn(users, known)
        weights = self.model.user_weights(self.draws)
        if users is None:
            return weights, known
        if is_average(users):
            shares = xr.DataArray(self.comparisons.user_shares, dims="user")
            mean = weights.drop_vars("user", errors="ignore").dot(shares, dim="user")
            mean = mean.expand_dims(user=[AVERAGE]).transpose("chain", "draw", "user", "feature")
            return mean, pd.Index([AVERAGE])
        positions = user_positions(users, known)
        return weights.isel(user=positions), known.take(positions)

    def _average_preference(self, matrix: FloatArray, labels: pd.Index) -> xr.DataArray:
        """Draws (chain, draw, user, comparison) of the average probability of left."""
        chances = self._average_chances(matrix)
        preferred = chances[(len(chances) + 1) // 2 :].sum(axis=0)
        coords = self._sampled() | {"user": [AVERAGE], "comparison": labels.rename("comparison")}
        values = preferred.T.reshape(len(coords["chain"]), -1, 1, len(matrix))
        return xr.DataArray(
            values, coords, ("chain", "draw", "user", "comparison"), name="preference"
        )

    def _average_chances(self, matrix: FloatArray) -> FloatArray:
        """Probabilities (outcome, comparison, sample) of a person's answers, over all users."""
        weights, shares = self._weights(None)[0], self.comparisons.user_shares
        return average_chances(weights, matrix, self.choice_distribution, shares)

    def _own_weights(
        self, positions: NDArray[np.intp], labels: pd.Index
    ) -> tuple[xr.DataArray, IntArray]:
        """Weights of the users of some rows, and (n,) their codes; warns of new users."""
        population = partial(self._weights, POPULATION)
        return of_rows(self.model.user_weights(self.draws), positions, labels, population)

    def _projected(
        self, matrix: FloatArray, labels: pd.Index, dim: str, users: Users
    ) -> xr.DataArray:
        """Draws (chain, draw, user, `dim`) of ``matrix @ weights``."""
        weights, owners = self._weights(users)
        values = weights.transpose("chain", "draw", "user", "feature").to_numpy() @ matrix.T
        # Renamed: xarray takes the name of an index for that of its dimension.
        coords = self._sampled() | {"user": owners.rename("user"), dim: labels.rename(dim)}
        return xr.DataArray(values, coords, ("chain", "draw", "user", dim))

    def _sampled(self) -> dict[str, Any]:
        """Labels of the chains and draws."""
        return {dim: self.draws[dim].to_numpy() for dim in ("chain", "draw")}

    def _generator(self, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(stream,)))
