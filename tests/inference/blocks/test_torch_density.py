"""Densities, slopes and expansions of blocks on a torch device are those of the kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from density_cases import MODELS, case_problem
from scipy import sparse
from torch_cases import CPU, EXACT, by_user, close, curvatures

import bayes_pref as bp
from bayes_pref.inference.gibbs.blocks.sparse_sums import SparseSums
from bayes_pref.inference.gibbs.blocks.torch_density import Expansion, TorchDensity
from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem
from bayes_pref.inference.gibbs.diagonal_density import DiagonalDensity
from bayes_pref.inference.gibbs.partial_density import PartialDensity
from bayes_pref.types import FloatArray

# Beyond 20 sds the kernels' series of the normal distribution is exact to 4e-9, and its curvature
# r (r + x), whose terms cancel but for 1 / x^2, to 400 times that.
SERIES = 2e-6


NAMES = [*MODELS, "uneven"]


def uneven_problem(covariance: str) -> ChoiceProblem:
    """Users of 2 to 30 choices, who differ in few of 9 features, and have covariates."""
    rng = np.random.default_rng(5)
    who = np.repeat(np.arange(20), rng.integers(2, 31, 20))
    names = [f"f{k}" for k in range(9)]
    values = rng.normal(size=(who.size, 9)) * (rng.random((who.size, 9)) < 0.15)
    frame = pd.DataFrame(values, columns=names).assign(who=who, choice=rng.integers(0, 2, who.size))
    about = pd.DataFrame({"who": np.arange(20), "age": rng.normal(size=20)})
    data = bp.Comparisons.from_frame(
        frame, user="who", choice="choice", difference=names, covariates=about
    )
    model = bp.HierarchicalReward(covariance=covariance)
    form = model.choice_model(data).kernel_form(data.outcome)
    assert form is not None
    return ChoiceProblem.read(model.spec(data), data, form)


def problem_of(name: str, covariance: str) -> ChoiceProblem:
    return uneven_problem(covariance) if name == "uneven" else case_problem(name, covariance)[0]


def expanded(
    problem: ChoiceProblem, stretch: float, *, apart: bool = False
) -> tuple[PartialDensity, TorchDensity, FloatArray, FloatArray]:
    """Both densities, theta, and the weights at which the kernels' likelihoods are expanded."""
    rng = np.random.default_rng(3)
    made = (DiagonalDensity if apart else PartialDensity)(problem)
    theta = made.start(rng)
    theta[made.places[1]] *= rng.choice([-1.0, 1.0], made.d)
    weights = stretch * rng.standard_normal((made.n_users, made.d))
    made.expand(theta, weights)
    return made, TorchDensity(problem, CPU, diagonal=apart), theta, weights


# Weights of one sign are exponentials: of 30 sds they are no numbers.
@pytest.mark.parametrize(
    ("name", "stretch"),
    [(name, 0.5) for name in NAMES] + [(name, 30.0) for name in NAMES if "negative" not in name],
)
@pytest.mark.parametrize("covariance", ["diagonal", "full", "diagonal, apart"])
def test_density_slopes_and_expansions_are_those_of_the_kernels(
    name: str, covariance: str, stretch: float
) -> None:
    problem = problem_of(name, covariance.removesuffix(", apart"))
    made, other, theta, weights = expanded(problem, stretch, apart="apart" in covariance)
    setting = other.at(theta, other.nothing())
    expansion, slope = other.expanded(setting, torch.tensor(weights))
    error = SERIES if stretch > 1.0 and name == "probit" else EXACT
    close(expansion.information, curvatures(made), error)
    whole = torch.tensor(curvatures(made))
    close(slope + other.times(whole, torch.tensor(weights)), by_user(made, made.linear), error)
    moved = other.times(expansion.information, torch.tensor(weights))
    close(expansion.linear, (slope + moved).numpy())

    made.expand(theta, 0.5 * np.sign(weights))  # where both are well-conditioned
    expansion = Expansion(torch.tensor(curvatures(made)), torch.tensor(by_user(made, made.linear)))
    zeta = stretch * np.random.default_rng(1).standard_normal(made.linear.shape)
    zeta *= made.by_batch(np.ones(made.n_users))[:, None]  # without those who fill up a batch
    v, here = np.empty_like(zeta), made.at(theta)
    expected = made.sums(here, zeta, v)
    setting = other.at(theta, expansion)
    point = other.point(setting, torch.tensor(by_user(made, zeta)))
    found = other.sums(setting, point)
    close(point.v, by_user(made, v))
    close(setting.centring.standardised(point.v), by_user(made, zeta))
    close(found.total, np.array(expected.total))
    close(found.means, expected.means, error)
    value, gradient = made.with_prior(here, expected)
    again, other_gradient = made.with_prior(here, found)
    close(again, np.array(value))
    close(other_gradient, gradient, error)


def test_without_lower_triangles_the_full_formulas_are_those_of_a_diagonal() -> None:
    problem = problem_of("stages, lapse", "diagonal")
    made, apart, theta, weights = expanded(problem, 0.5, apart=True)
    whole = TorchDensity(problem, CPU, diagonal=False)
    expansion, _ = apart.expanded(apart.at(theta, apart.nothing()), torch.tensor(weights))
    full = Expansion(torch.diag_embed(expansion.information), expansion.linear)
    zeta = torch.tensor(by_user(made, np.random.default_rng(2).normal(size=made.linear.shape)))
    sums = []
    for density, own in ((apart, expansion), (whole, full)):
        setting = density.at(theta, own)
        sums.append(density.sums(setting, density.point(setting, zeta)))
    close(sums[1].total, np.array(sums[0].total))
    close(sums[1].means, sums[0].means)
    close(sums[1].lower.diagonal(), sums[0].lower.diagonal())


def test_a_user_who_lost_a_number_is_refused_alone() -> None:
    problem = problem_of("uneven", "full")
    _, other, theta, weights = expanded(problem, 0.5)
    expansion, _ = other.expanded(other.at(theta, other.nothing()), torch.tensor(weights))
    setting = other.at(theta, expansion)
    zeta = torch.tensor(weights)
    lost = zeta.clone()
    lost[3] = np.inf
    moves = []
    for start in (zeta, lost):
        generator = torch.Generator().manual_seed(1)
        moves.append(other.move_users(setting, other.point(setting, start), 0.7, 2, generator)[0])
    rest = torch.arange(len(zeta)) != 3
    assert torch.equal(moves[0].zeta[rest], moves[1].zeta[rest])
    assert not torch.equal(moves[0].zeta[rest], zeta[rest])
    assert torch.equal(moves[1].zeta[3], lost[3])


def test_trajectories_come_back_when_momentum_is_turned_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # What detailed balance rests on; angles and momenta are the same in both directions.
    problem = problem_of("uneven", "diagonal")
    _, other, theta, weights = expanded(problem, 0.5)
    expansion, _ = other.expanded(other.at(theta, other.nothing()), torch.tensor(weights))
    setting = other.at(theta, expansion)
    zeta, momenta = torch.tensor(weights), []

    def last(*_: object) -> torch.Tensor:
        return momenta[-1] if momenta else torch.ones_like(zeta)

    def energy(_: object, momentum: torch.Tensor) -> torch.Tensor:
        momenta.append(-momentum)
        return torch.zeros(len(zeta), dtype=torch.float64)  # all is accepted

    monkeypatch.setattr(other, "normal", last)
    monkeypatch.setattr("bayes_pref.inference.gibbs.blocks.torch_density._energy", energy)
    ends = [other.point(setting, zeta)]
    for _ in range(2):
        generator = torch.Generator().manual_seed(1)
        ends.append(other.move_users(setting, ends[-1], 0.7, 3, generator)[0])
    assert float((ends[1].zeta - zeta).abs().max()) > 0.1
    np.testing.assert_allclose(ends[2].zeta.numpy(), zeta.numpy(), atol=1e-12)


def test_sparse_sums_are_products_with_the_matrix() -> None:
    rng = np.random.default_rng(0)
    lengths = np.array([0, 1, 2, 3, 4, 5, 8, 9, 16, 17, 0, 40])
    dense = np.zeros((len(lengths), 50))
    for row, length in enumerate(lengths):
        dense[row, rng.choice(50, length, replace=False)] = rng.standard_normal(length)
    made = SparseSums(sparse.csr_matrix(dense), CPU)
    vector = rng.standard_normal(50)
    found = made.times(torch.tensor(vector))
    np.testing.assert_allclose(found.numpy(), dense @ vector, rtol=1e-12, atol=1e-12)
    squared = made.times(torch.tensor(vector), squared=True)
    np.testing.assert_allclose(squared.numpy(), dense**2 @ vector, rtol=1e-12, atol=1e-12)
    largest = [vector[row != 0].max() if row.any() else 0.0 for row in dense]
    assert made.largest(torch.tensor(vector)).tolist() == largest
    ranges = SparseSums.of_ranges(np.array([0, 3, 3, 10]), CPU)
    summed = [vector[:3].sum(), 0.0, vector[3:10].sum()]
    np.testing.assert_allclose(ranges.times(torch.tensor(vector[:10])).numpy(), summed)
    # What is no number stays in the sums that it belongs to.
    vector[0] = np.nan
    assert made.times(torch.tensor(vector)).isnan().tolist() == (dense[:, 0] != 0).tolist()


def test_sparse_and_dense_rows_are_the_same_rows() -> None:
    problem = problem_of("position", "full")
    assert problem.rows.dense.size
    sparse_rows = replace(problem, rows=problem.rows._replace(dense=np.zeros((0, 0))))
    found = []
    for each in (problem, sparse_rows):
        _, other, theta, _ = expanded(each, 0.5)
        setting = other.at(theta, other.nothing())
        found.append(
            other.sums(setting, other.point(setting, torch.zeros_like(other.nothing().linear)))
        )
    assert found[0].total == found[1].total
