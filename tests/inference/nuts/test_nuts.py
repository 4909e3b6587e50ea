"""Compiled NUTS: against Gibbs and known posteriors, and against what it must refuse."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pyro
import pyro.distributions as dist
import pytest
import torch
from cases import MODELS, SIGNED, small_comparisons
from interrupting import interrupt_after
from made_posteriors import made_comparisons
from monte_carlo import mean_and_error
from scipy.stats import norm
from torch.utils._python_dispatch import TorchDispatchMode

import bayes_pref as bp
from bayes_pref.inference.nuts import gradient as compiled_gradient
from bayes_pref.inference.nuts import nutpie_program
from bayes_pref.inference.nuts.density import flatten
from bayes_pref.inference.nuts.gradient import check_gradient, compile_gradient
from bayes_pref.inference.nuts.sites import site_draws
from bayes_pref.inference.pyro_tools.pyro_posterior import PyroPosterior
from bayes_pref.inference.runtime import processes as forked


def engine(**settings: Any) -> bp.NUTS:
    return bp.NUTS(**({"draws": 500, "warmup": 300, "chains": 2, "progress": False} | settings))


def quiet(run: Callable[[], Any]) -> Any:
    """Run without convergence warnings: these tests judge the draws themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return run()


def sample(model: Callable[..., Any], *args: Any, seed: int = 1, **settings: Any) -> PyroPosterior:
    return quiet(lambda: engine(**settings).sample(model, *args, seed=seed))


def schools(effect: torch.Tensor, error: torch.Tensor) -> None:
    mean = pyro.sample("mean", dist.Normal(0.0, 5.0))
    spread = pyro.sample("spread", dist.HalfNormal(5.0))
    with pyro.plate("school", len(effect)):
        true = pyro.sample("true", dist.Normal(mean, spread))
        pyro.sample("effect", dist.Normal(true, error), obs=effect)


EFFECT = torch.tensor([28.0, 8.0, -3.0, 7.0, -1.0, 1.0, 18.0, 12.0])
ERROR = torch.tensor([15.0, 10.0, 16.0, 11.0, 9.0, 11.0, 10.0, 18.0])


def mixture(data: torch.Tensor) -> None:
    share = pyro.sample("share", dist.Beta(2.0, 2.0))
    place = pyro.sample("place", dist.Normal(torch.tensor([-2.0, 2.0]), 1.0).to_event(1))
    with pyro.plate("point", len(data)):
        kind = pyro.sample("kind", dist.Bernoulli(share))
        pyro.sample("data", dist.Normal(place[kind.long()], 1.0), obs=data)


def mixture_by_hand(data: torch.Tensor) -> None:
    share = pyro.sample("share", dist.Beta(2.0, 2.0))
    place = pyro.sample("place", dist.Normal(torch.tensor([-2.0, 2.0]), 1.0).to_event(1))
    parts = dist.Normal(place, 1.0).log_prob(data[:, None])
    weights = torch.stack([1 - share, share]).log()
    pyro.factor("likelihood", (parts + weights).logsumexp(-1).sum())


POINTS = torch.tensor([-2.5, -1.8, 0.2, 1.1, 2.0, 2.4, 3.1])


def test_a_conjugate_model_has_its_exact_posterior() -> None:
    def model(data: torch.Tensor) -> None:
        mean = pyro.sample("mean", dist.Normal(0.0, 2.0))
        pyro.deterministic("twice", 2 * mean)
        with pyro.plate("row", len(data)):
            pyro.sample("data", dist.Normal(mean, 1.0), obs=data)

    data = torch.tensor([1.0, 2.0, 4.0])
    found = sample(model, data, draws=4000)
    variance = 1 / (1 / 4 + 3)
    draws = found.draws["mean"].to_numpy()
    mean, error = mean_and_error(draws)
    assert abs(mean[0] - variance * 7.0) < 4.5 * error[0]
    squares, error = mean_and_error((draws - variance * 7.0) ** 2)
    assert abs(squares[0] - variance) < 4.5 * error[0]
    np.testing.assert_allclose(found.draws["twice"], 2 * draws)
    # The log density is that of the joint model, constants included.
    joint = norm.logpdf(draws, 0, 2) + norm.logpdf(draws[..., None], data.numpy()).sum(-1)
    np.testing.assert_allclose(found.sample_stats["lp"], joint, rtol=1e-10)


def test_draws_depend_on_the_seed_and_not_on_the_number_of_cores() -> None:
    one, two = (sample(schools, EFFECT, ERROR, draws=50, chains=3, cores=n) for n in (1, 3))
    assert one.draws.identical(two.draws)
    assert one.sample_stats.identical(two.sample_stats)
    other = sample(schools, EFFECT, ERROR, draws=50, chains=3, seed=2)
    assert not np.array_equal(one.draws["mean"], other.draws["mean"])
    assert not np.array_equal(one.draws["mean"][0], one.draws["mean"][1])


def test_statistics_and_dimensions_have_the_names_that_arviz_expects() -> None:
    found = sample(schools, EFFECT, ERROR)
    assert found.draws["true"].dims == ("chain", "draw", "school")
    stats = found.sample_stats
    assert set(stats) == {
        "acceptance_rate", "diverging", "energy", "lp", "n_steps", "step_size", "tree_depth",
    }  # fmt: skip
    assert stats["diverging"].dtype == bool
    assert 0.6 < float(stats["acceptance_rate"].mean()) < 0.95
    # k doublings take 2^k - 1 leapfrogs; a last one that turned back was broken off and dropped.
    assert (stats["n_steps"] >= 2 ** stats["tree_depth"] - 1).all()
    assert (stats["n_steps"] < 2 ** (stats["tree_depth"] + 1)).all()
    # Energy is minus the log density plus a kinetic energy, whose mean is half the dimension.
    kinetic = (stats["energy"] + stats["lp"]).to_numpy()
    assert abs(kinetic.mean() - 5.0) < 1.5
    assert found.idata.posterior["mean"].shape == (2, 500)
    assert "true[3]" in found.summary().index


def test_non_centring_removes_the_funnel_and_can_be_switched_off() -> None:
    straight = flatten(schools, (EFFECT, ERROR))
    funnel = flatten(schools, (EFFECT, ERROR), centred=True)
    z = np.random.default_rng(0).normal(size=straight.size)
    names = list(straight.dims)
    assert names == list(funnel.dims) == ["mean", "spread", "true"]
    true = straight.sites(torch.tensor(z))["true"].numpy()
    np.testing.assert_allclose(true, z[0] + np.exp(z[1]) * z[2:])
    np.testing.assert_allclose(funnel.sites(torch.tensor(z))["true"].numpy(), z[2:])
    # The same density in other coordinates: they differ by the Jacobian spread^8.
    moved = np.concatenate([z[:2], true])
    difference = straight.value_and_gradient(z)[0] - funnel.value_and_gradient(moved)[0]
    assert difference == pytest.approx(8 * z[1])


@pytest.mark.parametrize(
    "name",
    [
        *("pooled", "diagonal", "full"),
        pytest.param("full, exposure, both signs", marks=pytest.mark.long),
    ],
)
def test_the_compiled_gradient_is_autograds(name: str) -> None:
    flat = flatten((MODELS | SIGNED)[name], (small_comparisons(),))
    check_gradient(compile_gradient(flat), flat, np.random.default_rng(0))


@pytest.mark.parametrize("wrong", ["gradient", "value", "nan"])
def test_a_wrong_compiled_gradient_is_refused(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def compile_wrongly(flat: Any) -> compiled_gradient.Gradient:
        right = compile_gradient(flat)

        def gradient(z: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope = right(z)
            if wrong == "value":
                return value * (1 + 1e-5), slope
            slope[-1] = np.nan if wrong == "nan" else slope[-1] + 1e-5 * np.abs(slope).max()
            return value, slope

        return gradient

    monkeypatch.setattr(nutpie_program, "compile_gradient", compile_wrongly)
    with pytest.raises(bp.ModelError, match=r"compiled gradient differs.*kernel='pyro'"):
        engine().sample(schools, EFFECT, ERROR)


def test_fit_runs_a_model_of_the_users_own() -> None:
    def coin(heads: torch.Tensor) -> None:
        fairness = pyro.sample("fairness", dist.Beta(2.0, 3.0))
        with pyro.plate("toss", len(heads)):
            pyro.sample("heads", dist.Bernoulli(fairness), obs=heads)

    heads = torch.tensor([1.0, 1.0, 0.0, 1.0])
    found = quiet(lambda: bp.fit(coin, heads, engine(draws=2000), seed=3))
    assert found.draws.identical(sample(coin, heads, draws=2000, seed=3).draws)
    mean, error = mean_and_error(found.draws["fairness"].to_numpy())
    assert abs(mean[0] - 5 / 9) < 4.5 * error[0]
    with pytest.raises(bp.ModelError, match=r"Gibbs cannot run a Pyro model of your own"):
        bp.fit(coin, heads, bp.Gibbs())


def test_new_data_of_the_same_shapes_need_no_new_code() -> None:
    model = bp.HierarchicalReward()
    before = compile_gradient(flatten(model, (small_comparisons(seed=3),)))
    count = len(compiled_gradient._kernels)
    flat = flatten(bp.HierarchicalReward(mean_sd=1.5), (small_comparisons(seed=4),))
    gradient = compile_gradient(flat)
    assert len(compiled_gradient._kernels) == count
    check_gradient(gradient, flat, np.random.default_rng(0))  # of the new data, not of the old
    point = np.zeros(flat.size)
    assert gradient(point)[0] != before(point)[0]


def test_a_model_that_cannot_be_compiled_runs_on_autograd_and_says_so() -> None:
    def model() -> None:
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        if x.item() > 1e6:  # Python code that looks at a value cannot be traced
            x = 2 * x
        pyro.sample("y", dist.Normal(x, 1.0), obs=torch.tensor(2.0))

    with pytest.warns(RuntimeWarning, match=r"torch cannot compile this model .*autograd"):
        found = sample(model, draws=1000)
    mean, error = mean_and_error(found.draws["x"].to_numpy())
    assert abs(mean[0] - 1.0) < 4.5 * error[0]


def test_a_discrete_site_is_marginalised_out() -> None:
    by_pyro, by_hand = (flatten(model, (POINTS,)) for model in (mixture, mixture_by_hand))
    z = np.random.default_rng(0).normal(size=by_hand.size)
    value, slope = by_pyro.value_and_gradient(z)
    expected, expected_slope = by_hand.value_and_gradient(z)
    assert value == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(slope, expected_slope, rtol=1e-9)
    found = sample(mixture, POINTS)
    assert set(found.draws) == {"share", "place"}
    np.testing.assert_allclose(
        found.draws["share"], sample(mixture_by_hand, POINTS).draws["share"], rtol=1e-6
    )


def test_a_discrete_site_without_a_finite_list_of_values_is_refused_by_name() -> None:
    def model() -> None:
        rate = pyro.sample("rate", dist.Gamma(2.0, 1.0))
        count = pyro.sample("count", dist.Poisson(rate))
        pyro.sample("seen", dist.Normal(count, 1.0), obs=torch.tensor(3.0))

    with pytest.raises(bp.ModelError, match=r"site 'count' is discrete and Poisson has no finite"):
        engine().sample(model)


def test_models_without_a_density_to_follow_are_refused() -> None:
    def subsampled(data: torch.Tensor) -> None:
        mean = pyro.sample("mean", dist.Normal(0.0, 1.0))
        with pyro.plate("row", len(data), subsample_size=2) as rows:
            pyro.sample("data", dist.Normal(mean, 1.0), obs=data[rows])

    def discrete_only() -> None:
        pyro.sample("kind", dist.Bernoulli(torch.tensor(0.5)))

    def noisy() -> None:
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        pyro.sample("y", dist.Normal(x, 1.0), obs=torch.randn(()))

    def impossible() -> None:
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        pyro.factor("never", x - torch.tensor(torch.inf))

    single = torch.ones(2, 2, dtype=torch.float32)

    def mixed() -> None:
        x = pyro.sample("x", dist.Normal(torch.zeros(2), 1.0).to_event(1))
        pyro.sample("y", dist.Normal(single @ x, 1.0).to_event(1), obs=torch.zeros(2))

    with pytest.raises(bp.ModelError, match=r"mixes float32 with float64.*as arguments"):
        engine().sample(mixed)
    with pytest.raises(bp.ModelError, match=r"plate 'row' takes a random subsample of 2 of 7"):
        engine().sample(subsampled, POINTS)
    with pytest.raises(bp.ModelError, match=r"no continuous latent site"):
        engine().sample(discrete_only)
    with pytest.raises(bp.ModelError, match=r"draws random numbers outside pyro\.sample"):
        engine().sample(noisy)
    with pytest.raises(bp.ModelError, match=r"nowhere finite at 100 random starting points"):
        engine().sample(impossible)


def test_an_interrupt_keeps_the_draws_so_far_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    # Chains warm up for 300 draws: by then at least one of the two has kept some.
    interrupt_after(2 * (300 + 50), forked, monkeypatch)
    with pytest.warns(bp.ConvergenceWarning) as caught:
        found = engine(draws=1_000_000).sample(schools, EFFECT, ERROR)
    assert any("interrupted" in str(warning.message) for warning in caught)
    assert any(finding.statistic == "incomplete" for finding in found.findings)
    assert found.run.complete is False
    assert 4 <= found.draws.sizes["draw"] < 1_000_000
    assert (found.draws["spread"] > 0).all()
    assert (found.sample_stats["step_size"] > 0).all()


def test_an_interrupt_before_any_draw_is_an_interrupt(monkeypatch: pytest.MonkeyPatch) -> None:
    interrupt_after(1, forked, monkeypatch)
    with pytest.raises(KeyboardInterrupt, match="before there were draws"):
        engine(warmup=1_000_000).sample(schools, EFFECT, ERROR)


def test_a_chain_that_fails_is_an_error() -> None:
    calls = 0

    def fragile() -> None:
        nonlocal calls
        calls += 1
        x = pyro.sample("x", dist.Normal(0.0, 1.0))
        if x.item() > 1e6 or calls > 200:
            raise ZeroDivisionError("in the model")

    with (
        pytest.warns(RuntimeWarning, match="cannot compile"),
        pytest.raises(bp.ModelError, match=r"chain \d failed: ZeroDivisionError: in the model"),
    ):
        engine().sample(fragile)


@pytest.mark.parametrize("kernel", ["compiled", "pyro"])
def test_thinning_keeps_every_third_of_the_same_iterations(kernel: str) -> None:
    settings = {"kernel": kernel, "warmup": 30, "chains": 1}
    whole = sample(schools, EFFECT, ERROR, draws=30, **settings)
    thinned = sample(schools, EFFECT, ERROR, draws=10, thin=3, **settings)
    np.testing.assert_array_equal(thinned.draws["true"], whole.draws["true"][:, 2::3])
    for name, values in thinned.sample_stats.items():
        np.testing.assert_array_equal(values, whole.sample_stats[name][:, 2::3])


def test_settings_that_no_run_can_have_are_refused() -> None:
    with pytest.raises(bp.ModelError, match=r"NUTS\(target_accept=1\)"):
        bp.NUTS(target_accept=1)
    with pytest.raises(bp.ModelError, match=r"NUTS\(max_tree_depth=0\)"):
        bp.NUTS(max_tree_depth=0)


class Largest(TorchDispatchMode):
    """Number of entries of the largest tensor that torch makes."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        if isinstance(made, torch.Tensor):
            self.entries = max(self.entries, made.numel())
        return made


def test_draws_of_sites_take_the_memory_of_sites_and_not_of_the_rows_of_data() -> None:
    comparisons = made_comparisons(rows=200)
    flat = flatten(bp.PooledReward(), (comparisons,))
    z = np.random.default_rng(0).normal(size=(2, 300, 3))
    with Largest() as largest:
        found = site_draws(flat, z, ["mu"])
    assert found["mu"].shape == (2, 300, 3)
    assert largest.entries < 600 * 20  # rows of 400 comparisons would be 20 times as many
