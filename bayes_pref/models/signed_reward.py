"""Constraints on the signs of weights, and on the order of levels: a setting of reward models.

With `constraints={"price": "negative"}` every user's weight of price is log-normal: minus exp(v),
v ~ Normal. That is one of two usual priors (Train 2009, Discrete Choice Methods with Simulation,
ch. 6). The other, a normal truncated at zero (Allenby, Arora & Ginter 1995, J. Mark. Res. 32), is
not used: its normalising constant is a probability of an orthant that depends on mu, tau and
correlations, which are then no longer the mean, sds and correlations of anybody's weights; and it
piles users up at zero. The log-normal's right tail is long, and it has no users at exactly zero:
where many do not care at all, compare with the model without the constraint (`bayes_pref.compare`).
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from bayes_pref import settings
from bayes_pref.data import Comparisons, Features
from bayes_pref.data.coding import Coding
from bayes_pref.errors import ModelError
from bayes_pref.messages import listed, shown, suggestion
from bayes_pref.models.base import RewardModel
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray

Direction: TypeAlias = Literal["negative", "positive", "increasing", "decreasing"]

_SIGNS = {"negative": -1.0, "positive": 1.0, "decreasing": -1.0, "increasing": 1.0}
_OF_LEVELS = ("increasing", "decreasing")


@dataclass(frozen=True, kw_only=True)
class SignedReward(RewardModel, ABC):
    """Base of models whose weights may have a sign, the same for every user.

    Parameters
    ----------
    constraints
        "negative" or "positive", by name of an attribute (of levels, all of its features) or of one
        feature such as ``brand[B]``; "increasing" or "decreasing" by name of an attribute that was
        read with ``coding="steps"``. None: weights may have either sign.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=5, features=["price"], contexts=0, seed=0)
    >>> model = bp.PooledReward(constraints={"price": "negative"})
    >>> model.spec(world.comparisons).signs.sign
    array([-1.])
    """

    # Not part of the hash: a dict has none.
    constraints: Mapping[str, Direction] | None = field(default=None, hash=False)

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(self, constraints=settings.optional(_directions))

    def check(self, comparisons: Comparisons) -> None:
        """Refuse comparisons that the model cannot describe.

        Raises
        ------
        ModelError
            As `RewardModel.check`, and if a constraint names no attribute or level of these data,
            contradicts another, or is none that the attribute's coding can have.
        """
        super().check(comparisons)
        self._sign(comparisons.features)

    def settings(self) -> dict[str, Any]:
        """Return name and settings, ready for JSON; constraints only where there are any."""
        found = super().settings()
        constraints = found.pop("constraints")
        return found | ({"constraints": dict(constraints)} if constraints else {})

    def constrained(self, spec: PopulationSpec, comparisons: Comparisons) -> PopulationSpec:
        """Return how users differ, with the signs that the constraints ask for."""
        sign = self._sign(comparisons.features)
        return spec if sign is None else spec.with_signs(sign)

    def _sign(self, features: Features) -> FloatArray | None:
        """(n_features,) -1, 1, and 0 where a weight may have either sign; None: all may."""
        if not self.constraints:
            return None
        if features.indicators and not features.beside:
            raise self._refusal(
                "constraints are about attributes, and every item has a reward of its own here; "
                "leave them out"
            )
        sign = np.zeros(len(features.names))
        said: dict[str, str] = {}
        for name, direction in self.constraints.items():  # a loop over constraints
            for column in self._columns(name, direction, features):
                place = features.names.index(column)
                if sign[place] == -_SIGNS[direction]:
                    both = f"{said[column]} and {shown(name)} {direction}"
                    raise self._refusal(f"{both} contradict each other; leave one out")
                sign[place], said[column] = _SIGNS[direction], f"{shown(name)} {direction}"
        for _, every in features.level_blocks:
            signed = every[sign[every] != 0.0]
            if signed.size:
                name = shown(features.names[signed[0]])
                raise self._refusal(
                    f"{name} is known up to a level that all items share, and so has no sign; "
                    "leave it out"
                )
        return sign

    def _columns(self, name: str, direction: str, features: Features) -> tuple[str, ...]:
        """Features that a constraint is about."""
        codings = {coding.name: coding for coding in features.codings}
        if direction in _OF_LEVELS:
            self._require_steps(name, direction, features, codings)
        if name in codings:
            return codings[name].columns
        if name in features.names:
            return (name,)
        for coding in features.codings:
            if coding.of_levels and name.startswith(f"{coding.name}["):
                raise self._refusal(_no_such_level(name, coding))
        known = [*features.columns, *features.names]
        near = suggestion(name, known) or f"the attributes are {listed(features.columns)}"
        raise self._refusal(f"unknown attribute {shown(name)}; {near}")

    def _require_steps(
        self, name: str, direction: str, features: Features, codings: Mapping[str, Coding]
    ) -> None:
        """Refuse an order where features are no steps from level to level."""
        coding = codings.get(name)
        if coding is not None and coding.of_levels:
            if coding.kind == "steps":
                return
            order = "" if coding.ordered else f" and order={{{name!r}: [...]}}"
            raise self._refusal(
                f"{shown(name)} cannot be {direction} in {coding.kind} coding, whose weights are "
                f"no steps from level to level; read the data with coding={{{name!r}: 'steps'}}"
                f"{order}"
            )
        if coding is not None or name in features.names:
            of = next((c.name for c in codings.values() if c.of_levels and name in c.columns), None)
            what = "a number" if of is None else f"one feature of {shown(of)}"
            raise self._refusal(
                f"{shown(name)} is {what}, whose weight is 'negative' or 'positive'; "
                f"{direction!r} is for an attribute with levels in order"
            )

    def _refusal(self, reason: str) -> ModelError:
        return ModelError(f"{type(self).__name__}, constraints: {reason}")


def _directions(value: object) -> dict[str, str]:
    """Rule of the setting `constraints`."""
    what = "a dict by attribute, like {'price': 'negative'}"
    if not isinstance(value, Mapping):
        raise settings.RuleError(what)
    for name, direction in value.items():
        if not isinstance(name, str):
            raise settings.RuleError(what)
        if not isinstance(direction, str) or direction not in _SIGNS:
            raise settings.RuleError(f"{name!r} to be {listed(_SIGNS, last='or')}")
    return dict(value)


def _no_such_level(name: str, coding: Coding) -> str:
    level = name[len(coding.name) + 1 :].removesuffix("]")
    if level == str(coding.baseline) and coding.kind != "steps":
        return f"level {level!r} is the baseline of {coding.name!r}, which has no weight of its own"
    found = "level" if coding.kind != "steps" else "step"
    return f"attribute {coding.name!r} has no {found} {level!r}; it has {listed(coding.columns)}"
