"""A study of one recording: every policy on the same job from the same starts, and price against carbon."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from carbonshift.backtest.bench import Bench, Progress, Result, StudyOptions
from carbonshift.backtest.recorded import Recorded
from carbonshift.common.errors import InputError
from carbonshift.decide.planning.errors import UnplannableError
from carbonshift.decide.settings import DecideSettings

__all__ = ["ParetoPoint", "Study", "study"]

Numbers = NDArray[np.intp]

HOUR_SECONDS = 3_600.0
CARBON_PRICES_USD_PER_TONNE = (0.0, 50.0, 100.0, 200.0, 400.0, 1_000.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParetoPoint:
    """What a policy comes to in money and in carbon, over all starts, where it was told this price of carbon."""

    policy: str
    usd_per_tonne: float | None
    """None for those that are shown once, at the price asked for."""
    cost_usd: float
    carbon_kg: float


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Study:
    """All results of one recording."""

    recording: Recorded
    options: StudyOptions
    starts: Numbers
    """Numbers of intervals, rising; shape (s,)."""
    results: Mapping[float, Mapping[str, Result]]
    """By slack, then by policy."""
    front: tuple[ParetoPoint, ...]
    """Under the middle one of the slacks."""

    @property
    def middle_slack(self) -> float:
        """The one that stands for all where only one is shown."""
        return sorted(self.options.slacks)[len(self.options.slacks) // 2]


def starts_of(recording: Recorded, options: StudyOptions) -> Numbers:
    """Intervals to start from, drawn evenly from all that leave room for the longest deadline.

    Raises: InputError where the recording is too short for one.
    """
    longest = max(options.deadline_seconds(slack) for slack in options.slacks)
    needed = max(1, int(np.ceil(longest / recording.step_seconds - 1e-9)))
    room = recording.prices_usd_per_mwh.size - needed + 1
    if room <= 0:
        raise InputError(
            f"{recording.tape.path}: {recording.prices_usd_per_mwh.size} intervals of {recording.step_seconds} s are"
            f" too few for a deadline after {longest / HOUR_SECONDS:g} h",
            "give a longer tape, less work or less slack",
        )
    return np.sort(np.random.default_rng(options.seed).integers(0, room, options.starts)).astype(np.intp)


def study(recording: Recorded, settings: DecideSettings, options: StudyOptions, progress: Progress) -> Study:
    """Every policy of `options` on `recording`.

    Args:
        recording: the tape.
        settings: of decide, for its policies.
        options: the job and what else is asked.
        progress: told what is being done, and which share of it is.

    Raises: InputError for a policy that is not installed, a tape that is too short, or steps that nobody can plan in.
    """
    longest_switch = max(options.switches.pause_seconds, options.switches.resume_seconds)
    if recording.step_seconds < longest_switch:
        raise InputError(
            f"{recording.tape.path}: steps of {recording.step_seconds} s are shorter than a pause or a resume,"
            f" {longest_switch:g} s",
            "give a tape of longer steps",
        )
    try:
        return _study(recording, settings, options, progress)
    except UnplannableError as error:
        raise InputError(f"{recording.tape.path}: {error.problem}", error.remedy) from error


def _study(recording: Recorded, settings: DecideSettings, options: StudyOptions, progress: Progress) -> Study:
    starts = starts_of(recording, options)
    bench = Bench(recording, settings, options, starts, progress)
    names = ("run-now", "static-cap", *(name for name in options.policies if name not in {"run-now", "static-cap"}))
    results: dict[float, dict[str, Result]] = {slack: {} for slack in options.slacks}
    for name in names:
        for slack, result in bench.results(name):
            results[slack][name] = result
    done = Study(recording=recording, options=options, starts=starts, results=results, front=())
    return replace(done, front=tuple(_front(done, bench, settings, progress)))


def _front(study: Study, bench: Bench, settings: DecideSettings, progress: Progress) -> Iterator[ParetoPoint]:
    slack = study.middle_slack
    for name in ("run-now", "static-cap"):
        yield _point(name, None, study.results[slack][name])
    followers = [name for name in ("planner", "oracle") if name in study.results[slack]]
    for number, usd_per_tonne in enumerate(CARBON_PRICES_USD_PER_TONNE if followers else ()):
        options = replace(study.options, usd_per_tonne=usd_per_tonne, slacks=(slack,))
        share = number / len(CARBON_PRICES_USD_PER_TONNE)
        progress("price against carbon", share)
        again = Bench(study.recording, settings, options, study.starts, lambda *_: None, bench.expectations)
        for name in followers:
            for _, result in again.results(name):
                yield _point(name, usd_per_tonne, result)


def _point(name: str, usd_per_tonne: float | None, result: Result) -> ParetoPoint:
    return ParetoPoint(
        policy=name,
        usd_per_tonne=usd_per_tonne,
        cost_usd=float(result.settled.cost_usd.sum()),
        carbon_kg=float(result.settled.carbon_g.sum()) / 1e3,
    )
