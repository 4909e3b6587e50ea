"""Comparisons as a dataset that a file can hold, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.data import Comparisons, Features, Outcome, Representation
from bayes_pref.data.coding import Coding
from bayes_pref.data.formula import Formula
from bayes_pref.data.readers.catalogue import indicator_frame, is_plain
from bayes_pref.data.sparse_rows import compressed, is_sparse, sparse_rows
from bayes_pref.posterior.labels import decode_index, encode_index, from_json_bytes, json_bytes
from bayes_pref.text.text_features import TextFeatures
from bayes_pref.types import FloatArray


def comparisons_dataset(comparisons: Comparisons) -> xr.Dataset:
    """Comparisons as a dataset: arrays as they are, labels and names as JSON bytes."""
    catalogue, formula = comparisons.catalogue, comparisons.features.formula
    described = {
        "users": encode_index(comparisons.users),
        "rows": encode_index(comparisons.rows),
        "attributes": comparisons.features.attributes,
        "contexts": comparisons.features.contexts,
        "interactions": comparisons.features.interactions,
        "indicators": comparisons.features.indicators,
        "beside": comparisons.features.beside,
        "codings": [coding.state() for coding in comparisons.features.codings],
        "context_codings": [each.state() for each in comparisons.features.context_codings],
        "sources": comparisons.features.sources,
        "formula": None if formula is None else formula.state(),
        "covariate_names": comparisons.covariate_names,
        "user_name": comparisons.user_name,
        "choice_name": comparisons.choice_name,
        "sides": comparisons.sides,
        "items": None if catalogue is None else encode_index(catalogue.index),
        "item_columns": None if catalogue is None else encode_index(catalogue.columns),
    }
    dataset = xr.Dataset(
        {
            **_stored_rows(comparisons.difference),
            "choice": ("comparison", comparisons.choice),
            "user": ("comparison", comparisons.user),
            "context": (("comparison", "context_column"), comparisons.context),
            "covariates": (("user_label", "covariate"), comparisons.covariates),
            "described": ("described_byte", json_bytes(described)),
        }
    )
    if catalogue is not None and not is_plain(catalogue):
        dataset["catalogue"] = (("item", "item_column"), catalogue.to_numpy(np.float64))
    if comparisons.right is not None:
        dataset["right"] = (("comparison", "attribute"), comparisons.right)
    if comparisons.survey_weights is not None:
        dataset["survey_weights"] = ("user_label", comparisons.survey_weights)
    if comparisons.randomised is not None:
        dataset["randomised"] = ("comparison", comparisons.randomised.astype(np.int8))
    parts = {
        "outcome": comparisons.outcome,
        "text": comparisons.text,
        "network": comparisons.representation,
    }
    for name, part in parts.items():
        if part is not None:
            described, arrays = part.state()
            dataset[name] = (f"{name}_byte", json_bytes(described))
            for key, values in arrays.items():
                dims = [f"{name}_{key}_{axis}" for axis in range(values.ndim)]
                dataset[f"{name}_{key}"] = (dims, values)
    return dataset


def comparisons_from(dataset: xr.Dataset) -> Comparisons:
    """Build the comparisons that `comparisons_dataset` stored."""
    described = from_json_bytes(dataset["described"].to_numpy())
    catalogue, formula = None, described.get("formula")
    if described["items"] is not None:
        labels = decode_index(described["items"]), decode_index(described["item_columns"])
        if "catalogue" in dataset:
            values = dataset["catalogue"].to_numpy()
            catalogue = pd.DataFrame(values, index=labels[0], columns=labels[1])
        else:
            catalogue = indicator_frame(*labels)
    text, network = _part(dataset, "text"), _part(dataset, "network")
    outcome = _part(dataset, "outcome")
    if outcome is None:
        raise KeyError("outcome")
    return Comparisons(
        difference=_restored_rows(dataset, described),
        choice=dataset["choice"].to_numpy(),
        user=dataset["user"].to_numpy(),
        users=decode_index(described["users"]),
        features=Features(
            tuple(described["attributes"]),
            tuple(described["contexts"]),
            tuple((attribute, context) for attribute, context in described["interactions"]),
            described["indicators"],
            # Files of earlier versions have none.
            tuple(Coding.from_state(state) for state in described.get("codings", ())),
            described.get("beside", 0),
            tuple(Coding.from_state(state) for state in described.get("context_codings", ())),
            tuple((role, tuple(names)) for role, names in described.get("sources", ())),
            None if formula is None else Formula.from_state(formula),
        ),
        context=dataset["context"].to_numpy(),
        covariates=dataset["covariates"].to_numpy(),
        covariate_names=tuple(described["covariate_names"]),
        rows=decode_index(described["rows"]),
        catalogue=catalogue,
        user_name=described["user_name"],
        choice_name=described["choice_name"],
        outcome=Outcome.from_state(*outcome),
        right=dataset["right"].to_numpy() if "right" in dataset else None,
        text=None if text is None else TextFeatures.from_state(*text),
        representation=None if network is None else Representation.from_state(*network),
        sides=described.get("sides", "as shown"),  # files of earlier versions do not say
        survey_weights=(
            dataset["survey_weights"].to_numpy() if "survey_weights" in dataset else None
        ),
        randomised=(
            dataset["randomised"].to_numpy().astype(bool) if "randomised" in dataset else None
        ),
    )


def _stored_rows(rows: FloatArray) -> dict[str, Any]:
    """Rows of differences, as an array or without their zeros."""
    if not is_sparse(rows):
        return {"difference": (("comparison", "feature"), rows)}
    held = compressed(rows)
    return {
        "difference_values": ("entry", held.data),
        "difference_columns": ("entry", held.indices.astype(np.int32)),
        "difference_starts": ("row_start", held.indptr.astype(np.int64)),
    }


def _restored_rows(dataset: xr.Dataset, described: dict[str, Any]) -> FloatArray:
    if "difference" in dataset:
        return dataset["difference"].to_numpy()
    values, columns, starts = (
        dataset[f"difference_{part}"].to_numpy() for part in ("values", "columns", "starts")
    )
    width = len(described["attributes"]) + len(described["interactions"])
    return sparse_rows(values, columns, starts, width)


def _part(dataset: xr.Dataset, name: str) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """Settings and arrays of a part that comparisons may have."""
    if name not in dataset:
        return None
    prefix = f"{name}_"
    arrays = {
        str(key).removeprefix(prefix): values.to_numpy()
        for key, values in dataset.data_vars.items()
        if str(key).startswith(prefix)
    }
    return from_json_bytes(dataset[name].to_numpy()), arrays
