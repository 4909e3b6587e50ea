"""Use the bayes_pref that is installed here as somebody would who has just installed it.

Run from an empty folder with the Python of a fresh environment; every step must work, whatever
versions of other packages pip has chosen. What the numbers should be is for the tests. With the
argument ``demo`` the demonstration runs, too, which takes as long as all the rest.
"""

from __future__ import annotations

import inspect
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import numpy as np
import pandas as pd
from matplotlib import image, pyplot

import bayes_pref as bp

PACKAGES = ("arviz", "h5py", "matplotlib", "numba", "numpy", "pandas", "scipy", "torch", "xarray")
COMMAND = Path(sys.executable).with_name("bayes-pref")


def main() -> None:
    """Take every step, each with its seconds."""
    home = Path(bp.__file__).resolve()
    if not home.is_relative_to(Path(sys.prefix).resolve()):
        sys.exit(f"bayes_pref is imported from {home}, not from the environment {sys.prefix}")
    chosen = ", ".join(f"{name} {metadata.version(name)}" for name in PACKAGES)
    print(f"Python {sys.version.split()[0]}: bayes-pref {bp.__version__} with {chosen}")
    warnings.simplefilter("ignore", bp.ConvergenceWarning)  # these chains are short on purpose
    world = bp.simulate(users=12, comparisons=12, features=["length", "tone"], contexts=1, seed=0)
    with step("fits: Gibbs, SVI, NUTS"):
        posteriors = fits(world)
    with step("diagnose, and its report as page, tables and pictures"):
        report = bp.diagnose(posteriors["Gibbs"], progress=False)
        report.export("diagnostics")
        expect_pictures(Path("diagnostics"), 1)
    with step("save and load"):
        for name, posterior in posteriors.items():
            posterior.save(f"{name}.nc")
            loaded = bp.Posterior.load(f"{name}.nc")
            pd.testing.assert_frame_equal(loaded.weights(), posterior.weights())
    with step("audit, sensitivity, what to ask next, new users"):
        beyond_the_fit(world, posteriors["Gibbs"])
    with step("every plot"):
        draw_all(world, posteriors)
    with step("bayes-pref fit, show, diagnose, recommend and export"):
        fit_and_show(world)
    if "demo" in sys.argv[1:]:
        with step("bayes-pref demo"):
            if "Confounded comparisons" not in called("demo"):
                sys.exit("the demo has no confounded comparisons")
            expect_pictures(Path("demo"), 5)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print a step's title once it has worked, with its seconds."""
    begin = time.perf_counter()
    yield
    print(f"  {time.perf_counter() - begin:5.1f} s  {title}", flush=True)


def fits(world: bp.World) -> dict[str, bp.Posterior]:
    """Fit the default model with each engine, for a few draws."""
    model = bp.HierarchicalReward(exposure=True)
    short: dict[str, Any] = {"draws": 50, "warmup": 50, "chains": 2, "progress": False}
    engines = {
        "Gibbs": bp.Gibbs(**short),
        "SVI": bp.SVI(steps=300, draws=100, progress=False),
        "NUTS": bp.NUTS(**short, kernel="pyro", max_tree_depth=4),  # "compiled" needs an extra
    }
    found = {name: bp.fit(model, world.comparisons, engine) for name, engine in engines.items()}
    for name, posterior in found.items():
        if not np.isfinite(posterior.weights()["mean"]).all():
            sys.exit(f"{name}: a weight is not a finite number")
    return found


def beyond_the_fit(world: bp.World, posterior: bp.Posterior) -> None:
    """Take the steps around a fit, of which some lean on what other packages return."""
    page = bp.audit(world.comparisons)._repr_html_()
    bp.sensitivity(posterior)
    scaled = bp.prior_sensitivity(posterior)
    if "<table" not in page or not np.isfinite(scaled[["prior", "likelihood"]]).all(axis=None):
        sys.exit(f"audit and sensitivity to the prior:\n{page}\n{scaled}")
    asked = bp.recommend(posterior, n=3, goal="population").questions
    strangers = bp.simulate(users=3, comparisons=5, features=["length", "tone"], contexts=1, seed=1)
    answers = strangers.frame.assign(user="new " + strangers.frame["user"].astype(str))
    columns: dict[str, Any] = {"difference": ["length", "tone"], "context": ["context_1"]}
    met = bp.add_users(
        posterior, bp.Comparisons.from_frame(answers, user="user", choice="choice", **columns)
    )
    served = met.choose(pd.DataFrame({"length": [0.0, 1.0], "tone": [1.0, 0.0]}))
    chance = met.predict(answers)["mean"]
    short = bp.Gibbs(draws=50, warmup=50, chains=2, progress=False)
    classifier = bp.RewardClassifier("user", context=["context_1"], engine=short)
    right = classifier.fit(answers.drop(columns="choice"), answers["choice"]).predict(
        answers.drop(columns="choice")
    )
    if len(served) != 15 or not chance.between(0.0, 1.0).all() or len(right) != len(chance):
        sys.exit(f"what to serve, and rows:\n{served}\n{chance}\n{right}")
    if len(asked) != 3 or not np.isfinite(met.weights()["mean"]).all():
        sys.exit(f"questions and new users:\n{asked}\n{met.weights()}")


def draw_all(world: bp.World, posteriors: dict[str, bp.Posterior]) -> None:
    """Draw every plot that there is, each into a file of its own."""
    short = bp.Gibbs(draws=50, warmup=50, chains=2, progress=False)
    posterior, seen = posteriors["Gibbs"], world.comparisons
    train, held_out = seen.split(by="comparison", test=0.3, seed=0)
    lowrank = bp.fit(bp.LowRankReward(rank=2), seen, short)
    half = bp.fit(bp.HierarchicalReward(), train, short)
    parts = bp.fit(bp.MixtureReward(components=2), seen, short)
    compared = bp.compare({"factors": lowrank, "hierarchical": posterior}, by="user")
    described = bp.simulate(users=12, comparisons=12, covariates=1, seed=0).comparisons
    regressed = bp.fit(bp.HierarchicalReward(), described, short)
    answers = pd.DataFrame({"length": [0.0, 1.0], "tone": [1.0, 0.0]}, ["terse", "long"])
    ranks = bp.sbc(bp.PooledReward(), seen, replications=20, engine=short, progress=False)
    groups = pd.Series(["women", "men"] * (seen.n_users // 2), index=seen.users, name="group")
    effects = posterior.amce(over="observed", by=groups)
    plots: dict[str, Callable[[], Any]] = {
        "average_effects": lambda: bp.plots.average_effects(effects),
        "calibration": lambda: bp.plots.calibration(ranks),
        "checks": lambda: bp.plots.checks(bp.posterior_predictive_check(posterior)),
        "compare": lambda: bp.plots.compare(compared),
        "components": lambda: bp.plots.components(parts),
        "correlations": lambda: bp.plots.correlations(lowrank),
        "covariate_effects": lambda: bp.plots.covariate_effects(regressed),
        "elbo": lambda: bp.plots.elbo(posteriors["SVI"]),
        "factors": lambda: bp.plots.factors(lowrank),
        "heterogeneity": lambda: bp.plots.heterogeneity(posterior),
        "leaderboard": lambda: bp.plots.leaderboard(posterior, items=answers),
        "pair": lambda: bp.plots.pair(posterior, answers[:1], answers[1:]),
        "population": lambda: bp.plots.population(posterior),
        "power": lambda: bp.power(
            {"features": ["length"], "mean": [1.0], "confounding": 0.6},
            users=[10, 20],
            tasks=[5],
            replications=2,
            progress=False,
        ).plot(),
        "prior_predictive": lambda: bp.plots.prior_predictive(
            posterior.model.prior_predictive(seen, draws=50)
        ),
        "rank": lambda: bp.plots.rank(posterior),
        "reliability": lambda: bp.plots.reliability(bp.evaluate(half, held_out)),
        "trace": lambda: bp.plots.trace(posterior),
        "users": lambda: bp.plots.users(posterior),
    }
    there = {name for name, _ in inspect.getmembers(bp.plots, inspect.isfunction)} - {"__getattr__"}
    if there != set(plots):
        sys.exit(f"plots that are not drawn here, or are no more: {sorted(there ^ set(plots))}")
    Path("plots").mkdir()
    for name, draw in plots.items():
        np.ravel(draw())[0].figure.savefig(f"plots/{name}.png", dpi=100)
        pyplot.close("all")
    expect_pictures(Path("plots"), len(plots))


def fit_and_show(world: bp.World) -> None:
    """Run the installed command, which must say nothing on stderr and draw every picture."""
    world.frame.to_csv("votes.csv", index=False)
    columns = ["--user", "user", "--choice", "choice"]
    short = ["--draws", "50", "--warmup", "50", "--thin", "1", "--chains", "2"]
    fitted = called("fit", "votes.csv", *columns, "--out", "run", *short)
    shown = called("show", "run")
    # What fit prints of the population, show prints again.
    if not any(line in shown for line in fitted.splitlines() if "% of users" in line):
        sys.exit(f"show says something else than fit:\n{fitted}\n{shown}")
    expect_pictures(Path("run"), 5)
    if '"converged"' not in called("show", "run", "--json"):
        sys.exit("show prints no JSON")
    called("diagnose", "run", "--out", "verdicts")
    called("recommend", "run", "--n", "3")
    called("export", "run", "weights", "--wide", "--out", "wide.csv")
    if len(pd.read_csv("wide.csv")) != world.comparisons.n_users:
        sys.exit("the exported table has not one row a user")


def called(*words: str) -> str:
    """Return what a subcommand prints."""
    done = subprocess.run([COMMAND, *words], capture_output=True, text=True, check=False)
    # Lines that say how far a long step is are all that may stand on stderr.
    said = [line for line in done.stderr.splitlines() if " s so far" not in line]
    if done.returncode or said:
        sys.exit(f"bayes-pref {' '.join(words)}: status {done.returncode}\n{done.stderr}")
    return done.stdout


def expect_pictures(folder: Path, least: int) -> None:
    """Expect pictures in a folder, at least so many, and none of them blank."""
    pictures = sorted(folder.rglob("*.png"))
    blank = [str(path) for path in pictures if image.imread(path)[..., :3].std() < 0.02]
    if len(pictures) < least or blank:
        sys.exit(f"{folder} has {len(pictures)} pictures of {least}; blank are {blank}")


if __name__ == "__main__":
    main()
