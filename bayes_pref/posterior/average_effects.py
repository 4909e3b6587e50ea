"""Average effects of attributes on choice, as conjoint analysis defines them.

With Y = 1 if an alternative is chosen, and the other attributes and the other alternatives of a
task from a distribution,

- the marginal mean of a level l is E[Y | l] (`cregg::mm`; Leeper, Hobolt & Tilley 2020, Polit.
  Anal. 28);
- the average marginal component effect of l against the baseline m is E[Y | l] - E[Y | m]
  (`cjoint::amce`, `cregg::amce`; Hainmueller, Hopkins & Yamamoto 2014, Polit. Anal. 22);
- the average component interaction effect of l and l' is the effect of l beside l' minus that
  beside the baseline of the other attribute (the same).

On designs that draw attributes at random, those packages estimate them by means and differences of
means. Here they are averages of the model's probabilities, draw by draw, over users and over tasks
that are the same for all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes_pref.errors import DataError
from bayes_pref.posterior.attributes import attributes_of, find_attribute
from bayes_pref.posterior.estimates import describe_parameters
from bayes_pref.posterior.polarisation import Polarisation
from bayes_pref.posterior.predictions import marginal_effects
from bayes_pref.posterior.products import require_no_products
from bayes_pref.posterior.replaced_chances import TASKS, chances, thinned
from bayes_pref.posterior.replacements import (
    Replacement,
    chosen_attributes,
    contrasts,
    levels,
)
from bayes_pref.posterior.subgroups import By, subgroups
from bayes_pref.posterior.task_distribution import Over, Tasks, tasks_over
from bayes_pref.settings import interval as valid_interval
from bayes_pref.types import FloatArray

_STREAM = 4  # of random numbers

Baseline = Mapping[str, Any] | None
Keyed = Iterator[tuple[dict[str, Any], FloatArray]]


@dataclass(frozen=True, eq=False, repr=False)
class AverageEffects(Polarisation):
    """Base of `Posterior`: average effects, marginal means, interactions."""

    def amce(
        self,
        over: Over = None,
        *,
        attributes: Sequence[str] | str | None = None,
        baseline: Baseline = None,
        values: Mapping[str, tuple[Any, Any]] | None = None,
        by: By = None,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Estimate the average marginal component effect of each attribute.

        With `over`, the effect on the probability of being chosen of an alternative that has one
        level instead of the baseline, averaged over its other attributes, the other alternatives of
        a task, the tasks, and users (weighted by their survey weights if there are any):
        ``cjoint::amce`` and ``cregg::amce``. A tie or a middle level counts for half.

        Without `over`, P(preferred) - P(the other preferred), from -1 to 1, of an item that has one
        raw unit more of the attribute (or that level instead of the baseline) and is otherwise the
        same, for which no distribution is needed. A tie is for neither. For small effects, it is
        about twice the effect on the probability of being chosen.

        Parameters
        ----------
        over
            The tasks over which to average, the same for all users: ``"observed"``, those that were
            shown to anybody; ``"uniform"``, every level (or number that was shown) equally often
            and independently; ``{"brand": {"A": 0.7, "B": 0.3}}``, these probabilities, and the
            other attributes uniform; or a table of profiles, one row each, out of which
            alternatives are drawn. Sizes of tasks, outside options and contexts are those observed.
        attributes
            The attributes whose effects are asked for; None: all.
        baseline
            Levels by attribute against which the others are stated; else those of the data.
        values
            Of an attribute, two values ``(from, to)``: the effect of `to` instead of `from`. For a
            number, else, the effect of half a unit up against half a unit down from what was shown,
            or, where it takes two values only, of the higher one.
        by
            A covariate by name, or labels of users in a Series indexed by user: effects within
            every group, and how they differ from those of the first.
        interval
            Probability inside the central credible interval, of the average over these users or
            the people they stand for. That the users are a sample is not in it.

        Returns
        -------
        frame: `attribute`, `level`, `baseline`, `mean`, `sd`, `lower`, `upper`; before these, with
            `by`, `group` and `minus`: the group whose effects are subtracted, or None. Without
            `over`: `feature`, `mean`, `sd`, `lower`, `upper`

        Raises
        ------
        DataError
            If an attribute, level, covariate or distribution is unknown, a group has nobody, or
            levels are asked for of which the data hold only differences.
        ModelError
            If groups are asked for of a model in which all users are alike.

        Notes
        -----
        Where a formula multiplies attributes, products follow: an alternative that is given another
        value of an attribute has the products of that value with its other attributes. A product
        has no effect of its own; how the effect of one attribute depends on another is `acie`.

        Averages over tasks are Monte Carlo, over some 6,000 tasks and at most 1,000 draws; the
        error of an effect is then about 0.001. Groups differ by as much as their users' own
        answers say; a model in which `by` is a covariate draws users of a group to the mean of that
        group, and one in which it is none, to the mean of all.

        Examples
        --------
        >>> import bayes_pref as bp
        >>> levels = {"brand": ["A", "B", "C"]}
        >>> world = bp.simulate(users=20, features=["price"], contexts=0, categories=levels, seed=0)
        >>> posterior = bp.fit(bp.HierarchicalReward(), world.comparisons, bp.Gibbs(progress=False))
        >>> effects = posterior.amce("observed", baseline={"brand": "C"})
        >>> effects[["attribute", "level", "baseline"]].values.tolist()
        [['price', 'unit', None], ['brand', 'A', 'C'], ['brand', 'B', 'C']]
        >>> posterior.amce()["feature"].tolist()
        ['price', 'brand[B]', 'brand[C]']
        """
        interval = valid_interval(interval)
        drawn = self.amce_draws(
            over, attributes=attributes, baseline=baseline, values=values, by=by
        )
        return _described(drawn, interval)

    def amce_draws(
        self,
        over: Over = None,
        *,
        attributes: Sequence[str] | str | None = None,
        baseline: Baseline = None,
        values: Mapping[str, tuple[Any, Any]] | None = None,
        by: By = None,
    ) -> xr.DataArray:
        """Return draws of the average marginal component effects.

        Parameters
        ----------
        over, attributes, baseline, values, by
            As for `amce`.

        Returns
        -------
        draws: (chain, draw, effect), at most 1,000, with the keys of `amce` as coordinates of
            `effect`; without `over` (chain, draw, feature)

        Raises
        ------
        DataError, ModelError
            As `amce`.
        """
        if over is None:
            given = {"attributes": attributes, "baseline": baseline, "values": values, "by": by}
            for name, value in given.items():
                if value is not None:
                    raise DataError(
                        f"{name}= is for effects over a distribution of the other attributes",
                        "give over='observed', say",
                    )
            weights, _ = self._weights(None)
            require_no_products(self.comparisons.features, "over")
            effects = marginal_effects(weights, self.choice_distribution, self.comparisons)
            coords = self._sampled() | {"feature": list(self.comparisons.features.attributes)}
            shape = (weights.sizes["chain"], weights.sizes["draw"], -1)
            dims = ("chain", "draw", "feature")
            return xr.DataArray(effects.reshape(shape), coords, dims, name="amce")
        tasks, known = self._tasks(over), attributes_of(self.comparisons)
        chosen = chosen_attributes(attributes, known)
        made = contrasts(chosen, known, tasks, baseline, values)
        found = self._chances(tasks, [[each] for each in made], by)

        def effects_of(replaced: Sequence[Replacement], chance: FloatArray) -> Keyed:
            [each] = replaced
            for place in each.others:  # a loop over levels
                keys = {
                    "attribute": each.attribute.name,
                    "level": each.labels[place],
                    "baseline": each.base_label,
                }
                yield keys, chance[place] - chance[each.baseline]

        return self._labelled(found, effects_of, "amce")

    def marginal_means(
        self,
        over: Over = "observed",
        *,
        attributes: Sequence[str] | str | None = None,
        values: Mapping[str, Sequence[Any]] | None = None,
        by: By = None,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Estimate marginal means: how often an alternative with a level is chosen.

        Of pairs, the mean over levels as they were shown is one half. No baseline is needed, so
        that groups can be compared: their effects differ also where only baselines do (Leeper,
        Hobolt & Tilley 2020). It is ``cregg::mm``.

        Parameters
        ----------
        over, attributes, by, interval
            As for `amce`; `over` cannot be None.
        values
            Of an attribute, the values at which it is stated. Else every level, and for a number
            all values, where there are at most six, and else the 10th, 50th and 90th percentile of
            those shown.

        Returns
        -------
        frame: `attribute`, `level`, `mean`, `sd`, `lower`, `upper`; with `by` as for `amce`

        Raises
        ------
        DataError, ModelError
            As `amce`.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> import pandas as pd
        >>> profiles = pd.DataFrame([[0.0] * 4, [1.0] * 4], columns=world.comparisons.feature_names)
        >>> posterior.marginal_means(profiles, attributes="feature_1")["level"].tolist()
        [0.0, 1.0]
        """
        interval = valid_interval(interval)
        tasks, known = self._tasks(over), attributes_of(self.comparisons)
        made = levels(chosen_attributes(attributes, known), known, tasks, values)
        found = self._chances(tasks, [[each] for each in made], by)

        def means_of(replaced: Sequence[Replacement], chance: FloatArray) -> Keyed:
            [each] = replaced
            for label, mean in zip(each.labels, chance, strict=True):
                yield {"attribute": each.attribute.name, "level": label}, mean

        return _described(self._labelled(found, means_of, "marginal_mean"), interval)

    def acie(
        self,
        attribute: str,
        other: str,
        over: Over = "observed",
        *,
        baseline: Baseline = None,
        values: Mapping[str, tuple[Any, Any]] | None = None,
        by: By = None,
        interval: float = 0.9,
    ) -> pd.DataFrame:
        """Estimate average component interaction effects of two attributes.

        How much larger the effect of a level of one attribute is beside a level of the other than
        beside the baseline of the other (``cjoint::amce`` with a product of two attributes).
        Without a product of both in a formula, rewards are sums over attributes, and an interaction
        on the scale of probabilities comes from the curve between reward and choice alone. A
        product that was read in as a column of its own stays as shown.

        Parameters
        ----------
        attribute, other
            Two attributes by name.
        over, baseline, values, by, interval
            As for `amce`; `over` cannot be None.

        Returns
        -------
        frame: `attribute`, `level`, `baseline`, `other`, `other_level`, `other_baseline`, `mean`,
            `sd`, `lower`, `upper`; with `by` as for `amce`

        Raises
        ------
        DataError, ModelError
            As `amce`, and if both attributes are the same.

        Examples
        --------
        With ``posterior`` from `bayes_pref.fit` to ``world = bp.simulate(users=20, seed=0)``:

        >>> posterior.acie("feature_1", "feature_2")[["attribute", "other"]].values.tolist()
        [['feature_1', 'feature_2']]
        """
        interval = valid_interval(interval)
        tasks, known = self._tasks(over), attributes_of(self.comparisons)
        both = [
            find_attribute(name, known, what)
            for name, what in ((attribute, "attribute"), (other, "other"))
        ]
        if both[0] is both[1]:
            raise DataError(f"other: {other!r} is the same attribute", "name another one")
        found = self._chances(tasks, [contrasts(both, known, tasks, baseline, values)], by)

        def interactions_of(replaced: Sequence[Replacement], chance: FloatArray) -> Keyed:
            one, two = replaced
            effect = chance - chance[one.baseline]
            for first in one.others:  # a loop over pairs of levels
                for second in two.others:
                    keys = {
                        "attribute": one.attribute.name,
                        "level": one.labels[first],
                        "baseline": one.base_label,
                        "other": two.attribute.name,
                        "other_level": two.labels[second],
                        "other_baseline": two.base_label,
                    }
                    yield keys, effect[first, second] - effect[first, two.baseline]

        return _described(self._labelled(found, interactions_of, "acie"), interval)

    def _tasks(self, over: Over) -> Tasks:
        """Return the tasks over which to average."""
        return tasks_over(over, self.comparisons, TASKS, self._generator(_STREAM))

    def _chances(
        self, tasks: Tasks, replacements: Sequence[Sequence[Replacement]], by: By
    ) -> list[tuple[dict[str, Any], Sequence[Replacement], FloatArray]]:
        """Chances by group and attribute, then differences between each group and the first."""
        if by is not None:
            self._check_users_differ("by")
        weights, choices = thinned(self._weights(None)[0], self.choice_distribution)
        groups = subgroups(by, self.comparisons)
        every = [
            chances(
                weights,
                choices,
                self.comparisons,
                tasks,
                group,
                replacements,
                self._generator(_STREAM),
            )
            for group in groups
        ]
        keys: list[dict[str, Any]] = [{"group": group.label, "minus": None} for group in groups]
        if by is None:
            keys = [{}]
        else:
            first = groups[0].label
            keys += [{"group": group.label, "minus": first} for group in groups[1:]]
            every += [
                [one - other for one, other in zip(found, every[0], strict=True)]
                for found in every[1 : len(groups)]
            ]
        return [
            (key, replaced, chance)
            for key, found in zip(keys, every, strict=True)
            for replaced, chance in zip(replacements, found, strict=True)
        ]

    def _labelled(
        self,
        found: Sequence[tuple[dict[str, Any], Sequence[Replacement], FloatArray]],
        effects_of: Any,
        name: str,
    ) -> xr.DataArray:
        """Label effects (chain, draw, effect) with what they are of."""
        keys, drawn = [], []
        for group, replaced, chance in found:
            for key, values in effects_of(replaced, chance):
                keys.append(group | key)
                drawn.append(values)
        chains = self.draws.sizes["chain"]
        shaped = np.stack(drawn, axis=-1).reshape(chains, -1, len(drawn))
        columns = {key: np.empty(len(keys), dtype=object) for key in keys[0]}
        for place, key in enumerate(keys):
            for column, value in key.items():
                columns[column][place] = value
        coords = {column: ("effect", values) for column, values in columns.items()}
        return xr.DataArray(shaped, coords, ("chain", "draw", "effect"), name=name)


_KEYS = (
    *("feature", "group", "minus", "attribute", "level", "baseline"),
    *("other", "other_level", "other_baseline"),
)


def _described(drawn: xr.DataArray, interval: float) -> pd.DataFrame:
    """Describe draws (chain, draw, effect), one row an effect."""
    keys = {name: pd.Series(drawn[name].to_numpy()) for name in _KEYS if name in drawn.coords}
    for name, labels in keys.items():
        if name != "feature":  # as objects, so that None stays None beside texts
            keys[name] = labels.astype(object).where(labels.notna(), None)
    return pd.DataFrame(keys | describe_parameters(drawn.to_numpy(), interval))
