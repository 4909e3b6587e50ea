"""What every engine offers: it says which models it accepts, and turns one into labelled draws."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from bayes_pref import settings
from bayes_pref.convergence.finding import Finding
from bayes_pref.data import Comparisons
from bayes_pref.errors import ModelError
from bayes_pref.models.base import RewardModel
from bayes_pref.posterior.run import ElboRecord

if TYPE_CHECKING:
    from bayes_pref.inference.pyro_posterior import PyroPosterior

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RawDraws:
    """What an engine returns.

    Attributes
    ----------
    values
        Site -> draws (chain, draw, ...), in the dimensions that the model's `variables` names.
    stats
        Name -> (chain, draw) statistics of the sampler, named as ArviZ names them.
    complete
        False if the run was interrupted and holds fewer draws than asked for.
    exact
        Whether the chains converge to the posterior; False for an approximation.
    joint
        Whether the draws have the posterior's correlations between parameters.
    pareto_k
        Of the importance weights of an approximation; None for an exact engine.
    pareto_k_of
        Which parameters the importance weights are of.
    elbo
        Course of the ELBO of a variational fit.
    findings
        What the engine itself found wrong.
    comparisons
        What the draws are about, where training made others of those given.
    """

    values: dict[str, Array]
    stats: dict[str, Array]
    complete: bool
    exact: bool = True
    joint: bool = True
    pareto_k: float | None = None
    pareto_k_of: str | None = None
    elbo: ElboRecord | None = None
    findings: tuple[Finding, ...] = ()
    comparisons: Comparisons | None = None


@dataclass(frozen=True, kw_only=True)
class Engine(ABC):
    """Base of all engines: frozen settings and `run`.

    Parameters
    ----------
    draws
        Draws kept of each chain.
    chains
        Number of chains, started far apart.
    warmup
        Draws of each chain that are used to adapt and are then thrown away.
    cores
        Chains that run at once; None: as many as the machine has cores. The draws do not depend
        on it.
    progress
        Whether to show a progress bar.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> isinstance(bp.Gibbs(), bp.Engine)
    True
    >>> bp.Gibbs(draws=2000).settings()["draws"]
    2000
    """

    draws: int = 1000
    chains: int = 4
    warmup: int = 500
    cores: int | None = None
    progress: bool = True

    def __post_init__(self) -> None:
        """Validate the settings."""
        settings.check(
            self,
            draws=settings.whole(4),
            chains=settings.whole(1),
            warmup=settings.whole(0),
            cores=settings.optional(settings.whole(1)),
        )

    @abstractmethod
    def unsupported(self, model: RewardModel, comparisons: Comparisons) -> str | None:
        """Return why this engine cannot run the model, or None if it can."""

    @abstractmethod
    def run(self, model: RewardModel, comparisons: Comparisons, seed: int) -> RawDraws:
        """Draw from the model's posterior."""

    def sample(
        self, model: Callable[..., Any], *args: Any, seed: int = 0, **kwargs: Any
    ) -> PyroPosterior:
        """Draw from the posterior of any Pyro model; see the engines that can.

        Raises
        ------
        ModelError
            If this engine needs a `RewardModel`.
        """
        raise ModelError(
            f"{type(self).__name__} cannot run a Pyro model of your own: use bp.NUTS() or bp.SVI()"
        )

    def settings(self) -> dict[str, Any]:
        """Return the engine's name and settings, ready for JSON."""
        return {"name": type(self).__name__, **asdict(self)}

    @property
    def workers(self) -> int:
        """Number of chains to run at once."""
        affinity = getattr(os, "sched_getaffinity", None)  # not on every system
        available = len(affinity(0)) if affinity else os.cpu_count() or 1
        return max(1, min(self.cores or available, self.chains))
