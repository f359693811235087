"""When a forecast of a region is due, and how many were passed over while catching up. Pure."""

from dataclasses import dataclass, replace

__all__ = ["Cadence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cadence:
    """The rhythm of one region's forecasts, in event time."""

    last_due: int | None = None
    """Origin of the newest forecast that was made or has fallen due, Unix seconds."""
    waiting: bool = False
    """Whether one is due and not yet made."""
    skipped: int = 0
    """How many fell due since the last one made, each overtaken by the next before it was made."""

    def at(self, origin: int, every_seconds: float) -> "Cadence":
        """After a tick that moved the end of the known past to `origin`."""
        if self.last_due is not None and origin < self.last_due + every_seconds:
            return self
        return Cadence(last_due=origin, waiting=True, skipped=self.skipped + self.waiting)

    def made(self, origin: int) -> "Cadence":
        """After a forecast from `origin`."""
        return replace(self, last_due=origin, waiting=False, skipped=0)
