"""Training while the sun is up, by the clock alone: what is often advised, and what it costs can be seen beside it."""

from typing import ClassVar
from zoneinfo import ZoneInfo

from carbonshift.common.events import GridState, GridTick, Pulse
from carbonshift.decide.history import History
from carbonshift.decide.policy import Verdict
from carbonshift.decide.settings import DecideSettings

__all__ = ["SolarWindow"]


class SolarWindow:
    """GREEN from one hour of the local day to another, RED outside."""

    name: ClassVar[str] = "solar-window"

    def __init__(self, settings: DecideSettings) -> None:
        self._zone = ZoneInfo(settings.time_zone)
        self._from, self._to = settings.solar_window_from, settings.solar_window_to
        self._limit_w = settings.green_power_limit_w

    def judge(self, history: History, tick: GridTick, previous: GridState | None) -> Verdict:
        """By the beginning of the tick's interval on the local clock."""
        del history, previous
        within = self._from <= tick.interval_start.astimezone(self._zone).time() < self._to
        if within:
            return Verdict(state=Pulse.GREEN, reasons=("within_window",), power_limit_w=self._limit_w)
        return Verdict(state=Pulse.RED, reasons=("outside_window",))
