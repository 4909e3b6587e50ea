"""Settings of engines that run Markov chains."""

from __future__ import annotations

import os
from dataclasses import dataclass

from bayes_pref import settings
from bayes_pref.inference.engine import Engine


@dataclass(frozen=True, kw_only=True)
class MCMC(Engine):
    """Base of engines that run Markov chains side by side.

    Parameters
    ----------
    draws, progress
        See `Engine`.
    chains
        Number of chains, with overdispersed initial values.
    warmup
        Iterations of each chain that adapt the sampler and are discarded.
    cores
        Number of chains that run at once; None: as many as the machine has cores. The draws do not
        depend on it.
    thin
        Thinning interval: iterations for each draw that is kept. Raise it where chains need to be
        long and memory is short.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> isinstance(bp.NUTS(), bp.MCMC), isinstance(bp.SVI(), bp.MCMC)
    (True, False)
    >>> bp.Gibbs(chains=2).settings()["chains"]
    2
    """

    chains: int = 4
    warmup: int = 500
    cores: int | None = None
    thin: int = 1

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        settings.check(
            self,
            chains=settings.whole(1),
            warmup=settings.whole(0),
            cores=settings.optional(settings.whole(1)),
            thin=settings.whole(1),
        )

    @property
    def iterations(self) -> int:
        """Number of iterations of each chain, warm-up included."""
        return self.warmup + self.thin * self.draws

    @property
    def threads(self) -> int:
        """Number of cores to use: `cores`, or as many as this process may."""
        affinity = getattr(os, "sched_getaffinity", None)  # not on every system
        available = len(affinity(0)) if affinity else os.cpu_count() or 1
        return self.cores or available

    @property
    def workers(self) -> int:
        """Number of chains that run at once."""
        return min(self.threads, self.chains)
