"""Convergence checks: thresholds, findings, and what to do about them.

R-hat and effective sample sizes follow Vehtari et al. (2021), E-BFMI Betancourt (2016), and the
Pareto k of an approximation Vehtari et al. (2024).

Of thousands of parameters that have converged, some R-hat exceeds 1.01 by chance: with S effective
draws in m half-chains, (R-hat^2 - 1) S (m - 1) / m is about chi-squared with m - 1 degrees of
freedom. Where S suffices, an R-hat therefore fails only if the largest of so many would be above it
with a probability of 1 %, or if it is above 1.05.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import chi2

from bayes_pref.convergence.finding import Finding, engine_call
from bayes_pref.convergence.statistics import chain_statistics, energy_fraction
from bayes_pref.draws import parameters
from bayes_pref.errors import ConvergenceWarning
from bayes_pref.messages import callers_level
from bayes_pref.types import FloatArray, Mask

RHAT = 1.01
RHAT_IN_ANY_CASE = 1.05
ESS = 400.0
BFMI = 0.3
PARETO_K = 0.7


def check(
    draws: xr.Dataset,
    sample_stats: xr.Dataset,
    *,
    engine: str = "",
    settings: Mapping[str, Any] | None = None,
    complete: bool = True,
    steps: int | None = None,
    pareto_k: float | None = None,
) -> tuple[Finding, ...]:
    """Check the convergence of draws.

    Parameters
    ----------
    draws
        Variables with dimensions ``chain``, ``draw`` and their own.
    sample_stats
        Statistics of the sampler (chain, draw); ``diverging`` and ``energy`` are used if present.
    engine, settings
        Name and settings of the engine, of which ``warmup`` and ``thin`` are used: for advice that
        can be copied.
    complete
        False if the run was interrupted.
    steps
        Steps of optimisation before the draws of an approximation.
    pareto_k
        Of an approximation. Its draws are independent, so chains are not judged.

    Returns
    -------
    findings: one for each check that fails, with its worst parameter; empty if none fails

        Parameters that never vary, such as a weight fixed by the model, are left out, unless no
        parameter varies.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> tau = np.random.default_rng(0).normal(size=(4, 1000, 1))
    >>> tau[3] += 2.0  # one chain has another mean
    >>> draws = xr.Dataset({"tau": (("chain", "draw", "feature"), tau)}, {"feature": ["length"]})
    >>> [finding.statistic for finding in check(draws, xr.Dataset())]
    ['rhat', 'ess_bulk', 'ess_tail']
    """
    labels, rhat, bulk, tail, finite = _statistics(draws)
    given = settings or {}
    minutes = given.get("max_minutes") if given.get("until") else None
    length = given.get("warmup"), given.get("thin", 1)
    chains = _Chains(draws.sizes["draw"], engine, *length, minutes)
    interrupted = None if complete else _interrupted(chains.draws, steps)
    found = [interrupted, _not_finite(labels, finite), _stuck(rhat, finite, chains)]
    if pareto_k is None:
        found += [
            _disagreement(
                labels, rhat, _apart(rhat, np.fmin(bulk, tail), draws.sizes["chain"]), chains
            ),
            _few("ess_bulk", "bulk", "the means", labels, bulk, chains),
            _few("ess_tail", "tail", "the intervals", labels, tail, chains),
            _divergences(sample_stats),
            _energy(sample_stats, chains),
        ]
    found.append(_approximation(pareto_k))
    return tuple(finding for finding in found if finding is not None)


class Worst(NamedTuple):
    """The worst convergence statistics of all parameters that vary, and whether all pass."""

    rhat: float
    ess: float
    passes: bool


def worst(draws: xr.Dataset) -> Worst:
    """Find the worst statistics of chains, as `check` judges them.

    Parameters
    ----------
    draws
        Variables with dimensions ``chain``, ``draw`` and their own. Where small ones have too few
        effective draws, larger ones, which take most of the time, are not looked at.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray as xr
    >>> tau = np.random.default_rng(0).normal(size=(4, 1000, 1))
    >>> draws = xr.Dataset({"tau": (("chain", "draw", "feature"), tau)}, {"feature": ["length"]})
    >>> worst(draws).passes
    True
    """
    names = sorted(draws.data_vars, key=lambda name: draws[name].size)
    rhat, ess = np.empty(0), np.empty(0)
    for name in names:
        _, new, bulk, tail, _ = _statistics(draws[[name]])
        rhat, ess = np.append(rhat, new), np.append(ess, np.fmin(bulk, tail))
        if (ess < ESS).any():
            break
    judged = ~np.isnan(rhat)  # infinite where chains are stuck in different places
    if not judged.any():  # that draws are not finite, or never vary, is for `check` to say
        return Worst(1.0, math.inf, passes=True)
    passes = not (_apart(rhat, ess, draws.sizes["chain"]).any() or (ess < ESS).any())
    return Worst(float(rhat[judged].max()), float(np.nanmin(ess[judged])), passes)


def warn(findings: Sequence[Finding]) -> None:
    """Emit a `ConvergenceWarning` for each finding, at the line that called the package.

    Parameters
    ----------
    findings
        As `check` returns them.
    """
    for finding in findings:
        warnings.warn(finding.message, ConvergenceWarning, stacklevel=callers_level())


@dataclass(frozen=True)
class _Chains:
    """Length of the chains and settings of the engine, for advice that can be copied."""

    draws: int
    engine: str
    warmup: int | None
    thin: int
    minutes: float | None = None  # of a run that gets as long as it needs to

    def longer(self, factor: float = 2.0) -> dict[str, Any]:
        """Settings of chains that are longer by this factor at least."""
        if self.minutes is not None:
            return {"until": "converged", "max_minutes": _rounded_up(4 * self.minutes)}
        settings = {"draws": _rounded_up(factor * self.draws)}
        if self.warmup is not None:
            settings["warmup"] = _rounded_up(2.0 * max(self.warmup, 250))
        if self.thin > 1:  # without it, the advised chains would have fewer sweeps
            settings["thin"] = self.thin
        return settings

    def advice(self, settings: Mapping[str, Any]) -> str:
        """Advise chains with these settings."""
        if self.minutes is not None:
            return f"give it more time, for example {engine_call(self.engine, settings)}"
        if not self.engine:
            return f"draw longer chains, {settings['draws']:,} draws each"
        return f"draw longer chains, for example {engine_call(self.engine, settings)}"


def _rounded_up(number: float) -> int:
    """Round up to one digit and a half: 1000, 1500, 2000, 2500, 3000, ..."""
    step = 10 ** math.floor(math.log10(number)) / 2
    return int(math.ceil(number / step) * step)


def _statistics(
    draws: xr.Dataset,
) -> tuple[list[str], FloatArray, FloatArray, FloatArray, Mask]:
    """Labels, R-hat, bulk and tail ESS of every parameter, and whether its draws are finite."""
    labels: list[str] = []
    numbers: list[FloatArray] = []
    for name, variable in draws.data_vars.items():
        found, values = parameters(variable.rename(name))
        labels += found
        finite = np.isfinite(values).all(axis=(0, 1))
        numbers.append(np.stack([*chain_statistics(values), finite]))
    rhat, bulk, tail, finite = np.concatenate(numbers, axis=1)
    return labels, rhat, bulk, tail, finite.astype(bool)


def _interrupted(draws: int, steps: int | None) -> Finding:
    kept = f"{draws:,} draws a chain" if steps is None else f"{steps:,} steps"
    return Finding(
        "incomplete",
        "",
        float(draws),
        math.inf,  # not nan, which is not equal to itself after loading
        0,
        f"the run was interrupted after {kept}: run it again, to the end, "
        "before you rely on intervals",
    )


def _not_finite(labels: list[str], finite: Mask) -> Finding | None:
    bad = np.flatnonzero(~finite)
    if not bad.size:
        return None
    return Finding(
        "finite",
        labels[bad[0]],
        float(len(bad)),
        0.0,
        len(bad),
        f"{labels[bad[0]]}: draws are not finite ({len(bad):,} of {len(labels):,} parameters): "
        "rescale the features, or use tighter priors",
    )


def _stuck(rhat: FloatArray, finite: Mask, chains: _Chains) -> Finding | None:
    if not rhat.size or not finite.all() or not np.isnan(rhat).all() or chains.draws < 4:
        return None
    return Finding(
        "stuck",
        "",
        float(len(rhat)),
        0.0,
        len(rhat),
        "no parameter ever changed: the sampler is stuck; try another seed or another engine",
    )


def _apart(rhat: FloatArray, ess: FloatArray, chains: int) -> Mask:
    """Whether each R-hat is above its threshold by more than chance explains."""
    halves = 2 * chains
    chance = chi2.isf(0.01 / max(1, np.isfinite(rhat).sum()), halves - 1) / (halves - 1)
    limit = np.sqrt(1.0 + halves / np.maximum(ess, ESS) * chance)
    limit = np.where(ess >= ESS, np.clip(limit, RHAT, RHAT_IN_ANY_CASE), RHAT)
    return np.asarray(rhat > limit)


def _disagreement(
    labels: list[str], rhat: FloatArray, apart: Mask, chains: _Chains
) -> Finding | None:
    bad = np.flatnonzero(apart)
    if not bad.size:
        return None
    worst = bad[rhat[bad].argmax()]
    settings = chains.longer()
    return Finding(
        "rhat",
        labels[worst],
        float(rhat[worst]),
        RHAT,
        len(bad),
        f"{labels[worst]}: R-hat {rhat[worst]:.3f}, above {RHAT:g} ({_share(bad, rhat)}): the "
        f"chains disagree; {chains.advice(settings)}",
        settings,
    )


def _few(
    statistic: str, name: str, use: str, labels: list[str], ess: FloatArray, chains: _Chains
) -> Finding | None:
    """Return the finding of a statistic whose effective sample size is too small, if it is."""
    bad = np.flatnonzero(ess < ESS)
    if not bad.size:
        return None
    worst = bad[ess[bad].argmin()]
    # 25 % more than needed, because an estimate below the threshold is itself uncertain.
    factor = max(2.0, 1.25 * ESS / ess[worst])
    settings = chains.longer(min(factor, 10.0))
    return Finding(
        statistic,
        labels[worst],
        float(ess[worst]),
        ESS,
        len(bad),
        f"{labels[worst]}: {name} effective sample size {ess[worst]:.0f}, below {ESS:g} "
        f"({_share(bad, ess)}): {use} are noisy; {chains.advice(settings)}",
        settings,
    )


def _share(bad: NDArray[np.intp], statistic: FloatArray) -> str:
    count = int(np.isfinite(statistic).sum() + np.isinf(statistic).sum())
    constant = len(statistic) - count
    apart = f"; {constant:,} never vary and are left out" if constant else ""
    return f"{len(bad):,} of {count:,} parameters{apart}"


def _divergences(sample_stats: xr.Dataset) -> Finding | None:
    if "diverging" not in sample_stats:
        return None
    diverging = sample_stats["diverging"].to_numpy().astype(bool)
    count = int(diverging.sum())
    if not count:
        return None
    return Finding(
        "divergences",
        "",
        float(count),
        0.0,
        count,
        f"{count:,} of {diverging.size:,} draws diverged: parts of the posterior are missed; "
        "take smaller steps, for example NUTS(target_accept=0.95), or use tighter priors",
    )


def _energy(sample_stats: xr.Dataset, chains: _Chains) -> Finding | None:
    if "energy" not in sample_stats:
        return None
    energy = sample_stats["energy"].transpose("chain", "draw").to_numpy()
    fraction = energy_fraction(energy)
    bad = np.flatnonzero(fraction < BFMI)
    if not bad.size:
        return None
    worst = int(fraction.argmin())
    settings = chains.longer()
    return Finding(
        "bfmi",
        f"chain {worst}",
        float(fraction[worst]),
        BFMI,
        len(bad),
        f"chain {worst}: E-BFMI {fraction[worst]:.2f}, below {BFMI:g} ({len(bad)} of "
        f"{len(fraction)} chains): the tails are explored slowly; {chains.advice(settings)}",
        settings,
    )


def _approximation(pareto_k: float | None) -> Finding | None:
    if pareto_k is None or pareto_k <= PARETO_K:
        return None
    return Finding(
        "pareto_k",
        "",
        float(pareto_k),
        PARETO_K,
        1,
        f"Pareto k {pareto_k:.2f}, above {PARETO_K:g}: the approximation is too far from the "
        "posterior; use Gibbs or NUTS, or a richer guide",
    )
