"""Shell of the pause of a job whose ranks are on several hosts: their agents' word to one another, over core NATS.

The agent of rank 0 leads: `Agreement` judges over all ranks, which it reads and writes by request and reply. Whoever
has not heard from the other side for a lease lets its own ranks go, and the leader then lets all go.
"""

import asyncio
import logging
import time
import uuid
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from carbonshift.gpu_worker.agreement import Agreement, steps_ahead
from carbonshift.gpu_worker.errors import (
    JobUnknownError,
    PauseInterruptedError,
    PauseTimeoutError,
    RanksLostError,
    SeveralProcessesError,
)
from carbonshift.gpu_worker.local_ranks import LocalRanks, Reading
from carbonshift.gpu_worker.rank_order import PRESENCE, RANK_ORDER, READING, RankOrder, read, write
from carbonshift.gpu_worker.roster import Presence, Roster
from carbonshift.gpu_worker.training_control import LOOK_SECONDS, PauseReceipt, TrainingControl

__all__ = ["SpreadTraining"]

ANNOUNCE_SECONDS = 1.0
RETRY_SECONDS = 1.0
"""Between two attempts at a pause, after one that did not come about."""
RESEND_SECONDS = 0.1
"""Between two sendings of an order that could not be delivered."""
LEADERS_OWN = 1 << 62
"""The leader knows its own wishes before it utters them."""

log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class _Rest:
    """All ranks are quiet."""

    step: int
    heard: int
    """The last wish of this host that had been heard by then."""


@dataclass(kw_only=True)
class _Led:
    """A pause that this host leads."""

    attempt: int
    ranks: LocalRanks
    others: Mapping[str, Presence]
    heard_seconds: dict[str, float]
    round: int = 0
    target: int = 0
    agreed: int = 0


@dataclass(kw_only=True)
class _Followed:
    """A pause that another host leads."""

    leader: str
    attempt: int
    ranks: LocalRanks
    round: int
    lease: asyncio.TimerHandle


@dataclass(kw_only=True)
class _Spread:
    """A job of which only some ranks are here."""

    job: str
    roster: Roster
    subscriptions: list[Subscription] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once when something has changed, then replaced by a new one: take it before you look."""
    pausing: asyncio.Lock = field(default_factory=asyncio.Lock)
    known: Mapping[str, Presence] = field(default_factory=dict)
    """The hosts as they were when last something was made of them."""
    gone: bool = False
    rest: _Rest | None = None
    led: _Led | None = None
    leading: asyncio.Task[None] | None = None
    not_before_seconds: float = 0.0
    followed: _Followed | None = None
    over: dict[str, int] = field(default_factory=dict)
    """The last attempt of each leader that has ended here: it does not begin again."""

    def notify(self) -> None:
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()


class SpreadTraining:
    """Pauses and resumes jobs as TrainingControl does, those too whose ranks are on several hosts.

    A job that is whole here is TrainingControl's alone, and needs no broker.
    """

    def __init__(self, control: TrainingControl, subject_prefix: str, worker: str) -> None:
        self._control, self._prefix, self._worker = control, subject_prefix, worker
        self._lease_seconds = control.lease_seconds
        self._host = uuid.uuid4().hex
        self._client: Client | None = None
        self._spreads: dict[str, _Spread] = {}
        self._attempts = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    async def run(self, client: Client) -> None:
        """Speak with the other hosts, for ever."""
        self._client = client
        try:
            while True:
                self._news.clear()
                await self._look()
                with suppress(TimeoutError):
                    async with asyncio.timeout(ANNOUNCE_SECONDS):
                        await self._news.wait()
        finally:
            for spread in [*self._spreads.values()]:
                await self._drop(spread)
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._client = None

    def look(self) -> None:
        """A process has joined or left: say so at once."""
        self._news.set()

    async def pause(self, job: str, timeout_seconds: float) -> PauseReceipt:
        """Stop `job` on all hosts at one step, and wait until all its devices are quiet. It stays so until `resume`.

        Raises: as TrainingControl.pause; SeveralProcessesError where not every rank is known at one host.
        """
        ranks = self._control.ranks(job)
        if ranks.whole:
            return await self._control.pause(job, timeout_seconds)
        spread = self._spreads.get(job)
        roster = spread.roster if spread else Roster(self._presence(ranks), self._lease_seconds)
        if spread is None or roster.problem:
            raise _not_whole(job, roster.problem)
        async with spread.pausing:
            return await self._pause(spread, timeout_seconds)

    async def _pause(self, spread: _Spread, timeout_seconds: float) -> PauseReceipt:
        began, before = time.monotonic(), spread.roster.mine.wants
        try:
            async with asyncio.timeout(timeout_seconds):
                wish = await self._wish(spread, wants=True, asks_seconds=timeout_seconds)
                rest = await self._at_rest(spread, wish)
        except TimeoutError as error:
            await self._wish(spread, wants=before)
            raise PauseTimeoutError(
                f"job {spread.job} did not come to rest on all hosts within {timeout_seconds:g} s",
                "try again with a longer wait than its longest step; it runs on",
            ) from error
        except BaseException:
            await self._wish(spread, wants=before)
            raise
        await self._wish(spread, wants=True)
        seconds = time.monotonic() - began
        memory_bytes = self._control.ranks(spread.job).memory_used_bytes
        return PauseReceipt(step=rest.step, seconds=seconds, memory_used_bytes=memory_bytes)

    async def resume(self, job: str) -> None:
        """Let `job` go on once no other host holds it. Raises JobUnknownError."""
        spread = self._spreads.get(job)
        if spread is None or self._control.ranks(job).whole:
            return await self._control.resume(job)
        wish = await self._wish(spread, wants=False)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._lease_seconds):
                while spread.rest and spread.rest.heard < wish:
                    await spread.changed.wait()
        return None

    async def _at_rest(self, spread: _Spread, wish: int) -> _Rest:
        while True:
            changed = spread.changed
            if spread.gone:
                raise PauseInterruptedError(f"job {spread.job} ended during the pause", "nothing is left to pause")
            if problem := spread.roster.problem:
                raise _not_whole(spread.job, problem)
            if spread.rest and spread.rest.heard >= wish:
                return spread.rest
            await changed.wait()

    async def _wish(self, spread: _Spread, *, wants: bool, asks_seconds: float | None = None) -> int:
        """Change this host's mind, and say so. Returns the number of the wish."""
        mine = spread.roster.mine
        wish = mine.wish + 1
        spread.roster.mine = replace(mine, wants=wants, asks_seconds=asks_seconds, wish=wish)
        self._weigh(spread)
        await self._announce(spread)
        return wish

    # who is here

    async def _look(self) -> None:
        """Say anew of each job what of it is here."""
        jobs = {job: self._control.ranks(job) for job in self._control.jobs}
        for spread in [*self._spreads.values()]:
            if spread.job not in jobs or jobs[spread.job].whole:
                await self._drop(spread)
        for job, ranks in jobs.items():
            if ranks.whole:
                continue
            spread = self._spreads.get(job) or await self._take(job, ranks)
            roster = spread.roster
            roster.mine = replace(roster.mine, ranks=ranks.numbers, world_size=ranks.world_size)
            if spread.followed and not spread.followed.ranks.unbroken:
                self._let_go(spread, "a rank here has gone or was let go")
            roster.forget_silent(time.monotonic())
            self._weigh(spread)
            await self._announce(spread)

    async def _take(self, job: str, ranks: LocalRanks) -> _Spread:
        spread = _Spread(job=job, roster=Roster(self._presence(ranks), self._lease_seconds))
        self._spreads[job] = spread
        if self._client is not None:
            for subject, heard in (
                (self._subject(job, "here"), partial(self._on_presence, spread)),
                (self._subject(job, self._host), partial(self._on_order, spread)),
            ):
                spread.subscriptions.append(await self._client.subscribe(subject, cb=heard))
        return spread

    def _presence(self, ranks: LocalRanks) -> Presence:
        return Presence(host=self._host, worker=self._worker, world_size=ranks.world_size, ranks=ranks.numbers)

    def _ranks_here(self, spread: _Spread) -> LocalRanks | None:
        """None where the last has just left, and nothing has been made of it yet."""
        try:
            return self._control.ranks(spread.job)
        except JobUnknownError:
            return None

    async def _drop(self, spread: _Spread) -> None:
        """None of its ranks is here any more, or all are."""
        self._spreads.pop(spread.job, None)
        spread.gone = True
        spread.roster.mine = replace(spread.roster.mine, ranks=(), wants=False, asks_seconds=None)
        self._call_off(spread)
        self._let_go(spread)
        spread.notify()
        await self._announce(spread)
        for subscription in spread.subscriptions:
            with suppress(NatsError):
                await subscription.unsubscribe()

    async def _announce(self, spread: _Spread) -> None:
        await self._publish(self._subject(spread.job, "here"), write(spread.roster.mine))

    async def _on_presence(self, spread: _Spread, message: Msg) -> None:
        presence = read(PRESENCE, message)
        if presence is None or spread.gone:
            return
        new = spread.roster.hear(presence, time.monotonic())
        self._weigh(spread)
        if new:
            await self._announce(spread)

    # the leader

    def _weigh(self, spread: _Spread) -> None:
        """Begin a pause, or end one, where this host leads and what is known asks for it."""
        roster, led = spread.roster, spread.led
        if led is not None:
            others = {host: one.ranks for host, one in roster.hosts.items() if host != self._host}
            if roster.problem or others != {host: one.ranks for host, one in led.others.items()}:
                self._call_off(spread, roster.problem or "its ranks have moved between hosts")
            elif not roster.wanted:
                self._call_off(spread)
        elif self._may_begin(spread) and roster.leader == self._host and (seconds := roster.asked_seconds):
            self._begin(spread, seconds)
        if (hosts := dict(roster.hosts)) != spread.known:
            spread.known = hosts
            spread.notify()

    def _may_begin(self, spread: _Spread) -> bool:
        return spread.leading is None and not spread.gone and time.monotonic() >= spread.not_before_seconds

    def _begin(self, spread: _Spread, seconds: float) -> None:
        ranks = self._ranks_here(spread)
        if ranks is None or ranks.numbers != spread.roster.mine.ranks:
            return  # the next look tells the others
        self._attempts += 1
        now = time.monotonic()
        others = {host: one for host, one in spread.roster.hosts.items() if host != self._host}
        led = _Led(attempt=self._attempts, ranks=ranks, others=others, heard_seconds=dict.fromkeys(others, now))
        spread.led = led
        spread.leading = self._spawn(self._lead(spread, led, seconds))
        spread.leading.add_done_callback(partial(self._led_no_more, spread))

    def _call_off(self, spread: _Spread, problem: str | None = None) -> None:
        """End the pause that this host leads, if there is one."""
        if spread.led is None or spread.leading is None:
            return
        if problem:
            log.warning("job %s goes on everywhere: %s", spread.job, problem)
            spread.not_before_seconds = time.monotonic() + RETRY_SECONDS
        spread.led.ranks.release()
        spread.led = spread.rest = None
        spread.leading.cancel()
        spread.notify()

    def _led_no_more(self, spread: _Spread, task: asyncio.Task[None]) -> None:
        spread.leading = None
        if not task.cancelled() and (error := task.exception()):
            log.error("the pause of job %s failed; it goes on everywhere", spread.job, exc_info=error)
        spread.notify()
        self._weigh(spread)

    async def _lead(self, spread: _Spread, led: _Led, seconds: float) -> None:
        """Bring all ranks to rest and keep them there, until cancelled or until one is lost."""
        try:
            try:
                async with asyncio.timeout(seconds):
                    spread.rest = await self._agree(led, spread)
            except TimeoutError:
                raise RanksLostError(
                    f"its ranks did not come to rest within {seconds:g} s", "it is tried again"
                ) from None
            spread.notify()
            while True:
                changed = spread.changed
                await self._exchange(led, spread)
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._lease_seconds / 4):
                        await changed.wait()
        except RanksLostError as error:
            log.warning("job %s goes on everywhere: %s", spread.job, error.problem)
            spread.not_before_seconds = time.monotonic() + RETRY_SECONDS
        finally:
            spread.led = spread.rest = None
            led.ranks.release()
            for host in led.others:
                order = RankOrder(leader=self._host, attempt=led.attempt, round=led.round, ranks=(), released=True)
                await self._publish(self._subject(spread.job, host), write(order))

    async def _agree(self, led: _Led, spread: _Spread) -> _Rest:
        """Stop all ranks at one step, and wait until all are quiet there."""
        agreement: Agreement | None = None
        first, first_seconds = await self._exchange(led, spread), time.monotonic()
        while True:
            began = time.monotonic()
            reading, now = await self._exchange(led, spread), time.monotonic()
            if agreement is None:
                if reading.leaving:  # the pause before this one
                    await asyncio.sleep(LOOK_SECONDS)
                    continue
                seen = (max(reading.steps) - max(first.steps)) / (now - first_seconds)
                usual = self._control.jobs[spread.job].steps_per_s or 0.0
                agreement = Agreement(steps_ahead(now - began, max(seen, usual)))
            if target := agreement.next_target(reading.steps, reading.acks, now):
                led.target, led.agreed = target, 0
                continue
            if agreement.agreed(reading.acks):
                led.agreed = agreement.target
                if all(quiet == led.agreed for quiet in reading.quiets):
                    return _Rest(step=led.agreed, heard=LEADERS_OWN)
            await asyncio.sleep(LOOK_SECONDS)

    async def _exchange(self, led: _Led, spread: _Spread) -> Reading:
        """Write what has been decided to all ranks, then read all. Raises RanksLostError."""
        _demand_unbroken(led.ranks)
        _write(led.ranks, led.target, led.agreed)
        led.round += 1
        answers: list[asyncio.Task[Reading]] = []
        try:
            async with asyncio.TaskGroup() as asking:
                answers = [asking.create_task(self._ask(led, spread, host)) for host in led.others]
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None
        _demand_unbroken(led.ranks)
        reading = led.ranks.read()
        for answer in answers:
            reading = reading.beside(answer.result())
        return reading

    async def _ask(self, led: _Led, spread: _Spread, host: str) -> Reading:
        """What a host answers; asked again until it has been silent for a lease."""
        presence = led.others[host]
        order = RankOrder(
            leader=self._host,
            attempt=led.attempt,
            round=led.round,
            ranks=presence.ranks,
            target=led.target,
            agreed=led.agreed,
            held=spread.rest is not None,
            heard=spread.roster.hosts.get(host, presence).wish,
        )
        while (left_seconds := led.heard_seconds[host] + self._lease_seconds - time.monotonic()) > 0:
            answer = await self._request(spread.job, host, order, min(left_seconds, self._lease_seconds / 4))
            if answer is None:
                await asyncio.sleep(RESEND_SECONDS)
                continue
            if answer.refused or len(answer.steps) != len(presence.ranks):
                raise RanksLostError(f"{presence.worker}: {answer.refused or 'ranks are missing'}", "it is tried again")
            led.heard_seconds[host] = time.monotonic()
            return answer
        raise RanksLostError(
            f"host {presence.worker} has not answered for {self._lease_seconds:g} s", "is its agent or the broker down?"
        )

    # the others

    async def _on_order(self, spread: _Spread, message: Msg) -> None:
        order = read(RANK_ORDER, message)
        if order is None:
            return
        answer = Reading(refused="no rank is here") if spread.gone else self._obey(spread, order)
        if message.reply:
            await self._publish(message.reply, write(answer))

    def _obey(self, spread: _Spread, order: RankOrder) -> Reading:
        followed = spread.followed
        if followed and followed.leader == order.leader and followed.attempt < order.attempt:
            self._let_go(spread)
        if order.released:
            if followed and (followed.leader, followed.attempt) == (order.leader, order.attempt):
                self._let_go(spread)
            spread.over[order.leader] = max(order.attempt, spread.over.get(order.leader, 0))
            return Reading()
        try:
            followed = self._followed(spread, order)
        except RanksLostError as error:
            return Reading(refused=error.problem)
        if order.round >= followed.round:
            followed.round = order.round
            followed.lease.cancel()
            followed.lease = self._new_lease(spread)
            _write(followed.ranks, order.target, order.agreed)
            if order.held:
                spread.rest = _Rest(step=order.agreed, heard=order.heard)
                spread.notify()
        return followed.ranks.read()

    def _followed(self, spread: _Spread, order: RankOrder) -> _Followed:
        """The pause that `order` is of, begun where it is the first of it. Raises RanksLostError."""
        if order.attempt <= spread.over.get(order.leader, 0):
            raise RanksLostError("its ranks were let go", "begin another pause")
        if spread.followed is None:
            ranks = self._ranks_here(spread)
            if ranks is None:
                raise RanksLostError("no rank is here", "begin another pause")
            spread.followed = _Followed(
                leader=order.leader, attempt=order.attempt, ranks=ranks, round=0, lease=self._new_lease(spread)
            )
        followed = spread.followed
        if followed.leader != order.leader:
            raise RanksLostError("it follows another leader", "there may be one alone")
        if not followed.ranks.unbroken or followed.ranks.numbers != order.ranks:
            problem = "a rank here has gone or was let go"
            self._let_go(spread, problem)
            raise RanksLostError(problem, "begin another pause")
        return followed

    def _new_lease(self, spread: _Spread) -> asyncio.TimerHandle:
        problem = f"its leader has not been heard for {self._lease_seconds:g} s"
        return asyncio.get_running_loop().call_later(self._lease_seconds, self._let_go, spread, problem)

    def _let_go(self, spread: _Spread, problem: str | None = None) -> None:
        """End the pause that another host leads, if there is one, as far as the ranks here go."""
        followed = spread.followed
        if followed is None:
            return
        if problem:
            log.warning("job %s goes on here: %s", spread.job, problem)
        followed.lease.cancel()
        followed.ranks.release()
        spread.over[followed.leader] = followed.attempt
        spread.followed = spread.rest = None
        spread.notify()

    # the broker

    def _subject(self, job: str, to: str) -> str:
        return f"{self._prefix}.ranks.{job}.{to}"

    async def _publish(self, subject: str, payload: bytes) -> None:
        """Send now or never: what waited for a broker to come back would be obeyed too late."""
        if self._client is not None and self._client.is_connected:
            try:
                await self._client.publish(subject, payload)
            except (NatsError, OSError) as error:
                log.debug("%s: %s", subject, error)

    async def _request(self, job: str, host: str, order: RankOrder, seconds: float) -> Reading | None:
        if self._client is None or not self._client.is_connected:
            return None
        try:
            return read(READING, await self._client.request(self._subject(job, host), write(order), timeout=seconds))
        except (NatsError, OSError, TimeoutError) as error:
            log.debug("%s of %s: %s", host, job, error or type(error).__name__)
            return None

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _write(ranks: LocalRanks, target: int, agreed: int) -> None:
    if target:
        ranks.stop_at(target)
    if agreed:
        ranks.agree(agreed)


def _demand_unbroken(ranks: LocalRanks) -> None:
    if not ranks.unbroken:
        raise RanksLostError("a rank here has gone or was let go", "it is paused again once all are there")


def _not_whole(job: str, problem: str | None) -> SeveralProcessesError:
    return SeveralProcessesError(
        f"job {job} is not whole: {problem}",
        "only all of its processes can be paused together; until then cap its power instead, it runs on",
    )
