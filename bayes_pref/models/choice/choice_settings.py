"""The choice model of a reward model: given as `choice=`, or by shorthand keywords and the data.

rankings                `PlackettLuce(lapse)`
graded answers          `Ordinal(link, lapse)`
choices between two     `Logit(ties, lapse, position)` or, with link="probit",
`Probit(lapse, position)`
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
import xarray as xr

from bayes_pref import settings
from bayes_pref.data import Comparisons, GradedChoice, Outcome, Ranking
from bayes_pref.data.sides import ONE_SIDED, TOSS
from bayes_pref.errors import ModelError
from bayes_pref.models.choice.choice_distribution import ChoiceDistribution
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.choice.effects import CARELESS_SHAPE
from bayes_pref.models.choice.links import LINKS, Link
from bayes_pref.models.choice.logit import Logit
from bayes_pref.models.choice.ordinal import Ordinal
from bayes_pref.models.choice.plackett_luce import PlackettLuce
from bayes_pref.models.choice.probit import Probit

Tensor = torch.Tensor

_DEFAULTS = {"link": "logit", "lapse": False, "position": False, "ties": None}


@dataclass(frozen=True, kw_only=True)
class ChoiceSettings(settings.CheckedKeywords):
    """How rewards become choices: settings that every `RewardModel` has.

    Parameters
    ----------
    choice
        The choice model. None: the one that suits the data, with the settings below.
    link
        "logit" or "probit".
    lapse
        Whether some answers have nothing to do with the rewards; see `Logit`.
    position
        Whether there is a position bias; see `Logit`.
    ties
        Whether there are ties; see `Logit`. None: if the data have any.
    reliability
        Whether some users answer everything at random: each one with probability `careless_share`,
        ~ Beta(1, 9). The posterior of `careless` says who. It goes with any `choice`.

    Raises
    ------
    ModelError
        If a setting is none of these, or `choice` is given together with another of them but
        `reliability`.
    """

    choice: ChoiceModel | None = None
    link: Link = "logit"
    lapse: bool = False
    position: bool = False
    ties: bool | None = None
    reliability: bool = False

    def check_choice_settings(self) -> None:
        """Validate the settings."""
        name, given = type(self).__name__, self._shorthand()
        if not (self.choice is None or isinstance(self.choice, ChoiceModel)):
            raise ModelError(
                f"{name}(choice={self.choice!r}): expected a choice model, such as bp.Logit()"
            )
        if self.choice is not None and given:
            raise ModelError(
                f"{name}(choice={self.choice!r}, {_listed(given)}): choice= says all of it; give "
                f"{' and '.join(given)} to the choice model instead"
            )
        settings.check(
            self,
            link=settings.one_of(*LINKS),
            lapse=settings.boolean,
            position=settings.boolean,
            reliability=settings.boolean,
            ties=settings.optional(settings.boolean),
        )
        if self.ties and self.link == "probit":
            raise ModelError(
                f"{name}(ties=True, link='probit'): the probit link has no ties; read them as "
                "graded answers of three levels, levels=[0, 0.5, 1]"
            )

    def choice_keywords(self) -> dict[str, Any]:
        """Return the settings that are not the default, as keywords for another reward model."""
        found = self._shorthand() if self.choice is None else {"choice": self.choice}
        return found | ({"reliability": True} if self.reliability else {})

    @property
    def careless_shape(self) -> tuple[float, float] | None:
        """Shape of the Beta prior of the share of users who answer at random; None: nobody does."""
        return CARELESS_SHAPE if self.reliability else None

    def choice_model(self, comparisons: Comparisons) -> ChoiceModel:
        """Return the choice model of these data.

        Raises
        ------
        ModelError
            If it cannot describe their outcome, or has a part that depends on sides where these
            were not settled before the answers.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> comparisons = bp.simulate(users=5, seed=0).comparisons
        >>> bp.HierarchicalReward(position=True).choice_model(comparisons)
        Logit(ties=False, lapse=False, position=True)
        """
        outcome = comparisons.outcome
        found = self._suitable(outcome) if self.choice is None else self.choice
        given, unsupported = self._meaningless(outcome), found.unsupported(outcome)
        if given is not None:
            said, unsupported = given
        elif unsupported is None:
            self._refuse_sides(found, comparisons)
            return found.resolve(outcome)
        else:
            said = _listed(self.choice_keywords())
        evidence = outcome.evidence(comparisons.choice, comparisons.rows)
        raise ModelError(
            f"{type(self).__name__}({said}): {unsupported}" + f" ({evidence})" * bool(evidence)
        )

    def _refuse_sides(self, found: ChoiceModel, comparisons: Comparisons) -> None:
        """Refuse what depends on sides where these were not settled before the answers."""
        reads, sides = found.reads_sides, comparisons.sides
        said = f"{type(self).__name__}({_listed(self.choice_keywords())})"
        if reads is not None and sides == ONE_SIDED:
            raise ModelError(
                f"{said}: {reads} cannot be told from the answers, which name one side almost "
                "throughout, as where the winner is written first; read the data with "
                f"sides='toss'{', and leave position out' * (found.position_sd is not None)}"
            )
        if found.position_sd is not None and sides == TOSS:
            raise ModelError(
                f"{said}: the sides were tossed when the data were read, so that nothing is known "
                "of what was shown on the left; leave position out"
            )

    def choice_variables(self, comparisons: Comparisons) -> dict[str, tuple[str, ...]]:
        """Return the choice model's parameters and the named dimensions of each."""
        return self.choice_model(comparisons).variables(comparisons.outcome)

    def choice_likelihood(self, comparisons: Comparisons) -> Callable[[Tensor], Any]:
        """Sample the parameters, and return the Pyro distribution of choices given eta (..., n).

        Called within the Pyro model, once and outside of plates.
        """
        return self.choice_model(comparisons).likelihood(comparisons.outcome)

    def choice_distribution(
        self, draws: xr.Dataset, comparisons: Comparisons
    ) -> ChoiceDistribution:
        """Return the distribution of choices at posterior draws, chains one after the other.

        Where some users may answer at random, it is that of their answers, one row a user.
        """
        found = self.choice_model(comparisons).distribution(draws, comparisons.outcome)
        if "careless" not in draws:
            return found
        careless = draws["careless"].transpose("user", "chain", "draw").to_numpy()
        return replace(found, careless=careless.reshape(len(careless), -1))

    def _shorthand(self) -> dict[str, Any]:
        """Settings other than `choice` that are not the default."""
        values = {name: getattr(self, name) for name in _DEFAULTS}
        return {name: value for name, value in values.items() if value != _DEFAULTS[name]}

    def _suitable(self, outcome: Outcome) -> ChoiceModel:
        """Return the choice model of an outcome that the shorthand stands for."""
        if isinstance(outcome, Ranking):
            return PlackettLuce(lapse=self.lapse)
        if isinstance(outcome, GradedChoice):
            return Ordinal(link=self.link, lapse=self.lapse)
        if self.link == "probit":
            return Probit(lapse=self.lapse, position=self.position)
        return Logit(ties=self.ties, lapse=self.lapse, position=self.position)

    def _meaningless(self, outcome: Outcome) -> tuple[str, str] | None:
        """Name a shorthand setting that has no meaning for an outcome, and why; None: all have."""
        asked = {name: value for name, value in self._shorthand().items() if value is not False}
        if isinstance(outcome, Ranking) and (asked := {k: asked[k] for k in asked if k != "lapse"}):
            return (
                _listed(asked),
                "choices among several and rankings are logit choices; leave it out",
            )
        if isinstance(outcome, GradedChoice) and self.position:
            return "position=True", (
                "graded answers have cutpoints that need not be symmetric, which hold a position "
                "bias already; leave position out"
            )
        if isinstance(outcome, GradedChoice) and self.ties:
            return "ties=True", (
                f"the answers are graded, with {len(outcome.levels)} levels and no ties; leave "
                "ties out"
            )
        return None


def _listed(keywords: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in keywords.items())
