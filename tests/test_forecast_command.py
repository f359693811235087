"""`carbonshift forecast evaluate`, as somebody types it."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from carbonshift.cli.main import main

COMMAND = [sys.executable, "-c", "from carbonshift.cli.main import main; main()", "forecast", "evaluate"]
SMALL = ("--models", "autoreg", "--every", "11", "--jobs", "1")
FEW = ("--models", "autoreg", "--every", "101", "--jobs", "1")


@pytest.fixture
def tape(tmp_path):
    """Seventy days with a cycle of the day, and a wobble that no rule repeats."""
    path = tmp_path / "made.csv"
    lines = ["time_utc,price_usd_per_mwh,carbon_g_per_kwh"]
    for hour in range(24 * 70):
        moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour)
        price = 40 + 15 * math.sin(hour * math.pi / 12) + 5 * math.sin(hour * hour)
        lines.append(f"{moment:%Y-%m-%dT%H:%M:%SZ},{price:.3f},{300 + 2 * price:.3f}")
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def evaluated(tmp_path, monkeypatch, capfd):
    """Runs `carbonshift forecast evaluate ...` in this process: for what is refused before any other is needed."""

    def run(*arguments, **environment):
        for name, value in ({"CARBONSHIFT_STATE_DIR": str(tmp_path / "state"), "COLUMNS": "200"} | environment).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["carbonshift", "forecast", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capfd.readouterr()
        return SimpleNamespace(returncode=ended.value.code, stdout=told.out, stderr=told.err)

    return run


def one_line(result, *words):
    assert result.returncode == 2, result.stdout + result.stderr
    assert len(result.stderr.strip().splitlines()) == 1, result.stderr
    for word in words:
        assert word in result.stderr


def test_it_tells_writes_and_draws(carbonshift, tape, tmp_path):
    data, picture = tmp_path / "out.json", tmp_path / "out.svg"
    journal = tmp_path / "openai.jsonl"
    journal.write_text("")
    asked = {"COLUMNS": "80", "CARBONSHIFT_OPENAI_ANSWERS": str(journal)}
    result = carbonshift("forecast", "evaluate", tape, *SMALL, "--propose", "--json", data, "--plot", picture, **asked)
    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "…" not in result.stdout
    assert "gpt-4.1 proposes nothing" in result.stderr  # no answer is recorded, and nobody is asked
    document = json.loads(data.read_text())
    assert document["command"].startswith("carbonshift forecast evaluate")
    (section,) = document["tapes"]
    assert set(section["models"]) == {"autoreg", "blend", "persistence", "seasonal-naive"}
    assert section["models"]["autoreg"]["price"]["rmae"] < 1.0
    assert picture.read_text().startswith("<?xml")
    for name in section["models"]:
        assert name in result.stdout
        assert name in picture.read_text()


@pytest.mark.soak
def test_the_same_command_gives_the_same_figures_however_many_work(carbonshift, tape, tmp_path):
    found = []
    for jobs in ("1", "2"):
        data = tmp_path / jobs
        command = ("forecast", "evaluate", tape, "--models", "autoreg", "--every", "11", "--jobs", jobs)
        assert carbonshift(*command, "--json", data).returncode == 0
        models = json.loads(data.read_text())["tapes"][0]["models"]
        found.append({name: {**model, "seconds": None} for name, model in models.items()})
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--models", "hope"), ("--models 'hope'", "seasonal-naive")),
        (("--from", "soon"), ("--from 'soon'", "2026-01-31")),
        (("--to", "2026-02-20"), ("56 days of history", "a longer tape")),
        (("--horizon", "168", "--from", "2026-03-08"), ("168 h of it ahead", "a longer tape")),
        (("--json", "nowhere/out.json"), ("no folder nowhere", "a folder that exists")),
        (("--plot", "out.pdf"), ("--plot out.pdf", ".svg or .png")),
        (("--plot", "."), ("is a folder", "name a file")),
        (("--json", "."), ("is a folder", "name a file")),
        (("--models", ""), ("--models ''", "a name is missing")),
        (("--horizon", "nan"), ("--horizon nan", "0.01 to 168")),
        (("--horizon", "169"), ("--horizon 169", "0.01 to 168")),
    ],
)
def test_bad_input_is_told_in_one_line(evaluated, tape, arguments, words):
    one_line(evaluated(tape, *SMALL, *arguments), *words)


def test_a_bad_tape_is_told_in_one_line(evaluated, tape, tmp_path):
    one_line(evaluated(tmp_path / "none.csv"), "none.csv")
    tape.write_text("\n".join(tape.read_text().splitlines()[:200]) + "\n")
    one_line(evaluated(tape, *SMALL), "56 days of history", "a longer tape")


def test_what_is_read_is_not_overwritten(evaluated, tape):
    before = tape.read_text()
    one_line(evaluated(tape, *SMALL, "--json", tape), "--json", "name another file")
    assert tape.read_text() == before


@pytest.mark.parametrize("option", ["--json", "--plot"])
def test_what_is_no_regular_file_is_not_replaced(evaluated, tape, tmp_path, option):
    pipe, link, circle = tmp_path / "pipe.svg", tmp_path / "link.svg", tmp_path / "circle.svg"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    circle.symlink_to(circle)
    for path in (pipe, link):
        one_line(evaluated(tape, *SMALL, option, path), option, "is no regular file")
        assert pipe.is_fifo()
        assert link.is_symlink()
    one_line(evaluated(tape, *SMALL, option, circle), option, "circle.svg")


def test_a_link_is_written_through_and_a_name_may_end_in_capitals(carbonshift, tape, tmp_path):
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    data, picture = tmp_path / "out.json", tmp_path / "out.SVG"
    (folder / "there.json").write_text("old")
    data.symlink_to(folder / "there.json")
    picture.symlink_to(folder / "new.svg")
    result = carbonshift("forecast", "evaluate", tape, *FEW, "--json", data, "--plot", picture)
    assert result.returncode == 0, result.stderr
    assert data.is_symlink()
    assert picture.is_symlink()
    assert json.loads((folder / "there.json").read_text())["tapes"]
    assert (folder / "new.svg").read_text().startswith("<?xml")
    assert {path.name for path in folder.iterdir()} == {"there.json", "new.svg"}


def test_a_service_that_names_a_forecaster_that_is_not_there_is_refused(evaluated, tape):
    result = evaluated(tape, *SMALL, CARBONSHIFT_FORECASTERS="autoreg,hope")
    one_line(result, "'hope'", "autoreg")


@pytest.mark.skipif(not Path("/dev/full").is_char_device(), reason="no /dev/full")
def test_a_full_disk_behind_stdout_takes_no_file_with_it(tape, tmp_path):
    data = tmp_path / "out.json"
    with Path("/dev/full").open("wb") as full:
        command = [*COMMAND, str(tape), *FEW, "--json", str(data)]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.returncode == 1, result.stderr
    *_, complaint = result.stderr.splitlines()
    assert complaint.startswith("carbonshift: stdout: ")
    assert "Traceback" not in result.stderr
    assert json.loads(data.read_text())["tapes"]


def test_a_file_that_cannot_be_written_takes_no_table_with_it(tape, tmp_path):
    """The folder is lost while the models are at work."""
    folder = tmp_path / "lost"
    folder.mkdir()
    command = [*COMMAND, str(tape), *FEW, "--json", str(folder / "out.json")]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **streams) as process:
        while len(_children(process.pid)) < 2:
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.01)
        folder.rmdir()
        tables, complaints = process.communicate(timeout=120)
    assert process.returncode == 2
    assert "autoreg" in tables
    assert complaints.splitlines()[-1].startswith("carbonshift: --json")


@pytest.mark.parametrize("cpu_seconds", [0.3, 3.0])
def test_ctrl_c_leaves_no_half_file_no_worker_and_no_traceback(tape, tmp_path, cpu_seconds):
    """As a terminal has it, the signal reaches the workers too: amid their imports, at their work."""
    data = tmp_path / "out.json"
    command = [*COMMAND, str(tape), "--models", "sarimax", "--slow-every", "1", "--jobs", "2", "--json", str(data)]
    streams = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(command, **streams) as process:
        while _spent(process.pid) < 2 * cpu_seconds or len(_children(process.pid)) < 3:  # two, and their tracker
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGINT)
        _, complaints = process.communicate(timeout=60)  # ends once the last of them has closed its stderr
    assert process.returncode != 0
    assert "Traceback" not in complaints
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["made.csv"]


def _children(pid):
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _spent(pid):
    """Seconds of processor time of all its children."""
    fields = [Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split() for child in _children(pid)]
    return sum(int(each[11]) + int(each[12]) for each in fields) / os.sysconf("SC_CLK_TCK")


def test_without_a_key_there_is_nobody_to_ask(evaluated, tape):
    one_line(evaluated(tape, *SMALL, "--propose"), "--propose", "OPENAI_API_KEY")
