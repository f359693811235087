"""A tape as a backtest needs it: the events that the services would have heard, and what the grid came to be."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from carbonshift.common.errors import InputError
from carbonshift.common.events import DayAheadPrices, GridTick
from carbonshift.common.tape import READERS, Tape
from carbonshift.ingest.dayahead import published_days
from carbonshift.ingest.replay import frame_of, span_of, ticks_of
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.recording import RecordingSource

__all__ = ["Recorded", "recorded"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Recorded:
    """A tape of `n` intervals without a hole, as it was told and as it was."""

    tape: Tape
    ticks: tuple[GridTick, ...]
    """As ingest tells them, in the order in which it does; corrections of closed gaps among them."""
    published: tuple[DayAheadPrices, ...]
    """In the order in which they were published; none where they are left out."""
    first: datetime
    prices_usd_per_mwh: Floats
    """Shape (n,): settled by these; what the tape lacks is the value before it, at its beginning the one after it."""
    carbon_g_per_kwh: Floats
    bridged_prices: int
    """How many intervals had no price of their own."""
    bridged_carbon: int

    @property
    def name(self) -> str:
        """The file's, without its endings."""
        name = self.tape.path.name
        return next(name.removesuffix(suffix) for suffix in READERS if name.endswith(suffix))

    @property
    def step_seconds(self) -> int:
        """Length of an interval."""
        return self.tape.step_seconds

    def moment(self, interval: int) -> datetime:
        """When the interval begins."""
        return datetime.fromtimestamp(self.first.timestamp() + interval * self.step_seconds, UTC)

    def heard(self) -> Iterator[DayAheadPrices | GridTick]:
        """Ticks and published prices in the order in which decide hears them."""
        waiting = iter(self.published)
        due = next(waiting, None)
        for tick in self.ticks:
            while due is not None and due.published_at <= tick.interval_start:
                yield due
                due = next(waiting, None)
            yield tick


def recorded(tape: Tape, *, day_ahead: bool = True) -> Recorded:
    """Read a tape whole.

    Args:
        tape: an opened one.
        day_ahead: whether published day-ahead prices are heard where its sidecar says when they were.

    Raises: InputError where it has no price, or no carbon intensity, at all.
    """
    settings = IngestSettings.load()
    span = span_of(tape)
    source = RecordingSource(settings, tape=tape)

    async def all_ticks() -> tuple[GridTick, ...]:
        return tuple([tick async for tick in ticks_of(source, span, frame_of(tape), settings.patience())])

    count = int((tape.last - tape.first).total_seconds()) // tape.step_seconds + 1
    values = np.full((2, count), np.nan)
    for row in tape.rows():
        at = int((row.interval_start - tape.first).total_seconds()) // tape.step_seconds
        for signal, value in enumerate((row.price_usd_per_mwh, row.carbon_g_per_kwh)):
            if value is not None:
                values[signal, at] = value
    missing = np.isnan(values)
    for signal, name in enumerate(("price_usd_per_mwh", "carbon_g_per_kwh")):
        if missing[signal].all():
            raise InputError(f"{tape.path}: column {name} is empty", "give a tape with prices and carbon intensities")
        values[signal] = _bridged(values[signal])
    return Recorded(
        tape=tape,
        ticks=asyncio.run(all_ticks()),
        published=tuple(published_days(tape, tape.sidecar.region, None)) if day_ahead else (),
        first=tape.first,
        prices_usd_per_mwh=values[0],
        carbon_g_per_kwh=values[1],
        bridged_prices=int(missing[0].sum()),
        bridged_carbon=int(missing[1].sum()),
    )


def _bridged(values: Floats) -> Floats:
    known = np.flatnonzero(~np.isnan(values))
    before = np.searchsorted(known, np.arange(values.size), side="right") - 1
    bridged: Floats = values[known[np.maximum(before, 0)]]
    return bridged
