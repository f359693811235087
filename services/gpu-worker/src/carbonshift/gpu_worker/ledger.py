"""What one board has drawn, interval by interval and job by job, and what that cost. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.gpu_worker.rates import Rate, Rates
from carbonshift.gpu_worker.sums import Drawn, Sums

__all__ = ["KEPT", "Ledger", "Line", "weakest"]

KEPT = timedelta(hours=26)
"""How long a line can still be priced, or corrected: ticks of a whole day may come late."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STRENGTH = (EnergyBasis.MEASURED, EnergyBasis.INTEGRATED, EnergyBasis.ESTIMATED, EnergyBasis.MODELLED)


def weakest(bases: Iterable[EnergyBasis]) -> EnergyBasis | None:
    """What a sum is whose parts are of `bases`; None where there are none."""
    return max(bases, key=STRENGTH.index, default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One interval: a tick's, or a guess at one while that has not come."""

    start: datetime
    end: datetime
    until: datetime
    """Up to here it was metered."""
    basis: EnergyBasis
    drawn: Drawn = field(default_factory=Drawn)
    jobs: Mapping[str, Drawn] = field(default_factory=dict)
    """Their parts of it, each joule once."""
    rate: Rate | None = None
    told: bool = False
    """Whether it has been published as it stands."""

    def plus(self, until: datetime, drawn: Drawn, jobs: Mapping[str, Drawn], basis: EnergyBasis) -> "Line":
        """With so much more, up to `until`."""
        more = {job: self.jobs.get(job, Drawn()) + part for job, part in jobs.items()}
        return replace(
            self,
            until=max(until, self.until),
            drawn=self.drawn + drawn,
            jobs={**self.jobs, **more},
            basis=weakest((self.basis, basis)) or basis,
            told=False,
        )

    def cut(self, start: datetime, end: datetime) -> "Line":
        """What of it lies between, drawn evenly over what was metered."""
        until = max(start, min(end, self.until))
        share = (until - start) / (self.until - self.start)
        jobs = {job: part.stretch(share) for job, part in self.jobs.items()}
        return replace(self, start=start, end=end, until=until, drawn=self.drawn.stretch(share), jobs=jobs, told=False)


class Ledger:
    """Times are event time, and go forward. It begins at `since`."""

    def __init__(self, since: datetime, rates: Rates) -> None:
        self.since, self.rates = since, rates
        self.total = Sums()
        self.jobs: dict[str, Sums] = {}
        """Of each job that has drawn anything in the time kept, all that it ever did here."""
        self.lines: dict[datetime, Line] = {}
        """Of the time kept, by their starts."""

    def resume(self, total: Sums, jobs: Mapping[str, Sums], lines: Sequence[Line]) -> None:
        """Go on with what an earlier run has counted."""
        self.total, self.jobs, self.lines = total, dict(jobs), {line.start: line for line in lines}

    def add(self, since: datetime, until: datetime, drawn: Drawn, jobs: Sequence[str], basis: EnergyBasis) -> None:
        """Count `drawn` between the two, evenly, for `jobs` in equal parts."""
        whole = (until - since).total_seconds()
        if whole <= 0:
            return
        at = since
        if at < until - KEPT:
            at = until - KEPT
            past = drawn.stretch((at - since).total_seconds() / whole)  # being priced: straight into the sums
            self._sum(past, _parts(past, jobs), None)
        while at < until:
            start, end, rate = self._interval(at)
            piece = drawn.stretch((min(end, until) - at).total_seconds() / whole)
            line = self.lines.pop(start, None) or Line(start=start, end=end, until=start, basis=basis, rate=rate)
            parts = _parts(piece, jobs)
            self.lines[start] = line.plus(min(end, until), piece, parts, basis)
            self._sum(piece, parts, rate)
            at = end

    def price(self, rate: Rate) -> None:
        """Count what was drawn in the interval of `rate` at it."""
        touched = [line for line in self.lines.values() if line.start < rate.end and line.until > rate.start]
        if not touched or any(line.rate and line.rate.revision > rate.revision for line in touched):
            return
        whole = Line(start=rate.start, end=rate.end, until=rate.start, basis=touched[0].basis, rate=rate)
        for line in touched:
            self._take(line)
            if line.start < rate.start:
                self._put(line.cut(line.start, rate.start))
            if line.until > rate.end:
                self._put(line.cut(rate.end, line.end))
            within = line.cut(max(line.start, rate.start), min(line.end, rate.end))
            whole = whole.plus(within.until, within.drawn, within.jobs, within.basis)
        self._put(whole)

    def due(self, now: datetime) -> list[Line]:
        """The lines that are over and priced and not told yet, and those whose tick is not waited for any longer."""
        over = [line for line in self.lines.values() if line.end <= now and not line.told]
        return [line for line in over if line.rate or line.end <= now - KEPT]

    def told(self, lines: Sequence[Line], now: datetime) -> None:
        """`lines` have been published; what is past correction is dropped, and stays in the sums."""
        for line in lines:
            if self.lines.get(line.start) is line:
                self.lines[line.start] = replace(line, told=True)
        old = [line for line in self.lines.values() if line.end <= now - KEPT and line.told]
        for line in old:
            del self.lines[line.start]
        if old:
            here = {job for line in self.lines.values() for job in line.jobs}
            self.jobs = {job: sums for job, sums in self.jobs.items() if job in here}

    def basis_of(self, job: str) -> EnergyBasis | None:
        """Where the job's energy of the time kept comes from, the weakest there is."""
        return weakest(line.basis for line in self.lines.values() if job in line.jobs)

    def _interval(self, at: datetime) -> tuple[datetime, datetime, Rate | None]:
        """The line that `at` belongs to: its tick's interval, else one of the usual length."""
        if rate := self.rates.at(at):
            return rate.start, rate.end, rate
        for line in reversed(self.lines.values()):
            if line.start <= at < line.end:
                return line.start, line.end, line.rate
        step = self.rates.step
        ends = [EPOCH + ((at - EPOCH) // step + 1) * step, self.rates.next_start(at)]
        ends += [line.start for line in self.lines.values() if line.start > at]
        return at, min(end for end in ends if end), None

    def _put(self, line: Line) -> None:
        self.lines[line.start] = line
        self._sum(line.drawn, line.jobs, line.rate)

    def _take(self, line: Line) -> None:
        del self.lines[line.start]
        self._sum(line.drawn.part(-1.0), {job: part.part(-1.0) for job, part in line.jobs.items()}, line.rate)

    def _sum(self, drawn: Drawn, jobs: Mapping[str, Drawn], rate: Rate | None) -> None:
        self.total += Sums.of(drawn, rate)
        for job, part in jobs.items():
            self.jobs[job] = self.jobs.get(job, Sums()) + Sums.of(part, rate)


def _parts(drawn: Drawn, jobs: Sequence[str]) -> dict[str, Drawn]:
    return {job: drawn.part(1 / len(jobs)) for job in jobs}
