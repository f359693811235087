"""What one board's energy has cost: fed by its meter, told as events, kept over restarts."""

import asyncio
import time
from collections.abc import Sequence
from datetime import datetime

from carbonshift.common.events import Account, EnergyBasis, EnergyShare, EnergyUse, Quality, Replay
from carbonshift.gpu_worker.account_file import AccountFile, SavedAccount
from carbonshift.gpu_worker.books import Books
from carbonshift.gpu_worker.ledger import Ledger, Line
from carbonshift.gpu_worker.meter import Meter
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.sums import Drawn, Sums

__all__ = ["BoardAccount", "account_of"]

RESIDUE = 1e-6
"""In J or g: sums are corrected by subtraction, whose rounding is smaller."""
SAVE_SECONDS = 5.0
"""At least between two saves: what a kill may move from a job to nobody, where the board counts its energy; else what
it may lose."""
SAVE_SHARE = 0.0002
"""Of the time may be spent on saving: a day of lines a minute long is saved less often."""


def account_of(sums: Sums, since: datetime, basis: EnergyBasis) -> Account:
    """`sums` as they are published; what subtraction has left of nothing is nothing."""
    return Account(
        since=since,
        error_j=_left(sums.error_j) if _integrates(basis) else None,
        parked_j=_left(sums.parked_j),
        cost_usd=sums.cost_usd,
        marginal_carbon_g=_left(sums.marginal_carbon_g),
        average_carbon_g=_left(sums.average_carbon_g),
        unpriced_j=_left(sums.unpriced_j),
        uncounted_j=_left(sums.uncounted_j),
        stand_in_j=_left(sums.stand_in_j),
    )


class BoardAccount:
    """Of the board `uuid`, in the books of its host. Not for concurrent use: its worker holds a lock."""

    def __init__(self, settings: GpuWorkerSettings, books: Books, uuid: str) -> None:
        self._settings, self._books, self._uuid = settings, books, uuid
        self._file = AccountFile(settings.state_dir / "energy", uuid)
        self._save_due_seconds = 0.0
        self._telling: list[Line] = []

    async def load(self, now: datetime) -> tuple[datetime, float | None] | None:
        """Go on with what an earlier run has saved: when that was, and what the counter showed; None without one."""
        saved = await asyncio.to_thread(self._file.load)
        if saved is None:
            return None
        here = saved.region == self._settings.region  # else the ticks to come are not of what was drawn before
        self._ledger(None, saved.since).resume(saved.total, saved.jobs, saved.lines if here else ())
        return min(saved.at, now), saved.counter_j

    def count(
        self, before: Meter, meter: Meter, jobs: Sequence[str], basis: EnergyBasis, *, parked: bool, run: str | None
    ) -> None:
        """Count what the meter has counted since `before`, for `jobs`."""
        energy_j = meter.energy_j - before.energy_j
        drawn = Drawn(
            seconds=(meter.at - before.at).total_seconds(),
            energy_j=energy_j,
            parked_j=energy_j if parked else 0.0,
            error_j=meter.error_j - before.error_j,
        )
        self._ledger(run, before.at).add(before.at, meter.at, drawn, jobs, basis)

    def total(self, now: datetime, basis: EnergyBasis, run: str | None) -> tuple[float, Account]:
        """Energy in J of all that was counted in live time, or in a replay, and what it cost."""
        ledger = self._ledger(run, now)
        return max(0.0, ledger.total.energy_j), account_of(ledger.total, ledger.since, basis)

    def job(self, job: str, run: str | None) -> tuple[float, EnergyBasis | None, Account | None]:
        """The same of one job, on all boards of the host; None before anything was counted."""
        sums, basis, since = self._books.job(job, run)
        if since is None or basis is None:
            return 0.0, None, None
        return max(0.0, sums.energy_j), basis, account_of(sums, since, basis)

    def settled(self, now: datetime, replay: Replay | None) -> list[EnergyUse]:
        """What of it can be told now for good; again after a restart where it may not have been stored yet."""
        run = replay.run if replay else None
        ledger = self._ledger(run, now)
        ledger.told(self._telling, now)
        self._telling = ledger.due(now)
        self._books.forget(run, now)
        return [self._use(line, replay) for line in self._telling]

    async def save(self, meter: Meter, counter_j: float | None, *, at_once: bool = False) -> None:
        """Keep the live account as of `meter` on disk, every few seconds."""
        if time.monotonic() < self._save_due_seconds and not at_once:
            return
        began_seconds = time.monotonic()
        ledger = self._ledger(None, meter.at)
        account = SavedAccount(
            region=self._settings.region,
            since=ledger.since,
            at=meter.at,
            counter_j=counter_j,
            total=ledger.total,
            jobs=dict(ledger.jobs),
            lines=tuple(ledger.lines.values()),
        )
        await asyncio.to_thread(self._file.save, account)
        ended_seconds = time.monotonic()
        self._save_due_seconds = ended_seconds + max(SAVE_SECONDS, (ended_seconds - began_seconds) / SAVE_SHARE)

    def _ledger(self, run: str | None, since: datetime) -> Ledger:
        return self._books.begin(self._uuid, run, since)

    def _use(self, line: Line, replay: Replay | None) -> EnergyUse:
        settings, rate = self._settings, line.rate
        sums = Sums.of(line.drawn, rate)
        priced = rate is not None and rate.price_usd_per_mwh is not None
        counted = rate is not None and rate.carbon_g_per_kwh is not None
        return EnergyUse(
            worker=settings.worker,
            site=settings.site,
            region=settings.region,
            device_uuid=self._uuid,
            interval_start=line.start,
            interval_seconds=max(1, round((line.end - line.start).total_seconds())),
            revision=rate.revision if rate else None,
            metered_seconds=line.drawn.seconds,
            energy_j=line.drawn.energy_j,
            energy_basis=line.basis,
            error_j=line.drawn.error_j if _integrates(line.basis) else None,
            parked_j=line.drawn.parked_j,
            shares=tuple(
                EnergyShare(job=job, energy_j=part.energy_j, parked_j=part.parked_j) for job, part in line.jobs.items()
            ),
            price_usd_per_mwh=rate.price_usd_per_mwh if rate else None,
            price_quality=rate.price_quality if rate else Quality.MISSING,
            cost_usd=sums.cost_usd if priced else None,
            carbon_g_per_kwh=rate.carbon_g_per_kwh if rate else None,
            carbon_basis=rate.carbon_basis if rate else None,
            carbon_quality=rate.carbon_quality if rate else Quality.MISSING,
            carbon_g=sums.marginal_carbon_g + sums.average_carbon_g if counted else None,
            replay=replay,
        )


def _left(value: float) -> float:
    return value if value > RESIDUE else 0.0


def _integrates(basis: EnergyBasis) -> bool:
    """Whether there is a bound to what integration may be off by: a counter's is 0, a model has none."""
    return basis in (EnergyBasis.MEASURED, EnergyBasis.INTEGRATED)
