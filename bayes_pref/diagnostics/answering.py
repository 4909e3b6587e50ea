"""How people answered: who seems to have answered at random, and how repeatable answers are."""

from __future__ import annotations

import pandas as pd

from bayes_pref.diagnostics.assessment import Assessed, Assessment, Settings
from bayes_pref.diagnostics.query import Query
from bayes_pref.evaluation.repeated_answers import RepeatedAnswers
from bayes_pref.messages import listed
from bayes_pref.posterior import Posterior

_SURE = 0.95
_FEWEST = 10  # pairs of answers, of which a share says anything


class AnsweringAssessment(Assessment):
    """Users whose answers look random, where that is modelled, and the share of answers alike.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> report = bp.diagnose(posterior, assessments=["answering"], verdicts=["not assessed"])
    >>> report.notes  # nobody answers at random in the model, and no pair was repeated
    ()
    """

    name = "answering"

    def unsupported(self, posterior: Posterior) -> str | None:
        """Return None: where there is nothing to say, nothing is said."""
        return None

    def run(self, posterior: Posterior, query: Query, settings: Settings) -> Assessed:
        """Name the users, and state how many answers to the same question are alike.

        Returns
        -------
        Assessed; of users `random`, the expected share of answers given at random, where any are
        """
        users, notes = None, []
        choices = posterior.choice_distribution
        if "lapse" in choices.parameters or choices.careless is not None:
            found = posterior.reliability(interval=settings.interval)
            users = pd.DataFrame({"random": found["mean"].to_numpy()}, index=found["user"])
            random = found.loc[found["mostly"] > _SURE, "user"]
            if len(random):
                notes.append(_of_users(list(random)))
        repeated = RepeatedAnswers.of(posterior)
        if repeated.count >= _FEWEST:
            notes.append(_of_repeats(repeated, posterior.comparisons.outcome.rowwise))
        return Assessed(columns=self.missing(query), users=users, notes=tuple(notes))


def _of_users(users: list[object]) -> str:
    """Say whose answers look random."""
    many = len(users) > 1
    return (
        f"The answers of {len(users):,} {'users' if many else 'user'} look random "
        f"({listed(users)}): with probability above {_SURE}, more than half of "
        f"{'each one' if many else 'the user'}'s answers have nothing to do with rewards; "
        "posterior.reliability() has all users."
    )


def _of_repeats(found: RepeatedAnswers, pairs: bool) -> str:
    """Say how many answers to the same question are alike."""
    return (
        f"Users answered the same {'pair' if pairs else 'set'} again: of {found.count:,} such "
        f"pairs of answers {100 * found.alike:.0f} % are alike, and the model expects "
        f"{100 * found.expected:.0f} %."
    )
