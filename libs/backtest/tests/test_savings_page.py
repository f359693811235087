"""The page: it says of each claim on how many recordings it held, and whose figures it shows."""

import copy
import re
import subprocess
import sys

import pytest

from carbonshift.backtest.savings_page import savings_page
from carbonshift.common.errors import InputError

POLICIES = ("run-now", "static-cap", "solar-window", "eco-pulse", "eco-pulse-efficient", "planner", "oracle")


def row(saved, clocked=(0.1, 0.1), total=10.0):
    return {
        "bill_saved_share_of_run_now": saved,
        "carbon_saved_share_of_run_now": saved,
        "same_clock": {"bill_saved_share": clocked[0], "carbon_saved_share": clocked[1], "work_share": 0.3},
        "timing_share": 0.5,
        "timing_share_interval": [0.4, 0.6],
        "saved_share_of_cap": 0.02,
        "saved_share_of_run_now": saved,
        "not_worse_than_cap_share": 0.95,
        "late": 0,
        "total_usd": total,
        "split_usd": dict.fromkeys(
            ("cap_efficiency", "price_timing", "carbon_timing", "parked_draw", "slowdown", "total"), 1.0
        ),
    }


@pytest.fixture
def document():
    tape = {
        "tape": "made",
        "region": "made",
        "from": "2022-01-01T00:00:00Z",
        "to": "2023-01-01T00:00:00Z",
        "step_seconds": 3_600,
        "price_market": "day-ahead",
        "day_ahead_known": True,
        "oracle_gap_mean": 1e-5,
        "slacks": [{"slack": 1.0}],
        "pooled": {name: row(0.2) for name in POLICIES},
    }
    return {
        "command": "carbonshift backtest /home/somebody/made.csv --json /tmp/out.json",
        "job": {"work_hours": 24.0, "power_w": 250.0, "usd_per_gpu_hour": 0.0},
        "curve": {
            "name": "a board",
            "source": "made up",
            "limits_w": [100.0],
            "draws_w": [90.0],
            "speeds": [1.0],
            "parked_w": 40.0,
        },
        "usd_per_tonne": 100.0,
        "starts": 2,
        "seed": 0,
        "accounting": ["The work is completed."],
        "tapes": [tape],
    }


def test_a_claim_that_no_policy_reaches_is_denied(document):
    text = savings_page([document])
    assert "no, with none of 5 policies on any of 1 recordings" in text
    assert "foresight reaches it on 0 of 1 recordings" in text


def test_a_claim_is_granted_where_it_holds_and_the_undone_work_beside_it(document):
    pooled = document["tapes"][0]["pooled"]
    pooled["eco-pulse"] = row(0.2, clocked=(0.38, 0.44))
    pooled["planner"] = row(0.5)
    text = savings_page([document])
    assert "parked draw counted: the planner on 1 of 1; others on none." in text
    assert "left to do: Eco-Pulse, GREEN at full power on 1 of 1; others on none." in text
    assert "70.0 % to 70.0 % of the work was not done by then" in text


def test_bill_and_carbon_have_to_hold_together(document):
    document["tapes"][0]["pooled"]["planner"] |= {"bill_saved_share_of_run_now": 0.9}
    assert "no, with none of 5 policies" in savings_page([document])


def test_it_counts_which_form_cost_less(document):
    pooled = document["tapes"][0]["pooled"]
    pooled["eco-pulse-efficient"]["saved_share_of_run_now"] = 0.3
    pooled["solar-window"]["saved_share_of_run_now"] = -0.3
    pooled["solar-window"]["total_usd"] = 1.0  # of the few runs that it finished
    text = savings_page([document])
    assert "cost less than GREEN at full power on 1 of 1 recordings" in text
    assert "A fixed solar window cost 30.0 % to 30.0 % more" in text


def test_one_grid_counts_once_with_prices_known_or_not(document):
    other = copy.deepcopy(document)
    other["tapes"][0]["day_ahead_known"] = False
    text = savings_page([document, other])
    assert "any of 1 recordings" in text
    assert len(re.findall(r"^\| made 2022, 60 min, day ahead.* \*\*0.50\*\*", text, re.MULTILINE)) == 2


def test_nobody_s_folders_are_told(document):
    assert "carbonshift backtest made.csv --json out.json" in savings_page([document])
    assert "/home" not in savings_page([document])


def test_results_of_different_jobs_are_refused(document):
    other = copy.deepcopy(document)
    other["usd_per_tonne"] = 0.0
    with pytest.raises(InputError, match="different jobs"):
        savings_page([document, other])


def test_results_of_different_deadlines_are_refused(document):
    other = copy.deepcopy(document)
    other["tapes"][0]["slacks"] = [{"slack": 2.0}]
    with pytest.raises(InputError, match="other deadlines"):
        savings_page([document, other])


@pytest.mark.parametrize("content", [None, "no json", "{}", "[]"])
def test_what_is_no_result_is_told_in_one_line(tmp_path, content):
    path = tmp_path / "result.json"
    if content is not None:
        path.write_text(content)
    run = subprocess.run(
        [sys.executable, "-m", "carbonshift.backtest.savings_page", path], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout, len(run.stderr.splitlines())) == (2, "", 1)
    assert str(path) in run.stderr


def test_results_that_lack_a_policy_are_refused(document):
    del document["tapes"][0]["pooled"]["oracle"]
    with pytest.raises(InputError, match="made lacks oracle"):
        savings_page([document])
