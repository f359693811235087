"""Tapes: recorded price and carbon of one region, as CSV, CSV.gz or Parquet, read row by row."""

import csv
import gzip
import json
import math
import os
import re
import tomllib
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import islice, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, Name, PriceMarket, rfc3339
from carbonshift.common.time_zone import TimeZone

__all__ = [
    "COLUMNS",
    "Sidecar",
    "Tape",
    "TapeError",
    "TapeRow",
    "can_write",
    "open_tape",
    "read_sidecar",
    "sidecar_path",
    "write_tape",
]

COLUMNS = ("time_utc", "price_usd_per_mwh", "carbon_g_per_kwh")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
LARGEST = 1e6
"""Beyond any price or intensity: the dearest real LMP of the tapes at hand is 8,995 USD/MWh."""
LONGEST_GAP = timedelta(days=31)
"""A row that follows later than this is taken for a mistyped one."""
ROWS_THAT_TELL_THE_STEP = 100
YEARS = range(1900, 2200)
FORMATS = ".csv, .csv.gz or .parquet"


class TapeError(InputError):
    """A tape that cannot be believed; the first argument names file, row and reason."""

    def __init__(self, path: Path, row: int | None, reason: str, remedy: str) -> None:
        super().__init__(f"{path}{'' if row is None else f', row {row}'}: {reason}", remedy)
        self.row = row
        """As an editor counts: the header is row 1. None where the whole file is meant."""

    def __reduce__(self) -> tuple[object, ...]:
        return InputError, self.args


@dataclass(frozen=True, slots=True)
class TapeRow:
    """One interval: its start in UTC, price in USD/MWh, carbon in g/kWh; None = missing."""

    interval_start: datetime
    price_usd_per_mwh: float | None
    carbon_g_per_kwh: float | None


class Sidecar(BaseModel):
    """What the file `x.toml` beside `x.csv.gz` says of a tape."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: Name = "tape"
    time_zone: TimeZone = "UTC"
    """IANA name of the market's own clock."""
    step_seconds: int | None = Field(default=None, ge=1, le=31 * 86_400)
    """Length of an interval; without it the distance of the first two rows."""
    price_step_seconds: int | None = Field(default=None, ge=1, le=31 * 86_400)
    """How long one cleared price holds; without it one step."""
    carbon_step_seconds: int | None = Field(default=None, ge=1, le=31 * 86_400)
    """How long one carbon intensity holds; without it one step."""
    currency: Literal["USD"] = "USD"
    carbon_basis: CarbonBasis = CarbonBasis.AVERAGE
    price_market: PriceMarket = PriceMarket.REAL_TIME
    day_ahead_published: time | None = None
    """Local clock time at which the next local day's prices become known."""


@dataclass(frozen=True, slots=True)
class Tape:
    """A tape that has been read once from end to end: its rows can be relied upon."""

    path: Path
    sidecar: Sidecar
    step_seconds: int
    row_count: int
    first: datetime
    last: datetime
    skipped: tuple[TapeError, ...]
    """The rows that were refused and left out, as `skip_bad` asked."""

    def rows(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[TapeRow]:
        """The good rows with start <= interval_start < end, streamed: memory does not grow with the tape."""

        def ignore(_: TapeError) -> None:
            """Reported when the tape was opened."""

        for row in _read(self.path, self.step_seconds, ignore if self.skipped else None):
            if end is not None and row.interval_start >= end:
                return
            if start is None or row.interval_start >= start:
                yield row


def open_tape(path: Path, *, skip_bad: bool = False) -> Tape:
    """Read `path` whole and check every row; nothing of it is used before that.

    Raises: TapeError at the first thing wrong; with `skip_bad` only for what spoils the whole file, and for a
        tape with no good row.
    """
    sidecar = read_sidecar(path)
    skipped: list[TapeError] = []
    on_bad = skipped.append if skip_bad else None
    step_seconds = sidecar.step_seconds or _step(path, on_bad)
    skipped.clear()
    count, first, last = 0, None, None
    for row in _read(path, step_seconds, on_bad):
        count += 1
        first = first or row.interval_start
        last = row.interval_start
    if first is None or last is None:
        raise TapeError(path, None, "no row of it can be used", "give a tape with at least one interval")
    return Tape(path, sidecar, step_seconds, count, first, last, tuple(skipped))


def can_write(path: Path) -> None:
    """Raises: TapeError where a tape cannot be written as `path`, by its name or its folder."""
    if not path.name.endswith(tuple(READERS)):
        raise TapeError(path, None, "not a tape by its name", f"a tape ends in {FORMATS}")
    if not path.parent.is_dir():
        raise TapeError(path, None, f"there is no folder {path.parent}", "make it first")


def write_tape(path: Path, rows: Iterable[TapeRow], sidecar: Sidecar) -> None:
    """Write a tape and its sidecar; `path` holds a whole tape or, until then, what it held before.

    Raises: TapeError where it cannot be written.
    """
    can_write(path)
    part = path.with_name(f".{path.name}.part{os.getpid()}")
    try:
        if path.name.endswith(".parquet"):
            _write_parquet(part, path, rows)
        else:
            opener = gzip.open if path.name.endswith(".gz") else open
            with opener(part, "wt", encoding="utf-8", newline="") as file:
                writer = csv.writer(file, lineterminator="\n")
                writer.writerow(COLUMNS)
                for row in rows:
                    writer.writerow((rfc3339(row.interval_start), row.price_usd_per_mwh, row.carbon_g_per_kwh))
        sidecar_path(path).write_text(_toml(sidecar), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise TapeError(path, None, error.strerror or str(error), "make room, or give another folder") from error
    finally:
        part.unlink(missing_ok=True)


def _toml(sidecar: Sidecar) -> str:
    """Every key that has a value; names and numbers need no more of TOML than this."""
    values = sidecar.model_dump(mode="json", exclude_none=True)
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())


def _write_parquet(part: Path, path: Path, rows: Iterable[TapeRow]) -> None:
    pa, parquet = _pyarrow(path)
    columns = list(
        zip(*((row.interval_start, row.price_usd_per_mwh, row.carbon_g_per_kwh) for row in rows), strict=True)
    )
    types = (pa.timestamp("us", tz="UTC"), pa.float64(), pa.float64())
    arrays = {name: pa.array(column, kind) for name, column, kind in zip(COLUMNS, columns, types, strict=True)}
    parquet.write_table(pa.table(arrays), part)


def read_sidecar(path: Path) -> Sidecar:
    """The sidecar of the tape `path`; the defaults where there is none.

    Raises: TapeError naming the key that does not fit.
    """
    file = sidecar_path(path)
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Sidecar()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TapeError(file, None, str(error), "write it as TOML, UTF-8") from error
    try:
        return Sidecar.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(str(part) for part in first["loc"])
        known = ", ".join(Sidecar.model_fields)
        raise TapeError(file, None, f"{key}: {first['msg']}", f"the keys are {known}") from error


def sidecar_path(path: Path) -> Path:
    """Where the sidecar of the tape `path` lies."""
    return path.with_name(re.sub(r"\.(csv|csv\.gz|parquet)$", "", path.name) + ".toml")


def _step(path: Path, on_bad: Callable[[TapeError], None] | None) -> int:
    """The commonest distance of neighbours among the first good rows, in seconds; of two as common the shorter."""
    starts = [row.interval_start for row in islice(_read(path, None, on_bad), ROWS_THAT_TELL_THE_STEP)]
    if not starts:
        raise TapeError(path, None, "no row of it can be used", "give a tape with at least one interval")
    if len(starts) == 1:
        raise TapeError(path, None, "one row does not tell the step", "put step_seconds into its sidecar")
    distances = Counter((after - before).total_seconds() for before, after in pairwise(starts))
    seconds = min(distances, key=lambda distance: (-distances[distance], distance))
    if seconds != int(seconds):
        raise TapeError(path, None, f"its rows are {seconds:g} s apart", "a step is whole seconds")
    return int(seconds)


def _read(path: Path, step_seconds: int | None, on_bad: Callable[[TapeError], None] | None) -> Iterator[TapeRow]:
    """Rows in order, each checked against the one before. A bad one goes to `on_bad`, or is raised without it."""
    previous: datetime | None = None
    for number, cells in _cells(path, on_bad):
        try:
            row = _parse(path, number, cells)
            if previous is not None:
                _follows(path, number, previous, row.interval_start, step_seconds)
        except TapeError as error:
            if on_bad is None:
                raise
            on_bad(error)
            continue
        previous = row.interval_start
        yield row


Cells = tuple[object, object, object]


def _cells(path: Path, on_bad: Callable[[TapeError], None] | None) -> Iterator[tuple[int, Cells]]:
    """Row number and the three cells, unread: text in CSV, typed values in Parquet."""
    for suffix, reader in READERS.items():
        if path.name.endswith(suffix):
            try:
                yield from reader(path, on_bad)
            except FileNotFoundError as error:
                raise TapeError(path, None, "there is no such file", "see `carbonshift recordings list`") from error
            except OSError as error:
                raise TapeError(path, None, error.strerror or str(error), "give a file that can be read") from error
            return
    raise TapeError(path, None, "not a tape by its name", f"a tape ends in {FORMATS}")


def _csv_cells(path: Path, on_bad: Callable[[TapeError], None] | None) -> Iterator[tuple[int, Cells]]:
    opener = gzip.open if path.name.endswith(".gz") else open
    row_number = 1
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            lines = csv.reader(file, strict=True)
            header = next(lines, None)
            if header is None:
                raise TapeError(path, None, "the file is empty", f"its first row must name {', '.join(COLUMNS)}")
            picked = _positions(path, [name.strip() for name in header])
            for cells in lines:
                row_number = lines.line_num
                if not cells:
                    continue  # a blank line
                if len(cells) == len(header):
                    yield row_number, (cells[picked[0]], cells[picked[1]], cells[picked[2]])
                else:
                    reason = f"{len(cells)} cells where the header has {len(header)}"
                    _refuse(
                        TapeError(path, row_number, reason, "mend the row, or leave it out with --skip-bad"), on_bad
                    )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = f"the gzip data is cut short or damaged ({error})"
        _refuse(
            TapeError(path, row_number + 1, reason, "fetch the file again, or keep the rows before it with --skip-bad"),
            on_bad,
        )
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 ({error.reason} at byte {error.start} of its block)"
        _refuse(TapeError(path, row_number + 1, reason, "save the file as UTF-8"), on_bad)
    except csv.Error as error:
        _refuse(TapeError(path, row_number + 1, f"not CSV ({error})", "mend the quotes"), on_bad)


def _pyarrow(path: Path) -> tuple[Any, Any]:
    """The library, which only whoever has Parquet tapes needs."""
    try:
        import pyarrow as pa  # noqa: PLC0415
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError as error:
        raise TapeError(path, None, "Parquet needs pyarrow", "pip install 'carbonshift-common[parquet]'") from error
    return pa, parquet


def _parquet_cells(path: Path, on_bad: Callable[[TapeError], None] | None) -> Iterator[tuple[int, Cells]]:
    pa, parquet = _pyarrow(path)
    del on_bad  # a damaged Parquet file has no row to go on from
    row_number = 1
    try:
        with parquet.ParquetFile(path) as file:
            _positions(path, file.schema_arrow.names)
            for batch in file.iter_batches(columns=list(COLUMNS), batch_size=8_192):
                columns = [batch.column(name).to_pylist() for name in COLUMNS]
                for cells in zip(*columns, strict=True):
                    row_number += 1
                    yield row_number, cells
    except pa.ArrowException as error:
        raise TapeError(path, row_number + 1, f"not Parquet, or cut short ({error})", "fetch the file again") from error


READERS = MappingProxyType({".csv": _csv_cells, ".csv.gz": _csv_cells, ".parquet": _parquet_cells})


def _refuse(error: TapeError, on_bad: Callable[[TapeError], None] | None) -> None:
    if on_bad is None:
        raise error
    on_bad(error)


def _positions(path: Path, header: Iterable[str]) -> tuple[int, int, int]:
    names = list(header)
    for column in COLUMNS:
        if names.count(column) != 1:
            found = "is missing" if column not in names else "stands there twice"
            raise TapeError(path, 1, f"column {column} {found}", f"the header must name {', '.join(COLUMNS)} once each")
    return names.index(COLUMNS[0]), names.index(COLUMNS[1]), names.index(COLUMNS[2])


def _parse(path: Path, number: int, cells: Cells) -> TapeRow:
    carbon = _number(path, number, COLUMNS[2], cells[2])
    if carbon is not None and carbon < 0:
        raise TapeError(path, number, f"{COLUMNS[2]} is {carbon:g}", "a carbon intensity is 0 or more")
    return TapeRow(_moment(path, number, cells[0]), _number(path, number, COLUMNS[1], cells[1]), carbon)


def _moment(path: Path, number: int, cell: object) -> datetime:
    remedy = "write it like 2026-01-31T23:55:00Z"
    try:
        moment = cell if isinstance(cell, datetime) else datetime.fromisoformat(str(cell).strip())
    except ValueError as error:
        raise TapeError(path, number, f"time_utc {str(cell)!r} is not a time", remedy) from error
    if moment.tzinfo is None:
        raise TapeError(path, number, f"time_utc {str(cell)!r} has no zone", remedy)
    if moment.year not in YEARS:
        raise TapeError(path, number, f"time_utc {str(cell)!r} is not of this age", remedy)
    return moment.astimezone(UTC)


def _number(path: Path, number: int, column: str, cell: object) -> float | None:
    if cell is None:
        return None
    if isinstance(cell, str):
        text = cell.strip()
        if not text:
            return None
        value = float(text) if NUMBER.fullmatch(text) else math.nan
    else:
        value = float(cell) if isinstance(cell, int | float) and not isinstance(cell, bool) else math.nan
    if not abs(value) <= LARGEST:
        remedy = "write a plain decimal number, or leave the cell empty where the value is missing"
        raise TapeError(path, number, f"{column} {str(cell)!r} is not a number that can be believed", remedy)
    return value


def _follows(path: Path, number: int, previous: datetime, start: datetime, step_seconds: int | None) -> None:
    distance = start - previous
    if distance <= timedelta(0):
        what = "stands there twice" if not distance else f"lies before the row above ({rfc3339(previous)})"
        raise TapeError(
            path, number, f"time_utc {rfc3339(start)} {what}", "sort the rows by time, one for each interval"
        )
    if distance > LONGEST_GAP:
        reason = f"time_utc {rfc3339(start)} lies {distance.days} days after the row above"
        raise TapeError(path, number, reason, "correct the time, or make two tapes of it")
    if step_seconds and distance % timedelta(seconds=step_seconds):
        reason = f"time_utc {rfc3339(start)} is off the step of {step_seconds} s after {rfc3339(previous)}"
        raise TapeError(path, number, reason, "correct the time, or step_seconds in the sidecar")
