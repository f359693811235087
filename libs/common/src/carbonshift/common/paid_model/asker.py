"""Shell of a paid model: journal, model, bill, in that order and within a timeout.

The journal may wait for a disk, or for another process, and is therefore asked in a thread.
"""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from carbonshift.common.answer_journal import AnswerJournal, BudgetSpentError, JournalError
from carbonshift.common.errors import CarbonShiftError, InputError
from carbonshift.common.paid_model.api import Api
from carbonshift.common.paid_model.counted_http import CountedHttp
from carbonshift.common.paid_model.counts import CallCounts
from carbonshift.common.paid_model.question import Question
from carbonshift.common.paid_model.reason import NoAnswerError, Reason
from carbonshift.common.paid_model.tariff import Tariff
from carbonshift.common.paid_model.told import Told
from carbonshift.common.spending import Budget, PaidCall

__all__ = ["Asker", "PaidModel", "Terms", "recording"]

T = TypeVar("T")


class PaidModel(Protocol):
    """One model behind one SDK, which sends by `http`."""

    @property
    def http(self) -> CountedHttp:
        """What the bill is made from."""

    async def ask(self, question: Question) -> Told:
        """What comes of `question`. Raises what is no trouble of the API's, and asyncio.CancelledError."""

    async def close(self) -> None:
        """Let go of the connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which a model is asked."""

    api: Api
    model: str
    does: str
    """What the model is asked for, as the log says it: `proposes`, `writes`."""
    tariff: Tariff
    budget: Budget
    timeout_seconds: float
    """Of all that `attempt` awaits."""


class Asker:
    """Asks one model, one question at a time."""

    def __init__(
        self,
        terms: Terms,
        journal: AnswerJournal,
        model: PaidModel | None,
        counts: CallCounts,
        log: logging.Logger,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Begin.

        Args:
            terms: on which it is asked.
            journal: of what was asked before.
            model: None where answers are only taken from the journal.
            counts: are kept.
            log: is told what went wrong.
            now: the clock by which a day pays.
        """
        self._terms, self._journal, self._model = terms, journal, model
        self._counts, self._log, self._now = counts, log, now
        self._turn = asyncio.Lock()
        self._told: set[str] = set()
        self._settling: set[asyncio.Task[None]] = set()

    @property
    def replays(self) -> bool:
        """Whether answers are only taken from a journal: then they cost nothing."""
        return self._model is None

    async def attempt(self, about: str, attempted: Coroutine[Any, Any, T]) -> T | None:
        """What comes of `attempted`, which may `ask`; None where there is nothing usable, or not within the timeout.

        Raises nothing but asyncio.CancelledError: what went wrong is counted, and logged the first time.
        """
        try:
            async with asyncio.timeout(self._terms.timeout_seconds):
                return await attempted
        except NoAnswerError as error:
            self._dropped(about, error.reason)
        except BudgetSpentError as error:
            self._dropped(about, Reason.BUDGET, error)
        except JournalError as error:
            self._dropped(about, Reason.JOURNAL, error)
        except TimeoutError:
            self._dropped(about, Reason.TIMEOUT)
        except Exception as error:  # noqa: BLE001  nothing fails for want of an answer
            kind = type(error).__name__  # its text may quote what others wrote
            remedy = self._terms.api.remedy_of(Reason.UNEXPECTED)
            self._dropped(about, Reason.UNEXPECTED, CarbonShiftError(kind, remedy))
        return None

    async def ask(self, question: Question) -> str:
        """The text that answers `question`. Raises: NoAnswerError, BudgetSpentError, JournalError."""
        key = question.key(self._terms.model)
        async with self._turn:
            call = await asyncio.to_thread(self._journal.find, key)
            if call is not None and (call.answer is not None or self._model is None):
                self._counts.from_journal += 1
            elif self._model is None:
                raise NoAnswerError(Reason.NOT_RECORDED)
            else:
                call = await self._paid(question, key, self._model)
        if call.answer is None:
            raise NoAnswerError(Reason(call.reason or ""))
        return call.answer

    async def close(self) -> None:
        """Put down what is still to be, and let go of the connections."""
        if self._settling:
            await asyncio.wait(self._settling)
        if self._model:
            await self._model.close()

    async def _paid(self, question: Question, key: str, model: PaidModel) -> PaidCall:
        call = PaidCall(
            id=uuid.uuid4().hex,
            key=key,
            at=self._now(),
            model=self._terms.model,
            usd=self._terms.tariff.most_usd(question),
            reason=Reason.UNANSWERED,
        )
        await asyncio.to_thread(self._journal.reserve, call, self._terms.budget)
        self._counts.calls += 1
        told = Told(reason=Reason.UNEXPECTED)
        model.http.begin()
        try:
            told = await model.ask(question)
        except asyncio.CancelledError:
            told = Told(reason=Reason.TIMEOUT)
            raise
        finally:
            usd = self._terms.tariff.usd(question, told, model.http.billable, model.http.received_bytes)
            settled = call.model_copy(update=asdict(told) | {"usd": usd})
            self._counts.usd += usd
            settling = asyncio.create_task(self._settle(settled))
            self._settling.add(settling)
            settling.add_done_callback(self._settling.discard)
        await asyncio.shield(settling)  # whoever is cancelled does not wait for it, `close` does
        return settled

    async def _settle(self, call: PaidCall) -> None:
        try:
            await asyncio.to_thread(self._journal.settle, call)
        except JournalError as error:  # the reservation holds, and the answer is none the worse
            self._tell(Reason.JOURNAL, error)

    def _dropped(self, about: str, reason: str, error: CarbonShiftError | None = None) -> None:
        counts = self._counts
        counts.dropped = counts.dropped + Counter([reason])  # replaced: Prometheus reads it in its own thread
        remedy = self._terms.api.remedy_of(reason)
        self._tell(reason, error or CarbonShiftError(f"no usable answer ({reason})", remedy), about)

    def _tell(self, reason: str, error: CarbonShiftError, about: str = "") -> None:
        """The first time for people, then for who looks for it."""
        level = logging.DEBUG if reason in self._told else logging.WARNING
        self._told.add(reason)
        self._log.log(level, "%s %s nothing for %r: %s", self._terms.model, self._terms.does, about, error)


def recording(path: Path, api: Api) -> AnswerJournal:
    """The journal at `path`, to take answers from. Raises: InputError where there is none."""
    if not path.is_file():
        raise InputError(f"CARBONSHIFT_{api.name}_ANSWERS={path}: no such file", "name a journal of answers")
    return AnswerJournal(path)
