"""What a fleet has made of a transition."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.events import Account, EnergyBasis, Pulse, Replay, ResumeToken, RunState, WorkerTelemetry
from carbonshift.explain.fleet import CHANGES, REMEMBERED, SILENT_SECONDS, Fleet, FleetAnswer

NOW = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)
SECOND = timedelta(seconds=1)
HEARD_SECONDS = 100_000.0
"""When the change is heard of, on the clock of who hears."""
RUN = Replay(run="r1", speed=1.0)


def says(seconds, power_w, device="GPU-1", **changes):
    """What a device says so many seconds after the change, as its own clock has it."""
    values = {
        "worker": "w1",
        "site": "s1",
        "region": "caiso",
        "device_uuid": device,
        "observed_at": NOW + seconds * SECOND,
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
def fleet():
    return Fleet()


@pytest.fixture
def answer(transition):
    """What the fleet that has heard these in their time has made of a change to RED."""

    def of(*heard, state=Pulse.RED, skew_seconds=0.0, **given):
        fleet = Fleet()
        change = transition(state, **given)
        moments = [(event.time - NOW).total_seconds() - skew_seconds for event in heard]
        early = [(at, event) for at, event in zip(moments, heard, strict=True) if at < 0]
        late = [(at, event) for at, event in zip(moments, heard, strict=True) if at >= 0]
        for at, event in (*early, (0.0, change.state), *late):
            fleet.hear(event, HEARD_SECONDS + at)
        return fleet.answer(change)

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


def test_a_reading_of_long_before_is_no_measure_of_the_change(answer):
    assert answer(says(-9 * 3_600, 700, job="j1"), says(1, 90, job="j1", run_state="paused")) is None
    assert answer(says(-61, 700), says(1, 90)) is None
    assert answer(says(-59, 700), says(1, 90)).before_w == 700


@pytest.mark.parametrize(("speed", "furthest"), [(None, 60), (1.0, 60), (300.0, 18_000)])
def test_a_fast_replay_goes_through_more_of_its_time_in_a_minute(transition, speed, furthest):
    run = Replay(run="r1", speed=speed)
    change, told = transition(Pulse.RED, replay=run), []
    for before in (furthest, furthest + 1):
        fleet = Fleet()
        for event in (says(-before, 240, replay=run), change.state, says(1, 100, replay=run)):
            fleet.hear(event, HEARD_SECONDS)
        told.append(fleet.answer(change))
    assert (told[0].before_w, told[1]) == (240, None)


@pytest.mark.parametrize("skew_seconds", [-3_600, -10, 10, 3_600])
def test_a_worker_whose_clock_is_wrong_is_heard_in_its_order(answer, skew_seconds):
    heard = [says(at + skew_seconds, watts) for at, watts in ((-2, 240), (-1, 250), (1, 180), (2, 100))]
    told = answer(*heard, skew_seconds=skew_seconds)
    assert (told.before_w, told.now_w) == (250, 100)


def test_in_a_replay_what_was_heard_late_is_placed_by_the_recording(transition, fleet):
    change = transition(Pulse.RED, replay=RUN)
    for event in (says(-1, 240, replay=RUN), says(0, 180, replay=RUN), change.state, says(5, 90, replay=RUN)):
        fleet.hear(event, HEARD_SECONDS)
    told = fleet.answer(change)
    assert (told.before_w, told.now_w) == (240, 90)


@pytest.mark.parametrize("replay", [None, RUN])
def test_however_often_a_device_speaks_what_it_drew_before_is_known(answer, replay):
    often = [says(number / 10, 240 if number < 0 else 100, replay=replay) for number in range(-50, 50)]
    told = answer(*often, replay=replay)
    assert (told.before_w, told.now_w) == (240, 100)


def test_of_a_state_not_heard_of_nobody_knows_what_was_before(transition, fleet):
    fleet.hear(says(-1, 240), HEARD_SECONDS)
    fleet.hear(says(1, 100), HEARD_SECONDS)
    assert fleet.answer(transition(Pulse.RED)) is None


def test_a_state_heard_again_began_when_it_was_heard_first(transition, fleet):
    change = transition(Pulse.RED)
    for event in (says(-1, 240), change.state, says(1, 100), change.state):
        fleet.hear(event, HEARD_SECONDS)
    assert fleet.answer(change).before_w == 240


def test_a_job_that_moves_between_boards_has_neither_paused_nor_resumed(answer):
    told = answer(
        says(-1, 240, "a", job="j1"),
        says(-1, 60, "b", job="j1", run_state="paused"),
        says(1, 60, "a", job="j1", run_state="paused"),
        says(1, 240, "b", job="j1"),
    )
    assert (told.paused, told.resumed) == (0, 0)


def test_a_job_that_runs_on_any_board_runs(answer):
    pair = [says(-1, 240, device, job="j1") for device in "ab"]
    half = says(1, 60, "a", job="j1", run_state="paused")
    assert answer(*pair, half).paused == 0  # the other board ran when it was last heard
    assert answer(*pair, half, says(1, 240, "b", job="j1")).paused == 0
    assert answer(*pair, half, says(1, 60, "b", job="j1", run_state="paused")).paused == 1
    assert answer(pair[0], half, says(1, 240, "new", job="j1")).paused == 0


def test_a_board_whose_draw_is_not_known_counts_for_its_job(answer):
    dark = [says(at, None, "dark", job="j1", run_state=state) for at, state in ((-1, "running"), (1, "paused"))]
    told = answer(says(-1, 240), says(1, 100), *dark)
    assert (told.before_w, told.now_w, told.paused) == (240, 100, 1)


def test_who_falls_silent_is_forgotten(fleet, transition):
    change = transition(Pulse.RED)
    for event in (says(-1, 240, "gone"), token(), change.state, says(-1, 240, replay=RUN)):
        fleet.hear(event, HEARD_SECONDS)
    fleet.hear(says(1, 100, region="de"), HEARD_SECONDS + SILENT_SECONDS + 1)
    assert list(fleet._devices) == [("de", None)]
    assert not fleet._before
    assert not fleet._handed_out._epochs


def test_what_is_remembered_is_bounded(fleet, transition):
    for number in range(50):
        change = transition(Pulse.RED, now=NOW + number * 300 * SECOND)
        for event in (says(300 * number, 100), change.state, token(number, not_before=change.time)):
            fleet.hear(event, HEARD_SECONDS + 5 * number)
    assert len(fleet._devices["caiso", None]["w1", "GPU-1"]) == REMEMBERED
    assert len(fleet._before["caiso", None]) == CHANGES


def test_a_token_that_has_expired_is_forgotten(answer):
    device = says(-1, 60), says(1, 240)
    later = {"not_before": NOW + 61 * SECOND, "expires_at": NOW + 120 * SECOND}
    assert answer(*device, token(0), token(1), token(2, **later)).tokens == 1
