"""What a fleet has made of a transition."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.events import Account, EnergyBasis, Pulse, Replay, ResumeToken, RunState, WorkerTelemetry
from carbonshift.explain.fleet import REMEMBERED, Fleet, FleetAnswer

NOW = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)
TOLD_AT = NOW + timedelta(minutes=5)
SECOND = timedelta(seconds=1)


def says(seconds, power_w, device="GPU-1", **changes):
    """What a device says so many seconds after the transition was told."""
    values = {
        "worker": "w1",
        "site": "s1",
        "region": "caiso",
        "device_uuid": device,
        "observed_at": TOLD_AT + seconds * SECOND,
        "power_w": power_w,
        "power_limit_w": 250.0,
        "enforced_limit_w": 250.0,
        "allowance_w": 250.0,
        "ceiling_w": 250.0,
        "energy_j": 0.0,
        "energy_basis": EnergyBasis.MEASURED,
        "account": Account(since=NOW),
        "run_state": RunState.RUNNING,
    }
    return WorkerTelemetry.model_validate(values | changes)


def token(slot=0, watts=50.0, **changes):
    values = {
        "site": "s1",
        "slot": slot,
        "watts": watts,
        "not_before": NOW,
        "expires_at": NOW + 60 * SECOND,
        "epoch": int(NOW.timestamp()),
    }
    return ResumeToken.model_validate(values | changes)


@pytest.fixture
def answer(transition):
    """What the fleet that has heard these has made of a change to RED."""

    def of(*heard, state=Pulse.RED, told_at=TOLD_AT, **given):
        fleet = Fleet()
        for event in heard:
            fleet.hear(event)
        return fleet.answer(transition(state, **given), told_at)

    return of


def test_the_watts_are_the_last_before_and_the_last_after(answer):
    told = answer(says(-9, 300), says(-1, 240), says(0, 180), says(9, 100))
    assert told == FleetAnswer(before_w=240, now_w=100, basis="measured", paused=0, resumed=0, tokens=0, tokens_w=0)


def test_what_was_not_heard_before_and_after_does_not_answer(answer):
    assert answer() is None
    assert answer(says(-9, 300), says(-1, 240)) is None
    assert answer(says(0, 300), says(1, 240)) is None
    told = answer(says(-1, 240), says(1, 100), says(1, 500, "GPU-2"))
    assert (told.before_w, told.now_w) == (240, 100)


def test_the_watts_of_all_devices_add_up(answer):
    told = answer(
        *(says(-1, 200, device) for device in ("a", "b")),
        *(says(1, 90, device) for device in ("a", "b")),
        says(-1, 50, worker="w2"),
        says(1, 50, worker="w2"),
    )
    assert (told.before_w, told.now_w) == (450, 230)


def test_a_device_whose_draw_is_not_known_has_no_watts(answer):
    assert answer(says(-1, None), says(1, 100)) is None
    assert answer(says(-2, 240), says(-1, None), says(1, 100)).before_w == 240


@pytest.mark.parametrize("changes", [{"region": "de"}, {"replay": Replay(run="r1")}])
def test_what_is_of_another_region_or_run_does_not_answer(answer, changes):
    assert answer(says(-1, 240, **changes), says(1, 100, **changes)) is None
    assert answer(says(-1, 240, **changes), says(1, 100)) is None


def test_a_replay_is_answered_by_its_own_run(answer):
    run = Replay(run="r1")
    assert answer(says(-1, 240, replay=run), says(1, 100, replay=run), replay=run).now_w == 100
    assert answer(says(-1, 240, replay=run), says(1, 100, replay=run), replay=Replay(run="r2")) is None


def test_bases_that_differ_are_mixed(answer):
    heard = [says(-1, 240), says(1, 100), says(-1, 240, "GPU-2"), says(1, 100, "GPU-2", energy_basis="modelled")]
    assert answer(*heard).basis == "mixed"
    assert answer(*heard[:2]).basis == "measured"
    assert answer(says(-1, 240), says(1, 100, energy_basis="estimated")).basis == "estimated"


def test_a_job_is_counted_once_on_however_many_devices_it_is(answer):
    heard = [
        says(at, 100, device, job="j1", run_state="running" if at < 0 else "paused")
        for at in (-1, 1)
        for device in ("a", "b")
    ]
    told = answer(*heard)
    assert (told.paused, told.resumed) == (1, 0)


def test_a_job_that_comes_back_has_resumed(answer):
    told = answer(says(-1, 60, job="j1", run_state="parked"), says(1, 240, job="j1"), state=Pulse.GREEN)
    assert (told.paused, told.resumed) == (0, 1)


def test_a_job_that_goes_on_or_has_only_come_has_done_neither(answer):
    told = answer(says(-1, 240, job="j1"), says(1, 240, job="j2"))
    assert (told.paused, told.resumed) == (0, 0)
    assert (answer(says(-1, 240, job="j1"), says(1, 100, job="j1"))).paused == 0


def test_tokens_are_those_of_the_epoch_of_the_state_at_the_sites_that_answer(answer):
    device = says(-1, 60), says(1, 240)
    told = answer(*device, token(0), token(1, 25.0), token(2, site="s2"))
    assert (told.tokens, told.tokens_w) == (2, 75.0)
    assert answer(*device, token(0, epoch=9)).tokens == 0
    assert answer(*device, token(0, replay=Replay(run="r1"))).tokens == 0


def test_a_token_heard_twice_is_one_and_a_new_epoch_forgets_the_old(answer):
    device = says(-1, 60), says(1, 240)
    assert answer(*device, token(0), token(0)).tokens == 1
    assert answer(*device, token(0, epoch=9), token(1), token(2)).tokens == 2


def test_of_a_device_the_last_messages_are_remembered_and_no_more(answer):
    late = [says(number, 100) for number in range(REMEMBERED)]
    assert answer(says(-1, 240), *late[1:]).before_w == 240
    assert answer(says(-1, 240), *late) is None
