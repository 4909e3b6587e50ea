"""What a declared causal graph adds to the notes of a report."""

from __future__ import annotations

import pytest

import bayes_pref as bp
from bayes_pref.diagnostics.graph_notes import notes_on_graph


@pytest.fixture(scope="module")
def posterior() -> bp.Posterior:
    world = bp.simulate(users=20, comparisons=6, covariates=["age"], seed=0)
    return bp.fit(
        bp.HierarchicalReward(), world.comparisons, bp.Gibbs(draws=200, warmup=200, progress=False)
    )


def notes(posterior: bp.Posterior, graph: bp.CausalGraph | None) -> tuple[str, ...]:
    return bp.diagnose(posterior, assessments=["preference"], graph=graph, progress=False).notes


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_the_notes_say_what_the_graph_identifies(posterior: bp.Posterior) -> None:
    graph = bp.CausalGraph.of(posterior.comparisons)
    assert notes(posterior, None) == ()
    assert "p_do is identified by adjusting for C (column 'age')" in notes(posterior, graph)[-1]
    hidden = graph.add("mood", causes=["X", "R"])
    assert "record mood" in notes(posterior, hidden)[-1]
    assert "assigned at random, as declared" in notes(posterior, hidden.randomise())[-1]


def test_a_permutation_test_may_contradict_what_was_declared() -> None:
    graph = bp.CausalGraph().randomise()
    assert "do not depend on exposure here (p = 0.2)" in notes_on_graph(graph, 0.2)[0]
    assert "which contradicts it" in notes_on_graph(graph, 0.001)[0]
    assert notes_on_graph(graph, None)[0].endswith("the same share.")


@pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")
def test_a_graph_of_other_columns_is_refused(posterior: bp.Posterior) -> None:
    graph = bp.CausalGraph().record("X", ["topic"])
    with pytest.raises(bp.DataError, match="recorded as column 'topic', which the comparisons"):
        notes(posterior, graph)
    with pytest.raises(bp.DataError, match="graph: got str but expected"):
        notes(posterior, "X -> Y")  # type: ignore[arg-type]
