"""`carbonshift explain evaluate`, as somebody types it."""

import json
import sys
from types import SimpleNamespace

import pytest

from carbonshift.cli.main import main

FEW = ("fr_2018_hourly", "--count", "3", "--corrupt", "0,100")


@pytest.fixture
def evaluated(tmp_path, monkeypatch, capfd):
    """Runs `carbonshift explain evaluate ...` in this process."""

    def run(*arguments, **environment):
        for name, value in ({"CARBONSHIFT_STATE_DIR": str(tmp_path / "state"), "COLUMNS": "80"} | environment).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["carbonshift", "explain", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capfd.readouterr()
        return SimpleNamespace(returncode=ended.value.code, stdout=told.out, stderr=told.err)

    return run


def test_it_tells_and_writes(evaluated, tmp_path):
    data = tmp_path / "out.json"
    result = evaluated(*FEW, "--json", data)
    assert result.returncode == 0, result.stderr
    assert max(map(len, result.stdout.splitlines())) <= 80
    assert "stand-in, 100 % false" in result.stdout
    assert "set another" not in result.stderr
    document = json.loads(data.read_text())
    assert document["command"].startswith("carbonshift explain evaluate")
    assert [row["told_by"] for row in document["rows"]] == ["template", "stand-in, 0 % false", "stand-in, 100 % false"]
    assert [row["transitions"] for row in document["rows"]] == [3, 3, 3]
    assert len(document["narratives"]) == 6
    assert not list(tmp_path.rglob("anthropic.jsonl"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--ask",), "--ask: there is nobody to ask; set ANTHROPIC_API_KEY"),
        (("--corrupt", "ten"), "--corrupt 'ten' is no list of percents; write it like 0,30,100"),
        (("--corrupt", "nan"), "--corrupt 'nan' is no list of percents"),
        (("--corrupt", "0,101"), "--corrupt '0,101' is no list of percents"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(evaluated, arguments, said):
    result = evaluated("fr_2018_hourly", *arguments)
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert said in result.stderr


def test_a_recording_is_asked_for_no_money(evaluated, tmp_path):
    journal = tmp_path / "answers.jsonl"
    journal.write_text("")
    result = evaluated(*FEW, "--ask", CARBONSHIFT_ANTHROPIC_ANSWERS=str(journal))
    assert result.returncode == 0, result.stderr
    assert "claude-sonnet-5-5" in result.stdout
