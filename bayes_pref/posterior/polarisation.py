"""Polarisation: how far people are apart about a level of an attribute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.data import Comparisons
from bayes_pref.draws import no_draws_of_users
from bayes_pref.errors import ModelError
from bayes_pref.posterior.attributes import attributes_of
from bayes_pref.posterior.estimates import describe, user_blocks
from bayes_pref.posterior.products import mean_features
from bayes_pref.posterior.random_answers import RandomAnswers
from bayes_pref.posterior.replacements import chosen_attributes, contrasts
from bayes_pref.posterior.task_distribution import shown_tasks
from bayes_pref.settings import interval as valid_interval
from bayes_pref.types import FloatArray

_MEASURES = ("share", "minority", "spread")


def contrast_rows(
    comparisons: Comparisons,
    attributes: Sequence[str] | str | None = None,
    baseline: Mapping[str, Any] | None = None,
    values: Mapping[str, tuple[Any, Any]] | None = None,
) -> tuple[pd.DataFrame, FloatArray]:
    """Return every level against its baseline, of items that are otherwise equal.

    Parameters
    ----------
    comparisons, attributes, baseline, values
        The data, and as for `Posterior.amce`.

    Returns
    -------
    keys, rows: frame with `attribute`, `level`, `baseline`, and (n, d) differences of features, at
        the mean of the contexts, products of a formula at their means over what was shown
    """
    known, features = attributes_of(comparisons), comparisons.features
    chosen = chosen_attributes(attributes, known)
    tasks = shown_tasks(comparisons)
    made = contrasts(chosen, known, tasks, baseline, values, replaced=False)
    keys, rows = [], []
    for each in made:  # a loop over attributes
        of_values = mean_features(comparisons, each)
        for place in each.others:
            rows.append(of_values[place] - of_values[each.baseline])
            keys.append((each.attribute.name, each.labels[place], each.base_label))
    context = np.tile(comparisons.context.mean(axis=0), (len(rows), 1))
    frame = pd.DataFrame(keys, columns=["attribute", "level", "baseline"], dtype=object)
    return frame, features.expand(np.stack(rows), context)


@dataclass(frozen=True, eq=False, repr=False)
class Polarisation(RandomAnswers):
    """Base of `Posterior`: polarisation."""

    def polarisation(
        self,
        attributes: Sequence[str] | str | None = None,
        *,
        baseline: Mapping[str, Any] | None = None,
        values: Mapping[str, tuple[Any, Any]] | None = None,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Estimate how far people are apart about each level of an attribute.

        Everybody is asked to choose between two items that differ in one attribute alone, one with
        the level and one with the baseline. Three measures, computed in every draw and weighted by
        survey weights if there are any: `share`, of people to whom the level is worth more;
        `minority`, the share of those on the smaller side, at most one half; and `spread`, the
        standard deviation over people of their probabilities of choosing the level. An average
        effect near 0 may hide two camps: the minority is then near one half and the spread large.

        Parameters
        ----------
        attributes, baseline, values
            As for `amce`; of a number, one unit more.
        interval
            Probability inside the central credible interval, among these users or the people they
            stand for. That the users are a sample is not in it.

        Returns
        -------
        frame: `attribute`, `level`, `baseline`, `measure`, `mean`, `sd`, `lower`, `upper`; where
            attributes interact with contexts, at the contexts' mean; where a formula multiplies
            them, with the products at their means over all that was shown

        Raises
        ------
        DataError
            As `amce`.
        ModelError
            If all users are alike in the model.

        Notes
        -----
        Draws of users' weights spread as the users themselves do: with few answers each, that
        spread rests on the form of the population, and on the prior of `tau`.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> posterior.polarisation("feature_1")["measure"].tolist()
        ['share', 'minority', 'spread']
        """
        interval = valid_interval(interval)
        self._check_users_differ("polarisation")
        comparisons, choices = self.comparisons, self.choice_distribution
        keys, matrix = contrast_rows(comparisons, attributes, baseline, values)
        above, first, second = (np.zeros(()) for _ in range(3))
        weights, start = self._weights(None)[0], 0
        # A loop over blocks of users: the probabilities of all would be as large as the posterior.
        for block in user_blocks(weights, len(matrix) / matrix.shape[1]):
            here = slice(start, start + len(block))
            part = comparisons.user_shares[here]
            eta = matrix @ block
            chance = 0.5 + 0.5 * choices.of_users(here).advantage(eta)
            above = above + np.tensordot(part, 0.5 + 0.5 * np.sign(eta), 1)
            first = first + np.tensordot(part, chance, 1)
            second = second + np.tensordot(part, chance**2, 1)
            start = here.stop
        share = np.asarray(above)
        spread = np.sqrt(np.maximum(second - np.square(first), 0.0))
        measures = np.stack([share, np.minimum(share, 1.0 - share), spread], axis=1)
        found = keys.loc[keys.index.repeat(len(_MEASURES))].reset_index(drop=True)
        found["measure"] = list(_MEASURES) * len(keys)
        columns = describe(measures.reshape(-1, measures.shape[-1]).copy(), interval)
        return found.assign(**columns)

    def _check_users_differ(self, what: str) -> None:
        """Refuse a model in which users do not differ, and a posterior without their draws."""
        if self.users is not None:
            raise no_draws_of_users()
        if not any({"user", "feature"} <= {*each.dims} for each in self.draws.data_vars.values()):
            raise ModelError(
                f"{what}: all users are alike in {type(self.model).__name__}; fit a model in which "
                "they differ, such as bp.HierarchicalReward()"
            )
