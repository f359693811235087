"""`carbonshift backtest`, as somebody types it."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-c", "from carbonshift.cli.main import main; main()", "backtest"]
SMALL = ("--job", "hours=4", "--slack", "1", "--starts", "8", "--policy", "eco-pulse,planner,oracle")


@pytest.fixture
def tape(tmp_path):
    path = tmp_path / "made.csv"
    lines = ["time_utc,price_usd_per_mwh,carbon_g_per_kwh"]
    for hour in range(24 * 20):
        day, clock = divmod(hour, 24)
        lines.append(f"2026-01-{day + 1:02}T{clock:02}:00:00Z,{20 + 40 * (clock > 12)},{300 + clock}")
    path.write_text("\n".join(lines) + "\n")
    return path


def one_line(result, *words):
    assert result.returncode == 2, result.stdout + result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_it_tells_writes_and_reports(carbonshift, tape, tmp_path):
    data, report = tmp_path / "out.json", tmp_path / "report.html"
    result = carbonshift("backtest", tape, *SMALL, "--json", data, "--html", report, COLUMNS="80")
    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    document = json.loads(data.read_text())
    (section,) = document["tapes"]
    assert list(section["pooled"]) == ["run-now", "static-cap", "eco-pulse", "planner", "oracle"]
    assert len(section["slacks"][0]["policies"]["planner"]["runs"]) == 8
    assert section["pooled"]["planner"]["late"] == 0
    assert report.read_text().lstrip().lower().startswith("<!doctype html>")
    for name in section["pooled"]:
        assert name in result.stdout


@pytest.mark.soak
def test_the_same_command_gives_the_same_figures(carbonshift, tape, tmp_path):
    found = []
    for name in ("a", "b"):
        assert carbonshift("backtest", tape, *SMALL, "--json", tmp_path / name).returncode == 0
        found.append(json.loads((tmp_path / name).read_text())["tapes"])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--job", "hours=many"), ("--job hours 'many'", "give a number")),
        (("--job", "24"), ("--job '24'", "hours=...")),
        (("--job", "watts=3"), ("--job 'watts=3'", "power_w=...")),
        (("--job", "power_w=0"), ("power_w '0'", "from 1 to")),
        (("--job", "power_w=1e308"), ("power_w '1e308'", "from 1 to")),
        (("--job", "usd_per_gpu_hour=1e308"), ("usd_per_gpu_hour '1e308'", "give a number")),
        (("--usd-per-tonne", "nan"), ("--usd-per-tonne 'nan'", "give a number")),
        (("--job", "curve=h100"), ("curve='h100'", "resnet18-v100")),
        (("--slack", "soon"), ("--slack 'soon'", "give a number")),
        (("--slack", "-1"), ("--slack '-1'", "give a number")),
        (("--policy", "hope"), ("--policy 'hope'", "planner")),
        (("--job", "hours=400"), ("480 intervals", "give a longer tape")),
        (("--json", "nowhere/out.json"), ("no folder nowhere", "a folder that exists")),
        (("--html", "."), ("is a folder", "name a file")),
    ],
)
def test_bad_input_is_told_in_one_line(carbonshift, tape, arguments, words):
    one_line(carbonshift("backtest", tape, "--starts", "2", *arguments), *words)


@pytest.mark.parametrize("taken", ["made.csv", "report.html"])
def test_what_is_read_or_written_already_is_not_overwritten(carbonshift, tape, tmp_path, taken):
    before = tape.read_text()
    options = ("--json", tmp_path / "report.html", "--html", tmp_path / taken)
    one_line(carbonshift("backtest", tape, *SMALL, *options), "--html", taken, "name another file")
    assert tape.read_text() == before


@pytest.mark.parametrize(("step", "words"), [(5, "shorter than a pause"), (420, "steps of 420 s")])
def test_steps_that_nobody_can_plan_in_are_told_in_one_line(carbonshift, tmp_path, step, words):
    path = tmp_path / "odd.csv"
    first = datetime(2026, 1, 1, tzinfo=UTC)
    moments = (first + timedelta(seconds=step * n) for n in range(300))
    rows = "".join(f"{moment:%Y-%m-%dT%H:%M:%SZ},{moment.minute},300\n" for moment in moments)
    path.write_text("time_utc,price_usd_per_mwh,carbon_g_per_kwh\n" + rows)
    one_line(carbonshift("backtest", path, "--job", "hours=0.05", "--starts", "2"), "odd.csv", words)


def test_a_bad_tape_is_told_with_its_line(carbonshift, tape, tmp_path):
    one_line(carbonshift("backtest", tmp_path / "none.csv"), "none.csv")
    tape.write_text(tape.read_text().replace("2026-01-02T03:00:00Z,20", "2026-01-02T03:00:00Z,twenty"))
    one_line(carbonshift("backtest", tape, *SMALL), "made.csv, row 29", "twent")
    tape.write_text("time_utc,price_usd_per_mwh,carbon_g_per_kwh\n2026-01-01T00:00:00Z,,3\n2026-01-01T01:00:00Z,,3\n")
    one_line(carbonshift("backtest", tape, *SMALL), "price_usd_per_mwh is empty")


def test_a_full_disk_leaves_what_was_there(carbonshift, tape, tmp_path):
    """Data of many kilobytes into a file that may have one: a limit on file size is a disk that is full."""
    data = tmp_path / "out.json"
    data.write_text("before")
    script = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024)); "
    script += "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); sys.argv[1:1] = ['backtest']; "
    script += "from carbonshift.cli.main import main; main()"
    command = [sys.executable, "-B", "-c", script, str(tape), *SMALL, "--json", str(data)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    one_line(result, "--json", "make room")
    assert data.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["made.csv", "out.json"]


def test_ctrl_c_leaves_no_half_file_and_no_traceback(tape, tmp_path):
    data = tmp_path / "out.json"
    command = [*COMMAND, str(tape), "--job", "hours=48", "--starts", "4000", "--json", str(data)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        while _cpu_seconds(process.pid) < 4.0:  # past the imports, in the middle of its work
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, complaints = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in complaints
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["made.csv"]


def _cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
