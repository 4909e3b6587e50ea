"""Directions in which a model may be wrong about its log-odds, each block named by an assumption.

For a pair with differences d (in units of their root mean square) and context x (standardised), and
a user with covariates and exposures h, they are, in log-odds of the population,

    weights     kappa d_j
    curve       l and l |l|, with l the model's log-odds of the choice
    contexts    kappa d_j x_q, unless the product is a feature
    exposure    kappa d_j h_k, with h the covariates, the exposures, and their squares and products
    attributes  kappa d_j |d_j|

kappa = (1 + pi v / 8)^(-1/2), with v the variance of d . w over users, is how much less the
log-odds of the population's choice move than those of a user. Of a set of s alternatives, d is of
one minus the mean of the others, and a direction counts (s - 1) / s times, so that a set of two is
a pair. A column that others explain is left out, and so are blocks with too few users.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bayes_pref.data import Comparisons
from bayes_pref.diagnostics.confounding.context_basis import varying
from bayes_pref.diagnostics.confounding.left_out import attributes_without
from bayes_pref.diagnostics.query import Query
from bayes_pref.draws import curved_names
from bayes_pref.models.regressors import centred_covariates, curved_exposures, exposures
from bayes_pref.types import FloatArray, IntArray

BLOCKS = ("weights", "curve", "contexts", "exposure", "attributes")
_USERS_EACH = 3  # for every direction
_SAME = 1e-6  # of a column, where others explain the rest


@dataclass(frozen=True, eq=False)
class Directions:
    """The directions that some answers can tell apart.

    Attributes
    ----------
    attributes
        Number of attributes, which are the first features.
    first, second
        (m,) attribute and context of each product that is looked at.
    scale, middle, spread
        (d,) unit of the features; (q,) mean and sd of the contexts.
    regressors
        (u, r) standardised covariates, exposures, squares and products of users.
    covariates
        How many of them, the first, are covariates.
    names
        (c,) of the columns, for messages.
    block
        (c,) code in `BLOCKS` of each column.
    kept, unit
        (c,) places of the columns among all, and their root mean squares.
    skipped
        Names of blocks that are left out, since there are too few users.
    """

    attributes: int
    first: IntArray
    second: IntArray
    scale: FloatArray
    middle: FloatArray
    spread: FloatArray
    regressors: FloatArray
    covariates: int
    names: tuple[str, ...]
    block: IntArray
    kept: IntArray
    unit: FloatArray
    skipped: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, comparisons: Comparisons, query: Query, log_odds: FloatArray, kappa: FloatArray
    ) -> Directions:
        """Choose the directions.

        Parameters
        ----------
        comparisons
            The fitted comparisons.
        query
            n rows that were answered.
        log_odds, kappa
            (n,) of the population, and how much they move.
        """
        features, spread = comparisons.features, varying(query.context)
        products = np.array(
            [
                (place, code)
                for code, name in enumerate(features.contexts)
                for place in attributes_without(comparisons, name)
                if spread[code] > 0
            ],
            dtype=np.intp,
        ).reshape(-1, 2)
        curves = curved_exposures(comparisons).columns
        covariates, known = _standardised(
            centred_covariates(comparisons), comparisons.covariate_names
        )
        exposed, shown = _standardised(exposures(comparisons), features.contexts)
        curved, products_of = _standardised(curves, curved_names(features.contexts))
        made = cls(
            len(features.attributes),
            products[:, 0],
            products[:, 1],
            comparisons.feature_scale,
            query.context.mean(axis=0),
            np.where(spread > 0, spread, 1.0),
            np.hstack([covariates, exposed, curved]),
            covariates.shape[1],
            _names(
                comparisons,
                products,
                [*known, *(f"mean {name}" for name in (*shown, *products_of))],
            ),
            *(np.empty(0, np.intp),) * 2,
            np.empty(0),
        )
        blocks = made._blocks(query, log_odds, kappa, made.regressors[query.user])
        return made._chosen(blocks, comparisons.n_users)

    @property
    def of_pairs(self) -> FloatArray:
        """(c,) 1 for columns that depend on what is shown alone, 0 for those with h."""
        return np.where(self.block == BLOCKS.index("exposure"), 0.0, 1.0)

    def at(
        self, query: Query, log_odds: FloatArray, kappa: FloatArray, regressors: FloatArray
    ) -> FloatArray:
        """Return the columns (n, c) at some rows.

        Parameters
        ----------
        query
            n rows.
        log_odds, kappa
            (n,) of the population, and how much they move.
        regressors
            (n, r) of users who are asked.
        """
        every = np.hstack(self._blocks(query, log_odds, kappa, regressors))
        return np.asarray(every[:, self.kept] / self.unit)

    def _blocks(
        self, query: Query, log_odds: FloatArray, kappa: FloatArray, regressors: FloatArray
    ) -> list[FloatArray]:
        """All columns by block, in the order of `BLOCKS`."""
        share = ((query.sizes - 1.0) / query.sizes if query.task is not None else 1.0) * kappa
        d = query.difference / self.scale
        shown = d * share[:, None]
        context = (query.context - self.middle) / self.spread
        attribute = shown[:, : self.attributes]
        part = log_odds[:, None] * (share / kappa)[:, None]
        return [
            shown,
            np.hstack([part, part * np.abs(log_odds)[:, None]]),
            attribute[:, self.first] * context[:, self.second],
            (attribute[:, :, None] * regressors[:, None, :]).reshape(len(d), -1),
            attribute * np.abs(d[:, : self.attributes]),
        ]

    def _chosen(self, blocks: list[FloatArray], users: int) -> Directions:
        """Leave out blocks for which users are too few, then columns that others explain."""
        sizes = np.array([each.shape[1] for each in blocks])
        small = np.zeros(len(blocks), dtype=bool)
        total = 0
        for code, size in enumerate(sizes):  # a loop over blocks
            small[code] = _USERS_EACH * (total + size) > users
            total += 0 if small[code] else size
        block = np.repeat(np.arange(len(blocks)), sizes)
        every = np.hstack(blocks)
        size = np.sqrt((every**2).mean(axis=0))
        kept = np.flatnonzero(~small[block] & (size > 0))
        left = np.abs(np.diag(np.linalg.qr(every[:, kept] / size[kept], mode="r")))
        kept = kept[left > _SAME * np.sqrt(len(every))]
        return replace(
            self,
            names=tuple(self.names[place] for place in kept),
            block=block[kept],
            kept=kept,
            unit=size[kept],
            skipped=tuple(name for name, no in zip(BLOCKS, small, strict=True) if no),
        )


def _names(
    comparisons: Comparisons, products: IntArray, regressors: Sequence[str]
) -> tuple[str, ...]:
    """Names of all columns, in the order of the blocks."""
    features = comparisons.features
    attributes = features.attributes
    return (
        *comparisons.feature_names,
        *("the log-odds", "the log-odds beyond a line"),
        *(f"{attributes[place]} x {features.contexts[code]}" for place, code in products),
        *(f"{attribute} x {name}" for attribute in attributes for name in regressors),
        *(f"{attribute} beyond a line" for attribute in attributes),
    )


def _standardised(columns: FloatArray, names: Sequence[str]) -> tuple[FloatArray, list[str]]:
    """Columns with mean 0 and sd 1, and their names; those that are constant are left out."""
    centred = columns - columns.mean(axis=0)
    sd = centred.std(axis=0)
    varies = sd > _SAME * np.abs(columns).max(axis=0, initial=0.0)
    kept = [name for name, moves in zip(names, varies, strict=False) if moves]
    return np.asarray(centred[:, varies] / sd[varies]), kept
