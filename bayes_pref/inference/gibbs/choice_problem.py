"""Data and priors as the general sampler reads them: raw rows, and the choice model's form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from bayes_pref.data import Comparisons
from bayes_pref.data.sparse_rows import is_sparse, scaled_rows
from bayes_pref.inference.gibbs.kernels.choice_likelihood import ChoiceRows
from bayes_pref.inference.gibbs.problem import Problem, scaled_population
from bayes_pref.inference.runtime.checkpoint import digest
from bayes_pref.models.choice.kernel_form import PLAIN, KernelForm
from bayes_pref.models.signs import Signs
from bayes_pref.models.spec import PopulationSpec
from bayes_pref.types import FloatArray, IntArray

_DENSE = 0.3  # share of entries that are not zero, from which all are kept


@dataclass(frozen=True)
class ChoiceProblem(Problem):
    """Comparisons of any choice model with a `KernelForm`, and a Gaussian population.

    Where everyone has the same weights all rows are those of one user, unless some of the users
    answer at random. A draw holds theta, as
    `Problem` has it, and then the choice model's unconstrained parameters.

    Attributes
    ----------
    rows
        `ChoiceRows`: what the kernels read.
    form
        The choice model's form.
    signs
        Which weights have a sign; the population is then one of v in `Signs`, less its centre.
    signed
        (2, d) signs and centres on scaled features, as kernels read them; (2, 0) without signs.
    careless
        Shape of the Beta prior of the share of users who answer at random; None: nobody does. A
        draw then holds the share last, and of each user the indicator before the weights.
    """

    rows: ChoiceRows  # type: ignore[assignment]
    form: KernelForm = field(default=PLAIN)
    signs: Signs | None = None
    signed: FloatArray = field(default_factory=lambda: np.zeros((2, 0)))
    careless: tuple[float, float] | None = None

    @classmethod
    def read(
        cls, spec: PopulationSpec, comparisons: Comparisons, form: KernelForm
    ) -> ChoiceProblem:
        """Scale the data, and the priors with them."""
        fields = scaled_population(spec, comparisons)
        offsets = comparisons.offsets
        if spec.pooled and spec.careless is None:
            offsets = np.array([0, len(comparisons)])
            one = fields["population"].design[:1]
            fields["population"] = fields["population"]._replace(design=one)
        rows = choice_rows(comparisons, offsets, form)
        if spec.signs is not None:
            # Of scaled features, whose weights are larger by the scale.
            centres = spec.signs.centre + np.log(comparisons.feature_scale)
            fields["signed"] = np.stack([spec.signs.sign, centres])
        return cls(rows=rows, form=form, signs=spec.signs, careless=spec.careless, **fields)

    @property
    def n_columns(self) -> int:
        """Number of draws kept beside the weights: theta, and the choice model's parameters."""
        return self.n_parameters + self.form.size + (self.careless is not None)

    @property
    def n_values(self) -> int:
        """Length of what is kept of every user: whether they answer at random, then weights."""
        return super().n_values + (self.careless is not None)

    @property
    def weights_shape(self) -> tuple[int, int]:
        """Users and values of each that a draw holds; no users where all are alike."""
        return len(self.population.design) if self.n_values else 0, self.n_values

    def identity(self) -> dict[str, Any]:
        """Return what decides the posterior, ready for JSON."""
        population = self.population
        rows = [np.asarray(part) for part in self.rows]
        signed = [] if self.signs is None else [self.signed]
        return {
            "covariance": self.covariance,
            "concentration": population.concentration,
            "choice": repr(self.form),
            "careless": repr(self.careless),
            "data and priors": digest(
                *rows, *signed, population.design, population.precision, population.spread
            ),
        }

    def raw(self, theta: FloatArray, weights: FloatArray) -> dict[str, FloatArray]:
        """Put draws (chain, draw, ...) on raw units, by site; `weights` are changed in place."""
        own = self.form.draws(theta[..., self.n_parameters :][..., : self.form.size])
        if self.careless is not None:
            own |= {"careless_share": theta[..., -1], "careless": weights[..., 0]}
            weights = weights[..., 1:]
        found = super().raw(theta[..., : self.n_parameters], weights)
        return self._signed(found) | own

    def _signed(self, found: dict[str, FloatArray]) -> dict[str, FloatArray]:
        """Weights, mu and tau of those of v, where weights have a sign."""
        signs = self.signs
        if signs is None:
            return found
        mu = signs.weights(found["mu"] + signs.centre)
        changed = {"mu": mu}
        if not self.pooled:
            changed["tau"] = signs.spread(mu, found["tau"])
            found["weights"] += signs.centre
            changed["weights"] = signs.weights(found["weights"])
        return found | changed


def choice_rows(
    comparisons: Comparisons,
    offsets: IntArray,
    form: KernelForm,
    stages: IntArray | None = None,
) -> ChoiceRows:
    """Rows of consecutive comparisons, of users that begin at `offsets`.

    `stages` are the observations of all comparisons, where they have been found before.
    """
    if stages is None:
        stages = comparisons.outcome.observations(len(comparisons))
    first, end = int(offsets[0]), int(offsets[-1])
    own = slice(*np.searchsorted(stages, [first, end + 1]))
    offsets, stages = offsets - first, stages[own] - first
    difference = comparisons.difference[first:end]
    by_row: sparse.csr_array | sparse.csr_matrix
    if is_sparse(difference):
        by_row = scaled_rows(difference, comparisons.feature_scale)
    else:
        by_row = sparse.csr_matrix(difference / comparisons.feature_scale)
    dense = by_row.nnz > _DENSE * np.prod(by_row.shape, dtype=np.float64)
    choice = comparisons.choice[first:end]
    return ChoiceRows(
        offsets=offsets.astype(np.int64),
        starts=by_row.indptr.astype(np.int64),
        columns=by_row.indices.astype(np.int64),
        values=by_row.data,
        dense=np.ascontiguousarray(by_row.toarray().T) if dense else np.zeros((0, 0)),
        outcome=np.rint(choice * (form.n_outcomes - 1)).astype(np.int64),
        stages=stages.astype(np.int64),
        stage_offsets=np.searchsorted(stages, offsets).astype(np.int64),
        careless=np.zeros(len(offsets) - 1),
        family=form.family,
        n_outcomes=form.n_outcomes,
        probit=form.probit,
    )
