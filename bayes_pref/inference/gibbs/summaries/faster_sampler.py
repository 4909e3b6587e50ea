"""Which sampler needs less time for a summary of users: blocks, or Polya-Gamma variables.

Blocks expand users' likelihoods to second order. Where answers have moderate log-odds that is
nearly exact, so that draws are nearly independent. Where they say much, curvatures vary over the
posterior, and Polya-Gamma variables, which know no expansion, mix faster.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.finite import advance, numbers_kept
from bayes_pref.inference.gibbs.kernels.store import nowhere
from bayes_pref.inference.gibbs.problem import Problem
from bayes_pref.inference.gibbs.samplers.sampler import SweepSampler
from bayes_pref.inference.runtime.threads import one_blas_thread
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.spec import PopulationSpec

# Measured on simulated studies of 2,000 to 100,000 users; see docs/scale.md.
_FEW_USERS = 20_000  # below, metrics of blocks are poor
_MANY_FEATURES = 24  # above, blocks are slow
_LARGE = 1.5  # log-odds
_USERS, _SWEEPS = 1000, 100  # that are tried


def blocks_are_faster(
    sampler: SweepSampler,
    spec: PopulationSpec,
    choice_model: ChoiceModel,
    comparisons: Comparisons,
) -> bool:
    """Whether blocks need less time than a sampler by Polya-Gamma variables.

    Depends on the data alone.
    """
    if comparisons.n_users < _FEW_USERS or comparisons.n_features > _MANY_FEATURES:
        return False
    if spec.covariance != "diagonal":
        return False
    return typical_log_odds(sampler, spec, choice_model, comparisons) < _LARGE


def typical_log_odds(
    sampler: SweepSampler,
    spec: PopulationSpec,
    choice_model: ChoiceModel,
    comparisons: Comparisons,
) -> float:
    """Median size of the log-odds of choices, of some users in a short run."""
    rng, n_users = np.random.default_rng(0), comparisons.n_users
    chosen = np.sort(rng.choice(n_users, min(n_users, _USERS), replace=False))
    with one_blas_thread(), numbers_kept():  # the number of threads would change rounding
        problem = Problem.of_users(spec, comparisons, chosen, choice_model.position_sd)
        store = nowhere(problem.n_columns, *problem.weights_shape)
        chain = sampler.chain(problem, _SWEEPS, 1, rng, store)
        while chain.done < chain.total:
            advance(chain)
    return float(np.median(np.abs(chain.psi)))
