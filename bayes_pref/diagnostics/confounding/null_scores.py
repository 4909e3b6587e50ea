"""Efficient scores of users' weights where these do not depend on exposure.

Under the null, w_i ~ Normal(mu + B c_i, Sigma) whatever the exposure z_i. Let h_n be what the
answer to row n says of its eta: the derivative of its log likelihood at the mean of eta, which is
y - const for logistic choices. User i's score D_i' (h - E h) then has mean 0 and variance
    A_i = D_i' diag(Var h - k^2 v) D_i + M_i Sigma M_i,   M_i = D_i' diag(k) D_i,
with k the derivative of E h by the mean of eta, and v = d' Sigma d. (Logistic: k = E sigmoid'.) A
shift of w_i by delta moves it by M_i delta: the efficient score is u_i = M_i A_i^-1 D_i' (h - E h),
its information I_i = M_i A_i^-1 M_i.

A stage among several is a row of its own kind: with y the indicators of what is chosen, X the
alternatives and p their probabilities, its score is X' (y - E p), and M = E X' (diag p - p p') X is
also the variance of the score given w. With a lapse rate, (1 - lapse) p + lapse / k stands for p in
y - E p and in the variance, and M is multiplied by 1 - lapse. The expectations are over simulated
users. Of a ranking,
later stages are taken for choices from sets that do not depend on the earlier ones: what that gets
wrong is the same for all users, and is removed with the mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.data import Comparisons, Ranking
from bayes_pref.diagnostics.confounding.choice_shares import quasi_random_users, root
from bayes_pref.diagnostics.task_sets import chosen_rows
from bayes_pref.logistic_normal import expected_choice, expected_value
from bayes_pref.models.choice import ChoiceDistribution, Logit
from bayes_pref.types import FloatArray as Array
from bayes_pref.types import IntArray

_BLOCK = 2**22  # values held at once
_RIDGE = 1e-9  # relative to the trace; directions without information contribute nothing
_STEP = 0.01  # of central differences; their error, step^2 f''' / 6, is at most 1e-6
_USERS = 256  # simulated, for stages


@dataclass(frozen=True, eq=False)
class EfficientScores:
    """Efficient scores of each user's weights under the null.

    Attributes
    ----------
    score
        (u, d), per scaled unit of the features.
    information
        (u, d, d) variance of the score, which is minus its mean derivative.
    """

    score: Array
    information: Array


def null_scores(
    comparisons: Comparisons,
    centre: Array,
    covariance: Array,
    position: float = 0.0,
    choices: ChoiceDistribution | None = None,
) -> EfficientScores:
    """Efficient scores of the users' weights.

    Parameters
    ----------
    comparisons
        The fitted comparisons.
    centre
        (u, d) mu + B c_i of a fit without exposure, units of eta per raw unit.
    covariance
        (d, d) Sigma of that fit.
    position
        Position bias of that fit, units of eta, for left.
    choices
        Distribution of choices at one sample of the parameters of that fit, without position;
        None: logistic.

    Returns
    -------
    EfficientScores
    """
    rows, parts, together = answer_scores(comparisons, centre, covariance, position, choices)
    scale, offsets = comparisons.feature_scale, comparisons.offsets
    sigma = covariance * np.outer(scale, scale)
    residual, slope, rest = parts
    raw = np.add.reduceat(rows * residual[:, None], offsets[:-1])
    moved = _grams(rows, slope, offsets) - together[0]
    noise = _grams(rows, rest, offsets) - together[1]
    total = ridged(noise + moved @ sigma @ moved)
    solved = np.linalg.solve(total, np.concatenate([moved, raw[:, :, None]], axis=2))
    both = moved @ solved
    return EfficientScores(both[:, :, -1], both[:, :, :-1])


def answer_scores(
    comparisons: Comparisons,
    centre: Array,
    covariance: Array,
    position: float = 0.0,
    choices: ChoiceDistribution | None = None,
) -> tuple[Array, Array, Array]:
    """Return scores of the answers, row by row; parameters as of `null_scores`.

    Returns
    -------
    rows, parts, together: (n, d) scaled differences, of choices among several those of the chosen
        alternative minus the other; (3, n) h - E h, k, and the variance of h beyond k^2 v; and the
        part of M that stages take off, (u, d, d)
    """
    choices = Logit().at() if choices is None else choices
    outcome = comparisons.outcome
    scale = comparisons.feature_scale
    differences, choice = comparisons.difference, comparisons.choice
    single = np.ones(len(choice), dtype=bool)
    if isinstance(outcome, Ranking):
        differences, choice = chosen_rows(comparisons), np.ones(len(choice))
        single = np.bincount(outcome.stage)[outcome.stage] == 1
    rows, sigma = differences / scale, covariance * np.outer(scale, scale)
    mean = position + np.einsum("nf,nf->n", differences, centre[comparisons.user])
    variance = np.einsum("nf,fg,ng->n", rows, sigma, rows)
    parts = np.zeros((3, len(choice)))
    parts[:, single] = _of_answers(mean[single], variance[single], choice[single], choices)
    together = np.zeros((2, comparisons.n_users, rows.shape[1], rows.shape[1]))
    if not single.all():
        assert isinstance(outcome, Ranking)  # or all rows were single
        several = np.flatnonzero(~single)
        stage = np.unique(outcome.stage[several], return_inverse=True)[1].ravel()
        user = comparisons.user[several]
        parts[:, several], together = _of_stages(
            rows[several],
            mean[several],
            stage,
            user,
            root(sigma),
            comparisons.n_users,
            float(choices.parameters.get("lapse", np.zeros(1))[0]),
        )
    return rows, parts, together


def _of_answers(mean: Array, variance: Array, choice: Array, choices: ChoiceDistribution) -> Array:
    """H - E h, k, and the variance of h beyond k^2 v, (3, n), of rows that are answers."""
    if choices.logistic:
        p, above, below = (expected_choice(mean + s, variance) for s in (0.0, _STEP, -_STEP))
        found, spread, slope = choice - p, p * (1 - p), (above - below) / (2 * _STEP)
    else:
        steps = choices.n_outcomes - 1
        says = np.stack(
            [
                choices.derivatives(mean[:, None], np.full(len(mean), level / steps))[1][:, 0]
                for level in range(steps + 1)
            ]
        )

        def chances(eta: Array) -> Array:
            return choices.probabilities(eta[:, None])[..., 0]

        p, above, below = (
            expected_value(chances, mean + s, variance) for s in (0.0, _STEP, -_STEP)
        )
        expected = (p * says).sum(axis=0)
        made = np.rint(choice * steps).astype(np.intp)
        found = says[made, np.arange(len(made))] - expected
        spread = (p * says**2).sum(axis=0) - expected**2
        slope = ((above - below) * says).sum(axis=0) / (2 * _STEP)
    # Never negative: the variance of a function of a Gaussian is at least v (E f')^2.
    return np.stack([found, slope, (spread - slope**2 * variance).clip(0.0)])


def _of_stages(
    rows: Array,
    mean: Array,
    stage: IntArray,
    user: IntArray,
    factor: Array,
    users: int,
    lapse: float,
) -> tuple[Array, Array]:
    """Return E p of the other of each row, three times, and the part of M that is taken off.

    M = sum_j E p_j d_j d_j' - E t t' with t = sum_j p_j d_j, over the rows of a stage; the latter
    summed over the stages of each user, (2, u, d, d): that of M and that of the variance of the
    score. These differ, as p does in the second place, where there are lapses.
    """
    n, d = rows.shape
    points = factor @ quasi_random_users(_USERS, d, 1)[0]
    chance, together = np.empty((3, n)), np.zeros((2, users, d, d))
    step = max(1, _BLOCK // (_USERS * d))
    start = 0
    while start < n:  # blocks of whole stages: memory
        stop = int(np.searchsorted(stage, stage[min(start + step, n) - 1], side="right"))
        part, code = rows[start:stop], stage[start:stop]
        first = np.flatnonzero(np.diff(code, prepend=code[0] - 1))
        place = code - code[0]
        eta = mean[start:stop, None] + part @ points
        top = np.maximum(np.maximum.reduceat(-eta, first), 0.0)
        against = np.exp(-eta - top[place])
        p = against / (np.exp(-top) + np.add.reduceat(against, first))[place]
        even = 1.0 / (1.0 + np.diff(np.append(first, len(part))))[place]
        made = (1.0 - lapse) * p + lapse * even[:, None]
        chance[:, start:stop] = made.mean(axis=1)
        chance[1, start:stop] = (1.0 - lapse) * p.mean(axis=1)
        for of, share, q in ((0, 1.0 - lapse, p), (1, 1.0, made)):
            t = np.add.reduceat(q[:, :, None] * part[:, None, :], first)
            np.add.at(together[of], user[start:stop][first], share * t.swapaxes(1, 2) @ t / _USERS)
        start = stop
    return chance, together


def ridged(matrix: Array) -> Array:
    """Matrices (..., m, m) with a ridge that makes them regular."""
    size = matrix.shape[-1]
    trace = np.trace(matrix, axis1=-2, axis2=-1)[..., None, None]
    return np.asarray(matrix + np.eye(size) * (_RIDGE * trace / size + 1e-300))


def _grams(rows: Array, weight: Array, offsets: IntArray) -> Array:
    """(u, d, d): sum over each user's rows of weight d d'."""
    u, d = len(offsets) - 1, rows.shape[1]
    out = np.empty((u, d, d))
    step = max(1, _BLOCK // (d * d))
    # A loop over blocks of users, each of about `step` rows: memory.
    first = 0
    while first < u:
        last = max(first + 1, int(np.searchsorted(offsets, offsets[first] + step, "right")) - 1)
        part = rows[offsets[first] : offsets[last]]
        outer = np.einsum("n,nf,ng->nfg", weight[offsets[first] : offsets[last]], part, part)
        out[first:last] = np.add.reduceat(outer, offsets[first:last] - offsets[first])
        first = last
    return out
