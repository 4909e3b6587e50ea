"""People with hidden objectives: what each model makes of them, and what the flags say.

Priors are in log-odds per sd of a component: small, since of a sentence encoder's components none
moves a vote by much. With a prior sd of 1 a mixture of choices alone does not find the
kinds. They were settled on the first three draws.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Generator, Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_score

import bayes_pref as bp
from bayes_pref.diagnostics.overlap import context_overlap
from bayes_pref.diagnostics.prompts import PromptFeatures
from bayes_pref.diagnostics.query import read_query
from confounding_study.data import OBJECTIVES, Array, Judged, load
from confounding_study.population import USERS, People, draw
from confounding_study.sweep import RHOS, Outcome, Task

THRESHOLD = 0.03  # shift in probability that matters
_RIDGE = 0.1  # as in the sweep
_ENGINE = bp.Gibbs(draws=500, warmup=300, chains=2, cores=1, progress=False)
_SHORT = bp.Gibbs(draws=250, warmup=150, chains=2, cores=1, progress=False)  # for means alone
_KINDS = {"components": 2, "mean_sd": 0.3, "spread_sd": 0.1}
MODELS: dict[str, tuple[bp.RewardModel, bp.Gibbs]] = {
    "pooled": (bp.PooledReward(mean_sd=0.3), _SHORT),
    "hierarchical": (bp.HierarchicalReward(mean_sd=0.3, spread_sd=0.3), _SHORT),
    "coupled": (bp.HierarchicalReward(exposure=True, mean_sd=0.3, spread_sd=0.3), _ENGINE),
    "kinds by choices": (bp.MixtureReward(**_KINDS), _SHORT),
    "kinds by both": (bp.MixtureReward(exposure=True, **_KINDS), _SHORT),
}
ORACLE = "told the objective"
INTERACTING = "pooled, interactions"
TRUTH_ERROR = "leak, error of the truth"
_AGAIN = 50  # bootstraps of the truth


def run(task: Task, *, rhos: tuple[float, ...] = RHOS, contexts: str = "leading") -> Outcome:
    """Draw people at every rho, fit every model, and measure."""
    start, judged = time.process_time(), load()
    records = [
        {"seed": task.seed, "rho": rho, "model": model, "figure": figure, "value": value}
        for rho in rhos
        for model, figure, value in measured(judged, draw(judged, rho, task.seed, contexts), rho)
    ]
    return Outcome(records, time.process_time() - start)


def fitted(people: People, name: str, seed: int = 0) -> bp.Posterior:
    """Fit one of the models."""
    model, engine = MODELS[name]
    with warnings.catch_warnings():
        # Means are all that is asked of them, of which short chains know enough.
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, people.comparisons, engine, seed=seed)


Figure = tuple[str, str, float]  # model, figure, value


def measured(judged: Judged, people: People, rho: float) -> Iterator[Figure]:
    """Yield model, figure and value."""
    consistent = judged.consistent[people.held_row]
    true = Truth.of(judged, people, rho, again=_AGAIN if rho == 1 else 0)
    posteriors = {name: fitted(people, name) for name in MODELS}
    right = {}
    for name, posterior in posteriors.items():
        chance = answers(posterior, people)
        right[name] = yield from _answered(name, chance, people, consistent)
    yield from _answered(ORACLE, _by_objective(people), people, consistent)
    yield ORACLE, "cross-validated accuracy", true.accuracy
    for name in ("kinds by choices", "kinds by both"):
        yield name, "AUROC of the objective", objective_auroc(posteriors[name], people)
    report, held = flags(posteriors["coupled"], judged, people)
    flagged = (report["verdict"] == "confounded").to_numpy()
    if rho > 0.5:  # or there is nothing to leak
        for name, p_do in {
            "pooled": _pooled_p_do(posteriors["pooled"]),
            "coupled": report["p_do"].to_numpy(),
            INTERACTING: _pooled_p_do(_interacting(people)),
        }.items():
            yield name, "leak", true.leak(p_do)
            if true.again:
                yield name, TRUTH_ERROR, true.leak_error(p_do)
    yield "coupled", "gate p < .01", float(report.attrs["permutation_p"] <= 0.01)
    yield "coupled", "flagged confounded", float(flagged.mean())
    if flagged.any():
        same = np.sign(report["shift"].to_numpy()) == np.sign(true.shift)
        yield "coupled", "precision", float((abs(true.shift[flagged]) > THRESHOLD).mean())
        yield "coupled", "right side", float((same & (abs(true.shift) > THRESHOLD))[flagged].mean())
    yield "coupled", "truly confounded", float((abs(true.shift) > THRESHOLD).mean())

    by_both = "kinds by both"
    shown = overlaps(posteriors[by_both], judged, people)
    yield by_both, "overlap, AUROC", auroc_within(shown, consistent, people.held_user)
    by_coupled = held["overlap"].to_numpy()
    yield "coupled", "overlap, AUROC", auroc_within(by_coupled, consistent, people.held_user)
    yield by_both, "without overlap", float((shown < 0.2).mean())
    confounded = (held["verdict"] == "confounded").to_numpy()
    for label, kept in {
        "all": np.ones(len(shown), dtype=bool),
        "with overlap": shown >= 0.2,
        "without overlap": shown < 0.2,
        "not confounded": ~confounded,
        "neither": ~confounded & (shown >= 0.2),
    }.items():
        if kept.any():
            yield by_both, f"accuracy, {label}", float(right[by_both][kept].mean())


def _answered(
    name: str, chance: Array, people: People, consistent: NDArray[np.bool_]
) -> Generator[Figure, None, NDArray[np.bool_]]:
    """Yield how often held-out pairs are answered right, and how often the posterior expects to."""
    right = (chance > 0.5) == (people.held["choice"] == 1).to_numpy()
    yield name, "consistent", float(right[consistent].mean())
    yield name, "inconsistent", float(right[~consistent].mean())
    yield name, "accuracy", float(right.mean())
    yield name, "expected accuracy", float(np.maximum(chance, 1 - chance).mean())
    return right


def answers(posterior: bp.Posterior, people: People) -> Array:
    """Posterior probability (m,) that the user of each held-out pair prefers left."""
    draws = posterior.weights_draws().sel(user=people.comparisons.users)
    weights = draws.transpose("user", "feature", "chain", "draw").to_numpy()
    asked = people.held[list(people.comparisons.feature_names)].to_numpy()
    # Every user is answered for as often, one user after the other.
    eta = asked.reshape(USERS, -1, asked.shape[1]) @ weights.reshape(*weights.shape[:2], -1)
    return np.asarray(expit(eta).mean(axis=2).ravel())


def _by_objective(people: People) -> Array:
    """Compute the same by a fit for each objective, which only an oracle can make."""
    chance = np.empty(len(people.held))
    comparisons = people.comparisons
    features = list(comparisons.feature_names)
    model, engine = MODELS["pooled"]
    for code in range(len(OBJECTIVES)):
        mine = np.flatnonzero(people.objective[comparisons.user] == code)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bp.ConvergenceWarning)
            posterior = bp.fit(model, comparisons.take(mine), engine, seed=0)
        held = people.objective[people.held_user] == code
        weights = posterior.draws["mu"].to_numpy().reshape(-1, len(features))
        eta = people.held.loc[held, features].to_numpy() @ weights.T
        chance[held] = (1.0 / (1.0 + np.exp(-eta))).mean(axis=1)
    return chance


def _interacting(people: People) -> bp.Posterior:
    """Fit everyone's common weights, products of features with the context among them."""
    known, features = people.comparisons, people.comparisons.features
    comparisons = bp.Comparisons.from_frame(
        known.to_frame(),
        user=known.user_name,
        choice=known.choice_name,
        difference=features.attributes,
        context=features.contexts,
        interactions="all",
    )
    model, engine = MODELS["pooled"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=0)


def _pooled_p_do(posterior: bp.Posterior) -> Array:
    weights = posterior.draws["mu"].transpose("chain", "draw", "feature").to_numpy()
    eta = posterior.comparisons.difference @ weights.reshape(-1, weights.shape[-1]).T
    return np.asarray((1.0 / (1.0 + np.exp(-eta))).mean(axis=1))


def objective_auroc(posterior: bp.Posterior, people: People) -> float:
    """AUROC of the users' objectives by the probability of a kind, whichever that is."""
    kinds = posterior.membership()
    first = kinds[kinds["component"] == 1].set_index("user")["mean"].loc[people.comparisons.users]
    area = float(roc_auc_score(people.objective, first))
    return max(area, 1 - area)


def flags(
    posterior: bp.Posterior, judged: Judged, people: People
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Report on the fitted and on the held-out comparisons; attrs hold the p-value of the gate."""
    fitted_rows = people.comparisons.to_frame()
    asked = pd.concat([fitted_rows, people.held], ignore_index=True).drop(columns="choice")
    prompts = (
        judged.prompt[people.row],
        judged.prompt[np.concatenate([people.row, people.held_row])],
    )
    thresholds = bp.Thresholds(shift=THRESHOLD)
    report = bp.diagnose(posterior, asked, prompts=prompts, thresholds=thresholds, progress=False)
    frame = report.comparisons
    frame.attrs["permutation_p"] = report.permutation_p
    return frame.iloc[: len(fitted_rows)], frame.iloc[len(fitted_rows) :]


def overlaps(posterior: bp.Posterior, judged: Judged, people: People) -> Array:
    """Overlap (m,) of the held-out pairs, by the whole embedding of their prompts."""
    prompts = PromptFeatures(judged.prompt[people.row], judged.prompt[people.held_row])
    query = read_query(posterior, people.held.drop(columns="choice"))
    return context_overlap.assess(posterior, query, prompts=prompts).overlap


def auroc_within(values: Array, consistent: NDArray[np.bool_], user: NDArray[np.intp]) -> float:
    """P(a consistent pair of a user has more overlap than an inconsistent one), ties as half."""
    areas = []
    for code in np.unique(user):  # a few numbers each
        mine, typical = values[user == code], consistent[user == code]
        difference = mine[typical][:, None] - mine[~typical]
        areas.append((np.sign(difference).mean() + 1) / 2)
    return float(np.mean(areas))


class Truth:
    """What is known to who knows the types: shifts (n,) and p_do (n,) of the comparisons.

    Every objective's weights are those of a ridge logit on all pairs that were judged for it, seen
    by the models or not. At rho, those who are shown a prompt of a type are after it with
    probability rho: p_obs = rho p_type + (1 - rho) p_other, and p_do = (p_type + p_other) / 2.

    Attributes
    ----------
    accuracy
        Of the logits, cross-validated.
    again
        (shift, p_do) by logits on the pairs drawn anew (bootstrap): the truth is an estimate, too.
    """

    def __init__(
        self,
        shift: Array,
        p_do: Array,
        accuracy: float,
        again: Sequence[tuple[Array, Array]] = (),
    ) -> None:
        self.shift, self.p_do, self.accuracy, self.again = shift, p_do, accuracy, again

    @classmethod
    def of(cls, judged: Judged, people: People, rho: float, *, again: int = 0) -> Truth:
        """Fit both objectives, and `again` times more."""
        scale = people.comparisons.feature_scale
        asked = people.comparisons.difference / scale
        helpful = judged.subset[people.row] == "helpful"
        pairs = [
            (people.features[mine] / scale, judged.comparisons.choice[mine])
            for mine in (judged.objective == name for name in OBJECTIVES)
        ]
        logit = LogisticRegression(C=_RIDGE, fit_intercept=False)

        def known(rng: np.random.Generator | None) -> tuple[Array, Array]:
            chance = []
            for seen, choice in pairs:
                n = len(choice)
                rows = np.arange(n) if rng is None else rng.integers(n, size=n)
                chance.append(logit.fit(seen[rows], choice[rows]).predict_proba(asked)[:, 1])
            own, other = np.where(helpful, chance, chance[::-1])
            return (rho - 0.5) * (own - other), (own + other) / 2

        accuracy = float(np.mean([cross_val_score(logit, *pair, cv=5).mean() for pair in pairs]))
        rng = np.random.default_rng(0)
        return cls(*known(None), accuracy, [known(rng) for _ in range(again)])

    def leak(self, p_do: Array) -> float:
        """Share of the shift that an estimate of p_do takes for what people in general prefer."""
        return _leak(p_do, self.shift, self.p_do)

    def leak_error(self, p_do: Array) -> float:
        """Error of the leak that comes from the truth's own."""
        return float(np.std([_leak(p_do, *known) for known in self.again], ddof=1))


def _leak(p_do: Array, shift: Array, true: Array) -> float:
    return float((p_do - true) @ shift / (shift @ shift))
