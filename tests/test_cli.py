"""The command line as a user meets it: one clear line and exit code 2 for bad input, and nothing published then."""

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from carbonshift.common.events import GridTick
from carbonshift.common.tape import open_tape

HEADER = "time_utc,price_usd_per_mwh,carbon_g_per_kwh\n"
ROWS = "".join(f"2026-01-01T00:{5 * n:02}:00Z,{n},{n}\n" for n in range(6))
BAD = {
    "missing column": (
        "t.csv",
        b"time_utc,price_usd_per_mwh\n2026-01-01T00:00:00Z,1\n",
        "row 1: column carbon_g_per_kwh",
    ),
    "bad number": ("t.csv", (HEADER + ROWS + "2026-01-01T00:30:00Z,x,1\n").encode(), "row 8: price_usd_per_mwh 'x'"),
    "twice": ("t.csv", (HEADER + ROWS + "2026-01-01T00:25:00Z,1,1\n").encode(), "row 8: time_utc"),
    "backward": ("t.csv", (HEADER + ROWS + "2026-01-01T00:05:00Z,1,1\n").encode(), "row 8: time_utc"),
    "no zone": ("t.csv", (HEADER + ROWS + "2026-01-01T00:30:00,1,1\n").encode(), "row 8: time_utc"),
    "empty": ("t.csv", b"", "the file is empty"),
    "truncated": ("t.csv.gz", gzip.compress((HEADER + ROWS).encode())[:-10], "cut short or damaged"),
}


def one_line(result, *parts):
    assert result.returncode == 2, result.stderr
    lines = result.stderr.strip().splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("carbonshift: ")
    assert all(part in lines[0] for part in parts), lines[0]


@pytest.mark.parametrize(("name", "content", "reason"), BAD.values(), ids=BAD)
async def test_a_bad_tape_is_refused_whole(bus, carbonshift, tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content)
    one_line(carbonshift("replay", path, NATS_URL=bus.url), str(path), reason)
    assert await bus.count("TICKS") == 0


async def test_bad_rows_can_be_skipped_and_are_reported(bus, carbonshift, tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(HEADER + ROWS + "2026-01-01T00:30:00Z,x,1\n2026-01-01T00:35:00Z,7,7\n")
    result = carbonshift("replay", path, "--skip-bad", NATS_URL=bus.url)
    assert result.returncode == 0, result.stderr
    assert "row 8: price_usd_per_mwh 'x' is not a number" in result.stderr
    assert "1 rows skipped, 7 kept" in result.stderr
    ticks = await bus.collect(GridTick, until=datetime(2026, 1, 1, 0, 35, tzinfo=UTC))
    told = [(tick.price_usd_per_mwh, tick.price_quality.value, tick.revision) for tick in ticks[6:]]
    assert told == [(5, "held", 0), (6, "interpolated", 1), (7, "observed", 0)]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("replay", "nothing.csv"), "there is no such file"),
        (("replay", "de_2018_15min", "--speed", "fast"), "--speed 'fast'"),
        (("replay", "de_2018_15min", "--speed", "1e-320"), "--speed '1e-320'"),
        (("replay", "de_2018_15min", "--from", "0001-01-01T00:00:00+14:00"), "beyond the calendar"),
        (("replay", ""), "is not a file"),
        (("record", "--out", "/proc/x.csv"), "/proc/x.csv"),
        (("replay", "de_2018_15min", "--from", "2018-01-05T00:00"), "--from '2018-01-05T00:00' has no zone"),
        (("replay", "de_2018_15min", "--from", "2030-01-01"), "nothing lies between"),
        (("replay", "de_2018_15min", "--region", "a.b"), "--region 'a.b'"),
        (("record", "--out", "t.json"), "not a tape by its name"),
        (("record", "--out", "/no/such/folder/t.csv"), "there is no folder"),
        (("up", "kitchen"), "there is no service 'kitchen'"),
        (("train", "--job", "a b", "--", "python"), "--job 'a b'"),
        (("train", "--", "no-such-program"), "no-such-program"),
        (("schema", "--out", "/no/such/folder/x.json"), "/no/such/folder/x.json"),
    ],
)
def test_a_bad_argument_is_one_line(carbonshift, arguments, part):
    one_line(carbonshift(*arguments), part)


def test_a_state_folder_that_cannot_be_used_is_one_line(carbonshift, tmp_path):
    (tmp_path / "file").write_text("")
    result = carbonshift("up", CARBONSHIFT_STATE_DIR=str(tmp_path / "file"))
    assert result.returncode == 1
    assert len(result.stderr.strip().splitlines()) == 1
    assert "set CARBONSHIFT_STATE_DIR" in result.stderr


def test_a_bad_setting_is_one_line(carbonshift):
    one_line(carbonshift("up", CARBONSHIFT_STREAM_REPLICAS="many"), "CARBONSHIFT_STREAM_REPLICAS")


def test_a_broker_that_is_not_there_is_told_within_five_seconds(carbonshift):
    began = time.monotonic()
    result = carbonshift("replay", "de_2018_15min", "--to", "2018-01-01", NATS_URL="nats://127.0.0.1:9")
    assert result.returncode == 1
    assert "no NATS broker answers at nats://127.0.0.1:9" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert time.monotonic() - began < 20  # 5 s of it waiting; the rest is Python's start on a busy machine


def test_waiting_for_a_broker_is_told_too(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", "from carbonshift.cli.main import main; main()", "up", "decide", "--wait"],
        env=os.environ | {"NATS_URL": "nats://127.0.0.1:9", "COLUMNS": "200"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "waiting for the NATS broker at nats://127.0.0.1:9" in process.stderr.readline()
        process.kill()


async def test_what_is_replayed_can_be_recorded(bus, carbonshift, tmp_path):
    out = tmp_path / "copy.csv.gz"
    with subprocess.Popen(
        [sys.executable, "-c", "from carbonshift.cli.main import main; main()", "record", "--out", str(out)],
        env=os.environ | {"NATS_URL": bus.url, "COLUMNS": "200"},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        assert "recording to" in process.stderr.readline()
        span = ("--from", "2018-01-01", "--to", "2018-01-03")
        assert carbonshift("replay", "fr_2018_hourly", *span, NATS_URL=bus.url).returncode == 0
        await bus.collect(GridTick, until=datetime(2018, 1, 2, 23, tzinfo=UTC))
        process.send_signal(signal.SIGINT)
        assert "48 intervals of fr written" in process.stderr.read()
    assert process.returncode == 0
    copy = open_tape(out)
    assert (copy.row_count, copy.sidecar.region, copy.step_seconds) == (48, "fr", 3_600)
    again = carbonshift("record", "--out", out, NATS_URL=bus.url)
    one_line(again, "is there already")


def test_the_bundled_recordings_are_listed(carbonshift):
    listed = json.loads(carbonshift("recordings", "list", "--json").stdout)
    assert {tape["name"]: tape["rows"] for tape in listed} == {"de_2018_15min": 35_040, "fr_2018_hourly": 8_760}


def test_doctor_names_each_lack_with_its_remedy(carbonshift):
    result = carbonshift("doctor", "--json")
    findings = {finding["what"]: finding for finding in json.loads(result.stdout)}
    assert result.returncode == 0, result.stdout
    assert findings["policies"]["found"].split(", ")[0] == "eco-pulse"
    assert all(finding["remedy"] for finding in findings.values() if finding["verdict"] != "ok")


@pytest.mark.parametrize("code", [0, 7])
def test_train_passes_arguments_and_exit_code_through(carbonshift, code):
    script = "import sys; print(sys.argv[1:]); sys.exit(int(sys.argv[-1]))"
    result = carbonshift("train", "--", sys.executable, "-c", script, "--steps", str(code))
    assert (result.returncode, result.stdout.strip()) == (code, str(["--steps", str(code)]))


def test_up_brings_services_up_restarts_them_and_leaves_nothing_behind(tmp_path):
    from pathlib import Path

    environment = os.environ | {"CARBONSHIFT_STATE_DIR": str(tmp_path / "s"), "COLUMNS": "200"}
    command = [sys.executable, "-c", "from carbonshift.cli.main import main; main()", "up", "decide", "ingest"]

    def children(pid):
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def argv(pid):
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")

    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        assert "decide, ingest on the broker at" in process.stderr.readline()
        before = children(process.pid)
        decide = next(pid for pid in before if "carbonshift.decide" in argv(pid))
        os.kill(decide, signal.SIGKILL)
        line = next(line for line in process.stderr if "decide has ended" in line)
        assert "started again" in line
        everyone = {*before, *children(process.pid)}
        process.send_signal(signal.SIGKILL)
        process.wait()
        give_up = time.monotonic() + 20
        while (alive := [pid for pid in everyone if _alive(pid)]) and time.monotonic() < give_up:
            time.sleep(0.05)
        assert alive == []


def _alive(pid):
    from pathlib import Path

    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
