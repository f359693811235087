"""Ticks out of two series: every gap and every doubt has its flag, nothing else is changed. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from carbonshift.common.events import GridTick, Issue, Quality
from carbonshift.ingest.cleaning.frame import Frame
from carbonshift.ingest.cleaning.gaps import NEVER, QUALITIES, Column, filled
from carbonshift.ingest.cleaning.integrity import DAY_SECONDS, Findings, Latch, Pair, inspect
from carbonshift.ingest.cleaning.series import Flags, Series, Values, joined

__all__ = ["Clean", "Cleaner", "Patience", "clean"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long something may stand in for a value."""

    hold_seconds: float
    """The last value for what has not come."""
    interpolate_seconds: float
    """A straight line between two observed values."""

    def steps(self, interval_seconds: int, signal_seconds: int) -> tuple[int, int]:
        """Both in whole intervals of the ticks, for a signal that tells something new every `signal_seconds`.

        One that has longer intervals than the ticks is held for one of its own besides: until then nothing new could
        have come. A line reaches no further back than a `Cleaner` remembers.
        """
        own = signal_seconds if signal_seconds > interval_seconds else 0
        longest = min(self.interpolate_seconds, DAY_SECONDS // 2)
        return int((self.hold_seconds + own) // interval_seconds), int(longest // interval_seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clean:
    """A stretch of one grid, judged; n intervals from `start`."""

    frame: Frame
    start: datetime
    price: Column
    carbon: Column
    found: dict[Issue, Flags]

    def tick(
        self, number: int, observed_at: datetime | None = None, *, known: int = NEVER, revision: int = 0
    ) -> GridTick:
        """The tick of interval `number` as it can be told once the value at position `known` is there.

        Without `observed_at` the source was read as the interval began, as a replay has it.
        """
        frame = self.frame
        price, price_quality, price_stale = _told(self.price, number, known)
        carbon, carbon_quality, carbon_stale = _told(self.carbon, number, known)
        issues = [issue for issue, where in self.found.items() if where[number]]
        issues += [Issue.PRICE_STALE] * price_stale + [Issue.CARBON_STALE] * carbon_stale
        moment = self.start + timedelta(seconds=frame.interval_seconds * number)
        return GridTick(
            region=frame.region,
            interval_start=moment,
            interval_seconds=frame.interval_seconds,
            revision=revision,
            price_usd_per_mwh=price,
            carbon_g_per_kwh=carbon,
            carbon_basis=frame.carbon_basis,
            price_quality=price_quality,
            carbon_quality=carbon_quality,
            price_market=frame.price_market,
            price_source=frame.price_source,
            carbon_source=frame.carbon_source,
            observed_at=observed_at or moment,
            issues=tuple(sorted(issues)),
            replay=frame.replay,
        )


def _told(column: Column, number: int, known: int) -> tuple[float | None, Quality, bool]:
    closed = column.closed_at[number] <= known and column.closed_at[number] != NEVER
    value = float((column.final if closed else column.first)[number])
    quality = QUALITIES[(column.final_quality if closed else column.first_quality)[number]]
    return None if quality is Quality.MISSING else value, quality, bool(column.stale[number]) and not closed


def clean(
    frame: Frame,
    patience: Patience,
    start: datetime,
    price: Series,
    carbon: Series,
    price_witness: Values | None = None,
    carbon_witness: Values | None = None,
) -> Clean:
    """The n intervals from `start`, judged by themselves alone.

    Args:
        frame: what they have in common.
        patience: how long something may stand in.
        start: UTC, of the first interval.
        price: n values, USD/MWh.
        carbon: n values, g/kWh.
        price_witness: what a second provider says, shape (n,); None = nobody was asked.
        carbon_witness: likewise.
    """
    findings = inspect(_pair(frame, price, carbon, price_witness, carbon_witness))
    return _judged(frame, patience, start, price, carbon, findings.found)


def _pair(
    frame: Frame,
    price: Series,
    carbon: Series,
    price_witness: Values | None = None,
    carbon_witness: Values | None = None,
) -> Pair:
    return Pair(
        interval_seconds=frame.interval_seconds,
        price=price.values,
        price_seconds=frame.price_seconds,
        price_market=frame.price_market,
        carbon=carbon.values,
        carbon_seconds=frame.carbon_seconds,
        carbon_basis=frame.carbon_basis,
        price_witness=price_witness,
        carbon_witness=carbon_witness,
    )


def _judged(
    frame: Frame, patience: Patience, start: datetime, price: Series, carbon: Series, found: dict[Issue, Flags]
) -> Clean:
    def column(series: Series, signal: str) -> Column:
        other = "carbon_" if signal == "price_" else "price_"
        seconds = frame.price_seconds if signal == "price_" else frame.carbon_seconds
        hold_steps, longest_gap = patience.steps(frame.interval_seconds, seconds)
        doubts = [where for issue, where in found.items() if not issue.startswith(other)]
        beyond = found[Issue(f"{signal}out_of_range")]
        believable = Series(np.where(beyond, np.nan, series.values), series.estimated)
        column = filled(believable, ~np.logical_or.reduce(doubts), hold_steps, longest_gap)
        return replace(column, stale=column.stale & ~beyond)  # something came, if nothing to believe

    return Clean(frame=frame, start=start, price=column(price, "price_"), carbon=column(carbon, "carbon_"), found=found)


class Cleaner:
    """Cleans a long stretch block by block: one day is remembered, so memory does not grow with it.

    Told is what a live run would have told: an interval as it can be told when it has passed, and the intervals of a
    gap again, as the next revision, once its end is there.
    """

    def __init__(self, frame: Frame, patience: Patience, start: datetime) -> None:
        """Begin with the interval at `start`."""
        self._frame = frame
        self._patience = patience
        self._start = start
        nothing = Series(np.empty(0), np.empty(0, dtype=np.bool_))
        self._price, self._carbon = nothing, nothing
        self._found: dict[Issue, Flags] = {}
        self._price_latch: Latch | None = None
        self._carbon_latch: Latch | None = None

    def judge(self, price: Series, carbon: Series) -> tuple[Clean, int]:
        """The next n > 0 intervals, behind those that are remembered; and where they begin."""
        begin = len(self._price)
        price, carbon = joined(self._price, price), joined(self._carbon, carbon)
        findings = inspect(_pair(self._frame, price, carbon), begin, self._price_latch, self._carbon_latch)
        found = self._stitched(findings, begin)
        judged = _judged(self._frame, self._patience, self._start, price, carbon, found)
        kept = slice(max(0, len(price) - DAY_SECONDS // self._frame.interval_seconds), None)
        self._start += timedelta(seconds=self._frame.interval_seconds * kept.start)
        self._price, self._carbon = price[kept], carbon[kept]
        self._found = {issue: where[kept] for issue, where in found.items()}
        self._price_latch, self._carbon_latch = findings.price_latch, findings.carbon_latch
        return judged, begin

    def ticks(self, price: Series, carbon: Series) -> Iterator[GridTick]:
        """The ticks of the next n > 0 intervals in the order of their telling, revisions of earlier ones among them."""
        judged, begin = self.judge(price, carbon)
        closings: dict[int, set[int]] = {}
        for column in (judged.price, judged.carbon):
            for place in np.flatnonzero((column.closed_at != NEVER) & (column.closed_at >= begin)).tolist():
                closings.setdefault(int(column.closed_at[place]), set()).add(place)
        for number in range(begin, begin + len(price)):
            for at in sorted(closings.get(number, ())):
                earlier = {int(judged.price.closed_at[at]), int(judged.carbon.closed_at[at])} - {NEVER}
                revision = sum(closed <= number for closed in earlier)
                yield judged.tick(at, known=number, revision=revision)
            yield judged.tick(number, known=number)

    def _stitched(self, findings: Findings, begin: int) -> dict[Issue, Flags]:
        """What was found before stays as it was found: a shorter look back would see less."""
        if not begin:
            return findings.found
        return {
            issue: np.concatenate((self._found.get(issue, np.zeros(begin, dtype=np.bool_)), where[begin:]))
            for issue, where in findings.found.items()
        }
