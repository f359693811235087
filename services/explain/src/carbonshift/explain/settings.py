"""What explain can be told."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field, NonNegativeInt, PositiveInt, SecretStr

from carbonshift.common.settings import Settings
from carbonshift.common.spending import Budget
from carbonshift.common.time_zone import TimeZone

__all__ = ["ExplainSettings"]

ANTHROPIC_URL = "https://api.anthropic.com"


class ExplainSettings(Settings):
    """Settings of explain; all durations are wall time."""

    service: ClassVar[str] = "explain"

    time_zone: TimeZone = "UTC"
    """IANA name of the local clock: narratives tell their times by it, and a digest has its day."""
    answer_seconds: float = Field(default=5.0, ge=0, le=60)
    """How long a narrative waits for what the fleet makes of the change; in a replay no longer than an interval."""

    anthropic_api_key: SecretStr | None = Field(
        default=None, repr=False, validation_alias=AliasChoices("ANTHROPIC_API_KEY", "anthropic_api_key")
    )
    """Key of the Claude API, whose model then writes narratives; without it all are told by template."""
    anthropic_base_url: Annotated[str, BeforeValidator(lambda value: value or ANTHROPIC_URL)] = Field(
        default=ANTHROPIC_URL,
        repr=False,
        validation_alias=AliasChoices("ANTHROPIC_BASE_URL", "anthropic_base_url"),
    )
    """Base URL of that API."""
    anthropic_model: str = Field(default="claude-sonnet-5-5", pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,99}$")
    """The model that writes; it must offer structured outputs and effort. Its two prices are to be set with it."""
    anthropic_usd_per_million_input_tokens: float = Field(default=2.0, ge=0, allow_inf_nan=False)
    """What the model takes for reading; the default is claude-sonnet-5-5's."""
    anthropic_usd_per_million_output_tokens: float = Field(default=10.0, ge=0, allow_inf_nan=False)
    """What the model takes for writing; the default is claude-sonnet-5-5's."""
    anthropic_output_tokens: PositiveInt = 1_000
    """The most an answer may take, thinking included; what is cut off is of no use."""
    anthropic_timeout_seconds: float = Field(default=20.0, gt=0, allow_inf_nan=False)
    """How long a narrative may take, all retries and the second try included."""
    anthropic_calls_per_day: NonNegativeInt = 200
    """Questions a UTC day, of all regions together."""
    anthropic_usd_per_day: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    """What they may cost together; a call that could exceed it is not made."""
    anthropic_seconds_between_calls: float = Field(default=300.0, ge=0, allow_inf_nan=False)
    """Of one region at most one transition in so long is given to the model; the others are told by template."""
    anthropic_answers: Path | None = None
    """A journal of answers to take them from, `anthropic.jsonl` of a state folder: then no call is made, key or not."""

    @property
    def anthropic_budget(self) -> Budget:
        """What a day may take."""
        return Budget(calls_per_day=self.anthropic_calls_per_day, usd_per_day=self.anthropic_usd_per_day)
