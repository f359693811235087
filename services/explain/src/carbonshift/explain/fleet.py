"""What a fleet has made of a transition: watts, jobs and tokens, before and after. Pure."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.events import GridTransition, ResumeToken, RunState, WorkerTelemetry

__all__ = ["Fleet", "FleetAnswer"]

REMEMBERED = 8
"""Messages of a device: it says something every few seconds, and at every change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetAnswer:
    """Of the devices in a region that were heard both before and after."""

    before_w: float
    now_w: float
    basis: str
    """`measured`, `integrated`, `estimated` or `modelled`; `mixed` where it differs."""
    paused: int
    """Jobs that ran before and wait now."""
    resumed: int
    tokens: int
    """Handed out so far, where the state lets training run again: the epoch begins with it."""
    tokens_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One message of a device, as far as it is used here."""

    at: datetime
    run: str | None
    region: str
    site: str
    power_w: float | None
    basis: EnergyBasis
    job: str | None
    running: bool


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The last messages of each device, and the last tokens of each site. Bounded by the number of devices."""

    _devices: dict[tuple[str, str], deque[Reading]] = field(default_factory=dict)
    _tokens: dict[tuple[str, str | None], dict[str, ResumeToken]] = field(default_factory=dict)
    """Of the newest epoch, by site and run."""

    def hear(self, event: WorkerTelemetry | ResumeToken) -> None:
        """Note what a worker says, or a token that is handed out."""
        if isinstance(event, ResumeToken):
            of_epoch = self._tokens.setdefault((event.site, event.replay.run if event.replay else None), {})
            if any(token.epoch < event.epoch for token in of_epoch.values()):
                of_epoch.clear()
            if not any(token.epoch > event.epoch for token in of_epoch.values()):
                of_epoch[event.id] = event
            return
        heard = self._devices.setdefault((event.worker, event.device_uuid), deque(maxlen=REMEMBERED))
        heard.append(
            Reading(
                at=event.observed_at,
                run=event.replay.run if event.replay else None,
                region=event.region,
                site=event.site,
                power_w=event.power_w,
                basis=event.energy_basis,
                job=event.job,
                running=event.run_state is RunState.RUNNING,
            )
        )

    def answer(self, transition: GridTransition, told_at: datetime) -> FleetAnswer | None:
        """What has come of `transition` so far; None where no device of its region has answered.

        Args:
            transition: live or of a replay; devices of another run do not answer it.
            told_at: when it was told, on the clock of the devices: what they said before is before.
        """
        state = transition.state
        run = state.replay.run if state.replay else None
        before: dict[tuple[str, str], Reading] = {}
        after: dict[tuple[str, str], Reading] = {}
        for device, heard in self._devices.items():
            known = [
                one for one in heard if one.region == transition.region and one.run == run and one.power_w is not None
            ]
            earlier = [one for one in known if one.at < told_at]
            later = [one for one in known if one.at >= told_at]
            if earlier and later:
                before[device], after[device] = earlier[-1], later[-1]
        if not before:
            return None
        bases = {one.basis for one in after.values()}
        ran, runs = _jobs(before, running=True), _jobs(after, running=True)
        tokens = [
            token
            for site in {one.site for one in after.values()}
            for token in self._tokens.get((site, run), {}).values()
            if token.epoch == state.epoch == int(state.interval_start.timestamp())
        ]
        return FleetAnswer(
            before_w=_watts(before.values()),
            now_w=_watts(after.values()),
            basis=next(iter(bases)).value if len(bases) == 1 else "mixed",
            paused=len(ran & _jobs(after, running=False)),
            resumed=len(runs & _jobs(before, running=False)),
            tokens=len(tokens),
            tokens_w=sum(token.watts for token in tokens),
        )


def _jobs(devices: Mapping[tuple[str, str], Reading], *, running: bool) -> set[str]:
    return {one.job for one in devices.values() if one.job is not None and one.running is running}


def _watts(readings: Iterable[Reading]) -> float:
    return sum(one.power_w or 0.0 for one in readings)
