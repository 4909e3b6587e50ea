"""The data: comparisons, validated, labelled and grouped by user."""

from bayes_pref.data.comparisons import Comparisons
from bayes_pref.data.features import Features
from bayes_pref.data.network import Representation
from bayes_pref.data.outcome import GradedChoice, Outcome, PairedChoice
from bayes_pref.data.ranking import Ranking

__all__ = [
    "Comparisons",
    "Features",
    "GradedChoice",
    "Outcome",
    "PairedChoice",
    "Ranking",
    "Representation",
]
