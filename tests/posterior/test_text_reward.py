"""Texts are scored by the posterior of one user."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from text_votes import WORDS, read

import bayes_pref as bp
from bayes_pref.posterior.text_reward import TextReward


def opposite_preferences() -> bp.Posterior:
    """Ann likes short answers and bob long ones."""
    rng = np.random.default_rng(1)
    records = []
    for who in ("ann", "bob"):
        for k in range(40):
            short, long = (" ".join(rng.choice(WORDS, size)) for size in (3, 14))
            first, second = (short, long) if who == "ann" else (long, short)
            records.append({"who": who, "prompt": f"{k}?", "chosen": first, "rejected": second})
    engine = bp.Gibbs(draws=1000, warmup=1000, thin=4, progress=False)
    return bp.fit(bp.HierarchicalReward(), read(records), engine)


def test_two_users_with_opposite_preferences_get_opposite_best_answers() -> None:
    posterior = opposite_preferences()
    answers = ["tea", "tea milk rain sun code", " ".join(["bread"] * 20)]
    ann, bob = (posterior.reward_model(user) for user in ("ann", "bob"))
    assert int(ann("Which?", answers).mean.argmax()) == 0
    assert int(bob("Which?", answers).mean.argmax()) == 2
    # The module's numbers are those of the posterior, up to the average response.
    frame = posterior.comparisons.text.frame(["Which?"] * 3, answers)
    rewards = posterior.reward(frame, "ann")["mean"].to_numpy()
    scores = ann("Which?", answers).mean.numpy()
    np.testing.assert_allclose(np.diff(scores), np.diff(rewards), atol=1e-8)
    assert (ann("Which?", answers).sd > 0).all()
    features = ann.features("Which?", answers).requires_grad_()
    ann.score(features).mean.sum().backward()
    assert features.grad is not None
    assert ann("Which?", answers).mean.dtype == ann.mean.dtype
    assert len(ann.state_dict()) == 2
    served = bob.choose("Which?", answers)
    assert (served["item"], served["runner_up"]) == (2, 1)
    of_draws = posterior.choose(frame, "bob").iloc[0]  # of draws, and not of their normal fit
    assert served["value"] == pytest.approx(of_draws["value"], abs=0.1)
    assert served["probability_best"] == pytest.approx(of_draws["probability_best"], abs=0.05)
    assert bob.choose("Which?", answers[:1], rule="lower")["runner_up"] is None
    for prompts, said in (("Which?", []), (["Which?", "What?"], answers[:2])):
        with pytest.raises(bp.DataError, match="give one prompt"):
            bob.choose(prompts, said)
    with pytest.raises(bp.DataError, match="unknown user 'eve'"):
        posterior.reward_model("eve")


def test_a_score_of_texts_needs_comparisons_that_came_from_texts() -> None:
    world = bp.simulate(users=20, seed=0)
    posterior = bp.fit(bp.PooledReward(), world.comparisons, bp.Gibbs(progress=False))
    with pytest.raises(bp.DataError, match="did not come from texts"):
        posterior.reward_model()


def test_one_string_is_one_response() -> None:
    votes = [
        {"prompt": "Hi", "chosen": "Hello there, Ann.", "rejected": "Hm?"},
        {"prompt": "Bye", "chosen": "See you soon!", "rejected": "Ok. Why?"},
    ]
    read = bp.text.comparisons(votes, surface=["length", "questions"])
    model = TextReward(read, np.random.default_rng(0).normal(size=(50, 2)))
    alone = model("3 + 4?", "Seven.")
    assert alone.mean.shape == alone.sd.shape == (1,)
    said = [{"role": "assistant", "content": "Seven."}]
    for same in (["Seven."], said, [said]):
        assert torch.equal(model("3 + 4?", same).mean, alone.mean)
    assert model("3 + 4?", ["Seven.", "Eight?"]).mean.shape == (2,)
    assert model("3 + 4?", []).mean.shape == (0,)
    assert read.text is not None
    assert len(read.text.frame("abc", "def")) == 1
    with pytest.raises(bp.DataError, match="responses is NoneType"):
        model("3 + 4?", None)  # type: ignore[arg-type]
