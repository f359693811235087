"""What a fleet's run took, out of nothing but its telemetry and the ticks. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from carbonshift.common.accounting import Usage
from carbonshift.common.events import GridTick, RunState, WorkerTelemetry

__all__ = ["usage_by_device"]


def usage_by_device(telemetry: Iterable[WorkerTelemetry], ticks: Sequence[GridTick]) -> dict[tuple[str, str], Usage]:
    """The usage of each (worker, device) from its first telemetry to its last.

    Between two messages the energy is spread evenly over the event time, so that each interval's part has its price.

    Args:
        telemetry: in the order heard; energy counts up from its account's beginning, work from each worker's start.
        ticks: of the region, rising in time, covering the telemetry.
    """
    usages: dict[tuple[str, str], Usage] = {}
    before: dict[tuple[str, str], WorkerTelemetry] = {}
    starts = [tick.interval_start for tick in ticks]
    for now in telemetry:
        key = (now.worker, now.device_uuid)
        if key in before:
            usages[key] = sum(_spans(before[key], now, ticks, starts), start=usages[key])
        else:
            usages[key] = Usage()
        before[key] = now
    return usages


def _spans(
    then: WorkerTelemetry, now: WorkerTelemetry, ticks: Sequence[GridTick], starts: list[datetime]
) -> Iterator[Usage]:
    """The usage between two messages, a piece for each interval they touch."""
    same = now.account.since == then.account.since
    energy_j = max(0.0, now.energy_j - then.energy_j) if same else now.energy_j
    restarted = now.work_seconds < then.work_seconds
    work_seconds = now.work_seconds if restarted else now.work_seconds - then.work_seconds
    seconds = (now.observed_at - then.observed_at).total_seconds()
    if seconds <= 0:
        return
    at = then.observed_at
    index = max(bisect_right(starts, at) - 1, 0)
    while at < now.observed_at:
        last = index + 1 >= len(ticks)
        until = now.observed_at if last else min(now.observed_at, starts[index + 1])
        part = (until - at).total_seconds() / seconds
        yield Usage.of(
            seconds=seconds * part,
            energy_j=energy_j * part,
            work_seconds=work_seconds * part,
            parked=then.run_state is not RunState.RUNNING,
            price_usd_per_mwh=ticks[index].sound_price_usd_per_mwh,
            carbon_g_per_kwh=ticks[index].sound_carbon_g_per_kwh,
        )
        at, index = until, index + 1
