"""A fit from the command line: tables in, a folder of results out."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bayes_pref import plots, settings
from bayes_pref.cli.command import (
    CONFIG,
    CONVERGENCE,
    DONE,
    INTERRUPTED,
    NEEDS_ATTENTION,
    SAVED,
    Screen,
    failing,
    stop,
)
from bayes_pref.cli.groups import ENGINES
from bayes_pref.cli.heartbeat import heartbeat
from bayes_pref.cli.option_groups import ChosenOptions
from bayes_pref.cli.pictures import draw_into
from bayes_pref.cli.reading import check_suitable, described, read_data
from bayes_pref.cli.saved import load, new_folder
from bayes_pref.cli.screen import paragraph
from bayes_pref.cli.signatures import public
from bayes_pref.cli.summary_text import summary_text, summary_values
from bayes_pref.cli.toml_files import given_text
from bayes_pref.data import Comparisons
from bayes_pref.errors import ConvergenceWarning, DataError, ModelError
from bayes_pref.inference.engine import Engine, first_prepared
from bayes_pref.inference.fit import fit
from bayes_pref.messages import listed
from bayes_pref.models import RewardModel
from bayes_pref.posterior import Posterior
from bayes_pref.reporting.folder import OutputFolder

_MOST_TRACED = 20  # features in trace.png and rank.png


def fit_table(
    *,
    file: str,
    out: str,
    data: ChosenOptions,
    model: ChosenOptions,
    engine: ChosenOptions,
    fit: ChosenOptions,
    overwrite: bool,
    file_format: str | None,
    interval: float,
    fail_on: str,
    as_json: bool,
) -> int:
    """Fit a model to a table of comparisons and write the results.

    Parameters
    ----------
    file, out
        The table, and the folder for the results.
    data, model, engine, fit
        What was chosen in the groups of options.
    overwrite, file_format, interval, fail_on, as_json
        Further options of ``bayes-pref fit``.

    Returns
    -------
    status

    Raises
    ------
    BayesPrefError
        If the tables, the options or the folder cannot be used; the message says what to mend.
    """
    begin, screen = time.perf_counter(), Screen(as_json)
    named = failing(fail_on, [CONVERGENCE])
    settings.interval(interval)
    reward = public(str(model.owner))(**model.given)
    with heartbeat():
        read = read_data(file, data, file_format)
        check_suitable(read, data, reward, same_weights=model.owner == "PooledReward")
        sampler = _engine(engine, reward, read.comparisons)
        start = load(fit["start"]) if fit["start"] else None
        folder = new_folder(out, overwrite=overwrite)
        first = "Sampling. The first fit on a machine compiles the sampler."
        screen.say(f"{described(read, file, data)}\n\n{first}\n")
        posterior = _drawn(reward, read.comparisons, sampler, fit["seed"], start)
    posterior = _saved(folder, posterior)
    own = {"file": file, "file_format": file_format, "interval": interval}
    folder.text(CONFIG, given_text(own, (data, model, engine, fit)))
    _write(folder, posterior, interval)
    screen.say(summary_text(posterior, interval))
    _draw(folder, posterior, interval)  # last: neither draws nor numbers depend on pictures
    seconds = time.perf_counter() - begin
    screen.say(f"\n{_next_steps(folder, posterior, seconds)}")
    written = {"folder": str(folder.path), "files": folder.written, "seconds": seconds}
    screen.result({**written, **summary_values(posterior, interval), "notes": read.notes})
    if not posterior.run.complete:
        kept = posterior.draws.sizes["draw"]
        return stop(
            f"interrupted; the {kept:,} draws so far of each chain are written", INTERRUPTED
        )
    return NEEDS_ATTENTION if named and posterior.findings else DONE


def possible_engines(engine: ChosenOptions) -> list[Engine]:
    """Return the engine that was chosen, or those that have all the settings that were given.

    Raises
    ------
    ModelError
        If no engine has all of them.
    """
    names = ENGINES if engine.owner is None else (engine.owner,)
    having = [name for name in names if set(engine.given) <= set(engine.group.parameters_of(name))]
    if not having:
        raise ModelError(f"no engine has all of {listed(engine.given)}: name one with --engine")
    return [public(name)(**engine.given, progress=True) for name in having]


def _engine(engine: ChosenOptions, model: RewardModel, comparisons: Comparisons) -> Engine | None:
    """Return the engine to draw with; None: the default of `fit`."""
    if engine.owner is None and not engine.given:
        return None
    return first_prepared(possible_engines(engine), model, comparisons)[0]


def _drawn(
    model: RewardModel,
    comparisons: Comparisons,
    engine: Engine | None,
    seed: int,
    start: Posterior | None,
) -> Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # printed beside the numbers
        return fit(model, comparisons, engine, seed=seed, start=start)


def _saved(folder: OutputFolder, posterior: Posterior) -> Posterior:
    """Save a posterior and return it as the file has it, of which `show` prints the same.

    Raises
    ------
    DataError
        If the folder has no room left; the draws are then among the system's temporary files, if
        there is room for them.
    """
    # What the rounding costs is below the Monte Carlo error, and a big study fits on any disk.
    save = partial(posterior.save, compact=True)
    try:
        folder.saved(SAVED, save)
    except DataError as err:
        elsewhere = Path(tempfile.mkdtemp(prefix="bayes-pref-"))
        try:
            save(elsewhere / SAVED)
        except DataError:
            elsewhere.rmdir()
            raise err from None
        raise DataError(str(err), f"the draws were saved to {elsewhere / SAVED} instead") from err
    return Posterior.load(folder.path / SAVED)


def _write(folder: OutputFolder, posterior: Posterior, interval: float) -> None:
    folder.table("weights.csv", posterior.weights(interval=interval), index=False)
    folder.table("population.csv", posterior.summary(interval=interval), index=True)


def _draw(folder: OutputFolder, posterior: Posterior, interval: float) -> None:
    # In the unit of the tables and of the text: log-odds per unit of a feature.
    unit: dict[str, Any] = {"interval": interval, "units": "raw"}
    pictures: dict[str, Callable[[], Any]] = {
        "population.png": lambda: plots.population(posterior, **unit)
    }
    if "weights" in posterior.draws or posterior.users is not None:
        pictures["users.png"] = lambda: plots.users(posterior, **unit)
        pictures["heterogeneity.png"] = lambda: plots.heterogeneity(posterior, **unit)
    traced = {"feature": _worst_mixed(posterior)}
    pictures["trace.png"] = lambda: plots.trace(posterior, coords=traced)
    pictures["rank.png"] = lambda: plots.rank(posterior, coords=traced)
    draw_into(folder, pictures)


def _worst_mixed(posterior: Posterior) -> list[str]:
    """Return the features whose means have the largest R-hat, in the order of the data."""
    names = list(posterior.comparisons.feature_names)
    rhat = posterior.summary()["rhat"]
    of_means = rhat.loc[[f"mu[{name}]" for name in names]].set_axis(names)
    worst = set(of_means.nlargest(_MOST_TRACED).index)
    return [name for name in names if name in worst]


def _next_steps(folder: OutputFolder, posterior: Posterior, seconds: float) -> str:
    """Say what was written, and how to use it."""
    saved = folder.path / SAVED
    files = ", ".join(folder.written)
    files = files.replace(SAVED, f"{SAVED} ({saved.stat().st_size / 1e6:,.0f} MB)", 1)
    users = posterior.comparisons.users[:2].tolist()
    return "\n".join(
        [
            paragraph(f"Written to {folder.path} in {seconds:.0f} s in all: {files}"),
            "",
            f"Next: bayes-pref diagnose {folder.path}, or bayes-pref report {folder.path} "
            "--out report, or in Python:",
            "",
            "  import bayes_pref as bp",
            f"  posterior = bp.Posterior.load({saved.as_posix()!r})",
            f"  posterior.weights({users!r})  # weights of these users, with intervals",
        ]
    )
