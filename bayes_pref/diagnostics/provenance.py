"""How a report was made: data, model, engine, seeds, thresholds, version and date."""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime
from importlib import import_module

from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.repr import headlines


def provenance(
    posterior: Posterior, thresholds: Thresholds, interval: float, seed: int
) -> list[tuple[str, str]]:
    """Return names and what is said of each, in reading order.

    Parameters
    ----------
    posterior
        What was diagnosed.
    thresholds, interval, seed
        Of the diagnosis.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> [name for name, _ in provenance(posterior, Thresholds(), 0.9, seed=0)][:4]
    ['data', 'features', 'contexts', 'model']
    """
    data, *others = headlines(posterior)
    comparisons = posterior.comparisons
    limits = ", ".join(
        f"{each.name} {getattr(thresholds, each.name):g}" for each in fields(thresholds)
    )
    return [
        data,
        ("features", ", ".join(map(str, comparisons.feature_names))),
        ("contexts", ", ".join(map(str, comparisons.features.contexts)) or "none"),
        *others,
        *[("check that failed", finding.message) for finding in posterior.findings],
        ("diagnosis", f"{100 * interval:g} % intervals, seed {seed}"),
        ("thresholds", limits),
        ("software", f"bayes_pref {import_module('bayes_pref').__version__}"),
        ("written", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"),
    ]
