"""What a language owes a digest: another one is one more file beside `english`."""

from typing import Protocol

from carbonshift.explain.digest.sheet import DigestSheet

__all__ = ["Language"]


class Language(Protocol):
    """Tells in words, out of the sheet alone: no figure that is not in it."""

    def digest(self, sheet: DigestSheet) -> str:
        """The paragraphs, with an empty line between them."""
        ...
