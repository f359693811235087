"""Electricity Maps: direct emissions that say so, the free day for every key, and more of it for those who pay."""

import json
import logging
import traceback
from datetime import UTC, datetime, timedelta

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse

from carbonshift.common.errors import InputError
from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.electricitymaps import ElectricityMaps, parse_history
from carbonshift.ingest.web import WebPool

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = "k3y-of-ours"


def point(at, value=250, **changes):
    said = {
        "zone": "DE",
        "carbonIntensity": value,
        "datetime": at if isinstance(at, str) else at.strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "emissionFactorType": "direct",
        "isEstimated": False,
        "estimationMethod": None,
    }
    return {key: value for key, value in (said | changes).items() if value is not ...}


def body(*points, name="history", **more):
    return json.dumps({"zone": "DE", name: list(points)} | more).encode()


class MapsSite:
    """A real HTTP server that answers as Electricity Maps does; its newest hour is NOON."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.seen, self.paid, self.only, self.factors = [], True, None, None

    async def __call__(self, scope, receive, send):
        request = Request(scope, receive)
        self.seen.append(request)
        await self.respond(request)(scope, receive, send)

    def respond(self, request):
        asked = request.query_params
        if request.headers.get("auth-token") != KEY:
            return JSONResponse({"error": "Invalid auth-token"}, 401)
        if self.only:
            return self.only
        factors = self.factors or asked.get("emissionFactorType", "lifecycle")
        if request.url.path == "/v3/carbon-intensity/history":
            points = [
                point(NOON - n * HOUR, n, zone=asked["zone"], emissionFactorType=factors, isEstimated=n == 0)
                for n in range(24)
            ]
            return JSONResponse({"zone": asked["zone"], "history": points})
        if not self.paid:
            return JSONResponse({"error": "Your key does not allow access to past-range"}, 403)
        start, end = (datetime.fromisoformat(asked[name]) for name in ("start", "end"))
        if end - start > timedelta(days=10):
            return JSONResponse({"error": "the range is too long"}, 400)
        points = [point(start + n * HOUR, 100, zone=asked["zone"]) for n in range((end - start) // HOUR + 1)]
        return JSONResponse({"zone": asked["zone"], "data": points})


@pytest.fixture(scope="module")
def running_site(serve):
    site = MapsSite()
    with serve(site) as site.url:
        yield site


@pytest.fixture
def site(running_site):
    running_site.reset()
    return running_site


@pytest.fixture
async def pool():
    async with WebPool(deadline_seconds=0.6) as pool:
        yield pool


def source_of(site, pool, key=KEY, zone="DE"):
    settings = IngestSettings(electricitymaps_url=site.url, electricitymaps_zone=zone, electricitymaps_api_key=key)
    return ElectricityMaps(settings, pool)


def fetch(source, start=NOON - 23 * HOUR, end=NOON + HOUR):
    return source.fetch(Signal.CARBON, "germany", start, end)


# What an answer says


@pytest.mark.parametrize("name", ["history", "data"])
def test_grams_are_taken_as_they_are_and_estimates_marked(name):
    points = [point(NOON + HOUR, None), point(NOON, 216.5, isEstimated=True), point(NOON - HOUR, 0, isEstimated=...)]
    assert parse_history(body(*points, name=name), "DE") == [
        Reading(NOON - HOUR, 0.0),
        Reading(NOON, 216.5, estimated=True),
        Reading(NOON + HOUR, None),
    ]


@pytest.mark.parametrize("factors", ["lifecycle", "Direct", None, ..., 5])
def test_other_emissions_than_direct_ones_are_refused_with_a_way_out(factors):
    with pytest.raises(SourceRefusedError, match=r"emissionFactorType.*not direct.*another carbon source"):
        parse_history(body(point(NOON), point(NOON + HOUR, emissionFactorType=factors)), "DE")


def test_what_the_answer_declares_as_a_whole_holds_for_each_hour():
    assert parse_history(body(point(NOON, emissionFactorType=...), emissionFactorType="direct"), "DE")
    with pytest.raises(SourceRefusedError):
        parse_history(body(point(NOON, emissionFactorType="lifecycle"), emissionFactorType="direct"), "DE")


@pytest.mark.parametrize(
    ("answer", "about"),
    [
        (body(point(NOON), zone="FR"), "zone"),
        (body(point(NOON), zone=None), "zone"),
        (body(point(NOON, zone="FR")), "zone"),
        (body(point(NOON, temporalGranularity="5_minutes")), "temporalGranularity"),
        (body(point(NOON), temporalGranularity="daily"), "temporalGranularity"),
    ],
)
def test_an_answer_about_something_else_is_refused(answer, about):
    with pytest.raises(SourceRefusedError, match=about):
        parse_history(answer, "DE")


@pytest.mark.parametrize(
    "points",
    [
        [point(NOON, "216")],
        [point(NOON, True)],
        [point(NOON, float("nan"))],
        [point(NOON, 10**400)],
        [point(NOON, ...)],
        [point(NOON, isEstimated="no")],
        [point("2026-03-01T12:00:00")],
        [point("2026-03-01T12:05:00Z")],
        [point("yesterday")],
        [point(NOON, datetime=1772366400)],
        [point(NOON, 1), point("2026-03-01T13:00:00+01:00", 2)],
    ],
)
def test_what_no_one_can_rely_on_is_an_error(points):
    with pytest.raises(SourceUnavailableError):
        parse_history(body(*points), "DE")


def test_an_answer_of_the_older_service_is_quoted():
    with pytest.raises(SourceUnavailableError, match="no-data"):
        parse_history(json.dumps({"status": "no-data", "countryCode": "DE", "data": {}}).encode(), "DE")


# How it is asked


@pytest.mark.parametrize("key", [None, "", " \n", f"{KEY}\nX: y", f"{KEY}é"])
async def test_a_key_that_is_missing_or_none_is_named_and_not_quoted(site, pool, key):
    with pytest.raises(InputError, match="ELECTRICITYMAPS_API_KEY") as caught:
        source_of(site, pool, key)
    assert KEY not in "".join(traceback.format_exception(caught.value))


async def test_the_last_day_is_asked_for_as_direct_emissions(site, pool):
    source = source_of(site, pool, f" {KEY}\n")
    readings = await fetch(source)
    assert readings == [Reading(NOON - n * HOUR, float(n), estimated=n == 0) for n in range(23, -1, -1)]
    assert [request.url.path for request in site.seen] == ["/v3/carbon-intensity/history"]
    assert dict(site.seen[0].query_params) == {"zone": "DE", "emissionFactorType": "direct"}
    assert await fetch(source, NOON - HOUR, NOON) == [Reading(NOON - HOUR, 1.0)]
    assert await source.fetch(Signal.PRICE, "germany", NOON, NOON + HOUR) == []


async def test_what_is_older_is_asked_for_in_parts(site, pool):
    readings = await fetch(source_of(site, pool), NOON - timedelta(days=26))
    assert [r.interval_start for r in readings] == [NOON + HOUR * n for n in range(-26 * 24, 1)]
    assert [r.value for r in readings[:-24]] == [100.0] * (25 * 24 + 1)
    assert len(site.seen) == 1 + 3


async def test_a_key_without_the_past_gives_its_day_and_says_so_once(site, pool, caplog):
    caplog.set_level(logging.INFO, "carbonshift")
    site.paid = False
    source = source_of(site, pool)
    for _ in range(2):
        assert len(await fetch(source, NOON - timedelta(days=3))) == 24
    assert caplog.text.count("goes on with the last 24 hours") == 1
    with pytest.raises(SourceRefusedError, match="past-range"):
        await fetch(source, NOON - timedelta(days=3), NOON - timedelta(days=2))


async def test_a_plan_that_ignores_the_question_for_direct_emissions_is_refused(site, pool):
    site.factors = "lifecycle"
    with pytest.raises(SourceRefusedError, match="lifecycle"):
        await fetch(source_of(site, pool))


@pytest.mark.parametrize(
    ("status", "said"), [(400, {"message": "no such zone"}), (401, {"error": "Invalid auth-token"}), (403, {"a": "b"})]
)
async def test_a_refusal_is_quoted_with_a_way_out(site, pool, status, said):
    site.only = JSONResponse(said, status)
    with pytest.raises(SourceRefusedError, match=next(iter(said.values()))) as caught:
        await fetch(source_of(site, pool))
    assert caught.value.remedy.startswith("check ELECTRICITYMAPS_API_KEY and CARBONSHIFT_ELECTRICITYMAPS_ZONE")
    assert len(site.seen) == 1


async def test_no_data_is_unavailable(site, pool):
    site.only = JSONResponse({"status": "no-data", "countryCode": "DE", "data": {}})
    with pytest.raises(SourceUnavailableError, match="no-data"):
        await fetch(source_of(site, pool))


async def test_no_key_reaches_a_log(site, pool, caplog):
    for name in (None, "httpx", "httpcore"):  # louder than a service lets them be
        caplog.set_level(logging.DEBUG, logger=name)
    source = source_of(site, pool)
    await fetch(source)
    assert "/v3/carbon-intensity/history" in caplog.text
    assert KEY not in caplog.text + repr(source)
