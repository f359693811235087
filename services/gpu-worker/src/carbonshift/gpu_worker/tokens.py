"""Claims resume tokens: one at a time, only while one would be of use, and each is spent at most once in the fleet.

A token is held under a heartbeat until it is due; whoever dies with one in hand gives it back by falling silent. It is
gone from the broker, and known to be, before the draw rises: a crash between the two wastes watts, and never lends them
twice.
"""

import asyncio
import logging
from collections import Counter

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from pydantic import ValidationError

from carbonshift.common.events import DeadLetter, ResumeToken
from carbonshift.common.streams import stream_name, token_durable
from carbonshift.gpu_worker.allowance import Verdict
from carbonshift.gpu_worker.outbox import Outbox
from carbonshift.gpu_worker.settings import GpuWorkerSettings
from carbonshift.gpu_worker.worker import Worker

__all__ = ["TokenClaim"]

FETCH_SECONDS = 1.0
"""After a restart of the broker a fetch is heard again once the one that was open has run out."""
HEARTBEAT_SECONDS = 4.0
"""Three fit into the time after which a silent holder's token goes to another."""
ACK_SECONDS = 5.0

log = logging.getLogger(__name__)


class TokenClaim:
    """The claims of one worker on its site's queue."""

    def __init__(self, settings: GpuWorkerSettings, worker: Worker, outbox: Outbox) -> None:
        self._settings, self._worker, self._outbox = settings, worker, outbox
        self.verdicts: Counter[Verdict] = Counter()
        """How many tokens ended in each way."""

    async def run(self, client: Client) -> None:
        """Claim, for ever."""
        queue = await client.jetstream().pull_subscribe_bind(
            consumer=token_durable(self._settings.site).name,
            stream=stream_name(ResumeToken.stream, self._settings.subject_prefix),
        )
        try:
            while True:
                changed = self._worker.changed
                if self._worker.wants:
                    await self._claim(queue)
                else:
                    await changed.wait()
        finally:
            await queue.unsubscribe()  # what lies unread in it would hold up the connection's end for 30 s

    async def _claim(self, queue: JetStreamContext.PullSubscription) -> None:
        """See one token through, if one comes."""
        try:
            (message,) = await queue.fetch(1, timeout=FETCH_SECONDS)
            await self._handle(message)
        except TimeoutError:
            pass
        except (NatsError, OSError) as error:
            log.warning("tokens: %s", error or type(error).__name__)
            await asyncio.sleep(FETCH_SECONDS)

    async def _handle(self, message: Msg) -> None:
        """Hold `message` until it can be spent, or is of no use."""
        try:
            token = ResumeToken.model_validate_json(message.data)
        except ValidationError as error:
            await self._outbox.put(DeadLetter.of(message, error, self._settings.service))
            await message.term()
            return
        try:
            verdict = await self._held(message, token)
        except asyncio.CancelledError:
            await message.nak()  # this worker stops: another need not wait until it is missed
            raise
        log.debug("%s: %s", token.id, verdict)
        self.verdicts[verdict] += 1
        match verdict:
            case Verdict.TAKE:
                await message.ack_sync(ACK_SECONDS)
                if not await self._worker.spend(token):
                    log.debug("%s became void as it was taken", token.id)
            case Verdict.HAND_BACK:
                await message.nak()
            case _:
                await message.ack()

    async def _held(self, message: Msg, token: ResumeToken) -> Verdict:
        """The verdict on `token` once it is more than to wait."""
        while True:
            changed = self._worker.changed
            verdict = self._worker.judge(token)
            if verdict is not Verdict.HOLD:
                return verdict
            await message.in_progress()
            await _first(changed, self._worker.wait_seconds(token))


async def _first(changed: asyncio.Event, seconds: float | None) -> None:
    """Return at a change, after `seconds`, or when a heartbeat is due."""
    try:
        async with asyncio.timeout(min(HEARTBEAT_SECONDS, HEARTBEAT_SECONDS if seconds is None else seconds + 0.001)):
            await changed.wait()
    except TimeoutError:
        pass
