"""WattTime: one login, declared pounds into grams, and the provider's forecast for what it has not measured yet."""

import asyncio
import json
import logging
import traceback
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse

from carbonshift.common.errors import InputError
from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.interval import begin_of
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.sources.watttime import (
    Login,
    WattTime,
    parse_forecast,
    parse_historical,
    up_to_now,
)
from carbonshift.ingest.web import WebPool

STEP = timedelta(minutes=5)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
USER, PASSWORD = "ada", "open:sesame ü"
NO_SCOPE = {"error": "Invalid query parameters", "message": "Invalid scope. You do not have access to this resource."}


def meta(**changes):
    declared = {
        "region": "CAISO_NORTH",
        "signal_type": "co2_moer",
        "units": "lbs_co2_per_mwh",
        "data_point_period_seconds": 300,
        "warnings": [],
    }
    return {key: value for key, value in (declared | changes).items() if value is not ...}


def body(*points, **changes):
    return json.dumps({"meta": meta(**changes), "data": list(points)}).encode()


def point(at, value=1000.0, **more):
    return {"point_time": at if isinstance(at, str) else at.isoformat(), "value": value, **more}


class WattTimeSite:
    """A real HTTP server that answers as WattTime does, for one user and with tokens that can be taken back."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.seen, self.tokens, self.logins = [], set(), 0
        self.login_answer = None
        self.lag = STEP  # from the interval that runs now back to the newest that is measured
        self.forecast = None
        self.meta = meta()
        self.scope = True

    async def __call__(self, scope, receive, send):
        request = Request(scope, receive)
        self.seen.append(request)
        await self.respond(request)(scope, receive, send)

    def respond(self, request):
        if request.url.path == "/login":
            return self.login(request)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or token not in self.tokens:
            return JSONResponse({"error": "Token is expired"}, 401)
        if not self.scope:
            return JSONResponse(NO_SCOPE, 403)
        now = begin_of(datetime.now(UTC), 300)
        if request.url.path == "/v3/forecast":
            points = [point(now - 6 * STEP + n * STEP, 500.0) for n in range(288)]
            return self.forecast or JSONResponse({"meta": self.meta | {"generated_at": "x"}, "data": points})
        start, end = (datetime.fromisoformat(request.query_params[name]) for name in ("start", "end"))
        if end - start > timedelta(days=32):
            return JSONResponse({"error": "the span is too long"}, 400)
        steps = range((min(end, now - self.lag) - start) // STEP + 1)  # the end is part of it
        return JSONResponse({"meta": self.meta, "data": [point(start + n * STEP) for n in reversed(steps)]})

    def login(self, request):
        self.logins += 1
        if self.login_answer:
            return self.login_answer.pop(0) if len(self.login_answer) > 1 else self.login_answer[0]
        if b64decode(request.headers["authorization"].removeprefix("Basic ")).decode() != f"{USER}:{PASSWORD}":
            return HTMLResponse("<html><center><h1>403 Forbidden</h1></center></html>", 403)
        token = f"tok3n-{self.logins}"
        self.tokens.add(token)
        return JSONResponse({"token": token})


@pytest.fixture(scope="module")
def running_site(serve):
    site = WattTimeSite()
    with serve(site) as site.url:
        yield site


@pytest.fixture
def site(running_site):
    running_site.reset()
    return running_site


@pytest.fixture
async def source(site):
    async with WebPool(deadline_seconds=3) as pool:
        yield WattTime(settings_of(site), pool)


def settings_of(site, **changes):
    return IngestSettings(
        **{"watttime_url": site.url, "watttime_username": USER, "watttime_password": PASSWORD} | changes
    )


def fetch(source, start=NOON, end=NOON + 12 * STEP):
    return source.fetch(Signal.CARBON, "caiso", start, end)


async def calm_now():
    """The interval that runs now, and for the next few seconds too."""
    while (datetime.now(UTC) - begin_of(datetime.now(UTC), 300)).total_seconds() > 294:
        await asyncio.sleep(0.5)
    return begin_of(datetime.now(UTC), 300)


def paths(site):
    return [request.url.path for request in site.seen]


# What an answer says


def test_pounds_per_megawatt_hour_become_grams_per_kilowatt_hour():
    points = [point(NOON + STEP, -2), point(NOON, 1000, imputed_data_used=True), point(NOON + 2 * STEP, None)]
    assert parse_historical(body(*points), "CAISO_NORTH") == [
        Reading(NOON, 453.59237, estimated=True),
        Reading(NOON + STEP, pytest.approx(-0.90718474)),
        Reading(NOON + 2 * STEP, None),
    ]


@pytest.mark.parametrize(
    "units", [..., None, "percentile", "kg_co2_per_mwh", "LBS_CO2_PER_MWH", 5, ["lbs_co2_per_mwh"]]
)
@pytest.mark.parametrize("parse", [parse_historical, partial(parse_forecast, asked_at=NOON)])
def test_a_figure_without_its_declared_unit_is_none(parse, units):
    with pytest.raises(SourceRefusedError, match=r"units.*expected lbs_co2_per_mwh"):
        parse(body(point(NOON), units=units), "CAISO_NORTH")


@pytest.mark.parametrize(
    "changes", [{"region": "PJM_DC"}, {"signal_type": "health_damage"}, {"data_point_period_seconds": 3600}]
)
def test_an_answer_about_something_else_is_refused(changes):
    with pytest.raises(SourceRefusedError, match=next(iter(changes))):
        parse_historical(body(point(NOON), **changes), "CAISO_NORTH")


@pytest.mark.parametrize(
    "points",
    [
        [point(NOON, "870")],
        [point(NOON, True)],
        [point(NOON, float("nan"))],
        [point(NOON, float("inf"))],
        [point(NOON, 10**400)],
        [{"point_time": NOON.isoformat()}],
        [{"value": 1}],
        [point(NOON, imputed_data_used="yes")],
        [point("2026-03-01T12:00:00")],
        [point("1772366400")],
        [{"point_time": 1772366400, "value": 1}],
        [point("2026-03-01T12:01:00+00:00")],
        [point("2026-03-01T12:00:00.5+00:00")],
        [point("0001-01-01T00:00:00+05:00")],
        [point(NOON, 1), point("2026-03-01T13:00:00+01:00", 2)],
    ],
)
def test_what_no_one_can_rely_on_is_an_error(points):
    with pytest.raises(SourceUnavailableError):
        parse_historical(body(*points), "CAISO_NORTH")


def test_what_is_said_twice_counts_once():
    assert len(parse_historical(body(point(NOON), point("2026-03-01T13:00:00+01:00")), "CAISO_NORTH")) == 1


def test_of_several_forecasts_the_newest_counts():
    runs = [
        {"generated_at": (NOON + n * STEP).isoformat(), "forecast": [point(NOON + n * STEP, 100 * n)]}
        for n in (2, 3, 1)
    ]
    assert parse_forecast(body(*runs), "CAISO_NORTH", NOON).readings == [
        Reading(NOON + 3 * STEP, pytest.approx(136.077711), estimated=True)
    ]


@pytest.mark.parametrize(
    ("said", "made"),
    [
        ("2026-03-01T13:05:00+01:00", NOON + STEP),
        ("2026-03-01T12:05:00", NOON),
        ("x", NOON),
        (1772366400, NOON),
        (None, NOON),
        (..., NOON),
    ],
)
def test_a_forecast_is_of_when_it_was_generated_or_else_of_when_it_was_asked_for(said, made):
    forecast = parse_forecast(body(point(NOON), generated_at=said), "CAISO_NORTH", NOON)
    assert (forecast.published_at, len(forecast.readings)) == (made, 1)


def test_of_several_forecasts_the_newest_says_when_it_was_generated():
    runs = [{"generated_at": (NOON + n * STEP).isoformat(), "forecast": [point(NOON)]} for n in (2, 3, 1)]
    answer = body(*runs, generated_at=NOON.isoformat())
    assert parse_forecast(answer, "CAISO_NORTH", NOON).published_at == NOON + 3 * STEP


@given(measured=st.integers(0, 12), ahead=st.integers(-5, 20), seconds=st.integers(0, 299), first=st.integers(-3, 14))
def test_the_forecast_fills_from_the_newest_reading_to_now_and_no_further(measured, ahead, seconds, first):
    readings = [Reading(NOON + n * STEP, 1.0) for n in range(measured)]
    forecast = [Reading(NOON + n * STEP, 2.0, estimated=True) for n in range(first, first + 30)]
    end, now = NOON + 12 * STEP, NOON + ahead * STEP + timedelta(seconds=seconds)
    result = up_to_now(readings, forecast, NOON, end, now)
    assert result[:measured] == readings
    filled = range(max(measured, first, 0), min(ahead, 11) + 1)
    assert result[measured:] == [Reading(NOON + n * STEP, 2.0, estimated=True) for n in filled]


# How it is asked


@pytest.mark.parametrize("name", ["WATTTIME_USERNAME", "WATTTIME_PASSWORD"])
@pytest.mark.parametrize("value", [None, "", " \n"])
async def test_a_missing_credential_is_named(site, name, value):
    async with WebPool(deadline_seconds=1) as pool:
        with pytest.raises(InputError, match=name):
            WattTime(settings_of(site, **{name.lower(): value}), pool)


async def test_a_span_is_asked_for_once_and_given_in_order(site, source):
    readings = await fetch(source)
    assert readings == [Reading(NOON + n * STEP, 453.59237) for n in range(12)]
    assert paths(site) == ["/login", "/v3/historical"]
    asked = site.seen[-1].query_params
    assert (asked["region"], asked["signal_type"]) == ("CAISO_NORTH", "co2_moer")
    assert await source.fetch(Signal.PRICE, "caiso", NOON, NOON + STEP) == []
    assert await fetch(source, NOON, NOON) == []
    assert len(site.seen) == 2


async def test_a_longer_span_than_the_provider_allows_is_asked_for_in_parts(source, site):
    readings = await fetch(source, NOON - timedelta(days=70), NOON)
    assert len(readings) == 70 * 288
    assert paths(site).count("/v3/historical") == 3


async def test_fetches_that_come_together_log_in_once(site, source):
    await asyncio.gather(*(fetch(source) for _ in range(4)))
    assert site.logins == 1


async def test_a_token_that_has_run_out_is_renewed(site, source):
    await fetch(source)
    site.tokens.clear()
    assert len(await fetch(source)) == 12
    assert site.logins == 2
    site.tokens.clear()
    await asyncio.gather(*(fetch(source) for _ in range(3)))
    assert site.logins == 3


async def test_a_token_is_renewed_before_its_thirty_minutes_are_over(site):
    now = [0.0]
    login = Login(f"{site.url}/login", USER, PASSWORD, clock=lambda: now[0])
    async with httpx.AsyncClient(base_url=site.url, auth=login) as client:
        for minute, logins in ((0, 1), (24, 1), (26, 2), (45, 2)):
            now[0] = minute * 60.0
            assert (await client.get("/v3/forecast")).status_code == 200
            assert site.logins == logins
    assert "tok3n" not in repr(login) + str(login)


async def test_a_token_that_is_never_taken_is_a_refusal(site, source):
    site.login_answer = [JSONResponse({"token": "other"})]
    with pytest.raises(SourceRefusedError, match="401"):
        await fetch(source)
    assert paths(site) == ["/login", "/v3/historical"] * 2


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_password_is_said_once_and_not_repeated(site, status, caplog):
    site.login_answer = [HTMLResponse(f"you said {PASSWORD}", status)]
    async with WebPool(deadline_seconds=3) as pool:
        with pytest.raises(SourceRefusedError, match=r"refused the login.*check WATTTIME_USERNAME") as caught:
            await fetch(WattTime(settings_of(site), pool))
    assert paths(site) == ["/login"]
    assert PASSWORD not in "".join(traceback.format_exception(caught.value)) + caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        PlainTextResponse("oh", 500),
        JSONResponse({"error": "slow down"}, 429),
        JSONResponse({"token": "tok3n\nX: y"}),
        JSONResponse({"token": "tok3n-é"}),
        JSONResponse({"token": ""}),
        JSONResponse({"token": None}),
        JSONResponse([]),
        HTMLResponse("<html>sign in to the airport"),
    ],
)
async def test_a_login_that_fails_for_now_is_tried_again(site, source, answer, caplog):
    caplog.set_level(logging.DEBUG, "carbonshift")
    good = JSONResponse({"token": "tok3n-good"})
    site.tokens.add("tok3n-good")
    site.login_answer = [answer, good]
    assert len(await fetch(source)) == 12
    assert "tok3n" not in caplog.text


async def test_a_login_that_goes_on_failing_is_unavailable(site):
    site.login_answer = [HTMLResponse("<html>tok3n sign in to the airport")]
    async with WebPool(deadline_seconds=0.6) as pool:
        with pytest.raises(SourceUnavailableError, match="without a token") as caught:
            await fetch(WattTime(settings_of(site), pool))
    assert "tok3n" not in "".join(traceback.format_exception(caught.value))


async def test_a_region_that_the_account_may_not_see_is_refused_in_the_words_of_the_provider(site, source):
    site.scope = False
    with pytest.raises(SourceRefusedError, match=r"Invalid scope.*CARBONSHIFT_WATTTIME_REGION"):
        await fetch(source)
    assert paths(site) == ["/login", "/v3/historical"]


async def test_what_is_not_measured_yet_is_the_forecast_and_marked(site, source):
    site.lag = 3 * STEP
    now = await calm_now()
    readings = await fetch(source, now - 9 * STEP, now + STEP)
    assert [r.interval_start for r in readings] == [now - n * STEP for n in range(9, -1, -1)]
    assert [r.estimated for r in readings] == [False] * 7 + [True] * 3
    assert readings[-1].value == pytest.approx(226.796185)
    site.lag = 0 * STEP
    await fetch(source, now - 9 * STEP, now + STEP)
    assert paths(site).count("/v3/forecast") == 1  # nothing is missing, so nothing is asked


@pytest.mark.parametrize("answer", [JSONResponse(NO_SCOPE, 403), JSONResponse({"meta": {}, "data": []})])
async def test_without_access_to_the_forecast_it_goes_on_and_says_so_once(site, source, answer, caplog):
    caplog.set_level(logging.INFO, "carbonshift")
    site.forecast = answer
    now = await calm_now()
    for _ in range(2):
        assert [r.estimated for r in await fetch(source, now - 9 * STEP, now + STEP)] == [False] * 9
    assert caplog.text.count("without the forecast") == 1


async def test_a_forecast_that_is_away_takes_nothing_with_it(site):
    site.forecast = PlainTextResponse("oh", 503)
    now = await calm_now()
    async with WebPool(deadline_seconds=0.6) as pool:
        source = WattTime(settings_of(site), pool)
        for _ in range(7):  # its circuit opens; that of what is measured stays closed
            assert len(await fetch(source, now - 9 * STEP, now + STEP)) == 9
    assert paths(site).count("/v3/historical") == 7


async def test_one_question_gives_what_fills_and_what_is_forecast(site, source):
    site.lag = 3 * STEP
    now = await calm_now()
    readings, forecast = await asyncio.gather(
        fetch(source, now - 9 * STEP, now + STEP), source.forecast("caiso", datetime.now(UTC))
    )
    assert readings[-1] in forecast.readings
    assert await source.forecast("caiso", datetime.now(UTC)) is forecast
    assert await fetch(source, now - 9 * STEP, now + STEP) == readings
    assert paths(site).count("/v3/forecast") == 1
    assert (await source.forecast("caiso", now + 2 * STEP)).published_at == now + 2 * STEP  # a newer one may be there
    assert paths(site).count("/v3/forecast") == 2


@pytest.mark.parametrize("seconds_after", [20, 40])
async def test_while_the_newest_forecast_is_an_old_one_it_is_asked_for_once_a_poll(site, source, seconds_after):
    now = await calm_now()
    old = meta(generated_at=(now - STEP).isoformat())
    site.forecast = JSONResponse({"meta": old, "data": [point(now)]})
    for later in (0, seconds_after):
        assert (await source.forecast("caiso", now + timedelta(seconds=later))).published_at == now - STEP
    assert paths(site).count("/v3/forecast") == (1 if seconds_after < 30 else 2)


async def test_who_takes_no_forecast_any_more_takes_none_from_others(site, source):
    """`fetch` gives up at its deadline while the forecast is asked for; who else waits for it has it."""
    now = datetime.now(UTC)
    gives_up, waits = (asyncio.create_task(source.forecast("caiso", now)) for _ in range(2))
    await asyncio.sleep(0)
    gives_up.cancel()
    assert (await waits).readings
    assert gives_up.cancelled()
    assert paths(site).count("/v3/forecast") == 1


async def test_without_access_there_is_no_forecast_and_it_is_said_once(site, source, caplog):
    caplog.set_level(logging.INFO, "carbonshift")
    site.forecast = JSONResponse(NO_SCOPE, 403)
    now = await calm_now()
    for minutes in (0, 5, 10):
        assert await source.forecast("caiso", now + timedelta(minutes=minutes)) is None
    assert len(await fetch(source, now - 9 * STEP, now + STEP)) == 9
    assert caplog.text.count("without the forecast") == 1


async def test_each_warning_of_the_provider_is_logged_once(site, source, caplog):
    site.meta = meta(warnings=[{"type": "A", "message": "model will change\n"}, {"type": "B", "message": "b"}, 5])
    for _ in range(2):
        await fetch(source)
    assert caplog.text.count("watttime warns") == 3
    assert caplog.text.count("model will change\\n") == 1


async def test_no_secret_reaches_a_log(site, source, caplog):
    """At DEBUG over HTTP/1.1, where httpcore writes down the headers of answers and not of questions."""
    for name in (None, "httpx", "httpcore"):  # louder than a service lets them be
        caplog.set_level(logging.DEBUG, logger=name)
    await fetch(source)
    site.tokens.clear()
    await fetch(source)
    basic = site.seen[0].headers["authorization"].removeprefix("Basic ")
    assert "/v3/historical" in caplog.text
    assert not any(secret in caplog.text for secret in (PASSWORD, "tok3n", basic))
