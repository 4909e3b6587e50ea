"""The mean of a logistic-normal variable: the share of a Gaussian population that prefers left.

Both simulated worlds and diagnostics use it. It is independent of the models, so that a simulated
truth does not come from the model that is to recover it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bayes_pref.types import FloatArray

_REACH = 6.0  # limits of the integral, in sds from the mean
_STEPS = (0.65, 0.325, 0.1625, 0.08, 0.05)  # distances of the nodes, in sds
# The largest sd of each step; the last is used beyond the sd for which its error is 1e-8.
_LIMITS = np.array([*(2 * np.pi**2 / (22.0 * step) for step in _STEPS[:-1]), 50.0])
_BLOCK = 2**14  # values
_FAR = 300.0  # log-odds from which on a win is certain, or out of the question
# The same for an error of 6e-6, which other functions than the sigmoid are integrated to.
_ROUGH_LIMITS = 2 * np.pi**2 / (12.0 * np.array(_STEPS[:-1]))


def expected_choice(mean: FloatArray, variance: FloatArray) -> FloatArray:
    """E sigmoid(Normal(mean, variance)), elementwise, to 1e-8 up to an sd of 20 log-odds.

    The nodes have equal steps. The sigmoid has poles at distance pi / sd from the real line, so
    that the error of steps h is exp(-2 pi^2 / (sd h)); 40 Gauss-Hermite nodes have an error of 4e-3
    at an sd of 8.

    Parameters
    ----------
    mean, variance
        Mean and variance of the log-odds; shapes broadcast.

    Examples
    --------
    >>> from bayes_pref.logistic_normal import expected_choice
    >>> import numpy as np
    >>> expected_choice(np.array([2.0, 2.0]), np.array([0.0, 4.0])).round(3)
    array([0.881, 0.775])
    """
    shape = np.broadcast_shapes(np.shape(mean), np.shape(variance))
    centre = np.broadcast_to(mean, shape).ravel()
    sd = np.sqrt(np.broadcast_to(variance, shape).ravel())
    out = np.empty(sd.size)
    # Blocks that fit into the processor's cache, with the nodes that the values need.
    for start in range(0, sd.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        out[part] = _integrated(centre[part], sd[part])
    return out.reshape(shape)


def expected_win(mean: FloatArray, variance: FloatArray, tie: FloatArray) -> FloatArray:
    """E P(left wins) in Davidson's model of ties over Normal(mean, variance), to 1e-8.

    With x = exp(-eta / 2), P(left) = 1 / (1 + exp(tie) x + x^2), whose poles are at least as far
    from the real line as those of the sigmoid, so that the same nodes serve. Nodes have equal
    steps, so that x at one of them is a multiple of x at the last.

    Parameters
    ----------
    mean, variance
        Mean and variance of the log-odds.
    tie
        Log of how likely a tie is between equals, relative to a win; shapes broadcast.

    Examples
    --------
    >>> expected_win(np.array([0.0, 2.0]), np.array([0.0, 4.0]), np.array([0.0, -30.0])).round(3)
    array([0.333, 0.775])
    """
    shape = np.broadcast_shapes(np.shape(mean), np.shape(variance), np.shape(tie))
    centre, square, log_tie = (
        np.broadcast_to(each, shape).ravel() for each in (mean, variance, tie)
    )
    sd, nu = np.sqrt(square), np.exp(log_tie)
    out = np.empty(sd.size)
    # Blocks that fit into the processor's cache, and in them values that need the same nodes.
    for start in range(0, sd.size, _BLOCK):
        part = slice(start, start + _BLOCK)
        place = np.searchsorted(_LIMITS[: len(_STEPS) - 1], sd[part])
        for level in np.unique(place):
            rows = start + np.flatnonzero(place == level)
            out[rows] = _won(centre[rows], sd[rows], nu[rows], _STEPS[level])
    return out.reshape(shape)


def _won(mean: FloatArray, sd: FloatArray, nu: FloatArray, step: float) -> FloatArray:
    """Integrate 1 / (1 + nu x + x^2) over nodes of this step."""
    nodes, masses = _nodes(step)
    x = np.exp(np.clip(-0.5 * (mean + sd * nodes[0]), -_FAR, _FAR))
    ratio = np.exp(-0.5 * sd * (nodes[1] - nodes[0]))
    total = np.zeros_like(mean)
    with np.errstate(over="ignore", under="ignore"):  # 1 / inf is the correct probability 0
        for mass in masses:
            total += mass / (1.0 + x * (nu + x))
            x *= ratio
    return total


def expected_value(
    function: Callable[[FloatArray], FloatArray], mean: FloatArray, variance: FloatArray
) -> FloatArray:
    """E f(Normal(mean, variance)) for a function f of log-odds as smooth as the sigmoid.

    Parameters
    ----------
    function
        Of an array like `mean`; may add axes before the others.
    mean, variance
        Arrays of the same shape.

    Examples
    --------
    >>> import numpy as np
    >>> mean, variance = np.array([2.0]), np.array([4.0])
    >>> expected_value(lambda eta: 1 / (1 + np.exp(-eta)), mean, variance).round(3)
    array([0.775])
    """
    sd = np.sqrt(variance)
    level = int(np.searchsorted(_ROUGH_LIMITS, sd.max(initial=0.0)))
    total: FloatArray | float = 0.0
    for node, mass in zip(*_nodes(_STEPS[level]), strict=True):
        total = total + mass * function(mean + sd * node)
    return np.asarray(total)


def _integrated(mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Integrate by the rule that each sd needs."""
    if sd.max() <= _LIMITS[0]:
        return _over_pairs(mean, sd, _STEPS[0])
    out = np.empty(sd.size)
    place = np.searchsorted(_LIMITS, sd)
    for level in np.unique(place):
        rows = place == level
        if level < len(_STEPS):
            out[rows] = _over_pairs(mean[rows], sd[rows], _STEPS[level])
        else:
            out[rows] = _over_nodes(mean[rows], sd[rows])
    return out


def _nodes(step: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes, symmetric around 0, and their masses."""
    count = int(np.ceil(_REACH / step))
    nodes = np.linspace(-_REACH, _REACH, 2 * count + 1)
    masses = np.exp(-0.5 * nodes**2)
    return nodes, masses / masses.sum()


def _over_pairs(mean: FloatArray, sd: FloatArray, step: float) -> FloatArray:
    """Integrate over pairs of symmetric nodes.

    With a = exp(-|mean|) and c = 2 cosh(sd node), the probability of the less likely answer, summed
    over a pair of nodes, is a (c + 2 a) / (1 + a c + a^2); c follows from its values at the two
    previous nodes.
    """
    nodes, masses = _nodes(step)
    middle = len(nodes) // 2
    a = np.exp(-np.abs(mean))
    square = a * a
    below, above = 1.0 + square, 2.0 * square
    total = masses[middle] * a / (1.0 + a)
    unit = 2.0 * np.cosh(sd * nodes[middle + 1])
    last, now = 2.0 * a, a * unit  # a c at the previous node and at this node
    for mass in masses[middle + 1 :]:
        total += mass * ((now + above) / (below + now))
        last, now = now, unit * now - last
    return np.asarray(np.where(mean < 0.0, total, 1.0 - total))


def _over_nodes(mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Integrate node by node, for sds at which products of pairs may overflow."""
    total = np.zeros_like(mean)
    with np.errstate(over="ignore"):  # exp(800) is inf, which gives the correct probability 0
        for node, mass in zip(*_nodes(_STEPS[-1]), strict=True):
            total += mass / (1.0 + np.exp(-mean - sd * node))
    return total
