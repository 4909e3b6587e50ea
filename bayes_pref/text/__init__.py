"""From texts to comparisons, and from a posterior back to scores of texts.

`comparisons` reads votes on prompts and responses (a JSON lines file, a table, whole conversations)
and turns the texts into interpretable features and principal components of their embeddings.
"""

from bayes_pref.text.cache import EmbeddingCache
from bayes_pref.text.comparing import comparisons
from bayes_pref.text.encoders import Encoder
from bayes_pref.text.surface import SURFACE
from bayes_pref.text.text_features import TextFeatures

__all__ = ["SURFACE", "EmbeddingCache", "Encoder", "TextFeatures", "comparisons"]
