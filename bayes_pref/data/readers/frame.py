"""Comparisons from a table with one row a comparison: differences, or the attributes of both sides.

Two ways to give the features of a row: `difference` names columns that hold left minus right;
`left` and `right` name the attributes of either side, of which the reader takes the difference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, Self

import numpy as np

from bayes_pref.data.asked_features import coded_features
from bayes_pref.data.coding import Coding, read_coded
from bayes_pref.data.coding_options import CodingOptions
from bayes_pref.data.context_coding import CodedContexts
from bayes_pref.data.formula import Formula
from bayes_pref.data.outcome import Levels, paired_or_graded
from bayes_pref.data.readers.covariates import options_beside
from bayes_pref.data.readers.formula_terms import SidesByFormula
from bayes_pref.data.readers.grouping import group_rows, warn_of_limits
from bayes_pref.data.readers.row_weights import RowWeights
from bayes_pref.data.shared_names import shared_names
from bayes_pref.data.sides import SidesOption, SidesReader
from bayes_pref.data.table import Table, TableLike, column_names
from bayes_pref.errors import DataError
from bayes_pref.types import FloatArray


class FrameReader:
    """The constructor `from_frame` of `Comparisons`."""

    @classmethod
    def from_frame(
        cls,
        frame: TableLike,
        *,
        user: str,
        choice: str,
        difference: Sequence[str] | None = None,
        left: Sequence[str] | None = None,
        right: Sequence[str] | None = None,
        features: Sequence[str] | None = None,
        formula: str | Formula | None = None,
        context: Sequence[str] | None = None,
        interactions: Literal["all"] | Sequence[tuple[str, str]] | None = None,
        covariates: TableLike | None = None,
        levels: Levels | None = None,
        coding: str | Mapping[str, str] = "effect",
        baseline: Mapping[str, Any] | None = None,
        order: Mapping[str, Sequence[Any]] | None = None,
        transform: Mapping[str, str] | None = None,
        frequency: str | None = None,
        survey_weight: str | None = None,
        randomised: str | None = None,
        sides: SidesOption = "as shown",
        seed: int = 0,
    ) -> Self:
        """Read comparisons from a table with one row a comparison.

        Parameters
        ----------
        frame
            A pandas DataFrame, or a polars or Arrow table.
        user
            Column of the users' labels.
        choice
            Column of the choices: 1 or True = left preferred, 0 or False = right, 0.5 = a tie.
        difference
            Columns that already hold left minus right.
        left, right
            Instead of `difference`: the columns of both sides, paired by position.
        features
            Names of the features; by default those of `difference`, or what the names of a left
            and a right column share (``left_length`` and ``right_length`` give ``length``).
        formula
            Instead of every attribute as it is: a formula of them, read by formulaic, such as
            ``"~ price + C(brand) + price:quality"`` or ``"~ log(price)"``, with `left` and `right`.
            Words have levels, of which the first is the baseline, as in formulaic: or as ``C(brand,
            contr.treatment("B"))`` and ``C(brand, contr.sum)`` say. A constant cancels. Where the
            posterior reads another table, the formula is applied again. Or that of other
            comparisons, ``comparisons.features.formula``.
        context
            Columns that are the same for both sides, such as what is known of the prompt: numbers,
            or words, of which ``region`` becomes ``region[north]`` and so on, as attributes do.
        interactions
            Products of features and contexts to add: ``"all"``, or pairs (feature, context).
        covariates
            A table with one row a user. A column named like `user`, or else the index, holds the
            users' labels; every other column holds numbers, or words, which are coded, too.
        levels
            For graded answers, 3 to 7 levels: their labels, from "right is much better" to "left
            is much better"; or their number K, for answers 1 to K. Three levels whose middle one is
            "no preference" can also be read as choices with ties (leave `levels` out, and code the
            tie as 0.5): ties have one parameter, levels have a cutpoint on each side.
        coding
            How columns of text or of pandas categories in `left` and `right`, contexts and
            covariates become features:
            "effect" (the levels' part-worths sum to 0), "reference" (that of the baseline is 0) or
            "steps" (of levels in order, from each to the next), for all or by name, as in
            ``{"brand": "reference"}``; an attribute that is named here, in `baseline` or in `order`
            has levels even where it holds numbers. Truth values are numbers, 1 and 0.
        baseline
            The level without a feature of its own, by name; the first level of others.
        order
            The levels in order, by name: ``{"size": ["S", "M", "L"]}``. Else it is that of the
            categories, or that of sorting.
        transform
            Numbers to enter on another scale, by name: "log", or "standardise" (minus the mean,
            divided by the standard deviation).
        frequency
            Column of how often the same answer was given, whole numbers from 1 on: the likelihood
            counts the row so often, as if it stood in the table so many times.
        survey_weight
            Column of how many people of the population a user stands for, one number a user. The
            likelihood is as without; averages over users are weighted (see
            `Posterior.part_worths`). Two names, because the two are easily confused.
        randomised
            Column that is True where the pair was assigned at random, whoever the user is; the
            others are the log. A share of such pairs shows how far the log's answers can be
            trusted: see ``bp.HierarchicalReward(observational_bias=True)`` and
            `bayes_pref.diagnose`.
        sides
            "as shown": left and right were settled before the answer. "toss": they were not, as in
            chosen minus rejected; which of the two is left is drawn at random, depending on the
            pair, its context and the user, but not on the answer or the order of the rows. The
            difference, the choice and the level of an exchanged row are mirrored.
        seed
            Random seed of the toss.

        Returns
        -------
        comparisons: rows grouped by user, users in order of first appearance

        Raises
        ------
        DataError
            If a column or value cannot be used as given; names the column, the row and the value.

        Warns
        -----
        DataWarning
            For features that never differ within a pair, users with a single comparison, and
            answers that name one side almost throughout (see `Comparisons.sides`).

        Examples
        --------
        >>> import pandas as pd
        >>> import bayes_pref as bp
        >>> frame = pd.DataFrame(
        ...     {
        ...         "id": [7, 7, 8, 8],
        ...         "length_a": [3, 1, 2, 5],
        ...         "length_b": [1, 2, 2, 1],
        ...         "hard": [0, 1, 1, 0],
        ...         "a_wins": [True, False, True, True],
        ...     }
        ... )
        >>> comparisons = bp.Comparisons.from_frame(
        ...     frame,
        ...     user="id",
        ...     choice="a_wins",
        ...     left=["length_a"],
        ...     right=["length_b"],
        ...     context=["hard"],
        ...     interactions="all",
        ... )
        >>> comparisons.feature_names
        ('length', 'length:hard')
        >>> comparisons.difference
        array([[ 2.,  0.],
               [-1., -1.],
               [ 0.,  0.],
               [ 4.,  0.]])
        """
        table = Table.read(frame)
        user, choice = str(user), str(choice)
        ours, theirs, contexts = column_names(left), column_names(right), column_names(context)
        given = column_names(difference)
        if bool(given) == bool(ours or theirs):
            raise DataError("give either difference=[...] or both left=[...] and right=[...]")
        if len(ours) != len(theirs):
            raise DataError(
                f"left has {len(ours)} columns and right has {len(theirs)}",
                "pair them one to one",
            )
        weights = RowWeights(frequency, survey_weight, randomised)
        table.require_roles(
            {"user": [user], "choice": [choice], "difference": given}
            | {"left": ours, "right": theirs, "context": contexts}
            | weights.roles()
        )
        attributes = column_names(features) or given or shared_names(ours, theirs)
        if len(attributes) != len(given or ours):
            raise DataError(
                f"features has {len(attributes)} names for {len(given or ours)} features"
            )
        by_formula = None
        if formula is not None:
            if given:
                raise DataError("formula= is of attributes", "give left= and right= instead")
            by_formula = SidesByFormula.read(formula, table, attributes, ours, theirs)
            attributes, table = by_formula.formula.terms, by_formula.table
            ours, theirs = by_formula.left, by_formula.right
        options, shared, of_users = options_beside(
            CodingOptions(coding, baseline, order, transform),
            attributes,
            contexts,
            covariates,
            user,
        )
        table, contexts, of_contexts = CodedContexts.read(table, contexts, shared)
        if given:
            options.require((), "differences are numbers: give left= and right= instead")
        codings = options.learn_all(table, attributes, ours, theirs) if ours else {}
        if by_formula is not None:
            options.require((), "the formula says how attributes are coded")
            codings = {each.name: each for each in by_formula.formula.codings}
        values, beside = _sides(table, given, attributes, codings, ours, theirs)
        described = coded_features(attributes, codings, contexts, interactions, of_contexts)
        if by_formula is not None:
            described = replace(described, formula=by_formula.formula)
            ours, theirs = by_formula.raw_left, by_formula.raw_right
        parts = group_rows(
            table,
            described.read_from(left=ours, right=theirs) if ours else described,
            values,
            user=user,
            choice=choice,
            right=beside,
            covariates=covariates,
            outcome=paired_or_graded(levels),
            sides=SidesReader(sides, seed),
            weights=weights,
            options=of_users,
        )
        made = cls(**parts)
        warn_of_limits(parts, stacklevel=3)
        return made


def _sides(
    table: Table,
    given: Sequence[str],
    names: Sequence[str],
    codings: Mapping[str, Coding],
    left: Sequence[str],
    right: Sequence[str],
) -> tuple[FloatArray, FloatArray | None]:
    """(n, k) left minus right, and (n, k) of the right side where both sides are columns."""
    with np.errstate(over="ignore"):  # Comparisons refuses a difference that overflows, by name
        if given:
            return table.numbers(given), None
        beside = read_coded(table, names, codings, right)
        return read_coded(table, names, codings, left) - beside, beside
