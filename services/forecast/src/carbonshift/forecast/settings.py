"""What forecast can be told."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    SecretStr,
    field_validator,
)
from pydantic_settings import NoDecode

from carbonshift.common.settings import Settings
from carbonshift.common.spending import Budget
from carbonshift.common.time_zone import TimeZone

__all__ = ["ForecastSettings"]

OPENAI_URL = "https://api.openai.com/v1"


class ForecastSettings(Settings):
    """Settings of forecast; all durations are event time, but for those of openai."""

    service: ClassVar[str] = "forecast"

    forecasters: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("direct", "autoreg", "persistence", "seasonal-naive", "day-ahead"), min_length=1
    )
    """Which of the installed forecasters predict, with commas; the first is trusted most until there is evidence."""
    history_seconds: float = Field(default=56 * 86_400.0, gt=0, le=400 * 86_400)
    """How much of the past a forecast is made from."""
    horizon_seconds: float = Field(default=24 * 3_600.0, gt=0, le=7 * 86_400)
    """How far ahead it looks; at least one step. What is beyond four hours is for the planner."""
    every_seconds: float = Field(default=900.0, gt=0, allow_inf_nan=False)
    """A new forecast of a region this long after the last one, as far as the length of its intervals allows."""
    time_zone: TimeZone = "UTC"
    """IANA name of the local clock: by it people get up, and have weekends."""

    openai_api_key: SecretStr | None = Field(
        default=None, repr=False, validation_alias=AliasChoices("OPENAI_API_KEY", "openai_api_key")
    )
    """Key of an OpenAI-compatible API, whose model then proposes numbers; without it none is asked."""
    openai_base_url: Annotated[str, BeforeValidator(lambda value: value or OPENAI_URL)] = Field(
        default=OPENAI_URL,
        repr=False,
        validation_alias=AliasChoices("OPENAI_BASE_URL", "openai_base_url"),
    )
    """Base URL of that API."""
    openai_model: str = Field(default="gpt-4.1", pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}$")
    """The model that proposes; it must offer structured outputs. Its two prices are to be set with it."""
    openai_usd_per_million_input_tokens: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    """What the model takes for reading; the default is gpt-4.1's."""
    openai_usd_per_million_output_tokens: float = Field(default=8.0, ge=0, allow_inf_nan=False)
    """What the model takes for writing; the default is gpt-4.1's."""
    openai_output_tokens: PositiveInt = 2_000
    """The most an answer may take; a model that thinks first needs more, and what is cut off is of no use."""
    openai_timeout_seconds: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    """How long an answer may take on the wall clock, all retries included."""
    openai_calls_per_day: NonNegativeInt = 100
    """Questions a UTC day, of all regions together."""
    openai_usd_per_day: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """What they may cost together; a call that could exceed it is not made."""
    openai_answers: Path | None = None
    """A journal of answers to take them from, `openai.jsonl` of a state folder: then no call is made, key or not."""

    @field_validator("forecasters", mode="before")
    @classmethod
    def _separated(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",")) if isinstance(value, str) else value

    @property
    def openai_budget(self) -> Budget:
        """What a day may take."""
        return Budget(calls_per_day=self.openai_calls_per_day, usd_per_day=self.openai_usd_per_day)
