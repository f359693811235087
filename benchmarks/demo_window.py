"""Where the demo's two days stand among all two-day windows of its tape, by the same setpoints and without a ramp.

    python benchmarks/demo_window.py

Every window with prices and carbon throughout, begun at the demo's hour of each day; the saving is of the bill with
carbon at $100/t, the work completed in each, parked draw counted.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import numpy as np

from carbonshift.backtest.baselines import USD_PER_TONNE, best_static_cap, run_at_limit
from carbonshift.backtest.offline import offline_states
from carbonshift.cli.commands.demo import DECIDE, LENGTH, START, TAPE
from carbonshift.common.accounting import Usage, newest_revisions
from carbonshift.common.events import GridState, GridTick
from carbonshift.common.power_curve import RESNET18_V100 as CURVE
from carbonshift.common.tape import Tape, open_tape
from carbonshift.decide.settings import DecideSettings
from carbonshift.ingest.bundled import bundled_tapes
from carbonshift.ingest.replay import frame_of, span_of, ticks_of
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.recording import RecordingSource

EVERY = timedelta(days=1)


def usage(ticks: Sequence[GridTick], states: Sequence[GridState]) -> Usage:
    """One board that follows every state at once."""
    total = Usage()
    for tick, state in zip(ticks, states, strict=True):
        seconds = float(tick.interval_seconds)
        draw_w = CURVE.draw_w(state.power_limit_w) if state.run else CURVE.parked_w
        total += Usage.of(
            seconds=seconds,
            energy_j=draw_w * seconds,
            work_seconds=CURVE.speed(state.power_limit_w) * seconds if state.run else 0.0,
            parked=not state.run,
            price_usd_per_mwh=tick.sound_price_usd_per_mwh,
            carbon_g_per_kwh=tick.sound_carbon_g_per_kwh,
        )
    return total


def usd(used: Usage) -> float:
    """Energy and carbon."""
    return used.cost_usd + used.carbon_g / 1e6 * USD_PER_TONNE


async def _told(tape: Tape) -> list[GridTick]:
    settings = IngestSettings()
    source = RecordingSource(settings, tape=tape)
    return [tick async for tick in ticks_of(source, span_of(tape), frame_of(tape), settings.patience())]


def main() -> None:
    """Print the quantiles and the demo's own place."""
    tape = open_tape(bundled_tapes()[TAPE])
    told = asyncio.run(_told(tape))
    ticks = newest_revisions(told)
    setpoints = {
        name.removeprefix("CARBONSHIFT_").lower(): float(DECIDE[name]) for name in DECIDE if "_LIMIT_W" in name
    }
    states = list(offline_states(told, DecideSettings.model_validate(setpoints)))
    length, step = LENGTH // timedelta(seconds=tape.step_seconds), EVERY // timedelta(seconds=tape.step_seconds)
    savings: dict[object, tuple[float, float]] = {}
    demo = (START - tape.first) // timedelta(seconds=tape.step_seconds)
    for first in range(demo % step + 14 * step, len(ticks) - 3 * length, step):
        window = ticks[first : first + length]
        if any(None in {tick.price_usd_per_mwh, tick.carbon_g_per_kwh} for tick in ticks[first : first + 2 * length]):
            continue
        run = usage(window, states[first : first + length])
        ahead, start = ticks[first : first + 3 * length], window[0].interval_start
        now = usd(run_at_limit(CURVE, CURVE.limits_w[-1], run.work_seconds, start, ahead).usage)
        cap = usd(best_static_cap(CURVE, [run.work_seconds], start, ahead)[0].usage)
        if run.work_seconds and min(now, cap) > 0:
            savings[start] = (1 - usd(run) / now, 1 - usd(run) / cap)
    values = np.array(list(savings.values()))
    print(f"{len(values)} windows of {LENGTH} in {TAPE}")
    for column, name in enumerate(("at once, full power", "the best static cap")):
        low, mid, high = np.quantile(values[:, column], (0.25, 0.5, 0.75))
        place = (values[:, column] <= savings[START][column]).mean()
        print(
            f"saving against {name}: quartiles {low:+.1%} {mid:+.1%} {high:+.1%}; "
            f"the demo's window {savings[START][column]:+.1%}, above {place:.0%} of them"
        )


if __name__ == "__main__":
    main()
