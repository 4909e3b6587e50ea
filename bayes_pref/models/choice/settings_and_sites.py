"""What a model says of choices given rewards: its settings, and the law with parameters to learn.

    position ~ Normal(0, 1)             log-odds in favour of what is shown on the left
    tie = log nu ~ Normal(-1, 1.5)      between equals, P(tie) is 16 %, with 1 to 79 % as likely
    lapse ~ Beta(1, 19)                 5 % of answers on average, less than 15 % in 19 of 20 cases
    P(level | equals) ~ Dirichlet(1, ..., 1),   c_k = F^-1(P(level <= k | equals))

The formulas stand in `likelihood`. Levels have no default cutpoints: every way to share the answers
between equals out among the levels is as likely before the data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import torch
import xarray as xr
from torch.distributions import constraints

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.data.table import shown
from bayes_pref.errors import ModelError
from bayes_pref.models.choice.likelihood import Law, Link, log_outcomes
from bayes_pref.models.choice.plackett_luce import ranking_law

Tensor = torch.Tensor

POSITION_SD = 1.0
TIE_MEAN, TIE_SD = -1.0, 1.5
LAPSE_SHAPE = (1.0, 19.0)


@dataclass(frozen=True, kw_only=True)
class ChoiceLaw:
    """How rewards become choices: settings that every `RewardModel` has.

    Parameters
    ----------
    link
        "logit": P(left) = 1 / (1 + exp(-eta)) (Bradley & Terry 1952; Luce 1959); "probit": the
        normal distribution function (Thurstone 1927), rewards then in units of its noise.
    lapse
        Whether some answers may have nothing to do with the rewards: with probability `lapse` ~
        Beta(1, 19), every outcome is as likely.
    position
        Whether what is shown on the left may be chosen more often, or less: `position` ~
        Normal(0, 1) is added to eta (Davidson & Beaver 1977).
    ties
        Whether there are ties, by Davidson's model (1970) with `tie` = log nu ~ Normal(-1, 1.5).
        None: if the data have any.

    Raises
    ------
    ModelError
        If a setting is none of these.

    Notes
    -----
    Graded answers (`Comparisons.levels`) have cutpoints instead of ties, under either link, and
    take the place of `position`: cutpoints that need not be symmetric hold such an effect already.
    The probit link has no ties: read them as three levels. Everything else combines.
    """

    link: Link = "logit"
    lapse: bool = False
    position: bool = False
    ties: bool | None = None

    def check_law(self) -> None:
        """Validate the settings of the choice model."""
        settings.check(
            self,
            link=settings.one_of("logit", "probit"),
            lapse=settings.boolean,
            position=settings.boolean,
            ties=settings.optional(settings.boolean),
        )
        if self.ties and self.link == "probit":
            raise ModelError(f"{type(self).__name__}(ties=True, link='probit'): {_PROBIT_TIES}")

    def law_settings(self) -> dict[str, Any]:
        """Return the settings that are not the plain law's, ready for JSON."""
        values = {name: getattr(self, name) for name in _USUAL}
        return {name: value for name, value in values.items() if value != _USUAL[name]}

    def tied(self, comparisons: Comparisons) -> bool:
        """Whether these comparisons are described with ties."""
        if comparisons.levels is not None:
            return False
        return comparisons.has_ties if self.ties is None else self.ties

    def check_choices(self, comparisons: Comparisons) -> None:
        """Refuse choices that the law cannot describe.

        Raises
        ------
        ModelError
            If there are ties and the link is probit or `ties` False; if answers are graded and
            `position` or `ties` is asked for; if they are rankings and anything is.
        """
        name = type(self).__name__
        if comparisons.stage is not None:
            beyond = {"link='probit'": self.link == "probit", "ties=True": bool(self.ties)}
            beyond |= {"lapse=True": self.lapse, "position=True": self.position}
            for setting, holds in beyond.items():
                if holds:
                    raise ModelError(f"{name}({setting}): rankings are logit choices; leave it out")
            return
        if comparisons.levels is not None:
            if self.position:
                raise ModelError(
                    f"{name}(position=True): graded answers have cutpoints that need not be "
                    "symmetric, which hold a left-hand effect already; leave position out"
                )
            if self.ties:
                raise ModelError(
                    f"{name}(ties=True): the answers are graded, with {len(comparisons.levels)} "
                    "levels and no ties; leave ties out"
                )
            return
        if comparisons.has_ties and (self.ties is False or self.link == "probit"):
            tied = np.flatnonzero(comparisons.choice == 0.5)
            setting = "link='probit'" if self.link == "probit" else "ties=False"
            remedy = (
                _PROBIT_TIES
                if self.link == "probit"
                else "leave ties out of the model, or those rows out of the data, for example "
                "comparisons.take(comparisons.choice != 0.5)"
            )
            raise ModelError(
                f"{name}({setting}) has no ties: {tied.size:,} of {len(comparisons):,} choices "
                f"are 0.5, the first in row {shown(comparisons.rows[tied[0]])}; {remedy}"
            )

    def beyond_logistic(self, comparisons: Comparisons) -> str | None:
        """Name what makes the choices other than logistic in the weights and `position`, if any."""
        reasons = {
            "rankings": comparisons.stage is not None,
            "graded answers": comparisons.levels is not None,
            "the probit link": self.link == "probit",
            "ties": self.tied(comparisons),
            "a lapse rate": self.lapse,
        }
        found = [reason for reason, holds in reasons.items() if holds]
        return " and ".join(found) if found else None

    def choice_law(self, comparisons: Comparisons) -> Callable[[Tensor], Any]:
        """Return what gives the distribution of choices at log-odds (..., n).

        Called once within the model, before any plate, so that it can sample sites of its own.
        """
        self.check_choices(comparisons)
        if comparisons.stage is not None:
            return ranking_law(comparisons.stage)
        made: dict[str, Tensor] = {}
        if self.position:
            made["position"] = pyro.sample("position", dist.Normal(_double(0.0), POSITION_SD))
        if self.tied(comparisons):
            made["tie"] = pyro.sample("tie", dist.Normal(_double(TIE_MEAN), TIE_SD))
        if comparisons.levels is not None:
            even = torch.ones(len(comparisons.levels), dtype=torch.float64)
            between_equals = pyro.sample("level_shares", dist.Dirichlet(even))
            made["cutpoints"] = pyro.deterministic(
                "cutpoints", _cutpoints(between_equals, self.link), event_dim=1
            )
        if self.lapse:
            made["lapse"] = pyro.sample("lapse", dist.Beta(*map(_double, LAPSE_SHAPE)))
        if self.link == "logit" and not made.keys() - {"position"}:
            shift = made.get("position", 0.0)
            return lambda eta: dist.Bernoulli(logits=eta + shift)
        return lambda eta: Outcomes(log_outcomes(eta, self.link, **made))

    def law_variables(self, comparisons: Comparisons) -> dict[str, tuple[str, ...]]:
        """Return the sites of the law and the named dimensions of each."""
        names: dict[str, tuple[str, ...]] = {}
        if self.position:
            names["position"] = ()
        if self.tied(comparisons):
            names["tie"] = ()
        if comparisons.levels is not None:
            names["cutpoints"] = ("cutpoint",)
        if self.lapse:
            names["lapse"] = ()
        return names

    def law(self, draws: xr.Dataset) -> Law:
        """Return the law at draws of its parameters, chains one after the other."""

        def sample(name: str) -> Any:
            if name not in draws:
                return None
            found = draws[name].transpose(..., "chain", "draw").to_numpy()
            return found.reshape(*found.shape[:-2], -1)

        names = ("position", "tie", "cutpoints", "lapse")
        return Law(self.link, **{name: sample(name) for name in names})


_USUAL = {"link": "logit", "lapse": False, "position": False, "ties": None}
_PROBIT_TIES = (
    "ties under the probit link are graded answers of three levels: read the data with "
    "levels=[0, 0.5, 1]"
)


class Outcomes(dist.TorchDistribution):  # type: ignore[misc]
    """Choices k / (K - 1) with given log probabilities (K, ...), right to left.

    Examples
    --------
    >>> law = Outcomes(torch.tensor([[0.2], [0.3], [0.5]]).log())
    >>> law.log_prob(torch.tensor([0.5])).exp()
    tensor([0.3000])
    """

    arg_constraints: dict[str, Any] = {}  # noqa: RUF012  as torch's distributions have it
    support = constraints.unit_interval

    def __init__(self, log_probabilities: Tensor, validate_args: bool | None = None) -> None:
        self.log_probabilities = log_probabilities
        super().__init__(log_probabilities.shape[1:], validate_args=validate_args)

    @property
    def _steps(self) -> int:
        return len(self.log_probabilities) - 1

    def expand(self, batch_shape: Any, _instance: Any = None) -> Outcomes:
        """Return the same law for a larger batch."""
        return Outcomes(self._widened(batch_shape), False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        """Draw choices."""
        with torch.no_grad():
            law = torch.distributions.Categorical(logits=self.log_probabilities.movedim(0, -1))
            places: Tensor = law.sample(torch.Size(sample_shape))  # type: ignore[no-untyped-call]
            return places.to(self.log_probabilities) / self._steps

    def log_prob(self, value: Tensor) -> Tensor:
        """Log probability of choices."""
        places = torch.round(value * self._steps).long()
        shape = np.broadcast_shapes(places.shape, self.batch_shape)
        found: Tensor = self._widened(shape).gather(0, places.expand(shape)[None])[0]
        return found

    def _widened(self, batch_shape: Any) -> Tensor:
        """Log probabilities (K, *batch_shape); the outcomes come first, so gaps follow them."""
        count, *batch = self.log_probabilities.shape
        gaps = (1,) * (len(batch_shape) - len(batch))
        return self.log_probabilities.reshape(count, *gaps, *batch).expand(count, *batch_shape)


def _cutpoints(shares: Tensor, link: Link) -> Tensor:
    """F^-1 of the running total of shares (K,): (K - 1,)."""
    below = shares.cumsum(-1)[..., :-1]
    above = shares.flip(-1).cumsum(-1).flip(-1)[..., 1:]
    if link == "logit":
        return below.log() - above.log()
    # The smaller tail is the exact one.
    low = torch.special.ndtri(torch.minimum(below, above))
    return torch.where(below < above, low, -low)


def _double(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)
