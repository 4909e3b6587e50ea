"""The command ``bayes-pref``: a table of choices in, every person's reward function out."""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence

from bayes_pref import plots
from bayes_pref.cli.demo import run_demo
from bayes_pref.cli.options import SAVED, build_parser
from bayes_pref.cli.reading import prepare
from bayes_pref.cli.screen import paragraph, summary_text
from bayes_pref.errors import BayesPrefError, ConvergenceWarning
from bayes_pref.inference.engine import Engine
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.inference.nuts.nuts import NUTS
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import check_interval
from bayes_pref.reporting.folder import OutputFolder

REFUSED = 2
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
_MOST_TRACED = 20  # features in trace.png and rank.png


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        What follows the command's name; None: those of this process.

    Returns
    -------
    status: 0; 2 for what one can mend, which a line on stderr tells; 130 after Ctrl-C

    Examples
    --------
    >>> main(["fit", "no-such.csv", "--user", "who", "--choice", "won", "--out", "run"])
    2
    """
    options = build_parser().parse_args(arguments)
    run = {"fit": _fit, "show": _show, "demo": _demo}[options.command]
    try:
        return run(options)
    except BayesPrefError as err:
        return _stop(str(err), REFUSED)
    except MemoryError:
        return _stop(
            "not enough memory for so many draws; keep fewer with --draws, or one in N with "
            "--thin N",
            REFUSED,
        )
    except KeyboardInterrupt:
        return _stop("interrupted; what was not written yet is lost", INTERRUPTED)
    except BrokenPipeError:
        # The reader has gone, as `head` does; at exit, flushing would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _fit(options: argparse.Namespace) -> int:
    begin = time.perf_counter()
    check_interval(options.interval)
    gibbs = Gibbs(
        draws=options.draws,
        warmup=options.warmup,
        thin=options.thin,
        chains=options.chains,
        cores=options.cores,
        progress=sys.stderr.isatty(),
    )
    comparisons, model, text = prepare(options)
    engine: Engine = gibbs
    if gibbs.unsupported(model, comparisons) is not None:  # ties, say
        names = ("draws", "warmup", "chains", "cores", "progress")
        engine = NUTS(**{name: getattr(gibbs, name) for name in names})
    folder = OutputFolder(options.out, "choose another folder with --out")
    _say(f"{text}\n\nSampling; the first time on a machine, the sampler is compiled before.\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, beside the numbers
        posterior = fit(model, comparisons, engine, seed=options.seed)
    _write(folder, posterior, options.interval)
    _say(summary_text(posterior, options.interval))
    _say(f"\n{_next_steps(folder, posterior, time.perf_counter() - begin)}")
    if posterior.run.complete:
        return 0
    kept = posterior.draws.sizes["draw"]
    return _stop(f"interrupted; the {kept:,} draws so far of each chain are written", INTERRUPTED)


def _show(options: argparse.Namespace) -> int:
    check_interval(options.interval)
    path = options.path / SAVED if options.path.is_dir() else options.path
    _say(summary_text(Posterior.load(path), options.interval))
    return 0


def _demo(options: argparse.Namespace) -> int:
    folder = OutputFolder(options.out, "choose another folder with --out")
    progress = sys.stderr.isatty()
    run_demo(folder, seed=options.seed, progress=progress, say=lambda text: _say(f"{text}\n"))
    _say(paragraph(f"Plots in {folder.path}: {', '.join(folder.written)}"))
    return 0


def _write(folder: OutputFolder, posterior: Posterior, interval: float) -> None:
    folder.saved(SAVED, posterior.save)
    folder.table("weights.csv", posterior.weights(interval=interval), index=False)
    folder.table("population.csv", posterior.summary(interval=interval), index=True)
    folder.picture("population.png", lambda: plots.population(posterior, interval=interval))
    if "weights" in posterior.draws:
        folder.picture("users.png", lambda: plots.users(posterior, interval=interval))
        folder.picture(
            "heterogeneity.png", lambda: plots.heterogeneity(posterior, interval=interval)
        )
    traced = {"feature": _worst_mixed(posterior)}
    folder.picture("trace.png", lambda: plots.trace(posterior, coords=traced))
    folder.picture("rank.png", lambda: plots.rank(posterior, coords=traced))


def _worst_mixed(posterior: Posterior) -> list[str]:
    """Features to look at first: those whose chains agree least, in the order of the data."""
    names = list(posterior.comparisons.feature_names)
    rhat = posterior.summary()["rhat"]
    of_means = rhat.loc[[f"mu[{name}]" for name in names]].set_axis(names)
    worst = set(of_means.nlargest(_MOST_TRACED).index)
    return [name for name in names if name in worst]


def _next_steps(folder: OutputFolder, posterior: Posterior, seconds: float) -> str:
    """Say what was written, and the lines that go on from there."""
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
            f"  posterior.weights({users!r})  # what these users want, with intervals",
        ]
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _stop(message: str, status: int) -> int:
    """Tell on stderr, in one line, why the command stops."""
    print(f"bayes-pref: {' '.join(message.split())}", file=sys.stderr)
    return status
