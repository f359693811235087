"""Where the records of regions lie: an object store of the broker, one object a region and run."""

import asyncio
import logging
from datetime import timedelta

from nats.js import JetStreamContext
from nats.js.errors import DigestMismatchError, NotFoundError
from nats.js.object_store import ObjectStore

from carbonshift.common.streams import object_store
from carbonshift.forecast.record import Record
from carbonshift.forecast.settings import ForecastSettings
from carbonshift.forecast.stored_record import from_bytes, to_bytes

__all__ = ["Records"]

KEPT = timedelta(days=35)
"""What was known of models that long ago counts for nothing."""
READ_SECONDS = 10.0

log = logging.getLogger(__name__)


class Records:
    """Those of one forecast service."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    async def of(cls, jetstream: JetStreamContext, settings: ForecastSettings) -> "Records":
        """Those on the broker."""
        return cls(await object_store(jetstream, "RECORDS", KEPT.total_seconds(), settings))

    async def put(self, key: str, record: Record) -> None:
        """Store it in the place of the one before."""
        await self._store.put(key, to_bytes(record))

    async def get(self, key: str) -> Record:
        """The one of that key; an empty one where there is none that can be read."""
        try:
            async with asyncio.timeout(READ_SECONDS):  # a part that is missing would be waited for without end
                return from_bytes((await self._store.get(key)).data or b"")
        except NotFoundError:
            return Record()
        except (DigestMismatchError, TimeoutError, ValueError) as error:
            log.warning("what is known of the models in %s begins anew: %s", key, error or type(error).__name__)
            return Record()
