"""`fit`: which engine it takes, what it refuses, and the warnings that it keeps."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import pytest
from altered_engines import FromFunction
from cases import small_comparisons

import bayes_pref as bp
from bayes_pref.inference import fit as fitting
from bayes_pref.inference.engine import first_prepared


def quiet(engine: bp.Engine, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Posterior:
    """Fit without convergence warnings: these tests judge the draws themselves."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        return bp.fit(model, comparisons, engine, seed=11)


def gibbs(**settings: int) -> bp.Gibbs:
    return bp.Gibbs(**({"draws": 500, "warmup": 300, "chains": 2, "progress": False} | settings))


def test_fit_picks_gibbs_by_default_and_refuses_other_types() -> None:
    comparisons = small_comparisons()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        assert bp.fit(bp.PooledReward(), comparisons).run.engine == "Gibbs"
    with pytest.raises(bp.ModelError, match=r"got the class PooledReward but expected"):
        bp.fit(bp.PooledReward, comparisons)  # type: ignore[arg-type]
    with pytest.raises(bp.ModelError, match=r"comparisons: got DataFrame but expected a Compar"):
        bp.fit(bp.PooledReward(), comparisons.to_frame())  # type: ignore[arg-type]
    with pytest.raises(bp.ModelError, match=r"seed must be a whole number"):
        bp.fit(bp.PooledReward(), comparisons, seed=-1)
    with pytest.raises(bp.ModelError, match=r"Gibbs\(chains=0\): expected a whole number"):
        bp.Gibbs(chains=0)
    with pytest.raises(bp.ModelError, match=r"NUTS\(kernel='stan'\)"):
        bp.NUTS(kernel="stan")  # type: ignore[arg-type]


def test_users_too_many_for_their_draws_are_summarised_and_fit_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    comparisons = small_comparisons()
    size = 8 * 4000 * comparisons.n_users * comparisons.n_features
    for largest, summarised in ((size, False), (size - 1, True)):
        monkeypatch.setattr(fitting, "_LARGE", largest)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = bp.fit(bp.HierarchicalReward(), comparisons)
        said = [str(each.message) for each in caught if each.category is bp.DataWarning]
        assert (found.users is not None) == summarised
        assert ["bp.draw_users(posterior, users)" in each for each in said] == [True] * summarised
    with warnings.catch_warnings():
        warnings.simplefilter("error", bp.DataWarning)
        assert bp.fit(bp.PooledReward(), comparisons).users is None
        engine = bp.Gibbs(draws=20, chains=2, progress=False)
        warnings.simplefilter("ignore", bp.ConvergenceWarning)
        assert "weights" in bp.fit(bp.HierarchicalReward(), comparisons, engine).draws


def test_a_short_run_warns_and_the_posterior_keeps_the_warning() -> None:
    with pytest.warns(bp.ConvergenceWarning) as caught:
        posterior = bp.fit(bp.HierarchicalReward(), small_comparisons(), gibbs(draws=20, warmup=10))
    assert [str(warning.message) for warning in caught] == [
        finding.message for finding in posterior.findings
    ]
    assert "ess_bulk" in {finding.statistic for finding in posterior.findings}


def test_an_error_in_a_run_is_raised() -> None:
    class Broken(bp.Gibbs):
        def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
            return FromFunction(lambda seed: seed // 0)

    with pytest.raises(ZeroDivisionError, match="by zero"):
        bp.fit(bp.PooledReward(), small_comparisons(), Broken())


def test_fit_takes_the_first_engine_that_prepares_and_reads_the_data_once() -> None:
    read = []

    @dataclass(frozen=True, kw_only=True)
    class Counting(bp.Gibbs):
        def prepare(self, model: bp.RewardModel, comparisons: bp.Comparisons) -> bp.Program:
            read.append(comparisons)
            return super().prepare(model, comparisons)

    comparisons = small_comparisons()
    quiet(Counting(draws=20, chains=1, progress=False), bp.PooledReward(), comparisons)
    assert len(read) == 1
    probit = bp.MixtureReward(components=2, link="probit")
    engine, _ = first_prepared((bp.Gibbs(), bp.NUTS()), probit, comparisons)
    assert isinstance(engine, bp.NUTS)


def test_an_engine_that_cannot_run_a_model_says_why() -> None:
    comparisons, model = small_comparisons(), bp.LowRankReward(rank=1, link="probit")
    with pytest.raises(
        bp.Unsupported, match=r"^Gibbs cannot run LowRankReward: .*probit"
    ) as caught:
        bp.fit(model, comparisons, bp.Gibbs())
    assert caught.value.reason == bp.Gibbs().unsupported(model, comparisons)
    assert "Gibbs cannot run" not in caught.value.reason
    engines = (bp.Gibbs(), bp.SVI(batch=2, guide="low_rank"))
    with pytest.raises(bp.Unsupported, match=r"Gibbs, SVI cannot run .* Gibbs: .*; SVI: guide="):
        first_prepared(engines, model, comparisons)
