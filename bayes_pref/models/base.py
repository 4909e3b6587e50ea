"""Base class of the models of users and their choices.

Priors refer to features scaled by the root mean square of their differences and not centred, so
that they do not depend on units of measurement. All sites are in raw units: the prior sd of a
weight is that on the scaled feature divided by the feature's scale.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal
from weakref import WeakSet

import numpy as np
import pandas as pd
import pyro.poutine as poutine
import torch
import xarray as xr
from pyro.infer import Predictive

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.draws import label, no_draws_of_users
from bayes_pref.errors import DataError, ModelError
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.choice.choice_settings import ChoiceSettings
from bayes_pref.models.item_level import level_free
from bayes_pref.models.observational_bias import has_log, rows_with_bias
from bayes_pref.models.population import Population
from bayes_pref.models.population_from_spec import draw_new_user, population_of
from bayes_pref.models.spec import PopulationSpec, Sites
from bayes_pref.seeding import seeded
from bayes_pref.types import FloatArray

_LARGEST_SCALE = 1e100
_LARGEST_REWARD = 1e8  # log-odds that a prior may allow to one feature: its square is still exact
_MEASURED: WeakSet[Comparisons] = WeakSet()  # comparisons whose sizes were found fit for arithmetic
_CONTEXTS = ("comparison", "context")


@dataclass(frozen=True, kw_only=True)
class RewardModel(ChoiceSettings, ABC):
    """Base of all models: frozen prior settings whose call is a Pyro model.

    A model of your own defines `__call__`, and `spec` where a `PopulationSpec` describes its
    population; the sites are then those that the spec names. Without a spec it defines `variables`
    and `new_user_weights`, and `user_weights` unless it has a site `weights`.

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
    reliability
        Whether some users answer everything at random, each one with probability `careless_share`
        ~ Beta(1, 9): `careless` is then 1, and `posterior.reliability()` says who. Their weights
        are what the population's would be. It goes with any choice model.

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
        settings.check(self, **dict.fromkeys(numbers, settings.prior_size))
        settings.check(self, scale=settings.one_of("rms", "raw"))
        self.check_choice_settings()

    @abstractmethod
    def __call__(self, comparisons: Comparisons) -> None:
        """Run as a Pyro model: sample every site, observe the choices."""

    def spec(self, comparisons: Comparisons) -> PopulationSpec | None:
        """Return how users differ, as engines and diagnostics read it.

        None where no `PopulationSpec` says it: such a model is sampled by `NUTS` or `SVI`, and
        defines `variables`, `user_weights` and `new_user_weights` itself.
        """
        return None

    def variables(self, comparisons: Comparisons) -> Sites:
        """Return the model's sites and the named dimensions of each."""
        spec = self._spec(comparisons, "variables")
        return spec.population_sites | self.choice_variables(comparisons) | spec.user_sites

    def observed(self, comparisons: Comparisons) -> Sites:
        """Return the sites that are data, and the named dimensions of each."""
        spec = self.spec(comparisons)
        shown = {} if spec is None or spec.contexts is None else {"context": _CONTEXTS}
        return shown | {"choice": ("comparison",)}

    def user_weights(self, draws: xr.Dataset, users: pd.Index | None = None) -> xr.DataArray:
        """Return weights of users (None: all), (chain, draw, user, feature), per raw unit."""
        if "weights" in draws:
            weights = draws["weights"]
            return weights if users is None else weights.sel(user=users)
        if "user" not in draws.coords:
            raise no_draws_of_users()
        labels = (draws["user"].to_index() if users is None else users).rename("user")
        return draws["mu"].expand_dims(user=labels).transpose("chain", "draw", "user", "feature")

    def new_user_weights(
        self, draws: xr.Dataset, comparisons: Comparisons, rng: np.random.Generator
    ) -> xr.DataArray:
        """Draw weights of a user from the population, for each draw: (chain, draw, feature).

        Their covariates and exposures are those of one of these users, drawn at random.
        """
        spec = self._spec(comparisons, "new_user_weights")
        return level_free(draw_new_user(spec, draws, rng), spec, comparisons.features)

    def population(self, draws: xr.Dataset, comparisons: Comparisons) -> Population | None:
        """Return the distribution of these users' weights before any of their choices.

        Leaving a user out or replacing them needs it. It is given the contexts that a user was
        shown, where the model says how these are distributed. None: the model does not give it.
        """
        spec = self.spec(comparisons)
        if (
            spec is None or spec.observational_bias is not None
        ):  # rows of a log have weights of their own
            return None
        return population_of(spec, draws, comparisons)

    def component_probabilities(self, draws: xr.Dataset, comparisons: Comparisons) -> FloatArray:
        """Return probabilities of each user's component given their weights and the population.

        Returns
        -------
        (draw, user, component), the chains' draws one after another

        Raises
        ------
        ModelError
            If the model has no mixture components.
        """
        raise ModelError(
            f"{type(self).__name__} has no mixture components; fit bp.MixtureReward(components=2)"
        )

    def with_exposure(
        self, comparisons: Comparisons, *, curve_sd: Mapping[str, float] | None = None
    ) -> RewardModel:
        """Return a model whose weights may depend on exposure: this one, if they may already.

        Otherwise a `HierarchicalReward` with the same priors, as far as it has them, and the same
        choice model. With `curve_sd` weights may depend on squares and products of exposures, too,
        with coefficients of this prior sd.
        """
        spec = self.spec(comparisons)
        if spec is not None and spec.depends_on_exposure:
            return self
        described = {"model": "HierarchicalReward", "exposure": True, "mean_sd": self.mean_sd}
        described |= {"scale": self.scale, "observational_bias": has_log(comparisons)}
        if curve_sd:
            described |= {"exposure": "flexible", "curve_sd": curve_sd}
        return from_settings(described | self._choice_settings())

    def without_exposure(self) -> RewardModel:
        """Return the model with the same priors whose weights do not depend on exposure."""
        return self

    def with_log_bias(self, comparisons: Comparisons) -> RewardModel:
        """Return a `HierarchicalReward` with these priors, without exposure and with a biased log.

        See `bayes_pref.models.observational_bias`.
        """
        described = {"model": "HierarchicalReward", "mean_sd": self.mean_sd, "scale": self.scale}
        described["observational_bias"] = True
        return from_settings(described | self._choice_settings())

    def align(
        self, values: dict[str, FloatArray], comparisons: Comparisons
    ) -> dict[str, FloatArray]:
        """Return draws (chain, draw, ...) by site, with non-identified symmetries removed.

        Called by `fit` on the draws of any engine. Where a posterior has symmetries, such as
        permutations of components, every draw is given the same convention here.
        """
        return values

    def identified(self, draws: xr.Dataset) -> xr.Dataset:
        """Return the functions of the draws that are invariant to what `align` removes."""
        return draws

    def needs_training(self, comparisons: Comparisons) -> bool:
        """Whether the model has parameters that are trained by gradients before any sampling.

        If so, its call runs as a Pyro model with `pyro.param`s, and `with_learned_features` gives
        the comparisons that the posterior is about.
        """
        return False

    def network_inputs(self, comparisons: Comparisons) -> Any:
        """Return what the model's network reads, or None if the model has no network."""
        return None

    def with_learned_features(
        self, comparisons: Comparisons, values: Mapping[str, FloatArray]
    ) -> Comparisons:
        """Return the comparisons on features computed with trained parameters, by name."""
        return comparisons

    def group_label(self, comparisons: Comparisons, user: Hashable) -> Any:
        """Return the user's group, where it is an input of a learned representation, else None."""
        return None

    def check(self, comparisons: Comparisons) -> None:
        """Refuse comparisons that the model cannot describe.

        Raises
        ------
        ModelError
            If the choice model cannot describe the outcome, or a feature's unit is out of all
            proportion.
        """
        if comparisons not in _MEASURED:  # a Pyro model checks at every step
            _check_sizes(comparisons)
            _MEASURED.add(comparisons)
        if self.scale == "raw":
            _check_raw_prior(self.mean_sd, comparisons)
        self.choice_model(comparisons)

    def settings(self) -> dict[str, Any]:
        """Return name and settings, ready for JSON; of the choice model, only what was changed."""
        shared = {field.name for field in fields(ChoiceSettings)}
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in shared}
        return {"model": type(self).__name__, **own, **self._choice_settings()}

    def _choice_settings(self) -> dict[str, Any]:
        found = self.choice_keywords()
        return found if self.choice is None else found | {"choice": self.choice.settings()}

    def _spec(self, comparisons: Comparisons, method: str) -> PopulationSpec:
        """Return the spec, or refuse on behalf of a method that needs it."""
        spec = self.spec(comparisons)
        if spec is None:
            raise ModelError(
                f"{type(self).__name__} has no spec of its population: define spec, or {method}"
            )
        return spec

    def prior_predictive(
        self, comparisons: Comparisons, *, draws: int = 500, seed: int = 0
    ) -> xr.Dataset:
        """Simulate choices from the prior predictive distribution.

        Parameters
        ----------
        comparisons
            The pairs and users to simulate for; their choices are not used.
        draws
            Number of draws from the prior.
        seed
            Random seed.

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
        of_rows, difference = rows_with_bias(self.user_weights(data), data, comparisons)
        weights = of_rows.transpose("chain", "draw", "user", "feature").to_numpy()
        eta = np.einsum("cdnf,nf->cdn", weights[:, :, comparisons.user], difference)
        choices = self.choice_distribution(data, comparisons).of_users(comparisons.user)
        chance = choices.preferred(eta[0].T).T[None]
        if "context" in observed:
            data = data.assign_coords(context=list(comparisons.features.contexts))
        found = {name: (("chain", "draw", *dims), values[name]) for name, dims in observed.items()}
        found["probability"] = (("chain", "draw", "comparison"), chance)
        # Labels of several levels, which choices among several have, are one label each here.
        return data.assign_coords(comparison=comparisons.rows.to_flat_index()).assign(found)


def _check_sizes(comparisons: Comparisons) -> None:
    """Refuse columns whose numbers, or the squares of these, a computer cannot hold."""
    for name, scale in zip(comparisons.feature_names, comparisons.feature_scale, strict=True):
        if wrong := _wrong_size(scale):
            raise ModelError(
                f"feature {name!r} differs by {scale:.0e} in a typical pair, which is too "
                f"{wrong} a number for weights per unit; give it in another unit"
            )
    beside = [
        ("covariate", comparisons.covariate_names, comparisons.covariates, "users"),
        ("context", comparisons.features.contexts, comparisons.context, "comparisons"),
    ]
    for kind, names, values, whose in beside:
        for name, column in zip(names, values.T, strict=True):
            # Not its sd, whose squares may be lost.
            size = float(np.abs(column).max(initial=0.0))
            if size and (wrong := _wrong_size(size)):
                raise ModelError(
                    f"{kind} {name!r} is up to {size:.0e} over the {whose}, which is too {wrong} "
                    "a number to compute with; give it in another unit"
                )


def _wrong_size(size: float) -> str:
    if 1.0 / _LARGEST_SCALE < size < _LARGEST_SCALE:
        return ""
    return "large" if size > 1.0 else "small"


def _check_raw_prior(mean_sd: float, comparisons: Comparisons) -> None:
    """Refuse a prior on raw units under which a typical difference decides every choice."""
    sizes = mean_sd * comparisons.feature_scale
    for name, size in zip(comparisons.feature_names, sizes, strict=True):
        if size > _LARGEST_REWARD:
            raise ModelError(
                f"scale='raw': feature {name!r} differs by {size / mean_sd:.0e} in a typical pair, "
                f"which the prior lets be worth {size:.0e} log-odds; leave scale='rms', or give "
                "the feature in another unit"
            )


def _last(shape: tuple[int, ...], count: int) -> tuple[int, ...]:
    return shape[len(shape) - count :]


def from_settings(settings: dict[str, Any]) -> RewardModel:
    """Build a model from what `RewardModel.settings` returned.

    Raises
    ------
    DataError
        If the name or a setting is not one that this version knows.
    """
    known = {model.__name__: model for model in _final(RewardModel)}
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


def _final(base: type) -> list[type]:
    """Return the classes without subclasses that derive from a base."""
    children: list[type] = base.__subclasses__()
    return [final for child in children for final in (_final(child) or [child])]
