"""Shell of the proposer: a history goes to a language model as numbers, and an outlook comes back."""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from carbonshift.common.answer_journal import AnswerJournal
from carbonshift.common.events import CarbonBasis
from carbonshift.common.paid_model import Api, Asker, CallMetrics, Tariff, Terms, recording
from carbonshift.forecast.forecaster import History, Outlook
from carbonshift.forecast.proposer.answer import outlook_of
from carbonshift.forecast.proposer.chat import FORMAT_BYTES, Chat
from carbonshift.forecast.proposer.counts import ProposerCounts
from carbonshift.forecast.proposer.points import asked_points
from carbonshift.forecast.proposer.prompt import question_of
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["Proposer"]

API = Api(name="OPENAI", kind="an OpenAI-compatible API")

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
        self.counts = ProposerCounts()
        self.name = settings.openai_model
        """Of the model, as it stands in forecasts."""
        self._asker = Asker(_terms(settings), journal, chat, self.counts, log, now)

    @classmethod
    def of(cls, settings: ForecastSettings) -> "Proposer | None":
        """The proposer that `settings` ask for; None without a key and without answers to take instead.

        Raises: InputError where the file of answers is none, or the API's address, or the key.
        """
        if settings.openai_answers is not None:
            return cls(settings, recording(settings.openai_answers, API), None)
        key = settings.openai_api_key.get_secret_value().strip() if settings.openai_api_key else ""
        if not key:
            return None
        API.check(key, settings.openai_base_url)
        return cls(settings, AnswerJournal(settings.state_dir / "openai.jsonl"), Chat(settings, key))

    @property
    def replays(self) -> bool:
        """Whether answers are only taken from a journal: then they cost nothing."""
        return self._asker.replays

    @property
    def metrics(self) -> CallMetrics:
        """What has come of the questions, for Prometheus."""
        return CallMetrics("carbonshift_proposer", self.counts, {"used": "Answers that became proposals."})

    async def propose(
        self, region: str, history: History, baseline: Outlook, carbon_basis: CarbonBasis
    ) -> Outlook | None:
        """What the model proposes in the place of `baseline`, in its shape; None where there is nothing usable.

        Raises nothing but asyncio.CancelledError: what went wrong is counted, and logged the first time.
        """
        return await self._asker.attempt(region, self._proposed(history, baseline, carbon_basis))

    async def close(self) -> None:
        """Put down what is still to be, and let go of the connections."""
        await self._asker.close()

    async def _proposed(self, history: History, baseline: Outlook, carbon_basis: CarbonBasis) -> Outlook:
        points = asked_points(baseline.price_usd_per_mwh.p50.size, history.step_seconds)
        text = await self._asker.ask(question_of(history, baseline, carbon_basis, points))
        outlook = outlook_of(text, points, history, baseline)
        self.counts.used += 1
        return outlook


def _terms(settings: ForecastSettings) -> Terms:
    return Terms(
        api=API,
        model=settings.openai_model,
        does="proposes",
        tariff=Tariff(
            usd_per_million_input_tokens=settings.openai_usd_per_million_input_tokens,
            usd_per_million_output_tokens=settings.openai_usd_per_million_output_tokens,
            output_tokens=settings.openai_output_tokens,
            format_bytes=FORMAT_BYTES,
        ),
        budget=settings.openai_budget,
        timeout_seconds=settings.openai_timeout_seconds,
    )
