"""The shell of decide on a real broker."""

import asyncio
from contextlib import asynccontextmanager

from carbonshift.common.client import bare_client
from carbonshift.common.events import (
    DeadLetter,
    EnergyBasis,
    GridState,
    GridTransition,
    Pulse,
    Replay,
    ResumeToken,
    RunState,
    WorkerTelemetry,
)
from carbonshift.common.streams import declare_streams, stream_name, token_durable
from carbonshift.decide.app import build
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policies.eco_pulse import EcoPulse
from carbonshift.decide.settings import DecideSettings, SiteBudget


@asynccontextmanager
async def deciding(url, **changes):
    app = build(DecideSettings(nats_url=url, **changes))
    started = asyncio.Event()
    app.after_startup(started.set)
    task = asyncio.create_task(app.run())
    try:
        await asyncio.wait_for(started.wait(), 20)
        yield app
    finally:
        app.exit()
        await task


async def test_a_tick_published_twice_is_decided_once(bus, tick):
    """The last tick is the fence: what had to come has come, with no sleep."""
    async with deciding(bus.url):
        await bus.publish(tick(0), tick(0), tick(1))
        states = await bus.collect(GridState, until=tick(1).interval_start)
    assert [s.interval_start for s in states] == [tick(0).interval_start, tick(1).interval_start]


async def test_a_change_of_state_goes_out_before_the_state(bus, tick):
    async with deciding(bus.url):
        await bus.publish(tick(0), tick(1, 500.0), tick(2, 500.0))
        states = await bus.collect(GridState, until=tick(2).interval_start)
        transitions = await bus.collect(GridTransition, until=tick(1).interval_start)
    assert [s.state for s in states] == [Pulse.AMBER, Pulse.RED, Pulse.RED]
    assert [t.state for t in transitions] == states[:2]


async def test_a_restart_remembers_from_the_streams_alone(bus, tick):
    """The second decide has the window, the state and the dwell of the first."""
    wave = [tick(n, 30.0 + n % 7, 300.0 + n % 5) for n in range(30)]
    async with deciding(bus.url, warm_up_seconds=3_000):
        await bus.publish(*wave[:20])
        await bus.collect(GridState, until=wave[19].interval_start)
    async with deciding(bus.url, warm_up_seconds=3_000):
        await bus.publish(*wave[20:])
        interrupted = await bus.collect(GridState, until=wave[-1].interval_start)
    undisturbed = [one.model_copy(update={"replay": Replay(run="undisturbed")}) for one in wave]
    async with deciding(bus.url, warm_up_seconds=3_000):
        await bus.publish(*undisturbed)
        both = await bus.collect(GridState, when=lambda found: len(found) == 2 * len(wave))
    whole = [s.model_copy(update={"replay": None}) for s in both if s.replay]
    assert interrupted == whole
    assert interrupted[-1].score is not None


async def test_a_replay_into_a_live_region_disturbs_neither(bus, tick):
    """Ticks of today and of a replay come by turns; each history is decided as if it were alone, restart or not."""
    wave = [tick(n, 30.0 + n % 7, 300.0 + n % 5) for n in range(40)]
    replayed = [one.model_copy(update={"replay": Replay(run="r")}) for one in wave]
    async with deciding(bus.url, warm_up_seconds=3_000):
        by_turns = [one for pair in zip(replayed[:10], wave[15:25], strict=True) for one in pair]
        await bus.publish(*wave[:15], *by_turns)
        await bus.collect(GridState, when=lambda found: len(found) == 35)
    async with deciding(bus.url, warm_up_seconds=3_000):
        await bus.publish(*wave[25:], *replayed[10:])
        both = await bus.collect(GridState, when=lambda found: len(found) == 2 * len(wave))
    today = [s for s in both if not s.replay]
    assert today == [s.model_copy(update={"replay": None}) for s in both if s.replay]
    assert today[-1].score is not None


async def test_two_decides_on_one_broker_decide_as_one(bus, tick):
    """Each notices that the other has taken ticks and learns from the streams what became of them."""
    wave = [tick(n, 30.0 + n % 7, 300.0 + n % 5) for n in range(40)]
    async with deciding(bus.url, warm_up_seconds=3_000), deciding(bus.url, warm_up_seconds=3_000):
        await bus.publish(*wave)
        states = await bus.collect(GridState, until=wave[-1].interval_start)
    settings, memory, alone = DecideSettings(warm_up_seconds=3_000), RegionMemory(), []
    for one in wave:
        memory, _, state = step(memory, one, EcoPulse(settings), settings)
        alone.append(state)
    assert states == alone


async def test_tokens_come_for_those_who_wait(bus, tick):
    site = SiteBudget(ramp_w_per_minute=60, budget_w=1_000, token_w=50)
    parked = WorkerTelemetry(
        worker="w",
        site="s",
        region="caiso",
        device_uuid="GPU-1",
        observed_at=tick(0).interval_start,
        power_w=43,
        power_limit_w=100,
        enforced_limit_w=100,
        allowance_w=43,
        ceiling_w=250,
        energy_j=0,
        energy_basis=EnergyBasis.MODELLED,
        run_state=RunState.PAUSED,
    )
    async with deciding(bus.url, sites={"s": site}) as app:
        await app.broker.publish(parked, parked.subject("carbonshift"))
        number = 0
        while not await bus.count("TOKENS"):  # the telemetry has no fence: decide has heard it when tokens come
            await bus.publish(tick(number))
            (*_, state) = await bus.collect(GridState, until=tick(number).interval_start)
            number += 1
    queue = token_durable("s")
    await declare_streams(bus.settings, [queue])
    async with bare_client(bus.settings) as client:
        pull = await client.jetstream().pull_subscribe_bind(queue.name, stream_name(ResumeToken.stream, "carbonshift"))
        tokens = [ResumeToken.model_validate_json(message.data) for message in await pull.fetch(10, timeout=5)]
    assert {token.epoch for token in tokens} == {state.epoch}
    assert sum(token.watts for token in tokens) == 250  # enough for the 207 W that it lacks


async def test_rubbish_on_the_tick_subject_stops_nothing(bus, tick):
    async with deciding(bus.url):
        await bus.publish_raw("carbonshift.tick.caiso", b"\x00")
        await bus.publish(tick(0))
        states = await bus.collect(GridState, until=tick(0).interval_start)
        letters = await bus.collect(DeadLetter, when=lambda found: len(found) == 1)
    assert (len(states), letters[0].service) == (1, "decide")
