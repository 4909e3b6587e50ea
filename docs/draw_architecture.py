"""The structure of the package, read from its imports: who uses whom, as a table and a picture.

    python docs/draw_architecture.py            # print files, lines and arrows
    python docs/draw_architecture.py --write    # and renew docs/architecture.png and its table

Every import counts, those inside functions and those for type checkers too. A *room* is a folder
or a module directly inside the package; arrows point from a file to the files that it imports.
"""

from __future__ import annotations

import argparse
import ast
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import networkx as nx

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "bayes_pref"
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "architecture.png"

# A room may import from the rooms of earlier lines, and not from others of its own line.
ORDER: tuple[tuple[str, ...], ...] = (
    ("messages", "types", "progress", "seeding", "whole_files", "compile_cache"),
    ("errors", "logistic_normal"),
    ("settings",),
    ("data",),
    ("draws", "text", "simulation"),
    ("models",),
    ("convergence",),
    ("posterior",),
    ("inference",),
    ("evaluation",),
    ("plots",),
    ("reporting",),
    ("assumptions",),
    ("diagnostics",),
    ("elicitation",),
    ("cli",),
)
HEIGHT = {room: height for height, rooms in enumerate(ORDER) for room in rooms}
_HALF_BOX = 0.27  # half the height of a box, in the units of the picture
_MARKS = "<!-- rooms: begin -->", "<!-- rooms: end -->"


def read_sources(package: Path = PACKAGE) -> dict[str, str]:
    """Return the text of every file, by its path inside the package."""
    return {
        path.relative_to(package).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(package.rglob("*.py"))
    }


def room_of(file: str) -> str:
    """Return the folder or module directly inside the package that a file belongs to."""
    return Path(file).parts[0].removesuffix(".py")


@cache  # of hundreds of files a test changes one
def imported_names(file: str, source: str) -> frozenset[str]:
    """Return the absolute dotted name of everything that a file imports, wherever it does."""
    package = ("bayes_pref", *Path(file).parent.parts)
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join(filter(None, (*base, node.module)))
            # "from bayes_pref import data" names the module only after the word import.
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return frozenset(found)


def file_of(name: str, files: Iterable[str]) -> str | None:
    """Return the file of the package that an import of this dotted name runs last, if any."""
    parts, known = name.split("."), set(files)
    if parts[0] != "bayes_pref":
        return None
    for length in range(len(parts), 0, -1):
        path = "/".join(parts[1:length])
        for candidate in (f"{path}.py", f"{path}/__init__.py".removeprefix("/")):
            if candidate in known:
                return candidate
    return None


def file_graph(sources: Mapping[str, str]) -> nx.DiGraph[str]:
    """Return the graph of files; the package's own `__init__`, which names all, is left out."""
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_nodes_from(file for file in sources if file != "__init__.py")
    for file in list(graph.nodes):
        targets = {file_of(name, sources) for name in imported_names(file, sources[file])}
        graph.add_edges_from((file, target) for target in targets - {None, file, "__init__.py"})
    return graph


def room_graph(files: nx.DiGraph[str]) -> nx.DiGraph[str]:
    """Return the graph of rooms; `imports` of an arrow is how many files' imports it stands for."""
    rooms: nx.DiGraph[str] = nx.DiGraph()
    rooms.add_nodes_from(room_of(file) for file in files.nodes)
    for start, end in files.edges:
        first, last = room_of(start), room_of(end)
        if first != last:
            count = rooms.get_edge_data(first, last, {"imports": 0})["imports"]
            rooms.add_edge(first, last, imports=count + 1)
    return rooms


def circles(graph: nx.DiGraph[str]) -> list[list[str]]:
    """Return every set of nodes that reach each other."""
    found = [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]
    return sorted(found)


def wrong_arrows(rooms: nx.DiGraph[str]) -> list[str]:
    """Return, as sentences, the arrows between rooms that do not point down."""
    unknown = [f"{room} has no place in the order" for room in rooms if room not in HEIGHT]
    upward = [
        f"{start} imports {end}, which does not stand below it"
        for start, end in rooms.edges
        if HEIGHT.get(start, -1) <= HEIGHT.get(end, len(ORDER))
    ]
    return sorted(unknown + upward)


def table(sources: Mapping[str, str]) -> str:
    """Describe the rooms, the highest first, as a Markdown table."""
    files = file_graph(sources)
    rooms = room_graph(files)
    lines = ["| room | files | lines | longest file | imports from |", "|---|---|---|---|---|"]
    for room in sorted(rooms, key=lambda name: (-HEIGHT[name], name)):
        own = [file for file in files if room_of(file) == room]
        length = {file: sources[file].count("\n") for file in own}
        longest = max(length, key=lambda file: length[file])
        below = ", ".join(sorted(rooms.successors(room), key=lambda name: (-HEIGHT[name], name)))
        lines.append(
            f"| `{room}` | {len(own)} | {sum(length.values()):,} | `{Path(longest).name}` "
            f"({length[longest]}) | {below or '-'} |"
        )
    lines += [
        "",
        f"{len(files)} files, {files.number_of_edges()} imports among them, "
        f"{rooms.number_of_edges()} arrows among {len(rooms)} rooms; "
        f"{len(circles(files))} circles, {len(wrong_arrows(rooms))} arrows that point up.",
    ]
    return "\n".join(lines)


def with_table(page: str, rooms: str) -> str:
    """Return the page with its table replaced."""
    before, _, rest = page.partition(_MARKS[0])
    _, _, after = rest.partition(_MARKS[1])
    return f"{before}{_MARKS[0]}\n{rooms}\n{_MARKS[1]}{after}"


def draw(rooms: nx.DiGraph[str], path: Path = PICTURE) -> None:
    """Draw the rooms on the floors of `ORDER`, with the arrows that the others do not imply."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot
    from matplotlib.patches import FancyArrowPatch

    shown: Any = nx.transitive_reduction(rooms)
    place = {}
    for height, floor in enumerate(ORDER):
        names = [name for name in floor if name in rooms]
        # Floors of one room step from side to side, so that arrows past them stay in sight.
        step = (2.0 if height % 2 else -2.0) if len(names) == 1 else 0.0
        for number, name in enumerate(names):
            place[name] = ((number + 0.5) / len(names) * 10.0 + step, 1.1 * height)
    figure, ax = pyplot.subplots(figsize=(9.5, 11.0))
    for name, (x, y) in place.items():
        box = {"boxstyle": "round,pad=0.45", "facecolor": "#e8f0f7", "edgecolor": "#3b6ea5"}
        ax.text(x, y, name, ha="center", va="center", fontsize=11, bbox=box)
    ax.set(xlim=(-0.5, 10.5), ylim=(-0.8, 1.1 * len(ORDER) - 0.3))
    ax.set_axis_off()
    ax.set_title("Rooms of bayes_pref: each imports from those below", fontsize=12, loc="left")
    for start, end in shown.edges:
        (x, y), (to_x, to_y) = place[start], place[end]
        bend = 0.0 if HEIGHT[start] - HEIGHT[end] == 1 else 0.2
        arrow = FancyArrowPatch(  # from the lower edge of one box to the upper edge of the other
            (x, y - _HALF_BOX), (to_x, to_y + _HALF_BOX), arrowstyle="-|>", mutation_scale=12,
            color="#8a949e", shrinkA=0, shrinkB=0, connectionstyle=f"arc3,rad={bend}",
        )  # fmt: skip
        ax.add_patch(arrow)
    figure.savefig(path, dpi=110, bbox_inches="tight", metadata={"Software": None})
    pyplot.close(figure)


def main() -> None:
    """Print the structure; with --write renew the page and the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="renew docs/architecture.*")
    options = parser.parse_args()
    sources = read_sources()
    files = file_graph(sources)
    print(table(sources))
    for circle in circles(files):
        print("circle:", ", ".join(circle))
    for sentence in wrong_arrows(room_graph(files)):
        print(sentence)
    if options.write:
        PAGE.write_text(with_table(PAGE.read_text("utf-8"), table(sources)), encoding="utf-8")
        draw(room_graph(files))


if __name__ == "__main__":
    main()
