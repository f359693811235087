"""What the columns of the regression say, and what they must not know."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.forecast.features import STILL, Calendar, Features, Grid

START = int(datetime(2026, 3, 20, tzinfo=UTC).timestamp())
ORIGIN_COLUMNS = 21
GRIDS = [
    pytest.param(Grid(step_seconds=step_seconds, days=days), id=f"{step_seconds} s, {days} days")
    for step_seconds in (300, 3_600)
    for days in (1, 7)
]


def features(own, other, grid, origins, start=START):
    calendar = Calendar(start, own.size + 12 * grid.day, grid.step_seconds, "UTC")
    return Features(own, other, calendar, grid, np.asarray(origins))


@pytest.mark.parametrize(
    ("step_seconds", "hour", "day"),
    [(60, 60, 1_440), (300, 12, 288), (900, 4, 96), (3_600, 1, 24), (7_200, 1, 12), (86_400, 1, 1)],
)
def test_a_grid_knows_its_hour_and_its_day(step_seconds, hour, day):
    grid = Grid(step_seconds=step_seconds, days=7)
    assert (grid.hour, grid.day, grid.reach) == (hour, day, 7 * day + hour)


@pytest.mark.parametrize("grid", GRIDS)
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
def test_what_comes_after_an_origin_changes_no_column_of_it(grid, data, seed):
    """From all origins at once: each row knows its own past, and nothing else."""
    random = np.random.default_rng(seed)
    size = grid.reach + 2 * grid.day
    own, other = random.normal(size=(2, size))
    origins = np.arange(grid.reach, size + 1, 7)
    cut = data.draw(st.sampled_from(origins.tolist()))
    lead = data.draw(st.integers(1, 9 * grid.day))
    changed = [np.concatenate((values[:cut], random.normal(50.0, 9.0, size - cut))) for values in (own, other)]
    before = features(own, other, grid, origins).toward(lead)
    after = features(*changed, grid, origins).toward(lead)
    np.testing.assert_array_equal(after[origins <= cut], before[origins <= cut])


@pytest.mark.parametrize("grid", GRIDS)
def test_at_no_lead_is_anything_read_that_is_not_known(grid):
    """Nothing is there behind the origin, nor before the first value: whatever reads it shows."""
    size = grid.reach + grid.day
    for origin in (grid.reach, grid.reach + 5):
        own, other = np.random.default_rng(0).normal(size=(2, size))
        own[origin:] = other[origin:] = np.nan
        found = features(own, other, grid, [origin])
        for lead in (1, 2, grid.hour, grid.day - 1, grid.day, grid.day + 1, 2 * grid.day, 7 * grid.day, 9 * grid.day):
            assert np.isfinite(found.toward(lead)).all(), lead


@pytest.mark.parametrize("grid", GRIDS)
def test_the_columns_of_an_origin_are_what_they_are_meant_to_be(grid):
    """A signal that climbs by one an interval, beside one that climbs by two: each mean tells where it was taken."""
    own = np.arange(grid.reach + 3 * grid.day, dtype=float)
    origin, hour, day, days = own.size - 5, grid.hour, grid.day, grid.days
    last = origin - 1

    def mean(count):
        return last - (count - 1) / 2

    recent, usual = mean(max(hour // 2, 1)), last - day * (days + 1) / 2
    unusual_now = 0.0 if days == 1 else day * days / 2
    meant = [1.0, last, last - 1, last - 2, recent, mean(hour), mean(3 * hour), mean(6 * hour), mean(day)]
    meant += [mean(days * day), last - day, last - day, usual, unusual_now]
    meant += [2 * last, 2 * last - 2, 2 * mean(3 * hour), 2 * mean(day), 2 * (last - day)]
    meant += [np.log(1 + STILL)] * 2
    found = features(own, 2 * own, grid, [origin]).toward(3)[0]
    assert found[:ORIGIN_COLUMNS] == pytest.approx(meant)
    unusual = np.repeat([recent - usual, unusual_now], 4)
    assert found[-8:] == pytest.approx(unusual * np.tile(found[ORIGIN_COLUMNS + 8 : ORIGIN_COLUMNS + 12], 2))


@pytest.mark.parametrize("grid", GRIDS)
def test_the_days_before_are_looked_at_at_the_time_of_day_that_is_foretold(grid):
    own = np.arange(grid.reach + 3 * grid.day, dtype=float)
    origin, day = own.size - 5, grid.day
    known = np.arange(origin)
    for lead in (1, 2, day - 1, day, day + 1, 2 * day + 3, 8 * day):
        same_time = known[(known - (origin - 1 + lead)) % day == 0][::-1]
        of_days = same_time[: max(1, grid.days - (lead - 1) // day)]
        found = features(own, -own, grid, [origin]).toward(lead)[0, ORIGIN_COLUMNS:]
        assert found[0] == same_time[0]
        assert found[1] == (same_time[1] if same_time.size > 1 else 0)
        assert found[2] == of_days[-1]
        assert found[4] == of_days.mean()
        assert found[6] == -same_time[0]
        half = grid.hour // 2
        about = [known[max(at - half, 0) : at + half + 1].mean() for at in of_days]
        assert found[3] == about[0]
        assert found[5] == pytest.approx(np.mean(about))
        assert found[7] == pytest.approx(np.log(1 + STILL))


def test_a_restless_signal_shows_where_it_was_restless():
    """The last hour, the day, and an hour about the same time a day before: each on its own."""
    grid = Grid(step_seconds=300, days=1)
    still = np.zeros(grid.reach + grid.day)
    origin = still.size
    moved_now, moved_then = still.copy(), still.copy()
    moved_now[-6::2] = 1.0
    moved_then[origin + 10 - 288 - 4 : origin + 10 - 288 + 4 : 2] = 1.0
    logs = {}
    for name, own in (("still", still), ("now", moved_now), ("then", moved_then)):
        found = features(own, still, grid, [origin]).toward(10)[0]
        logs[name] = np.exp(found[[19, 20, ORIGIN_COLUMNS + 7]]) - STILL
    assert logs["still"] == pytest.approx([0, 0, 0])
    assert logs["now"] == pytest.approx([6 / 12, 6 / 288, 0])
    assert logs["then"] == pytest.approx([0, 8 / 288, 8 / 13])


@pytest.mark.parametrize("lead", [1, 5, 24, 30, 60])
def test_the_calendar_is_that_of_the_step_foretold(lead):
    grid = Grid(step_seconds=3_600, days=1)
    own = np.zeros(10 * 24)
    origins = np.arange(grid.reach, own.size + 1)
    found = features(own, own, grid, origins).toward(lead)[:, ORIGIN_COLUMNS + 8 :]
    target = [datetime.fromtimestamp(START, UTC) + timedelta(hours=int(origin) - 1 + lead) for origin in origins]
    back = [moment - timedelta(days=-(-lead // 24)) for moment in target]
    angle = 2 * np.pi * np.array([moment.hour for moment in target]) / 24
    for number in range(4):
        np.testing.assert_allclose(found[:, 2 * number], np.sin((number + 1) * angle), atol=1e-9)
        np.testing.assert_allclose(found[:, 2 * number + 1], np.cos((number + 1) * angle), atol=1e-9)
    weekend = np.array([moment.weekday() >= 5 for moment in target], dtype=float)
    assert found[:, 8].tolist() == weekend.tolist()
    assert found[:, 9].tolist() == [float(moment.weekday() >= 5) for moment in back]
    np.testing.assert_allclose(found[:, 10], weekend * np.sin(angle), atol=1e-9)
    np.testing.assert_allclose(found[:, 11], weekend * np.cos(angle), atol=1e-9)


@pytest.mark.parametrize("step_seconds", [300, 900, 3_600])
@pytest.mark.parametrize(
    ("zone", "day"),
    [
        ("Europe/Berlin", datetime(2026, 3, 28, tzinfo=UTC)),
        ("Europe/Berlin", datetime(2026, 10, 24, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 3, 7, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 10, 31, tzinfo=UTC)),
        ("Asia/Kolkata", datetime(2026, 1, 1, tzinfo=UTC)),
        ("UTC", datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_clock_is_the_one_on_the_wall_over_a_change_of_it_too(zone, day, step_seconds):
    size = 3 * 86_400 // step_seconds
    found = Calendar(int(day.timestamp()), size, step_seconds, zone)
    local = [(day + timedelta(seconds=step_seconds * number)).astimezone(ZoneInfo(zone)) for number in range(size)]
    hours = np.array([moment.hour + moment.minute / 60 for moment in local])
    np.testing.assert_allclose(found.angle, hours * 2 * np.pi / 24, atol=1e-9)
    assert found.weekend.tolist() == [float(moment.weekday() >= 5) for moment in local]
