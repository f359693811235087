"""Shell of the writer: a fact sheet goes to Claude, and a text comes back that says nothing else."""

import logging

from carbonshift.common.answer_journal import AnswerJournal
from carbonshift.common.paid_model import Api, Asker, CallMetrics, NoAnswerError, Tariff, Terms, recording
from carbonshift.explain.facts import FactSheet
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.verification import plain, violations
from carbonshift.explain.writer.answer import text_of
from carbonshift.explain.writer.counts import MEANINGS, WriterCounts
from carbonshift.explain.writer.messages import FORMAT_BYTES, Messages
from carbonshift.explain.writer.prompt import question_of

__all__ = ["UNVERIFIED", "Writer"]

API = Api(name="ANTHROPIC", kind="the Messages API of Claude")
UNVERIFIED = "unverified"
"""Why a text is dropped that has something wrong with it on the second try as well."""

log = logging.getLogger("carbonshift.explain")


class Writer:
    """Has Claude tell a transition. What it writes is believed only as far as it can be checked."""

    def __init__(self, settings: ExplainSettings, journal: AnswerJournal, messages: Messages | None) -> None:
        self.counts = WriterCounts()
        self.name = settings.anthropic_model
        """Of the model, as it stands in narratives."""
        self._asker = Asker(_terms(settings), journal, messages, self.counts, log)

    @classmethod
    def of(cls, settings: ExplainSettings) -> "Writer | None":
        """The writer that `settings` ask for; None without a key and without answers to take instead.

        Raises: InputError where the file of answers is none, or the API's address, or the key.
        """
        if settings.anthropic_answers is not None:
            return cls(settings, recording(settings.anthropic_answers, API), None)
        key = settings.anthropic_api_key.get_secret_value().strip() if settings.anthropic_api_key else ""
        if not key:
            return None
        API.check(key, settings.anthropic_base_url)
        return cls(settings, AnswerJournal(settings.state_dir / "anthropic.jsonl"), Messages(settings, key))

    @property
    def replays(self) -> bool:
        """Whether answers are only taken from a journal: then they cost nothing."""
        return self._asker.replays

    @property
    def metrics(self) -> CallMetrics:
        """What has come of the questions, for Prometheus."""
        return CallMetrics("carbonshift_writer", self.counts, MEANINGS)

    async def write(self, sheet: FactSheet) -> str | None:
        """A text about `sheet` that says nothing else; None where there is none, or not within the timeout.

        Raises nothing but asyncio.CancelledError: what went wrong is counted, and logged the first time.
        """
        return await self._asker.attempt(sheet.region, self._written(sheet))

    async def close(self) -> None:
        """Put down what is still to be, and let go of the connections."""
        await self._asker.close()

    async def _written(self, sheet: FactSheet) -> str:
        text, wrong = await self._tried(sheet)
        if not wrong:
            self.counts.accepted_at_first += 1
            return text
        self.counts.retries += 1
        text, wrong = await self._tried(sheet, wrong)
        if wrong:
            raise NoAnswerError(UNVERIFIED)
        self.counts.accepted_at_second += 1
        return text

    async def _tried(self, sheet: FactSheet, wrong: tuple[str, ...] = ()) -> tuple[str, tuple[str, ...]]:
        """A text, and what is wrong with it, given what was wrong with the one before."""
        text = plain(text_of(await self._asker.ask(question_of(sheet, wrong))))
        found = violations(text, sheet)
        self.counts.violations += len(found)
        return text, found


def _terms(settings: ExplainSettings) -> Terms:
    return Terms(
        api=API,
        model=settings.anthropic_model,
        does="writes",
        tariff=Tariff(
            usd_per_million_input_tokens=settings.anthropic_usd_per_million_input_tokens,
            usd_per_million_output_tokens=settings.anthropic_usd_per_million_output_tokens,
            output_tokens=settings.anthropic_output_tokens,
            format_bytes=FORMAT_BYTES,
        ),
        budget=settings.anthropic_budget,
        timeout_seconds=settings.anthropic_timeout_seconds,
    )
