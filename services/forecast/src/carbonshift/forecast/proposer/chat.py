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
MOST_BODY_BYTES = 1 << 20
"""Many times what a completion takes that can be used."""
MOST_BYTES_A_TOKEN = 8
"""More than a token has on average in any text: fewer tokens than that are not believed."""
REDIRECTION, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, TOO_MANY, SERVER_ERROR = 300, 400, 401, 403, 429, 500
LAST_PORT = 65_535
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)
FORMAT: Any = {"type": "json_schema", "json_schema": {"name": Answer.__name__, "schema": SCHEMA, "strict": True}}


class Chat:
    """One model behind one API. One question at a time: `billable` is of the last one."""

    def __init__(self, settings: ForecastSettings, key: str) -> None:
        """Raises: InputError for a key that cannot be sent, and an address that is none; neither is quoted."""
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InputError("OPENAI_API_KEY is no key", "set it in ASCII, on one line and without spaces")
        if not _is_address(settings.openai_base_url):
            raise InputError("OPENAI_BASE_URL is no address", "write it as https://host/path, or unset it")
        self._settings = settings
        self._http = _Counted(follow_redirects=False)
        self._sdk = openai.AsyncOpenAI(
            api_key=key,
            base_url=settings.openai_base_url,
            timeout=settings.openai_timeout_seconds,
            max_retries=RETRIES,
            http_client=self._http,
        )

    def most_usd(self, question: Question) -> float:
        """The most that `question` can cost, each retry being paid for: a token is at least one byte."""
        return (1 + RETRIES) * self._request_usd(question)

    def usd(self, question: Question, told: Told) -> float:
        """What the last question cost: what was told of it, and the most for each request nobody told anything of.

        What was told is believed from what the bytes of the question and of what came back must have taken at least, up
        to the most that a request can.
        """
        most_usd = self._request_usd(question)
        if told.tokens_in is None or told.tokens_out is None:
            return self._http.billable * most_usd
        sent_bytes = len(question.system.encode()) + len(question.user.encode())
        least_usd = self._price(sent_bytes // MOST_BYTES_A_TOKEN, self._http.received_bytes // MOST_BYTES_A_TOKEN)
        told_usd = self._price(told.tokens_in, told.tokens_out)
        return min(max(told_usd, least_usd), most_usd) + (self._http.billable - 1) * most_usd

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
        except _TooLargeError:
            return Told(reason=Reason.TOO_LARGE)
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


class _TooLargeError(openai.OpenAIError):
    """A body of more than `MOST_BODY_BYTES`; being one of the SDK's own errors, it is not asked for again."""


class _Counted(openai.DefaultAsyncHttpxClient):
    """Counts the requests that may have to be paid for: those that got out and were not refused. Bodies are bounded."""

    billable = 0
    received_bytes = 0
    """Of the last body."""

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """The whole response as it came over the wire, never unpacked. Raises: _TooLargeError."""
        del stream
        request.headers["accept-encoding"] = "identity"
        self.billable += 1
        try:
            response = await super().send(request, stream=True, **options)
        except NEVER_SENT:
            self.billable -= 1
            raise
        if REDIRECTION <= response.status_code < SERVER_ERROR:
            self.billable -= 1
        body = await _bounded(response)
        self.received_bytes = len(body)
        response.headers.pop("content-encoding", None)
        return httpx2.Response(response.status_code, headers=response.headers, content=body, request=request)


async def _bounded(response: httpx2.Response) -> bytes:
    body = bytearray()
    try:
        async for part in response.aiter_raw():
            body += part
            if len(body) > MOST_BODY_BYTES:
                raise _TooLargeError
    finally:
        await response.aclose()
    return bytes(body)


def _is_address(text: str) -> bool:
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError):  # its text may quote a password
        return False
    return url.scheme in {"http", "https"} and bool(url.host) and (url.port or 0) <= LAST_PORT


def _refused(status: int) -> Reason:
    if status >= SERVER_ERROR:
        return Reason.SERVER_ERROR
    if status < BAD_REQUEST:
        return Reason.REDIRECTED
    by_status = {UNAUTHORIZED: Reason.UNAUTHORIZED, FORBIDDEN: Reason.UNAUTHORIZED, TOO_MANY: Reason.RATE_LIMITED}
    return by_status.get(status, Reason.BAD_REQUEST)
