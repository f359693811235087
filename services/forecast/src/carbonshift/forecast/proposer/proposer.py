"""Shell of the proposer: question, journal, model, check, in that order and within a timeout.

The journal may wait for a disk, or for another process, and is therefore asked in a thread.
"""

import asyncio
import logging
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime

from carbonshift.common.answer_journal import AnswerJournal, BudgetSpentError, JournalError
from carbonshift.common.errors import CarbonShiftError, InputError
from carbonshift.common.events import CarbonBasis
from carbonshift.common.spending import PaidCall
from carbonshift.forecast.forecaster import History, Outlook
from carbonshift.forecast.proposer.answer import outlook_of
from carbonshift.forecast.proposer.chat import Chat
from carbonshift.forecast.proposer.completion import Told
from carbonshift.forecast.proposer.counts import ProposerCounts
from carbonshift.forecast.proposer.points import asked_points
from carbonshift.forecast.proposer.prompt import Question, question_of
from carbonshift.forecast.proposer.reason import NoProposalError, Reason, remedy_of
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["Proposer"]

log = logging.getLogger("carbonshift.forecast")


class Proposer:
    """Asks a language model for numbers; they are proposals, never decisions."""

    def __init__(
        self,
        settings: ForecastSettings,
        journal: AnswerJournal,
        chat: Chat | None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._chat = chat
        self._now = now
        self._turn = asyncio.Lock()
        self._told: set[Reason] = set()
        self._settling: set[asyncio.Task[None]] = set()
        self.counts = ProposerCounts()

    @classmethod
    def of(cls, settings: ForecastSettings) -> "Proposer | None":
        """The proposer that `settings` ask for; None without a key and without answers to take instead.

        Raises: InputError where the file of answers is none, or the API's address, or the key.
        """
        if settings.openai_answers is not None:
            journal = AnswerJournal(settings.openai_answers)
            if not settings.openai_answers.is_file():
                raise InputError(
                    f"CARBONSHIFT_OPENAI_ANSWERS={settings.openai_answers}: no such file", "name a journal of answers"
                )
            return cls(settings, journal, None)
        key = settings.openai_api_key.get_secret_value().strip() if settings.openai_api_key else ""
        return cls(settings, AnswerJournal(settings.state_dir / "openai.jsonl"), Chat(settings, key)) if key else None

    @property
    def name(self) -> str:
        """Of the model, as it stands in forecasts."""
        return self._settings.openai_model

    @property
    def replays(self) -> bool:
        """Whether answers are only taken from a journal: then they cost nothing."""
        return self._chat is None

    async def propose(
        self, region: str, history: History, baseline: Outlook, carbon_basis: CarbonBasis
    ) -> Outlook | None:
        """What the model proposes in the place of `baseline`, in its shape; None where there is nothing usable.

        Raises nothing but asyncio.CancelledError: what went wrong is counted, and logged the first time.
        """
        try:
            async with asyncio.timeout(self._settings.openai_timeout_seconds):
                points = asked_points(baseline.price_usd_per_mwh.p50.size, history.step_seconds)
                text = await self._answer_to(question_of(history, baseline, carbon_basis, points))
            outlook = outlook_of(text, points, history, baseline)
        except NoProposalError as error:
            self._dropped(region, error.reason, error)
        except BudgetSpentError as error:
            self._dropped(region, Reason.BUDGET, error)
        except JournalError as error:
            self._dropped(region, Reason.JOURNAL, error)
        except TimeoutError:
            self._dropped(region, Reason.TIMEOUT, NoProposalError(Reason.TIMEOUT))
        except Exception as error:  # noqa: BLE001  a forecast does not fail for want of a proposal
            kind = type(error).__name__  # its text may quote what others wrote
            self._dropped(region, Reason.UNEXPECTED, CarbonShiftError(kind, remedy_of(Reason.UNEXPECTED)))
        else:
            self.counts.used += 1
            return outlook
        return None

    async def close(self) -> None:
        """Put down what is still to be, and let go of the connections."""
        if self._settling:
            await asyncio.wait(self._settling)
        if self._chat:
            await self._chat.close()

    async def _answer_to(self, question: Question) -> str:
        """The text that answers `question`. Raises: NoProposalError, BudgetSpentError, JournalError."""
        key = question.key(self.name)
        async with self._turn:
            call = await asyncio.to_thread(self._journal.find, key)
            if call is not None and (call.answer is not None or self._chat is None):
                self.counts.from_journal += 1
            elif self._chat is None:
                raise NoProposalError(Reason.NOT_RECORDED)
            else:
                call = await self._paid(question, key, self._chat)
        if call.answer is None:
            raise NoProposalError(Reason(call.reason or ""))
        return call.answer

    async def _paid(self, question: Question, key: str, chat: Chat) -> PaidCall:
        call = PaidCall(
            id=uuid.uuid4().hex,
            key=key,
            at=self._now(),
            model=self.name,
            usd=chat.most_usd(question),
            reason=Reason.UNANSWERED,
        )
        await asyncio.to_thread(self._journal.reserve, call, self._settings.openai_budget)
        self.counts.calls += 1
        told = Told(reason=Reason.UNEXPECTED)
        try:
            told = await chat.ask(question)
        except asyncio.CancelledError:
            told = Told(reason=Reason.TIMEOUT)
            raise
        finally:
            settled = call.model_copy(update=asdict(told) | {"usd": chat.usd(question, told)})
            self.counts.usd += settled.usd
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

    def _dropped(self, region: str, reason: Reason, error: CarbonShiftError) -> None:
        self.counts.dropped = self.counts.dropped + Counter([reason])  # replaced: Prometheus reads it in its own thread
        self._tell(reason, error, region)

    def _tell(self, reason: Reason, error: CarbonShiftError, region: str = "") -> None:
        """The first time for people, then for who looks for it."""
        level = logging.DEBUG if reason in self._told else logging.WARNING
        self._told.add(reason)
        log.log(level, "%s proposes nothing for %r: %s", self.name, region, error)
