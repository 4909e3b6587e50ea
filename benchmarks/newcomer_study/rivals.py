"""What others do about people with few answers.

Every method is tuned on the fitted people alone: some of them play newcomers, answer ten pairs, and
are predicted for the rest; the setting with the best log score is taken. A method is a function of
the fitted people that returns a function of newcomers' answers and of what they are asked.

- pooled: one logit for everybody.
- ridge: a logit for every person, shrunk to zero, or to the pooled weights.
- low-rank head: rewards x . (mu + V z_i); V is learned from the fitted people, and of a newcomer
  only z_i (as LoRe, Bose et al. 2025, and PAL, Chen et al. 2024, do on frozen embeddings).
- variational encoder: a set of answers -> q(z) normal -> a reward r(x, z), trained by the evidence
  lower bound (VPL, Poddar et al. 2024), here with the embeddings frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy

import numpy as np
import torch
from scipy.special import expit
from torch import nn

from confounding_study.data import Array
from newcomer_study.worlds import Shown

Predictor = Callable[[Shown, Shown], Array]
Method = Callable[[Shown, int], Predictor]

_PRECISIONS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
_RANKS, _DECAYS = (1, 2, 4), (3.0, 30.0, 300.0)
_KLS = (0.1, 0.3, 1.0)
_TUNED = 10  # answers of those who play newcomers
_PLAYERS = 5  # every fifth of the fitted people


def log_score(chance: Array, choice: Array) -> float:
    """Mean log probability of choices."""
    p = np.clip(np.where(choice == 1, chance, 1 - chance), 1e-9, 1)
    return float(np.log(p).mean())


def ridge_logits(difference: Array, choice: Array, mean: Array, precision: float) -> Array:
    """(u, k) weights of logits of u people, (u, n, k) and (u, n), with normal priors, by Newton."""
    u, _, k = difference.shape
    weights = np.tile(mean, (u, 1))
    ridge = precision * np.eye(k)
    for _ in range(100):
        p = expit(np.einsum("unk,uk->un", difference, weights))
        slope = np.einsum("unk,un->uk", difference, choice - p) - precision * (weights - mean)
        curve = np.einsum("unk,un,unl->ukl", difference, p * (1 - p), difference) + ridge
        step = np.linalg.solve(curve, slope[..., None])[..., 0]
        weights = weights + step / np.maximum(1.0, np.abs(step).max(axis=1, keepdims=True))
        if np.abs(step).max() < 1e-8:
            break
    return weights


def _chance(asked: Shown, weights: Array) -> Array:
    return np.asarray(expit(np.einsum("unk,uk->un", asked.difference, weights)))


def _one_logit(fitted: Shown, precision: float) -> Array:
    """(k,) weights of one logit for all people."""
    k = fitted.left.shape[2]
    together = fitted.difference.reshape(1, -1, k)
    return ridge_logits(together, fitted.choice.reshape(1, -1), np.zeros(k), precision)[0]


def _players(fitted: Shown) -> tuple[Shown, Shown, Shown]:
    """Return those who stay, and the answers and questions of those who play newcomers."""
    plays = np.arange(len(fitted.choice)) % _PLAYERS == 0
    new = fitted.people(np.flatnonzero(plays))
    later = Shown(*(values[:, _TUNED:] for values in new))
    return fitted.people(np.flatnonzero(~plays)), new.first(_TUNED), later


def pooled(fitted: Shown, _seed: int) -> Predictor:
    """One logit for all."""
    rest, _, asked = _players(fitted)

    def score(precision: float) -> float:
        weights = np.tile(_one_logit(rest, precision), (len(asked.choice), 1))
        return log_score(_chance(asked, weights), asked.choice)

    weights = _one_logit(fitted, max(_PRECISIONS, key=score))
    return lambda _, asked: _chance(asked, np.tile(weights, (len(asked.choice), 1)))


def _ridge(fitted: Shown, mean: Array) -> Predictor:
    answers = fitted.first(_TUNED)
    asked = Shown(*(values[:, _TUNED:] for values in fitted))

    def predicted(answers: Shown, asked: Shown, precision: float) -> Array:
        weights = ridge_logits(answers.difference, answers.choice, mean, precision)
        return _chance(asked, weights)

    best = max(_PRECISIONS, key=lambda p: log_score(predicted(answers, asked, p), asked.choice))
    return lambda answers, asked: predicted(answers, asked, best)


def ridge_to_zero(fitted: Shown, _seed: int) -> Predictor:
    """A logit for each newcomer, of the own answers alone."""
    return _ridge(fitted, np.zeros(fitted.left.shape[2]))


def ridge_to_pooled(fitted: Shown, _seed: int) -> Predictor:
    """The same, shrunk to the weights of all fitted people together."""
    return _ridge(fitted, _one_logit(fitted, 1.0))


def low_rank(fitted: Shown, seed: int) -> Predictor:
    """A head of low rank, learned from the fitted people."""
    rest, answers, asked = _players(fitted)
    found = {
        (rank, decay): log_score(
            _with_scores(*_head(rest, rank, decay, seed), answers, asked), asked.choice
        )
        for rank in _RANKS
        for decay in _DECAYS
    }
    mu, loadings = _head(fitted, *max(found, key=lambda each: found[each]), seed)
    return lambda answers, asked: _with_scores(mu, loadings, answers, asked)


def _head(fitted: Shown, rank: int, decay: float, seed: int) -> tuple[Array, Array]:
    """Learn mu (k,) and V (k, rank) with standard normal scores, by maximum a posteriori."""
    generator = torch.Generator().manual_seed(seed)
    difference, choice = (torch.tensor(v) for v in (fitted.difference, fitted.choice))
    u, _, k = difference.shape
    mu = torch.zeros(k, dtype=torch.float64, requires_grad=True)
    start = 0.1 * torch.randn(k + u, rank, generator=generator, dtype=torch.float64)
    loadings, scores = (part.clone().requires_grad_() for part in (start[:k], start[k:]))
    optimizer = torch.optim.Adam([mu, loadings, scores], lr=0.03)
    for _ in range(300):
        optimizer.zero_grad()
        eta = torch.einsum("unk,uk->un", difference, mu + scores @ loadings.T)
        loss = nn.functional.binary_cross_entropy_with_logits(eta, choice, reduction="sum")
        loss = loss + 0.5 * (scores**2).sum() + 0.5 * decay * (loadings**2).sum()
        (loss + 0.5 * (mu**2).sum()).backward()
        optimizer.step()
    return mu.detach().numpy(), loadings.detach().numpy()


def _with_scores(mu: Array, loadings: Array, answers: Shown, asked: Shown) -> Array:
    """Find newcomers' scores, given the head, and predict."""
    u, rank = len(answers.choice), loadings.shape[1]
    # The common weights are one more direction, whose score is known to be 1.
    seen = np.concatenate([answers.difference @ loadings, (answers.difference @ mu)[..., None]], 2)
    scores = np.zeros((u, rank))
    for _ in range(50):
        p = expit(np.einsum("unr,ur->un", seen[..., :-1], scores) + seen[..., -1])
        slope = np.einsum("unr,un->ur", seen[..., :-1], answers.choice - p) - scores
        curve = np.einsum("unr,un,unq->urq", seen[..., :-1], p * (1 - p), seen[..., :-1])
        scores = scores + np.linalg.solve(curve + np.eye(rank), slope[..., None])[..., 0]
    return _chance(asked, mu + scores @ loadings.T)


class Encoder(nn.Module):
    """A set of answers -> normal q(z); a side and z -> its reward."""

    def __init__(self, features: int, latent: int = 8, hidden: int = 64) -> None:
        super().__init__()
        self.each = nn.Sequential(
            nn.Linear(2 * features, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU()
        )
        self.normal = nn.Linear(hidden, 2 * latent)
        self.reward = nn.Sequential(
            nn.Linear(features + latent, hidden), nn.ReLU(), nn.Linear(hidden, 1)
        )

    def posterior(
        self, left: torch.Tensor, right: torch.Tensor, choice: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and sd (u, latent) of q, of answers (u, n, k)."""
        won = choice[..., None] == 1
        pair = torch.cat([torch.where(won, left, right), torch.where(won, right, left)], dim=2)
        mean, size = self.normal(self.each(pair).mean(dim=1)).chunk(2, dim=1)
        return mean, nn.functional.softplus(size) + 1e-3

    def log_odds(self, left: torch.Tensor, right: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """(..., u, n) of left, given z (..., u, latent)."""
        shape = (*z.shape[:-1], left.shape[-2], z.shape[-1])
        of_all = z[..., None, :].expand(shape)
        one, other = (
            self.reward(torch.cat([side.expand(*shape[:-1], side.shape[-1]), of_all], dim=-1))
            for side in (left, right)
        )
        return (one - other)[..., 0]


def _tensors(shown: Shown) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    left, right, choice = (torch.tensor(values, dtype=torch.float32) for values in shown)
    return left, right, choice


def encoded(network: Encoder, answers: Shown, asked: Shown, draws: int = 64) -> Array:
    """Average P(left) (u, n) over q(z) of each newcomer."""
    with torch.no_grad():
        mean, sd = network.posterior(*_tensors(answers))
        noise = torch.randn(draws, *mean.shape, generator=torch.Generator().manual_seed(0))
        left, right, _ = _tensors(asked)
        chance = torch.sigmoid(network.log_odds(left, right, mean + sd * noise)).mean(dim=0)
    return chance.numpy().astype(np.float64)


def variational(fitted: Shown, seed: int, *, steps: int = 600) -> Predictor:
    """An encoder of answers, stopped and weighted by those who play newcomers."""
    rest, answers, asked = _players(fitted)
    best: tuple[float, Encoder | None] = (-np.inf, None)
    for kl in _KLS:
        for step, network in _trained(rest, kl, seed, steps):
            if step % 50 == 0:
                score = log_score(encoded(network, answers, asked), asked.choice)
                if score > best[0]:
                    best = score, deepcopy(network)
    network = best[1]
    assert network is not None
    return lambda answers, asked: encoded(network, answers, asked)


def _trained(fitted: Shown, kl: float, seed: int, steps: int) -> Iterator[tuple[int, Encoder]]:
    """Yield the number of steps and the network, while it is trained."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Encoder(fitted.left.shape[2])
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-3)
    left, right, choice = _tensors(fitted)
    pairs = choice.shape[1]
    for step in range(1, steps + 1):
        some = torch.tensor(rng.permutation(pairs)[: rng.integers(5, pairs + 1)])
        mean, sd = network.posterior(left[:, some], right[:, some], choice[:, some])
        z = mean + sd * torch.randn(mean.shape, generator=generator)
        loss = nn.functional.binary_cross_entropy_with_logits(
            network.log_odds(left, right, z), choice, reduction="none"
        ).sum(dim=1)
        divergence = 0.5 * (mean**2 + sd**2 - 2 * sd.log() - 1).sum(dim=1)
        optimizer.zero_grad()
        (loss + kl * divergence).mean().backward()
        optimizer.step()
        yield step, network


METHODS: dict[str, Method] = {
    "pooled logit": pooled,
    "ridge for each": ridge_to_zero,
    "ridge to pooled": ridge_to_pooled,
    "low-rank head": low_rank,
    "variational encoder": variational,
}
