"""Where snapshots of pasts lie: an object store of the broker, one object a history."""

import asyncio
import logging
from datetime import timedelta

from nats.js import JetStreamContext
from nats.js.errors import DigestMismatchError, NotFoundError
from nats.js.object_store import ObjectStore

from carbonshift.common.streams import object_store
from carbonshift.decide.settings import DecideSettings
from carbonshift.decide.snapshot import Snapshot

__all__ = ["Snapshots"]

KEPT = timedelta(days=35)
"""A region unheard of for so long begins anew."""
READ_SECONDS = 10.0

log = logging.getLogger(__name__)


class Snapshots:
    """The snapshots of one decide."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    async def of(cls, jetstream: JetStreamContext, settings: DecideSettings) -> "Snapshots":
        """Those on the broker."""
        return cls(await object_store(jetstream, "PASTS", KEPT.total_seconds(), settings))

    async def put(self, snapshot: Snapshot) -> None:
        """Store it in the place of the one before."""
        await self._store.put(snapshot.past.key, snapshot.to_bytes())

    async def drop(self, key: str) -> None:
        """Of a history that is no longer followed."""
        try:
            await self._store.delete(key)
        except NotFoundError:
            log.debug("%s was never put aside", key)

    async def all(self) -> list[Snapshot]:
        """Every one that can be read, the oldest first; the others are as if there were none."""
        try:
            entries = await self._store.list(ignore_deletes=True)
        except NotFoundError:
            return []
        found = []
        for entry in entries:
            try:
                async with asyncio.timeout(READ_SECONDS):  # a part that is missing would be waited for without end
                    content = (await self._store.get(entry.name)).data
                found.append(Snapshot.from_bytes(content or b""))
            except (NotFoundError, DigestMismatchError, TimeoutError, ValueError) as error:
                log.warning("the past of %s begins anew: %s", entry.name, error or type(error).__name__)
        return sorted(found, key=lambda snapshot: snapshot.sequence)
