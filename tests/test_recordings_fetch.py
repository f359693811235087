"""`carbonshift recordings fetch`: the real command against the providers as `grid` plays them."""

import io
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from carbonshift.cli.commands import recordings
from carbonshift.cli.main import main
from carbonshift.common.tape import open_tape

COMMAND = (sys.executable, "-c", "from carbonshift.cli.main import main; main()")
START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, STEP = timedelta(hours=1), timedelta(minutes=5)
MONTH = ("--market", "dam", "--carbon", "electricitymaps", "--from", "2026-03-01", "--to", "2026-04-01")
"""Two parts of each signal: 30 days, and one."""


@pytest.fixture
def fetch(carbonshift, grid, tmp_path):
    """Runs `carbonshift recordings fetch caiso ... --out tape.csv` to its end."""

    def run(*options, **environment):
        out = () if "--out" in options else ("--out", tmp_path / "tape.csv")
        return carbonshift("recordings", "fetch", "caiso", *options, *out, **grid.settings() | environment)

    return run


@pytest.fixture
def stalled(grid, tmp_path):
    """Starts the fetch of MONTH and waits until it hangs in its third part; gives the process."""
    running = []

    def begin():
        grid.slow_seconds = 60.0
        grid.play("reordered", "slow", api="oasis")  # the first is none: rows never come in order
        command = [*COMMAND, "recordings", "fetch", "caiso", *MONTH, "--out", str(tmp_path / "tape.csv")]
        process = subprocess.Popen(
            command, env=os.environ | grid.settings(), stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        running.append(process)
        ends = time.monotonic() + 60
        while not (asked := grid.asked("oasis")) or asked[-1].fault != "slow":
            assert process.poll() is None
            assert time.monotonic() < ends
            time.sleep(0.02)
        grid.slow_seconds = 0.0  # nobody waits for the answer
        return process

    yield begin
    for process in running:
        process.kill()
        process.communicate()


def lines(finished):
    return finished.stderr.splitlines()


def test_it_writes_what_the_providers_have(grid, fetch, tmp_path):
    done = fetch("--from", "2026-03-07", "--to", "2026-03-09T00:00:00Z", "--out", tmp_path / "tape.csv.gz")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert lines(done)[:2] == [
        "price 2026-03-07T00:00:00Z to 2026-03-09T00:00:00Z: 576 values (1 of 2)",
        "carbon 2026-03-07T00:00:00Z to 2026-03-09T00:00:00Z: 576 values (2 of 2)",
    ]
    assert lines(done)[2] == f"576 intervals written to {tmp_path / 'tape.csv.gz'}"
    tape = open_tape(tmp_path / "tape.csv.gz")
    for n, row in enumerate(tape.rows()):
        moment = datetime(2026, 3, 7, tzinfo=UTC) + n * STEP
        assert row.interval_start == moment
        assert row.price_usd_per_mwh == grid.truth.price_usd_per_mwh(moment)
        assert row.carbon_g_per_kwh == pytest.approx(grid.truth.carbon_g_per_kwh(moment), abs=1e-9)
    assert tape.row_count == 576
    assert not any(secret in done.stderr for name, secret in grid.settings().items() if name[0] in "WE")


def test_its_tape_replays(carbonshift, fetch, broker_url, tmp_path):
    assert fetch("--market", "dam", "--carbon", "none", "--from", "2026-03-01", "--to", "2026-03-03").returncode == 0
    replayed = carbonshift("replay", tmp_path / "tape.csv", NATS_URL=broker_url)
    assert replayed.returncode == 0, replayed.stderr
    assert "48 ticks of caiso published" in replayed.stderr


def test_killed_it_resumes_to_the_same_tape(grid, fetch, stalled, tmp_path):
    process = stalled()
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert sorted(path.name for path in tmp_path.glob("*tape*")) == [".tape.csv.journal"]
    with (tmp_path / ".tape.csv.journal").open("ab") as journal:
        journal.write(b'{"part":"price 2026-03-31')  # as a kill within the write leaves it
    before = len(grid.requests)
    resumed = fetch(*MONTH)
    assert resumed.returncode == 0, resumed.stderr
    assert lines(resumed)[0] == "2 of 4 parts are there already; the fetch resumes"
    again = grid.requests[before:]
    assert [asked.query["startdatetime"] for asked in again if asked.api == "oasis"] == ["20260331T00:00-0000"]
    assert [asked.query["start"][:10] for asked in again if asked.path.endswith("past-range")] == ["2026-03-31"]
    tape = (tmp_path / "tape.csv").read_bytes()
    assert fetch(*MONTH, "--out", tmp_path / "whole.csv").returncode == 0
    assert tape == (tmp_path / "whole.csv").read_bytes()
    assert (tmp_path / "tape.toml").read_bytes() == (tmp_path / "whole.toml").read_bytes()
    assert not (tmp_path / ".tape.csv.journal").exists()


def test_ctrl_c_says_that_it_resumes(stalled, tmp_path):
    process = stalled()
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=20)
    assert process.returncode == 130
    assert told.splitlines()[-1] == "interrupted; the same command resumes"
    assert (tmp_path / ".tape.csv.journal").exists()


def test_a_full_disk_is_one_line_and_loses_nothing(grid, fetch, tmp_path):
    """A limit on the size of a file stands for the disk: the write fails half-way in the same place."""
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000)); {COMMAND[-1]}"
    told = subprocess.run(
        [sys.executable, "-c", limited, "recordings", "fetch", "caiso", *MONTH, "--out", tmp_path / "tape.csv"],
        env=os.environ | grid.settings() | {"COLUMNS": "200"},
        stderr=subprocess.PIPE, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.returncode == 2, told.stderr
    assert lines(told)[-1].startswith(f"carbonshift: {tmp_path / '.tape.csv.journal'}: File too large; make room")
    assert len(lines(told)) == 2
    before = len(grid.asked("oasis"))
    done = fetch(*MONTH)
    assert done.returncode == 0, done.stderr
    assert lines(done)[0] == "1 of 4 parts are there already; the fetch resumes"
    assert len(grid.asked("oasis")) == before + 1
    assert open_tape(tmp_path / "tape.csv").row_count == 31 * 24


@pytest.fixture
def here(grid, monkeypatch, tmp_path):
    """Runs the command within this process."""

    def run(*options):
        for name, value in grid.settings().items():
            monkeypatch.setenv(name, value)
        out = () if "--out" in options else ("--out", str(tmp_path / "tape.csv"))
        monkeypatch.setattr(sys, "argv", ["carbonshift", "recordings", "fetch", "caiso", *options, *out])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code

    return run


def test_a_terminal_shows_a_bar_and_what_the_tape_lacks(grid, here, monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, color_system=None, width=200)
    monkeypatch.setattr(recordings, "console", terminal)
    usual = grid.truth.day_ahead_usd_per_mwh
    grid.truth = replace(grid.truth, day_ahead_usd_per_mwh=lambda m: None if m == START else usual(m))
    grid.play("estimated", "estimated")
    day = ("--from", "2026-03-01", "--to", "2026-03-02")
    assert here("--market", "dam", "--carbon", "electricitymaps", *day) == 0
    told = terminal.file.getvalue()
    assert "tape.csv" in told
    assert "2/2" in told
    assert "(1 of 2)" not in told
    assert told.splitlines()[-1].endswith(
        "; 1 of 24 price values are missing; 24 of 24 carbon values are the provider's own estimates"
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2026-13-01", "--to", "2026-03-02"), "--from '2026-13-01' is not a time"),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "is not before the end"),
        (("--from", "2026-03-01", "--to", "2999-01-01"), "lies beyond what is published"),
        (("--from", "2026-03-01", "--to", "2026-03-02", "--market", "spot"), "--market 'spot' is no market"),
        (("--from", "2026-03-01", "--to", "2026-03-02", "--carbon", "coal"), "nothing is registered as 'coal'"),
        (("--from", "2026-03-01", "--to", "2026-03-02", "--node", "NP 15"), "--node 'NP 15' is no NODE_ID"),
        (("--from", "2026-03-01", "--to", "2026-03-02", "--out", "/proc/tape.csv"), "/proc/.tape.csv.journal: "),
        (("--from", "2026-03-01", "--to", "2026-03-02", "--out", "tape.txt"), "not a tape by its name"),
    ],
)
def test_what_cannot_be_fetched_is_one_line(grid, here, capsys, options, said):
    assert here(*options) == 2
    refused = capsys.readouterr().err
    assert len(refused.splitlines()) == 1
    assert said in refused
    assert not grid.requests


def test_a_provider_that_refuses_ends_it_with_one_line(fetch):
    refused = fetch(*MONTH, "--carbon", "watttime", WATTTIME_PASSWORD="not-this-one")  # noqa: S106
    assert refused.returncode == 1
    assert lines(refused)[1:] == [line for line in lines(refused) if "check WATTTIME_USERNAME" in line]
    assert "not-this-one" not in refused.stderr
