"""The chance of being chosen of an alternative that has another value in an attribute.

A task of a user has the alternatives a with rewards r_a, one of which, the focal one f, is given
other values. With m = -log sum_{a != f} exp(r_a - r_f), the focal alternative is chosen with

    P(chosen | value) = F(m + (features of the value - features shown) . w),

F the choice model of two alternatives, over both ways to place them, and a tie for half of each;
of choices among several it is the logistic function, which is the multinomial logit model. Every
user is given the same number of tasks, out of a common set in which all are used equally often, and
each alternative of a task is focal once, so that averages are over the product of the users and the
tasks (Monte Carlo, balanced).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from bayes_pref.data import Comparisons
from bayes_pref.draws import evenly_spaced
from bayes_pref.models.choice.choice_distribution import ChoiceDistribution
from bayes_pref.posterior.attributes import attributes_of
from bayes_pref.posterior.predictions import log_odds
from bayes_pref.posterior.products import filled, places_of, require_values
from bayes_pref.posterior.replacements import Replacement
from bayes_pref.posterior.subgroups import Subgroup
from bayes_pref.posterior.task_distribution import Tasks
from bayes_pref.types import FloatArray, IntArray

TASKS = 6_000  # given to the users of a group in all
SAMPLES = 1_000  # of the posterior
_FEWEST, _VALUES = 500, 150_000  # tasks; tasks times values of attributes


def thinned(
    weights: xr.DataArray, choices: ChoiceDistribution
) -> tuple[xr.DataArray, ChoiceDistribution]:
    """Keep at most 1,000 draws, evenly spaced in each chain, of weights and choice model alike."""
    chains, draws = weights.sizes["chain"], weights.sizes["draw"]
    kept = evenly_spaced(draws, -(-SAMPLES // chains))
    samples = (np.arange(chains)[:, None] * draws + kept).ravel()
    return weights.isel(draw=kept), choices.take(samples)


def chances(
    weights: xr.DataArray,
    choices: ChoiceDistribution,
    comparisons: Comparisons,
    tasks: Tasks,
    group: Subgroup,
    replacements: Sequence[Sequence[Replacement]],
    rng: np.random.Generator,
) -> list[FloatArray]:
    """Average the chances of being chosen over tasks and the users of a group.

    Parameters
    ----------
    weights, choices
        (chain, draw, user, feature) and the distribution of choices at the same draws.
    comparisons
        The data.
    tasks
        The tasks over which to average.
    group
        The users over whom to average.
    replacements
        Attributes whose values are replaced, several of them jointly.
    rng
        Deals the tasks to users.

    Returns
    -------
    chances: for each of `replacements` (L1, ..., sample), one axis for each attribute in it
    """
    size = sum(int(np.prod([len(each.labels) for each in joint])) for joint in replacements)
    count = int(np.clip(_VALUES // max(size, 1), _FEWEST, TASKS))
    user, share, dealt, focal = _dealt(group, tasks, count, rng)
    margin = _margins(weights, comparisons, dealt, user, focal)
    require_values(comparisons.features, tasks)
    found = []
    for joint in replacements:  # a loop over attributes
        shape, moved = _moved(joint, dealt.profiles[focal], comparisons)
        width = moved.shape[1]
        context = dealt.context.repeat(width, axis=0)
        rows = comparisons.features.expand(moved.reshape(-1, moved.shape[2]), context)
        total: FloatArray | float = 0.0
        together = np.arange(len(dealt)).repeat(width)
        for part, eta in log_odds(weights, user.repeat(width), rows, together):
            at = slice(part.start // width, part.stop // width)
            shifted = eta.reshape(-1, width, eta.shape[1]) + margin[at][:, None]
            chance = 0.5 + 0.5 * choices.of_users(user[at]).advantage(shifted)
            total = total + np.einsum("t,tls->ls", share[at], chance)
        found.append(np.asarray(total).reshape(*shape, -1))
    return found


def _dealt(
    group: Subgroup, tasks: Tasks, count: int, rng: np.random.Generator
) -> tuple[IntArray, FloatArray, Tasks, IntArray]:
    """Users and their shares (t,), t tasks, and the row of the focal alternative of each.

    Every user has equally many tasks, in the order of the users, and every task is dealt equally
    often. It stands there once for each of its alternatives, the outside option aside.
    """
    inside = np.bincount(tasks.task[~tasks.outside], minlength=len(tasks))
    each = max(1, round(count / inside.mean() / len(group.users)))
    whole = each * len(group.users)
    rounds = [rng.permutation(len(tasks)) for _ in range(-(-whole // len(tasks)))]
    chosen = np.concatenate(rounds)[:whole]
    times = inside[chosen]
    user, share = group.users.repeat(each), (group.shares / each).repeat(each) / times
    dealt = tasks.take(chosen.repeat(times))
    nth = np.arange(len(dealt)) - (np.cumsum(times) - times).repeat(times)
    place = np.flatnonzero(~dealt.outside)
    first = np.searchsorted(dealt.task[place], np.arange(len(dealt)))
    return user.repeat(times), share.repeat(times), dealt, place[first + nth]


def _margins(
    weights: xr.DataArray,
    comparisons: Comparisons,
    tasks: Tasks,
    user: IntArray,
    focal: IntArray,
) -> FloatArray:
    """(t, sample) log-odds of the focal alternatives against the others of their tasks."""
    others = np.ones(len(tasks.profiles), dtype=bool)
    others[focal] = False
    task = tasks.task[others]
    apart = tasks.profiles[others] - tasks.profiles[focal[task]]
    rows = comparisons.features.expand(apart, tasks.context[task])
    margin = np.empty((len(tasks), weights.sizes["chain"] * weights.sizes["draw"]))
    for part, eta in log_odds(weights, user[task], rows, task):
        own = task[part]
        starts = np.flatnonzero(np.diff(own, prepend=-1))
        margin[own[0] : own[-1] + 1] = -np.logaddexp.reduceat(eta, starts, axis=0)
    return margin


def _moved(
    joint: Sequence[Replacement], shown: FloatArray, comparisons: Comparisons
) -> tuple[list[int], FloatArray]:
    """Lengths of the axes, and (t, values, k) changes of attributes from those shown (t, k)."""
    shape = [len(each.labels) for each in joint]
    grid = np.meshgrid(*(np.arange(length) for length in shape), indexing="ij")
    moved = np.zeros((len(shown), int(np.prod(shape)), shown.shape[1]))
    for each, place in zip(joint, grid, strict=True):
        columns = each.attribute.places
        change = np.broadcast_to(each.features, (len(shown), *each.features.shape))
        if not each.relative:
            change = change - shown[:, None, columns]
        moved[:, :, columns] = change[:, place.ravel()]
    features = comparisons.features
    if features.products:
        whole = filled(features, attributes_of(comparisons), shown[:, None] + moved)
        assert features.formula is not None  # or there were no products
        products = places_of(features, features.formula.products)
        moved[:, :, products] = whole[:, :, products] - shown[:, None, products]
    return shape, moved
