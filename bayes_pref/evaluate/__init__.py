"""How well a posterior predicts: held-out data, leave-one-out, predictive checks."""

from bayes_pref.evaluate.compare import compare
from bayes_pref.evaluate.held_out import Evaluation, evaluate
from bayes_pref.evaluate.leave_one_out import LeaveOneOut, loo
from bayes_pref.evaluate.predictive_checks import check

__all__ = ["Evaluation", "LeaveOneOut", "check", "compare", "evaluate", "loo"]
