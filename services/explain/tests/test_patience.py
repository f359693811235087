"""A broker that is told that its message is worked on."""

import asyncio

import pytest
from nats.errors import ConnectionClosedError

from carbonshift.explain.patience import patience


async def test_the_broker_is_told_as_long_as_it_takes_and_no_longer():
    told = asyncio.Queue()
    async with patience(lambda: told.put(None), 0.0):
        for _ in range(3):
            await told.get()
    assert len(asyncio.all_tasks()) == 1


async def test_a_broker_that_is_away_stops_nothing():
    tries = asyncio.Queue()

    async def away():
        await tries.put(None)
        raise ConnectionClosedError

    async with patience(away, 0.0):
        await tries.get()
        await tries.get()


async def test_what_goes_wrong_inside_is_not_hidden():
    async def alive():
        """Says nothing."""

    with pytest.raises(ZeroDivisionError):
        async with patience(alive, 60.0):
            raise ZeroDivisionError
