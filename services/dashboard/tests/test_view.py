from datetime import timedelta
from functools import reduce

import pytest

from carbonshift.common.events import Pulse
from carbonshift.dashboard.fleet import Bounds, Fleet, fold
from carbonshift.dashboard.view import Snapshot, snapshot

SECOND = timedelta(seconds=1)


def folded(at, *events):
    return reduce(lambda fleet, event: fold(fleet, event, at, Bounds()), events, Fleet())


def seen(fleet, now, **more):
    return snapshot(fleet, now, quiet_seconds=15.0, **more)


def test_a_live_state_is_stale_when_its_lease_is_over(some):
    fleet = folded(some.NOON, some.state(0))
    over = some.state(0).valid_until
    assert not seen(fleet, over - SECOND).regions[0].state.stale
    assert seen(fleet, over).regions[0].state.stale


def test_a_replayed_state_ages_by_the_clock_on_the_wall(some):
    """Its lease ended last year; at 300 times the speed an interval is a second long."""
    fleet = folded(some.NOON, some.state(0, start=some.NOON - timedelta(days=365), replay=some.replayed(speed=300.0)))
    assert not seen(fleet, some.NOON + 14 * SECOND).regions[0].state.stale
    assert seen(fleet, some.NOON + 15 * SECOND).regions[0].state.stale


@pytest.mark.parametrize(("speed", "stale_seconds"), [(1.0, 900), (10.0, 90), (None, 15)])
def test_a_tick_is_stale_after_three_periods(some, speed, stale_seconds):
    fleet = folded(some.NOON, some.tick(0, replay=some.replayed(speed=speed)))
    assert seen(fleet, some.NOON).regions[0].tick.stale_at == some.NOON + timedelta(seconds=stale_seconds)


def test_the_live_grid_is_shown_while_it_is_fresh_and_a_replay_after_that(some):
    fleet = folded(some.NOON, some.state(0))
    fleet = fold(fleet, some.state(0, replay=some.replayed()), some.NOON + SECOND, Bounds())
    assert seen(fleet, some.NOON + SECOND).regions[0].replay is None
    assert seen(fleet, some.NOON + timedelta(minutes=20)).regions[0].replay.run == "run1"


def test_a_replay_long_over_makes_room_and_a_machine_silent_overnight_does_not(some):
    fleet = folded(
        some.NOON,
        some.tick(0, replay=some.replayed()),
        some.telemetry("replayed", replay=some.replayed()),
        some.telemetry("lab-a"),
    )
    later = seen(fleet, some.NOON + timedelta(hours=9))
    assert not later.regions
    assert [(device.worker, device.stale) for device in later.devices] == [("lab-a", True)]


def test_a_narrative_alone_makes_no_region(some):
    """It does not say whether it speaks of a replay."""
    assert not seen(folded(some.NOON, some.narrative(some.state(0))), some.NOON).regions


def test_a_narrative_is_outdated_once_the_state_has_changed_again(some):
    told = some.state(0)
    fleet = folded(some.NOON, told, some.narrative(told))
    assert not seen(fleet, some.NOON).regions[0].narrative.outdated
    fleet = fold(fleet, some.state(1, Pulse.RED), some.NOON, Bounds())
    assert seen(fleet, some.NOON).regions[0].narrative.outdated


def test_a_state_says_what_it_came_from(some):
    turned = some.state(1)
    fleet = folded(some.NOON, turned, some.transition(turned, Pulse.RED), some.state(2, since=turned.since))
    assert seen(fleet, some.NOON).regions[0].state.previous is Pulse.RED


def test_a_device_shows_how_much_of_its_job_remains(some):
    fleet = folded(some.NOON, some.telemetry(), some.change(), some.job(remaining=880))
    device = seen(fleet, some.NOON).devices[0]
    assert (device.step, device.remaining_steps, device.last_change.event) == (120, 880, "capped")


def test_a_device_is_known_before_its_first_telemetry(some):
    device = seen(folded(some.NOON, some.change()), some.NOON).devices[0]
    assert (device.run_state, device.power_w) == (None, None)


def test_a_change_tells_only_what_changed(some):
    before = folded(some.NOON, some.tick(0), some.tick(0, region="ercot"), some.telemetry(), some.telemetry("lab-b"))
    after = fold(before, some.tick(1), some.NOON, Bounds())
    told = seen(after, some.NOON, since=before)
    assert ([view.region for view in told.regions], told.devices, told.whole) == (["caiso"], (), False)
    after = fold(before, some.telemetry("lab-b", seconds=5), some.NOON, Bounds())
    told = seen(after, some.NOON, since=before)
    assert (told.regions, [device.worker for device in told.devices]) == ((), ["lab-b"])


def test_a_job_that_gets_on_changes_its_devices(some):
    before = folded(some.NOON, some.telemetry(), some.telemetry("lab-b", job="other"))
    after = fold(before, some.job(), some.NOON, Bounds())
    assert [device.worker for device in seen(after, some.NOON, since=before).devices] == ["lab-a"]


def test_a_snapshot_survives_json(some):
    whole = seen(folded(some.NOON, some.tick(0), some.state(0), some.telemetry(), some.change()), some.NOON)
    assert Snapshot.model_validate_json(whole.model_dump_json()) == whole


HOSTILE = "\x1b[2J\u202e\u200b\x9b\u2028<script>alert(1)</script>"


def test_nothing_that_a_page_or_a_terminal_would_obey_is_in_what_the_page_is_told(some):
    """The bus is written to by whoever may."""
    told, tick, change = some.state(0), some.tick(0), some.change(device=HOSTILE)
    hostile = (
        told.model_copy(update={"reasons": (HOSTILE,), "policy": HOSTILE}),
        tick.model_copy(update={"issues": (HOSTILE,), "price_source": HOSTILE, "carbon_source": HOSTILE}),
        some.narrative(told, HOSTILE).model_copy(update={"text": HOSTILE, "model": HOSTILE}),
        change.model_copy(update={"device_uuid": HOSTILE, "detail": {HOSTILE: HOSTILE}}),
    )
    read = [type(event).model_validate_json(event.model_dump_json()) for event in hostile]  # as from the wire
    page = seen(folded(some.NOON, *read), some.NOON).model_dump_json()
    assert page.count("alert(1)") == 10
    assert not {*"\u202e\u200b\x9b\u2028<"} & {*page}
    assert "\\u001b" not in page
