"""HTTP to the providers: paced, retried under a deadline, behind a circuit breaker, over connections that are kept."""

import asyncio
import logging
import math
import ssl
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

import httpx
from aiolimiter import AsyncLimiter
from purgatory import AsyncCircuitBreakerFactory
from purgatory.domain.model import OpenedState
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_before_delay, wait_random_exponential

from carbonshift.common.errors import InputError
from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError

__all__ = ["Web", "WebPool", "body_checked", "utc_now"]

T = TypeVar("T")
logger = logging.getLogger("carbonshift.ingest")

CONNECT_SECONDS = 5.0
READ_SECONDS = 20.0
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 20.0
FAILURES_THAT_OPEN = 5
OPEN_SECONDS = 60.0
KEPT_SECONDS = 60.0
"""How long an idle connection is kept: longer than from one poll to the next."""
LONGEST_REST_SECONDS = 3_600.0
"""A provider that asks for more is asked again all the same: one mistyped header must not silence it for good."""
LARGEST_BODY_BYTES = 64 << 20
"""A month of one OASIS node is 4 MB unpacked; whatever is larger is no answer to what we ask."""
BODIES_REMEMBERED = 8
LONGEST_QUOTE = 200
SECRET_HEADERS = ("authorization", "auth-token")
SHORTEST_SECRET = 8
"""What is shorter is a scheme such as Bearer, or part of many words."""
BUSY_OR_AWAY = frozenset({408, 425, 429, 500, 502, 503, 504})


def utc_now() -> datetime:
    """The time of the world."""
    return datetime.now(UTC)


class Web:
    """One provider. Every question goes out at its pace; what may pass is asked again until the deadline."""

    def __init__(
        self, name: str, client: httpx.AsyncClient, limiter: AsyncLimiter | None, pool: "WebPool", remedy: str
    ) -> None:
        self.name = name
        self._client = client
        self._limiter = limiter
        self._pool = pool
        self._remedy = remedy
        self._remembered: OrderedDict[str, tuple[dict[str, str], bytes]] = OrderedDict()

    async def ask(
        self,
        path: str,
        parse: Callable[[bytes], T],
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
    ) -> T:
        """GET `path` and read the body with `parse`, which raises SourceUnavailableError where asking again may help.

        An answer that its server has marked is asked for conditionally the next time.

        Raises: SourceUnavailableError at the deadline, or at once while the circuit is open or the provider has asked
            to be left alone; SourceRefusedError.
        """
        not_before = self._pool.not_before.get(self._client.base_url.host, 0.0)
        if (rest := not_before - asyncio.get_running_loop().time()) > 0:
            raise SourceUnavailableError(f"{self.name} asked to be left alone for {rest:.0f} s more", "wait", rest)
        breaker = await self._pool.breakers.get_breaker(self.name)
        try:
            async with breaker:
                return await self._until_deadline(path, parse, params, headers, auth)
        except OpenedState:
            raise SourceUnavailableError(
                f"{self.name} has failed {FAILURES_THAT_OPEN} times running: it is left alone for a while",
                "wait, or set another source after it",
            ) from None

    async def _until_deadline(
        self,
        path: str,
        parse: Callable[[bytes], T],
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        auth: httpx.Auth | None,
    ) -> T:
        deadline_seconds = self._pool.deadline_seconds
        last: SourceUnavailableError | None = None
        try:
            async with asyncio.timeout(deadline_seconds):
                async for attempt in AsyncRetrying(
                    retry=retry_if_exception_type(SourceUnavailableError),
                    wait=_wait,
                    stop=stop_before_delay(deadline_seconds),
                    reraise=True,
                ):
                    with attempt:
                        try:
                            return await self._get(path, parse, params, headers, auth)
                        except SourceUnavailableError as error:
                            last = error
                            if error.retry_after_seconds:
                                until = asyncio.get_running_loop().time() + error.retry_after_seconds
                                self._pool.not_before[self._client.base_url.host] = until
                            logger.debug("%s: %s", self.name, error)
                            raise
        except TimeoutError:
            if last is not None:
                raise last from None
        raise SourceUnavailableError(
            f"{self.name} did not answer within {deadline_seconds:g} s", "it is asked again at the next poll"
        )

    async def _get(
        self,
        path: str,
        parse: Callable[[bytes], T],
        params: Mapping[str, str] | None,
        headers: Mapping[str, str] | None,
        auth: httpx.Auth | None,
    ) -> T:
        if not all(value.isascii() and value.isprintable() for value in (headers or {}).values()):
            raise SourceRefusedError(f"{self.name}: a key holds a character that HTTP does not allow", self._remedy)
        if self._limiter:
            await self._limiter.acquire()
        request = self._client.build_request("GET", path, params=params, headers=headers)
        key = str(request.url)
        marks, remembered = self._remembered.get(key, ({}, b""))
        request.headers.update(marks)
        try:
            response = await self._client.send(request, auth=auth or httpx.USE_CLIENT_DEFAULT, stream=True)
            try:
                body = await _read(self.name, response)
            finally:
                await response.aclose()
        except httpx.LocalProtocolError:  # HTTP/2 over a connection that just closed; its text would quote headers
            raise SourceUnavailableError(f"{self.name}: the connection was lost", "it is asked again") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            reason = str(error) or type(error).__name__
            where = self._client.base_url.host
            raise SourceUnavailableError(f"{self.name} at {where}: {reason}", "look at the network, or wait") from error
        if response.status_code == httpx.codes.NOT_MODIFIED and marks:
            return parse(remembered)
        self._raise_for_status(response, body)
        answer = parse(body)
        self._remember(key, response, body)  # what cannot be read must not come back out of memory
        return answer

    def _raise_for_status(self, response: httpx.Response, body: bytes) -> None:
        status = response.status_code
        if status == httpx.codes.OK:
            return
        said = _quoted(body) or response.reason_phrase
        what = f"{self.name} answered {status}: {_without_secrets(said, response.request)}"
        if status in BUSY_OR_AWAY:
            raise SourceUnavailableError(what, "it is asked again", _retry_after(response.headers.get("retry-after")))
        raise SourceRefusedError(what, self._remedy)

    def _remember(self, key: str, response: httpx.Response, body: bytes) -> None:
        pairs = (("etag", "If-None-Match"), ("last-modified", "If-Modified-Since"))
        marks = {condition: response.headers[mark] for mark, condition in pairs if mark in response.headers}
        if marks:
            self._remembered[key] = (marks, body)
            self._remembered.move_to_end(key)
            while len(self._remembered) > BODIES_REMEMBERED:
                self._remembered.popitem(last=False)


class WebPool:
    """Every provider that a process asks: sources of one host share its connections and its pace."""

    def __init__(
        self, deadline_seconds: float, open_seconds: float = OPEN_SECONDS, clock: Callable[[], datetime] = utc_now
    ) -> None:
        """Ask under these terms.

        Args:
            deadline_seconds: no question, with all its retries, takes longer.
            open_seconds: for how long a circuit that has opened stays open.
            clock: the time in UTC that the providers live in.
        """
        self.clock = clock
        self.deadline_seconds = deadline_seconds
        self.open_seconds = open_seconds
        self.breakers = AsyncCircuitBreakerFactory(
            default_threshold=FAILURES_THAT_OPEN,
            default_ttl=open_seconds,
            exclude=[SourceRefusedError, asyncio.CancelledError],
        )
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._limiters: dict[str, AsyncLimiter] = {}
        self.not_before: dict[str, float] = {}
        """By host, on the loop's clock: until then it asked to be left alone, whoever of us asks."""

    def at(self, name: str, base_url: str, remedy: str, seconds_between_requests: float = 0.0) -> Web:
        """The provider at `base_url`, called `name` in messages; `remedy` is what to do about a refusal.

        Raises: InputError for no such URL.
        """
        base_url = base_url.rstrip("/")
        if not _is_base_url(base_url):
            shown = base_url.rpartition("@")[2]
            raise InputError(f"{name}: {shown!r} is no base URL", "write it as https://host/path, without a key in it")
        if base_url not in self._clients:
            self._clients[base_url] = httpx.AsyncClient(
                base_url=base_url,
                http2=True,
                verify=_authorities(),
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                limits=httpx.Limits(keepalive_expiry=KEPT_SECONDS),
                headers={"User-Agent": "carbonshift-ingest"},
            )
        if seconds_between_requests and base_url not in self._limiters:
            self._limiters[base_url] = AsyncLimiter(1, seconds_between_requests)
        return Web(name, self._clients[base_url], self._limiters.get(base_url), self, remedy)

    async def __aenter__(self) -> Self:
        for noisy in ("httpx", "httpcore", "hpack"):
            logging.getLogger(noisy).setLevel(logging.WARNING)  # they write URLs at INFO, and headers at DEBUG
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.aclose()


def body_checked(name: str, body: bytes) -> str:
    """The body as text. Raises: SourceUnavailableError where it is empty or not UTF-8: cut short, most likely."""
    if not body.strip():
        raise SourceUnavailableError(f"{name} answered with an empty body", "it is asked again")
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceUnavailableError(f"{name} answered with bytes that are not UTF-8", "it is asked again") from error


@cache
def _authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # takes 80 ms, in which no other question goes out: once for all providers


def _is_base_url(url: str) -> bool:
    try:
        parts, host = urlsplit(url), httpx.URL(url).host
        port = parts.port
    except (ValueError, httpx.InvalidURL):
        return False
    plain = bool(host) and not parts.username and not any(c.isspace() for c in url)
    return plain and parts.scheme in {"http", "https"} and port != 0


def _wait(state: RetryCallState) -> float:
    """Exponential with full jitter; what the provider asks for, where it asks for more."""
    seconds = wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=LONGEST_WAIT_SECONDS)(state)
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after_seconds if isinstance(error, SourceUnavailableError) else None
    return max(seconds, asked or 0.0)


async def _read(name: str, response: httpx.Response) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.aiter_bytes():
        size += len(part)
        if size > LARGEST_BODY_BYTES:
            raise SourceUnavailableError(f"{name} answers with more than {LARGEST_BODY_BYTES >> 20} MiB", "report this")
        parts.append(part)
    return b"".join(parts)


def _quoted(body: bytes) -> str:
    """The beginning of what a server said, on one line, fit for a log."""
    text = body[: 4 * LONGEST_QUOTE].decode(errors="replace")
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))[:LONGEST_QUOTE]


def _without_secrets(said: str, request: httpx.Request) -> str:
    """What a server said without the key or token that it was sent: some repeat it."""
    for header in SECRET_HEADERS:
        for secret in request.headers.get(header, "").split():
            if len(secret) >= SHORTEST_SECRET:
                said = said.replace(secret, "***")
    return said


def _retry_after(value: str | None) -> float | None:
    """Seconds that a Retry-After asks for; it is written as a number or as a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(0.0, seconds), LONGEST_REST_SECONDS) if math.isfinite(seconds) else None
