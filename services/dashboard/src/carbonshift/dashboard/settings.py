"""What the dashboard can be told."""

from typing import ClassVar

from pydantic import Field

from carbonshift.common.settings import Settings

__all__ = ["DashboardSettings"]


class DashboardSettings(Settings):
    """Settings of the dashboard, beside those of every service."""

    service: ClassVar[str] = "dashboard"

    http_port: int = Field(default=8765, ge=0, le=65_535)
    """Port of the page, and of what every service answers; 0 = any that is free, and the log says which."""
    history_intervals: int = Field(default=288, ge=2, le=2_016)
    """Intervals of each region that the chart shows: 288 of five minutes are a day."""
    quiet_seconds: float = Field(default=15.0, gt=0)
    """What has not been heard of for this long, and for three of its own periods, is marked stale."""
