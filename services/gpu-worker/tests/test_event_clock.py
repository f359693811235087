from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import GridState, Pulse, Replay
from carbonshift.gpu_worker.event_clock import EventClock
from carbonshift.gpu_worker.lease import lease_end

NOON = datetime(2025, 7, 1, 12, tzinfo=UTC)
WALL = datetime(2026, 11, 24, 9, tzinfo=UTC)


def state(replay: Replay | None) -> GridState:
    return GridState(
        region="caiso",
        interval_start=NOON,
        interval_seconds=300,
        state=Pulse.GREEN,
        since=NOON,
        score=None,
        price_norm=None,
        carbon_norm=None,
        power_limit_w=250.0,
        power_fraction=1.0,
        run=True,
        epoch=1,
        reasons=(),
        valid_until=NOON + timedelta(seconds=900),
        policy="eco-pulse",
        replay=replay,
    )


def clock(speed: float | None, elapsed_seconds: float = 0.0) -> EventClock:
    replayed = state(Replay(run="july", speed=speed))
    return EventClock.of(replayed, elapsed_seconds=elapsed_seconds, monotonic_seconds=50.0)


def shown(clock: EventClock, monotonic_seconds: float) -> datetime:
    return clock.now(wall=WALL, monotonic_seconds=monotonic_seconds)


def test_live_it_is_the_wall_clock():
    live = EventClock.of(state(None), elapsed_seconds=3.0, monotonic_seconds=50.0)
    assert shown(live, 51.0) == WALL
    later = WALL + timedelta(seconds=7)
    assert live.wait_seconds(later, wall=WALL, monotonic_seconds=51.0) == 7.0


def test_replayed_it_goes_through_the_interval_at_the_replays_speed_and_stays_in_it():
    fast = clock(60.0)
    assert shown(fast, 50.0) == NOON
    assert shown(fast, 51.0) == NOON + timedelta(seconds=60)
    assert shown(fast, 99.0) == NOON + timedelta(seconds=300)
    assert fast.wait_seconds(NOON + timedelta(seconds=120), wall=WALL, monotonic_seconds=51.0) == 1.0
    assert fast.wait_seconds(NOON + timedelta(seconds=300), wall=WALL, monotonic_seconds=51.0) is None


def test_a_state_that_was_on_its_way_for_a_while_finds_its_interval_as_far_gone():
    assert shown(clock(60.0, elapsed_seconds=2.0), 50.0) == NOON + timedelta(seconds=120)


def test_as_fast_as_it_goes_it_stands_at_the_intervals_start():
    assert shown(clock(None), 99.0) == NOON
    assert clock(None).wait_seconds(NOON + timedelta(seconds=1), wall=WALL, monotonic_seconds=51.0) is None


@given(
    speed=st.one_of(st.none(), st.floats(0.1, 10_000)),
    moments=st.lists(st.floats(50, 1_000), min_size=2).map(sorted),
    reached_seconds=st.floats(-100, 400),
)
def test_it_never_goes_back_and_never_past_the_interval(speed, moments, reached_seconds):
    running = clock(speed).reach(NOON + timedelta(seconds=reached_seconds))
    times = [shown(running, moment) for moment in moments]
    assert times == sorted(times)
    assert all(NOON <= time <= NOON + timedelta(seconds=300) for time in times)


def test_a_lease_ends_as_a_live_state_says_and_for_a_replay_after_its_interval_on_the_wall():
    assert lease_end(state(None), WALL, 60.0) == NOON + timedelta(seconds=900)
    assert lease_end(state(Replay(run="july", speed=10.0)), WALL, 60.0) == WALL + timedelta(seconds=30 + 60)
    assert lease_end(state(Replay(run="july")), WALL, 60.0) == WALL + timedelta(seconds=60)
