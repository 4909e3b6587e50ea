"""Convergence: the statistics are ArviZ's; findings name a place, a number and a remedy."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter
from scipy.stats import norm, rankdata

from bayes_pref.convergence import checks as convergence
from bayes_pref.convergence import statistics as mcmc_statistics
from bayes_pref.convergence.statistics import (
    chain_statistics,
    effective_sample_size,
    energy_fraction,
)
from bayes_pref.errors import ConvergenceWarning
from bayes_pref.posterior import arviz_bridge

Array = np.ndarray[Any, Any]
arviz: Any = vars(arviz_bridge)["arviz"]  # imported there without its announcement

CONTINUOUS = ("independent", "sticky", "antithetic", "heavy", "shifted")
TIED = ("repeated", "whole")


def made_draws(kind: str, chains: int, length: int, parameters: int = 4) -> Array:
    """Draws (chain, draw, parameter) of a kind that is hard in its own way."""
    draws = np.random.default_rng(length).standard_normal((chains, length, parameters))
    if kind in ("sticky", "antithetic"):
        memory = 0.95 if kind == "sticky" else -0.7
        for t in range(1, length):
            draws[:, t] += memory * draws[:, t - 1]
    if kind == "heavy":
        draws = draws**5
    if kind == "shifted":
        draws += np.arange(chains)[:, None, None]
    if kind == "repeated":  # as after rejected proposals
        draws = np.repeat(draws[:, : -(-length // 3)], 3, axis=1)[:, :length]
    if kind == "whole":
        draws = np.round(3 * draws)
    return draws


def of_arviz(statistic: str, draws: Array) -> Array:
    """A statistic of each parameter, as ArviZ computes it."""
    data = xr.Dataset({"x": (("chain", "draw", "parameter"), draws)})
    if statistic == "rhat":
        return np.asarray(arviz.rhat(data)["x"])
    # The tails of a 90 % interval; ArviZ 1.x has others by default.
    tails = {"prob": (0.05, 0.95)} if statistic == "tail" else {}
    return np.asarray(arviz.ess(data, method=statistic, **tails)["x"])


# Not 21, 101, 201, ...: there a quantile falls on a draw exactly, and ArviZ's rounding of its
# place decides whether that draw counts (see the test of quantiles below).
@pytest.mark.parametrize("length", [4, 5, 7, 50, 103, 500])
@pytest.mark.parametrize("chains", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", CONTINUOUS)
def test_statistics_are_those_of_arviz(kind: str, chains: int, length: int) -> None:
    draws = made_draws(kind, chains, length)
    found = chain_statistics(draws)
    np.testing.assert_allclose(found.ess_bulk, of_arviz("bulk", draws), rtol=1e-8)
    np.testing.assert_allclose(found.ess_tail, of_arviz("tail", draws), rtol=1e-8)
    np.testing.assert_allclose(effective_sample_size(draws), of_arviz("mean", draws), rtol=1e-8)
    if chains > 1:  # ArviZ has none for one chain
        np.testing.assert_allclose(found.rhat, of_arviz("rhat", draws), rtol=1e-8)


@pytest.mark.parametrize("length", [50, 103, 500])
@pytest.mark.parametrize("chains", [2, 3, 4])
@pytest.mark.parametrize("kind", TIED)
def test_ties_are_ranked_as_arviz_ranks_them(kind: str, chains: int, length: int) -> None:
    draws = made_draws(kind, chains, length)
    found = chain_statistics(draws)
    np.testing.assert_allclose(found.rhat, of_arviz("rhat", draws), rtol=1e-8)
    np.testing.assert_allclose(found.ess_bulk, of_arviz("bulk", draws), rtol=1e-8)


@pytest.mark.parametrize("kind", TIED)
def test_tails_of_repeated_values_are_nearly_those_of_arviz(kind: str) -> None:
    # Between two equal values ArviZ's quantile can be off by rounding, and then it leaves out
    # all draws of that value.
    draws = made_draws(kind, 4, 1003, 10)
    ours, theirs = chain_statistics(draws).ess_tail, of_arviz("tail", draws)
    same = np.isclose(ours, theirs, rtol=1e-8)
    assert same.any()
    np.testing.assert_allclose(ours, theirs, rtol=0.1)


def test_split_rhat_of_one_chain_follows_the_definition() -> None:
    draws = made_draws("sticky", 1, 200)[:, :, 0]
    halves = draws.reshape(2, 100)

    def rhat(values: Array) -> float:
        scores = norm.ppf((rankdata(values).reshape(2, 100) - 0.375) / 200.25)
        within = scores.var(axis=1, ddof=1).mean()
        between = 100 * scores.mean(axis=1).var(ddof=1)
        return math.sqrt((between / within + 99) / 100)

    expected = max(rhat(halves), rhat(np.abs(halves - np.median(halves))))
    found = chain_statistics(draws[:, :, None]).rhat[0]
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("size", [21, 101, 201, 1001])
@pytest.mark.parametrize("level", [0.05, 0.95])
def test_quantiles_are_those_of_numpy_even_on_a_draw(size: int, level: float) -> None:
    ordered = np.sort(np.random.default_rng(0).normal(size=(3, size)), axis=1)
    found = mcmc_statistics._quantile(ordered, level)
    np.testing.assert_array_equal(found, ordered[:, round((size - 1) * level)])
    ordered[:, :] = 0.1  # interpolating between equal values must not leave them
    assert (mcmc_statistics._quantile(ordered, level) == 0.1).all()


@pytest.mark.parametrize("values", [1, 3000, 10**7])
def test_blocks_change_no_statistic(monkeypatch: pytest.MonkeyPatch, values: int) -> None:
    draws = made_draws("sticky", 3, 101, 23)
    draws[:, :, 5] = 2.0
    draws[1, 7, 9] = np.nan
    whole = chain_statistics(draws)
    monkeypatch.setattr(mcmc_statistics, "BLOCK_VALUES", values)
    for one, other in zip(whole, chain_statistics(draws), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
        assert np.isnan(one[[5, 9]]).all()
        assert np.isfinite(np.delete(one, [5, 9])).all()


def test_draws_are_left_as_they_were() -> None:
    draws = made_draws("sticky", 4, 100)
    before = draws.copy()
    chain_statistics(draws)
    np.testing.assert_array_equal(draws, before)


def test_chains_stuck_in_different_places_have_infinite_rhat() -> None:
    draws = np.repeat(np.arange(4.0), 100).reshape(4, 100, 1)
    assert chain_statistics(draws).rhat[0] > 1e6


def test_fewer_than_four_draws_and_no_parameters_give_nothing() -> None:
    assert np.isnan(chain_statistics(np.ones((2, 3, 5))).rhat).all()
    assert chain_statistics(np.ones((2, 100, 0))).rhat.shape == (0,)


def test_energy_fraction_is_that_of_arviz() -> None:
    energy = made_draws("sticky", 4, 200)[:, :, 0]
    np.testing.assert_allclose(energy_fraction(energy), arviz.bfmi(energy), rtol=1e-10)


def dataset(mu: Array, **others: Array) -> xr.Dataset:
    """Draws of mu (feature,), and of matrices (feature, feature_bis)."""
    features = ["length", "tone", "tact"][: mu.shape[2]]
    variables: dict[str, Any] = {"mu": (("chain", "draw", "feature"), mu)}
    for name, values in others.items():
        variables[name] = (("chain", "draw", "feature", "feature_bis"), values)
    dims = {"feature": features} | ({"feature_bis": features} if others else {})
    return xr.Dataset(variables, coords=dims)


def good(parameters: int = 3, length: int = 1000) -> Array:
    return np.random.default_rng(1).standard_normal((4, length, parameters))


ENGINE: dict[str, Any] = {"engine": "Gibbs", "settings": {"warmup": 500, "chains": 4}}


def test_good_draws_have_no_findings() -> None:
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), np.zeros((4, 1000), dtype=bool)),
            "energy": (("chain", "draw"), good()[:, :, 0]),
        }
    )
    assert convergence.check(dataset(good()), stats, **ENGINE, pareto_k=0.5) == ()


def test_chains_that_disagree_are_named_with_number_threshold_and_remedy() -> None:
    draws = good()
    draws[2, :, 1] += 0.4
    draws[3, :, 2] += 1.0
    found = convergence.check(dataset(draws), xr.Dataset(), **ENGINE)[0]
    assert (found.statistic, found.parameter, found.threshold) == ("rhat", "mu[tact]", 1.01)
    assert found.value == chain_statistics(draws).rhat[2]
    assert found.count == 2
    assert found.message == (
        f"mu[tact]: R-hat {found.value:.3f}, above 1.01 (2 of 3 parameters): the chains disagree; "
        "draw longer chains, for example Gibbs(draws=2000, warmup=1000)"
    )


def test_the_remedy_for_thinned_chains_keeps_their_thinning() -> None:
    draws = good()
    draws[3, :, 2] += 1.0
    engine: dict[str, Any] = {"engine": "Gibbs", "settings": {"warmup": 500, "thin": 4}}
    found = convergence.check(dataset(draws), xr.Dataset(), **engine)[0]
    assert found.message.endswith("for example Gibbs(draws=2000, warmup=1000, thin=4)")
    assert found.settings == {"draws": 2000, "warmup": 1000, "thin": 4}


def test_few_effective_draws_are_named_with_a_remedy_that_suffices() -> None:
    draws = good()
    draws[:, :, 0] = made_draws("sticky", 4, 1000)[:, :, 0]
    bulk = chain_statistics(draws).ess_bulk[0]
    assert bulk < 400
    found = convergence.check(dataset(draws), xr.Dataset(), **ENGINE)
    named = {finding.statistic: finding for finding in found}
    finding = named["ess_bulk"]
    assert (finding.parameter, finding.value, finding.count) == ("mu[length]", bulk, 1)
    assert f"mu[length]: bulk effective sample size {bulk:.0f}, below 400" in finding.message
    advised = int(finding.message.partition("draws=")[2].partition(",")[0])
    assert 1.25 * 400 / bulk * 1000 <= advised <= 3 * 400 / bulk * 1000
    assert named["ess_tail"].parameter == "mu[length]"


def test_findings_count_a_symmetric_matrix_once_and_leave_its_diagonal_out() -> None:
    factor = np.random.default_rng(0).standard_normal((4, 1000, 3, 9))
    factor[0] += 1.0
    factor /= np.linalg.norm(factor, axis=-1, keepdims=True)
    matrix = factor @ np.swapaxes(factor, -1, -2)
    found = convergence.check(dataset(good(), correlation=matrix), xr.Dataset())[0]
    assert found.count == 3
    assert "(3 of 6 parameters)" in found.message
    assert found.parameter.startswith("correlation[")


def test_parameters_that_never_vary_are_left_out_and_said_to_be() -> None:
    draws = good()
    draws[:, :, 0] = 1.0
    assert convergence.check(dataset(draws), xr.Dataset()) == ()
    draws[3, :, 1] += 1.0
    message = convergence.check(dataset(draws), xr.Dataset())[0].message
    assert "(1 of 2 parameters; 1 never vary and are left out)" in message


def test_a_sampler_that_never_moves_is_not_called_converged() -> None:
    (found,) = convergence.check(dataset(np.ones((4, 1000, 3))), xr.Dataset())
    assert found.statistic == "stuck"
    apart = np.ones((4, 1000, 3)) * np.arange(4.0)[:, None, None]
    assert convergence.check(dataset(apart), xr.Dataset())[0].statistic == "rhat"


def test_draws_that_are_not_finite_are_named() -> None:
    draws = good()
    draws[1, 10, 2] = np.inf
    (found,) = convergence.check(dataset(draws), xr.Dataset())
    assert (found.statistic, found.parameter, found.count) == ("finite", "mu[tact]", 1)


def test_divergences_and_low_energy_are_found() -> None:
    diverging = np.zeros((4, 1000), dtype=bool)
    diverging[1, :7] = True
    energy = np.cumsum(good()[:, :, 0], axis=1)
    energy[0] = good()[0, :, 0]
    stats = xr.Dataset(
        {"diverging": (("chain", "draw"), diverging), "energy": (("chain", "draw"), energy)}
    )
    first, second = convergence.check(dataset(good()), stats, **ENGINE)
    assert (first.statistic, first.count) == ("divergences", 7)
    assert first.message.startswith("7 of 4,000 draws diverged: ")
    assert "target_accept=0.95" in first.message
    assert (second.statistic, second.count, second.threshold) == ("bfmi", 3, 0.3)
    assert second.value == energy_fraction(energy).min()
    assert "(3 of 4 chains)" in second.message


def test_a_bad_approximation_and_an_interrupted_run_are_found() -> None:
    (found,) = convergence.check(dataset(good()), xr.Dataset(), pareto_k=0.71)
    assert (found.statistic, found.value) == ("pareto_k", 0.71)
    run = ENGINE | {"complete": False}
    (found,) = convergence.check(dataset(good()), xr.Dataset(), **run)
    assert found.statistic == "incomplete"
    assert "interrupted after 1,000 draws a chain" in found.message


def test_every_message_is_one_sentence() -> None:
    draws = made_draws("sticky", 4, 200, 3)
    draws[0] += 3.0
    stats = xr.Dataset(
        {
            "diverging": (("chain", "draw"), np.ones((4, 200), dtype=bool)),
            "energy": (("chain", "draw"), np.cumsum(good(1, 200)[:, :, 0], axis=1)),
        }
    )
    run = ENGINE | {"complete": False}
    found = convergence.check(dataset(draws), stats, **run)
    found += convergence.check(dataset(draws), stats, pareto_k=1.0)
    expected = ["incomplete", "rhat", "ess_bulk", "ess_tail", "divergences", "bfmi", "pareto_k"]
    assert [finding.statistic for finding in found] == expected
    for finding in found:
        assert "\n" not in finding.message
        assert not finding.message.endswith(".")


def test_warnings_point_at_the_line_that_fitted() -> None:
    draws = good()
    draws[0] += 1.0
    found = convergence.check(dataset(draws), xr.Dataset())

    def fit() -> None:
        convergence.warn(found)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit()
    assert len(caught) == len(found) > 0
    for warning, finding in zip(caught, found, strict=True):
        assert warning.category is ConvergenceWarning
        assert str(warning.message) == finding.message
        assert warning.filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convergence.warn(())


def test_an_r_hat_that_chance_explains_is_no_finding_and_another_one_is() -> None:
    noise = np.random.default_rng(0).standard_normal((4, 1200, 1500))
    values = lfilter([1.0], [1.0, -0.6], noise, axis=1)[:, 200:]  # about 1,000 effective draws
    draws = xr.Dataset({"weights": (("chain", "draw", "feature"), values)})
    found = convergence.check(draws, xr.Dataset())
    assert convergence.worst(draws).rhat > 1.01
    assert "rhat" not in {finding.statistic for finding in found}
    assert convergence.worst(draws).passes
    values[0, :, 7] += 0.5 * values.std()
    (disagreement,) = [
        each for each in convergence.check(draws, xr.Dataset()) if each.statistic == "rhat"
    ]
    assert disagreement.parameter == "weights[7]"
    assert not convergence.worst(draws).passes
