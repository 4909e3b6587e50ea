"""The causal graph: what it identifies agrees with exact algebra; how it is changed and drawn."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import pytest
from matplotlib import pyplot

import bayes_pref as bp
from bayes_pref.assumptions.identification import TREATMENT, USER, _smallest


def graph_of(**columns: Any) -> bp.CausalGraph:
    return bp.CausalGraph.of(bp.simulate(users=5, comparisons=3, seed=0, **columns).comparisons)


def linear_model(graph: nx.DiGraph, seed: int) -> tuple[list[str], np.ndarray]:
    """Nodes, and coefficients (effect, cause) of a linear model with this graph."""
    order = list(nx.topological_sort(graph))
    rng = np.random.default_rng(seed)
    effects = np.zeros((len(order), len(order)))
    for cause, effect in graph.edges:
        size = rng.choice([-1.0, 1.0]) * rng.uniform(0.5, 1.5)
        effects[order.index(effect), order.index(cause)] = size
    return order, effects


def adjusted_and_true(
    graph: nx.DiGraph, held: set[str], seed: int, outcome: str = "L"
) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of X, Y, Y' on the answer given what is held, and effects of setting them."""
    order, effects = linear_model(graph, seed)
    eye = np.eye(len(order))
    root = np.linalg.inv(eye - effects)
    covariance = root @ root.T
    treated = [order.index(name) for name in TREATMENT]
    at = treated + [order.index(name) for name in held]
    last = order.index(outcome)
    found = np.linalg.solve(covariance[np.ix_(at, at)], covariance[at, last])[: len(treated)]
    cut = effects.copy()
    cut[treated] = 0.0
    return found, np.linalg.inv(eye - cut)[last, treated]


@pytest.mark.parametrize("seed", range(6))
def test_what_is_identified_is_right_in_every_linear_model_and_else_wrong(seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    graph = bp.CausalGraph()
    for k in range(3):  # causes of some nodes each, at random
        nodes = [*TREATMENT, "C", "R", "L"]
        causes = rng.choice(nodes, size=2, replace=False).tolist()
        graph = graph.add(f"extra {k}", causes=causes)
    made = graph.digraph
    candidates = [name for name in made if name not in (*TREATMENT, "Z", "R", "L")]
    sets = list(_smallest(made, TREATMENT, (), {name: (name,) for name in candidates}))
    assert sets  # all causes are among the candidates
    for held in sets:
        assert np.allclose(*adjusted_and_true(made, {*held}, seed), atol=1e-9)
        for name in held:  # no smaller set does
            assert not np.allclose(*adjusted_and_true(made, {*held} - {name}, seed), atol=1e-6)


def test_the_users_label_identifies_what_is_constant_for_a_user() -> None:
    table = graph_of().identify().table.set_index("estimate")
    assert table.loc["p_do", "adjustment"] == "the user"
    assert table["identified"].to_dict() == {
        "p_obs": True, "p_do": True, "reward": True, "subgroups": False, "amce": True
    }  # fmt: skip


def test_a_covariate_identifies_the_average_and_subgroups() -> None:
    table = graph_of(covariates=["age"]).identify().table.set_index("estimate")
    assert table.loc["p_do", "adjustment"] == "C or the user"
    assert "column 'age'" in table.loc["p_do", "sentence"]
    assert table.loc["subgroups", "identified"]


def test_a_confounder_that_changes_within_a_user_must_be_recorded() -> None:
    graph = graph_of(covariates=["age"]).add("mood", causes=["X", "R"])
    found = graph.identify().table.set_index("estimate")
    assert not found.loc[["p_do", "reward", "subgroups"], "identified"].any()
    assert (found.loc[["p_do", "reward"], "missing"] == "mood").all()
    # The context, which is recorded, blocks the path from mood to an attribute.
    assert found.loc["amce", "identified"]
    for mended in (graph.record("mood", ["mood_1"]), graph.randomise(), graph.randomise("X")):
        assert mended.identify().table["identified"].all()
    constant = graph.remove("mood").add("mood", causes=["X", "R"], of_user=True)
    assert constant.identify().table.set_index("estimate").loc["p_do", "adjustment"] == USER_WORDS


USER_WORDS = f"the {USER}"


def test_randomising_removes_what_leads_to_what_is_shown() -> None:
    graph = graph_of().randomise()
    assert graph.all_randomised
    into = {cause for cause, effect in graph.edges if effect in TREATMENT}
    assert into == {"X"}  # responses answer a prompt
    assert "without adjustment" in graph.identify()["p_do"]
    assert not graph_of().randomise("X").all_randomised
    assert graph_of().remove("X").randomise("Y", "Y'").all_randomised


def test_every_change_returns_a_new_graph() -> None:
    graph = bp.CausalGraph()
    edges = graph.edges
    graph.add("mood", causes=["R"]).remove("mood").add_edge("C", "L").remove_edge("C", "L")
    graph.record("C", ["age"]).randomise()
    assert graph.edges == edges
    assert "C" not in graph.recorded
    assert not graph.randomised
    with pytest.raises(TypeError):
        graph.nodes["C"] = "else"  # type: ignore[index]
    with pytest.raises(nx.NetworkXError):
        graph.digraph.add_edge("L", "C")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g.add_edge("R", "X"), "make a cycle; remove one of them$"),
        (lambda g: g.add("mood", causes=["X"], caused_by=["L"]), "cycle"),
        (lambda g: g.add_edge("mood", "R"), "unknown node 'mood'; there are"),
        (lambda g: g.add("mood", causes=["Rr"]), "unknown node 'Rr'"),
        (lambda g: g.add("mood", causes="R"), "causes must be a list of nodes, got 'R'"),
        (lambda g: g.add("C"), "node 'C' is there already; choose another name"),
        (lambda g: g.add("user"), "node 'user' is there already"),
        (lambda g: g.add(3), "node must be a name, got 3"),
        (lambda g: g.remove("L"), "needed by every estimate"),
        (lambda g: g.remove("q"), "unknown node 'q'"),
        (lambda g: g.remove_edge("R", "X"), "no arrow from 'R' to 'X'"),
        (lambda g: g.randomise("C"), "'C' is not shown to users"),
        (lambda g: g.record("Q", ["a"]), "unknown node 'Q'"),
        (lambda _: bp.CausalGraph(nodes={"X": ""}, edges=()), "unknown node"),
        (lambda _: bp.CausalGraph.of("data"), "got str but expected bp.Comparisons"),
    ],
)
def test_bad_changes_are_refused_in_one_sentence(change: Any, message: str) -> None:
    with pytest.raises(bp.DataError, match=message) as caught:
        change(bp.CausalGraph())
    assert "\n" not in str(caught.value)


def test_the_graph_is_drawn_and_described() -> None:
    graph = graph_of(covariates=["age"]).add("<mood>", causes=["X", "R"]).randomise("Y")
    ax = graph.plot()
    assert {text.get_text() for text in ax.texts} >= set(graph.nodes)
    assert len([text for text in ax.texts if not text.get_text()]) == len(graph.edges)
    pyplot.close(ax.figure)
    assert "assigned at random: Y" in repr(graph)
    assert "C (age)" in repr(graph)
    html = graph._repr_html_()
    assert "<mood>" not in html
    assert "data:image/png" in html
    assert pyplot.get_fignums() == []
