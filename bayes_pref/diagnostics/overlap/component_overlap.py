"""Overlap by components of users: P(component | prompt), learned from the prompts of other users.

A prompt is described by the contexts of its comparison, or by richer features such as its whole
embedding: the few contexts that a model has room for leave much of it out.
"""

from __future__ import annotations

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.prompts import PromptFeatures
from bayes_pref.diagnostics.query import Query
from bayes_pref.types import FloatArray, IntArray

_FOLDS = 5
_PENALTIES = (0.01, 0.1, 1.0)  # C of the logistic regression, chosen by held-out likelihood
_WIDE = 20  # features, beyond which C falls so that the prior variance of the log-odds stays
_CLEARLY = 2.0  # standard errors by which prompts must predict the components of held-out users


def overlap_by_component(
    comparisons: Comparisons,
    component: FloatArray,
    query: Query,
    prompts: PromptFeatures,
    *,
    seed: int,
) -> FloatArray | None:
    """Sum over components of P(user in it) P(it | prompt) / P(it), cross-fitted over users.

    Parameters
    ----------
    comparisons
        The fitted comparisons.
    component
        (u, k) probabilities of each user's membership.
    query
        n comparisons; a new user has the population's shares as membership.
    prompts
        Features of the prompts of both.
    seed
        Seed of the folds.

    Returns
    -------
    (n,) ratios, or None if prompts do not predict the components of held-out users
    """
    spread = prompts.fitted.std(axis=0)
    centre, spread = prompts.fitted.mean(axis=0), np.where(spread > 0, spread, 1.0)
    seen, asked = ((values - centre) / spread for values in (prompts.fitted, prompts.asked))
    of_row = component[comparisons.user]
    share = of_row.mean(axis=0)
    fold = np.random.default_rng(seed).permutation(comparisons.n_users) % _FOLDS
    folds = fold[comparisons.user], np.where(query.is_new, 0, fold[query.user])
    shrunk = min(1.0, _WIDE / seen.shape[1])
    gains, answers = zip(
        *(_classify(seen, asked, of_row, folds, shrunk * c) for c in _PENALTIES), strict=True
    )
    best = int(np.argmax([gain.sum() for gain in gains]))
    # Log likelihood against the shares alone, users being the independent units. A classifier that
    # does not generalise to held-out users still ranks prompts, by chance.
    gain = np.bincount(comparisons.user, gains[best])
    if gain.mean() < _CLEARLY * gain.std(ddof=1) / np.sqrt(len(gain)):
        return None
    member = np.where(query.is_new[:, None], share, component[query.user])
    return np.asarray((member * (answers[best] / share)).sum(axis=1))


def _classify(
    seen: FloatArray,
    asked: FloatArray,
    of_row: FloatArray,
    folds: tuple[IntArray, IntArray],
    penalty: float,
) -> tuple[FloatArray, FloatArray]:
    """Held-out gain in log likelihood of each fitted row, and P(component | prompt) of the query.

    `folds` are those of the fitted rows and of the query; `of_row` (n_fitted, k) is the membership.
    """
    from sklearn.linear_model import LogisticRegression  # takes a second to import

    gain, answer = np.empty(len(seen)), np.empty((len(asked), of_row.shape[1]))
    for part in range(_FOLDS):
        held, mine = (fold == part for fold in folds)
        share = of_row[~held].mean(axis=0)
        model = LogisticRegression(C=penalty, max_iter=2000)
        # A row of a user of uncertain membership enters once a component, weighted by it.
        model.fit(
            np.tile(seen[~held], (len(share), 1)),
            np.repeat(np.arange(len(share)), (~held).sum()),
            sample_weight=of_row[~held].T.ravel(),
        )
        predicted = model.predict_log_proba(seen[held]) - np.log(share)
        gain[held] = (predicted * of_row[held]).sum(axis=1)
        if mine.any():
            answer[mine] = model.predict_proba(asked[mine])
    return gain, answer
