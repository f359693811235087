"""What JSON answers of time series have in common: instants that are written out, points in order."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, FiniteFloat, PlainValidator, Strict, ValidationError

from carbonshift.ingest.errors import SourceUnavailableError
from carbonshift.ingest.interval import OfInterval
from carbonshift.ingest.web import body_checked

__all__ = ["Instant", "Number", "in_order", "understood"]

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", bound=OfInterval)


def _instant(value: Any) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    if moment is None or moment.tzinfo is None:
        raise ValueError("no time with a zone")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time outside the calendar") from None


Instant = Annotated[datetime, PlainValidator(_instant)]
"""ISO 8601 with a zone, in UTC; a number of seconds is none."""
Number = Annotated[FiniteFloat, Strict()]
"""A JSON number: no text, no NaN, no infinity."""


def understood(name: str, model: type[M], body: bytes) -> M:
    """The body as a `model`.

    Raises: SourceUnavailableError where it is cut short, is no JSON or has another shape.
    """
    text = body_checked(name, body)
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in first["loc"])
        raise SourceUnavailableError(
            f"{name} answered what cannot be read ({where or 'body'}: {first['msg'][:120]}): {text[:120]!r}",
            "it is asked again; report it where it stays so",
        ) from error


def in_order(name: str, points: Iterable[P], interval_seconds: int) -> list[P]:
    """The points oldest first, each interval once; what is said twice alike counts once.

    Raises: SourceUnavailableError where one is off the grid of intervals, or an interval has two values.
    """
    found: dict[datetime, P] = {}
    for point in points:
        start = point.interval_start
        if start.microsecond or int(start.timestamp()) % interval_seconds:
            raise SourceUnavailableError(
                f"{name}: {start.isoformat()} begins no interval of {interval_seconds} s", "report this"
            )
        if found.setdefault(start, point) != point:
            raise SourceUnavailableError(f"{name}: two values for {start.isoformat()}", "it is asked again")
    return [found[start] for start in sorted(found)]
