"""How long the planner takes for 200 starts x 3 slacks on an hourly year, beside perfect foresight in the same run.

    python benchmarks/planner_year.py [TAPE]

Without a tape a synthetic year. Hearing the year event for event, as decide does, is a part of it and shown apart.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from carbonshift.backtest.bench import Bench, StudyOptions
from carbonshift.backtest.planned import expected
from carbonshift.backtest.recorded import recorded
from carbonshift.backtest.study import starts_of
from carbonshift.common.tape import Sidecar, TapeRow, open_tape, write_tape
from carbonshift.decide.settings import DecideSettings
from carbonshift.ingest.bundled import find_tape

HOURS = 8_760
SPIKES = 0.01


def synthetic_tape(folder: Path) -> Path:
    """A year with a rhythm of the day, of the week and of the year, noise and rare spikes."""
    random, hours = np.random.default_rng(0), np.arange(HOURS)
    day, week, year = (2 * np.pi * hours / span for span in (24, 168, HOURS))
    prices = 60 - 20 * np.cos(2 * day) - 8 * np.cos(week) + 15 * np.cos(year) + random.normal(0, 8, HOURS)
    prices += random.exponential(150, HOURS) * (random.random(HOURS) < SPIKES)
    carbon = np.clip(350 + 80 * np.cos(day) + 40 * np.cos(year) + random.normal(0, 15, HOURS), 5, None)
    path, start = folder / "synthetic.csv", datetime(2026, 1, 1, tzinfo=UTC)
    rows = [
        TapeRow(start + timedelta(hours=hour), round(float(prices[hour]), 2), round(float(carbon[hour]), 1))
        for hour in range(HOURS)
    ]
    write_tape(path, rows, Sidecar(step_seconds=3_600))
    return path


def main() -> None:
    """Print one line."""
    with tempfile.TemporaryDirectory() as folder:
        path = find_tape(Path(sys.argv[1])) if len(sys.argv) > 1 else synthetic_tape(Path(folder))
        recording = recorded(open_tape(path))
    settings, options = DecideSettings(), StudyOptions(work_seconds=24 * 3_600.0)
    starts = starts_of(recording, options)
    began = time.perf_counter()
    expectations = expected(recording, settings.time_zone)
    heard = time.perf_counter()
    bench = Bench(recording, settings, options, starts, lambda *_: None, expectations)
    for _ in bench.results("planner"):
        pass
    planned = time.perf_counter()
    for _ in bench.results("oracle"):
        pass
    foreseen = time.perf_counter()
    print(
        f"{options.starts} starts x {len(options.slacks)} slacks in {planned - began:.1f} s"
        f" (hearing {heard - began:.1f} s, planning {planned - heard:.1f} s);"
        f" perfect foresight {foreseen - planned:.1f} s, {(foreseen - planned) / (planned - heard):.1f} times planning"
    )


if __name__ == "__main__":
    main()
