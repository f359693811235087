"""Histories: today's grid and each replay have a past of their own, and old replays do not pile up."""

from datetime import timedelta

import pytest

from carbonshift.common.events import DayAheadPrices, PriceMarket, Replay
from carbonshift.decide.histories import Histories, Past
from carbonshift.decide.machine import step
from carbonshift.decide.policies.eco_pulse import EcoPulse
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.snapshot import Snapshot

SETTINGS = DecideSettings(warm_up_seconds=3_000)


def published(tick, **changes):
    first = tick(0).interval_start
    values = {
        "region": "caiso",
        "published_at": first,
        "step_seconds": 3_600,
        "first_interval_start": first,
        "prices_usd_per_mwh": tuple(20.0 + hour for hour in range(24)),
    }
    return DayAheadPrices.model_validate(values | changes)


def decided(past, ticks):
    for tick in ticks:
        past.hear(tick, "UTC")
        past.memory, _, _ = step(past.memory, tick, EcoPulse(SETTINGS), SETTINGS)
    return past


def test_a_replay_does_not_touch_the_past_of_today(tick):
    histories = Histories()
    today, replayed = histories.of(tick(0)), histories.of(tick(0, replay=Replay(run="r")))
    assert today is not replayed
    assert histories.of(tick(1)) is today
    assert histories.of(tick(1, replay=Replay(run="r", speed=60.0))) is replayed
    assert histories.of(tick(1, region="other")) is not today


def test_old_replays_go_and_today_stays(tick):
    histories = Histories()
    histories.of(tick(0))
    gone = []
    for run in "abcdefgh":
        histories.of(tick(0, replay=Replay(run=run)))
        gone += histories.forget_old("caiso")
    assert gone == [f"caiso:{run}" for run in "abcd"]
    assert list(histories) == ["caiso", *(f"caiso:{run}" for run in "efgh")]


def test_a_snapshot_falls_due_at_the_beginning_and_once_a_day(tick):
    past, taken = Past(region="caiso", mark=""), []
    for number in range(3 * 288 + 1):
        decided(past, [tick(number)])
        if past.falls_due:
            past.put_aside_day = past.day
            taken.append(number)
    assert taken == [0, 287, 2 * 288 - 1, 3 * 288 - 1]


def test_prices_published_before_the_first_tick_are_known_at_it(tick):
    past = Past(region="caiso", mark="")
    past.hear(published(tick), "UTC")
    assert past.falls_due
    past.hear(tick(0, price_market=PriceMarket.DAY_AHEAD), "UTC")
    assert past.outlook.ahead().prices_usd_per_mwh[:4, 0].tolist() == pytest.approx(
        [20 + 1 / 12 + hour for hour in range(4)]
    )


def test_steps_that_make_no_day_have_no_outlook(tick):
    past = Past(region="caiso", mark="")
    past.hear(published(tick), "UTC")
    past.hear(tick(0, interval_seconds=700), "UTC")
    assert (past.outlook, past.early) == (None, [])


def test_a_snapshot_gives_the_very_same_past(tick):
    wave = [tick(n, 30.0 + n % 7, None if n == 9 else 300.0 + n % 5) for n in range(400)]
    past = decided(Past(region="caiso", mark=":r"), wave[:300])
    stored_at = wave[299].interval_end + timedelta(microseconds=7)
    restored = Snapshot.from_bytes(Snapshot(past=past, sequence=41, stored_at=stored_at).to_bytes())
    assert (restored.sequence, restored.stored_at, restored.past.key) == (41, stored_at, "caiso:r")
    assert (restored.past.put_aside_day, restored.past.memory.state) == (past.day, past.memory.state)
    for one, other in [(decided(past, wave[300:]), decided(restored.past, wave[300:]))]:
        assert one.memory.state == other.memory.state
        assert one.outlook.ahead().prices_usd_per_mwh.tolist() == other.outlook.ahead().prices_usd_per_mwh.tolist()
        assert one.outlook.ahead().carbon_g_per_kwh.tolist() == other.outlook.ahead().carbon_g_per_kwh.tolist()


def test_what_was_published_early_is_in_the_snapshot(tick):
    past = Past(region="caiso", mark="")
    past.hear(published(tick), "UTC")
    restored = Snapshot.from_bytes(Snapshot(past=past, sequence=1, stored_at=tick(0).interval_start).to_bytes())
    assert (restored.past.early, restored.past.outlook, restored.past.day) == ([published(tick)], None, None)


@pytest.mark.parametrize("content", [b"", b"rubbish", Snapshot.to_bytes])
def test_what_is_no_snapshot_is_refused(tick, content):
    if callable(content):
        past = Past(region="caiso", mark="")
        whole = content(Snapshot(past=past, sequence=1, stored_at=tick(0).interval_start))
        content = whole[: len(whole) // 2]
    with pytest.raises(ValueError, match="not a snapshot"):
        Snapshot.from_bytes(content)
