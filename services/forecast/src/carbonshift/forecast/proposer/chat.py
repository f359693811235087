"""Shell of the OpenAI SDK: a question goes out, what came of it comes back, with what it cost."""

import json
from typing import Any

import httpx2
import openai

from carbonshift.common.errors import InputError
from carbonshift.forecast.proposer.answer import SCHEMA, Answer
from carbonshift.forecast.proposer.completion import Told, read_completion
from carbonshift.forecast.proposer.prompt import Question
from carbonshift.forecast.proposer.reason import Reason
from carbonshift.forecast.settings import ForecastSettings

__all__ = ["Chat"]

RETRIES = 2
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, TOO_MANY, SERVER_ERROR = 400, 401, 403, 429, 500
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": Answer.__name__, "schema": SCHEMA, "strict": True}}


class Chat:
    """One model behind one API. One question at a time: `billable` is of the last one."""

    def __init__(self, settings: ForecastSettings, key: str) -> None:
        """Raises: InputError for an address that is none."""
        self._settings = settings
        self._http = _Counted()
        try:
            self._sdk = openai.AsyncOpenAI(
                api_key=key,
                base_url=settings.openai_base_url,
                timeout=settings.openai_timeout_seconds,
                max_retries=RETRIES,
                http_client=self._http,
            )
        except httpx2.InvalidURL:  # its text may quote a password
            raise InputError("OPENAI_BASE_URL is no address", "write it as https://host/path, or unset it") from None

    def most_usd(self, question: Question) -> float:
        """The most that `question` can cost, each retry being paid for: a token is at least one byte."""
        return (1 + RETRIES) * self._request_usd(question)

    def usd(self, question: Question, told: Told) -> float:
        """What the last question cost: what was told of it, and the most for each request nobody told anything of."""
        if told.tokens_in is None or told.tokens_out is None:
            return self._http.billable * self._request_usd(question)
        return self._price(told.tokens_in, told.tokens_out) + (self._http.billable - 1) * self._request_usd(question)

    async def ask(self, question: Question) -> Told:
        """What comes of `question`. Raises what is no trouble of the API's, and asyncio.CancelledError."""
        self._http.billable = 0
        try:
            response = await self._sdk.chat.completions.with_raw_response.create(
                model=self._settings.openai_model,
                messages=[{"role": "system", "content": question.system}, {"role": "user", "content": question.user}],
                response_format=FORMAT,
                max_completion_tokens=self._settings.openai_output_tokens,
            )
        except openai.APITimeoutError:
            return Told(reason=Reason.TIMEOUT)
        except openai.APIConnectionError:
            return Told(reason=Reason.UNREACHABLE)
        except openai.APIStatusError as error:
            return Told(reason=_refused(error.status_code))
        return read_completion(response.content)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._sdk.close()

    def _request_usd(self, question: Question) -> float:
        sent = len(question.system.encode()) + len(question.user.encode()) + len(json.dumps(FORMAT))
        return self._price(sent, self._settings.openai_output_tokens)

    def _price(self, tokens_in: int, tokens_out: int) -> float:
        settings = self._settings
        return (
            tokens_in * settings.openai_usd_per_million_input_tokens
            + tokens_out * settings.openai_usd_per_million_output_tokens
        ) / 1e6


class _Counted(openai.DefaultAsyncHttpxClient):
    """Counts the requests that may have to be paid for: those that got out and were not refused."""

    billable = 0

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        self.billable += 1
        try:
            response = await super().send(request, **options)
        except NEVER_SENT:
            self.billable -= 1
            raise
        if BAD_REQUEST <= response.status_code < SERVER_ERROR:
            self.billable -= 1
        return response


def _refused(status: int) -> Reason:
    if status >= SERVER_ERROR:
        return Reason.SERVER_ERROR
    by_status = {UNAUTHORIZED: Reason.UNAUTHORIZED, FORBIDDEN: Reason.UNAUTHORIZED, TOO_MANY: Reason.RATE_LIMITED}
    return by_status.get(status, Reason.BAD_REQUEST)
