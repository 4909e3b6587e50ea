"""Simulation of comparisons with known true parameters."""

from bayes_pref.simulation.simulating import assistant_world, simulate
from bayes_pref.simulation.world import Truth, World

__all__ = ["Truth", "World", "assistant_world", "simulate"]
