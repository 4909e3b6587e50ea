"""Which sampler needs less time for a summary of users: blocks, or Polya-Gamma variables.

Blocks expand users' likelihoods to second order. Where answers have moderate log-odds that is
nearly exact, so that draws are nearly independent. Where they say much, curvatures vary over the
posterior, and Polya-Gamma variables, which know no expansion, mix faster.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.finite import advance
from bayes_pref.inference.gibbs.kernels.store import nowhere
from bayes_pref.inference.gibbs.samplers.sampler import HierarchicalSampler
from bayes_pref.models.base import RewardModel

# Measured on simulated studies of 2,000 to 100,000 users; see docs/scale.md.
_FEW_USERS = 20_000  # below, metrics of blocks are poor
_MANY_FEATURES = 24  # above, blocks are slow
_LARGE = 1.5  # log-odds
_USERS, _SWEEPS = 1000, 100  # that are tried


def blocks_are_faster(
    sampler: HierarchicalSampler, model: RewardModel, comparisons: Comparisons
) -> bool:
    """Whether blocks need less time than a sampler by Polya-Gamma variables.

    Depends on the data alone.
    """
    spec = model.spec(comparisons)
    assert spec is not None  # or there is no sampler
    if comparisons.n_users < _FEW_USERS or comparisons.n_features > _MANY_FEATURES:
        return False
    return spec.covariance == "diagonal" and typical_log_odds(sampler, model, comparisons) < _LARGE


def typical_log_odds(
    sampler: HierarchicalSampler, model: RewardModel, comparisons: Comparisons
) -> float:
    """Median size of the log-odds of choices, of some users in a short run."""
    rng, users = np.random.default_rng(0), comparisons.users
    chosen = np.sort(rng.choice(len(users), min(len(users), _USERS), replace=False))
    own = comparisons[list(users.take(chosen))]
    spec = model.spec(own)
    assert spec is not None  # as for all users
    problem = sampler.problem(spec, model.choice_model(own), own)
    store = nowhere(problem.n_columns, *problem.weights_shape)
    chain = sampler.chain(problem, _SWEEPS, 1, rng, store)
    while chain.done < chain.total:
        advance(chain)
    return float(np.median(np.abs(chain.psi)))
