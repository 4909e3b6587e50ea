"""What every engine does: prepare a model and its data, or say why it cannot."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import xarray as xr

from bayes_pref import settings
from bayes_pref.convergence.checks import Worst
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError, Unsupported
from bayes_pref.inference.pyro_tools.pyro_posterior import PyroPosterior
from bayes_pref.inference.raw_draws import RawDraws
from bayes_pref.models.base import RewardModel

Judge: TypeAlias = Callable[[RawDraws], Worst]


class Program(ABC):
    """A model and its data as an engine has read them, ready to run.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=10, seed=0)
    >>> engine = bp.Gibbs(draws=50, progress=False)
    >>> program = engine.prepare(bp.PooledReward(), world.comparisons)
    >>> isinstance(program, bp.Program)
    True
    """

    @abstractmethod
    def run(self, seed: int) -> RawDraws:
        """Draw from the posterior.

        Parameters
        ----------
        seed
            Random seed; decides the draws, whatever the number of cores.
        """

    def starting_at(self, draws: xr.Dataset) -> Program:
        """Return the program with chains that start at draws of the same sites, if it has such.

        Parameters
        ----------
        draws
            (chain, draw, ...) by site, of which the last of each chain are taken.
        """
        return self

    def run_until(self, seed: int, judge: Judge) -> RawDraws:
        """Draw for as long as the engine's settings ask for, which may depend on the draws.

        Parameters
        ----------
        seed
            See `run`.
        judge
            Returns the worst convergence statistics of the draws so far.
        """
        return self.run(seed)


@dataclass(frozen=True, kw_only=True)
class Engine(settings.CheckedKeywords, ABC):
    """Base of all engines: frozen settings and `prepare`.

    Parameters
    ----------
    draws
        Number of draws of each chain.
    progress
        Whether to show a progress bar.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> isinstance(bp.Gibbs(), bp.Engine)
    True
    >>> bp.SVI(draws=2000).settings()["draws"]
    2000
    """

    draws: int = 1000
    progress: bool = True

    def __post_init__(self) -> None:
        """Validate the settings."""
        settings.check(self, draws=settings.whole(4), progress=settings.boolean)

    @abstractmethod
    def prepare(self, model: RewardModel, comparisons: Comparisons) -> Program:
        """Read a model and its data.

        Parameters
        ----------
        model, comparisons
            As given to `bayes_pref.fit`, which has checked that they fit together.

        Raises
        ------
        Unsupported
            If this engine cannot draw from the posterior.
        """

    def unsupported(self, model: RewardModel, comparisons: Comparisons) -> str | None:
        """Return why this engine cannot run the model, or None if it can."""
        try:
            self.prepare(model, comparisons)
        except Unsupported as err:
            return err.reason
        return None

    def sample(
        self, model: Callable[..., Any], *args: Any, seed: int = 0, **kwargs: Any
    ) -> PyroPosterior:
        """Draw from the posterior of any Pyro model, where the engine can.

        Raises
        ------
        Unsupported
            If this engine needs a `RewardModel`.
        """
        raise Unsupported(
            "use bp.NUTS() or bp.SVI()",
            f"{type(self).__name__} cannot run a Pyro model of your own",
        )

    def settings(self) -> dict[str, Any]:
        """Return the engine's name and settings, ready for JSON."""
        return {"name": type(self).__name__, **asdict(self)}


def first_prepared(
    engines: Sequence[Engine], model: RewardModel, comparisons: Comparisons
) -> tuple[Engine, Program]:
    """Prepare the first engine that can run the model.

    Parameters
    ----------
    engines
        In order of preference; at least one.

    Raises
    ------
    Unsupported
        If none of them can; says why.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=10, seed=0)
    >>> model = bp.MixtureReward(components=2, link="probit")
    >>> engine, _ = first_prepared((bp.Gibbs(), bp.NUTS()), model, world.comparisons)
    >>> type(engine).__name__
    'NUTS'
    """
    if not engines:
        raise ModelError("engines: got none but expected at least one")
    reasons: dict[str, str] = {}
    for engine in engines:
        try:
            return engine, engine.prepare(model, comparisons)
        except Unsupported as err:
            reasons[type(engine).__name__] = err.reason
    who, why = ", ".join(reasons), "; ".join(f"{name}: {why}" for name, why in reasons.items())
    if len(reasons) == 1:
        (why,) = reasons.values()
    raise Unsupported(why, f"{who} cannot run {type(model).__name__}")
