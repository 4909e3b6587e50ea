"""From texts to comparisons, and from a posterior back to scores of texts.

`comparisons` reads votes on prompts and responses (a JSON lines file, a table, whole conversations)
and turns the texts into interpretable features and principal components of their embeddings.
"""

from bayes_pref.encoding import SURFACE, EmbeddingCache, Encoder, TextFeatures
from bayes_pref.text.comparing import comparisons

__all__ = ["SURFACE", "EmbeddingCache", "Encoder", "TextFeatures", "comparisons"]
