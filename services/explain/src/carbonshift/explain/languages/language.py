"""What a language owes: a whole narrative out of any fact sheet."""

from typing import Protocol

from carbonshift.explain.facts import FactSheet

__all__ = ["Language"]


class Language(Protocol):
    """Tells transitions by template. Another language is one class in one file."""

    def narrate(self, sheet: FactSheet) -> str:
        """What changed and why, what it means for training and the fleet, and what comes next.

        Out of the sheet alone, figures as they stand there; plain text of one paragraph, whatever the sheet holds.
        """
