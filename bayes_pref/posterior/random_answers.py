"""Answers given at random: how many of a user's, and how alike their answers to the same pair are.

With a lapse rate, an answer y among K outcomes, or alternatives, is random with probability lapse,
and otherwise has the probability p(y) that the rewards give it. Whether it was random is a latent
indicator of the mixture; given the draws of the rewards and of the lapse rate it is, by Bayes'
rule, random with probability

    (lapse / K) / (lapse / K + (1 - lapse) p(y)),

independently of the other answers (mixtures with latent indicators: Diebolt & Robert 1994, J. R.
Stat. Soc. B 56; lapses of observers: Wichmann & Hill 2001, Percept. Psychophys. 63). In every draw
the indicators of all answers are drawn and counted.

That lapse rate is common to all users. A user who answers at random throughout is also described by
rewards that are nearly equal, with no lapses at all, and an answer between equals is random with
the common rate only. With `reliability=True` each user has an indicator of their own, `careless`,
and all answers are random in the draws in which it is 1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from bayes_pref.data import Outcome, Ranking
from bayes_pref.draws import stack
from bayes_pref.errors import ModelError
from bayes_pref.models.choice import ChoiceDistribution
from bayes_pref.models.choice.stage_choices import evenly, log_stages
from bayes_pref.models.observational_bias import rows_with_bias
from bayes_pref.posterior.estimates import describe
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.posterior.repeats import repeats
from bayes_pref.posterior.share import Shares
from bayes_pref.settings import interval as valid_interval
from bayes_pref.types import FloatArray

_STREAM = 3  # of random numbers
_MOST = 0.5


@dataclass(frozen=True, eq=False, repr=False)
class RandomAnswers(Shares):
    """Base of `Posterior`: which users answered at random."""

    def reliability(self, *, interval: float = 0.9) -> pd.DataFrame:
        """Estimate what share of each user's answers was given at random.

        Parameters
        ----------
        interval
            Probability inside the central credible interval of the share of these very answers:
            that of the parameters, and of which answers were random given them.

        Returns
        -------
        frame: one row a user, in the order of the data

            `user`; `answers`, their number, of choices among several that of their stages (each
            place of a ranking, and the best and the worst, is one); `mean`, `sd`, `lower`, `upper`
            of the share of these answers that was given at random, from 0 to 1; `mostly`, the
            probability that it is more than half; `lapse`, the mean of that share over all people,
            which is what is expected of somebody whose answers are not known; `repeats`, the number
            of pairs of answers to the same pair of items, whichever was on the left; `alike`, the
            share of these in which both answers are the same; `alike_expected`, that share in new
            answers to the same questions, given what was learned from these. The last two are NaN
            without repeats, and the last three are of pairs and graded answers alone.

        Raises
        ------
        ModelError
            If no answer is random in the model.
        DataError
            If `interval` is not between 0 and 1.

        Notes
        -----
        Fit with ``reliability=True`` to find people who answer everything at random: `mean` is then
        the probability that somebody does, apart from lapses, and `mostly` is nearly the same. With
        ``lapse=True`` alone all users have the same lapse rate. The share of somebody who answers
        at random throughout stays near that rate, because small weights explain such answers as
        well, and `mostly` is hardly ever large.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> world = bp.simulate(users=20, comparisons=20, contexts=0, seed=0)
        >>> engine = bp.Gibbs(progress=False)
        >>> posterior = bp.fit(bp.HierarchicalReward(reliability=True), world.comparisons, engine)
        >>> found = posterior.reliability()
        >>> found[["user", "answers"]].head(2).values.tolist()
        [['u001', 20], ['u002', 20]]
        >>> bool(found["mean"].between(0.0, 1.0).all())
        True
        """
        interval = valid_interval(interval)
        comparisons, choices = self.comparisons, self.choice_distribution
        if "lapse" not in choices.parameters and choices.careless is None:
            raise ModelError(
                "no answer is random in this model; fit it with reliability=True, for example "
                "bp.HierarchicalReward(reliability=True), to find people who answer at random, or "
                "with lapse=True"
            )
        weights, difference = rows_with_bias(self._weights(None)[0], self.draws, comparisons)
        samples = weights.sizes["chain"] * weights.sizes["draw"]
        lapse = choices.parameters.get("lapse", np.zeros(samples))
        careless, heeding = choices.careless, replace(choices, careless=None)
        rng = self._generator(_STREAM)
        outcome = comparisons.outcome
        answer = outcome.stage if isinstance(outcome, Ranking) else np.arange(len(comparisons))
        user = comparisons.user[np.flatnonzero(np.diff(answer, prepend=-1))]
        counts = np.bincount(user)
        expected = np.zeros(comparisons.n_users)
        drawn = np.zeros((comparisons.n_users, samples))
        blocks = log_odds(weights, comparisons.user, difference, answer)
        for part, eta in blocks:  # of rows
            own = outcome.take(np.arange(part.start, part.stop))
            random = lapse * _at_random(heeding, eta, comparisons.choice[part], own, lapse)
            of = user[answer[part.start] : answer[part.stop - 1] + 1]
            if careless is not None:
                random = np.maximum(random, careless[of])
            starts = np.flatnonzero(np.diff(of, prepend=-1))
            expected[of[starts]] += np.add.reduceat(random.mean(axis=1), starts)
            indicators = (rng.random(random.shape) < random).astype(np.float64)
            drawn[of[starts]] += np.add.reduceat(indicators, starts, axis=0)
        share = drawn / counts[:, None]
        mostly = (share > _MOST).mean(axis=1)
        columns = describe(share, interval) | {"mean": expected / counts}
        found = {"user": comparisons.users, "answers": counts, **columns}
        if careless is not None:
            everything = stack(self.draws["careless_share"])
            lapse = everything + (1.0 - everything) * lapse
        found |= {"mostly": mostly, "lapse": float(lapse.mean())}
        frame = pd.DataFrame(found)
        if not outcome.rowwise:
            return frame
        return frame.join(repeats(weights, choices, comparisons, difference))


def _at_random(
    choices: ChoiceDistribution,
    eta: FloatArray,
    choice: FloatArray,
    outcome: Outcome,
    lapse: FloatArray,
) -> FloatArray:
    """Probability of answers (answer, sample) at random, over that under lapses and rewards."""
    if isinstance(outcome, Ranking):
        made = log_stages(eta, outcome.stage, choice, lapse)
        return np.asarray(evenly(outcome.stage)[:, None] * np.exp(-made))
    return np.exp(-choices.log_likelihood(eta, choice)) / choices.n_outcomes
