"""The API of a paid model, as its user sets it: what it is named by, and what to set otherwise. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import httpx2

from carbonshift.common.errors import InputError
from carbonshift.common.paid_model.reason import Reason

__all__ = ["Api"]

LAST_PORT = 65_535
REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        Reason.NOT_RECORDED: "record that question, or unset CARBONSHIFT_{name}_ANSWERS",
        Reason.UNANSWERED: "record that question anew",
        Reason.TIMEOUT: "raise CARBONSHIFT_{name}_TIMEOUT_SECONDS where it is not rare",
        Reason.UNREACHABLE: "see that {name}_BASE_URL can be reached from here",
        Reason.SERVER_ERROR: "wait: the provider has trouble",
        Reason.UNAUTHORIZED: "correct {name}_API_KEY",
        Reason.RATE_LIMITED: "wait, or raise the limits or the credit of the account",
        Reason.BAD_REQUEST: "set a CARBONSHIFT_{name}_MODEL that this API has, with structured outputs",
        Reason.REDIRECTED: "set {name}_BASE_URL to where the API itself is",
        Reason.UNEXPECTED: "report this",
        Reason.MALFORMED: "see that {name}_BASE_URL is that of {kind}",
        Reason.TOO_LARGE: "see that {name}_BASE_URL is that of {kind}",
        Reason.TRUNCATED: "raise CARBONSHIFT_{name}_OUTPUT_TOKENS",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """One provider's."""

    name: str
    """Its settings are named by it, `OPENAI`: `OPENAI_API_KEY`, `CARBONSHIFT_OPENAI_MODEL`."""
    kind: str
    """What must be found at its address: `an OpenAI-compatible API`."""

    def remedy_of(self, reason: str) -> str:
        """What can be done about it."""
        remedy = REMEDIES.get(reason, "set another CARBONSHIFT_{name}_MODEL where it is not rare")
        return remedy.format(name=self.name, kind=self.kind)

    def check(self, key: str, address: str) -> None:
        """Raises: InputError for a key that cannot be sent, and an address that is none; neither is quoted."""
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise InputError(f"{self.name}_API_KEY is no key", "set it in ASCII, on one line and without spaces")
        if not _is_address(address):
            raise InputError(f"{self.name}_BASE_URL is no address", "write it as https://host/path, or unset it")


def _is_address(text: str) -> bool:
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError):  # its text may quote a password
        return False
    known = url.scheme in {"http", "https"} and bool(url.host) and (url.port or 0) <= LAST_PORT
    return known and not url.userinfo  # which would be logged, and sent in the place of the key
