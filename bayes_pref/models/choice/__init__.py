"""Choice models: how reward differences become choices."""

from bayes_pref.models.choice.choice_distribution import ChoiceDistribution
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.choice.logit import Logit
from bayes_pref.models.choice.ordinal import Ordinal
from bayes_pref.models.choice.plackett_luce import PlackettLuce
from bayes_pref.models.choice.probit import Probit

__all__ = [
    "ChoiceDistribution",
    "ChoiceModel",
    "Logit",
    "Ordinal",
    "PlackettLuce",
    "Probit",
]
