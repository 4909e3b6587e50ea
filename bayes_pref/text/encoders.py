"""Encoders: functions from texts to embeddings.

An encoder is any callable from a list of n texts to an array (n, d). It can be given by name: a
folder is read from disk, without the network; another name is a model of the sentence-transformers
library (Reimers & Gurevych 2019), which downloads it on first use.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from bayes_pref.errors import DataError
from bayes_pref.types import FloatArray

Encode: TypeAlias = Callable[[list[str]], Any]

_PROBES = ("How do I tell one encoder from another?", "The tea is bad, sorry.", "def f(x): pass")
_DECIMALS = 3  # of the normalised embedding of the probes: coarser than rounding error


class Encoder:
    """A callable or a named model whose output is checked, with an identity for the cache.

    Parameters
    ----------
    source
        A callable from n texts to (n, d); the path of a local sentence-transformers folder; or the
        name of a model that sentence-transformers knows.

    Raises
    ------
    DataError
        If it is none of these, or a path that does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> encoder = Encoder(lambda texts: np.array([[len(text), 1.0] for text in texts]))
    >>> encoder(["ab", "c"], ["first", "second"])
    array([[2., 1.],
           [1., 1.]])
    """

    def __init__(self, source: Encode | str | os.PathLike[str]) -> None:
        self.source: Encode | None = None
        self.name: str | None = None
        if isinstance(source, str | os.PathLike):
            self.name = os.fspath(source)
            pathlike = isinstance(source, os.PathLike) or self.name.startswith((".", "/", "~"))
            if pathlike and not self.folder:
                raise DataError(
                    f"encoder {self.name!r}: there is no such folder",
                    "give a sentence-transformers folder, a model's name or a callable",
                )
        elif callable(source) and not isinstance(source, type):
            self.source = source
        else:
            raise DataError(
                f"encoder: got {type(source).__name__} but expected a callable from texts to an "
                "array, a folder or a model's name"
            )

    @property
    def folder(self) -> Path | None:
        """The local folder of that name, or None."""
        path = Path(self.name).expanduser() if self.name else None
        return path if path is not None and path.is_dir() else None

    @cached_property
    def identity(self) -> str:
        """Digest of a folder's files, of a name, or of a callable's code and output on probes."""
        if self.folder:
            return _digest_of_folder(self.folder)
        if self.name:
            return hashlib.sha256(self.name.encode()).hexdigest()[:16]
        # The name of a callable does not tell whether its code was edited between sessions.
        found = self(_PROBES, ["a probe"] * len(_PROBES))
        size = max(float(np.linalg.norm(found)), 1e-30)
        rounded = np.round(found / size, _DECIMALS) + 0.0
        code = getattr(self.source, "__code__", None)
        made = [getattr(self.source, "__qualname__", type(self.source).__qualname__), f"{size:.2e}"]
        made += [] if code is None else [code.co_code.hex(), repr(code.co_names)]
        made += (
            [] if code is None else [repr([c for c in code.co_consts if not hasattr(c, "co_code")])]
        )
        return hashlib.sha256("\n".join(made).encode() + rounded.tobytes()).hexdigest()[:16]

    def __call__(self, texts: str | Sequence[str], where: str | Sequence[str]) -> FloatArray:
        """Encode texts.

        Parameters
        ----------
        texts
            n texts, or one.
        where
            Where each text stands in the data, for messages.

        Returns
        -------
        embeddings: (n, d)

        Raises
        ------
        DataError
            If the encoder fails, or returns another shape or a value that is not finite.
        """
        encode = self._encode
        texts = [texts] if isinstance(texts, str) else texts
        where = [where] if isinstance(where, str) else where
        try:
            found = as_floats(encode(list(texts)))
        except (TypeError, ValueError) as err:
            raise DataError(f"the encoder failed at {where[0]}: {err}") from err
        if found.ndim != 2 or found.shape[0] != len(texts) or not found.shape[1]:
            raise DataError(
                f"the encoder returned shape {found.shape} for {len(texts):,} texts, from "
                f"{where[0]} on; expected one row a text, ({len(texts)}, d)"
            )
        bad = ~np.isfinite(found).all(axis=1)
        if bad.any():
            raise DataError(
                f"the encoder returned NaN or infinity for {where[int(np.argmax(bad))]}",
                "drop that row or use another encoder",
            )
        return found

    @cached_property
    def _encode(self) -> Encode:
        """Return the function that encodes, which may load a model."""
        if self.source is not None:
            return self.source
        try:
            library = import_module("sentence_transformers")
        except ImportError as err:
            raise DataError(
                f"encoder {self.name!r} needs sentence-transformers ({err}): "
                'pip install "bayes-pref[text]"; or pass a callable, or embeddings=...'
            ) from err
        name = str(self.folder or self.name)
        try:
            model = library.SentenceTransformer(name, local_files_only=self.folder is not None)
        except (OSError, ValueError) as err:
            reason = str(err).splitlines()[0]
            raise DataError(f"encoder {self.name!r} cannot be loaded: {reason}") from err

        def encode(texts: list[str]) -> Any:
            return model.encode(texts, show_progress_bar=False, convert_to_numpy=True)

        return encode


def as_floats(values: Any) -> FloatArray:
    """Convert numbers to double precision: arrays, and tensors of any type, device or gradient.

    Raises
    ------
    TypeError, ValueError
        If they are no numbers.

    Examples
    --------
    >>> import torch
    >>> as_floats(torch.ones(1, 2, dtype=torch.bfloat16, requires_grad=True))
    array([[1., 1.]])
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().double().numpy()
    if isinstance(values, list | tuple) and values and hasattr(values[0], "detach"):
        values = [as_floats(each) for each in values]
    return np.asarray(values, dtype=np.float64)


def _digest_of_folder(folder: Path) -> str:
    """Digest of the names, sizes and first and last MiB of all files; weights are large."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        size = path.stat().st_size
        digest.update(f"{path.relative_to(folder).as_posix()} {size}".encode())
        with path.open("rb") as file:
            digest.update(file.read(2**20))
            file.seek(max(size - 2**20, 0))
            digest.update(file.read(2**20))
    return digest.hexdigest()[:16]
