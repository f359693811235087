"""Whatever a carbon provider sends: readings that say what the body says, or a typed error."""

import gzip
import json
import math
import random
import re
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.sources.electricitymaps import parse_history
from carbonshift.ingest.sources.watttime import parse_forecast, parse_historical

RECORDED = Path(__file__).parents[3].parent / "shared" / "raw-api"
META = {
    "region": "CAISO_NORTH",
    "signal_type": "co2_moer",
    "units": "lbs_co2_per_mwh",
    "data_point_period_seconds": 300,
    "warnings": [],
    "model": {"date": "2023-03-01"},
}
MOERS = [
    {"point_time": f"2026-03-01T00:{minute:02}:00+00:00", "value": value, "imputed_data_used": bool(minute % 2)}
    for minute, value in ((10, 911), (5, 902.5), (0, None), (15, -3.25))
]
FLAT = {"meta": META, "data": [{"point_time": p["point_time"], "value": p["value"]} for p in MOERS]}
RUNS = {
    "meta": META,
    "data": [
        {"generated_at": "2026-03-01T00:00:00Z", "forecast": FLAT["data"]},
        {"generated_at": "2026-03-01T00:05:00Z", "forecast": FLAT["data"][1:]},
    ],
}
HOURS = [
    {
        "zone": "DE",
        "carbonIntensity": value,
        "datetime": f"2026-03-01T{hour:02}:00:00.000Z",
        "emissionFactorType": "direct",
        "isEstimated": hour == 2,
        "estimationMethod": None,
    }
    for hour, value in ((2, 411), (1, None), (0, 398.5), (3, 402))
]
JUNK = [
    None, True, False, 0, -0.0, 1e308, 10**400, math.nan, math.inf, -math.inf, "", "12", "percentile", "nan",
    "lbs_co2_per_mwh ", "LBS_CO2_PER_MWH", "kg_co2_per_mwh", "lifecycle", "direct", [], {}, [1], {"value": 1},
    "é\u202e\x00", "\ud800", "@1e999@", "@digits@", "@-1e-999@", "@deep@", "@deeper@", 300, 300.0, "300", 3600,
    1772323200, "1772323200", "2026-03-01T00:05:00+00:00", "2026-03-01T00:05:00", "2026-03-01T00:05:01Z", "2026-03-01",
    "0001-01-01T00:00:00+05:00", "9999-12-31T23:55:00-05:00", "2026-03-01T02:00:00+02:00", "2026-03-01T00:05:00.5Z",
    "2026-02-30T00:00:00Z", "2026-03-01T01:00:00",
]  # fmt: skip

RAW = {
    "1e999": "1e999",
    "-1e-999": "-1e-999",
    "digits": "9" * 5_000,
    "deep": "[" * 150 + "]" * 150,
    "deeper": '{"a":' * 50_000 + "1" + "}" * 50_000,
}
"""What `json` would not write, by the text that stands for it until the tree is written."""


def places(node, found):
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            found.append((node, key))
            places(node[key], found)
    return found


def copied(node):
    return json.loads(json.dumps(node))


def spoil_one(tree, chance):
    """One fault of structure: something dropped, replaced, said twice, renamed or put in another's place."""
    found = places(tree, [])
    if not found:
        return
    top = [place for place in found if place[0] in (tree, tree.get("meta"))]
    node, key = chance.choice(top if top and chance.random() < 0.3 else found)
    match chance.randrange(6):
        case 0:
            del node[key]
        case 1 | 2:
            node[key] = chance.choice(JUNK)
        case 3 if isinstance(node, dict):
            node[f"@twice@{key}"] = chance.choice([*JUNK, node[key]])
        case 3:
            node.append(copied(node[key]))
        case 4 if isinstance(node, dict):
            node[chance.choice(["unit", "Units", "value", "data", "zone", "é", ""])] = node.pop(key)
        case _:
            other, name = chance.choice(found)
            node[key] = copied(other[name])


def written(tree, chance):
    """The tree as bytes, with what `json` would not write: overflows, a key twice, nesting without end."""
    text = json.dumps(tree, ensure_ascii=chance.random() < 0.5).replace('"@twice@', '"')
    for mark, raw in RAW.items():
        text = text.replace(f'"@{mark}@"', raw)
    return text.encode("utf-8", "surrogatepass")


def mutated(body, chance):
    """A body with up to three faults of structure, and perhaps one of its bytes."""
    tree = json.loads(body)
    for _ in range(chance.randint(0, 3)):
        spoil_one(tree, chance)
    raw = written(tree, chance)
    spot = chance.randrange(len(raw))
    match chance.randrange(12):
        case 0:
            return raw[:spot]
        case 1:
            return raw[:spot] + bytes([chance.randrange(256)]) + raw[spot + 1 :]
        case 2:
            return raw[:spot] + chance.randbytes(3) + raw[spot:]
        case 3:
            return chance.choice([b"\xef\xbb\xbf" + raw, b"\xff\xfe" + raw, b"", b" ", b"null", b"[" + raw + b"]"])
    return raw


def said(body):
    """The body as Python's own parser reads it; every number a float."""
    return json.loads(body.decode("utf-8-sig"), parse_int=float)


def moment(text):
    assert isinstance(text, str)
    found = datetime.fromisoformat(text)
    assert found.tzinfo is not None
    return found.astimezone(UTC)


def moer_of(points, *, estimated=None):
    return {
        moment(p["point_time"]): (
            None if p["value"] is None else p["value"] * 0.45359237,
            p.get("imputed_data_used") is True if estimated is None else estimated,
        )
        for p in points
    }


def declared_by_watttime(tree, region):
    meta = tree["meta"]
    assert (meta["units"], meta["region"], meta["signal_type"]) == ("lbs_co2_per_mwh", region, "co2_moer")
    assert meta["data_point_period_seconds"] == 300


def expected_historical(body, region):
    declared_by_watttime(said(body), region)
    return moer_of(said(body)["data"])


def expected_forecast(body, region):
    tree = said(body)
    declared_by_watttime(tree, region)
    runs = [entry for entry in tree["data"] if "point_time" not in entry]
    if runs:
        return moer_of(max(runs, key=lambda run: moment(run["generated_at"]))["forecast"], estimated=True)
    return moer_of(tree["data"], estimated=True)


def expected_history(body, zone):
    tree = said(body)
    assert tree["zone"] == zone
    points = tree["history"] if "history" in tree else tree["data"]
    for p in points:
        kind = p.get("emissionFactorType")
        assert (tree.get("emissionFactorType") if kind is None else kind) == "direct"
        assert p.get("zone") in {None, zone}
    return {moment(p["datetime"]): (p["carbonIntensity"], p.get("isEstimated") is True) for p in points}


def forecast_readings(body, region):
    return parse_forecast(body, region, datetime(2026, 3, 1, tzinfo=UTC)).readings


PARSERS = {
    "historical": (parse_historical, expected_historical, 300, "CAISO_NORTH", [FLAT | {"data": MOERS}]),
    "forecast": (forecast_readings, expected_forecast, 300, "CAISO_NORTH", [FLAT, RUNS]),
    "electricitymaps": (
        parse_history,
        expected_history,
        3_600,
        "DE",
        [{"zone": "DE", "history": HOURS}, {"zone": "DE", "emissionFactorType": "direct", "data": HOURS}],
    ),
}
RECORDED_BODIES = {
    "historical": "watttime_v3/aiowatttime_historical_emissions_response.json",
    "forecast": "watttime_v3/aiowatttime_forecasted_emissions_response.json",
    "electricitymaps": "electricitymaps_v3/aioelectricitymaps_carbon_intensity_history.json",
}


def outcome(parser, body):
    """How a body ends: an error's class, or readings that are what the body says."""
    parse, expected, step, region, _ = PARSERS[parser]
    try:
        readings = parse(body, region)
    except (SourceRefusedError, SourceUnavailableError) as error:
        return type(error).__name__ if len(str(error)) < 700 else "a long text"
    assert all(a.interval_start < b.interval_start for a, b in pairwise(readings))
    assert all(r.interval_start.timestamp() % step == 0 and r.interval_start.tzinfo is UTC for r in readings)
    assert all(r.value is None or (type(r.value) is float and math.isfinite(r.value)) for r in readings)
    assert {r.interval_start: (r.value, r.estimated) for r in readings} == expected(body, region)
    return "readings" if any(r.value is not None for r in readings) else "no number"


def fuzz(parser, bodies, examples):
    ends = Counter()

    @settings(max_examples=examples)
    @given(seed=st.integers(0, 2**63))
    def run(seed):
        chance = random.Random(seed)
        ends[outcome(parser, mutated(chance.choice(bodies), chance))] += 1

    run()
    assert set(ends) <= {"readings", "no number", "SourceRefusedError", "SourceUnavailableError"}
    assert all(ends[end] >= 50 for end in ("readings", "SourceRefusedError", "SourceUnavailableError")), ends


def recorded(name):
    path = RECORDED / name
    if not path.exists():
        pytest.skip("the recorded answers of the providers are not here")
    content = path.read_bytes()
    return gzip.decompress(content) if path.suffix == ".gz" else content


@pytest.mark.parametrize("parser", PARSERS)
def test_a_spoilt_body_gives_what_it_says_or_an_error(parser):
    fuzz(parser, [json.dumps(body) for body in PARSERS[parser][-1]], 2_000)


@pytest.mark.parametrize("parser", PARSERS)
def test_a_spoilt_recorded_body_gives_what_it_says_or_an_error(parser):
    fuzz(parser, [recorded(RECORDED_BODIES[parser]).replace(b'"lifecycle"', b'"direct"')], 2_000)


@pytest.mark.parametrize("parser", PARSERS)
def test_no_number_comes_out_without_its_unit(parser):
    """Each body has its declaration dropped, emptied, changed and misspelt."""
    key = "emissionFactorType" if parser == "electricitymaps" else "units"
    for body in PARSERS[parser][-1]:
        text = json.dumps(body)
        for other in ("null", "5", "true", "[]", "{}", '""', '"percentile"', '"kg_co2_per_mwh"', '"lifecycle"', '"%"'):
            assert (
                outcome(parser, re.sub(rf'("{key}": )"\w+"', rf"\g<1>{other}", text).encode()) == "SourceRefusedError"
            )
        assert outcome(parser, text.replace(f'"{key}"', '"unit"').encode()) == "SourceRefusedError"
        assert outcome(parser, text.encode()) == "readings"


def test_recorded_watttime_answers_are_read():
    """A pound is 453.59237 g: 870 lb/MWh are 394.6 g/kWh."""
    historical = parse_historical(recorded(RECORDED_BODIES["historical"]), "CAISO_NORTH")
    assert [r.value for r in historical] == pytest.approx([394.6253619, 390.0894382])
    assert all(r.estimated for r in historical)
    assert [r.estimated for r in forecast_readings(recorded(RECORDED_BODIES["forecast"]), "CAISO_NORTH")] == [True] * 3


def test_a_recorded_forecast_says_when_it_was_made():
    asked_at = datetime(2026, 3, 1, tzinfo=UTC)
    body = recorded(RECORDED_BODIES["forecast"])
    forecast = parse_forecast(body, "CAISO_NORTH", asked_at)
    assert forecast.published_at == datetime(2022, 7, 15, tzinfo=UTC)
    assert forecast.readings


def test_the_single_forecast_of_the_published_contract_says_when_it_was_made():
    examples = json.loads(recorded("watttime_v3/official_openapi_2024-01_schema_examples.json"))
    body = json.dumps(examples["V3SingleForecastResponse"]).encode()
    forecast = parse_forecast(body, "CAISO_NORTH", datetime(2026, 3, 1, tzinfo=UTC))
    assert forecast.published_at == datetime(2022, 7, 15, tzinfo=UTC)
    assert forecast.readings


@pytest.mark.parametrize("example", ["V3Response", "V3SingleForecastResponse", "V3ExtendedForecastResponse"])
def test_the_examples_of_the_published_contract_are_read(example):
    examples = json.loads(recorded("watttime_v3/official_openapi_2024-01_schema_examples.json"))
    parse = parse_historical if example == "V3Response" else forecast_readings
    assert all(r.value is not None for r in parse(json.dumps(examples[example]).encode(), "CAISO_NORTH"))


@pytest.mark.parametrize(
    "name",
    [
        "watttime_v3/aiowatttime_realtime_emissions_response.json",
        "watttime_v3/aiowatttime_invalid_scope_response.json",
        "watttime_v3/aiowatttime_403_forbidden_response.html",
        "watttime_v3/live_my-access_2024-10.json",
        "watttime_sgip/sgipmoer_PGE_2020-01-01.json",
        "watttime_sgip/sgipmoer_PGE_2019-12_with_gap.json.gz",
        "electricitymaps_v3/aioelectricitymaps_no-data-response.json",
        "electricitymaps_v3/aioelectricitymaps_response.json",
        "electricitymaps_v3/aioelectricitymaps_power_breakdown_history.json",
        "electricitymaps_v3/aioelectricitymaps_carbon_intensity_history.json",
    ],
)
def test_a_recorded_answer_to_another_question_gives_no_number(name):
    body = recorded(name)
    for parse, region in ((parse_historical, "PSCO"), (forecast_readings, "PSCO"), (parse_history, "DE")):
        with pytest.raises((SourceRefusedError, SourceUnavailableError)):
            parse(body, region)


def test_the_recorded_percentile_is_refused_by_its_unit():
    with pytest.raises(SourceRefusedError, match="percentile"):
        parse_historical(recorded("watttime_v3/aiowatttime_realtime_emissions_response.json"), "PSCO")


def test_the_recorded_lifecycle_history_is_refused_and_as_direct_read():
    body = recorded(RECORDED_BODIES["electricitymaps"])
    with pytest.raises(SourceRefusedError, match="lifecycle"):
        parse_history(body, "DE")
    assert outcome("electricitymaps", body.replace(b'"lifecycle"', b'"direct"')) == "readings"
