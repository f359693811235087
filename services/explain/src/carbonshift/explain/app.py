"""Shell of explain: transitions in, narratives out, and a digest a day. What is said is in `narrative` and `digest`."""

from faststream import AckPolicy, FastStream
from faststream.nats import PullSub

from carbonshift.common.broker import Outlet, connect
from carbonshift.common.events import Digest, GridState, GridTransition, Narrative
from carbonshift.common.streams import declare_streams, stream_of
from carbonshift.explain.digest.daily import DailyDigests
from carbonshift.explain.narrative import narrative_of
from carbonshift.explain.settings import ExplainSettings

__all__ = ["build"]


def build(settings: ExplainSettings | None = None) -> FastStream:
    """Wire explain to its broker. A factory: each test and each command starts its own, nothing is global."""
    settings = settings or ExplainSettings.load()
    prefix = settings.subject_prefix
    broker = connect(settings)
    outlet = Outlet(broker, settings, Narrative, Digest)
    digests = DailyDigests(settings, outlet)

    @broker.subscriber(
        GridTransition.subjects(prefix),
        stream=stream_of(GridTransition, prefix),
        durable=settings.service,
        pull_sub=PullSub(timeout=1),
        ack_policy=AckPolicy.NACK_ON_ERROR,
        title="tell a transition",
    )
    async def on_transition(transition: GridTransition) -> None:
        await outlet.publish(narrative_of(transition))

    @broker.subscriber(GridState.subjects(prefix), no_reply=True, title="notice that a day is over")
    async def on_state(state: GridState) -> None:
        digests.hear(state)

    app = FastStream(broker)

    @app.on_startup
    async def prepare() -> None:
        await declare_streams(settings)

    app.on_shutdown(digests.close)
    return app
