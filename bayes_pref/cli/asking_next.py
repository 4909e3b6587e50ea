"""Questions to ask, from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from bayes_pref.cli.candidates import read_candidates, user_labels
from bayes_pref.cli.diagnosing import diagnosed_posterior
from bayes_pref.cli.heartbeat import heartbeat
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.sampled_users import with_draws
from bayes_pref.cli.saved import load
from bayes_pref.cli.tables import frame_of
from bayes_pref.diagnostics.report import Report
from bayes_pref.elicitation.recommend import recommend
from bayes_pref.elicitation.recommendation import Recommendation
from bayes_pref.posterior import Posterior

FLAGGED = "flagged"


def recommended(
    path: str,
    candidates: str | None,
    file_format: str | None,
    groups: Mapping[str, ChosenOptions],
    sample: int,
) -> Recommendation:
    """Recommend questions about a saved posterior.

    Parameters
    ----------
    path
        A posterior, or its folder.
    candidates, file_format
        A table of pairs that could be asked, and its format.
    groups
        What was chosen of `recommend`, and of the diagnosis that the goal "flagged" needs.
    sample
        How many users, of a posterior that holds a summary of them.
    """
    posterior = load(path)
    table = None if candidates is None else read_candidates(candidates, posterior, file_format)
    given = dict(groups["recommend"].given)
    if "users" in given:
        given["users"] = asked_users(given["users"], posterior)
    posterior = with_draws(posterior, sample, labels_in(given.get("users")))
    source = source_for(given.get("goal"), posterior, groups)
    with heartbeat(), nullcontext() if table is None else table.naming_lines():
        return recommend(source, frame_of(table), **given)


def source_for(
    goal: Any, posterior: Posterior, groups: Mapping[str, ChosenOptions]
) -> Report | Posterior:
    """Return what to ask about: for the goal "flagged" a report."""
    return diagnosed_posterior(posterior, None, groups) if goal == FLAGGED else posterior


def labels_in(users: Any) -> Any:
    """Return the labels among what was said of the users who can be asked; "new" is none."""
    return users if isinstance(users, list) else ()


def asked_users(words: Any, posterior: Posterior) -> Any:
    """Return the users who can be asked; "new" is nobody's label here."""
    return words[0] if words == ["new"] else user_labels(words, posterior)
