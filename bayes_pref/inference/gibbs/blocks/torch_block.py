"""A block of users, as `UserBlock`, whose arrays are on a torch device, such as a GPU.

Random numbers are torch's, seeded by the chain, the block and the sweep. They differ from those of
the kernels, and from device to device; their distribution is the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from bayes_pref.inference.gibbs.blocks.block_problem import BlockPart
from bayes_pref.inference.gibbs.blocks.torch_density import (
    Expansion,
    PopulationSetting,
    TorchDensity,
)
from bayes_pref.inference.gibbs.blocks.user_block import EXPANSIONS, MOVE, START, Moved
from bayes_pref.inference.gibbs.diagonal_density import diagonal_information
from bayes_pref.inference.gibbs.partial_density import fisher_information
from bayes_pref.inference.gibbs.population_coordinates import UserSums
from bayes_pref.inference.gibbs.summaries.running_moments import RunningMoments
from bayes_pref.inference.gibbs.summaries.weight_units import WeightUnits
from bayes_pref.types import FloatArray, IntArray


@dataclass(frozen=True)
class TorchMeans:
    """`MeanExpansion` on a torch device: means over states of a chain.

    Attributes
    ----------
    count
        Number of states.
    information, slope, weights
        Of users' curvatures, slopes and weights.
    """

    count: int
    information: torch.Tensor
    slope: torch.Tensor
    weights: torch.Tensor

    def with_state(self, *state: torch.Tensor) -> TorchMeans:
        """Return the means over one more state."""
        count, old = self.count + 1, (self.information, self.slope, self.weights)
        means = (mean + (new - mean) / count for mean, new in zip(old, state, strict=True))
        return TorchMeans(count, *means)


class TorchBlock:
    """Users of one block, in one chain, on a torch device.

    Operations are those of `UserBlock`, and take and give NumPy's arrays.

    Parameters
    ----------
    part
        Their data.
    key
        (2,) of the chain's random numbers.
    density
        Of this block; chains may share it.
    """

    def __init__(self, part: BlockPart, key: IntArray, density: TorchDensity) -> None:
        self.part = part
        self.key = key
        self.density = density
        self.expansion = density.nothing()
        nothing = self.expansion.linear
        self.zeta, self.before = nothing, nothing  # now, and before the last move
        self.means: TorchMeans | None = None
        self.count = 0
        self.mean, self.squares = nothing, nothing
        self._units = _TorchUnits(part.units, density)

    def begin(self, theta: FloatArray) -> None:
        """Start at theta; see `UserBlock.begin`."""
        v = nothing = torch.zeros_like(self.zeta)
        for _ in range(EXPANSIONS):
            here = self._at(theta)
            self.expansion, _ = self.density.expanded(here, here.centring.weights(v))
            v = self._at(theta).centring.deviations(nothing)
        self.zeta = self.density.normal(nothing.shape, self._generator(START, 0))
        self.means = TorchMeans(0, torch.zeros_like(self.expansion.information), nothing, nothing)

    def move(self, theta: FloatArray, angle: float, leaps: int, sweep: int, again: bool) -> Moved:
        """Find the density of theta at zeta, then move zeta given theta; see `UserBlock.move`."""
        if again:
            self.zeta = self.before
        self.before = self.zeta
        here, density = self._at(theta), self.density
        start = density.point(here, self.zeta)
        generator = self._generator(MOVE, sweep)
        end, accepted = density.move_users(here, start, angle, leaps, generator)
        self.zeta = end.zeta
        sums = (density.sums(here, point) for point in (start, end))
        return Moved(next(sums), accepted * density.n_users, next(sums))

    def sums_at(self, thetas: FloatArray) -> list[UserSums]:
        """Sums at several thetas (n, m), given zeta."""
        found = []
        for theta in thetas:
            here = self._at(theta)
            found.append(self.density.sums(here, self.density.point(here, self.zeta)))
        return found

    def information(self, theta: FloatArray) -> FloatArray:
        """(m, m) Fisher information of the expansions, weights integrated out."""
        density = self.density
        found = diagonal_information if density.diagonal else fisher_information
        of_users = (_array(self.expansion.information), _array(density.design))
        return found(density.coordinates, theta, *of_users)

    def look(self, theta: FloatArray) -> None:
        """Take the expansion at the present state into its mean."""
        assert self.means is not None  # or the last renewal was before
        here = self._at(theta)
        weights = here.centring.weights(here.centring.deviations(self.zeta))
        expansion, slope = self.density.expanded(here, weights)
        self.means = self.means.with_state(expansion.information, slope, weights)

    def renew(self, theta: FloatArray, last: bool) -> None:
        """Expand by the mean over states; see `UserBlock.renew`."""
        means = self.means
        assert means is not None  # or the last one was before
        if means.count:
            v = self._at(theta).centring.deviations(self.zeta)
            linear = means.slope + self.density.times(means.information, means.weights)
            self.expansion = Expansion(means.information, linear)
            self.zeta = self._at(theta).centring.standardised(v)
        if last:
            self.means = None

    def keep(self, theta: FloatArray, first: bool) -> tuple[FloatArray, FloatArray]:
        """Take users' weights into their summary; see `UserBlock.keep`."""
        weights = self._weights(theta)
        if first:
            self.count, self.mean = 0, torch.zeros_like(weights)
            self.squares = self.mean
        self.count += 1
        away = weights - self.mean
        self.mean = self.mean + away / self.count
        self.squares = self.squares + away * (weights - self.mean)
        shares = self.density.tensor(self.part.shares)
        kept = torch.tensor(self.part.kept, device=self.density.device)
        return _array(shares @ weights), _array(weights[kept])

    def weights(self, theta: FloatArray) -> FloatArray:
        """(n_users, d) weights per raw unit."""
        return _array(self._weights(theta))

    def count_as(self, count: int) -> None:
        """Have the draws so far count as so many."""
        self.squares = self.squares * (count / max(self.count, 1))
        self.count = count

    def summary(self) -> RunningMoments:
        """Return the moments of the draws that were taken in."""
        count = np.full(1, float(self.count))
        return RunningMoments(count, _array(self.mean), _array(self.squares))

    def state(self) -> dict[str, Any]:
        """Return all that later operations depend on."""
        found: dict[str, Any] = {
            "zeta": _array(self.zeta),
            "information": _array(self.expansion.information),
            "linear": _array(self.expansion.linear),
            "count": np.array(self.count),
            "mean": _array(self.mean),
            "squares": _array(self.squares),
        }
        if self.means is not None:
            found |= {
                "mean_information": _array(self.means.information),
                "mean_slope": _array(self.means.slope),
                "mean_weights": _array(self.means.weights),
                "mean_count": np.array(self.means.count),
            }
        return found

    def load(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""
        tensor = self.density.tensor
        self.zeta = tensor(state["zeta"])
        self.expansion = Expansion(tensor(state["information"]), tensor(state["linear"]))
        self.count = int(state["count"])
        self.mean, self.squares = tensor(state["mean"]), tensor(state["squares"])
        self.means = None
        if "mean_count" in state:
            names = ("mean_information", "mean_slope", "mean_weights")
            means = (tensor(state[name]) for name in names)
            self.means = TorchMeans(int(state["mean_count"]), *means)

    def _at(self, theta: FloatArray) -> PopulationSetting:
        return self.density.at(theta, self.expansion)

    def _weights(self, theta: FloatArray) -> torch.Tensor:
        here = self._at(theta)
        v = here.centring.deviations(self.zeta)
        return self._units.raw(here.centring.weights(v))

    def _generator(self, stream: int, sweep: int) -> torch.Generator:
        # On a CPU torch reads 32 bits of a seed: that a block then meets the same numbers twice has
        # a probability of 1 % in 10,000 sweeps, and no consequence.
        entropy = [*self.key.tolist(), stream, self.part.number, sweep]
        seed = np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0]
        return torch.Generator(self.density.device).manual_seed(int(seed))


class _TorchUnits:
    """`WeightUnits` on a torch device."""

    def __init__(self, units: WeightUnits, density: TorchDensity) -> None:
        self.scale = density.tensor(units.scale)
        self.level = None if units.level is None else density.tensor(units.level)
        self.sign, self.centre = None, None
        if units.signs is not None:
            self.sign = density.tensor(units.signs.sign)
            self.centre = density.tensor(units.signs.centre)

    def raw(self, values: torch.Tensor) -> torch.Tensor:
        """(n_users, d) weights per raw unit, of values on scaled features."""
        found = values / self.scale
        if self.sign is not None and self.centre is not None:
            gaussian = found + self.centre
            found = torch.where(self.sign != 0.0, self.sign * gaussian.exp(), gaussian)
        return found if self.level is None else found @ self.level


def _array(tensor: torch.Tensor) -> FloatArray:
    return np.asarray(tensor.cpu().numpy())
