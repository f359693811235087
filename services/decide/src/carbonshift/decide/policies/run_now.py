"""Everything at once at full power: what is done where nobody looks at the grid."""

from typing import ClassVar

from carbonshift.common.events import GridState, GridTick, Pulse
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.history import History
from carbonshift.decide.policy import Verdict
from carbonshift.decide.settings import DecideSettings

__all__ = ["RunNow"]


class RunNow:
    """GREEN at the reference board's highest limit, whatever the grid does."""

    name: ClassVar[str] = "run-now"

    def __init__(self, settings: DecideSettings) -> None:
        del settings

    def judge(self, history: History, tick: GridTick, previous: GridState | None) -> Verdict:
        """The same for every tick."""
        del history, tick, previous
        return Verdict(state=Pulse.GREEN, reasons=("always",), power_limit_w=RESNET18_V100.limits_w[-1])
