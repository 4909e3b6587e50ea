"""A run until converged: long enough, no longer than its time, the same whatever the cores."""

from __future__ import annotations

import signal
import warnings

import numpy as np
import pytest
from cases import small_comparisons

import bayes_pref as bp
from bayes_pref.convergence.checks import ESS, Worst
from bayes_pref.inference import fit as fitting
from bayes_pref.inference.gibbs.chain import Chain
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.lengthening import SPARE, LengtheningRun

TWICE = Worst(1.0, SPARE * ESS / 2, passes=False)  # what such a run lacks is as much again
FEW = {"draws": 400, "warmup": 20, "chains": 2, "progress": False}


def until(**settings: object) -> bp.Gibbs:
    return bp.Gibbs(**{**FEW, "until": "converged", **settings})


class Counting(Chain):
    """A chain whose draws are the numbers of its sweeps."""

    def arrays(self) -> dict:
        return {}

    def advance(self) -> int:
        if self.keeps:
            for array in self.store:
                array[self.kept] = self.done + 1
        self.done += 1
        return 1


def counted(draws: int) -> Chain:
    store = Store(np.zeros((draws, 1)), np.zeros((draws, 1, 1)), np.zeros((draws, 2)))
    return Counting(10, 2, np.random.default_rng(0), store)


def test_draws_are_evenly_spaced_after_a_run_was_lengthened_and_after_a_restart() -> None:
    engine = bp.Gibbs(draws=20, warmup=10, thin=2, chains=1, progress=False)
    run = LengtheningRun(engine, lambda _: counted(20), None, max_minutes=1.0)
    assert run.advance() == ([20], True)
    assert run.lengthen(TWICE)
    assert run.advance() == ([20], True)
    chain = run.chains[0]
    first = chain.store.theta[:, 0]
    assert np.array_equal(first, 10 + chain.thin * np.arange(1, 21))
    assert chain.thin == 4
    assert chain.warmup == 10
    end = chain.done
    assert run.lengthen(Worst(1.2, 399.0, passes=False))
    assert run.kept == [20]  # until new ones replace them
    assert run.advance() == ([20], True)
    assert np.array_equal(chain.store.theta[:, 0], end + 8 * np.arange(1, 21))
    assert not run.lengthen(Worst(1.01, 400.0, passes=True))


@pytest.mark.parametrize(("room", "thin", "draws"), [(20, 4, 13), (40, 2, 25)])
def test_a_run_that_lacks_little_is_made_a_little_longer(room: int, thin: int, draws: int) -> None:
    """The draws that there are stay where the store has room for more, or are thinned."""

    def make(_: int) -> Chain:
        chain = counted(room)
        chain.draws = 20
        return chain

    engine = bp.Gibbs(draws=20, warmup=10, thin=2, chains=1, progress=False)
    run = LengtheningRun(engine, make, None, max_minutes=1.0)
    assert run.advance() == ([20], True)
    assert run.lengthen(Worst(1.0, 399.0, passes=False))  # a quarter longer
    assert run.advance() == ([draws], True)
    chain = run.chains[0]
    assert chain.thin == thin
    assert np.array_equal(chain.store.theta[:draws, 0], 10 + thin * np.arange(1, draws + 1))


def test_a_run_is_not_made_longer_than_its_time() -> None:
    engine = bp.Gibbs(draws=20, warmup=10, thin=2, chains=1, progress=False)
    run = LengtheningRun(engine, lambda _: counted(20), None, max_minutes=1e-9)
    run.advance()
    assert not run.lengthen(Worst(1.2, 10.0, passes=False))
    assert run.advance() == ([20], True)


@pytest.mark.slow
def test_a_run_that_would_warn_converges_and_does_not_depend_on_the_cores() -> None:
    comparisons, model = small_comparisons(), bp.HierarchicalReward()
    short = FEW | {"warmup": 1}
    with pytest.warns(bp.ConvergenceWarning):
        bp.fit(model, comparisons, bp.Gibbs(**short))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one, two = (bp.fit(model, comparisons, until(warmup=1, cores=cores)) for cores in (1, 2))
    assert one.findings == ()
    assert one.draws.identical(two.draws)
    assert one.draws.sizes["draw"] == one.run.settings["draws"] <= FEW["draws"]


MODELS = {
    "diagonal": bp.HierarchicalReward(),
    "full": bp.HierarchicalReward(covariance="full"),
    "one sign": bp.HierarchicalReward(constraints={"polite": "negative"}),
    "position": bp.HierarchicalReward(position=True),
    "low rank": bp.LowRankReward(rank=1),
    "mixture": bp.MixtureReward(components=2),
}


@pytest.mark.parametrize("name", MODELS)
def test_draws_of_a_run_that_was_lengthened_are_those_of_a_long_run(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    comparisons = small_comparisons()
    assert (abs(np.log(comparisons.feature_scale)) > 0.1).any()  # or units would be no matter
    judged = []

    def judge(draws: object) -> Worst:
        judged.append(draws)
        return TWICE._replace(passes=len(judged) > 2)

    monkeypatch.setattr(fitting.convergence, "worst", judge)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        found = bp.fit(MODELS[name], comparisons, until())
        long = bp.fit(MODELS[name], comparisons, bp.Gibbs(**FEW, thin=4))
    assert len(judged) == 3
    assert found.run.settings["thin"] == long.run.settings["thin"] == 4
    for site, drawn in long.draws.items():
        assert np.array_equal(found.draws[site], drawn), site


@pytest.mark.parametrize("rhat", [1.0, 1.2], ids=["agreeing", "apart"])
def test_ctrl_c_while_the_draws_are_judged_keeps_them(
    rhat: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judge(_: object) -> Worst:
        signal.raise_signal(signal.SIGINT)
        return Worst(rhat, 200.0, passes=False)

    monkeypatch.setattr(fitting.convergence, "worst", judge)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        posterior = bp.fit(bp.HierarchicalReward(), small_comparisons(), until())
    assert "incomplete" in {finding.statistic for finding in posterior.findings}
    assert not posterior.run.complete
    kept = FEW["draws"] // (1 if rhat > 1.05 else 3)  # 2.2 times as long: every third stays
    assert posterior.draws.sizes["draw"] == kept


def test_what_had_too_little_time_says_how_to_give_it_more() -> None:
    with pytest.warns(bp.ConvergenceWarning, match="more time, for example Gibbs.until='conv") as w:
        bp.fit(bp.HierarchicalReward(), small_comparisons(), until(max_minutes=1e-6, warmup=1))
    assert "max_minutes=" in str(w[0].message)


def test_too_few_draws_for_convergence_are_refused() -> None:
    with pytest.raises(bp.ModelError, match="keeps 200 draws but expected 800 at least"):
        until(draws=100)
    with pytest.raises(bp.ModelError, match=r"Gibbs\(until='convergd'\)"):
        until(until="convergd")
    assert "until" not in bp.Gibbs().settings()
