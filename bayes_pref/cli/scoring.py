"""Scores of predictions, from the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from bayes_pref.cli.heartbeat import heartbeat
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.reading import read_data
from bayes_pref.cli.sampled_users import drawn, with_draws
from bayes_pref.cli.saved import load, saved_reading
from bayes_pref.cli.screen import paragraph
from bayes_pref.evaluation.held_out import evaluate
from bayes_pref.evaluation.leave_one_out import loo
from bayes_pref.evaluation.model_comparison import compare


def held_out_scores(
    path: str,
    file: str,
    file_format: str | None,
    data: ChosenOptions,
    options: ChosenOptions,
) -> tuple[str, dict[str, Any]]:
    """Score a fit on answers that it has not seen.

    Parameters
    ----------
    path
        The fit.
    file, file_format
        The answers.
    data
        How they are read, where that differs from how the fitted ones were.
    options
        Options of `evaluate`.

    Returns
    -------
    text, values: what to print, as text and for programs
    """
    posterior = load(path)
    read = read_data(file, saved_reading(path, data), file_format)
    with heartbeat():
        found = evaluate(posterior, read.comparisons, **options.given)
    text = [f"Predictions of {len(found.rows):,} answers in {file}", "", _table(found.overall)]
    text += ["", "Calibration: predicted and observed shares", "", _table(found.calibration)]
    text += [paragraph(f"note: {note}") for note in read.notes]
    values = {
        "overall": found.overall,
        "calibration": found.calibration,
        "users": found.users,
        "rows": found.rows,
        "notes": read.notes,
    }
    return "\n".join(text), values


def left_out_scores(path: str, options: ChosenOptions, sample: int) -> tuple[str, dict[str, Any]]:
    """Score a fit by leaving out a comparison or a user at a time.

    Parameters
    ----------
    path, options
        The fit, and options of `loo`.
    sample
        How many users, of a posterior that holds a summary of them.

    Returns
    -------
    text, values: what to print, as text and for programs
    """
    posterior = with_draws(load(path), sample)
    with heartbeat():
        found = loo(posterior, **options.given)
    values = {"elpd": found.elpd, "se": found.se, "p_loo": found.p_loo, "bad": found.bad}
    return repr(found), {"by": found.by, **values, "pointwise": found.pointwise}


def compared(
    paths: Sequence[str], options: ChosenOptions, sample: int
) -> tuple[str, dict[str, Any]]:
    """Compare fits by leaving out a comparison or a user at a time.

    Parameters
    ----------
    paths, options
        The fits, and options of `loo`.
    sample
        How many users, where a fit holds a summary of them.

    Returns
    -------
    text, values: what to print, as text and for programs
    """
    posteriors = {path: load(path) for path in paths}
    if any(each.users is not None for each in posteriors.values()):  # the same users of each
        posteriors = {path: drawn(each, sample) for path, each in posteriors.items()}
    with heartbeat():
        found = compare(posteriors, **options.given)
    title = "Expected log predictive density of what is left out; the best first"
    return f"{title}\n\n{_table(found.reset_index())}", {"models": found.reset_index()}


def _table(frame: pd.DataFrame) -> str:
    return frame.to_string(index=False, float_format="{:.3g}".format)
