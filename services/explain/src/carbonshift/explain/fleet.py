"""What a fleet has made of a transition: watts, jobs and tokens, before and after. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.events import GridState, GridTransition, Replay, ResumeToken, RunState, WorkerTelemetry
from carbonshift.explain.handed_out import HandedOut

__all__ = ["Fleet", "FleetAnswer"]

BEFORE_SECONDS = 60.0
"""What was said longer before a change is no measure of it; a replay goes through that much of its time faster."""
SILENT_SECONDS = 600.0
"""A device that says nothing for so long is forgotten."""
SWEEP_SECONDS = 60.0
REMEMBERED = 8
"""Readings of a device, a second or more apart: a replay's change may be heard after what it led to."""
CHANGES = 4
"""Of a region and run: the newest is told while at most a few wait behind it."""
Group = tuple[str, str | None]
"""Region and run: None is the live grid."""
Device = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAnswer:
    """Of the devices in a region that were heard both shortly before and after."""

    before_w: float
    now_w: float
    basis: str
    """`measured`, `integrated`, `estimated` or `modelled`; `mixed` where it differs."""
    paused: int
    """Jobs that ran before on some device, wait now, and run on none."""
    resumed: int
    tokens: int
    """Handed out so far, where the state lets training run again: the epoch begins with it."""
    tokens_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One message of a device, as far as it is used here."""

    number: int
    """Of all that was heard, in the order in which it came."""
    heard_seconds: float
    at_seconds: float
    """When it was so: in a replay by the recording, else when it was heard. No two clocks are ever compared."""
    site: str
    power_w: float | None
    basis: EnergyBasis
    job: str | None
    running: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """Where the devices of a region stood as a state began."""

    number: int
    """Of the last message heard by then."""
    last: Mapping[Device, Reading]
    drew: Mapping[Device, Reading]
    """The last of which the draw is known."""


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The last messages of each device, where each stood as a state began, and the tokens of each site.

    Bounded by the number of devices that speak: who falls silent is forgotten.
    """

    _devices: dict[Group, dict[Device, deque[Reading]]] = field(default_factory=dict)
    _before: dict[Group, dict[float, Before]] = field(default_factory=dict)
    """By the start of the state."""
    _handed_out: HandedOut = field(default_factory=HandedOut)
    _number: int = 0
    _swept_seconds: float = 0.0

    def hear(self, event: WorkerTelemetry | ResumeToken | GridState, now_seconds: float) -> None:
        """Note what a worker says, a token that is handed out, or a state as it begins.

        Args:
            event: live or of a replay.
            now_seconds: when it was heard, of a clock that only goes forward.
        """
        if now_seconds - self._swept_seconds > SWEEP_SECONDS:
            self._swept_seconds = now_seconds
            self._forget(now_seconds - SILENT_SECONDS)
        if isinstance(event, ResumeToken):
            self._handed_out.hear(event, now_seconds)
        elif isinstance(event, WorkerTelemetry):
            self._read(event, now_seconds)
        elif event.since == event.interval_start:
            self._stand(event, now_seconds)

    def answer(self, transition: GridTransition) -> FleetAnswer | None:
        """What has come of `transition` so far; None where no device of its region has answered.

        On the live grid what was heard before its state was is before; where that was not heard, nobody knows. In a
        replay event times tell. Devices of another run do not answer it.
        """
        state = transition.state
        group, from_seconds = _group(transition.region, state.replay), state.interval_start.timestamp()
        if state.replay:
            self._stand(state, 0.0)  # where it was not heard: the clock on the wall tells nothing here
        before = self._before.get(group, {}).get(from_seconds)
        if before is None:
            return None
        last: dict[Device, Reading] = {}
        after: dict[Device, Reading] = {}
        draws: dict[Device, Reading] = {}
        for device, heard in self._devices.get(group, {}).items():
            last[device] = heard[-1]
            for one in heard:
                if one.at_seconds >= from_seconds if state.replay else one.number > before.number:
                    after[device] = one
                    if one.power_w is not None and device in before.drew:
                        draws[device] = one
        if not draws:
            return None
        bases = {one.basis for one in draws.values()}
        ran, runs = _jobs(before.last, running=True), _jobs(last, running=True)
        tokens = self._handed_out.of({one.site for one in draws.values()}, group[1], state)
        return FleetAnswer(
            before_w=_watts(before.drew[device] for device in draws),
            now_w=_watts(draws.values()),
            basis=next(iter(bases)).value if len(bases) == 1 else "mixed",
            paused=len(ran & _jobs(after, running=False) - runs),
            resumed=len(_jobs(after, running=True) & _jobs(before.last, running=False) - ran),
            tokens=len(tokens),
            tokens_w=sum(tokens),
        )

    def _read(self, event: WorkerTelemetry, now_seconds: float) -> None:
        self._number += 1
        devices = self._devices.setdefault(_group(event.region, event.replay), {})
        heard = devices.setdefault((event.worker, event.device_uuid), deque(maxlen=REMEMBERED))
        reading = Reading(
            number=self._number,
            heard_seconds=now_seconds,
            at_seconds=event.observed_at.timestamp() if event.replay else now_seconds,
            site=event.site,
            power_w=event.power_w,
            basis=event.energy_basis,
            job=event.job,
            running=event.run_state is RunState.RUNNING,
        )
        if heard and heard[-1].at_seconds // 1 == reading.at_seconds // 1:  # a state begins with a second
            heard.pop()
        heard.append(reading)

    def _stand(self, state: GridState, now_seconds: float) -> None:
        """Heard again, it began when it was heard first."""
        group, starts_seconds = _group(state.region, state.replay), state.interval_start.timestamp()
        of_group = self._before.setdefault(group, {})
        if starts_seconds in of_group:
            return
        until_seconds, since_seconds = now_seconds, now_seconds - BEFORE_SECONDS
        if state.replay:
            until_seconds = starts_seconds
            since_seconds = starts_seconds - BEFORE_SECONDS * max(1.0, state.replay.speed or 1.0)
        last: dict[Device, Reading] = {}
        drew: dict[Device, Reading] = {}
        for device, heard in self._devices.get(group, {}).items():
            for one in heard:
                if since_seconds <= one.at_seconds and (one.at_seconds < until_seconds or not state.replay):
                    last[device] = one
                    if one.power_w is not None:
                        drew[device] = one
        of_group[starts_seconds] = Before(number=self._number, last=last, drew=drew)
        if len(of_group) > CHANGES:
            del of_group[next(iter(of_group))]

    def _forget(self, before_seconds: float) -> None:
        self._handed_out.forget(before_seconds)
        for devices in self._devices.values():
            for device in [one for one, heard in devices.items() if heard[-1].heard_seconds < before_seconds]:
                del devices[device]
        self._devices = {group: devices for group, devices in self._devices.items() if devices}
        self._before = {group: before for group, before in self._before.items() if group in self._devices}


def _group(region: str, replay: Replay | None) -> Group:
    return region, replay.run if replay else None


def _jobs(devices: Mapping[Device, Reading], *, running: bool) -> set[str]:
    return {one.job for one in devices.values() if one.job is not None and one.running is running}


def _watts(readings: Iterable[Reading]) -> float:
    return sum(one.power_w or 0.0 for one in readings)
