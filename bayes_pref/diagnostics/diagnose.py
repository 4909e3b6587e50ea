"""`diagnose`: from a posterior to a verdict on each comparison.

The questions are those of Kobalczyk & van der Schaar (2025, arXiv 2506.05967): is it unrelated to
users' preferences which pairs they see (unconfoundedness), could every user have seen the pair
(overlap), and do the pairs separate what they differ in (latent positivity)?
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.assumptions.causal_graph import CausalGraph, expect_graph
from bayes_pref.diagnostics.answering import AnsweringAssessment
from bayes_pref.diagnostics.assessment import Assessed, Assessment, Settings
from bayes_pref.diagnostics.confounding.confounding_assessment import ConfoundingAssessment
from bayes_pref.diagnostics.evidence import Evidence, Texts, joined
from bayes_pref.diagnostics.false_discoveries import (
    called_within,
    expected_fdr,
    note_on_rate,
)
from bayes_pref.diagnostics.graph_notes import notes_on_graph
from bayes_pref.diagnostics.identifiability.borrowing import BorrowingAssessment
from bayes_pref.diagnostics.identifiability.identifiability_assessment import (
    IdentifiabilityAssessment,
)
from bayes_pref.diagnostics.overlap.overlap_assessment import OverlapAssessment
from bayes_pref.diagnostics.preference import PreferenceAssessment
from bayes_pref.diagnostics.prompts import Prompts, read_prompts
from bayes_pref.diagnostics.query import Candidates, Query, read_query
from bayes_pref.diagnostics.report import Report
from bayes_pref.diagnostics.sensitivity.sensitivity_assessment import SensitivityAssessment
from bayes_pref.diagnostics.thresholds import DEFAULT_THRESHOLDS, Thresholds
from bayes_pref.diagnostics.verdicts import REGISTRY, VERDICTS, Verdict, decide, explain
from bayes_pref.errors import ModelError
from bayes_pref.inference.engine import Engine
from bayes_pref.messages import closest, listed, shown
from bayes_pref.posterior import Posterior

_ASSESSMENTS: tuple[Assessment, ...] = (
    PreferenceAssessment(),
    ConfoundingAssessment(),
    IdentifiabilityAssessment(),
    BorrowingAssessment(),
    OverlapAssessment(),
    AnsweringAssessment(),
    SensitivityAssessment(),
)
ASSESSMENTS: tuple[str, ...] = tuple(assessment.name for assessment in _ASSESSMENTS)

Entry = TypeVar("Entry", Assessment, Verdict)


@settings.keywords({"threshold": "thresholds=bp.Thresholds(shift=...)"})
def diagnose(
    posterior: Posterior,
    comparisons: Candidates = None,
    *,
    prompts: Prompts | None = None,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
    interval: float = 0.9,
    seed: int = 0,
    progress: bool = True,
    engine: Engine | None = None,
    verdicts: Sequence[str | Verdict] = VERDICTS,
    assessments: Sequence[str | Assessment] = ASSESSMENTS,
    fdr: float | None = None,
    graph: CausalGraph | None = None,
) -> Report:
    """Give a verdict on each comparison: what the data can and cannot tell about it.

    A pair is one row of the report. Of a choice among several every alternative of the set shown is
    one, compared with the mean of the others; its probabilities are those of choosing it from the
    set, of the first choice where a ranking or the best and the worst were asked for. Rewards are
    stated in log-odds; with the probit link, a unit counts as 4 phi(0) = 1.596 of them, so that
    thresholds mean the same change of a probability near one half.

    Confounding is assessed in a fit in which users' weights may depend on the contexts that they
    see. Where the posterior is no such fit and there are contexts, one is made; it is kept as
    `Report.exposure_posterior`. Without contexts `p_do` is what all users would choose by the
    posterior, and the rest is unknown, unless some comparisons were assigned at random: the others
    are then compared with these, in a fit in which they may be biased.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    comparisons
        None: those that were fitted. Others, answered or not, may be given as `Comparisons` or as a
        table with the attributes' differences (left minus right), the contexts and the user column
        of the fitted ones; of items, the columns ``left`` and ``right`` may name them instead of
        attributes. After choices among several the table has one row an alternative: the id of
        its task in the column ``task``, its own attributes or its ``item``, and its label in
        ``alternative``, if it is to have one. Users without fitted comparisons are new users;
        without a user column all are.
    prompts
        Features of the prompts for the overlap, such as their whole embeddings, instead of the
        contexts: numbers, one row a fitted comparison in the order of `posterior.comparisons.rows`,
        or a frame indexed by these labels; of choices among several, one row a task. With
        `comparisons` a pair of them: for the fitted comparisons, and for these.
    thresholds
        Numbers from which the verdicts hold.
    interval
        Probability inside the intervals.
    seed
        Random seed of the fits that may be made, the bootstrap and the permutations.
    progress
        Whether to show the progress of such a fit.
    engine
        How to draw from the posterior of such a fit, as in `bayes_pref.fit`: longer chains, where a
        note says that those of this fit are too short. None: `Gibbs`, with as many draws as the
        shifts need.
    verdicts
        The verdicts that can be given, in order of precedence: names of those of
        `bayes_pref.VERDICTS`, or further `bayes_pref.Verdict`.
    assessments
        The assessments to make: names of those of `bayes_pref.ASSESSMENTS`, or further
        `bayes_pref.Assessment`.
    fdr
        Expected share of false ones among the comparisons called confounded, such as 0.05: the
        largest such set is called so, instead of all with probability above
        ``thresholds.certainty``. Either way `Report.expected_fdr` has the share that is expected.
    graph
        What causes what, and what was assigned at random, as in `bayes_pref.audit`: the notes then
        say what it means for p_do. None: nothing is declared.

    Returns
    -------
    Report

    Raises
    ------
    DataError
        If `comparisons` lack a column, or hold what is not a number, or `prompts` or the `graph` do
        not fit them.
    ModelError
        If `posterior` is no posterior.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> report = bp.diagnose(posterior, progress=False)
    >>> report.comparisons[["user", "verdict"]].shape
    (300, 2)
    """
    if not isinstance(posterior, Posterior):
        raise ModelError(
            f"posterior: got {type(posterior).__name__} but expected a Posterior, "
            "as bp.fit returns it"
        )
    chosen = _entries("verdicts", verdicts, REGISTRY, Verdict)
    asked = _entries("assessments", assessments, _ASSESSMENTS, Assessment)
    fdr = settings.argument("fdr", fdr, settings.optional(settings.fraction))
    if graph is not None:
        expect_graph(graph, posterior.comparisons)
    query = read_query(posterior, comparisons)
    features = None
    if prompts is not None:
        same = comparisons is None
        features = read_prompts(prompts, posterior.comparisons, query, same=same)
    asking = Settings(
        thresholds=thresholds,
        interval=interval,
        seed=seed,
        progress=progress,
        prompts=features,
        engine=engine,
    )
    found = [_assess(assessment, posterior, query, asking) for assessment in asked]
    given = [part.columns for part in found]
    further = [part.evidence for part in found if part.evidence is not None]
    keys = query.keys()
    table = pd.concat([keys, *given, *further], axis=1)
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise ModelError(f"two assessments returned the column {twice[0]!r}; rename one of them")
    results = _merged(part.results for part in found)
    tests = [results.get(name) for name in ("permutation_p", "randomised_p")]
    table = called_within(table, tests, thresholds, fdr)
    evidence = Evidence(table, thresholds, interval, query.wording)
    verdict = decide(evidence, chosen)
    sentence = joined(explain(evidence, verdict, chosen), *(_beside(part) for part in found))
    rate: tuple[str, ...] = ()
    if "permutation_p" in results:
        p = table["p_confounded"].to_numpy(dtype=np.float64)
        results["expected_fdr"] = expected_fdr(p, verdict == "confounded")
        rate = note_on_rate(results["expected_fdr"], fdr)
    declared = notes_on_graph(graph, results.get("permutation_p"))
    return Report(
        comparisons=pd.concat([keys, *given], axis=1).assign(verdict=verdict, sentence=sentence),
        users=_users(query, found, verdict, [each.name for each in chosen]),
        notes=(*(note for part in found for note in part.notes), *rate, *declared),
        tables=_merged(part.tables for part in found),
        results=results,
        figures=_merged(part.figures for part in found),
        verdicts=tuple(chosen),
        thresholds=thresholds,
        interval=interval,
        posterior=posterior,
        query=query,
        seed=seed,
    )


def _entries(
    argument: str, given: Sequence[str | Entry], registry: Sequence[Entry], base: Any
) -> list[Entry]:
    """Look up the names among verdicts or assessments, and validate what is given instead."""
    if isinstance(given, str) or not isinstance(given, Sequence) or not given:
        raise ModelError(f"{argument}: expected names or bp.{base.__name__}, got {shown(given)}")
    known = {entry.name: entry for entry in registry}
    found: list[Entry] = []
    for each in given:
        entry = known.get(each) if isinstance(each, str) else each
        if not isinstance(entry, base):
            raise ModelError(
                f"{argument}: got {shown(each)}, which is no bp.{base.__name__} and none of "
                f"{listed(known, limit=len(known), last='or')}{closest(each, known)}"
            )
        found.append(entry)
    names = [entry.name for entry in found]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ModelError(f"{argument}: {twice[0]!r} is given twice")
    return found


def _assess(
    assessment: Assessment, posterior: Posterior, query: Query, settings: Settings
) -> Assessed:
    """Make an assessment, or note why it cannot be made."""
    reason = assessment.unsupported(posterior)
    found = assessment.without(query) if reason else assessment.run(posterior, query, settings)
    notes = (f"{reason[0].upper()}{reason[1:].removesuffix('.')}.",) if reason else found.notes
    frames = [found.columns, *([] if found.evidence is None else [found.evidence])]
    for frame in frames:
        if len(frame) != len(query):
            raise ModelError(
                f"the assessment {assessment.name!r} returned {len(frame):,} rows for "
                f"{len(query):,} comparisons"
            )
    columns, *further = (frame.reset_index(drop=True) for frame in frames)
    return replace(found, columns=columns, evidence=next(iter(further), None), notes=notes)


def _beside(found: Assessed) -> Texts:
    """Return what stands after the sentences of the verdicts, (n,)."""
    if found.remarks is None:
        return np.full(len(found.columns), "", dtype=object)
    return np.where(found.remarks == "", "", joined(" ", found.remarks))


def _users(
    query: Query, found: Sequence[Assessed], verdict: Texts, names: Sequence[str]
) -> pd.DataFrame:
    """Return one row a user: comparisons, columns of the assessments, number of each verdict."""
    frame = pd.DataFrame({"user": query.labels, "verdict": verdict})
    users = pd.DataFrame({"comparisons": frame.groupby("user", sort=False).size()})
    for part in found:
        users = users if part.users is None else users.join(part.users)
    counts = pd.crosstab(frame["user"], frame["verdict"]).reindex(users.index)
    given = [name for name in names if name in counts]
    return users.join(counts[given]).rename_axis("user").reset_index()


def _merged(results: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the results of all assessments by name."""
    return {name: result for part in results for name, result in part.items()}
