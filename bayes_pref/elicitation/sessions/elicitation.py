"""`Elicitation`: ask, tell, ask again, for as long as it takes."""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import pandas as pd

from bayes_pref import settings
from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.query import NEW_USER, Candidates
from bayes_pref.diagnostics.report import Report
from bayes_pref.elicitation.asking import costs, posterior_of, thresholds_of
from bayes_pref.elicitation.goals import Goal, read_goal
from bayes_pref.elicitation.questions import read_questions
from bayes_pref.elicitation.recommendation import Recommendation
from bayes_pref.elicitation.sessions import elicitation_file
from bayes_pref.elicitation.sessions.asked import ANSWERED, PENDING, Answers, Asked, read_answers
from bayes_pref.elicitation.sessions.next_questions import belief_about_all, next_questions
from bayes_pref.elicitation.sessions.resolution import resolution, shares_of_users
from bayes_pref.elicitation.sessions.session import SessionState, Setting
from bayes_pref.errors import DataError, ModelError
from bayes_pref.inference.engine import Engine
from bayes_pref.inference.gibbs.gibbs import Gibbs
from bayes_pref.messages import shown
from bayes_pref.posterior import Posterior

_SHORT = Gibbs(draws=500, warmup=250, until="converged", progress=False)


class Elicitation:
    """A dialogue with users: which questions to ask next, given all answers so far.

    Made from a report or a posterior; `ask` chooses questions as `bayes_pref.recommend` does,
    `tell` takes answers as they come, in any order and number, and `save` keeps all of it in one
    file at any point. An elicitation is what changes; posteriors, models and data never do.

    `tell` updates the posterior without a refit: draws are weighted by the likelihood of the
    answers, as long as the Pareto k of the weights is below 0.7 and enough draws count. Else a
    short run is made, which starts at the last draws and becomes longer where its chains do not
    agree.

    Parameters
    ----------
    source
        What `bayes_pref.diagnose` returned, or a posterior of users who are Gaussian around the
        population.
    candidates, goal, cost, seed
        As for `bayes_pref.recommend`.
    engine
        How to run where weights do not hold; None: a short run of `Gibbs`, until it has converged.

    Raises
    ------
    DataError, ModelError
        As `bayes_pref.recommend`.

    Examples
    --------
    With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

    >>> session = bp.Elicitation(posterior, goal={"feature_1": 1.0})
    >>> session.ask(2).questions["question"].tolist()
    [1, 2]
    >>> session.tell({1: "left", 2: 0})
    >>> session.targets[["contrast", "resolved"]].values.tolist()
    [['feature_1 +1', False]]
    >>> len(session.posterior.comparisons) - len(world.comparisons)
    2
    """

    def __init__(
        self,
        source: Report | Posterior,
        candidates: Candidates = None,
        *,
        goal: Goal | None = None,
        cost: str | None = None,
        engine: Engine | None = None,
        seed: int = 0,
    ) -> None:
        report = source if isinstance(source, Report) else None
        posterior, seed = posterior_of(source), settings.seed(seed)
        belief_about_all(posterior)  # or refuse
        chosen = ("users" if report is None else "flagged") if goal is None else goal
        targets = read_goal(chosen, posterior.comparisons, report)
        questions = read_questions(posterior, candidates, seed)
        if questions.owner is not None and (questions.owner == NEW_USER).any():
            raise DataError(
                "candidates: some are for users who were not fitted",
                "add them with bp.add_users, or leave out their rows",
            )
        table = elicitation_file.as_stored(questions.table, "candidates")
        questions = replace(questions, table=table)
        targets = replace(targets, rows=elicitation_file.as_stored(targets.rows, "goal"))
        self._setting = Setting(
            targets, questions, costs(questions, cost), thresholds_of(source), seed
        )
        self._engine = _engine(engine)
        samples = posterior.draws.sizes["chain"] * posterior.draws.sizes["draw"]
        self._state = SessionState(
            posterior, np.zeros(samples), posterior.comparisons, Asked.none(), _no_history()
        )
        self._found: dict[str, Any] = {}  # what follows from the state

    @property
    def posterior(self) -> Posterior:
        """The posterior given all answers so far; its comparisons hold them.

        Answers are rows labelled ``asked 1``, ``asked 2`` and so on, which are `randomised`.
        """
        if "posterior" not in self._found:
            self._found["posterior"] = self._state.posterior(self._setting.seed)
        posterior: Posterior = self._found["posterior"]
        return posterior

    @property
    def targets(self) -> pd.DataFrame:
        """What is to be learned, as it is known now, and whether it is `resolved`.

        One row a target: what it is; the share of all users who would prefer it, `p_do`, with `sd`,
        `lower` and `upper` (central 90 % interval); `p_within`, the probability that the share is
        within `Thresholds.resolved` of `p_do`; and `resolved`, whether that is at least
        `Thresholds.certainty`. Empty for the goals "users" and "population".

        Whenever one stops, on the strength of the answers so far, the expected share of wrong ones
        among those that are resolved then is at most ``1 - certainty``, if the model and its priors
        are right.
        """
        directions = self._setting.targets.directions
        if directions is None:
            return self._setting.targets.rows.copy()
        if "targets" not in self._found:
            draws = shares_of_users(self.posterior, directions)
            known = resolution(draws, self._setting.thresholds)
            self._found["targets"] = pd.concat([self._setting.targets.rows, known], axis=1)
        frame: pd.DataFrame = self._found["targets"]
        return frame.copy()

    @property
    def asked(self) -> pd.DataFrame:
        """Questions asked so far, answered or not.

        One row a question: its number `question`; `user`; `row`, the label among the candidates;
        `state` ("pending", "answered" or "dropped"); `answer`, as it is stored (1 left, 0 right;
        of sets what was chosen), NaN without one; of sets the labels of the `alternatives`; and
        the columns that describe it.
        """
        asked, questions = self._state.asked, self._setting.questions
        answer: Any = asked.answer
        if questions.names is not None:
            answer = [
                questions.names[pair][int(value)] if np.isfinite(value) else None
                for pair, value in zip(asked.pair, asked.answer, strict=True)
            ]
        frame = questions.described(asked.pair)
        frame = frame.drop(columns=["question", "user", "state", "answer"], errors="ignore")
        frame.insert(0, "question", np.arange(1, len(asked) + 1))
        frame.insert(1, "user", self._state.base.comparisons.users[asked.user])
        frame.insert(3, "state", np.array(["pending", "answered", "dropped"])[asked.state])
        frame.insert(4, "answer", answer)
        return frame

    @property
    def pending(self) -> pd.DataFrame:
        """Questions that wait for an answer: those rows of `asked`."""
        frame = self.asked
        return frame[frame["state"] == "pending"].drop(columns=["state", "answer"])

    @property
    def history(self) -> pd.DataFrame:
        """One row for each call of `tell`.

        `answers` so far; `updated` by "weights" or "run"; `pareto_k` of the weights that were tried
        and `effective`, how many draws they left; `resolved` targets, and their mean `sd`.
        """
        return self._state.history.copy()

    def ask(
        self, n: int = 20, *, users: Sequence[Hashable] | None = None, per_user: int = 1
    ) -> Recommendation:
        """Choose the next questions; they are pending until `tell` or `drop` names them.

        Pending questions count as asked, with the answers that are expected. No user is asked the
        same question twice.

        Parameters
        ----------
        n
            Number of questions.
        users
            Labels of the users who can be asked now; None: all.
        per_user
            Largest number of these questions to one user.

        Returns
        -------
        Recommendation
            Whose `questions` have their numbers in the column `question`. Fewer than `n` where
            there are no more.

        Raises
        ------
        DataError
            If a user is unknown, or there is nothing left to ask.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> session = bp.Elicitation(posterior)
        >>> session.ask(3, users=["u004"], per_user=3).questions["user"].tolist()
        ['u004', 'u004', 'u004']
        """
        n = settings.argument("n", n, settings.whole(1))
        per_user = settings.argument("per_user", per_user, settings.whole(1))
        if isinstance(users, str):
            raise DataError(f"users must be a list of labels, got {users!r}", f"write [{users!r}]")
        state = self._state
        told, asked = next_questions(self._setting, state.asked, self.posterior, n, users, per_user)
        self._state = replace(state, asked=asked)
        return told

    def tell(self, answers: Answers) -> None:
        """Take answers to pending questions, some or all, and update the posterior.

        Parameters
        ----------
        answers
            Number of a question -> its answer, or a table with the columns ``question`` and
            ``answer``. An answer is what it is in the data: 1, True or "left", 0, False or "right",
            0.5 or "tie" where there are ties; of graded answers the label of the level; of sets the
            label of the alternative chosen.

        Raises
        ------
        DataError
            If a question was never asked, or answered or dropped before, or an answer is not one of
            those; nothing is changed then.

        Warns
        -----
        ConvergenceWarning
            If a run was needed, and its draws may not describe the posterior.
        """
        state, setting = self._state, self._setting
        at, values = read_answers(answers, state.asked, setting.questions, state.comparisons)
        self._change(*state.after(at, values, setting, self._engine))

    def add_users(self, comparisons: Comparisons) -> None:
        """Take in people whom the fit has never met, with the answers that they have given.

        From then on they can be asked like the others, and are among all users. Chains run with all
        answers, since new users tell about the population, too.

        Parameters
        ----------
        comparisons
            Answers of new users, with the features, contexts and covariates of the fitted ones.

        Raises
        ------
        DataError
            If a user is there already, or columns are missing or unknown; nothing is changed then.

        Warns
        -----
        ConvergenceWarning
            If the draws of the run may not describe the posterior.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> session = bp.Elicitation(posterior, goal={"feature_1": 1.0})
        >>> more = bp.simulate(users=22, comparisons=3, seed=1).comparisons
        >>> session.add_users(more[more.users[20:]])
        >>> session.ask(1, users=["u022"]).questions["user"].tolist()
        ['u022']
        """
        if not isinstance(comparisons, Comparisons):
            raise DataError(
                f"comparisons: got {type(comparisons).__name__} but expected bp.Comparisons",
                "read the new users' answers with bp.Comparisons.from_frame(...)",
            )
        self._change(*self._state.with_users(comparisons, self._setting, self._engine))

    def _change(self, changed: SessionState, row: dict[str, Any]) -> None:
        """Go on to a state, and add what is known then to the history."""
        history = self._state.history.to_dict("records")
        self._state, self._found = changed, {}
        targets = self.targets
        known = "resolved" in targets
        row["resolved"] = int(targets["resolved"].sum()) if known else 0
        row["sd"] = float(targets["sd"].mean()) if known else np.nan
        self._state = replace(changed, history=pd.DataFrame([*history, row]))

    def drop(self, questions: Sequence[int]) -> None:
        """Give up pending questions: nobody will answer them.

        Parameters
        ----------
        questions
            Their numbers.

        Raises
        ------
        DataError
            If one is not pending; nothing is changed then.
        """
        if isinstance(questions, int | np.integer | str):
            raise DataError(
                f"questions must be a list of numbers, got {shown(questions)}",
                f"write [{questions}]",
            )
        at = self._state.asked.positions(list(questions), "questions")
        self._state = replace(self._state, asked=self._state.asked.dropped(at))

    def save(self, path: str | os.PathLike[str], *, compact: bool = False) -> None:
        """Save everything to one file, completely or not at all: the last one stays until then.

        The file holds numbers and JSON with a digest, and no code.

        Parameters
        ----------
        path
            The file; an existing one is replaced.
        compact
            Whether to round users' draws to their Monte Carlo error, as `Posterior.save` does: a
            quarter of the space, and numbers that move by as much when it is loaded.

        Raises
        ------
        DataError
            As `Posterior.save`.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> import pathlib, tempfile
        >>> session = bp.Elicitation(posterior, goal="population")
        >>> _ = session.ask(3)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     session.save(pathlib.Path(folder, "state.nc"))
        ...     again = bp.Elicitation.load(pathlib.Path(folder, "state.nc"))
        >>> again.pending["question"].tolist()
        [1, 2, 3]
        """
        compact = settings.argument("compact", compact, settings.boolean)
        elicitation_file.write(path, self._setting, self._state, compact=compact)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, engine: Engine | None = None) -> Self:
        """Load what `save` wrote; goes on with the same numbers.

        Parameters
        ----------
        path
            The file.
        engine
            As for the class; files do not hold it.

        Raises
        ------
        DataError
            If the file is missing, cut short or damaged, or holds something else.
        """
        session = cls.__new__(cls)
        session._engine = _engine(engine)
        session._setting, session._state = elicitation_file.read(path)
        session._found = {}
        return session

    def __repr__(self) -> str:
        """Return what was asked and answered, and what is resolved."""
        asked, targets = self._state.asked, self.targets
        counts = [int((asked.state == which).sum()) for which in (ANSWERED, PENDING)]
        text = (
            f"Elicitation about {self._setting.targets.name}: {counts[0]:,} answered, "
            f"{counts[1]:,} pending"
        )
        if "resolved" in targets:
            text += f"; {int(targets['resolved'].sum()):,} of {len(targets):,} resolved"
        return text


def _engine(engine: Engine | None) -> Engine:
    if engine is not None and not isinstance(engine, Engine):
        raise ModelError(f"engine: got {type(engine).__name__} but expected one like bp.Gibbs()")
    return _SHORT if engine is None else engine


def _no_history() -> pd.DataFrame:
    names = ("answers", "updated", "pareto_k", "effective", "resolved", "sd")
    return pd.DataFrame({name: [] for name in names})
