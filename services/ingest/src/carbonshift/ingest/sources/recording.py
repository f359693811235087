"""A tape as a source: the same readings that a live source would have given then."""

from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from carbonshift.common.errors import InputError
from carbonshift.common.tape import Tape, TapeRow, open_tape
from carbonshift.ingest.bundled import find_tape
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.web import WebPool

__all__ = ["RecordingSource"]


class RecordingSource:
    """Reads forward through a tape and holds one span of it at a time: memory does not grow with the tape."""

    name: ClassVar[str] = "recording"
    signals: ClassVar[frozenset[Signal]] = frozenset(Signal)

    def __init__(self, settings: IngestSettings, web: WebPool | None = None, tape: Tape | None = None) -> None:
        """Play `tape`, or the one the settings name. Raises: InputError where there is none, TapeError."""
        del web
        if tape is None:
            if settings.tape is None:
                raise InputError("no tape to play", "set CARBONSHIFT_TAPE to a file or a bundled recording")
            tape = open_tape(find_tape(settings.tape))
        self.tape = tape
        self.interval_seconds = tape.step_seconds
        self.carbon_basis = tape.sidecar.carbon_basis
        self.price_market = tape.sidecar.price_market
        self.time_zone = tape.sidecar.time_zone
        self._span: tuple[datetime, datetime] | None = None
        self._rows: list[TapeRow] = []
        self._ahead: Iterator[TapeRow] = iter(())
        self._next: TapeRow | None = None

    async def fetch(self, signal: Signal, region: str, start: datetime, end: datetime) -> list[Reading]:
        """The rows of the span; the region is whatever the caller replays the tape as."""
        del region
        if self._span != (start, end):
            self._rows = self._read(start, end)
            self._span = (start, end)
        if signal is Signal.PRICE:
            return [Reading(row.interval_start, row.price_usd_per_mwh) for row in self._rows]
        return [Reading(row.interval_start, row.carbon_g_per_kwh) for row in self._rows]

    def _read(self, start: datetime, end: datetime) -> list[TapeRow]:
        if self._span is None or start != self._span[1]:  # not the span that follows: begin again
            self._ahead = self.tape.rows(start=start)
            self._next = next(self._ahead, None)
        rows: list[TapeRow] = []
        while self._next is not None and self._next.interval_start < end:
            rows.append(self._next)
            self._next = next(self._ahead, None)
        return rows
