"""Pyro generative models of users and their choices."""

from bayes_pref import progress as progress  # before Pyro
from bayes_pref.models.base import RewardModel, from_settings
from bayes_pref.models.choice import ChoiceModel, Logit, Ordinal, PlackettLuce, Probit
from bayes_pref.models.hierarchical import HierarchicalReward
from bayes_pref.models.lowrank import LowRankReward
from bayes_pref.models.mixture import MixtureReward
from bayes_pref.models.pooled import PooledReward
from bayes_pref.models.representation import RepresentationReward
from bayes_pref.models.shared_cause import SharedCauseReward
from bayes_pref.models.spec import ContextModel, PopulationSpec, Term

__all__ = [
    "ChoiceModel",
    "ContextModel",
    "HierarchicalReward",
    "Logit",
    "LowRankReward",
    "MixtureReward",
    "Ordinal",
    "PlackettLuce",
    "PooledReward",
    "PopulationSpec",
    "Probit",
    "RepresentationReward",
    "RewardModel",
    "SharedCauseReward",
    "Term",
    "from_settings",
]
