"""The ledgers of a host's boards, and the rates they share. Pure."""

from datetime import datetime

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.events import GridTick
from carbonshift.gpu_worker.ledger import KEPT, Ledger, weakest
from carbonshift.gpu_worker.rates import Rates
from carbonshift.gpu_worker.sums import Sums

__all__ = ["Books"]

RUNS_KEPT = 4
"""Replays whose rates are kept: ticks of one may come before its first state."""


class Books:
    """Live time has one ledger a board, for good; of replays each board has that of the latest one."""

    def __init__(self) -> None:
        self._rates: dict[str | None, Rates] = {None: Rates()}
        self._ledgers: dict[tuple[str, str | None], Ledger] = {}

    def hear(self, tick: GridTick) -> None:
        """Count what was drawn in the interval of `tick` at what it tells."""
        run = tick.replay.run if tick.replay else None
        if rate := self._rates_of(run).hear(tick):
            for (_, its_run), ledger in self._ledgers.items():
                if its_run == run:
                    ledger.price(rate)

    def begin(self, uuid: str, run: str | None, since: datetime) -> Ledger:
        """The ledger of a board in replay `run`, None = live; where there is none one that begins at `since`."""
        key = (uuid, run)
        if key not in self._ledgers:
            for old in [(its, other) for its, other in self._ledgers if its == uuid and other is not None]:
                del self._ledgers[old]
            self._ledgers[key] = Ledger(since, self._rates_of(run))
        return self._ledgers[key]

    def owed_since(self) -> datetime | None:
        """From when on live energy waits for its ticks; None where none does."""
        unpriced = (
            line.start
            for (_, run), ledger in self._ledgers.items()
            for line in ledger.lines.values()
            if run is None and line.rate is None
        )
        return min(unpriced, default=None)

    def job(self, job: str, run: str | None) -> tuple[Sums, EnergyBasis | None, datetime | None]:
        """What a job drew on all boards, where that comes from, and from when on it was counted."""
        ledgers = [ledger for (_, its), ledger in self._ledgers.items() if its == run and job in ledger.jobs]
        return (
            sum((ledger.jobs[job] for ledger in ledgers), start=Sums()),
            weakest(basis for ledger in ledgers if (basis := ledger.basis_of(job))),
            min((ledger.since for ledger in ledgers), default=None),
        )

    def forget(self, run: str | None, now: datetime) -> None:
        """Rates that no line needs any more."""
        self._rates_of(run).forget(now - KEPT)

    def _rates_of(self, run: str | None) -> Rates:
        if run not in self._rates:
            for old in [other for other in self._rates if other is not None][: 1 - RUNS_KEPT]:
                del self._rates[old]
            self._rates[run] = Rates()
        return self._rates[run]
