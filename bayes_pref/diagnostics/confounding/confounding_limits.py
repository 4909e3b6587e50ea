"""Limits of the assessment of confounding: when it cannot be made, and what it cannot see."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.context_basis import varying
from bayes_pref.diagnostics.confounding.exposure_distribution import collinear
from bayes_pref.messages import listed
from bayes_pref.models.regressors import exposures


def unsupported(comparisons: Comparisons) -> str | None:
    """Say why confounding cannot be assessed with these comparisons; None if it can.

    Parameters
    ----------
    comparisons
        The fitted comparisons.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> unsupported(bp.simulate(users=20, contexts=0, seed=0).comparisons)[:42]
    'confounding cannot be assessed: no context'
    >>> unsupported(bp.simulate(users=20, seed=0).comparisons) is None
    True
    """
    start, names = "confounding cannot be assessed: ", comparisons.features.contexts
    if not names:
        return (
            f"{start}no context was recorded; record with every comparison what it was about "
            "(the topic or difficulty of its prompt: whatever decides which users see it) as a "
            "column of numbers, and pass its name as context=[...]"
        )
    if comparisons.n_users == 1:
        return (
            f"{start}all comparisons are of one user, and confounding is a difference between "
            "users; ask more users"
        )
    if not varying(comparisons.context).any():
        return (
            f"{start}{_contexts(names)} the same in every comparison; record what differs "
            "between comparisons, and pass its column as context=[...]"
        )
    if not exposures(comparisons).any():
        return (
            f"{start}{_contexts(names)} on average the same for every user, so that users do not "
            "differ in exposure; if other contexts were not assigned by design, pass their "
            "columns as context=[...], too"
        )
    least = len(names) + len(comparisons.covariate_names) + 3
    if comparisons.n_users < least:
        return (
            f"{start}{comparisons.n_users} users are too few to see how preferences depend on "
            f"{listed(names)}; at least {least} are needed, and 50 to see much"
        )
    return None


def notes_on_contexts(comparisons: Comparisons) -> tuple[str, ...]:
    """Return sentences on contexts that tell nothing, or cannot be told apart."""
    names, notes = comparisons.features.contexts, []
    spread, exposed = varying(comparisons.context), np.ptp(exposures(comparisons), axis=0) > 0
    same = [name for name, sd in zip(names, spread, strict=True) if sd == 0]
    if same:
        notes.append(f"{_contexts(same)} the same in every comparison and tell nothing.")
    alike = [n for n, sd, z in zip(names, spread, exposed, strict=True) if sd > 0 and not z]
    if alike:
        notes.append(
            f"{_contexts(alike)} on average the same for every user: whether preferences depend "
            "on it cannot be assessed."
        )
    if collinear(comparisons.context):
        notes.append(
            "Some contexts are linear combinations of others, so that their effects cannot be "
            "told apart; shifts are those of all contexts together, and hold for pairs in which "
            "contexts are combined as in the data."
        )
    return tuple(f"{note[0].upper()}{note[1:]}" for note in notes)


def _contexts(names: Sequence[str]) -> str:
    return f"context {listed(names)} is" if len(names) == 1 else f"contexts {listed(names)} are"
