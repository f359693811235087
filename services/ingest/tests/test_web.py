"""The one way to a provider: what is asked again, what is given up, and what no error text may tell."""

import asyncio
import gzip
import logging
import socket
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse

from carbonshift.common.errors import InputError
from carbonshift.ingest.errors import SourceRefusedError, SourceUnavailableError
from carbonshift.ingest.web import LARGEST_BODY_BYTES, WebPool, body_checked

KEY = "s3cret-Key-0451"


class Site:
    """A real HTTP server; `answer` gives its responses, `seen` is what it was asked, and when."""

    def __init__(self):
        self.reset()

    def reset(self):
        self.seen, self.times, self.answer = [], [], lambda _: PlainTextResponse("fine")

    async def __call__(self, scope, receive, send):
        request = Request(scope, receive)
        self.seen.append(request)
        self.times.append(time.time())
        await self.answer(request)(scope, receive, send)


@pytest.fixture(scope="module")
def running_site(serve):
    site = Site()
    with serve(site) as site.url:
        yield site


@pytest.fixture
def site(running_site):
    running_site.reset()
    return running_site


@pytest.fixture
async def pool():
    async with WebPool(deadline_seconds=4) as pool:
        yield pool


@pytest.fixture
async def hurried():
    """A pool that gives a question no second try."""
    async with WebPool(deadline_seconds=0.6) as pool:
        yield pool


def in_turn(*responses):
    """An answer after the other; the last one stays."""
    left = list(responses)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def at(pool, site, **options):
    return pool.at("there", site.url, "do this", **options)


def told(error):
    return "".join(traceback.format_exception(error))


async def test_questions_share_one_connection(site, pool):
    web, other = at(pool, site), at(pool, site)
    for asked in (web, other, web):
        assert await asked.ask("/", bytes.decode) == "fine"
    assert len({request.client.port for request in site.seen}) == 1


async def test_a_failing_server_is_asked_again(site, pool):
    site.answer = in_turn(PlainTextResponse("oh", 500), PlainTextResponse("fine"))
    assert await at(pool, site).ask("/", bytes.decode) == "fine"
    assert len(site.seen) == 2


async def test_an_answer_that_cannot_be_read_is_asked_for_again(site, pool):
    site.answer = in_turn(PlainTextResponse(" "), PlainTextResponse("fine"))
    assert await at(pool, site).ask("/", lambda body: body_checked("there", body)) == "fine"


@pytest.mark.parametrize("body", [b"", b" \n", b"\xff\xfe{\x00}\x00"])
def test_a_body_that_is_no_text_is_cut_short(body):
    with pytest.raises(SourceUnavailableError):
        body_checked("there", body)


@pytest.mark.parametrize("written", ["seconds", "date"])
async def test_retry_after_is_waited_for(site, pool, written):
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    asked = "1" if written == "seconds" else format_datetime(moment, usegmt=True)
    site.answer = in_turn(PlainTextResponse("slow down", 429, {"Retry-After": asked}), PlainTextResponse("fine"))
    assert await at(pool, site).ask("/", bytes.decode) == "fine"
    assert site.times[1] > (site.times[0] + 1 if written == "seconds" else moment.timestamp()) - 0.05


async def test_a_provider_that_asks_for_peace_is_left_alone(site, pool):
    site.answer = in_turn(PlainTextResponse("slow down", 429, {"Retry-After": "120"}))
    web = at(pool, site)
    for _ in range(2):
        with pytest.raises(SourceUnavailableError) as caught:
            await web.ask("/", bytes)
        assert 110 <= caught.value.retry_after_seconds <= 120
    assert len(site.seen) == 1


@pytest.mark.parametrize("asked", ["", "soon", "nan", "-5", "inf", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"])
async def test_a_retry_after_that_means_nothing_is_no_error_of_ours(site, hurried, asked):
    site.answer = in_turn(PlainTextResponse("slow down", 429, {"Retry-After": asked}))
    with pytest.raises(SourceUnavailableError, match="429"):
        await at(hurried, site).ask("/", bytes)


async def test_no_retry_after_silences_a_source_for_good(site, hurried):
    site.answer = in_turn(PlainTextResponse("slow down", 429, {"Retry-After": "1" + "0" * 30}))
    with pytest.raises(SourceUnavailableError) as caught:
        await at(hurried, site).ask("/", bytes)
    assert caught.value.retry_after_seconds <= 86_400


async def test_a_slow_body_ends_at_the_deadline(site, hurried):
    async def drops():
        for _ in range(50):
            yield b"x"
            await asyncio.sleep(0.05)

    site.answer = lambda _: StreamingResponse(drops())
    began = time.monotonic()
    with pytest.raises(SourceUnavailableError, match=r"did not answer within 0\.6 s"):
        await at(hurried, site).ask("/", bytes)
    assert time.monotonic() - began < 2


async def test_a_closed_port_is_unavailable(hurried):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(SourceUnavailableError, match="there"):
        await hurried.at("there", url, "do this").ask("/", bytes)


async def test_the_circuit_opens_after_five_failures_and_answers_at_once(site, hurried):
    site.answer = in_turn(PlainTextResponse("oh", 503))
    web = at(hurried, site)
    for _ in range(5):
        with pytest.raises(SourceUnavailableError, match="503"):
            await web.ask("/", bytes)
    asked = len(site.seen)
    with pytest.raises(SourceUnavailableError, match="left alone"):
        await web.ask("/", bytes)
    assert len(site.seen) == asked
    site.answer = in_turn(PlainTextResponse("fine"))
    assert await hurried.at("another", site.url, "do this").ask("/", bytes.decode) == "fine"


async def test_refusals_open_no_circuit(site, pool):
    site.answer = in_turn(PlainTextResponse("no", 403))
    web = at(pool, site)
    for _ in range(7):
        with pytest.raises(SourceRefusedError):
            await web.ask("/", bytes)
    assert len(site.seen) == 7


async def test_questions_that_we_gave_up_open_no_circuit(site, pool):
    """A service that stops, or a caller with a shorter patience, says nothing about the provider."""
    site.answer = lambda _: StreamingResponse(endless())
    web = at(pool, site)
    for _ in range(6):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await web.ask("/", bytes)
    site.answer = in_turn(PlainTextResponse("fine"))
    assert await web.ask("/", bytes.decode) == "fine"


async def endless():
    while True:
        yield b"x"
        await asyncio.sleep(0.02)


async def test_what_has_not_changed_is_remembered(site, pool):
    def answer(request):
        if request.headers.get("if-none-match") == '"1"':
            return Response(status_code=304)
        return PlainTextResponse("fine", headers={"ETag": '"1"'})

    site.answer = answer
    web = at(pool, site)
    assert [await web.ask("/", bytes.decode) for _ in range(2)] == ["fine", "fine"]
    assert "if-none-match" in site.seen[1].headers
    assert await web.ask("/", bytes.decode, params={"another": "question"}) == "fine"
    assert "if-none-match" not in site.seen[2].headers


async def test_what_could_not_be_read_is_not_remembered(site, pool):
    """A page that a proxy put in the way, with a mark of its own, must not come back out of our memory."""

    def answer(request):
        if len(site.seen) == 1:
            return PlainTextResponse(" ", headers={"ETag": '"1"'})
        return Response(status_code=304) if "if-none-match" in request.headers else PlainTextResponse("fine")

    site.answer = answer
    assert await at(pool, site).ask("/", lambda body: body_checked("there", body)) == "fine"


async def test_sources_of_one_host_share_its_pace(site, pool):
    webs = [at(pool, site, seconds_between_requests=0.2) for _ in range(2)]
    await asyncio.gather(*(web.ask("/", bytes) for web in webs * 2))
    assert site.times[-1] - site.times[0] >= 0.55


async def test_a_pace_that_a_later_source_asks_for_is_kept(site, pool):
    at(pool, site)
    web = at(pool, site, seconds_between_requests=0.2)
    await asyncio.gather(*(web.ask("/", bytes) for _ in range(3)))
    assert site.times[-1] - site.times[0] >= 0.35


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_without_end_is_given_up(site, packed):
    async def plenty():
        for _ in range((LARGEST_BODY_BYTES >> 20) + 2):
            yield bytes(1 << 20)

    if packed:
        body = gzip.compress(bytes(LARGEST_BODY_BYTES + 1), 1)
        site.answer = lambda _: Response(body, headers={"Content-Encoding": "gzip"})
    else:
        site.answer = lambda _: StreamingResponse(plenty())
    async with WebPool(deadline_seconds=3) as pool:
        with pytest.raises(SourceUnavailableError, match="more than 64 MiB"):
            await at(pool, site).ask("/", bytes)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 418, 501])
async def test_a_refusal_is_quoted_shortly_and_not_repeated(site, pool, status):
    site.answer = in_turn(PlainTextResponse('{"error": "not\n for \x1b[31m you"}' + "x" * 10_000, status))
    with pytest.raises(SourceRefusedError) as caught:
        await at(pool, site).ask("/", bytes)
    text = str(caught.value)
    assert f"{status}" in text
    assert "not for" in text
    assert text.endswith("do this")
    assert text.isprintable()
    assert len(text) < 300
    assert len(site.seen) == 1


async def test_a_redirect_is_refused(site, pool):
    """To follow it would carry the key to another host."""
    site.answer = lambda request: RedirectResponse("/there") if request.url.path == "/" else PlainTextResponse("fine")
    with pytest.raises(SourceRefusedError, match="307"):
        await at(pool, site).ask("/", bytes)
    assert len(site.seen) == 1


@pytest.mark.parametrize("key", [f"{KEY}\nX: y", f"{KEY}\r\n", f"{KEY}\0", f"{KEY} é", f"{KEY}\u2028"])
async def test_a_key_that_is_no_header_is_refused_and_quoted_nowhere(site, pool, key, caplog):
    for name in (None, "httpx", "httpcore"):  # louder than a service lets them be
        caplog.set_level(logging.DEBUG, logger=name)
    with pytest.raises(SourceRefusedError) as caught:
        await at(pool, site).ask("/", bytes, headers={"auth-token": key})
    assert KEY not in told(caught.value)
    assert KEY not in caplog.text
    assert not site.seen


@pytest.mark.parametrize(
    "url", ["", "ftp://a", "example.org", "http://", "http://[", "http://a:99999999", "http://\x00"]
)
async def test_what_is_no_base_url_is_said_at_the_start(pool, url):
    with pytest.raises(InputError, match="there"):
        pool.at("there", url, "do this")


@pytest.mark.parametrize("status", [200, 401, 429, 500])
async def test_no_key_reaches_a_log(site, hurried, status, caplog):
    """With every logger at DEBUG over HTTP/1.1; over HTTP/2, `hpack` at DEBUG would write headers out."""
    for name in (None, "httpx", "httpcore"):  # louder than a service lets them be
        caplog.set_level(logging.DEBUG, logger=name)
    site.answer = in_turn(PlainTextResponse("said", status))
    try:
        await at(hurried, site).ask("/", bytes, headers={"auth-token": KEY})
    except (SourceRefusedError, SourceUnavailableError) as error:
        caplog.handler.stream.write(told(error))
    assert "127.0.0.1" in caplog.text
    assert KEY not in caplog.text


async def test_a_key_that_a_server_repeats_is_not_repeated_by_us(site, pool):
    site.answer = lambda request: PlainTextResponse(f"no such token: {request.headers['auth-token']}", 401)
    with pytest.raises(SourceRefusedError) as caught:
        await pool.at("maps", site.url, "check the key").ask("/", bytes.decode, headers={"auth-token": "s3cr3t-k3y"})
    assert str(caught.value) == "maps answered 401: no such token: ***; check the key"
