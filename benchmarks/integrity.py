"""What the cleaning of a tape costs, and what of it it doubts.

    python benchmarks/integrity.py [TAPE ...]

For each tape (the bundled ones where none is named): the share of intervals that each check speaks against, and the
pace of the checks and of whole ticks in ticks/s, one core. The baseline in the same run is the building of plain ticks
from the same rows with no judgement at all. Then a year of 5-minute ticks, streamed: the memory at its half and end.
"""

import resource
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket, Quality
from carbonshift.common.tape import Tape, open_tape
from carbonshift.ingest.bundled import bundled_tapes, find_tape
from carbonshift.ingest.cleaning.clean import Cleaner, Patience
from carbonshift.ingest.cleaning.frame import Frame
from carbonshift.ingest.cleaning.series import Series
from carbonshift.ingest.replay import frame_of

BLOCK = 2_016
PATIENCE = Patience(hold_seconds=900, interpolate_seconds=3_600)


def series_of(tape: Tape) -> tuple[Series, Series]:
    """Price and carbon of every interval of the tape."""
    count = (tape.last - tape.first) // timedelta(seconds=tape.step_seconds) + 1
    price, carbon = np.full(count, np.nan), np.full(count, np.nan)
    for row in tape.rows():
        at = (row.interval_start - tape.first) // timedelta(seconds=tape.step_seconds)
        price[at] = np.nan if row.price_usd_per_mwh is None else row.price_usd_per_mwh
        carbon[at] = np.nan if row.carbon_g_per_kwh is None else row.carbon_g_per_kwh
    nothing = np.zeros(count, dtype=np.bool_)
    return Series(price, nothing), Series(carbon, nothing)


def blocks(count: int) -> list[slice]:
    """The stretch in pieces of a week."""
    return [slice(at, min(at + BLOCK, count)) for at in range(0, count, BLOCK)]


def judged(tape: Tape) -> tuple[Counter[str], int, float, float, float]:
    """What was found, of how many, and the paces in ticks/s: of the checks, of cleaned ticks, of plain ticks."""
    price, carbon = series_of(tape)
    frame, count = frame_of(tape), len(price)
    found: Counter[str] = Counter()
    cleaner = Cleaner(frame, PATIENCE, tape.first)
    began = time.perf_counter()
    for part in blocks(count):
        result, begin = cleaner.judge(price[part], carbon[part])
        for issue, where in result.found.items():
            found[issue] += int(where[begin:].sum())
        found["any"] += int(np.logical_or.reduce([where[begin:] for where in result.found.values()]).sum())
    checks = count / (time.perf_counter() - began)
    cleaner = Cleaner(frame, PATIENCE, tape.first)
    began = time.perf_counter()
    for part in blocks(count):
        for _ in cleaner.ticks(price[part], carbon[part]):
            pass
    ticks = count / (time.perf_counter() - began)
    began = time.perf_counter()
    for number in range(count):
        plain(frame, tape.first + timedelta(seconds=tape.step_seconds * number), price, carbon, number)
    return found, count, checks, ticks, count / (time.perf_counter() - began)


def plain(frame: Frame, moment: datetime, price: Series, carbon: Series, number: int) -> GridTick:
    """The tick with no judgement at all."""
    return GridTick(
        region=frame.region,
        interval_start=moment,
        interval_seconds=frame.interval_seconds,
        price_usd_per_mwh=None if np.isnan(price.values[number]) else price.values[number],
        carbon_g_per_kwh=None if np.isnan(carbon.values[number]) else carbon.values[number],
        carbon_basis=frame.carbon_basis,
        price_quality=Quality.OBSERVED,
        carbon_quality=Quality.OBSERVED,
        price_market=frame.price_market,
        price_source=frame.price_source,
        carbon_source=frame.carbon_source,
        observed_at=moment,
    )


def memory_of_a_year() -> tuple[float, float]:
    """Peak MB after half a year of 5-minute ticks, and after the whole one; nothing of them is kept."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    frame = Frame(
        region="caiso",
        interval_seconds=300,
        price_seconds=300,
        carbon_seconds=300,
        carbon_basis=CarbonBasis.MARGINAL,
        price_market=PriceMarket.REAL_TIME,
        price_source="a",
        carbon_source="b",
    )
    cleaner, random, peaks = Cleaner(frame, PATIENCE, start), np.random.default_rng(0), []
    nothing = np.zeros(BLOCK, dtype=np.bool_)
    for week in range(52):
        price = 40.0 + 20.0 * np.sin(np.arange(BLOCK) / 46.0) + random.normal(0, 1, BLOCK)
        for _ in cleaner.ticks(Series(price, nothing), Series(100.0 + 5.0 * np.abs(price), nothing)):
            pass
        if week in {25, 51}:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_024)
    return peaks[0], peaks[1]


def main() -> None:
    """Print one line a tape."""
    half, whole = memory_of_a_year()
    print(f"a year of 5-minute ticks, streamed: peak {half:.1f} MB at its half, {whole:.1f} MB at its end")
    paths = [find_tape(Path(name)) for name in sys.argv[1:]] or list(bundled_tapes().values())
    for path in paths:
        found, count, checks, ticks, bare = judged(open_tape(path))
        doubts = ", ".join(f"{name} {number}" for name, number in found.most_common() if number and name != "any")
        print(
            f"{path.name}: {found['any'] / count:.2%} of {count} doubted ({doubts or 'nothing'}); "
            f"checks {checks:,.0f}/s, ticks {ticks:,.0f}/s, {ticks / bare:.2f} of plain ticks"
        )


if __name__ == "__main__":
    main()
