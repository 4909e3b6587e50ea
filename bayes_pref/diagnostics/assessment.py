"""Assessments: questions asked of every comparison, whose answers the verdicts rest on.

An assessment says why it cannot be made of a posterior, or makes it: it returns columns of the
report, further evidence for the verdicts, remarks that stand beside a verdict, tables and figures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.diagnostics.evidence import Texts
from bayes_pref.diagnostics.prompts import PromptFeatures
from bayes_pref.diagnostics.query import Query
from bayes_pref.diagnostics.report import Panel
from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS, Thresholds
from bayes_pref.errors import ModelError
from bayes_pref.inference.engine import Engine
from bayes_pref.posterior import Posterior


@dataclass(frozen=True, eq=False, kw_only=True)
class Settings:
    """Arguments of `bayes_pref.diagnose` that every assessment gets.

    Attributes
    ----------
    thresholds
        Thresholds of the verdicts.
    interval
        Probability inside the intervals.
    seed
        Random seed of fits, bootstraps and permutations.
    progress
        Whether to show the progress of fits.
    prompts
        Features of the prompts; None: the contexts describe them.
    engine
        How to draw from the posterior of a fit that is made; None: the assessment decides.
    """

    thresholds: Thresholds = DEFAULT_THRESHOLDS
    interval: float = 0.9
    seed: int = 0
    progress: bool = True
    prompts: PromptFeatures | None = None
    engine: Engine | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        if not isinstance(self.thresholds, Thresholds):
            raise ModelError(
                f"thresholds: got {type(self.thresholds).__name__} but expected bp.Thresholds(...)"
            )
        if self.engine is not None and not isinstance(self.engine, Engine):
            raise ModelError(
                f"engine: got {type(self.engine).__name__} but expected bp.Gibbs(...), "
                "bp.NUTS(...) or bp.SVI(...)"
            )
        settings.interval(self.interval)
        settings.seed(self.seed)


@dataclass(frozen=True, eq=False, kw_only=True)
class Assessed:
    """What an assessment found.

    Parameters
    ----------
    columns
        Columns of `Report.comparisons`: n rows, in the order of the query.
    evidence
        Further columns (n rows) that verdicts and sentences read and the report does not show.
    remarks
        (n,) sentences to stand beside the verdict; empty where there is nothing to say. None: no
        remarks.
    users
        Columns of `Report.users`, indexed by the users' labels.
    tables
        Tables of the report by name, each exported as a CSV file.
    results
        Further results by name.
    notes
        Sentences on limits and on what was done.
    figures
        Functions by name that draw a report into matplotlib Axes.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> found = bp.Assessed(columns=pd.DataFrame({"size": [0.5, 2.0]}), notes=("Absolute sizes.",))
    >>> found.columns["size"].tolist()
    [0.5, 2.0]
    """

    columns: pd.DataFrame
    evidence: pd.DataFrame | None = None
    remarks: Texts | None = None
    users: pd.DataFrame | None = None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    results: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    figures: Mapping[str, Panel] = field(default_factory=dict)


class Assessment(ABC):
    """A question asked of every comparison.

    Attributes
    ----------
    name
        What `bayes_pref.diagnose` knows it by.
    columns
        Names of its columns of `Report.comparisons`.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> class Size(bp.Assessment):
    ...     name = "size"
    ...     columns = ("size",)
    ...
    ...     def unsupported(self, posterior):
    ...         return None
    ...
    ...     def run(self, posterior, query, settings):
    ...         size = np.abs(query.difference).sum(axis=1)
    ...         return bp.Assessed(columns=pd.DataFrame({"size": size}))
    >>> world = bp.simulate(users=5, contexts=0, seed=0)
    >>> posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    >>> report = bp.diagnose(posterior, assessments=(*bp.ASSESSMENTS, Size()))
    >>> bool((report.comparisons["size"] > 0).all())
    True
    """

    name: ClassVar[str]
    columns: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def unsupported(self, posterior: Posterior) -> str | None:
        """Say why the assessment cannot be made of a posterior; None if it can."""

    @abstractmethod
    def run(self, posterior: Posterior, query: Query, settings: Settings) -> Assessed:
        """Assess the comparisons of a query."""

    def without(self, query: Query) -> Assessed:
        """Return what is reported where the assessment is not supported: NaN in its columns."""
        return Assessed(columns=self.missing(query))

    def missing(self, query: Query) -> pd.DataFrame:
        """Return the columns without numbers."""
        return pd.DataFrame(np.nan, index=range(len(query)), columns=list(self.columns))
