"""What a causal graph that the researcher declared means for a report."""

from __future__ import annotations

from bayes_pref.assumptions.causal_graph import CausalGraph

_LEVEL = 0.01  # of the permutation test, from which it contradicts a randomisation


def notes_on_graph(graph: CausalGraph | None, permutation_p: float | None) -> tuple[str, ...]:
    """Say whether a graph identifies p_do, and whether the data agree with a randomisation.

    Parameters
    ----------
    graph
        None: nothing was declared.
    permutation_p
        P-value of the test that preferences depend on exposure; None: it was not made.

    Examples
    --------
    >>> print(notes_on_graph(bp.CausalGraph().randomise(), 0.4)[0])
    What is shown was assigned at random, as declared, so that p_obs and p_do are the same share;
    preferences do not depend on exposure here (p = 0.4).
    """
    if graph is None:
        return ()
    if not graph.all_randomised:
        return (f"By the causal graph {graph.identify()['p_do']}",)
    start = "What is shown was assigned at random, as declared, so that p_obs and p_do are the same"
    if permutation_p is None:
        return (f"{start} share.",)
    p = f"(p = {permutation_p:.2g})"
    if permutation_p <= _LEVEL:
        return (
            f"{start} share; but preferences depend on exposure here {p}, which contradicts it: "
            "check how pairs were assigned, and keep to p_do.",
        )
    return (f"{start} share; preferences do not depend on exposure here {p}.",)
