"""Comparisons of different users, one set after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from bayes_pref.data.alignment import aligned
from bayes_pref.data.comparisons import Comparisons
from bayes_pref.data.outcome import Outcome
from bayes_pref.data.ranking import Ranking
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, shown


def joined(first: Comparisons, second: Comparisons, what: str) -> Comparisons:
    """Return the comparisons of both, those of `first` first, in its features.

    Parameters
    ----------
    first, second
        Comparisons without a user in common.
    what
        The argument that `second` came in as, for messages.

    Raises
    ------
    DataError
        If a user is in both; if features, covariates or kinds of answer differ.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=5, seed=0).comparisons
    >>> both = joined(world[["u001", "u002"]], world[["u003"]], "comparisons")
    >>> both.n_users, len(both)
    (3, 45)
    """
    known = second.users.intersection(first.users)
    if len(known):
        raise DataError(
            f"{what}: user {shown(known[0])} was fitted already"
            + (f", and {len(known) - 1:,} more" if len(known) > 1 else ""),
            "leave out their rows, or fit all comparisons anew",
        )
    if type(second.outcome) is not type(first.outcome) or not _same_answers(first, second):
        raise DataError(
            f"{what}: the answers are {second.outcome.name}, and those fitted {first.outcome.name}",
            "ask new users in the same way",
        )
    absent = [name for name in first.covariate_names if name not in second.covariate_names]
    if absent:
        raise DataError(
            f"{what} has no covariate {listed(absent)}, which the posterior was fitted to",
            "give covariates=...",
        )
    second = aligned(second, first, what, all_contexts=True)
    columns = [second.covariate_names.index(name) for name in first.covariate_names]
    right, weights, assigned = None, None, None
    if first.right is not None and second.right is not None:
        right = np.vstack([first.right, second.right])
    if first.survey_weights is not None or second.survey_weights is not None:
        ones = (np.ones(each.n_users) for each in (first, second))
        weights = _known_or((first.survey_weights, second.survey_weights), ones)
    if first.randomised is not None or second.randomised is not None:
        none = (np.zeros(len(each), dtype=bool) for each in (first, second))
        assigned = _known_or((first.randomised, second.randomised), none)
    return replace(
        first,
        difference=np.vstack([first.difference, second.difference]),
        choice=np.concatenate([first.choice, second.choice]),
        user=np.concatenate([first.user, second.user + first.n_users]),
        users=first.users.append(second.users),
        context=np.vstack([first.context, second.context]),
        covariates=np.vstack([first.covariates, second.covariates[:, columns]]),
        rows=first.rows.append(second.rows),
        outcome=_joined_outcome(first, second),
        right=right,
        survey_weights=weights,
        randomised=assigned,
    )


def _known_or(given: Iterable[Any], otherwise: Iterable[Any]) -> Any:
    """Both arrays one after the other, and what stands in for one that is not known."""
    return np.concatenate(
        [other if known is None else known for known, other in zip(given, otherwise, strict=True)]
    )


def _same_answers(first: Comparisons, second: Comparisons) -> bool:
    ours, theirs = first.outcome, second.outcome
    return isinstance(ours, Ranking) or getattr(ours, "levels", None) == getattr(
        theirs, "levels", None
    )


def _joined_outcome(first: Comparisons, second: Comparisons) -> Outcome:
    """Return the outcome of the rows of both; stages and tasks of the second are counted on."""
    ours, theirs = first.outcome, second.outcome
    if not isinstance(ours, Ranking) or not isinstance(theirs, Ranking):
        return ours
    assert ours.worst is not None  # a Ranking fills it in
    assert theirs.worst is not None
    before, after = (
        each.task_of_rows[np.flatnonzero(np.diff(each.stage, prepend=-1))]
        for each in (ours, theirs)
    )
    return Ranking(
        np.concatenate([ours.stage, theirs.stage + ours.stage[-1] + 1]),
        np.concatenate([before, after + before[-1] + 1]),
        np.concatenate([ours.worst, theirs.worst]),
    )
