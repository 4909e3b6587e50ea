"""Elicitations as sealed files: the posterior of the last run, and all that came since.

The file is that of a saved posterior (`posterior.storage`), written in one piece and with a digest,
and one group of arrays and JSON more.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data.more_answers import with_answers
from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.elicitation.goals import Targets
from bayes_pref.elicitation.questions import Questions
from bayes_pref.elicitation.sessions.asked import ANSWERED, Asked
from bayes_pref.elicitation.sessions.session import SessionState, Setting
from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.posterior import Posterior, storage
from bayes_pref.posterior.labels import decode_index, encode_index, from_json_bytes, json_bytes

_ASKED = ("user", "pair", "state", "answer", "fitted")


def write(
    path: str | os.PathLike[str], setting: Setting, state: SessionState, *, compact: bool
) -> None:
    """Write an elicitation to one file, completely or not at all."""
    with storage.refusals("save to", path):
        group = _group(setting, state)
    groups, described = state.base.stored()
    storage.write(path, {**groups, storage.ELICITATION: group}, described, compact=compact)


def read(path: str | os.PathLike[str]) -> tuple[Setting, SessionState]:
    """Read what `write` wrote.

    Raises
    ------
    DataError
        If the file is missing, damaged, or no saved elicitation.
    """
    groups, described = storage.read(path)
    if storage.ELICITATION not in groups:
        raise DataError(
            f"cannot load {path}: it is a saved posterior and no elicitation",
            "begin one with bp.Elicitation(bp.Posterior.load(...))",
        )
    with storage.damage(path):
        base = Posterior.restored(groups, described)
        return _restored(base, groups[storage.ELICITATION])


def _group(setting: Setting, state: SessionState) -> xr.Dataset:
    """Return what a session adds to the posterior that it starts from."""
    questions, targets = setting.questions, setting.targets
    described = {
        "target": targets.name,
        "everyone": targets.everyone,
        "rows": _frame_state(targets.rows),
        "table": _frame_state(questions.table),
        "names": None
        if questions.names is None
        else [encode_index(pd.Index(names, tupleize_cols=False)) for names in questions.names],
        "thresholds": asdict(setting.thresholds),
        "seed": setting.seed,
        "history": _frame_state(state.history),
    }
    arrays: dict[str, Any] = {
        "difference": (("question", "feature_at"), questions.difference),
        "context": (("question", "context_at"), questions.context),
        "cost": ("question", setting.cost),
        "log_weights": ("sample", state.log_weights),
        "described": ("described_byte", json_bytes(described)),
    }
    if questions.alternatives is not None:
        dims = ("question", "alternative", "feature_at")
        arrays["alternatives"] = (dims, questions.alternatives)
    if questions.owner is not None:
        arrays["owner"] = ("question", questions.owner)
    if targets.directions is not None:
        arrays["directions"] = (("target", "feature_at"), targets.directions)
    if len(state.asked):
        for name in _ASKED:
            values = np.asarray(getattr(state.asked, name))
            values = values.astype(np.int64) if values.dtype.kind == "b" else values
            arrays[f"asked_{name}"] = ("asked", values)
    return xr.Dataset(arrays)


def _restored(base: Posterior, group: xr.Dataset) -> tuple[Setting, SessionState]:
    """Return what `_group` was given, checked."""
    described = from_json_bytes(group["described"].to_numpy())
    names = described["names"]
    questions = Questions(
        group["difference"].to_numpy(),
        group["context"].to_numpy(),
        group["owner"].to_numpy() if "owner" in group else None,
        _frame(described["table"]),
        None if names is None else tuple(tuple(decode_index(each)) for each in names),
        group["alternatives"].to_numpy() if "alternatives" in group else None,
    )
    targets = Targets(
        described["target"],
        group["directions"].to_numpy() if "directions" in group else None,
        described["everyone"],
        _frame(described["rows"]),
    )
    setting = Setting(
        targets,
        questions,
        group["cost"].to_numpy(),
        Thresholds(**described["thresholds"]),
        described["seed"],
    )
    if setting.cost.shape != (len(questions),) or len(questions.table) != len(questions):
        raise ValueError("questions of different numbers")
    asked = Asked.none()
    if "asked_user" in group:
        arrays = {name: group[f"asked_{name}"].to_numpy() for name in _ASKED}
        asked = Asked(**(arrays | {"fitted": arrays["fitted"].astype(bool)}))
    comparisons = base.comparisons
    ranges = ((asked.user, comparisons.n_users), (asked.pair, len(questions)), (asked.state, 3))
    if any(((codes < 0) | (codes >= size)).any() for codes, size in ranges):
        raise ValueError("codes of what there is not")
    since = (asked.state == ANSWERED) & ~asked.fitted
    if since.any():
        comparisons = with_answers(comparisons, asked.rows(since, questions, comparisons))
    history = _frame(described["history"])
    weights = group["log_weights"].to_numpy()
    if weights.shape != (base.draws.sizes["chain"] * base.draws.sizes["draw"],):
        raise ValueError("weights of other draws")
    return setting, SessionState(base, weights, comparisons, asked, history)


def as_stored(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a frame as it comes back from a file.

    Parameters
    ----------
    frame
        Of the caller's.
    name
        The argument that it came in as, for messages.

    Raises
    ------
    DataError
        If a file cannot hold a label or an entry; names the column.
    """
    for column in frame:  # a loop over columns, to name the one
        try:
            encode_index(_entries(frame[column]))
        except DataError as err:
            raise DataError(f"{name}, column {shown(column)}: {err}") from err
    with storage.refusals("keep", name):
        return _frame(_frame_state(frame))


def _entries(column: pd.Series[Any]) -> pd.Index[Any]:
    """Entries of a column; what pandas calls NA is None."""
    dtype = column.dtype
    if isinstance(dtype, pd.api.extensions.ExtensionDtype) and dtype.na_value is pd.NA:
        column = column.astype(object).where(column.notna(), None)
    entries: pd.Index[Any] = pd.Index(column, tupleize_cols=False)
    return entries


def _frame_state(frame: pd.DataFrame) -> dict[str, Any]:
    """Describe a frame as JSON, with the types of its labels and entries."""
    return {
        "index": encode_index(frame.index),
        "columns": encode_index(frame.columns),
        "values": [encode_index(_entries(frame[name])) for name in frame],
    }


def _frame(state: Mapping[str, Any]) -> pd.DataFrame:
    index, columns = decode_index(state["index"]), decode_index(state["columns"])
    made = pd.DataFrame(index=index)
    for name, values in zip(columns, state["values"], strict=True):
        made[name] = pd.Series(decode_index(values), index=index)
    return made
