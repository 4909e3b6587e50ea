"""Comparisons of texts: interpretable features and principal components of embeddings.

`comparisons` reads votes on responses to prompts (a JSON lines file, a table, whole conversations)
and computes features of the texts. `TextFeatures` applies the same features to other texts.
"""

from bayes_pref.text.cache import EmbeddingCache
from bayes_pref.text.comparing import comparisons
from bayes_pref.text.encoders import Encoder
from bayes_pref.text.surface import SURFACE
from bayes_pref.text.text_features import TextFeatures

__all__ = ["SURFACE", "EmbeddingCache", "Encoder", "TextFeatures", "comparisons"]
