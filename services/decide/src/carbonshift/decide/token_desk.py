"""Remembers what the devices of each site may draw, by whose order, and which tokens are out, for `ramp.grant`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from carbonshift.common.events import GridState, GridTick, PowerTarget, ResumeToken, WorkerTelemetry
from carbonshift.common.events.replay import mark
from carbonshift.decide.ramp import Draw, grant
from carbonshift.decide.settings import DecideSettings

__all__ = ["SILENT_DEVICE_SECONDS", "Heard", "TokenDesk"]

SILENT_DEVICE_SECONDS = 60.0
"""A device unheard of for so long no longer counts."""
HISTORIES_KEPT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a device has said last."""

    at_seconds: float
    region: str
    draw: Draw
    job: str | None


class TokenDesk:
    """Issues the tokens of each interval.

    Times of telemetry are monotonic seconds; those of a power target, which is about the real world, are the wall's;
    all others are event time.
    """

    def __init__(self, settings: DecideSettings) -> None:
        self._sites = settings.sites
        self._devices: dict[tuple[str, str, str], Heard] = {}
        self._targets: dict[str, PowerTarget] = {}
        self._books: dict[tuple[str, str], tuple[datetime, list[ResumeToken]]] = {}

    def heard(self, telemetry: WorkerTelemetry, at_seconds: float) -> None:
        """A device has said what it may draw."""
        self._devices[telemetry.site, telemetry.worker, telemetry.device_uuid] = Heard(
            at_seconds=at_seconds,
            region=telemetry.region,
            draw=Draw(allowance_w=telemetry.allowance_w, ceiling_w=telemetry.ceiling_w),
            job=telemetry.job,
        )

    def targeted(self, target: PowerTarget, wall: datetime) -> None:
        """Somebody has asked for a ceiling; what is over is forgotten."""
        self._targets[target.id] = target
        self._targets = {name: other for name, other in self._targets.items() if other.end > wall}

    def sites_of(self, region: str, now_seconds: float) -> dict[str, list[Heard]]:
        """The live devices in the region, by site."""
        since = now_seconds - SILENT_DEVICE_SECONDS
        self._devices = {key: device for key, device in self._devices.items() if device.at_seconds >= since}
        found: dict[str, list[Heard]] = {}
        for (site, _, _), device in self._devices.items():
            if device.region == region:
                found.setdefault(site, []).append(device)
        return found

    def issue(
        self, tick: GridTick, state: GridState, planned: Mapping[str, bool], now_seconds: float, wall: datetime
    ) -> list[ResumeToken]:
        """The tokens of one interval, for every site that has a budget and devices in the region.

        Args:
            tick: the interval.
            state: its verdict.
            planned: of each job that has a plan, whether it shall run now, whatever the state says.
            now_seconds: monotonic.
            wall: for targets.
        """
        sites = self.sites_of(tick.region, now_seconds)
        return [
            token
            for name in self._sites
            if name in sites
            for token in self._issue(name, tick, state, sites[name], planned, self._limit_w(name, wall))
        ]

    def _limit_w(self, site: str, wall: datetime) -> float | None:
        """The lowest ceiling that is asked for now."""
        limits_w = [
            target.limit_w
            for target in self._targets.values()
            if target.site == site and target.start <= wall < target.end
        ]
        return min(limits_w, default=None)

    def _issue(
        self,
        name: str,
        tick: GridTick,
        state: GridState,
        devices: list[Heard],
        planned: Mapping[str, bool],
        limit_w: float | None,
    ) -> list[ResumeToken]:
        site = self._sites[name]
        if limit_w is not None:
            site = site.model_copy(update={"budget_w": min(site.budget_w, limit_w)})
        draws = [
            device.draw
            if (planned.get(device.job, state.run) if device.job else state.run)
            else Draw(allowance_w=device.draw.allowance_w, ceiling_w=device.draw.allowance_w)
            for device in devices
        ]
        key = (name, mark(state.replay))
        covered_until, outstanding = self._books.pop(key, (tick.observed_at, []))
        start = max(tick.observed_at, covered_until)
        end = tick.observed_at + timedelta(seconds=tick.interval_seconds)
        issued = grant(name, site, state, draws, outstanding, start, end)
        still_out = [token for token in outstanding if token.expires_at > start]
        self._books[key] = (max(start, end), still_out + issued)  # the newest stands last
        while len(self._books) > HISTORIES_KEPT:
            del self._books[next(iter(self._books))]
        return issued
