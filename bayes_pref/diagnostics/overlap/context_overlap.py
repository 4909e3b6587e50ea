"""Overlap: how often users like this one see such contexts, relative to all users.

For user i and context x,

    overlap(i, x) = min(1, p(x | users like i) / p(x)).

With several components of users it is the sum over components k of
P(i in component k) P(component k | x) / P(component k). The components are those of the fitted
mixture, or come from weights and exposure together. P(component | x) is a regularised logistic
regression, cross-fitted over users, on the contexts or on richer features of the prompts; it is
used if it predicts the components of held-out users. With one component, or components that
contexts do not tell apart, users like i are those with a similar exposure, and the densities are
normal. A context is no evidence for itself: for a pair that the user was shown, the exposure is
that of the other comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.overlap.component_overlap import overlap_by_component
from bayes_pref.diagnostics.overlap.exposure_axes import ExposureAxes
from bayes_pref.diagnostics.overlap.user_components import user_components
from bayes_pref.diagnostics.prompts import PromptFeatures, contexts
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.task_sets import one_row_a_task
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, Mask

_LIKE = 0.1  # variance of exposure among users who count as similar, as a share of that of all


@dataclass(frozen=True, eq=False)
class Overlap:
    """Whether users like a comparison's user see such contexts.

    Attributes
    ----------
    overlap
        (n,) 0 to 1; NaN where it cannot be assessed.
    components
        One row a user: the probability of each component, the largest component first.
    note
        A sentence on what the overlap rests on, or why there is none.
    """

    overlap: FloatArray
    components: pd.DataFrame
    note: str


def assess(
    posterior: Posterior,
    query: Query,
    *,
    prompts: PromptFeatures | None = None,
    components: int | None = None,
    seed: int = 0,
) -> Overlap:
    """Assess whether users like each comparison's user see such contexts.

    Parameters
    ----------
    posterior
        Posterior of the users' weights, fitted to comparisons with contexts.
    query
        n comparisons.
    prompts
        Features of the prompts; None: the contexts.
    components
        Number of components of users; None: the components of the fitted mixture, or as many as
        the data show.
    seed
        Random seed of the mixture's initial values and of the folds.

    Returns
    -------
    Overlap

    Raises
    ------
    DataError
        If `components` is no number of components that these users can have.

    Notes
    -----
    New users have an overlap of 1. The overlap is 0 for a context that lies more than a standard
    deviation outside the range of all contexts in the data.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> from bayes_pref.diagnostics.query import read_query
    >>> world = bp.simulate(users=50, features=["length"], intraclass=0.9, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> low, high = world.truth.exposure["context_1"].agg(["idxmin", "idxmax"])
    >>> x = world.frame.loc[world.frame["user"] == high, "context_1"].mean()
    >>> asked = pd.DataFrame({"user": [low, high], "length": 1.0, "context_1": x})
    >>> (assess(posterior, read_query(posterior, asked)).overlap < 0.2).tolist()
    [True, False]
    """
    comparisons = one_row_a_task(posterior.comparisons)
    allowed = settings.optional(settings.whole(1, comparisons.n_users))
    components = settings.argument("components", components, allowed)
    axes = ExposureAxes.of(comparisons)
    unseen = _outside_the_data(comparisons, query.context)
    reason = _reason_against(comparisons, axes)
    if reason:
        nothing = np.where(unseen, 0.0, np.nan)
        return Overlap(nothing, _frame(np.ones((comparisons.n_users, 1)), comparisons), reason)
    member = _membership(posterior, axes, components, seed)
    k = member.shape[1]
    ratio, what = None, "contexts" if prompts is None else "prompts"
    if k > 1:
        known = contexts(comparisons, query) if prompts is None else prompts
        ratio = overlap_by_component(comparisons, member, query, known, seed=seed)
    if ratio is not None:
        note = (
            f"Users form {k} components, found from their choices and contexts; overlap compares "
            f"the {what} of a user's component with those of all users."
        )
    else:
        ratio = _by_exposure(axes, query, _own_contexts(comparisons, query))
        form = f"{k} components with similar {what}" if k > 1 else "1 component"
        note = f"Users form {form}; overlap compares users with a similar exposure with all users."
    ratio[query.is_new] = 1.0
    ratio[unseen] = 0.0
    return Overlap(ratio.clip(0.0, 1.0), _frame(member, comparisons), note)


def _membership(
    posterior: Posterior, axes: ExposureAxes, components: int | None, seed: int
) -> FloatArray:
    """(u, k) probabilities of each user's component: those of the model, if it has components."""
    model = posterior.model
    spec = model.spec(posterior.comparisons)
    if components is None and spec is not None and spec.components is not None:
        probabilities = model.component_probabilities(posterior.draws, posterior.comparisons)
        return np.asarray(probabilities.mean(axis=0))
    return user_components(posterior, axes, components, seed)


def _by_exposure(axes: ExposureAxes, query: Query, own: Mask) -> FloatArray:
    """(n,) normal density of contexts among users with a similar exposure, relative to all users.

    `own` (n,) marks the comparisons in which the user was shown the context.
    """
    x = axes.coordinates(query.context)
    counts, mean = axes.counts[query.user], axes.mean[query.user]
    others = np.maximum(counts - 1.0, 1.0)[:, None]
    mean = np.where(own[:, None], (counts[:, None] * mean - x) / others, mean)
    centre, unsure = axes.posterior(mean, counts - own)
    variance = 1.0 - axes.between + unsure + _LIKE * axes.between
    log_ratio = 0.5 * (x**2 - (x - centre) ** 2 / variance - np.log(variance)).sum(axis=1)
    return np.asarray(np.exp(np.minimum(log_ratio, 0.0)))


def _own_contexts(comparisons: Comparisons, query: Query) -> Mask:
    """(n,) whether the user of a comparison was shown exactly its context."""
    both = ((comparisons.user, comparisons.context), (query.user, query.context))
    keys = [np.column_stack([user, context]) for user, context in both]
    codes = np.unique(np.vstack(keys), axis=0, return_inverse=True)[1].ravel()
    return np.isin(codes[len(comparisons) :], codes[: len(comparisons)])


def _outside_the_data(comparisons: Comparisons, context: FloatArray) -> Mask:
    """(n,) whether contexts lie more than a standard deviation outside the data's range."""
    seen = comparisons.context
    margin = seen.std(axis=0) + 1e-9 * np.abs(seen).max(axis=0, initial=0.0)
    outside = (context < seen.min(axis=0) - margin) | (context > seen.max(axis=0) + margin)
    return np.asarray(outside.any(axis=1))


def _reason_against(comparisons: Comparisons, axes: ExposureAxes) -> str:
    """Say why overlap cannot be assessed; empty if it can."""
    start = "Overlap cannot be assessed: "
    if comparisons.n_users < 2:
        return f"{start}there is one user, and no other to compare with."
    if not comparisons.context.std(axis=0).any() or not axes.axes.size:
        if len(comparisons) == comparisons.n_users:
            return f"{start}every user made a single comparison, which does not show an exposure."
        return f"{start}the contexts have one value, the same for all users."
    return ""


def _frame(member: FloatArray, comparisons: Comparisons) -> pd.DataFrame:
    columns = [f"component_{k + 1}" for k in range(member.shape[1])]
    return pd.DataFrame(member, comparisons.users.rename("user"), columns)
