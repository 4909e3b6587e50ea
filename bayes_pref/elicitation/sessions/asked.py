"""What was asked in an elicitation, and what came back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons, GradedChoice, PairedChoice
from bayes_pref.data.more_answers import MoreAnswers
from bayes_pref.data.table import Table, TableLike, positions_in
from bayes_pref.elicitation.questions import Questions
from bayes_pref.errors import DataError
from bayes_pref.messages import listed, shown
from bayes_pref.types import FloatArray, IntArray, Mask

PENDING, ANSWERED, DROPPED = 0, 1, 2

Answers: TypeAlias = Mapping[int, Any] | pd.Series | TableLike


@dataclass(frozen=True, eq=False)
class Asked:
    """Questions asked, which are numbered from 1 in the order of asking.

    Attributes
    ----------
    user, pair
        (q,) codes of the fitted users, and positions of the questions among the candidates.
    state
        (q,) whether each is pending, answered, or was dropped.
    answer
        (q,) choices as `Comparisons` have them; of sets the position of what was chosen. NaN where
        there is no answer.
    fitted
        (q,) whether a run has seen the answer.
    """

    user: IntArray
    pair: IntArray
    state: IntArray
    answer: FloatArray
    fitted: Mask

    @classmethod
    def none(cls) -> Asked:
        """Return the record of nothing asked."""
        no: IntArray = np.zeros(0, dtype=np.int64)
        return cls(no, no, no, np.zeros(0), np.zeros(0, dtype=bool))

    def __len__(self) -> int:
        """Return the number of questions asked, q."""
        return len(self.user)

    def more(self, user: IntArray, pair: IntArray) -> Asked:
        """Return the record with more questions."""
        new = len(user)
        return Asked(
            np.append(self.user, user).astype(np.int64),
            np.append(self.pair, pair).astype(np.int64),
            np.append(self.state, np.full(new, PENDING)).astype(np.int64),
            np.append(self.answer, np.full(new, np.nan)),
            np.append(self.fitted, np.zeros(new, dtype=bool)),
        )

    def told(self, at: IntArray, answer: FloatArray) -> Asked:
        """Return the record with answers to the questions at these positions."""
        state, answers = self.state.copy(), self.answer.copy()
        state[at], answers[at] = ANSWERED, answer
        return replace(self, state=state, answer=answers)

    def dropped(self, at: IntArray) -> Asked:
        """Return the record without the questions at these positions."""
        state = self.state.copy()
        state[at] = DROPPED
        return replace(self, state=state)

    def all_fitted(self) -> Asked:
        """Return the record after a run with all answers."""
        return replace(self, fitted=self.state == ANSWERED)

    def positions(self, numbers: Sequence[Any], name: str) -> IntArray:
        """Positions of pending questions by number.

        Raises
        ------
        DataError
            If one was never asked, was answered or dropped, or occurs twice.
        """
        series = pd.Series(list(numbers), dtype=object)
        at = positions_in(series, pd.RangeIndex(1, len(self) + 1))
        truths = series.map(lambda number: isinstance(number, bool | np.bool_)).to_numpy(bool)
        unknown = np.flatnonzero((at < 0) | truths)
        if len(unknown):
            last = f"1 to {len(self)}" if len(self) else "none yet"
            raise DataError(
                f"{name}: question {shown(numbers[unknown[0]])} was never asked",
                f"those asked have the numbers {last}",
            )
        twice = np.flatnonzero(pd.Series(at).duplicated())
        if len(twice):
            raise DataError(f"{name}: question {numbers[twice[0]]} occurs twice", "name it once")
        done = np.flatnonzero(self.state[at] != PENDING)
        if len(done):
            what = "answered" if self.state[at[done[0]]] == ANSWERED else "dropped"
            raise DataError(
                f"{name}: question {numbers[done[0]]} was {what} already", "leave it out"
            )
        return at

    def rows(self, which: Mask, questions: Questions, like: Comparisons) -> MoreAnswers:
        """Answers as rows of comparisons, users in nondecreasing order.

        Parameters
        ----------
        which
            (q,) whose answers.
        questions
            The candidates.
        like
            The comparisons that they are to be added to.
        """
        at = np.flatnonzero(which)
        at = at[np.argsort(self.user[at], kind="stable")]
        pair = self.pair[at]
        labels = [f"asked {number + 1}" for number in at]
        if questions.names is None:
            index = pd.Index(labels, dtype=object)
            context, difference = questions.context[pair], questions.difference[pair]
            return MoreAnswers(self.user[at], difference, context, self.answer[at], index)
        others = questions.sizes[pair] - 1
        row = np.repeat(np.arange(len(at)), others)
        chosen = self.answer[at].astype(np.int64)[row]
        rank = np.arange(len(row)) - np.repeat(np.cumsum(others) - others, others)
        other = rank + (rank >= chosen)  # all alternatives of the set but the one chosen
        assert questions.alternatives is not None  # as sets have
        sets = questions.alternatives[pair[row]]
        each = np.arange(len(row))
        names = [questions.names[one] for one in pair[row]]
        keys = [
            (labels[task], own[best], own[worse])
            for task, own, best, worse in zip(row, names, chosen, other, strict=True)
        ]
        return MoreAnswers(
            self.user[at][row],
            sets[each, chosen] - sets[each, other],
            questions.context[pair[row]],
            np.ones(len(row)),
            pd.MultiIndex.from_tuples(keys, names=like.rows.names),
            row,
        )


def read_answers(
    answers: Answers, asked: Asked, questions: Questions, like: Comparisons
) -> tuple[IntArray, FloatArray]:
    """Positions of questions, and their answers.

    Raises
    ------
    DataError
        If a question is not pending, or an answer is not one that it could have.
    """
    if isinstance(answers, pd.Series):
        answers = {cast(int, number): answer for number, answer in answers.items()}
    if isinstance(answers, Mapping):
        if not answers:
            raise DataError("answers: there are none", "give at least one")
        frame = pd.DataFrame(
            {
                "question": pd.Series(list(answers), dtype=object),
                "answer": pd.Series(list(answers.values()), dtype=object).infer_objects(),
            }
        )
    else:
        if isinstance(answers, list | tuple | str | int | float):
            raise DataError(
                f"answers must be a mapping of questions' numbers to answers, or a table, got "
                f"{shown(answers)}",
                "write {1: 'left'}",
            )
        frame = Table.read(answers, "answers").frame
    table = Table.read(frame, "answers")
    table.require(["question", "answer"])
    at = asked.positions(table.frame["question"].tolist(), "answers")
    outcome = like.outcome
    if questions.names is not None:
        return at, _chosen(table, at, asked, questions)
    values = outcome.read(table, "answer")
    ties = isinstance(outcome, PairedChoice) and not outcome.ties
    if ties and (values == 0.5).any():
        row = int(np.argmax(values == 0.5))
        table.refuse(
            "answer", row, "a tie", "the fitted answers have none, so 1 or 0 is expected here"
        )
    if isinstance(outcome, GradedChoice):
        outcome.observed(values)
    return at, values


def _chosen(table: Table, at: IntArray, asked: Asked, questions: Questions) -> FloatArray:
    """Positions of the alternatives chosen in their sets."""
    assert questions.names is not None
    found = np.zeros(len(at))
    # A loop over answers: each set has alternatives of its own.
    for row, (place, answer) in enumerate(zip(at, table.frame["answer"].tolist(), strict=True)):
        names = questions.names[asked.pair[place]]
        if answer not in names:
            table.refuse(
                "answer",
                row,
                f"{shown(answer)} is no alternative of question {place + 1}",
                f"they are {listed(names)}",
            )
        found[row] = names.index(answer)
    return found
