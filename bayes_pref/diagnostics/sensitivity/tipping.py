"""`sensitivity`: how strong an unmeasured factor of users would have to be to turn a conclusion.

The bias that a factor of given strength can cause, and the strength of what was recorded, are in
`hidden_factor`. A conclusion is turned when the bias moves the nearer end of its interval across
zero log-odds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from bayes_pref import settings
from bayes_pref.diagnostics.preference import describe_differences
from bayes_pref.diagnostics.query import Candidates, read_query
from bayes_pref.diagnostics.sensitivity.hidden_factor import HiddenFactor, hidden_factor
from bayes_pref.errors import DataError, ModelError
from bayes_pref.messages import printable, shown
from bayes_pref.plots.tipping_plot import tipping_contours
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.estimates import describer, estimate
from bayes_pref.posterior.polarisation import contrast_rows
from bayes_pref.types import IntArray

About = Literal["effects", "comparisons", "users"]

_EXAMPLES = 10  # rows of the summary


@dataclass(frozen=True, eq=False, repr=False)
class Sensitivity:
    """How strong an unmeasured factor would have to be to turn each conclusion.

    Made by `bayes_pref.sensitivity`.

    Attributes
    ----------
    table
        One row a conclusion: what it is about (`attribute`, `level`, `baseline`; or `row`,
        `user`); `mean`, `lower`, `upper` of the reward difference, log-odds; `learned`, the
        share of it that is users' own answers; `largest_bias`, log-odds, of a factor that explained
        all of what is shown and all of preferences; `robustness`, the partial R2 with both that
        turns the conclusion (0 where the interval holds zero anyway; above 1, which no R2 is, where
        no factor can), and `robustness_mean`, that moves the mean to zero; `strongest`, the
        strongest recorded covariate or exposure, with its partial R2 `shown` and `preference`, and
        `times`, how many times as strong a factor would have to be; `sentence`.
    recorded
        One row for each conclusion and each recorded covariate or exposure in the model:
        `conclusion` (position in `table`), `recorded`, `shown`, `preference`.
    interval
        Probability inside the intervals.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> found = bp.sensitivity(posterior)
    >>> found.table[["attribute", "level"]].values.tolist()[0]
    ['feature_1', 'unit']
    """

    table: pd.DataFrame
    recorded: pd.DataFrame
    interval: float

    def plot(self, conclusion: int | None = None, ax: Axes | None = None) -> Axes:
        """Draw the interval's nearer end against the strength of a factor, as contours.

        Parameters
        ----------
        conclusion
            Position in `table`; None: the one that is turned most easily among those that hold.
        ax
            Where to draw; None: a new figure.

        Returns
        -------
        ax

        Raises
        ------
        DataError
            If there is no such conclusion.
        """
        if conclusion is None:
            robustness = self.table["robustness"].to_numpy(dtype=np.float64)
            conclusion = int(np.argmin(np.where(robustness > 0.0, robustness, np.inf)))
        settings.argument("conclusion", conclusion, settings.whole(0, len(self.table) - 1))
        row = self.table.iloc[conclusion]
        points = self.recorded[self.recorded["conclusion"] == conclusion]
        return tipping_contours(
            _margin(row["lower"], row["upper"]),
            float(row["largest_bias"]),
            dict(
                zip(
                    points["recorded"],
                    zip(points["shown"], points["preference"], strict=True),
                    strict=True,
                )
            ),
            f"the {'effect of' if 'attribute' in row else 'choice in'} {_title(row)}",
            ax,
        )

    def summary(self) -> str:
        """Summarise in plain text: the conclusions that hold, the most easily turned first."""
        held = self.table[self.table["robustness"] > 0.0].sort_values("robustness", kind="stable")
        lines = [
            f"Sensitivity of {len(self.table):,} conclusions to an unmeasured factor of users: "
            f"{len(held):,} hold at {100 * self.interval:g} %"
        ]
        lines += [f"  {printable(sentence)}" for sentence in held["sentence"].head(_EXAMPLES)]
        if len(held) > _EXAMPLES:
            lines.append(f"  and {len(held) - _EXAMPLES:,} that are harder to turn")
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Return the summary."""
        return self.summary()


def sensitivity(
    posterior: Posterior,
    comparisons: Candidates = None,
    *,
    about: About | None = None,
    attributes: Sequence[str] | str | None = None,
    baseline: Mapping[str, Any] | None = None,
    values: Mapping[str, tuple[Any, Any]] | None = None,
    interval: float = 0.9,
) -> Sensitivity:
    """Say how strong an unmeasured factor of users would have to be to turn each conclusion.

    Such a factor matters where users were shown different things: what is said of all users is
    learned from those who were asked, and of a user who was not, from those who were. Its strength
    is stated by two partial R2, beyond what is in the model: with what is shown (how much each user
    was asked about the difference in question), and with preference (users' reward differences).

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned, of a model in which users differ.
    comparisons
        As for `bayes_pref.diagnose`, where `about` is "comparisons" or "users".
    about
        "effects": average effects of attributes, the sign of the mean reward difference between a
        level and the baseline, as for `Posterior.amce`; "comparisons": whether `p_do` is above one
        half, the sign of the mean over users; "users": the sign of each comparison's own user.
        None: "effects", or with `comparisons` "comparisons".
    attributes, baseline, values
        Which effects, as for `Posterior.amce`.
    interval
        Probability inside the central credible interval that a factor has to move across zero.

    Returns
    -------
    Sensitivity

    Raises
    ------
    DataError
        If an attribute, a level or `about` is unknown, or `comparisons` cannot be read.
    ModelError
        If users do not differ in the model, or not around a mean.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> found = bp.sensitivity(posterior, about="users")
    >>> len(found.table) == len(world.comparisons)
    True
    >>> found.plot().get_ylabel()
    'partial R² with preference'
    """
    if not isinstance(posterior, Posterior):
        raise ModelError(
            f"posterior: got {type(posterior).__name__} but expected a Posterior, "
            "as bp.fit returns it"
        )
    interval = settings.interval(interval)
    if about is None:
        about = "effects" if comparisons is None else "comparisons"
    settings.argument("about", about, settings.one_of("effects", "comparisons", "users"))
    asked = {"attributes": attributes, "baseline": baseline, "values": values}
    if about == "effects":
        if comparisons is not None:
            raise DataError(
                f"about={about!r} takes no comparisons", "give about='comparisons' or 'users'"
            )
        keys, rows = contrast_rows(posterior.comparisons, attributes, baseline, values)
        users: IntArray | None = None
    else:
        for name, value in asked.items():
            if value is not None:
                raise DataError(f"{name}={shown(value)} is for about='effects'")
        query = read_query(posterior, comparisons)
        keys, rows = query.keys(), query.difference
        users = query.user if about == "users" else None
    unit = posterior.model.choice_model(posterior.comparisons).log_odds_per_unit
    hidden = hidden_factor(posterior, rows, users)
    if users is None:
        described = estimate(posterior.weights_draws("average"), rows, describer(interval))
        found = pd.DataFrame({name: unit * described[name] for name in ("mean", "lower", "upper")})
    else:
        found = describe_differences(posterior, query, interval, small=1.0)
    return _tipping(keys, found, hidden, unit, interval)


def _tipping(
    keys: pd.DataFrame, found: pd.DataFrame, hidden: HiddenFactor, unit: float, interval: float
) -> Sensitivity:
    """Compare the margin of every conclusion with the bias that is possible."""
    mean, lower, upper = (found[name].to_numpy() for name in ("mean", "lower", "upper"))
    largest = unit * hidden.largest
    margin = np.array(_margin(lower, upper))
    with np.errstate(divide="ignore", invalid="ignore"):
        robustness = np.where(margin > 0.0, margin / largest, 0.0)
        of_mean = np.where(mean == 0.0, 0.0, np.abs(mean) / largest)
    table = keys.assign(
        mean=mean,
        lower=lower,
        upper=upper,
        learned=hidden.learned,
        largest_bias=largest,
        robustness=robustness,
        robustness_mean=of_mean,
    )
    count, names = len(table), np.array(hidden.names, dtype=object)
    table["strongest"] = pd.Series([None] * count, dtype=object)
    table["shown"] = table["preference"] = table["times"] = np.nan
    if len(names) and count:
        strength = np.sqrt(hidden.shown * hidden.preference)
        best, at = strength.argmax(axis=1), np.arange(count)
        table["strongest"] = names[best]
        table["shown"], table["preference"] = hidden.shown[at, best], hidden.preference[at, best]
        with np.errstate(divide="ignore", invalid="ignore"):
            times = np.where(robustness > 0.0, robustness / strength[at, best], 0.0)
        table["times"] = times
    # A loop over rows: each has a sentence of its own.
    table["sentence"] = [_sentence(row, interval) for row in table.to_dict("records")]
    recorded = pd.DataFrame(
        {
            "conclusion": np.arange(count).repeat(len(names)),
            "recorded": np.tile(names, count),
            "shown": hidden.shown.ravel(),
            "preference": hidden.preference.ravel(),
        }
    )
    return Sensitivity(table, recorded, interval)


def _margin(lower: Any, upper: Any) -> Any:
    """How far the nearer end of an interval is from zero; 0 where zero is inside."""
    return np.maximum(np.maximum(lower, -upper), 0.0)


def _title(row: Mapping[str, Any] | pd.Series[Any]) -> str:
    """What a conclusion is about."""
    if "attribute" in row:
        if row["baseline"] is None:  # a number
            return f"one {row['level']} more of {row['attribute']}"
        return f"{row['attribute']} {row['level']} against {row['baseline']}"
    who = f", user {row['user']}" if "user" in row else ""
    beside = f", {row['alternative']}" if "alternative" in row else ""
    return f"row {row['row']}{beside}{who}"


def _sentence(row: Mapping[Any, Any], interval: float) -> str:
    """Say what it takes to turn a conclusion."""
    bounds = f"{100 * interval:g} % interval {row['lower']:.2f} to {row['upper']:.2f}"
    begin = f"{_title(row)} ({row['mean']:.2f} log-odds, {bounds})"
    if not row["robustness"] > 0.0:
        return f"{begin}: the sign is not known."
    if row["robustness"] > 1.0:
        return f"{begin}: no unmeasured factor of users could turn the sign."
    said = (
        f"{begin}: an unmeasured factor that explains {100 * row['robustness']:.0f} % both of what "
        "users are shown and of their preferences would turn the sign"
    )
    if row["strongest"] is None or not np.isfinite(row["times"]):
        return f"{said}."
    return f"{said}, {row['times']:.1f} times as strong as {row['strongest']}."
