"""One item for many people: four rules, with the probability of each item to win by each.

With u_ij the reward of item j to member i in a draw, and p_i the members' shares,

- utilitarian: the largest sum_i p_i u_ij (Harsanyi 1955, J. Polit. Econ. 63);
- Borda: the largest mean over k of M_jk, M_jk = sum_i p_i 1(u_ij > u_ik), the share that prefers j
  to k; who is indifferent counts for half;
- Condorcet: the j with M_jk > 1/2 for every k, of which there may be none;
- min-max regret: the smallest max_g R_gj, R_gj = max_k U_gk - U_gj, with U_gj the mean reward of j
  in subgroup g, or of each member alone (Savage 1951, J. Am. Stat. Assoc. 46).

The first two average over people, and the third counts heads; the last looks at the worst-off.
Where they name different items, which one to serve is a question of values and not of data.
"""

from __future__ import annotations

import html
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from bayes_pref.data import Comparisons
from bayes_pref.data.survey_weights import shares
from bayes_pref.errors import DataError
from bayes_pref.messages import printable, shown
from bayes_pref.posterior.choice_rules import EQUAL
from bayes_pref.posterior.estimates import describe, user_blocks
from bayes_pref.posterior.subgroups import Subgroup
from bayes_pref.types import FloatArray

RULES = ("utilitarian", "Borda", "Condorcet", "min-max regret")
_COPIES = 4  # arrays as large as the rewards, while items are compared


class Members(NamedTuple):
    """The members of a group.

    Attributes
    ----------
    shares
        (i,) which sum to 1.
    labels
        Labels of the g subgroups, or of the members who count.
    within
        (g, i) shares of members in the averages of subgroups; None: each member stands alone.
    """

    shares: FloatArray
    labels: list[Any]
    within: FloatArray | None

    @classmethod
    def of(cls, comparisons: Comparisons, users: Any, groups: Sequence[Subgroup] | None) -> Members:
        """Return the users at these positions; None: without subgroups.

        Raises
        ------
        DataError
            If these users stand for nobody, or none of them is in a subgroup.
        """
        weights = comparisons.user_shares[users]
        if not weights.any():
            raise DataError("users: all of them have the survey weight 0", "name others")
        if groups is None:
            return cls(shares(weights), list(comparisons.users[users]), None)
        every = np.zeros((len(groups), comparisons.n_users))
        for row, group in zip(every, groups, strict=True):  # a loop over groups
            row[group.users] = group.shares
        within = every[:, users]
        total = within.sum(axis=1, keepdims=True)
        if not total.all():
            label = groups[int(np.argmin(total[:, 0]))].label
            raise DataError(f"by: none of these users is in the group {shown(label)}")
        return cls(shares(weights), [group.label for group in groups], within / total)


class _Scores(NamedTuple):
    """Draws for m items: mean reward and largest regret (m, s), shares that prefer one (m, m, s).

    `regret` (g, m, s) of subgroups, or (i, m, 1) the means of members.
    """

    utility: FloatArray
    beats: NDArray[np.floating[Any]]
    largest: FloatArray
    regret: FloatArray


@dataclass(frozen=True, eq=False, repr=False)
class GroupChoice:
    """One item for a group, by four rules.

    Attributes
    ----------
    item
        The item that all rules name; None where they disagree.
    rules
        One row a rule: `rule`; the `item` that it names, None where probably no item beats all
        others; `value`: mean reward relative to that of all items (log-odds), share of contests
        won, smallest share that prefers it to another item, expected largest regret (log-odds);
        `probability` that it wins; `worst_off`, the subgroup or user who expects to lose most with
        it, and that `regret`, with `lower` and `upper`, log-odds.
    items
        One row an item: the `value` of each rule, named `utility`, `borda`, `majority`,
        `largest_regret`, and its probabilities to win, `p_utilitarian` and so on.
    groups
        With `by`, one row a subgroup and item: its `regret` with `lower` and `upper`. Else empty.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> import pandas as pd
    >>> names = posterior.comparisons.feature_names
    >>> same = pd.DataFrame([[1.0, 0, 0, 0]] * 2, ["one", "twin"], columns=names)
    >>> print(posterior.choose_for_group(same).items["p_utilitarian"].tolist())
    [0.5, 0.5]
    """

    item: Hashable | None
    rules: pd.DataFrame
    items: pd.DataFrame
    groups: pd.DataFrame

    @classmethod
    def of(
        cls,
        weights: xr.DataArray,
        matrix: FloatArray,
        labels: pd.Index[Any],
        members: Members,
        interval: float,
    ) -> GroupChoice:
        """Compare items (m, d) at draws (chain, draw, user, feature) of the members' weights."""
        scores = _scored(weights, matrix, members)
        count = len(matrix)
        beats = scores.beats
        others = ~np.eye(count, dtype=bool)
        borda = np.einsum("jks,jk->js", beats, others) / (count - 1)
        majority = np.where(others[:, :, None], beats, 1.0).min(axis=1)
        centred = scores.utility - scores.utility.mean(axis=0)
        wins = {
            "utilitarian": _largest(centred),
            "Borda": _largest(borda),
            "Condorcet": majority > 0.5 + EQUAL,
            "min-max regret": _largest(-scores.largest),
        }
        chance = {rule: won.mean(axis=1) for rule, won in wins.items()}
        values = [centred, borda, majority, scores.largest]
        value = dict(zip(RULES, (each.mean(axis=1) for each in values), strict=True))
        named: dict[str, int | None] = {
            "utilitarian": int(value["utilitarian"].argmax()),
            "Borda": int(value["Borda"].argmax()),
            "Condorcet": int(chance["Condorcet"].argmax()),
            "min-max regret": int(value["min-max regret"].argmin()),
        }
        if 1.0 - chance["Condorcet"].sum() > chance["Condorcet"].max():
            named["Condorcet"] = None
        rows = []
        for rule, place in named.items():
            row: dict[str, Any] = {"rule": rule, "item": None if place is None else labels[place]}
            if place is None:
                row["probability"] = 1.0 - chance[rule].sum()  # that there is no such item
            else:
                row |= {"value": value[rule][place], "probability": chance[rule][place]}
                row |= _worst(weights, matrix, members, scores, place, interval)
            rows.append(row)
        names = ["rule", "item", "value", "probability", "worst_off", "regret", "lower", "upper"]
        rules = pd.DataFrame(rows).reindex(columns=names)
        rules["item"] = rules["item"].astype(object).where(rules["item"].notna(), None)
        items = pd.DataFrame(
            {
                "item": labels,
                "utility": value["utilitarian"],
                "borda": value["Borda"],
                "majority": value["Condorcet"],
                "largest_regret": value["min-max regret"],
                "p_utilitarian": chance["utilitarian"],
                "p_borda": chance["Borda"],
                "p_condorcet": chance["Condorcet"],
                "p_min_max_regret": chance["min-max regret"],
            }
        )
        first = named["utilitarian"]
        item = labels[first] if first is not None and set(named.values()) == {first} else None
        return cls(item, rules, items, _of_groups(scores, members, labels, interval))

    @property
    def sentence(self) -> str:
        """What to serve, or why nothing is recommended, in one sentence."""
        if self.item is None:
            said = [
                f"{rule} names {'no item' if item is None else shown(item)} ({100 * p:.0f} %)"
                for rule, item, p in zip(*(self.rules[c] for c in _SAID), strict=True)
            ]
            return f"No recommendation, because the rules disagree: {'; '.join(said)}."
        low = self.rules["probability"].min()
        worst = self.rules.iloc[0]
        return (
            f"Serve {shown(self.item)}: all four rules name it, with probabilities of at least "
            f"{100 * low:.0f} %; {shown(worst['worst_off'])} loses most, "
            f"{worst['regret']:.2f} log-odds against what is best there (interval "
            f"{worst['lower']:.2f} to {worst['upper']:.2f})."
        )

    def __repr__(self) -> str:
        """Return the sentence and a row for each rule."""
        table = self.rules.map(lambda value: printable(value) if isinstance(value, str) else value)
        return f"{self.sentence}\n{table.to_string(index=False, float_format='{:.3g}'.format)}"

    def _repr_html_(self) -> str:
        table = self.rules.map(lambda value: printable(value) if isinstance(value, str) else value)
        shown_rules = table.to_html(index=False, float_format="{:.3g}".format, border=0)
        return f"<div><p>{html.escape(printable(self.sentence))}</p>{shown_rules}</div>"


_SAID = ("rule", "item", "probability")


def _scored(weights: xr.DataArray, matrix: FloatArray, members: Members) -> _Scores:
    """Add up what the rules need, in blocks of members."""
    count, samples = len(matrix), weights.sizes["chain"] * weights.sizes["draw"]
    utility, largest = np.zeros((count, samples)), np.zeros((count, samples))
    beats = np.full((count, count, samples), 0.5, dtype=np.float32)
    beats[np.triu_indices(count, 1)] = 0.0
    alone, within = [], members.within
    mean = np.zeros((0 if within is None else len(within), count, samples))
    start = 0
    # A loop over blocks of members: the rewards of all would be as large as the posterior.
    for block in user_blocks(weights, _COPIES * count / matrix.shape[1]):
        here = slice(start, start + len(block))
        share, reward = members.shares[here], matrix @ block
        utility += np.tensordot(share, reward, 1)
        for item in range(count - 1):  # a loop over items: all pairs at once would take gigabytes
            gap = reward[:, item : item + 1] - reward[:, item + 1 :]
            won = 0.5 * ((gap > EQUAL) + (gap >= -EQUAL).astype(np.float32))
            beats[item, item + 1 :] += np.tensordot(share.astype(np.float32), won, 1)
        if within is None:
            regret = reward.max(axis=1, keepdims=True) - reward
            largest = np.maximum(largest, regret[share > 0].max(axis=0, initial=0.0))
            alone.append(regret.mean(axis=2) * (share > 0)[:, None])
        else:
            mean += np.tensordot(within[:, here], reward, 1)
        start = here.stop
    lower = np.tril_indices(count, -1)
    beats[lower] = 1.0 - beats.swapaxes(0, 1)[lower]
    if within is None:
        return _Scores(utility, beats, largest, np.concatenate(alone)[:, :, None])
    regret = mean.max(axis=1, keepdims=True) - mean
    return _Scores(utility, beats, regret.max(axis=0), regret)


def _largest(values: FloatArray) -> FloatArray:
    """(item, sample) whether each item is the largest; equal ones share."""
    first = values >= values.max(axis=0) - EQUAL
    return np.asarray(first / first.sum(axis=0))


def _worst(
    weights: xr.DataArray,
    matrix: FloatArray,
    members: Members,
    scores: _Scores,
    item: int,
    interval: float,
) -> dict[str, Any]:
    """Who expects to lose most with an item, and how much."""
    place = int(scores.regret[:, item].mean(axis=1).argmax())
    if members.within is None:
        [reward] = user_blocks(weights.isel(user=[place]))
        reward = matrix @ reward[0]
        lost = reward.max(axis=0) - reward[item]
    else:
        lost = scores.regret[place, item].copy()
    found = describe(lost, interval)
    return {
        "worst_off": members.labels[place],
        "regret": float(found["mean"]),
        "lower": float(found["lower"]),
        "upper": float(found["upper"]),
    }


def _of_groups(
    scores: _Scores, members: Members, labels: pd.Index[Any], interval: float
) -> pd.DataFrame:
    """One row a subgroup and item."""
    names = ["group", "item", "regret", "lower", "upper"]
    if members.within is None:
        return pd.DataFrame(columns=names)
    groups, count = scores.regret.shape[:2]
    found = describe(scores.regret.reshape(groups * count, -1).copy(), interval)
    keys = {
        "group": [label for label in members.labels for _ in range(count)],
        "item": list(labels) * groups,
    }
    return pd.DataFrame(keys | {"regret": found["mean"]} | found)[names]
