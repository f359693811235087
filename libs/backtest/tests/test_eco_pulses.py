"""Eco-Pulse over a whole recording at once: every bit is that of the event-by-event machine."""

import asyncio
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.backtest.eco_pulses import PULSES, eco_pulses, heard_of
from carbonshift.backtest.offline import offline_states
from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, GridTick, PriceMarket, Pulse, Quality
from carbonshift.common.tape import open_tape
from carbonshift.decide.settings import DecideSettings
from carbonshift.ingest.bundled import bundled_tapes
from carbonshift.ingest.replay import Span, frame_of, ticks_of
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.recording import RecordingSource

START = datetime(2026, 1, 1, tzinfo=UTC)
QUALITIES = (Quality.OBSERVED, Quality.OBSERVED, Quality.HELD, Quality.INTERPOLATED, Quality.MISSING)


def tick(number, price, carbon, step_seconds=300, **changes):
    values = {
        "region": "caiso",
        "interval_start": START + timedelta(seconds=step_seconds * number),
        "interval_seconds": step_seconds,
        "price_usd_per_mwh": price,
        "carbon_g_per_kwh": carbon,
        "carbon_basis": CarbonBasis.MARGINAL,
        "price_quality": Quality.MISSING if price is None else Quality.OBSERVED,
        "carbon_quality": Quality.MISSING if carbon is None else Quality.OBSERVED,
        "price_market": PriceMarket.REAL_TIME,
        "price_source": "test",
        "carbon_source": "test",
        "observed_at": START + timedelta(seconds=step_seconds * number),
    }
    return GridTick.model_validate(values | changes)


def assert_same_bits(ticks, decide_settings):
    """Each array beside the events; returns the states that occurred."""
    pulses = eco_pulses(heard_of(ticks), decide_settings)
    states = list(offline_states(ticks, decide_settings))
    assert len(states) == len(pulses.state)
    assert [PULSES[code] for code in pulses.state] == [state.state for state in states]
    for name in ("score", "price_norm", "carbon_norm", "power_limit_w"):
        wanted = np.array([getattr(state, name) for state in states], dtype=np.float64)
        assert getattr(pulses, name).tobytes() == wanted.tobytes(), name
    assert pulses.run.tolist() == [state.run for state in states]
    assert pulses.epoch.tolist() == [state.epoch for state in states]
    assert pulses.since.tolist() == [state.since.timestamp() for state in states]
    return {state.state for state in states}


@st.composite
def decide_settings(draw):
    """Any that go together, in force over a few dozen intervals of `step_seconds`."""
    step_seconds = draw(st.sampled_from([300, 3_600]))
    alpha = draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))
    green_score = draw(st.floats(0, 0.6))
    hysteresis_score = draw(st.floats(0, 0.2))
    window = draw(st.integers(2, 50))
    return step_seconds, DecideSettings(
        alpha=alpha,
        beta=1 - alpha,
        green_score=green_score,
        hysteresis_score=hysteresis_score,
        red_score=draw(st.floats(green_score + hysteresis_score + 0.01, 1)),
        dwell_seconds=step_seconds * draw(st.sampled_from([0, 1e-9, 0.5, 1, 3, 10])),
        window_seconds=step_seconds * window + draw(st.sampled_from([-0.5, 0, 0.5])),
        warm_up_seconds=step_seconds * draw(st.floats(0.01, window - 1)),
        low_quantile=draw(st.floats(0, 0.49)),
        high_quantile=draw(st.floats(0.51, 1)),
        critical_price_usd_per_mwh=draw(st.sampled_from([-10.0, 50.0, 80.0, 200.0])),
        critical_carbon_g_per_kwh=draw(st.sampled_from([100.0, 450.0, 800.0])),
        optimal_price_usd_per_mwh=draw(st.none() | st.floats(-20, 60)),
        optimal_carbon_g_per_kwh=draw(st.none() | st.floats(50, 400)),
        green_power_limit_w=240,
        amber_power_limit_w=draw(st.sampled_from([150.0, 180.0])),
        red_power_limit_w=110,
    )


price = st.sampled_from([-30.0, -0.0, 0.0, 20.0, 49.99]) | st.floats(-100, 300) | st.sampled_from([-1e308, 1e308])
carbon = st.sampled_from([0.0, 100.0, 300.0]) | st.floats(0, 900)
row = st.tuples(
    st.sampled_from([1, 1, 1, 1, 2, 30]),  # how far after the row before: a hole in time
    st.none() | price,
    st.none() | carbon,
    st.sampled_from(QUALITIES),
    st.sampled_from(QUALITIES),
    st.sampled_from([(), (), (), ("price_flat",), ("carbon_zero",), ("else",)]),
)


@settings(max_examples=150, deadline=None)
@given(chosen=decide_settings(), rows=st.lists(row, min_size=1, max_size=60))
def test_whatever_comes_under_any_settings(chosen, rows):
    step_seconds, in_force = chosen
    number, ticks = 0, []
    for after, price, carbon, price_quality, carbon_quality, issues in rows:
        number += after
        ticks.append(
            tick(
                number,
                price,
                carbon,
                step_seconds,
                price_quality=Quality.MISSING if price is None else price_quality,
                carbon_quality=Quality.MISSING if carbon is None else carbon_quality,
                issues=issues,
            )
        )
    assert_same_bits(ticks, in_force)


@pytest.mark.parametrize("seed", range(12))
def test_days_of_every_kind(seed):
    """Daily shapes, so that scores, hysteresis and dwell all have their say, with holes, gaps and held values."""
    random = np.random.default_rng(seed)
    step_seconds = int(random.choice([300, 900, 3_600]))
    number = np.flatnonzero(random.random(1_500) > 0.02)
    daily = np.sin(number * step_seconds / 86_400 * 2 * np.pi)
    prices = np.round(30 + 40 * daily + random.normal(0, 8, number.size), int(random.integers(0, 3)))
    carbon = np.clip(300 + 250 * daily + random.normal(0, 20, number.size), 0, None)
    gaps = random.random((2, number.size)) < 0.03
    in_force = DecideSettings(
        window_seconds=step_seconds * float(random.integers(100, 700)),
        warm_up_seconds=step_seconds * float(random.integers(1, 90)),
        dwell_seconds=float(random.choice([0, 900, 3_600, 20_000])),
        critical_price_usd_per_mwh=float(random.choice([75, 90, 200])),
        hysteresis_score=float(random.choice([0, 0.05, 0.2])),
    )
    ticks = [
        tick(
            int(n),
            None if gaps[0, at] or at < 5 else float(prices[at]),  # the beginning is missing
            None if gaps[1, at] else float(carbon[at]),
            step_seconds,
            **({"carbon_quality": Quality.HELD} if random.random() < 0.1 and not gaps[1, at] else {}),
        )
        for at, n in enumerate(number)
    ]
    assert assert_same_bits(ticks, in_force) == set(Pulse)


@pytest.mark.parametrize(
    ("name", "start", "days"),
    [
        ("de_2018_15min", datetime(2018, 3, 1, tzinfo=UTC), 40),
        ("fr_2018_hourly", datetime(2018, 1, 1, tzinfo=UTC), 90),
    ],
)
def test_bundled_recordings_as_ingest_tells_them(name, start, days):
    tape = open_tape(bundled_tapes()[name])
    ingest = IngestSettings()
    source = RecordingSource(ingest, tape=tape)
    span = Span(start, start + timedelta(days=days))

    async def first_tellings():
        told = ticks_of(source, span, frame_of(tape), ingest.patience())
        return [tick async for tick in told if not tick.revision]

    assert {Pulse.GREEN, Pulse.AMBER, Pulse.RED} <= assert_same_bits(asyncio.run(first_tellings()), DecideSettings())


def test_one_interval_alone():
    assert assert_same_bits([tick(0, 5.0, 100.0)], DecideSettings()) == {Pulse.AMBER}
    assert assert_same_bits([tick(0, None, 100.0)], DecideSettings()) == {Pulse.UNKNOWN}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"interval_start": START, "revision": 1}, "corrects"),
        ({"carbon_basis": CarbonBasis.AVERAGE}, "carbon basis"),
        ({"price_market": PriceMarket.DAY_AHEAD}, "market"),
    ],
)
def test_what_a_row_an_interval_cannot_tell_is_refused(changes, problem):
    with pytest.raises(InputError, match=problem):
        heard_of([tick(0, 5.0, 100.0), tick(1, 5.0, 100.0, **changes)])
