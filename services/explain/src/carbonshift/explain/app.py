"""Shell of explain: transitions in, narratives out, and a digest a day. Who tells them is in `teller` and `digest`."""

from faststream import AckPolicy
from faststream.nats import NatsMessage, PullSub

from carbonshift.common.broker import Outlet
from carbonshift.common.events import Digest, GridState, GridTransition, Narrative, ResumeToken, WorkerTelemetry
from carbonshift.common.service import Service
from carbonshift.common.streams import stream_of
from carbonshift.explain.digest.daily import DailyDigests
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.teller import Teller

__all__ = ["build"]


def build(settings: ExplainSettings | None = None) -> Service:
    """Wire explain to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or ExplainSettings.load()
    prefix = settings.subject_prefix
    service = Service(settings)
    broker = service.broker
    outlet = Outlet(broker, settings, Narrative, Digest)
    digests = DailyDigests(settings, outlet)
    teller = Teller(settings)
    if teller.writer:
        service.registry.register(teller.writer.metrics)

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

    @service.on_shutdown
    async def give_up() -> None:
        teller.stop()
        await digests.close()

    service.after_shutdown(teller.close)
    return service
