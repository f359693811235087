"""What forecast can be told."""

from typing import ClassVar

from pydantic import PositiveFloat

from carbonshift.common.settings import Settings

__all__ = ["ForecastSettings"]


class ForecastSettings(Settings):
    """Settings of forecast; all durations are event time."""

    service: ClassVar[str] = "forecast"

    forecaster: str = "autoreg"
    """Which of the installed forecasters predicts."""
    history_seconds: PositiveFloat = 28 * 86_400.0
    """How much of the past a forecast is made from."""
    horizon_seconds: PositiveFloat = 4 * 3_600.0
    """How far ahead it looks; at least one step."""
    every_seconds: PositiveFloat = 900.0
    """A new forecast of a region this long after the last one, as far as the length of its intervals allows."""
