"""How long a year of 5-minute intervals takes through Eco-Pulse at once, beside the event-by-event machine.

    python benchmarks/eco_pulse_year.py [TAPE ...]

A synthetic year, then each tape as it lies there. The machine decides a part with a full window in the same run, and
the states of that part are compared: the figures are of the same work.
"""

import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from carbonshift.backtest.eco_pulses import PULSES, EcoPulses, Heard, eco_pulses
from carbonshift.common.events import CarbonBasis, GridState, GridTick, PriceMarket, Quality
from carbonshift.common.tape import Tape, open_tape
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policies.eco_pulse import EcoPulse
from carbonshift.decide.settings import DecideSettings
from carbonshift.ingest.bundled import find_tape

YEAR_INTERVALS = 105_120
STEP_SECONDS = 300
ROUNDS = 7
PART_INTERVALS = 4_000
"""Of the machine, after as many as fill its window."""
SPIKES = 0.01
SETTINGS = DecideSettings()


def synthetic_year() -> Heard:
    """Two peaks a day, a solar valley that deepens in summer, noise, rare spikes, an hour missing here and there."""
    random, number = np.random.default_rng(0), np.arange(YEAR_INTERVALS)
    day, year = number / 288 * 2 * np.pi, number / YEAR_INTERVALS * 2 * np.pi
    noise = random.normal(0, 4, (2, YEAR_INTERVALS))
    prices = 35 - 15 * np.cos(2 * day + 0.6) - 10 * (1 - np.cos(year)) * np.clip(-np.cos(day), 0, None) + noise[0]
    spikes = random.exponential(80, YEAR_INTERVALS) * (random.random(YEAR_INTERVALS) < SPIKES)
    prices = np.round(prices + spikes, 2)
    carbon = np.round(np.clip(320 + 90 * np.cos(day) + 40 * np.cos(year) + 3 * noise[1], 0, None))
    for signal in (prices, carbon):
        for gap in random.integers(0, YEAR_INTERVALS, 50):
            signal[gap : gap + 12] = np.nan
    start = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
    return _told(start + STEP_SECONDS * number, prices, carbon)


def of_tape(tape: Tape) -> Heard:
    """Its rows, as if each were observed."""
    rows = [(row.interval_start.timestamp(), row.price_usd_per_mwh, row.carbon_g_per_kwh) for row in tape.rows()]
    starts, prices, carbon = np.array(rows, dtype=np.float64).T
    return _told(starts.astype(np.int64), prices, carbon)


def by_the_machine(heard: Heard, step_seconds: int) -> tuple[list[GridState], float]:
    """The states of the first part, and the seconds that each took once the window was full."""
    fill = min(int(SETTINGS.window_seconds) // step_seconds, heard.starts.size // 2)
    ticks = [_tick(heard, at, step_seconds) for at in range(min(fill + PART_INTERVALS, heard.starts.size))]
    memory, policy, states, began = RegionMemory(), EcoPulse(SETTINGS), [], 0.0
    for number, tick in enumerate(ticks):
        if number == fill:
            began = time.perf_counter()
        memory, _, state = step(memory, tick, policy, SETTINGS)
        states += [state] if state else []
    return states, (time.perf_counter() - began) / (len(ticks) - fill)


def measured(heard: Heard, step_seconds: int) -> str:
    """One line."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        pulses = eco_pulses(heard, SETTINGS)
        seconds.append(time.perf_counter() - began)
    states, machine_seconds = by_the_machine(heard, step_seconds)
    if not _same(pulses, states):
        raise SystemExit("the states differ: the figures would mean nothing")
    count, median = heard.starts.size, statistics.median(seconds)
    return (
        f"{count} intervals in {median:.3f} s ({min(seconds):.3f} to {max(seconds):.3f}), "
        f"{median / count * 1e6:.2f} us each; the machine {machine_seconds * 1e6:.0f} us each, "
        f"{machine_seconds * count / median:.0f} times as long; {len(states)} states compared, all alike"
    )


def _told(starts: np.ndarray, prices: np.ndarray, carbon: np.ndarray) -> Heard:
    nothing = np.zeros(starts.size, dtype=np.bool_)
    return Heard(
        starts=starts,
        interval_seconds=300,
        prices_usd_per_mwh=prices,
        carbon_g_per_kwh=carbon,
        held=nothing,
        doubted=nothing,
    )


def _tick(heard: Heard, at: int, step_seconds: int) -> GridTick:
    start = datetime.fromtimestamp(int(heard.starts[at]), UTC)
    price, carbon = (
        None if np.isnan(values[at]) else float(values[at])
        for values in (heard.prices_usd_per_mwh, heard.carbon_g_per_kwh)
    )
    return GridTick(
        region="bench",
        interval_start=start,
        interval_seconds=step_seconds,
        price_usd_per_mwh=price,
        carbon_g_per_kwh=carbon,
        carbon_basis=CarbonBasis.MARGINAL,
        price_quality=Quality.MISSING if price is None else Quality.OBSERVED,
        carbon_quality=Quality.MISSING if carbon is None else Quality.OBSERVED,
        price_market=PriceMarket.REAL_TIME,
        price_source="bench",
        carbon_source="bench",
        observed_at=start,
    )


def _same(pulses: EcoPulses, states: list[GridState]) -> bool:
    return all(
        (PULSES[pulses.state[at]], pulses.run[at], pulses.power_limit_w[at], pulses.epoch[at], pulses.since[at])
        == (state.state, state.run, state.power_limit_w, state.epoch, state.since.timestamp())
        and (state.score is None or state.score == pulses.score[at])
        for at, state in enumerate(states)
    )


def main() -> None:
    """Print one line a year."""
    print(f"synthetic: {measured(synthetic_year(), STEP_SECONDS)}")
    for name in sys.argv[1:]:
        tape = open_tape(find_tape(Path(name)))
        print(f"{tape.path.name}: {measured(of_tape(tape), tape.step_seconds)}")


if __name__ == "__main__":
    main()
