"""Which estimates a causal graph identifies, and by which adjustment.

The backdoor criterion for a joint treatment T and an outcome L: a set S of nodes that T does not
affect identifies the effect if it d-separates T from L in the graph without the arrows out of T
(Pearl 1995, Biometrika 82). Within a user, all that is constant for the user is held fixed by the
user's label, whether it was recorded or not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import networkx as nx
import pandas as pd

from bayes_pref.messages import printable
from bayes_pref.reporting import html as pages

TREATMENT, OUTCOME = ("X", "Y", "Y'"), "L"
USER = "user"

_MOST_SETS = 3  # adjustment sets that a sentence names


@dataclass(frozen=True)
class Estimand:
    """A quantity to identify.

    Attributes
    ----------
    name, meaning
        What the documents call it, and in words.
    treatment
        The nodes that are set by intervention; empty for what is merely observed.
    by_user
        Whether it is a quantity of one user, given by the user's label.
    by_covariates
        Whether it is a quantity of users with given covariates.
    """

    name: str
    meaning: str
    treatment: tuple[str, ...] = TREATMENT
    by_user: bool = False
    by_covariates: bool = False


ESTIMANDS = (
    Estimand("p_obs", "the share who choose left among the users who see such pairs", ()),
    Estimand("p_do", "the probability that left is chosen, averaged over all users"),
    Estimand("reward", "the reward difference of one user", by_user=True),
    Estimand("subgroups", "p_do among users with given covariates", by_covariates=True),
    Estimand("amce", "the average effect of one attribute", ("Z",)),
)


@dataclass(frozen=True, eq=False, repr=False)
class Identification:
    """Which estimates a graph identifies.

    Made by `CausalGraph.identify`.

    Attributes
    ----------
    table
        One row an estimate: `estimate`, `meaning`, `identified`, `adjustment` (the smallest sets of
        recorded nodes that do), `missing` (what would have to be recorded, where none does) and
        `sentence`.

    Examples
    --------
    >>> found = bp.CausalGraph().identify()
    >>> found.table.set_index("estimate").loc["p_do", "adjustment"]
    'the user'
    """

    table: pd.DataFrame

    def __getitem__(self, estimate: str) -> str:
        """Return the sentence on an estimate."""
        return str(self.table.set_index("estimate").loc[estimate, "sentence"])

    def __repr__(self) -> str:
        """List the sentences."""
        return "\n".join(f"- {printable(sentence)}" for sentence in self.table["sentence"])

    def _repr_html_(self) -> str:
        """Return the sentences as a list, for notebooks."""
        return pages.items(list(self.table["sentence"]))


def identification(
    graph: nx.DiGraph[str],
    recorded: Mapping[str, Sequence[str]],
    of_user: Collection[str],
) -> Identification:
    """Find the adjustments that identify each estimate.

    Parameters
    ----------
    graph
        Without cycles; it has the outcome and at least one node of the treatment.
    recorded
        Node -> names of its columns.
    of_user
        Nodes that are constant for a user.

    Examples
    --------
    >>> graph = nx.DiGraph([("C", "X"), ("C", "R"), ("X", "Z"), ("Y", "Z"), ("Z", "R"), ("R", "L")])
    >>> print(identification(graph, {"C": ("age",)}, {"C"})["p_do"])
    p_do is identified by adjusting for C (column 'age') or for the user (weights of each user).
    """
    rows = [_row(each, graph, recorded, of_user) for each in ESTIMANDS]
    return Identification(pd.DataFrame(rows))


def _row(
    estimand: Estimand,
    graph: nx.DiGraph[str],
    recorded: Mapping[str, Sequence[str]],
    of_user: Collection[str],
) -> dict[str, object]:
    """One row of the table."""
    row = {"estimate": estimand.name, "meaning": estimand.meaning}
    treatment = [node for node in estimand.treatment if node in graph]
    if not treatment:
        sentence = f"{estimand.name} is what the data show, and needs no adjustment."
        return {**row, "identified": True, "adjustment": "", "missing": "", "sentence": sentence}
    fixed = _fixed(estimand, recorded, of_user)
    if fixed is None:
        missing = "covariates of the users"
        sentence = f"{estimand.name} is not identified: no covariate is recorded; record some."
        return {
            **row, "identified": False, "adjustment": "", "missing": missing, "sentence": sentence
        }  # fmt: skip
    known: dict[str, tuple[str, ...]] = {name: (name,) for name in recorded}
    if not estimand.by_user and not estimand.by_covariates:
        known |= {USER: tuple(of_user)}
    found = list(_smallest(graph, treatment, fixed, known))
    if found:
        called = [_and([_called(name, recorded) for name in names]) for names in found if names]
        words = " or ".join(f"for {each}" for each in called)
        how = f"by adjusting {words}" if words else "without adjustment"
        if fixed and estimand.by_user:
            label = "the user's label, which holds all that is constant for the user fixed"
            how = f"by {label}" + (f", and {how}" if words else "")
        names = " or ".join(" and ".join(map(_plain, s)) for s in found if s)
        if fixed and estimand.by_user and not names:
            names = "the user"
        sentence = f"{estimand.name} is identified {how}."
        return {**row, "identified": True, "adjustment": names, "missing": "", "sentence": sentence}
    wanted = {name: (name,) for name in graph if name != OUTCOME}
    lacking = list(_smallest(graph, treatment, fixed, known | wanted))
    sets = [[name for name in s if name not in known] for s in lacking]
    least = min(map(len, sets), default=0)
    sets = [names for k, names in enumerate(sets) if len(names) == least and names not in sets[:k]]
    missing = " or ".join(map(_and, sets))
    advice = f"record {missing}, or assign" if missing else "assign"
    what = _and(treatment) if treatment != ["Z"] else "what is shown"
    sentence = f"{estimand.name} is not identified by what is recorded; {advice} {what} at random."
    return {
        **row, "identified": False, "adjustment": "", "missing": missing, "sentence": sentence
    }  # fmt: skip


def _fixed(
    estimand: Estimand, recorded: Mapping[str, Sequence[str]], of_user: Collection[str]
) -> tuple[str, ...] | None:
    """Nodes that the estimate itself holds fixed; None if these are not recorded."""
    if estimand.by_user:
        return tuple(of_user)
    if estimand.by_covariates:
        return tuple(node for node in of_user if node in recorded) or None
    return ()


def _smallest(
    graph: nx.DiGraph[str],
    treatment: Sequence[str],
    fixed: Sequence[str],
    known: Mapping[str, tuple[str, ...]],
) -> Iterator[tuple[str, ...]]:
    """The smallest sets of names that identify the effect, at most a few."""
    after: set[str] = set().union(*(nx.descendants(graph, node) for node in treatment))
    barred = after | {*treatment, OUTCOME}
    stopped = graph.copy()
    stopped.remove_edges_from([(cause, to) for cause, to in graph.edges if cause in treatment])
    usable = [
        name for name, nodes in known.items()
        if nodes and not barred & {*nodes} and not {*nodes} <= {*fixed}
    ]  # fmt: skip
    given = {*fixed} - barred
    for size in range(len(usable) + 1):
        count = 0
        for names in combinations(usable, size):
            held = given.union(*(known[name] for name in names))
            if nx.is_d_separator(stopped, {*treatment}, {OUTCOME}, held):
                yield names
                count += 1
            if count == _MOST_SETS:
                break
        if count:
            return


def _called(name: str, recorded: Mapping[str, Sequence[str]]) -> str:
    """A node with its columns, or the user."""
    if name == USER and name not in recorded:
        return "the user (weights of each user)"
    columns = recorded.get(name, ())
    if not columns:
        return name
    word = "column" if len(columns) == 1 else "columns"
    more = f" and {len(columns) - 4:,} more" if len(columns) > 4 else ""
    return f"{name} ({word} {', '.join(map(repr, columns[:4]))}{more})"


def _plain(name: str) -> str:
    return "the user" if name == USER else name


def _and(names: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
