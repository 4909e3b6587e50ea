"""Latent positivity: whether all combinations of features occur.

Only pairs in which two attributes favour different sides tell their weights apart; their share is
1/2 - arcsin(rho) / pi for normal differences of correlation rho. A share practically below the
bound, an attribute that never differs, and items that were never compared, even by way of others,
are no support for what a model will be asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import networkx as nx
import numpy as np
import pandas as pd
from scipy.special import betainc

from bayes_pref.assumptions.audit_data import AuditData
from bayes_pref.assumptions.check import SUPPORT, Check, named, unmade
from bayes_pref.assumptions.overlap_checks import regions_of
from bayes_pref.types import FloatArray

PAIRS, CORNERS = "informative pairs", "empty corners"
INFORMATIVE = 0.12  # share of opposite signs below which two attributes are hardly told apart
EMPTY = 0.1  # share of a corner, relative to independence, below which it is empty
_MOST_ATTRIBUTES = 30
_CORNER = 0.2  # share of tasks in which a number is low, and in which it is high
_FEWEST = 30  # pairs in which both attributes differ


def informative_check(data: AuditData) -> Check:
    """Look for attributes that never differ, or always in the same way as another one."""
    comparisons = data.comparisons
    features = comparisons.features
    constant = [name for name in comparisons.constant if name in features.attributes]
    parts = _components(data)
    values, names = _attributes(data)
    found = _opposite(values, names, _same_coding(data, names))
    probability = float(found["probability"].max()) if len(found) else 0.0
    worst = found.iloc[:3] if len(found) else found
    problems = [
        f"{a!r} and {b!r} go together in all but {100 * share:.0f} % of pairs"
        for a, b, share, p in zip(
            worst["first"], worst["second"], worst["informative"], worst["probability"], strict=True
        )
        if p > 0.99
    ]
    if constant:
        problems.insert(0, f"{named([repr(name) for name in constant])} never differs")
        probability = 1.0
    if parts > 1:
        problems.insert(0, f"items form {parts} groups that were never compared with one another")
        probability = 1.0
    if not len(found) and not problems:
        if len(names) > 1:
            return unmade(
                PAIRS, SUPPORT, "Hardly any pair differs in two attributes.",
                "show pairs that differ in several attributes",
            )  # fmt: skip
        share, clear = np.nan, "There is one attribute, and none that it could go along with."
        if features.items:
            clear = "All items are compared with one another, directly or by way of others."
    else:
        share = float(found["informative"].min()) if len(found) else np.nan
        clear = _told_apart(found)
    return Check(
        name=PAIRS,
        assumption=SUPPORT,
        null=f"every two attributes part in at least {100 * INFORMATIVE:.0f} % of pairs: they do "
        "not always favour the same side, or always different sides",
        statistic="smallest share of pairs in which two attributes part",
        value=share,
        probability=probability,
        found=f"Not all is told apart: {named(problems)}.",
        clear=clear,
        remedy="show pairs in which these go in different directions",
        detail=found,
    )


def _told_apart(found: pd.DataFrame) -> str:
    if not len(found):
        return "No two attributes go together."
    least = found.iloc[found["informative"].argmin()]
    return (
        f"Every two attributes are told apart: least {least['first']!r} and {least['second']!r}, "
        f"which part in {100 * least['informative']:.0f} % of pairs."
    )


def _attributes(data: AuditData) -> tuple[FloatArray, list[str]]:
    """Differences of attributes that are no items, at most some, those that vary most."""
    comparisons = data.comparisons
    items = set(comparisons.features.items)
    names = comparisons.features.attributes
    scale = comparisons.feature_scale
    used = [
        k for k, name in enumerate(names) if name not in items and name not in comparisons.constant
    ]
    used = sorted(sorted(used, key=lambda k: -scale[k])[:_MOST_ATTRIBUTES])
    return comparisons.difference[:, used], [names[k] for k in used]


def _same_coding(data: AuditData, names: Sequence[str]) -> np.ndarray:
    """(k, k) whether two features belong to one attribute with levels."""
    codings = data.comparisons.features.codings
    owner = {column: coding.name for coding in codings for column in coding.columns}
    of = [owner.get(name, k) for k, name in enumerate(names)]
    return np.array([[a == b for b in of] for a in of], dtype=bool).reshape(len(of), len(of))


def _opposite(values: FloatArray, names: Sequence[str], together: np.ndarray) -> pd.DataFrame:
    """Share of opposite signs of each two attributes, and the probability that it is too small."""
    sign = np.sign(values)
    both = np.abs(sign).T @ np.abs(sign)
    against = (both - sign.T @ sign) / 2.0
    first, second = np.nonzero(np.triu(~together, 1) & (both >= _FEWEST))
    n, k = both[first, second], against[first, second]
    # Of attributes that go against each other, those that favour the same side are informative.
    least = np.minimum(k, n - k)
    frame = pd.DataFrame(
        {
            "first": [names[j] for j in first.tolist()],
            "second": [names[j] for j in second.tolist()],
            "differ in both": n.astype(int),
            "opposite": k / n,
            "informative": least / n,
            "probability": betainc(least + 0.5, n - least + 0.5, INFORMATIVE),
        }
    )
    return frame.sort_values("informative", kind="stable").reset_index(drop=True)


def _components(data: AuditData) -> int:
    """Number of groups of items between which nothing was compared."""
    items = data.comparisons.features.items
    if not items:
        return 1
    # A row's items have nonzero differences; which, follows from two columns a row at most.
    difference = data.comparisons.difference[:, : len(items)]
    rows, columns = np.nonzero(difference)
    graph: nx.Graph[int] = nx.Graph()
    graph.add_nodes_from(np.unique(columns).tolist())
    starts = np.flatnonzero(np.diff(rows, prepend=-1))
    several = starts[np.diff(np.append(starts, len(rows))) > 1]
    graph.add_edges_from(
        np.unique(np.column_stack([columns[several], columns[several + 1]]), axis=0).tolist()
    )
    return int(nx.number_connected_components(graph))


def corners_check(data: AuditData) -> Check:
    """Look for combinations of what is shown that never occur: of levels, and with contexts."""
    shown = data.shown
    values = np.hstack([shown.context, shown.level, shown.spread[:, : data.attributes.shape[1]]])
    names = (
        *shown.context_names, *shown.level_names, *shown.spread_names[: data.attributes.shape[1]]
    )  # fmt: skip
    regions = regions_of(values, names, outer=_CORNER)
    column = regions.column
    pairs = np.triu(column[:, None] != column[None], 1)
    # Sizes of two differences are judged by their signs, in the other check.
    differ = column >= shown.context.shape[1] + shown.level.shape[1]
    pairs &= ~(differ[:, None] & differ[None])
    if not pairs.any():
        return unmade(
            CORNERS, SUPPORT, "Fewer than two columns say what is shown, apart from differences.",
            "record contexts, and attributes of both sides instead of their differences",
        )  # fmt: skip
    inside = regions.inside.astype(float)
    n = len(inside)
    hits = inside.T @ inside
    share = inside.mean(axis=0)
    expected = np.outer(share, share)
    first, second = np.nonzero(pairs)
    h, e = hits[first, second], expected[first, second]
    fails = betainc(h + 0.5, n - h + 0.5, EMPTY * e)
    order = np.argsort(-fails + h / n, kind="stable")
    detail = pd.DataFrame(
        {
            "first": [regions.names[j] for j in first],
            "second": [regions.names[j] for j in second],
            "tasks": h.astype(int),
            "if independent": n * e,
            "probability": fails,
        }
    ).iloc[order]
    empty = [
        f"{a} with {b} ({count:,} of {n:,} tasks)"
        for a, b, count, p in zip(
            detail["first"], detail["second"], detail["tasks"], detail["probability"], strict=True
        )
        if p > 0.99
    ]
    return Check(
        name=CORNERS,
        assumption=SUPPORT,
        null=f"every two regions occur together at {EMPTY:g} of their rate if independent or more",
        statistic="smallest number of tasks in a corner, relative to independence",
        value=float((h / np.maximum(n * e, 1e-12)).min()),
        probability=float(1.0 - min(1.0, (1.0 - fails.max()) * len(fails))),
        found=f"Empty corners: {named(empty or [detail['first'].iloc[0]])}.",
        clear="Every two regions of what is shown occur together.",
        remedy="show tasks in these corners",
        detail=detail,
    )
