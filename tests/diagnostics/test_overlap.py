from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from made_posteriors import made_comparisons, made_posterior, made_votes, pooled_posterior
from scipy.stats import multivariate_normal

import bayes_pref as bp
from bayes_pref.diagnostics.overlap import context_overlap as module
from bayes_pref.diagnostics.overlap.context_overlap import assess
from bayes_pref.diagnostics.overlap.exposure_axes import ExposureAxes
from bayes_pref.diagnostics.overlap.overlap_assessment import OverlapAssessment
from bayes_pref.diagnostics.overlap.user_components import user_components
from bayes_pref.diagnostics.query import Query, read_query
from bayes_pref.draws import label

CONTEXTS = ["x1", "x2", "x3", "x4"]


def posterior_of(comparisons: bp.Comparisons, weights: np.ndarray, sd: float) -> bp.Posterior:
    """Draws around shrunken estimates of known weights (u, d), as a normal population gives.

    `sd` is that of the error with which a user's choices tell each weight.
    """
    rng = np.random.default_rng(0)
    spread = weights.std(axis=0)
    keep = spread**2 / (spread**2 + sd**2)
    seen = weights + sd * rng.normal(size=weights.shape)
    mean = weights.mean(axis=0) + keep * (seen - weights.mean(axis=0))
    draws = mean + np.sqrt(keep) * sd * rng.normal(size=(2, 100, *weights.shape))
    posterior = made_posterior(comparisons, draws=100)
    values = {name: posterior.draws[name].to_numpy() for name in posterior.draws}
    variables = posterior.model.variables(comparisons)
    return replace(posterior, draws=label(values | {"weights": draws}, variables, comparisons))


def components_world(
    rho: float, seed: int, *, users: int = 112, each: int = 15
) -> tuple[bp.Posterior, Query, np.ndarray, np.ndarray]:
    """Two components of users, who write prompts of their own type with probability `rho`.

    Also held-out pairs, whether each is of its user's type, and the users' components. A classifier
    that knows the type ranks contexts with AUROC .87; given the errors in users' choices, at most
    about .9 of the components can be found.
    """
    rng = np.random.default_rng([seed, 2])
    component = np.arange(users) % 2
    axis = np.array([0.6, -0.5, 0.4, 0.48])

    def contexts(components: np.ndarray) -> np.ndarray:
        return rng.normal(size=(components.size, 4)) + 1.6 * np.outer(components - 0.5, axis)

    user = np.repeat(np.arange(users), each)
    components = np.where(rng.random(user.size) < rho, component[user], 1 - component[user])
    weights = np.array([0.3, -0.2, 0.5]) + np.outer(component - 0.5, [1.4, -1.4, 0.0])
    weights += 0.3 * rng.normal(size=weights.shape)
    difference = rng.normal(size=(user.size, 3))
    eta = (difference * weights[user]).sum(axis=1)
    frame = pd.DataFrame(difference, columns=["a", "b", "c"]).assign(user=user)
    frame["choice"] = (rng.random(user.size) < 1 / (1 + np.exp(-eta))).astype(int)
    frame[CONTEXTS] = contexts(components)
    comparisons = bp.Comparisons.from_frame(
        frame, user="user", choice="choice", difference=["a", "b", "c"], context=CONTEXTS
    )
    whose = np.repeat(np.arange(users), 20)
    asked = rng.integers(0, 2, whose.size)
    held = pd.DataFrame(rng.normal(size=(whose.size, 3)), columns=["a", "b", "c"])
    held = held.assign(user=whose)
    held[CONTEXTS] = contexts(asked)
    posterior = posterior_of(comparisons, weights, sd=0.7)
    return posterior, read_query(posterior, held), asked == component[whose], component


def auroc_within(overlap: np.ndarray, consistent: np.ndarray, user: np.ndarray) -> float:
    """P(a consistent pair of a user has more overlap than an inconsistent one), ties as half."""
    found = []
    for code in np.unique(user):
        high, low = (overlap[(user == code) & part] for part in (consistent, ~consistent))
        if high.size and low.size:
            apart = high[:, None] - low
            found.append(np.mean(apart > 0) + 0.5 * np.mean(apart == 0))
    return float(np.mean(found))


@pytest.mark.parametrize(("rho", "low", "high"), [(0.5, 0.45, 0.55), (0.8, 0.7, 1), (1.0, 0.8, 1)])
def test_users_hardly_see_contexts_of_the_other_component(
    rho: float, low: float, high: float
) -> None:
    aurocs = []
    for seed in range(4):
        posterior, pairs, consistent, component = components_world(rho, seed)
        found = assess(posterior, pairs)
        np.testing.assert_allclose(found.components.sum(axis=1), 1.0)
        if rho > 0.5:  # choices alone need not show that there are components
            first = found.components["component_1"].to_numpy() > 0.5
            assert max(np.mean(first == component), np.mean(first != component)) > 0.85
        overlap = found.overlap
        assert ((overlap >= 0) & (overlap <= 1)).all()
        aurocs.append(auroc_within(overlap, consistent, pairs.user))
        none = found.overlap < 0.2
        assert none.any() == (rho == 1.0) or rho == 0.8
        if rho == 1.0:  # of what people like them are not shown, most is of the other type
            assert consistent[none].mean() < 0.1
    assert low <= np.mean(aurocs) <= high


def test_overlap_that_ignores_who_is_asked_ranks_nothing() -> None:
    posterior, pairs, consistent, _ = components_world(1.0, 0)
    overlap = assess(posterior, pairs).overlap
    anybody = np.random.default_rng(0).permutation(112)[pairs.user]
    other = assess(posterior, replace(pairs, user=anybody)).overlap
    assert auroc_within(overlap, consistent, pairs.user) > 0.8
    assert auroc_within(other, consistent, pairs.user) < 0.6


def test_components_that_contexts_do_not_tell_apart_leave_the_exposure_of_each_user() -> None:
    posterior, exposure = one_context(0.95, 0.0)
    component = np.where(np.random.default_rng(7).random(200) < 0.5, -3.0, 3.0)
    weights = np.column_stack([component, np.zeros((200, 2))])
    weights += 0.3 * np.random.default_rng(8).normal(size=weights.shape)
    posterior = posterior_of(posterior.comparisons, weights, 0.5)
    found = assess(posterior, read_query(posterior))
    assert found.components.shape[1] == 2
    assert "2 components with similar contexts" in found.note
    assert asked_at(posterior, exposure.idxmin(), exposure.max()) < 0.05


def test_components_by_choices_and_exposure_beat_either() -> None:
    """At rho .7 neither the few choices nor the few prompts of a user suffice."""
    right: dict[str, list[float]] = {"both": [], "choices": [], "exposure": []}
    for seed in range(4):
        posterior, _, _, component = components_world(0.7, seed)
        same = xr.ones_like(posterior.draws["weights"])
        blind = replace(posterior, draws=posterior.draws.assign(weights=same))
        exposure = ExposureAxes.of(posterior.comparisons)
        unexposed = replace(exposure, between=np.zeros_like(exposure.between))
        for name, given in {
            "both": (posterior, exposure),
            "choices": (posterior, unexposed),
            "exposure": (blind, exposure),
        }.items():
            first = user_components(*given, 2, 0)[:, 0] > 0.5
            right[name].append(max(np.mean(first == component), np.mean(first != component)))
    assert np.mean(right["both"]) > max(np.mean(right["choices"]), np.mean(right["exposure"]))


def test_a_population_that_varies_continuously_is_one_component() -> None:
    found = []
    for seed in range(12):
        counts = np.random.default_rng(seed).integers(2, 30, 150)  # unequal: some shrink more
        made = bp.simulate(users=150, comparisons=counts, confounding=0.7, seed=seed)
        weights = made.truth.weights.loc[made.comparisons.users].to_numpy()
        posterior = posterior_of(made.comparisons, weights, sd=0.6)
        exposure = ExposureAxes.of(made.comparisons)
        found.append(user_components(posterior, exposure, None, 0).shape[1])
    # Were one sample in 20 to give a second component, 3 of 12 would have probability .02.
    assert np.sum(np.array(found) > 1) < 3


def test_the_density_ratio_is_that_of_the_normal_distributions() -> None:
    exposure = ExposureAxes(
        centre=np.array([1.0, -2.0]),
        axes=np.diag([0.5, 2.0]),
        between=np.array([0.8, 0.3]),
        mean=np.array([[0.4, -1.0], [1.5, 0.2]]),
        counts=np.array([4.0, 9.0]),
    )
    rng = np.random.default_rng(0)
    user, x = rng.integers(0, 2, 50), rng.normal(size=(50, 2))
    context = exposure.centre + x / [0.5, 2.0]
    rows = pd.RangeIndex(50)
    query = Query(np.empty((50, 0)), context, user, rows, rows)
    ratio = module._by_exposure(exposure, query, np.zeros(50, dtype=bool))
    for n in range(50):
        noise = (1 - exposure.between) / exposure.counts[user[n]]
        share = exposure.between / (exposure.between + noise)
        place = share * exposure.mean[user[n]]
        spread = 1 - exposure.between + exposure.between * (1 - share) + 0.1 * exposure.between
        like = multivariate_normal(place, np.diag(spread)).pdf(x[n])
        everyone = multivariate_normal(np.zeros(2), np.eye(2)).pdf(x[n])
        assert ratio[n] == pytest.approx(min(1, like / everyone))


def test_the_share_between_users_is_found() -> None:
    for intraclass in (0.0, 0.5, 0.95):
        made = bp.simulate(users=2000, contexts=2, intraclass=intraclass, seed=4)
        between = ExposureAxes.of(made.comparisons).between
        # An intraclass correlation r of 2,000 groups of 15 has standard error below .02, and the
        # two axes are chosen to lie far apart: five of those.
        np.testing.assert_allclose(between, intraclass, atol=0.1)


def one_context(intraclass: float, overlap: float) -> tuple[bp.Posterior, pd.Series]:
    made = bp.simulate(
        users=200, features=3, intraclass=intraclass, overlap=overlap, contexts=["x"], seed=5
    )
    weights = made.truth.weights.loc[made.comparisons.users].to_numpy()
    return posterior_of(made.comparisons, weights, 0.6), made.truth.exposure["x"]


def asked_at(posterior: bp.Posterior, user: str, context: float) -> float:
    frame = pd.DataFrame(0.0, index=[0], columns=list(posterior.comparisons.feature_names))
    pairs = read_query(posterior, frame.assign(x=context, user=user))
    return float(assess(posterior, pairs).overlap[0])


def test_a_context_that_users_alike_never_see_has_no_overlap() -> None:
    posterior, exposure = one_context(0.95, 0.0)
    low, middle = exposure.idxmin(), exposure.abs().idxmin()
    own = np.sqrt(0.95) * exposure
    assert asked_at(posterior, low, own[low]) == 1
    assert asked_at(posterior, low, own[middle]) < 0.05
    assert asked_at(posterior, middle, own[low]) < 0.05
    posterior, exposure = one_context(0.5, 1.0)
    assert asked_at(posterior, middle, 0.0) == 1
    found = assess(posterior, read_query(posterior))
    assert found.components.shape[1] == 1
    assert np.median(found.overlap) > 0.9  # what users are shown is typical of them
    assert (found.overlap < 0.2).mean() < 0.05
    own = np.sqrt(0.5) * exposure
    low, high = own.idxmin(), own.idxmax()
    assert asked_at(posterior, low, own[low]) == asked_at(posterior, high, own[high]) == 1
    assert max(asked_at(posterior, low, own[high]), asked_at(posterior, high, own[low])) < 0.2
    posterior, _ = one_context(0.0, 1.0)
    same = assess(posterior, read_query(posterior)).overlap
    assert np.median(same) > 0.9
    assert not (same < 0.2).any()


def test_a_context_does_not_vouch_for_itself() -> None:
    rng = np.random.default_rng(6)
    frame = pd.DataFrame({"a": rng.normal(size=400), "choice": rng.integers(0, 2, 400)})
    place = np.repeat(rng.normal(size=100), 4)
    frame = frame.assign(user=np.repeat(np.arange(100), 4), x=place + 0.2 * rng.normal(size=400))
    frame.loc[3, "x"] = frame.loc[:2, "x"].mean() + 2.5
    comparisons = bp.Comparisons.from_frame(
        frame, user="user", choice="choice", difference=["a"], context=["x"]
    )
    posterior = pooled_posterior(comparisons)
    found = assess(posterior, read_query(posterior))
    assert found.components.shape[1] == 1
    assert found.overlap[3] < 0.2
    moved = frame.loc[[3]].assign(x=frame.loc[3, "x"] + 1e-6)  # hardly another, but not shown
    [asked] = assess(posterior, read_query(posterior, moved)).overlap
    assert asked > found.overlap[3]


def test_where_overlap_cannot_be_assessed_a_sentence_says_why() -> None:
    assert "no contexts" in str(OverlapAssessment().unsupported(pooled_posterior(made_votes())))
    frame = made_comparisons().to_frame()
    columns = list(frame.columns[1:4])
    how = {"user": "user", "choice": "chosen", "difference": columns, "context": ["hard"]}
    constant = pooled_posterior(bp.Comparisons.from_frame(frame.assign(hard=0.1), **how))
    found = assess(constant, read_query(constant))
    assert "one value" in found.note
    other = read_query(constant, frame.assign(hard=[0.1] * 30 + [0.2] * 30))
    overlap = assess(constant, other).overlap
    assert np.isnan(overlap).sum() == 30
    assert (overlap[~np.isnan(overlap)] == 0).all()  # shown to nobody
    alone = pooled_posterior(bp.Comparisons.from_frame(frame.assign(user="ann"), **how))
    assert "one user" in assess(alone, read_query(alone)).note
    with pytest.warns(bp.DataWarning, match="single comparison"):
        single = bp.Comparisons.from_frame(frame.assign(user=np.arange(len(frame))), **how)
    assert "single comparison" in assess(pooled_posterior(single), read_query(constant)).note


def test_new_users_are_like_everyone_and_contexts_beyond_the_data_are_shown_to_nobody() -> None:
    posterior, _ = one_context(0.95, 0.0)
    frame = pd.DataFrame(0.0, index=[0, 1], columns=list(posterior.comparisons.feature_names))
    pairs = read_query(posterior, frame.assign(x=[2.0, 9.0]))
    assert assess(posterior, pairs).overlap.tolist() == [1.0, 0.0]
    posterior, pairs, _, _ = components_world(1.0, 0)
    new = replace(pairs, user=np.full(len(pairs), -1))
    inside = ~module._outside_the_data(posterior.comparisons, pairs.context)
    assert (assess(posterior, new).overlap[inside] == 1).all()


@pytest.mark.parametrize("components", [0, 1.5, True, 1000])
def test_a_number_of_components_that_cannot_be_is_refused(components: object) -> None:
    posterior = pooled_posterior()
    with pytest.raises(bp.errors.DataError, match="components must be"):
        assess(posterior, read_query(posterior), components=components)


def test_the_same_seed_gives_the_same_overlap() -> None:
    posterior, pairs, _, _ = components_world(0.8, 1)
    first, second = (assess(posterior, pairs, seed=3).overlap for _ in range(2))
    np.testing.assert_array_equal(first, second)
