"""How many answers it takes to mend what is confounded, by how the questions are chosen.

    python benchmarks/recommend.py                     # 20 worlds, one process for each processor
    python benchmarks/recommend.py --replications 4

In every world 100 users, whose preferences depend on the context and on what they are shown, have
made 6 comparisons each. What is flagged then is the target, averaged over these users: batches of
60 answers, at most one of each user, are asked for until the error of p_do over the flagged
comparisons has fallen by 40 % and 80 % of them are resolved, or 2,820 answers are in. Every method
asks from the same pairs, of the same users, who answer as their true weights say; after every batch
all that is known is fitted anew.

Prints answers needed, in the mean over worlds and for the rms error over all worlds, with Monte
Carlo errors, and how many of the shares that are said to be known to within 0.05 are not.
"""

from __future__ import annotations

import argparse
import os
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit
from tqdm import tqdm

import bayes_pref as bp
from bayes_pref.draws import stacked, thin
from bayes_pref.elicitation.questions import generated

Array = NDArray[np.float64]

BATCH, MOST, FALL, SHARE, WITHIN = 60, 2820, 0.4, 0.8, 0.05
_RESAMPLES = 1000  # of worlds, for errors of ratios
ENGINE = bp.Gibbs(draws=400, warmup=300, chains=2, cores=1, progress=False)
MODEL = bp.HierarchicalReward(exposure=True)


@dataclass(frozen=True)
class State:
    """What is known at some point, and what may be asked."""

    posterior: bp.Posterior
    report: bp.Report
    candidates: pd.DataFrame
    rng: np.random.Generator


def ours(state: State) -> pd.DataFrame:
    """What `recommend` says for the flagged comparisons."""
    return _recommended(state, "flagged")


def bald(state: State) -> pd.DataFrame:
    """The most informative questions about all users' weights."""
    return _recommended(state, "users")


def _recommended(state: State, goal: str) -> pd.DataFrame:
    from bayes_pref.elicitation.answer_information import AnswerInformation
    from bayes_pref.elicitation.belief import Belief
    from bayes_pref.elicitation.goals import read_goal
    from bayes_pref.elicitation.questions import read_questions
    from bayes_pref.elicitation.search_questions import Search

    # As in `recommend`, with the belief of now and the flags of the first report.
    belief = Belief.read(state.posterior)
    questions = read_questions(state.posterior, state.candidates, 0)
    targets = read_goal(goal, state.posterior.comparisons, state.report)
    answers = AnswerInformation.of(state.posterior)
    found = Search(belief, answers, targets, questions, np.ones(len(questions))).run(BATCH, 1)
    return pd.DataFrame({"user": [f.user for f in found], "pair": [f.pair for f in found]})


def at_random(state: State) -> pd.DataFrame:
    """Any pair of any user."""
    users = state.posterior.comparisons.n_users
    return pd.DataFrame(
        {
            "user": state.rng.permutation(users)[:BATCH],
            "pair": state.rng.integers(0, len(state.candidates), BATCH),
        }
    )


def d_optimal(state: State) -> pd.DataFrame:
    """Pairs that raise the determinant of a pooled model's information most; any users."""
    comparisons = state.posterior.comparisons
    mu = state.posterior.draws["mu"].mean(("chain", "draw")).to_numpy()
    rows = _differences(state.candidates, comparisons)

    def weight(difference: Array) -> Array:
        p = expit(difference @ mu)
        return p * (1 - p)

    known = comparisons.difference
    inverse = np.linalg.inv((known * weight(known)[:, None]).T @ known + 1e-6 * np.eye(len(mu)))
    chosen = []
    for _ in range(BATCH):
        gain = weight(rows) * ((rows @ inverse) * rows).sum(axis=1)
        best = int(gain.argmax())
        chosen.append(best)
        seen = inverse @ rows[best]
        inverse -= np.outer(seen, seen) / (1 / weight(rows[best : best + 1])[0] + rows[best] @ seen)
    users = state.rng.permutation(comparisons.n_users)[:BATCH]
    return pd.DataFrame({"user": users, "pair": chosen})


METHODS: dict[str, Callable[[State], pd.DataFrame]] = {
    "flagged (EPIG)": ours,
    "users (BALD)": bald,
    "D-optimal": d_optimal,
    "random": at_random,
}


def _differences(frame: pd.DataFrame, comparisons: bp.Comparisons) -> Array:
    return comparisons.features.difference_matrix(frame)


def p_do(posterior: bp.Posterior, difference: Array) -> tuple[Array, Array]:
    """Posterior mean and sd of the share of these users who would prefer left."""
    weights = stacked(thin(posterior.draws, 200), "weights", "user", "feature")
    found = expit(np.einsum("suf,nf->snu", weights, difference)).mean(axis=2)
    return found.mean(axis=0), found.std(axis=0)


def run(seed: int) -> list[dict[str, float | str | int]]:
    """One world: every method from the same start."""
    warnings.simplefilter("ignore", bp.ConvergenceWarning)
    warnings.simplefilter("ignore", bp.DataWarning)
    world = bp.simulate(
        users=100, comparisons=6, features=4, confounding=0.7, interactions=True, seed=seed
    )
    start = bp.fit(MODEL, world.comparisons, ENGINE, seed=seed)
    assessments = ["preference", "confounding", "identifiability"]
    report = bp.diagnose(start, assessments=assessments, progress=False, seed=seed)
    flagged = report.comparisons["verdict"].isin(["confounded", "unidentifiable"]).to_numpy()
    if not flagged.any():
        return []
    target = world.comparisons.difference[flagged]
    weights = world.truth.weights.to_numpy()
    truth = expit(target @ weights.T).mean(axis=1)
    candidates = generated(world.comparisons, seed)
    records: list[dict[str, float | str | int]] = []
    for name, method in METHODS.items():
        rng = np.random.default_rng([seed, 1])
        posterior, frame, asked = start, world.frame.assign(assigned=False), 0
        while True:
            found, sd = p_do(posterior, target)
            resolved = 1.96 * sd <= WITHIN
            error = float(np.sqrt(np.mean((found - truth) ** 2)))
            if not asked:
                first = error
            wrong = resolved & (np.abs(found - truth) > WITHIN)
            records.append(
                {
                    "seed": seed, "method": name, "asked": asked, "error": error,
                    "flagged": len(truth), "resolved": int(resolved.sum()),
                    "wrong": int(wrong.sum()),
                }
            )  # fmt: skip
            if asked >= MOST or (error <= (1 - FALL) * first and resolved.mean() >= SHARE):
                break
            chosen = method(State(posterior, report, candidates, rng))
            pairs = candidates.iloc[chosen["pair"].to_numpy()].reset_index(drop=True)
            user = chosen["user"].to_numpy()
            chance = expit((_differences(pairs, world.comparisons) * weights[user]).sum(axis=1))
            answers = (rng.random(len(user)) < chance).astype(float)
            labels = world.comparisons.users[user]
            new = pairs.assign(user=labels, choice=answers, assigned=True)
            frame = pd.concat([frame, new[frame.columns]], ignore_index=True)
            posterior = bp.fit(MODEL, _read(frame, world.comparisons), ENGINE, seed=seed)
            asked += len(user)
    return records


def _read(frame: pd.DataFrame, like: bp.Comparisons) -> bp.Comparisons:
    features = like.features
    return bp.Comparisons.from_frame(
        frame,
        user="user",
        choice="choice",
        difference=list(features.attributes),
        context=list(features.contexts),
        interactions="all",
        randomised="assigned",
    )


def summarise(records: pd.DataFrame) -> pd.DataFrame:
    """Answers needed by each method: mean over worlds, and of the error over all worlds."""
    rows = []
    worlds = records["seed"].unique()
    rng = np.random.default_rng(0)
    again = [np.arange(len(worlds)), *rng.integers(0, len(worlds), (_RESAMPLES, len(worlds)))]
    crossings = {}
    for name, own in records.groupby("method", sort=False):
        needed, enough = [], []
        for _, path in own.groupby("seed"):
            path = path.sort_values("asked")
            target = (1 - FALL) * path["error"].iloc[0]
            reached = path.loc[path["error"] <= target, "asked"]
            needed.append(reached.iloc[0] if len(reached) else MOST)
            done = path.loc[path["resolved"] >= SHARE * path["flagged"], "asked"]
            enough.append(done.iloc[0] if len(done) else MOST)
        last = own.sort_values("asked").groupby("seed").last()
        every, end = (each["wrong"].sum() / max(1, each["resolved"].sum()) for each in (own, last))
        # A world that has ended keeps its last error.
        squares = own.pivot(index="asked", columns="seed", values="error").ffill()[worlds] ** 2
        crossings[name] = np.array([_crossing(squares.iloc[:, chosen]) for chosen in again])
        rows.append(
            {
                "method": name,
                "answers until the error is 40 % less": _with_error(needed),
                "the same of the rms error over worlds": _resampled(crossings[name]),
                "answers until 80 % are resolved": _with_error(enough),
                "wrong of those resolved, at any stop": f"{every:.3f}",
                "wrong at the end": f"{end:.3f}",
            }
        )
    for row in rows:
        for other in ("D-optimal", "random"):
            ratio = crossings[row["method"]] / crossings[other]
            row[f"ratio of these to {other}"] = _resampled(ratio, "{:.2f}")
    return pd.DataFrame(rows)


def _crossing(squares: pd.DataFrame) -> float:
    """Answers at which the rms error over worlds (columns) is 40 % less, between two batches."""
    error = np.sqrt(squares.mean(axis=1))
    share = (error / error.iloc[0]).to_numpy() - (1 - FALL)
    below = np.flatnonzero(share <= 0)
    if not len(below):
        return float(MOST)
    after = below[0]
    part = share[after - 1] / (share[after - 1] - share[after])
    asked = error.index.to_numpy(dtype=float)
    return float(asked[after - 1] + part * (asked[after] - asked[after - 1]))


def _resampled(values: Array, text: str = "{:.0f}") -> str:
    """The first value, with the standard deviation of the others, of worlds drawn anew."""
    return f"{text} ± {text}".format(values[0], values[1:].std())


def _with_error(values: list[float]) -> str:
    found = np.asarray(values, dtype=float)
    return f"{found.mean():.0f} ± {found.std(ddof=1) / np.sqrt(len(found)):.0f}"


def main() -> None:
    """Run the worlds and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replications", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--records", help="CSV file for what was found at every stop")
    asked = parser.parse_args()
    start = time.perf_counter()
    with ProcessPoolExecutor(asked.jobs, mp_context=get_context("spawn")) as pool:
        found = list(tqdm(pool.map(run, range(asked.replications)), total=asked.replications))
    records = pd.DataFrame([record for each in found for record in each])
    if asked.records:
        records.to_csv(asked.records, index=False)
    print(summarise(records).set_index("method").T.to_string())
    worlds = records["seed"].nunique()
    print(f"\n{worlds} worlds with a flag, {(time.perf_counter() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
