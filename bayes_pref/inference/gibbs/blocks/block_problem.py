"""Data and priors with users in fixed blocks, of which none is ever whole in memory twice.

A block holds consecutive users. How many depends on the number of users alone, so that sums are
added in the same order wherever and however many at a time blocks are worked on.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.inference.gibbs.choice_problem import ChoiceProblem, choice_rows
from bayes_pref.inference.gibbs.diagonal_density import density_of
from bayes_pref.inference.gibbs.kernels.centred_batches import BATCH
from bayes_pref.inference.gibbs.kernels.choice_likelihood import ChoiceRows
from bayes_pref.inference.gibbs.partial_density import PartialDensity
from bayes_pref.inference.gibbs.problem import scaled_population
from bayes_pref.inference.gibbs.summaries.weight_units import WeightUnits
from bayes_pref.inference.runtime.checkpoint import digest
from bayes_pref.models.choice.kernel_form import KernelForm
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray, IntArray

_SMALLEST, _LARGEST, _BLOCKS = 2048, 8192, 32  # users in a block, and how many blocks between
_ON_DEVICE = 32_768  # users in a block where every operation is started on another device


def block_starts(n_users: int, device: str | None = None) -> IntArray:
    """Where blocks begin, and the end: whole SIMD batches of users, of a number that n decides."""
    size = int(np.clip(-(-n_users // _BLOCKS), _SMALLEST, _LARGEST))
    if device not in (None, "cpu"):
        size = _ON_DEVICE
    size = -(-size // BATCH) * BATCH
    return np.append(np.arange(0, n_users, size), n_users)


@dataclass(frozen=True)
class BlockPart:
    """One block's data, for every chain.

    Attributes
    ----------
    number
        Place among the blocks.
    problem
        Its users' choices and regressors, and the priors of all.
    shares
        (n_users,) of each of its users in averages over all users.
    kept
        Places in the block of users whose draws are kept whole.
    units
        Of weights.
    """

    number: int
    problem: ChoiceProblem
    shares: FloatArray
    kept: IntArray
    units: WeightUnits

    def density(self) -> PartialDensity:
        """Make a density of theta and zeta, with an expansion of its own."""
        return density_of(self.problem, small=True)


@dataclass(frozen=True)
class BlockProblem(ChoiceProblem):
    """Comparisons and a Gaussian population, with users in blocks.

    A draw of the population holds theta, and then the mean of all users' weights per raw unit; of
    users it holds the weights per raw unit of those who are kept.

    Attributes
    ----------
    rows
        Of the first block.
    parts
        The blocks.
    kept
        Positions of users whose draws are kept whole, in ascending order.
    device
        Torch device that works on the blocks; None: compiled kernels do.
    """

    parts: tuple[BlockPart, ...] = ()
    kept: tuple[int, ...] = ()
    device: str | None = None

    @classmethod
    def read_in_blocks(
        cls,
        spec: PopulationSpec,
        comparisons: Comparisons,
        form: KernelForm,
        kept: IntArray,
        device: str | None = None,
    ) -> BlockProblem:
        """Scale the data, and the priors with them, block by block."""
        stated = scaled_population(spec, comparisons)
        starts = block_starts(comparisons.n_users, device)
        stages = comparisons.outcome.observations(len(comparisons))
        rows = [
            _small(choice_rows(comparisons, comparisons.offsets[first : end + 1], form, stages))
            for first, end in pairwise(starts)
        ]
        signed = np.zeros((2, 0))
        if spec.signs is not None:
            centres = spec.signs.centre + np.log(comparisons.feature_scale)
            signed = np.stack([spec.signs.sign, centres])
        whole = ChoiceProblem(rows=rows[0], form=form, signs=spec.signs, signed=signed, **stated)
        units, parts = WeightUnits.of(whole.feature_scale, whole.signs, comparisons), []
        for number, (first, end) in enumerate(pairwise(starts)):
            own = kept[(kept >= first) & (kept < end)] - first
            shares = np.ascontiguousarray(comparisons.user_shares[first:end])
            problem = _of_users(whole, rows[number], slice(first, end))
            parts.append(BlockPart(number, problem, shares, own, units))
        named = {each.name: getattr(whole, each.name) for each in fields(whole)}
        return cls(**named, parts=tuple(parts), kept=tuple(np.sort(kept).tolist()), device=device)

    @property
    def n_users(self) -> int:
        """Number of users of all blocks."""
        return len(self.population.design)

    @property
    def n_columns(self) -> int:
        """Length of a draw of the population."""
        return super().n_columns + len(self.feature_scale)

    @property
    def weights_shape(self) -> tuple[int, int]:
        """Users whose draws are kept whole, and values of each."""
        return len(self.kept), len(self.feature_scale)

    def identity(self) -> dict[str, Any]:
        """Return what decides the draws, ready for JSON."""
        rows = [np.asarray(array) for part in self.parts for array in part.problem.rows]
        population = self.population
        return {
            "covariance": self.covariance,
            "concentration": population.concentration,
            "choice": repr(self.form),
            "kept users": list(self.kept),
            "shares": digest(*(part.shares for part in self.parts)),
            **({} if self.device is None else {"device": self.device}),
            "data and priors": digest(
                *rows, self.signed, population.design, population.precision, population.spread
            ),
        }

    def raw(self, theta: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Put draws (chain, draw, ...) by site; `weights` are of those kept, on raw units."""
        size = super().n_columns
        nobody = np.zeros((*theta.shape[:2], 0, len(self.feature_scale)))
        found = super().raw(theta[..., :size], nobody)
        return found | {"weights": weights, "average": theta[..., size:]}

    def sample(self, users: IntArray) -> ChoiceProblem:
        """Return the problem of some users alone, in ascending order of their positions."""
        starts = block_starts(self.n_users, self.device)
        found = [(self.parts[at], users[_within(users, starts, at)] - starts[at])
                 for at in range(len(self.parts))]  # fmt: skip
        rows = [_selected(part.problem.rows, own) for part, own in found if len(own)]
        whole = ChoiceProblem(
            **{each.name: getattr(self, each.name) for each in fields(ChoiceProblem)}
        )
        return _of_users(whole, _stacked(rows), users)


def _small(rows: ChoiceRows) -> ChoiceRows:
    """Return rows with smaller integers, which are a third of the memory."""
    few = rows.columns.max(initial=0) < 2**15
    return rows._replace(
        starts=rows.starts.astype(np.int32),
        columns=rows.columns.astype(np.int16 if few else np.int32),
        outcome=rows.outcome.astype(np.int8 if rows.n_outcomes < 128 else np.int32),
        stages=rows.stages.astype(np.int32),
    )


def _within(users: IntArray, starts: IntArray, at: int) -> FloatArray:
    return np.asarray((users >= starts[at]) & (users < starts[at + 1]))


def _of_users(whole: ChoiceProblem, rows: ChoiceRows, users: slice | IntArray) -> ChoiceProblem:
    design = np.ascontiguousarray(whole.population.design[users])
    return replace(whole, rows=rows, population=whole.population._replace(design=design))


def _ranges(starts: IntArray, ends: IntArray) -> IntArray:
    """Return all numbers from each start to its end, one range after another."""
    sizes = ends - starts
    shift = np.repeat(starts - np.append(0, np.cumsum(sizes)[:-1]), sizes)
    return np.asarray(np.arange(sizes.sum()) + shift)


def _selected(rows: ChoiceRows, users: IntArray) -> ChoiceRows:
    """Rows of some users of a block."""
    own = _ranges(rows.offsets[users], rows.offsets[users + 1])
    entries = _ranges(rows.starts[own], rows.starts[own + 1])
    stages = _ranges(rows.stage_offsets[users], rows.stage_offsets[users + 1])
    return rows._replace(
        offsets=_offsets(np.diff(rows.offsets)[users]),
        starts=_offsets(np.diff(rows.starts)[own]),
        columns=rows.columns[entries],
        values=rows.values[entries],
        dense=np.ascontiguousarray(rows.dense[:, own]) if rows.dense.size else rows.dense,
        outcome=rows.outcome[own],
        stages=_offsets(np.diff(rows.stages)[stages]),
        stage_offsets=_offsets(np.diff(rows.stage_offsets)[users]),
        careless=rows.careless[users],
    )


def _stacked(parts: list[ChoiceRows]) -> ChoiceRows:
    """Rows of users of several blocks, one after another; sparse where some of them are."""
    lengths = ("offsets", "starts", "stages", "stage_offsets")
    found: dict[str, Any] = {
        name: _offsets(np.concatenate([np.diff(getattr(part, name)) for part in parts]))
        for name in lengths
    }
    for name in ("columns", "values", "outcome", "careless"):
        found[name] = np.concatenate([getattr(part, name) for part in parts])
    for name in ("columns", "outcome"):  # the types that samplers are compiled for
        found[name] = found[name].astype(np.int64)
    dense = all(part.dense.size for part in parts)
    columns = [part.dense for part in parts]
    found["dense"] = np.concatenate(columns, axis=1) if dense else np.zeros((0, 0))
    return parts[0]._replace(**found)


def _offsets(sizes: IntArray) -> IntArray:
    return np.append(0, np.cumsum(sizes)).astype(np.int64)
