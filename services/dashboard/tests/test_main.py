import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest


@pytest.fixture
def start(tmp_path):
    """Runs the dashboard as a process of its own; what is given is its environment."""
    started = []

    def run(*arguments, **environment):
        known = {key: value for key, value in os.environ.items() if not key.startswith(("CARBONSHIFT_", "NATS_"))}
        process = subprocess.Popen(
            [sys.executable, "-m", "carbonshift.dashboard", *arguments],
            env={**known, "CARBONSHIFT_STATE_DIR": str(tmp_path), "CARBONSHIFT_HTTP_PORT": "0", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def test_it_ends_at_once_though_a_page_is_open(start, broker_url):
    """`broker_url` is the broker of the state folder: it is found without NATS_URL."""
    process = start()
    url = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
    with urllib.request.urlopen(f"{url}api/v1/events", timeout=10) as events:  # noqa: S310
        assert events.readline().startswith(b"data:")
        begun = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert time.monotonic() - begun < 2.5
    assert "Cancel" not in process.stderr.read()


def test_a_page_that_waits_for_its_broker_is_there_before_it_is(start):
    process = start("--wait", NATS_URL="nats://127.0.0.1:1")
    url = next(found[0] for line in process.stderr if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)))
    with urllib.request.urlopen(f"{url}healthz", timeout=10) as answer:  # noqa: S310
        assert answer.status == 200
    with pytest.raises(urllib.error.HTTPError, match="503"):
        urllib.request.urlopen(f"{url}readyz", timeout=10)  # noqa: S310
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == 0


@pytest.mark.parametrize(
    ("environment", "said", "code"),
    [
        ({"CARBONSHIFT_HTTP_PORT": "many"}, "CARBONSHIFT_HTTP_PORT", 2),
        ({"NATS_URL": "nats://127.0.0.1:1"}, "no NATS broker answers", 1),
        ({}, "NATS_URL is not set", 2),
    ],
)
def test_where_it_cannot_start_it_says_so_in_one_line(start, environment, said, code):
    process = start(**environment)
    assert process.wait(20) == code
    lines = process.stderr.read().splitlines()
    assert said in lines[-1]
    assert "Traceback" not in "".join(lines)


def test_a_port_that_is_taken_is_named(start, broker_url):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start(CARBONSHIFT_HTTP_PORT=str(port))
        assert process.wait(20) == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in process.stderr.read()
