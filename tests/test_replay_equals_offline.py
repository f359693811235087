"""A recording decides alike through the broker and offline, and however often decide is killed on the way."""

import asyncio
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from carbonshift.backtest.offline import offline_states
from carbonshift.common.events import GridState, GridTick, Replay
from carbonshift.common.tape import open_tape
from carbonshift.decide.settings import DecideSettings
from carbonshift.ingest.bundled import bundled_tapes
from carbonshift.ingest.replay import frame_of, replay_tape, span_of, ticks_of
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.recording import RecordingSource

RECORDINGS = Path(__file__).parents[2] / "shared" / "recordings"
CALIFORNIA = RECORDINGS / "caiso_dlap-pgae_moer-pge_2019_5min.csv.gz"
TAPES = [
    pytest.param(bundled_tapes()["de_2018_15min"], datetime(2018, 3, 1, tzinfo=UTC), 3, id="de"),
    pytest.param(
        CALIFORNIA,
        datetime(2019, 5, 15, tzinfo=UTC),
        2,
        id="california",
        marks=pytest.mark.skipif(not CALIFORNIA.exists(), reason="the folder of Californian recordings is not here"),
    ),
]


@pytest.mark.parametrize(("path", "start_at", "days"), TAPES)
async def test_states_are_identical_tick_for_tick_through_two_kills(bus, start, path, start_at, days):
    tape = open_tape(path)
    span = span_of(tape, start_at, start_at + timedelta(days=days))
    replay = Replay(run="r")
    settings = IngestSettings(nats_url=bus.url)
    source = RecordingSource(settings, tape=tape)
    ticks = [tick async for tick in ticks_of(source, span, frame_of(tape, replay=replay), settings.patience())]
    wanted = list(offline_states(ticks, DecideSettings()))

    decide = start("carbonshift.decide", NATS_URL=bus.url)
    playing = asyncio.create_task(replay_tape(settings, tape, span, replay))
    for share in (3, 2):
        await bus.collect(GridState, when=lambda found, share=share: len(found) >= len(wanted) // share)
        decide.send_signal(signal.SIGKILL)
        decide.wait()
        decide = start("carbonshift.decide", NATS_URL=bus.url)
    assert await playing == len(wanted)
    decided = await bus.collect(GridState, until=ticks[-1].interval_start)
    assert decided == wanted
    published = await bus.collect(GridTick, until=ticks[-1].interval_start)
    assert published == ticks
    assert await bus.count("DLQ") == 0
