"""Mini-batches: the indices of a plate are set from outside, for a model that uses them.

A Pyro plate scales the log probabilities inside by its size over the number of its indices, also
where these are set from outside. So a model needs no argument for mini-batches: it uses the indices
of its plate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from pyro.poutine.messenger import Messenger
from pyro.poutine.subsample_messenger import _Subsample

from bayes_pref.errors import ModelError


class ChosenIndices(Messenger):  # type: ignore[misc]
    """Set the indices of a plate wherever it is entered, in the model and in the guide.

    Examples
    --------
    >>> import pyro
    >>> with ChosenIndices("user", torch.tensor([4, 2])), pyro.plate("user", 10) as users:
    ...     users.tolist()
    [4, 2]
    """

    def __init__(self, plate: str, indices: torch.Tensor) -> None:
        super().__init__()
        self.plate = plate
        self.indices = indices

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        if msg["name"] == self.plate and isinstance(msg["fn"], _Subsample):
            msg["value"] = self.indices


def plate_of_latents(latent: Mapping[str, dict[str, Any]], size: int) -> tuple[str, int]:
    """Name and full size of the one plate that holds latent sites, for mini-batches of `size`.

    Raises
    ------
    ModelError
        If there is none, or more than one, or it is smaller than that.
    """
    plates = {
        frame.name: frame.full_size
        for site in latent.values()
        for frame in site["cond_indep_stack"]
    }
    if len(plates) != 1:
        found = ", ".join(map(repr, sorted(plates))) or "none"
        raise ModelError(
            f"batch={size:,} needs one plate with parameters in it, such as that of users, and "
            f"this model has {found}: leave batch out"
        )
    (plate,) = plates.items()
    if size > plate[1]:
        raise ModelError(f"batch={size:,} is more than the {plate[1]:,} of plate {plate[0]!r}")
    return plate


def batches(total: int, size: int, rng: np.random.Generator) -> Iterator[torch.Tensor]:
    """Yield the indices of each step, without end: a new permutation in each epoch.

    The incomplete batch at the end of an epoch is skipped.
    """
    while True:
        shuffled = rng.permutation(total)
        for first in range(0, total - size + 1, size):
            yield torch.from_numpy(shuffled[first : first + size])
