"""One board in this worker's hands: its limit as we know it, and its meter."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.gpu_worker.devices.device import Device
from carbonshift.gpu_worker.errors import DeviceTroubleError, ForeignLimitError
from carbonshift.gpu_worker.keeper import SAME_W, LimitChange
from carbonshift.gpu_worker.limits import Limits
from carbonshift.gpu_worker.meter import Load, Meter, modelled_draw_w, modelled_speed
from carbonshift.gpu_worker.setpoint import BoardRange

__all__ = ["Board", "Reading"]

SHORTEST_MEAN_SECONDS = 0.5
"""Energy counters move every 10 to 100 ms: over less the mean power is noise."""


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
        device: Device,
        limits: Limits,
        *,
        seconds_between_caps: float = 0.0,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = device
        self._limits, self._seconds_between_caps = limits, seconds_between_caps
        self._monotonic_seconds = monotonic_seconds
        self._load = Load.IDLE
        self._capped = self._doubted = False
        self._set_w = 0.0
        self._capped_at_seconds = -float("inf")
        self._whole = self.range = BoardRange(min_limit_w=device.min_limit_w, max_limit_w=device.max_limit_w)
        self._counter: tuple[float, float] | None = None  # J and monotonic seconds at the last look
        self.foreign = False
        """Whether somebody else's limit stands, which is not fought: the range is where it stands."""
        self.meter: Meter | None = None

    async def open(self) -> None:
        """Read the limit that stands, once whatever an earlier run left is undone. Raises: DeviceTroubleError."""
        self.limit_w = self.captured_w = await asyncio.to_thread(self.device.power_limit_w)

    @property
    def energy_basis(self) -> EnergyBasis:
        """Where the energy comes from while event time is the wall clock's."""
        return self.device.energy_basis

    @property
    def capped(self) -> bool:
        """Whether there is a limit to give back."""
        return self._capped

    @property
    def waits_seconds(self) -> float:
        """How long until the next cap may be set."""
        return max(0.0, self._capped_at_seconds + self._seconds_between_caps - self._monotonic_seconds())

    async def cap(self, limit_w: float) -> LimitChange | None:
        """Set `limit_w`, the captured limit being safe on disk before.

        Returns: None where it stands already, or where the last one is so fresh that it `waits_seconds` for its turn.

        Raises: ForeignLimitError, CapRefusedError, DeviceTroubleError, GuardError.
        """
        if not self._capped:
            self.captured_w = self.limit_w
        limit_w = min(limit_w, self.captured_w)
        if self.foreign or (abs(limit_w - self.limit_w) < SAME_W and not self._doubted) or self.waits_seconds:
            return None
        self._doubted = False
        try:
            change = await self._limits.cap(self.device.uuid, limit_w)
        except ForeignLimitError as error:
            self._yield_to(error.stands_w)
            raise
        if change:
            if not self._capped:
                self.captured_w = change.from_w
            self._capped, self._capped_at_seconds = True, self._monotonic_seconds()
            self.limit_w = self._set_w = change.to_w
        return change

    async def restore(self) -> LimitChange | None:
        """Give back the captured limit, exactly; None where it stood already, or somebody else's does.

        Raises: CapRefusedError, DeviceTroubleError, GuardError; it then stays to be given back.
        """
        if not self._capped:
            return None
        try:
            change = await self._limits.restore(self.device.uuid)
        except ForeignLimitError as error:
            self._yield_to(error.stands_w)
            change = None
        self.note_restored(change)
        return change

    def note_restored(self, change: LimitChange | None) -> None:
        """The limit has been given back."""
        if not self.foreign:
            self.limit_w = change.to_w if change else self.captured_w
        self._capped = self.foreign = self._doubted = False
        self.range = self._whole

    def give_up_limits(self) -> None:
        """The board refuses limits: from now on its range is where it stands."""
        self._whole = self.range = BoardRange(min_limit_w=self.limit_w, max_limit_w=self.limit_w)

    async def settle(self, now: datetime) -> Meter:
        """Count what was drawn and done up to `now`, in event time, under the limit and the load that held till now."""
        return self._count(now, await asyncio.to_thread(self._mean_power_w))

    async def look(self, now: datetime) -> tuple[Meter, Reading]:
        """`settle` and `read` in one thread."""
        power_w, reading = await asyncio.to_thread(lambda: (self._mean_power_w(), self._read()))
        return self._count(now, power_w), self._noted(reading)

    def _count(self, now: datetime, power_w: float) -> Meter:
        if self.meter is None:
            self.meter = Meter(at=now)
        speed = modelled_speed(self.device.curve, self._load, self.limit_w)
        self.meter = self.meter.advance(now, power_w=power_w, speed=speed)
        return self.meter

    def note_load(self, load: Load) -> None:
        """From now on this is what it does; settle before."""
        self._load = load
        self.device.note_load(load)

    async def read(self) -> Reading:
        """What it tells; None for what it does not."""
        return self._noted(await asyncio.to_thread(self._read))

    def _noted(self, reading: Reading) -> Reading:
        stands_w = reading.power_limit_w
        if stands_w is None or abs(stands_w - self.limit_w) < SAME_W:
            return reading
        if not self._capped:
            self.limit_w = stands_w
        elif not self.foreign:
            self._doubted = True  # whose it is shows at the next cap
        elif abs(stands_w - self._set_w) < SAME_W:
            self.foreign, self.limit_w, self.range = False, stands_w, self._whole
        else:
            self._yield_to(stands_w)
        return reading

    def _yield_to(self, stands_w: float) -> None:
        self.foreign, self.limit_w = True, stands_w
        self.range = BoardRange(min_limit_w=stands_w, max_limit_w=stands_w)

    def _read(self) -> Reading:
        device = self.device
        try:
            limit_w = device.power_limit_w() if device.tells_limit else None
        except DeviceTroubleError:
            limit_w = None
        return Reading(
            power_w=device.power_w(),
            power_limit_w=limit_w,
            enforced_limit_w=device.enforced_limit_w(),
            memory_used_bytes=device.memory_used_bytes(),
        )

    def _mean_power_w(self) -> float:
        """Since the last look: by the counter where there is one, else what it draws now, else what its model says."""
        energy_j, now_seconds = self.device.energy_j(), self._monotonic_seconds()
        if energy_j is not None:
            before, self._counter = self._counter, (energy_j, now_seconds)
            if before and energy_j >= before[0] and now_seconds - before[1] >= SHORTEST_MEAN_SECONDS:
                return (energy_j - before[0]) / (now_seconds - before[1])
        power_w = self.device.power_w()
        return modelled_draw_w(self.device.curve, self._load, self.limit_w) if power_w is None else power_w
