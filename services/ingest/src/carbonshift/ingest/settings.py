"""What ingest can be told."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field, PositiveFloat

from carbonshift.common.events import Name
from carbonshift.common.settings import Settings

__all__ = ["IngestSettings"]


class IngestSettings(Settings):
    """Settings of ingest; with neither a tape nor a source it waits for a replay from the command line."""

    service: ClassVar[str] = "ingest"

    tape: Path | None = None
    """A recording to replay as the service starts: a path, or the name of a bundled one."""
    speed: PositiveFloat | None = None
    """Seconds of event time per second of wall time for the tape; null = as fast as it goes."""
    source: str | None = None
    """Which of the installed sources is polled."""
    region: Name = "caiso"
    """The region that is polled."""
    backfill_intervals: int = Field(default=12, ge=1, le=8_640)
    """How many past intervals each poll asks for, so that a late value still arrives."""
    poll_seconds: PositiveFloat = 60.0
    """Pause between two polls."""
