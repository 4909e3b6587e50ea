"""Features learned by a small network that all users share, and weights of each user, the heads.

    z(x, y) = V tanh(U s(x, y) + a)                s: attributes of y and contexts of x, scaled
    mu ~ Normal(0, mean_sd^2),  tau ~ HalfNormal(spread_sd),  w_i ~ Normal(mu, tau^2)
    choice_n ~ Bernoulli(sigmoid((z(x_n, left) - z(x_n, right)) . w_i(n)))

The network is trained first, with normal priors of U and V as weight decay. Given z, the heads are
those of a `HierarchicalReward`, and can be sampled exactly. With balance = lambda > 0 there is an
adversary that makes the representation invariant to the user group: a second network predicts the
group from z of either response, and the gradient of its loss reaches z reversed, times lambda
(Ganin & Lempitsky 2015), as in Kobalczyk & van der Schaar (2025). Their Multihead model is lambda =
0, and their Base model heads="joined": one head for all users, and the group as an input of the
network.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import torch
import xarray as xr

from bayes_pref import settings
from bayes_pref.data import Comparisons, Features, Representation
from bayes_pref.data.selection import rows_of
from bayes_pref.errors import ModelError
from bayes_pref.models.base import RewardModel
from bayes_pref.models.design import Batch
from bayes_pref.models.hierarchical import HierarchicalReward
from bayes_pref.models.network_parameters import add_adversary, network_parameters, represent
from bayes_pref.models.pooled import PooledReward
from bayes_pref.models.population_sites import half_normal_site, normal_site
from bayes_pref.models.spec import PopulationSpec, Sites
from bayes_pref.seeding import standard_torch
from bayes_pref.types import FloatArray


@dataclass(frozen=True, kw_only=True)
class RepresentationReward(RewardModel):
    """Rewards are linear in features z that a small network learns; every user has a head.

    `fit` trains the network by `SVI` and then draws the heads. The posterior's comparisons are on
    z, so that whatever works on features, diagnostics included, works on z, and
    ``bp.fit(posterior.model, posterior.comparisons)`` samples the heads exactly by `Gibbs`. The
    uncertainty is that of the heads; the network is a point estimate.

    Parameters
    ----------
    size, hidden
        Number of learned features, and of the network's hidden units.
    heads
        "user": a head for each user, from a population (for a head for each group, pass the column
        of groups as the user); "joined": one head, and the group as an input.
    balance
        Weight of the adversary, lambda; 0: no adversary.
    group
        Covariate whose values are the groups; None: every user is a group.
    network_sd
        Prior sd of the network's weights, times the root of their number of inputs. Smaller values
        give smoother features.
    mean_sd, spread_sd
        Prior sds of the heads' mean and of their spread, log-odds per scaled unit.
    scale
        "rms": priors of heads are on z divided by the root mean square of its differences.

    Raises
    ------
    ModelError
        If a setting is out of range, the data do not say what both sides were, have interactions
        (the network finds its own), or `heads` or `balance` need groups that they lack.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> bp.RepresentationReward(size=2, balance=1.0).settings()["balance"]
    1.0
    """

    size: int = 8
    hidden: int = 32
    heads: Literal["user", "joined"] = "user"
    balance: float = 0.0
    group: str | None = None
    network_sd: float = 1.0
    spread_sd: float = 1.0

    def __post_init__(self) -> None:
        """Validate the settings."""
        settings.check(
            self,
            balance=settings.number(0),
            size=settings.whole(1),
            hidden=settings.whole(1),
            heads=settings.one_of("user", "joined"),
        )
        if self.balance:  # the base asks of every number that it be positive
            super().__post_init__()
        else:
            replace(self, balance=1.0)

    def needs_training(self, comparisons: Comparisons) -> bool:
        """Whether these comparisons are on the network's inputs, not on learned features."""
        return comparisons.representation is None

    def network_inputs(self, comparisons: Comparisons) -> Inputs:
        """Return what the network reads: both sides, scaled, and the group of each row."""
        return Inputs.of(self, comparisons)

    def check(self, comparisons: Comparisons) -> None:
        """Refuse comparisons that the model cannot describe.

        Raises
        ------
        ModelError
            As the class says.
        """
        if not self.needs_training(comparisons):
            if self.heads == "joined":  # `PooledReward.check` would warn of the group's covariate
                super().check(comparisons)
            else:
                self.heads_model.check(comparisons)
            return
        super().check(comparisons)
        if self.reliability:
            raise ModelError(
                "RepresentationReward(reliability=True): the network is trained on everybody's "
                "answers; leave reliability out"
            )
        if comparisons.right is None or not comparisons.outcome.rowwise:
            raise ModelError(
                "RepresentationReward needs both sides of each pair, not only their difference: "
                "read the data with left=[...] and right=[...], or with bp.text.comparisons"
            )
        if comparisons.features.interactions:
            raise ModelError(
                "RepresentationReward finds interactions with the context by itself: leave "
                "interactions out"
            )
        groups = self._labels(comparisons)
        if (self.balance or self.heads == "joined") and len(set(groups)) < 2:
            raise ModelError(
                "RepresentationReward with balance= or heads='joined' needs at least two groups, "
                "and these comparisons have one: check group= or the user column"
            )
        if self.heads == "user" and comparisons.n_users < 2:
            raise ModelError(
                "RepresentationReward needs at least two users to learn how heads differ; use "
                "heads='joined' with a group, or check the user column"
            )

    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: of the heads, given z; before training, of network and heads."""
        self.check(comparisons)
        if not self.needs_training(comparisons):
            self.heads_model(comparisons)
            return
        inputs = Inputs.of(self, comparisons)
        network = network_parameters(
            inputs.centre.shape[0], self.hidden, self.size, self.network_sd
        )
        mu = normal_site("mu", np.full(self.size, float(self.mean_sd)))
        everyone = pyro.plate("user", comparisons.n_users, dim=-1)
        batch = Batch.of(comparisons, everyone.indices)
        rows = slice(None) if batch.users is None else rows_of(batch.users, comparisons.offsets)
        left, right = (represent(network, part[rows]) for part in inputs.sides)
        heads = mu
        if self.heads == "user":
            tau = half_normal_site("tau", np.full(self.size, float(self.spread_sd)))
            with everyone:
                weights = pyro.sample("weights", dist.Normal(mu, tau).to_event(1))
            heads = weights[..., batch.user, :]
        eta = ((left - right) * heads).sum(-1)
        if self.balance:
            group = inputs.groups[rows]
            add_adversary(
                torch.cat([left, right]),
                torch.cat([group, group]),
                groups=len(inputs.labels),
                hidden=self.hidden,
                balance=self.balance,
                scale=batch.scale,
            )
        likelihood = self.choice_likelihood(comparisons)
        with batch.plate():
            pyro.sample("choice", likelihood(eta), obs=batch.choice)

    def with_learned_features(
        self, comparisons: Comparisons, values: Mapping[str, FloatArray]
    ) -> Comparisons:
        """Return the comparisons on z, given the trained parameters by name."""
        inputs = Inputs.of(self, comparisons)
        network = Representation(
            comparisons.features.attributes,
            comparisons.features.contexts,
            inputs.labels if self.heads == "joined" else (),
            inputs.centre,
            inputs.scale,
            *(np.array(values[f"network.{name}"]) for name in ("inner", "bias", "outer")),
        )
        return self.represented(comparisons, network)

    def represented(self, comparisons: Comparisons, network: Representation) -> Comparisons:
        """Comparisons on the features that a trained network makes, such as held-out ones.

        Parameters
        ----------
        comparisons
            On the columns that the network was trained on.
        network
            ``posterior.comparisons.representation``.

        Raises
        ------
        ModelError
            If the columns differ from those, or do not say what both sides were.
        """
        features = comparisons.features
        known = (network.attributes, network.contexts)
        if comparisons.right is None or (features.attributes, features.contexts) != known:
            raise ModelError(
                "the network was trained on other columns; read these comparisons as those were"
            )
        groups = None
        if network.groups:
            groups = [self._labels(comparisons)[code] for code in comparisons.user]
        count = len(features.attributes)
        right = network(comparisons.right, comparisons.context, groups)
        left = comparisons.right + comparisons.difference[:, :count]
        return replace(
            comparisons,
            difference=network(left, comparisons.context, groups) - right,
            right=right,
            features=Features(
                network.names, features.contexts, context_codings=features.context_codings
            ),
            catalogue=None,
            representation=network,
        )

    def group_label(self, comparisons: Comparisons, user: Hashable) -> Any:
        """Group that a user's rewards are computed for, where the network has it as an input."""
        if self.heads != "joined" or user not in comparisons.users:
            return None
        return self._labels(comparisons)[comparisons.users.tolist().index(user)]

    def _labels(self, comparisons: Comparisons) -> list[Any]:
        """Group of each user."""
        if self.group is None:
            return comparisons.users.tolist()
        if self.group not in comparisons.covariate_names:
            raise ModelError(
                f"RepresentationReward(group={self.group!r}): there is no covariate of that name"
            )
        column = comparisons.covariate_names.index(self.group)
        return list(comparisons.covariates[:, column].tolist())

    @property
    def heads_model(self) -> HierarchicalReward | PooledReward:
        """The model of the heads given the learned features."""
        shared = {each.name: getattr(self, each.name) for each in fields(RewardModel)}
        if self.heads == "joined":
            return PooledReward(**shared)
        return HierarchicalReward(**shared, spread_sd=self.spread_sd)

    def spec(self, comparisons: Comparisons) -> PopulationSpec | None:
        """Return how heads differ, given the learned features; before training, None."""
        if self.needs_training(comparisons):
            return None
        return self.heads_model.spec(comparisons)

    def variables(self, comparisons: Comparisons) -> Sites:
        """Return the heads' sites and the named dimensions of each."""
        return self.heads_model.variables(comparisons)

    def with_exposure(
        self, comparisons: Comparisons, *, curve_sd: Mapping[str, float] | None = None
    ) -> RewardModel:
        """Return a model of heads that may depend on exposure, given the learned features."""
        return self.heads_model.with_exposure(comparisons, curve_sd=curve_sd)

    def prior_predictive(
        self, comparisons: Comparisons, *, draws: int = 500, seed: int = 0
    ) -> xr.Dataset:
        """Simulate choices from the prior of the heads given z; see `RewardModel`.

        Raises
        ------
        ModelError
            If the network is not trained.
        """
        if self.needs_training(comparisons):
            raise ModelError(
                "RepresentationReward has a prior predictive of its heads alone: fit it, and ask "
                "with posterior.comparisons"
            )
        return super().prior_predictive(comparisons, draws=draws, seed=seed)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Inputs of the network.

    Attributes
    ----------
    sides
        Left and right: (n, p) attributes, contexts and, with joined heads, indicators of the group;
        standardised.
    groups, labels
        (n,) code of the group of each row, and the groups.
    centre, scale
        (p,) mean and sd of the inputs over both sides.
    """

    sides: tuple[torch.Tensor, ...]
    groups: torch.Tensor
    labels: tuple[Any, ...]
    centre: FloatArray
    scale: FloatArray

    @classmethod
    def of(cls, model: RepresentationReward, comparisons: Comparisons) -> Inputs:
        """Return the inputs, which are made once for each `Comparisons`."""
        made = _REMEMBERED.setdefault(comparisons, {})
        key = (model.heads, model.group)
        if key not in made:
            with standard_torch():  # kept for callers in any surroundings
                made[key] = cls._read(model, comparisons)
        return made[key]

    @classmethod
    def _read(cls, model: RepresentationReward, comparisons: Comparisons) -> Inputs:
        if comparisons.right is None:
            raise TypeError("no sides")
        codes, labels = pd.factorize(pd.Series(model._labels(comparisons), dtype=object))
        groups = codes[comparisons.user].astype(np.int64)
        beside = comparisons.context
        if model.heads == "joined":
            beside = np.hstack([beside, np.eye(len(labels))[groups]])
        left = np.hstack([comparisons.right + comparisons.difference, beside])
        right = np.hstack([comparisons.right, beside])
        both = np.vstack([left, right])
        centre, scale = both.mean(axis=0), both.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        sides = tuple(torch.tensor((side - centre) / scale) for side in (left, right))
        return cls(sides, torch.tensor(groups), tuple(labels.tolist()), centre, scale)


_REMEMBERED: WeakKeyDictionary[Comparisons, dict[Any, Inputs]] = WeakKeyDictionary()
