"""A picture of a causal graph."""

from __future__ import annotations

from collections.abc import Collection

import networkx as nx
from matplotlib.axes import Axes

from bayes_pref.plots.style import CHOSEN, LITERAL, POPULATION, SMALL, USERS, cut, one_axes

_PLACES = {
    "C": (0.0, 2.0), "X": (0.0, 1.0), "Y": (1.0, 1.5), "Y'": (1.0, 0.5), "Z": (2.0, 1.0),
    "R": (3.0, 1.0), "L": (4.0, 1.0),
}  # fmt: skip


def draw_graph(
    graph: nx.DiGraph[str],
    recorded: Collection[str],
    randomised: Collection[str],
    ax: Axes | None = None,
) -> Axes:
    """Draw nodes and arrows: recorded nodes are filled, randomised ones have a thick edge.

    Parameters
    ----------
    graph
        Without cycles.
    recorded, randomised
        Names of nodes.
    ax
        Where to draw; None: a new figure.

    Examples
    --------
    >>> draw_graph(nx.DiGraph([("R", "L")]), ["L"], []).get_title(loc="left")
    'filled: recorded; dashed: not recorded'
    """
    ax = one_axes(ax, (6.4, 3.2))
    others = [name for name in nx.topological_sort(graph) if name not in _PLACES]
    places = {name: _PLACES[name] for name in graph if name in _PLACES}
    # What was added stands in a row below, in causal order.
    places |= {name: (0.5 + 1.1 * k, -0.4) for k, name in enumerate(others)}
    for cause, effect in graph.edges:
        style = {"arrowstyle": "-|>", "color": USERS, "shrinkA": 15, "shrinkB": 15}
        flat = places[cause][1] == places[effect][1]
        far = abs(places[cause][0] - places[effect][0]) > 1.5
        bend = "arc3,rad=-0.25" if flat and far else "arc3,rad=0"
        arrow = {**style, "connectionstyle": bend}
        ax.annotate("", xy=places[effect], xytext=places[cause], arrowprops=arrow)
    for name, (x, y) in places.items():
        known, drawn = name in recorded, name in randomised
        box = {
            "boxstyle": "circle,pad=0.45" if len(name) < 3 else "round,pad=0.4",
            "facecolor": "#D6E6F2" if known else "white",
            "edgecolor": CHOSEN if drawn else POPULATION,
            "linewidth": 2.4 if drawn else 1.2,
            "linestyle": "-" if known or drawn else "--",
        }
        label = cut(name, 16)
        ax.text(x, y, label, ha="center", va="center", fontsize=SMALL + 1, bbox=box, **LITERAL)
    across, up = zip(*places.values(), strict=True)
    ax.set(xlim=(min(across) - 0.5, max(across) + 0.5), ylim=(min(up) - 0.5, max(up) + 0.5))
    title = "filled: recorded; dashed: not recorded"
    title += "; thick: assigned at random" if randomised else ""
    ax.set_title(title, fontsize=SMALL, loc="left")
    ax.set_axis_off()
    return ax
