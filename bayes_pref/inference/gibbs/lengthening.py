"""Chains side by side, whose run can be made longer until they converge.

A run gets longer by about what it lacks, and is judged again. Where the store has no room for more
draws, the thinning interval grows. While chains disagree much, all sweeps so far become warm-up;
once they agree, the draws that there are stay, thinned or not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from threading import Event

from bayes_pref.convergence.checks import ESS, Worst
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.finite import advance
from bayes_pref.inference.mcmc import MCMC
from bayes_pref.inference.runtime.checkpoint import Checkpoint
from bayes_pref.inference.runtime.threads import Tick, run_chains

APART = 1.05  # R-hat above which the start is still to be seen in the chains
SPARE = 1.1  # of the effective sample size that is needed, whose estimate is itself uncertain
LEAST, MOST = 1.25, 8.0  # times as long at once
ANEW = 2.0  # times as long at least where chains disagree


class LengtheningRun:
    """Chains that run side by side for as long as they are asked to.

    Parameters
    ----------
    engine
        Its settings.
    make
        Makes the chain of an index, or restores it from a checkpoint; called in the chain's thread.
    checkpoint
        Where chains save their states, if anywhere.
    max_minutes
        After which a run is not made longer; None: never longer.
    workers
        Number of chains that run at once; None: that of the engine.
    """

    def __init__(
        self,
        engine: MCMC,
        make: Callable[[int], Chain],
        checkpoint: Checkpoint | None,
        max_minutes: float | None,
        *,
        workers: int | None = None,
    ) -> None:
        self.engine = engine
        self.workers = engine.workers if workers is None else workers
        self.make = make
        self.checkpoint = checkpoint
        self.max_minutes = max_minutes
        self.chains: dict[int, Chain] = {}
        self.title = f"Gibbs, {engine.chains} chains"
        self.steps = engine.iterations
        self.sweeps = 0  # that this process ran
        self.start = time.monotonic()

    def advance(self) -> tuple[list[int], bool]:
        """Run all chains to their end; returns the draws of each, and False if interrupted."""
        kept, complete = run_chains(
            self._advance_chain,
            chains=self.engine.chains,
            workers=self.workers,
            steps=self.steps,
            title=self.title,
            progress=self.engine.progress,
        )
        if complete and self._level():
            return self.advance()
        return kept if complete else self.kept, complete

    @property
    def kept(self) -> list[int]:
        """Number of draws of each chain, of a run that was interrupted too."""
        chains = [self.chains[index] for index in range(self.engine.chains)]
        return [max(chain.kept, chain.before) for chain in chains]

    def lengthen(self, worst: Worst) -> bool:
        """Make the run longer if its chains have not converged and there is time; returns whether.

        Parameters
        ----------
        worst
            Worst statistics of the draws so far.
        """
        if worst.passes or self.max_minutes is None:
            return False
        chain = self.chains[0]
        restart = worst.rhat > APART
        least = ANEW if restart else LEAST
        ran = chain.done - chain.warmup
        apart = 0 if restart else ran  # of a longer run these sweeps are there already
        seconds = time.monotonic() - self.start
        left = 60 * self.max_minutes - seconds
        a_sweep = seconds / max(1, self.sweeps) * self.engine.chains
        wanted = min(max(SPARE * ESS / worst.ess, least), MOST) * ran
        affordable = apart + left / a_sweep
        if affordable < LEAST * ran:
            return False
        self.title = (
            f"Gibbs, {self.engine.chains} chains, so far R-hat {worst.rhat:.2f} and effective "
            f"sample size {worst.ess:.0f}"
        )
        for index, each in self.chains.items():
            each.lengthen(math.floor(min(wanted, affordable)), restart=restart)
            if self.checkpoint:
                self.checkpoint.rewrite(index, each.state(), each.kept)
        self.steps = chain.total - chain.done
        return True

    def _level(self) -> bool:
        """After a resumption, bring chains to the length of the longest; returns if any was not."""
        longest = max(self.chains.values(), key=lambda chain: chain.total)
        behind = [index for index, each in self.chains.items() if each.total < longest.total]
        for index in behind:
            own = self.chains[index]
            own.lengthen(longest.thin * longest.draws, restart=longest.warmup > own.warmup)
            if self.checkpoint:
                self.checkpoint.rewrite(index, own.state(), own.kept)
        return bool(behind)

    def _advance_chain(self, index: int, tick: Tick, stop: Event) -> int:
        """Run a chain to its end or until told to stop; returns the draws it has."""
        checkpoint = self.checkpoint
        if index not in self.chains:
            self.chains[index] = self.make(index)
            if self.chains[index].done:
                tick(self.chains[index].done)
        chain = self.chains[index]
        while chain.done < chain.total and not stop.is_set():
            done = advance(chain)
            self.sweeps += done
            tick(done)
            if checkpoint and checkpoint.due(index):
                checkpoint.save(index, chain.state(), chain.kept)
        if checkpoint:
            checkpoint.save(index, chain.state(), chain.kept)
        return chain.kept
