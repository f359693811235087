"""The shell of decide on a real broker."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from carbonshift.common.client import bare_client
from carbonshift.common.events import (
    Account,
    DayAheadPrices,
    DeadLetter,
    EnergyBasis,
    Flexibility,
    GridState,
    GridTransition,
    JobPlan,
    JobStatus,
    PriceMarket,
    Pulse,
    Replay,
    ResumeToken,
    RunState,
    WorkerTelemetry,
)
from carbonshift.common.streams import declare_streams, stream_name, token_durable
from carbonshift.decide.app import build
from carbonshift.decide.histories import Past
from carbonshift.decide.job_desk import JobDesk
from carbonshift.decide.machine import RegionMemory, step
from carbonshift.decide.policies.planner import Planner
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


async def heard(app, bus, *events):
    """`app` has heard what has no answer: the server's pong follows it on the very same connection."""
    await bus.publish(*events)
    await (await app.broker.connect()).flush()


def a_job(tick, **changes):
    values = {
        "job": "a",
        "worker": "w",
        "site": "s",
        "region": "caiso",
        "observed_at": tick.interval_start,
        "state": RunState.RUNNING,
        "step": 100,
        "work_seconds": 3_600.0,
        "remaining_steps": 400,
        "deadline": tick.interval_start + timedelta(hours=9),
    }
    return JobStatus.model_validate(values | changes)


def telemetry_of(tick, **changes):
    values = {
        "worker": "w",
        "site": "s",
        "region": "caiso",
        "device_uuid": "GPU-1",
        "observed_at": tick.interval_start,
        "power_w": 43,
        "power_limit_w": 100,
        "enforced_limit_w": 100,
        "allowance_w": 43,
        "ceiling_w": 250,
        "energy_j": 0,
        "energy_basis": EnergyBasis.MODELLED,
        "account": Account(since=tick.interval_start),
        "run_state": RunState.PAUSED,
    }
    return WorkerTelemetry.model_validate(values | changes)


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


async def test_a_restart_hears_no_more_than_a_day_again(bus, tick):
    """All but the last day is gone from the streams, and the second decide decides and plans as if it were not."""
    wave = [tick(n, 30.0 + n % 7 + n % 288 / 9, 300.0 + n % 5) for n in range(700)]
    job = a_job(tick(600))
    async with deciding(bus.url):
        await bus.publish(*wave[:600])
        await bus.collect(GridState, until=wave[599].interval_start)
    async with bare_client(bus.settings) as client:
        for stream in ("TICKS", "STATES"):
            await client.jetstream().purge_stream(stream_name(stream, "carbonshift"), seq=600 - 288)
    async with deciding(bus.url) as app:
        await heard(app, bus, job)
        await bus.publish(*wave[600:])
        states = await bus.collect(GridState, until=wave[-1].interval_start)
    interrupted = [state for state in states if state.interval_start >= wave[600].interval_start]
    plans = await bus.collect(JobPlan, until=wave[-1].interval_start)
    settings, past = DecideSettings(), Past(region="caiso", mark="")
    desk, policy = JobDesk(), Planner(DecideSettings())
    desk.heard(job)
    alone, planned = [], []
    for one in wave:
        past.memory, _, state = step(past.memory, one, policy, settings)
        past.hear(one, settings.time_zone)
        if one.interval_start >= wave[600].interval_start:
            alone.append(state)
            planned += desk.plans(one, state, past.outlook, policy, {}, settings)
    assert interrupted == alone
    assert plans == planned
    assert len(plans) == 100


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
        memory, _, state = step(memory, one, Planner(settings), settings)
        alone.append(state)
    assert states == alone


async def test_tokens_come_for_those_who_wait(bus, tick):
    site = SiteBudget(ramp_w_per_minute=60, budget_w=1_000, token_w=50)
    async with deciding(bus.url, sites={"s": site}) as app:
        await heard(app, bus, telemetry_of(tick(0)))
        await bus.publish(tick(0))
        (state,) = await bus.collect(GridState, until=tick(0).interval_start)
    queue = token_durable("s")
    await declare_streams(bus.settings, [queue])
    async with bare_client(bus.settings) as client:
        pull = await client.jetstream().pull_subscribe_bind(queue.name, stream_name(ResumeToken.stream, "carbonshift"))
        tokens = [ResumeToken.model_validate_json(message.data) for message in await pull.fetch(10, timeout=5)]
    assert {token.epoch for token in tokens} == {state.epoch}
    assert sum(token.watts for token in tokens) == 250  # enough for the 207 W that it lacks


async def test_a_job_with_a_deadline_is_planned_through_published_prices(bus, tick):
    """Two hours of work and six hours of time: it waits for the hours that are known to be cheap."""
    cheap = {4, 5}
    ticks = [
        tick(12 * n, 10.0 if n in cheap else 90.0, interval_seconds=3_600, price_market=PriceMarket.DAY_AHEAD)
        for n in range(6)
    ]
    prices = DayAheadPrices(
        region="caiso",
        published_at=ticks[0].interval_start,
        step_seconds=3_600,
        first_interval_start=ticks[0].interval_start,
        prices_usd_per_mwh=tuple(one.price_usd_per_mwh for one in ticks),
    )
    job = a_job(ticks[0], remaining_steps=200, deadline=ticks[-1].interval_end)
    async with deciding(bus.url, usd_per_tonne=0.0) as app:
        await heard(app, bus, job)
        await bus.publish(prices, ticks[0])
        (plan,) = await bus.collect(JobPlan, until=ticks[0].interval_start)
        offers = await bus.collect(GridState, until=ticks[0].interval_start)
    assert [mode == "paused" for mode in plan.modes] == [n not in cheap for n in range(6)]
    assert (plan.policy, plan.deadline_at_risk, plan.valid_until) == ("planner", False, offers[0].valid_until)
    assert plan.expected_cost_usd > 0


async def test_what_a_site_could_shed_is_told_each_tick(bus, tick):
    running = telemetry_of(tick(0), allowance_w=250, run_state=RunState.RUNNING, job="a")
    async with deciding(bus.url) as app:
        await heard(app, bus, running)
        await bus.publish(tick(0), tick(1))
        offers = await bus.collect(Flexibility, until=tick(1).interval_start)
    assert [(o.site, o.committed_w, o.sheds[-1].watts) for o in offers] == [("s", 250, 207)] * 2


async def test_a_replay_as_fast_as_it_goes_has_no_tokens_and_no_offers(bus, tick):
    async with deciding(bus.url) as app:
        await heard(app, bus, telemetry_of(tick(0)))
        await bus.publish(tick(0, replay=Replay(run="r")), tick(0, replay=Replay(run="s", speed=60.0)))
        await bus.collect(GridState, when=lambda found: len(found) == 2)
        offers = await bus.collect(Flexibility, until=tick(0).interval_start)
    assert [offer.replay.run for offer in offers] == ["s"]


async def test_a_past_that_cannot_be_put_aside_stops_no_decision(bus, tick, caplog):
    async with deciding(bus.url):
        await bus.publish(tick(0))
        await bus.collect(GridState, until=tick(0).interval_start)
        async with bare_client(bus.settings) as client:
            stream = "OBJ_CARBONSHIFT_PASTS"
            info = await client.jetstream().stream_info(stream)
            await client.jetstream().update_stream(info.config.evolve(max_bytes=1))
        await bus.publish(tick(288), tick(289))
        states = await bus.collect(GridState, until=tick(289).interval_start)
    assert len(states) == 3
    assert await bus.count("DLQ") == 0
    assert "put aside later" in caplog.text


async def test_rubbish_on_the_tick_subject_stops_nothing(bus, tick):
    async with deciding(bus.url):
        await bus.publish_raw("carbonshift.tick.caiso", b"\x00")
        await bus.publish(tick(0))
        states = await bus.collect(GridState, until=tick(0).interval_start)
        letters = await bus.collect(DeadLetter, when=lambda found: len(found) == 1)
    assert (len(states), letters[0].service) == (1, "decide")
