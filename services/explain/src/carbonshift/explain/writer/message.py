"""What the Messages API told: a text or why there is none, and how many tokens it took. Pure."""

from dataclasses import replace

from pydantic import BaseModel, ValidationError

from carbonshift.common.paid_model import LONGEST_TEXT, Reason, Tokens, Told

__all__ = ["read_message"]

CUT_OFF = frozenset({"max_tokens", "model_context_window_exceeded"})


class Block(BaseModel):
    """A part of what a model said; what it thought before is another."""

    type: str
    text: str = ""


class Usage(BaseModel):
    """What is to be paid."""

    input_tokens: Tokens
    cache_creation_input_tokens: Tokens | None = None
    cache_read_input_tokens: Tokens | None = None
    output_tokens: Tokens


class Message(BaseModel):
    """A body of /v1/messages, as far as it is used."""

    content: list[Block]
    stop_reason: str | None = None
    usage: Usage | None = None


def read_message(body: bytes) -> Told:
    """What `body`, which may be anything, tells."""
    try:
        message = Message.model_validate_json(body)
    except ValidationError:
        return Told(reason=Reason.MALFORMED)
    text = "".join(block.text for block in message.content if block.type == "text")
    checks = (
        (message.stop_reason in CUT_OFF, Reason.TRUNCATED),
        (message.stop_reason == "refusal", Reason.REFUSAL),
        (not text, Reason.EMPTY),
        (len(text) > LONGEST_TEXT, Reason.TOO_LONG),
    )
    reason = next((reason for found, reason in checks if found), None)
    told = Told(answer=None if reason else text, reason=reason)
    if (usage := message.usage) is None:
        return told
    cached = (usage.cache_creation_input_tokens or 0) + (usage.cache_read_input_tokens or 0)
    return replace(told, tokens_in=usage.input_tokens + cached, tokens_out=usage.output_tokens)
