"""Whether the features carry all that matters: columns recorded and left out of the reward.

Scores of attribute times context, the context less each user's mean, so that users who meet a
context and differ do not count; and of squares and products of attributes, where both sides are
known. Signs are exchanged user by user. What was never recorded cannot be tested.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from bayes_pref.assumptions.answer_scores import PooledFit
from bayes_pref.assumptions.audit_data import AuditData, products
from bayes_pref.assumptions.check import SUFFICIENCY, Check, named, p_words, unmade
from bayes_pref.assumptions.resampling import exchanged_signs
from bayes_pref.types import FloatArray, Mask

RESIDUAL = "columns left out"
_MOST_SQUARES, _MOST_PRODUCTS = 8, 4


def residual_check(data: AuditData) -> Check:
    """Test whether answers depend on recorded columns beyond the features."""
    columns, names = _left_out(data)
    if not names:
        return unmade(
            RESIDUAL, SUFFICIENCY,
            "All that is recorded is among the features, and what is not recorded cannot be "
            "tested.",
            "record further attributes of what is shown, or contexts",
        )  # fmt: skip
    design = _design(data)
    fit = PooledFit.of(design, data.comparisons.choice, data.stage)
    scores = fit.efficient(columns, design, data.group, data.n_groups)
    fitted = design.shape[1]
    test = exchanged_signs(scores, data.permutations, data.rng(10), fitted=fitted)
    missing = [names[k] for k in test.order if test.adjusted[k] <= 0.01] or [names[test.order[0]]]
    return Check(
        name=RESIDUAL,
        assumption=SUFFICIENCY,
        null="answers depend on the features alone",
        statistic="largest studentised score of a column that is left out",
        value=test.largest,
        p=test.p,
        found=(
            f"The features leave out what answers depend on: {named(missing)} ({p_words(test.p)})."
        ),
        clear=(
            f"No recorded column adds to the features ({p_words(test.p)}); what was not recorded "
            "cannot be tested."
        ),
        remedy="add products with contexts (interactions=), or squares and products of attributes, "
        "to the features",
        detail=pd.DataFrame({"column": names, "p": test.adjusted}).iloc[test.order],
    )


def _left_out(data: AuditData) -> tuple[FloatArray, list[str]]:
    """(n, m) columns that could be features and are none, and their names."""
    basis, words = data.basis
    plain = _plain(data)
    basis, words = basis[:, plain], [words[k] for k in np.flatnonzero(plain)]
    user = data.comparisons.user
    parts: list[FloatArray] = [np.zeros((len(user), 0))]
    raw = products(data.attributes, basis)
    names: list[str] = []
    if words:
        starts = np.flatnonzero(np.diff(user, prepend=-1))
        mean = np.add.reduceat(basis, starts, axis=0) / np.bincount(user)[:, None]
        parts.append(products(data.attributes, basis - mean[user]))
        names += [f"{a} by {b}" for a in data.attribute_names for b in words]
    squares, more = _squares(data)
    values, spanned = np.hstack([*parts, squares]), np.hstack([raw, squares])
    names += more
    size = (spanned**2).mean(axis=0)
    # What the features span already, before the mean of users is taken away, is not left out.
    design = _design(data)
    rest = spanned - design @ np.linalg.lstsq(design, spanned, rcond=None)[0]
    kept = np.flatnonzero((rest**2).mean(axis=0) > 1e-3 * np.maximum(size, 1e-12))
    return values[:, kept], [names[k] for k in kept]


def _design(data: AuditData) -> FloatArray:
    """The base, and attributes times the squares of contexts.

    Users who differ in how they take a context flatten the common reward where it is extreme, which
    looks like an effect of its square, and is none.
    """
    squares = data.basis[0][:, ~_plain(data)]
    return np.hstack([data.base_design, products(data.attributes, squares)])


def _plain(data: AuditData) -> Mask:
    """(b,) whether a function of what surrounds a task is of the first degree."""
    return np.array([word in data.surroundings[1] for word in data.basis[1]], dtype=bool)


def _squares(data: AuditData) -> tuple[FloatArray, list[str]]:
    """Differences of squares and products of attributes, where those of both sides are known."""
    comparisons = data.comparisons
    right, features = comparisons.right, comparisons.features
    if right is None or features.items:
        return np.zeros((len(data.task), 0)), []
    k = len(features.attributes)
    both = np.stack([right + comparisons.difference[:, :k], right])
    of_levels = {column for coding in features.codings for column in coding.columns}
    used = [j for j, name in enumerate(features.attributes) if name not in of_levels]
    used = [j for j in used if np.ptp(both[:, :, j])][:_MOST_SQUARES]
    scaled = both[:, :, used] - both[:, :, used].mean(axis=(0, 1))
    scaled = scaled / scaled.std(axis=(0, 1)).clip(1e-12)
    parts = [scaled**2]
    names = [f"the square of {features.attributes[j]!r}" for j in used]
    if len(used) <= _MOST_PRODUCTS:
        for a in range(len(used)):
            for b in range(a + 1, len(used)):
                parts.append((scaled[:, :, a] * scaled[:, :, b])[:, :, None])
                first, second = features.attributes[used[a]], features.attributes[used[b]]
                names.append(f"{first!r} times {second!r}")
    made = np.concatenate(parts, axis=2)
    return made[0] - made[1], names
