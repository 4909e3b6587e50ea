"""The command ``bayes-pref``: a table of choices in, every person's reward function out."""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from bayes_pref import plots
from bayes_pref.data import Comparisons
from bayes_pref.demo import run_demo
from bayes_pref.errors import BayesPrefError, ConvergenceWarning, DataError, DataWarning
from bayes_pref.estimates import check_interval
from bayes_pref.inference.fit import fit
from bayes_pref.inference.gibbs import Gibbs
from bayes_pref.models import HierarchicalReward, PooledReward, RewardModel
from bayes_pref.output_folder import OutputFolder
from bayes_pref.posterior import Posterior
from bayes_pref.screen import paragraph, summary_text
from bayes_pref.tables import SourceTable, feature_columns, read_table, whole_number_labels
from bayes_pref.validate import Table, listed, shown

REFUSED = 2
INTERRUPTED = 130  # what a shell reports of a program that Ctrl-C ended
_SAVED = "posterior.nc"
_MOST_TRACED = 20  # features in trace.png and rank.png


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Parameters
    ----------
    arguments
        What follows the command's name; None: those of this process.

    Returns
    -------
    status: 0; 2 for what the user can mend, which one line on stderr tells; 130 after Ctrl-C

    Examples
    --------
    >>> main(["fit", "votes.csv", "--user", "who", "--choice", "won", "--out", "run"])
    2
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BayesPrefError as err:
        return _stop(str(err), REFUSED)
    except KeyboardInterrupt:
        return _stop("interrupted; what was not written yet is lost", INTERRUPTED)
    except BrokenPipeError:
        # Whoever read this has gone; without a place to write, closing would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bayes-pref",
        description="Each person's reward function from their choices, with honest uncertainty.",
    )
    version = import_module("bayes_pref").__version__
    parser.add_argument("--version", action="version", version=f"bayes-pref {version}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_fit(commands)
    show = commands.add_parser("show", help="print the summary of a saved posterior")
    show.add_argument("path", type=Path, metavar="PATH", help=f"a {_SAVED}, or its folder")
    _add_interval(show)
    show.set_defaults(run=_show)
    demo = commands.add_parser(
        "demo", help="fit a small simulated world, and print what is true beside what is found"
    )
    demo.add_argument("--out", type=Path, default=Path("demo"), help="folder of plots (demo)")
    demo.add_argument("--seed", type=int, default=0, help="of the world and the fits (0)")
    demo.set_defaults(run=_demo)
    return parser


def _add_fit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "fit",
        help="learn everyone's reward function from a table of choices",
        description="Learn everyone's reward function from a table with one row a comparison.",
        epilog="Without --difference or --left, every column that is not the user, the choice or "
        "a context is taken for a difference, left minus right.",
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="the comparisons: .csv, .csv.gz, .tsv or .parquet")
    data = parser.add_argument_group("columns of FILE")
    data.add_argument("--user", required=True, metavar="COLUMN", help="who chose")
    data.add_argument(
        "--choice", required=True, metavar="COLUMN", help="1 = left was preferred, 0 = right"
    )
    columns = {"nargs": "+", "metavar": "COLUMN", "default": []}
    for option, text in {
        "--difference": "features as differences, left minus right",
        "--left": "features of the left item, instead of --difference",
        "--right": "the same features of the right item, in the same order",
        "--features": "names for the features, where columns do not give them",
        "--context": "what both sides share, such as traits of the prompt",
    }.items():
        data.add_argument(option, help=text, **columns)  # type: ignore[arg-type]
    data.add_argument(
        "--interactions", action="store_true", help="let every feature's weight vary with contexts"
    )
    data.add_argument("--covariates", type=Path, metavar="FILE", help="a table with one row a user")
    model = parser.add_argument_group("model and sampling")
    model.add_argument(
        "--model",
        choices=["pooled", "diagonal", "full"],
        default="diagonal",
        help="the same weights for all, or everyone's own, with independent or with correlated "
        "deviations from the population (diagonal)",
    )
    model.add_argument(
        "--scale",
        choices=["rms", "raw"],
        default="rms",
        help="priors for features divided by their typical difference, or as they are (rms)",
    )
    # Where a study of 946 people with 14 features has every R-hat below 1.01.
    for option, default, text in (
        ("--draws", 2000, "kept of each chain"),
        ("--warmup", 500, "thrown away before them"),
        ("--chains", 4, "started far apart"),
        ("--seed", 0, "the same seed gives the same draws"),
    ):
        model.add_argument(option, type=int, default=default, help=f"{text} ({default})")
    model.add_argument("--cores", type=int, help="chains at once (as many as there are cores)")
    _add_interval(parser)
    add("--out", type=Path, required=True, metavar="DIR", help="folder for the results")
    parser.set_defaults(run=_fit)


def _add_interval(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--interval", type=float, default=0.9, help="probability inside credible intervals (0.9)"
    )


def _fit(options: argparse.Namespace) -> int:
    begin = time.perf_counter()
    check_interval(options.interval)
    engine = Gibbs(
        draws=options.draws,
        warmup=options.warmup,
        chains=options.chains,
        cores=options.cores,
        progress=sys.stderr.isatty(),
    )
    comparisons = _comparisons(options)
    model = _model(options, comparisons)
    folder = OutputFolder(options.out)
    _say("Sampling; the first time on a machine, the sampler is compiled before.\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # said below, beside the numbers
        posterior = fit(model, comparisons, engine, seed=options.seed)
    _write(folder, posterior, options.interval)
    _say(summary_text(posterior, options.interval))
    _say(f"\n{_next_steps(folder, posterior, time.perf_counter() - begin)}")
    if posterior.engine["complete"]:
        return 0
    kept = posterior.draws.sizes["draw"]
    return _stop(f"interrupted; the {kept:,} draws so far of each chain are written", INTERRUPTED)


def _show(options: argparse.Namespace) -> int:
    check_interval(options.interval)
    path = options.path / _SAVED if options.path.is_dir() else options.path
    _say(summary_text(Posterior.load(path), options.interval))
    return 0


def _demo(options: argparse.Namespace) -> int:
    folder = OutputFolder(options.out)
    run_demo(
        folder,
        seed=options.seed,
        progress=sys.stderr.isatty(),
        say=lambda text: _say(f"{text}\n"),
    )
    _say(paragraph(f"Plots in {folder.path}: {', '.join(folder.written)}"))
    return 0


def _comparisons(options: argparse.Namespace) -> Comparisons:
    """Read the tables, and say on screen what was taken for what."""
    if bool(options.difference) and bool(options.left or options.right):
        raise DataError("--difference and --left are two ways to name the features; use one")
    if options.interactions and not options.context:
        raise DataError("--interactions needs contexts to interact with; name them with --context")
    votes = read_table(options.file, labels=[options.user])
    Table(votes.frame, str(votes.path)).require([options.user, options.choice, *options.context])
    known = None
    if options.covariates:
        known = read_table(options.covariates, labels=[options.user])
        # Without the column, line numbers would be taken for users.
        Table(known.frame, str(known.path)).require([options.user])
    tables = whole_number_labels(options.user, *filter(None, [votes, known]))
    votes, known = tables[0], tables[-1] if known else None
    chosen = options.difference
    if not (chosen or options.left or options.right):
        chosen = feature_columns(votes, [options.user, options.choice, *options.context])
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always", DataWarning)
        try:
            made = Comparisons.from_frame(
                votes.frame,
                user=options.user,
                choice=options.choice,
                difference=chosen or None,
                left=options.left or None,
                right=options.right or None,
                features=options.features or None,
                context=options.context or None,
                interactions="all" if options.interactions else None,
                covariates=known.frame if known else None,
            )
        except DataError as err:
            message = str(err).replace("features=[...]", "--features")
            source = known if known and message.startswith("covariates") else votes
            raise DataError(source.located(message)) from err
    _refuse_constant(votes, made, differences=bool(chosen))
    _say(paragraph(f"{votes.path}: {len(made):,} comparisons by {made.n_users:,} users", "", "  "))
    how = "every other column" if chosen and not options.difference else "as asked"
    for title, names in {
        f"features ({how})": made.features.attributes,
        "contexts": made.features.contexts,
        f"covariates ({options.covariates})": made.covariate_names,
    }.items():
        if names:
            _say(paragraph(f"{title}: {', '.join(names)}", "  ", "    "))
    for warning in noticed:
        _say(paragraph(f"note: {warning.message}", "  ", "    "))
    return made


def _refuse_constant(votes: SourceTable, comparisons: Comparisons, *, differences: bool) -> None:
    """Refuse features about which the choices say nothing, and name those to keep."""
    constant = comparisons.constant
    if not constant:
        return
    attributes = comparisons.features.attributes
    kept = [name for name in attributes if name not in constant]
    if len(kept) == len(attributes):
        remedy = "leave --interactions out, or contexts that are always 0"
    elif differences and kept:
        remedy = f"leave it out: --difference {' '.join(kept)}"
    else:
        remedy = "leave it out, or record pairs in which it differs"
    raise DataError(
        f"{votes.path}: {listed(constant)} never differs within a pair, so that the choices say "
        f"nothing about it; {remedy}"
    )


def _model(options: argparse.Namespace, comparisons: Comparisons) -> RewardModel:
    """Build the model, and refuse data that it cannot describe before any work is done."""
    if options.model == "pooled":
        if options.covariates:
            raise DataError(
                "--model pooled has no place for --covariates: it gives everyone the same weights; "
                "leave one of the two out"
            )
        model: RewardModel = PooledReward(scale=options.scale)
    elif comparisons.n_users < 2:
        raise DataError(
            f"{options.file}: all {len(comparisons):,} comparisons are by one user, "
            f"{shown(comparisons.users[0])}, and --model {options.model} learns how users differ; "
            f"use --model pooled, or check the column {options.user!r}"
        )
    else:
        model = HierarchicalReward(covariance=options.model, scale=options.scale)
    model.check(comparisons)
    return model


def _write(folder: OutputFolder, posterior: Posterior, interval: float) -> None:
    folder.posterior(_SAVED, posterior)
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
    means = rhat.loc[[f"mu[{name}]" for name in names]].set_axis(names)
    worst = set(means.nlargest(_MOST_TRACED).index)
    return [name for name in names if name in worst]


def _next_steps(folder: OutputFolder, posterior: Posterior, seconds: float) -> str:
    """Say what was written, and the lines that go on from there."""
    megabytes = (folder.path / _SAVED).stat().st_size / 1e6
    files = ", ".join(folder.written).replace(_SAVED, f"{_SAVED} ({megabytes:,.0f} MB)", 1)
    users = posterior.comparisons.users[:2].tolist()
    return "\n".join(
        [
            paragraph(f"Written to {folder.path} in {seconds:.0f} s in all: {files}"),
            "",
            "Next, in Python:",
            "",
            "  import bayes_pref as bp",
            f"  posterior = bp.Posterior.load({(folder.path / _SAVED).as_posix()!r})",
            f"  posterior.weights({users!r})  # what these two want, with intervals",
        ]
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _stop(message: str, status: int) -> int:
    """Tell on stderr, in one line, why the command stops."""
    print(f"bayes-pref: {' '.join(message.split())}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
