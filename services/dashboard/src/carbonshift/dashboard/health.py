"""What every service answers over HTTP, by the dashboard's own server."""

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, ProcessCollector

from carbonshift.common.answers import ALIVE, Answer, metrics, readiness
from carbonshift.common.ready_gauge import ReadyGauge
from carbonshift.dashboard.feed import Feed
from carbonshift.dashboard.metrics import FeedMetrics

__all__ = ["health"]

PING_SECONDS = 1


def health(feed: Feed, hears: Callable[[], bool]) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics`; `hears` tells whether `feed` still runs."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    registry.register(FeedMetrics(feed))
    registry.register(ReadyGauge(lambda: {"broker": feed.connected, "feed": hears()}))
    router = APIRouter(include_in_schema=False)

    @router.get("/healthz")
    async def alive() -> Response:
        """The process answers."""
        return _response(ALIVE)

    @router.get("/readyz")
    async def ready() -> Response:
        """The broker answers too, and is listened to."""
        there = {"broker": await feed.ping(PING_SECONDS), "feed": hears()}
        return _response(readiness([part for part, is_there in there.items() if not is_there]))

    @router.get("/metrics")
    def counted(request: Request) -> Response:
        return _response(metrics(registry, request.headers.get("accept", "")))

    return router


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, {"Content-Type": answer.content_type})
