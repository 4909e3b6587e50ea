"""Folders of results: a new one, and what an earlier fit left in one."""

from __future__ import annotations

from pathlib import Path

from bayes_pref.cli.command import CONFIG, SAVED
from bayes_pref.cli.option_groups import ChosenOptions, choose
from bayes_pref.cli.toml_files import read_config
from bayes_pref.errors import DataError
from bayes_pref.posterior import Posterior
from bayes_pref.reporting.folder import OutputFolder

_REMEDY = "choose another folder with --out"


def load(path: str) -> Posterior:
    """Load the posterior of a file, or of a folder of results."""
    return Posterior.load(saved_file(path))


def saved_file(path: str) -> Path:
    """Return the file of a posterior that a path names."""
    named = Path(path)
    return named / SAVED if named.is_dir() else named


def saved_reading(path: str, data: ChosenOptions) -> ChosenOptions:
    """Return how a table is read that is like the fitted one.

    Parameters
    ----------
    path
        What a fit wrote: a folder, whose settings say how its table was read, or a file in it.
    data
        What the command line says, which has precedence.

    Raises
    ------
    click.UsageError
        If neither names a column that is needed.
    """
    settings = saved_file(path).with_name(CONFIG)
    table = read_config(str(settings))[1].get("data", {}) if settings.is_file() else {}
    given = {**table, **data.given}
    if data.owner is not None:
        given[data.group.key] = data.owner
    return choose([data.group], {}, {data.group.name: given})[data.group.name]


def new_folder(path: str, *, overwrite: bool) -> OutputFolder:
    """Make a folder for results.

    Raises
    ------
    DataError
        If it cannot be written to, or holds something and `overwrite` is not set.
    """
    named = Path(path)
    if not overwrite and named.is_dir() and any(named.iterdir()):
        raise DataError(
            f"the folder {path} exists and is not empty",
            "choose another with --out, or write into it with --overwrite",
        )
    return OutputFolder(named, _REMEDY)


def new_file(path: str, *, overwrite: bool) -> Path:
    """Return a path to write to.

    Raises
    ------
    DataError
        If there is a file, and `overwrite` is not set.
    """
    named = Path(path)
    if named.exists() and not overwrite:
        raise DataError(
            f"the file {path} exists", "choose another with --out, or replace it with --overwrite"
        )
    return named
