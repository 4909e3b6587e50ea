"""`fit`: the only bridge between models and engines."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from typing import Any, overload

from bayes_pref import settings
from bayes_pref.convergence import checks as convergence
from bayes_pref.data import Comparisons
from bayes_pref.errors import DataWarning, ModelError
from bayes_pref.inference.checked_draws import check_draws
from bayes_pref.inference.engine import Engine, first_prepared
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.inference.labelled_draws import labelled, summarised
from bayes_pref.inference.nuts.nuts import NUTS
from bayes_pref.inference.pyro_tools.pyro_posterior import PyroPosterior
from bayes_pref.inference.runtime.processes import no_threads_of_a_parent
from bayes_pref.inference.svi.svi import SVI
from bayes_pref.inference.users.slow_users import with_slow_users_anew
from bayes_pref.messages import callers_level
from bayes_pref.models.base import RewardModel
from bayes_pref.posterior import Posterior
from bayes_pref.seeding import standard_numpy

_LARGE = 2**31  # bytes of users' draws, above which they are not kept by default
_MOST_FEATURES = 64  # where they are not


@overload
def fit(
    model: RewardModel,
    comparisons: Comparisons,
    engine: Engine | None = None,
    *,
    seed: int = 0,
    start: Posterior | None = None,
) -> Posterior: ...


@overload
def fit(
    model: Callable[[Any], Any], comparisons: Any, engine: Engine | None = None, *, seed: int = 0
) -> PyroPosterior: ...


@settings.keywords()
def fit(
    model: RewardModel | Callable[[Any], Any],
    comparisons: Any,
    engine: Engine | None = None,
    *,
    seed: int = 0,
    start: Posterior | None = None,
) -> Posterior | PyroPosterior:
    """Draw from a model's posterior given comparisons.

    Parameters
    ----------
    model
        Model of users and their choices, such as ``bp.HierarchicalReward()``; or any Pyro model of
        one argument.
    comparisons
        The data: `Comparisons`, or the argument of a Pyro model of your own.
    engine
        How to draw, such as ``bp.Gibbs(draws=2000)``. None: the best that the model allows, which
        is ``bp.Gibbs(until="converged")`` for nearly all of them, `SVI` where a network is to be
        trained, and `NUTS` for the rest. Where all draws of users' weights would take more than 2
        GiB, of Gaussian users with up to 64 features the mean and sd of each are kept instead
        (``users="summary"``), and a warning says so.
    seed
        Makes the draws reproducible, whatever the number of cores and the state of torch, Pyro and
        NumPy. Fits may run in threads: of those that use Pyro, by `NUTS` and `SVI`, one at a time.
    start
        A posterior of the same model, users and features, as before some answers came in. Chains of
        `Gibbs` for logistic choices of Gaussian users whose draws are kept then start at its last
        draws, and need a shorter warm-up; others start as always. None: starts are overdispersed.

    Returns
    -------
    Posterior, or for a Pyro model of your own a `PyroPosterior`, as ``engine.sample(model, data)``.

    Raises
    ------
    ModelError
        If the model cannot describe the data, or the engine cannot run the model.

    Warns
    -----
    ConvergenceWarning
        If the draws may not describe the posterior; says what to do.
    DataWarning
        If there are too many users for their draws to be kept by default.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> engine = bp.Gibbs(progress=False)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine, seed=1)
    >>> list(posterior.draws)
    ['mu', 'tau', 'weights']
    """
    by_default = engine is None
    if engine is not None:
        _expect("engine", engine, Engine, "bp.Gibbs()")
    seed = settings.seed(seed)
    if not isinstance(model, RewardModel):
        if isinstance(model, type) or not callable(model):
            raise _unexpected("model", model, RewardModel, "bp.HierarchicalReward()")
        with no_threads_of_a_parent():
            return (NUTS() if engine is None else engine).sample(model, comparisons, seed=seed)
    _expect("comparisons", comparisons, Comparisons, "bp.Comparisons.from_frame(...)")
    with standard_numpy(), no_threads_of_a_parent():
        model.check(comparisons)
        began = time.perf_counter()
        engines = _by_default(model, comparisons) if engine is None else (engine,)
        engine, program = first_prepared(engines, model, comparisons)
        if start is not None:
            program = program.starting_at(_same_sites(start, model, comparisons).draws)
        drawn = program.run_until(
            seed, lambda so_far: convergence.worst(labelled(model, so_far, comparisons))
        )
        seconds = time.perf_counter() - began
        comparisons = drawn.comparisons or comparisons
        draws = labelled(model, drawn, comparisons)
        stats, run, findings = check_draws(draws, drawn, engine.settings(), seconds)
        draws, users = summarised(drawn, draws, comparisons)
    convergence.warn(findings)
    if users is not None and by_default:
        _say_what_is_kept(comparisons)
    posterior = Posterior(
        model=model,
        comparisons=comparisons,
        draws=draws,
        sample_stats=stats,
        run=run,
        seed=seed,
        findings=findings,
        users=users,
    )
    if drawn.users is None:
        return posterior
    return with_slow_users_anew(posterior, drawn.users.effective, seed)


def _by_default(model: RewardModel, comparisons: Comparisons) -> tuple[Engine, ...]:
    """Engines to try in turn where none is given."""
    gibbs = Gibbs(until="converged")
    several = (gibbs, NUTS(), SVI())
    users, features = comparisons.n_users, comparisons.n_features
    size = 8 * gibbs.chains * gibbs.draws * users * features
    # A summary may be by blocks, which hold the curvature of every user's likelihood: it grows with
    # features squared.
    if size <= _LARGE or features > _MOST_FEATURES:
        return several
    spec = model.spec(comparisons)
    if spec is None or spec.pooled:
        return several
    summary = Gibbs(until="converged", users="summary", chains=2, warmup=100, draws=400)
    return (summary, *several)


def _say_what_is_kept(comparisons: Comparisons) -> None:
    """Warn that the default keeps no draws of users' weights."""
    warnings.warn(
        f"draws of the weights of {comparisons.n_users:,} users for {comparisons.n_features:,} "
        "features would take gigabytes: kept are the mean and sd of every user's weights, and all "
        "draws of the population; bp.draw_users(posterior, users) draws chosen users, and "
        'engine=bp.Gibbs(until="converged") keeps all draws',
        DataWarning,
        stacklevel=callers_level(),
    )


def _same_sites(start: Posterior, model: RewardModel, comparisons: Comparisons) -> Posterior:
    """Return the posterior to start at, or say why its draws are of something else."""
    _expect("start", start, Posterior, "bp.fit(...)")
    known = start.comparisons
    differs = None
    if start.model != model:
        differs = "another model"
    elif not known.users.equals(comparisons.users):
        differs = "other users"
    elif known.feature_names != comparisons.feature_names:
        differs = "other features"
    if differs is not None:
        raise ModelError(f"start: it is the posterior of {differs}; leave start out")
    return start


def _expect(name: str, value: object, expected: type, example: str) -> None:
    if not isinstance(value, expected):
        raise _unexpected(name, value, expected, example)


def _unexpected(name: str, value: object, expected: type, example: str) -> ModelError:
    found = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    return ModelError(f"{name}: got {found} but expected a {expected.__name__}, like {example}")
