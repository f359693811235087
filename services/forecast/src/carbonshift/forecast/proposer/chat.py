"""Shell of the OpenAI SDK: a question goes out, what came of it comes back."""

import json
from typing import Any

import openai

from carbonshift.common.paid_model import RETRIES, CountedHttp, Question, Reason, Told
from carbonshift.forecast.proposer.answer import SCHEMA, Answer
from carbonshift.forecast.proposer.completion import read_completion
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["FORMAT_BYTES", "Chat"]

FORMAT: Any = {"type": "json_schema", "json_schema": {"name": Answer.__name__, "schema": SCHEMA, "strict": True}}
FORMAT_BYTES = len(json.dumps(FORMAT))


class Chat:
    """One model behind one API."""

    def __init__(self, settings: ForecastSettings, key: str) -> None:
        self._settings = settings
        self.http = CountedHttp()
        self._sdk = openai.AsyncOpenAI(
            api_key=key,
            base_url=settings.openai_base_url,
            timeout=settings.openai_timeout_seconds,
            max_retries=RETRIES,
            http_client=self.http,
        )

    async def ask(self, question: Question) -> Told:
        """What comes of `question`. Raises what is no trouble of the API's, and asyncio.CancelledError."""
        try:
            response = await self._sdk.chat.completions.with_raw_response.create(
                model=self._settings.openai_model,
                messages=[{"role": "system", "content": question.system}, {"role": "user", "content": question.user}],
                response_format=FORMAT,
                max_completion_tokens=self._settings.openai_output_tokens,
            )
        except openai.OpenAIError:
            return Told(reason=self.http.failure or Reason.UNEXPECTED)
        return read_completion(response.content)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._sdk.close()
