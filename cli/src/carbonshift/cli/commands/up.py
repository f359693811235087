"""`carbonshift up`: services on this machine, against the embedded or a given broker."""

import signal
import time
from types import FrameType
from typing import Annotated

import typer

from carbonshift.cli.options import WaitFlag, console, reached_broker
from carbonshift.cli.supervisor import Supervisor
from carbonshift.common.embedded import held_url, listens
from carbonshift.common.errors import BrokerUnreachableError, CarbonShiftError, InputError
from carbonshift.common.settings import SERVICES, Settings

__all__ = ["up"]


def up(
    services: Annotated[list[str] | None, typer.Argument(help=f"Any of {', '.join(SERVICES)}; all by default.")] = None,
    *,
    wait: WaitFlag = False,
) -> None:
    """Run services here until Ctrl-C; one that dies is started again."""
    names = services or list(SERVICES)
    for name in names:
        if name not in SERVICES:
            raise InputError(f"there is no service {name!r}", f"the services are {', '.join(SERVICES)}")
    settings = Settings.load()
    if not settings.nats_url and (url := held_url(settings.state_dir / "broker")):
        remedy = f"end it first, or add services to it with NATS_URL={url}"
        raise InputError(f"another `carbonshift` already runs a broker in {settings.state_dir}", remedy)
    with reached_broker(settings, wait=wait) as url, Supervisor(console.print) as supervisor:
        for name in names:
            supervisor.start_service(name, {"NATS_URL": url})
        console.print(f"{', '.join(names)} on the broker at {url.rpartition('@')[2]}; Ctrl-C ends them")
        _until_told_to_stop(supervisor, None if settings.nats_url else url)


def _until_told_to_stop(supervisor: Supervisor, embedded_url: str | None) -> None:
    stopping = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopping
        del number, frame
        stopping = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    while not stopping:
        if dead := supervisor.check():
            raise CarbonShiftError(f"{dead} keeps ending as soon as it has started", "its last lines above say why")
        if embedded_url and not listens(embedded_url):
            raise BrokerUnreachableError("the embedded broker has ended", "start again; its store is whole")
        time.sleep(0.5)
