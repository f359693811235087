"""The shell of explain on a real broker."""

import asyncio
import json
import os
import signal
import threading
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import generate_latest

from carbonshift.common.client import bare_client
from carbonshift.common.embedded import embedded_server
from carbonshift.common.events import (
    Account,
    DeadLetter,
    Digest,
    GridTransition,
    Narrative,
    Pulse,
    Replay,
    WorkerTelemetry,
)
from carbonshift.common.streams import declare_streams, stream_name
from carbonshift.explain.app import build
from carbonshift.explain.facts import fact_sheet
from carbonshift.explain.languages import English
from carbonshift.explain.narrative import narrative_of
from carbonshift.explain.settings import ExplainSettings

EXIT_SECONDS = 10.0


@asynccontextmanager
async def explaining(url, **changes):
    app = build(ExplainSettings(nats_url=url, **{"answer_seconds": 0} | changes))
    started = asyncio.Event()
    app.after_startup(started.set)
    task = asyncio.create_task(app.run())
    try:
        await asyncio.wait_for(started.wait(), 20)
        yield app
    finally:
        app.exit()
        await task


async def test_each_transition_is_told_once(bus, transition):
    red = transition(Pulse.RED, "price_critical", prices=(31, 412), replay=Replay(run="r1"))
    later = red.state.interval_start + timedelta(minutes=20)
    amber = transition(Pulse.AMBER, "score_middle", previous=Pulse.RED, now=later)
    async with explaining(bus.url):
        await bus.publish(red, red, amber)
        narratives = await bus.collect(Narrative, until=later)
    assert [n.transition_id for n in narratives] == [red.id, amber.id]
    assert narratives[0].id == f"narrative:{red.id}"
    assert narratives[0].replay == red.state.replay
    assert narratives[0].model == "template"
    assert not narratives[0].fallback
    assert narratives[0].facts["price_usd_per_mwh"] == 412.0
    assert "above the $150 limit" in narratives[0].text


async def test_one_delivered_again_is_stored_once(bus, transition):
    """The same transition under another message id comes as a redelivery does: to a service that has told it."""
    red = transition(Pulse.RED, "price_critical", prices=(31, 412))
    amber = transition(Pulse.AMBER, previous=Pulse.RED, now=red.state.interval_start + timedelta(minutes=20))
    async with explaining(bus.url):
        await bus.publish(red)
        await bus.publish_raw(red.subject("carbonshift"), red.model_dump_json().encode())
        await bus.publish(amber)
        narratives = await bus.collect(Narrative, until=amber.time)
    assert [n.transition_id for n in narratives] == [red.id, amber.id]


async def test_what_is_no_transition_goes_to_the_dlq_and_the_next_is_told(bus, transition):
    red = transition(Pulse.RED, "price_critical")
    async with explaining(bus.url):
        await bus.publish_raw("carbonshift.transition.caiso", b'{"region": "caiso"}')
        await bus.publish(red)
        narratives = await bus.collect(Narrative, until=red.time)
        letters = await bus.collect(DeadLetter, when=bool)
    assert [n.transition_id for n in narratives] == [red.id]
    assert letters[0].service == "explain"


@pytest.fixture
def key(llm):
    """Settings with which the loopback API is asked."""
    return {"anthropic_api_key": "sk-ant-test", "anthropic_base_url": llm.url.removesuffix("/v1")}


@pytest.fixture
def spike(transition):
    """Makes the n-th of transitions 20 minutes apart."""

    def make(number=0, region="caiso"):
        first = transition(Pulse.RED, "price_critical", prices=(31, 412))
        made = transition(
            Pulse.RED, "price_critical", prices=(31, 412 + number), now=first.time + timedelta(minutes=20 * number)
        )
        return made.model_copy(update={"region": region, "state": made.state.model_copy(update={"region": region})})

    return make


def written(transition):
    """A text that says nothing but the facts and is not the template's."""
    return English().narrate(fact_sheet(transition)).replace("Training", "The training")


@pytest.fixture
def tells(llm, llm_server):
    """Has the API tell these transitions, one after the other."""
    return lambda *told: llm.play(*(llm_server.message(json.dumps({"text": written(one)})) for one in told))


async def acknowledged(bus):
    """Once nothing is left to be told."""
    async with bare_client(bus.settings) as client:
        jetstream = client.jetstream()
        while True:
            info = await jetstream.consumer_info(stream_name(GridTransition.stream, "carbonshift"), "explain")
            if not info.num_pending and not info.num_ack_pending:
                return
            await asyncio.sleep(0.01)


async def test_with_a_key_the_model_tells_and_its_text_is_marked_as_its_own(bus, key, tells, spike):
    tells(spike())
    async with explaining(bus.url, **key):
        await bus.publish(spike())
        (told,) = await bus.collect(Narrative, when=bool)
    assert told.text == written(spike())
    assert told.model == "claude-sonnet-5-5"
    assert not told.fallback
    assert told.facts == fact_sheet(spike()).facts()


async def test_what_is_not_fit_to_publish_falls_back_to_the_template(bus, key, llm, llm_server, spike):
    llm.play(llm_server.message(json.dumps({"text": "The price is $9,999/MWh."})))
    async with explaining(bus.url, **key):
        await bus.publish(spike())
        (told,) = await bus.collect(Narrative, when=bool)
    assert told.text == English().narrate(fact_sheet(spike()))
    assert told.model == "template"
    assert told.fallback
    assert len(llm.asked) == 2


async def test_one_that_was_told_is_neither_told_nor_paid_for_again(bus, key, llm, tells, spike):
    """Nor where the broker has forgotten the narrative's id: that it is in the stream is enough."""
    tells(spike(1))
    sheet = fact_sheet(spike())
    told = narrative_of(spike(), sheet, English().narrate(sheet))
    await bus.publish_raw(told.subject("carbonshift"), told.model_dump_json().encode())  # under no id
    async with explaining(bus.url, **key):
        await bus.publish(spike())
        await acknowledged(bus)
        await bus.publish(spike(1))
        narratives = await bus.collect(Narrative, until=spike(1).time)
    assert [n.transition_id for n in narratives] == [spike().id, spike(1).id]
    assert len(llm.asked) == 1


async def test_one_delivered_again_is_paid_for_once(bus, key, llm, tells, spike):
    tells(spike())
    async with explaining(bus.url, **key):
        await bus.publish(spike())
        await bus.publish_raw(spike().subject("carbonshift"), spike().model_dump_json().encode())
        await acknowledged(bus)
        await bus.publish(spike(1))
        narratives = await bus.collect(Narrative, until=spike(1).time)
    assert [n.transition_id for n in narratives] == [spike().id, spike(1).id]
    assert len(llm.asked) <= 1  # none where both came at once: the first had a newer one behind it


async def test_a_grid_that_flaps_is_asked_about_once(bus, key, llm, tells, spike):
    tells(spike())
    flapping = [spike(number) for number in range(4)]
    async with explaining(bus.url, **key):
        for one in flapping:  # each the newest
            await bus.publish(one)
            await acknowledged(bus)
        narratives = await bus.collect(Narrative, until=flapping[-1].time)
    assert [n.model for n in narratives] == ["claude-sonnet-5-5", "template", "template", "template"]
    assert not any(n.fallback for n in narratives)
    assert len(llm.asked) == 1


async def test_a_backlog_is_told_by_template_up_to_its_newest(bus, key, llm, tells, spike):
    tells(spike(2, "ercot"))
    await bus.publish(spike(0), spike(1, "pjm"), spike(2, "ercot"))
    async with explaining(bus.url, **key):
        narratives = await bus.collect(Narrative, until=spike(2).time)
    assert [n.model for n in narratives] == ["template", "template", "claude-sonnet-5-5"]
    assert len(llm.asked) == 1


async def test_a_recording_tells_the_same_without_a_call_however_fast_it_goes(
    bus, bus_at, key, llm, tells, spike, tmp_path
):
    told = [spike(), spike(1)]
    tells(*told)
    async with explaining(bus.url, **key, anthropic_seconds_between_calls=0):
        for one in told:
            await bus.publish(one)
            await acknowledged(bus)
        live = await bus.collect(Narrative, until=told[-1].time)
    with embedded_server(tmp_path / "another") as url:
        again = bus_at(url)
        await declare_streams(again.settings)
        await again.publish(*told)
        async with explaining(url, anthropic_answers=tmp_path / "state" / "anthropic.jsonl"):
            replayed = await again.collect(Narrative, until=told[-1].time)
    assert replayed == live
    assert [n.text for n in live] == [written(one) for one in told]
    assert len(llm.asked) == 2


async def test_an_exit_while_the_api_hangs_is_quick_and_the_transition_told_after_the_restart(
    bus, key, llm, llm_server, tells, spike, tmp_path
):
    asked = threading.Event()
    llm.play(llm_server.Play(hang=True, meanwhile=asked.set))
    async with explaining(bus.url, **key):
        await bus.publish(spike())
        await asyncio.to_thread(asked.wait, 30)
        left = time.monotonic()
    assert time.monotonic() - left < EXIT_SECONDS
    assert await bus.count(Narrative.stream) == 0
    last = json.loads((tmp_path / "state" / "anthropic.jsonl").read_text().splitlines()[-1])
    assert last["reason"] == "timeout"
    tells(spike())
    async with explaining(bus.url, **key):
        (told,) = await bus.collect(Narrative, when=bool)
        await acknowledged(bus)
    assert (told.transition_id, told.text) == (spike().id, written(spike()))
    assert await bus.count(DeadLetter.stream) == 0


@pytest.fixture
def freeze(broker_url, tmp_path):
    """Has the broker hang, and go on again."""
    (ports,) = (tmp_path / "broker" / "ports").iterdir()
    pid = int(ports.stem.rpartition("_")[2])
    yield lambda signal_number: os.kill(pid, signal_number)
    os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("when", ["it looks", "Claude writes", "it is stored"])
async def test_an_exit_while_the_broker_hangs_is_quick_and_the_transition_told_after_the_restart(
    bus, key, llm, llm_server, spike, freeze, when
):
    asked = threading.Event()

    def hang():
        freeze(signal.SIGSTOP)
        asked.set()

    answer = json.dumps({"text": written(spike())})
    llm.play(replace(llm_server.message(answer), hang=when == "Claude writes", meanwhile=hang))
    async with explaining(bus.url, **key):
        if when == "it looks":
            hang()
        else:
            await bus.publish(spike())
            await asyncio.to_thread(asked.wait, 30)
        left = time.monotonic()
    assert time.monotonic() - left < EXIT_SECONDS
    freeze(signal.SIGCONT)
    if when == "it looks":
        await bus.publish(spike())
    llm.play(llm_server.message(answer))
    async with explaining(bus.url, **key):
        (told,) = await bus.collect(Narrative, when=bool)
        await acknowledged(bus)
    assert told.transition_id == spike().id
    assert await bus.count(DeadLetter.stream) == 0


async def test_a_transition_is_told_with_the_forecast_of_when_it_ends(bus, grid, transition):
    """And with that of its own run, though a replay's was stored after it."""
    bands = {"price_low_usd_per_mwh": 0.0, "price_high_usd_per_mwh": 100.0}
    bands |= {"carbon_low_g_per_kwh": 0.0, "carbon_high_g_per_kwh": 500.0}
    made = transition(Pulse.RED, "price_critical", prices=(31, 412))
    red = made.model_copy(update={"facts": made.facts.model_copy(update=bands)})
    await bus.publish(
        grid.forecast(red.time, [412.0, 412.0, 10.0], [100.0] * 3),
        grid.forecast(red.time, [412.0] * 3, [100.0] * 3, replay=Replay(run="r1")),
    )
    async with explaining(bus.url):
        await bus.publish(red)
        (told,) = await bus.collect(Narrative, when=bool)
    assert "Expected back around 20:05" in told.text


async def test_a_narrative_tells_what_the_fleet_has_made_of_the_change(bus, transition):
    """Heard in the order in which it was published, by services whose clocks do not agree."""
    red = transition(Pulse.RED, "price_critical", prices=(31, 412))
    values = {"worker": "w1", "site": "s1", "region": "caiso", "device_uuid": "GPU-1", "energy_j": 0.0, "job": "j1"}
    values |= dict.fromkeys(("power_limit_w", "enforced_limit_w", "allowance_w", "ceiling_w"), 250.0)
    values |= {"energy_basis": "measured", "account": Account(since=TODAY)}
    before = WorkerTelemetry(**values, observed_at=TODAY + 48 * HOUR, power_w=240.0, run_state="running")
    after = WorkerTelemetry(**values, observed_at=TODAY, power_w=60.0, run_state="paused")
    async with explaining(bus.url, answer_seconds=2.0):
        await bus.publish(before, red.state, red, after)
        (told,) = await bus.collect(Narrative, when=bool)
    assert "240" in told.text
    assert "1 job paused" in told.text


async def test_prometheus_is_told_what_became_of_the_questions(bus, key, tells, spike):
    tells(spike())
    async with explaining(bus.url, **key) as service:
        await bus.publish(spike())
        await bus.collect(Narrative, when=bool)
        told = generate_latest(service.registry).decode().splitlines()
    assert {
        "carbonshift_writer_calls_total 1.0",
        "carbonshift_writer_accepted_at_first_total 1.0",
        "carbonshift_writer_accepted_at_second_total 0.0",
        "carbonshift_writer_retries_total 0.0",
        "carbonshift_writer_violations_total 0.0",
        "carbonshift_writer_from_journal_total 0.0",
    } <= set(told)


TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
HOUR = timedelta(hours=1)
"""What is live is stored in its own time: these tests tell of the real yesterday."""


def yesterday(grid, **changes):
    for hour in range(24):
        start = TODAY + (hour - 24) * HOUR
        yield grid.tick(start, **changes)
        yield grid.state(start, Pulse.AMBER, **changes)
        yield grid.use(start, 3.6e9, **changes)


def fence(transition, minutes):
    """A change of state: once it is told, what was published before it has been heard."""
    return transition(Pulse.RED, now=TODAY + timedelta(minutes=minutes))


async def test_a_day_is_told_once_it_is_over_and_its_accounts_are_in(bus, grid, transition):
    early = grid.state(TODAY + timedelta(minutes=20), interval_seconds=300)
    due = grid.state(TODAY + timedelta(minutes=25), interval_seconds=300)
    await bus.publish(*yesterday(grid))
    async with explaining(bus.url):
        await bus.publish(early, fence(transition, 20))
        await bus.collect(Narrative, when=bool)
        narratives = await bus.count("NARRATIVES")
        await bus.publish(due)
        (digest,) = await bus.collect(Digest, when=bool)
    assert narratives == 1
    assert (digest.start, digest.end, digest.replay) == (TODAY - 24 * HOUR, TODAY, None)
    assert "AMBER 24 h; no change." in digest.text
    assert digest.facts["drawn_kwh"] == 24_000.0


async def test_a_day_is_told_once_whoever_is_started_again(bus, grid):
    """The second service finds the digest; that of another region is the fence. Its duplicate window is not needed."""
    await bus.publish(*yesterday(grid), *yesterday(grid, region="de"))
    async with explaining(bus.url):
        await bus.publish(grid.state(TODAY + HOUR))
        await bus.collect(Digest, when=bool)
    async with explaining(bus.url):
        await bus.publish(grid.state(TODAY + 2 * HOUR), grid.state(TODAY + 2 * HOUR, region="de"))
        digests = await bus.collect(Digest, when=lambda found: len(found) > 1)
    assert [digest.region for digest in digests] == ["caiso", "de"]
    assert await bus.count("NARRATIVES") == 2


async def test_a_day_without_events_and_a_replayed_one_are_not_told(bus, grid):
    """An hour west of Greenwich the day of the replay is over too."""
    run = {"replay": Replay(run="r1")}
    await bus.publish(*yesterday(grid, **run), *yesterday(grid, region="de"))
    async with explaining(bus.url):
        await bus.publish(grid.state(TODAY + HOUR, **run), grid.state(TODAY + 2 * HOUR, region="fr"))
        await bus.publish(grid.state(TODAY + HOUR, region="de"))
        digests = await bus.collect(Digest, when=bool)
    assert [digest.region for digest in digests] == ["de"]


async def test_a_digest_that_cannot_be_made_stops_no_narrative(bus, grid, transition):
    """Its day is not in the calendar of any grid."""
    async with explaining(bus.url):
        await bus.publish(grid.state(datetime(9999, 12, 30, tzinfo=UTC)))
        red = fence(transition, 60)
        await bus.publish(red)
        narratives = await bus.collect(Narrative, until=red.time)
    assert [n.transition_id for n in narratives] == [red.id]


async def test_the_day_is_that_of_the_local_clock(bus, grid):
    await bus.publish(*yesterday(grid))
    async with explaining(bus.url, time_zone="Etc/GMT-2"):
        await bus.publish(grid.state(TODAY))
        (digest,) = await bus.collect(Digest, when=bool)
    assert (digest.start, digest.end) == (TODAY - 26 * HOUR, TODAY - 2 * HOUR)
    assert "AMBER 22 h" in digest.text


async def test_a_state_from_a_clock_that_is_ahead_stops_no_digest(bus, grid):
    await bus.publish(*yesterday(grid))
    async with explaining(bus.url):
        await bus.publish(grid.state(TODAY + timedelta(days=400)))
        await bus.publish(grid.state(datetime(9999, 12, 31, 12, tzinfo=UTC), interval_seconds=10**9))
        await bus.publish(grid.state(TODAY + HOUR))
        (digest,) = await bus.collect(Digest, when=bool)
    assert digest.end == TODAY


@pytest.mark.parametrize(
    "other",
    [
        {"start": TODAY - 24 * HOUR, "end": datetime(9000, 1, 1, tzinfo=UTC)},
        {"start": TODAY - 48 * HOUR, "end": TODAY},
        {"start": TODAY - 24 * HOUR, "end": TODAY, "replay": Replay(run="r1")},
    ],
    ids=["hostile", "longer", "replayed"],
)
async def test_the_digest_of_another_span_or_run_stands_in_for_no_day(bus, grid, other):
    await bus.publish(*yesterday(grid), Digest(region="caiso", text="Another.", facts={}, **other))
    async with explaining(bus.url):
        await bus.publish(grid.state(TODAY + HOUR))
        digests = await bus.collect(Digest, when=lambda found: len(found) > 1)
    assert "AMBER 24 h" in digests[-1].text
