"""What boards did from their starts on, interval by interval, and what it took: the account of every policy."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from carbonshift.decide.planning.choice import PARKED_MODE
from carbonshift.decide.planning.job import Device, SwitchCosts
from carbonshift.decide.planning.schedule import Schedule

__all__ = ["NOTHING", "Boards", "Runs", "Segment", "runs_of_schedules"]

Floats = NDArray[np.float64]
Numbers = NDArray[np.intp]

Segment = tuple[float, float, str, float | None, float]
"""Seconds after the start, seconds it lasts, `running` / `paused` / `switching`, power limit in W, draw in W."""

NOTHING = -2
"""What a board is told where the recording has ended: it neither draws nor works."""
DONE_SECONDS = 1e-6
"""Work that is less is rounding."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Runs:
    """One job from each of `s` starts, over `t` intervals each."""

    device: Device
    step_seconds: int
    starts: Numbers
    """Shape (s,): numbers of the tape's intervals."""
    seconds: Floats
    """Shape (s, t, 1 + modes): parked, then each mode of the device."""
    switch_seconds: Floats
    """Shape (s, t): of a pause or a resume, at `Device.switch_w`."""
    starts_running: NDArray[np.bool_]
    """Shape (s, t): whether the interval begins running: what is parked in it comes last then, else first."""

    @property
    def work_seconds(self) -> Floats:
        """Shape (s,): work done, in seconds at full speed."""
        done: Floats = (self.seconds[:, :, 1:] @ np.array(self.device.speeds)).sum(axis=1)
        return done

    @property
    def finish_seconds(self) -> Floats:
        """Shape (s,): from the start until nothing more is drawn."""
        drawn: Floats = self.seconds.sum(axis=(1, 2)) + self.switch_seconds.sum(axis=1)
        return drawn

    @property
    def parked_j(self) -> Floats:
        """Shape (s, t)."""
        parked: Floats = self.seconds[:, :, 0] * self.device.parked_w
        return parked

    @property
    def switch_j(self) -> Floats:
        """Shape (s, t)."""
        switched: Floats = self.switch_seconds * self.device.switch_w
        return switched

    @property
    def energy_j(self) -> Floats:
        """Shape (s, t): all that is drawn."""
        energy: Floats = self.seconds[:, :, 1:] @ np.array(self.device.draws_w) + self.parked_j + self.switch_j
        return energy

    @property
    def pauses(self) -> Numbers:
        """Shape (s,): how often it went from running to parked, or began parked."""
        parked = self.seconds[:, :, 0] > 0
        before = np.concatenate((np.zeros((parked.shape[0], 1), dtype=np.bool_), parked[:, :-1]), axis=1)
        begun: Numbers = (parked & (~before | self.starts_running)).sum(axis=1)
        return begun

    def until(self, seconds: float) -> "Runs":
        """What had been done so many seconds after each start."""
        count = min(int(np.ceil(seconds / self.step_seconds - 1e-9)), self.switch_seconds.shape[1])
        kept = replace(
            self,
            seconds=self.seconds[:, :count].copy(),
            switch_seconds=self.switch_seconds[:, :count].copy(),
            starts_running=self.starts_running[:, :count],
        )
        room = seconds - (count - 1) * self.step_seconds
        if count == 0 or room >= self.step_seconds:
            return kept
        first = kept.starts_running[:, -1:]  # what is parked comes last then
        parked, switch, modes = kept.seconds[:, -1, :1], kept.switch_seconds[:, -1:], kept.seconds[:, -1, 1:]
        before = np.where(first, 0.0, parked + switch) + np.cumsum(modes, axis=1) - modes
        worked = modes.sum(axis=1, keepdims=True)
        kept.seconds[:, -1, 1:] = np.clip(room - before, 0.0, modes)
        kept.seconds[:, -1, :1] = np.clip(room - np.where(first, worked + switch, 0.0), 0.0, parked)
        kept.switch_seconds[:, -1:] = np.clip(room - np.where(first, worked, parked), 0.0, switch)
        return kept

    def segments(self, run: int) -> Iterator[Segment]:
        """What the board of one run did, in order; alike neighbours are one segment."""
        at = 0.0
        last: list[float | str | None] = []
        for step in np.flatnonzero(self.seconds[run].sum(axis=1) + self.switch_seconds[run] > 0):
            for seconds, kind, limit_w, draw_w in self._within(run, int(step)):
                if seconds <= 0:
                    continue
                if last and last[2:] == [kind, limit_w, draw_w]:
                    last[1] += seconds  # type: ignore[operator]
                else:
                    if last:
                        yield tuple(last)  # type: ignore[misc]
                    last = [at, seconds, kind, limit_w, draw_w]
                at += seconds
        if last:
            yield tuple(last)  # type: ignore[misc]

    def _within(self, run: int, step: int) -> list[tuple[float, str, float | None, float]]:
        parked = (float(self.seconds[run, step, 0]), "paused", None, self.device.parked_w)
        switch = (float(self.switch_seconds[run, step]), "switching", None, self.device.switch_w)
        modes = [
            (float(self.seconds[run, step, 1 + mode]), "running", self.device.limits_w[mode], self.device.draws_w[mode])
            for mode in range(len(self.device.limits_w))
        ]
        return [*modes, switch, parked] if self.starts_running[run, step] else [parked, switch, *modes]


class Boards:
    """Boards that are told a mode for each interval, from each of several starts; all begin running."""

    def __init__(
        self, device: Device, switches: SwitchCosts, step_seconds: int, starts: Numbers, work_seconds: float
    ) -> None:
        self._device, self._switches, self._step = device, switches, step_seconds
        self._starts = starts
        self.work_seconds = np.full(starts.size, work_seconds)
        """Left to do; shape (s,)."""
        self.running = np.ones(starts.size, dtype=np.bool_)
        self._speeds = np.array(device.speeds)
        self._history: list[tuple[Floats, Floats, NDArray[np.bool_]]] = []

    @property
    def interval(self) -> int:
        """How many intervals have been done."""
        return len(self._history)

    def do(self, modes: Numbers) -> None:
        """One interval: the switch first, then the mode until its end or completion."""
        active = self.work_seconds > 0
        parks, runs = active & (modes == PARKED_MODE), active & (modes >= 0)
        switch = np.where(parks & self.running, self._switches.pause_seconds, 0.0)
        switch += np.where(runs & ~self.running, self._switches.resume_seconds, 0.0)
        speed = self._speeds[modes]
        room = self._step - switch
        ends = runs & (self.work_seconds <= room * speed * (1 + 1e-12))
        busy = np.where(ends, self.work_seconds / speed, np.where(runs, room, 0.0))
        seconds = np.zeros((self._starts.size, 1 + self._speeds.size))
        seconds[:, 0] = np.where(parks, room, 0.0)
        seconds[np.arange(self._starts.size), 1 + np.maximum(modes, 0)] += busy
        self._history.append((seconds, switch, active & self.running))
        self.work_seconds = np.where(ends, 0.0, np.where(runs, self.work_seconds - busy * speed, self.work_seconds))
        self.work_seconds[self.work_seconds < DONE_SECONDS] = 0.0
        self.running = np.where(active, runs, self.running)

    def runs(self) -> Runs:
        """What has been done so far."""
        shape = (self._starts.size, 0)
        seconds, switch, running = zip(*self._history, strict=True) if self._history else ((), (), ())
        return Runs(
            device=self._device,
            step_seconds=self._step,
            starts=self._starts,
            seconds=np.stack(seconds, axis=1) if seconds else np.zeros((*shape, 1 + self._speeds.size)),
            switch_seconds=np.stack(switch, axis=1) if switch else np.zeros(shape),
            starts_running=np.stack(running, axis=1) if running else np.zeros(shape, dtype=np.bool_),
        )


def runs_of_schedules(schedules: list[Schedule], device: Device, step_seconds: int, starts: Numbers) -> Runs:
    """The account of schedules, all of them over the same number of intervals."""
    return Runs(
        device=device,
        step_seconds=step_seconds,
        starts=starts,
        seconds=np.stack([schedule.seconds for schedule in schedules]),
        switch_seconds=np.stack([schedule.switch_seconds for schedule in schedules]),
        starts_running=np.stack([schedule.starts_running for schedule in schedules]),
    )
