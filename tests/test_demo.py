"""The demo, whole: what a newcomer is shown is there, and it adds up."""

import json

import pytest


@pytest.mark.timeout(300)
def test_the_demo_shows_every_state_pauses_a_real_training_and_compares_the_same_work(carbonshift):
    result = carbonshift("demo", "--json", timeout=240)
    assert result.returncode == 0, result.stderr
    shown = json.loads(result.stdout)
    assert all(shown["states"][name] > 0 for name in ("GREEN", "AMBER", "RED"))
    assert sum(shown["states"].values()) == 192
    assert shown["pauses"] >= 1
    assert shown["resumes"] >= 1
    assert shown["resume_tokens_taken"] >= 3
    assert shown["forecasts"] >= 1
    assert len(shown["narratives"]) == shown["transitions"] > 0
    assert shown["dead_letters"] == 0

    training = shown["training"]
    assert (training["basis"], training["steps_while_paused"]) == ("measured", 0)
    assert training["steps"] > 0
    assert training["pauses"] >= 1
    assert training["resumes"] >= 1

    savings = shown["savings"]
    rows = [savings[name] for name in ("run", "run_now", "best_static_cap")]
    assert savings["basis"] == "modelled"
    assert all(row["energy_kwh"] > 0 for row in rows)
    assert [row["work_hours"] for row in rows] == pytest.approx([rows[0]["work_hours"]] * 3)
    assert rows[0]["work_hours"] > 0
    assert 0 < rows[0]["parked_energy_kwh"] < rows[0]["energy_kwh"]
    assert rows[2]["total_usd"] <= rows[1]["total_usd"]
