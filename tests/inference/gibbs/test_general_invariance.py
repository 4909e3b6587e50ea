"""The general sampler's sweeps leave the joint distribution of parameters and data as it is.

As in `test_gibbs_invariance`, for every family of choice models: parameters from the prior, data
from the parameters, and after sweeps given those data parameters that still have the prior's law.
Where users may answer at random, who does is such a parameter.
"""

from __future__ import annotations

import numpy as np
import pytest
from choice_cases import outcome_probabilities
from scipy.stats import beta, betabinom, halfnorm, kstest, norm
from stage_cases import chosen_first

from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.kernels.choice_likelihood import ChoiceRows
from bayes_pref.inference.gibbs.kernels.population_density import PopulationPrior
from bayes_pref.inference.gibbs.kernels.store import Store
from bayes_pref.inference.gibbs.partial_density import PartialDensity
from bayes_pref.inference.gibbs.samplers.general_sampler import GeneralChain
from bayes_pref.models.choice.kernel_form import CELLS, PLAIN, STAGES, TIES, KernelForm

pytestmark = pytest.mark.slow

USERS, EACH, FEATURES, SIZE = 7, 4, 2, 3
MEAN_SD, EFFECT_SD, SPREAD, CONCENTRATION = 1.5, 0.7, np.array([1.0, 0.5]), 1.6
SWEEPS = 12
LEVEL = 1e-4  # of each test
SHAPE = (1.5, 2.5)  # of the Beta prior of the share of users who answer at random

FORMS = {
    "stages": KernelForm(family=STAGES, n_outcomes=2),
    "stages, lapse": KernelForm(family=STAGES, n_outcomes=2, lapse=(1.0, 2.0)),
    "ties": KernelForm(family=TIES, n_outcomes=3, tie=(-1.0, 1.5), lapse=(1.0, 19.0), position=1.0),
    "probit": KernelForm(family=CELLS, n_outcomes=2, probit=True, lapse=(1.0, 19.0), position=1.0),
    "graded": KernelForm(family=CELLS, n_outcomes=4, cutpoints=True),
    "pairs": PLAIN,
}


def drawn(form: KernelForm, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw phi from the prior of the choice model; returns it and a known uniform of each entry."""
    phi, uniform = np.zeros(form.size), rng.random(form.size)
    for at, name in enumerate(form.names):
        if name == "lapse":
            rate = beta(*form.lapse).ppf(uniform[at])
            phi[at] = np.log(rate / (1 - rate))
        elif name == "tie":
            phi[at] = norm(*form.tie).ppf(uniform[at])
        elif name == "position":
            phi[at] = norm(0, form.position).ppf(uniform[at])
        else:
            below = rng.dirichlet(np.ones(form.n_outcomes)).cumsum()[:-1]
            cuts = norm.ppf(below) if form.probit else np.log(below / (1 - below))
            phi[at:] = np.append(cuts[0], np.log(np.diff(cuts)))
    return phi, uniform


def replicate(
    name: str,
    full: bool,
    spread: np.ndarray,
    seed: int,
    shape: tuple[float, float] | None = None,
) -> dict[str, float]:
    """One replication: quantiles in the prior of the parameters after the sweeps.

    With the `shape` that the sampler takes for that of `SHAPE`, users may answer at random.
    """
    form, rng = FORMS[name.removesuffix(", careless")], np.random.default_rng(seed)
    design = np.column_stack([np.ones(USERS), rng.standard_normal(USERS)])
    gamma = rng.standard_normal((2, FEATURES)) * [[MEAN_SD], [EFFECT_SD]]
    tau = np.abs(rng.standard_normal(FEATURES)) * SPREAD
    half = beta(CONCENTRATION, CONCENTRATION).rvs(random_state=rng) if full else 0.5
    correlation = 2 * half - 1
    v = rng.standard_normal((USERS, FEATURES))
    root = np.array([[1.0, 0.0], [correlation, np.sqrt(1 - correlation**2)]])
    weights = design @ gamma + v @ (tau[:, None] * root).T
    phi, _ = drawn(form, rng)
    share = beta(*SHAPE).rvs(random_state=rng) if shape else 0.0
    careless = (rng.random(USERS) < share).astype(float)
    user, per = np.repeat(np.arange(USERS), EACH), SIZE - 1 if form.family == STAGES else 1
    if form.family == STAGES:
        features = rng.standard_normal((USERS * EACH, SIZE, FEATURES))
        heeded = rng.random((USERS * EACH, 1)) >= form.draws(phi).get("lapse", 0.0)
        heeded *= careless[user, None] == 0.0
        difference = chosen_first(features, heeded * weights[user], rng)
        outcome = np.ones(len(difference), dtype=np.int64)
    else:
        difference = rng.standard_normal((USERS * EACH, FEATURES))
        eta = (difference * weights[user]).sum(axis=1)
        chance = outcome_probabilities(eta, "probit" if form.probit else "logit", form.draws(phi))
        chance = np.where(careless[user] > 0.0, 1.0 / len(chance), chance)
        outcome = (rng.random(eta.size) > chance.cumsum(axis=0)[:-1]).sum(axis=0)
    count = len(difference)
    rows = ChoiceRows(
        offsets=np.arange(USERS + 1) * EACH * per,
        starts=np.arange(count + 1) * FEATURES,
        columns=np.tile(np.arange(FEATURES), count),
        values=difference.ravel(),
        dense=np.ascontiguousarray(difference.T),
        outcome=outcome.astype(np.int64),
        stages=np.arange(0, count + 1, per),
        stage_offsets=np.arange(USERS + 1) * EACH,
        careless=np.zeros(USERS),
        family=form.family,
        n_outcomes=form.n_outcomes,
        probit=form.probit,
    )
    sds = np.vstack([np.full(FEATURES, MEAN_SD), np.full(FEATURES, EFFECT_SD)])
    problem = ChoiceProblem(
        rows=rows,
        population=PopulationPrior(design, 1 / sds**2, spread, CONCENTRATION, full),
        covariance="full" if full else "diagonal",
        feature_scale=np.ones(FEATURES),
        regressors=(("B", np.ones(1)),),
        form=form,
        careless=shape,
    )
    size = problem.n_columns
    store = Store(np.empty((1, size)), np.empty((1, *problem.weights_shape)), np.empty((1, 2)))
    chain = GeneralChain(problem, 0, SWEEPS, rng, store)
    # An expansion and a metric that do not depend on the parameters that the data came from.
    neutral = chain.density.start(np.random.default_rng(0))
    chain.density.expand(neutral, np.zeros((USERS, FEATURES)))
    # A metric that ties every parameter to the others: signs of tau must not matter to it.
    chain.whiten[...] = 0.4 * np.eye(len(chain.whiten)) + 0.08
    chain.theta[...] = np.concatenate([gamma.ravel(), tau, [np.arctanh(correlation)] * full, phi])
    chain.v[0, :, :USERS] = v.T
    if chain.careless is not None:
        chain.careless.indicators[:], chain.careless.share[0] = careless, share
        chain.careless.apply(chain.density)
    chain.zeta[...] = chain.density.standardised(chain.theta, chain.v)
    for _ in range(SWEEPS):
        chain.advance()
    theta, here = chain.theta, chain.density.at(chain.theta)
    found = {f"mu {k}": norm(0, MEAN_SD).cdf(here.gamma[0, k]) for k in range(FEATURES)}
    found |= {f"B {k}": norm(0, EFFECT_SD).cdf(here.gamma[1, k]) for k in range(FEATURES)}
    found |= {f"tau {k}": halfnorm(0, SPREAD[k]).cdf(abs(here.tau[k])) for k in range(FEATURES)}
    found |= {f"v {k}": norm.cdf(chain.v[0, k, 0]) for k in range(FEATURES)}
    if chain.careless is not None:
        found["careless_share"] = beta(*SHAPE).cdf(chain.careless.share[0])
        law = betabinom(USERS, *SHAPE)  # of their number, of which it is a random quantile
        count = chain.careless.indicators.sum()
        found["careless"] = law.cdf(count - 1) + rng.random() * law.pmf(count)
        # Of somebody who is random or is not, weights have the population's distribution.
        found["v of the last"] = norm.cdf(chain.v[0, 0, USERS - 1])
    if full:
        found["correlation"] = beta(CONCENTRATION, CONCENTRATION).cdf((1 + np.tanh(here.y[0])) / 2)
    end = form.draws(theta[-form.size :]) if form.size else {}
    if "tie" in end:
        found["tie"] = norm(*form.tie).cdf(end["tie"])
    if "position" in end:
        found["position"] = norm(0, form.position).cdf(end["position"])
    if "lapse" in end:
        found["lapse"] = beta(*form.lapse).cdf(end["lapse"])
    if "cutpoints" in end:  # the first of four shares of a uniform Dirichlet is Beta(1, 3)
        first = end["cutpoints"][0]
        share = norm.cdf(first) if form.probit else 1 / (1 + np.exp(-first))
        found["first share"] = beta(1, form.n_outcomes - 1).cdf(share)
    return {key: float(value) for key, value in found.items()}


def p_values(
    name: str,
    full: bool,
    replications: int,
    spread: np.ndarray = SPREAD,
    shape: tuple[float, float] = SHAPE,
) -> dict[str, float]:
    taken = shape if "careless" in name else None
    made = [replicate(name, full, spread, seed, taken) for seed in range(replications)]
    return {key: kstest([each[key] for each in made], "uniform").pvalue for key in made[0]}


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("stages", True),
        ("ties", False),
        ("stages, lapse", False),
        ("pairs, careless", False),
        pytest.param("pairs, careless", True, marks=pytest.mark.long),
        pytest.param("ties, careless", True, marks=pytest.mark.long),
        pytest.param("stages, careless", True, marks=pytest.mark.long),
        pytest.param("stages, lapse, careless", False, marks=pytest.mark.long),
        pytest.param("graded, careless", False, marks=pytest.mark.long),
        pytest.param("stages, lapse", True, marks=pytest.mark.long),
        pytest.param("stages", False, marks=pytest.mark.long),
        pytest.param("ties", True, marks=pytest.mark.long),
        pytest.param("probit", False, marks=pytest.mark.long),
        pytest.param("probit", True, marks=pytest.mark.long),
        pytest.param("graded", False, marks=pytest.mark.long),
        pytest.param("graded", True, marks=pytest.mark.long),
    ],
)
def test_sweeps_leave_the_prior_as_it_is(
    name: str, full: bool, request: pytest.FixtureRequest
) -> None:
    many = "long" in {mark.name for mark in request.node.iter_markers()}
    found = p_values(name, full, 3000 if many else 400)
    assert min(found.values()) > LEVEL / len(found), found


@pytest.mark.parametrize("name", ["stages", pytest.param("graded", marks=pytest.mark.long)])
def test_sweeps_with_another_prior_are_caught(name: str) -> None:
    found = p_values(name, True, 400, spread=2.0 * SPREAD)
    assert min(found.values()) < LEVEL / len(found), found


def test_another_prior_of_the_share_at_random_is_caught() -> None:
    found = p_values("pairs, careless", False, 400, shape=(3.0, 1.5))
    assert min(found.values()) < LEVEL / len(found), found


def test_who_answers_at_random_drawn_without_the_jacobian_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = PartialDensity.deviations

    def wrong(self: PartialDensity, *at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        v, log_volume = right(self, *at)
        return v, 0.0 * log_volume

    monkeypatch.setattr(PartialDensity, "deviations", wrong)
    found = p_values("pairs, careless", False, 400)
    assert min(found.values()) < LEVEL / len(found), found
