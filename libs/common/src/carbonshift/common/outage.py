"""Whether an error is the broker's or the network's and passes by itself, or the message's own."""

from nats import errors
from nats.js.errors import NoStreamResponseError, ServiceUnavailableError

__all__ = ["is_outage"]

PASSING = (
    NoStreamResponseError,
    ServiceUnavailableError,
    errors.ConnectionClosedError,
    errors.NoRespondersError,
    errors.NoServersError,
    errors.OutboundBufferLimitError,
    errors.StaleConnectionError,
    TimeoutError,
    ConnectionError,
)


def is_outage(error: BaseException) -> bool:
    """True for what a new leader, a restarted server or a mended network cures: repeat under the same id."""
    return isinstance(error, PASSING)
