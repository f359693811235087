"""`carbonshift record`: the ticks heard on the broker, written to a tape."""

import asyncio
import contextlib
import csv
import signal
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from nats.aio.msg import Msg

from carbonshift.cli.options import WaitFlag, console, reached_broker
from carbonshift.common.client import bare_client
from carbonshift.common.errors import InputError
from carbonshift.common.events import GridTick
from carbonshift.common.settings import Settings
from carbonshift.common.streams import declare_streams
from carbonshift.common.tape import Sidecar, TapeRow, can_write, sidecar_path, write_tape

__all__ = ["record"]


def record(
    *,
    out: Annotated[Path, typer.Option(help="The tape to write: .csv, .csv.gz or .parquet; it must not exist yet.")],
    region: Annotated[str | None, typer.Option(help="Which region; the first one heard without it.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="End after so many intervals.")] = None,
    wait: WaitFlag = False,
) -> None:
    """Write the ticks heard from now on to a tape, until Ctrl-C; a correction replaces its interval."""
    can_write(out)
    for file in (out, sidecar_path(out), _Heard.journal(out)):
        if file.exists():
            raise InputError(f"{file} is there already", "name another file, or move that one away")
    settings = Settings.load()
    with reached_broker(settings, wait=wait) as url:
        heard = asyncio.run(_listen(settings.model_copy(update={"nats_url": url}), _Heard(region=region), out, count))
    if not heard.ticks:
        console.print("no tick was heard: no tape is written")
        raise typer.Exit(1)
    first = next(iter(heard.ticks.values()))
    rows = [_row(tick) for _, tick in sorted(heard.ticks.items())]
    sidecar = Sidecar(
        region=first.region,
        step_seconds=first.interval_seconds,
        carbon_basis=first.carbon_basis,
        price_market=first.price_market,
    )
    write_tape(out, rows, sidecar)
    heard.journal(out).unlink(missing_ok=True)
    others = f"; {heard.others} ticks of other regions or replays left out" if heard.others else ""
    console.print(f"{len(rows)} intervals of {first.region} written to {out}{others}")


def _row(tick: GridTick) -> TapeRow:
    """What a source said of the interval; what only stood in for it is no record."""
    return TapeRow(
        tick.interval_start,
        tick.price_usd_per_mwh if tick.price_quality.is_told else None,
        tick.carbon_g_per_kwh if tick.carbon_quality.is_told else None,
    )


@dataclass(slots=True)
class _Heard:
    """The newest revision of every interval of one region and one run."""

    region: str | None
    run: str | None = None
    ticks: dict[datetime, GridTick] = field(default_factory=dict)
    others: int = 0

    def take(self, tick: GridTick) -> bool:
        """True where the tick belongs to the tape."""
        run = tick.replay.run if tick.replay else ""
        if not self.ticks and self.region in {None, tick.region}:
            self.region, self.run = tick.region, run
        if (tick.region, run) != (self.region, self.run):
            self.others += 1
            return False
        known = self.ticks.get(tick.interval_start)
        if known is None or tick.revision >= known.revision:
            self.ticks[tick.interval_start] = tick
        return True

    @staticmethod
    def journal(out: Path) -> Path:
        """Every tick in the order heard: what is left when the recording is killed."""
        return out.with_name(out.name + ".journal.csv")


async def _listen(settings: Settings, heard: _Heard, out: Path, count: int | None) -> _Heard:
    await declare_streams(settings)
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, done.set)
    try:
        file = heard.journal(out).open("w", newline="", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{out}: {error.strerror}", "name a folder that can be written to") from error
    with file:
        journal = csv.writer(file)
        journal.writerow(("time_utc", "price_usd_per_mwh", "carbon_g_per_kwh", "revision"))

        async def on_tick(message: Msg) -> None:
            try:
                tick = GridTick.model_validate_json(message.data)
            except ValueError:
                heard.others += 1
                return
            if heard.take(tick):
                row = _row(tick)
                journal.writerow((row.interval_start, row.price_usd_per_mwh, row.carbon_g_per_kwh, tick.revision))
                file.flush()
            if count is not None and len(heard.ticks) >= count:
                done.set()

        async with bare_client(settings) as client:
            await client.subscribe(GridTick.subjects(settings.subject_prefix), cb=on_tick)
            await client.flush()
            console.print(f"recording to {out}; Ctrl-C ends it")
            await done.wait()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(ValueError):
            loop.remove_signal_handler(number)
    return heard
