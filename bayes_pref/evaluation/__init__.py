"""How well a posterior predicts: held-out data, leave-one-out, posterior predictive checks."""

from bayes_pref.evaluation.held_out import Evaluation, evaluate
from bayes_pref.evaluation.leave_one_out import LeaveOneOut, loo
from bayes_pref.evaluation.model_comparison import compare
from bayes_pref.evaluation.posterior_predictive import posterior_predictive_check

__all__ = ["Evaluation", "LeaveOneOut", "compare", "evaluate", "loo", "posterior_predictive_check"]
