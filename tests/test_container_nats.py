"""The same loop on the official NATS image, where a Docker engine answers: nothing depends on our own server."""

import shutil
import subprocess
import warnings
from datetime import UTC, datetime

import pytest

from carbonshift.common.events import GridState, Replay
from carbonshift.common.streams import declare_streams
from carbonshift.common.tape import open_tape
from carbonshift.ingest.bundled import bundled_tapes
from carbonshift.ingest.replay import replay_tape, span_of
from carbonshift.ingest.settings import IngestSettings


def docker_answers():
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


@pytest.mark.container
@pytest.mark.skipif(not docker_answers(), reason="no Docker engine answers")
async def test_a_day_is_decided_on_the_official_image(start, bus_at):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from testcontainers.nats import NatsContainer
    with NatsContainer(jetstream=True) as container:
        url = container.nats_uri()
        settings = IngestSettings(nats_url=url)
        await declare_streams(settings)
        start("carbonshift.decide", NATS_URL=url)
        tape = open_tape(bundled_tapes()["fr_2018_hourly"])
        span = span_of(tape, end=datetime(2018, 1, 2, tzinfo=UTC))
        count = await replay_tape(settings, tape, span, Replay(run="r"))
        states = await bus_at(url).collect(GridState, when=lambda found: len(found) == count)
    assert len(states) == count
