"""How a fact sheet is told without a model: one file a language."""

from carbonshift.explain.languages.english import English
from carbonshift.explain.languages.language import Language

__all__ = ["English", "Language"]
