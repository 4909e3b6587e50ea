"""Numbers of any size: a posterior or one sentence, in time, and never a kernel that hangs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sweep

import bayes_pref as bp
from bayes_pref.inference.gibbs.finite import advance
from bayes_pref.inference.gibbs.kernels.polya_gamma import draw_polya_gamma, right_table
from bayes_pref.inference.gibbs.kernels.scale_updates import positive_normal
from bayes_pref.inference.gibbs.kernels.slice import slice_move

pytestmark = pytest.mark.slow

CODE = """
import itertools, json, random, sys, warnings
import numpy as np
import bayes_pref as bp

warnings.simplefilter("ignore")
count = int(sys.argv[1])
sizes = [1e155, 1e-200, 1e20, 1e-160, 1e90, 1e-90, 1e300, 1e-12, 1e12]
models = [
    bp.HierarchicalReward, bp.PooledReward,
    lambda **k: bp.HierarchicalReward(covariance="full", **k),
    lambda **k: bp.LowRankReward(rank=1, **k), lambda **k: bp.MixtureReward(components=2, **k),
    bp.SharedCauseReward, lambda **k: bp.HierarchicalReward(exposure=True, **k),
]
ways = ["covariate", "context", "feature", "cell, raw", "cell", "mean_sd", "everything, raw"]
cases = list(itertools.product(ways, sizes, range(len(models))))
random.Random(0).shuffle(cases)
f = bp.simulate(users=8, comparisons=8, features=["a", "b"], contexts=1, covariates=1, seed=0)
table, people = f.frame, f.comparisons
names = [n for n in table.columns if n not in ("user", "choice")]
context = [n for n in names if n in people.features.contexts]
covariate = list(people.covariate_names)
difference = ["a", "b"]
known = table[["user"]].drop_duplicates().assign(age=np.arange(8.0))
for way, size, model in cases[:count]:
    own, keywords, cov = table.copy(), {}, known.copy()
    if way == "covariate":
        cov["age"] *= size
    if way == "context":
        own[context] *= size
    if way == "feature":
        own["a"] *= size
    if way.startswith("cell"):
        own.loc[own.index[3], "a"] = size
    if way == "everything, raw":
        own[difference] *= size
    if way == "mean_sd":
        keywords["mean_sd"] = size
    if way.endswith("raw"):
        keywords["scale"] = "raw"
    said = ""
    try:
        comparisons = bp.Comparisons.from_frame(
            own, user="user", choice="choice", difference=difference, context=context,
            covariates=cov.set_index("user") if model in (0, 2, 3) else None,
        )
        engine = bp.Gibbs(draws=20, warmup=20, chains=1, progress=False)
        draws = bp.fit(models[model](**keywords), comparisons, engine).draws
        held = all(np.isfinite(each.to_numpy()).all() for each in draws.data_vars.values())
    except bp.BayesPrefError as err:
        said = str(err)
        held = "\\n" not in said
    except Exception as err:
        said, held = f"{type(err).__name__}: {err}", False
    print(json.dumps([way, size, model, held, said]), flush=True)
"""


def test_columns_and_priors_of_any_size_give_draws_or_one_sentence() -> None:
    count = sweep.cases(6, 441)
    child = sweep.child(CODE, count, seconds=sweep.cases(120, 580))
    tried = [json.loads(line) for line in child.out.splitlines()]
    failed = [row for row in tried if not row[3]]
    sweep.report("sizes of columns and priors", count, len(tried) - len(failed))
    assert not failed
    assert len(tried) == count, child.err[-3000:]


def test_kernels_return_nan_where_no_proposal_could_be_accepted() -> None:
    rng = np.random.default_rng(0)
    omega = np.zeros(4)
    draw_polya_gamma(np.array([np.nan, np.inf, -np.inf, 1.0]), omega, right_table(), rng)
    assert np.isnan(omega[:3]).all()
    assert np.isfinite(omega[3])
    for mean, sd in [(np.nan, 1.0), (1.0, np.nan), (-1e200, 1.0), (-1.0, 0.0)]:
        assert np.isnan(positive_normal(mean, sd, rng))
    assert np.isnan(slice_move(0.0, lambda _: np.nan, rng))
    assert np.isnan(slice_move(0.0, lambda _: np.inf, rng))
    assert np.isnan(slice_move(0.0, lambda _: -np.inf, rng))
    assert 0.0 <= positive_normal(-1e100, 1.0, rng) < np.inf


def test_a_chain_that_loses_a_number_says_what_to_do() -> None:
    from bayes_pref.inference.gibbs.kernels.store import nowhere
    from bayes_pref.inference.gibbs.samplers.diagonal_sampler import DiagonalSampler

    comparisons = bp.simulate(users=4, comparisons=5, seed=0).comparisons
    model = bp.HierarchicalReward()
    sampler, spec = DiagonalSampler(), model.spec(comparisons)
    problem = sampler.problem(spec, model.choice_model(comparisons), comparisons)
    store = nowhere(problem.n_columns, *problem.weights_shape)
    chain = sampler.chain(problem, 10, 1, np.random.default_rng(0), store)
    chain.arrays()["psi"][0] = np.nan
    with pytest.raises(bp.ModelError, match=r"beyond what a computer can hold.*scale='rms'"):
        advance(chain)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"age": 1e155}, "covariate 'age' is up to 7e\\+155 .* too large"),
        ({"age": 1e-200}, "covariate 'age' is up to 7e-200 .* too small"),
    ],
)
def test_a_size_is_refused_by_the_name_of_its_column(
    change: dict[str, float], message: str
) -> None:
    frame = bp.simulate(users=8, comparisons=8, features=["a"], contexts=0, seed=0).frame
    people = frame[["user"]].drop_duplicates().set_index("user")
    people["age"] = np.arange(8.0) * change["age"]
    comparisons = bp.Comparisons.from_frame(
        frame, user="user", choice="choice", difference=["a"], covariates=people
    )
    with pytest.raises(bp.ModelError, match=message):
        bp.fit(bp.HierarchicalReward(), comparisons)
    with pytest.raises(bp.ModelError, match=r"mean_sd=1e-160\): expected a positive number from"):
        bp.HierarchicalReward(mean_sd=1e-160)
