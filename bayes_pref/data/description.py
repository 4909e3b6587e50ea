"""A short description of comparisons, as text and as a small table for notebooks."""

from __future__ import annotations

import html
from collections.abc import Sequence

from bayes_pref.data.features import Features
from bayes_pref.data.survey_weights import described_weights
from bayes_pref.messages import listed, printable
from bayes_pref.types import FloatArray, IntArray, Mask

_NAMED = 8  # names listed before an ellipsis


def described(
    counts: IntArray,
    features: Features,
    covariates: Sequence[str],
    constant: Sequence[str],
    choices: str,
    survey_weights: FloatArray | None = None,
    randomised: Mask | None = None,
) -> list[tuple[str, str]]:
    """List the size, the columns and the choices of comparisons, as (title, text).

    Parameters
    ----------
    counts
        (u,) number of comparisons of each user.
    features, covariates
        The columns.
    constant
        Names of the features that never differ within a pair.
    choices
        How often each answer was given.
    survey_weights
        (u,) how many people each user stands for; None: not given.
    randomised
        (n,) whether each row was assigned at random; None: not known.
    """
    low, high = counts.min(), counts.max()
    each = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    size = f"{counts.sum():,} comparisons by {len(counts):,} user{'s' * (len(counts) != 1)}"
    size += f" ({each} each)"
    lines = [("Comparisons", size)]
    items = features.items if features.beside else features.names * features.indicators
    for title, found in (
        ("item", items),
        ("feature", tuple(name for name in features.names if name not in items)),
        ("context", features.contexts),
        ("covariate", covariates),
    ):
        if found:
            more = ", ..." if len(found) > _NAMED else ""
            count = f"{len(found):,} {title}s" if len(found) > 1 else title
            lines.append((count, ", ".join(found[:_NAMED]) + more))
    if survey_weights is not None:
        lines.append(("survey weights", described_weights(survey_weights)))
    if randomised is not None:
        lines.append(("assigned at random", f"{randomised.mean():.1%} of the rows"))
    if constant:
        lines.append(("never differ within a pair", listed(constant)))
    return [*lines, ("choices", choices)]


def as_text(lines: Sequence[tuple[str, str]]) -> str:
    """Lay out titles and texts as indented lines."""
    return "\n  ".join(f"{title}: {printable(text)}" for title, text in lines)


def as_html(lines: Sequence[tuple[str, str]]) -> str:
    """Lay out titles and texts as a table."""
    rows = "".join(
        f"<tr><th style='text-align: left'>{html.escape(title)}</th>"
        f"<td style='text-align: left'>{html.escape(printable(text))}</td></tr>"
        for title, text in lines
    )
    return f"<table>{rows}</table>"
