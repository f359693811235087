"""Shell of explain: transitions in, narratives out. Who tells them is in `teller`."""

from faststream import AckPolicy, FastStream
from faststream.nats import NatsMessage, PullSub

from carbonshift.common.broker import Outlet, connect
from carbonshift.common.events import GridTransition, Narrative
from carbonshift.common.metrics_endpoint import serve_metrics
from carbonshift.common.streams import declare_streams, stream_of
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.teller import Teller
from carbonshift.explain.told_before import is_told

__all__ = ["build"]


def build(settings: ExplainSettings | None = None) -> FastStream:
    """Wire explain to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or ExplainSettings.load()
    prefix = settings.subject_prefix
    broker = connect(settings)
    outlet = Outlet(broker, settings, Narrative)
    teller = Teller(settings)

    @broker.subscriber(
        GridTransition.subjects(prefix),
        stream=stream_of(GridTransition, prefix),
        durable=settings.service,
        pull_sub=PullSub(timeout=1),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        title="tell a transition",
    )
    async def on_transition(transition: GridTransition, message: NatsMessage) -> None:
        if await is_told(transition, (await broker.connect()).jetstream(), prefix):
            return
        raw = message.raw_message
        newer_wait = bool(raw.metadata.num_pending)
        await outlet.publish(await teller.tell(transition, raw.in_progress, newer_wait=newer_wait))

    app = FastStream(broker)

    @app.on_startup
    async def prepare() -> None:
        if teller.writer and settings.metrics_port is not None:
            serve_metrics(teller.writer.metrics.registry, settings.metrics_port)
        await declare_streams(settings)

    app.on_shutdown(teller.stop)
    app.after_shutdown(teller.close)
    return app
