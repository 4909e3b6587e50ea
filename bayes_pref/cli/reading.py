"""From the options of the command to comparisons and a model, or to a sentence on what to mend."""

from __future__ import annotations

import argparse
import warnings

from bayes_pref.cli.screen import paragraph
from bayes_pref.cli.tables import SourceTable, feature_columns, read_table, whole_number_labels
from bayes_pref.data import Comparisons
from bayes_pref.data.table import Table, listed, shown
from bayes_pref.errors import BayesPrefError, DataError, DataWarning
from bayes_pref.models import HierarchicalReward, PooledReward, RewardModel

# What messages advise those who write Python, and what it is called here.
_ADVICE = {
    "features=[...]": "--features",
}


def prepare(options: argparse.Namespace) -> tuple[Comparisons, RewardModel, str]:
    """Read the tables that the options name, and build the model.

    Parameters
    ----------
    options
        As `build_parser` gives them for ``fit``.

    Returns
    -------
    comparisons, model, text: the text says what was taken for what

    Raises
    ------
    BayesPrefError
        For what cannot be used as it stands; names the file, and the column and line if it has one.
    """
    if options.difference and (options.left or options.right):
        raise DataError("--difference and --left are two ways to name the features; use one")
    if options.interactions and not options.context:
        raise DataError("--interactions needs contexts to interact with; name them with --context")
    if options.covariates and options.model == "pooled":
        raise DataError(
            "--model pooled has no place for --covariates: it gives everyone the same weights; "
            "leave one of the two out"
        )
    votes, known = _tables(options)
    other = [options.user, options.choice, *options.context]
    automatic = not (options.difference or options.left or options.right)
    difference = feature_columns(votes, other) if automatic else options.difference
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always", DataWarning)
        try:
            made = Comparisons.from_frame(
                votes.frame,
                user=options.user,
                choice=options.choice,
                difference=difference or None,
                left=options.left or None,
                right=options.right or None,
                features=options.features or None,
                context=options.context or None,
                interactions="all" if options.interactions else None,
                covariates=None if known is None else known.frame,
            )
            _refuse_unfit(options, made, columns=bool(difference))
            model = _model(options)
            model.check(made)
        except BayesPrefError as err:
            message = str(err)
            for python, here in _ADVICE.items():
                message = message.replace(python, here)
            source = known if known is not None and message.startswith("covariates") else votes
            raise DataError(source.located(message)) from err
    lines = [paragraph(f"{votes.path}: {len(made):,} comparisons by {made.n_users:,} users")]
    for title, names in {
        "features (every other column)" if automatic else "features": made.features.attributes,
        "contexts": made.features.contexts,
        "interactions": [":".join(pair) for pair in made.features.interactions],
        f"covariates ({options.covariates})": made.covariate_names,
    }.items():
        lines += [paragraph(f"{title}: {', '.join(names)}", "  ", "    ")] if names else []
    lines += [paragraph(f"note: {warning.message}", "  ", "    ") for warning in noticed]
    return made, model, "\n".join(lines)


def _tables(options: argparse.Namespace) -> tuple[SourceTable, SourceTable | None]:
    """Read both tables, so that the same user has the same label in both."""
    votes = read_table(options.file, labels=[options.user])
    Table(votes.frame, str(votes.path)).require([options.user, options.choice, *options.context])
    if options.covariates is None:
        return whole_number_labels(options.user, votes)[0], None
    known = read_table(options.covariates, labels=[options.user])
    # Without the column, the lines' numbers would be taken for users.
    Table(known.frame, str(known.path)).require([options.user])
    votes, known = whole_number_labels(options.user, votes, known)
    return votes, known


def _model(options: argparse.Namespace) -> RewardModel:
    if options.model == "pooled":
        return PooledReward(scale=options.scale)
    return HierarchicalReward(covariance=options.model, scale=options.scale)


def _refuse_unfit(options: argparse.Namespace, comparisons: Comparisons, *, columns: bool) -> None:
    """Refuse, in terms of the options, what a call from Python would warn about or refuse later."""
    if comparisons.n_users < 2 and options.model != "pooled":
        raise DataError(
            f"column {options.user!r}: all {len(comparisons):,} comparisons are by one user, "
            f"{shown(comparisons.users[0])}, and --model {options.model} learns how users differ; "
            "name another column, or use --model pooled"
        )
    constant, attributes = comparisons.constant, comparisons.features.attributes
    if not constant:
        return
    kept = [name for name in attributes if name not in constant]
    if len(kept) == len(attributes):
        remedy = "leave --interactions out, or the contexts that are always 0"
    elif columns and kept:
        remedy = f"leave it out: --difference {' '.join(kept)}"
    else:
        remedy = "leave it out, or record pairs in which it differs"
    raise DataError(
        f"column {listed(constant)}: it never differs within a pair, so the choices say nothing "
        f"about it; {remedy}"
    )
