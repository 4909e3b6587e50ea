"""What a study of some size would find, and what it would get wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.plots.power_plot import power as power_plot
from bayes_pref.reporting import html as pages
from bayes_pref.types import FloatArray

EFFECTS, SIGNS, FLAGS = "effect", "individual sign", "flag"
ALL = "all"
_KEYS = ["kind", "feature", "users", "tasks"]
_PLURAL = {EFFECTS: "effects", SIGNS: "individual signs", FLAGS: "flags"}
_TARGET = 0.8


@dataclass(frozen=True, eq=False, repr=False)
class Power:
    """How much studies of several sizes would find.

    Attributes
    ----------
    table
        One row for each `kind`, `feature` and size (`users`, `tasks` of each): `true`, the true
        mean weight (log-odds, an average over simulations); `power` with its standard error `se`;
        `wrong` with `wrong_se`; and the number of `replications`.

        Of the kind "effect": `power` is the share of simulations in which the interval of the mean
        weight excludes 0 on the right side (NaN where the truth is 0), and `wrong` that in which it
        excludes 0 on the wrong side, or excludes the truth 0. "individual sign": the share of users
        for whom the interval of the own weight excludes 0 on the right side, and on the wrong
        side. "flag": the share of truly confounded comparisons that are called confounded, and the
        share of those called so that are not. The feature "all" is the average over features whose
        truth is not 0, and that of flags.
    records
        The same for every simulation: `kind`, `feature`, `users`, `tasks`, `replication`, `true`,
        `found`, `wrong`.
    complete
        Whether all simulations were made; False where they were interrupted.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> design = {"features": ["length"], "contexts": 0, "mean": [2.0]}
    >>> found = bp.power(design, users=[10, 30], tasks=5, replications=3, progress=False)
    >>> found.table["kind"].unique().tolist()
    ['effect', 'individual sign']
    >>> found.needed(0.5)[["kind", "feature", "tasks"]].values.tolist()
    [['effect', 'all', 5], ['effect', 'length', 5], ['individual sign', 'all', 5],
     ['individual sign', 'length', 5]]
    """

    table: pd.DataFrame
    records: pd.DataFrame
    complete: bool = True

    @classmethod
    def of(cls, records: list[Mapping[str, Any]], *, complete: bool) -> Power:
        """Average over simulations."""
        given = pd.DataFrame(records)
        some = given[(given["feature"] != ALL) & given["found"].notna()]
        each = some.groupby(["kind", "users", "tasks", "replication"], sort=False)
        every = each[["found", "wrong"]].mean().reset_index().assign(feature=ALL, true=np.nan)
        whole = pd.concat([every, given], ignore_index=True)
        order = {kind: place for place, kind in enumerate(_PLURAL)}
        features = dict.fromkeys([ALL, *given["feature"]])
        names = {name: place for place, name in enumerate(features)}
        rows = []
        for key, part in whole.groupby(_KEYS, sort=False):
            row: dict[str, Any] = dict(zip(_KEYS, cast(tuple[Any, ...], key), strict=True))
            row["true"] = part["true"].mean()
            for column, error, values in (
                ("power", "se", part["found"]),
                ("wrong", "wrong_se", part["wrong"]),
            ):
                units = int(row["users"]) if row["kind"] == SIGNS else 1
                row[column], row[error] = _mean(values.to_numpy(np.float64), units)
            rows.append(row | {"replications": len(part)})
        table = pd.DataFrame(rows)
        places = table.assign(kind=table["kind"].map(order), feature=table["feature"].map(names))
        table = table.loc[places.sort_values(_KEYS).index].reset_index(drop=True)
        return cls(table, given, complete)

    def needed(self, power: float = _TARGET) -> pd.DataFrame:
        """Return the smallest of the numbers of users with at least this power.

        Parameters
        ----------
        power
            Between 0 and 1.

        Returns
        -------
        frame: `kind`, `feature`, `tasks`, `users`: NaN where none of the sizes has this power

        Raises
        ------
        DataError
            If `power` is not between 0 and 1.
        """
        power = settings.argument("power", power, settings.fraction)
        enough = self.table.assign(users=self.table["users"].where(self.table["power"] >= power))
        keys = ["kind", "feature", "tasks"]
        return enough.groupby(keys, sort=False)["users"].min().reset_index()

    @property
    def sentence(self) -> str:
        """What sizes find in eight of ten cases, in one sentence."""
        whole = self.table[self.table["feature"] == ALL]
        said = []
        for kind, part in whole.groupby("kind", sort=False):
            enough = part[part["power"] >= _TARGET]
            if len(enough):
                labels = (enough["users"] * enough["tasks"]).to_numpy()
                least = enough.iloc[int(labels.argmin())]
                size = f"with {least['users']:,.0f} users of {least['tasks']:,.0f} tasks"
            else:
                size = f"with none of these sizes (at most {part['power'].max():.2f})"
            said.append(f"for {_PLURAL[str(kind)]}, {size}")
        count = int(self.table["replications"].min())
        counted = f"{count} simulation{'' if count == 1 else 's'} of each size"
        stopped = "" if self.complete else ", when they were interrupted"
        found = "; ".join(said) if said else "nothing, as all mean weights are 0"
        return f"A power of {_TARGET:.1f} is reached: {found} ({counted}{stopped})."

    def plot(self, axes: Any = None) -> Any:
        """Draw the table, as `bayes_pref.plots.power` does."""
        return power_plot(self.table, axes)

    def __repr__(self) -> str:
        """Return the sentence and the averages over features."""
        shown = self._averages()
        return f"{self.sentence}\n{shown.to_string(index=False, float_format='{:.2f}'.format)}"

    def _repr_html_(self) -> str:
        return f"<div><p>{pages.escaped(self.sentence)}</p>{pages.table(self._averages())}</div>"

    def _averages(self) -> pd.DataFrame:
        whole = self.table[self.table["feature"] == ALL]
        return whole[["kind", "users", "tasks", "power", "se", "wrong", "wrong_se"]]


def _mean(values: FloatArray, units: int) -> tuple[float, float]:
    """Mean of shares and its standard error, of those that are numbers.

    Where all are equal, the error is that of a share of all units (so many in each) with one more
    of each sort, which is not 0.
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    mean, count = float(values.mean()), len(values)
    spread = float(values.std(ddof=1)) if count > 1 else 0.0
    if spread > 0.0:
        return mean, float(spread / np.sqrt(count))
    near = (units * values.sum() + 1.0) / (units * count + 2.0)
    return mean, float(np.sqrt(near * (1.0 - near) / (units * count)))
