"""Rankings: how they are read and refused, and Plackett-Luce against other computations."""

from __future__ import annotations

import warnings
from itertools import permutations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp

import bayes_pref as bp
from bayes_pref.models.choice.plackett_luce import stage_likelihood
from bayes_pref.models.choice.stage_choices import log_stages

COLUMNS = {"user": "who", "ranking": "id", "item": "drink", "rank": "place"}


def table(**changed: list[object]) -> pd.DataFrame:
    columns: dict[str, list[object]] = {
        "who": ["ann"] * 3 + ["bob"] * 3,
        "id": [1, 1, 1, 2, 2, 2],
        "drink": ["tea", "milk", "mate"] * 2,
        "place": [2, 1, 3, None, 1, None],
    }
    return pd.DataFrame(columns | changed)


def read(frame: pd.DataFrame, **given: object) -> bp.Comparisons:
    return bp.Comparisons.from_rankings(frame, **COLUMNS, **given)


def simulated(rankings: int, worth: np.ndarray, seed: int) -> pd.DataFrame:
    """Rankings by Plackett and Luce, who order worths plus Gumbel noise; two by each user."""
    rng = np.random.default_rng(seed)
    rows = []
    for ranking in range(rankings):
        order = np.argsort(-(worth + rng.gumbel(size=len(worth))))
        rows += [(ranking // 2, ranking, f"i{item}", k + 1) for k, item in enumerate(order)]
    return pd.DataFrame(rows, columns=list(COLUMNS.values()))


def plackett_luce(worth: np.ndarray, order: np.ndarray, ranked: int) -> float:
    """Log probability of the first places of an order, written as in the textbook."""
    left = worth[order]
    return float(sum(left[k] - logsumexp(left[k:]) for k in range(min(ranked, len(order) - 1))))


def test_each_place_is_a_choice_among_those_that_are_left() -> None:
    data = read(table())
    assert data.outcome.stage.tolist() == [0, 0, 1, 2, 2]
    assert data.feature_names == ("tea", "milk", "mate")
    better = [label[1:] for label in data.rows]
    assert better[:3] == [("milk", "tea"), ("milk", "mate"), ("tea", "mate")]
    assert sorted(better[3:]) == [("milk", "mate"), ("milk", "tea")]  # the rest are not ranked
    assert data.difference[0].tolist() == [-1, 1, 0]
    assert "3, each of the best of those that are left" in repr(data)
    part = data["bob"]
    assert part.outcome.stage.tolist() == [0, 0]


def test_probabilities_are_those_of_the_textbook_and_sum_to_one() -> None:
    worth = np.array([0.3, -1.0, 0.8, 0.0])
    for ranked in (1, 2, 4):
        total = 0.0
        for order in permutations(range(4), ranked):
            rest = [k for k in range(4) if k not in order]
            everyone = np.array([*order, *rest])
            stages = [
                (s, everyone[s], other)
                for s in range(min(ranked, 3))
                for other in everyone[s + 1 :]
            ]
            stage, better, worse = (np.array(column) for column in zip(*stages, strict=True))
            eta = worth[better] - worth[worse]
            found = log_stages(eta, stage).sum()
            assert found == pytest.approx(plackett_luce(worth, everyone, ranked))
            in_pyro = stage_likelihood(stage)(torch.tensor(eta))
            assert float(in_pyro.log_prob(torch.ones(len(eta))).sum()) == pytest.approx(found)
            total += np.exp(found)
        assert total == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("orders", "ranked", "published"),
    [
        (
            [[0, 1, 2], [3, 2, 0], [1, 3]],
            [3, 3, 2],
            [-0.44328117, 0.69506219, -0.67061442, 0.4188334],
        ),
        ([[0, 1], [1, 2], [2, 0, 1]], [1, 1, 1], [0.16040395, -0.32080789, 0.16040394]),
    ],
    ids=["rankings of some of the items", "best of two or three"],
)
def test_maximum_likelihood_is_that_of_choix(
    orders: list[list[int]], ranked: list[int], published: list[float]
) -> None:
    """The reference cases rankings-2 and top1-2 in the tests of choix (Maystre 2015)."""
    rows = [
        (f"u{ranking}", ranking, str(item), place + 1 if place < places else None)
        for ranking, (order, places) in enumerate(zip(orders, ranked, strict=True))
        for place, item in enumerate(order)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)  # users with a single row
        data = read(pd.DataFrame(rows, columns=list(COLUMNS.values())))

    def likelihood(worth: np.ndarray) -> float:
        ordered = pd.Series(worth, index=sorted(data.feature_names))[list(data.feature_names)]
        return float(log_stages(data.difference @ ordered.to_numpy(), data.outcome.stage).sum())

    def solved(stage: np.ndarray) -> np.ndarray:
        def loss(worth: np.ndarray) -> float:
            # The first term settles what no ranking tells: the mean.
            return worth.mean() ** 2 - log_stages(data.difference @ worth, stage).sum()

        start = np.zeros(len(published))
        found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12})
        worth = pd.Series(found.x, index=data.feature_names).sort_index().to_numpy()
        return np.asarray(worth - worth.mean())

    ours = solved(data.outcome.stage)
    assert ours == pytest.approx(published, abs=1e-4)
    # Theirs is an iterate, ours the maximum; a choice has a curvature of at most 1 / 2.
    most = 0.5 * 0.5 * len(np.unique(data.outcome.stage)) * len(published) * 1e-4**2
    assert -1e-12 < likelihood(ours) - likelihood(np.array(published)) < most  # rounding
    # The wrong partner: every row a choice of its own, which is to break rankings into pairs.
    assert np.abs(solved(np.arange(len(data))) - published).max() > 0.01


# In which orders 2,262 Germans ranked four political goals, the most important first, and how many
# did so: 1 order, 2 more say, 3 fight prices, 4 freedom of speech (Croon 1989, Adv. Psychol. 60).
GOALS = """
1234 137  1243  29  1324 309  1342 255  1423  52  1432  93
2134  48  2143  23  2314  61  2341  55  2413  33  2431  59
3124 330  3142 294  3214 117  3241  69  3412  70  3421  34
4123  21  4132  30  4213  29  4231  52  4312  35  4321  27
"""


def test_political_goals_have_their_published_likelihood() -> None:
    """-6427.05, without latent classes (Skrondal & Rabe-Hesketh 2004; GLLAMM manual)."""
    listed = GOALS.split()
    orders = np.repeat(listed[::2], np.array(listed[1::2], dtype=int)).tolist()
    assert len(orders) == 2262
    rows = [
        (who, who, goal, place + 1)
        for who, order in enumerate(orders)
        for place, goal in enumerate(order)
    ]
    data = read(pd.DataFrame(rows, columns=list(COLUMNS.values())))

    def most(stage: np.ndarray) -> tuple[float, pd.Series]:
        def loss(worth: np.ndarray) -> float:
            return float(worth.mean() ** 2 - log_stages(data.difference @ worth, stage).sum())

        found = minimize(loss, np.zeros(4), method="BFGS", options={"gtol": 0.05})
        return -found.fun, pd.Series(found.x, index=data.feature_names)

    likelihood, worth = most(data.outcome.stage)
    assert likelihood == pytest.approx(-6427.05, abs=0.005)
    assert worth.sort_values().index.tolist() == ["4", "2", "1", "3"]  # speech, say, order, prices
    assert most(np.arange(len(data)))[0] < -6500  # the wrong partner: rankings broken into pairs


def test_replications_of_a_choice_have_its_probabilities() -> None:
    eta = torch.tensor([0.5, -1.0, 0.2], dtype=torch.float64)
    stages = stage_likelihood(np.array([0, 0, 1]))(eta)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = stages.sample((40_000,))
    values, counts = np.unique(drawn.numpy(), axis=0, return_counts=True)
    exact = np.array([float(stages.log_prob(torch.tensor(value)).sum().exp()) for value in values])
    assert exact.sum() == pytest.approx(1.0)  # 3 x 2 outcomes
    error = np.sqrt(exact * (1 - exact) / 40_000)
    assert (np.abs(counts / 40_000 - exact) < 4.5 * error).all()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"place": [1, 1, 2, 1, 2, 3]}, "rank 1 is given twice in ranking 1 .*no ties"),
        ({"place": [1, 2, 4, 1, 2, 3]}, "ranks in ranking 1 leave a gap"),
        ({"place": [1, 0, 2, 1, 2, 3]}, "unknown rank 0.0 in row 1"),
        ({"place": [1, 2, 3, None, None, None]}, "nothing is ranked in ranking 2"),
        ({"drink": ["tea", "tea", "mate"] * 2}, "item 'tea' is twice in ranking 1"),
        ({"who": ["ann", "bob", "ann"] + ["bob"] * 3}, "'bob' beside 'ann' in ranking 1"),
        ({"id": [1, 1, 1, 2, 2, 3], "place": [1, 2, 3, 1, 2, 1]}, "the single item 'mate'"),
    ],
)
def test_rankings_that_are_none_are_refused(changed: dict[str, list[object]], message: str) -> None:
    with pytest.raises(bp.DataError, match=message):
        read(table(**changed))


def test_unknown_items_and_halves_of_a_choice_are_refused() -> None:
    known = pd.DataFrame({"item": ["tea", "milk"], "hot": [1.0, 0.0]})
    with pytest.raises(bp.DataError, match="unknown item 'mate'"):
        read(table(), items=known)
    with pytest.raises(bp.DataError, match="belong together"):
        read(table()).take([0, 2])


def test_what_is_for_choices_between_two_says_so() -> None:
    data = read(table())
    with pytest.raises(bp.ModelError, match="rankings cannot be fitted in mini-batches"):
        bp.fit(bp.HierarchicalReward(), data, bp.SVI(batch=1, progress=False))


def maximum(frame: pd.DataFrame, *, pairs: bool) -> np.ndarray:
    """Penalised estimates of worths, by scipy: of rankings, or of all their pairs."""
    names = sorted(frame["drink"].unique())
    code = frame["drink"].map({name: k for k, name in enumerate(names)})
    orders = [code[part.sort_values("place").index].to_numpy() for _, part in frame.groupby("id")]

    def loss(worth: np.ndarray) -> float:
        total = 0.0
        for order in orders:
            if pairs:
                eta = worth[order][:, None] - worth[order]
                total += np.logaddexp(0, -eta[np.triu_indices(len(order), 1)]).sum()
            else:
                total -= plackett_luce(worth, order, len(order))
        return total + 0.5 * (worth**2).sum() / 2.0**2

    solved = minimize(loss, np.zeros(len(names)), method="BFGS", options={"gtol": 1e-6})
    return np.asarray(solved.x)


@pytest.fixture(scope="module")
def fitted() -> tuple[pd.DataFrame, bp.Posterior]:
    frame = simulated(60, np.array([0.8, 0.3, -0.2, -0.9]), seed=1)
    engine = bp.Gibbs(draws=1000, warmup=400, chains=2, progress=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return frame, bp.fit(bp.PooledReward(), read(frame), engine, seed=2)


@pytest.mark.slow
def test_worths_are_those_of_an_independent_maximum(
    fitted: tuple[pd.DataFrame, bp.Posterior], tmp_path: Path
) -> None:
    frame, posterior = fitted
    draws = posterior.draws["mu"].sel(feature=sorted(frame["drink"].unique()))
    draws = draws.transpose("chain", "draw", "feature").to_numpy().reshape(-1, 4)
    centred = draws - draws.mean(axis=1, keepdims=True)
    exact = maximum(frame, pairs=False)
    broken = maximum(frame, pairs=True)
    # The mode of a posterior near a normal is within a tenth of an sd of the mean; plus noise.
    sd = centred.std(axis=0)
    allowed = (0.1 + 4 / np.sqrt(400)) * sd
    assert (np.abs(centred.mean(axis=0) - (exact - exact.mean())) < allowed).all()
    assert np.abs(broken - exact).max() > 0  # pairs are another likelihood
    posterior.save(tmp_path / "ranked.nc")
    again = bp.Posterior.load(tmp_path / "ranked.nc")
    assert again.comparisons.outcome.stage.tolist() == posterior.comparisons.outcome.stage.tolist()
    found = bp.loo(posterior, by="user")
    assert len(found.pointwise) == 30


def test_pairs_understate_errors_and_plackett_luce_does_not() -> None:
    """Over simulated data sets, sds by curvature against the estimates' true spread."""
    worth, sets = np.array([0.8, 0.3, -0.2, -0.9, 0.0]), 60
    found = {"pairs": [], "rankings": []}
    sds: dict[str, list[np.ndarray]] = {"pairs": [], "rankings": []}
    for seed in range(sets):
        rng = np.random.default_rng(seed)
        orders = np.argsort(-(worth + rng.gumbel(size=(60, 5))), axis=1)
        for kind in found:
            estimate, sd = newton(orders, pairs=kind == "pairs")
            found[kind].append(estimate)
            sds[kind].append(sd)
    ratio = {
        kind: np.sqrt((np.array(sds[kind]) ** 2).mean() / np.var(found[kind], axis=0).mean())
        for kind in found
    }
    # The relative error of a variance from 60 sets and 4 independent contrasts.
    error = np.sqrt(2 / (sets * 4)) / 2
    assert abs(ratio["rankings"] - 1) < 4 * error
    assert ratio["pairs"] < 1 - 4 * error


def newton(orders: np.ndarray, *, pairs: bool) -> tuple[np.ndarray, np.ndarray]:
    """Maximum likelihood of centred worths and their sds, by Newton's method."""
    size = orders.shape[1]
    worth = np.zeros(size)
    for _ in range(8):
        gradient, information = np.zeros(size), np.ones((size, size))
        for k in range(size - 1):
            sets = (
                [orders[:, [k, other]] for other in range(k + 1, size)]
                if pairs
                else [orders[:, k:]]
            )
            for left in sets:
                p = np.exp(worth[left] - logsumexp(worth[left], axis=1, keepdims=True))
                full = np.zeros((len(left), size))
                np.put_along_axis(full, left, p, axis=1)
                gradient += np.bincount(left[:, 0], minlength=size) - full.sum(axis=0)
                information += np.diag(full.sum(axis=0)) - full.T @ full
        worth = worth + np.linalg.solve(information, gradient)
    covariance = np.linalg.inv(information) - 1 / size**2 / 1.0
    return worth - worth.mean(), np.sqrt(np.diag(covariance).clip(0))
