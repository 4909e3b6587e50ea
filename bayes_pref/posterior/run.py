"""How a posterior was made: the engine, its settings, and what it reported of its run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True, kw_only=True)
class ElboRecord:
    """Course of the evidence lower bound (ELBO) during a variational fit.

    Attributes
    ----------
    history
        Mean ELBO of each window of steps, in nats.
    every
        Steps in a window.
    cuts
        Steps after which the learning rate was reduced.
    steps
        Steps taken.

    Examples
    --------
    >>> record = ElboRecord(history=(-90.5, -80.1), every=50, cuts=(), steps=100)
    >>> len(record.history) * record.every
    100
    """

    history: tuple[float, ...]
    every: int
    cuts: tuple[int, ...]
    steps: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """How an engine made the draws of a posterior.

    Attributes
    ----------
    engine
        Name of the engine, such as "Gibbs".
    settings
        Its settings by name.
    exact
        Whether the chains converge to the posterior; False for an approximation.
    joint
        Whether the draws have the posterior's correlations between parameters; False where the
        engine takes the parameters for independent.
    draws
        Draws of each chain; after an interrupt fewer than the settings ask for.
    seconds
        Running time.
    complete
        False if the run was interrupted.
    elbo
        Course of the ELBO of a variational fit; None for other engines.
    pareto_k
        Pareto k of the importance weights of an approximation; None for an exact engine.
    pareto_k_of
        Which parameters the importance weights are of, such as "the population".

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> posterior.run.engine, posterior.run.exact, posterior.run.draws
    ('Gibbs', True, 1000)
    """

    engine: str
    settings: Mapping[str, Any]
    exact: bool
    joint: bool
    draws: int
    seconds: float
    complete: bool = True
    elbo: ElboRecord | None = None
    pareto_k: float | None = None
    pareto_k_of: str | None = None

    def state(self) -> dict[str, Any]:
        """Return the run as JSON can hold it."""
        return asdict(self) | {"settings": dict(self.settings)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Build the run that `state` described."""
        elbo = state["elbo"]
        if elbo is not None:
            lists = {name: tuple(elbo[name]) for name in ("history", "cuts")}
            elbo = ElboRecord(**(elbo | lists))
        return cls(**(dict(state) | {"elbo": elbo}))
