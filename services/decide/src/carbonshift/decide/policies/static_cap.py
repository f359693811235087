"""One power limit for ever: the cheap competitor that needs no signal, and the baseline that counts."""

from typing import ClassVar

from carbonshift.common.events import GridState, GridTick, Pulse
from carbonshift.decide.history import History
from carbonshift.decide.policy import Verdict
from carbonshift.decide.settings import DecideSettings

__all__ = ["StaticCap"]


class StaticCap:
    """GREEN at the limit that is set, whatever the grid does."""

    name: ClassVar[str] = "static-cap"

    def __init__(self, settings: DecideSettings) -> None:
        self._limit_w = settings.static_cap_power_limit_w

    def judge(self, history: History, tick: GridTick, previous: GridState | None) -> Verdict:
        """The same for every tick."""
        del history, tick, previous
        return Verdict(
            state=Pulse.GREEN,
            reasons=("always",),
            power_limit_w=self._limit_w,
            thresholds={"static_cap_power_limit_w": self._limit_w},
        )
