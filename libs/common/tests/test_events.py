"""Events: what crosses the broker comes back equal, with the headers of the contract."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from carbonshift.common.events import (
    EVENTS,
    CarbonBasis,
    Digest,
    Fuel,
    FuelMix,
    GridTick,
    JobPlan,
    PowerTarget,
    PriceMarket,
    ProvidedForecast,
    Quality,
    Replay,
    headers,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=32)


def tick(**changes) -> GridTick:
    values = {
        "region": "caiso",
        "interval_start": NOON,
        "interval_seconds": 300,
        "price_usd_per_mwh": 31.5,
        "carbon_g_per_kwh": 268.0,
        "carbon_basis": CarbonBasis.MARGINAL,
        "price_quality": Quality.OBSERVED,
        "carbon_quality": Quality.OBSERVED,
        "price_market": PriceMarket.REAL_TIME,
        "price_source": "test",
        "carbon_source": "test",
        "observed_at": NOON,
    }
    return GridTick.model_validate(values | changes)


@given(price=st.none() | numbers, carbon=st.none() | numbers.filter(lambda x: x >= 0), hours=st.integers(0, 10_000))
def test_a_tick_survives_the_wire(price, carbon, hours):
    start = NOON + timedelta(hours=hours)
    before = tick(price_usd_per_mwh=price, carbon_g_per_kwh=carbon, interval_start=start)
    assert GridTick.model_validate_json(before.model_dump_json()) == before


def test_times_are_rfc_3339_utc_with_z():
    berlin = tick(interval_start="2026-01-31T13:00:00+01:00")
    assert json.loads(berlin.model_dump_json())["interval_start"] == "2026-01-31T12:00:00Z"


def test_a_time_without_zone_is_refused():
    with pytest.raises(ValidationError, match="timezone"):
        tick(interval_start="2026-01-31T13:00:00")


def test_a_newer_producer_does_not_break_an_older_consumer():
    body = json.loads(tick().model_dump_json()) | {"added_later": 1}
    read = GridTick.model_validate(body)
    assert read == tick()
    assert "added_later" not in read.model_dump()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_is_refused(value):
    with pytest.raises(ValidationError):
        tick(price_usd_per_mwh=value)


@pytest.mark.parametrize("region", ["", "a.b", "a b", "*", ">", "ä", "x" * 65])
def test_a_region_is_one_token_of_a_subject(region):
    with pytest.raises(ValidationError):
        tick(region=region)


def test_an_id_is_the_same_for_a_retry_and_another_for_a_revision_or_a_replay():
    assert tick().id == tick(price_usd_per_mwh=1.0).id == "tick:caiso:1769860800:0"
    assert len({tick().id, tick(revision=1).id, tick(replay=Replay(run="a")).id, tick(replay=Replay(run="b")).id}) == 4


def test_headers_are_cloudevents_with_the_id_twice():
    sent = headers(tick(), "ingest")
    assert sent == {
        "Nats-Msg-Id": tick().id,
        "ce-id": tick().id,
        "ce-specversion": "1.0",
        "ce-type": "carbonshift.tick",
        "ce-source": "carbonshift/ingest",
        "ce-time": "2026-01-31T12:00:00Z",
    }


def test_each_type_has_a_subject_of_its_own():
    wildcards = [kind.subjects("p") for kind in EVENTS]
    assert len(set(wildcards)) == len(wildcards)
    assert tick().subject("p") == "p.tick.caiso"
    assert GridTick.subjects("p") == "p.tick.*"


def provided(**changes):
    values = {
        "region": "caiso",
        "source": "watttime",
        "published_at": NOON,
        "step_seconds": 300,
        "first_interval_start": NOON,
        "carbon_basis": CarbonBasis.MARGINAL,
        "carbon_g_per_kwh": (394.63, None, 0.0),
    }
    return ProvidedForecast.model_validate(values | changes)


def test_a_provided_forecast_survives_the_wire_and_has_one_id_for_each_publication_of_a_source():
    assert ProvidedForecast.model_validate_json(provided().model_dump_json()) == provided()
    assert provided().id == provided(carbon_g_per_kwh=(1.0,)).id
    later = NOON + timedelta(minutes=5)
    assert len({provided().id, provided(published_at=later).id, provided(source="b").id}) == 3


@pytest.mark.parametrize("carbon", [(), (-0.1,), (float("nan"),), (float("inf"),)])
def test_a_provided_forecast_has_steps_and_no_carbon_below_zero(carbon):
    with pytest.raises(ValidationError):
        provided(carbon_g_per_kwh=carbon)


def mix(**changes):
    values = {
        "region": "caiso",
        "source": "caiso-outlook",
        "interval_start": NOON,
        "interval_seconds": 300,
        "power_w": {Fuel.SOLAR: 11e9, Fuel.BATTERIES: -2e9},
    }
    return FuelMix.model_validate(values | changes)


@given(power=st.dictionaries(st.sampled_from(Fuel), numbers, min_size=1))
def test_a_fuel_mix_survives_the_wire(power):
    before = mix(power_w=power)
    assert FuelMix.model_validate_json(before.model_dump_json()) == before


def test_a_fuel_mix_has_one_id_for_each_interval_of_a_source():
    assert mix().id == mix(power_w={Fuel.GAS: 1.0}).id == "fuelmix:caiso:1769860800:caiso-outlook"
    assert len({mix().id, mix(interval_start=NOON + timedelta(minutes=5)).id, mix(source="b").id}) == 3
    assert mix().subject("p") == "p.fuelmix.caiso"
    assert mix().interval_end == NOON + timedelta(minutes=5)


@pytest.mark.parametrize("power", [{}, {"gas": float("nan")}, {"gas": float("inf")}, {"gas": None}, {"steam": 1.0}])
def test_a_fuel_mix_names_fuels_and_numbers(power):
    with pytest.raises(ValidationError):
        mix(power_w=power)


def digest(**changes):
    values = {
        "region": "caiso",
        "start": NOON,
        "end": NOON + timedelta(days=1),
        "text": "GREEN 24 h.",
        "facts": {"green": "24 h", "drawn_kwh": 1.5, "longest_red": None},
    }
    return Digest.model_validate(values | changes)


def test_a_digest_survives_the_wire_and_has_one_id_for_each_span_and_run():
    assert Digest.model_validate_json(digest().model_dump_json()) == digest()
    assert digest().subject("p") == "p.digest.caiso"
    assert digest().id == digest(text="another", facts={}).id
    others = (digest(end=NOON), digest(start=NOON + timedelta(hours=1)), digest(replay=Replay(run="a")))
    assert len({digest().id, *(other.id for other in others)}) == 4


def target(**changes):
    values = {"site": "dc1", "limit_w": 1e6, "start": NOON, "end": NOON + timedelta(hours=1), "requested_by": "u"}
    return PowerTarget.model_validate(values | changes)


@pytest.mark.parametrize("hours", [0, -1])
def test_a_target_ends_after_it_starts(hours):
    with pytest.raises(ValidationError, match="end after it starts"):
        target(end=NOON + timedelta(hours=hours))


def test_targets_a_watt_apart_are_two():
    assert target(limit_w=1_234_567.0).id != target(limit_w=1_234_568.0).id


@pytest.mark.parametrize("mode", [7.5, -0.1, "stopped"])
def test_a_plan_names_no_power_that_no_board_has(mode):
    with pytest.raises(ValidationError, match="modes"):
        JobPlan(
            job="a",
            origin=NOON,
            step_seconds=300,
            modes=(mode,),
            expected_cost_usd=None,
            expected_carbon_g=None,
            expected_finish=None,
            deadline_at_risk=False,
            valid_until=NOON,
            policy="planner",
        )
