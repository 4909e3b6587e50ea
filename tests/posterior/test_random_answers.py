"""The share of answers given at random, against sums over all ways the answers can have come."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from choice_cases import LEVELS, outcome_probabilities
from made_posteriors import made_posterior
from monte_carlo import largest_allowed
from stage_cases import stage_comparisons

import bayes_pref as bp

WHO = {"zoe": 3, "ann": 2, "bob": 1}  # how often each is asked about the same pair
MODELS = {
    "pairs": bp.HierarchicalReward(lapse=True),
    "ties and a position bias": bp.HierarchicalReward(lapse=True, position=True),
    "probit": bp.HierarchicalReward(link="probit", lapse=True),
    "grades": bp.HierarchicalReward(lapse=True),
    "pooled": bp.PooledReward(lapse=True),
}


def asked(name: str) -> bp.Comparisons:
    """Three pairs a user; where they are repeated, the sides are exchanged the second time."""
    rng = np.random.default_rng(4)
    rows = [
        {"user": who, **dict(zip("ab", pair if time != 1 else -pair, strict=True))}
        for who, times in WHO.items()
        for pair in rng.normal(size=(3, 2))
        for time in range(times)
    ]
    answers = {"grades": LEVELS, "ties and a position bias": [0.0, 0.5, 1.0]}.get(name, [0.0, 1.0])
    frame = pd.DataFrame(rows).assign(choice=rng.permutation(np.resize(answers, len(rows))))
    return bp.Comparisons.from_frame(
        frame,
        user="user",
        choice="choice",
        difference=["a", "b"],
        levels=LEVELS if name == "grades" else None,
    )


def fitted(name: str, draws: int) -> bp.Posterior:
    """Draws of one of the models, with lapse rates up to 0.8."""
    posterior = made_posterior(asked(name), MODELS[name], draws=draws)
    return replace(posterior, draws=posterior.draws.assign(lapse=8 * posterior.draws["lapse"]))


def by_hand(posterior: bp.Posterior) -> tuple[np.ndarray, np.ndarray]:
    """(outcome, row, sample) probabilities with lapses and without, by the textbook's formulas."""
    comparisons, draws = posterior.comparisons, posterior.draws
    weights = posterior.weights_draws().transpose("user", "feature", "chain", "draw").to_numpy()
    weights = weights.reshape(*weights.shape[:2], -1)
    eta = np.einsum("nd,nds->ns", comparisons.difference, weights[comparisons.user])
    sites = {name: draws[name].to_numpy() for name in ("tie", "lapse", "position") if name in draws}
    sites = {name: values.ravel() for name, values in sites.items()}
    if "cutpoints" in draws:
        sites["cutpoints"] = draws["cutpoints"].to_numpy().reshape(eta.shape[1], -1)
    found = []
    for own in (sites, {name: values for name, values in sites.items() if name != "lapse"}):
        rows = [outcome_probabilities(row, posterior.model.link, own) for row in eta]
        found.append(np.stack(rows, axis=1))
    return found[0], found[1]


def counted(random: float, meant: np.ndarray) -> np.ndarray:
    """P(k of n answers were random), by all 2^n ways, from the joint weight of each way.

    `random` is the weight of an answer that is random, and `meant` (n,) that of one that is not.
    """
    total = np.zeros(len(meant) + 1)
    for way in product([False, True], repeat=len(meant)):
        total[sum(way)] += np.where(way, random, meant).prod()
    return np.asarray(total / total.sum())


@pytest.mark.parametrize("name", MODELS)
def test_the_share_at_random_is_that_of_all_ways_the_answers_can_have_come(name: str) -> None:
    posterior = fitted(name, 100)
    found = posterior.reliability()
    comparisons, lapse = posterior.comparisons, posterior.draws["lapse"].to_numpy().ravel()
    _, meant = by_hand(posterior)
    k = len(meant)
    made = np.rint(comparisons.choice * (k - 1)).astype(int)
    meant = (1 - lapse) * meant[made, np.arange(len(made))]
    bound = largest_allowed(3 * 3 * len(MODELS))
    for place, row in found.iterrows():
        mine = comparisons.user == place
        chances = np.mean([counted(lapse[s] / k, meant[mine, s]) for s in range(200)], axis=0)
        share = np.arange(len(chances)) / row["answers"]
        mean, square = chances @ share, chances @ share**2
        assert row["answers"] == mine.sum()
        assert row["mean"] == pytest.approx(mean)
        more = chances[share > 0.5].sum()
        assert abs(row["mostly"] - more) <= bound * np.sqrt(more * (1 - more) / 200) + 1e-12
        # The sd of a sample variance is below sqrt(E x^4 / n).
        spread = np.sqrt(chances @ (share - mean) ** 4 / 200)
        assert abs(row["sd"] ** 2 - (square - mean**2)) < bound * spread
        assert row["lower"] <= row["mean"] + 1e-12
        # The common rate, which does not look at the answers, is something else.
        assert abs(row["lapse"] - mean) > 1e-6
    assert found["user"].tolist() == list(comparisons.users)


def test_of_choices_among_several_each_stage_is_an_answer() -> None:
    data = stage_comparisons(users=3, each=2)
    posterior = made_posterior(data, bp.HierarchicalReward(lapse=True), draws=2000)
    found = posterior.reliability()
    weights = posterior.weights_draws().transpose("user", "feature", "chain", "draw").to_numpy()
    weights = weights.reshape(*weights.shape[:2], -1)
    eta = np.einsum("nd,nds->ns", data.difference, weights[data.user])
    meant = 1 / (1 + np.exp(-eta).reshape(6, 2, -1).sum(axis=1))
    lapse = posterior.draws["lapse"].to_numpy().ravel()
    random = (lapse / 3 / (lapse / 3 + (1 - lapse) * meant)).reshape(3, 2, -1)
    assert found["answers"].tolist() == [2, 2, 2]
    np.testing.assert_allclose(found["mean"], random.mean(axis=(1, 2)))
    both = random.prod(axis=1).mean(axis=1)
    allowed = largest_allowed(3) * np.sqrt(both * (1 - both) / 4000)
    assert (np.abs(found["mostly"] - both) <= allowed).all()
    assert "alike" not in found


@pytest.mark.parametrize("name", MODELS)
def test_answers_to_the_same_pair_are_compared_whichever_is_on_the_left(name: str) -> None:
    posterior = fitted(name, 20)
    found = posterior.reliability().set_index("user")
    comparisons = posterior.comparisons
    chances, _ = by_hand(posterior)
    assert found["repeats"].tolist() == [
        len(list(combinations(range(n), 2))) * 3 for n in (3, 2, 1)
    ]
    for place, who in enumerate(WHO):
        alike, expected = [], []
        for one, other in combinations(np.flatnonzero(comparisons.user == place), 2):
            difference = comparisons.difference[[one, other]]
            same = (difference[0] == difference[1]).all()
            if same or (difference[0] == -difference[1]).all():
                given = comparisons.choice[other]
                alike.append(comparisons.choice[one] == pytest.approx(given if same else 1 - given))
                again = chances[:, other] if same else chances[::-1, other]
                expected.append((chances[:, one] * again).sum(axis=0).mean())
        if WHO[who] == 1:
            assert found.loc[who, ["alike", "alike_expected"]].isna().all()
        else:
            assert found.loc[who, "alike"] == pytest.approx(np.mean(alike))
            assert found.loc[who, "alike_expected"] == pytest.approx(np.mean(expected))
    assert found["alike"].iloc[0] != pytest.approx(found["alike_expected"].iloc[0])


def test_blocks_of_rows_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    posterior = fitted("pairs", 20)
    whole = posterior.reliability()
    monkeypatch.setattr("bayes_pref.posterior.predictions.BLOCK_VALUES", 200)
    pd.testing.assert_frame_equal(posterior.reliability(), whole)


def test_without_a_lapse_rate_no_answer_is_random() -> None:
    with pytest.raises(bp.ModelError, match=r"reliability=True.*lapse=True"):
        made_posterior(asked("pairs")).reliability()
    with pytest.raises(bp.ModelError, match=r"reliability=True.*lapse=True"):
        made_posterior(stage_comparisons(), bp.PooledReward()).reliability()
    with pytest.raises(bp.DataError, match="interval"):
        fitted("pairs", 20).reliability(interval=2.0)
