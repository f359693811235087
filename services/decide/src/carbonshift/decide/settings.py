"""What decide can be told, for all regions or for one."""

import math
from datetime import time
from typing import ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, model_validator

from carbonshift.common.events import Name
from carbonshift.common.power_curve import RESNET18_V100
from carbonshift.common.settings import Settings
from carbonshift.common.time_zone import TimeZone
from carbonshift.decide.norm import Band

__all__ = ["DecideSettings", "RegionSettings", "SiteBudget"]


class SiteBudget(BaseModel):
    """The power one site may take, and how fast it may come back to it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    ramp_w_per_minute: PositiveFloat = 1_000.0
    """In any window of L minutes the site's committed watts rise by at most L times this, plus two tokens."""
    budget_w: PositiveFloat = 10_000.0
    """What all devices of the site may draw together."""
    token_w: PositiveFloat = 50.0
    """Watts of one resume token."""

    @property
    def slot_seconds(self) -> float:
        """How long the ramp takes for one token: one slot."""
        return self.token_w / self.ramp_w_per_minute * 60.0


class RegionSettings(BaseModel):
    """What a region can have of its own: every threshold is a setting."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    alpha: float = Field(default=0.5, ge=0, le=1)
    """Weight of the price in the score."""
    beta: float = Field(default=0.5, ge=0, le=1)
    """Weight of the carbon intensity in the score; alpha + beta = 1."""
    green_score: float = Field(default=0.35, ge=0, le=1)
    """At this score and below GREEN is allowed."""
    red_score: float = Field(default=0.8, ge=0, le=1)
    """At this score and above the state is RED."""
    hysteresis_score: float = Field(default=0.05, ge=0, le=1)
    """How far the score must come back before GREEN or RED is left."""
    dwell_seconds: NonNegativeFloat = Field(default=900.0, le=31 * 86_400)
    """Shortest stay in a state, in event time; hard limits and UNKNOWN do not wait."""
    critical_price_usd_per_mwh: float = 200.0
    """At this LMP and above the state is RED, whatever the score."""
    critical_carbon_g_per_kwh: PositiveFloat = 800.0
    """At this intensity and above the state is RED, whatever the score."""
    optimal_price_usd_per_mwh: float | None = None
    """Above this LMP there is no GREEN; null = the median of the window, which means the same in every market."""
    optimal_carbon_g_per_kwh: PositiveFloat | None = None
    """Above this intensity there is no GREEN; null = the median of the window."""
    window_seconds: PositiveFloat = 14 * 86_400.0
    """Length of the trailing window of the norms, in event time."""
    low_quantile: float = Field(default=0.05, ge=0, lt=0.5)
    """Quantile of the window that has norm 0."""
    high_quantile: float = Field(default=0.95, gt=0.5, le=1)
    """Quantile of the window that has norm 1."""
    warm_up_seconds: PositiveFloat = 86_400.0
    """History needed before a score is given; until then AMBER, and RED by the hard limits."""
    green_power_limit_w: PositiveFloat = 250.0
    """Setpoint of GREEN for the reference board (100 to 250 W)."""
    amber_power_limit_w: PositiveFloat = 175.0
    """Setpoint of AMBER for the reference board."""
    red_power_limit_w: PositiveFloat = 100.0
    """Setpoint of RED for the reference board, whose training waits."""
    static_cap_power_limit_w: PositiveFloat = 150.0
    """For the policy `static-cap`: its one setpoint for the reference board; near it work takes least energy."""
    solar_window_from: time = time(9)
    """For the policy `solar-window`: the local time at which training may begin."""
    solar_window_to: time = time(16)
    """The local time at which it pauses."""
    time_zone: TimeZone = "UTC"
    """IANA name of the local clock: of the solar window, and of the weekends that the planner expects."""
    usd_per_tonne: NonNegativeFloat = 100.0
    """For the policy `planner`: what a tonne of CO2 counts beside the energy bill."""
    lease_intervals: PositiveFloat = 2.0
    """How many intervals past its own, or past the reading of its source, a state stays valid without a successor."""

    def band(self) -> Band:
        """The band of the norms."""
        return Band(low_quantile=self.low_quantile, high_quantile=self.high_quantile)

    def power_fraction(self, limit_w: float) -> float:
        """`limit_w` as a share of the reference board's range, clamped to [0, 1]."""
        low, high = RESNET18_V100.limits_w[0], RESNET18_V100.limits_w[-1]
        return min(max((limit_w - low) / (high - low), 0.0), 1.0)


class DecideSettings(RegionSettings, Settings):
    """Settings of decide; those of a region are in force wherever the region says nothing else."""

    model_config = Settings.model_config

    service: ClassVar[str] = "decide"

    policy: str = "planner"
    """Which of the installed policies judges."""
    sites: dict[Name, SiteBudget] = Field(default_factory=lambda: {"local": SiteBudget()})
    """The ramp budget of each site, by its name."""
    regions: dict[Name, RegionSettings] = Field(default_factory=dict)
    """What a region has of its own, `[decide.regions.NAME]` in the file: any but `policy`, `sites` and `regions`."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse_contradictions(self)
        for region in self.regions:  # half of a pair may come from the region, half from what holds for all
            try:
                _refuse_contradictions(self.for_region(region))
            except ValueError as error:
                raise ValueError(f"regions.{region}: {error}") from error
        return self

    def for_region(self, region: str) -> Self:
        """The settings in force there."""
        own = self.regions.get(region)
        return self.model_copy(update={name: getattr(own, name) for name in own.model_fields_set}) if own else self


def _refuse_contradictions(settings: RegionSettings) -> None:
    if settings.solar_window_from.tzinfo or settings.solar_window_to.tzinfo:
        raise ValueError("the solar window is on the local clock: times without a zone")
    if settings.solar_window_from >= settings.solar_window_to:
        raise ValueError("solar_window_from must be before solar_window_to")
    if not math.isclose(settings.alpha + settings.beta, 1.0):
        raise ValueError(f"alpha + beta must be 1, not {settings.alpha + settings.beta:g}")
    if settings.green_score + settings.hysteresis_score >= settings.red_score:
        raise ValueError("green_score + hysteresis_score must stay below red_score")
    if settings.warm_up_seconds >= settings.window_seconds:
        raise ValueError("warm_up_seconds must stay below window_seconds, or no score is ever given")
