"""Runs one service as a process: settings, logging, the wait for its broker, one clear line where it cannot start."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from faststream import FastStream

from carbonshift.common.embedded import held_url
from carbonshift.common.errors import CarbonShiftError, InputError
from carbonshift.common.reach import reach_broker
from carbonshift.common.settings import Settings

__all__ = ["fail", "run_process", "run_service"]

LOOK_SECONDS = 0.5
"""How often FastStream looks whether it shall stop: each look wakes a process that may have nothing else to do."""

S = TypeVar("S", bound=Settings)


def run_service(build: Callable[[S], FastStream], settings_class: type[S]) -> None:
    """Run until SIGTERM or SIGINT; one line on stderr where the service cannot start."""

    async def serve(settings: S) -> None:
        await build(settings).run(log_level=logging.DEBUG, sleep_time=LOOK_SECONDS)

    run_process(serve, settings_class, build.__doc__)


def run_process(serve: Callable[[S], Awaitable[None]], settings_class: type[S], description: str | None) -> None:
    """Await `serve` once the broker answers; one line on stderr where it cannot start."""
    arguments = argparse.ArgumentParser(prog=f"carbonshift {settings_class.service}", description=description)
    arguments.add_argument("--wait", action="store_true", help="wait for the broker instead of failing after 5 s")
    wait = arguments.parse_args().wait
    try:
        settings = settings_class.load()
        if not settings.nats_url and (url := held_url(settings.state_dir / "broker")):
            settings = settings.model_copy(update={"nats_url": url})
        logging.basicConfig(
            level=settings.log_level,
            format=f"%(asctime)s {settings.service} %(levelname)s %(message)s",
            stream=sys.stderr,
        )
        asyncio.run(_run(serve, settings, wait=wait))
    except CarbonShiftError as error:
        fail(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


async def _run(serve: Callable[[S], Awaitable[None]], settings: S, *, wait: bool) -> None:
    await reach_broker(settings, wait=wait, progress=logging.getLogger("carbonshift").warning)
    await serve(settings)


def fail(error: CarbonShiftError) -> NoReturn:
    """One line on stderr; exit code 2 where the user's input is to be mended, 1 for all else."""
    sys.stderr.write(f"carbonshift: {error}\n")
    raise SystemExit(2 if isinstance(error, InputError) else 1)
