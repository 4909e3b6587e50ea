"""Which of some items to serve, at draws of their rewards.

With u_j the reward of item j of a set in a draw, and E the mean over draws,

- "mean": the largest E u_j, which is also the smallest expected regret E[max_k u_k] - E u_j;
- "lower": the largest lower end of the interval of u_j - mean_k u_k, which is cautious about items
  of which little is known;
- "probability best": the largest P(u_j = max_k u_k), ties shared;
- "regret": the smallest upper end of the interval of max_k u_k - u_j, which is cautious about how
  much may be lost.

Only differences of rewards are identified, and every rule depends on these alone.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from bayes_pref import settings
from bayes_pref.types import FloatArray, IntArray

Rule: TypeAlias = Literal["mean", "lower", "probability best", "regret"]
EQUAL = 1e-9  # log-odds within which rewards are the same but for rounding


class BestOfSets(NamedTuple):
    """What each of k sets of items comes to by a rule.

    Attributes
    ----------
    chosen, runner_up
        (k,) positions of rows; -1 where there is no second item.
    value
        (k,) of the chosen item on the rule.
    probability_best
        (k,) that no item of the set is worth more.
    regret
        (k,) by how much the best item of the set is worth more, on average, log-odds.
    """

    chosen: IntArray
    runner_up: IntArray
    value: FloatArray
    probability_best: FloatArray
    regret: FloatArray


def valid_rule(rule: object) -> str:
    """Return the rule, or say which there are.

    Raises
    ------
    DataError
        If there is no such rule.

    Examples
    --------
    >>> valid_rule("median")
    Traceback (most recent call last):
    bayes_pref.errors.DataError: rule must be 'mean', 'lower', 'probability best' or 'regret', ...
    """
    return str(settings.argument("rule", rule, settings.one_of(*get_args(Rule))))


def best_of_sets(
    reward: FloatArray, starts: IntArray, rule: str = "mean", interval: float = 0.9
) -> BestOfSets:
    """Choose one item of every set.

    Parameters
    ----------
    reward
        (row, sample) draws of the rewards of items, those of a set one after another.
    starts
        (k,) the first row of each set, from 0 on.
    rule
        As in this module's description; of items that are equal by it, the first.
    interval
        Probability inside the central interval whose ends "lower" and "regret" take.

    Examples
    --------
    >>> import numpy as np
    >>> reward = np.array([[0.0, 0.0, 0.0], [2.0, 2.0, -5.0]])  # safe and risky
    >>> [int(best_of_sets(reward, np.array([0]), rule).chosen[0]) for rule in get_args(Rule)]
    [0, 0, 1, 0]
    """
    rows = len(reward)
    size = np.diff(np.append(starts, rows))
    of = np.repeat(np.arange(len(starts)), size)
    regret = np.maximum.reduceat(reward, starts, axis=0)[of] - reward
    expected = regret.mean(axis=1)
    first = regret <= EQUAL
    shared = np.add.reduceat(first, starts, axis=0, dtype=np.float64)
    probability = np.einsum("rs,rs->r", first, (1.0 / shared)[of]) / reward.shape[1]
    centre = np.add.reduceat(reward, starts, axis=0) / size[:, None]
    if rule == "mean":
        value = reward.mean(axis=1) - centre.mean(axis=1)[of]
    elif rule == "lower":
        value = np.quantile(reward - centre[of], (1.0 - interval) / 2.0, axis=1)
    elif rule == "probability best":
        value = probability
    else:
        value = np.quantile(regret, (1.0 + interval) / 2.0, axis=1)
    score = -value if rule == "regret" else value
    order = np.lexsort((np.arange(rows), -np.round(score, 12), of))
    chosen = order[starts]
    second = order[np.minimum(starts + 1, rows - 1)]
    return BestOfSets(
        chosen, np.where(size > 1, second, -1), value[chosen], probability[chosen], expected[chosen]
    )
