"""What is answered over HTTP, also by a service whose event loop hangs."""

import asyncio
import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry, Gauge

from carbonshift.common import http_endpoint
from carbonshift.common.errors import InputError
from carbonshift.common.http_endpoint import answering, listening, shown_url

IMPATIENT_SECONDS = 0.3


def ask(url, timeout=10.0, **headers):
    try:
        request = urllib.request.Request(url, headers=headers)  # noqa: S310
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


@asynccontextmanager
async def endpoint(*missing):
    """Its URL, and a function that asks it from a thread: with `await` the loop goes on, without it hangs meanwhile."""
    registry = CollectorRegistry()
    Gauge("carbonshift_heat_celsius", "How hot it is.", registry=registry).set(21)

    async def lacks():
        return list(missing)

    listener = listening("127.0.0.1", 0)
    url = shown_url(listener)
    with ThreadPoolExecutor() as pool:
        async with answering(listener, registry, lacks):
            yield url, pool


async def in_turn(loop_and, path, **options):
    url, pool = loop_and
    return await asyncio.wrap_future(pool.submit(ask, url + path, **options))


async def test_it_lives_and_is_ready_and_counts():
    async with endpoint() as there:
        assert await in_turn(there, "healthz") == (200, b'{"status": "alive"}')
        assert await in_turn(there, "readyz?verbose") == (200, b'{"status": "ready"}')
        status, body = await in_turn(there, "metrics")
        assert (status, body.splitlines()[-1]) == (200, b"carbonshift_heat_celsius 21.0")
        _, body = await in_turn(there, "metrics", Accept="application/openmetrics-text")
        assert body.splitlines()[-1] == b"# EOF"
        assert (await in_turn(there, "secrets"))[0] == 404


async def test_what_is_missing_is_named():
    async with endpoint("broker", "subscribers") as there:
        status, body = await in_turn(there, "readyz")
    assert (status, json.loads(body)) == (503, {"status": "not ready", "missing": ["broker", "subscribers"]})


async def test_a_loop_that_hangs_is_not_alive_while_its_metrics_still_are(monkeypatch):
    async with endpoint() as there:
        url, pool = there
        hung = pool.submit(ask, f"{url}healthz", IMPATIENT_SECONDS)
        with pytest.raises(TimeoutError):
            hung.result()  # no await: the loop stands still
        assert pool.submit(ask, f"{url}metrics").result()[0] == 200
        monkeypatch.setattr(http_endpoint, "LOOP_SECONDS", 0.05)
        for path in ("healthz", "readyz"):
            status, body = pool.submit(ask, f"{url}{path}").result()
            assert (status, json.loads(body)["missing"]) == (503, ["event loop"])
        monkeypatch.undo()
        assert (await in_turn(there, "healthz"))[0] == 200


def test_a_port_that_is_taken_is_said():
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1 port {port}.*CARBONSHIFT_HTTP_PORT"):
            listening("127.0.0.1", port)
