from datetime import timedelta
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.common.events import Pulse
from carbonshift.dashboard.fleet import Bounds, Fleet, fold

BOUNDS = Bounds()


def folded(stored, bounds=BOUNDS):
    return reduce(lambda fleet, one: fold(fleet, *one, bounds), stored, Fleet())


def afternoon(some):
    """A stretch of everything, each with the moment its stream stored it."""
    turned = some.state(3, Pulse.RED)
    events = [
        *(some.tick(index, price=30.0 + index) for index in range(6)),
        some.tick(2, price=99.0, revision=1),
        *(some.state(index) for index in range(3)),
        turned,
        some.transition(turned),
        some.narrative(turned),
        some.telemetry(power=200.0),
        some.telemetry(power=150.0, seconds=5),
        some.change(),
        some.job(),
        some.tick(0, replay=some.replayed()),
    ]
    return [(event, some.NOON + timedelta(seconds=10 * index)) for index, event in enumerate(events)]


@given(data=st.data())
def test_the_order_of_arrival_changes_nothing(some, data):
    """History and the last of each subject come from two consumers: either may be first."""
    stored = afternoon(some)
    assert folded(data.draw(st.permutations(stored))) == folded(stored)


@given(data=st.data())
def test_a_message_heard_twice_changes_nothing(some, data):
    stored = afternoon(some)
    again = data.draw(st.lists(st.sampled_from(stored)))
    assert folded([*stored, *again]) == folded(stored)


@given(indices=st.lists(st.integers(0, 500), max_size=60), limit=st.integers(2, 20))
def test_a_history_is_ascending_and_bounded(some, indices, limit):
    stored = [(some.tick(index), some.NOON) for index in indices]
    tracks = folded(stored, Bounds(points=limit)).tracks.values()
    starts = [point.interval_start for track in tracks for point in track.points]
    assert starts == [some.tick(index).interval_start for index in sorted(set(indices))[-limit:]]


@given(count=st.integers(1, 30), limit=st.integers(1, 5))
def test_what_has_been_silent_longest_is_let_go(some, count, limit):
    bounds = Bounds(tracks=limit, devices=limit, jobs=limit)
    stored = [
        (event, some.NOON + timedelta(seconds=index))
        for index in range(count)
        for event in (some.tick(region=f"r{index}"), some.telemetry(f"w{index}"), some.job(f"j{index}"))
    ]
    fleet = folded(stored, bounds)
    kept = range(max(0, count - limit), count)
    assert {region for region, _ in fleet.tracks} == {f"r{index}" for index in kept}
    assert {worker for worker, _ in fleet.devices} == {f"w{index}" for index in kept}
    assert set(fleet.jobs) == {f"j{index}" for index in kept}


def test_a_correction_replaces_its_interval_and_not_the_latest(some):
    stored = [
        (some.tick(0), some.NOON),
        (some.tick(1, price=50.0), some.NOON),
        (some.tick(0, price=7.0, revision=1), some.NOON),
    ]
    track = folded(stored).tracks["caiso", ""]
    assert [point.price_usd_per_mwh for point in track.points] == [7.0, 50.0]
    assert track.tick.event.price_usd_per_mwh == 50.0


def test_a_replay_is_not_mixed_with_the_live_grid_nor_with_another_replay(some):
    of_replay = some.state(0, replay=some.replayed("run2"))
    stored = [
        (event, some.NOON)
        for event in (some.tick(0), some.tick(1, replay=some.replayed("run1")), of_replay, some.narrative(of_replay))
    ]
    fleet = folded(stored)
    assert {run: len(track.points) for (_, run), track in fleet.tracks.items()} == {"": 1, "run1": 1, "run2": 1}
    assert fleet.tracks["caiso", "run2"].narrative
    assert not fleet.tracks["caiso", ""].narrative


def test_a_worker_that_turns_to_an_earlier_recording_is_followed(some):
    earlier = some.telemetry(power=1.0, seconds=-86_400, replay=some.replayed("run2"))
    fleet = folded([(some.telemetry(), some.NOON), (earlier, some.NOON + timedelta(seconds=1))])
    assert fleet.devices["lab-a", "gpu-0"].telemetry.event == earlier


def test_what_an_event_does_not_touch_stays_the_same_object(some):
    before = folded([(some.tick(0), some.NOON), (some.tick(0, region="ercot"), some.NOON)])
    after = fold(before, some.tick(1), some.NOON, Bounds())
    assert after.tracks["ercot", ""] is before.tracks["ercot", ""]
    assert after.tracks["caiso", ""] is not before.tracks["caiso", ""]
    assert after.devices is before.devices
