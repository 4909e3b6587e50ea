"""Overlap by what describes prompts, where contexts leave much of them out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from made_posteriors import made_comparisons, made_posterior
from sklearn.metrics import roc_auc_score

import bayes_pref as bp
from bayes_pref.diagnostics.overlap.context_overlap import assess
from bayes_pref.diagnostics.prompts import PromptFeatures, read_prompts
from bayes_pref.diagnostics.query import Query, read_query

USERS, EACH, WIDTH = 80, 12, 60
ENGINE = bp.Gibbs(draws=150, warmup=150, chains=1, cores=1, progress=False)


class World(NamedTuple):
    """Two components with prompts mostly of their own type, which the context hardly shows."""

    posterior: bp.Posterior
    pairs: Query
    prompts: PromptFeatures
    consistent: np.ndarray


@pytest.fixture(scope="module")
def world() -> World:
    rng = np.random.default_rng(0)
    component = np.arange(USERS) % 2
    axis = rng.normal(size=WIDTH)
    axis *= 3.5 / np.linalg.norm(axis)

    def shown(components: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        middle = components - 0.5
        embedding = rng.normal(size=(components.size, WIDTH)) + np.outer(middle, axis)
        return rng.normal(size=components.size) + middle, embedding

    user = np.repeat(np.arange(USERS), EACH)
    context, seen = shown(
        np.where(rng.random(user.size) < 0.9, component[user], 1 - component[user])
    )
    difference = rng.normal(size=(user.size, 2))
    eta = difference[:, 0] * 1.5 * (2 * component[user] - 1) + difference[:, 1]
    frame = pd.DataFrame(difference, columns=["a", "b"]).assign(
        user=user, choice=(rng.random(user.size) < 1 / (1 + np.exp(-eta))).astype(int), x=context
    )
    frame.index = pd.Index([f"vote {k}" for k in range(len(frame))])
    comparisons = bp.Comparisons.from_frame(
        frame, user="user", choice="choice", difference=["a", "b"], context=["x"]
    )
    posterior = bp.fit(bp.MixtureReward(components=2), comparisons, ENGINE)
    whose = np.repeat(np.arange(USERS), 10)
    components = np.tile([0, 1], whose.size // 2)
    context, asked = shown(components)
    held = pd.DataFrame({"user": whose, "a": 1.0, "b": 0.0, "x": context})
    pairs = read_query(posterior, held)
    return World(posterior, pairs, PromptFeatures(seen, asked), components == component[whose])


pytestmark = pytest.mark.filterwarnings("ignore::bayes_pref.ConvergenceWarning")


def ranks(world: World, prompts: PromptFeatures | None) -> float:
    """AUROC of consistent against inconsistent pairs."""
    found = assess(world.posterior, world.pairs, prompts=prompts).overlap
    return float(roc_auc_score(world.consistent, found))


def test_embeddings_tell_what_a_context_leaves_out(world: World) -> None:
    seen, asked = world.prompts.fitted, world.prompts.asked
    by_context, by_prompt = ranks(world, None), ranks(world, world.prompts)
    # Who is told the type ranks contexts by Phi(1 / sqrt 2) = .76, embeddings by .99; of 800 pairs
    # the standard error of an AUROC is below .02.
    assert by_context < 0.76 + 3 * 0.02
    assert by_prompt > by_context + 0.1
    # Prompts of others than those who asked them tell nothing, and so are left aside.
    mixed = PromptFeatures(seen[np.random.default_rng(1).permutation(len(seen))], asked)
    found = assess(world.posterior, world.pairs, prompts=mixed)
    assert "2 components with similar prompts" in found.note
    assert ranks(world, mixed) < by_prompt - 0.1


def test_the_note_says_what_is_compared(world: World) -> None:
    found = assess(world.posterior, world.pairs, prompts=world.prompts)
    assert "compares the prompts of a user's component" in found.note
    assert "compares the prompts" not in assess(world.posterior, world.pairs).note


def test_a_mixture_answers_with_its_own_components(world: World) -> None:
    components = world.posterior.membership()
    first = components[components["component"] == 1]["mean"].to_numpy()
    found = assess(world.posterior, world.pairs).components
    np.testing.assert_allclose(found["component_1"], first)
    assert (
        assess(world.posterior, world.pairs, components=3).components.shape[1] == 3
    )  # unless told


def test_frames_are_read_by_row_label_and_arrays_by_position(world: World) -> None:
    seen, asked = world.prompts.fitted, world.prompts.asked
    fitted = world.posterior.comparisons
    turned = pd.DataFrame(seen, fitted.rows).iloc[::-1]
    by_label = read_prompts((turned, asked), fitted, world.pairs)
    np.testing.assert_array_equal(by_label.fitted, seen)
    np.testing.assert_array_equal(by_label.asked, asked)
    by_position = read_prompts((seen[::-1], asked), fitted, world.pairs)
    np.testing.assert_array_equal(by_position.fitted, seen[::-1])


def test_diagnose_takes_prompts_of_the_fitted_and_of_others(world: World) -> None:
    seen, asked = world.prompts.fitted, world.prompts.asked
    # With the exposure term, so that nothing has to be fitted for the other flags.
    exposure_posterior = bp.HierarchicalReward(exposure=True)
    posterior = bp.fit(exposure_posterior, world.posterior.comparisons, ENGINE)
    report = bp.diagnose(posterior, prompts=seen, progress=False)
    assert any("compares the prompts" in note for note in report.notes)
    own = assess(posterior, read_query(posterior), prompts=PromptFeatures(seen, seen))
    np.testing.assert_array_equal(report.comparisons["overlap"], own.overlap)
    pairs = world.pairs
    held = pd.DataFrame(pairs.difference, columns=["a", "b"]).assign(
        user=pairs.labels, x=pairs.context[:, 0]
    )
    other = bp.diagnose(posterior, held, prompts=(seen, asked), progress=False)
    expected = assess(posterior, pairs, prompts=world.prompts).overlap
    np.testing.assert_array_equal(other.comparisons["overlap"], expected)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        (np.zeros((5, 2)), "60 rows"),
        (np.zeros(60), "60 rows"),
        (np.zeros((60, 0)), "at least one column"),
        (np.full((60, 2), np.nan), "missing or infinite in row"),
        ([["some", "text"]] * 60, "expected numbers"),
        (pd.DataFrame({"a": [1.0]}, index=["row 1"]), "none for row"),
        (pd.DataFrame({"a": [1.0, 2.0]}, index=["row 1", "row 1"]), "must be different"),
        ((np.zeros((60, 2)), np.zeros((60, 2))), "expected one"),
    ],
)
def test_prompts_that_do_not_fit_are_refused(prompts: object, message: str) -> None:
    posterior = made_posterior(made_comparisons())
    with pytest.raises(bp.errors.DataError, match=message):
        bp.diagnose(posterior, prompts=prompts, progress=False)


def test_prompts_of_other_comparisons_come_in_pairs_of_one_width() -> None:
    posterior = made_posterior(made_comparisons())
    asked = posterior.comparisons.take([0, 1, 2])
    with pytest.raises(bp.errors.DataError, match="expected two arrays"):
        bp.diagnose(posterior, asked, prompts=np.zeros((60, 2)), progress=False)
    with pytest.raises(bp.errors.DataError, match="describe both alike"):
        bp.diagnose(posterior, asked, prompts=(np.zeros((60, 2)), np.zeros((3, 1))), progress=False)
