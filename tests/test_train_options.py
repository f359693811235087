"""`carbonshift train` hands on what it is told of a training, and refuses what makes no sense."""

import json
import sys

import pytest

SHOWN = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('CARBONSHIFT_')}))"
GIVEN = ("--deadline", "2026-11-24T09:00:00Z", "--total-steps", "9000", "--usd-per-gpu-hour", "2.5")


def test_what_is_said_reaches_the_training(carbonshift):
    result = carbonshift("train", *GIVEN, "--", sys.executable, "-c", SHOWN)
    said = json.loads(result.stdout)
    assert said["CARBONSHIFT_TOTAL_STEPS"] == "9000"
    assert said["CARBONSHIFT_DEADLINE"] == "2026-11-24T09:00:00+00:00"
    assert said["CARBONSHIFT_USD_PER_GPU_HOUR"] == "2.5"


def test_what_is_not_said_is_not_there(carbonshift):
    said = json.loads(carbonshift("train", "--", sys.executable, "-c", SHOWN).stdout)
    assert not {"CARBONSHIFT_TOTAL_STEPS", "CARBONSHIFT_DEADLINE", "CARBONSHIFT_USD_PER_GPU_HOUR"} & set(said)


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--deadline", "soon", "--deadline"),
        ("--total-steps", "0", "give a whole number"),
        ("--total-steps", "9" * 5_000, "give a whole number"),
        ("--total-steps", "many", "--total-steps 'many'"),
        ("--usd-per-gpu-hour", "-1", "give dollars"),
        ("--usd-per-gpu-hour", "nan", "--usd-per-gpu-hour 'nan'"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(carbonshift, option, value, words):
    result = carbonshift("train", option, value, "--", sys.executable, "-c", "pass")
    assert result.returncode == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert words in result.stderr
