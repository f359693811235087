"""When a forecast is due."""

from hypothesis import given
from hypothesis import strategies as st

from carbonshift.forecast.cadence import Cadence

EVERY_SECONDS = 900


def origins(step, count):
    return [step * n for n in range(1, count + 1)]


def made(step, count):
    cadence, due = Cadence(), []
    for origin in origins(step, count):
        cadence = cadence.at(origin, EVERY_SECONDS)
        if cadence.waiting:
            due.append(origin)
            cadence = cadence.made(origin)
    return due


def test_the_first_tick_and_every_third_after_it_are_due():
    assert made(300, 7) == [300, 1_200, 2_100]


def test_intervals_longer_than_the_pause_are_due_each():
    assert made(3_600, 3) == origins(3_600, 3)


def test_a_late_correction_makes_nothing_due():
    cadence = Cadence().at(3_600, EVERY_SECONDS).made(3_600)
    assert not cadence.at(3_600, EVERY_SECONDS).waiting


@given(st.integers(1, 400), st.sampled_from([60, 300, 3_600]))
def test_a_backlog_is_one_forecast_made_and_the_others_counted(count, step):
    cadence = Cadence()
    for origin in origins(step, count):
        cadence = cadence.at(origin, EVERY_SECONDS)
    assert cadence.waiting
    assert cadence.skipped + 1 == len(made(step, count))
    caught_up = cadence.made(step * count)
    assert not caught_up.waiting
    assert caught_up.skipped == 0
    assert not caught_up.at(step * count + EVERY_SECONDS - 1, EVERY_SECONDS).waiting
