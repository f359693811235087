"""Events about a grid region: its ticks, its state, its outlook, its story."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from carbonshift.common.events.base import Event, Instant, Name, stamp
from carbonshift.common.events.replay import Replay, mark
from carbonshift.common.events.shown import Shown, ShownLines

__all__ = [
    "CarbonBasis",
    "DayAheadPrices",
    "Digest",
    "ForecastSkill",
    "GridForecast",
    "GridState",
    "GridTick",
    "GridTransition",
    "Issue",
    "Narrative",
    "PriceMarket",
    "ProvidedForecast",
    "Pulse",
    "Quality",
    "Quantiles",
    "TransitionFacts",
]

StepSeconds = Annotated[int, Field(gt=0, le=7 * 86_400)]
"""Length of an interval: no market and no provider has longer ones than a week."""
MOST_TOLD = 10_000
"""Intervals that one event tells of: a month in steps of five minutes."""


class Pulse(StrEnum):
    """Whether now is a good time. UNKNOWN means the signals cannot be trusted: hold, never GREEN."""

    GREEN = "GREEN"
    AMBER = "AMBER"
    RED = "RED"
    UNKNOWN = "UNKNOWN"


class Quality(StrEnum):
    """How a value came about."""

    OBSERVED = "observed"
    ESTIMATED = "estimated"
    """By the provider: imputed, forecast or modelled there."""
    INTERPOLATED = "interpolated"
    """On the straight line between two observed values."""
    HELD = "held"
    """The last trusted value, while nothing newer has come."""
    MISSING = "missing"

    @property
    def is_told(self) -> bool:
        """Whether a source said the value, and nothing stands in for it."""
        return self in {Quality.OBSERVED, Quality.ESTIMATED}


class Issue(StrEnum):
    """What speaks against a tick: stable codes, each about the signal it begins with, the last about both."""

    PRICE_STALE = "price_stale"
    PRICE_FLAT = "price_flat"
    PRICE_ZERO = "price_zero"
    PRICE_OUT_OF_RANGE = "price_out_of_range"
    PRICE_UNIT_JUMP = "price_unit_jump"
    PRICE_DISPUTED = "price_disputed"
    CARBON_STALE = "carbon_stale"
    CARBON_FLAT = "carbon_flat"
    CARBON_ZERO = "carbon_zero"
    CARBON_OUT_OF_RANGE = "carbon_out_of_range"
    CARBON_UNIT_JUMP = "carbon_unit_jump"
    CARBON_DISPUTED = "carbon_disputed"
    SIGNALS_DISAGREE = "signals_disagree"


class CarbonBasis(StrEnum):
    """Which carbon intensity: of the next kWh (marginal) or of all of them (average). Never mixed in one sum."""

    MARGINAL = "marginal"
    AVERAGE = "average"


class PriceMarket(StrEnum):
    """Which market cleared the price."""

    REAL_TIME = "real-time"
    DAY_AHEAD = "day-ahead"


class GridTick(Event):
    """Price and carbon of one interval of one region."""

    kind: ClassVar[str] = "tick"
    stream: ClassVar[str] = "TICKS"
    address: ClassVar[str] = "tick.{region}"

    region: Name
    interval_start: Instant
    interval_seconds: StepSeconds
    revision: NonNegativeInt = 0
    """0 at first; a late correction of the interval counts up."""
    price_usd_per_mwh: float | None
    """LMP; may be negative; null = missing."""
    carbon_g_per_kwh: float | None = Field(ge=0)
    carbon_basis: CarbonBasis
    price_quality: Quality
    carbon_quality: Quality
    price_market: PriceMarket
    price_source: Shown
    carbon_source: Shown
    observed_at: Instant
    """When the source was read; for a recording the start of the interval."""
    issues: tuple[Shown, ...] = ()
    """Integrity codes, those of `Issue` and whatever else is found; a tick with any of them never makes GREEN."""
    replay: Replay | None = None

    @property
    def sound_price_usd_per_mwh(self) -> float | None:
        """The price where nothing speaks against it: what a limit, a norm or a forecast may be built on."""
        return None if self._spoken_against("price_") else self.price_usd_per_mwh

    @property
    def sound_carbon_g_per_kwh(self) -> float | None:
        """The carbon intensity where nothing speaks against it."""
        return None if self._spoken_against("carbon_") else self.carbon_g_per_kwh

    def _spoken_against(self, signal: str) -> bool:
        other = {"price_": "carbon_", "carbon_": "price_"}[signal]
        return any(not code.startswith(other) for code in self.issues)  # a code of neither signal is against both

    @property
    def interval_end(self) -> datetime:
        """The first moment after the interval."""
        return self.interval_start + timedelta(seconds=self.interval_seconds)

    @property
    def id(self) -> str:
        return f"tick:{self.region}:{stamp(self.interval_start)}:{self.revision}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.interval_start


class DayAheadPrices(Event):
    """Prices that a market has published for hours to come: known, not forecast."""

    kind: ClassVar[str] = "dayahead"
    stream: ClassVar[str] = "TICKS"
    address: ClassVar[str] = "dayahead.{region}"

    region: Name
    published_at: Instant
    step_seconds: StepSeconds
    first_interval_start: Instant
    prices_usd_per_mwh: tuple[float | None, ...] = Field(min_length=1, max_length=MOST_TOLD)
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return f"dayahead:{self.region}:{stamp(self.first_interval_start)}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.published_at


class ProvidedForecast(Event):
    """What the provider of the carbon intensity itself expects of it: a forecast to set one's own against."""

    kind: ClassVar[str] = "provided"
    stream: ClassVar[str] = "TICKS"
    address: ClassVar[str] = "provided.{region}"

    region: Name
    source: Shown
    published_at: Instant
    """When the provider made it; when it was asked where it does not say."""
    step_seconds: StepSeconds
    first_interval_start: Instant
    """The interval of `published_at`, or a later one."""
    carbon_basis: CarbonBasis
    carbon_g_per_kwh: tuple[NonNegativeFloat | None, ...] = Field(min_length=1, max_length=MOST_TOLD)
    """Of the shape (steps,); null = the provider says nothing of the interval, or nothing that can be."""
    replay: Replay | None = None
    """Always null: no recording holds a forecast."""

    @property
    def id(self) -> str:
        return f"provided:{self.region}:{stamp(self.published_at)}:{self.source}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.published_at


class GridState(Event):
    """The verdict on one tick, and the setpoint: the lease that workers follow."""

    kind: ClassVar[str] = "state"
    stream: ClassVar[str] = "STATES"
    address: ClassVar[str] = "state.{region}"

    region: Name
    interval_start: Instant
    interval_seconds: PositiveInt
    state: Pulse
    since: Instant
    """Start of the interval in which this state began."""
    score: float | None = Field(ge=0, le=1)
    """alpha x price_norm + beta x carbon_norm: 0 the best of the trailing window, 1 the worst; null = not known."""
    price_norm: float | None = Field(ge=0, le=1)
    carbon_norm: float | None = Field(ge=0, le=1)
    power_limit_w: float = Field(gt=0)
    """Setpoint for the reference board; a worker maps it to its own."""
    power_fraction: float = Field(ge=0, le=1)
    """The setpoint as a share of the reference board's range."""
    run: bool
    """May training run?"""
    epoch: NonNegativeInt
    """Unix second in which the present stretch of permission to run began: RED ends it, and every token of it."""
    reasons: tuple[Shown, ...]
    """Stable codes, the weightiest first."""
    valid_until: Instant
    policy: Shown
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return f"state:{self.region}:{stamp(self.interval_start)}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.interval_start


class TransitionFacts(BaseModel):
    """What explains a change of state: the values, the limits they met, and what came just before."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)

    price_usd_per_mwh: float | None
    carbon_g_per_kwh: float | None
    carbon_basis: CarbonBasis
    price_low_usd_per_mwh: float | None
    """Lower trailing quantile of the price, the foot of its norm."""
    price_high_usd_per_mwh: float | None
    carbon_low_g_per_kwh: float | None
    carbon_high_g_per_kwh: float | None
    thresholds: dict[str, float]
    """The settings the verdict was made with, by name."""
    recent_interval_starts: tuple[Instant, ...]
    recent_prices_usd_per_mwh: tuple[float | None, ...]
    recent_carbon_g_per_kwh: tuple[float | None, ...]


class GridTransition(Event):
    """A change of state, with the facts that explain it."""

    kind: ClassVar[str] = "transition"
    stream: ClassVar[str] = "STATES"
    address: ClassVar[str] = "transition.{region}"

    region: Name
    state: GridState
    previous: Pulse | None
    """Null for the first state of a region."""
    previous_since: Instant | None
    previous_run: bool | None = None
    """Whether training could run until then; null for the first state, and from a producer that does not say."""
    facts: TransitionFacts

    @property
    def id(self) -> str:
        return f"transition:{self.region}:{stamp(self.state.interval_start)}{mark(self.state.replay)}"

    @property
    def time(self) -> datetime:
        return self.state.interval_start


class Quantiles(BaseModel):
    """Three quantiles a step; each of the shape (steps,), in the unit of what is forecast."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)

    p10: tuple[float, ...]
    p50: tuple[float, ...]
    p90: tuple[float, ...]


class ForecastSkill(BaseModel):
    """Of one model over the forecasts that have come due, those of five days ago counting half; null = none yet.

    Steps whose price was published are not among them.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, use_attribute_docstrings=True)

    price_mae_usd_per_mwh: float | None
    """Mean absolute error of p50."""
    price_pinball_usd_per_mwh: float | None
    """Mean pinball loss over p10, p50 and p90."""
    price_coverage: float | None
    """Share of prices from p10 to p90: 0.8 where they are calibrated."""
    carbon_mae_g_per_kwh: float | None
    carbon_pinball_g_per_kwh: float | None
    carbon_coverage: float | None
    spike_brier: float | None
    """Mean squared error of the spike probability."""


class GridForecast(Event):
    """Price and carbon of the coming steps as quantiles, and how likely a price spike is in each."""

    kind: ClassVar[str] = "forecast"
    stream: ClassVar[str] = "FORECASTS"
    address: ClassVar[str] = "forecast.{region}"

    region: Name
    origin: Instant
    """End of the last interval that was known; the first step starts here."""
    step_seconds: StepSeconds
    price_usd_per_mwh: Quantiles
    price_known_steps: NonNegativeInt = 0
    """Of how many first steps the price is published: known, not forecast, all quantiles the same."""
    carbon_g_per_kwh: Quantiles
    carbon_basis: CarbonBasis
    spike_probability: tuple[float, ...]
    spike_threshold_usd_per_mwh: float
    price_models: dict[Shown, float]
    """Weight of each model in the price of the first four hours, summing to 1."""
    carbon_models: dict[Shown, float]
    """Likewise in the carbon intensity."""
    skill: dict[Shown, ForecastSkill]
    """By model, `blend` for the forecasts themselves; empty before anything has come due."""
    degraded: bool
    """True where the history did not suffice for any model: the quantiles are no more than past moves."""
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return f"forecast:{self.region}:{stamp(self.origin)}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.origin


class Narrative(Event):
    """One transition told to a person."""

    kind: ClassVar[str] = "narrative"
    stream: ClassVar[str] = "NARRATIVES"
    address: ClassVar[str] = "narrative.{region}"

    region: Name
    transition_id: str
    interval_start: Instant
    text: ShownLines
    model: Shown
    """Who wrote it: a model's name, or `template`."""
    facts: dict[str, float | str | None]
    """Every figure and name the text uses."""
    fallback: bool
    """True where a model was asked and its text was not fit to publish."""
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return f"narrative:{self.transition_id}"

    @property
    def time(self) -> datetime:
        return self.interval_start


class Digest(Event):
    """A span of a region told to a person: what happened, what it saved, what was missed, what comes."""

    kind: ClassVar[str] = "digest"
    stream: ClassVar[str] = "NARRATIVES"
    address: ClassVar[str] = "digest.{region}"

    region: Name
    start: Instant
    end: Instant
    """The first moment that is not told of."""
    text: ShownLines
    facts: dict[str, float | str | None]
    """Every figure and name the text uses."""
    replay: Replay | None = None

    @property
    def id(self) -> str:
        return f"digest:{self.region}:{stamp(self.start)}:{stamp(self.end)}{mark(self.replay)}"

    @property
    def time(self) -> datetime:
        return self.end
