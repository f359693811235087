"""Shell of explain: transitions in, narratives out, and a digest a day. Who tells them is in `teller` and `digest`."""

from faststream import AckPolicy, FastStream
from faststream.nats import NatsMessage, PullSub

from carbonshift.common.broker import Outlet, connect
from carbonshift.common.events import Digest, GridState, GridTransition, Narrative, ResumeToken, WorkerTelemetry
from carbonshift.common.metrics_endpoint import serve_metrics
from carbonshift.common.streams import declare_streams, stream_of
from carbonshift.explain.digest.daily import DailyDigests
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.teller import Teller

__all__ = ["build"]


def build(settings: ExplainSettings | None = None) -> FastStream:
    """Wire explain to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or ExplainSettings.load()
    prefix = settings.subject_prefix
    broker = connect(settings)
    outlet = Outlet(broker, settings, Narrative, Digest)
    digests = DailyDigests(settings, outlet)
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
        jetstream = (await broker.connect()).jetstream()
        await teller.tell(transition, message.raw_message, jetstream, outlet.publish)

    @broker.subscriber(GridState.subjects(prefix), no_reply=True, title="notice that a state begins or a day is over")
    async def on_state(state: GridState) -> None:
        teller.lookout.hear(state)
        digests.hear(state)

    @broker.subscriber(WorkerTelemetry.subjects(prefix), no_reply=True, title="see what the fleet does")
    async def on_telemetry(telemetry: WorkerTelemetry) -> None:
        teller.lookout.hear(telemetry)

    @broker.subscriber(ResumeToken.subjects(prefix), no_reply=True, title="see a token handed out")
    async def on_token(token: ResumeToken) -> None:
        teller.lookout.hear(token)

    app = FastStream(broker)

    @app.on_startup
    async def prepare() -> None:
        if teller.writer and settings.metrics_port is not None:
            serve_metrics(teller.writer.metrics.registry, settings.metrics_port)
        await declare_streams(settings)

    @app.on_shutdown
    async def give_up() -> None:
        teller.stop()
        await digests.close()

    app.after_shutdown(teller.close)
    return app
