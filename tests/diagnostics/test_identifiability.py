from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_posteriors import made_comparisons, made_posterior, made_votes, pooled_posterior

import bayes_pref as bp
from bayes_pref.diagnostics.identifiability.non_identified import sparse_basis
from bayes_pref.diagnostics.identifiability.prior_share import (
    Identifiability,
    assess,
    unsupported,
)
from bayes_pref.diagnostics.query import read_query
from bayes_pref.draws import label

NAMES = ["length", "detail", "warmth", "hedging"]
PRIORS = (0.3, 1.0, 3.0, 10.0)
GIBBS = bp.Gibbs(draws=500, warmup=200, chains=2, progress=False, cores=1)


def read(frame: pd.DataFrame, features: list[str] = NAMES, **how: object) -> bp.Comparisons:
    """Comparisons of a frame, whose limits the tests are about."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        return bp.Comparisons.from_frame(
            frame, user="user", choice="choice", difference=features, **how
        )


def fitted(
    comparisons: bp.Comparisons, model: bp.RewardModel | None = None, seed: int = 0
) -> bp.Posterior:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model or bp.PooledReward(), comparisons, GIBBS, seed=seed)


def judged(posterior: bp.Posterior, pairs: pd.DataFrame | None = None) -> Identifiability:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.DataWarning)
        return assess(posterior, read_query(posterior, pairs))


def item_votes(seed: int, groups: int = 2, each: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    group, left = rng.integers(0, groups, 300), rng.integers(0, each, 300)
    right = (left + rng.integers(1, each, 300)) % each
    worth = rng.normal(size=each * groups)
    first, second = left + each * group, right + each * group
    chosen = rng.random(300) < 1 / (1 + np.exp(worth[second] - worth[first]))
    return pd.DataFrame(
        {
            "user": rng.integers(0, 20, 300),
            "left": [f"i{k}" for k in first],
            "right": [f"i{k}" for k in second],
            "choice": chosen.astype(int),
        }
    )


def world(kind: str, seed: int) -> tuple[bp.Comparisons, pd.DataFrame, np.ndarray]:
    """Data, pairs to ask about, and which of these the data cannot tell anything about."""
    rng = np.random.default_rng([seed, 1])
    unknown = np.arange(60) < 30
    if kind == "items":
        votes = item_votes(seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", bp.DataWarning)
            data = bp.Comparisons.from_items(
                votes, user="user", left="left", right="right", choice="choice"
            )
        names = data.features.attributes
        asked = np.zeros((60, len(names)))
        low = [k for k, name in enumerate(names) if int(name[1:]) < 4]
        high = [k for k, name in enumerate(names) if int(name[1:]) >= 4]
        for row, apart in enumerate(unknown):
            pool = rng.permutation(low)
            asked[row, pool[0]] = 1.0
            asked[row, rng.choice(high) if apart else pool[1]] = -1.0
        return data, pd.DataFrame(asked, columns=list(names)), unknown
    made = bp.simulate(users=60, features=NAMES, contexts=["hard"], seed=seed)
    frame = made.frame.copy()
    asked = pd.DataFrame(rng.normal(size=(60, 4)), columns=NAMES)
    asked["hard"] = rng.normal(size=60)
    if kind == "collinear":
        frame["hedging"] = frame["length"] * 2.0
        asked["hedging"] = np.where(unknown, -2.0, 2.0) * asked["length"]
        unknown &= asked["length"].abs().to_numpy() > 0.5
    elif kind == "constant":
        frame["hedging"] = 0.0
        asked["hedging"] *= unknown
    elif kind == "one context":
        frame["hard"] = 2.0
        asked["hard"] = np.where(unknown, 4.0, 2.0)
        return read(frame, context=["hard"], interactions="all"), asked, unknown
    else:
        unknown[:] = False
    return read(frame, context=["hard"]), asked, unknown


@pytest.mark.parametrize("mean_sd", PRIORS)
@pytest.mark.parametrize("kind", ["collinear", "constant", "one context", "items", "well measured"])
def test_what_the_data_cannot_tell_is_found_and_nothing_else(kind: str, mean_sd: float) -> None:
    data, asked, unknown = world(kind, seed=3)
    posterior = fitted(data, bp.PooledReward(mean_sd=mean_sd))
    found = judged(posterior, asked).comparisons["unidentifiable"].to_numpy()
    far = found[unknown]
    if kind == "one context":  # a pair that hardly differs is known to differ little
        size = np.abs(read_query(posterior, asked).difference[unknown]).sum(axis=1)
        far = far[size > 2]
    assert far.all()
    known = ~unknown if kind == "well measured" else np.arange(60) >= 30
    assert not found[known].any()
    assert not judged(posterior).comparisons["unidentifiable"].any()  # what was shown was learned


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["collinear", "constant", "items", "well measured"])
def test_users_who_differ_do_not_hide_what_the_data_cannot_tell(kind: str) -> None:
    for seed, mean_sd in enumerate(PRIORS):
        data, asked, unknown = world(kind, seed)
        found = judged(fitted(data, bp.HierarchicalReward(mean_sd=mean_sd)), asked).comparisons
        known = ~unknown if kind == "well measured" else np.arange(60) >= 30
        assert found["unidentifiable"][unknown].all()
        assert not found["unidentifiable"][known].any()


def exact_posterior(
    comparisons: bp.Comparisons, covariance: np.ndarray, mean_sd: float, seed: int = 0
) -> bp.Posterior:
    """Draws of mu, on scaled features, with exactly this covariance."""
    draws = np.random.default_rng(seed).normal(size=(4 * 250, len(covariance)))
    draws -= draws.mean(axis=0)
    draws = draws @ np.linalg.inv(np.linalg.cholesky(np.cov(draws.T))).T
    draws = draws @ np.linalg.cholesky(covariance).T / comparisons.feature_scale
    model = bp.PooledReward(mean_sd=mean_sd)
    values = label({"mu": draws.reshape(4, 250, -1)}, model.variables(comparisons), comparisons)
    return replace(made_posterior(comparisons, model), draws=values)


@pytest.mark.parametrize("mean_sd", PRIORS)
def test_the_numbers_are_those_of_the_formulas(mean_sd: float) -> None:
    comparisons = made_comparisons(rows=400)
    information = np.array([[9.0, 2.0, 0.0], [2.0, 4.0, 1.0], [0.0, 1.0, 0.5]])
    covariance = np.linalg.inv(information + np.eye(3) / mean_sd**2)
    posterior = exact_posterior(comparisons, covariance, mean_sd)
    pairs = read_query(posterior)
    for s in (0.5, 1.0):
        found = assess(posterior, pairs, scale=s).comparisons
        after = np.linalg.inv(information + np.eye(3) / s**2)
        d = pairs.difference / comparisons.feature_scale
        variance = np.einsum("nf,fg,ng->n", d, after, d)
        from_prior = np.einsum("nf,fg,ng->n", d, after @ after, d) / s**2
        np.testing.assert_allclose(found["reference_sd"], np.sqrt(variance), rtol=1e-6)
        np.testing.assert_allclose(found["prior_share"], from_prior / variance, rtol=1e-6)


def test_the_unit_of_a_feature_changes_nothing() -> None:
    frame = bp.simulate(users=40, features=NAMES, aliased=1, seed=1).frame
    other = frame.assign(length=frame["length"] * 1000, hedging=frame["hedging"] / 7)
    first, second = (judged(fitted(read(table))) for table in (frame, other))
    pd.testing.assert_frame_equal(first.comparisons, second.comparisons, rtol=1e-6)
    assert first.directions["feature"].tolist() == second.directions["feature"].tolist()


def simple_share(covariance: np.ndarray, mean_sd: float, d: np.ndarray) -> float:
    """prior_share from the covariance alone, without what is known of the rows."""
    information = np.linalg.inv(covariance) - np.eye(len(covariance)) / mean_sd**2
    values, vectors = np.linalg.eigh(information)
    after = (vectors / (1 + values.clip(0))) @ vectors.T
    return float(d @ after @ after @ d / (d @ after @ d))


def test_neither_a_mean_field_covariance_nor_contraction_sees_collinear_features() -> None:
    frame = bp.simulate(users=60, features=NAMES, aliased=1, seed=4).frame
    posterior = fitted(read(frame), bp.PooledReward(mean_sd=2.0))
    scale = posterior.comparisons.feature_scale
    draws = posterior.draws["mu"].to_numpy().reshape(-1, 4) * scale
    full = np.cov(draws.T)
    apart = np.array([1.0, 0.0, 0.0, -1.0])
    assert simple_share(full, 2.0, apart) > 0.5
    # Mean-field SVI matches the precision in each weight: the inverse diagonal of the precision.
    mean_field = np.diag(1 / np.diag(np.linalg.inv(full)))
    assert simple_share(mean_field, 2.0, apart) < 0.05
    # A pair that also differs in much that was learned: little of its prior variance is left.
    diluted = np.array([3.0, 3.0, 3.0, 2.0])
    contraction = 1 - diluted @ full @ diluted / (4.0 * diluted @ diluted)
    assert contraction > 0.9
    asked = pd.DataFrame([diluted], columns=NAMES).assign(context_1=0.0)
    assert judged(posterior, asked).comparisons["unidentifiable"].all()


def test_what_is_known_of_the_rows_is_right_where_draws_are_few_and_the_prior_narrow() -> None:
    rng = np.random.default_rng(6)
    names = [f"f{k}" for k in range(12)]
    frame = pd.DataFrame(rng.normal(size=(300, 12)), columns=names)
    frame[names[6:]] = frame[names[:6]].to_numpy()  # six features that copy six others
    frame = frame.assign(user=np.arange(300) % 10, choice=rng.integers(0, 2, 300))
    comparisons = read(frame, names)
    model = bp.PooledReward(mean_sd=0.3)
    learned = 0.25 * comparisons.difference.T @ comparisons.difference
    unit = comparisons.feature_scale
    precision = learned / np.outer(unit, unit) + np.eye(12) / 0.3**2
    draws = rng.multivariate_normal(np.zeros(12), np.linalg.inv(precision), 60) / unit
    values = label({"mu": draws.reshape(4, 15, 12)}, model.variables(comparisons), comparisons)
    posterior = replace(made_posterior(comparisons, model), draws=values)
    asked = pd.DataFrame(np.eye(12)[6:] - np.eye(12)[:6], columns=names)
    assert judged(posterior, asked).comparisons["prior_share"].min() > 0.999
    # From 60 draws alone, the relative error sqrt(2 / 60) of a variance passes, half of the time,
    # for information of about 0.18 / 0.3^2 = 2, against 1 of the reference.
    sample = np.cov((draws * unit).T)
    shares = [simple_share(sample, 0.3, d) for d in asked.to_numpy()]
    assert np.mean(shares) < 0.9


def reasons(posterior: bp.Posterior, pairs: pd.DataFrame | None = None) -> list[str]:
    return judged(posterior, pairs).directions["reason"].unique().tolist()


def test_each_direction_names_its_features_and_says_why() -> None:
    for kind, sentence in {
        "collinear": "the data never separate 'length' and 'hedging' (correlation 1.00 in your "
        "pairs)",
        "constant": "'hedging' never differs within a pair in your data",
        "one context": "'hard' is always 2 in your data, so 'length' and 'length:hard' cannot be "
        "told apart",
        "items": "the items fall into 2 groups that nobody compared with one another",
    }.items():
        data, asked, _ = world(kind, seed=5)
        found = reasons(fitted(data), asked)
        assert any(text.startswith(sentence) for text in found), (kind, found)
        assert len(found) == (4 if kind == "one context" else 1)


def test_a_combination_of_three_features_is_written_out() -> None:
    frame = bp.simulate(users=40, features=NAMES, contexts=0, seed=2).frame
    frame["hedging"] = frame["length"] + frame["detail"]
    found = judged(fitted(read(frame)))
    assert found.directions["feature"].tolist() == ["length", "detail", "hedging"]
    (sentence,) = found.directions["reason"].unique()
    assert sentence.startswith("the data never separate 'length', 'detail' and 'hedging': ")
    assert "is 0 in every pair" in sentence


def test_near_collinear_features_are_hardly_separated() -> None:
    frame = bp.simulate(users=30, features=NAMES, contexts=0, seed=2).frame
    noise = np.random.default_rng(0).normal(size=len(frame))
    frame["hedging"] = frame["length"] + 0.05 * noise
    (sentence,) = reasons(fitted(read(frame)))
    assert sentence == (
        "the data hardly separate 'length' and 'hedging' (correlation 1.00 in your pairs)"
    )


def test_the_direction_of_a_pair_is_the_one_it_lies_along() -> None:
    frame = bp.simulate(users=40, features=NAMES, contexts=0, aliased=1, seed=2).frame
    frame["detail"] = 0.0
    posterior = fitted(read(frame))
    asked = pd.DataFrame(
        [[1.0, 0, 0, -1], [0, 1, 0, 0], [0, 0, 1, 0], [0.5, 3, 0, -0.5]], columns=NAMES
    )
    found = judged(posterior, asked)
    named = found.directions.groupby("direction")["feature"].agg(list)
    order = found.comparisons["direction"].tolist()
    assert named[order[0]] == ["length", "hedging"]
    assert named[order[1]] == ["detail"] == named[order[3]]
    assert order[2] == -1


def test_a_basis_of_combinations_is_sparse_and_spans_the_same() -> None:
    rng = np.random.default_rng(7)
    simple = np.zeros((6, 3))
    simple[[0, 1], 0], simple[3, 1], simple[[2, 4, 5], 2] = [1, -1], 1, [1, 1, -2]
    mixed = np.linalg.qr(simple @ rng.normal(size=(3, 3)))[0]
    basis = sparse_basis(mixed)
    assert (np.abs(basis) > 1e-9).sum() == 6
    np.testing.assert_allclose(mixed @ (mixed.T @ basis), basis, atol=1e-9)


def test_candidates_in_directions_never_shown_are_unidentifiable() -> None:
    frame = bp.simulate(users=40, features=NAMES, contexts=0, seed=2).frame
    frame[["warmth", "hedging"]] = 0.0
    posterior = fitted(read(frame))
    asked = pd.DataFrame(
        [[1.0, 0, 0.001, 0], [1, 1, 0, 0], [0, 0, 5, -5], [0, 0, 0, 0]], columns=NAMES
    )
    found = judged(posterior, asked).comparisons
    assert found["unidentifiable"].tolist() == [True, False, True, False]
    assert found["prior_share"].iloc[3] == 0
    assert np.isfinite(found[["prior_share", "reference_sd"]].to_numpy()).all()


def test_separation_in_every_feature_is_separation_and_not_ignorance() -> None:
    made = bp.simulate(users=40, features=NAMES, contexts=0, seed=8)
    frame = made.frame.assign(choice=(made.frame[NAMES] @ [1, -1, 2, 0.5] > 0).astype(int))
    for mean_sd in PRIORS:
        found = judged(fitted(read(frame), bp.PooledReward(mean_sd=mean_sd)))
        assert found.comparisons["separated"].all()
        assert not found.comparisons["unidentifiable"].any()
        assert found.separated_by == tuple(NAMES)
    honest = judged(fitted(read(made.frame)))
    assert not honest.comparisons["separated"].any()
    assert honest.separated_by == ()


def test_one_feature_that_decides_all_is_named() -> None:
    rng = np.random.default_rng(9)
    frame = bp.simulate(users=40, features=NAMES, contexts=0, seed=8).frame
    rare = rng.random(len(frame)) < 0.1
    frame["hedging"] = np.where(rare, rng.choice([-1.0, 1.0], len(frame)), 0.0)
    frame["choice"] = np.where(rare, frame["hedging"] > 0, frame["choice"]).astype(int)
    found = judged(fitted(read(frame)))
    assert found.separated_by == ("hedging",)
    assert found.comparisons["separated"].sum() == rare.sum()


def test_one_feature_one_user_and_comparisons_all_alike_have_an_answer() -> None:
    frame = pd.DataFrame({"user": "ann", "length": [1.0, -1.0] * 20, "choice": [1, 1, 0, 1] * 10})
    found = judged(fitted(read(frame, ["length"])))
    assert not found.comparisons[["unidentifiable", "separated"]].any(axis=None)
    alike = frame.assign(length=1.0, detail=2.0, choice=1)
    posterior = fitted(read(alike, ["length", "detail"]))
    found = judged(posterior)
    assert found.comparisons["separated"].all()
    asked = pd.DataFrame({"length": [1.0, 1.0], "detail": [2.0, -2.0]})
    assert judged(posterior, asked).comparisons["unidentifiable"].tolist() == [False, True]
    nothing = frame.assign(length=0.0)
    found = judged(fitted(read(nothing, ["length"])), pd.DataFrame({"length": [1.0, 0.0]}))
    assert found.comparisons["unidentifiable"].tolist() == [True, False]
    assert not found.comparisons["separated"].any()


def test_items_beyond_a_gain_that_all_share_are_learned() -> None:
    votes = item_votes(1, groups=1)
    data = bp.Comparisons.from_items(
        votes, user="user", left="left", right="right", choice="choice"
    )
    found = judged(fitted(data))
    assert found.directions.empty
    assert not found.comparisons["unidentifiable"].any()


def test_items_against_none_of_them_are_learned() -> None:
    rng = np.random.default_rng(2)
    item = np.array([rng.permutation(4)[:3] for _ in range(240)]).ravel()
    worth = rng.gumbel(size=720) + np.array([0.5, 0.0, -0.5, 1.0])[item]
    best = worth.reshape(-1, 3).max(axis=1).repeat(3)
    frame = pd.DataFrame(
        {
            "user": np.arange(720) // 36,
            "task": np.arange(720) // 3,
            "item": item,
            "price": rng.normal(size=720),
            "choice": (worth == best) & (best > 1.0),
        }
    )
    roles = {"user": "user", "task": "task", "choice": "choice", "items": "item"}
    data = bp.Comparisons.from_tasks(frame, **roles, attributes=["price"], none=True)
    assert not np.isclose(data.feature_scale[-1], 1.0)  # the unit of none, beside that of items
    found = judged(fitted(data))
    assert not found.comparisons["unidentifiable"].any()
    assert found.directions.empty


def test_large_groups_of_items_that_never_met_stay_apart() -> None:
    votes = pd.concat([item_votes(1, groups=2, each=30)] * 3, ignore_index=True)
    with pytest.warns(bp.DataWarning, match="2 groups"):
        data = bp.Comparisons.from_items(
            votes, user="user", left="left", right="right", choice="choice"
        )
    names = data.features.attributes
    low = [name for name in names if int(name[1:]) < 30]
    high = [name for name in names if int(name[1:]) >= 30]
    asked = pd.DataFrame(0.0, index=range(20), columns=list(names))
    for row in range(20):
        asked.loc[row, [low[row], high[row]]] = [1.0, -1.0]
    found = judged(fitted(data), asked)
    assert found.comparisons["unidentifiable"].all()
    assert set(found.directions["feature"]) == set(names)


def test_posteriors_without_a_covariance_of_the_mean_are_refused_by_name() -> None:
    good = pooled_posterior()
    assert unsupported(good) is None
    svi = replace(good, run=replace(good.run, engine="SVI", joint=False))
    few = replace(good, draws=good.draws.isel(draw=slice(0, 5)))
    other = replace(good, draws=xr.Dataset({"weights": good.draws["mu"]}))
    for posterior, word in ((svi, "mean_field"), (few, "10 draws"), (other, "PooledReward")):
        sentence = unsupported(posterior)
        assert sentence is not None
        assert word in sentence
        with pytest.raises(bp.errors.ModelError, match=r"covariance|separate"):
            assess(posterior, read_query(posterior))
    assert unsupported(replace(good, run=replace(good.run, engine="SVI"))) is None


def test_the_direction_of_all_items_alike_says_that_rewards_have_no_origin() -> None:
    found = bp.diagnose(made_posterior(made_votes(), draws=200), progress=False)
    assert found.results["principal"][0] == "all items alike: no origin"
    assert len(found.results["principal"]) == len(found.spectrum) == 3
    assert "no origin" not in " ".join(found.results["principal"][1:])
