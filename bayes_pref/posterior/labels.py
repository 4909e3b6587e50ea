"""Labels as JSON and back, with exact values, types and dtype: a saved 17 never loads as "17".

Users, items and rows have the caller's own labels: text, numbers, truth values, dates, or several
types together. Nothing is pickled: a loaded label is built from plain JSON.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any, cast

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bayes_pref.errors import DataError

Json = Any
Bytes = NDArray[np.uint8]

_PLAIN = (str, bool, int, float, type(None))


def encode_index(index: pd.Index[Any]) -> dict[str, Json]:
    """Describe an index as JSON.

    Raises
    ------
    DataError
        If a label is of a type that JSON cannot hold, such as a custom object.

    Examples
    --------
    >>> import pandas as pd
    >>> encode_index(pd.Index([3, 1], name="user"))
    {'kind': 'plain', 'name': 'user', 'dtype': 'int64', 'values': [3, 1]}
    """
    if isinstance(index, pd.MultiIndex):
        return {
            "kind": "multi",
            "names": [_encode(name) for name in index.names],
            "levels": [encode_index(level) for level in index.levels],
            "codes": [np.asarray(codes).tolist() for codes in index.codes],
        }
    encoded: dict[str, Json] = {"kind": "plain", "name": _encode(index.name)}
    if isinstance(index, pd.RangeIndex):
        encoded |= {"kind": "range", "range": [index.start, index.stop, index.step]}
    elif isinstance(index, pd.CategoricalIndex):
        encoded |= {"kind": "categories", "categories": encode_index(index.categories)}
        encoded |= {"codes": np.asarray(index.codes).tolist(), "ordered": bool(index.ordered)}
    elif isinstance(index, pd.DatetimeIndex):
        encoded |= {"kind": "times", "dtype": f"datetime64[{index.unit}]"}
        encoded |= {"zone": str(index.tz) if index.tz else None, "values": index.asi8.tolist()}
    elif isinstance(index, pd.TimedeltaIndex):
        encoded |= {"kind": "times", "dtype": f"timedelta64[{index.unit}]"}
        encoded |= {"zone": None, "values": index.asi8.tolist()}
    else:
        values = [_encode(label) for label in index.tolist()]
        encoded |= {"dtype": str(index.dtype), "values": values}
    return encoded


def decode_index(encoded: dict[str, Json]) -> pd.Index[Any]:
    """Build the index that `encode_index` described.

    Examples
    --------
    >>> import pandas as pd
    >>> days = pd.date_range("2025-01-01", periods=2, tz="Europe/Rome", name="day")
    >>> decode_index(encode_index(days)).equals(days)
    True
    """
    kind = encoded["kind"]
    if kind == "multi":
        return pd.MultiIndex(
            levels=[cast(Any, decode_index(level)) for level in encoded["levels"]],
            codes=encoded["codes"],
            names=[_decode(name) for name in encoded["names"]],
        )
    name = _decode(encoded["name"])
    if kind == "range":
        start, stop, step = encoded["range"]
        return pd.RangeIndex(start, stop, step, name=name)
    if kind == "categories":
        values = pd.Categorical.from_codes(
            encoded["codes"],
            categories=decode_index(encoded["categories"]),
            ordered=encoded["ordered"],
        )
        return pd.CategoricalIndex(values, name=name)
    if kind == "times":
        times: pd.Index[Any] = pd.Index(
            np.array(encoded["values"], "i8").view(encoded["dtype"]), name=name
        )
        if encoded["zone"] is None:
            return times
        return cast(pd.DatetimeIndex, times).tz_localize("UTC").tz_convert(encoded["zone"])
    labels: Any = [_decode(value) for value in encoded["values"]]
    # Tuples among the labels stay labels, rather than becoming levels.
    index: pd.Index[Any] = pd.Index(labels, dtype=encoded["dtype"], name=name, tupleize_cols=False)
    return index


def json_bytes(value: Json) -> Bytes:
    """Write JSON as an array of bytes.

    Examples
    --------
    >>> from_json_bytes(json_bytes({"users": [1, 2]}))
    {'users': [1, 2]}
    """
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def from_json_bytes(values: NDArray[Any]) -> Json:
    """Read what `json_bytes` wrote."""
    return json.loads(values.astype(np.uint8).tobytes())


def _encode(label: Any) -> Json:
    """Encode one label; a type that JSON lacks is wrapped in an object that names it."""
    if type(label) in _PLAIN:
        return label
    if isinstance(label, np.generic) and type(label.item()) in _PLAIN:
        return {"numpy": label.dtype.str, "value": label.item()}
    if isinstance(label, tuple):
        return {"tuple": [_encode(part) for part in label]}
    if type(label) is pd.Timestamp and label.tzinfo is None:
        return {"timestamp": label.isoformat(), "unit": label.unit}
    if type(label) is dt.datetime and label.tzinfo is None:
        return {"datetime": label.isoformat()}
    if type(label) is dt.date:
        return {"date": label.isoformat()}
    raise DataError(
        f"label {label!r} of type {type(label).__name__} cannot be saved; "
        "use text, numbers, truth values or dates as labels"
    )


def _decode(value: Json) -> Any:
    """Decode one label."""
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(_decode(part) for part in value["tuple"])
    if "numpy" in value:
        # Of a label that is void or an object, the file would say how much memory to take.
        dtype = np.dtype(value["numpy"])
        if dtype.kind not in "biufU":
            raise ValueError(f"no label has the type {dtype}")
        return dtype.type(value["value"])
    if "timestamp" in value:
        return pd.Timestamp(value["timestamp"]).as_unit(value["unit"])
    if "datetime" in value:
        return dt.datetime.fromisoformat(value["datetime"])
    return dt.date.fromisoformat(value["date"])
