"""What to ask, in order, and what it is expected to resolve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bayes_pref.messages import printable
from bayes_pref.reporting import html as pages
from bayes_pref.types import FloatArray

_CERTAIN = 1.96  # sds on either side that hold 0.95 of a normal distribution
_SHOWN = 5


@dataclass(frozen=True, eq=False, repr=False)
class Recommendation:
    """Questions to ask, in order.

    Attributes
    ----------
    questions
        One row a question: `user` to ask; `row`, the label of the pair among the candidates; `gain`
        (expected information about the goal, nats, given the answers to the questions before);
        `remaining` (mean sd of the targets after this answer over their sd now); of sets, labels of
        the `alternatives`; and the columns of the candidates that describe the pair.
    targets
        One row for each thing that is to be learned: what it is; the share of all users who would
        prefer it, `p_do`, with its `sd` now and its expected `sd_after` all answers; and how many
        `answers` like these, in all, are expected to resolve it: to within `Thresholds.resolved`
        with probability 0.95. NaN where such answers do not help. Empty for the goals "users" and
        "population".
    goal
        What the questions are about, in words.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> asked = bp.recommend(posterior, n=2, goal={"feature_1": 1.0})
    >>> asked.targets.columns.tolist()
    ['contrast', 'p_do', 'sd', 'sd_after', 'answers']
    """

    questions: pd.DataFrame
    targets: pd.DataFrame
    goal: str

    @property
    def sentence(self) -> str:
        """What these answers are expected to tell, in one sentence."""
        last = self.questions.iloc[-1]
        text = (
            f"{len(self.questions):,} answers are expected to give "
            f"{self.questions['gain'].sum():.2f} nats about {self.goal}, and to bring the standard "
            f"deviations down to {100 * last['remaining']:.0f} % of what they are"
        )
        if "answers" in self.targets:
            counts = self.targets["answers"]
            within = int((counts <= len(self.questions)).sum())
            text += f"; {within:,} of {len(counts):,} will then be resolved"
            later = counts[counts > len(self.questions)]
            if len(later):
                text += f", and half of the others after about {later.median():,.0f} such answers"
        return text + "."

    def __repr__(self) -> str:
        """Return the sentence and the first questions."""
        shown = self.questions.head(_SHOWN).rename(columns=printable)
        return f"{self.sentence}\n{shown.to_string(index=False, float_format='{:.3g}'.format)}"

    def _repr_html_(self) -> str:
        table = pages.table(self.questions.head(_SHOWN))
        return f"<div><p>{pages.escaped(self.sentence)}</p>{table}</div>"


def answers_to_resolve(
    before: FloatArray, after: FloatArray, asked: int, resolved: float
) -> FloatArray:
    """Number of answers until shares are known, if each adds as much precision as those asked.

    Parameters
    ----------
    before, after
        (t,) sds of the shares now, and expected after the questions asked.
    asked
        Number of these questions.
    resolved
        What a share is to be known to within, with probability 0.95.

    Examples
    --------
    >>> import numpy as np
    >>> answers_to_resolve(np.array([0.1]), np.array([0.08]), 10, 0.05)
    array([255.])
    """
    needed, now = (resolved / _CERTAIN) ** -2, before**-2.0
    gained = (after**-2.0 - now) / asked
    with np.errstate(divide="ignore", invalid="ignore"):
        count = np.ceil((needed - now).clip(0.0) / gained)
    return np.asarray(np.where((gained > 1e-12 * now) | (now >= needed), count, np.nan))
