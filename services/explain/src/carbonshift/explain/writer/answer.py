"""What a model answered, as far as it has the shape that was asked for. Pure."""

from pydantic import BaseModel, ConfigDict, ValidationError

from carbonshift.common.paid_model import NoAnswerError, Reason

__all__ = ["SCHEMA", "text_of"]


class Answer(BaseModel):
    """What a model is to fill in."""

    model_config = ConfigDict(strict=True, extra="forbid")

    text: str


SCHEMA = Answer.model_json_schema()


def text_of(answer: str) -> str:
    """The text in `answer`, which may be anything. Raises: NoAnswerError where it has another shape, or no text."""
    try:
        text = Answer.model_validate_json(answer).text.strip()
    except ValidationError as error:
        wrong = {one["type"] for one in error.errors(include_url=False, include_context=False, include_input=False)}
        raise NoAnswerError(Reason.NOT_JSON if "json_invalid" in wrong else Reason.WRONG_SHAPE) from None
    if not text:
        raise NoAnswerError(Reason.EMPTY)
    return text
