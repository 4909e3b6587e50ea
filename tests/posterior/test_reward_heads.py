"""A reward as a score head: the reward's own numbers, in layers that torch loads anywhere."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_posteriors import made_comparisons, made_posterior
from text_votes import encode, read, votes

import bayes_pref as bp
from bayes_pref.data.network import Representation
from bayes_pref.posterior.reward_head import reward_head

ANSWERS = ["tea and rain.", "milk milk bread stone.", "sun code song."]


class Scorer(torch.nn.Module):
    """As sequence classifiers of transformers are: a body, and a head called score."""

    def __init__(self, size: int, *, bias: bool = False) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            self.body = torch.nn.Embedding(5, size)
            self.score = torch.nn.Linear(size, 1, bias=bias)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        return self.score(embeddings)


@pytest.mark.parametrize("user", ["ann", "bob", "population"])
def test_a_head_over_embeddings_orders_answers_as_the_reward(user: str) -> None:
    posterior = made_posterior(read(votes(40), surface=[]))
    embeddings = torch.tensor(encode(ANSWERS), dtype=torch.float32)
    own = posterior.reward_model(user)("Ask?", ANSWERS).mean.numpy()
    with torch.no_grad():
        plain = posterior.reward_head(user)(embeddings)[:, 0].numpy()
        constant = posterior.reward_head(user, bias=True)(embeddings)[:, 0].numpy()
    np.testing.assert_allclose(constant, own, rtol=1e-4, atol=1e-4)  # 32-bit floats
    np.testing.assert_allclose(np.diff(plain), np.diff(own), rtol=1e-4, atol=1e-4)


def test_a_state_dict_goes_through_a_file_into_a_score_head(tmp_path: Path) -> None:
    posterior = made_posterior(read(votes(40), surface=[]))
    head, model = posterior.reward_head("ann"), Scorer(encode(ANSWERS).shape[1])
    kept = io.BytesIO()
    torch.save(head.state_dict(), kept)
    kept.seek(0)
    model.score.load_state_dict(torch.load(kept, weights_only=True))
    embeddings = torch.tensor(encode(ANSWERS), dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(model(embeddings), head(embeddings))
    safetensors = pytest.importorskip("safetensors.torch")
    safetensors.save_file(head.state_dict(), tmp_path / "head.safetensors")
    again = Scorer(encode(ANSWERS).shape[1])
    again.score.load_state_dict(safetensors.load_file(tmp_path / "head.safetensors"))
    with torch.no_grad():
        assert torch.equal(again(embeddings), head(embeddings))


def test_a_learned_representation_is_part_of_the_head() -> None:
    rng = np.random.default_rng(0)
    network = Representation(
        attributes=("length", "tone", "tact"),
        contexts=(),
        groups=("a", "b"),
        centre=rng.normal(size=5),
        scale=rng.uniform(1.0, 2.0, 5),
        inner=rng.normal(size=(4, 5)),
        bias=rng.normal(size=4),
        outer=rng.normal(size=(2, 4)),
    )
    data = replace(
        made_comparisons(),
        difference=rng.normal(size=(60, 2)),
        features=bp.Features(network.names),
        context=np.empty((60, 0)),
        representation=network,
    )
    weights, items = rng.normal(size=2), rng.normal(size=(7, 3))
    expected = network(items, np.empty((7, 0)), ["b"] * 7) @ weights
    head = reward_head(data, weights, "b", bias=False).double()
    with torch.no_grad():
        found = head(torch.tensor(items))[:, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)  # stored in 32 bits
    other = reward_head(data, weights, "a", bias=False).double()
    with torch.no_grad():
        assert not np.allclose(other(torch.tensor(items))[:, 0].numpy(), expected, atol=1e-3)


def test_a_reward_of_more_than_the_item_has_no_head() -> None:
    with pytest.raises(bp.DataError, match="rewards depend on 'hard', and a head sees the item"):
        made_posterior(made_comparisons(interactions=True)).reward_head()
    with pytest.raises(bp.DataError, match="rewards depend on 'length' beside the embedding"):
        made_posterior(read(votes(40))).reward_head("ann")
    with pytest.raises(bp.DataError, match="unknown user 'eve'"):
        made_posterior().reward_head("eve")
