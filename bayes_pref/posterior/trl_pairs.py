"""Pairs of texts with margins, as the trainers of TRL read them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from bayes_pref import settings
from bayes_pref.draws import stack
from bayes_pref.posterior.market_shares import MarketShares
from bayes_pref.posterior.queries import POPULATION
from bayes_pref.posterior.reward_head import reward_head
from bayes_pref.text.records import Fields, Records, read_votes

_NO_PROMPT = (type(None), float, type(pd.NA))


@dataclass(frozen=True, eq=False, repr=False)
class TrlPairs(MarketShares):
    """Base of `Posterior`: pairs of texts with margins, and a reward head."""

    def reward_head(self, user: Hashable = POPULATION, *, bias: bool = False) -> torch.nn.Module:
        """Return the mean reward as a torch module over frozen embeddings, for a score head.

        Made of ``torch.nn`` layers alone, so that its ``state_dict`` loads wherever such layers
        are: a ``Linear``, or ``Linear``, ``Tanh``, ``Linear`` where features were learned.
        Uncertainty is left out; `reward_model` has it.

        Parameters
        ----------
        user
            A user's label, or ``"population"`` for a new user.
        bias
            Whether the output layer has a constant, by which rewards are against the average item.
            The score heads of most language models have none, and no choice depends on it.

        Returns
        -------
        module: (n, p) to (n, 1), log-odds. The input is the embedding of the response where texts
            were read by an encoder alone, and else the attributes in their order.

        Raises
        ------
        DataError
            If the user is unknown, or rewards depend on contexts, or on more than an embedding.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to items with three attributes, of a model that has
        a score head, ``model.score.load_state_dict(posterior.reward_head().state_dict())``.

        >>> import bayes_pref as bp
        >>> data = bp.simulate(users=10, features=3, contexts=0, seed=0).comparisons
        >>> posterior = bp.fit(bp.PooledReward(), data, bp.Gibbs(progress=False))
        >>> {name: tuple(each.shape) for name, each in posterior.reward_head().state_dict().items()}
        {'weight': (1, 3)}
        """
        settings.argument("bias", bias, settings.boolean)
        weights, _ = self._weights(user if user == POPULATION else [user])
        group = self.model.group_label(self.comparisons, user)
        mean = stack(weights, "user", "feature")[:, 0].mean(axis=0)
        return reward_head(self.comparisons, mean, group, bias=bias)

    def to_trl(
        self,
        records: Records,
        user: Hashable = POPULATION,
        *,
        prompt: str = "prompt",
        chosen: str = "chosen",
        rejected: str = "rejected",
    ) -> list[dict[str, Any]]:
        """Return pairs in the order in which a user would choose, with margins.

        ``datasets.Dataset.from_list`` of them is what TRL's ``RewardTrainer`` and ``DPOTrainer``
        read; the first subtracts the margin from the difference of the rewards that it learns.

        Parameters
        ----------
        records
            A JSON lines file, a table or a list of dictionaries, as in `bayes_pref.text`; who voted
            does not matter.
        user
            A user's label, or ``"population"`` for a new user.
        prompt, chosen, rejected
            Fields of the records.

        Returns
        -------
        pairs: one for each record, in their order, with the record's own `chosen` and `rejected`,
            exchanged where the user would choose the other; `prompt`, where the record has one; and
            `margin`, by how much the posterior mean of the reward is larger, log-odds, at least 0

        Raises
        ------
        DataError
            If the user is unknown, the comparisons were not read from texts, or a record has no
            pair of different responses; names it.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> short, long = "It is four.", "Let me explain at some length why the answer is four."
        >>> votes = [{"prompt": "2 + 2?", "chosen": short, "rejected": long} for _ in range(10)]
        >>> read = bp.text.comparisons(votes, surface=["length"])
        >>> posterior = bp.fit(bp.PooledReward(), read, bp.Gibbs(progress=False))
        >>> asked = {"prompt": "3 + 4?", "chosen": "I would say that it is 7.", "rejected": "7."}
        >>> [pair] = posterior.to_trl([asked])
        >>> pair["chosen"], pair["margin"] > 0
        ('7.', True)
        """
        reward = self.reward_model(user)
        votes = read_votes(records, Fields(prompt, chosen, rejected, None), seed=0, skip=False)
        asked = votes.frame["prompt"].tolist()
        with torch.no_grad():
            left, right = (
                reward(asked, votes.frame[side].tolist()).mean for side in ("left", "right")
            )
        gained = (left - right).cpu().numpy() * (2.0 * votes.frame["choice"].to_numpy() - 1.0)
        pairs = []
        for record, margin in zip(votes.records.to_dict("records"), gained, strict=True):
            # A loop over records, which are dictionaries.
            first, second = (chosen, rejected) if margin >= 0.0 else (rejected, chosen)
            pair = {
                "chosen": record[first],
                "rejected": record[second],
                "margin": float(abs(margin)),
            }
            if not isinstance(record.get(prompt), _NO_PROMPT):
                pair = {"prompt": record[prompt]} | pair
            pairs.append(pair)
        return pairs
