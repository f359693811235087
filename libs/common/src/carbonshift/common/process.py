"""Runs one service as a process: settings, logging, the wait for its broker, one clear line where it cannot start."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable
from typing import NoReturn, Protocol, TypeVar

from carbonshift.common.embedded import held_url
from carbonshift.common.errors import CarbonShiftError, InputError
from carbonshift.common.logs import set_up_logs
from carbonshift.common.service import Service
from carbonshift.common.settings import Settings

__all__ = ["Serve", "fail", "run_process", "run_service"]

LOOK_SECONDS = 0.5
"""How often FastStream looks whether it shall stop: each look wakes a process that may have nothing else to do."""

S = TypeVar("S", bound=Settings)
S_contra = TypeVar("S_contra", bound=Settings, contravariant=True)


class Serve(Protocol[S_contra]):
    """Serves until it is told to stop; a broker that does not answer is waited for with `wait`, and else an error."""

    async def __call__(self, settings: S_contra, *, wait: bool) -> None: ...


def run_service(build: Callable[[S], Service], settings_class: type[S]) -> None:
    """Run until SIGTERM or SIGINT; one line on stderr where the service cannot start."""

    async def serve(settings: S, *, wait: bool) -> None:
        service = build(settings)
        await service.run(log_level=logging.DEBUG, run_extra_options={"wait": wait}, sleep_time=LOOK_SECONDS)

    run_process(serve, settings_class, build.__doc__)


def run_process(serve: Serve[S], settings_class: type[S], description: str | None) -> None:
    """Await `serve`; one line on stderr where it cannot start."""
    arguments = argparse.ArgumentParser(prog=f"carbonshift {settings_class.service}", description=description)
    arguments.add_argument("--wait", action="store_true", help="wait for the broker instead of failing after 5 s")
    wait = arguments.parse_args().wait
    settings = None
    try:
        settings = settings_class.load()
        if not settings.nats_url and (url := held_url(settings.state_dir / "broker")):
            settings = settings.model_copy(update={"nats_url": url})
        set_up_logs(settings)
        asyncio.run(serve(settings, wait=wait))
    except CarbonShiftError as error:
        if settings and settings.log_format == "json":
            logging.getLogger("carbonshift").critical("%s", error)
            raise SystemExit(_exit_code(error)) from None
        fail(error)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def fail(error: CarbonShiftError) -> NoReturn:
    """One line on stderr; exit code 2 where the user's input is to be mended, 1 for all else."""
    sys.stderr.write(f"carbonshift: {error}\n")
    raise SystemExit(_exit_code(error))


def _exit_code(error: CarbonShiftError) -> int:
    return 2 if isinstance(error, InputError) else 1
