"""Draws from a fitted guide, and the Pareto k of their importance weights (Yao et al. 2018).

No guide contains the posterior; importance weights show how far it is: with a Pareto k above 0.7
their variance is not usable. For the guide "auto" they are the weights of the population, users
marginalised out. For any other guide they are the joint weights of all parameters; k is then large
as soon as there are hundreds of parameters, because small errors in each of them, which no estimate
would show, multiply in the joint weight.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from threading import Event
from typing import Any

import numpy as np
import pyro.poutine as poutine
import torch

from bayes_pref.inference.runtime.interrupts import FEWEST, uninterrupted
from bayes_pref.inference.svi.guides import Family
from bayes_pref.types import FloatArray

PATIENCE = 2.0  # seconds of drawing from a guide whose training was interrupted


def guide_draws(
    family: Family,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    names: Sequence[str],
    draws: int,
    interrupted: Event,
) -> tuple[dict[str, FloatArray], FloatArray]:
    """Draw from the guide; Ctrl-C keeps the draws so far.

    Parameters
    ----------
    family
        Guide and model, called with `args` and `kwargs`.
    names
        Sites to return.
    draws
        Number of draws.
    interrupted
        Set once there was a Ctrl-C. Of a guide whose training was interrupted there are as many
        draws as take some seconds.

    Returns
    -------
    site -> (1, draw, ...), and log importance weights (draw,)

    Raises
    ------
    KeyboardInterrupt
        If there are too few draws to keep any.
    """
    kept: dict[str, FloatArray] = {}
    log_weights: list[float] = []
    patience = PATIENCE if interrupted.is_set() else 0.0
    deadline = time.monotonic() + patience
    with torch.no_grad():
        try:
            # One at a time: neither a model nor a guide of the user's own need broadcast.
            while len(log_weights) < draws:
                late = interrupted.is_set() and time.monotonic() >= deadline
                if late and len(log_weights) >= FEWEST:
                    break
                sites, log_weight = family.draw()
                conditioned = poutine.condition(family.model, data=sites)
                trace = poutine.trace(conditioned).get_trace(*args, **kwargs)
                values = {name: trace.nodes[name]["value"].numpy() for name in names}
                if not kept:  # once and for all: a list, stacked later, would take twice the memory
                    kept = {k: np.empty((1, draws, *v.shape), v.dtype) for k, v in values.items()}
                for name, value in values.items():
                    kept[name][0, len(log_weights)] = value
                log_weights.append(log_weight)
        except KeyboardInterrupt:
            if interrupted.is_set() or len(log_weights) < FEWEST:
                raise
    count = len(log_weights)
    return {name: found[:, :count] for name, found in kept.items()}, np.array(log_weights)


def pareto_k(log_weights: FloatArray) -> float:
    """Pareto k of log importance weights (draw,); 0 where they are all the same."""
    if np.ptp(log_weights) < 1e-9:
        return 0.0
    with uninterrupted():
        from bayes_pref.posterior import arviz_bridge  # ArviZ takes a second to import

    return arviz_bridge.pareto_k(log_weights)
