"""The shell of forecast on a real broker."""

import asyncio
import json
import logging
from contextlib import asynccontextmanager
from datetime import timedelta

import numpy as np
import pytest

from carbonshift.common.errors import InputError
from carbonshift.common.events import (
    DayAheadPrices,
    DeadLetter,
    GridForecast,
    GridTick,
    PriceMarket,
    ProvidedForecast,
    Replay,
)
from carbonshift.forecast.app import build
from carbonshift.forecast.settings import ForecastSettings

FIVE_DAYS = 5 * 288
THREE_DAYS = 3 * 288
"""Enough for `autoreg`."""


@asynccontextmanager
async def forecasting(url, **changes):
    app = build(ForecastSettings(nats_url=url, **changes))
    started = asyncio.Event()
    app.after_startup(started.set)
    task = asyncio.create_task(app.run())
    try:
        await asyncio.wait_for(started.wait(), 20)
        yield
    finally:
        app.exit()
        await task


@pytest.fixture
def days(tick):
    """Makes the ticks [first, last) of a daily cycle."""

    def make(first, last, **changes):
        random = np.random.default_rng(7)
        noise = random.normal(size=6 * 288)
        return [
            tick(n, 40 + 15 * np.sin(2 * np.pi * n / 288) + noise[n], 300 + 40 * np.cos(n / 46) + noise[n], **changes)
            for n in range(first, last)
        ]

    return make


def by_origin(forecasts):
    return [f.origin for f in forecasts]


async def test_a_backlog_is_caught_up_and_only_its_newest_tick_forecast(bus, days, caplog):
    caplog.set_level(logging.INFO, "carbonshift.forecast")
    backlog = days(0, FIVE_DAYS)
    await bus.publish(*backlog)
    async with forecasting(bus.url):
        await bus.collect(GridForecast, until=backlog[-1].interval_end)
        new = days(FIVE_DAYS, FIVE_DAYS + 3)
        for tick in new:  # one at a time, each the newest
            await bus.publish(tick)
        forecasts = await bus.collect(GridForecast, until=new[-1].interval_end)
    assert by_origin(forecasts) == [backlog[-1].interval_end, new[-1].interval_end]
    assert not forecasts[0].degraded
    assert len(forecasts[0].price_usd_per_mwh.p50) == 288
    assert set(forecasts[0].price_models) == {"direct", "autoreg", "persistence", "seasonal-naive"}
    assert "caiso: caught up, 479 forecasts skipped" in caplog.text


async def test_a_restart_remembers_from_the_stream_alone(bus, days):
    """The second service has the three days of the first, and of the run before them nothing."""
    await bus.publish(*days(0, 20, replay=Replay(run="r1")), *days(0, THREE_DAYS, replay=Replay(run="r2")))
    async with forecasting(bus.url):
        await bus.collect(GridForecast, until=days(THREE_DAYS - 1, THREE_DAYS)[0].interval_end)
    (new,) = days(THREE_DAYS, THREE_DAYS + 1, replay=Replay(run="r2"))
    async with forecasting(bus.url):
        await bus.publish(new)
        forecasts = await bus.collect(GridForecast, until=new.interval_end)
    assert not forecasts[-1].degraded


async def test_another_replay_of_the_tape_is_another_history(bus, days):
    await bus.publish(*days(0, THREE_DAYS, replay=Replay(run="r1")))
    async with forecasting(bus.url):
        await bus.collect(GridForecast, when=bool)
        await bus.publish(*days(0, 1, replay=Replay(run="r2")))
        forecasts = await bus.collect(GridForecast, when=lambda found: len(found) == 2)
    assert [(f.replay.run, f.degraded) for f in forecasts] == [("r1", False), ("r2", True)]


async def test_every_region_has_its_forecast_though_others_come_at_once(bus, days):
    """The ticks of three regions wait together: only the last of them is the newest."""
    names = ("caiso", "ercot", "pjm")
    waiting = [tick for n in range(10) for name in names for tick in days(n, n + 1, region=name)]
    await bus.publish(*waiting)
    async with forecasting(bus.url):
        forecasts = await bus.collect(GridForecast, when=lambda found: len(found) == 3)
    assert sorted(f.region for f in forecasts) == list(names)
    assert set(by_origin(forecasts)) == {waiting[-1].interval_end}


async def test_a_region_without_carbon_holds_up_nobody(bus, days, tick, caplog):
    await bus.publish(tick(0, 30.0, None, region="dark"), *days(0, 1))
    async with forecasting(bus.url):
        forecasts = await bus.collect(GridForecast, when=bool)
    assert [f.region for f in forecasts] == ["caiso"]
    assert "dark: no forecast: of carbon nothing is known" in caplog.text
    assert await bus.count("DLQ") == 0


async def test_a_tick_published_twice_and_a_late_correction_are_forecast_once(bus, tick):
    async with forecasting(bus.url):
        await bus.publish(tick(0), tick(0), tick(0, 31.0, revision=1))
        fence = tick(3)
        await bus.publish(fence)
        forecasts = await bus.collect(GridForecast, until=fence.interval_end)
    assert by_origin(forecasts) == [tick(0).interval_end, fence.interval_end]


async def test_what_is_no_tick_goes_to_the_dlq_and_is_not_read_back(bus, tick):
    await bus.publish_raw("carbonshift.tick.caiso", b"not a tick")
    async with forecasting(bus.url):
        await bus.publish(tick(0))
        await bus.collect(GridForecast, until=tick(0).interval_end)
        letters = await bus.collect(DeadLetter, when=bool)
    async with forecasting(bus.url):
        await bus.publish(tick(3))
        forecasts = await bus.collect(GridForecast, until=tick(3).interval_end)
    assert letters[0].service == "forecast"
    assert len(forecasts) == 2


async def test_the_history_is_read_back_as_far_as_the_window_and_no_further(bus, days):
    """A first look of 500 messages does not hold a day of two regions with day-ahead prices between them."""
    ticks = [t for n in range(600) for name in ("caiso", "ercot") for t in days(n, n + 1, region=name)]
    await bus.publish(*ticks)
    async with forecasting(bus.url, history_seconds=2 * 86_400):
        await bus.collect(GridForecast, when=lambda found: len(found) == 2)
    async with forecasting(bus.url, history_seconds=2 * 86_400):
        new = [t for name in ("caiso", "ercot") for t in days(600, 601, region=name)]
        await bus.publish(*new)
        forecasts = await bus.collect(GridForecast, when=lambda found: len(found) == 4)
    assert not any(f.degraded for f in forecasts)


def test_an_unknown_forecaster_is_refused_by_name():
    with pytest.raises(InputError, match="crystal-ball"):
        build(ForecastSettings(nats_url="nats://127.0.0.1:1", forecasters="direct, crystal-ball"))


def published(tick, prices, run=None, **changes):
    """The prices of the intervals from that of `tick` on."""
    values = {
        "region": tick.region,
        "published_at": tick.interval_start,
        "step_seconds": tick.interval_seconds,
        "first_interval_start": tick.interval_start,
        "prices_usd_per_mwh": prices,
        "replay": run,
    }
    return DayAheadPrices.model_validate(values | changes)


async def test_published_prices_are_known_before_and_after_a_restart(bus, days):
    """They come before the first tick, and lie behind it in the stream when they are read back."""
    first, second, third = days(0, 3, price_market=PriceMarket.DAY_AHEAD)
    third = third.model_copy(update={"interval_start": third.interval_start + timedelta(minutes=15)})
    prices = [20.125 + n for n in range(100)]
    await bus.publish(published(first, prices), first, second)
    async with forecasting(bus.url):
        (before,) = await bus.collect(GridForecast, until=second.interval_end)
    async with forecasting(bus.url):
        await bus.publish(third)
        after = (await bus.collect(GridForecast, until=third.interval_end))[-1]
    assert (before.price_known_steps, after.price_known_steps) == (98, 94)
    assert before.price_usd_per_mwh.p10[:98] == before.price_usd_per_mwh.p90[:98] == tuple(prices[2:])
    assert after.price_usd_per_mwh.p50[:94] == tuple(prices[6:])


async def test_the_providers_own_forecast_is_an_opinion_before_and_after_a_restart(bus, days):
    ticks = days(0, THREE_DAYS)
    provided = ProvidedForecast(
        region="caiso",
        source="test",
        published_at=ticks[-1].interval_start,
        step_seconds=300,
        first_interval_start=ticks[-1].interval_end,
        carbon_basis=ticks[0].carbon_basis,
        carbon_g_per_kwh=(500.0,) * 288,
    )
    await bus.publish(*ticks, provided)
    async with forecasting(bus.url):
        before = (await bus.collect(GridForecast, when=bool))[-1]
    (new,) = days(THREE_DAYS + 3, THREE_DAYS + 4)
    async with forecasting(bus.url):
        await bus.publish(new)
        after = (await bus.collect(GridForecast, until=new.interval_end))[-1]
    for forecast in (before, after):
        assert "provider" in forecast.carbon_models
        assert "provider" not in forecast.price_models


async def test_what_is_known_of_the_models_outlives_a_restart(bus, days):
    async with forecasting(bus.url):
        for tick in days(0, 60):
            await bus.publish(tick)
        await bus.collect(GridForecast, until=days(57, 58)[0].interval_end)
    (new,) = days(60, 61)
    async with forecasting(bus.url):
        await bus.publish(new)
        forecasts = await bus.collect(GridForecast, until=new.interval_end)
    assert forecasts[-2].skill["blend"].price_mae_usd_per_mwh is not None
    assert forecasts[-1].skill.keys() == forecasts[-2].skill.keys()
    assert forecasts[-1].skill["blend"] != forecasts[-2].skill["blend"]  # it has gone on from there


async def test_a_proposal_is_one_model_among_the_others_and_a_replay_pays_for_none(
    bus, days, llm, llm_server, tmp_path
):
    ticks = days(0, FIVE_DAYS)
    bands = {"p10": [30.0] * 16, "p50": [40.0] * 16, "p90": [50.0] * 16}
    answer = {"price_usd_per_mwh": bands, "carbon_g_per_kwh": bands, "spike_probability": [0.1] * 16}
    llm.play(llm_server.completion(json.dumps(answer)))
    key = {"openai_api_key": "sk-test", "openai_base_url": llm.url, "state_dir": tmp_path}
    await bus.publish(*ticks)
    async with forecasting(bus.url, **key):
        (live,) = await bus.collect(GridForecast, when=bool)
        asked = len(llm.asked)
        again = days(0, FIVE_DAYS, replay=Replay(run="r1"))
        await bus.publish(*again)
        replayed = (await bus.collect(GridForecast, when=lambda found: len(found) > 1))[-1]
    assert (asked, len(llm.asked)) == (1, 1)
    assert "gpt-4.1" in live.price_models
    assert sum(live.price_models.values()) == pytest.approx(1.0)
    assert "gpt-4.1" not in replayed.price_models


def test_a_model_that_is_named_twice_is_refused():
    with pytest.raises(InputError, match="two models are named 'direct'"):
        build(ForecastSettings(nats_url="nats://127.0.0.1:1", forecasters="direct,direct"))


FAILING = """
class Failing:
    name = "failing"

    def __init__(self, settings):
        pass

    def predict(self, history, steps):
        raise ZeroDivisionError("as plug-ins do")
"""


async def test_a_model_that_fails_takes_nobody_with_it(bus, days, tmp_path, monkeypatch, caplog):
    (tmp_path / "failing_forecast.py").write_text(FAILING)
    info = tmp_path / "failing_forecast-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: failing-forecast\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[carbonshift.forecasters]\nfailing = failing_forecast:Failing\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    ticks = days(0, 8)
    async with forecasting(bus.url, forecasters="failing,persistence"):
        for tick in ticks:
            await bus.publish(tick)
        forecasts = await bus.collect(GridForecast, until=ticks[6].interval_end)
    async with forecasting(bus.url, forecasters="failing"):
        await bus.publish(*days(8, 12, region="dark"), *days(8, 12))
        fence = days(12, 13)
        await bus.publish(*fence)
        await bus.collect(GridTick, until=fence[0].interval_start)
    assert forecasts[-1].price_models == {"persistence": 1.0}
    assert "failing says nothing: as plug-ins do" in caplog.text
    assert await bus.count("DLQ") == 0


async def test_what_is_told_in_absurd_steps_goes_to_the_dlq_and_stops_nothing(bus, days):
    first, second, third = days(0, 3, price_market=PriceMarket.DAY_AHEAD)
    third = third.model_copy(update={"interval_start": third.interval_start + timedelta(minutes=15)})
    absurd = published(first, [1.0] * 24).model_copy(update={"step_seconds": 10**12})
    endless = first.model_copy(update={"interval_seconds": 10**12, "revision": 9})
    await bus.publish(absurd, endless, first)
    async with forecasting(bus.url):
        await bus.collect(GridForecast, until=first.interval_end)
    async with forecasting(bus.url):
        await bus.publish(second, third)
        await bus.collect(GridForecast, until=third.interval_end)
    assert await bus.count("DLQ") == 2
