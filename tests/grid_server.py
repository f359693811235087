"""CAISO OASIS, CAISO Today's Outlook, WattTime and Electricity Maps on loopback, out of one truth, with their faults.

The shapes are those of the real answers, the values are not: they come from `Truth`, which a test can ask as well.
"""

import asyncio
import base64
import csv
import hashlib
import io
import json
import math
import random
import secrets
import socket
import threading
import time as clock
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from types import MappingProxyType
from typing import Self
from zoneinfo import ZoneInfo

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["APIS", "FAULTS", "Asked", "GridServer", "Truth", "local_midnight"]

PACIFIC = ZoneInfo("America/Los_Angeles")
STEP = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
POUNDS_PER_MWH = 0.45359237
"""g/kWh in one lb/MWh."""
OUTLOOK_MW = 20_000
"""What feeds in sums up to in fuelsource.csv, so that whole tonnes stand for steps of 0.05 g/kWh."""
LIFECYCLE_ABOVE_DIRECT = 37
"""g/kWh by which Electricity Maps' lifecycle intensity lies above its direct one."""
LOOPBACK = "127.0.0.1"
TOKEN_ENDS_AFTER_SECONDS = 1_800.0
NOT_MODIFIED = 304
OK = 200

APIS = frozenset({"oasis", "outlook", "watttime", "login", "electricitymaps"})
CARBON_APIS = frozenset({"outlook", "watttime", "electricitymaps"})
DATA_APIS = APIS - {"login"}
FAULTS: Mapping[str, frozenset[str]] = MappingProxyType(
    dict.fromkeys(
        ("500", "502", "503", "429", "429-retry-after", "closed", "cut", "slow", "empty", "html"),
        APIS,
    )
    | dict.fromkeys(("nulls", "missing-rows", "reordered", "duplicates"), DATA_APIS)
    | dict.fromkeys(
        ("empty-zip", "truncated-zip", "error-1000", "error-1003", "error-1015", "invalid-request"),
        frozenset({"oasis"}),
    )
    | {"forbidden": frozenset({"login", "watttime"})}
    | dict.fromkeys(("expired-token", "percentile", "imputed", "warnings"), frozenset({"watttime"}))
    | {"estimated": frozenset({"electricitymaps"})}
)
"""Every fault by name, and the APIs that can have it."""

ERRORS = MappingProxyType(
    {
        "1000": "No data returned for the specified selection",
        "1002": "Invalid datetime format, please use valid datetime format",
        "1003": "Timed out waiting for query response",
        "1004": "Data can be requested for period of 31 days only",
        "1005": "Report name does not exist, please use valid report name",
        "1011": "Empty Query; Please Enter Report Name, Startdate, EndDate and Other Parameters",
        "1015": "GroupZip DownLoad is in Processing, Please Submit request after Sometime",
        "1020": "Version parameter is missing or is invalid",
    }
)
"""What OASIS says, by code."""

LMP_TYPES = (
    ("LMP", "LMP_PRC"),
    ("MCC", "LMP_CONG_PRC"),
    ("MCE", "LMP_ENE_PRC"),
    ("MCL", "LMP_LOSS_PRC"),
    ("MGHG", "LMP_GHG_PRC"),
)
DAM_COLUMNS = [
    "INTERVALSTARTTIME_GMT",
    "INTERVALENDTIME_GMT",
    "OPR_DT",
    "OPR_HR",
    "OPR_INTERVAL",
    "NODE_ID_XML",
    "NODE_ID",
    "NODE",
    "MARKET_RUN_ID",
    "LMP_TYPE",
    "XML_DATA_ITEM",
    "PNODE_RESMRID",
    "GRP_TYPE",
    "POS",
    "MW",
    "GROUP",
]
RTM_COLUMNS = [
    "INTERVALSTARTTIME_GMT",
    "INTERVALENDTIME_GMT",
    "OPR_DT",
    "OPR_HR",
    "NODE_ID_XML",
    "NODE_ID",
    "NODE",
    "MARKET_RUN_ID",
    "LMP_TYPE",
    "XML_DATA_ITEM",
    "PNODE_RESMRID",
    "GRP_TYPE",
    "POS",
    "VALUE",
    "OPR_INTERVAL",
    "GROUP",
]
REPORTS = MappingProxyType({"PRC_INTVL_LMP": ("RTM", STEP), "PRC_LMP": ("DAM", HOUR)})
CO2_COLUMNS = ["Time", "Biogas CO2", "Biomass CO2", "Natural Gas CO2", "Coal CO2", "Imports CO2", "Geothermal CO2"]
FUEL_COLUMNS = [
    "Time",
    "Solar",
    "Wind",
    "Geothermal",
    "Biomass",
    "Biogas",
    "Small hydro",
    "Coal",
    "Nuclear",
    "Natural Gas",
    "Large Hydro",
    "Batteries",
    "Imports",
    "Other",
]

Point = tuple[datetime, float | None]


def noise(name: str, moment: datetime) -> float:
    """A number in [0, 1) that is always the same for one signal and moment, and another one for every other."""
    digest = hashlib.blake2b(f"{name} {int(moment.timestamp())}".encode(), digest_size=7).digest()
    return int.from_bytes(digest) / 2**56


def _bump(hour: float, at: float, width: float) -> float:
    return math.exp(-(((hour - at) / width) ** 2))


def _hour_and_day(moment: datetime) -> tuple[float, float]:
    seconds = moment.timestamp() - 8 * 3_600  # Pacific standard time, all year
    return seconds % 86_400 / 3_600, seconds / 86_400


def _usd_per_mwh(name: str, moment: datetime) -> float:
    hour, day = _hour_and_day(moment)
    shape = 42 - 40 * _bump(hour, 13, 3) + 48 * _bump(hour, 19.5, 1.8) + 10 * _bump(hour, 7.5, 1.5)
    return round(shape + 6 * math.sin(0.9 * day) + 8 * noise(name, moment) - 4, 5)


def usual_price(moment: datetime) -> float | None:
    """USD/MWh, real time: cheap or negative at noon, dear in the evening."""
    return _usd_per_mwh("price", moment)


def usual_day_ahead(moment: datetime) -> float | None:
    """USD/MWh of the hour, day-ahead."""
    return _usd_per_mwh("day-ahead", moment)


def usual_carbon(moment: datetime) -> float | None:
    """g/kWh in steps of 0.05, which whole tonnes and megawatts can tell; no two neighbours alike."""
    hour, day = _hour_and_day(moment)
    shape = 260 - 150 * _bump(hour, 13, 3.5) + 60 * _bump(hour, 20, 2.5) + 15 * math.sin(1.3 * day)
    third = int(moment.timestamp()) // 300 % 3
    return round((3 * round((shape + 8 * noise("carbon", moment)) / 0.15) + third) * 0.05, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What the grid did, by the start of an interval in UTC; None = nobody knows. `dict.get` will do for each."""

    price_usd_per_mwh: Callable[[datetime], float | None] = usual_price
    day_ahead_usd_per_mwh: Callable[[datetime], float | None] = usual_day_ahead
    carbon_g_per_kwh: Callable[[datetime], float | None] = usual_carbon

    def hourly_carbon_g_per_kwh(self, hour: datetime) -> int | None:
        """What Electricity Maps says of an hour: the mean of its intervals, whole grams; None with one unknown."""
        values = [self.carbon_g_per_kwh(hour + n * STEP) for n in range(12)]
        known = [value for value in values if value is not None]
        return round(sum(known) / 12) if len(known) == len(values) else None


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as the server saw it; without headers, hence without credentials."""

    at: float
    """time.monotonic()."""
    api: str
    path: str
    query: dict[str, str]
    fault: str | None
    """The fault that was played on it."""


@dataclass(slots=True)
class _Answer:
    body: bytes
    status: int = OK
    headers: dict[str, str] = field(default_factory=dict)


class _Refusal(Exception):  # noqa: N818 - an answer, not a failure
    """An answer in the place of data."""

    def __init__(self, answer: _Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


class _Server(uvicorn.Server):
    """Uvicorn that ends when it is told to, and not at its next look around."""

    async def main_loop(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.told = asyncio.Event()
        self.ready.set()
        await self.told.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in (*self.servers, *(sockets or [])):
            listener.close()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=2)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)


class GridServer:
    """The four providers on a port of loopback, between `__enter__` and `__exit__`.

    All public attributes may be set while it runs.
    """

    faults = FAULTS

    def __init__(self, truth: Truth | None = None, seed: int = 0) -> None:
        self.truth = truth or Truth()
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        """What the providers take for now; nothing later is served."""
        self.delay_seconds = {"price": 60.0, "carbon": 120.0}
        """A price is published so long after its interval began, carbon so long after it ended."""
        self.fault_rate = 0.0
        """The share of requests on which a random fault is played."""
        self.random_faults = frozenset(FAULTS)
        """Which ones."""
        self.slow_seconds = 1.0
        self.retry_after_seconds = 1
        self.oasis_seconds_between_requests = 0.0
        """OASIS answers 429 to whoever asks faster; 0 = to nobody. In real life 5."""
        self.token_seconds = TOKEN_ENDS_AFTER_SECONDS
        """How long a WattTime token is good for, in wall time."""
        self.nodes = {"TH_NP15_GEN-APND"}
        self.region = "CAISO_NORTH"
        self.zone = "US-CAL-CISO"
        self.requests: list[Asked] = []
        self.failures: list[BaseException] = []
        """What went wrong in this server itself; a test that finds one here has found nothing else."""
        self._username, self._password, self._key = (secrets.token_hex(8) for _ in range(3))
        self._tokens: dict[str, float] = {}
        self._random = random.Random(seed)
        self._queue: list[tuple[str, frozenset[str]]] = []
        self._lie: Callable[[str, datetime, float | None], float | None] | None = None
        self._oasis_asked_at = -math.inf
        self._transports: dict[object, object] = {}
        self._lock = threading.Lock()
        self._listener = socket.create_server((LOOPBACK, 0))
        self._listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits 40 ms
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}"
        self._server = _Server(
            uvicorn.Config(
                self._app,
                http=self._protocol(),
                interface="asgi3",
                ws="none",
                proxy_headers=False,
                lifespan="off",
                log_config=None,
                access_log=False,
            )
        )
        self._server.ready = threading.Event()
        self._thread = threading.Thread(target=self._server.run, args=([self._listener],), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server.ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.loop.call_soon_threadsafe(self._server.told.set)
        self._thread.join(10)

    @property
    def now(self) -> datetime:
        """The moment up to which things are published; setting it stops the clock there."""
        return self.clock()

    @now.setter
    def now(self, moment: datetime) -> None:
        self.clock = lambda: moment

    def play(self, *faults: str, api: str | None = None) -> None:
        """Play each of `faults` once, in order: on the next request of `api`, or of any API that can have it."""
        for fault in faults:
            apis = FAULTS[fault] if api is None else FAULTS[fault] & {api}
            if not apis:
                raise ValueError(f"{api} has no fault {fault!r}")
            with self._lock:
                self._queue.append((fault, apis))

    def lie(self, told: Callable[[str, datetime, float | None], float | None] | None) -> None:
        """Serve `told(signal, interval_start, value)` in the place of the truth; None = the truth again.

        The signal is price, day_ahead or carbon.
        """
        self._lie = told

    def asked(self, api: str) -> list[Asked]:
        """The requests of one API so far."""
        return [asked for asked in self.requests if asked.api == api]

    def settings(self) -> dict[str, str]:
        """The environment in which ingest asks this server."""
        return {
            "CARBONSHIFT_CAISO_URL": f"{self.url}/oasisapi",
            "CARBONSHIFT_CAISO_SECONDS_BETWEEN_REQUESTS": str(self.oasis_seconds_between_requests),
            "CARBONSHIFT_CAISO_OUTLOOK_URL": f"{self.url}/outlook",
            "CARBONSHIFT_WATTTIME_URL": f"{self.url}/watttime",
            "WATTTIME_USERNAME": self._username,
            "WATTTIME_PASSWORD": self._password,
            "CARBONSHIFT_ELECTRICITYMAPS_URL": f"{self.url}/electricitymaps",
            "ELECTRICITYMAPS_API_KEY": self._key,
        }

    def published(self, signal: str, moment: datetime) -> bool:
        """Whether the value of the interval that starts at `moment` can be had by now."""
        if signal == "day_ahead":
            day_before = moment.astimezone(PACIFIC).date() - DAY
            return self.now >= datetime.combine(day_before, time(13), PACIFIC)
        after_end = timedelta(0) if signal == "price" else STEP
        return self.now >= moment + after_end + timedelta(seconds=self.delay_seconds[signal])

    def _value(self, signal: str, moment: datetime) -> float | None:
        ask = {
            "price": self.truth.price_usd_per_mwh,
            "day_ahead": self.truth.day_ahead_usd_per_mwh,
            "carbon": self.truth.carbon_g_per_kwh,
        }[signal]
        value = ask(moment)
        return self._lie(signal, moment, value) if self._lie else value

    def _points(self, signal: str, moments: Iterable[datetime]) -> list[Point]:
        return [(moment, self._value(signal, moment)) for moment in moments if self.published(signal, moment)]

    def _protocol(self) -> type[H11Protocol]:
        """Uvicorn's own, which also lets a fault get at the connection."""
        transports = self._transports

        class Protocol(H11Protocol):
            def connection_made(self, transport):
                super().connection_made(transport)
                transports[self.client] = transport

            def connection_lost(self, exc):
                transports.pop(self.client, None)
                super().connection_lost(exc)

        return Protocol

    async def _app(self, scope, receive, send) -> None:
        request = Request(scope, receive)
        api, answer = self._route(request.url.path)
        fault = self._next_fault(api)
        query = dict(request.query_params)
        self.requests.append(Asked(clock.monotonic(), api, request.url.path, query, fault))
        try:
            given = _FAULTY_ANSWERS[fault](self) if fault in _FAULTY_ANSWERS else answer(request, query, fault)
        except _Refusal as refusal:
            given = refusal.answer
        except Exception as error:
            self.failures.append(error)
            raise
        if fault == "slow":
            await self._dawdle()
        if fault in {"closed", "cut"}:
            transport = self._transports[scope["client"]]
            if fault == "cut":
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(given.body)}\r\n\r\n"
                transport.write(head.encode() + given.body[: len(given.body) // 2])
            transport.close()
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        await Response(given.body, given.status, given.headers)(scope, receive, send)

    async def _dawdle(self) -> None:
        ends = clock.monotonic() + self.slow_seconds
        while clock.monotonic() < ends and not self._server.should_exit:
            await asyncio.sleep(0.02)

    def _next_fault(self, api: str) -> str | None:
        with self._lock:
            for place, (fault, apis) in enumerate(self._queue):
                if api in apis:
                    del self._queue[place]
                    return fault
            if self._random.random() >= self.fault_rate:
                return None
            can_have = sorted(fault for fault in self.random_faults if api in FAULTS[fault])
            return self._random.choice(can_have) if can_have else None

    def _route(self, path: str) -> tuple[str, Callable[[Request, dict[str, str], str | None], _Answer]]:
        carbon_intensity = "/electricitymaps/v3/carbon-intensity/"
        exact = {
            "/oasisapi/SingleZip": ("oasis", self._oasis),
            "/watttime/login": ("login", self._login),
            "/watttime/v3/historical": ("watttime", self._historical),
            "/watttime/v3/forecast": ("watttime", self._forecast),
            "/watttime/v3/signal-index": ("watttime", self._signal_index),
            f"{carbon_intensity}latest": ("electricitymaps", self._latest),
            f"{carbon_intensity}history": ("electricitymaps", self._history),
            f"{carbon_intensity}past-range": ("electricitymaps", self._past_range),
            "/electricitymaps/v3/power-breakdown/history": ("electricitymaps", self._breakdown),
        }
        if path.startswith("/outlook/"):
            return "outlook", self._outlook
        return exact.get(path, ("nothing", _not_found))

    # CAISO OASIS

    def _oasis(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        del request
        since, self._oasis_asked_at = clock.monotonic() - self._oasis_asked_at, clock.monotonic()
        if since < 0.95 * self.oasis_seconds_between_requests:  # what goes out in time may come in a little early
            return _Answer(b"", 429)
        if (refused := _refused_by_oasis(query)) is not None:
            return _oasis_error(refused, "INVALID_REQUEST")
        run, step = REPORTS[query["queryname"]]
        start, end = (datetime.strptime(query[name], "%Y%m%dT%H:%M%z") for name in ("startdatetime", "enddatetime"))
        days = (start.astimezone(PACIFIC), (end - timedelta(minutes=1)).astimezone(PACIFIC))
        stamp = f"{self.now.astimezone(PACIFIC):%Y%m%d_%H_%M_%S}"
        name = f"{days[0]:%Y%m%d}_{days[1]:%Y%m%d}_{query['queryname']}_{run}_{stamp}_v{query['version']}"
        signal = "price" if run == "RTM" else "day_ahead"
        points = self._points(signal, _moments(start, end, step))
        kept = [(moment, value) for moment, value in points if value is not None]
        if not kept or query["node"] not in self.nodes:
            return _oasis_error("1000", name)
        rows = [row for point in kept for row in _lmp_rows(point, query["node"], run)]
        self._random.shuffle(rows)
        column = (RTM_COLUMNS if run == "RTM" else DAM_COLUMNS).index("VALUE" if run == "RTM" else "MW")
        rows = self._spoil(rows, fault, lambda row: [*row[:column], "", *row[column + 1 :]])
        answer = _zipped(name, "csv", _csv([RTM_COLUMNS if run == "RTM" else DAM_COLUMNS, *rows]))
        if fault == "truncated-zip":
            answer.body = answer.body[: len(answer.body) // 2]
        return answer

    def _spoil(self, rows: list, fault: str | None, blanked: Callable) -> list:
        """The rows as the fault leaves them: some blank, some gone, out of order, or some twice."""
        few = max(1, len(rows) // 10)
        picked = set(self._random.sample(range(len(rows)), few)) if rows else set()
        if fault == "nulls":
            return [blanked(row) if n in picked else row for n, row in enumerate(rows)]
        if fault == "missing-rows":
            return [row for n, row in enumerate(rows) if n not in picked]
        if fault == "reordered":
            return self._random.sample(rows, len(rows))
        if fault == "duplicates":
            return [copy for n, row in enumerate(rows) for copy in ([row, row] if n in picked else [row])]
        return rows

    # CAISO Today's Outlook

    def _outlook(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        del query
        parts = request.url.path.split("/")[2:]
        today = self.now.astimezone(PACIFIC).date()
        match parts:
            case ["current", name]:
                day = today
            case ["history", text, name] if len(text) == 8 and text.isdigit():
                day = datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()
                if day >= today:
                    return _not_found(request, {}, fault)
            case _:
                return _not_found(request, {}, fault)
        tables = {"co2.csv": (CO2_COLUMNS, _co2_cells), "fuelsource.csv": (FUEL_COLUMNS, _fuel_cells)}
        if name not in tables:
            return _not_found(request, {}, fault)
        columns, cells = tables[name]
        blank = [""] * (len(columns) - 1)
        points = list(self._outlook_day(day))
        rows = [
            [f"{n // 12:02}:{n % 12 * 5:02}", *(blank if value is None else cells(moment, value))]
            for n, (moment, value) in enumerate(points)
        ]
        if name == "co2.csv":
            rows.append(["00:00", *blank])  # of the next day; some of the real files have this row, some have not
        rows = self._spoil(rows, fault, lambda row: [row[0], *blank])
        body = _csv([columns, *rows])
        last = max(
            (moment for moment, value in points if value is not None),
            default=datetime.combine(day, time(), PACIFIC),
        )
        modified = format_datetime((last + STEP).astimezone(UTC), usegmt=True)
        marks = {"ETag": f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}:0"', "Last-Modified": modified}
        if _unchanged(request, marks):
            return _Answer(b"", NOT_MODIFIED, marks)
        return _Answer(body, OK, {"Content-Type": "application/octet-stream"} | marks)

    def _outlook_day(self, day: date) -> Iterator[Point]:
        """The 288 rows by the clock on the wall: an hour left out is blank, a repeated one stands once."""
        for minutes in range(0, 24 * 60, 5):
            wall = datetime.combine(day, time(minutes // 60, minutes % 60), PACIFIC)
            moment = wall.astimezone(UTC)
            exists = moment.astimezone(PACIFIC).replace(tzinfo=None) == wall.replace(tzinfo=None)
            yield moment, self._value("carbon", moment) if exists and self.published("carbon", moment) else None

    # WattTime

    def _login(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        del query, fault
        expected = base64.b64encode(f"{self._username}:{self._password}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return _forbidden(self)
        token = secrets.token_hex(16)
        self._tokens[token] = clock.monotonic() + self.token_seconds
        return _json({"token": token})

    def _watttime_query(self, request: Request, query: dict[str, str], fault: str | None) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if fault == "expired-token":
            self._tokens.pop(token, None)
        if scheme.lower() != "bearer" or self._tokens.get(token, -math.inf) < clock.monotonic():
            raise _Refusal(_json({"error": "INVALID_TOKEN", "msg": "Token has expired or is invalid"}, 401))
        if query.get("signal_type", "co2_moer") != "co2_moer":
            raise _Refusal(_bad_watttime_query("signal_type"))
        if query.get("region") != self.region:
            message = "Invalid scope. You do not have sufficient access to this resource."
            raise _Refusal(_json({"error": "Invalid query parameters", "message": message}, 403))

    def _historical(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        self._watttime_query(request, query, fault)
        start, end = _iso_moment(query.get("start")), _iso_moment(query.get("end"))
        if start is None or end is None or start > end or end - start > 32 * DAY:
            return _bad_watttime_query("start, end")
        points = self._points("carbon", _moments(start, end + timedelta(microseconds=1), STEP))  # `end` is inclusive
        rows = [
            {
                "point_time": moment.isoformat(),
                "value": round(value / POUNDS_PER_MWH, 6),
                "last_updated": (moment + STEP).isoformat(),
                "imputed_data_used": fault == "imputed",
            }
            for moment, value in points
            if value is not None
        ]
        rows = self._spoil(rows, fault, lambda row: row | {"value": None})
        meta = self._meta(fault, model={"type": "binned_regression", "date": "2023-03-01"})
        return _json({"data": rows, "meta": meta})

    def _forecast(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        """The truth of the hours to come, as far as `horizon_hours`."""
        self._watttime_query(request, query, fault)
        first = _floor(self.now, STEP)
        rows = [
            {"point_time": moment.isoformat(), "value": round(value / POUNDS_PER_MWH, 6)}
            for moment in _moments(first, first + int(query.get("horizon_hours", "24")) * HOUR, STEP)
            if (value := self._value("carbon", moment)) is not None
        ]
        rows = self._spoil(rows, fault, lambda row: row | {"value": None})
        meta = self._meta(fault, generated_at_period_seconds=300, generated_at=first.isoformat())
        return _json({"data": rows, "meta": meta})

    def _signal_index(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        self._watttime_query(request, query, fault)
        moment = _floor(self.now, STEP)
        rows = [{"point_time": moment.isoformat(), "value": round(100 * noise("percentile", moment), 1)}]
        return _json({"data": rows, "meta": self._meta(fault) | {"units": "percentile"}})

    def _meta(self, fault: str | None, **more: object) -> dict[str, object]:
        warning = {"type": "EXAMPLE_WARNING", "message": "This is just an example"}
        return {
            "data_point_period_seconds": 300,
            "region": self.region,
            "warnings": [warning] if fault == "warnings" else [],
            "signal_type": "co2_moer",
            "model": {"date": "2023-03-01"},
            "units": "percentile" if fault == "percentile" else "lbs_co2_per_mwh",
        } | more

    # Electricity Maps

    def _latest(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        step = self._electricitymaps_query(request, query)
        rows = self._intensities([_floor(self.now, step)], step, query, fault)
        return _json(rows[0] if rows else {"zone": self.zone})

    def _history(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        step = self._electricitymaps_query(request, query)
        last = _floor(self.now, step)
        moments = _moments(last - 24 * HOUR + step, last + step, step)
        return _json({"zone": self.zone, "history": self._intensities(moments, step, query, fault)})

    def _past_range(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        step = self._electricitymaps_query(request, query)
        start, end = _iso_moment(query.get("start")), _iso_moment(query.get("end"))
        if start is None or end is None or start > end or end - start > 10 * DAY:
            return _json({"error": "Invalid range: at most 10 days of hours"}, 400)
        return _json({"zone": self.zone, "data": self._intensities(_moments(start, end, step), step, query, fault)})

    def _breakdown(self, request: Request, query: dict[str, str], fault: str | None) -> _Answer:
        step = self._electricitymaps_query(request, query)
        last = _floor(self.now, step)
        told = self._intensities(_moments(last - 24 * HOUR + step, last + step, step), step, query, fault)
        return _json({"zone": self.zone, "history": [_broken_down(row) for row in told]})

    def _electricitymaps_query(self, request: Request, query: dict[str, str]) -> timedelta:
        if request.headers.get("auth-token") != self._key:
            raise _Refusal(_json({"error": "Invalid auth-token"}, 401))
        if query.get("zone") != self.zone:
            raise _Refusal(_json({"error": f"Zone '{query.get('zone')}' does not exist."}, 404))
        if query.get("emissionFactorType", "lifecycle") not in {"lifecycle", "direct"}:
            raise _Refusal(_json({"error": "Invalid emissionFactorType"}, 400))
        steps = {"hourly": HOUR, "5_minutes": STEP}
        if query.get("temporalGranularity", "hourly") not in steps:
            raise _Refusal(_json({"error": "Invalid temporalGranularity"}, 400))
        return steps[query.get("temporalGranularity", "hourly")]

    def _intensities(
        self, moments: Iterable[datetime], step: timedelta, query: dict[str, str], fault: str | None
    ) -> list[dict[str, object]]:
        """One entry for each moment that has begun; what is not yet over is an estimate."""
        kind = query.get("emissionFactorType", "lifecycle")
        rows = []
        for moment in moments:
            if moment > self.now:
                break
            measured = self.published("carbon", moment + step - STEP)
            estimated = fault == "estimated" or not measured
            values = [self._value("carbon", moment + n * STEP) for n in range(step // STEP)]
            known = [value for value in values if value is not None]
            grams = round(sum(known) / len(values)) if len(known) == len(values) else None
            if grams is not None and kind == "lifecycle":
                grams += LIFECYCLE_ABOVE_DIRECT
            rows.append(
                {
                    "zone": self.zone,
                    "carbonIntensity": grams,
                    "datetime": _milliseconds(moment),
                    "updatedAt": _milliseconds(min(self.now, moment + step)),
                    "createdAt": _milliseconds(moment - 3 * DAY),
                    "emissionFactorType": kind,
                    "isEstimated": estimated,
                    "estimationMethod": "TIME_SLICER_AVERAGE" if estimated else None,
                }
            )
        return self._spoil(rows, fault, lambda row: row | {"carbonIntensity": None})


def local_midnight(day: date) -> datetime:
    """The moment in UTC at which a day begins in California."""
    return datetime.combine(day, time(), PACIFIC).astimezone(UTC)


def _moments(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    """The starts of intervals in [start, end)."""
    moment = _floor(start, step)
    if moment < start:
        moment += step
    while moment < end:
        yield moment
        moment += step


def _floor(moment: datetime, step: timedelta) -> datetime:
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(moment.timestamp()) // seconds * seconds, UTC)


def _csv(rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _json(content: object, status: int = OK) -> _Answer:
    return _Answer(json.dumps(content).encode(), status, {"Content-Type": "application/json"})


def _html(status: int, title: str) -> _Answer:
    body = (
        f"<html>\n<head><title>{title}</title></head>\n<body>\n<center><h1>{title}</h1></center>\n"
        "<hr><center>nginx</center>\n</body>\n</html>\n"
    )
    return _Answer(body.encode(), status, {"Content-Type": "text/html"})


def _not_found(request: Request, query: dict[str, str], fault: str | None) -> _Answer:
    del request, query, fault
    return _html(404, "404 Not Found")


def _forbidden(server: GridServer) -> _Answer:
    del server
    return _html(403, "403 Forbidden")


def _bad_watttime_query(parameter: str) -> _Answer:
    message = f"You've provided invalid parameters in your query: {parameter}"
    return _json({"error": "INVALID_QUERY_PARAMS", "msg": message, "docs": "https://docs.watttime.org/"}, 400)


def _zipped(name: str, suffix: str, body: bytes) -> _Answer:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{name}.{suffix}", body)
    disposition = f"inline; filename={name}{'' if suffix == 'csv' else '.xml'}.zip;"
    headers = {"Content-Type": "application/x-zip-compressed", "Content-Disposition": disposition}
    return _Answer(packed.getvalue(), OK, headers)


def _oasis_error(code: str, name: str) -> _Answer:
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
<m:OASISReport xmlns:m="http://www.caiso.com/soa/OASISReport_v1.xsd">
<m:MessageHeader>
\t<m:TimeDate>{_milliseconds(datetime.now(UTC))}</m:TimeDate>
\t<m:Source>OASIS</m:Source>
\t<m:Version>v20131201</m:Version>
</m:MessageHeader>
<m:MessagePayload>
<m:RTO>
<m:name>CAISO</m:name>
<m:ERROR>
<m:ERR_CODE>{code}</m:ERR_CODE>
<m:ERR_DESC>{ERRORS[code]}</m:ERR_DESC>
</m:ERROR>

</m:RTO>
</m:MessagePayload>
</m:OASISReport>"""
    return _zipped(name, "xml", body.encode())


def _refused_by_oasis(query: dict[str, str]) -> str | None:
    """The code of what is wrong with a request; None for a good one."""
    code = None
    if query.get("queryname") not in REPORTS:
        code = "1005" if query.get("queryname") else "1011"
    elif not query.get("version", "").isdigit():
        code = "1020"
    elif not query.get("node") or (query.get("resultformat"), query.get("market_run_id")) != (
        "6",
        REPORTS[query["queryname"]][0],
    ):
        code = "1011"
    else:
        try:
            start, end = (datetime.strptime(query[name], "%Y%m%dT%H:%M%z") for name in ("startdatetime", "enddatetime"))
        except (KeyError, ValueError):
            return "1002"
        if not start < end:
            code = "1002"
        elif end - start > 31 * DAY:
            code = "1004"
    return code


def _iso_moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else None


def _milliseconds(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _lmp_rows(point: Point, node: str, run: str) -> Iterator[list[object]]:
    """The five rows of one interval: the price and what it is made of."""
    moment, price = point
    losses, congestion, greenhouse_gas = -1.25, 0.75, 0.0
    energy = price - losses - congestion - greenhouse_gas
    local = moment.astimezone(PACIFIC)
    midnight = local_midnight(local.date())
    hour = (moment - midnight) // HOUR + 1
    start, end = (f"{at:%Y-%m-%dT%H:%M:%S}-00:00" for at in (moment, moment + REPORT_STEPS[run]))
    values = (price, congestion, energy, losses, greenhouse_gas)
    for place, ((kind, item), value) in enumerate(zip(LMP_TYPES, values, strict=True), 1):
        names = [node, node, node, run, kind, item, node]
        if run == "RTM":
            interval = (moment - _floor(moment, HOUR)) // STEP + 1
            head = [start, end, f"{local:%Y-%m-%d}", f"{hour:02}"]
            yield [*head, *names, "ALL_APNODES", 0, f"{value:.5f}", interval, place]
        else:
            head = [start, end, f"{local:%Y-%m-%d}", hour, 0]
            yield [*head, *names, "ALL", 1, f"{round(value, 5):.10g}", place]


REPORT_STEPS = MappingProxyType(dict(REPORTS.values()))


def _split(total: int, shares: Iterable[float]) -> list[int]:
    """Whole numbers that sum up to `total`; the last one takes what the shares leave."""
    parts = [int(total * share) for share in shares]
    return [*parts, total - sum(parts)]


def _co2_cells(moment: datetime, carbon_g_per_kwh: float) -> list[int]:
    """Tonnes per hour by fuel, in the order of CO2_COLUMNS."""
    del moment
    biogas, biomass, imports, geothermal, gas = _split(
        round(carbon_g_per_kwh * OUTLOOK_MW / 1_000), (0.012, 0.016, 0.26, 0.001)
    )
    return [biogas, biomass, gas, 0, imports, geothermal]


def _fuel_cells(moment: datetime, carbon_g_per_kwh: float) -> list[int]:
    """Megawatts by fuel, in the order of FUEL_COLUMNS; those above zero sum up to OUTLOOK_MW, the others are load."""
    del carbon_g_per_kwh
    hour, _ = _hour_and_day(moment)
    sun = _bump(hour, 12.5, 3)
    shares = [
        0.45 * sun,
        *(share * (1 - 0.45 * sun) for share in (0.1, 0.05, 0.015, 0.01, 0.01, 0.0002, 0.12, 0.4, 0.08)),
    ]
    *parts, imports = _split(OUTLOOK_MW, shares)
    if parts[0] < 10:  # at night a plant takes what it needs
        imports += parts[0]
        parts[0] = -37
    return [*parts, -int(4_000 * sun), imports, 0]


def _broken_down(row: Mapping[str, object]) -> dict[str, object]:
    """What Electricity Maps says of the fuels of an hour, beside what it says of its carbon: a made-up mix."""
    known = row["carbonIntensity"] is not None
    fuels = ("biomass", "coal", "gas", "geothermal", "hydro", "nuclear", "oil", "solar", "unknown", "wind")
    megawatts: dict[str, float | None] = {fuel: 1_000 * n if known else None for n, fuel in enumerate(fuels)}
    megawatts |= {"hydro discharge": -500 if known else None, "battery discharge": None}
    shared = ("zone", "datetime", "updatedAt", "createdAt", "isEstimated", "estimationMethod")
    return {key: row[key] for key in shared} | {
        "powerConsumptionBreakdown": megawatts,
        "powerProductionBreakdown": megawatts,
        "powerImportBreakdown": {"US-NW": 700},
        "powerExportBreakdown": {"US-NW": 0},
        "fossilFreePercentage": 50,
        "renewablePercentage": 40,
        "powerConsumptionTotal": 45_200,
        "powerProductionTotal": 44_500,
        "powerImportTotal": 700,
        "powerExportTotal": 0,
    }


def _unchanged(request: Request, marks: dict[str, str]) -> bool:
    """Whether the client has this answer already (RFC 9110, 13.1)."""
    if (etag := request.headers.get("if-none-match")) is not None:
        return etag == marks["ETag"]
    if (since := request.headers.get("if-modified-since")) is not None:
        return parsedate_to_datetime(marks["Last-Modified"]) <= parsedate_to_datetime(since)
    return False


def _empty_zip(server: GridServer) -> _Answer:
    del server
    packed = io.BytesIO()
    zipfile.ZipFile(packed, "w").close()
    return _Answer(packed.getvalue(), OK, {"Content-Type": "application/x-zip-compressed"})


_FAULTY_ANSWERS: dict[str | None, Callable[[GridServer], _Answer]] = {
    "500": lambda _: _html(500, "500 Internal Server Error"),
    "502": lambda _: _html(502, "502 Bad Gateway"),
    "503": lambda _: _html(503, "503 Service Temporarily Unavailable"),
    "429": lambda _: _html(429, "429 Too Many Requests"),
    "429-retry-after": lambda server: _Answer(b"", 429, {"Retry-After": str(server.retry_after_seconds)}),
    "closed": lambda _: _Answer(b""),
    "empty": lambda _: _Answer(b""),
    "html": lambda _: _html(OK, "Maintenance"),
    "forbidden": _forbidden,
    "empty-zip": _empty_zip,
    "invalid-request": lambda _: _oasis_error("1011", "INVALID_REQUEST"),
    "error-1000": lambda _: _oasis_error("1000", "ERROR"),
    "error-1003": lambda _: _oasis_error("1003", "ERROR"),
    "error-1015": lambda _: _oasis_error("1015", "ERROR"),
}
