"""Two hosts that share a training of two ranks over gloo, each with its own socket and its own way to a real broker."""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import nats
import pytest

from carbonshift.common.embedded import find_binary
from carbonshift.common.events import RunState
from carbonshift.gpu_worker.errors import JobUnknownError, PauseTimeoutError, SeveralProcessesError
from carbonshift.gpu_worker.local_ranks import Reading
from carbonshift.gpu_worker.rank_order import RANK_ORDER, READING, RankOrder, write
from carbonshift.gpu_worker.roster import Presence
from carbonshift.gpu_worker.spread_training import SpreadTraining
from carbonshift.gpu_worker.training_control import TrainingControl
from carbonshift.training.launch import training_environment
from carbonshift.training.page import ACK, TARGET

RANKS, FAR_HOST = Path(__file__).with_name("ranks.py"), Path(__file__).with_name("far_host.py")
LEASE_SECONDS = 2.0
STEPS = 300
PATIENCE_SECONDS = 60.0
PAUSED, RUNNING = RunState.PAUSED, RunState.RUNNING


async def until(found):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not found():
            await asyncio.sleep(0.01)


async def running(host):
    await until(lambda: host.state is RUNNING)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Host:
    """An agent, as far as its training goes."""

    def __init__(self, path, name):
        self.path, self.control = path, TrainingControl(lease_seconds=LEASE_SECONDS)
        self.spread = SpreadTraining(self.control, "carbonshift", name)

    async def open(self, url):
        await self.control.start(self.path)
        await self.connect(url)

    async def connect(self, url):
        async def quiet(_error):
            pass

        self.client = await nats.connect(
            url, no_echo=True, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=quiet
        )
        self.speaking = asyncio.create_task(self.spread.run(self.client))
        self.watching = asyncio.create_task(self._watch_jobs())

    async def _watch_jobs(self):
        """As the agent does it."""
        while True:
            await self.control.changes.get()
            self.spread.look()

    async def close(self):
        await self.fall_silent()
        await self.control.close()

    async def fall_silent(self):
        self.watching.cancel()
        self.speaking.cancel()
        with suppress(asyncio.CancelledError):
            await self.speaking
        await self.client.close()

    @property
    def state(self):
        view = self.control.jobs.get("ranks")
        return view and view.run_state

    @property
    def step(self):
        return self.control.jobs["ranks"].step

    async def whole(self):
        """Wait until the other host is known."""
        await until(lambda: self._problem() is None)

    async def listens(self):
        """Wait until an order to it would arrive."""
        await until(lambda: (spread := self.spread._spreads.get("ranks")) and len(spread.subscriptions) == 2)
        await self.client.flush()

    def _problem(self):
        spread = self.spread._spreads.get("ranks")
        return spread.roster.problem if spread else "unknown"

    async def pause(self):
        """As a worker does it: again, until it has come about."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                await self.whole()
                try:
                    return await self.spread.pause("ranks", PATIENCE_SECONDS)
                except SeveralProcessesError:
                    continue


class Training:
    """Rank 0 under one agent's socket, rank 1 under another's, or both under none."""

    def __init__(self, folder, *paths, steps=STEPS, step_seconds=0.0):
        self.folder = folder
        folder.mkdir()
        port = str(free_port())
        self.processes = []
        for rank, path in enumerate(paths):
            base = os.environ | {
                "RANK": str(rank), "WORLD_SIZE": str(len(paths)), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port
            }  # fmt: skip
            environment = base if path is None else training_environment(path, base, "ranks")
            command = [sys.executable, str(RANKS), "DDP", str(steps), str(folder), "60", str(step_seconds)]
            self.processes.append(subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL))

    async def result(self):
        path = self.folder / "result"
        await until(path.exists)
        return path.read_text()

    def end(self):
        for process in self.processes:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    """The digest of a training left alone."""
    digests = []

    async def of():
        if not digests:
            alone = Training(tmp_path_factory.mktemp("alone") / "training", None, None)
            digests.append(await alone.result())
            alone.end()
        return digests[0]

    return of


@pytest.fixture
def train(tmp_path):
    made = []

    def train(*paths, **more):
        made.append(Training(tmp_path / f"training{len(made)}", *paths, **more))
        return made[-1]

    yield train
    for training in made:
        training.end()


@pytest.fixture
async def hosts(broker_url, tmp_path):
    hosts = [Host(tmp_path / name, name) for name in ("first", "second")]
    for host in hosts:
        await host.open(broker_url)
    yield hosts
    for host in hosts:
        await host.close()


class Broker:
    """One that can be cut and brought back at the same address."""

    def __init__(self, folder):
        port = free_port()
        self.url = f"nats://127.0.0.1:{port}"
        self._command = [find_binary(), "-a", "127.0.0.1", "-p", str(port)]
        self.bring_back()

    def cut(self):
        self._server.kill()
        self._server.wait()

    def bring_back(self):
        self._server = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def own_broker(tmp_path):
    broker = Broker(tmp_path)
    yield broker
    broker.cut()


@pytest.fixture
def far(broker_url, tmp_path):
    """Another agent, in a process of its own."""
    path = tmp_path / "far"
    command = [sys.executable, str(FAR_HOST), str(path), broker_url, str(LEASE_SECONDS)]
    with subprocess.Popen(command) as process:
        process.path = path
        yield process
        process.kill()


@pytest.fixture
async def near(broker_url, tmp_path):
    host = Host(tmp_path / "near", "near")
    await host.open(broker_url)
    yield host
    await host.close()


async def test_ranks_on_two_hosts_stop_at_one_step_every_time_whoever_asks(hosts, train, expected):
    digest = await expected()
    training = train(*(host.path for host in hosts))
    steps = []
    for turn in range(8):
        asking, other = hosts if turn % 3 else reversed(hosts)
        receipt = await asking.pause()
        assert [host.state for host in hosts] == [PAUSED, PAUSED]
        assert [host.step for host in hosts] == [receipt.step, receipt.step]
        assert receipt.memory_used_bytes > 0
        steps.append(receipt.step)
        await asking.spread.resume("ranks")
        assert asking.state is RUNNING
        await running(other)
    assert steps == sorted(set(steps))
    assert steps[-1] < STEPS
    assert await training.result() == digest


class FarBroker:
    """A way to a broker on which each byte is `seconds` late."""

    def __init__(self, url, seconds):
        self._behind, self._seconds, self._tasks = int(url.rpartition(":")[2]), seconds, set()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_):
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader, writer):
        there = await asyncio.open_connection("127.0.0.1", self._behind)
        for source, sink in ((reader, there[1]), (there[0], writer)):
            self._tasks.add(asyncio.create_task(self._carry(source, sink)))

    async def _carry(self, source, sink):
        loop = asyncio.get_running_loop()
        try:
            while part := await source.read(65_536):
                loop.call_later(self._seconds, sink.write, part)
        finally:
            sink.close()


async def test_ranks_stop_at_one_step_where_the_way_to_the_other_host_is_many_steps_long(
    broker_url, tmp_path, train, expected
):
    digest = await expected()
    near, far = Host(tmp_path / "near", "near"), Host(tmp_path / "far", "far")
    async with FarBroker(broker_url, 0.02) as url:
        await near.open(broker_url)
        await far.open(url)
        try:
            training = train(near.path, far.path)
            for asking in (near, far, near, far):
                receipt = await asking.pause()
                assert [host.step for host in (near, far)] == [receipt.step, receipt.step]
                await asking.spread.resume("ranks")
                await until(lambda: PAUSED not in [near.state, far.state])
            assert receipt.step < STEPS
            assert await training.result() == digest
        finally:
            await near.close()
            await far.close()


async def test_a_training_that_both_hosts_hold_runs_again_when_both_have_let_go(hosts, train, expected):
    digest, (first, second) = await expected(), hosts
    training = train(first.path, second.path)
    receipts = await asyncio.gather(first.pause(), second.pause())
    assert receipts[0].step == receipts[1].step
    await first.spread.resume("ranks")
    again = await first.pause()  # a fence: all that the first has said so far has been made out by both
    assert again.step == receipts[0].step
    await first.spread.resume("ranks")
    assert [host.state for host in hosts] == [PAUSED, PAUSED]
    await second.spread.resume("ranks")
    await until(lambda: [host.state for host in hosts] != [PAUSED, PAUSED])
    assert await training.result() == digest


async def test_a_pause_outlasts_many_leases(hosts, train):
    first, second = hosts
    train(first.path, second.path, steps=1_000_000)
    receipt = await second.pause()
    moved = asyncio.create_task(until(lambda: [host.state for host in hosts] != [PAUSED, PAUSED]))
    assert await asyncio.wait([moved], timeout=2.5 * LEASE_SECONDS) == (set(), {moved})
    moved.cancel()
    assert [host.step for host in hosts] == [receipt.step, receipt.step]


async def test_an_agent_that_stops_takes_the_pause_with_it_on_all_hosts(hosts, train, expected):
    digest, (stays, stops) = await expected(), hosts
    training = train(*(host.path for host in hosts))
    await stays.pause()
    await stops.fall_silent()
    await until(lambda: [host.state for host in hosts].count(PAUSED) == 0)
    with pytest.raises((SeveralProcessesError, JobUnknownError)):
        await stays.spread.pause("ranks", 1)
    assert await training.result() == digest


@pytest.mark.parametrize("leads", [True, False], ids=["the leader", "a follower"])
async def test_an_agent_that_is_killed_takes_the_pause_with_it_on_all_hosts(near, far, train, expected, caplog, leads):
    digest = await expected()
    await until(far.path.exists)
    training = train(far.path, near.path) if leads else train(near.path, far.path)
    await near.pause()
    far.kill()
    await until(lambda: near.state is not PAUSED)
    why_by_leader = {
        True: {"here: its leader has not been heard for 2 s"},
        False: {  # whichever of its two signs of life is missed first
            "everywhere: host far has not answered for 2 s",
            "everywhere: of its 2 processes ranks 1 are not heard of",
        },
    }
    (told,) = [record.message for record in caplog.records if "goes on" in record.message]
    assert told.removeprefix("job ranks goes on ") in why_by_leader[leads]
    assert await training.result() == digest


async def test_a_frozen_agent_takes_the_pause_with_it_on_all_hosts(near, far, train, expected, freeze):
    digest = await expected()
    await until(far.path.exists)
    training = train(near.path, far.path)
    await near.pause()
    freeze(far)
    await until(lambda: near.state is not PAUSED)
    assert await training.result() == digest


async def test_a_broker_that_is_cut_ends_the_pause_and_one_that_is_back_lets_it_come_about_again(
    own_broker, tmp_path, train, expected, caplog
):
    digest = await expected()
    hosts = [Host(tmp_path / name, name) for name in ("first", "second")]
    try:
        for host in hosts:
            await host.open(own_broker.url)
        training = train(*(host.path for host in hosts), step_seconds=0.03)
        before = await hosts[1].pause()
        own_broker.cut()
        await until(lambda: PAUSED not in [host.state for host in hosts])
        assert len([record for record in caplog.records if "goes on" in record.message]) == 2  # one a host
        own_broker.bring_back()
        after = await hosts[1].pause()
        assert after.step > before.step
        assert [host.step for host in hosts] == [after.step, after.step]
        await hosts[1].spread.resume("ranks")
        assert await training.result() == digest
    finally:
        for host in hosts:
            await host.close()


async def test_a_training_of_which_ranks_are_missing_is_not_touched_and_they_are_named(hosts, train):
    train(hosts[0].path, None, steps=1_000_000)
    await until(lambda: hosts[0].state)
    with pytest.raises(SeveralProcessesError, match="of its 2 processes ranks 1 are not heard of"):
        await hosts[0].spread.pause("ranks", 1)
    with pytest.raises(JobUnknownError):
        await hosts[1].spread.pause("ranks", 1)


async def test_rubbish_on_the_subjects_of_a_training_is_ignored(hosts, train, caplog):
    train(*(host.path for host in hosts), steps=1_000_000)
    for host in hosts:
        await host.whole()
    rubbish = [b"", b"{}", b"[1]", b"\xff", b'{"host": "x", "worker": "x", "world_size": 2, "ranks": [-1]}']
    async with await nats.connect(hosts[0].client.connected_url.geturl()) as stranger:
        for host in hosts:
            for payload in rubbish:
                await stranger.publish("carbonshift.ranks.ranks.here", payload)
                await stranger.publish(f"carbonshift.ranks.ranks.{host.spread._host}", payload)
        await stranger.flush()
    with caplog.at_level(logging.CRITICAL):
        receipt = await hosts[1].pause()
    assert [host.step for host in hosts] == [receipt.step, receipt.step]
    assert not any(host.speaking.done() for host in hosts)


async def test_a_rank_that_stands_still_lets_all_run_on_after_the_timeout(hosts, train, expected, freeze):
    digest = await expected()
    training = train(*(host.path for host in hosts))
    await hosts[0].whole()
    freeze(training.processes[1])
    with pytest.raises(PauseTimeoutError):
        await hosts[0].spread.pause("ranks", 0.5)
    training.processes[1].send_signal(18)
    assert await training.result() == digest


LOOP = """
import time
from carbonshift.training.autoload import join
from carbonshift.training.gate import gate
opened = gate(join)
while True:
    opened.step_done()
    time.sleep(0.001)
"""


@pytest.fixture
def lone_rank(near, request):
    """Rank 1 of two unless told otherwise; the other one is nowhere."""
    rank = {"RANK": str(getattr(request, "param", 1)), "WORLD_SIZE": "2"}
    environment = training_environment(near.path, os.environ | rank, "ranks")
    with subprocess.Popen([sys.executable, "-c", LOOP], env=environment) as process:
        yield process
        process.kill()


@pytest.fixture
async def order(near, broker_url):
    """What the host answers to an order; a test leads it by hand."""
    async with await nats.connect(broker_url) as client:

        async def order(attempt, turn, leader="leader", **more):
            said = RankOrder(leader=leader, attempt=attempt, round=turn, ranks=(1,), **more)
            subject = f"carbonshift.ranks.ranks.{near.spread._host}"
            return READING.validate_json((await client.request(subject, write(said), timeout=10)).data)

        yield order


async def rest(order, attempt, turn, target):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (reading := await order(attempt, turn, target=target, agreed=target)).quiets != (target,):
            pass
    return reading


async def test_a_host_obeys_no_order_that_comes_late_and_lowers_no_target(near, lone_rank, order):
    await near.listens()
    target = (await order(1, 1)).steps[0] + 100
    reading = await rest(order, 1, 2, target)
    assert (reading.steps, reading.acks) == ((target,), (target,))
    assert (await order(1, 1, target=target + 50)).acks == (target,)  # of an earlier round
    assert (await order(1, 3, target=target - 50)).acks == (target,)
    assert near.control._processes[0].words[TARGET] == target
    assert (await order(1, 3, "another", target=target + 50)).refused == "it follows another leader"
    assert near.state is PAUSED
    await order(1, 4, released=True)
    await running(near)
    assert (await order(1, 5, target=target + 100)).refused == "its ranks were let go"
    again = target + 100_000
    await order(2, 1, target=again)
    await order(1, 6, released=True)  # of the attempt before
    assert not (await order(2, 2, target=again)).refused


async def test_a_new_attempt_begins_with_all_ranks_free(near, lone_rank, order):
    await near.listens()
    first = (await order(1, 1)).steps[0] + 100
    await rest(order, 1, 2, first)
    assert (await order(2, 1)).leaving or near.state is RUNNING
    await rest(order, 2, 2, first + 100)


async def test_a_host_whose_leader_falls_silent_lets_its_ranks_go_and_takes_no_further_order_of_that_pause(
    near, lone_rank, order
):
    await near.listens()
    await rest(order, 1, 2, (await order(1, 1)).steps[0] + 100)
    await running(near)
    assert (await order(1, 3)).refused == "its ranks were let go"


async def test_a_rank_that_is_let_go_here_is_told_to_the_leader(near, lone_rank, order):
    await near.listens()
    await rest(order, 1, 2, (await order(1, 1)).steps[0] + 100)
    await near.control.resume("ranks")
    assert (await order(1, 3)).refused
    assert near.state is RUNNING
    lone_rank.kill()
    await until(lambda: near.state is None)


class Follower:
    """A host with rank 1, played by hand: how far it says that its rank is."""

    def __init__(self, client):
        self._client, self.says, self.orders = client, Reading(steps=(1,), acks=(0,), quiets=(0,)), []

    async def start(self):
        await self._client.subscribe("carbonshift.ranks.ranks.hand", cb=self._answer)
        await self._announce()

    async def _announce(self):
        mine = Presence(host="hand", worker="hand", world_size=2, ranks=(1,))
        await self._client.publish("carbonshift.ranks.ranks.here", write(mine))

    async def _answer(self, message):
        self.orders.append(RANK_ORDER.validate_json(message.data))
        if message.reply:
            await message.respond(write(self.says))
            await self._announce()

    async def orders_more(self, count=2):
        """Wait until what it says now has been heard."""
        so_far = len(self.orders)
        await until(lambda: len(self.orders) >= so_far + count)
        return self.orders[-1]


@pytest.fixture
async def follower(broker_url):
    async with await nats.connect(broker_url) as client:
        yield Follower(client)


@pytest.mark.parametrize("lone_rank", [0], indirect=True)
async def test_a_leader_holds_nobody_before_each_rank_waits_at_the_target_and_is_quiet(near, lone_rank, follower):
    """And lets all go once one says that it does not wait any more."""
    await near.listens()
    await follower.start()
    pause = asyncio.create_task(near.pause())
    await until(lambda: follower.orders and follower.orders[-1].target)
    await until(lambda: near.control._processes[0].words[ACK])
    order = await follower.orders_more()
    assert (order.agreed, near.state) == (0, RUNNING)
    follower.says = Reading(steps=(order.target,), acks=(order.target,), quiets=(0,))
    await until(lambda: near.state is PAUSED)
    order = await follower.orders_more()
    assert (order.agreed, order.held, pause.done()) == (order.target, False, False)
    follower.says = Reading(steps=(order.target,), acks=(order.target,), quiets=(order.target,))
    assert (await pause).step == order.target
    await until(lambda: follower.orders[-1].held)
    follower.says = Reading(refused="it has gone")
    await running(near)
    await until(lambda: follower.orders[-1].released)
