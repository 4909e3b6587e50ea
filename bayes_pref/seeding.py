"""Random seeds of Pyro and torch code, in surroundings of its own and without a trace in others'.

What such code computes depends on much that a program sets once for all of itself: torch's global
generator, default dtype and number of threads, whether gradients are recorded, Pyro's handlers,
parameters and checks. Within `seeded` all of it is as in a new interpreter, and afterwards as
before. Most of it is shared by all threads, so that one thread at a time is within; others wait.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch

# NumPy's own defaults; a program may have turned its warnings into errors.
NUMPY_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}

_lock = threading.RLock()


def _unlock() -> None:
    """Make the lock anew in a forked process, where the thread that held it does not exist."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_unlock)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run Pyro or torch code from `seed`, alone and in standard surroundings.

    Examples
    --------
    >>> with torch.inference_mode(), seeded(1):
    ...     torch.is_grad_enabled(), torch.randn(2).is_inference()
    (True, False)
    """
    with _lock, _globals_restored(), standard_torch(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


@contextmanager
def standard_torch() -> Iterator[None]:
    """Run torch code of this thread as torch does by itself: on the CPU, recording gradients.

    Examples
    --------
    >>> with torch.no_grad(), standard_torch():
    ...     torch.is_grad_enabled()
    True
    """
    with ExitStack() as stack:
        # A tensor of inference mode has no gradient, ever; so it is left before any is made.
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if torch.is_autocast_enabled("cpu"):
            stack.enter_context(torch.autocast("cpu", enabled=False))
        if torch.get_default_device().type != "cpu":  # where it is, every call would be slower
            stack.enter_context(torch.device("cpu"))
        yield


@contextmanager
def _globals_restored() -> Iterator[None]:
    """Set what all threads share to what it is in a new interpreter, and back at the end."""
    before = _read()
    try:
        torch.set_default_dtype(torch.float32)
        torch.set_num_threads(1)  # sums then depend on no number of threads
        _use_deterministic(False)
        torch.autograd.set_detect_anomaly(False)
        for stack in _pyro()["stacks"]:
            stack.clear()
        for module in _pyro()["checked"]:
            module.enable_validation(True)
        yield
    finally:
        try:
            _write(before)
        except KeyboardInterrupt:  # half of it is written; a second one finds it whole
            _write(before)
            raise


def _pyro() -> dict[str, Any]:
    import pyro  # takes a second to import; only its models need it
    from pyro.poutine import runtime

    return {
        "stacks": (runtime._PYRO_STACK, runtime._DIM_ALLOCATOR._stack),  # handlers, plates
        "store": pyro.get_param_store(),
        "checked": (pyro.distributions, pyro.infer, pyro.poutine),
    }


def _read() -> dict[str, Any]:
    """Return torch's and Pyro's global state."""
    found = _pyro()
    return {
        "dtype": torch.get_default_dtype(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "warn_only": torch.is_deterministic_algorithms_warn_only_enabled(),
        "anomaly": (torch.is_anomaly_enabled(), torch.is_anomaly_check_nan_enabled()),
        "stacks": [list(stack) for stack in found["stacks"]],
        "parameters": found["store"].get_state(),
        "checks": [module.is_validation_enabled() for module in found["checked"]],
    }


def _write(before: dict[str, Any]) -> None:
    """Put back the global state that `_read` returned."""
    found = _pyro()
    torch.set_default_dtype(before["dtype"])
    torch.set_num_threads(before["threads"])
    _use_deterministic(before["deterministic"], before["warn_only"])
    torch.autograd.set_detect_anomaly(*before["anomaly"])
    for stack, content in zip(found["stacks"], before["stacks"], strict=True):
        stack[:] = content
    found["store"].clear()
    found["store"].set_state(before["parameters"])
    for module, checks in zip(found["checked"], before["checks"], strict=True):
        module.enable_validation(checks)


def _use_deterministic(mode: bool, warn_only: bool = False) -> None:
    # torch's own setter imports its compiler: seconds, and an error in a folder that is removed.
    found = torch.are_deterministic_algorithms_enabled()
    if mode != found or (
        mode and warn_only != torch.is_deterministic_algorithms_warn_only_enabled()
    ):
        torch.use_deterministic_algorithms(mode, warn_only=warn_only)


def standard_numpy() -> np.errstate:
    """Return a context in which NumPy treats numbers out of range as it does by itself.

    Examples
    --------
    >>> with np.errstate(all="raise"), standard_numpy():
    ...     float(np.exp(-1000.0))
    0.0
    """
    return np.errstate(**NUMPY_ERRORS)  # type: ignore[arg-type]
