"""Configuration files in TOML: a table for each group of options, and the rest above them."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bayes_pref.cli.option_groups import ChosenOptions, Group
from bayes_pref.cli.signatures import REQUIRED
from bayes_pref.errors import DataError
from bayes_pref.messages import closest

# Above the tables; a subcommand that has no such option takes no notice.
SHARED = ("file", "file_format", "out", "interval")
# A file may serve several subcommands, each of which reads its own tables.
TABLES = (
    "data", "model", "engine", "fit", "diagnose", "thresholds", "evaluate", "loo", "predict",
    "recommend", "audit", "simulate",
)  # fmt: skip


def read_config(path: str, known: Sequence[str] = ()) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a configuration file.

    Parameters
    ----------
    path
        The file.
    known
        Names that may stand above the tables beside `SHARED`: a subcommand's own options and
        arguments.

    Returns
    -------
    settings, tables: what stands above the tables and is `known`, and the tables

    Raises
    ------
    DataError
        If it cannot be read, is no TOML or has an unknown name.
    """
    try:
        found = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as err:
        raise DataError(f"cannot read {path}: {err.strerror or err}", "check the path") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise DataError(
            f"{path} is no TOML ({err})", "bayes-pref config prints an example"
        ) from err
    tables = {name: value for name, value in found.items() if isinstance(value, dict)}
    own = {name: value for name, value in found.items() if name not in tables}
    above = [*SHARED, *known]
    for name, names in [*((each, TABLES) for each in tables), *((each, above) for each in own)]:
        if name not in names:
            what = f"table [{name}]" if name in tables else f"setting {name!r}"
            raise DataError(f"{path}: there is no {what}{closest(name, names)}")
    return {name: value for name, value in own.items() if name in known}, tables


def given_text(own: Mapping[str, Any], chosen: Iterable[ChosenOptions]) -> str:
    """Write what was given as a configuration file.

    Parameters
    ----------
    own
        What stands above the tables; None is left out.
    chosen
        The groups.
    """
    lines = [f"{name} = {toml(value)}" for name, value in own.items() if value is not None]
    for each in chosen:
        named = {each.group.key: each.owner} if each.group.switch and each.owner else {}
        if settings := {**named, **each.given}:
            lines += ["", f"[{each.group.name}]"]
            lines += [f"{name} = {toml(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def every_text(group: Group, owner: str | None, values: Mapping[str, Any]) -> str:
    """Write all settings of an owner with their meaning; those at their default are commented out.

    Parameters
    ----------
    group
        The group.
    owner
        One of its owners; None: the first.
    values
        Settings that were given.
    """
    owner = next(iter(group.owners)) if owner is None else owner
    lines = [f"[{group.name}]"]
    if group.switch:
        others = ", ".join(name for name in group.owners if name != owner)
        lines.append(f"{group.key} = {toml(owner)}  # or {others}")
    for name, each in group.parameters_of(owner).items():
        lines.append(f"# {group.texts.get(name, each.text)}")
        value = values.get(name, each.default)
        if value is REQUIRED:
            lines.append(f'{name} = ""  # needed')
        elif value is None or value is ...:
            lines.append(f"# {name} =")
        else:
            lines.append(f"{'' if name in values else '# '}{name} = {toml(value)}")
    return "\n".join(lines) + "\n"


def toml(value: Any) -> str:
    r"""Write a value as TOML.

    Examples
    --------
    >>> toml(["a", 1, 2.5, True]), toml({"size of it": "S"})
    ('["a", 1, 2.5, true]', '{"size of it" = "S"}')
    """
    if isinstance(value, Mapping):
        parts = [f"{json.dumps(str(name))} = {toml(each)}" for name, each in value.items()]
        return "{" + ", ".join(parts) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # inf and nan are written so in both
    # A basic string, a number and a truth value are in TOML what they are in JSON.
    return json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
