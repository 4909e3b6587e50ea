"""Cache of embeddings on disk, keyed by the encoder and the text.

Each batch is written to a file of its own as soon as it is encoded, under a temporary name that is
then changed, so that an interrupted run loses one batch at most. Files are npz without pickle.
"""

from __future__ import annotations

import hashlib
import os
import uuid
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bayes_pref.errors import DataError, DataWarning
from bayes_pref.progress import tqdm
from bayes_pref.text.encoders import Encoder
from bayes_pref.types import FloatArray

_BATCH = 64  # texts in a file: seconds of work with a small encoder on a laptop
_LONG = 2  # batches from which a progress bar is shown


class EmbeddingCache:
    """A folder of embeddings.

    Parameters
    ----------
    folder
        Path of the folder, which is created where it is missing. None: nothing is kept.

    Raises
    ------
    DataError
        If the folder cannot be created.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> encoder = Encoder(lambda texts: np.array([[float(len(text))] for text in texts]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     cache = EmbeddingCache(folder)
    ...     first = cache.encode(encoder, ["ab", "c", "ab"], ["1", "2", "3"])
    ...     len(cache.known(encoder))
    2
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self.folder = None if folder is None else Path(folder).expanduser()
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as err:
                raise DataError(f"cache {folder}: {err.strerror}", "choose another folder") from err

    def known(self, encoder: Encoder) -> dict[str, FloatArray]:
        """Embeddings by an encoder that the folder holds, by key."""
        found: dict[str, FloatArray] = {}
        if self.folder is None:
            return found
        # A loop over files: each is a batch.
        for path in sorted(self.folder.glob(f"{encoder.identity}-*.npz")):
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
                    found |= dict(zip(held["keys"].tolist(), held["values"], strict=True))
            except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
                warnings.warn(
                    f"{path} is damaged: its texts are encoded again; delete it",
                    DataWarning,
                    stacklevel=2,
                )
        return found

    def encode(
        self,
        encoder: Encoder,
        texts: Sequence[str],
        where: Sequence[str],
        *,
        progress: bool = False,
    ) -> FloatArray:
        """Encode texts; each distinct text once, and none that the folder holds already.

        Parameters
        ----------
        encoder
            The encoder.
        texts, where
            n texts, and where each stands in the data, for messages.
        progress
            Whether to show a progress bar if there are several batches.

        Returns
        -------
        embeddings: (n, d)

        Raises
        ------
        DataError
            If the encoder's answer cannot be used.
        """
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in texts]
        known = self.known(encoder)
        new = list(
            {key: n for n, key in reversed(list(enumerate(keys))) if key not in known}.items()
        )
        new.sort(key=lambda pair: pair[1])
        starts = range(0, len(new), _BATCH)
        hidden = not progress or len(starts) < _LONG
        with tqdm(total=len(new), desc="encoding", unit="text", disable=hidden) as bar:
            # A loop over batches: each is stored before the next begins.
            for start in starts:
                batch = new[start : start + _BATCH]
                rows = [n for _, n in batch]
                values = encoder([texts[n] for n in rows], [where[n] for n in rows])
                known |= dict(
                    zip([key for key, _ in batch], values.astype(np.float32), strict=True)
                )
                self._keep(encoder, [key for key, _ in batch], values.astype(np.float32))
                bar.update(len(batch))
        sizes = {len(known[key]) for key in keys}
        if len(sizes) > 1:
            raise DataError(f"the encoder returned vectors of different lengths: {sorted(sizes)}")
        return np.array([known[key] for key in keys], dtype=np.float64)

    def _keep(self, encoder: Encoder, keys: Sequence[str], values: NDArray[np.float32]) -> None:
        """Write values of some texts to the folder, in a file of their own."""
        if self.folder is None:
            return
        target = self.folder / f"{encoder.identity}-{uuid.uuid4().hex}.npz"
        temporary = target.with_suffix(".tmp")
        try:
            with temporary.open("wb") as file:
                np.savez(file, keys=np.array(keys), values=values)
            temporary.replace(target)
        except OSError as err:
            raise DataError(f"cannot write to the cache {self.folder}: {err.strerror}") from err
        finally:
            temporary.unlink(missing_ok=True)
