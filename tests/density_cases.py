"""Small problems of Gaussian users: one for each family of choice models, and for its parts."""

from __future__ import annotations

from dataclasses import replace

from choice_cases import choice_comparisons
from stage_cases import stage_comparisons

import bayes_pref as bp
from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem

MODELS = {
    "stages": bp.HierarchicalReward(),
    "stages, lapse": bp.HierarchicalReward(lapse=True),
    "ties, position": bp.HierarchicalReward(position=True),
    "position": bp.HierarchicalReward(position=True),
    "ties, lapse, position": bp.HierarchicalReward(lapse=True, position=True),
    "lapse": bp.HierarchicalReward(lapse=True, position=True),
    "probit": bp.HierarchicalReward(link="probit", position=True),
    "graded": bp.HierarchicalReward(),
    "graded, probit, lapse": bp.HierarchicalReward(link="probit", lapse=True),
    "stages, negative": bp.HierarchicalReward(constraints={"polite": "negative"}),
    "graded, negative": bp.HierarchicalReward(constraints={"polite": "negative"}),
}


def case_problem(name: str, covariance: str) -> tuple[ChoiceProblem, bp.Comparisons]:
    """The problem of a model, and its data."""
    model = replace(MODELS[name], covariance=covariance)
    kind = name.removesuffix(", negative").split(", probit")[0]
    data = stage_comparisons() if "stages" in kind else choice_comparisons(kind)
    form = model.choice_model(data).kernel_form(data.outcome)
    assert form is not None
    return ChoiceProblem.read(model.spec(data), data, form), data
