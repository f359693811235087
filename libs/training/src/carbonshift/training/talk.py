"""What is said to the user."""

import sys
from contextlib import suppress

__all__ = ["say"]


def say(text: str) -> None:
    """One line on stderr, where there is one."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"carbonshift: {text}\n")
        sys.stderr.flush()
