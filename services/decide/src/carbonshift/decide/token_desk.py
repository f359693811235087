"""Remembers what the devices of each site may draw and which tokens are out, for `ramp.grant`."""

from datetime import datetime, timedelta

from carbonshift.common.events import GridState, GridTick, ResumeToken, WorkerTelemetry
from carbonshift.common.events.replay import mark
from carbonshift.decide.ramp import Draw, grant
from carbonshift.decide.settings import DecideSettings

__all__ = ["SILENT_DEVICE_SECONDS", "TokenDesk"]

SILENT_DEVICE_SECONDS = 60.0
"""A device unheard of for so long no longer counts."""
HISTORIES_KEPT = 16


class TokenDesk:
    """Issues the tokens of each interval. Times of telemetry are monotonic seconds, all others event time."""

    def __init__(self, settings: DecideSettings) -> None:
        self._sites = settings.sites
        self._devices: dict[tuple[str, str, str], tuple[float, str, Draw]] = {}
        self._books: dict[tuple[str, str], tuple[datetime, list[ResumeToken]]] = {}

    def heard(self, telemetry: WorkerTelemetry, at_seconds: float) -> None:
        """A device has said what it may draw."""
        draw = Draw(allowance_w=telemetry.allowance_w, ceiling_w=telemetry.ceiling_w)
        self._devices[telemetry.site, telemetry.worker, telemetry.device_uuid] = (at_seconds, telemetry.region, draw)

    def issue(self, tick: GridTick, state: GridState, now_seconds: float) -> list[ResumeToken]:
        """The tokens of one interval, for every site with devices in its region.

        In a replay as fast as it goes there are none: nobody can keep up with it.
        """
        if state.replay and state.replay.speed is None:
            return []
        since = now_seconds - SILENT_DEVICE_SECONDS
        self._devices = {key: device for key, device in self._devices.items() if device[0] >= since}
        return [token for name in self._sites for token in self._issue(name, tick, state)]

    def _issue(self, name: str, tick: GridTick, state: GridState) -> list[ResumeToken]:
        draws = [draw for key, (_, region, draw) in self._devices.items() if key[0] == name and region == tick.region]
        if not draws:
            return []
        key = (name, mark(state.replay))
        covered_until, outstanding = self._books.pop(key, (tick.observed_at, []))
        start = max(tick.observed_at, covered_until)
        end = tick.observed_at + timedelta(seconds=tick.interval_seconds)
        issued = grant(name, self._sites[name], state, draws, outstanding, start, end)
        still_out = [token for token in outstanding if token.expires_at > start]
        self._books[key] = (max(start, end), still_out + issued)  # the newest stands last
        while len(self._books) > HISTORIES_KEPT:
            del self._books[next(iter(self._books))]
        return issued
