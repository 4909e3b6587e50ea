"""Saved posteriors of format 1, with the names of format 2.

Format 1 has other names of dimensions, of labels of factors and of a setting of the mixture; one
mapping `engine` in place of the run; and labels of levels and stages of rankings in place of the
outcome. All numbers are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import xarray as xr

from bayes_pref.posterior.labels import from_json_bytes, json_bytes
from bayes_pref.posterior.run import ElboRecord, Run

Settings = dict[str, Any]

DIMS_RENAMED = {"kind": "component", "taste": "factor"}
SETTINGS_RENAMED = {"types": "components"}
# A parameter of factors ends with the label of one, such as z[ann, taste_2].
_FACTOR = re.compile(r"^(?P<start>(?:V|z)\[.*)taste_(?P<number>\d+)\]$", re.DOTALL)


def upgraded(
    groups: Mapping[str, xr.Dataset], settings: Mapping[str, Any]
) -> tuple[dict[str, xr.Dataset], Settings]:
    """Return datasets and settings of a file of format 1 as format 2 has them.

    Parameters
    ----------
    groups
        Datasets by name of group.
    settings
        Decoded JSON: `model`, `engine`, `seed` and `findings`.
    """
    rest = {name: value for name, value in settings.items() if name != "engine"}
    changed: Settings = {
        "model": {SETTINGS_RENAMED.get(key, key): each for key, each in rest["model"].items()},
        "run": _run(settings["engine"]).state(),
        "findings": [_finding(finding) for finding in rest["findings"]],
    }
    datasets = {
        "posterior": _draws(groups["posterior"]),
        "comparisons": _comparisons(groups["comparisons"]),
    }
    return dict(groups) | datasets, rest | changed


def _draws(draws: xr.Dataset) -> xr.Dataset:
    named = draws.rename({old: new for old, new in DIMS_RENAMED.items() if old in draws.dims})
    if "factor" not in named.dims:
        return named
    labels = [str(label).replace("taste_", "factor_") for label in named["factor"].to_numpy()]
    return named.assign_coords(factor=labels)


def _comparisons(dataset: xr.Dataset) -> xr.Dataset:
    described = from_json_bytes(dataset["described"].to_numpy())
    outcome = json_bytes({"levels": described.get("levels")})
    changed = dataset.assign(outcome=("outcome_byte", outcome))
    return changed.rename(stage="outcome_stage") if "stage" in dataset else changed


def _run(engine: Mapping[str, Any]) -> Run:
    """Return the run that a file of format 1 describes."""
    rest = dict(engine)
    name, seconds, complete = (rest.pop(key) for key in ("name", "seconds", "complete"))
    pareto_k, pareto_k_of = rest.pop("pareto_k", None), rest.pop("pareto_k_of", None)
    record = [rest.pop(key, None) for key in ("elbo", "elbo_every", "elbo_cuts", "steps_done")]
    elbo = None
    if record[0] is not None:
        history, every, cuts, steps = record
        elbo = ElboRecord(history=tuple(history), every=every, cuts=tuple(cuts), steps=steps)
    return Run(
        engine=name,
        settings=rest,
        exact=name != "SVI",
        joint=rest.get("guide") != "mean_field",
        draws=rest["draws"],
        seconds=seconds,
        complete=complete,
        elbo=elbo,
        pareto_k=pareto_k,
        pareto_k_of=pareto_k_of,
    )


def _finding(finding: Mapping[str, Any]) -> Settings:
    old = finding["parameter"]
    new = _FACTOR.sub(r"\g<start>factor_\g<number>]", old)
    if new == old:
        return dict(finding)
    return dict(finding) | {"parameter": new, "message": finding["message"].replace(old, new)}
