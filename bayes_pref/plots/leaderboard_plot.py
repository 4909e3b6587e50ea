"""Items by rank: how much better than the average item, with intervals of differences and ranks."""

from __future__ import annotations

from collections.abc import Hashable

from matplotlib.axes import Axes

from bayes_pref import settings
from bayes_pref.plots.forest import expect_variable
from bayes_pref.plots.rows import RowsStyle, draw_rows
from bayes_pref.plots.style import LITERAL, SMALL, USERS, cut, name_axes
from bayes_pref.posterior import Posterior
from bayes_pref.posterior.queries import AVERAGE, Items


def leaderboard(
    posterior: Posterior,
    ax: Axes | None = None,
    *,
    items: Items = None,
    user: Hashable = AVERAGE,
    against: Hashable | None = None,
    interval: float = 0.9,
    most: int = 30,
) -> Axes:
    """Draw the best items with intervals of their differences, and of their ranks on the right.

    A reward has no origin, so that the interval of one alone would say little: the differences are
    those from the mean of the items, or from one of them.

    Parameters
    ----------
    posterior
        What `bayes_pref.fit` returned.
    ax
        Where to draw; None: a new figure.
    items, user, against, interval
        As for `Posterior.leaderboard`.
    most
        How many items to draw, the best ones.

    Returns
    -------
    ax

    Raises
    ------
    DataError, ModelError
        If an argument has another type or value, or there are fewer than two items.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> import pandas as pd
    >>> names = list(posterior.comparisons.feature_names)
    >>> answers = pd.DataFrame([[1.0, 0, 0, 0], [0, 1.0, 0, 0]], ["a", "b"], names)
    >>> ax = bp.plots.leaderboard(posterior, items=answers)
    >>> sorted(label.get_text() for label in ax.get_yticklabels())
    ['a', 'b']
    """
    expect_variable(posterior, None)
    most = settings.argument("most", most, settings.whole(1))
    table = posterior.leaderboard(items, user, against=against, interval=interval)
    shown = table.head(most)
    ax = draw_rows(shown, [cut(item) for item in shown["item"]], ax, RowsStyle())
    ax.axvline(0.0, color=USERS, linewidth=0.9, zorder=0.9)
    for row, (best, low, high) in enumerate(
        shown[["rank", "rank_lower", "rank_upper"]].itertuples(index=False)
    ):
        text = f"{best}" if low == high else f"{best} ({low} to {high})"
        ax.annotate(
            text, (1.01, row), xycoords=("axes fraction", "data"), va="center", fontsize=SMALL - 0.5
        )
    percent = f"{100 * interval:g} %"
    ax.annotate("rank", (1.01, 1.0), xycoords="axes fraction", va="bottom", fontsize=SMALL)
    zero = "the mean of the items" if against is None else cut(against, 40)
    who = "" if user == AVERAGE else f", user {cut(user, 40)}"
    rest = f", the best {most} of {len(table):,}" if len(table) > most else ""
    name_axes(ax, f"reward minus {zero}{who}, {percent} intervals (log-odds){rest}")
    ax.xaxis.label.set(**LITERAL)
    return ax
