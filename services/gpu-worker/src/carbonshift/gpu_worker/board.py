"""The one board in this worker's hands: its limit, its meter, and the limit to go back to."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from carbonshift.common.events import EnergyBasis
from carbonshift.gpu_worker.captured import CapturedLimits
from carbonshift.gpu_worker.devices.device import Device
from carbonshift.gpu_worker.errors import DeviceTroubleError
from carbonshift.gpu_worker.meter import Load, Meter, modelled_draw_w, modelled_speed
from carbonshift.gpu_worker.setpoint import BoardRange

__all__ = ["Board", "LimitChange", "Reading"]

SAME_W = 0.5
"""Limits closer than this are one: how a driver rounds is not documented."""
SHORTEST_MEAN_SECONDS = 0.5
"""Energy counters move every 10 to 100 ms: over less the mean power is noise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitChange:
    """A power limit that was set: as it stood, and as it was read back."""

    from_w: float
    to_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What the board tells of itself now."""

    power_w: float | None
    power_limit_w: float | None
    enforced_limit_w: float | None
    memory_used_bytes: int | None


class Board:
    """Every call to the driver runs in a thread. Not for concurrent use: its worker holds a lock."""

    def __init__(
        self,
        backend: str,
        device: Device,
        captured: CapturedLimits,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.backend, self.device = backend, device
        self._captured = captured
        self._monotonic_seconds = monotonic_seconds
        self._load = Load.IDLE
        self._capped = False
        self._counter: tuple[float, float] | None = None  # J and monotonic seconds at the last look
        self.meter: Meter | None = None

    async def open(self) -> LimitChange | None:
        """Read the limit to go back to; where an earlier run has left its cap, undo that first and return the change.

        Raises: CapturedLimitError, CapRefusedError, DeviceTroubleError.
        """
        left_w = await asyncio.to_thread(self._captured.left_over, self.device.uuid)
        self.limit_w = await asyncio.to_thread(self.device.power_limit_w)
        self.captured_w = self.limit_w if left_w is None else left_w
        self.range = BoardRange(min_limit_w=self.device.min_limit_w, max_limit_w=self.device.max_limit_w)
        self._capped = left_w is not None
        return await self.restore() if self._capped else None

    @property
    def energy_basis(self) -> EnergyBasis:
        """Where the energy comes from while event time is the wall clock's."""
        return self.device.energy_basis

    async def cap(self, limit_w: float) -> LimitChange | None:
        """Set `limit_w`, the captured limit being safe on disk before; None where it stands already.

        Raises: CapRefusedError, DeviceTroubleError.
        """
        if not self._capped:  # whoever set another limit meanwhile gets that one back
            self.limit_w = self.captured_w = await asyncio.to_thread(self.device.power_limit_w)
        limit_w = min(limit_w, self.captured_w)
        if abs(limit_w - self.limit_w) < SAME_W:
            return None
        await asyncio.to_thread(self._captured.capture, self.device.uuid, self.captured_w)
        self._capped = True
        return await self._set(limit_w)

    async def restore(self) -> LimitChange | None:
        """Set the captured limit, exactly, and have nothing left to go back to; None where it stood already.

        Raises: CapRefusedError, DeviceTroubleError; the captured limit then stays on disk.
        """
        change = None if self.limit_w == self.captured_w else await self._set(self.captured_w)
        await asyncio.to_thread(self._captured.forget, self.device.uuid)
        self._capped = False
        return change

    def give_up_limits(self) -> None:
        """The board refuses limits: from now on its range is where it stands."""
        self.range = BoardRange(min_limit_w=self.limit_w, max_limit_w=self.limit_w)

    async def settle(self, now: datetime) -> Meter:
        """Count what was drawn and done up to `now`, in event time, under the limit and the load that held till now."""
        if self.meter is None:
            self.meter = Meter(at=now)
        power_w = await asyncio.to_thread(self._mean_power_w)
        speed = modelled_speed(self.device.curve, self._load, self.limit_w)
        self.meter = self.meter.advance(now, power_w=power_w, speed=speed)
        return self.meter

    def note_load(self, load: Load) -> None:
        """From now on this is what it does; settle before."""
        self._load = load
        self.device.note_load(load)

    async def read(self) -> Reading:
        """What it tells; None for what it does not."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> Reading:
        device = self.device
        try:
            limit_w: float | None = device.power_limit_w()
        except DeviceTroubleError:
            limit_w = None
        return Reading(
            power_w=device.power_w(),
            power_limit_w=limit_w,
            enforced_limit_w=device.enforced_limit_w(),
            memory_used_bytes=device.memory_used_bytes(),
        )

    async def _set(self, limit_w: float) -> LimitChange:
        before_w = self.limit_w
        self.limit_w = await asyncio.to_thread(self.device.set_power_limit_w, limit_w)
        return LimitChange(from_w=before_w, to_w=self.limit_w)

    def _mean_power_w(self) -> float:
        """Since the last look: by the counter where there is one, else what it draws now, else what its model says."""
        energy_j, now_seconds = self.device.energy_j(), self._monotonic_seconds()
        if energy_j is not None:
            before, self._counter = self._counter, (energy_j, now_seconds)
            if before and energy_j >= before[0] and now_seconds - before[1] >= SHORTEST_MEAN_SECONDS:
                return (energy_j - before[0]) / (now_seconds - before[1])
        power_w = self.device.power_w()
        return modelled_draw_w(self.device.curve, self._load, self.limit_w) if power_w is None else power_w
