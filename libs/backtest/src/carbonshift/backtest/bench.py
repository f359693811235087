"""Runs one policy after the other on the same job and the same starts; what several of them need is made once."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.board_runs import Runs, runs_of_schedules
from carbonshift.backtest.eco_pulses import eco_pulses, heard_of
from carbonshift.backtest.followed import followed_runs
from carbonshift.backtest.offline import offline_states
from carbonshift.backtest.oracle import Grid, oracle
from carbonshift.backtest.planned import Expectations, expected, planned_runs, told
from carbonshift.backtest.recorded import Recorded
from carbonshift.backtest.settle import Settled, settled
from carbonshift.common.plugins import load_plugin
from carbonshift.common.power_curve import RESNET18_V100, PowerCurve
from carbonshift.decide.planning.job import Device, Job, SwitchCosts
from carbonshift.decide.planning.margin import LEAST_MARGIN_SECONDS
from carbonshift.decide.policies.eco_pulse import EcoPulse
from carbonshift.decide.policies.planner import Planner
from carbonshift.decide.policy import JobPolicy, Policy
from carbonshift.decide.settings import DecideSettings

__all__ = ["BUILT_IN", "Bench", "Progress", "Result", "StudyOptions", "most_efficient_limit_w"]

Floats = NDArray[np.float64]
Numbers = NDArray[np.intp]
Progress = Callable[[str, float], None]

EFFICIENT = "eco-pulse-efficient"
TOLD = "planner-told"
BUILT_IN = ("run-now", "static-cap", "solar-window", "eco-pulse", EFFICIENT, "planner", TOLD, "oracle")
"""Always in this order; `eco-pulse-efficient` and `planner-told` are policies in another setting, see the README."""
NEARLY_AS_EFFICIENT = 0.01
"""Of several caps that take nearly the same energy for the same work the fastest is the most efficient one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyOptions:
    """What is asked of a study."""

    work_seconds: float
    published: PowerCurve = RESNET18_V100
    power_w: float | None = None
    """Highest power limit of the board: the published curve is scaled to it; None = as it was measured."""
    usd_per_gpu_hour: float = 0.0
    slacks: tuple[float, ...] = (0.5, 1.0, 2.0)
    """The deadlines: (1 + slack) times the work at full speed."""
    policies: tuple[str, ...] = BUILT_IN
    starts: int = 200
    seed: int = 0
    usd_per_tonne: float = 100.0
    switches: SwitchCosts = field(default_factory=SwitchCosts)
    margin_seconds: float = LEAST_MARGIN_SECONDS

    @property
    def curve(self) -> PowerCurve:
        """The board."""
        return self.published.scaled(self.power_w / self.published.limits_w[-1]) if self.power_w else self.published

    def deadline_seconds(self, slack: float) -> float:
        """From the start."""
        return self.work_seconds * (1.0 + slack)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Result:
    """One policy under one deadline."""

    runs: Runs
    settled: Settled
    lower_bound_usd: Floats | None = None
    """Of the oracle: what no schedule can cost less than; shape (s,)."""
    limit_w: float | None = None
    """Of the best static cap."""


class Bench:
    """One recording, one job, the same starts for all."""

    def __init__(
        self,
        recording: Recorded,
        settings: DecideSettings,
        options: StudyOptions,
        starts: Numbers,
        progress: Progress,
        expectations: Expectations | None = None,
    ) -> None:
        self._recording, self._settings, self._options = recording, settings, options
        self._starts, self._progress = starts, progress
        self._curve = options.curve
        self.expectations = expectations
        """Of the recording, once a planner has been run; they hold for any price of carbon."""

    def results(self, name: str) -> Iterator[tuple[float, Result]]:
        """Of one policy, for each slack."""
        if name == "oracle":
            yield from self._of_oracle()
        elif name == "run-now":
            runs = self._followed(np.full(self._recording.prices_usd_per_mwh.size, self._curve.limits_w[-1]))
            for slack in self._options.slacks:  # full power by definition, also where a state would be UNKNOWN
                yield slack, Result(runs=runs, settled=self._settled(runs, slack))
        elif name == "static-cap":
            yield from self._of_best_cap()
        elif name == TOLD:
            yield from self._of_planner(name, Planner(self._settings), told(self._recording, self._settings.time_zone))
        else:
            settings = self._efficient() if name == EFFICIENT else self._settings
            policy = load_plugin("carbonshift.policies", "eco-pulse" if name == EFFICIENT else name)(settings)
            if isinstance(policy, JobPolicy):
                if self.expectations is None:
                    self.expectations = expected(
                        self._recording, settings.time_zone, lambda share: self._progress("hearing the tape", share)
                    )
                yield from self._of_planner(name, policy, self.expectations)
            else:
                yield from self._of_states(name, policy, settings.model_copy(update={"policy": policy.name}))

    def _settled(self, runs: Runs, slack: float) -> Settled:
        options = self._options
        return settled(
            runs,
            self._recording.prices_usd_per_mwh,
            self._recording.carbon_g_per_kwh,
            work_seconds=options.work_seconds,
            deadline_seconds=options.deadline_seconds(slack),
            usd_per_tonne=options.usd_per_tonne,
            usd_per_gpu_hour=options.usd_per_gpu_hour,
        )

    def _efficient(self) -> DecideSettings:
        curve = self._curve
        share = (most_efficient_limit_w(curve) - curve.limits_w[0]) / (curve.limits_w[-1] - curve.limits_w[0])
        limit_w = RESNET18_V100.limit_at(share)
        amber_w = min(limit_w, self._settings.amber_power_limit_w)
        return self._settings.model_copy(update={"green_power_limit_w": limit_w, "amber_power_limit_w": amber_w})

    def _followed(self, limits_w: Floats) -> Runs:
        options, step = self._options, self._recording.step_seconds
        return followed_runs(limits_w, step, self._starts, options.work_seconds, self._curve, options.switches)

    def _of_states(self, name: str, policy: Policy, settings: DecideSettings) -> Iterator[tuple[float, Result]]:
        self._progress(name, 0.0)
        ticks = self._recording.ticks
        if isinstance(policy, EcoPulse) and not any(tick.revision for tick in ticks):
            pulses = eco_pulses(heard_of(ticks), settings)  # the same to the last bit, and much faster
            limits_w = np.where(pulses.run, pulses.power_limit_w, np.nan)
        else:
            states = offline_states(ticks, settings)
            limits_w = np.array([state.power_limit_w if state.run else np.nan for state in states])
        low_w, high_w = RESNET18_V100.limits_w[0], RESNET18_V100.limits_w[-1]  # what the setpoints of states are for
        fractions = np.clip((limits_w - low_w) / (high_w - low_w), 0.0, 1.0)
        runs = self._followed(
            self._curve.limits_w[0] + fractions * (self._curve.limits_w[-1] - self._curve.limits_w[0])
        )
        for slack in self._options.slacks:
            yield slack, Result(runs=runs, settled=self._settled(runs, slack))

    def _of_best_cap(self) -> Iterator[tuple[float, Result]]:
        """The one limit that costs least over all starts, of those that keep the deadline.

        Between two measured limits draw and speed are straight lines, so that one of them takes the least energy for
        the work, or else the lowest limit that keeps the deadline.
        """
        count, curve = self._recording.prices_usd_per_mwh.size, self._curve
        caps: dict[float, Runs] = {}
        for number, slack in enumerate(self._options.slacks):
            self._progress("static-cap", number / len(self._options.slacks))
            lowest_w = curve.limit_for(1.0 / (1.0 + slack))
            in_time = []
            for limit_w in sorted({lowest_w, *(limit_w for limit_w in curve.limits_w if limit_w > lowest_w)}):
                if limit_w not in caps:
                    caps[limit_w] = self._followed(np.full(count, limit_w))
                runs = caps[limit_w]
                in_time.append(Result(runs=runs, settled=self._settled(runs, slack), limit_w=limit_w))
            yield slack, min(in_time, key=lambda result: float(result.settled.total_usd.sum()))

    def _of_planner(self, name: str, policy: JobPolicy, expectations: Expectations) -> Iterator[tuple[float, Result]]:
        options = self._options
        for number, slack in enumerate(options.slacks):
            runs = planned_runs(
                policy,
                expectations,
                self._starts,
                work_seconds=options.work_seconds,
                deadline_seconds=options.deadline_seconds(slack),
                usd_per_gpu_hour=options.usd_per_gpu_hour,
                usd_per_tonne=options.usd_per_tonne,
                device=Device.of(self._curve),
                switches=options.switches,
                margin_seconds=options.margin_seconds,
                progress=partial(self._part, name, number),
            )
            yield slack, Result(runs=runs, settled=self._settled(runs, slack))

    def _part(self, name: str, number: int, share: float) -> None:
        self._progress(name, (number + share) / len(self._options.slacks))

    def _of_oracle(self) -> Iterator[tuple[float, Result]]:
        options, recording = self._options, self._recording
        grid = Grid(
            step_seconds=recording.step_seconds,
            prices_usd_per_mwh=recording.prices_usd_per_mwh,
            carbon_g_per_kwh=recording.carbon_g_per_kwh,
        )
        for number, slack in enumerate(options.slacks):
            self._progress("oracle", number / len(options.slacks))
            job = Job(
                work_seconds=options.work_seconds,
                deadline_seconds=options.deadline_seconds(slack),
                usd_per_gpu_hour=options.usd_per_gpu_hour,
            )
            best = oracle(
                grid,
                self._starts.tolist(),
                job,
                self._curve,
                usd_per_tonne=options.usd_per_tonne,
                switches=options.switches,
            )
            runs = runs_of_schedules(
                [run.schedule for run in best], Device.of(self._curve), recording.step_seconds, self._starts
            )
            yield (
                slack,
                Result(
                    runs=runs,
                    settled=self._settled(runs, slack),
                    lower_bound_usd=np.array([run.lower_bound_usd for run in best]),
                ),
            )


def most_efficient_limit_w(curve: PowerCurve) -> float:
    """The fastest of the limits that take nearly the least energy for the same work."""
    energies = {
        limit: draw / speed for limit, draw, speed in zip(curve.limits_w, curve.draws_w, curve.speeds, strict=True)
    }
    least = min(energies.values())
    return max(limit for limit, energy in energies.items() if energy <= least * (1.0 + NEARLY_AS_EFFICIENT))
