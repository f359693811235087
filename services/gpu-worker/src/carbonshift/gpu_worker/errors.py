"""What can go wrong with a device or with the training on it."""

from carbonshift.common.errors import CarbonShiftError, TransientError

__all__ = [
    "CapRefusedError",
    "CapturedLimitError",
    "ControlSocketError",
    "DeviceTroubleError",
    "ForeignLimitError",
    "GuardError",
    "JobUnknownError",
    "LeverChangedError",
    "LimitUnsupportedError",
    "PauseInterruptedError",
    "PauseTimeoutError",
    "RanksLostError",
    "SeveralProcessesError",
]


class CapRefusedError(CarbonShiftError):
    """The driver refused a power limit, and will again: published as WorkerEvent `cap_refused`, never a crash."""


class LimitUnsupportedError(CapRefusedError):
    """The board tells a power limit, and takes none."""


class LeverChangedError(CarbonShiftError):
    """The board takes no power limit: from now on its clocks are locked, and its limits are nominal."""


class ForeignLimitError(CarbonShiftError):
    """Somebody else has set the board's limit since: it is reported, and not fought."""

    def __init__(self, problem: str, remedy: str, stands_w: float) -> None:
        super().__init__(problem, remedy)
        self.stands_w = stands_w


class GuardError(CarbonShiftError):
    """There is nobody to give the limits back, so none are set."""


class CapturedLimitError(CarbonShiftError):
    """The limit found before the first cap cannot be read back from disk."""


class DeviceTroubleError(TransientError):
    """The device did not do or tell what was asked; it may the next time."""


class ControlSocketError(CarbonShiftError):
    """The agent cannot listen for training processes."""


class JobUnknownError(CarbonShiftError):
    """No training of that name has joined, or it has ended."""


class SeveralProcessesError(CarbonShiftError):
    """The job is several processes: stopped one by one they would wait for one another until they fail."""


class PauseTimeoutError(TransientError):
    """The training did not come to rest in time, and runs on."""


class CannotParkError(CarbonShiftError):
    """The training, at rest, cannot be parked as deep as was asked; it stays at rest."""


class NotAtRestError(CarbonShiftError):
    """The training runs, or has left: there is nothing to be parked deeper now."""


class PauseInterruptedError(CarbonShiftError):
    """The training ended, or was resumed, before the pause had come about."""


class RanksLostError(CarbonShiftError):
    """Ranks on another host are no longer known to be at rest, so none is held."""
