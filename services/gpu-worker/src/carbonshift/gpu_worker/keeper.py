"""Caps one board, lowers its clocks, and gives back what it had: their only writer. For stdlib and a driver alone."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from carbonshift.common.errors import CarbonShiftError
from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.errors import (
    CapRefusedError,
    DeviceTroubleError,
    ForeignLimitError,
    LeverChangedError,
    LimitUnsupportedError,
)

if TYPE_CHECKING:
    from carbonshift.gpu_worker.devices.device import Device

__all__ = ["SAME_W", "Keeper", "LimitChange"]

SAME_W = 0.5
"""Limits closer than this are one: how a driver rounds is not documented."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """A power limit that was set: as it stood, and as it was read back."""

    from_w: float
    to_w: float


class Keeper:
    """What stood before the first cap is on the disk before that cap is set, and stays there until it stands again.

    So it is with clocks; what they were before nobody tells, so given back means free.
    """

    def __init__(self, device: "Device", captured: CapturedLimits, *, may_raise: bool = False) -> None:
        self.device, self._captured, self._may_raise = device, captured, may_raise
        self._captured_w: float | None = None
        """What to give back; None where nothing of ours stands."""
        self._ours_w: tuple[float, ...] = ()
        """Our cap, as it was read back; both where it is not known whether one was set, none where an ended run did."""
        self._energy_j: float | None = None
        self._slowed = False
        """Whether its clocks may be lowered."""

    def open(self) -> LimitChange | None:
        """Undo what a run that has ended left behind, by the lever that it was done with.

        Raises: CapturedLimitError, CapRefusedError, DeviceTroubleError; then what is to be given back stays on disk.
        """
        self._slowed = self._captured.slowed(self.device.uuid)
        try:
            self._captured_w = self._left_over_w()
        except CarbonShiftError:
            self.speed_up()  # whatever has become of its limit
            raise
        return self.restore()

    def _left_over_w(self) -> float | None:
        """What an ended run has not given back, by the lever that it was done with."""
        if self._captured.left_nominal(self.device.uuid) and self.device.tells_limit:
            self._lock_clocks_instead()
        left_w = self._captured.left_over(self.device.uuid)
        if left_w is not None and not self.device.min_limit_w - SAME_W <= left_w <= self.device.max_limit_w + SAME_W:
            raise self._captured.refusal(self.device.uuid, f"{left_w:g} W is not in its range")
        return left_w

    def cap(self, limit_w: float, *, nominal: bool = False) -> LimitChange | None:
        """Set `limit_w`, unless it may be raised at most what was captured; None where it stands already.

        Args:
            limit_w: of the board's own limits.
            nominal: whether it is meant for the board's clocks: the board is known to take no limit.

        Raises: LeverChangedError where the board turns out to take none: nothing was set, and `limit_w` is to be asked
            for anew, as a nominal one; ForeignLimitError where somebody else has set another limit since, which is
            left to stand; CapRefusedError, DeviceTroubleError.
        """
        self._agree(nominal=nominal)
        stands_w = self.device.power_limit_w()
        if self._captured_w is None:  # whoever has set another limit since the last cap gets that one back
            captured_w = stands_w
        else:
            self._refuse_foreign(stands_w)
            captured_w = self._captured_w
        if not self._may_raise:
            limit_w = min(limit_w, captured_w)
        if _alike(limit_w, stands_w):
            return None
        self._captured.capture(self.device.uuid, captured_w, nominal=not self.device.tells_limit)
        self._captured_w = captured_w
        self._ours_w = (stands_w, limit_w)  # until the driver has answered
        try:
            set_w = self._write(limit_w)
        except LimitUnsupportedError as error:
            if stands_w == captured_w:  # else a cap of ours stands, which could only be given back as it was set
                self._change_lever(error)
            raise
        self._ours_w = (set_w,)
        return LimitChange(from_w=stands_w, to_w=set_w)

    def slow_down(self) -> float:
        """Lock the clocks at the lowest, also where they may be; the seconds that the driver took.

        Raises: CapRefusedError, after which they are as before; DeviceTroubleError, after which they may be locked;
            CapturedLimitError.
        """
        self._captured.note_slowed(self.device.uuid)
        before, self._slowed = self._slowed, True
        try:
            return _seconds(self.device.slow_down)
        except CapRefusedError:
            if not before:
                self._forget_slowed()
            raise

    def speed_up(self) -> float | None:
        """Free the clocks that were locked here, or that an ended run has locked; the seconds that the driver took.

        Raises: CapRefusedError, DeviceTroubleError, after which they are still to be freed; CapturedLimitError where
            they are free.
        """
        if not self._slowed:
            return None
        seconds = _seconds(self.device.speed_up)
        self._forget_slowed()
        return seconds

    def _forget_slowed(self) -> None:
        self._captured.forget_slowed(self.device.uuid)
        self._slowed = False

    def restore(self) -> LimitChange | None:
        """Set the captured limit, exactly, and have nothing left to give back; None where it stands, or nothing was.

        The clocks are given back too, whatever becomes of the limit.

        Raises: ForeignLimitError where somebody else has set another limit since: that is left to stand, and nothing
            is left to give back; CapRefusedError, DeviceTroubleError, after which there still is.
        """
        try:
            return self._restore_limit()
        finally:
            self.speed_up()

    def _restore_limit(self) -> LimitChange | None:
        if self._captured_w is None:
            return None
        stands_w = self.device.power_limit_w()
        change = None
        try:
            self._refuse_foreign(stands_w)
            if stands_w != self._captured_w or not self._ours_w:  # what an ended run set may not show
                written_w = self._write(self._captured_w)
                if not _alike(written_w, self._captured_w):
                    raise DeviceTroubleError(
                        f"{self.device.uuid} stands at {written_w:g} W after {self._captured_w:g} W were given back",
                        "it is tried again; see nvidia-smi -q",
                    )
                change = LimitChange(from_w=stands_w, to_w=written_w) if written_w != stands_w else None
        except ForeignLimitError:
            self._forget()
            raise
        except LimitUnsupportedError:
            if stands_w != self._captured_w:
                raise  # else an ended run has only tried: it stands
        self._forget()
        return change

    def _agree(self, *, nominal: bool) -> None:
        """By the lever that is meant. Raises: LeverChangedError where an ended run has found that it is another one."""
        if nominal and self.device.tells_limit:  # an ended guard has found out, and its agent knows
            self._restore_limit()
            self._lock_clocks_instead()
        elif not nominal and not self.device.tells_limit:
            raise _lever_changed(self.device.uuid)

    def _change_lever(self, error: LimitUnsupportedError) -> None:
        """Raises: LeverChangedError; returns where there is no other lever."""
        self._forget()
        other = self.device.without_limit()
        if other is not None:
            self.device = other
            raise _lever_changed(other.uuid) from error

    def _lock_clocks_instead(self) -> None:
        other = self.device.without_limit()
        if other is None:
            raise DeviceTroubleError(f"{self.device.uuid} does not tell its clocks now", "see `carbonshift doctor`")
        self.device = other

    def _refuse_foreign(self, stands_w: float) -> None:
        """Raise ForeignLimitError where what stands is neither ours, nor captured, nor a driver's new beginning."""
        ours = not self._ours_w or any(_alike(stands_w, ours_w) for ours_w in self._ours_w)
        if ours or self._captured_w is None or _alike(stands_w, self._captured_w) or self._driver_began_anew(stands_w):
            return
        raise ForeignLimitError(
            f"{self.device.uuid} is under {stands_w:g} W, which somebody else has set",
            "find who sets power limits besides this worker (DCGM, a Slurm prolog, nvidia-powerd): it is not fought",
            stands_w,
        )

    def _driver_began_anew(self, stands_w: float) -> bool:
        """Whether the limit went with a reload of the driver: it is the default then, and the energy counter fell."""
        energy_j = self.device.energy_j()
        fell = energy_j is None or self._energy_j is None or energy_j < self._energy_j
        return fell and _alike(stands_w, self.device.default_limit_w)

    def _write(self, limit_w: float) -> float:
        stands_w = self.device.set_power_limit_w(limit_w)
        self._energy_j = self.device.energy_j()
        return stands_w

    def _forget(self) -> None:
        self._captured.forget(self.device.uuid)
        self._captured_w, self._ours_w = None, ()


def _seconds(work: Callable[[], None]) -> float:
    began_seconds = time.monotonic()
    work()
    return time.monotonic() - began_seconds


def _lever_changed(uuid: str) -> LeverChangedError:
    return LeverChangedError(
        f"{uuid} tells a power limit and takes none",
        "nothing to do: its clocks are locked instead, the watts of its limits are estimates",
    )


def _alike(one_w: float, other_w: float) -> bool:
    return abs(one_w - other_w) < SAME_W
