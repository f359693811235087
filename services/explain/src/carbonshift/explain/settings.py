"""What explain can be told."""

from typing import ClassVar

from carbonshift.common.settings import Settings
from carbonshift.common.time_zone import TimeZone

__all__ = ["ExplainSettings"]


class ExplainSettings(Settings):
    """Settings of explain."""

    service: ClassVar[str] = "explain"

    time_zone: TimeZone = "UTC"
    """IANA name of the local clock: by it a digest has its day."""
