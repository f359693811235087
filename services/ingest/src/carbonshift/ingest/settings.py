"""What ingest can be told."""

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AliasChoices, BeforeValidator, Field, NonNegativeFloat, PositiveFloat, SecretStr
from pydantic_settings import NoDecode

from carbonshift.common.events import Name
from carbonshift.common.settings import Settings
from carbonshift.ingest.cleaning.clean import Patience

__all__ = ["IngestSettings"]


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class IngestSettings(Settings):
    """Settings of ingest; with neither a tape nor sources it waits for a replay from the command line."""

    service: ClassVar[str] = "ingest"

    tape: Path | None = None
    """A recording to replay as the service starts: a path, or the name of a bundled one."""
    speed: PositiveFloat | None = None
    """Seconds of event time per second of wall time for the tape; null = as fast as it goes."""
    price_sources: Names = ()
    """Sources of the price, comma-separated, the preferred one first: the first healthy one is used."""
    carbon_sources: Names = ()
    """Sources of the carbon intensity, likewise; all of one basis."""
    day_ahead_source: str | None = None
    """The source whose day-ahead prices are published as they become known."""
    region: Name = "caiso"
    """The region that is polled."""
    poll_seconds: PositiveFloat = 30.0
    """How soon a source is asked again for what it is due to publish; no question takes longer than most of it."""
    wait_seconds: NonNegativeFloat = 300.0
    """How long an interval waits for its last value beyond the usual delay of its sources; then that value is held."""
    hold_seconds: NonNegativeFloat = 900.0
    """How long the last value of a signal may stand in for what has not come; beyond it the signal is missing."""
    interpolate_seconds: NonNegativeFloat = 3_600.0
    """The longest gap between two observed values that is filled by a straight line."""
    backfill_seconds: float = Field(default=2 * 86_400.0, gt=0, le=32 * 86_400)
    """How far back a first start asks; a later one goes on behind what the broker has, up to 31 days back."""
    faults: str | None = None
    """JSON: how the source `faulty` spoils another, or a replay its tape: `{"zero": 0.1}`; for tests and demos."""

    caiso_url: str = "https://oasis.caiso.com/oasisapi"
    """Base URL of CAISO OASIS."""
    caiso_node: str = Field(default="TH_NP15_GEN-APND", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """Pricing node (OASIS NODE_ID) whose LMP is the price."""
    caiso_seconds_between_requests: NonNegativeFloat = 5.0
    """OASIS refuses whoever asks faster; raise it where several processes share an address."""
    caiso_outlook_url: str = "https://www.caiso.com/outlook"
    """Base URL of CAISO Today's Outlook."""
    watttime_url: str = "https://api.watttime.org"
    """Base URL of WattTime."""
    watttime_region: str = Field(default="CAISO_NORTH", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """Region as WattTime names it; CAISO_NORTH is open to every user."""
    watttime_username: str | None = Field(
        default=None, validation_alias=AliasChoices("WATTTIME_USERNAME", "watttime_username")
    )
    """Account at WattTime."""
    watttime_password: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("WATTTIME_PASSWORD", "watttime_password")
    )
    """Its password."""
    electricitymaps_url: str = "https://api.electricitymaps.com"
    """Base URL of Electricity Maps."""
    electricitymaps_zone: str = Field(default="US-CAL-CISO", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    """Zone as Electricity Maps names it; a free key opens one."""
    electricitymaps_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("ELECTRICITYMAPS_API_KEY", "electricitymaps_api_key")
    )
    """Key of Electricity Maps."""

    def patience(self) -> Patience:
        """How long something may stand in for a value."""
        return Patience(hold_seconds=self.hold_seconds, interpolate_seconds=self.interpolate_seconds)
