"""A replay: every tick once, in order, marked, and through an outage of the broker too."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from carbonshift.common.embedded import embedded_server
from carbonshift.common.errors import InputError
from carbonshift.common.events import GridTick, Issue, Replay
from carbonshift.common.streams import declare_streams
from carbonshift.ingest.replay import replay_tape, span_of
from carbonshift.ingest.settings import IngestSettings


async def play(bus, tape, **changes):
    settings = IngestSettings(nats_url=bus.url)
    await declare_streams(settings)
    mark = Replay(run=changes.pop("run", "r"), speed=changes.pop("speed", None))
    return await replay_tape(settings, tape, span_of(tape, changes.pop("start", None), changes.pop("end", None)), mark)


async def test_every_tick_arrives_once_and_in_order(bus, make_tape):
    tape = make_tape([(float(n), 2.0 * n) for n in range(1_000)])
    assert await play(bus, tape) == 1_000
    ticks = await bus.collect(GridTick, until=tape.last)
    assert [(t.price_usd_per_mwh, t.carbon_g_per_kwh) for t in ticks] == [(float(n), 2.0 * n) for n in range(1_000)]
    assert {t.replay.run for t in ticks} == {"r"}


async def test_a_second_replay_is_a_history_of_its_own(bus, make_tape):
    tape = make_tape([(1.0, 1.0)] * 10)
    await play(bus, tape, run="a")
    await play(bus, tape, run="b")
    assert await bus.count("TICKS") == 20


async def test_a_gap_in_the_tape_is_a_tick_that_says_so(bus, make_tape, tmp_path):
    tape = make_tape([(1.0, 1.0), (2.0, None), (3.0, 3.0)])
    path = tmp_path / "tape.csv"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3] + lines[4:]) + "\n2026-01-01T00:15:00Z,4,4\n")
    await play(bus, type(tape)(path, tape.sidecar, 300, 3, tape.first, tape.first + timedelta(minutes=15), ()))
    ticks = await bus.collect(GridTick, until=tape.first + timedelta(minutes=15))
    told = [(t.interval_start.minute, t.revision, t.price_quality.value, t.carbon_quality.value) for t in ticks]
    assert told == [
        (0, 0, "observed", "observed"),
        (5, 0, "observed", "held"),
        (10, 0, "held", "held"),
        (5, 1, "observed", "interpolated"),
        (10, 1, "interpolated", "interpolated"),
        (15, 0, "observed", "observed"),
    ]
    assert [t.carbon_g_per_kwh for t in ticks[3:5]] == [2.0, 3.0]


async def test_the_speed_paces_event_time(bus, make_tape):
    tape = make_tape([(1.0, 1.0)] * 4)
    began = asyncio.get_running_loop().time()
    await play(bus, tape, speed=300 / 0.1)
    assert asyncio.get_running_loop().time() - began >= 0.4  # four intervals of 0.1 s, the last one lived through too


@pytest.mark.parametrize(
    ("first", "after", "minutes"), [(None, None, [0, 5, 10]), (3, None, [5, 10]), (None, 10, [0, 5])]
)
def test_a_stretch_begins_with_an_interval(make_tape, first, after, minutes):
    tape = make_tape([(1.0, 1.0)] * 3)
    moments = [None if m is None else datetime(2026, 1, 1, 0, m, tzinfo=UTC) for m in (first, after)]
    span = span_of(tape, *moments)
    count = (span.end - span.start) // timedelta(minutes=5)
    assert [(span.start + timedelta(minutes=5) * n).minute for n in range(count)] == minutes


def test_a_stretch_beside_the_tape_is_refused(make_tape):
    with pytest.raises(InputError, match="it goes from 2026-01-01T00:00:00Z"):
        span_of(make_tape([(1.0, 1.0)] * 3), datetime(2027, 1, 1, tzinfo=UTC))


async def test_a_broker_that_comes_back_gets_what_waited(tmp_path, make_tape):
    """The publisher is cut off in the middle and goes on under the same ids: nothing lost, nothing twice."""
    from carbonshift.common.client import bare_client

    tape = make_tape([(float(n), 1.0) for n in range(600)])
    with embedded_server(tmp_path / "broker") as url:
        port = url.rpartition(":")[2]
    config = tmp_path / "fixed.conf"
    config.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{tmp_path}/store" }}\n')
    settings = IngestSettings(nats_url=url)

    async def server():
        from carbonshift.common.embedded import find_binary

        return await asyncio.create_subprocess_exec(find_binary(), "-c", str(config), stderr=asyncio.subprocess.DEVNULL)

    running = await server()
    published = 0

    def count(done):
        nonlocal published
        published = done

    try:
        await declare_streams(settings)
        playing = asyncio.create_task(
            replay_tape(settings, tape, span_of(tape), Replay(run="r", speed=300 * 600), progress=count)
        )
        while published < 100:
            await asyncio.sleep(0.01)
        running.kill()
        await running.wait()
        running = await server()
        assert await asyncio.wait_for(playing, 60) == 600
        async with bare_client(settings) as client:
            jetstream = client.jetstream()
            assert (await jetstream.stream_info("CARBONSHIFT_TICKS")).state.messages == 600
    finally:
        running.terminate()
        await running.wait()


async def test_a_tape_can_be_replayed_with_faults(bus, make_tape):
    """Half of the hours without carbon: those are flagged, the rest is untouched."""
    tape = make_tape([(40.0 + n * 0.01, 300.0 + n * 0.1) for n in range(144)])
    settings = IngestSettings(nats_url=bus.url, faults='{"zero": 0.5, "seed": 2}')
    await declare_streams(settings)
    assert await replay_tape(settings, tape, span_of(tape), Replay(run="r")) == 144
    ticks = await bus.collect(GridTick, until=tape.last)
    zeros = [t for t in ticks if t.carbon_g_per_kwh == 0.0]
    assert 24 <= len(zeros) <= 120
    assert all(Issue.CARBON_ZERO in t.issues for t in zeros)
