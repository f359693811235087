"""Perfect foresight: the bound that every policy is measured against, and that none can be."""

from typing import ClassVar

from carbonshift.common.errors import InputError
from carbonshift.common.events import GridState, GridTick
from carbonshift.decide.history import History
from carbonshift.decide.policy import Verdict
from carbonshift.decide.settings import DecideSettings

__all__ = ["Oracle"]


class Oracle:
    """Plans with what will have come, which only a recording tells: `carbonshift.backtest.oracle` does it."""

    name: ClassVar[str] = "oracle"

    def __init__(self, settings: DecideSettings) -> None:
        del settings
        raise InputError("the policy oracle knows what comes", "use it in `carbonshift backtest`; choose another here")

    def judge(self, history: History, tick: GridTick, previous: GridState | None) -> Verdict:
        """Never reached."""
        raise NotImplementedError
