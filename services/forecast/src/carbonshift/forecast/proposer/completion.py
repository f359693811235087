"""What an OpenAI-compatible API told: a text or why there is none, and how many tokens it took. Pure."""

from dataclasses import replace

from pydantic import BaseModel, ValidationError

from carbonshift.common.paid_model import LONGEST_TEXT, Reason, Tokens, Told

__all__ = ["read_completion"]


class Message(BaseModel):
    """What a model said."""

    content: str | None = None
    refusal: str | None = None


class Choice(BaseModel):
    """How it ended."""

    finish_reason: str | None = None
    message: Message


class Usage(BaseModel):
    """What is to be paid."""

    prompt_tokens: Tokens
    completion_tokens: Tokens


class Completion(BaseModel):
    """A body of /chat/completions, as far as it is used: other servers than OpenAI's leave out the rest."""

    choices: list[Choice]
    usage: Usage | None = None


def read_completion(body: bytes) -> Told:
    """What `body`, which may be anything, tells."""
    try:
        completion = Completion.model_validate_json(body)
    except ValidationError:
        return Told(reason=Reason.MALFORMED)
    text, reason = _first(completion.choices)
    told = Told(answer=None if reason else text, reason=reason)
    if (usage := completion.usage) is None:
        return told
    return replace(told, tokens_in=usage.prompt_tokens, tokens_out=usage.completion_tokens)


def _first(choices: list[Choice]) -> tuple[str | None, Reason | None]:
    if not choices:
        return None, Reason.EMPTY
    message = choices[0].message
    checks = (
        (choices[0].finish_reason == "length", Reason.TRUNCATED),
        (choices[0].finish_reason == "content_filter", Reason.FILTERED),
        (message.refusal, Reason.REFUSAL),
        (not message.content, Reason.EMPTY),
        (len(message.content or "") > LONGEST_TEXT, Reason.TOO_LONG),
    )
    return message.content, next((reason for found, reason in checks if found), None)
