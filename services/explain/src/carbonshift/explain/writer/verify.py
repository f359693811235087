"""Whether a text says nothing but what its fact sheet does. Pure."""

from carbonshift.explain.facts import FactSheet
from carbonshift.explain.figures import ungrounded

__all__ = ["violations"]


def violations(text: str, sheet: FactSheet) -> tuple[str, ...]:
    """What in `text` is no fact of `sheet`; empty is good."""
    return ungrounded(text, sheet.facts())
