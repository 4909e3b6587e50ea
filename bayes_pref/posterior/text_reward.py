"""A user's reward function as a torch module that scores texts.

It serves best-of-n sampling and training loops. The reward of response y to prompt x is measured
against that of the average response in the data, because only differences of rewards are
identified:

    f = phi(x, y) - phi(x, mean y),   r = f . w,   mean r = f . E w,   var r = f' Cov(w) f
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from bayes_pref.data import Comparisons
from bayes_pref.errors import DataError
from bayes_pref.messages import listed
from bayes_pref.posterior.choice_rules import Rule, best_of_sets, valid_rule
from bayes_pref.settings import interval as valid_interval
from bayes_pref.text.conversations import Texts, exchanges
from bayes_pref.types import FloatArray

_SAMPLES = 4_000  # of which a probability has a Monte Carlo error of at most 0.008


class Score(NamedTuple):
    """Posterior mean and sd of rewards, both (n,), log-odds against the average response."""

    mean: torch.Tensor
    sd: torch.Tensor


class TextReward(torch.nn.Module):
    """Scores (prompt, response) texts for one user; made by `Posterior.reward_model`.

    Parameters
    ----------
    comparisons
        The data of the posterior, which hold the map from texts to features.
    weights
        (s, d) draws of the user's weights.
    group
        The user's group, where the learned representation has it as an input.

    Raises
    ------
    DataError
        If the features did not come from texts, or depend on columns that texts do not determine.
    """

    mean: torch.Tensor
    root: torch.Tensor

    def __init__(self, comparisons: Comparisons, weights: FloatArray, group: Any = None) -> None:
        super().__init__()
        text = comparisons.text
        if text is None:
            raise DataError(
                "these comparisons did not come from texts, so no text can be scored; read them "
                "with bp.text.comparisons, or use posterior.reward(items)"
            )
        network = comparisons.representation
        used = {context for _, context in comparisons.features.interactions}
        used |= set(network.contexts) if network else set()
        unknown = used - set(text.context_names)
        if unknown:
            raise DataError(
                f"rewards depend on {listed(sorted(unknown))}, which a text does not determine: "
                "use posterior.reward(items) with these columns"
            )
        self.text, self.network, self.group = text, network, group
        self.described = comparisons.features
        count = len(self.described.attributes)
        right = comparisons.right
        if right is None:
            raise DataError("these comparisons have feature differences only, not both sides")
        self.average = (right + comparisons.difference[:, :count] / 2.0).mean(axis=0)
        cov = np.atleast_2d(np.cov(weights, rowvar=False))
        values, axes = np.linalg.eigh(cov)
        self.register_buffer("mean", torch.tensor(weights.mean(axis=0)))
        self.register_buffer("root", torch.tensor(axes * np.sqrt(np.clip(values, 0.0, None))))

    def features(self, prompts: Texts, responses: Texts) -> torch.Tensor:
        """Features (n, d) of responses less those of the average response in the same context."""
        prompts, responses = exchanges(prompts, responses)
        attributes = self.text.attributes(responses)
        contexts = self.text.contexts(prompts)
        if self.network is not None:
            groups = None if self.group is None else [self.group] * len(responses)
            attributes = self.network(attributes, contexts[:, : len(self.network.contexts)], groups)
        all_contexts = np.zeros((len(responses), len(self.described.contexts)))
        all_contexts[:, : contexts.shape[1]] = contexts  # those of the text come first
        found = self.described.expand(attributes - self.average, all_contexts)
        return torch.as_tensor(found, device=self.mean.device).to(self.mean.dtype)

    def score(self, features: torch.Tensor) -> Score:
        """Score features (n, d) as `features` returns them; differentiable."""
        return Score(features @ self.mean, torch.linalg.vector_norm(features @ self.root, dim=-1))

    def forward(self, prompts: Texts, responses: Texts) -> Score:
        """Score responses.

        Parameters
        ----------
        prompts
            (n,) or one prompt for all. One string, or one list of messages
            (``{"role": ..., "content": ...}``), is one prompt.
        responses
            (n,) strings or lists of messages, or one response: then n is 1.

        Returns
        -------
        mean, sd
            (n,) each, log-odds against the average response of the data.

        Raises
        ------
        DataError
            If something is neither text nor messages, or prompts and responses do not pair.
        """
        return self.score(self.features(prompts, responses))

    def choose(
        self,
        prompt: Texts,
        responses: Texts,
        *,
        rule: Rule = "mean",
        interval: float = 0.9,
    ) -> pd.Series:
        """Choose the best of n responses to one prompt, as `Posterior.choose` does.

        Rewards are taken as normal with the mean and covariance of the draws.

        Parameters
        ----------
        prompt
            One prompt: a string, or one list of messages.
        responses
            (n,) strings or lists of messages.
        rule, interval
            As for `Posterior.choose`.

        Returns
        -------
        series: `item`, the position of the response; `value`, `probability_best`, `regret` and
            `runner_up` as in `Posterior.choose`

        Raises
        ------
        DataError
            As when called, and if there is no such rule.
        """
        named, interval = valid_rule(rule), valid_interval(interval)
        asked = set(exchanges(prompt, responses)[0])
        if len(asked) != 1:
            raise DataError(
                f"prompt and responses: there are {len(asked)} prompts to choose a response for",
                "give one prompt, and at least one response",
            )
        with torch.no_grad():
            found = self.features(prompt, responses)
            mean = (found @ self.mean).cpu().numpy().astype(np.float64)
            root = (found @ self.root).cpu().numpy().astype(np.float64)
        noise = np.random.default_rng(0).standard_normal((root.shape[1], _SAMPLES))
        best = best_of_sets(mean[:, None] + root @ noise, np.zeros(1, np.int64), named, interval)
        second = int(best.runner_up[0])
        described = {
            "item": int(best.chosen[0]),
            "value": float(best.value[0]),
            "probability_best": float(best.probability_best[0]),
            "regret": float(best.regret[0]),
            "runner_up": None if second < 0 else second,
        }
        return pd.Series(described, dtype=object)
