"""Each person's reward function from their choices, with honest uncertainty.

``Comparisons`` holds the data, a model such as ``HierarchicalReward`` says what is believed of
users, ``fit`` draws from its posterior, and a ``Posterior`` answers questions in labelled frames.
"""

from bayes_pref import progress  # noqa: F401 (before Pyro, whose import would warn)

# isort: split
from bayes_pref import plots, text
from bayes_pref.data import Comparisons, Features
from bayes_pref.diagnostics.diagnose import diagnose
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.verdicts import VERDICTS
from bayes_pref.errors import (
    BayesPrefError,
    ConvergenceWarning,
    DataError,
    DataWarning,
    ModelError,
)
from bayes_pref.evaluation import (
    Evaluation,
    LeaveOneOut,
    compare,
    evaluate,
    loo,
    posterior_predictive_check,
)
from bayes_pref.evaluation.sbc import SBC, sbc
from bayes_pref.inference.engine import Engine
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.inference.nuts.nuts import NUTS
from bayes_pref.inference.pyro_posterior import PyroPosterior
from bayes_pref.inference.svi.svi import SVI
from bayes_pref.models import (
    ChoiceModel,
    HierarchicalReward,
    Logit,
    LowRankReward,
    MixtureReward,
    Ordinal,
    PlackettLuce,
    PooledReward,
    Probit,
    RepresentationReward,
    RewardModel,
    SharedCauseReward,
)
from bayes_pref.posterior import Finding, Posterior
from bayes_pref.simulation import World, simulate

__version__ = "0.1.0"

__all__ = [
    "NUTS",
    "SBC",
    "SVI",
    "VERDICTS",
    "BayesPrefError",
    "ChoiceModel",
    "Comparisons",
    "ConvergenceWarning",
    "DataError",
    "DataWarning",
    "Engine",
    "Evaluation",
    "Features",
    "Finding",
    "Gibbs",
    "HierarchicalReward",
    "LeaveOneOut",
    "Logit",
    "LowRankReward",
    "MixtureReward",
    "ModelError",
    "Ordinal",
    "PlackettLuce",
    "PooledReward",
    "Posterior",
    "Probit",
    "PyroPosterior",
    "Report",
    "RepresentationReward",
    "RewardModel",
    "SharedCauseReward",
    "World",
    "compare",
    "diagnose",
    "evaluate",
    "fit",
    "loo",
    "plots",
    "posterior_predictive_check",
    "sbc",
    "simulate",
    "text",
]
