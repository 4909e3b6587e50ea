"""What an elicitation is about, and all that it knows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.data.joining import joined
from bayes_pref.data.more_answers import with_answers
from bayes_pref.diagnostics.thresholds import Thresholds
from bayes_pref.elicitation.goals import Targets
from bayes_pref.elicitation.questions import Questions
from bayes_pref.elicitation.sessions.asked import ANSWERED, Asked
from bayes_pref.elicitation.sessions.draw_weights import Weighed, log_likelihood
from bayes_pref.errors import DataWarning
from bayes_pref.inference.engine import Engine
from bayes_pref.inference.fit import fit
from bayes_pref.inference.users.conditional_weights import unsupported_model
from bayes_pref.inference.users.new_users import add_users
from bayes_pref.posterior import Posterior
from bayes_pref.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Setting:
    """What an elicitation is about, which never changes.

    Attributes
    ----------
    targets, questions, thresholds
        What is to be learned, what may be asked, and when a target is resolved.
    cost
        (c,) of the questions.
    seed
        Random seed.
    """

    targets: Targets
    questions: Questions
    cost: FloatArray
    thresholds: Thresholds
    seed: int


@dataclass(frozen=True, eq=False)
class SessionState:
    """All that an elicitation knows; every step makes a new one.

    Attributes
    ----------
    base
        The posterior of the last run, with the answers that it has seen.
    log_weights
        (sample,) of its draws, by the answers since then.
    comparisons
        The data, with all answers.
    asked
        What was asked.
    history
        One row for each time that answers came.
    """

    base: Posterior
    log_weights: FloatArray
    comparisons: Comparisons
    asked: Asked
    history: pd.DataFrame

    def after(
        self, at: IntArray, answers: FloatArray, setting: Setting, engine: Engine
    ) -> tuple[SessionState, dict[str, Any]]:
        """Return the state after answers to the questions at some positions, and how it came about.

        Draws are weighted, or where that does not hold chains run, from the last draws.
        """
        asked = self.asked.told(at, answers)
        new = np.zeros(len(asked), dtype=bool)
        new[at] = True
        more = asked.rows(new, setting.questions, self.comparisons)
        log_weights = self.log_weights + log_likelihood(self.base, more)
        weighed = Weighed.of(log_weights)
        comparisons = with_answers(self.comparisons, more)
        state = replace(self, log_weights=log_weights, comparisons=comparisons, asked=asked)
        if not weighed.trusted:
            state = self._run(state, setting.seed, engine)
        return state, {
            "answers": int((asked.state == ANSWERED).sum()),
            "updated": "weights" if weighed.trusted else "run",
            "pareto_k": weighed.pareto_k,
            "effective": weighed.effective,
        }

    def _run(self, state: SessionState, seed: int, engine: Engine) -> SessionState:
        """Return the state after a run with all answers, from the last draws."""
        start = Weighed.of(self.log_weights).resampled(self.base, self.base.comparisons, seed)
        answers = int((state.asked.state == ANSWERED).sum())  # so that each run has its own seed
        model = self.base.model
        posterior = fit(model, state.comparisons, engine, seed=seed + answers, start=start)
        samples = posterior.draws.sizes["chain"] * posterior.draws.sizes["draw"]
        asked = state.asked.all_fitted()
        return replace(state, base=posterior, log_weights=np.zeros(samples), asked=asked)

    def with_users(
        self, comparisons: Comparisons, setting: Setting, engine: Engine
    ) -> tuple[SessionState, dict[str, Any]]:
        """Return the state with new users and their answers, and how it came about.

        Chains always run: what new users answered is about the population, too. They start where
        those that `bayes_pref.add_users` draws for the new users end, in models that it takes.
        """
        before = self.posterior(setting.seed)
        whole = joined(self.comparisons, comparisons, "comparisons")
        answers = int((self.asked.state == ANSWERED).sum())
        seed, start = setting.seed + answers + whole.n_users, None
        if unsupported_model(before) is None:
            draws = before.draws.sizes["chain"] * before.draws.sizes["draw"]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DataWarning)  # which asks for the fit that follows
                start = add_users(before, comparisons, draws=draws, seed=seed)
        posterior = fit(before.model, whole, engine, seed=seed, start=start)
        samples = posterior.draws.sizes["chain"] * posterior.draws.sizes["draw"]
        state = SessionState(
            posterior, np.zeros(samples), whole, self.asked.all_fitted(), self.history
        )
        return state, {"answers": answers, "updated": "users"}

    def posterior(self, seed: int) -> Posterior:
        """Return the posterior given all answers, of draws of equal weight."""
        if not self.log_weights.any():
            return replace(self.base, comparisons=self.comparisons)
        weighed = Weighed.of(self.log_weights)
        return weighed.resampled(self.base, self.comparisons, seed)
