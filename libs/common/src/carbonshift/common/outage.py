"""Whether an error is the broker's or the network's and passes by itself, or the message's own."""

from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError, ServiceUnavailableError

__all__ = ["is_outage"]


def is_outage(error: BaseException) -> bool:
    """True for what a new leader or a restarted server cures: repeat under the same id."""
    if isinstance(error, APIError):
        return isinstance(error, ServiceUnavailableError | NoStreamResponseError)
    return isinstance(error, NatsError | TimeoutError | OSError)
