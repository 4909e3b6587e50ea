"""What verdicts call the two sides of a pair, or an alternative and the others of its set."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Wording:
    """Words for what is compared.

    Attributes
    ----------
    shown
        What users see.
    this, others
        What a row is about, and what it is compared with.
    choose
        What a user does who prefers it.
    row
        What the label of a row counts.
    rows, probability
        What figures call the rows, and what p_do and p_obs are of them.

    Examples
    --------
    >>> f"This user prefers {SETS.others} to {SETS.this}."
    'This user prefers the others of its set to this alternative.'
    """

    shown: str = "pairs"
    this: str = "left"
    others: str = "right"
    choose: str = "choose left"
    row: str = "row"
    rows: str = "comparisons"
    probability: str = "P(left preferred)"


PAIRS = Wording()
GRADED = Wording(choose="find left better")
SETS = Wording(
    shown="sets",
    this="this alternative",
    others="the others of its set",
    choose="choose this alternative",
    row="task",
    rows="alternatives",
    probability="P(alternative chosen)",
)
