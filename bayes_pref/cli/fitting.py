"""A fit from the command line: tables in, a folder of results out."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bayes_pref import plots, settings
from bayes_pref.cli.command import DONE, INTERRUPTED, SAVED, say, stop
from bayes_pref.cli.pictures import draw_into
from bayes_pref.cli.reading import prepare
from bayes_pref.cli.screen import paragraph
from bayes_pref.cli.summary_text import summary_text
from bayes_pref.errors import ConvergenceWarning, DataError
from bayes_pref.inference.engine import first_prepared
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.inference.nuts.nuts import NUTS
from bayes_pref.posterior import Posterior
from bayes_pref.reporting.folder import OutputFolder

_MOST_TRACED = 20  # features in trace.png and rank.png


def fit_table(options: argparse.Namespace) -> int:
    """Fit a model to a table of comparisons and write the results.

    Parameters
    ----------
    options
        As the arguments of ``bayes-pref fit`` are parsed.

    Returns
    -------
    status

    Raises
    ------
    BayesPrefError
        If the tables, the options or the folder cannot be used; the message says what to mend.
    """
    begin = time.perf_counter()
    settings.interval(options.interval)
    gibbs = Gibbs(
        draws=options.draws,
        warmup=options.warmup,
        thin=options.thin,
        chains=options.chains,
        cores=options.cores,
        progress=sys.stderr.isatty(),
    )
    comparisons, model, text = prepare(options)
    names = ("draws", "warmup", "chains", "cores", "progress")
    nuts = NUTS(**{name: getattr(gibbs, name) for name in names})
    engine, _ = first_prepared((gibbs, nuts), model, comparisons)  # Gibbs supports no ties
    folder = OutputFolder(options.out, "choose another folder with --out")
    say(f"{text}\n\nSampling. The first fit on a machine compiles the sampler.\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # printed beside the numbers
        posterior = fit(model, comparisons, engine, seed=options.seed)
    posterior = _saved(folder, posterior)
    _write(folder, posterior, options.interval)
    say(summary_text(posterior, options.interval))
    _draw(folder, posterior, options.interval)  # last: neither draws nor numbers depend on pictures
    say(f"\n{_next_steps(folder, posterior, time.perf_counter() - begin)}")
    if posterior.run.complete:
        return DONE
    kept = posterior.draws.sizes["draw"]
    return stop(f"interrupted; the {kept:,} draws so far of each chain are written", INTERRUPTED)


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
    pictures: dict[str, Callable[[], Any]] = {
        "population.png": lambda: plots.population(posterior, interval=interval)
    }
    if "weights" in posterior.draws:
        pictures["users.png"] = lambda: plots.users(posterior, interval=interval)
        pictures["heterogeneity.png"] = lambda: plots.heterogeneity(posterior, interval=interval)
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
            f"Next: bayes-pref show {saved}, or in Python:",
            "",
            "  import bayes_pref as bp",
            f"  posterior = bp.Posterior.load({saved.as_posix()!r})",
            f"  posterior.weights({users!r})  # weights of these users, with intervals",
        ]
    )
