"""Sweeps end where a number is lost: kernels return nan, of which this makes one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from bayes_pref.errors import BayesPrefError, ModelError
from bayes_pref.inference.gibbs.chain import Chain

LOST = (
    "Gibbs met a number beyond what a computer can hold: features, covariates, contexts or prior "
    "sds are too far apart in size; give columns in units in which they are near 1, leave "
    "scale='rms', and keep prior sds between 0.01 and 100"
)


def advance(chain: Chain) -> int:
    """Run some more sweeps of a chain; returns how many.

    Raises
    ------
    ModelError
        If a parameter is no longer a finite number. A kernel whose proposals could then never be
        accepted has returned nan instead of trying for ever.
    """
    with numbers_kept():
        sweeps = chain.advance()
    for array in chain.arrays().values():
        if not np.isfinite(array).all():
            raise ModelError(LOST)
    return sweeps


@contextmanager
def numbers_kept() -> Iterator[None]:
    """Raise a `ModelError` where linear algebra meets numbers that it cannot work with."""
    try:
        yield
    except np.linalg.LinAlgError as err:
        raise ModelError(LOST) from err
    except ValueError as err:
        # SciPy and scikit-learn say so in words alone, which name infinities and NaN.
        if isinstance(err, BayesPrefError) or not {"infs", "infinity"} & set(_words(err)):
            raise
        raise ModelError(LOST) from err


def _words(err: ValueError) -> list[str]:
    return str(err).replace(",", " ").split()
