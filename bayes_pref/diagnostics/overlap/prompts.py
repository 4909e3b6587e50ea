"""What kind of user asks what: P(component | prompt), learned from the prompts of other users.

A prompt is told by the contexts of a comparison, or by whatever describes it better, such as its
whole embedding: the few contexts that a model has room for leave much of it out.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from bayes_pref.data import Comparisons
from bayes_pref.data.table import FloatArray, IntArray, shown
from bayes_pref.diagnostics.query import Pairs
from bayes_pref.errors import DataError

Described: TypeAlias = "tuple[ArrayLike | pd.DataFrame, ArrayLike | pd.DataFrame]"
Prompts: TypeAlias = "ArrayLike | pd.DataFrame | Described"

_FOLDS = 5
_PENALTIES = (0.01, 0.1, 1.0)  # C of the logistic regression, the best by held-out likelihood
_WIDE = 20  # columns, beyond which C falls so that the log-odds vary as much a priori
_CLEARLY = 2.0  # standard errors by which prompts must predict the components of held-out users


def read_described(
    described: Described | None, comparisons: Comparisons, pairs: Pairs
) -> tuple[FloatArray, FloatArray]:
    """Read what describes the prompts of the fitted comparisons and of the pairs.

    Parameters
    ----------
    described
        An array (n, m) for each, in the order of `comparisons.rows` and of `pairs.rows`, or frames
        indexed by these labels, in any order; None: the contexts.
    comparisons
        Those that were fitted.
    pairs
        To be judged.

    Returns
    -------
    seen, asked: (n_comparisons, m) and (n_pairs, m)

    Raises
    ------
    DataError
        If rows or columns do not fit, or a value is missing, infinite or not a number.
    """
    if described is None:
        return comparisons.context, pairs.context
    if not isinstance(described, tuple) or len(described) != 2:
        raise DataError(
            "prompts: expected two arrays, (of the fitted comparisons, of those to be judged), but "
            f"got {type(described).__name__}"
        )
    seen = _rows(described[0], comparisons.rows, "the fitted comparisons")
    asked = _rows(described[1], pairs.rows, "the comparisons to be judged")
    if seen.shape[1] != asked.shape[1]:
        raise DataError(
            f"prompts: {seen.shape[1]} columns for the fitted comparisons, but {asked.shape[1]} "
            "for those to be judged; describe both alike"
        )
    return seen, asked


def _rows(values: ArrayLike | pd.DataFrame, rows: pd.Index[Any], whose: str) -> FloatArray:
    """Numbers (n, m), in the order of the row labels."""
    if isinstance(values, pd.DataFrame):
        if values.index.has_duplicates:
            raise DataError(f"prompts of {whose}: the row labels must be different")
        place = values.index.get_indexer(rows)
        if (place < 0).any():
            raise DataError(f"prompts of {whose}: none for row {shown(rows[place < 0][0])}")
        values = values.iloc[place]
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as err:
        raise DataError(f"prompts of {whose}: expected numbers, such as embeddings") from err
    if numbers.ndim != 2 or len(numbers) != len(rows) or not numbers.shape[1]:
        raise DataError(
            f"prompts of {whose}: expected an array of {len(rows):,} rows and at least one column, "
            f"got shape {numbers.shape}"
        )
    bad = ~np.isfinite(numbers).all(axis=1)
    if bad.any():
        raise DataError(
            f"prompts of {whose}: missing or infinite in row {shown(rows[int(bad.argmax())])}"
        )
    return numbers


def by_component(
    comparisons: Comparisons,
    component: FloatArray,
    seen: FloatArray,
    asked: FloatArray,
    whose: IntArray,
    *,
    marks: IntArray,
    seed: int,
) -> tuple[FloatArray, FloatArray] | None:
    """Sum over components of P(user is of it) P(it | prompt) / P(it), cross-fitted over users.

    Parameters
    ----------
    comparisons
        Those that were fitted.
    component
        (u, k) probabilities that each user is of each component.
    seen, asked
        (n_comparisons, m) and (n, m) what describes the prompts.
    whose
        (n,) codes of the users of `asked`, below 0: of nobody.
    marks
        (g,) rows of the comparisons whose prompts are asked about for every user, too.
    seed
        Of the folds.

    Returns
    -------
    (n,) for what is asked, and (u, g) for the marks; None if prompts do not predict the components of
    users held out
    """
    spread = seen.std(axis=0)
    centre, spread = seen.mean(axis=0), np.where(spread > 0, spread, 1.0)
    every = np.vstack([asked, np.tile(seen[marks], (_FOLDS, 1))])
    seen, every = ((values - centre) / spread for values in (seen, every))
    of_row = component[comparisons.user]
    share = of_row.mean(axis=0)
    fold = np.random.default_rng(seed).permutation(comparisons.n_users) % _FOLDS
    of_asked = np.where(whose < 0, 0, fold[whose])
    of_marks = np.repeat(np.arange(_FOLDS), len(marks))
    fold_of = fold[comparisons.user], np.concatenate([of_asked, of_marks])
    held_back = min(1.0, _WIDE / seen.shape[1])
    gains, answers = zip(
        *(_classified(seen, every, of_row, fold_of, held_back * c) for c in _PENALTIES),
        strict=True,
    )
    best = int(np.argmax([gain.sum() for gain in gains]))
    # In log likelihood against the shares alone, users being the independent units. A classifier
    # that tells nothing of people it has not seen still ranks prompts, by chance.
    gain = np.bincount(comparisons.user, gains[best])
    if gain.mean() < _CLEARLY * gain.std(ddof=1) / np.sqrt(len(gain)):
        return None
    of_pair, of_mark = np.split(answers[best] / share, [len(asked)])
    ratio = (np.where((whose < 0)[:, None], share, component[whose]) * of_pair).sum(axis=1)
    table = of_mark.reshape(_FOLDS, len(marks), -1)[fold]
    return np.asarray(ratio), np.asarray(np.einsum("ugk,uk->ug", table, component))


def _classified(
    seen: FloatArray,
    asked: FloatArray,
    of_row: FloatArray,
    fold_of: tuple[IntArray, IntArray],
    penalty: float,
) -> tuple[FloatArray, FloatArray]:
    """Held-out gain in log likelihood of each row, and P(component | prompt) of what is asked."""
    from sklearn.linear_model import LogisticRegression  # see user_components

    gain, answer = np.empty(len(seen)), np.empty((len(asked), of_row.shape[1]))
    for part in range(_FOLDS):
        held, mine = (fold == part for fold in fold_of)
        share = of_row[~held].mean(axis=0)
        model = LogisticRegression(C=penalty, max_iter=2000)
        # A row of an uncertain user stands in every component, with its probability as weight.
        model.fit(
            np.tile(seen[~held], (len(share), 1)),
            np.repeat(np.arange(len(share)), (~held).sum()),
            sample_weight=of_row[~held].T.ravel(),
        )
        told = model.predict_log_proba(seen[held]) - np.log(share)
        gain[held] = (told * of_row[held]).sum(axis=1)
        if mine.any():
            answer[mine] = model.predict_proba(asked[mine])
    return gain, answer
