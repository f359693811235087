"""A source is asked as it publishes: the rhythm is learned, and silence is not hammered at."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonshift.ingest.punctuality import Punctuality

START = datetime(2026, 1, 1, tzinfo=UTC)


def lived(publication_delay, hours=6, step=300, poll=30.0, since=7.0):
    """Ask at every `due_at` of a source that publishes so many seconds after the end of each interval."""
    habit, now, asked, lags = Punctuality(interval_seconds=step, poll_seconds=poll), START, 0, {}
    now += timedelta(seconds=since)
    while now < START + timedelta(hours=hours):
        asked += 1
        last = (now.timestamp() - publication_delay) // step * step
        newest_end = datetime.fromtimestamp(last, UTC)
        lags.setdefault(newest_end, (now - newest_end).total_seconds() - publication_delay)
        habit = habit.after(now, newest_end)
        due = habit.due_at(now)
        assert due > now
        now = due
    return habit, asked, [lag for end, lag in sorted(lags.items())]


@pytest.mark.parametrize("delay", [0.0, 42.0, 150.0, 400.0, 1_000.0, -120.0])
def test_a_value_is_had_within_a_poll_of_its_publication_whenever_we_started(delay):
    for since in (0.0, 7.0, 133.0, 299.0):
        _, asked, lags = lived(delay, since=since)
        assert max(lags[12:]) <= 30.0
        assert asked / len(lags) < 2.5  # and not by asking all the time


@given(delay=st.floats(0, 600), faster=st.floats(0, 600))
def test_a_provider_that_changes_its_habit_is_followed(delay, faster):
    habit, _, _ = lived(delay, hours=2)
    now = START + timedelta(hours=2)
    for _ in range(200):
        last = (now.timestamp() - faster) // 300 * 300
        habit = habit.after(now, datetime.fromtimestamp(last, UTC))
        now = habit.due_at(now)
    assert abs(habit.usual_delay_seconds - faster) <= 45.0


def test_a_silent_source_is_asked_ever_more_seldom_up_to_a_quarter_of_its_step():
    habit, now, pauses = Punctuality(interval_seconds=3_600, poll_seconds=30.0), START, []
    for _ in range(10):
        habit = habit.after(now, None)
        pauses.append((habit.due_at(now) - now).total_seconds())
        now = habit.due_at(now)
    assert pauses == [30.0, 60.0, 120.0, 240.0, 480.0, 900.0, 900.0, 900.0, 900.0, 900.0]


def test_overdue_counts_from_the_usual_delay():
    habit, _, _ = lived(120.0, hours=2)
    end = habit.newest_end
    assert habit.overdue_seconds(end + timedelta(seconds=300)) == 0.0
    late = habit.overdue_seconds(end + timedelta(seconds=300 + 120 + 600))
    assert 560.0 <= late <= 600.0


def test_history_says_nothing_of_punctuality():
    habit = Punctuality(interval_seconds=300, poll_seconds=30.0).after(START, START - timedelta(days=1))
    assert habit.delays_seconds == ()
