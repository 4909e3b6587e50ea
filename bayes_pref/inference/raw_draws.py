"""What an engine returns: draws by site, statistics of the sampler, and how the run ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bayes_pref.convergence.finding import Finding
from bayes_pref.data import Comparisons
from bayes_pref.posterior.run import ElboRecord
from bayes_pref.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class RawSummary:
    """What is kept of users' weights where their draws are not, per raw unit.

    Attributes
    ----------
    mean, sd
        (n_users, d) over all draws of all chains.
    draws
        How many draws they are of.
    effective
        (n_users,) effective sample size of a user's means, as far as chains tell.
    """

    mean: FloatArray
    sd: FloatArray
    draws: int
    effective: FloatArray


@dataclass(frozen=True, eq=False)
class RawDraws:
    """Draws of an engine, in raw units, before `fit` labels and checks them.

    Attributes
    ----------
    sites
        Site -> draws (chain, draw, ...), in the dimensions that the model's `variables` names.
    stats
        Name -> statistics of the sampler (chain, draw), named as ArviZ names them.
    complete
        False if the run was interrupted and holds fewer draws than the settings ask for.
    exact
        Whether the chains converge to the posterior; False for an approximation.
    joint
        Whether the draws have the posterior's correlations between parameters; False where the
        engine takes the parameters for independent.
    pareto_k
        Pareto k of the importance weights of an approximation; None for an exact engine.
    pareto_k_of
        Which parameters the importance weights are of, such as "the population".
    elbo
        Course of the ELBO of a variational fit; None for other engines.
    findings
        What the engine itself found wrong.
    comparisons
        Data on learned features, where the engine trained them; None: the data given.
    kept_users
        Positions of the users whom the site "weights" is of; there is then a site "average", of the
        mean over all users. None: everybody.
    users
        Of such a run once it has ended, the summary of all users' weights.
    settings
        Of the engine, those that the run itself decided: ``draws``, ``warmup`` and ``thin`` of
        one that grew until it had converged, and ``blocks``.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=10, seed=0)
    >>> engine = bp.Gibbs(draws=50, chains=2, progress=False)
    >>> drawn = engine.prepare(bp.PooledReward(), world.comparisons).run(seed=1)
    >>> drawn.sites["mu"].shape[:2], drawn.exact, drawn.complete
    ((2, 50), True, True)
    """

    sites: dict[str, FloatArray]
    stats: dict[str, FloatArray]
    complete: bool = True
    exact: bool = True
    joint: bool = True
    pareto_k: float | None = None
    pareto_k_of: str | None = None
    elbo: ElboRecord | None = None
    findings: tuple[Finding, ...] = ()
    comparisons: Comparisons | None = None
    kept_users: IntArray | None = None
    users: RawSummary | None = None
    settings: Mapping[str, int] = field(default_factory=dict)
