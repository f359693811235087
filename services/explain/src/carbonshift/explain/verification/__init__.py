"""Whether a text that somebody else wrote says nothing but the facts."""

from carbonshift.explain.verification.plain import plain
from carbonshift.explain.verification.verify import violations
from carbonshift.explain.verification.vocabulary import WORDS

__all__ = ["WORDS", "plain", "violations"]
