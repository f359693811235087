"""WattTime v3: marginal operating emissions rate (MOER), five-minute steps. https://docs.watttime.org."""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, ClassVar, TypeVar

import httpx
from pydantic import BaseModel, FailFast, Field, SecretStr, StrictBool, TypeAdapter, ValidationError

from carbonshift.common.errors import InputError
from carbonshift.common.events import CarbonBasis, PriceMarket
from carbonshift.ingest.carbon_forecast import CarbonForecast
from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.interval import EPOCH, begin_of
from carbonshift.ingest.points import Instant, Number, in_order, understood
from carbonshift.ingest.reading import Reading, Signal
from carbonshift.ingest.settings import IngestSettings
from carbonshift.ingest.web import Web, WebPool

__all__ = ["Login", "WattTime", "parse_forecast", "parse_historical", "up_to_now"]

logger = logging.getLogger("carbonshift.ingest")

UNITS = "lbs_co2_per_mwh"
G_PER_KWH_IN_ONE_LB_PER_MWH = 453.59237 / 1_000  # the pound is exact by definition, NIST SP 811 B.8
STEP_SECONDS = 300
STEP = timedelta(seconds=STEP_SECONDS)
INSTANT: TypeAdapter[datetime] = TypeAdapter(Instant)
LONGEST_SPAN = timedelta(days=32)
"""Of one request for /v3/historical, whose `end` is itself part of the answer."""
TOKEN_SECONDS = 25 * 60.0
"""A token is good for 30 minutes."""
REMEDY = "ask for a region that the account may see (CARBONSHIFT_WATTTIME_REGION); CAISO_NORTH is open to every user"


class _Point(BaseModel):
    point_time: Instant
    value: Number | None
    imputed_data_used: StrictBool | None = None


Points = Annotated[list[_Point], FailFast()]


class _Run(BaseModel):
    generated_at: Instant
    forecast: Points


class _Meta(BaseModel):
    """What the figures are: anything may stand here, `_declared` says what is accepted."""

    region: Any = None
    signal_type: Any = None
    units: Any = None
    data_point_period_seconds: Any = None
    warnings: Any = None
    generated_at: Any = None


class _Historical(BaseModel):
    data: Points
    meta: _Meta = _Meta()

    def readings(self) -> list[Reading]:
        return in_order("watttime", (_reading(p, estimated=bool(p.imputed_data_used)) for p in self.data), STEP_SECONDS)


class _Forecast(BaseModel):
    data: Annotated[list[_Point | _Run], FailFast()]
    meta: _Meta = _Meta()

    def newest(self) -> _Run | None:
        runs = (entry for entry in self.data if isinstance(entry, _Run))
        return max(runs, key=lambda run: run.generated_at, default=None)

    def generated_at(self) -> datetime | None:
        newest = self.newest()
        return newest.generated_at if newest else _instant(self.meta.generated_at)

    def readings(self) -> list[Reading]:
        newest = self.newest()
        points = newest.forecast if newest else [entry for entry in self.data if isinstance(entry, _Point)]
        return in_order("watttime", (_reading(p, estimated=True) for p in points), STEP_SECONDS)


class _Token(BaseModel):
    token: Annotated[SecretStr, Field(max_length=16_384)]


A = TypeVar("A", _Historical, _Forecast)
T = TypeVar("T")
Warn = Callable[[object], None]
"""Is given what the answer warns of, whatever that is."""


class WattTime:
    """Marginal carbon of a WattTime region such as CAISO_NORTH."""

    name: ClassVar[str] = "watttime"
    signals: ClassVar[frozenset[Signal]] = frozenset({Signal.CARBON})
    interval_seconds = STEP_SECONDS
    carbon_basis = CarbonBasis.MARGINAL
    price_market = PriceMarket.REAL_TIME
    time_zone = "UTC"

    def __init__(self, settings: IngestSettings, web: WebPool) -> None:
        """Raises: InputError where a credential is missing."""
        username = (settings.watttime_username or "").strip()
        password = settings.watttime_password.get_secret_value().strip() if settings.watttime_password else ""
        for variable, given in (("WATTTIME_USERNAME", username), ("WATTTIME_PASSWORD", password)):
            if not given:
                raise InputError(f"{variable} is not set", "set it to an account of https://docs.watttime.org")
        self._region = settings.watttime_region
        self._clock = web.clock
        self._web = web.at(self.name, settings.watttime_url, REMEDY)
        self._ahead = web.at("watttime forecast", settings.watttime_url, REMEDY)  # fails and is left alone by itself
        self._asking: asyncio.Task[CarbonForecast | None] | None = None
        self._asked_at = EPOCH
        self._poll = timedelta(seconds=settings.poll_seconds)
        self._login = Login(f"{settings.watttime_url.rstrip('/')}/login", username, password)
        self._said: set[str] = set()

    async def fetch(self, signal: Signal, region: str, start: datetime, end: datetime) -> list[Reading]:
        """MOER of the span in g/kWh, whatever the caller calls the region; the end of it may be a forecast.

        `historical` lags some minutes: what it lacks up to the interval that runs now is the provider's forecast for
        it, marked as estimated. An account without access to the forecast goes without.
        """
        del region
        if signal is not Signal.CARBON:
            return []
        readings: list[Reading] = []
        begin = start
        while begin < end:
            until = min(begin + LONGEST_SPAN, end)
            span = {"start": begin.isoformat(), "end": max(begin, until - STEP).isoformat()}
            found = await self._ask(self._web, "/v3/historical", partial(parse_historical, warn=self._warn), span)
            readings += [r for r in found if begin <= r.interval_start < until]
            begin = until
        now = self._clock()
        newest = readings[-1].interval_start if readings else None
        if start <= begin_of(now, STEP_SECONDS) < end and newest != begin_of(now, STEP_SECONDS):
            return up_to_now(readings, await self._forecast_or_nothing(now), start, end, now)
        return readings

    async def forecast(self, region: str, now: datetime) -> CarbonForecast | None:
        """The newest forecast of the MOER in g/kWh, 24 hours of it, whatever the caller calls the region.

        None where it is refused, as to an account without access. `fetch` fills with the same answer: it serves both
        while it is asked for, for one poll, and as long as none can be newer.
        """
        del region
        return await self._newest(now)

    async def _newest(self, now: datetime) -> CarbonForecast | None:
        if self._asking is None or not self._serves(self._asking, now):
            self._asking, self._asked_at = asyncio.create_task(self._ask_ahead(now)), now
            self._asking.add_done_callback(lambda task: task.cancelled() or task.exception())  # perhaps nobody waits
        return await asyncio.shield(self._asking)  # whoever takes too long leaves the others their answer

    def _serves(self, asking: "asyncio.Task[CarbonForecast | None]", now: datetime) -> bool:
        if not asking.done():
            return True
        if asking.cancelled() or asking.exception():
            return False
        found = asking.result()
        newest = found is not None and begin_of(found.published_at, STEP_SECONDS) == begin_of(now, STEP_SECONDS)
        return newest or abs(now - self._asked_at) < self._poll

    async def _ask_ahead(self, now: datetime) -> CarbonForecast | None:
        try:
            parse = partial(parse_forecast, asked_at=now, warn=self._warn)
            return await self._ask(self._ahead, "/v3/forecast", parse, {})
        except SourceRefusedError as error:
            self._say_once("forecast", logging.INFO, f"watttime goes on without the forecast: {error}")
            return None

    async def _forecast_or_nothing(self, now: datetime) -> list[Reading]:
        try:
            ahead = await self._newest(now)
        except SourceUnavailableError as error:
            logger.debug("watttime goes on without the forecast: %s", error)
            return []
        return ahead.readings if ahead else []

    async def _ask(self, web: Web, path: str, parse: Callable[[bytes, str], T], span: dict[str, str]) -> T:
        params = {"region": self._region, "signal_type": "co2_moer", **span}
        return await web.ask(path, lambda body: parse(body, self._region), params=params, auth=self._login)

    def _warn(self, warnings: object) -> None:
        for warning in warnings if isinstance(warnings, list) else []:
            text = f"watttime warns: {repr(warning)[:300]}"
            self._say_once(text, logging.WARNING, text)

    def _say_once(self, about: str, level: int, text: str) -> None:
        if about not in self._said:
            self._said.add(about)
            logger.log(level, "%s", text)


class Login(httpx.Auth):
    """Gives every request a token, and gets one where there is none, it is old, or the server no longer takes it."""

    def __init__(self, url: str, username: str, password: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._basic = httpx.BasicAuth(username, password)
        self._clock = clock
        self._lock = asyncio.Lock()
        self._token: str | None = None
        self._renew_at = 0.0

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """The request with a token, after a login where one is due; a second time where the answer is 401.

        A login that fails for a passing reason is itself the answer. Raises: SourceRefusedError for a wrong password.
        """
        refused: str | None = None
        for _ in range(2):
            async with self._lock:  # of requests that come together one logs in, and the others take its token
                if self._token in {None, refused} or self._clock() >= self._renew_at:
                    response = yield self._login_request(request)
                    if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
                        raise SourceRefusedError(
                            f"watttime refused the login: {response.status_code} {response.reason_phrase}",
                            "check WATTTIME_USERNAME and WATTTIME_PASSWORD",
                        )
                    if response.status_code != httpx.codes.OK:
                        return
                    self._token = _token(await response.aread())
                    self._renew_at = self._clock() + TOKEN_SECONDS
                token = self._token
            request.headers["Authorization"] = f"Bearer {token}"
            response = yield request
            if response.status_code != httpx.codes.UNAUTHORIZED:
                return
            refused = token

    def _login_request(self, request: httpx.Request) -> httpx.Request:
        headers = {"User-Agent": request.headers["User-Agent"]}
        login = httpx.Request("GET", self._url, headers=headers, extensions=request.extensions)  # the same timeouts
        return next(self._basic.auth_flow(login))


def parse_historical(body: bytes, region: str, warn: Warn = lambda _: None) -> list[Reading]:
    """MOER of `region` in g/kWh, oldest first; a null is None, what the provider imputed is estimated. Pure.

    A negative rate passes: what is plausible is judged in one place, for every source.

    Raises: SourceRefusedError where the answer declares no unit or another, or is about something else;
        SourceUnavailableError where it cannot be read, or contradicts itself.
    Source: https://docs.watttime.org, GET /v3/historical.
    """
    answer = _declared(_Historical, body, region)
    readings = answer.readings()
    warn(answer.meta.warnings)
    return readings


def parse_forecast(body: bytes, region: str, asked_at: datetime, warn: Warn = lambda _: None) -> CarbonForecast:
    """As `parse_historical`, of the newest forecast in the answer; all of it is estimated. Pure.

    Points stand in `data` itself, or in the `forecast` of runs, each with its `generated_at`. It is of when it was
    generated, and of `asked_at` where the answer does not say.
    """
    answer = _declared(_Forecast, body, region)
    forecast = CarbonForecast(answer.generated_at() or asked_at, answer.readings())
    warn(answer.meta.warnings)
    return forecast


def up_to_now(
    readings: list[Reading], forecast: list[Reading], start: datetime, end: datetime, now: datetime
) -> list[Reading]:
    """The readings, and from the forecast what follows them in [start, end) up to the interval of `now`. Pure."""
    after = readings[-1].interval_start if readings else start - STEP
    ahead = [r for r in forecast if after < r.interval_start <= begin_of(now, STEP_SECONDS)]
    return readings + [r for r in ahead if start <= r.interval_start < end]


def _declared(model: type[A], body: bytes, region: str) -> A:
    answer = understood("watttime", model, body)
    meta = answer.meta
    for what, said, asked in (
        ("units", meta.units, UNITS),
        ("region", meta.region, region),
        ("signal_type", meta.signal_type, "co2_moer"),
        ("data_point_period_seconds", meta.data_point_period_seconds, STEP_SECONDS),
    ):
        if said != asked:
            answered = "declares no" if said is None else f"answered {repr(said)[:60]} as"
            raise SourceRefusedError(f"watttime {answered} {what}", f"expected {asked}; report this")
    return answer


def _reading(point: _Point, *, estimated: bool) -> Reading:
    value = None if point.value is None else point.value * G_PER_KWH_IN_ONE_LB_PER_MWH
    return Reading(point.point_time, value, estimated)


def _instant(value: Any) -> datetime | None:
    try:
        return INSTANT.validate_python(value)
    except ValidationError:
        return None


def _token(body: bytes) -> str:
    try:
        token = _Token.model_validate_json(body).token.get_secret_value()
    except ValidationError:
        token = ""
    if not (token.isascii() and token.isprintable() and token.strip()):  # what cannot be a header is quoted by none
        raise SourceUnavailableError("watttime answered the login without a token", "it is asked again")
    return token
