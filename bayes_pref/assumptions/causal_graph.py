"""The causal graph of a preference study: who is shown what, and what becomes of it.

    C -> X, Y, Y'     users write prompts, or are given pairs, that suit them
    X -> Y, Y'        responses answer a prompt
    X, Y, Y' -> Z     latent factors of the prompt and of both responses
    Z, C -> R -> L    rewards, which depend on the user, and the answer

after Kobalczyk & van der Schaar (2025, arXiv 2506.05967). Graphs and d-separation are networkx's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, Self

import networkx as nx
from matplotlib.axes import Axes

from bayes_pref.assumptions.graph_plot import draw_graph
from bayes_pref.assumptions.identification import (
    TREATMENT,
    Identification,
    identification,
)
from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError
from bayes_pref.messages import closest, listed, printable, shown
from bayes_pref.reporting import html as pages

_MEANINGS = {
    "C": "what sets users apart",
    "X": "prompt or context",
    "Y": "left response",
    "Y'": "right response",
    "Z": "latent factors",
    "R": "reward",
    "L": "answer",
}
_EDGES = (
    ("C", "X"), ("C", "Y"), ("C", "Y'"), ("C", "R"), ("X", "Y"), ("X", "Y'"),
    ("X", "Z"), ("Y", "Z"), ("Y'", "Z"), ("Z", "R"), ("R", "L"),
)  # fmt: skip
_NEEDED = ("Y", "Y'", "Z", "R", "L")


@dataclass(frozen=True, eq=False, repr=False)
class CausalGraph:
    """What causes what, what is recorded, and what was assigned at random.

    Every method returns a new graph.

    Parameters
    ----------
    nodes
        Name -> meaning.
    edges
        Pairs (cause, effect) of names.
    recorded
        Name -> columns that record it; no columns: recorded in another way, as answers are.
    of_user
        Nodes that are constant for a user, so that the user's label holds them fixed.
    randomised
        Nodes among X, Y and Y' that were assigned at random.

    Raises
    ------
    DataError
        If a name is unknown, or there is a cycle.

    Examples
    --------
    >>> graph = bp.CausalGraph().add("mood", causes=["X", "R"])
    >>> print(graph.identify()["p_do"])
    p_do is not identified by what is recorded; record mood, or assign X, Y and Y' at random.
    >>> print(graph.randomise().identify()["p_do"])
    p_do is identified without adjustment.
    """

    nodes: Mapping[str, str] = field(default_factory=lambda: dict(_MEANINGS))
    edges: tuple[tuple[str, str], ...] = _EDGES
    recorded: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"Y": (), "Y'": (), "Z": (), "L": ()}
    )
    of_user: frozenset[str] = frozenset({"C"})
    randomised: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Freeze the parts, and refuse unknown names and cycles."""
        object.__setattr__(self, "nodes", MappingProxyType(dict(self.nodes)))
        object.__setattr__(self, "recorded", MappingProxyType(dict(self.recorded)))
        object.__setattr__(self, "edges", tuple(dict.fromkeys(map(tuple, self.edges))))
        for name in ("of_user", "randomised"):
            object.__setattr__(self, name, frozenset(getattr(self, name)))
        for name in (*self.recorded, *self.of_user, *self.randomised, *sum(self.edges, ())):
            self._expect(name)
        absent = [name for name in _NEEDED if name not in self.nodes]
        if absent:
            raise DataError(f"graph: node {absent[0]!r} is needed by every estimate")
        circle = _circle(self.edges)
        if circle:
            raise DataError(
                f"graph: the arrows {' -> '.join(circle)} make a cycle", "remove one of them"
            )

    @classmethod
    def of(cls, comparisons: Comparisons) -> Self:
        """Return the graph of a study in which users may choose what they are shown.

        Covariates record C and contexts record X; where there are no contexts, X is a prompt that
        was not recorded.

        Parameters
        ----------
        comparisons
            Their columns are what is recorded.

        Examples
        --------
        >>> bp.CausalGraph.of(bp.simulate(covariates=["age"], seed=0).comparisons).recorded["C"]
        ('age',)
        """
        if not isinstance(comparisons, Comparisons):
            raise DataError(
                f"comparisons: got {type(comparisons).__name__} but expected bp.Comparisons"
            )
        found: dict[str, tuple[str, ...]] = {
            "Y": (), "Y'": (), "Z": tuple(comparisons.features.columns), "L": ()
        }  # fmt: skip
        if comparisons.covariate_names:
            found["C"] = tuple(comparisons.covariate_names)
        if comparisons.features.contexts:
            found["X"] = tuple(comparisons.features.contexts)
        return cls(recorded=found)

    @cached_property
    def digraph(self) -> nx.DiGraph[str]:
        """The graph as networkx has it, frozen."""
        graph: nx.DiGraph[str] = nx.DiGraph()
        graph.add_nodes_from(self.nodes)
        graph.add_edges_from(self.edges)
        return nx.freeze(graph)

    def add(
        self,
        node: str,
        meaning: str = "",
        *,
        causes: Collection[str] = (),
        caused_by: Collection[str] = (),
        columns: Collection[str] | None = None,
        of_user: bool = False,
    ) -> Self:
        """Add a node with its arrows.

        Parameters
        ----------
        node, meaning
            Its name, and what it is.
        causes, caused_by
            Nodes that it affects, and that affect it.
        columns
            Columns that record it; None: it was not recorded.
        of_user
            Whether it is constant for a user.
        """
        if not isinstance(node, str) or not node:
            raise DataError(f"node must be a name, got {shown(node)}")
        if node in self.nodes or node == "user":
            raise DataError(f"node {shown(node)} is there already", "choose another name")
        for name, given in (("causes", causes), ("caused_by", caused_by)):
            if isinstance(given, str):
                raise DataError(f"{name} must be a list of nodes, got {shown(given)}")
        arrows = [(node, to) for to in causes] + [(cause, node) for cause in caused_by]
        return replace(
            self,
            nodes={**self.nodes, node: meaning},
            edges=(*self.edges, *arrows),
            recorded=self.recorded
            if columns is None
            else {**self.recorded, node: (columns,) if isinstance(columns, str) else (*columns,)},
            of_user=self.of_user | {node} if of_user else self.of_user,
        )

    def remove(self, node: str) -> Self:
        """Remove a node and its arrows; only C, X and nodes that were added can be."""
        self._expect(node)
        if node in _NEEDED:
            raise DataError(f"node {node!r} is needed by every estimate, and cannot be removed")
        return replace(
            self,
            nodes={name: text for name, text in self.nodes.items() if name != node},
            edges=tuple(edge for edge in self.edges if node not in edge),
            recorded={name: found for name, found in self.recorded.items() if name != node},
            of_user=self.of_user - {node},
            randomised=self.randomised - {node},
        )

    def add_edge(self, cause: str, effect: str) -> Self:
        """Add an arrow."""
        return replace(self, edges=(*self.edges, (cause, effect)))

    def remove_edge(self, cause: str, effect: str) -> Self:
        """Remove an arrow."""
        self._expect(cause)
        self._expect(effect)
        if (cause, effect) not in self.edges:
            raise DataError(f"graph: there is no arrow from {cause!r} to {effect!r}")
        return replace(self, edges=tuple(edge for edge in self.edges if edge != (cause, effect)))

    def record(self, node: str, columns: Collection[str] = ()) -> Self:
        """Say that a node is recorded, and in which columns."""
        self._expect(node)
        names = (columns,) if isinstance(columns, str) else (*columns,)
        return replace(self, recorded={**self.recorded, node: names})

    def randomise(self, *nodes: str) -> Self:
        """Declare what was assigned at random: arrows into it are removed.

        Parameters
        ----------
        nodes
            Of X, Y and Y'; none: all of these. Arrows among these three remain, since responses
            answer a prompt.
        """
        chosen = nodes or tuple(name for name in TREATMENT if name in self.nodes)
        for name in chosen:
            self._expect(name)
            if name not in TREATMENT:
                raise DataError(
                    f"randomise: {shown(name)} is not shown to users",
                    f"name one of {listed(TREATMENT, last='or')}",
                )
        kept = tuple(
            (cause, effect) for cause, effect in self.edges
            if effect not in chosen or cause in TREATMENT
        )  # fmt: skip
        return replace(self, edges=kept, randomised=self.randomised | set(chosen))

    @property
    def all_randomised(self) -> bool:
        """Whether all that is shown was declared to be assigned at random."""
        return all(name in self.randomised for name in TREATMENT if name in self.nodes)

    def identify(self) -> Identification:
        """Say which estimates are identified, by which adjustment, and what is missing."""
        return identification(self.digraph, self.recorded, self.of_user)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the graph: recorded nodes are filled, randomised ones have a thick edge.

        Parameters
        ----------
        ax
            Where to draw; None: a new figure.
        """
        return draw_graph(self.digraph, self.recorded, self.randomised, ax)

    def _expect(self, name: object) -> None:
        """Refuse a node that is not there."""
        if name not in self.nodes:
            near = closest(name, self.nodes)
            there = near or f"; there are {listed(self.nodes, limit=len(self.nodes))}"
            raise DataError(f"graph: unknown node {shown(name)}{there}")

    def __repr__(self) -> str:
        """List the arrows, what is recorded, and what was randomised."""
        effects: dict[str, list[str]] = {}
        for cause, effect in self.edges:
            effects.setdefault(cause, []).append(effect)
        arrows = "; ".join(f"{cause} -> {', '.join(to)}" for cause, to in effects.items())
        lines = [f"CausalGraph: {arrows}", f"  recorded: {', '.join(self._recorded_words())}"]
        hidden = [name for name in self.nodes if name not in self.recorded]
        lines += [f"  not recorded: {', '.join(hidden)}"] if hidden else []
        if self.randomised:
            lines.append(f"  assigned at random: {', '.join(sorted(self.randomised))}")
        return printable("\n".join(lines), lines=True)

    def _recorded_words(self) -> list[str]:
        return [
            f"{name} ({', '.join(found[:4])}{', ...' * (len(found) > 4)})" if found else name
            for name, found in self.recorded.items()
        ]

    def _repr_html_(self) -> str:
        """Return the picture and what is identified, for notebooks."""
        drawn = pages.figure(self.plot, printable(repr(self)))
        return f"<div>{drawn}{self.identify()._repr_html_()}</div>"


def expect_graph(graph: object, comparisons: Comparisons) -> None:
    """Refuse what is no graph, or names columns that comparisons do not have.

    Raises
    ------
    DataError
        Names the node and the column.
    """
    if not isinstance(graph, CausalGraph):
        raise DataError(f"graph: got {type(graph).__name__} but expected bp.CausalGraph")
    there = {
        *comparisons.covariate_names, *comparisons.features.contexts,
        *comparisons.features.columns, *comparisons.features.attributes,
    }  # fmt: skip
    for node, columns in graph.recorded.items():
        for column in columns:
            if node in ("C", "X", "Z") and column not in there:
                raise DataError(
                    f"graph: node {node!r} is recorded as column {shown(column)}, which the "
                    f"comparisons do not have{closest(column, there)}"
                )


def _circle(edges: tuple[tuple[str, str], ...]) -> list[str]:
    """The nodes of a cycle, the first one twice; empty if there is none."""
    graph: Any = nx.DiGraph(list(edges))
    try:
        found = [cause for cause, _ in nx.find_cycle(graph)]
    except nx.NetworkXNoCycle:
        return []
    return [*found, found[0]]
