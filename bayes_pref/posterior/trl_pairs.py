"""Pairs of texts with margins, as the trainers of TRL read them."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch

from bayes_pref.posterior.market_shares import MarketShares
from bayes_pref.posterior.queries import POPULATION
from bayes_pref.text.records import Fields, Records, read_votes

_NO_PROMPT = (type(None), float, type(pd.NA))


@dataclass(frozen=True, eq=False, repr=False)
class TrlPairs(MarketShares):
    """Base of `Posterior`: pairs of texts with margins."""

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
