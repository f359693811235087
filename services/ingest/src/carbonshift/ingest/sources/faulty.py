"""Any source with faults by a seeded chance: outages, nulls, zeros, freezes, unit jumps, delays."""

import hashlib
from datetime import datetime, timedelta
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carbonshift.common.errors import InputError
from carbonshift.common.plugins import load_plugin
from carbonshift.ingest.errors import SourceUnavailableError
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.source import GridSource
from carbonshift.ingest.web import WebPool

__all__ = ["Faults", "FaultySource"]

UNIT_JUMP = 0.001
Share = Field(default=0.0, ge=0, le=1)


class Faults(BaseModel):
    """Which source is spoilt, and what share of the episodes each fault takes; all of it may come together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = ""
    """The source to spoil; a replay spoils its tape."""
    seed: int = 0
    episode_seconds: float = Field(default=3_600.0, ge=1, allow_inf_nan=False)
    """A fault lasts as long as that."""
    outage: float = Share
    """No answer while it lasts; from a tape, no row."""
    null: float = Share
    """No value."""
    zero: float = Share
    """0 in the place of the value."""
    freeze: float = Share
    """The first value of the episode until its end."""
    unit_jump: float = Share
    """The value in a unit a thousand times as large."""
    delay: float = Share
    """Nothing of the last `delay_seconds`; from a tape, no row."""
    delay_seconds: float = Field(default=1_800.0, ge=0, allow_inf_nan=False)

    def strike(self, kind: str, signal: Signal, moment: datetime) -> bool:
        """Whether the fault is on at `moment`: the same for every question, so that a repeat finds what was before."""
        episode = int(moment.timestamp() // self.episode_seconds)
        digest = hashlib.blake2b(f"{self.seed}:{kind}:{signal}:{episode}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64 < float(getattr(self, kind))

    def episode_start(self, moment: datetime) -> datetime:
        """When the episode that `moment` lies in began."""
        return moment - timedelta(seconds=moment.timestamp() % self.episode_seconds)


class FaultySource:
    """Asks the source that the setting `faults` names, and spoils what it says."""

    name: ClassVar[str] = "faulty"

    def __init__(self, settings: IngestSettings, web: WebPool | None = None, inner: GridSource | None = None) -> None:
        """Wrap `inner`, or the source that the setting names. Raises: InputError where none fits."""
        if not settings.faults:
            raise InputError(
                "the source faulty needs faults",
                """for instance CARBONSHIFT_FAULTS='{"source": "recording", "zero": 0.1}'""",
            )
        try:
            self.faults = Faults.model_validate_json(settings.faults)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            known = ", ".join(Faults.model_fields)
            raise InputError(
                f"CARBONSHIFT_FAULTS: {where + ': ' if where else ''}{first['msg']}", f"its keys are {known}"
            ) from error
        self._from_tape = inner is not None
        if inner is None:
            if self.faults.source in {"", self.name}:
                raise InputError("CARBONSHIFT_FAULTS: source names no source to spoil", "name one of the others")
            inner = load_plugin("carbonshift.sources", self.faults.source)(settings, web)
        self._inner: GridSource = inner
        self._frozen: dict[tuple[Signal, datetime], float | None] = {}
        self.signals = inner.signals
        self.interval_seconds = inner.interval_seconds
        self.carbon_basis = inner.carbon_basis
        self.price_market = inner.price_market
        self.time_zone = inner.time_zone

    async def fetch(self, signal: Signal, region: str, start: datetime, end: datetime) -> list[Reading]:
        """What the inner source says, spoilt. Raises: SourceUnavailableError in an outage, or as the inner one does."""
        if not self._from_tape:
            end = self._reachable(signal, end)
        if start >= end:
            return []
        begun = self.faults.episode_start(start)
        known = (signal, begun) in self._frozen or not self.faults.strike("freeze", signal, start)
        readings = await self._inner.fetch(signal, region, start if known else begun, end)
        spoilt = [self._spoilt(signal, reading) for reading in readings if not self._lost(signal, reading)]
        return [reading for reading in spoilt if reading.interval_start >= start]

    def _reachable(self, signal: Signal, end: datetime) -> datetime:
        """Up to where something can be had by whoever asks for what lies before `end`."""
        last = end - timedelta(seconds=self.interval_seconds)
        if self.faults.strike("outage", signal, last):
            raise SourceUnavailableError(f"{self.faults.source} is made to be away", "this fault is simulated")
        delay_seconds = self.faults.delay_seconds if self.faults.strike("delay", signal, last) else 0.0
        return end - timedelta(seconds=delay_seconds)

    def _lost(self, signal: Signal, reading: Reading) -> bool:
        return self._from_tape and any(
            self.faults.strike(kind, signal, reading.interval_start) for kind in ("outage", "delay")
        )

    def _spoilt(self, signal: Signal, reading: Reading) -> Reading:
        moment, value = reading.interval_start, reading.value
        if self.faults.strike("null", signal, moment):
            return Reading(moment, None)
        if self.faults.strike("freeze", signal, moment):
            value = self._frozen.setdefault((signal, self.faults.episode_start(moment)), value)
        if value is not None and self.faults.strike("unit_jump", signal, moment):
            value *= UNIT_JUMP
        if self.faults.strike("zero", signal, moment):
            value = 0.0
        return Reading(moment, value, reading.estimated)
