"""Comparison of models by leave-one-out: which predicts unseen comparisons or users best.

Differences of elpd are those of Vehtari, Gelman & Gabry (2017, Statistics and Computing 27);
weights are by stacking (Yao, Vehtari, Simpson & Gelman 2018, Bayesian Analysis 13):

    max over the simplex of sum_i log sum_m weight_m exp(elpd_im)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import LinearConstraint, minimize

from bayes_pref.errors import DataError
from bayes_pref.evaluation.choices import same_choices
from bayes_pref.evaluation.leave_one_out import By, LeaveOneOut, loo, one_unit
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray


def compare(models: Mapping[str, Posterior | LeaveOneOut], by: By = "comparison") -> pd.DataFrame:
    """Compare how well models predict unseen comparisons or unseen users, best first.

    Parameters
    ----------
    models
        Posteriors of the same comparisons by name, or the results of `loo` for them.
    by
        What is left out, as for `loo`: "comparison", or "task", is about predictions of known
        users, "user" about predictions of new users.

    Returns
    -------
    frame: one row a model, by name

        `elpd` and its standard error `se`; `difference` from the best model and its standard error
        `difference_se`, both clustered by user; `p_loo`, the effective number of parameters;
        `weight`, the stacking weight of the model's predictions; `worst_k` and `bad`, the largest
        Pareto k and the number above 0.7. A difference below a few standard errors, or below 4, is
        no evidence for either model (Sivula, Magnusson & Vehtari 2020).

    Raises
    ------
    DataError
        If there are fewer than two models, or they were fitted to different comparisons.
    ModelError
        As `loo`.

    Warns
    -----
    ConvergenceWarning
        As `loo`.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=30, heterogeneity=1.0, seed=0)
    >>> models = {"pooled": bp.PooledReward(), "hierarchical": bp.HierarchicalReward()}
    >>> engine = bp.Gibbs(progress=False)
    >>> fitted = {name: bp.fit(model, world.comparisons, engine) for name, model in models.items()}
    >>> bp.compare(fitted, by="user").index.tolist()
    ['hierarchical', 'pooled']
    """
    if not isinstance(models, Mapping) or len(models) < 2:
        raise DataError(
            'models: expected at least two posteriors by name, like {"pooled": a, "other": b}'
        )
    by = one_unit(by)
    found: dict[str, LeaveOneOut] = {}
    first: Any = next(iter(models.values()))
    for name, model in models.items():
        given: Any = model  # `loo` validates what is no LeaveOneOut
        if isinstance(given, LeaveOneOut) and given.by != by:
            raise DataError(
                f"{name!r} was left out by {given.by}, but by={by!r} is asked for; "
                f"use bp.loo(posterior, by={by!r}), or by={given.by!r} here"
            )
        if hasattr(given, "comparisons") and not same_choices(first.comparisons, given.comparisons):
            raise DataError(
                f"{next(iter(models))!r} and {name!r} were fitted to different comparisons, so "
                "their elpd cannot be compared; fit both to the same ones"
            )
    for name, model in models.items():
        found[name] = model if isinstance(model, LeaveOneOut) else loo(model, by)
    return _table(found)


def _table(found: dict[str, LeaveOneOut]) -> pd.DataFrame:
    """Return one row a model, the best first."""
    best = max(found.values(), key=lambda result: result.elpd)
    elpd = np.stack([result.pointwise["elpd"].to_numpy() for result in found.values()], axis=1)
    rows = []
    for result, weight in zip(found.values(), stacking_weights(elpd), strict=True):
        less = (result.pointwise["elpd"] - best.pointwise["elpd"]).to_numpy()
        rows.append(
            {
                "elpd": result.elpd,
                "se": result.se,
                "difference": float(less.sum()),
                "difference_se": result.error(less),
                "p_loo": result.p_loo,
                "weight": weight,
                "worst_k": result.worst_k,
                "bad": result.bad,
            }
        )
    frame = pd.DataFrame(rows, index=pd.Index(list(found), name="model"))
    return frame.sort_values("elpd", ascending=False)


def stacking_weights(elpd: FloatArray) -> FloatArray:
    """Weights of models, (model,), from elpd (unit, model): the mixture that predicts best.

    Examples
    --------
    >>> import numpy as np
    >>> stacking_weights(np.log([[0.9, 0.5], [0.9, 0.5]])).round(3)
    array([1., 0.])
    """
    density = np.exp(elpd - elpd.max(axis=1, keepdims=True))
    count = elpd.shape[1]

    def loss(weight: FloatArray) -> float:
        return float(-np.log(density @ weight).mean())

    def slope(weight: FloatArray) -> FloatArray:
        return np.asarray(-(density / (density @ weight)[:, None]).mean(axis=0))

    solved = minimize(
        loss,
        np.full(count, 1.0 / count),
        jac=slope,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * count,
        constraints=LinearConstraint(np.ones((1, count)), 1.0, 1.0),
        options={"ftol": 1e-12, "maxiter": 1000},
    )
    weight = np.clip(solved.x, 0.0, 1.0)
    return np.asarray(weight / weight.sum())
