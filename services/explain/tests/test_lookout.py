"""What is seen around a transition, on a real broker."""

from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.client import bare_client
from carbonshift.common.events import (
    Account,
    EnergyBasis,
    Fuel,
    FuelMix,
    Pulse,
    Replay,
    ResumeToken,
    RunState,
    WorkerTelemetry,
)
from carbonshift.explain.expected import Change
from carbonshift.explain.facts import Surroundings
from carbonshift.explain.lookout import Lookout, answer_seconds

NOW = datetime(2026, 3, 4, 18, 5, tzinfo=UTC)
STORED_AT = datetime.now(UTC)
"""A stream stores by the clock on the wall, long after the recorded day."""
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
RUN = Replay(run="r1", speed=300.0)


@pytest.fixture
def red(transition):
    """Makes a change to RED of a state that is known well enough to be held against a forecast."""

    def make(**given):
        made = transition(Pulse.RED, "price_critical", **given)
        bands = dict.fromkeys(("price_low_usd_per_mwh", "carbon_low_g_per_kwh"), 0.0)
        bands |= dict.fromkeys(("price_high_usd_per_mwh", "carbon_high_g_per_kwh"), 100.0)
        return made.model_copy(update={"facts": made.facts.model_copy(update=bands)})

    return make


@pytest.fixture
def seen(bus):
    """What a lookout that heard this sees around each of the transitions, in their order."""

    async def around(*transitions, heard=(), stored_at=STORED_AT):
        lookout = Lookout("carbonshift")
        for event in heard:
            lookout.hear(event)
        async with bare_client(bus.settings) as client:
            return [await lookout.around(one, stored_at, client.jetstream()) for one in transitions]

    return around


def mix(start, solar_w, **changes):
    values = {
        "region": "caiso",
        "source": "test",
        "interval_start": start,
        "interval_seconds": 300,
        "power_w": {Fuel.SOLAR: solar_w, Fuel.GAS: 100.0 - solar_w},
    }
    return FuelMix.model_validate(values | changes)


def says(at, power_w, **changes):
    values = {
        "worker": "w1",
        "site": "s1",
        "region": "caiso",
        "device_uuid": "GPU-1",
        "observed_at": at,
        "power_w": power_w,
        "power_limit_w": 250.0,
        "enforced_limit_w": 250.0,
        "allowance_w": 250.0,
        "ceiling_w": 250.0,
        "energy_j": 0.0,
        "energy_basis": EnergyBasis.MEASURED,
        "account": Account(since=NOW),
        "run_state": RunState.RUNNING,
        "job": "j1",
    }
    return WorkerTelemetry.model_validate(values | changes)


def token(slot, **changes):
    values = {"site": "s1", "slot": slot, "watts": 50, "not_before": NOW, "expires_at": NOW + HOUR}
    values["epoch"] = int(NOW.timestamp())
    return ResumeToken.model_validate(values | changes)


async def test_where_nothing_else_is_known_a_transition_stands_alone(seen, red):
    assert await seen(red()) == [Surroundings()]


async def test_the_newest_forecast_tells_the_next_change(bus, grid, seen, red):
    old, new = ([95.0] * hours + [10.0] * 3 for hours in (1, 2))
    await bus.publish(
        grid.forecast(NOW - 5 * SECOND, old, old),
        grid.forecast(NOW, new, new),
        grid.forecast(NOW, old, old, region="de"),
    )
    (around,) = await seen(red())
    assert around.expected.change == Change(
        state=Pulse.GREEN, p50=NOW + 2 * HOUR, p10=NOW + 2 * HOUR, p90=NOW + 2 * HOUR, price_usd_per_mwh=10.0
    )


async def test_a_forecast_of_another_run_tells_nothing(bus, grid, seen, red):
    await bus.publish(grid.forecast(NOW, [10.0] * 3, [10.0] * 3, replay=RUN))
    live, replayed = await seen(red(), red(replay=RUN))
    assert live.expected is None
    assert replayed.expected.change.p50 == NOW + HOUR


async def test_a_replay_beside_the_live_grid_hides_the_forecast_of_neither(bus, grid, seen, red):
    near, far = ([95.0] * hours + [10.0] * 3 for hours in (1, 2))
    live, replayed = grid.forecast(NOW, near, near), grid.forecast(NOW, far, far, replay=RUN)
    later = [grid.forecast(NOW, [10.0] * 3, [10.0] * 3, replay=Replay(run=f"of-{number}")) for number in range(300)]
    await bus.publish(live, replayed, *later)
    found = await seen(red(), red(replay=RUN))
    assert [around.expected.change.p50 for around in found] == [NOW + HOUR, NOW + 2 * HOUR]


async def test_a_forecast_that_lies_behind_another_run_is_looked_for_no_longer_than_an_hour(bus, grid, seen, red):
    await bus.publish(grid.forecast(NOW, [10.0] * 3, [10.0] * 3), grid.forecast(NOW, [9.0] * 3, [9.0] * 3, replay=RUN))
    (around,) = await seen(red(), stored_at=STORED_AT + 2 * HOUR)
    assert around.expected is None


async def test_what_stands_on_the_subject_and_is_no_forecast_tells_nothing(bus, seen, red):
    await bus.publish_raw("carbonshift.forecast.caiso", b"\xff")
    assert await seen(red()) == [Surroundings()]


async def test_fuels_that_moved_within_the_hour_are_seen(bus, seen, red):
    await bus.publish(mix(NOW - HOUR, 45.0), mix(NOW, 20.0), mix(NOW, 99.0, region="de"))
    (around,) = await seen(red())
    assert [(shift.fuel, shift.before_percent, shift.now_percent) for shift in around.fuels] == [
        (Fuel.SOLAR, 45, 20),
        (Fuel.GAS, 55, 80),
    ]


async def test_a_replay_has_no_fuels_of_today(bus, seen, red):
    await bus.publish(mix(NOW - HOUR, 45.0), mix(NOW, 20.0))
    (around,) = await seen(red(replay=RUN))
    assert around.fuels == ()


async def test_a_mix_stored_long_before_the_transition_is_not_read(bus, seen, red):
    await bus.publish(mix(NOW - HOUR, 45.0), mix(NOW, 20.0))
    (around,) = await seen(red(), stored_at=STORED_AT + 4 * HOUR)
    assert around.fuels == ()


@pytest.mark.parametrize("ahead", [-HOUR, 10 * SECOND])
async def test_on_the_live_grid_before_and_after_are_told_apart_by_what_was_heard_first(seen, red, ahead):
    """Devices speak on their own clocks, which are neither that of the grid nor the broker's."""
    heard = says(STORED_AT + ahead, 240), red().state, says(STORED_AT + ahead, 60, run_state="paused")
    (around,) = await seen(red(), heard=heard)
    assert (around.fleet.before_w, around.fleet.now_w, around.fleet.paused) == (240, 60, 1)
    (early,) = await seen(red(), heard=heard[:2])
    assert early.fleet is None


async def test_a_state_that_goes_on_begins_nothing(seen, red):
    goes_on = red(now=NOW + timedelta(minutes=5)).state.model_copy(update={"since": NOW})
    heard = says(STORED_AT, 240), red().state, says(STORED_AT, 60), goes_on, says(STORED_AT, 50)
    (around,) = await seen(red(), heard=heard)
    assert (around.fleet.before_w, around.fleet.now_w) == (240, 50)


async def test_a_replayed_fleet_answers_in_the_time_of_the_recording(seen, red):
    heard = says(NOW - SECOND, 240, replay=RUN), says(NOW, 60, replay=RUN)
    replayed, live = await seen(red(replay=RUN), red(), heard=heard)
    assert (replayed.fleet.before_w, replayed.fleet.now_w) == (240, 60)
    assert live.fleet is None


async def test_tokens_that_are_handed_out_are_counted_until_another_epoch_begins(seen, red):
    heard = says(STORED_AT, 60), red().state, says(STORED_AT, 240), token(0), token(1)
    (around,) = await seen(red(), heard=heard)
    assert (around.fleet.tokens, around.fleet.tokens_w) == (2, 100)
    (around,) = await seen(red(), heard=(*heard, token(2, epoch=9)))  # an old one that comes late
    assert around.fleet.tokens == 2
    (around,) = await seen(red(), heard=(*heard, token(2, epoch=int(NOW.timestamp()) + 1)))
    assert (around.fleet.tokens, around.fleet.tokens_w) == (0, 0)


async def test_a_state_that_flaps_is_counted_over_an_hour_and_by_itself(seen, red):
    def at(minutes, **given):
        return red(now=NOW + timedelta(minutes=minutes), **given)

    of_another = at(25).model_copy(update={"region": "de"})
    found = await seen(at(0), at(20), at(20), of_another, at(30, replay=RUN), at(40), at(59), at(60), at(120))
    assert [around.changes_last_hour for around in found] == [1, 2, 2, 1, 1, 3, 4, 4, 1]


@pytest.mark.parametrize(
    ("replay", "seconds"),
    [(None, 10.0), (Replay(run="r1", speed=300.0), 1.0), (Replay(run="r1", speed=1.0), 10.0), (Replay(run="r1"), 0.0)],
)
def test_a_replay_waits_for_its_fleet_no_longer_than_an_interval_takes(red, replay, seconds):
    assert answer_seconds(red(replay=replay), 10.0) == seconds
