"""Gibbs sampling: exact, and the fastest engine for users with Gaussian weights.

Given one Polya-Gamma variable per comparison the likelihood of logistic choices is Gaussian
(Polson, Scott & Windle 2013); other choices are sampled by Hamiltonian moves, users apart from the
population. How users differ decides the sampler: `samplers` has one file for each structure of the
population, and the first of `Gibbs.samplers` that accepts a model draws from its posterior.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from bayes_pref import settings
from bayes_pref.convergence.checks import ESS
from bayes_pref.data import Comparisons
from bayes_pref.data.table import find
from bayes_pref.errors import ModelError, Unsupported
from bayes_pref.inference.engine import Program
from bayes_pref.inference.gibbs.blocks.block_device import check_device
from bayes_pref.inference.gibbs.blocks.block_problem import BlockProblem
from bayes_pref.inference.gibbs.blocks.block_program import BlockProgram, check_client
from bayes_pref.inference.gibbs.gibbs_program import GibbsProgram
from bayes_pref.inference.gibbs.samplers.diagonal_sampler import DiagonalSampler
from bayes_pref.inference.gibbs.samplers.factor_sampler import FactorSampler
from bayes_pref.inference.gibbs.samplers.full_sampler import FullSampler
from bayes_pref.inference.gibbs.samplers.general_sampler import GeneralSampler
from bayes_pref.inference.gibbs.samplers.many_features_sampler import ManyFeaturesSampler
from bayes_pref.inference.gibbs.samplers.mixture_sampler import MixtureSampler
from bayes_pref.inference.gibbs.samplers.observational_bias_sampler import ObservationalBiasSampler
from bayes_pref.inference.gibbs.samplers.pooled_sampler import PooledSampler
from bayes_pref.inference.gibbs.samplers.sampler import Sampler, SweepSampler
from bayes_pref.inference.gibbs.samplers.shared_cause_sampler import SharedCauseSampler
from bayes_pref.inference.gibbs.summaries.faster_sampler import blocks_are_faster
from bayes_pref.inference.gibbs.summaries.summary_problem import SummaryProblem
from bayes_pref.inference.gibbs.summaries.summary_program import SummaryProgram
from bayes_pref.inference.mcmc import MCMC
from bayes_pref.inference.runtime.room_for_weights import refuse_weights
from bayes_pref.messages import shown
from bayes_pref.models.base import RewardModel
from bayes_pref.models.choice.choice_model import ChoiceModel
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import IntArray


@dataclass(frozen=True, kw_only=True)
class Gibbs(MCMC):
    """Exact Gibbs sampler of Gaussian users; the default where it applies.

    Works for `PooledReward` and `HierarchicalReward`, diagonal or full, with covariates, weights of
    one sign and every choice model of this package; and where choices are logistic, for a log that
    may be biased, `LowRankReward`, `MixtureReward`, and `SharedCauseReward` of contexts that are
    numbers. Chains run in parallel threads, with overdispersed initial values, and depend on the
    seed alone. Ctrl-C keeps the draws so far.

    Parameters
    ----------
    draws, chains, warmup, cores, thin, progress
        See `MCMC`; an iteration is one sweep over all parameters.
    until
        "converged": draw until R-hat is at most 1.01 and the effective sample size at least 400 for
        every parameter, or the time is up. The run gets longer by about what it lacks, its thinning
        interval grows, and it keeps `draws` draws of each chain at most; a summary of users, of the
        population up to twice as many. None: a run of fixed length.
    max_minutes
        A run until converged is not made longer than this (minutes), but for its first `warmup` and
        `draws`. Where the time is up first, the draws depend on the machine.
    users
        "draws": every draw of every user's weights is kept. "summary": of each user the mean and sd
        of the weights are, and whole draws of `keep_users` alone, so that memory does not grow with
        draws; for a million users and more, of Gaussian models with any choice model. Users whose
        weights moved too slowly are drawn anew at the end, as `draw_users` does.
    keep_users
        Labels of users whose draws are kept whole beside a summary.
    blocks
        Of a summary, whether users are worked on in blocks, by all `cores`, whose number does not
        change the draws. False: by the sampler of ``users="draws"`` for logistic choices, each
        chain on one core. None: by what is likely to be faster for the data.
    client
        A `distributed.Client` of a Dask cluster, whose workers then hold the blocks of users of a
        summary and do the work, with the draws of one machine; one that dies is replaced. None:
        this machine.
    device
        Torch device that works on the blocks of a summary instead of the compiled kernels, such as
        "cuda". Draws have the same distribution, by other random numbers. None: the kernels.
    checkpoint
        Folder in which a long run saves its state; the same call resumes from there after the
        process was killed or interrupted, and gives the same draws bit for bit. Deleted once the
        run is complete. Room for all draws is set aside on the disk before the run begins.

    Attributes
    ----------
    samplers
        In order of preference. A subclass may have more of them.

    Raises
    ------
    ModelError
        If a setting is not a whole number in range; if torch does not have the `device`; or if the
        checkpoint belongs to another run, is in use, is damaged, or has no room for the draws.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> world = bp.simulate(users=20, seed=0)
    >>> engine = bp.Gibbs(progress=False)
    >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, engine)
    >>> posterior.draws.sizes["draw"]
    1000
    """

    samplers: ClassVar[tuple[Sampler[Any], ...]] = (
        ManyFeaturesSampler(),
        PooledSampler(),
        DiagonalSampler(),
        FullSampler(),
        FactorSampler(),
        MixtureSampler(),
        SharedCauseSampler(),
        ObservationalBiasSampler(),
        GeneralSampler(),
    )

    until: Literal["converged"] | None = None
    max_minutes: float = 15.0
    users: Literal["draws", "summary"] = "draws"
    keep_users: Sequence[Hashable] = ()
    blocks: bool | None = None
    client: Any = None
    device: str | None = None
    checkpoint: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        """Validate the settings."""
        super().__post_init__()
        until = settings.optional(settings.one_of("converged"))
        users = settings.one_of("draws", "summary")
        settings.check(self, until=until, max_minutes=settings.positive, users=users)
        if isinstance(self.keep_users, str) or (len(self.keep_users) and self.users == "draws"):
            raise ModelError(
                f"keep_users={shown(self.keep_users)}: expected a list of labels, beside "
                "users='summary'; otherwise all users' draws are kept"
            )
        if self.blocks is not None:
            self._check_blocks()
        if self.client is not None:
            check_client(self.client, self.users)
        if self.device is not None:
            check_device(self.device, self.users, self.client)
        kept, least = self.chains * self.draws, int(2 * ESS)
        if self.until and kept < least:
            raise ModelError(
                f"Gibbs(until='converged', draws={self.draws}, chains={self.chains}): keeps "
                f"{kept} draws but expected {least} at least, for an effective sample size of "
                f"{ESS:g}"
            )

    def _check_blocks(self) -> None:
        """Refuse blocks where nothing works on them, and other samplers where only these can be."""
        settings.check(self, blocks=settings.optional(settings.boolean))
        if self.users == "draws":
            raise ModelError(
                f"blocks={self.blocks}: it is about a summary of users; give users='summary', too"
            )
        if not self.blocks and (self.client is not None or self.device is not None):
            raise ModelError(
                "blocks=False: a client and a device work on blocks of users; leave blocks out"
            )

    def settings(self) -> dict[str, Any]:
        """Return the engine's name and settings, ready for JSON."""
        plain = replace(self, client=None)  # which cannot be copied
        apart = {"checkpoint", "keep_users", "client"}
        apart |= {"max_minutes", "until"} if self.until is None else set()
        apart |= {"users"} if self.users == "draws" else set()
        apart |= {name for name in ("blocks", "device") if getattr(self, name) is None}
        return {
            key: value for key, value in super(Gibbs, plain).settings().items() if key not in apart
        }

    def prepare(self, model: RewardModel, comparisons: Comparisons) -> Program:
        """Read a model and its data; see `Engine.prepare`."""
        if model.needs_training(comparisons):
            raise Unsupported(
                "its network is trained by gradients first; use SVI, then Gibbs on its posterior"
            )
        spec, choice_model = model.spec(comparisons), model.choice_model(comparisons)
        if spec is None:
            raise Unsupported("Gibbs needs a model whose users a PopulationSpec describes")
        kept = self.chains * self.draws if self.users == "draws" else 0
        refuse_weights(type(model).__name__, spec, comparisons, self.chains, kept)
        if self.users == "summary" and not spec.pooled:
            return self._summarising(spec, choice_model, comparisons)
        for name in ("device", "blocks"):
            if getattr(self, name) is not None:
                raise Unsupported(
                    f"{name}={getattr(self, name)!r} is about users, and here all have the same "
                    f"weights; leave {name} out"
                )
        for sampler in self.samplers:
            if sampler.unsupported(spec, choice_model, comparisons) is None:
                problem = sampler.problem(spec, choice_model, comparisons)
                limit = self.max_minutes if self.until else None
                return GibbsProgram(self, sampler, problem, self.checkpoint, max_minutes=limit)
        reasons = [
            str(sampler.unsupported(spec, choice_model, comparisons))
            for sampler in self.samplers
            if sampler.matches(spec)
        ]
        raise Unsupported("; ".join(reasons) or "Gibbs has no sampler for how its users differ")

    def _summarising(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> Program:
        """Read a model and its data for a summary of users."""
        kept = np.unique(find(list(self.keep_users), comparisons.users, "keep_users"))
        limit = self.max_minutes if self.until else None
        sampler = self._sampler_without_blocks(spec, choice_model, comparisons)
        blocks = self.blocks
        if self.client is not None or self.device is not None or sampler is None:
            blocks = True
        if blocks is None:
            assert sampler is not None  # or blocks it is
            blocks = blocks_are_faster(sampler, spec, choice_model, comparisons)
        if blocks:
            return self._in_blocks(spec, choice_model, comparisons, kept, limit)
        assert sampler is not None  # or it was refused
        problem = sampler.problem(spec, choice_model, comparisons)
        problem = SummaryProblem.of(problem, comparisons, kept)
        return SummaryProgram(self, sampler, problem, self.checkpoint, max_minutes=limit)

    def _sampler_without_blocks(
        self, spec: PopulationSpec, choice_model: ChoiceModel, comparisons: Comparisons
    ) -> SweepSampler | None:
        """Return what samples a summary without blocks, if anything; refuse blocks=False if not."""
        reasons = []
        for sampler in self.samplers:
            if isinstance(sampler, SweepSampler) and sampler.matches(spec):
                reason = sampler.unsupported(spec, choice_model, comparisons)
                if reason is None:
                    return sampler
                reasons.append(reason)
        if self.blocks is False and reasons:
            raise Unsupported(f"blocks=False: {reasons[0]}; leave it out")
        return None

    def _in_blocks(
        self,
        spec: PopulationSpec,
        choice_model: ChoiceModel,
        comparisons: Comparisons,
        kept: IntArray,
        limit: float | None,
    ) -> Program:
        """Read a model and its data with users in blocks."""
        general = GeneralSampler()
        reason = general.unsupported(spec, choice_model, comparisons)
        if spec.careless is not None:
            reason = "people who answer at random"
        form = choice_model.kernel_form(comparisons.outcome)
        if reason is not None or form is None:
            what = reason if general.matches(spec) else "how its users differ"
            raise Unsupported(
                f"users='summary' is for Gaussian users, and not for {what}; leave it out"
            )
        problem = BlockProblem.read_in_blocks(spec, comparisons, form, kept, self.device)
        return BlockProgram(
            self, general, problem, self.checkpoint, max_minutes=limit, client=self.client
        )
