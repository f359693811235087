"""The name of a local clock, as a field of settings or of a file."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator

__all__ = ["TimeZone"]


def _known(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # the last where it names a folder of zones
        raise ValueError(f"{name!r} is not an IANA time zone") from error
    return name


TimeZone = Annotated[str, AfterValidator(_known)]
"""An IANA name; any other is refused."""
