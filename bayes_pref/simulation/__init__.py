"""Worlds whose truth is known."""

from bayes_pref.simulation.world import Truth, World
from bayes_pref.simulation.worlds import assistant_world, simulate

__all__ = ["Truth", "World", "assistant_world", "simulate"]
