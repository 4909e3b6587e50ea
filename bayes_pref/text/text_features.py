"""Features of texts: interpretable features and principal components of embeddings.

The components are fitted to the training responses (Jolliffe 2002) and scaled to variance 1 there.
The fitted projection is kept and applied to any other text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from bayes_pref.errors import DataError
from bayes_pref.messages import shown
from bayes_pref.text.cache import EmbeddingCache
from bayes_pref.text.conversations import Texts, exchanges
from bayes_pref.text.conversations import texts as read_texts
from bayes_pref.text.encoders import Encode, Encoder
from bayes_pref.text.surface import surface, surface_names
from bayes_pref.types import FloatArray

EncoderLike = Encode | str | os.PathLike[str] | Encoder


@dataclass(frozen=True, eq=False)
class Projection:
    """A linear map of embeddings: (x - centre) @ directions.

    Attributes
    ----------
    centre
        (d,) mean embedding.
    directions
        (d, k) principal directions over their standard deviations.
    """

    centre: FloatArray
    directions: FloatArray

    @classmethod
    def fit(cls, embeddings: FloatArray, components: int | None, what: str) -> Projection:
        """Fit the leading components of (n, d) embeddings; None: keep the embedding itself.

        Raises
        ------
        DataError
            If the embeddings span fewer dimensions.

        Examples
        --------
        >>> import numpy as np
        >>> line = np.outer([1.0, 2.0, 3.0, 4.0], [3.0, 4.0])
        >>> Projection.fit(line, 1, "responses")(line).ravel().round(2)
        array([-1.34, -0.45,  0.45,  1.34])
        """
        n, d = embeddings.shape
        if components is None:
            return cls(np.zeros(d), np.eye(d))
        centre = embeddings.mean(axis=0)
        _, sizes, axes = np.linalg.svd(embeddings - centre, full_matrices=False)
        rank = int((sizes > 1e-9 * max(sizes[0], 1e-30)).sum())
        if components > rank:
            raise DataError(
                f"{components} components of {what} asked for, but {n:,} training {what} span "
                f"only {rank}; ask for fewer"
            )
        axes, sds = axes[:components], sizes[:components] / np.sqrt(n)
        # The sign of a component is arbitrary: its largest loading is made positive.
        largest = axes[np.arange(components), np.abs(axes).argmax(axis=1)]
        return cls(centre, (axes * np.sign(largest)[:, None] / sds[:, None]).T)

    def __call__(self, embeddings: FloatArray) -> FloatArray:
        """Project embeddings (n, d) onto the components: (n, k)."""
        if embeddings.shape[-1] != len(self.centre):
            raise DataError(
                f"embeddings have {embeddings.shape[-1]} dimensions, and the components were "
                f"fitted to {len(self.centre)}: use the same encoder"
            )
        return np.asarray((embeddings - self.centre) @ self.directions)


@dataclass(frozen=True, eq=False, repr=False)
class TextFeatures:
    """Features of texts, fitted once and applied to any other text.

    `bayes_pref.text.comparisons` makes one and keeps it in `comparisons.text`.

    Parameters
    ----------
    surface
        Names of the interpretable features, the first columns.
    responses, prompts
        Projections of embeddings to features and to contexts; None: no such columns.
    whole
        Whether the features are the embedding itself instead of its components.
    encoder
        The encoder; None where embeddings came as arrays.
    cache
        The cache of embeddings.
    encoder_name
        Name of the encoder that a saved file remembers; it is not used before someone gives it.

    Examples
    --------
    >>> import bayes_pref as bp
    >>> records = [
    ...     {"user": "ann", "prompt": "Hi", "chosen": "Hello there, Ann.", "rejected": "Hm?"},
    ...     {"user": "ann", "prompt": "Bye", "chosen": "See you soon!", "rejected": "Ok."},
    ... ]
    >>> comparisons = bp.text.comparisons(records, user="user", surface=["length", "questions"])
    >>> comparisons.text.frame(["Why?"], ["Why not?"]).round(2)
       length  questions
    0     1.1       0.69
    """

    surface: tuple[str, ...]
    responses: Projection | None = None
    prompts: Projection | None = None
    whole: bool = False
    encoder: Encoder | None = None
    cache: EmbeddingCache = field(default_factory=EmbeddingCache)
    encoder_name: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        count = 0 if self.responses is None else self.responses.directions.shape[1]
        stem = "embedding" if self.whole else "component"
        return (*self.surface, *(f"{stem}_{k + 1}" for k in range(count)))

    @property
    def context_names(self) -> tuple[str, ...]:
        """Names of the contexts."""
        count = 0 if self.prompts is None else self.prompts.directions.shape[1]
        return tuple(f"prompt_{k + 1}" for k in range(count))

    def attributes(
        self,
        responses: Sequence[str],
        embeddings: FloatArray | None = None,
        *,
        where: Sequence[str] | None = None,
        progress: bool = False,
    ) -> FloatArray:
        """Features of n responses, (n, k); `embeddings` (n, d) where they are known."""
        responses = read_texts(responses, "responses")
        if not responses:
            return np.empty((0, len(self.names)))
        parts = [surface(responses, self.surface)]
        if self.responses is not None:
            if embeddings is None:
                embeddings = self.embed(responses, where, progress=progress)
            parts.append(self.responses(embeddings))
        return np.hstack(parts)

    def contexts(
        self,
        prompts: Sequence[str],
        embeddings: FloatArray | None = None,
        *,
        where: Sequence[str] | None = None,
        progress: bool = False,
    ) -> FloatArray:
        """Contexts of n prompts, (n, q)."""
        prompts = read_texts(prompts, "prompts")
        if self.prompts is None or not prompts:
            return np.empty((len(prompts), len(self.context_names)))
        if embeddings is None:
            embeddings = self.embed(prompts, where, progress=progress)
        return self.prompts(embeddings)

    def frame(self, prompts: Texts, responses: Texts) -> pd.DataFrame:
        """Features and contexts of prompts and responses, as `Posterior.reward` reads items.

        Parameters
        ----------
        prompts
            n prompts, row by row, or one for all responses. One string, or one list of messages
            (``{"role": ..., "content": ...}``), is one prompt.
        responses
            n responses, or one: strings or lists of messages.

        Raises
        ------
        DataError
            If there is no encoder, or it fails; if something is neither text nor messages.
        """
        prompts, responses = exchanges(prompts, responses)
        values = np.hstack([self.attributes(responses), self.contexts(prompts)])
        return pd.DataFrame(values, columns=[*self.names, *self.context_names])

    def embed(
        self, texts: Texts, where: Sequence[str] | None = None, *, progress: bool = False
    ) -> FloatArray:
        """Embeddings (n, d) of texts, from the cache where it holds them.

        Raises
        ------
        DataError
            If there is no encoder, or its answer cannot be used.
        """
        if self.encoder is None and self.encoder_name is not None:
            raise DataError(
                f"these features were made by the encoder {shown(self.encoder_name)}, which a file "
                "only names; if you trust it, give it: bp.Posterior.load(path, "
                f"encoder={shown(self.encoder_name)})"
            )
        if self.encoder is None:
            raise DataError(
                "these features know no encoder (embeddings came as arrays, or the encoder was a "
                "function of a former session): give one, comparisons.text.with_encoder(encoder)"
            )
        found = read_texts(texts, "texts")
        where = [f"text {n}" for n in range(len(found))] if where is None else where
        return self.cache.encode(self.encoder, found, where, progress=progress)

    def with_encoder(
        self, encoder: EncoderLike, cache: str | os.PathLike[str] | None = None
    ) -> TextFeatures:
        """Return the same features with an encoder, the one that they were fitted with."""
        return replace(self, encoder=as_encoder(encoder), cache=EmbeddingCache(cache))

    def state(self) -> tuple[dict[str, Any], dict[str, FloatArray]]:
        """Settings ready for JSON, and arrays; an encoder that is a callable is left out."""
        arrays: dict[str, FloatArray] = {}
        for part, found in (("responses", self.responses), ("prompts", self.prompts)):
            if found is not None:
                arrays |= {f"{part}_centre": found.centre, f"{part}_directions": found.directions}
        name = self.encoder_name if self.encoder is None else self.encoder.name
        return {"surface": list(self.surface), "whole": self.whole, "encoder": name}, arrays

    @classmethod
    def from_state(
        cls, settings: Mapping[str, Any], arrays: Mapping[str, FloatArray]
    ) -> TextFeatures:
        """Build features from their `state`; the encoder is only remembered by its name."""
        found: dict[str, Any] = {
            name: Projection(arrays[f"{name}_centre"], arrays[f"{name}_directions"])
            for name in ("responses", "prompts")
            if f"{name}_centre" in arrays
        }
        names, name = surface_names(settings["surface"]), settings["encoder"]
        if not (name is None or isinstance(name, str)) or not isinstance(settings["whole"], bool):
            raise DataError("the features of texts are not described as they are saved")
        return cls(names, **found, whole=settings["whole"], encoder_name=name)

    def __repr__(self) -> str:
        """Name the columns and the encoder."""
        of = "no encoder" if self.encoder is None else self.encoder.name or "a callable"
        of += f", made by {self.encoder_name}" if not self.encoder and self.encoder_name else ""
        return f"TextFeatures: {', '.join([*self.names, *self.context_names])} ({of})"


def as_encoder(source: EncoderLike) -> Encoder:
    """Return an encoder as it is, and make one of anything else."""
    return source if isinstance(source, Encoder) else Encoder(source)
