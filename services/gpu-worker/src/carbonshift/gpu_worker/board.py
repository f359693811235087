"""One board in this worker's hands: its limit and clocks as we know them, and its meter."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.gpu_worker.devices.device import Device
from carbonshift.gpu_worker.errors import (
    CapRefusedError,
    CapturedLimitError,
    DeviceTroubleError,
    ForeignLimitError,
    GuardError,
    LeverChangedError,
)
from carbonshift.gpu_worker.keeper import SAME_W, LimitChange
from carbonshift.gpu_worker.limits import Limits
from carbonshift.gpu_worker.meter import Load, Meter, modelled_draw_w, modelled_speed
from carbonshift.gpu_worker.obeyed import Cap
from carbonshift.gpu_worker.setpoint import BoardRange

__all__ = ["Board", "Reading"]

log = logging.getLogger(__name__)

SHORTEST_MEAN_SECONDS = 0.5
"""Energy counters move every 10 to 100 ms: over less the mean power is noise."""
LOOK_AGAIN_SECONDS = 0.02
"""On the wall clock: sooner a counter has not moved."""
SET_BACK = timedelta(seconds=1)
"""A wall clock that is further behind what was metered has been set back."""
READINGS = 12
"""How many of the last power readings say between what the power may have been meanwhile."""
SENSOR_ERROR = 0.05
"""Of what a power sensor tells; source: nvmlDeviceGetPowerUsage, "accurate to within +/- 5%"."""


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
        may_raise: bool = False,
        seconds_between_caps: float = 0.0,
        monotonic_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.device = device
        self._limits, self._may_raise, self._seconds_between_caps = limits, may_raise, seconds_between_caps
        self._monotonic_seconds = monotonic_seconds
        self._load = Load.IDLE
        self._capped = self._doubted = False
        self._asked_w = self._set_w = 0.0  # the last cap, and what the driver made of it
        self._capped_at_seconds = -float("inf")
        self._may_be_slowed = True  # by an earlier run: what is left of that the guard knows
        self._owes_clocks = self._refuses_clocks = False
        self._slowed_in_epoch: int | None = None  # of the driver; None once that was loaded anew
        self._whole = self.range = _range_of(device)
        self._looked_at_seconds: float | None = None
        self._counter: tuple[float, float] | None = None  # J and monotonic seconds at the last look
        self._readings: deque[float] = deque(maxlen=READINGS)
        self.energy_basis = EnergyBasis.ESTIMATED
        """Where the energy of the last span came from while event time was the wall clock's."""
        self.foreign = False
        """Whether somebody else's limit stands, which is not fought: the range is where it stands."""
        self.meter: Meter | None = None

    async def open(self) -> None:
        """Read the limit that stands, once whatever an earlier run left is undone. Raises: DeviceTroubleError."""
        self.limit_w = self.captured_w = await asyncio.to_thread(self.device.power_limit_w)

    @property
    def counter_j(self) -> float | None:
        """The board's energy counter as it was when last settled."""
        return self._counter[0] if self._counter else None

    async def resume(self, at: datetime, counter_j: float | None) -> None:
        """Go on metering from `at`, when an earlier run last looked, where the board's counter tells what was drawn."""
        if counter_j is not None and await asyncio.to_thread(self.device.energy_j) is not None:
            self.meter, self._counter = Meter(at=at), (counter_j, self._monotonic_seconds())

    @property
    def capped(self) -> bool:
        """Whether there is something to give back, a limit or clocks."""
        return self._capped or self._owes_clocks

    @property
    def ceiling_w(self) -> float:
        """The highest limit that it may be given: the captured one, or the board's own where it may be raised."""
        return max(self.captured_w, self.range.max_limit_w) if self._may_raise else self.captured_w

    @property
    def waits_seconds(self) -> float:
        """How long until the next cap may be set."""
        return max(0.0, self._capped_at_seconds + self._seconds_between_caps - self._monotonic_seconds())

    async def cap(self, limit_w: float) -> Cap | None:
        """Set `limit_w`, the captured limit being safe on disk before.

        Returns: None where it stands already, or where the last one is so fresh that it `waits_seconds` for its turn.

        Raises: LeverChangedError, after which `limit_w` is to be asked for anew in its new range; ForeignLimitError,
            CapRefusedError, DeviceTroubleError, GuardError.
        """
        if not self._capped:
            self.captured_w = self.limit_w
        limit_w = min(limit_w, self.ceiling_w)
        if self.foreign or (self._stands(limit_w) and not self._doubted) or self.waits_seconds:
            return None
        self._doubted = False
        try:
            change = await self._limits.cap(self.device.uuid, limit_w, nominal=not self.device.tells_limit)
        except LeverChangedError:
            await self._lock_clocks_instead()
            raise
        except ForeignLimitError as error:
            self._yield_to(error.stands_w)
            raise
        except (DeviceTroubleError, GuardError):  # it may have been set all the same
            self._capped = self._doubted = True
            self._capped_at_seconds = self._monotonic_seconds()
            raise
        if change:
            if not self._capped:
                self.captured_w = change.from_w
            self._capped, self._capped_at_seconds = True, self._monotonic_seconds()
            self.limit_w = self._set_w = change.to_w
            self._asked_w = min(limit_w, self.ceiling_w)  # of what was really found, which is known by now
            return Cap(change=change, asked_w=self._asked_w, enforced_w=await asyncio.to_thread(self._obeyed_w))
        return None

    @property
    def can_slow(self) -> bool:
        """Whether its clocks can be locked at their lowest; not once the driver has refused to lock or free them."""
        return self.device.can_slow and not self._refuses_clocks

    @property
    def slowed(self) -> bool:
        """Whether they are, as far as is known: not once the guard, or a driver loaded anew, has freed them."""
        return self.device.uuid in self._limits.slowed and self._slowed_in_epoch == self.device.epoch

    async def slow_down(self) -> float | None:
        """Lock the clocks at the lowest, that being safe on disk before; its cap stands, and may be changed, meanwhile.

        Not for a board on which anything computes.

        Returns: the seconds that the driver took; None where they are locked already, or cannot be.

        Raises: CapRefusedError, once; DeviceTroubleError, GuardError, after which they may be locked all the same.
        """
        if self.slowed or not self.can_slow:
            return None
        before = self._owes_clocks
        self._owes_clocks = self._may_be_slowed = True
        try:
            seconds = await self._limits.slow_down(self.device.uuid)
        except CapRefusedError:
            self._owes_clocks, self._refuses_clocks = before, True
            raise
        except CapturedLimitError as error:
            self._owes_clocks = before
            raise GuardError(error.problem, error.remedy) from error
        self._slowed_in_epoch = self.device.epoch
        return seconds

    async def speed_up(self) -> float | None:
        """Free the clocks, or lock them as the cap says where that is one of clocks.

        Call it before training goes on, whatever `slowed` says: where nobody knows whether they are locked they are
        freed too.

        Returns: the seconds that the driver took; None where nothing is locked.

        Raises: CapRefusedError, DeviceTroubleError, GuardError; they then stay to be freed.
        """
        if not self._may_be_slowed:
            return None
        try:
            seconds = await self._limits.speed_up(self.device.uuid)
        except CapRefusedError:
            self._refuses_clocks = True
            raise
        except CapturedLimitError as error:  # which is no reason for training to wait
            log.warning("%s", error)
            return None
        self._may_be_slowed = self._owes_clocks = False
        return seconds

    async def restore(self) -> LimitChange | None:
        """Give back the captured limit, exactly, and the clocks; None where it stood already, or somebody else's does.

        Raises: CapRefusedError, DeviceTroubleError, GuardError; it then stays to be given back.
        """
        if not self.capped:
            return None
        try:
            change = await self._limits.restore(self.device.uuid)
        except ForeignLimitError as error:
            self._yield_to(error.stands_w)
            change = None
        self._may_be_slowed = self._owes_clocks = False
        self.note_restored(change)
        return change

    def note_restored(self, change: LimitChange | None) -> None:
        """The limit has been given back."""
        if not self.foreign and (change or self._capped):
            self.limit_w = change.to_w if change else self.captured_w
        self._capped = self.foreign = self._doubted = False
        self.range = self._whole

    async def _lock_clocks_instead(self) -> None:
        """Raises: CapRefusedError where they cannot be locked either; DeviceTroubleError."""
        other = await asyncio.to_thread(self.device.without_limit)
        if other is None:
            raise CapRefusedError(
                f"{self.device.uuid} has no other lever", "nothing to do: training is paused and resumed, not capped"
            )
        self.limit_w = self.captured_w = await asyncio.to_thread(other.power_limit_w)
        self.device, self._whole = other, _range_of(other)
        self.range, self._capped = self._whole, False

    def give_up_limits(self) -> None:
        """The board refuses limits: from now on its range is where it stands."""
        self._whole = self.range = replace(self._whole, min_limit_w=self.limit_w, max_limit_w=self.limit_w)

    async def settle(self, now: datetime, *, live: bool) -> Meter:
        """Count what was drawn and done up to `now`, in event time, under the limit and the load that held till now.

        Only where event time is the wall clock's (`live`) is the energy what the board's counter counted; what has
        been counted this very moment is not counted again then.
        """
        if self.meter and not self._is_due(now, live=live):
            return self.meter
        return self._count(now, await asyncio.to_thread(self._drawn_j, now, live=live))

    async def look(self, now: datetime, *, live: bool) -> tuple[Meter, Reading]:
        """`settle` and `read` in one thread."""
        if self.meter and not self._is_due(now, live=live):
            return self.meter, await self.read()
        drawn, reading = await asyncio.to_thread(lambda: (self._drawn_j(now, live=live), self._read()))
        return self._count(now, drawn), self._noted(reading)

    def _is_due(self, now: datetime, *, live: bool) -> bool:
        if live and self.meter and self.meter.at - now > SET_BACK:
            self.meter = self.meter.jump(now)  # else nothing would be counted until it is that late again
        if self.meter is None or self._looked_at_seconds is None:
            return True
        fresh = live and self._monotonic_seconds() < self._looked_at_seconds + LOOK_AGAIN_SECONDS
        return now > self.meter.at and not fresh

    def _count(self, now: datetime, drawn: tuple[float, float]) -> Meter:
        energy_j, error_j = drawn
        speed = modelled_speed(self.device.curve, self._load, self.limit_w)
        meter = self.meter or Meter(at=now)
        self.meter = meter.advance(now, energy_j=energy_j, error_j=error_j, speed=speed)
        return self.meter

    def note_load(self, load: Load) -> None:
        """From now on this is what it does; settle before."""
        if load is not self._load:  # what it drew before tells nothing of what it may draw now
            self._readings = deque(list(self._readings)[-1:], maxlen=READINGS)
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
        elif any(abs(stands_w - known_w) < SAME_W for known_w in (self._set_w, self.captured_w)):
            self.foreign, self.limit_w, self.range = False, stands_w, self._whole
        else:
            self._yield_to(stands_w)
        return reading

    def _yield_to(self, stands_w: float) -> None:
        self.foreign, self.limit_w = True, stands_w
        self.range = replace(self._whole, min_limit_w=stands_w, max_limit_w=stands_w)

    def _stands(self, limit_w: float) -> bool:
        """Whether there is nothing to set: a driver that rounds makes the same of it the next time."""
        rounded = self._capped and self.limit_w == self._set_w and abs(limit_w - self._asked_w) < SAME_W
        return rounded or abs(limit_w - self.limit_w) < SAME_W

    def _obeyed_w(self) -> float | None:
        """The enforced limit; it is none of the nominal watts that clocks are locked by."""
        return self.device.enforced_limit_w() if self.device.tells_limit else None

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

    def _drawn_j(self, now: datetime, *, live: bool) -> tuple[float, float]:
        """Energy up to `now` since the last look, and by how much it may be off at most.

        By the counter where there is one, else by what the board draws, else by what its model says.
        """
        looked_at_seconds, self._looked_at_seconds = self._looked_at_seconds, self._monotonic_seconds()
        if self.meter is None or looked_at_seconds is None:
            seconds = 0.0
        elif live:  # whatever the wall clock has been set to meanwhile
            seconds = self._looked_at_seconds - looked_at_seconds
        else:
            seconds = (now - self.meter.at).total_seconds()
        self.energy_basis = self.device.energy_basis
        before, self._counter = self._counter, self._look(self._counter)
        if before and self._counter and self._counter[0] < before[0]:
            self._slowed_in_epoch = None
        if live and self._counter:
            return (_counted_j(before, self._counter) if before else 0.0), 0.0
        if before and self._counter and self._counter[1] - before[1] >= SHORTEST_MEAN_SECONDS:
            return _counted_j(before, self._counter) / (self._counter[1] - before[1]) * seconds, 0.0
        power_w = self.device.power_w()
        if power_w is None:
            return modelled_draw_w(self.device.curve, self._load, self.limit_w) * seconds, 0.0
        if self.energy_basis is EnergyBasis.MODELLED:
            return power_w * seconds, 0.0
        return self._integrated_j(power_w, seconds)

    def _look(self, before: tuple[float, float] | None) -> tuple[float, float] | None:
        """The counter and when that was; one that does not answer now tells of all of it the next time."""
        energy_j = self.device.energy_j()
        return before if energy_j is None else (energy_j, self._monotonic_seconds())

    def _integrated_j(self, power_w: float, seconds: float) -> tuple[float, float]:
        """By the trapezoid; off by no more than half of what the last readings differ by, and the sensor's error."""
        mean_w = (power_w + self._readings[-1]) / 2 if self._readings else power_w
        self._readings.append(power_w)
        spread_w = (max(self._readings) - min(self._readings)) / 2
        return mean_w * seconds, (spread_w + SENSOR_ERROR * mean_w) * seconds


def _counted_j(before: tuple[float, float], now: tuple[float, float]) -> float:
    """Between two looks at a counter; one that has fallen began at zero when the driver was loaded anew."""
    return now[0] - before[0] if now[0] >= before[0] else now[0]


def _range_of(device: Device) -> BoardRange:
    return BoardRange(
        min_limit_w=device.min_limit_w, max_limit_w=device.max_limit_w, default_limit_w=device.default_limit_w
    )
