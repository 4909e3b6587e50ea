"""What every model of users and their choices offers, and how its priors meet the data's units.

Priors are stated for features scaled by the root mean square of their differences, never centred,
so that they mean the same whatever the unit of measurement. All sites are nevertheless in raw
units: a prior sd on the scaled feature is divided by the feature's scale.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyro.poutine as poutine
import torch
import xarray as xr
from numpy.typing import NDArray
from pyro.infer import Predictive

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.draws import label
from bayes_pref.errors import DataError, ModelError
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.choice.choice_settings import ChoiceSettings
from bayes_pref.models.population import Population
from bayes_pref.seeding import seeded

Array = NDArray[np.float64]

_LARGEST_SCALE = 1e100


@dataclass(frozen=True)
class GaussianUsers:
    """A model of Gaussian users, in the form that exact samplers read; choices are a `ChoiceModel`.

    Attributes
    ----------
    covariance
        "none" (everyone has weights mu), "diagonal" or "full".
    mean_sd
        (n_features,): prior sd of mu, log-odds per raw unit.
    effect_sd
        (n_features, n_covariates): prior sd of B, log-odds per raw unit of both.
    coupling_sd
        (n_features, n_contexts): prior sd of G, log-odds per raw unit and sd of exposure.
    spread_sd
        (n_features,): scale of the half-normal prior of tau, log-odds per raw unit.
    concentration
        Of the LKJ prior of the correlations; 1 where it does not apply.
    covariates
        (n_users, n_covariates): centred over users, raw units.
    exposure
        (n_users, n_contexts): `exposures`; n_contexts is 0 in a model without the exposure term.
    loading_sd
        (n_features, rank): prior sd of V, log-odds per raw unit, in a model whose users have
        positions z_i ~ Normal(0, I) that add V z_i to their weights; without any, rank is 0. The
        covariance is then that of what V z_i leaves.
    """

    covariance: Literal["none", "diagonal", "full"]
    mean_sd: Array
    effect_sd: Array
    coupling_sd: Array
    spread_sd: Array
    concentration: float
    covariates: Array
    exposure: Array
    loading_sd: Array = field(default_factory=lambda: np.empty((1, 0)))


@dataclass(frozen=True)
class MixtureOfUsers:
    """A model with logistic choices and a few kinds of Gaussian users, as exact samplers read it.

    Attributes
    ----------
    gaussian
        The users given the kinds, diagonal, without covariates; `mean_sd` is of every kind's mu.
    components
        Number of kinds.
    concentration
        Of the symmetric Dirichlet prior of their shares.
    exposure
        Whether the contexts that a user is shown tell of their kind.
    centre, context_sd
        (n_contexts,): prior mean of a, and prior sd of a, `between` and `within`; raw units.
    """

    gaussian: GaussianUsers
    components: int
    concentration: float
    exposure: bool
    centre: Array
    context_sd: Array


@dataclass(frozen=True)
class SharedCause:
    """A model with logistic choices and Gaussian users who share a cause with what they are shown.

    Attributes
    ----------
    gaussian
        The users given the cause, which takes the place of the exposures; `coupling_sd` is of
        Gamma, log-odds per raw unit of both.
    categories
        Whether the contexts are indicators of a choice, else Gaussian.
    centre, context_sd
        (n_contexts,): prior mean of a, and prior sd of a, `between` and `within`; raw units.
    """

    gaussian: GaussianUsers
    categories: bool
    centre: Array
    context_sd: Array


@dataclass(frozen=True, kw_only=True)
class RewardModel(ChoiceSettings, ABC):
    """Base of all models: frozen prior settings whose call is an ordinary Pyro model.

    Parameters
    ----------
    mean_sd
        Prior sd of the population's mean weights `mu`, which are centred at zero: log-odds per
        scaled unit of a feature.
    scale
        "rms": priors are on features divided by the root mean square of their differences;
        "raw": on features as given.
    choice
        How rewards become choices: a `ChoiceModel` such as `Logit`. None: `Ordinal` for graded
        answers, `PlackettLuce` for rankings, and otherwise `Logit`, or `Probit` where asked for.
    link, lapse, position, ties
        Settings of the choice model that suits the data, instead of `choice`: "logit" or "probit";
        whether there are lapses, a position bias, and ties (None: where the data have any).

    Examples
    --------
    >>> import bayes_pref as bp
    >>> isinstance(bp.HierarchicalReward(), bp.RewardModel)
    True
    >>> bp.PooledReward(mean_sd=1.0).settings()
    {'model': 'PooledReward', 'mean_sd': 1.0, 'scale': 'rms'}
    >>> bp.HierarchicalReward(lapse=True).choice_model(bp.simulate(seed=0).comparisons)
    Logit(ties=False, lapse=True, position=False)
    """

    mean_sd: float = 2.0
    scale: Literal["rms", "raw"] = "rms"

    def __post_init__(self) -> None:
        """Validate the settings: what is a number by default must be positive."""
        numbers = [each.name for each in fields(self) if isinstance(each.default, float)]
        settings.check(self, **dict.fromkeys(numbers, settings.positive))
        settings.check(self, scale=settings.one_of("rms", "raw"))
        self.check_choice_settings()

    @abstractmethod
    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: sample every site, observe the choices."""

    @abstractmethod
    def variables(self, comparisons: Comparisons) -> dict[str, tuple[str, ...]]:
        """Return the model's sites and the named dimensions of each."""

    @abstractmethod
    def user_weights(self, draws: xr.Dataset, users: pd.Index | None = None) -> xr.DataArray:
        """Weights of users (None: all), (chain, draw, user, feature), log-odds per raw unit."""

    @abstractmethod
    def new_user_weights(
        self, draws: xr.Dataset, comparisons: Comparisons, rng: np.random.Generator
    ) -> xr.DataArray:
        """Weights of a user drawn from the population, one per draw: (chain, draw, feature)."""

    def align(self, values: dict[str, Array], comparisons: Comparisons) -> dict[str, Array]:
        """Return draws (chain, draw, ...) by site, with what the model leaves open settled.

        Called by `fit` on the draws of any engine. Where a posterior has symmetries, such as
        directions that may be rotated, this is where every draw gets the same convention.
        """
        return values

    def identified(self, draws: xr.Dataset) -> xr.Dataset:
        """Return what of the draws no convention of `align` can change: what may be compared."""
        return draws

    def gaussian_users(self, comparisons: Comparisons) -> GaussianUsers | None:
        """Return the model as `GaussianUsers`, or None where its users are not of that kind."""
        return None

    def needs_training(self, comparisons: Comparisons) -> bool:
        """Whether the model has parameters that must be trained by gradients before any sampling.

        If so, its call runs as a Pyro model with `pyro.param`s, and `with_learned_features` makes of them what
        the posterior is about.
        """
        return False

    def with_learned_features(
        self, comparisons: Comparisons, values: Mapping[str, Array]
    ) -> Comparisons:
        """Return the comparisons as trained parameters, by name, see them."""
        return comparisons

    def group_label(self, comparisons: Comparisons, user: Hashable) -> Any:
        """Group that a user's rewards are computed for, where a representation asks for it."""
        return None

    def mixture_of_users(self, comparisons: Comparisons) -> MixtureOfUsers | None:
        """Return the model as `MixtureOfUsers`, or None where it is not of that kind."""
        return None

    def shared_cause(self, comparisons: Comparisons) -> SharedCause | None:
        """Return the model as `SharedCause`, or None where it is not of that kind."""
        return None

    def observed(self, comparisons: Comparisons) -> dict[str, tuple[str, ...]]:
        """Return the sites that are data, and the named dimensions of each."""
        return {"choice": ("comparison",)}

    def population(self, draws: xr.Dataset, comparisons: Comparisons) -> Population | None:
        """Return the law of the weights of each of these users before any of their choices.

        What leaves a user out or replaces them asks for it. None: the model has no such law.
        """
        return None

    def component_probabilities(self, draws: xr.Dataset, comparisons: Comparisons) -> Array | None:
        """Probabilities of the components of a mixture, (draw, user, component); None without any."""
        return None

    def check(self, comparisons: Comparisons) -> None:
        """Refuse comparisons that the model cannot describe.

        Raises
        ------
        ModelError
            If the choice model cannot describe the outcome, or a feature's unit is out of all
            proportion.
        """
        for name, scale in zip(comparisons.feature_names, comparisons.feature_scale, strict=True):
            # Weights are per unit of a feature, and their squares must be numbers, too.
            if not 1.0 / _LARGEST_SCALE < scale < _LARGEST_SCALE:
                raise ModelError(
                    f"feature {name!r} differs by {scale:.0e} in a typical pair, which is too "
                    f"{'large' if scale > 1.0 else 'small'} a number for weights per unit; "
                    "give it in another unit"
                )
        self.choice_model(comparisons)

    def settings(self) -> dict[str, Any]:
        """Return the name and settings, ready for JSON; of the choice model, what is not default."""
        shared = {field.name for field in fields(ChoiceSettings)}
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in shared}
        choice = self.choice_keywords()
        if self.choice is not None:
            choice = {"choice": self.choice.settings()}
        return {"model": type(self).__name__, **own, **choice}

    def prior_predictive(
        self, comparisons: Comparisons, *, draws: int = 500, seed: int = 0
    ) -> xr.Dataset:
        """Simulate choices from the prior, to see what it believes before any data.

        Parameters
        ----------
        comparisons
            The pairs and users to simulate for; their choices are not used.
        draws
            Number of draws from the prior.
        seed
            Of the simulation.

        Returns
        -------
        Dataset with the model's sites, `probability` (chain, draw, comparison) that left is
        preferred, and simulated `choice` (chain, draw, comparison); one chain. A model that also
        describes what users are shown simulates `context`, too.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> world = bp.simulate(users=20, seed=0)
        >>> prior = bp.HierarchicalReward().prior_predictive(world.comparisons, draws=50)
        >>> prior.probability.dims
        ('chain', 'draw', 'comparison')
        """
        blank = replace(comparisons)
        observed = self.observed(comparisons)
        names = [*self.variables(comparisons), *observed]
        with seeded(seed), torch.no_grad():
            sample = Predictive(poutine.uncondition(self), num_samples=draws, return_sites=names)(
                blank
            )
        variables = self.variables(comparisons)
        # Predictive keeps a dimension of size one for the plate that a population site is not in.
        values = {
            name: sample[name].numpy().reshape(1, draws, *_last(sample[name].shape, len(dims)))
            for name, dims in {**variables, **observed}.items()
        }
        data = label({name: values[name] for name in variables}, variables, comparisons)
        weights = self.user_weights(data).transpose("chain", "draw", "user", "feature").to_numpy()
        eta = np.einsum("cdnf,nf->cdn", weights[:, :, comparisons.user], comparisons.difference)
        chance = self.choice_distribution(data, comparisons).preferred(eta[0].T).T[None]
        if "context" in observed:
            data = data.assign_coords(context=list(comparisons.features.contexts))
        found = {name: (("chain", "draw", *dims), values[name]) for name, dims in observed.items()}
        found["probability"] = (("chain", "draw", "comparison"), chance)
        return data.assign_coords(comparison=comparisons.rows).assign(found)


def _last(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    return shape[len(shape) - count :]


def feature_units(model: RewardModel, comparisons: Comparisons) -> Array:
    """Scale on which priors hold for each feature, (n_features,), raw units."""
    if model.scale == "raw":
        return np.ones(len(comparisons.feature_names))
    return comparisons.feature_scale


def covariate_units(model: RewardModel, comparisons: Comparisons) -> Array:
    """Scale on which priors hold for each covariate, (n_covariates,): its sd over users."""
    if model.scale == "raw":
        return np.ones(len(comparisons.covariate_names))
    return np.asarray(comparisons.covariates.std(axis=0))


def centred_covariates(comparisons: Comparisons) -> Array:
    """Covariates minus their mean over users, (n_users, n_covariates), raw units."""
    return np.asarray(comparisons.covariates - comparisons.covariates.mean(axis=0))


def mean_contexts(comparisons: Comparisons) -> Array:
    """Mean context of each user's comparisons, (n_users, n_contexts), raw units."""
    total = np.add.reduceat(comparisons.context, comparisons.offsets[:-1], axis=0)
    return np.asarray(total / comparisons.counts[:, None])


def exposures(comparisons: Comparisons) -> Array:
    """What each user is shown, (n_users, n_contexts): mean contexts in sds over users, centred.

    A context whose mean is the same for all users gives 0: there is no exposure to tell apart.
    """
    means = mean_contexts(comparisons)
    centred = means - means.mean(axis=0)
    sd = centred.std(axis=0)
    # Means of equal contexts over unequal numbers of rows differ by rounding.
    size = np.abs(comparisons.context).max(axis=0, initial=0.0)
    varies = sd > 1e-12 * size
    return np.asarray(np.where(varies, centred / np.where(varies, sd, 1.0), 0.0))


def from_settings(settings: dict[str, Any]) -> RewardModel:
    """Build a model from what `RewardModel.settings` returned.

    Raises
    ------
    DataError
        If the name or a setting is not one that this version knows.
    """
    known = {kind.__name__: kind for kind in _final(RewardModel)}
    name = settings.get("model")
    if name not in known:
        raise DataError(f"unknown model {name!r}; this version knows {', '.join(sorted(known))}")
    rest = {key: value for key, value in settings.items() if key != "model"}
    if "choice" in rest:
        rest["choice"] = ChoiceModel.from_settings(rest["choice"])
    try:
        model: RewardModel = known[name](**rest)
    except TypeError as err:
        raise DataError(f"{name} has settings that this version does not know: {err}") from err
    return model


def _final(kind: type) -> list[type]:
    children: list[type] = kind.__subclasses__()
    return [final for child in children for final in (_final(child) or [child])]
