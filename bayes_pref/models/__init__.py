"""Pyro generative models of users and their choices."""

from bayes_pref.models.base import RewardModel, from_settings
from bayes_pref.models.hierarchical import HierarchicalReward
from bayes_pref.models.lowrank import LowRankReward
from bayes_pref.models.pooled import PooledReward
from bayes_pref.models.representation import RepresentationReward

__all__ = [
    "HierarchicalReward",
    "LowRankReward",
    "PooledReward",
    "RepresentationReward",
    "RewardModel",
    "from_settings",
]
