"""Programs that alter the draws of an engine or replace them, for checks that must notice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

import bayes_pref as bp


@dataclass(frozen=True, eq=False)
class Altered(bp.Program):
    """A program whose draws of every site are altered.

    Attributes
    ----------
    program
        Whose draws.
    alter
        Draws (chain, draw, ...) of a site -> altered draws.
    """

    program: bp.Program
    alter: Callable[[np.ndarray], np.ndarray]

    def run(self, seed: int) -> bp.RawDraws:
        """Run the program and alter its draws."""
        right = self.program.run(seed)
        return replace(right, sites={k: self.alter(draws) for k, draws in right.sites.items()})


@dataclass(frozen=True, eq=False)
class FromFunction(bp.Program):
    """A program that is a function of the seed."""

    draw: Callable[[int], bp.RawDraws]

    def run(self, seed: int) -> bp.RawDraws:
        """Call the function."""
        return self.draw(seed)
