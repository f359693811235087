"""Shell of the Anthropic SDK: a question goes out, what came of it comes back."""

import json
from typing import Any

import anthropic

from carbonshift.common.paid_model import RETRIES, CountedHttp, Question, Reason, Told
from carbonshift.explain.settings import ExplainSettings
from carbonshift.explain.writer.answer import SCHEMA
from carbonshift.explain.writer.message import read_message

__all__ = ["FORMAT_BYTES", "Messages"]

FORMAT: Any = {"format": {"type": "json_schema", "schema": SCHEMA}, "effort": "low"}
"""Two sentences take no thinking, and what a model thinks is paid for as what it says."""
FORMAT_BYTES = len(json.dumps(FORMAT))


class Messages:
    """One model behind one API."""

    def __init__(self, settings: ExplainSettings, key: str) -> None:
        self._settings = settings
        self.http = CountedHttp()
        self._sdk = anthropic.AsyncAnthropic(
            api_key=key,
            base_url=settings.anthropic_base_url,
            timeout=settings.anthropic_timeout_seconds,
            max_retries=RETRIES,
            http_client=self.http,
        )

    async def ask(self, question: Question) -> Told:
        """What comes of `question`. Raises what is no trouble of the API's, and asyncio.CancelledError."""
        try:
            response = await self._sdk.messages.with_raw_response.create(
                model=self._settings.anthropic_model,
                system=question.system,
                messages=[{"role": "user", "content": question.user}],
                output_config=FORMAT,
                max_tokens=self._settings.anthropic_output_tokens,
            )
        except anthropic.AnthropicError:
            return Told(reason=self.http.failure or Reason.UNEXPECTED)
        return read_message(response.http_response.content)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._sdk.close()
