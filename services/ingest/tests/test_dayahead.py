"""Day-ahead prices: a local day at a time, known from the hour of publication on and not before."""

from datetime import UTC, datetime, timedelta

from carbonshift.common.events import DayAheadPrices, GridTick, Replay
from carbonshift.common.streams import declare_streams
from carbonshift.ingest.dayahead import published_days
from carbonshift.ingest.replay import replay_tape, span_of
from carbonshift.ingest.settings import IngestSettings

BERLIN = {"time_zone": "Europe/Berlin", "price_market": "day-ahead", "day_ahead_published": "13:00"}


def hourly(make_tape, start, hours, **sidecar):
    pairs = [(float(n), 1.0) for n in range(hours)]
    return make_tape(pairs, start=start, step_seconds=3_600, **BERLIN | sidecar)


def test_a_day_is_as_long_as_the_clock_makes_it(make_tape):
    """Berlin, 31 March 2018 22:59 UTC to the spring change and beyond: 24, 23 and 24 hours."""
    tape = hourly(make_tape, datetime(2018, 3, 23, 23, tzinfo=UTC), 24 + 23 + 24)
    days = list(published_days(tape, "de", None))
    assert [len(day.prices_usd_per_mwh) for day in days] == [24, 23, 24]
    assert days[1].published_at == datetime(2018, 3, 24, 12, tzinfo=UTC)  # 13:00 in winter time
    assert days[2].published_at == datetime(2018, 3, 25, 11, tzinfo=UTC)  # 13:00 in summer time


def test_a_price_held_over_its_hour_is_published_once(make_tape):
    pairs = [(float(n // 4), 1.0) for n in range(96)]
    start = datetime(2018, 1, 1, 23, tzinfo=UTC)
    tape = make_tape(pairs, start=start, step_seconds=900, price_step_seconds=3_600, **BERLIN)
    (day,) = published_days(tape, "de", None)
    assert (day.step_seconds, day.prices_usd_per_mwh) == (3_600, tuple(map(float, range(24))))


def test_a_tape_of_real_time_prices_publishes_none(make_tape):
    assert list(published_days(make_tape([(1.0, 1.0)] * 300), "caiso", None)) == []


async def test_no_price_is_published_before_its_hour(make_tape, bus):
    """The replay begins at 08:00 local: today is known, tomorrow comes at 13:00 and not with the ticks before it."""
    tape = hourly(make_tape, datetime(2018, 1, 1, 23, tzinfo=UTC), 72)
    span = span_of(tape, datetime(2018, 1, 2, 7, tzinfo=UTC))
    settings = IngestSettings(nats_url=bus.url)
    await declare_streams(settings)
    await replay_tape(settings, tape, span, Replay(run="r"))
    ticks = await bus.collect(GridTick, until=tape.last)
    days = await bus.collect(DayAheadPrices, when=lambda found: len(found) == 3)
    assert [day.first_interval_start for day in days] == [
        datetime(2018, 1, 2, 7, tzinfo=UTC),
        datetime(2018, 1, 2, 23, tzinfo=UTC),
        datetime(2018, 1, 3, 23, tzinfo=UTC),
    ]
    order = await in_stream_order(bus)
    for day in days:
        before = order[: order.index(day.id)]
        seen = [tick.interval_start for tick in ticks if tick.id in before]
        assert all(start < day.published_at for start in seen)
        assert day is days[0] or max(seen) == day.published_at - timedelta(hours=1)


async def in_stream_order(bus) -> list[str]:
    from carbonshift.common.client import bare_client

    async with bare_client(bus.settings) as client:
        jetstream = client.jetstream()
        last = (await jetstream.stream_info("CARBONSHIFT_TICKS")).state.last_seq
        messages = [await jetstream.get_msg("CARBONSHIFT_TICKS", seq) for seq in range(1, last + 1)]
    return [message.headers["Nats-Msg-Id"] for message in messages]
