"""Shell of HTTP under a provider's SDK: requests are counted, bodies bounded, and why the last one failed is known."""

from typing import Any

import httpx2

from carbonshift.common.paid_model.reason import Reason

__all__ = ["CountedHttp"]

MOST_BODY_BYTES = 1 << 20
"""Many times what a completion takes that can be used."""
REDIRECTION, BAD_REQUEST, UNAUTHORIZED, FORBIDDEN, TOO_LARGE, TOO_MANY = 300, 400, 401, 403, 413, 429
SERVER_ERROR = 500
NEVER_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.UnsupportedProtocol)


class CountedHttp(httpx2.AsyncClient):
    """One question at a time: all that is told is since `begin`. Redirects are not followed."""

    billable: int
    """Requests that may have to be paid for: those that got out and were not refused."""
    received_bytes: int
    """Of the last body."""
    failure: Reason | None
    """Why the last request has brought no body to read."""

    def __init__(self) -> None:
        super().__init__(follow_redirects=False)
        self.begin()

    def begin(self) -> None:
        """Forget the question before."""
        self.billable = self.received_bytes = 0
        self.failure = None

    async def send(self, request: httpx2.Request, *, stream: bool = False, **options: Any) -> httpx2.Response:
        """The whole response as it came over the wire, never unpacked; of one that is too large, that it is."""
        del stream
        request.headers["accept-encoding"] = "identity"
        self.billable += 1
        self.failure = Reason.UNREACHABLE
        try:
            response = await super().send(request, stream=True, **options)
            if REDIRECTION <= response.status_code < SERVER_ERROR:
                self.billable -= 1
            body = await _bounded(response)
        except httpx2.HTTPError as error:
            self.billable -= isinstance(error, NEVER_SENT)
            if isinstance(error, httpx2.TimeoutException):
                self.failure = Reason.TIMEOUT
            raise
        if body is None:
            self.failure = Reason.TOO_LARGE
            return httpx2.Response(TOO_LARGE, request=request)  # which no SDK asks for again
        self.failure = _failure(response.status_code)
        self.received_bytes = len(body)
        response.headers.pop("content-encoding", None)
        return httpx2.Response(response.status_code, headers=response.headers, content=body, request=request)


async def _bounded(response: httpx2.Response) -> bytes | None:
    """The body; None where it is too large."""
    body = bytearray()
    try:
        async for part in response.aiter_raw():
            body += part
            if len(body) > MOST_BODY_BYTES:
                return None
    finally:
        await response.aclose()
    return bytes(body)


def _failure(status: int) -> Reason | None:
    if status >= SERVER_ERROR:
        return Reason.SERVER_ERROR
    if status < BAD_REQUEST:
        return Reason.REDIRECTED if status >= REDIRECTION else None
    by_status = {UNAUTHORIZED: Reason.UNAUTHORIZED, FORBIDDEN: Reason.UNAUTHORIZED, TOO_MANY: Reason.RATE_LIMITED}
    return by_status.get(status, Reason.BAD_REQUEST)
