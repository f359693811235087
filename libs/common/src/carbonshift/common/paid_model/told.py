"""What an API has told: a text or why there is none, and how many tokens it took. Pure."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from carbonshift.common.paid_model.reason import Reason

__all__ = ["LONGEST_TEXT", "Tokens", "Told"]

LONGEST_TEXT = 32_768
"""Characters: many times what is asked for, and little enough to keep."""
MOST_TOKENS = 1_000_000_000

Tokens = Annotated[int, Field(ge=0, le=MOST_TOKENS)]
"""How many an API says to have counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What came of a question: `answer`, or `reason`."""

    answer: str | None = None
    reason: Reason | None = None
    tokens_in: int | None = None
    """None where nobody told, as is `tokens_out` then."""
    tokens_out: int | None = None
