"""Pyro generative models of users and their choices."""

from bayes_pref.models.base import RewardModel, from_settings
from bayes_pref.models.hierarchical import HierarchicalReward
from bayes_pref.models.lowrank import LowRankReward
from bayes_pref.models.pooled import PooledReward

__all__ = ["HierarchicalReward", "LowRankReward", "PooledReward", "RewardModel", "from_settings"]
