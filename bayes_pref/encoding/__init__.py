"""Texts as numbers: encoders, a cache of embeddings, interpretable features, components."""

from bayes_pref.encoding.cache import EmbeddingCache
from bayes_pref.encoding.encoders import Encoder
from bayes_pref.encoding.features import Projection, TextFeatures, as_encoder
from bayes_pref.encoding.surface import SURFACE, surface, surface_names

__all__ = [
    "SURFACE",
    "EmbeddingCache",
    "Encoder",
    "Projection",
    "TextFeatures",
    "as_encoder",
    "surface",
    "surface_names",
]
