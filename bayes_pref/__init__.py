"""The reward function of every user, inferred from their choices, with its uncertainty.

`Comparisons` holds the data, a model such as `HierarchicalReward` describes how users differ, `fit`
draws from its posterior, and a `Posterior` answers questions in labelled frames. Names are imported
on first use (PEP 562), so that ``import bayes_pref`` alone is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayes_pref import plots as plots
    from bayes_pref import text as text
    from bayes_pref.assumptions.audit_result import Audit as Audit
    from bayes_pref.assumptions.auditing import audit as audit
    from bayes_pref.assumptions.causal_graph import CausalGraph as CausalGraph
    from bayes_pref.assumptions.identification import Identification as Identification
    from bayes_pref.data import Comparisons as Comparisons
    from bayes_pref.data import Features as Features
    from bayes_pref.diagnostics.assessment import Assessed as Assessed
    from bayes_pref.diagnostics.assessment import Assessment as Assessment
    from bayes_pref.diagnostics.diagnose import ASSESSMENTS as ASSESSMENTS
    from bayes_pref.diagnostics.diagnose import diagnose as diagnose
    from bayes_pref.diagnostics.report import Report as Report
    from bayes_pref.diagnostics.robust.robust_estimates import RobustEstimates as RobustEstimates
    from bayes_pref.diagnostics.robust.robust_estimates import robust as robust
    from bayes_pref.diagnostics.sensitivity.prior_scaling import (
        prior_sensitivity as prior_sensitivity,
    )
    from bayes_pref.diagnostics.sensitivity.tipping import Sensitivity as Sensitivity
    from bayes_pref.diagnostics.sensitivity.tipping import sensitivity as sensitivity
    from bayes_pref.diagnostics.thresholds import Thresholds as Thresholds
    from bayes_pref.diagnostics.verdicts import VERDICTS as VERDICTS
    from bayes_pref.diagnostics.verdicts import Verdict as Verdict
    from bayes_pref.elicitation.power_result import Power as Power
    from bayes_pref.elicitation.power_study import power as power
    from bayes_pref.elicitation.recommend import recommend as recommend
    from bayes_pref.elicitation.recommendation import Recommendation as Recommendation
    from bayes_pref.elicitation.sessions.elicitation import Elicitation as Elicitation
    from bayes_pref.errors import BayesPrefError as BayesPrefError
    from bayes_pref.errors import ConvergenceWarning as ConvergenceWarning
    from bayes_pref.errors import DataError as DataError
    from bayes_pref.errors import DataWarning as DataWarning
    from bayes_pref.errors import ModelError as ModelError
    from bayes_pref.errors import Unsupported as Unsupported
    from bayes_pref.evaluation.held_out import Evaluation as Evaluation
    from bayes_pref.evaluation.held_out import evaluate as evaluate
    from bayes_pref.evaluation.leave_one_out import LeaveOneOut as LeaveOneOut
    from bayes_pref.evaluation.leave_one_out import loo as loo
    from bayes_pref.evaluation.model_comparison import compare as compare
    from bayes_pref.evaluation.posterior_predictive import (
        posterior_predictive_check as posterior_predictive_check,
    )
    from bayes_pref.evaluation.reward_classifier import RewardClassifier as RewardClassifier
    from bayes_pref.evaluation.sbc import SBC as SBC
    from bayes_pref.evaluation.sbc import sbc as sbc
    from bayes_pref.inference.engine import Engine as Engine
    from bayes_pref.inference.engine import Program as Program
    from bayes_pref.inference.fit import fit as fit
    from bayes_pref.inference.gibbs.gibbs import Gibbs as Gibbs
    from bayes_pref.inference.mcmc import MCMC as MCMC
    from bayes_pref.inference.nuts.nuts import NUTS as NUTS
    from bayes_pref.inference.pyro_tools.pyro_posterior import PyroPosterior as PyroPosterior
    from bayes_pref.inference.raw_draws import RawDraws as RawDraws
    from bayes_pref.inference.svi.svi import SVI as SVI
    from bayes_pref.inference.users.drawn_users import draw_users as draw_users
    from bayes_pref.inference.users.new_users import add_users as add_users
    from bayes_pref.models import ChoiceModel as ChoiceModel
    from bayes_pref.models import ContextModel as ContextModel
    from bayes_pref.models import HierarchicalReward as HierarchicalReward
    from bayes_pref.models import Logit as Logit
    from bayes_pref.models import LowRankReward as LowRankReward
    from bayes_pref.models import MixtureReward as MixtureReward
    from bayes_pref.models import Ordinal as Ordinal
    from bayes_pref.models import PlackettLuce as PlackettLuce
    from bayes_pref.models import PooledReward as PooledReward
    from bayes_pref.models import PopulationSpec as PopulationSpec
    from bayes_pref.models import Probit as Probit
    from bayes_pref.models import RepresentationReward as RepresentationReward
    from bayes_pref.models import RewardModel as RewardModel
    from bayes_pref.models import SharedCauseReward as SharedCauseReward
    from bayes_pref.models import Term as Term
    from bayes_pref.posterior import Finding as Finding
    from bayes_pref.posterior import Posterior as Posterior
    from bayes_pref.posterior import Run as Run
    from bayes_pref.simulation import World as World
    from bayes_pref.simulation import simulate as simulate

__version__ = "0.1.0"

# Module -> its public names. Type checkers and editors read the same from the imports above.
_MODULES = {
    "assumptions.audit_result": ("Audit",),
    "assumptions.auditing": ("audit",),
    "assumptions.causal_graph": ("CausalGraph",),
    "assumptions.identification": ("Identification",),
    "data": ("Comparisons", "Features"),
    "diagnostics.assessment": ("Assessed", "Assessment"),
    "diagnostics.diagnose": ("ASSESSMENTS", "diagnose"),
    "diagnostics.report": ("Report",),
    "diagnostics.robust.robust_estimates": ("RobustEstimates", "robust"),
    "diagnostics.sensitivity.prior_scaling": ("prior_sensitivity",),
    "diagnostics.sensitivity.tipping": ("Sensitivity", "sensitivity"),
    "diagnostics.thresholds": ("Thresholds",),
    "diagnostics.verdicts": ("VERDICTS", "Verdict"),
    "elicitation.sessions.elicitation": ("Elicitation",),
    "elicitation.power_result": ("Power",),
    "elicitation.power_study": ("power",),
    "elicitation.recommend": ("recommend",),
    "elicitation.recommendation": ("Recommendation",),
    "errors": (
        "BayesPrefError",
        "ConvergenceWarning",
        "DataError",
        "DataWarning",
        "ModelError",
        "Unsupported",
    ),
    "evaluation.model_comparison": ("compare",),
    "evaluation.held_out": ("Evaluation", "evaluate"),
    "evaluation.leave_one_out": ("LeaveOneOut", "loo"),
    "evaluation.posterior_predictive": ("posterior_predictive_check",),
    "evaluation.reward_classifier": ("RewardClassifier",),
    "evaluation.sbc": ("SBC", "sbc"),
    "inference.engine": ("Engine", "Program"),
    "inference.fit": ("fit",),
    "inference.gibbs.gibbs": ("Gibbs",),
    "inference.mcmc": ("MCMC",),
    "inference.users.drawn_users": ("draw_users",),
    "inference.users.new_users": ("add_users",),
    "inference.nuts.nuts": ("NUTS",),
    "inference.pyro_tools.pyro_posterior": ("PyroPosterior",),
    "inference.raw_draws": ("RawDraws",),
    "inference.svi.svi": ("SVI",),
    "models": (
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
    ),
    "posterior": ("Finding", "Posterior", "Run"),
    "simulation": ("World", "simulate"),
}
_SUBMODULES = ("plots", "text")
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_RENAMED = {
    "Calibration": "SBC",
    "Sample": "PyroPosterior",
    "calibrate": "sbc",
    "check": "posterior_predictive_check",
}

__all__ = sorted([*_HOMES, *_SUBMODULES])


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def _load(name: str) -> Any:
    """Import a public name on its first use."""
    if name in _SUBMODULES:
        return import_module(f"bayes_pref.{name}")
    if name not in _HOMES:
        raise AttributeError(_unknown(name))
    value = getattr(import_module(f"bayes_pref.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def _unknown(name: str) -> str:
    """Say that there is no such name, and which one is meant."""
    message = f"module 'bayes_pref' has no attribute {name!r}"
    if name in _RENAMED:
        return f"{message}: it is called bayes_pref.{_RENAMED[name]}"
    if name.startswith("_"):
        return message
    from difflib import get_close_matches

    near = get_close_matches(name, __all__, n=1)
    return f"{message}; did you mean bayes_pref.{near[0]}?" if near else message


if not TYPE_CHECKING:  # else a type checker would take every name to exist
    __getattr__ = _load
