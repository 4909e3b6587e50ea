"""The search for the questions that tell most: greedy, each given those before it.

All users times all pairs are scored once; afterwards a user's pairs are scored again only where
they may still be the best (lazy evaluation; Minoux 1978). A user's gains can rise a little once
others have been asked, which the search then overlooks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bayes_pref.elicitation.answer_information import AnswerInformation
from bayes_pref.elicitation.belief import Belief
from bayes_pref.elicitation.goals import Targets
from bayes_pref.elicitation.questions import Questions
from bayes_pref.elicitation.set_information import (
    POINTS,
    SetAnswers,
    SetInformation,
    as_observations,
)
from bayes_pref.types import FloatArray, IntArray

_BLOCK = 2**21  # values held at once
_AGAIN = 16  # users scored again at a time


@dataclass(frozen=True)
class Chosen:
    """A question that the search chose.

    Attributes
    ----------
    user, pair
        Positions of both.
    gain
        Expected information, nats, given the questions before it.
    variance
        (t,) variances of the targets, or of the mean weights, once it is answered.
    """

    user: int
    pair: int
    gain: float
    variance: FloatArray


class SearchedSets:
    """Sets as a search reads them.

    Parameters
    ----------
    questions
        With alternatives.
    information
        How choices depend on weights.
    """

    def __init__(self, questions: Questions, information: SetInformation) -> None:
        assert questions.alternatives is not None  # as sets have
        self.alternatives, self.information = questions.alternatives, information
        self.there = np.arange(self.alternatives.shape[1]) < questions.sizes[:, None]

    @property
    def values_per_user(self) -> int:
        """Number of values that are held for each user."""
        return self.there.size * POINTS

    def answers(
        self,
        mean: FloatArray,
        covariance: FloatArray,
        *,
        some: IntArray | None = None,
        mutual: bool,
    ) -> SetAnswers:
        """Return expectations for users of such weights, of some of the sets or all."""
        part = slice(None) if some is None else some
        sets, there = self.alternatives[part], self.there[part]
        return self.information.answers(sets, there, mean, covariance, mutual=mutual)


class Search:
    """Scores of pairs for users under a belief that answers update.

    Parameters
    ----------
    belief
        Changed in place.
    answers, targets, questions
        What is known of choices, what is to be learned, and what may be asked.
    cost
        (c,) cost of each question; gains are per unit of it.
    of_sets
        What is known of choices from more than two; None: they are of multinomial logit.
    """

    def __init__(
        self,
        belief: Belief,
        answers: AnswerInformation,
        targets: Targets,
        questions: Questions,
        cost: FloatArray,
        of_sets: SetInformation | None = None,
    ) -> None:
        self.belief, self.answers, self.targets = belief, answers, targets
        self.questions, self.cost = questions, cost
        self._sets = None
        if questions.several:
            self._sets = SearchedSets(questions, of_sets or SetInformation())
        self._weighted = np.eye(len(belief.typical))
        self._renew()
        self._asked: list[tuple[int, int]] = []  # user and pair

    def _renew(self) -> None:
        """Weigh the targets by their variances, of which gains are shares."""
        directions = self.targets.directions
        if directions is not None:
            variance = self.belief.average(directions)[1]
            scaled = directions / np.sqrt(np.maximum(variance, 1e-300))[:, None]
            self._weighted = scaled.T @ scaled

    def expect(self, user: int, pair: int) -> None:
        """Count on an answer that has been asked for: the pair is not asked again."""
        self._ask(user, pair)

    def leave_out(self, users: IntArray, pairs: IntArray) -> None:
        """Never ask each of these users the pair beside, (q,) and (q,)."""
        self._asked += zip(users.tolist(), pairs.tolist(), strict=True)

    def run(self, count: int, per_user: int) -> list[Chosen]:
        """Choose so many questions, at most `per_user` of each user; fewer if there are no more."""
        users = self.belief.n_users
        best, pair = self._score(np.arange(users))
        left = np.full(users, per_user)
        fresh = np.ones(users, dtype=bool)
        chosen: list[Chosen] = []
        while len(chosen) < count and np.isfinite(best.max()):
            top = int(best.argmax())
            if not fresh[top]:
                some = np.argsort(-best, kind="stable")[:_AGAIN]
                some = some[~fresh[some] & np.isfinite(best[some])]
                best[some], pair[some] = self._score(some)
                fresh[some] = True
                continue
            chosen.append(self._ask(top, int(pair[top])))
            left[top] -= 1
            fresh[:] = False
            if not left[top]:
                best[top] = -np.inf
        return chosen

    def _score(self, users: IntArray) -> tuple[FloatArray, IntArray]:
        """Return the largest gain of each user per cost, and the pair that has it."""
        best, pair = np.full(len(users), -np.inf), np.zeros(len(users), dtype=np.int64)
        width = len(self.questions) * self.questions.difference.shape[1]
        width = width if self._sets is None else self._sets.values_per_user
        step = max(1, _BLOCK // width)
        for start in range(0, len(users), step):  # blocks of users: memory
            part = users[start : start + step]
            gains = self._gains(part) / self.cost
            asked = np.array(self._asked, dtype=np.int64).reshape(-1, 2)
            row, taken = np.nonzero(part[:, None] == asked[:, 0])
            gains[row, asked[taken, 1]] = -np.inf
            if self.questions.owner is not None:
                gains[self.questions.owner != part[:, None]] = -np.inf
            pair[start : start + step] = gains.argmax(axis=1)
            best[start : start + step] = gains.max(axis=1)
        return best, pair

    def _gains(self, users: IntArray) -> FloatArray:
        """(user, pair) approximate gain in nats, to rank by."""
        difference, belief = self.questions.difference, self.belief
        total = belief.covariance(users)
        if self._sets is not None:
            return self._gains_of_sets(users, total)
        mean, variance = belief.mean[users] @ difference.T, _forms(total, difference)
        if self.targets.everyone:
            return self.answers.mutual_information(mean, variance)
        gain, shared = self.answers.gain(mean, variance), belief.with_average(users)
        if self.targets.directions is None:
            known = np.linalg.pinv(self._average_covariance(), hermitian=True)
            share = gain * _forms(shared.swapaxes(1, 2) @ known @ shared, difference)
            return np.asarray(-0.5 * np.log1p(-share.clip(max=1 - 1e-9)))
        return gain * _forms(shared.swapaxes(1, 2) @ self._weighted @ shared, difference) / 2

    def _gains_of_sets(self, users: IntArray, total: FloatArray) -> FloatArray:
        """(user, question) as `_gains`, of sets."""
        assert self._sets is not None  # or there are pairs alone
        everyone = self.targets.everyone
        found = self._sets.answers(self.belief.mean[users], total, mutual=everyone)
        if found.mutual is not None:
            return found.mutual
        shared = self.belief.with_average(users)
        if self.targets.directions is None:
            known = np.linalg.pinv(self._average_covariance(), hermitian=True)
            share = found.removed(shared.swapaxes(1, 2) @ known @ shared)
            return np.asarray(-0.5 * np.log1p(-share.clip(max=1 - 1e-9)))
        return found.removed(shared.swapaxes(1, 2) @ self._weighted @ shared) / 2

    def _average_covariance(self) -> FloatArray:
        """(d, d) covariance of the mean weights."""
        belief = self.belief
        return np.asarray(belief.middle.T @ belief.shared @ belief.middle + belief.noise)

    def _ask(self, user: int, pair: int) -> Chosen:
        """Update the belief by the answer that is expected, and say what it tells."""
        belief = self.belief
        before, whole = belief.average(self.directions)[1], self._average_covariance()
        mutual = self._learn(user, pair)
        after = belief.average(self.directions)[1]
        if self.targets.everyone:
            gain = mutual
        elif self.targets.directions is None:
            gain = _log_det(whole) - _log_det(self._average_covariance())
        else:
            gain = float(0.5 * np.log(before / after).sum())
            self._renew()
        self._asked.append((user, pair))
        return Chosen(user, pair, float(gain), after)

    def _learn(self, user: int, pair: int) -> float:
        """Update the belief, and return what the answer tells of the user's weights, nats."""
        belief, one = self.belief, np.array([user])
        total = belief.covariance(one)
        if self._sets is not None:
            some = np.array([pair])
            found = self._sets.answers(belief.mean[one], total, some=some, mutual=True)
            assert found.mutual is not None  # as asked for
            # A loop over the k - 1 observations of rank one that an answer amounts to.
            for direction, precision in as_observations(
                found.chance[0, 0], found.slope[0, 0], total[0]
            ):
                belief.learn(user, direction, precision)
            return float(found.mutual[0, 0])
        difference = self.questions.difference[pair]
        mean = float(belief.mean[user] @ difference)
        variance = float(difference @ total[0] @ difference)
        belief.learn(user, difference, self.answers.precision(mean, variance))
        return float(self.answers.mutual_information(np.array(mean), np.array(variance)))

    @property
    def directions(self) -> FloatArray:
        """(t, d) the targets, or every feature where there are none."""
        if self.targets.directions is not None:
            return self.targets.directions
        return np.eye(len(self.belief.typical))


def _forms(matrix: FloatArray, difference: FloatArray) -> FloatArray:
    """Quadratic forms d' M d, (user, pair), of matrices (user, d, d) and differences (pair, d)."""
    return np.asarray(((difference @ matrix) * difference).sum(axis=2))


def _log_det(covariance: FloatArray) -> float:
    """Half of the log determinant over the directions that vary."""
    values = np.linalg.eigvalsh(covariance)
    return float(0.5 * np.log(np.maximum(values, 1e-12 * values[-1])).sum())
