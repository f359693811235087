"""Caps one board and gives back what it had: the only writer of its limit. For stdlib and a driver alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.errors import (
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
    """What stood before the first cap is on the disk before that cap is set, and stays there until it stands again."""

    def __init__(self, device: "Device", captured: CapturedLimits, *, may_raise: bool = False) -> None:
        self.device, self._captured, self._may_raise = device, captured, may_raise
        self._captured_w: float | None = None
        """What to give back; None where nothing of ours stands."""
        self._ours_w: tuple[float, ...] = ()
        """Our cap, as it was read back; both where it is not known whether one was set, none where an ended run did."""
        self._energy_j: float | None = None

    def open(self) -> LimitChange | None:
        """Undo what a run that has ended left behind, by the lever that it was done with.

        Raises: CapturedLimitError, CapRefusedError, DeviceTroubleError; then what is to be given back stays on disk.
        """
        if self._captured.left_nominal(self.device.uuid) and self.device.tells_limit:
            self._lock_clocks_instead()
        left_w = self._captured.left_over(self.device.uuid)
        if left_w is not None and not self.device.min_limit_w - SAME_W <= left_w <= self.device.max_limit_w + SAME_W:
            raise self._captured.refusal(self.device.uuid, f"{left_w:g} W is not in its range")
        self._captured_w = left_w
        return self.restore()

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

    def restore(self) -> LimitChange | None:
        """Set the captured limit, exactly, and have nothing left to give back; None where it stands, or nothing was.

        Raises: ForeignLimitError where somebody else has set another limit since: that is left to stand, and nothing
            is left to give back; CapRefusedError, DeviceTroubleError, after which there still is.
        """
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
            self.restore()
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


def _lever_changed(uuid: str) -> LeverChangedError:
    return LeverChangedError(
        f"{uuid} tells a power limit and takes none",
        "nothing to do: its clocks are locked instead, the watts of its limits are estimates",
    )


def _alike(one_w: float, other_w: float) -> bool:
    return abs(one_w - other_w) < SAME_W
