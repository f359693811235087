"""Energy drawn and work done, summed over event time. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from carbonshift.common.power_curve import PowerCurve

__all__ = ["Load", "Meter", "modelled_draw_w", "modelled_speed"]


class Load(StrEnum):
    """What a board does."""

    IDLE = "idle"
    """No job is on it."""
    PARKED = "parked"
    """A job waits, its model in memory."""
    RUNNING = "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """The sums up to `at`."""

    at: datetime
    energy_j: float = 0.0
    error_j: float = 0.0
    """By how much the energy may be off at most."""
    work_seconds: float = 0.0
    """In seconds at full power."""

    def advance(self, to: datetime, *, energy_j: float, speed: float, error_j: float = 0.0) -> "Meter":
        """The sums up to `to`, with so much drawn and one speed since `at`; a moment that is past changes nothing."""
        seconds = (to - self.at).total_seconds()
        if seconds <= 0.0:
            return self
        return Meter(
            at=to,
            energy_j=self.energy_j + energy_j,
            error_j=self.error_j + error_j,
            work_seconds=self.work_seconds + speed * seconds,
        )

    def jump(self, to: datetime) -> "Meter":
        """The same sums at `to`: time of another recording, in which nothing was drawn."""
        return replace(self, at=to)


def modelled_draw_w(curve: PowerCurve, load: Load, limit_w: float) -> float:
    """What a board of `curve` draws under `limit_w`."""
    match load:
        case Load.IDLE:
            return curve.idle_w
        case Load.PARKED:
            return curve.parked_w
        case Load.RUNNING:
            return curve.draw_w(limit_w)


def modelled_speed(curve: PowerCurve, load: Load, limit_w: float) -> float:
    """Its training speed under `limit_w`, 1.0 = full; 0 where nothing runs."""
    return curve.speed(limit_w) if load is Load.RUNNING else 0.0
