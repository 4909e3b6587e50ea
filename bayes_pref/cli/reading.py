"""From the options of ``bayes-pref fit`` to comparisons and a model."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Sequence

from bayes_pref.cli.screen import paragraph
from bayes_pref.cli.tables import SourceTable, feature_columns, read_table, whole_number_labels
from bayes_pref.data import Comparisons
from bayes_pref.data.table import Table
from bayes_pref.errors import DataError, DataWarning, ModelError, Place
from bayes_pref.messages import listed, shown
from bayes_pref.models import HierarchicalReward, PooledReward, RewardModel


def prepare(options: argparse.Namespace) -> tuple[Comparisons, RewardModel, str]:
    """Read the tables that the options name, and build the model.

    Parameters
    ----------
    options
        The parsed arguments of ``bayes-pref fit``.

    Returns
    -------
    comparisons, model, text: the text lists the role of every column

    Raises
    ------
    DataError
        If the options contradict each other, or a table cannot be used; names the file, the column
        and the line.
    """
    _check_options(options)
    votes, known = _tables(options)
    automatic = not (options.difference or options.left or options.right)
    difference = options.difference
    if automatic:
        weights = [name for name in (options.frequency, options.survey_weight) if name]
        known_columns = [options.user, options.choice, *options.context, *weights]
        difference = feature_columns(votes, known_columns)
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always", DataWarning)
        try:
            comparisons = _comparisons(options, votes, known, difference)
            _check_suitable(options, comparisons, columns=bool(difference))
            model = _model(options)
            model.check(comparisons)
        except ModelError as err:
            raise votes.located(DataError(str(err))) from err
        except DataError as err:
            of_users = err.place is not None and err.place.table == "covariates"
            source = known if known is not None and of_users else votes
            # The remedy names an argument of Python.
            remedy = err.remedy.replace("features=[...]", "--features")
            raise source.located(err, remedy=remedy) from err
    lines = _roles(options, comparisons, automatic=automatic)
    # The remedy names an argument of Python.
    notes = [str(warning.message).replace("sides='toss'", "--sides toss") for warning in noticed]
    lines += [paragraph(f"note: {note}", "  ", "    ") for note in notes]
    return comparisons, model, "\n".join(lines)


def _check_options(options: argparse.Namespace) -> None:
    if options.difference and (options.left or options.right):
        raise DataError("--difference and --left are two ways to name the features", "use one")
    if options.interactions and not options.context:
        raise DataError("--interactions needs contexts", "name them with --context")
    if options.covariates and options.model == "pooled":
        raise DataError(
            "--model pooled cannot use --covariates, since all users have the same weights",
            "leave one of the two out",
        )


def _tables(options: argparse.Namespace) -> tuple[SourceTable, SourceTable | None]:
    """Read both tables, so that a user has the same label in both."""
    votes = read_table(options.file, labels=[options.user])
    Table(votes.frame, str(votes.path)).require([options.user, options.choice, *options.context])
    if options.covariates is None:
        return whole_number_labels(options.user, votes)[0], None
    known = read_table(options.covariates, labels=[options.user])
    # Without this column, the line numbers would be read as users.
    Table(known.frame, str(known.path)).require([options.user])
    votes, known = whole_number_labels(options.user, votes, known)
    return votes, known


def _comparisons(
    options: argparse.Namespace,
    votes: SourceTable,
    known: SourceTable | None,
    difference: Sequence[str],
) -> Comparisons:
    return Comparisons.from_frame(
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
        frequency=options.frequency,
        survey_weight=options.survey_weight,
        sides=options.sides.replace("-", " "),
    )


def _model(options: argparse.Namespace) -> RewardModel:
    if options.model == "pooled":
        return PooledReward(scale=options.scale)
    return HierarchicalReward(covariance=options.model, scale=options.scale)


def _check_suitable(
    options: argparse.Namespace, comparisons: Comparisons, *, columns: bool
) -> None:
    """Refuse what Python would only warn about, or refuse later in other terms."""
    if comparisons.n_users < 2 and options.model != "pooled":
        raise DataError(
            f"has one user only, {shown(comparisons.users[0])}, and --model {options.model} learns "
            "how users differ",
            "name another column with --user, or use --model pooled",
            place=Place(column=options.user),
            subject=True,
        )
    constant, attributes = comparisons.constant, comparisons.features.attributes
    if not constant:
        return
    kept = [name for name in attributes if name not in constant]
    if len(kept) == len(attributes):
        remedy = "leave --interactions out, or the contexts that are always 0"
    elif columns and kept:
        remedy = f"leave out what never differs: --difference {' '.join(kept)}"
    else:
        remedy = "leave out what never differs, or record pairs in which it differs"
    raise DataError(
        f"the two sides never differ in {listed(constant)}, so the choices say nothing about "
        f"{'its weight' if len(constant) == 1 else 'their weights'}",
        remedy,
    )


def _roles(options: argparse.Namespace, comparisons: Comparisons, *, automatic: bool) -> list[str]:
    """List how many comparisons there are, and which columns have which role."""
    count, users = len(comparisons), comparisons.n_users
    features = comparisons.features
    roles = {
        "features (every other column)" if automatic else "features": features.attributes,
        "contexts": features.contexts,
        "interactions": [":".join(pair) for pair in features.interactions],
        "frequency": [options.frequency] if options.frequency else [],
        "survey weight": [options.survey_weight] if options.survey_weight else [],
        f"covariates ({options.covariates})": comparisons.covariate_names,
    }
    return [
        paragraph(f"{options.file}: {count:,} comparisons by {users:,} users"),
        *(
            paragraph(f"{role}: {', '.join(names)}", "  ", "    ")
            for role, names in roles.items()
            if names
        ),
    ]
