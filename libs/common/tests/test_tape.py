"""Tapes: what is good is read in any format, and what is not is refused with file, row and reason."""

import gzip
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.common.tape import Sidecar, TapeError, TapeRow, open_tape, write_tape

HEADER = "time_utc,price_usd_per_mwh,carbon_g_per_kwh\n"
GOOD = HEADER + "2026-01-01T00:00:00Z,31.5,268\n2026-01-01T00:05:00Z,,270.25\n2026-01-01T00:10:00Z,-4e1,\n"
START = datetime(2026, 1, 1, tzinfo=UTC)


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_an_empty_cell_is_a_missing_value_and_nothing_else_is(tmp_path):
    tape = open_tape(write(tmp_path / "t.csv", GOOD))
    assert [(row.price_usd_per_mwh, row.carbon_g_per_kwh) for row in tape.rows()] == [
        (31.5, 268.0),
        (None, 270.25),
        (-40.0, None),
    ]
    assert (tape.step_seconds, tape.row_count, tape.first, tape.skipped) == (300, 3, START, ())


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@settings(max_examples=20)
@given(
    values=st.lists(
        st.tuples(st.none() | st.floats(-1e4, 1e4, allow_nan=False), st.none() | st.floats(0, 2e3, allow_nan=False)),
        min_size=2,
        max_size=30,
    )
)
def test_what_is_written_is_read_again(tmp_path_factory, suffix, values):
    path = tmp_path_factory.mktemp("tape") / f"t{suffix}"
    rows = [TapeRow(START + timedelta(seconds=300 * n), *pair) for n, pair in enumerate(values)]
    sidecar = Sidecar(region="caiso", time_zone="America/Los_Angeles", step_seconds=300)
    write_tape(path, rows, sidecar)
    tape = open_tape(path)
    assert (list(tape.rows()), tape.sidecar) == (rows, sidecar)
    assert sorted(file.name for file in path.parent.iterdir()) == sorted(["t.toml", path.name])


def test_more_columns_in_any_order_are_allowed(tmp_path):
    header = "note,carbon_g_per_kwh,time_utc,price_usd_per_mwh"
    text = f"{header}\nx,1,2026-01-01T00:00:00Z,2\ny,3,2026-01-01T01:00:00+00:00,4\n"
    tape = open_tape(write(tmp_path / "t.csv", text))
    assert [(row.price_usd_per_mwh, row.carbon_g_per_kwh) for row in tape.rows()] == [(2.0, 1.0), (4.0, 3.0)]


BAD_ROWS = {
    "not a number": ("2026-01-01T00:15:00Z,abc,1", "price_usd_per_mwh 'abc' is not a number"),
    "nan": ("2026-01-01T00:15:00Z,nan,1", "price_usd_per_mwh 'nan' is not a number"),
    "infinite": ("2026-01-01T00:15:00Z,1,inf", "carbon_g_per_kwh 'inf' is not a number"),
    "decimal comma": ('2026-01-01T00:15:00Z,"1,5",1', "price_usd_per_mwh '1,5' is not a number"),
    "negative carbon": ("2026-01-01T00:15:00Z,1,-1", "carbon_g_per_kwh is -1"),
    "no zone": ("2026-01-01T00:15:00,1,1", "has no zone"),
    "not a time": ("yesterday,1,1", "time_utc 'yesterday' is not a time"),
    "twice": ("2026-01-01T00:10:00Z,1,1", "stands there twice"),
    "backward": ("2026-01-01T00:05:00Z,1,1", "lies before the row above"),
    "off the step": ("2026-01-01T00:17:00Z,1,1", "is off the step of 300 s"),
    "another age": ("0001-01-01T00:00:00+14:00,1,1", "is not of this age"),
    "a mistyped year": ("2062-01-01T00:15:00Z,1,1", "days after the row above"),
    "beyond belief": ("2026-01-01T00:15:00Z,1e300,1", "is not a number that can be believed"),
    "other digits": ("2026-01-01T00:15:00Z,\u0663\u0664,1", "is not a number that can be believed"),
    "too few cells": ("2026-01-01T00:15:00Z,1", "2 cells where the header has 3"),
}


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_a_bad_row_is_refused_with_file_row_and_reason(tmp_path, row, reason):
    path = write(tmp_path / "t.csv", f"{GOOD}{row}\n2026-01-01T00:20:00Z,1,1\n")
    with pytest.raises(TapeError) as caught:
        open_tape(path)
    assert str(caught.value).startswith(f"{path}, row 5: ")
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("row", "reason"), BAD_ROWS.values(), ids=BAD_ROWS)
def test_skipping_leaves_the_bad_row_out_and_names_it(tmp_path, row, reason):
    tape = open_tape(write(tmp_path / "t.csv", f"{GOOD}{row}\n2026-01-01T00:20:00Z,1,1\n"), skip_bad=True)
    assert [error.row for error in tape.skipped] == [5]
    assert len(list(tape.rows())) == tape.row_count == 4


BAD_FILES = {
    "empty": ("t.csv", b"", "the file is empty"),
    "header alone": ("t.csv", HEADER.encode(), "no row of it can be used"),
    "no carbon column": ("t.csv", b"time_utc,price_usd_per_mwh\n", "column carbon_g_per_kwh is missing"),
    "a column twice": ("t.csv", HEADER.strip().encode() + b",time_utc\n", "column time_utc stands there twice"),
    "not gzip": ("t.csv.gz", GOOD.encode(), "cut short or damaged"),
    "truncated gzip": ("t.csv.gz", gzip.compress(GOOD.encode() * 1)[:-12], "cut short or damaged"),
    "not UTF-8": ("t.csv", HEADER.encode() + b"2026-01-01T00:00:00Z,\xff,1\n", "not UTF-8"),
    "not Parquet": ("t.parquet", GOOD.encode(), "not Parquet"),
    "other ending": ("t.json", b"{}", "not a tape by its name"),
}


@pytest.mark.parametrize(("name", "content", "reason"), BAD_FILES.values(), ids=BAD_FILES)
def test_a_file_that_is_no_tape_is_refused(tmp_path, name, content, reason):
    with pytest.raises(TapeError, match=reason):
        open_tape(write(tmp_path / name, content))


def test_what_a_truncated_file_still_holds_can_be_kept(tmp_path):
    rows = "".join(f"{(START + timedelta(hours=n)).isoformat()},1,{n}\n" for n in range(20_000))
    whole = gzip.compress((HEADER + rows).encode())
    tape = open_tape(write(tmp_path / "t.csv.gz", whole[: len(whole) // 2]), skip_bad=True)
    assert 0 < tape.row_count < 20_000
    assert len(tape.skipped) >= 1
    assert "cut short or damaged" in str(tape.skipped[-1])


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(TapeError, match="there is no such file"):
        open_tape(tmp_path / "t.csv")


def test_one_row_does_not_tell_the_step_but_its_sidecar_does(tmp_path):
    path = write(tmp_path / "t.csv", HEADER + "2026-01-01T00:00:00Z,1,1\n")
    with pytest.raises(TapeError, match="one row does not tell the step"):
        open_tape(path)
    write(tmp_path / "t.toml", "step_seconds = 3600\n")
    assert open_tape(path).step_seconds == 3600


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("colour = 1\n", "colour"),
        ('time_zone = "Mars/Base"\n', "not an IANA time zone"),
        ('currency = "EUR"\n', "currency"),
        ("= 1\n", "write it as TOML"),
    ],
)
def test_a_sidecar_that_does_not_fit_is_refused(tmp_path, text, reason):
    write(tmp_path / "t.toml", text)
    with pytest.raises(TapeError, match=reason):
        open_tape(write(tmp_path / "t.csv", GOOD))


def test_a_bad_row_at_the_beginning_does_not_change_the_step(tmp_path):
    rows = [f"2026-01-01T00:{5 * n:02}:00Z,{'abc' if n == 1 else n},1\n" for n in range(12)]
    tape = open_tape(write(tmp_path / "t.csv", HEADER + "".join(rows)), skip_bad=True)
    assert (tape.step_seconds, tape.row_count, [error.row for error in tape.skipped]) == (300, 11, [3])


def test_blank_lines_are_no_rows(tmp_path):
    assert open_tape(write(tmp_path / "t.csv", GOOD.replace("\n", "\n\n"))).row_count == 3


def test_rows_closer_than_a_second_are_refused(tmp_path):
    text = HEADER + "".join(f"2026-01-01T00:00:0{n // 2}.{5 * (n % 2)}Z,1,1\n" for n in range(6))
    with pytest.raises(TapeError, match="whole seconds"):
        open_tape(write(tmp_path / "t.csv", text))


def test_only_the_asked_stretch_is_read(tmp_path):
    tape = open_tape(write(tmp_path / "t.csv", GOOD))
    assert [
        r.interval_start.minute for r in tape.rows(START + timedelta(minutes=5), START + timedelta(minutes=10))
    ] == [5]
