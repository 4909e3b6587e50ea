"""`audit`: which of the paper's assumptions hold, as far as the data tell, before any fit.

Every test is made at level 0.01, and counts as failed if Holm's adjustment of its p-value for all
tests of the audit is at most 0.05 as well: so a false alarm has probability at most 0.01 in each
test, and at most 0.05 in any of them (Holm 1979, Scand. J. Statist. 6). Checks by posterior
probability fail from 0.99 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from bayes_pref import settings
from bayes_pref.assumptions.allocation_checks import (
    ALLOCATION,
    allocation_check,
    covariates_check,
)
from bayes_pref.assumptions.audit_data import AuditData
from bayes_pref.assumptions.audit_result import Audit
from bayes_pref.assumptions.causal_graph import CausalGraph, expect_graph
from bayes_pref.assumptions.check import DECLARED, FAILS, PASSES, UNCONFOUNDEDNESS, UNTESTED, Check
from bayes_pref.assumptions.order_checks import balance_check, leaning_check, session_checks
from bayes_pref.assumptions.overlap_checks import overlap_by_covariates, overlap_by_user
from bayes_pref.assumptions.preference_checks import answers_check, preferences_check
from bayes_pref.assumptions.repeat_checks import repeats_check
from bayes_pref.assumptions.sufficiency_checks import residual_check
from bayes_pref.assumptions.support_checks import corners_check, informative_check
from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError

LEVEL, ANY, SURE = 0.01, 0.05, 0.99  # of a test, of any of them, and of a probability
_LEAST = 199  # permutations; with fewer no p-value is small enough for the number of tests


@settings.keywords()
def audit(
    comparisons: Comparisons,
    graph: CausalGraph | None = None,
    *,
    permutations: int = 999,
    seed: int = 0,
) -> Audit:
    """Check the assumptions of a preference study on its data, before any fit.

    The assumptions are those of Kobalczyk & van der Schaar (2025, arXiv 2506.05967). Rows of a user
    are taken to be in the order of the session.

    Parameters
    ----------
    comparisons
        Answers of any kind: pairs with ties or grades, choices among several, rankings.
    graph
        What was recorded and what was assigned at random; None: `CausalGraph.of(comparisons)`.
    permutations
        Number of resampled data sets; the smallest p-value is 1 / (permutations + 1).
    seed
        Random seed of these.

    Returns
    -------
    Audit

    Raises
    ------
    DataError
        If `comparisons` are no `Comparisons`, or `graph` is no graph of theirs.

    Examples
    --------
    >>> world = bp.simulate(users=100, confounding=0.9, intraclass=0.3, seed=1)
    >>> found = bp.audit(world.comparisons)
    >>> found.failed
    ('unconfoundedness',)
    >>> print(found["shown by preferences"].sentence)
    Users who are shown more of 'context_1' prefer otherwise (p = 0.001): answers to such pairs are
    those of other users.
    """
    if not isinstance(comparisons, Comparisons):
        raise DataError(
            f"comparisons: got {type(comparisons).__name__} but expected bp.Comparisons"
        )
    if graph is None:
        graph = CausalGraph.of(comparisons)
    expect_graph(graph, comparisons)
    permutations = settings.argument("permutations", permutations, settings.whole(_LEAST))
    data = AuditData(comparisons, permutations, settings.seed(seed, error=DataError))
    checks = judged(_checks(data), graph)
    return Audit(tuple(checks), graph)


def _checks(data: AuditData) -> list[Check]:
    """Make all checks."""
    return [
        balance_check(data),
        leaning_check(data),
        *session_checks(data),
        repeats_check(data),
        allocation_check(data),
        covariates_check(data),
        preferences_check(data),
        answers_check(data),
        overlap_by_user(data),
        overlap_by_covariates(data),
        residual_check(data),
        informative_check(data),
        corners_check(data),
    ]


def judged(checks: Sequence[Check], graph: CausalGraph) -> list[Check]:
    """Give each check its status, with p-values adjusted for the number of tests."""
    p = np.array([check.p if check.alarms else np.nan for check in checks])
    adjusted = holm(p)
    return [
        _judged(check, float(value), graph) for check, value in zip(checks, adjusted, strict=True)
    ]


def _judged(check: Check, adjusted: float, graph: CausalGraph) -> Check:
    """Return a check with its status, and the sentence and remedy that go with it."""
    if not check.made:
        declared = check.assumption == UNCONFOUNDEDNESS and graph.all_randomised
        return replace(check, status=DECLARED if declared else UNTESTED, sentence=check.clear)
    if np.isfinite(check.probability):
        fails = check.probability >= SURE
    elif check.alarms:
        fails = check.p <= LEVEL and adjusted <= ANY
    else:
        fails = check.p <= LEVEL
    status = FAILS if fails and check.alarms else PASSES
    if check.name == ALLOCATION and fails:
        status = FAILS if graph.all_randomised else UNTESTED
    sentence = check.found if fails else check.clear
    if check.name == ALLOCATION and fails and graph.all_randomised:
        sentence += " That it was assigned at random is declared."
    remedy = check.remedy if status != PASSES else ""
    return replace(check, status=status, sentence=sentence, remedy=remedy, adjusted=adjusted)


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust p-values (k,) for their number, as Holm does; NaN are no tests.

    Examples
    --------
    >>> holm(np.array([0.01, np.nan, 0.04, 0.02]))
    array([0.03,  nan, 0.04, 0.04])
    """
    order = np.argsort(p, kind="stable")  # NaN come last
    count = int(np.isfinite(p).sum())
    factors = np.arange(count, 0, -1)
    adjusted = np.full(len(p), np.nan)
    adjusted[order[:count]] = np.maximum.accumulate(p[order[:count]] * factors).clip(max=1.0)
    return adjusted
