"""The fact sheets of transitions drawn from a tape, as explain would draw them up. Pure but for reading the tape."""

import itertools
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from carbonshift.backtest.recorded import Recorded
from carbonshift.common.energy_basis import EnergyBasis
from carbonshift.common.events import DayAheadPrices, GridForecast, GridTick, GridTransition, Pulse
from carbonshift.common.plugins import load_plugin
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.regional import Regional
from carbonshift.decide.settings import DecideSettings
from carbonshift.explain.expected import Expected, expected_change
from carbonshift.explain.facts import FactSheet, Surroundings, fact_sheet
from carbonshift.explain.fleet import FleetAnswer
from carbonshift.forecast.errors import NoSignalError
from carbonshift.forecast.forecaster import Forecaster, sound
from carbonshift.forecast.region import Region, history_of, remembered, told
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.forecast.told_ahead import ToldAhead

__all__ = ["BOARDS", "Case", "cases_of"]

BOARDS = 8
"""Of the modelled fleet: reference boards that all train."""
WARM = timedelta(days=14)
"""Of the tape nothing is drawn from: norms and forecasts have no past there."""
HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One transition of a tape."""

    tape: str
    transition: GridTransition
    sheet: FactSheet
    expected: Expected | None
    changed_at: datetime | None
    """When the state did change next; None where the tape ends before."""
    became: Pulse | None


def cases_of(
    recording: Recorded, decide: DecideSettings, forecast: ForecastSettings, count: int, seed: int
) -> list[Case]:
    """So many transitions of the tape, chosen at random and in their order; all there are where it has fewer."""
    heard = tuple(recording.heard())
    transitions = _transitions(heard, decide)
    first = recording.first + WARM
    late = [at for at, (_, transition, _) in enumerate(transitions) if transition.state.since >= first]
    chosen = sorted(random.Random(seed).sample(late, min(count, len(late))))  # noqa: S311  no secret is made of it
    drawn = {transitions[at][0]: transitions[at][1:] for at in chosen}
    forecasts = _forecasts(heard, frozenset(drawn), forecast)
    zone = ZoneInfo(recording.tape.sidecar.time_zone)
    after = {index: following for (index, *_), (_, following, _) in itertools.pairwise(transitions) if index in drawn}
    expected = {index: expected_change(drawn[index][0], forecasts.get(index)) for index in drawn}
    return [
        Case(
            tape=recording.name,
            transition=transition,
            expected=expected[index],
            changed_at=after[index].state.since if index in after else None,
            became=after[index].state.state if index in after else None,
            sheet=fact_sheet(
                transition,
                Surroundings(
                    expected=expected[index],
                    fleet=_fleet(transition),
                    changes_last_hour=changes,
                ),
                zone,
            ),
        )
        for index, (transition, changes) in drawn.items()
    ]


def _transitions(
    heard: tuple[DayAheadPrices | GridTick, ...], settings: DecideSettings
) -> list[tuple[int, GridTransition, int]]:
    """Each with where it stands among what is heard, and how many there were in the hour up to it."""
    regional, memory = Regional(settings), RegionMemory()
    recent: deque[GridTransition] = deque()
    found: list[tuple[int, GridTransition, int]] = []
    for at, event in enumerate(heard):
        if isinstance(event, DayAheadPrices):
            continue
        policy, own = regional.of(event.region)
        memory, transition, _ = step(memory, event, policy, own)
        if transition:
            recent.append(transition)
            while recent[0].time <= transition.time - HOUR:
                recent.popleft()
            found.append((at, transition, len(recent)))
    return found


def _forecasts(
    heard: tuple[DayAheadPrices | GridTick, ...], wanted: frozenset[int], settings: ForecastSettings
) -> dict[int, GridForecast]:
    """What the service forecasts right after each of the `wanted` ticks."""
    models: dict[str, Forecaster] = {
        name: load_plugin("carbonshift.forecasters", name)(settings) for name in settings.forecasters
    }
    region: Region | None = None
    ahead = ToldAhead()
    found: dict[int, GridForecast] = {}
    for at, event in enumerate(heard):
        if isinstance(event, DayAheadPrices):
            ahead = ahead.hear(event)
            continue
        region = remembered(region, event, settings)
        if at in wanted:
            found.update((at, forecast) for forecast in _forecast(region, ahead, models, settings))
    return found


def _forecast(
    region: Region, ahead: ToldAhead, models: dict[str, Forecaster], settings: ForecastSettings
) -> Iterator[GridForecast]:
    steps = max(1, int(settings.horizon_seconds // region.memory.step_seconds))
    history = history_of(region, ahead, steps, settings.time_zone)
    try:
        outlooks = {name: sound(model.predict(history, steps)) for name, model in models.items()}
    except NoSignalError:
        return
    yield told(region, history, outlooks, {})[1]


def _fleet(transition: GridTransition) -> FleetAnswer | None:
    """What boards of the reference curve would have made of it."""
    previous = transition.previous
    if previous is None:
        return None
    limits_w = {Pulse.GREEN: 250.0, Pulse.AMBER: 175.0}
    runs, ran = transition.state.run, previous is not Pulse.RED
    before_w, now_w = (
        RESNET18_V100.draw_w(limit_w) if runs_then else RESNET18_V100.parked_w
        for runs_then, limit_w in ((ran, limits_w.get(previous, 100.0)), (runs, transition.state.power_limit_w))
    )
    return FleetAnswer(
        before_w=BOARDS * before_w,
        now_w=BOARDS * now_w,
        basis=EnergyBasis.MODELLED.value,
        paused=BOARDS if ran and not runs else 0,
        resumed=BOARDS if runs and not ran else 0,
        tokens=0,
        tokens_w=0.0,
    )
