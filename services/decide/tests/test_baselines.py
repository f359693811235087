"""The policies that follow no signal: what every saving is measured against."""

from datetime import UTC, datetime, time, timedelta

import pytest

from carbonshift.common.errors import InputError
from carbonshift.common.events import Pulse
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policies.run_now import RunNow
from carbonshift.decide.policies.solar_window import SolarWindow
from carbonshift.decide.policies.static_cap import StaticCap
from carbonshift.decide.settings import DecideSettings


def states(policy, ticks, settings):
    memory = RegionMemory()
    for tick in ticks:
        memory, _, state = step(memory, tick, policy, settings)
        yield state


@pytest.mark.parametrize(("policy", "limit_w"), [(RunNow, 250.0), (StaticCap, 150.0)])
def test_a_policy_without_a_signal_says_the_same_at_any_price(tick, policy, limit_w):
    settings = DecideSettings()
    ticks = [tick(n, price, 400.0) for n, price in enumerate((-50.0, 30.0, 9_000.0))]
    found = list(states(policy(settings), ticks, settings))
    assert {(s.state, s.run, s.power_limit_w, s.reasons) for s in found} == {(Pulse.GREEN, True, limit_w, ("always",))}


def test_a_window_of_the_local_day_is_kept_through_a_change_of_the_clock(tick):
    zone = "America/Los_Angeles"
    settings = DecideSettings(time_zone=zone, solar_window_from=time(9), solar_window_to=time(16))
    start = datetime(2026, 3, 7, 8, tzinfo=UTC)  # midnight; the next night clocks go forward
    ticks = [tick(0, interval_start=start + timedelta(hours=n), interval_seconds=3_600) for n in range(47)]
    found = list(states(SolarWindow(settings), ticks, settings))
    green = [s.interval_start for s in found if s.state is Pulse.GREEN]
    assert [moment.hour for moment in green] == [17, 18, 19, 20, 21, 22, 23, 16, 17, 18, 19, 20, 21, 22]
    assert {s.run for s in found if s.state is Pulse.RED} == {False}


def test_a_window_that_ends_before_it_begins_is_refused(monkeypatch):
    monkeypatch.setenv("CARBONSHIFT_SOLAR_WINDOW_FROM", "17:00")
    with pytest.raises(InputError, match="solar_window_from must be before"):
        DecideSettings.load()
    monkeypatch.setenv("CARBONSHIFT_SOLAR_WINDOW_FROM", "07:00")
    monkeypatch.setenv("CARBONSHIFT_TIME_ZONE", "Mars")
    with pytest.raises(InputError, match="'Mars' is not an IANA time zone"):
        DecideSettings.load()
