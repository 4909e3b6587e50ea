"""From a file and the options that describe it to comparisons and a model."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bayes_pref import text
from bayes_pref.cli.option_groups import ChosenOptions, with_options
from bayes_pref.cli.screen import paragraph
from bayes_pref.cli.tables import (
    SourceTable,
    feature_columns,
    read_records,
    read_table,
    whole_number_labels,
)
from bayes_pref.data import Comparisons, Ranking
from bayes_pref.data.table import Table
from bayes_pref.errors import DataError, DataWarning, ModelError, Place
from bayes_pref.messages import listed, shown
from bayes_pref.models import RewardModel

# Parameters that name a column of labels, which are read as they are written.
_LABELS = ("user", "task", "ranking", "item", "alternative", "winner", "loser")
_SIDES = ("left", "right")


@dataclass(frozen=True)
class ReadData:
    """Comparisons that were read, and from where.

    Parameters
    ----------
    comparisons
        The comparisons.
    table
        The file that they are from, for messages about its lines; None for texts.
    notes
        What was noticed.
    automatic
        Whether every column without another role was taken for a feature.
    """

    comparisons: Comparisons
    table: SourceTable | None
    notes: tuple[str, ...]
    automatic: bool


def read_data(file: str, data: ChosenOptions, file_format: str | None = None) -> ReadData:
    """Read a file as the options say.

    Parameters
    ----------
    file
        Its path; ``-`` for the standard input.
    data
        How its rows are read, and the roles of its columns.
    file_format
        Its format, where its name does not tell.

    Raises
    ------
    DataError
        If the options contradict each other, or a table cannot be used; names the file, the column
        and the line.
    """
    values, owner = dict(data.given), str(data.owner)
    if owner == "text":
        with warnings.catch_warnings(record=True) as noticed:
            warnings.simplefilter("always", DataWarning)
            if "covariates" in values:
                values["covariates"] = read_table(values["covariates"], labels=[data["user"]]).frame
            comparisons = text.comparisons(read_records(file, file_format), **values)
        return ReadData(comparisons, None, _told(noticed), automatic=False)
    labels = _label_columns(owner, values)
    votes = read_table(file, labels=labels, file_format=file_format)
    tables = _other_tables(owner, values, votes)
    votes = _whole_numbers(owner, values, votes, tables)
    automatic = owner == "frame" and not {"difference", *_SIDES} & set(values)
    if automatic:
        values["difference"] = feature_columns(votes, _taken(values))
    values |= {name: table.frame for name, table in tables.items()}
    read: Callable[..., Comparisons] = getattr(Comparisons, f"from_{owner}")
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always", DataWarning)
        try:
            comparisons = read(votes.frame, **values)
        except ModelError as err:
            raise votes.located(DataError(str(err))) from err
        except DataError as err:
            place = "" if err.place is None else err.place.table
            raise tables.get(place, votes).located(err) from err
    return ReadData(comparisons, votes, _told(noticed), automatic)


def check_suitable(
    read: ReadData, data: ChosenOptions, model: RewardModel, *, same_weights: bool
) -> None:
    """Refuse what Python would only warn about, or refuse later in other terms.

    Parameters
    ----------
    read, data
        The comparisons, and how they were read.
    model
        The model to fit.
    same_weights
        Whether it gives all users the same weights.

    Raises
    ------
    DataError
        If the data cannot tell what the model is to learn.
    """
    comparisons = read.comparisons
    try:
        _check_constant(read)
        if comparisons.n_users < 2 and not same_weights:
            raise DataError(
                f"has one user only, {shown(comparisons.users[0])}, and "
                f"{type(model).__name__} learns how users differ",
                "name another column with --user, or use --model PooledReward",
                place=Place(column=data["user"]),
                subject=True,
            )
        if same_weights and comparisons.covariate_names:
            raise DataError(
                "--model PooledReward cannot use --covariates, since all users have the same "
                "weights",
                "leave one of the two out",
            )
        model.check(comparisons)
    except ModelError as err:
        raise (
            DataError(str(err)) if read.table is None else read.table.located(DataError(str(err)))
        ) from err
    except DataError as err:
        raise err if read.table is None else read.table.located(err) from err


def described(read: ReadData, file: str, data: ChosenOptions) -> str:
    """Say how many comparisons there are, which columns have which role, and what was noticed."""
    comparisons = read.comparisons
    features = comparisons.features
    users = comparisons.n_users
    outcome, names = comparisons.outcome, data.group.parameters_of(data.owner)
    count = (
        f"{outcome.task.max() + 1:,} tasks"
        if isinstance(outcome, Ranking) and outcome.task is not None
        else f"{len(comparisons):,} comparisons"
    )
    roles = {
        "features (every other column)" if read.automatic else "features": features.attributes,
        "contexts": features.contexts,
        "interactions": [":".join(pair) for pair in features.interactions],
        **{
            name.replace("_", " "): [str(data[name])]
            for name in ("frequency", "survey_weight", "randomised")
            if data.given.get(name)
        },
        f"covariates ({data.given.get('covariates')})": comparisons.covariate_names,
    }
    lines = [
        paragraph(f"{file}: {count} by {users:,} user{'s' if users > 1 else ''}"),
        *(
            paragraph(f"{role}: {', '.join(names)}", "  ", "    ")
            for role, names in roles.items()
            if names
        ),
        *(paragraph(f"note: {with_options(note, names)}", "  ", "    ") for note in read.notes),
    ]
    return "\n".join(lines)


def _label_columns(owner: str, values: dict[str, Any]) -> list[str]:
    """Columns of the file whose values are labels."""
    names = [
        *_LABELS,
        *(_SIDES if owner == "items" else ()),
        *(["items"] if owner == "tasks" else []),
    ]
    return [str(values[name]) for name in names if isinstance(values.get(name), str)]


def _other_tables(owner: str, values: dict[str, Any], votes: SourceTable) -> dict[str, SourceTable]:
    """Read the other tables that the options name."""
    found = {}
    required = [name for name in ("user", "choice", "task", "ranking") if name in values]
    columns = [values[name] for name in required]
    Table(votes.frame, str(votes.path)).require([*columns, *values.get("context", [])])
    if "covariates" in values:
        user = str(values["user"])
        known = read_table(values["covariates"], labels=[user])
        # Without this column, the line numbers would be read as users.
        Table(known.frame, str(known.path)).require([user])
        found["covariates"] = known
    if owner in ("items", "rankings") and "items" in values:
        items = read_table(values["items"], labels=["item"])
        Table(items.frame, str(items.path)).require(["item"])
        found["items"] = items
    return found


def _whole_numbers(
    owner: str, values: dict[str, Any], votes: SourceTable, tables: dict[str, SourceTable]
) -> SourceTable:
    """Make labels whole numbers where all of them are; the same in every table that has them."""
    if "user" in values:
        covariates = tables.get("covariates")
        user = str(values["user"])
        columns = [(votes, user), *([] if covariates is None else [(covariates, user)])]
        votes, *others = whole_number_labels(columns)
        tables |= dict(zip(["covariates"], others, strict=False))
    sides = _SIDES if owner == "items" else ()
    ids = [
        str(values[name])
        for name in (*sides, "winner", "loser", "item", "alternative")
        if isinstance(values.get(name), str) and values[name] in votes.frame
    ]
    items = tables.get("items")
    if ids:
        more = [] if items is None else [(items, "item")]
        found = whole_number_labels([*((votes, column) for column in ids), *more])
        frame = votes.frame.assign(
            **{column: each.frame[column] for column, each in zip(ids, found, strict=False)}
        )
        votes = SourceTable(votes.path, frame, votes.unit)
        if items is not None:
            tables["items"] = found[-1]
    for name in ("task", "ranking"):
        if name in values:
            [votes] = whole_number_labels([(votes, str(values[name]))])
    return votes


def _taken(values: dict[str, Any]) -> list[str]:
    """Columns of pairs that have a role."""
    single = ("user", "choice", "frequency", "survey_weight", "randomised")
    return [*(values[name] for name in single if name in values), *values.get("context", [])]


def _check_constant(read: ReadData) -> None:
    """Refuse attributes that never differ; the remedy names what was typed."""
    comparisons = read.comparisons
    constant, attributes = comparisons.constant, comparisons.features.attributes
    if not constant:
        return
    kept = [name for name in attributes if name not in constant]
    if len(kept) == len(attributes):
        remedy = "leave --interactions out, or the contexts that are always 0"
    elif read.automatic and kept:
        remedy = f"leave out what never differs: --difference {','.join(kept)}"
    else:
        remedy = "leave out what never differs, or record pairs in which it differs"
    raise DataError(
        f"the two sides never differ in {listed(constant)}, so the choices say nothing about "
        f"{'its weight' if len(constant) == 1 else 'their weights'}",
        remedy,
    )


def _told(noticed: Sequence[warnings.WarningMessage]) -> tuple[str, ...]:
    return tuple(str(warning.message) for warning in noticed)
